# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides how a host is given back as it was found."""

from __future__ import annotations

import posixpath
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json, engine_command
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    ENGINE_UNIT,
    Action,
    ListenerSpec,
    ListenerState,
    ReloadEngine,
    RemoveUnits,
    RestartEngine,
    SetFirewall,
    WriteConfig,
    WriteUnits,
    render_endpoint,
    wanted_keys,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_conflicts import (
    former_hosts,
    refuse_live_restore_in_swarm,
    refuse_plaintext,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_plan import (
    end_of_interrupted_run,
    firewall_reasons,
    refuse_interruption,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_units import (
    SINGLE_UNIT,
    is_insecure,
    is_listener_unit,
    parse_socket_unit,
    unit_path,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._core.transaction import Journal, Origin

_LIVE_RESTORE = "live-restore"


def plan_removal(spec: ListenerSpec, state: ListenerState) -> Plan[Action]:
    """Decides what takes the listener away.

    Raises:
        Refused: running wormholes need it.
    """
    former = former_config(spec, state)
    config_differs = former != (None if state.config_missing else state.config_text)
    reasons: list[Reason] = []
    actions: list[Action] = []
    held = _held(spec, state)
    units = tuple(sorted(state.units))
    reasons += [Reason("unit_surplus", f"unit {name} is there", name) for name in units]
    override = state.command.override_path
    if override:
        reasons.append(Reason("override_surplus", f"{override} is there", ENGINE_UNIT))
    closed = [socket.override_path for socket in state.foreign_sockets.values() if socket.override_path]
    reasons += [Reason("override_surplus", f"{path} is there", path) for path in closed]
    if config_differs:
        reasons.append(
            Reason("config_differs", "daemon.json is not as it would be without us", daemon_json.PATH)
        )
    restart = bool(held or override)
    reasons += [Reason("listening_elsewhere", f"dockerd listens on {place}", ENGINE_UNIT) for place in held]
    wormholes = [name for name in state.wormholes if name not in spec.wormholes_removed]
    if (restart or units) and wormholes:
        raise Refused(
            ENGINE_UNIT,
            expected="no running wormhole that reaches the engine by TLS",
            found=", ".join(wormholes),
            remedy="Remove them first, by module wormhole_container with state absent, or stop them",
        )
    refuse_plaintext(state, former, config_differs)
    config_actions = _config_actions(state, former, restart) if config_differs else ([], [])
    # An engine that starts in between must not find a socket of ours without TLS keys, nor -H of ours beside hosts.
    if units:
        actions.append(RemoveUnits(units))
    if override or closed:
        actions.append(WriteUnits(tuple((path, None) for path in [override, *closed] if path)))
    actions += config_actions[0]
    if state.firewall.opened or state.firewall.leftover:
        reasons += firewall_reasons(state, set())
        actions.append(SetFirewall(()))
    interrupted = () if state.live_restore else state.containers
    if restart:
        refuse_live_restore_in_swarm(state, daemon_json.parse_config(former or ""))
        refuse_interruption(spec, interrupted)
        actions.append(RestartEngine(stop=(), containers=(*interrupted, *state.stranded)))
    actions += config_actions[1]
    end_reasons, end_actions = end_of_interrupted_run(state, restart)
    reasons += end_reasons
    actions += end_actions
    before, after = _diff(state, former, interrupted if restart else None)
    return Plan(before=before, after=after, reasons=tuple(reasons), actions=tuple(actions))


def _config_actions(
    state: ListenerState, former: Optional[str], restart: bool
) -> tuple[list[Action], list[Action]]:
    """What gives back daemon.json: before the engine is restarted, if it is, and afterwards."""
    last = WriteConfig(former, exact=True)
    config = daemon_json.parse_config(former or "")
    live_restore = bool(config.get(_LIVE_RESTORE, False))
    if state.live_restore == live_restore or (restart and not state.live_restore):
        return [last], []
    # What spares the containers has to be there until the engine has been restarted.
    before: list[Action] = [_with_live_restore(former, True)] if restart else []
    if _LIVE_RESTORE in config:
        return before, [last, ReloadEngine()]
    # A reload heeds only the keys that are there (moby, daemon/reload.go, reloadLiveRestore).
    return before, [_with_live_restore(former, live_restore), ReloadEngine(), last]


def _with_live_restore(text: Optional[str], value: bool) -> WriteConfig:
    return WriteConfig(daemon_json.edit_keys(text or "", {_LIVE_RESTORE: value}))


def former_config(spec: ListenerSpec, state: ListenerState) -> Optional[str]:
    """What daemon.json would be if we had never come; None if there would be none."""
    if state.config_missing:
        return None
    entry = state.origin.files.get(state.config_path)
    if entry is None and not is_record_incomplete(state, Journal({})):
        # Either nothing says that we have ever been here, or everything that we changed is on record, and this is not.
        return state.config_text
    if entry is not None and entry.written == state.config_text.encode():
        return None if entry.former is None else entry.former.content.decode()
    if entry is not None and state.interrupted:
        original = None if entry.former is None else entry.former.content.decode()
        # A removal that was killed has given it back already, but for this key.
        if state.config_text in [_with_live_restore(original, value).text for value in (True, False)]:
            return original
    stripped = strip_our_part(
        spec, state.origin, state.config_path, state.config_path, state.config_text.encode()
    )
    return None if stripped is None else stripped.decode()


def is_record_incomplete(state: ListenerState, journal: Journal) -> bool:
    """Whether there may be something of ours in files that are not on record: it is older, or the record was lost.

    Args:
        state: what was observed, and what was on record then.
        journal: of the transaction that is going to be recorded; units that it has brought are no sign of it.
    """
    recorded = state.origin.files
    untouched = {unit_path(name) for name in state.units} - set(journal.files)
    changed = {
        path
        for path, former in journal.files.items()
        if former is not None and is_listener_unit(posixpath.basename(path))
    }
    return unit_path(SINGLE_UNIT) in recorded or bool({*untouched, *changed} - set(recorded))


def strip_our_part(
    spec: ListenerSpec,
    origin: Origin,
    config_path: str,
    path: str,
    content: bytes,
    incomplete: bool = True,
) -> Optional[bytes]:
    """A file of the listener's without what is ours; None if all of it is.

    Args:
        spec: what is asked for.
        origin: what is recorded of the files before us.
        config_path: where daemon.json really is.
        path: the file.
        content: what it holds now.
        incomplete: whether the record may lack something of ours. If not, keys with our values are theirs.
    """
    if path != config_path:
        return None
    text = content.decode()
    entry = origin.files.get(path)
    if entry is None and not incomplete:
        return content
    if entry is None or entry.written is None:
        return without_keys(spec, text).encode()
    former = "" if entry.former is None else entry.former.content.decode()
    stripped = undo_keys(text, entry.written.decode(), former)
    empty = entry.former is None and not daemon_json.parse_config(stripped)
    return None if empty else stripped.encode()


def undo_keys(current: str, written: str, former: str) -> str:
    """Takes back what we changed in a file that somebody else has changed since.

    Args:
        current: what it is now.
        written: what we wrote.
        former: what was there before.
    """
    ours, theirs = daemon_json.parse_config(written), daemon_json.parse_config(former)
    now = daemon_json.parse_config(current)
    changed = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    # A key that they have changed too since then is theirs.
    mine = [key for key in changed if now.get(key) == ours.get(key)]
    back = {key: theirs[key] for key in mine if key in theirs}
    return daemon_json.edit_keys(current, back, [key for key in mine if key not in theirs])


def without_keys(spec: ListenerSpec, text: str) -> str:
    """Takes our keys away where nobody has recorded what was there before."""
    config = daemon_json.parse_config(text)
    ours = [key for key, value in wanted_keys(spec).items() if config.get(key) == value]
    return daemon_json.edit_keys(text, {}, ours) if ours else text


def _held(spec: ListenerSpec, state: ListenerState) -> list[str]:
    """What dockerd still listens on for us."""
    ours = {
        endpoint
        for name, unit in state.units.items()
        if not is_insecure(name)
        for endpoint in parse_socket_unit(unit.text or "")
    }
    config = daemon_json.parse_config(state.config_text)
    # What dockerd has opened because somebody configured it so is given back with their configuration.
    theirs = former_hosts(state, config) or engine_command.listens_otherwise(state.command.running)
    named = {
        endpoint
        for endpoint in (*state.listening, *(() if theirs else state.lingering))
        if endpoint in ours or endpoint[1] == spec.port
    }
    return [render_endpoint(*endpoint) for endpoint in sorted(named - state.foreign_endpoints)] + [
        *state.unix_sockets,
        *state.lingering_unix_sockets,
    ]


def _diff(
    state: ListenerState, former: Optional[str], interrupts: Optional[tuple[str, ...]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    present = daemon_json.parse_config(state.config_text)
    future = daemon_json.parse_config(former or "")
    keys = [key for key in {**present, **future} if present.get(key) != future.get(key)]
    before: dict[str, Any] = {
        daemon_json.PATH: _selected(present, keys),
        "restart": {},
        "left stopped": list(state.stranded),
    }
    after: dict[str, Any] = {
        daemon_json.PATH: _selected(future, keys),
        "restart": {} if interrupts is None else {ENGINE_UNIT: {"interrupts": list(interrupts)}},
        "left stopped": [],
    }
    if state.config_missing or former is None:
        before[f"{daemon_json.PATH} exists"] = not state.config_missing
        after[f"{daemon_json.PATH} exists"] = former is not None
    texts = {unit_path(name): unit.text or "" for name, unit in state.units.items()}
    if state.command.override_path:
        texts[state.command.override_path] = state.command.override_text
    for socket in state.foreign_sockets.values():
        if socket.override_path:
            texts[socket.override_path] = socket.override_text
    for path, text in sorted(texts.items()):
        before[path], after[path] = text.splitlines(), []
    return before, after


def _selected(config: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    return {key: config[key] for key in keys if key in config}
