# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans how the original state of the host is restored, and the rollback of an interrupted run."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Optional

from .._base.errors import Refused
from .._base.plan import Plan, Reason
from .._engine import daemon_json, options
from . import guard, model, parts
from .adoption import configured_hosts
from .command_conflicts import find_failing_start, raise_all
from .exposure import exposed_hosts, refuse_exposed_command, without_hosts
from .host_conflicts import refuse_interruption, refuse_live_restore_in_swarm, refuse_plaintext
from .model import Action, ListenerState, WriteConfig
from .original_config import original_config, set_live_restore
from .parts import Entries, Part
from .spec import ENGINE_UNIT, LIVE_RESTORE, ListenerSpec
from .units import is_engine_unit, parse_socket_unit


def plan_removal(spec: ListenerSpec, state: ListenerState) -> Plan[Action]:
    """Plans how the host is restored to its original state.

    Raises:
        Refused: running wormholes need the listener, or the engine would not start or would serve
            plaintext without it.
    """
    original = original_config(spec, state)
    exposed = exposed_hosts(state, original)
    original = without_hosts(state, original, exposed)
    config_differs = original != (None if state.config_missing else state.config_text)
    held = _held(spec, state)
    restarts = bool(held or state.command.override_path)
    interrupted = state.containers if restarts and not state.live_restore else ()
    if restarts or state.units:
        _refuse_running_wormholes(spec, state)
    refuse_plaintext(state, original, config_differs)
    refuse_exposed_command(state, original)
    if restarts:
        raise_all(list(find_failing_start(state)))
        refuse_live_restore_in_swarm(state, daemon_json.parse_config(original or ""))
    refuse_interruption(spec, state, interrupted)

    units = [_plan_units(state), _plan_overrides(state)]
    config, later = _plan_config(state, original, restarts) if config_differs else (Part(), Part())
    left_out = _explain_exposed(state, exposed) if config_differs else Part()
    guarding, firewall = _plan_guard(state), parts.plan_firewall(state, (), None)
    former = parts.plan_former_configs(spec, state)
    restart = _plan_restart(state, held, interrupted) if restarts else Part()
    leftovers = parts.plan_interrupted_run(state, restarts)
    # An engine that starts between two actions must never find a TCP socket of ours without the TLS
    # keys, nor a command line of ours with -H next to the key hosts, which it does not start with.
    return parts.make_plan(
        [*units, config, former, left_out, guarding, restart, firewall, leftovers],
        [*units, config, former, guarding, firewall, restart, later, leftovers],
        {
            **_diff_config(state, original),
            **parts.diff_former_configs(spec, state),
            **parts.diff_containers(state, restarts, interrupted),
            **parts.diff_unit_files(state, {}),
            **parts.diff_firewall(state, (), None),
            **parts.diff_guard(state, None),
        },
    )


def _refuse_running_wormholes(spec: ListenerSpec, state: ListenerState) -> None:
    wormholes = [name for name in state.wormholes if name not in spec.wormholes_removed]
    if wormholes:
        problem = f"Running wormholes reach the engine by TLS: {', '.join(wormholes)}"
        remedy = "Stop them, or remove them by wormhole_container with state absent"
        raise Refused(ENGINE_UNIT, problem=problem, remedy=remedy)


def _diff_config(state: ListenerState, original: Optional[str]) -> Entries:
    present, future = daemon_json.parse_config(state.config_text), daemon_json.parse_config(original or "")
    changed = [key for key in {**present, **future} if present.get(key) != future.get(key)]
    entries = parts.diff_config(state, original or "", changed)
    if state.config_missing or original is None:
        entries[f"{state.config_file} exists"] = not state.config_missing, original is not None
    return entries


def _plan_units(state: ListenerState) -> Part:
    units = tuple(sorted(state.units))
    reasons = [Reason("unit_surplus", f"unit {name} exists", name) for name in units]
    return Part(reasons, [model.RemoveUnits(units)] if units else [])


def _plan_overrides(state: ListenerState) -> Part:
    """Removes our drop-ins of docker.service and of unmanaged socket units."""
    command = state.command.override_path
    sockets = [socket.override_path for socket in state.unmanaged_sockets.values()]
    paths = list(filter(None, [command, *sockets]))
    reasons = [
        Reason("override_surplus", f"drop-in {path} exists", ENGINE_UNIT if path == command else path)
        for path in paths
    ]
    return Part(reasons, [model.WriteUnits(tuple((path, None) for path in paths))] if paths else [])


def _plan_guard(state: ListenerState) -> Part:
    program = [] if state.guard_program is None else [guard.PROGRAM]
    paths = [*filter(None, [state.command.guard_path]), *program]
    reasons = [Reason("guard_surplus", f"{path} exists", ENGINE_UNIT) for path in paths]
    return Part(reasons, [model.WriteUnits(tuple((path, None) for path in paths))] if paths else [])


def _plan_config(state: ListenerState, original: Optional[str], restarts: bool) -> tuple[Part, Part]:
    """Restores daemon.json, before the engine is restarted and afterwards.

    The engine keeps live-restore until it has been restarted, so that the restart stops no
    container. A reload switches it off only if the key is present (moby, daemon/reload.go,
    reloadLiveRestore).
    """
    name, file = posixpath.basename(state.config_file), state.config_file
    reasons = [Reason("config_differs", f"{name} differs from its original content", file)]
    restored = WriteConfig(original, exact=True)
    config = daemon_json.parse_config(original or "")
    live_restore = bool(config.get(LIVE_RESTORE, False))
    if state.live_restore == live_restore or (restarts and not state.live_restore):
        return Part(reasons, [restored]), Part()
    before: list[Action] = [WriteConfig(set_live_restore(original, True))] if restarts else []
    after: list[Action] = [restored, model.ReloadEngine()]
    if LIVE_RESTORE not in config:
        after = [WriteConfig(set_live_restore(original, live_restore)), model.ReloadEngine(), restored]
    return Part(reasons, before), Part((), after)


def _explain_exposed(state: ListenerState, exposed: tuple[str, ...]) -> Part:
    if not exposed:
        return Part()
    text = (
        f"the original {posixpath.basename(state.config_file)} listened on {', '.join(exposed)} without TLS, "
        "which is not restored: dockerd would serve it in plaintext"
    )
    return Part([Reason("listener_left_out", text, state.config_file)])


def _plan_restart(state: ListenerState, held: list[str], interrupted: tuple[str, ...]) -> Part:
    again, removed = parts.split_interrupted(state, interrupted)
    reasons = [Reason("listening_elsewhere", f"dockerd listens on {place}", ENGINE_UNIT) for place in held]
    return Part(reasons, [model.RestartEngine((), (*again, *state.stranded), removed)])


def _held(spec: ListenerSpec, state: ListenerState) -> list[str]:
    """The sockets of ours on which dockerd still listens, as text."""
    ours = {
        endpoint
        for name, unit in state.units.items()
        if is_engine_unit(name)
        for endpoint in parse_socket_unit(unit.text or "")
    }
    config = daemon_json.parse_config(state.config_text)
    # Endpoints that an administrator configured stay open: their configuration is restored.
    configured = configured_hosts(state, config) or options.listens_otherwise(state.command.running_words)
    held = {*state.listening, *(() if configured else state.lingering)} - state.unmanaged_endpoints
    endpoints = sorted(endpoint for endpoint in held if endpoint in ours or endpoint.port == spec.port)
    return [*map(str, endpoints), *state.unix_sockets, *state.lingering_unix_sockets]


@dataclass(frozen=True)
class RecoveryState:
    """What a recovery depends on.

    Attributes:
        interrupted: whether a run was interrupted before it ended its change.
        answers: whether the engine answers.
    """

    interrupted: bool
    answers: bool


@dataclass(frozen=True)
class Recover:
    """Restore the state before an interrupted run."""


def plan_recovery(state: RecoveryState) -> Plan[Recover]:
    """Plans the rollback of an interrupted run. If the engine answers, the next run continues."""
    if not state.interrupted or state.answers:
        return Plan()
    text = "an earlier run was interrupted during its change, and the engine does not answer"
    return Plan(
        before={ENGINE_UNIT: "partly changed"},
        after={ENGINE_UNIT: "as before that run"},
        reasons=(Reason("run_interrupted", text, ENGINE_UNIT),),
        actions=(Recover(),),
    )
