# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simulates plans of the listener, for the planners' law."""

from __future__ import annotations

import dataclasses
import posixpath
from typing import Any, Callable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._base import systemd_units
from ansible_collections.wormhole.docker.plugins.module_utils._base.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._engine import command as engine_command
from ansible_collections.wormhole.docker.plugins.module_utils._engine import daemon_json
from ansible_collections.wormhole.docker.plugins.module_utils._listener import guard
from ansible_collections.wormhole.docker.plugins.module_utils._listener.model import (
    SERVED_CURRENT,
    Action,
    AdmitWormholes,
    EnableUnits,
    EndTransaction,
    ListenerState,
    ReloadEngine,
    ReloadGate,
    RemoveUnits,
    RestartEngine,
    RestartUnits,
    SetFirewall,
    StartContainers,
    WriteConfig,
    WriteUnits,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import (
    UNIX_UNIT,
    is_engine_unit,
    is_gate_unit,
    is_insecure,
    parse_socket_unit,
    parse_unix_paths,
)


def simulate_listener(state: ListenerState, plan: Plan[Action]) -> ListenerState:
    """The state after all of the plan's actions."""
    for action in plan.actions:
        state = _simulate(state, action)
    return dataclasses.replace(state, interrupted=False)


def _simulate(state: ListenerState, action: Action) -> ListenerState:
    steps: Mapping[type, Callable[[ListenerState, Any], ListenerState]] = {
        WriteConfig: _write_config,
        WriteUnits: _write_units,
        RemoveUnits: _remove_units,
        EnableUnits: _enable_units,
        ReloadEngine: _reload,
        RestartEngine: _restart,
        RestartUnits: _restart_units,
        ReloadGate: _reload_gate,
        AdmitWormholes: lambda state, action: dataclasses.replace(state, unadmitted=()),
        SetFirewall: _set_firewall,
        StartContainers: lambda state, action: dataclasses.replace(state, stranded=()),
        EndTransaction: lambda state, action: state,
    }
    return steps[type(action)](state, action)


def _write_config(state: ListenerState, action: WriteConfig) -> ListenerState:
    if action.path:
        kept = {path: text for path, text in state.former_configs.items() if path != action.path}
        return dataclasses.replace(state, former_configs=kept)
    return dataclasses.replace(state, config_text=action.text or "", config_missing=action.text is None)


def _enable_units(state: ListenerState, action: EnableUnits) -> ListenerState:
    enabled = {name: dataclasses.replace(state.unit(name), enabled=True) for name in action.names}
    return dataclasses.replace(state, units={**state.units, **enabled})


def _reload(state: ListenerState, _action: ReloadEngine) -> ListenerState:
    # A reload reads only keys that are present.
    live_restore = daemon_json.parse_config(state.config_text).get("live-restore", state.live_restore)
    return dataclasses.replace(state, live_restore=bool(live_restore))


def _set_firewall(state: ListenerState, action: SetFirewall) -> ListenerState:
    firewall = dataclasses.replace(
        state.firewall,
        opened=action.openings,
        leftover=False,
        restriction=action.restriction,
        unrestricted=False,
    )
    return dataclasses.replace(state, firewall=firewall)


def _write_units(state: ListenerState, action: WriteUnits) -> ListenerState:
    units, command, sockets = dict(state.units), state.command, dict(state.unmanaged_sockets)
    for path, text in action.files:
        name = posixpath.basename(path)
        overruled = systemd_units.overridden_unit(path)
        if overruled in sockets:
            socket = sockets[overruled]
            if text is not None:
                sockets[overruled] = dataclasses.replace(socket, override_path=path, override_text=text)
            elif path == socket.override_path:
                sockets[overruled] = dataclasses.replace(socket, override_path="", override_text="")
        elif engine_command.is_override(path) or engine_command.is_guard(path):
            command = _write_drop_in(command, path, text)
        elif path == guard.PROGRAM:
            state = dataclasses.replace(state, guard_program=text)
        elif text is None:
            for owner, unit in units.items():
                left = tuple(drop_in for drop_in in unit.drop_ins if drop_in != path)
                units[owner] = dataclasses.replace(unit, drop_ins=left)
        else:
            units[name] = dataclasses.replace(state.unit(name), text=text)
    units = {name: dataclasses.replace(unit, stale=False) for name, unit in units.items()}
    command = dataclasses.replace(command, stale=False)
    return _reload_sockets(
        dataclasses.replace(state, units=units, command=command, unmanaged_sockets=sockets)
    )


def _write_drop_in(command: engine_command.EngineCommand, path: str, text: Optional[str]) -> Any:
    kind = "guard" if engine_command.is_guard(path) else "override"
    if text is None and path != getattr(command, f"{kind}_path"):
        return command
    present: dict[str, Any] = {f"{kind}_path": path if text else "", f"{kind}_text": text or ""}
    return dataclasses.replace(command, **present)


def _reload_sockets(state: ListenerState) -> ListenerState:
    """systemd closes what a unit no longer names; what it adds opens when the unit restarts."""
    sockets, closed = {}, set()
    for unit, socket in state.unmanaged_sockets.items():
        named = socket.configured if not socket.override_path or not socket.others else ()
        closed.update(set(socket.held).difference(named))
        sockets[unit] = dataclasses.replace(socket, held=tuple(e for e in socket.held if e in named))
    return dataclasses.replace(
        state,
        unmanaged_sockets=sockets,
        listening=tuple(e for e in state.listening if e not in closed),
        lingering=(*state.lingering, *(e for e in state.listening if e in closed)),
    )


def _remove_units(state: ListenerState, action: RemoveUnits) -> ListenerState:
    """systemd closes its sockets, dockerd does not; plaintext proxies and doors of the gate end."""
    closed, passive = (
        {
            endpoint
            for name in action.names
            if is_engine_unit(name) is of_engine
            for endpoint in parse_socket_unit(state.unit(name).text or "")
        }
        for of_engine in (True, False)
    )
    held = {*state.listening} - closed | {*state.passive} - passive
    insecure = {
        e for n in filter(is_insecure, action.names) for e in parse_socket_unit(state.unit(n).text or "")
    }
    return dataclasses.replace(
        state,
        units={name: unit for name, unit in state.units.items() if name not in action.names},
        listening=tuple(e for e in state.listening if e not in closed),
        lingering=(*state.lingering, *(e for e in state.listening if e in closed)),
        served={
            a: served
            for a, served in state.served.items()
            if a not in {e.host for e in (closed | passive) - insecure - held}
        },
        passive=tuple(e for e in state.passive if e not in passive),
        unix_sockets=() if UNIX_UNIT in action.names else state.unix_sockets,
        lingering_unix_sockets=state.unix_sockets
        if UNIX_UNIT in action.names
        else state.lingering_unix_sockets,
    )


def _restart(state: ListenerState, action: RestartEngine) -> ListenerState:
    """dockerd then has what systemd holds from the enabled units, and nothing else."""
    ours = {name: unit for name, unit in state.units.items() if unit.enabled and is_engine_unit(name)}
    endpoints = [e for unit in ours.values() for e in parse_socket_unit(unit.text or "")]
    paths = parse_unix_paths(ours[UNIX_UNIT].text or "") if UNIX_UNIT in ours else ()
    command = state.command
    if command.override_text:
        command = dataclasses.replace(
            command, running=command.override_text.rpartition("ExecStart=")[2].strip()
        )
    else:
        command = dataclasses.replace(command, running=command.configured)
    sockets = {
        unit: dataclasses.replace(socket, held=()) if unit in action.stop else socket
        for unit, socket in state.unmanaged_sockets.items()
    }
    endpoints_of_others = [endpoint for socket in sockets.values() for endpoint in socket.held]
    return dataclasses.replace(
        state,
        topology=state.after_restart or state.topology,
        after_restart=None,
        units={**state.units, **{name: dataclasses.replace(u, active=True) for name, u in ours.items()}},
        unmanaged_sockets=sockets,
        listening=tuple(sorted((*endpoints, *endpoints_of_others))),
        lingering=(),
        absent=(),
        unix_sockets=paths,
        lingering_unix_sockets=(),
        command=command,
        live_restore=bool(daemon_json.parse_config(state.config_text).get("live-restore", False)),
        served={**state.served, **{address: SERVED_CURRENT for address, port in endpoints}},
        stranded=(),
        restarted=True,
    )


def _restart_units(state: ListenerState, action: RestartUnits) -> ListenerState:
    units, passive = dict(state.units), set(state.passive)
    for name in action.names:
        # systemd fails to open a socket that dockerd still has.
        endpoints = set(parse_socket_unit(units[name].text or "")) - {*state.listening, *state.lingering}
        units[name] = dataclasses.replace(units[name], active=bool(endpoints))
        passive |= endpoints
    return dataclasses.replace(state, units=units, passive=tuple(sorted(passive)))


def _reload_gate(state: ListenerState, _action: ReloadGate) -> ListenerState:
    endpoints = {
        endpoint
        for name, unit in state.units.items()
        if is_gate_unit(name)
        for endpoint in parse_socket_unit(unit.text or "")
    }
    served = {**state.served, **{endpoint.host: SERVED_CURRENT for endpoint in endpoints}}
    return dataclasses.replace(state, served=served, gate_reloaded=True)
