# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program ``files/wormhole-discover`` on a host: how a container gets it, and when it comes and goes.

It is one for all containers of a host, in a directory that each of them mounts read-only, so that a container which is
started again runs the one that is there then. Beside it are the names of the engine's certificate, for images in which
nothing can see that certificate. The program is the container's entrypoint, and is handed the entrypoint that it stands
before.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Reason

DIRECTORY = "/usr/local/lib/wormhole-docker"
"""On the host and in containers."""
PROGRAM = DIRECTORY + "/wormhole-discover"
NAMES = DIRECTORY + "/server-names"
WRAPPER = ("/bin/sh", PROGRAM, "--")
"""What stands before a container's own entrypoint. The shell is named, since the file system may forbid execution."""

NO_ENTRYPOINT = ("",)
"""Takes the image's entrypoint away, with which the engine then shows none (moby: ``mergeAndVerifyConfig``)."""

OPEN_SETTINGS = ("WORMHOLE_CANDIDATES", "WORMHOLE_TIMEOUT", "WORMHOLE_ATTEMPT_TIMEOUT")
"""Settings of the program that a container's user may choose; the others are the wiring's, or weaken it."""

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class ProgramState:
    """What there is of it on a host.

    Attributes:
        program: the text that is installed; None if there is none.
        names: names of the engine's certificate that are installed; None if there are none.
        served: names of the certificate that the engine serves now, such as ``IP:172.17.0.1``; empty if none was seen.
        users: names of other containers that start with the program.
    """

    program: Optional[str] = None
    names: Optional[tuple[str, ...]] = None
    served: tuple[str, ...] = ()
    users: tuple[str, ...] = ()


@dataclass(frozen=True)
class InstallProgram:
    """Put the program there, and the names of the engine's certificate; None leaves the one that is there."""

    program: Optional[str]
    names: Optional[tuple[str, ...]]


@dataclass(frozen=True)
class RemoveProgram:
    """Remove the program and what is beside it, since no container starts with it any more."""


@dataclass(frozen=True)
class ProgramSteps:
    """What has to be done about it; both are None if nothing has."""

    reasons: tuple[Reason, ...] = ()
    install: Optional[InstallProgram] = None
    remove: Optional[RemoveProgram] = None

    def sides(self, state: ProgramState) -> tuple[dict[str, Any], dict[str, Any]]:
        """Before and after, for the diff; empty if nothing has to be done."""
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        if self.remove is not None:
            before["discover_program"], after["discover_program"] = PROGRAM, ""
        if self.install is not None and self.install.program is not None:
            before["discover_program"] = "" if state.program is None else f"{PROGRAM}, another version"
            after["discover_program"] = PROGRAM
        if self.install is not None and self.install.names is not None:
            before["discover_names"] = list(state.names or ())
            after["discover_names"] = list(self.install.names)
        return before, after


def plan_program(wanted: bool, text: str, subject: str, state: ProgramState) -> ProgramSteps:
    """Decides what has to be done about the program.

    Args:
        wanted: whether this container is to start with it.
        text: of the program.
        subject: the container's name.
        state: what there is.
    """
    if not wanted:
        if state.users or (state.program is None and state.names is None):
            return ProgramSteps()
        reason = Reason(
            "discover_program_unused", f"{PROGRAM}: no container starts with it any more", subject
        )
        return ProgramSteps((reason,), remove=RemoveProgram())
    reasons = []
    program = text if state.program != text else None
    # A certificate that was not seen says nothing about the names.
    names = state.served if state.served and state.names != state.served else None
    if program is not None:
        found = "nothing" if state.program is None else "another version"
        reasons.append(
            Reason("discover_program_differs", f"{PROGRAM}: expected this version, found {found}", subject)
        )
    if names is not None:
        text = f"{NAMES}: expected the names of the certificate that the engine serves"
        reasons.append(Reason("discover_names_differ", text, subject))
    return ProgramSteps(tuple(reasons), InstallProgram(program, names)) if reasons else ProgramSteps()


def simulate_program(state: ProgramState, action: object) -> ProgramState:
    """The state after an action of :class:`ProgramSteps`."""
    if isinstance(action, RemoveProgram):
        return replace(state, program=None, names=None)
    if isinstance(action, InstallProgram):
        program = state.program if action.program is None else action.program
        return replace(state, program=program, names=state.names if action.names is None else action.names)
    return state


def program_variables(port: int, *, plaintext: bool, host_network: bool) -> dict[str, str]:
    """The settings that a container needs for the program."""
    variables = {"WORMHOLE_PORT": str(port), "WORMHOLE_NAMES_FILE": NAMES}
    if plaintext:
        variables["WORMHOLE_INSECURE_PLAINTEXT"] = "true"
    if host_network:
        # The default gateway is the host's own router there.
        variables["WORMHOLE_CANDIDATES"] = "127.0.0.1 ::1 host-gateway networks"
    return variables


def refuse_variables(env: Iterable[str]) -> None:
    """Refuses variables that contradict the program, or that it could not hand on.

    Raises:
        InvalidInput: names the first one.
    """
    for name in env:
        if name.startswith("WORMHOLE_") and name not in OPEN_SETTINGS:
            raise InvalidInput(
                f"env {name}",
                expected="to be left to discover runtime, which sets it or has no use for it",
                remedy=f"Leave it out; these may be set: {', '.join(OPEN_SETTINGS)}",
            )
        if not _VARIABLE.fullmatch(name):
            raise InvalidInput(
                f"env {name}",
                expected="letters, digits and _ only, with discover runtime: a shell hands on no other variables",
                remedy="Use discover launch",
            )


def wrap(body: Mapping[str, Any], image: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a creation with the program before what the container would start.

    Args:
        body: of ``POST /containers/create``.
        image: the image's ``Config``.

    Raises:
        InvalidInput: there is nothing to start, or the image has variables that the program could not hand on.
    """
    # A container that names an entrypoint gets no command from its image (moby: runconfig.Merge).
    inherited = None if body.get("Entrypoint") else image.get("Cmd")
    entrypoint = list(body.get("Entrypoint") or image.get("Entrypoint") or ())
    entrypoint = [] if tuple(entrypoint) == NO_ENTRYPOINT else entrypoint
    command = list(body.get("Cmd") or inherited or ())
    if not entrypoint and not command:
        raise InvalidInput(
            "discover runtime",
            expected="a command, or an image that has one",
            remedy="Set the option command",
        )
    names = (str(item).partition("=")[0] for item in image.get("Env") or ())
    refuse_variables(name for name in names if not _VARIABLE.fullmatch(name))
    wrapped = {**body, "Entrypoint": [*WRAPPER, *entrypoint], "Cmd": command}
    if not command:
        del wrapped["Cmd"]
    return wrapped


def unwrap(container: Mapping[str, Any]) -> Mapping[str, Any]:
    """An inspection as it would be without the program before the entrypoint."""
    config = container.get("Config") or {}
    entrypoint = tuple(config.get("Entrypoint") or ())
    if entrypoint[: len(WRAPPER)] != WRAPPER:
        return container
    return {**container, "Config": {**config, "Entrypoint": list(entrypoint[len(WRAPPER) :])}}
