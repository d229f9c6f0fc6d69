# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wormholes that a host has, with their certificates, and gone through if that is asked for."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import Any, Callable

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.discovery import settle
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.x509 import read_certificate
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    LABEL_DISCOVER,
    LABEL_TRANSPORT,
    LAUNCH,
    RUNTIME,
    TRANSPORTS,
    WiringSpec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_found import read_wiring
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_list import (
    FoundWormhole,
    complete,
    list_wormholes,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import timestamp

Traverse = Callable[[int, WiringSpec, Wiring], None]


def survey(engine: EnginePort, traverse: Traverse, now: datetime, *, verify: bool) -> list[dict[str, Any]]:
    """Everything that is known of each wormhole, sorted by name.

    Args:
        engine: the engine that they are of.
        traverse: goes through a wormhole once, and raises WormholeError if that fails.
        now: what certificates are judged by.
        verify: whether those that run are gone through.
    """
    return [
        _survey(engine, traverse, now, wormhole, verify)
        for wormhole in list_wormholes(engine.containers(labels={LABEL_TRANSPORT: None}))
    ]


def _survey(
    engine: EnginePort, traverse: Traverse, now: datetime, wormhole: FoundWormhole, verify: bool
) -> dict[str, Any]:
    inspection = engine.find_container(wormhole.id) or {}
    found = _settled(complete(wormhole, inspection), inspection)
    return {
        **asdict(found),
        **_certificate(found, now),
        **_proof(found, inspection, traverse, verify),
    }


def _settled(wormhole: FoundWormhole, inspection: dict[str, Any]) -> FoundWormhole:
    """With the address that it has looked up itself, if it runs and is one that does."""
    if not _discovers(inspection) or not wormhole.running:
        return wormhole
    try:
        wiring = settle(int(inspection["State"]["Pid"]), read_wiring(inspection))
    except WormholeError:
        return wormhole
    return replace(wormhole, docker_host=wiring.docker_host, address=wiring.address, port=wiring.port)


def _discovers(inspection: dict[str, Any]) -> bool:
    return ((inspection.get("Config") or {}).get("Labels") or {}).get(LABEL_DISCOVER) == RUNTIME


def _certificate(wormhole: FoundWormhole, now: datetime) -> dict[str, Any]:
    """When the certificate ends, as the host has it now, and what is wrong with it."""
    nothing = {"certificate_not_after": "", "certificate_days_left": None}
    if not wormhole.identity_directory:
        return nothing
    try:
        with open(f"{wormhole.identity_directory}/cert.pem", "rb") as stream:
            not_after = read_certificate(stream.read()).not_after
    except (OSError, WormholeError):
        return nothing
    days = (not_after - now.astimezone(timezone.utc)).total_seconds() / 86400
    return {"certificate_not_after": timestamp(not_after), "certificate_days_left": int(days // 1)}


def _proof(
    wormhole: FoundWormhole, inspection: dict[str, Any], traverse: Traverse, verify: bool
) -> dict[str, Any]:
    if not verify or not wormhole.running:
        return {"proved": None, "problem": ""}
    # One that looks its engine up has no DOCKER_HOST until it has found one: going through it tells why not.
    searching = _discovers(inspection) and not wormhole.docker_host
    if wormhole.transport not in TRANSPORTS or not (wormhole.docker_host or searching):
        return {
            "proved": False,
            "problem": "the container has no DOCKER_HOST by which it would be a wormhole",
        }
    spec = WiringSpec(
        transport=wormhole.transport,
        identity=wormhole.identity,
        identity_directory=wormhole.identity_directory,
        certificate_path=wormhole.certificate_path,
        discover=RUNTIME if searching else LAUNCH,
    )
    wiring = (
        read_wiring(inspection)
        if searching
        else Wiring(wormhole.docker_host, wormhole.address, wormhole.port)
    )
    try:
        traverse(int(inspection["State"]["Pid"]), spec, wiring)
    except WormholeError as error:
        return {"proved": False, "problem": str(error)}
    return {"proved": True, "problem": ""}
