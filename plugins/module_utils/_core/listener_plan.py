# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides how the listener comes about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json, engine_command
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import Opening
from ansible_collections.wormhole.docker.plugins.module_utils._core.foreign_plan import (
    diff_foreign,
    plan_foreign,
    sockets_to_stop,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import DEFAULT_BRIDGE, Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    ENGINE_UNIT,
    SERVED_CURRENT,
    SERVED_NOTHING,
    SERVED_OUTDATED,
    Action,
    EnableUnits,
    EndTransaction,
    ListenerSpec,
    ListenerState,
    ReloadEngine,
    RemoveUnits,
    RestartEngine,
    RestartUnits,
    SetFirewall,
    StartContainers,
    WriteConfig,
    WriteUnits,
    render_endpoint,
    wanted_keys,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_addresses import (
    insecure_endpoints,
    resolve_addresses,
    wanted_openings,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_conflicts import (
    former_hosts,
    needs_override,
    refuse_conflicts,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_units import (
    UNIX_UNIT,
    is_insecure,
    is_template,
    parse_socket_unit,
    parse_unix_paths,
    render_units,
    tls_unit,
    unit_path,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason

_LIVE_RESTORE = "live-restore"


@dataclass(frozen=True)
class _Wanted:
    """What is to be there: the text of daemon.json, of every unit of ours, and of our drop-in (None for none)."""

    config_text: str
    units: Mapping[str, str]
    override_path: str
    override_text: Optional[str]


def plan_listener(spec: ListenerSpec, state: ListenerState) -> Plan[Action]:
    """Decides what brings the listener about.

    Raises:
        Refused: what stands on the host contradicts it and belongs to somebody else.
    """
    endpoints = plan_endpoints(spec, state)
    config = daemon_json.parse_config(state.config_text)
    refuse_conflicts(spec, state, config, endpoints)
    topology = _planned_topology(spec, state)
    wanted = _wanted(spec, state, config, endpoints, topology)

    reasons = _config_reasons(spec, state, config)
    written: list[Action] = [WriteConfig(wanted.config_text)] if reasons else []
    unit_reasons, unit_actions = _unit_changes(state, wanted)
    reasons += unit_reasons
    # At every moment, what an engine would find that starts just then has to be safe: no socket of ours without TLS keys.
    actions = written + unit_actions if spec.tls else unit_actions + written
    override_reasons, override_actions = _override_changes(state, wanted)
    reasons += override_reasons
    actions += override_actions
    socket_reasons, socket_actions = plan_foreign(spec, state)
    reasons += socket_reasons
    actions += socket_actions
    live_restore = state.live_restore if spec.live_restore is None else spec.live_restore
    if live_restore != state.live_restore:
        reasons.append(
            Reason(
                "live_restore_differs",
                f"the engine runs with {_LIVE_RESTORE} {'off' if live_restore else 'on'}",
                ENGINE_UNIT,
            )
        )
        actions.append(ReloadEngine())
    opened = set(plan_openings(spec, state))
    if opened != set(state.firewall.opened) or state.firewall.leftover:
        reasons += firewall_reasons(state, opened)
        actions.append(SetFirewall(tuple(sorted(opened))))
    restart = restart_reasons(spec, state)
    interrupted = () if live_restore else state.containers
    if restart:
        reasons += restart
        if state.command.stale and not any(isinstance(action, WriteUnits) for action in actions):
            reasons.append(
                Reason("unit_stale", f"systemd has not read the present {ENGINE_UNIT}", ENGINE_UNIT)
            )
            actions.append(WriteUnits())
        refuse_interruption(spec, interrupted)
        stop = [name for name, text in wanted.units.items() if _holds_other(state, name, text)]
        stop += sockets_to_stop(spec, state)
        actions.append(RestartEngine(stop=tuple(stop), containers=(*interrupted, *state.stranded)))
    insecure = _insecure_reasons(state, wanted.units)
    if insecure:
        reasons += insecure[0]
        actions.append(RestartUnits(insecure[1]))
    end_reasons, end_actions = end_of_interrupted_run(state, bool(restart))
    reasons += end_reasons
    actions += end_actions
    before, after = _diff(spec, state, config, wanted, endpoints, interrupted if restart else None)
    return Plan(before=before, after=after, reasons=tuple(reasons), actions=tuple(actions))


def plan_endpoints(spec: ListenerSpec, state: ListenerState) -> tuple[tuple[str, int], ...]:
    """Where dockerd is to listen by TLS: as the gateways are, or, if the engine is restarted, as they are then.

    Raises:
        Refused: what is asked for is no gateway of this host.
    """
    present = _present_endpoints(spec, state)
    if state.after_restart is None or (present is not None and not restart_reasons(spec, state)):
        return _endpoints(spec, state.topology) if present is None else present
    try:
        return _endpoints(spec, state.after_restart)
    except Refused as refusal:
        if present is not None:
            refusal.found += f", which is one only until the engine is restarted, by {daemon_json.PATH}"
        raise


def plan_insecure_endpoints(spec: ListenerSpec, state: ListenerState) -> tuple[tuple[str, int], ...]:
    """Where plaintext is to be served."""
    return insecure_endpoints(spec, _planned_topology(spec, state))


def plan_openings(spec: ListenerSpec, state: ListenerState) -> tuple[Opening, ...]:
    """What has to be let through a firewall: of what would be dropped, that to where the gateways are in the end."""
    if not spec.open_firewall:
        return ()
    wanted = wanted_openings(spec, _planned_topology(spec, state))
    return tuple(opening for opening in wanted if opening in state.firewall.needed)


def restart_reasons(spec: ListenerSpec, state: ListenerState) -> list[Reason]:
    """Why the engine has to be restarted; it does not if there is none."""
    endpoints = _present_endpoints(spec, state)
    if endpoints is None:
        endpoints = _endpoints(spec, state.after_restart or state.topology)
    reasons = []
    surplus = surplus_endpoints(spec, state, endpoints)
    reasons += [
        Reason(
            "listening_elsewhere",
            f"dockerd listens on {render_endpoint(*endpoint)}, where it should not",
            ENGINE_UNIT,
        )
        for endpoint in sorted(surplus)
    ]
    wanted_sockets = {spec.unix_socket} - {""}
    held_sockets = set(state.unix_sockets) if state.unit(UNIX_UNIT).active else set()
    for path in sorted(wanted_sockets - held_sockets):
        reasons.append(Reason("not_listening", f"dockerd does not listen on {path}", UNIX_UNIT))
    for path in sorted({*state.unix_sockets, *state.lingering_unix_sockets} - wanted_sockets):
        reasons.append(Reason("listening_elsewhere", f"dockerd listens on {path}", UNIX_UNIT))
    for host in engine_command.listens_otherwise(state.command.running):
        reasons.append(Reason("listening_elsewhere", f"dockerd runs with -H {host}", ENGINE_UNIT))
    if not engine_command.takes_systemd_sockets(state.command.running):
        reasons.append(Reason("command_differs", "dockerd runs without -H fd://", ENGINE_UNIT))
    for address, port in endpoints:
        served = _served(spec, state, address)
        if served != SERVED_CURRENT:
            text = f"{_describe((address, port), state)} serves {served}"
            reasons.append(Reason("served_differs", text, render_endpoint(address, port)))
        elif not state.unit(tls_unit(address, port)).active:
            # A unit of an earlier version: its socket is closed with it, and ours binds only once dockerd has let go.
            text = f"{_describe((address, port), state)} is held by another unit than its own"
            reasons.append(Reason("held_otherwise", text, tls_unit(address, port)))
    return reasons + (_moves(state) if reasons else [])


def surplus_endpoints(
    spec: ListenerSpec, state: ListenerState, endpoints: tuple[tuple[str, int], ...]
) -> set[tuple[str, int]]:
    """Where dockerd listens and should not.

    An address that the host has no longer, because its network was removed, is none: nobody reaches it, so that it
    can wait for the next restart. Should the host get it again, it counts. What somebody else's socket units hand
    dockerd is refused elsewhere or was slipped in; without TLS it is none of our business.
    """
    theirs = set() if spec.tls else state.foreign_endpoints
    held = {*state.listening, *state.lingering} - theirs - set(endpoints)
    if engine_command.listens_otherwise(state.command.running):
        # dockerd has opened these itself, and is told of with the option that made it do so.
        held -= set(state.lingering)
    return {(address, port) for address, port in held if address not in state.absent}


def refuse_interruption(spec: ListenerSpec, interrupted: tuple[str, ...]) -> None:
    """Makes sure that a restart stops no container that the user wants to run.

    Raises:
        Refused: it would.
    """
    if interrupted and not spec.interrupt_containers:
        raise Refused(
            ENGINE_UNIT,
            expected="no running container that a restart would stop",
            found=", ".join(interrupted),
            remedy="Stop them, set option live_restore, or set running_containers to interrupt",
        )


def end_of_interrupted_run(state: ListenerState, restart: bool) -> tuple[list[Reason], list[Action]]:
    """What an interrupted run has left to do."""
    reasons: list[Reason] = []
    actions: list[Action] = []
    if state.stranded:
        names = ", ".join(state.stranded)
        reasons.append(
            Reason("containers_stranded", f"an interrupted run left stopped: {names}", ENGINE_UNIT)
        )
        if not restart:
            actions.append(StartContainers(state.stranded))
    if state.interrupted:
        reasons.append(
            Reason(
                "run_interrupted", "an earlier run was interrupted before its change was proved", ENGINE_UNIT
            )
        )
        actions.append(EndTransaction())
    return reasons, actions


def firewall_reasons(state: ListenerState, opened: set[Opening]) -> list[Reason]:
    """Why what our rules let through has to change."""
    manager = state.firewall.manager or "the firewall"
    reasons = [
        Reason(
            "firewall_blocks",
            f"{manager} drops what comes from {opening.interface} to {render_endpoint(opening.address, opening.port)}",
            opening.interface,
        )
        for opening in sorted(opened - set(state.firewall.opened))
    ]
    reasons += [
        Reason(
            "firewall_opened",
            f"{manager} needs no rule of ours for {opening.interface} to "
            f"{render_endpoint(opening.address, opening.port)}",
            opening.interface,
        )
        for opening in sorted(set(state.firewall.opened) - opened)
    ]
    if not reasons:
        reasons.append(Reason("firewall_leftover", f"{manager} has parts of rules of ours", "firewall"))
    return reasons


def _planned_topology(spec: ListenerSpec, state: ListenerState) -> Topology:
    if state.after_restart is not None and (
        _present_endpoints(spec, state) is None or restart_reasons(spec, state)
    ):
        return state.after_restart
    return state.topology


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


def _wanted(
    spec: ListenerSpec,
    state: ListenerState,
    config: Mapping[str, Any],
    endpoints: tuple[tuple[str, int], ...],
    topology: Topology,
) -> _Wanted:
    insecure = insecure_endpoints(spec, topology)
    override = spec.adopt and needs_override(state)
    keys, surplus = _key_changes(spec, state, config)
    return _Wanted(
        config_text=daemon_json.edit_keys(state.config_text, keys, surplus)
        if keys or surplus
        else state.config_text,
        units=render_units(spec, endpoints, insecure, topology, state.stock),
        override_path=engine_command.override_path(state.command),
        override_text=engine_command.render_override(state.command) if override else None,
    )


def _key_changes(
    spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """The keys of daemon.json to set, and those to take away.

    What is off by default is set all the same where the engine runs with it: a reload heeds only the keys that are
    there (moby, daemon/reload.go, reloadLiveRestore).
    """
    ours = wanted_keys(spec)
    keys = {key: value for key, value in ours.items() if spec.tls and key not in config}
    surplus = [key for key, value in ours.items() if not spec.tls and config.get(key) == value]
    if spec.live_restore is not None:
        present = bool(config.get(_LIVE_RESTORE, state.live_restore and not spec.live_restore))
        if present != spec.live_restore:
            keys[_LIVE_RESTORE] = spec.live_restore
    return keys, surplus + (["hosts"] if "hosts" in config else [])


def _config_reasons(spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any]) -> list[Reason]:
    keys, surplus = _key_changes(spec, state, config)
    reasons = []
    for key in keys:
        if key in config:
            text = f"daemon.json says {key}: {config[key]!r}"
            reasons.append(Reason("config_key_differs", text, daemon_json.PATH))
        else:
            reasons.append(Reason("config_key_missing", f"daemon.json lacks {key}", daemon_json.PATH))
    hosts = former_hosts(state, config).get(f"{daemon_json.PATH}: hosts", ())
    for key in surplus:
        text = (
            f"daemon.json names {', '.join(hosts)} as hosts" if key == "hosts" else f"daemon.json has {key}"
        )
        reasons.append(Reason("config_key_surplus", text, daemon_json.PATH))
    return reasons


def _unit_changes(state: ListenerState, wanted: _Wanted) -> tuple[list[Reason], list[Action]]:
    reasons: list[Reason] = []
    files: list[tuple[str, Optional[str]]] = []
    stale = False
    for name, text in wanted.units.items():
        unit = state.unit(name)
        if unit.text != text:
            reasons.append(_unit_reason(name, unit.text, text))
            files.append((unit_path(name), text))
        if unit.drop_ins:
            found = ", ".join(unit.drop_ins)
            reasons.append(Reason("unit_changed", f"unit {name} is changed by {found}", name))
            files += [(path, None) for path in unit.drop_ins]
        elif unit.text == text and unit.stale:
            reasons.append(Reason("unit_stale", f"systemd has not read the present {name}", name))
            stale = True
        if unit.text is not None and not unit.active and not is_insecure(name):
            reasons.append(Reason("unit_inactive", f"{name} is not active", name))
    actions: list[Action] = [WriteUnits(tuple(files))] if files or stale else []
    surplus = tuple(sorted(name for name in state.units if name not in wanted.units))
    if surplus:
        reasons += [Reason("unit_surplus", f"unit {name} is not asked for", name) for name in surplus]
        actions.append(RemoveUnits(surplus))
    disabled = tuple(name for name in wanted.units if not is_template(name) and not state.unit(name).enabled)
    if disabled:
        reasons += [
            Reason("unit_disabled", f"{name} is not enabled: it would be gone after a reboot", name)
            for name in disabled
            if state.unit(name).text is not None
        ]
        actions.append(EnableUnits(disabled))
    return reasons, actions


def _override_changes(state: ListenerState, wanted: _Wanted) -> tuple[list[Reason], list[Action]]:
    present = (state.command.override_path, state.command.override_text)
    if wanted.override_text is None:
        if not present[0]:
            return [], []
        text = f"{present[0]} overrules {state.command.source} for no reason any more"
        return [Reason("override_surplus", text, ENGINE_UNIT)], [WriteUnits(((present[0], None),))]
    if present == (wanted.override_path, wanted.override_text):
        return [], []
    text = f"dockerd is started by {state.command.source}, as {state.command.configured}"
    files: list[tuple[str, Optional[str]]] = [(wanted.override_path, wanted.override_text)]
    if present[0] and present[0] != wanted.override_path:
        files.append((present[0], None))
    return [Reason("command_differs", text, ENGINE_UNIT)], [WriteUnits(tuple(files))]


def _insecure_reasons(
    state: ListenerState, units: Mapping[str, str]
) -> Optional[tuple[list[Reason], tuple[str, ...]]]:
    """The units for plaintext that have to be started, again if their file has changed; None if there are none."""
    names = []
    reasons = []
    for name, text in units.items():
        if not is_insecure(name) or is_template(name):
            continue
        unit = state.unit(name)
        held = set(parse_socket_unit(text)) <= set(state.plaintext)
        if not unit.active or not held:
            reasons.append(Reason("unit_inactive", f"{name} is not active", name))
            names.append(name)
        elif unit.text != text or unit.stale or unit.drop_ins:
            names.append(name)
    return (reasons, tuple(names)) if names else None


def _holds_other(state: ListenerState, name: str, text: str) -> bool:
    """Whether a unit is active and may hold something else than its file is going to say."""
    unit = state.unit(name)
    if is_insecure(name) or not unit.active:
        return False
    unbound = any(endpoint not in state.listening for endpoint in parse_socket_unit(text))
    unbound = unbound or any(path not in state.unix_sockets for path in parse_unix_paths(text))
    return unit.text != text or unit.stale or bool(unit.drop_ins) or unbound


def _unit_reason(name: str, present: Optional[str], wanted: str) -> Reason:
    if present is None:
        return Reason("unit_missing", f"unit {name} is missing", name)
    named, asked = parse_socket_unit(present), parse_socket_unit(wanted)
    surplus = ", ".join(render_endpoint(*endpoint) for endpoint in named if endpoint not in asked)
    lacks = ", ".join(render_endpoint(*endpoint) for endpoint in asked if endpoint not in named)
    differences = ([f"lacks {lacks}"] if lacks else []) + ([f"is not to name {surplus}"] if surplus else [])
    return Reason("unit_changed", f"unit {name} {' and '.join(differences) or 'differs'}", name)


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


def _served(spec: ListenerSpec, state: ListenerState, address: str) -> str:
    """What an address serves once the certificate is there that this run has issued, or in check mode would have."""
    served = state.served.get(address, SERVED_NOTHING)
    if served == SERVED_CURRENT and spec.material_changed and not state.restarted:
        return SERVED_OUTDATED
    return served


def _diff(
    spec: ListenerSpec,
    state: ListenerState,
    config: Mapping[str, Any],
    wanted: _Wanted,
    endpoints: tuple[tuple[str, int], ...],
    interrupts: Optional[tuple[str, ...]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    keys = [*wanted_keys(spec), _LIVE_RESTORE, "hosts"]
    future = daemon_json.parse_config(wanted.config_text)
    before: dict[str, Any] = {
        daemon_json.PATH: {key: config[key] for key in keys if key in config},
        "serves": {
            render_endpoint(address, port): _served(spec, state, address) for address, port in endpoints
        },
        "restart": {},
        "left stopped": list(state.stranded),
    }
    after: dict[str, Any] = {
        daemon_json.PATH: {key: future[key] for key in keys if key in future},
        "serves": {render_endpoint(address, port): SERVED_CURRENT for address, port in endpoints},
        "restart": {} if interrupts is None else {ENGINE_UNIT: {"interrupts": list(interrupts)}},
        "left stopped": [],
    }
    for name in sorted({*state.units, *wanted.units}):
        unit = state.unit(name)
        before[unit_path(name)] = (unit.text or "").splitlines()
        after[unit_path(name)] = wanted.units.get(name, "").splitlines()
        if unit.drop_ins:
            before[f"{name} changed by"], after[f"{name} changed by"] = list(unit.drop_ins), []
        if unit.stale:
            before[f"{name} read by systemd"], after[f"{name} read by systemd"] = False, True
        if not is_template(name):
            before[f"{name} enabled"], after[f"{name} enabled"] = unit.enabled, name in wanted.units
    path = wanted.override_path if wanted.override_text is not None else state.command.override_path
    if path:
        before[path] = state.command.override_text.splitlines()
        after[path] = (wanted.override_text or "").splitlines()
    for entry in diff_foreign(spec, state):
        before[entry.path], after[entry.path] = entry.before, entry.after
    opened = plan_openings(spec, state)
    if state.firewall.manager or state.firewall.opened:
        before["firewall"] = [render_opening(opening) for opening in sorted(state.firewall.opened)]
        after["firewall"] = [render_opening(opening) for opening in opened]
    return before, after


def render_opening(opening: Opening) -> str:
    """An opening for messages."""
    return f"{opening.interface} to {render_endpoint(opening.address, opening.port)}"
