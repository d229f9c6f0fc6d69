# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the wiring of a container depends on, read from its host and its engine."""

from __future__ import annotations

import os
import stat
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interfaces import observe_topology
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.unit_files import (
    read_endpoints,
    read_plaintext_endpoints,
    read_unix_socket,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_security import parse_security
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
    own = read_unix_socket(unit_directory)
    stock = _socket_group(socket_path)
    return WiringState(
        topology=observe_topology(engine.networks()),
        served=read_endpoints(unit_directory),
        socket_gid=stock,
        served_plaintext=read_plaintext_endpoints(unit_directory),
        own_socket=EngineSocket(own, _socket_group(own)) if own and _socket_group(own) is not None else None,
        security=parse_security(info),
    )


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
