# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides how the listener comes about, and what has to be left alone for it."""

from __future__ import annotations

import dataclasses
import re
from datetime import datetime
from typing import Any, Collection, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import (
    DEFAULT_BRIDGE,
    NamedAddress,
    Topology,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    ENGINE_UNIT,
    SERVED_CURRENT,
    SERVED_NOTHING,
    SERVED_OUTDATED,
    UNIT,
    UNIT_PATH,
    Action,
    EnableUnit,
    ListenerSpec,
    ListenerState,
    RestartEngine,
    StartContainers,
    WriteConfig,
    WriteUnit,
    parse_socket_unit,
    render_endpoint,
    render_socket_unit,
    resolve_addresses,
    wanted_keys,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._core.renewal import is_renewal_due
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts


def plan_listener(spec: ListenerSpec, state: ListenerState) -> Plan[Action]:
    """Decides what brings the listener about.

    Raises:
        Refused: what stands on the host contradicts it and belongs to somebody else.
    """
    endpoints = plan_endpoints(spec, state)
    addresses = tuple(address for address, port in endpoints)
    _refuse_foreign_listeners(state)
    _refuse_foreign_keys(spec, state)
    _refuse_occupied(spec, state, addresses)

    reasons: list[Reason] = []
    actions: list[Action] = []
    config = daemon_json.parse_config(state.config_text)
    missing = {key: value for key, value in wanted_keys(spec).items() if key not in config}
    if missing:
        reasons += [
            Reason("config_key_missing", f"daemon.json lacks {key}", daemon_json.PATH) for key in missing
        ]
        actions.append(WriteConfig(daemon_json.add_keys(state.config_text, missing)))
    unit_text = render_socket_unit(endpoints)
    if state.unit_text != unit_text:
        reasons.append(_unit_reason(state, endpoints))
    elif state.stale:
        reasons.append(Reason("unit_stale", f"systemd has not read the present {UNIT}", UNIT))
    if state.unit_text != unit_text or state.stale:
        actions.append(WriteUnit(unit_text))
    if not state.enabled:
        reasons.append(
            Reason("unit_disabled", f"{UNIT} is not enabled: it would be gone after a reboot", UNIT)
        )
        actions.append(EnableUnit())
    restart = _restart_reasons(spec, state)
    if restart:
        reasons += restart
        if state.containers and not spec.interrupt_containers:
            raise Refused(
                ENGINE_UNIT,
                expected="no running container that a restart would stop",
                found=", ".join(state.containers),
                remedy="Stop them, set live-restore in daemon.json, or set running_containers to interrupt",
            )
        rebind = state.active and set(state.listening) != set(endpoints)
        actions.append(RestartEngine(rebind=rebind, containers=(*state.containers, *state.stranded)))
    if state.stranded:
        names = ", ".join(state.stranded)
        reasons.append(
            Reason("containers_stranded", f"an interrupted run left stopped: {names}", ENGINE_UNIT)
        )
        if not restart:
            actions.append(StartContainers(state.stranded))
    before, after = _diff(spec, state, config, unit_text, addresses, bool(restart))
    return Plan(before=before, after=after, reasons=tuple(reasons), actions=tuple(actions))


def plan_endpoints(spec: ListenerSpec, state: ListenerState) -> tuple[tuple[str, int], ...]:
    """Where to listen: on the gateways as they are, or, if the engine is restarted, as they are then.

    Raises:
        Refused: what is asked for is no gateway of this host.
    """
    present = _present_endpoints(spec, state)
    if state.after_restart is None or (present is not None and not _restart_reasons(spec, state)):
        return present or _endpoints(spec, state.topology)
    try:
        return _endpoints(spec, state.after_restart)
    except Refused as refusal:
        if present is not None:
            refusal.found += f", which is one only until the engine is restarted, by {daemon_json.PATH}"
        raise


def _present_endpoints(spec: ListenerSpec, state: ListenerState) -> Optional[tuple[tuple[str, int], ...]]:
    """Where to listen with the gateways as they are; None if only a restart makes what is asked for a gateway."""
    try:
        return _endpoints(spec, state.topology)
    except Refused:
        if state.after_restart is None:
            raise
        return None


def _endpoints(spec: ListenerSpec, topology: Topology) -> tuple[tuple[str, int], ...]:
    return tuple((address, spec.port) for address in resolve_addresses(spec, topology))


def simulate_listener(state: ListenerState, plan: Plan[Action]) -> ListenerState:
    """The state that the plan's actions lead to, where nothing interferes."""
    for action in plan.actions:
        if isinstance(action, WriteConfig):
            state = dataclasses.replace(state, config_text=action.text)
        elif isinstance(action, WriteUnit):
            named = parse_socket_unit(action.text)
            state = dataclasses.replace(
                state,
                unit_text=action.text,
                stale=False,
                listening=tuple(endpoint for endpoint in state.listening if endpoint in named),
                lingering=(*state.lingering, *(e for e in state.listening if e not in named)),
            )
        elif isinstance(action, EnableUnit):
            state = dataclasses.replace(state, enabled=True)
        elif isinstance(action, RestartEngine):
            endpoints = parse_socket_unit(state.unit_text or "")
            state = dataclasses.replace(
                state,
                topology=state.after_restart or state.topology,
                active=True,
                listening=endpoints,
                lingering=(),
                absent=(),
                served={address: SERVED_CURRENT for address, port in endpoints},
                stranded=(),
                restarted=True,
            )
        elif isinstance(action, StartContainers):
            state = dataclasses.replace(state, stranded=())
    return state


def _unit_reason(state: ListenerState, endpoints: tuple[tuple[str, int], ...]) -> Reason:
    if state.unit_text is None:
        return Reason("unit_missing", f"socket unit {UNIT} is missing", UNIT)
    named = parse_socket_unit(state.unit_text)
    lacks = [_describe(endpoint, state) for endpoint in endpoints if endpoint not in named]
    surplus = [_describe(endpoint, state) for endpoint in named if endpoint not in endpoints]
    differences = ["lacks " + ", ".join(lacks)] if lacks else []
    differences += ["is not to name " + ", ".join(surplus)] if surplus else []
    return Reason("unit_changed", f"socket unit {UNIT} {' and '.join(differences) or 'differs'}", UNIT)


def _restart_reasons(spec: ListenerSpec, state: ListenerState) -> list[Reason]:
    endpoints = _present_endpoints(spec, state) or _endpoints(spec, state.after_restart or state.topology)
    reasons = []
    if not state.active:
        reasons.append(Reason("unit_inactive", f"{UNIT} is not active", UNIT))
    elif set(endpoints) - set(state.listening) or _surplus(state, endpoints):
        held = ", ".join(render_endpoint(*e) for e in (*state.listening, *state.lingering)) or "nothing"
        reasons.append(Reason("listening_elsewhere", f"{UNIT} holds {held}", UNIT))
    for address, port in endpoints:
        served = _served(spec, state, address)
        if served != SERVED_CURRENT:
            text = f"{_describe((address, port), state)} serves {served}"
            reasons.append(Reason("served_differs", text, render_endpoint(address, port)))
    return reasons + (_moves(state) if reasons else [])


def _surplus(state: ListenerState, endpoints: tuple[tuple[str, int], ...]) -> set[tuple[str, int]]:
    """Where dockerd listens and should not.

    An address that the host has no longer, because its network was removed, is none: nobody reaches it, so that it
    can wait for the next restart. Should the host get it again, it counts.
    """
    held = {*state.listening, *state.lingering}
    return {(address, port) for address, port in held - set(endpoints) if address not in state.absent}


def _moves(state: ListenerState) -> list[Reason]:
    """What the restart itself changes, because dockerd reads about its networks then."""
    if state.after_restart is None:
        return []
    return [
        Reason(
            "gateway_moves",
            f"{gateway.interface} gets the address {gateway.address} with the restart, by {daemon_json.PATH}",
            gateway.interface,
        )
        for gateway in state.after_restart.gateways
        if state.topology.find(gateway.address) is None
    ]


def _describe(endpoint: tuple[str, int], state: ListenerState) -> str:
    """An endpoint with its network, which is not told of the default one."""
    gateway = state.topology.find(endpoint[0])
    rendered = render_endpoint(*endpoint)
    return (
        rendered if gateway is None or gateway.network == DEFAULT_BRIDGE else f"{rendered} ({gateway.origin})"
    )


def is_adequate(
    served: CertificateFacts,
    installed: CertificateFacts,
    addresses: Collection[str],
    topology: Topology,
    now: datetime,
    promised: Collection[NamedAddress] = (),
) -> bool:
    """Whether the engine may go on with the certificate that it has in memory, although another one is installed.

    It may while nothing is new but names, and none of these is an address that it listens on: a network that somebody
    adds is no reason to stop every container of the host, since its containers reach docker0's address.

    Args:
        served: what the engine has in memory.
        installed: what it would read if it were restarted.
        addresses: where it listens.
        topology: the host's Docker networks.
        now: the host's clock.
        promised: addresses of networks to come.
    """
    if served.fingerprint_sha256 == installed.fingerprint_sha256:
        # Whatever is to be said against it, a restart would not change it.
        return True
    if (served.public_key_sha256, served.authority_key_identifier, served.common_name) != (
        installed.public_key_sha256,
        installed.authority_key_identifier,
        installed.common_name,
    ):
        return False
    if is_renewal_due(served, now):
        return False
    can_wait = {f"IP:{gateway.address}" for gateway in topology.gateways}
    can_wait |= {name.name for name in promised if not name.urgent}
    can_wait -= {f"IP:{address}" for address in addresses}
    missing = set(installed.subject_alternative_names) - set(served.subject_alternative_names)
    return can_wait.issuperset(map(str, missing))


def _served(spec: ListenerSpec, state: ListenerState, address: str) -> str:
    """What an address serves once the certificate is there that this run has issued, or in check mode would have."""
    served = state.served.get(address, SERVED_NOTHING)
    if served == SERVED_CURRENT and spec.material_changed and not state.restarted:
        return SERVED_OUTDATED
    return served


def _refuse_foreign_listeners(state: ListenerState) -> None:
    hosts = re.findall(r"(?:-H|--host)[ =]?(\S+)", state.engine_arguments)
    if not any(host.startswith("fd://") for host in hosts):
        raise Refused(
            ENGINE_UNIT,
            expected="dockerd to be started with -H fd://, as the vendors' units do, so that it takes our socket",
            found=state.engine_arguments or "no command line",
            remedy="Remove the drop-in that overrides ExecStart, see systemctl cat docker.service",
        )
    foreign = [f"-H {host}" for host in hosts if host.startswith("tcp://")] + list(state.foreign_sockets)
    if foreign:
        raise Refused(
            ENGINE_UNIT,
            expected="no TCP listener of somebody else's, which our TLS keys would change",
            found=", ".join(foreign),
            remedy="Move its clients to a wormhole and remove it, see systemctl cat docker.service",
        )


def _refuse_foreign_keys(spec: ListenerSpec, state: ListenerState) -> None:
    config = daemon_json.parse_config(state.config_text)
    if "hosts" in config:
        raise Refused(
            f"{daemon_json.PATH}: hosts",
            expected="no such key: it contradicts -H fd:// of docker.service, and dockerd will not start again",
            found=repr(config["hosts"]),
            remedy="Remove the key; this module listens by a socket unit instead",
        )
    wanted = wanted_keys(spec)
    for key, value in wanted.items():
        if key in config and config[key] != value:
            raise Refused(
                f"{daemon_json.PATH}: {key}",
                expected=f"nothing, or {value!r}",
                found=repr(config[key]),
                remedy="Somebody else configured TLS here; remove the key, or pass its directory as option directory",
            )


def _refuse_occupied(spec: ListenerSpec, state: ListenerState, addresses: tuple[str, ...]) -> None:
    for address in addresses:
        holder = state.occupied.get(address)
        if holder:
            raise Refused(
                f"port {render_endpoint(address, spec.port)}",
                expected="to be free",
                found=holder,
                remedy="Stop that process, or choose another port",
            )


def _diff(
    spec: ListenerSpec,
    state: ListenerState,
    config: Mapping[str, Any],
    unit_text: str,
    addresses: tuple[str, ...],
    restart: bool,
) -> tuple[dict[str, Any], dict[str, Any]]:
    wanted = wanted_keys(spec)
    before = {
        UNIT_PATH: (state.unit_text or "").splitlines(),
        "enabled": state.enabled,
        daemon_json.PATH: {key: config[key] for key in wanted if key in config},
        "serves": {
            render_endpoint(address, spec.port): _served(spec, state, address) for address in addresses
        },
        "restart": {},
        "left stopped": list(state.stranded),
    }
    after = {
        UNIT_PATH: unit_text.splitlines(),
        "enabled": True,
        daemon_json.PATH: wanted,
        "serves": {render_endpoint(address, spec.port): SERVED_CURRENT for address in addresses},
        "restart": {ENGINE_UNIT: {"interrupts": list(state.containers)}} if restart else {},
        "left stopped": [],
    }
    return before, after
