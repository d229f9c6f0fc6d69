# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the engines that run on this host, and who serves its default socket.

Nothing is started: a socket that starts its service on demand is not connected to.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
from typing import Mapping, Optional, Sequence

from ..._base import systemd_units
from ..._base.io import systemd
from ..other_engines import DEFAULT_SOCKET, ENGINE_UNIT, DefaultSocket, Process, is_engine, unit_of

_PROPERTIES = ("ActiveState", "Listen", "Triggers")
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid
_TIMEOUT = 2.0


def observe_engines() -> tuple[bool, tuple[Process, ...], DefaultSocket]:
    """Looks for engines.

    Returns:
        Whether docker.service is active, the engines that run outside of containers, and who
        serves the default socket.

    Raises:
        MissingRequirement: this host does not run systemd.
    """
    shown = systemd.show_matching([ENGINE_UNIT, "*.socket"], _PROPERTIES)
    running = shown.get(ENGINE_UNIT, {}).get("ActiveState") == "active"
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    engines = [_process(pid) for pid in pids if is_engine(_command(pid)) and not _is_contained(pid)]
    return running, tuple(filter(None, engines)), _default_socket(shown)


def _default_socket(shown: Mapping[str, Mapping[str, str]]) -> DefaultSocket:
    path = os.path.realpath(DEFAULT_SOCKET)
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return DefaultSocket()
    except OSError:
        return DefaultSocket()
    units = {
        name: unit.get("Triggers", "").split()
        for name, unit in shown.items()
        if unit.get("ActiveState") == "active"
        and path in map(os.path.realpath, systemd_units.parse_paths(unit.get("Listen", "")))
    }
    return DefaultSocket(path, units, None if units else _server(path))


def _server(path: str) -> Optional[Process]:
    """The process that listens on a socket; None if there is none, or if it cannot be found out."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_TIMEOUT)
        probe.connect(path)
        answer = probe.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, _uid, _gid = _CREDENTIALS.unpack(answer)
        return _process(pid) if pid > 1 else None
    return None


def _process(pid: int) -> Optional[Process]:
    """A process; None if it has ended."""
    try:
        uid = os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return None
    unit = unit_of(_text(f"/proc/{pid}/cgroup"), _text("/proc/1/cgroup"))
    main = systemd.show(unit, ["MainPID"]).get("MainPID") if unit and unit != ENGINE_UNIT else ""
    return Process(_text(f"/proc/{pid}/comm").strip(), pid, uid, unit, is_main=main == str(pid))


def _command(pid: int) -> Sequence[str]:
    return _text(f"/proc/{pid}/cmdline").rstrip("\0").split("\0")


def _is_contained(pid: int) -> bool:
    """Whether a process has its own PID namespace, as in a container (proc(5), "NSpid")."""
    for line in _text(f"/proc/{pid}/status").splitlines():
        if line.startswith("NSpid:"):
            return len(line.split()) > 2
    return False


def _text(path: str) -> str:
    with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()
    return ""
