# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a container is wired that is there: a task without an image leaves it so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.client_settings import environment_of
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    LABEL_DISCOVER,
    LABEL_IDENTITY,
    LABEL_TRANSPORT,
    LAUNCH,
    RUNTIME,
    TRANSPORTS,
    WiringSpec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_list import (
    FoundWormhole,
    complete,
)


def read_wiring_spec(spec: WiringSpec, container: Mapping[str, Any]) -> WiringSpec:
    """The way to the engine that a container has, whatever a task says of it."""
    found, labels = _read(container), _labels(container)
    return replace(
        spec,
        transport=found.transport if found.transport in TRANSPORTS else spec.transport,
        identity=found.identity,
        identity_directory=found.identity_directory,
        certificate_path=found.certificate_path,
        discover=RUNTIME if labels.get(LABEL_DISCOVER) == RUNTIME else LAUNCH,
    )


def read_wiring(container: Mapping[str, Any]) -> Wiring:
    """The wiring that a container has, without contributions to its options."""
    found = _read(container)
    port = environment_of(container).get("WORMHOLE_PORT", "")
    return Wiring(found.docker_host, found.address, found.port or (int(port) if port.isdigit() else 0))


def _read(container: Mapping[str, Any]) -> FoundWormhole:
    labels = _labels(container)
    found = FoundWormhole(
        name=str(container.get("Name") or "").lstrip("/"),
        id=str(container["Id"]),
        transport=str(labels.get(LABEL_TRANSPORT, "")),
        identity=str(labels.get(LABEL_IDENTITY, "")),
    )
    return complete(found, container)


def _labels(container: Mapping[str, Any]) -> Mapping[str, Any]:
    return (container.get("Config") or {}).get("Labels") or {}
