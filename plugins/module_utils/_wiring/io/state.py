# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads from the host and its engine what the wiring of a container depends on."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import Any, Callable, Mapping, Optional

from ..._base.errors import WormholeError
from ..._base.systemd_units import UNIT_DIRECTORY
from ..._certificates.facts import FILES
from ..._engine.io.daemon_config import read_config
from ..._engine.io.sdk import DEFAULT_DOCKER_HOST, Engine, parse_socket_path
from ..._engine.network_config import parse_host_gateways
from ..._engine.port import EnginePort
from ..._engine.security import parse_security
from ..._listener.io.endpoints import (
    is_served_by_gate,
    read_endpoints,
    read_plaintext_endpoints,
    read_unix_socket,
)
from ..._networks.io.interfaces import observe_topology
from ..wire import EngineSocket, WiringState

ObserveWiring = Callable[[EnginePort, Mapping[str, Any], str], WiringState]


def observe_wiring(
    engine: EnginePort, info: Mapping[str, Any], socket_path: str, unit_directory: str = UNIT_DIRECTORY
) -> WiringState:
    """Read the state that :func:`_wiring.wire.wire` requires.

    Args:
        info: ``GET /info`` of the engine.
        socket_path: its socket on the host.
        unit_directory: directory of the listener's socket units.
    """
    state = WiringState(
        topology=observe_topology(engine.networks()),
        socket_gid=_socket_group(socket_path),
        security=parse_security(info),
        host_gateways=_read_host_gateways(),
    )
    own = read_unix_socket(unit_directory)
    if _is_another(info, socket_path, own):
        return replace(state, served_is_another=True)
    gid = _socket_group(own) if own else None
    return replace(
        state,
        served=read_endpoints(unit_directory),
        served_by_gate=is_served_by_gate(unit_directory),
        served_plaintext=read_plaintext_endpoints(unit_directory),
        own_socket=None if gid is None else EngineSocket(own, gid),
    )


def _read_host_gateways() -> tuple[str, ...]:
    try:
        return parse_host_gateways(read_config().keys)
    except WormholeError:
        # The modules that depend on the whole file report it.
        return ()


def ask_served_engine() -> Optional[Mapping[str, Any]]:
    """Return ``GET /info`` of the engine of docker.service; None if it does not answer."""
    try:
        return Engine().info()
    except WormholeError:
        return None


def _is_another(info: Mapping[str, Any], socket_path: str, own: str) -> bool:
    """Report whether an engine is known to be another one than that of docker.service."""
    paths = (parse_socket_path(DEFAULT_DOCKER_HOST), *((own,) if own else ()))
    if os.path.realpath(socket_path) in map(os.path.realpath, paths):
        return False
    served = ask_served_engine()
    # Engines up to Docker 24 that share /etc/docker have the same ID.
    return served is not None and any(served.get(key) != info.get(key) for key in ("ID", "DockerRootDir"))


def missing_identity_file(directory: str) -> str:
    """Return the path of the first missing file of an identity; empty if all exist."""
    paths = (f"{directory}/{name}" for name in FILES)
    return next((path for path in paths if not os.path.isfile(path)), "")


def _socket_group(path: str) -> Optional[int]:
    """Return the number of a socket's group; None if there is no socket."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_gid if stat.S_ISSOCK(found.st_mode) else None
