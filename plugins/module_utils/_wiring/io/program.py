# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observes, installs and removes the program of the run-time discovery."""

from __future__ import annotations

import os

from ..._base.address import SocketAddress
from ..._base.io import files
from ..._base.labels import LABEL_DISCOVER
from ..._container.inspection import names_of
from ..._endpoint.io.probe import observe_endpoint
from ..._endpoint.model import EndpointSpec
from ..._engine.port import EnginePort
from ..._networks.io.interfaces import is_usable
from ..program import DIRECTORY, NAMES, PROGRAM, InstallProgram, ProgramState
from ..spec import RUNTIME, WiringSpec


def observe_program(
    engine: EnginePort, spec: WiringSpec, own_names: tuple[str, ...], served: tuple[SocketAddress, ...]
) -> ProgramState:
    """Read the installed program, and the containers that start with it.

    Args:
        own_names: names that are not counted as other containers.
        served: addresses of the listener.
    """
    program, names = files.read_file(PROGRAM), files.read_file(NAMES)
    if program is None and names is None and spec.discover != RUNTIME:
        return ProgramState()
    others = engine.containers(labels={LABEL_DISCOVER: RUNTIME})
    found = {name for container in others for name in names_of(container)}
    return ProgramState(
        program=None if program is None else program.content.decode(errors="replace"),
        names=None if names is None else tuple(names.content.decode(errors="replace").split()),
        served=_served_names(spec, served) if spec.discover == RUNTIME else (),
        users=tuple(sorted(found - set(own_names))),
    )


def install_program(action: InstallProgram) -> None:
    """Install the program and the names. Each file is replaced atomically.

    Raises:
        ApplyFailed: a file could not be written.
    """
    files.make_directory(DIRECTORY, mode=0o755)
    if action.names is not None:
        files.write_file(NAMES, "".join(f"{name}\n" for name in action.names).encode(), mode=0o644)
    if action.program is not None:
        files.write_file(PROGRAM, action.program.encode(), mode=0o755)


def remove_program() -> None:
    """Remove the program, the names, and their directory.

    Raises:
        ApplyFailed: a file could not be removed.
    """
    for path in (PROGRAM, NAMES):
        if os.path.lexists(path):
            files.remove_file(path)
    if os.path.isdir(DIRECTORY) and not os.listdir(DIRECTORY):
        files.remove_directory(DIRECTORY)


def _served_names(spec: WiringSpec, served: tuple[SocketAddress, ...]) -> tuple[str, ...]:
    for address, port in served:
        if port == spec.port and is_usable(address):
            certificate = observe_endpoint(EndpointSpec(address, port=port)).served
            if certificate is not None:
                return tuple(str(name) for name in certificate.subject_alternative_names)
    return ()
