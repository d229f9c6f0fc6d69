# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired gate of a host: the options of wormhole_gate, and how they are parsed."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, Literal, Mapping

from .._base.errors import InvalidInput
from .._gate.config import ENGINE, GateConfig
from .._gate.limits import Limits

State = Literal["present", "absent"]
_MEMORY = re.compile(r"([1-9][0-9]{0,11})([KMGT]?)", re.ASCII)
_SMALLEST_MEMORY = 64 << 20
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_HIGHEST_CONNECTIONS = 4096
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_UNIX = "unix://"
_PATH = re.compile(r"(/[A-Za-z0-9_.:@+-]+)+", re.ASCII)


@dataclass(frozen=True)
class GateHostSpec:
    """The desired gate: the options of wormhole_gate, and the only place of their defaults.

    Attributes:
        state: whether the gate exists.
        connections: open connections of one identity.
        memory: most that the service may use, as systemd writes it.
        engine: path of the engine's unix socket.
        tls_directory: directory of the server's ca.pem, cert.pem and key.pem, if the gate serves TLS;
            empty if it serves unix sockets only.
        program: SHA-256 of the program, in hexadecimal.
        wormholes_removed: names of wormholes that an earlier task of this run has removed, or will.
    """

    state: State = "present"
    connections: int = Limits.connections
    memory: str = "512M"
    engine: str = ENGINE
    tls_directory: str = ""
    program: str = ""
    wormholes_removed: tuple[str, ...] = ()

    @property
    def present(self) -> bool:
        return self.state == "present"

    @property
    def config(self) -> GateConfig:
        """The content of the configuration file."""
        limits = dataclasses.replace(Limits(), connections=self.connections)
        return GateConfig(engine=self.engine, tls=self.tls_directory or None, limits=limits)


def parse_spec(options: Mapping[str, Any]) -> GateHostSpec:
    """Parses the options of a task, by name. None stands for the default; others are ignored.

    Raises:
        InvalidInput: an option is malformed.
    """
    names = [field.name for field in dataclasses.fields(GateHostSpec)]
    given = {name: options[name] for name in names if options.get(name) is not None}
    given["wormholes_removed"] = tuple(given.get("wormholes_removed", ()))
    if options.get("docker_host"):
        given["engine"] = _parse_engine(options["docker_host"])
    spec = GateHostSpec(**given)
    if not 1 <= spec.connections <= _HIGHEST_CONNECTIONS:
        problem = f"connections is {spec.connections}"
        remedy = f"Set it to a number from 1 to {_HIGHEST_CONNECTIONS}"
        raise InvalidInput("option connections", problem=problem, remedy=remedy)
    found = _MEMORY.fullmatch(spec.memory)
    if not found or int(found[1]) * _UNITS[found[2]] < _SMALLEST_MEMORY:
        problem = f"memory is {spec.memory!r}, which is not an amount of at least 64M"
        raise InvalidInput(
            "option memory", problem=problem, remedy="Set it to a number with M or G, such as 512M"
        )
    if spec.tls_directory and not _is_plain(spec.tls_directory):
        problem = f"tls_directory is {spec.tls_directory!r}, which is not a plain absolute path"
        remedy = "Set it to the directory of the server's certificate, such as /etc/wormhole/server"
        raise InvalidInput("option tls_directory", problem=problem, remedy=remedy)
    if spec.present and not _HASH.fullmatch(spec.program):
        raise InvalidInput(
            "option program",
            problem="The hash of the program is missing",
            remedy="Run the module by its action plugin, which adds it",
        )
    return spec


def _is_plain(path: str) -> bool:
    """Whether a path can stand in a unit file as it is."""
    return _PATH.fullmatch(path) is not None and "//" not in path


def _parse_engine(docker_host: str) -> str:
    """The path of a unix socket, without the link /var/run, which others may replace."""
    path = docker_host[len(_UNIX) :]
    if not docker_host.startswith(_UNIX + "/") or not path.isprintable():
        problem = (
            f"docker_host is {docker_host!r}, but the gate uses the unix socket of its own host's engine"
        )
        raise InvalidInput(
            "option docker_host", problem=problem, remedy="Set it to unix:// and an absolute path"
        )
    return "/run/" + path[len("/var/run/") :] if path.startswith("/var/run/") else path
