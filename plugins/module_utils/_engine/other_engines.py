# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Engines that docker.service does not run, and which of them a second engine would push aside.

An engine of docker.service binds /run/docker.sock. If another engine serves that socket, its
containers vanish from ``docker ps`` at that moment, although they keep running.

Sources: cgroups(7), unix(7) "SO_PEERCRED", systemd.socket(5); podman-system-service(1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Mapping, Optional, Sequence

from .._base.errors import Refused, WormholeError

ENGINE_UNIT = "docker.service"
DEFAULT_SOCKET = "/run/docker.sock"

_CONSEQUENCE = "If docker.service were started, docker ps would no longer list the containers of this engine"


@dataclass(frozen=True)
class Process:
    """A process that serves the Docker Engine API.

    Attributes:
        program: its name, such as dockerd or podman.
        pid: its process ID.
        uid: its user, as the host numbers it.
        unit: the unit that it belongs to, such as docker.service or session-3.scope; empty if there
            is none.
        is_main: whether it is the main process of that unit, and ends with it. A process that was
            started by hand may belong to ssh.service.
    """

    program: str
    pid: int
    uid: int
    unit: str
    is_main: bool = True


@dataclass(frozen=True)
class DefaultSocket:
    """Who serves /run/docker.sock.

    Attributes:
        path: where that path leads; empty if no socket is there.
        units: the active socket units that listen there, each with the units that it starts.
        server: the process that accepts connections, if systemd does not hold the socket.
    """

    path: str = ""
    units: Mapping[str, Sequence[str]] = field(default_factory=dict)
    server: Optional[Process] = None


def is_engine(command: Sequence[str]) -> bool:
    """Whether a command line is that of dockerd or of podman's emulation of it."""
    program = command[0].rpartition("/")[2] if command else ""
    return program == "dockerd" or (program == "podman" and {"system", "service"} <= set(command))


def unit_of(cgroup: str, root: str) -> str:
    """The unit of a process, as systemd derives it.

    Args:
        cgroup: content of /proc/PID/cgroup.
        root: content of /proc/1/cgroup.
    """
    roots = {_hierarchy(line): line.rpartition(":")[2] for line in root.splitlines()}
    for line in cgroup.splitlines():
        top = re.sub(r"/?(init\.scope)?$", "", roots.get(_hierarchy(line), ""))
        path = line.split(":", 2)[-1]
        parts = path[len(top) :].split("/") if path.startswith(top + "/") else []
        units = [part for part in parts if part.endswith((".service", ".scope"))]
        if units:
            return units[0]
    return ""


def _hierarchy(line: str) -> str:
    return ":".join(line.split(":", 2)[:2])


def find_rival(running: bool, processes: Sequence[Process], socket: DefaultSocket) -> Optional[WormholeError]:
    """The engine that one of docker.service would push aside; None if there is no such engine.

    An engine that leaves the default socket alone may run beside that of docker.service: that of a
    user (rootless), or one with its own socket. An engine of root is the host's own as long as
    docker.service runs none.

    Args:
        running: whether docker.service is active.
        processes: all engines in the PID namespace of the host; those in containers are left out.
        socket: who serves the default socket.
    """
    started = [unit for units in socket.units.values() for unit in units]
    if socket.units and ENGINE_UNIT not in started:
        unit = sorted(socket.units)[0]
        return _serves_socket(unit, _disable(unit), socket)
    if not socket.units and socket.server and socket.server.unit != ENGINE_UNIT:
        return _serves_socket(_named(socket.server), _end(socket.server), socket)
    rivals = [
        process
        for process in processes
        if process.program == "dockerd" and process.uid == 0 and process.unit != ENGINE_UNIT
    ]
    if running or not rivals:
        return None
    problem = f"{_named(rivals[0])} runs on this host, which docker.service did not start. {_CONSEQUENCE}"
    return Refused(_named(rivals[0]), problem=problem, remedy=_remedy(_end(rivals[0])))


def _serves_socket(name: str, end: str, socket: DefaultSocket) -> WormholeError:
    where = f"{DEFAULT_SOCKET} (a link to {socket.path})" if socket.path != DEFAULT_SOCKET else DEFAULT_SOCKET
    problem = f"{name} serves {where}, not docker.service. {_CONSEQUENCE}"
    return Refused(DEFAULT_SOCKET, found=name, problem=problem, remedy=_remedy(end))


def _named(process: Process) -> str:
    user = f" of user {process.uid}" if process.uid else ""
    started = f" of {process.unit}" if process.is_main else ""
    return f"{process.program}{started}{user} (pid {process.pid})"


def _end(process: Process) -> str:
    """How to stop an engine for good."""
    if not process.is_main:
        return f"end process {process.pid}"
    if process.unit.startswith("snap."):
        return "snap stop --disable " + ".".join(process.unit.split(".")[1:-1])
    return _disable(process.unit)


def _disable(unit: str) -> str:
    return f"systemctl disable --now {unit}"


def _remedy(end: str) -> str:
    return f"Remove this host from the inventory, or disable that engine, although its containers are not moved: {end}"
