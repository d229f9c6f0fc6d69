# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state that a listener's plan leads to, where nothing interferes: what the planners' law is held to with."""

from __future__ import annotations

import dataclasses
import posixpath

from ansible_collections.wormhole.docker.plugins.module_utils._core import (
    daemon_json,
    engine_command,
    systemd_units,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    SERVED_CURRENT,
    Action,
    EnableUnits,
    ListenerState,
    ReloadEngine,
    RemoveUnits,
    RestartEngine,
    RestartUnits,
    SetFirewall,
    StartContainers,
    WriteConfig,
    WriteUnits,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_units import (
    UNIX_UNIT,
    is_insecure,
    parse_socket_unit,
    parse_unix_paths,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan


def simulate_listener(state: ListenerState, plan: Plan[Action]) -> ListenerState:
    """The state after all of the plan's actions."""
    for action in plan.actions:
        state = _simulate(state, action)
    return dataclasses.replace(state, interrupted=False)


def _simulate(state: ListenerState, action: Action) -> ListenerState:
    if isinstance(action, WriteConfig):
        return dataclasses.replace(state, config_text=action.text or "", config_missing=action.text is None)
    if isinstance(action, WriteUnits):
        return _write_units(state, action)
    if isinstance(action, RemoveUnits):
        return _remove_units(state, action)
    if isinstance(action, EnableUnits):
        enabled = {name: dataclasses.replace(state.unit(name), enabled=True) for name in action.names}
        return dataclasses.replace(state, units={**state.units, **enabled})
    if isinstance(action, ReloadEngine):
        # A reload heeds only the keys that are there.
        live_restore = daemon_json.parse_config(state.config_text).get("live-restore", state.live_restore)
        return dataclasses.replace(state, live_restore=bool(live_restore))
    if isinstance(action, RestartEngine):
        return _restart(state, action)
    if isinstance(action, RestartUnits):
        return _restart_units(state, action)
    if isinstance(action, SetFirewall):
        firewall = dataclasses.replace(state.firewall, opened=action.openings, leftover=False)
        return dataclasses.replace(state, firewall=firewall)
    if isinstance(action, StartContainers):
        return dataclasses.replace(state, stranded=())
    # What is left, EndTransaction, changes nothing that is observed but what its caller does.
    return state


def _write_units(state: ListenerState, action: WriteUnits) -> ListenerState:
    units, command, foreign = dict(state.units), state.command, dict(state.foreign_sockets)
    for path, text in action.files:
        name = posixpath.basename(path)
        overruled = systemd_units.overridden_unit(path)
        if overruled in foreign:
            socket = foreign[overruled]
            if text is not None:
                foreign[overruled] = dataclasses.replace(socket, override_path=path, override_text=text)
            elif path == socket.override_path:
                foreign[overruled] = dataclasses.replace(socket, override_path="", override_text="")
        elif engine_command.is_override(path):
            if text is not None:
                command = dataclasses.replace(command, override_path=path, override_text=text)
            elif path == command.override_path:
                command = dataclasses.replace(command, override_path="", override_text="")
        elif text is None:
            for owner, unit in units.items():
                left = tuple(drop_in for drop_in in unit.drop_ins if drop_in != path)
                units[owner] = dataclasses.replace(unit, drop_ins=left)
        else:
            units[name] = dataclasses.replace(state.unit(name), text=text)
    units = {name: dataclasses.replace(unit, stale=False) for name, unit in units.items()}
    command = dataclasses.replace(command, stale=False)
    return _reload_sockets(dataclasses.replace(state, units=units, command=command, foreign_sockets=foreign))


def _reload_sockets(state: ListenerState) -> ListenerState:
    """systemd closes what a unit no longer names; what it names anew is not opened before the unit is started again."""
    sockets, closed = {}, set()
    for unit, socket in state.foreign_sockets.items():
        named = socket.configured if not socket.override_path or not socket.others else ()
        closed.update(set(socket.held).difference(named))
        sockets[unit] = dataclasses.replace(socket, held=tuple(e for e in socket.held if e in named))
    return dataclasses.replace(
        state,
        foreign_sockets=sockets,
        listening=tuple(e for e in state.listening if e not in closed),
        lingering=(*state.lingering, *(e for e in state.listening if e in closed)),
    )


def _remove_units(state: ListenerState, action: RemoveUnits) -> ListenerState:
    """systemd lets go of the sockets, dockerd does not; the proxy for plaintext ends."""
    closed = {
        endpoint for name in action.names for endpoint in parse_socket_unit(state.unit(name).text or "")
    }
    insecure = {
        endpoint
        for name in action.names
        if is_insecure(name)
        for endpoint in parse_socket_unit(state.unit(name).text or "")
    }
    return dataclasses.replace(
        state,
        units={name: unit for name, unit in state.units.items() if name not in action.names},
        listening=tuple(e for e in state.listening if e not in closed),
        lingering=(*state.lingering, *(e for e in state.listening if e in closed)),
        served={
            a: served for a, served in state.served.items() if a not in {e[0] for e in closed - insecure}
        },
        plaintext=tuple(e for e in state.plaintext if e not in insecure),
        unix_sockets=() if UNIX_UNIT in action.names else state.unix_sockets,
        lingering_unix_sockets=state.unix_sockets
        if UNIX_UNIT in action.names
        else state.lingering_unix_sockets,
    )


def _restart(state: ListenerState, action: RestartEngine) -> ListenerState:
    """What systemd holds from the units that are enabled is what dockerd has then, and nothing else."""
    ours = {name: unit for name, unit in state.units.items() if unit.enabled and not is_insecure(name)}
    endpoints = [e for unit in ours.values() for e in parse_socket_unit(unit.text or "")]
    paths = parse_unix_paths(ours[UNIX_UNIT].text or "") if UNIX_UNIT in ours else ()
    command = state.command
    if command.override_text:
        command = dataclasses.replace(
            command, running=command.override_text.rpartition("ExecStart=")[2].strip()
        )
    else:
        command = dataclasses.replace(command, running=command.configured)
    foreign = {
        unit: dataclasses.replace(socket, held=()) if unit in action.stop else socket
        for unit, socket in state.foreign_sockets.items()
    }
    endpoints_of_others = [endpoint for socket in foreign.values() for endpoint in socket.held]
    return dataclasses.replace(
        state,
        topology=state.after_restart or state.topology,
        after_restart=None,
        units={**state.units, **{name: dataclasses.replace(u, active=True) for name, u in ours.items()}},
        foreign_sockets=foreign,
        listening=tuple(sorted((*endpoints, *endpoints_of_others))),
        lingering=(),
        absent=(),
        unix_sockets=paths,
        lingering_unix_sockets=(),
        command=command,
        live_restore=bool(daemon_json.parse_config(state.config_text).get("live-restore", False)),
        served={address: SERVED_CURRENT for address, port in endpoints},
        stranded=(),
        restarted=True,
    )


def _restart_units(state: ListenerState, action: RestartUnits) -> ListenerState:
    units, plaintext = dict(state.units), set(state.plaintext)
    for name in action.names:
        units[name] = dataclasses.replace(units[name], active=True)
        plaintext |= set(parse_socket_unit(units[name].text or ""))
    return dataclasses.replace(state, units=units, plaintext=tuple(sorted(plaintext)))
