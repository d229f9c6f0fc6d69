# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans how the listener becomes present."""

from __future__ import annotations

import json
import posixpath
from typing import Any, Mapping, Optional, Sequence

from .._base.plan import Plan, Reason
from .._engine import daemon_json
from . import guard, model, parts
from .host_conflicts import refuse_conflicts, refuse_interruption
from .model import SERVED_CURRENT, SERVED_NOTHING, SERVED_SILENT, Action, ListenerState, WriteUnits
from .outlook import DesiredFiles, Outlook, compute_files, compute_outlook
from .parts import Entries, Part
from .spec import ENGINE_UNIT, LIVE_RESTORE, STOCK_UNIT, ListenerSpec, tls_keys
from .units import is_engine_unit, is_template, is_tls_unit, parse_socket_unit, parse_unix_paths, unit_path


def plan_listener(spec: ListenerSpec, state: ListenerState) -> Plan[Action]:
    """Plans how the listener becomes present.

    Raises:
        Refused: the change would affect something that this collection does not manage, or dockerd
            would not start with it.
    """
    outlook = compute_outlook(spec, state)
    config = daemon_json.parse_config(state.config_text, state.config_file)
    refuse_conflicts(spec, state, config, outlook.endpoints)
    refuse_interruption(spec, state, outlook.interrupted)
    desired = compute_files(spec, state, config, outlook)

    keys, guarding = _plan_config(state, config, desired), _plan_guard(state, desired)
    former = parts.plan_former_configs(spec, state)
    units = [step(state, desired) for step in (_plan_unit_files, _plan_surplus_units, _plan_enabling)]
    overrides = [_plan_override(state, desired), _plan_socket_overrides(spec, state, desired)]
    engine = [_plan_reload(state, outlook), parts.plan_firewall(state, outlook.openings, outlook.restriction)]
    unread = _plan_unread_files(state, outlook, [guarding, *units, *overrides])
    restart = _plan_restart(spec, state, outlook, desired)
    admission = _plan_admission(spec, state)
    last = [_plan_gate(outlook), _plan_sockets(state, outlook, desired)]
    last.append(parts.plan_interrupted_run(state, outlook.restarts))
    # An engine that starts between two actions must never find a TCP socket of ours without the TLS
    # keys, nor without the guard.
    first = [keys, guarding, *units] if spec.engine_tls else [*units, keys, guarding]
    return parts.make_plan(
        [admission, keys, former, guarding, *units, *overrides, *engine, restart, unread, *last],
        [admission, *first, former, *overrides, *engine, unread, restart, *last],
        _diff(spec, state, desired, outlook),
    )


def _diff(spec: ListenerSpec, state: ListenerState, desired: DesiredFiles, outlook: Outlook) -> Entries:
    keys = [*tls_keys(spec), LIVE_RESTORE, "hosts"]
    entries: Entries = {
        **parts.diff_config(state, desired.config_text, keys),
        **parts.diff_former_configs(spec, state),
        **parts.diff_containers(state, outlook.restarts, outlook.interrupted),
        **parts.diff_unit_files(state, desired.unit_files),
        **parts.diff_firewall(state, outlook.openings, outlook.restriction),
        **parts.diff_guard(state, desired.guard_program),
        "serves": (
            {str(endpoint): served for endpoint, served in outlook.served.items()},
            {str(endpoint): SERVED_CURRENT for endpoint in outlook.served},
        ),
    }
    for name in sorted({*state.units, *desired.units}):
        unit = state.unit(name)
        if unit.drop_ins:
            entries[f"{name} changed by"] = list(unit.drop_ins), []
        if unit.stale:
            entries[f"{name} read by systemd"] = False, True
        if not is_template(name):
            entries[f"{name} enabled"] = unit.enabled, name in desired.units
    return entries


def _plan_config(state: ListenerState, config: Mapping[str, Any], desired: DesiredFiles) -> Part:
    reasons, file, name = [], state.config_file, posixpath.basename(state.config_file)
    for key in (*desired.set_keys, *desired.removed_keys):
        if key not in config:
            reasons.append(Reason("config_key_missing", f"{name} lacks {key}", file))
            continue
        code = "config_key_differs" if key in desired.set_keys else "config_key_surplus"
        text = f"{name} sets {key} to {json.dumps(config[key])}"
        reasons.append(Reason(code, text, file))
    return Part(reasons, [model.WriteConfig(desired.config_text)] if reasons else [])


def _plan_unit_files(state: ListenerState, desired: DesiredFiles) -> Part:
    reasons: list[Reason] = []
    files: list[tuple[str, Optional[str]]] = []
    unread = False
    for name, text in desired.units.items():
        unit = state.unit(name)
        if unit.text != text:
            reasons.append(_unit_reason(name, unit.text, text))
            files.append((unit_path(name), text))
        if unit.drop_ins:
            found = ", ".join(unit.drop_ins)
            reasons.append(Reason("unit_changed", f"unit {name} is changed by {found}", name))
            files += [(path, None) for path in unit.drop_ins]
        elif unit.text == text and unit.stale:
            reasons.append(Reason("unit_stale", f"systemd has not read the current files of {name}", name))
            unread = True
        if unit.text is not None and not unit.active and is_engine_unit(name):
            because = f": {state.closed}" if state.closed and is_tls_unit(name) else ""
            reasons.append(Reason("unit_inactive", f"{name} is not active{because}", name))
    return Part(reasons, [WriteUnits(tuple(files))] if files or unread else [])


def _plan_guard(state: ListenerState, desired: DesiredFiles) -> Part:
    """Installs the guard or removes it: its program, then the drop-in that runs it."""
    command = state.command
    same = (command.guard_path, command.guard_text, state.guard_program) == (
        *desired.guard,
        desired.guard_program,
    )
    unread = not command.guard_loaded or (state.interrupted and command.stale and command.guard_path)
    if same and not unread:
        return Part()
    if same:
        text = f"systemd has not read the current files of {ENGINE_UNIT}"
        return Part([Reason("unit_stale", text, ENGINE_UNIT)], [WriteUnits()])
    program = [(guard.PROGRAM, desired.guard_program)] if state.guard_program != desired.guard_program else []
    files = (*program, *_replaced(command.guard_path, desired.guard))
    code, text = "guard_missing", f"{ENGINE_UNIT} lacks the guard of the listener"
    if not any(desired.guard):
        code, text = "guard_surplus", f"{ENGINE_UNIT} has the guard of the listener, but no TLS listener"
    elif command.guard_path or state.guard_program is not None:
        code, text = "guard_changed", f"the guard of the listener in {ENGINE_UNIT} differs"
    return Part([Reason(code, text, ENGINE_UNIT)], [WriteUnits(files)])


def _plan_surplus_units(state: ListenerState, desired: DesiredFiles) -> Part:
    surplus = tuple(sorted(set(state.units).difference(desired.units)))
    reasons = [Reason("unit_surplus", f"unit {name} is not requested", name) for name in surplus]
    return Part(reasons, [model.RemoveUnits(surplus)] if surplus else [])


def _plan_enabling(state: ListenerState, desired: DesiredFiles) -> Part:
    disabled = tuple(name for name in desired.units if not is_template(name) and not state.unit(name).enabled)
    text = "is not enabled: it would not start after a reboot"
    known = [name for name in disabled if state.unit(name).text is not None]
    reasons = [Reason("unit_disabled", f"{name} {text}", name) for name in known]
    return Part(reasons, [model.EnableUnits(disabled)] if disabled else [])


def _plan_override(state: ListenerState, desired: DesiredFiles) -> Part:
    command, path = state.command, state.command.override_path
    if (path, command.override_text) == desired.override:
        return Part()
    code, text = "override_surplus", f"{path} overrides {command.source}, which is no longer necessary"
    if any(desired.override):
        code = "command_differs"
        text = f"{command.source} starts dockerd with other listeners: {command.configured}"
    return Part([Reason(code, text, ENGINE_UNIT)], [WriteUnits(_replaced(path, desired.override))])


def _plan_socket_overrides(spec: ListenerSpec, state: ListenerState, desired: DesiredFiles) -> Part:
    """Closes TCP sockets of unmanaged units. The files that name these sockets stay as they are."""
    reasons: list[Reason] = []
    files: list[tuple[str, Optional[str]]] = []
    unread = False
    for unit, socket in sorted(state.unmanaged_sockets.items()):
        present, override = socket.override_path, desired.socket_overrides.get(unit, ("", ""))
        if any(override) and (present, socket.override_text) != override:
            endpoints, sources = ", ".join(map(str, socket.configured)), ", ".join(socket.sources)
            text = f"{unit} makes dockerd listen on {endpoints}, as {sources} configures"
            reasons.append(Reason("listener_slipped_in", text, unit))
            files += _replaced(present, override)
        elif present and not any(override):
            text = f"{present} overrides {unit}, which is no longer necessary"
            reasons.append(Reason("override_surplus", text, unit))
            files += _replaced(present, override)
        elif spec.engine_tls and socket.held and socket.others:
            reasons.append(Reason("unit_stale", f"systemd has not read the current files of {unit}", unit))
            unread = True
    return Part(reasons, [WriteUnits(tuple(files))] if files or unread else [])


def _replaced(present: str, override: tuple[str, str]) -> tuple[tuple[str, Optional[str]], ...]:
    """The files to write and to remove, so that a drop-in replaces that at another path."""
    return (
        *([override] if any(override) else []),
        *([(present, None)] if present not in ("", override[0]) else []),
    )


def _plan_reload(state: ListenerState, outlook: Outlook) -> Part:
    if outlook.live_restore == state.live_restore:
        return Part()
    text = f"the engine runs with {LIVE_RESTORE} {'on' if state.live_restore else 'off'}"
    return Part([Reason("live_restore_differs", text, ENGINE_UNIT)], [model.ReloadEngine()])


def _plan_unread_files(state: ListenerState, outlook: Outlook, earlier: Sequence[Part]) -> Part:
    """Makes systemd read the files of docker.service before a restart, unless it does already."""
    read = any(isinstance(action, WriteUnits) for part in earlier for action in part.actions)
    if not (outlook.restarts and state.command.stale) or read:
        return Part()
    text = f"systemd has not read the current files of {ENGINE_UNIT}"
    return Part([Reason("unit_stale", text, ENGINE_UNIT)], [WriteUnits()])


def _plan_restart(spec: ListenerSpec, state: ListenerState, outlook: Outlook, desired: DesiredFiles) -> Part:
    if not outlook.restarts:
        return Part()
    stop = [name for name, text in desired.units.items() if _holds_other(state, name, text)]
    for unit, socket in sorted(state.unmanaged_sockets.items()):
        # It listens on nothing but the TCP sockets to close.
        if spec.engine_tls and socket.held and not socket.others and unit != STOCK_UNIT:
            stop.append(unit)
    again, removed = parts.split_interrupted(state, outlook.interrupted)
    restart = model.RestartEngine(tuple(stop), (*again, *state.stranded), removed)
    return Part(outlook.restart_reasons, [restart])


def _plan_admission(spec: ListenerSpec, state: ListenerState) -> Part:
    """Keeps the access of wormholes, before dockerd stops to serve them. At no other time: an identity
    may have lost its policy on purpose."""
    if not (spec.gate_tls and any(map(is_tls_unit, state.units)) and state.unadmitted):
        return Part()
    names = [admission.identity for admission in state.unadmitted]
    reasons = [
        Reason("policy_missing", f"{name} has no policy, and would lose its access", name) for name in names
    ]
    return Part(reasons, [model.AdmitWormholes(state.unadmitted)])


def _plan_gate(outlook: Outlook) -> Part:
    """Makes the gate serve the present certificate, before its sockets take connections."""
    return Part(outlook.gate_reasons, [model.ReloadGate()] if outlook.gate_reasons else [])


def _plan_sockets(state: ListenerState, outlook: Outlook, desired: DesiredFiles) -> Part:
    """Starts the sockets of the gate and those for plaintext, and restarts those whose files have
    changed: after a restart of dockerd, which holds the sockets of removed units until then."""
    reasons, names = [], []
    dead = {e for e, served in outlook.served.items() if served in (SERVED_NOTHING, SERVED_SILENT)}
    for name, text in desired.units.items():
        if is_engine_unit(name) or is_template(name):
            continue
        unit, endpoints = state.unit(name), set(parse_socket_unit(text))
        if not unit.active or not endpoints <= set(state.passive):
            reasons.append(Reason("unit_inactive", f"{name} is not active", name))
            names.append(name)
        elif unit.text != text or unit.stale or unit.drop_ins or endpoints & dead:
            names.append(name)
    return Part(reasons, [model.RestartUnits(tuple(names))] if names else [])


def _holds_other(state: ListenerState, name: str, text: str) -> bool:
    """Whether an active unit may hold other sockets than its desired text names."""
    unit = state.unit(name)
    if not is_engine_unit(name) or not unit.active:
        return False
    unbound = any(endpoint not in state.listening for endpoint in parse_socket_unit(text))
    unbound = unbound or any(path not in state.unix_sockets for path in parse_unix_paths(text))
    return unit.text != text or unit.stale or bool(unit.drop_ins) or unbound


def _unit_reason(name: str, present: Optional[str], desired: str) -> Reason:
    if present is None:
        return Reason("unit_missing", f"unit {name} is missing", name)
    found, expected = parse_socket_unit(present), parse_socket_unit(desired)
    surplus = ", ".join(str(endpoint) for endpoint in found if endpoint not in expected)
    lacks = ", ".join(str(endpoint) for endpoint in expected if endpoint not in found)
    differences = [f"lacks {lacks}"] if lacks else []
    differences += [f"names {surplus}, which is not requested"] if surplus else []
    return Reason("unit_changed", f"unit {name} {' and '.join(differences) or 'differs'}", name)
