# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides how a host is given back as it was found."""

from __future__ import annotations

import posixpath
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json
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
    if config_differs:
        reasons.append(
            Reason("config_differs", "daemon.json is not as it would be without us", daemon_json.PATH)
        )
    restart = bool(held or override)
    reasons += [Reason("listening_elsewhere", f"dockerd listens on {place}", ENGINE_UNIT) for place in held]
    if (restart or units) and state.wormholes:
        raise Refused(
            ENGINE_UNIT,
            expected="no running wormhole that reaches the engine by TLS",
            found=", ".join(state.wormholes),
            remedy="Remove them first, by module wormhole_container with state absent, or stop them",
        )
    former_live_restore = bool(daemon_json.parse_config(former or "").get(_LIVE_RESTORE, False))
    spares = state.live_restore and not former_live_restore
    if config_differs:
        # What spares the containers has to be there until the engine has been restarted.
        actions.append(
            WriteConfig(daemon_json.edit_keys(former or "", {_LIVE_RESTORE: True}))
            if spares and restart
            else WriteConfig(former, exact=True)
        )
    if units:
        actions.append(RemoveUnits(units))
    if override:
        actions.append(WriteUnits(((override, None),)))
    if state.firewall.opened or state.firewall.leftover:
        reasons += firewall_reasons(state, set())
        actions.append(SetFirewall(()))
    interrupted = () if state.live_restore else state.containers
    if restart:
        refuse_interruption(spec, interrupted)
        actions.append(RestartEngine(stop=(), containers=(*interrupted, *state.stranded)))
        if spares and config_differs:
            actions += [WriteConfig(former, exact=True), ReloadEngine()]
    elif state.live_restore != former_live_restore and config_differs:
        actions.append(ReloadEngine())
    end_reasons, end_actions = end_of_interrupted_run(state, restart)
    reasons += end_reasons
    actions += end_actions
    before, after = _diff(state, former, interrupted if restart else None)
    return Plan(before=before, after=after, reasons=tuple(reasons), actions=tuple(actions))


def former_config(spec: ListenerSpec, state: ListenerState) -> Optional[str]:
    """What daemon.json would be if we had never come; None if there would be none."""
    if state.config_missing:
        return None
    entry = state.origin.files.get(state.config_path)
    if entry is None and not _is_record_incomplete(state):
        # Either nothing says that we have ever been here, or everything that we changed is on record, and this is not.
        return state.config_text
    if entry is not None and entry.written == state.config_text.encode():
        return None if entry.former is None else entry.former.content.decode()
    stripped = strip_our_part(
        spec, state.origin, state.config_path, state.config_path, state.config_text.encode()
    )
    return None if stripped is None else stripped.decode()


def was_installed(state: ListenerState, journal: Journal) -> bool:
    """Whether there were units of ours before a transaction: what is not on record may be ours then.

    Args:
        state: what was observed in the run that ends the transaction; an interrupted one may have begun it.
        journal: of the transaction.
    """
    untouched = [name for name in state.units if unit_path(name) not in journal.files]
    changed = [
        path
        for path, former in journal.files.items()
        if former is not None and is_listener_unit(posixpath.basename(path))
    ]
    return bool(untouched or changed)


def strip_our_part(
    spec: ListenerSpec,
    origin: Origin,
    config_path: str,
    path: str,
    content: bytes,
    installed: bool = True,
) -> Optional[bytes]:
    """A file of the listener's without what is ours; None if all of it is.

    Args:
        spec: what is asked for.
        origin: what is recorded of the files before us.
        config_path: where daemon.json really is.
        path: the file.
        content: what it holds now.
        installed: whether we were here already when it got this content. If not, keys with our values are theirs.
    """
    if path != config_path:
        return None
    text = content.decode()
    entry = origin.files.get(path)
    if entry is None and not installed:
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


def _is_record_incomplete(state: ListenerState) -> bool:
    """Whether something of ours is older than the record, or the record was lost."""
    recorded = state.origin.files
    return unit_path(SINGLE_UNIT) in recorded or any(unit_path(name) not in recorded for name in state.units)


def _held(spec: ListenerSpec, state: ListenerState) -> list[str]:
    """What dockerd still listens on for us."""
    ours = {
        endpoint
        for name, unit in state.units.items()
        if not is_insecure(name)
        for endpoint in parse_socket_unit(unit.text or "")
    }
    named = {
        endpoint
        for endpoint in (*state.listening, *state.lingering)
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
    for path, text in sorted(texts.items()):
        before[path], after[path] = text.splitlines(), []
    return before, after


def _selected(config: Mapping[str, Any], keys: list[str]) -> dict[str, Any]:
    return {key: config[key] for key in keys if key in config}
