# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides when ``files/wormhole-discover`` is installed on a host, and how a container runs it.

All containers of a host share one program. They mount its directory read-only, so that a container
that is started again runs the version that is installed then. The directory also holds the names of
the engine's certificate, for images without a tool that can read that certificate. The program is
the container's entrypoint, and gets the container's own entrypoint as arguments.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional, Union

from .._base.errors import InvalidInput
from .._base.plan import Plan, Reason
from .._container.inspection import NO_ENTRYPOINT, config_of

DIRECTORY = "/usr/local/lib/wormhole-docker"
"""The directory of the program on the host and in containers."""
PROGRAM = DIRECTORY + "/wormhole-discover"
NAMES = DIRECTORY + "/server-names"
WRAPPER = ("/bin/sh", PROGRAM, "--")
"""The prefix of a container's own entrypoint: a shell, as the file system may forbid execution."""

OPEN_SETTINGS = ("WORMHOLE_CANDIDATES", "WORMHOLE_TIMEOUT", "WORMHOLE_ATTEMPT_TIMEOUT")
"""The program's settings that a task may set. The wiring sets the others, or they weaken it."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class ProgramState:
    """The program on a host.

    Attributes:
        program: the installed text; None without one.
        names: the installed names of the engine's certificate; None without any.
        served: names of the certificate that the engine serves, such as ``IP:172.17.0.1``; empty if
            it was not read.
        users: names of other containers that start with the program.
    """

    program: Optional[str] = None
    names: Optional[tuple[str, ...]] = None
    served: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


@dataclass(frozen=True)
class InstallProgram:
    """Install program and names of the engine's certificate; None keeps the installed one."""

    program: Optional[str]
    names: Optional[tuple[str, ...]]


@dataclass(frozen=True)
class RemoveProgram:
    """Remove the program, the names and their directory."""


ProgramAction = Union[InstallProgram, RemoveProgram]


def plan_program(wanted: bool, text: str, subject: str, state: ProgramState) -> Plan[ProgramAction]:
    """Plan the program with this text if the container ``subject`` wants it, or its removal."""
    if not wanted:
        if state.users or (state.program is None and state.names is None):
            return Plan()
        reason = Reason("discover_program_unused", f"{PROGRAM}: no container uses it any more", subject)
        return Plan({"discover_program": PROGRAM}, {"discover_program": ""}, (reason,), (RemoveProgram(),))
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    reasons = []
    program = text if state.program != text else None
    # If the certificate was not read, its names are unknown.
    names = state.served if state.served and state.names != state.served else None
    if program is not None:
        found = "" if state.program is None else "another version"
        before["discover_program"], after["discover_program"] = found and f"{PROGRAM}, {found}", PROGRAM
        difference = f"{PROGRAM}: expected this version, found {found or 'nothing'}"
        reasons.append(Reason("discover_program_differs", difference, subject))
    if names is not None:
        before["discover_names"], after["discover_names"] = list(state.names or ()), list(names)
        difference = f"{NAMES}: expected the names of the certificate that the engine serves"
        reasons.append(Reason("discover_names_differ", difference, subject))
    return Plan(before, after, tuple(reasons), (InstallProgram(program, names),)) if reasons else Plan()


def program_variables(port: int, *, plaintext: bool, host_network: bool) -> dict[str, str]:
    """The settings that a container needs for the program."""
    variables = {"WORMHOLE_PORT": str(port), "WORMHOLE_NAMES_FILE": NAMES}
    if plaintext:
        variables["WORMHOLE_INSECURE_PLAINTEXT"] = "true"
    if host_network:
        # The default gateway is the host's own router there.
        variables["WORMHOLE_CANDIDATES"] = "127.0.0.1 ::1 host-gateway networks"
    return variables


def reject_variables(env: Iterable[str]) -> None:
    """Reject variables that contradict the program, or that it cannot pass on.

    Raises:
        InvalidInput: the first such variable.
    """
    for name in env:
        if name.startswith("WORMHOLE_") and name not in OPEN_SETTINGS:
            problem = f"env {name} is set by discover runtime, or has no effect with it"
            remedy = f"Remove it from the task. These may be set: {', '.join(OPEN_SETTINGS)}"
            raise InvalidInput(f"env {name}", problem=problem, remedy=remedy)
        if not _VARIABLE.fullmatch(name):
            problem = f"env {name} cannot be used with discover runtime: a shell starts the container, "
            problem += "and passes on only variables whose names consist of letters, digits and _"
            raise InvalidInput(f"env {name}", problem=problem, remedy="Use discover launch")


def wrap(body: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body of ``POST /containers/create`` with the program before the own entrypoint.

    Args:
        body: the body without it.
        image: the image's ``Config``.

    Raises:
        InvalidInput: there is no command, or the program cannot pass on the image's variables.
    """
    # With its own entrypoint, a container inherits no command of its image (moby: runconfig.Merge).
    inherited = None if body.get("Entrypoint") else image.get("Cmd")
    entrypoint = tuple(body.get("Entrypoint") or image.get("Entrypoint") or ())
    entrypoint = () if entrypoint == NO_ENTRYPOINT else entrypoint
    command = list(body.get("Cmd") or inherited or ())
    if not entrypoint and not command:
        problem = "discover runtime requires a command, or an image that has one"
        raise InvalidInput("discover runtime", problem=problem, remedy="Set the option command")
    names = (str(item).partition("=")[0] for item in image.get("Env") or ())
    reject_variables(name for name in names if not _VARIABLE.fullmatch(name))
    rest = {key: value for key, value in body.items() if key != "Cmd"}
    return {**rest, "Entrypoint": [*WRAPPER, *entrypoint], **({"Cmd": command} if command else {})}


def unwrap(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the inspection of a container as it would be without the program."""
    config = config_of(container)
    entrypoint = tuple(config.get("Entrypoint") or ())
    if entrypoint[: len(WRAPPER)] != WRAPPER:
        return container
    return {**container, "Config": {**config, "Entrypoint": list(entrypoint[len(WRAPPER) :])}}
