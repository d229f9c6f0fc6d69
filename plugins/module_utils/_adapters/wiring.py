# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the wiring of a container depends on, read from its host and its engine."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.engine import (
    DEFAULT_DOCKER_HOST,
    Engine,
    parse_socket_path,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interfaces import observe_topology
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.unit_files import (
    read_endpoints,
    read_plaintext_endpoints,
    read_unix_socket,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_security import parse_security
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._core.systemd_units import UNIT_DIRECTORY
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import EngineSocket, WiringState

IDENTITY_FILES = ("ca.pem", "cert.pem", "key.pem")


def observe_wiring(
    engine: EnginePort, info: Mapping[str, Any], socket_path: str, unit_directory: str = UNIT_DIRECTORY
) -> WiringState:
    """Reads what :func:`_core.wiring.wire` decides by.

    Args:
        engine: the engine that is to run the container.
        info: its ``GET /info``.
        socket_path: its socket on the host.
        unit_directory: of the listener's socket units.
    """
    state = WiringState(
        topology=observe_topology(engine.networks()),
        socket_gid=_socket_group(socket_path),
        security=parse_security(info),
    )
    own = read_unix_socket(unit_directory)
    if _is_another(info, socket_path, own):
        return replace(state, served_is_another=True)
    return replace(
        state,
        served=read_endpoints(unit_directory),
        served_plaintext=read_plaintext_endpoints(unit_directory),
        own_socket=EngineSocket(own, _socket_group(own)) if own and _socket_group(own) is not None else None,
    )


def ask_served_engine() -> Optional[Mapping[str, Any]]:
    """What the engine says of itself that listeners are for, that of docker.service; None if it does not answer."""
    try:
        return Engine().info()
    except WormholeError:
        return None


def _is_another(info: Mapping[str, Any], socket_path: str, own: str) -> bool:
    """Whether an engine is known to be another than the one that listeners are for."""
    paths = (parse_socket_path(DEFAULT_DOCKER_HOST), *((own,) if own else ()))
    if os.path.realpath(socket_path) in map(os.path.realpath, paths):
        return False
    told = ask_served_engine()
    # Engines up to Docker 24 that share /etc/docker have the same ID.
    return told is not None and any(told.get(key) != info.get(key) for key in ("ID", "DockerRootDir"))


def missing_identity_file(directory: str) -> str:
    """The path of the first file of an identity that is not there; empty if all are."""
    paths = (f"{directory}/{name}" for name in IDENTITY_FILES)
    return next((path for path in paths if not os.path.isfile(path)), "")


def _socket_group(path: str) -> Optional[int]:
    """Number of a socket's group; None if there is no socket."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_gid if stat.S_ISSOCK(found.st_mode) else None
