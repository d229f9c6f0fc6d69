# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Lists an engine's wormholes with their certificates, and verifies them on request."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import datetime, timezone
from typing import Any, Callable

from ..._base.errors import WormholeError
from ..._base.io.opening import read_regular
from ..._base.labels import LABEL_DISCOVER, LABEL_TRANSPORT
from ..._certificates.facts import timestamp
from ..._certificates.io.decoding import read_certificate
from ..._client.io.discovery import find_wiring
from ..._container.inspection import labels_of, pid_of
from ..._engine.port import EnginePort
from ..._gate.identities import parse_identity
from ..._gate.places import is_identity, policy_path
from ..._gate.reaping import FILE_NAME, Memory, parse_memory
from ..._gate.units import STATE
from ..._policy.decision import LABEL_OWNER
from ..._wiring.spec import LAUNCH, RUNTIME, TLS, TRANSPORTS, WiringSpec
from ..._wiring.wire import Wiring
from ..found import FoundWormhole, complete, list_wormholes, read_wiring, read_wiring_spec
from ..siblings import siblings_of

Connect = Callable[[int, WiringSpec, Wiring], None]


def survey(engine: EnginePort, connect: Connect, now: datetime, *, verify: bool) -> list[dict[str, Any]]:
    """Return what is known of each wormhole, sorted by name.

    Args:
        engine: the engine that runs them.
        connect: see :func:`_wormhole.io.verification.connect_from_inside`.
        now: the time by which certificates are judged.
        verify: whether to verify those that run.
    """
    found = []
    owned = _siblings(engine)
    for listed in list_wormholes(engine.containers(labels={LABEL_TRANSPORT: None})):
        inspection = engine.find_container(listed.id) or {}
        wormhole = _with_own_address(complete(listed, inspection), inspection)
        verified: dict[str, Any] = {"proved": None, "problem": ""}
        if verify and wormhole.running:
            verified = _verify(wormhole, inspection, connect)
        described = asdict(wormhole)
        described.pop("gated")
        siblings = owned(wormhole.identity)
        found.append(
            {**described, **_certificate(wormhole, now), **_policy(wormhole), **verified, **siblings}
        )
    return found


def _policy(wormhole: FoundWormhole) -> dict[str, str]:
    """Return the policy in the file of a wormhole's identity; empty if it has none, or none is readable."""
    nothing = dict.fromkeys(("policy", "policy_mode", "policy_version"), "")
    if not (wormhole.gated or wormhole.transport == TLS) or not is_identity(wormhole.identity):
        return nothing
    try:
        content = read_regular(policy_path(wormhole.identity))
        policy = parse_identity(wormhole.identity, content).policy
    except (OSError, WormholeError):
        return nothing
    return {"policy": policy.preset, "policy_mode": policy.mode, "policy_version": policy.version}


def _siblings(engine: EnginePort) -> Callable[[str], dict[str, Any]]:
    """Return a function from an identity to what it has created through the gate."""
    containers, networks = engine.containers(labels={LABEL_OWNER: None}), engine.networks()
    try:
        memory = parse_memory(read_regular(f"{STATE}/{FILE_NAME}"))
    except (OSError, WormholeError):
        memory = Memory()
    return lambda identity: siblings_of(identity, containers, networks, memory)


def _with_own_address(wormhole: FoundWormhole, inspection: dict[str, Any]) -> FoundWormhole:
    """Add the address that a running wormhole with ``discover: runtime`` has found by itself."""
    if not _discovers(inspection) or not wormhole.running:
        return wormhole
    try:
        wiring = find_wiring(pid_of(inspection), read_wiring(inspection))
    except WormholeError:
        return wormhole
    return replace(wormhole, docker_host=wiring.docker_host, address=wiring.address, port=wiring.port)


def _discovers(inspection: dict[str, Any]) -> bool:
    return labels_of(inspection).get(LABEL_DISCOVER) == RUNTIME


def _certificate(wormhole: FoundWormhole, now: datetime) -> dict[str, Any]:
    """Return when the certificate on the host expires; nothing if it cannot be read."""
    nothing = {"certificate_not_after": "", "certificate_days_left": None}
    if not wormhole.identity_directory:
        return nothing
    try:
        not_after = read_certificate(read_regular(f"{wormhole.identity_directory}/cert.pem")).not_after
    except (OSError, WormholeError):
        return nothing
    days = (not_after - now.astimezone(timezone.utc)).total_seconds() / 86400
    return {"certificate_not_after": timestamp(not_after), "certificate_days_left": int(days // 1)}


def _verify(wormhole: FoundWormhole, inspection: dict[str, Any], connect: Connect) -> dict[str, Any]:
    # With discover: runtime, there is no DOCKER_HOST until the engine is found. Connecting reports
    # why it is not.
    searching = _discovers(inspection) and not wormhole.docker_host
    if wormhole.transport not in TRANSPORTS or not (wormhole.docker_host or searching):
        problem = "the container has no label of a known transport, or no DOCKER_HOST"
        return {"proved": False, "problem": problem}
    spec = replace(read_wiring_spec(WiringSpec(), inspection), discover=RUNTIME if searching else LAUNCH)
    own = Wiring(wormhole.docker_host, wormhole.address, wormhole.port)
    wiring = read_wiring(inspection) if searching else own
    try:
        connect(pid_of(inspection), spec, wiring)
    except WormholeError as error:
        return {"proved": False, "problem": str(error)}
    return {"proved": True, "problem": ""}
