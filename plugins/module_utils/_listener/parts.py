# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of a listener's plan, and of its diff, that presence and removal share."""

from __future__ import annotations

from typing import Any, Collection, Iterable, Mapping, NamedTuple, Optional, Sequence

from .._base.address import SocketAddress
from .._base.plan import Plan, Reason
from .._engine import daemon_json
from .._firewall.model import Opening, Restriction
from . import guard
from .model import (
    Action,
    EndTransaction,
    ListenerState,
    SetFirewall,
    StartContainers,
    WriteConfig,
    WriteUnits,
)
from .original_config import former_originals
from .spec import ENGINE_UNIT, ListenerSpec
from .units import unit_path


class Part(NamedTuple):
    """The reasons and the actions of one subject."""

    reasons: Sequence[Reason] = ()
    actions: Sequence[Action] = ()


Entries = dict[str, tuple[Any, Any]]
"""What a diff compares: the values before and after the run, by name."""


def make_plan(explained: Sequence[Part], ordered: Sequence[Part], entries: Entries) -> Plan[Action]:
    """A plan of the same parts in the order of reasons and in that of actions, and of its diff."""
    return Plan(
        before={name: before for name, (before, _after) in entries.items()},
        after={name: after for name, (_before, after) in entries.items()},
        reasons=tuple(reason for part in explained for reason in part.reasons),
        actions=_merge(action for part in ordered for action in part.actions),
    )


def _merge(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Joins consecutive writes of units, after each of which systemd reads all units again."""
    merged: list[Action] = []
    for action in actions:
        last = merged[-1] if merged else None
        if isinstance(action, WriteUnits) and isinstance(last, WriteUnits):
            merged[-1] = WriteUnits((*last.files, *action.files))
        else:
            merged.append(action)
    return tuple(merged)


def diff_config(state: ListenerState, after: str, keys: Collection[str]) -> Entries:
    """The entry of daemon.json, with these keys."""
    first, second = (
        {key: value for key, value in daemon_json.parse_config(text).items() if key in keys}
        for text in (state.config_text, after)
    )
    return {state.config_file: (first, second)}


def plan_former_configs(spec: ListenerSpec, state: ListenerState) -> Part:
    """Restores the configuration files that dockerd no longer reads."""
    originals = former_originals(spec, state)
    reasons = [Reason("config_surplus", f"dockerd no longer reads {path}", path) for path in originals]
    return Part(reasons, [WriteConfig(text, exact=True, path=path) for path, text in originals.items()])


def diff_former_configs(spec: ListenerSpec, state: ListenerState) -> Entries:
    """The entries of the configuration files that dockerd no longer reads."""
    return {
        path: (state.former_configs[path].splitlines(), (text or "").splitlines())
        for path, text in former_originals(spec, state).items()
    }


def diff_containers(state: ListenerState, restarts: bool, interrupted: Sequence[str]) -> Entries:
    """The entries of the containers that a restart of the engine stops and starts, or removes."""
    again, removed = split_interrupted(state, interrupted)
    effects = {"interrupts": [*again], **({"removes": [*removed]} if removed else {})}
    return {
        "restart": ({}, {ENGINE_UNIT: effects} if restarts else {}),
        "left stopped": (list(state.stranded), []),
    }


def split_interrupted(
    state: ListenerState, interrupted: Sequence[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of containers that a restart stops, those that run again, and those that it removes."""
    removed = tuple(name for name in interrupted if name in state.ephemeral)
    return tuple(name for name in interrupted if name not in removed), removed


def diff_unit_files(state: ListenerState, desired: Mapping[str, str]) -> Entries:
    """The entries of our units and drop-ins, by path."""
    overrides = [(state.command.override_path, state.command.override_text)]
    overrides.append((state.command.guard_path, state.command.guard_text))
    overrides += [(socket.override_path, socket.override_text) for socket in state.unmanaged_sockets.values()]
    units = {unit_path(name): unit.text or "" for name, unit in state.units.items()}
    present = {**units, **dict(filter(any, overrides))}
    return {
        path: (present.get(path, "").splitlines(), desired.get(path, "").splitlines())
        for path in {**present, **desired}
    }


def diff_guard(state: ListenerState, desired: Optional[str]) -> Entries:
    """The entry of the guard's program, without its text."""
    words = {None: "", state.guard_shipped: "the program of this version"}
    present, future = (words.get(text, "another program") for text in (state.guard_program, desired))
    return {guard.PROGRAM: (present, future)}


def render_opening(opening: Opening) -> str:
    """An opening as text: ``docker0 to 172.17.0.1:2376``."""
    return f"{opening.interface} to {SocketAddress(opening.address, opening.port)}"


def render_restriction(restriction: Optional[Restriction]) -> list[str]:
    """The ports of a restriction, and what cannot reach them, as text."""
    if restriction is None:
        return []
    others = ", ".join(["interfaces that are no bridge", *restriction.bridges])
    return [f"{others} to {port}" for port in restriction.ports]


def diff_firewall(
    state: ListenerState, openings: Sequence[Opening], restriction: Optional[Restriction]
) -> Entries:
    """The entries of our openings in the firewall, and of the restriction; none without traces of ours
    where there is no firewall."""
    firewall = state.firewall
    present = [render_opening(opening) for opening in sorted(firewall.opened)]
    present += ["incomplete rules of this collection"] if firewall.leftover else []
    opened = (
        {"firewall": (present, list(map(render_opening, openings)))} if firewall.manager or present else {}
    )
    dropped = render_restriction(firewall.restriction)
    dropped += ["incomplete rules of this collection"] if _is_incomplete(state, restriction) else []
    return {**opened, "drops": (dropped, render_restriction(restriction))}


def plan_firewall(
    state: ListenerState, openings: Collection[Opening], restriction: Optional[Restriction]
) -> Part:
    """Plans that the host's firewall has exactly these openings, and this restriction."""
    reasons = [*_opening_reasons(state, openings), *_restriction_reasons(state, restriction)]
    return Part(reasons, [SetFirewall(tuple(sorted(openings)), restriction)] if reasons else [])


def _is_incomplete(state: ListenerState, restriction: Optional[Restriction]) -> bool:
    """Whether an interrupted change has left rules, or a table without a rule for any port."""
    present = state.firewall.restriction
    empty = present is not None and not present.ports and present != restriction
    return state.firewall.unrestricted or empty


def _restriction_reasons(state: ListenerState, restriction: Optional[Restriction]) -> list[Reason]:
    present = state.firewall.restriction
    if _is_incomplete(state, restriction):
        text = "the rules of this collection that keep neighbours from the listener are incomplete"
        return [Reason("neighbours_leftover", text, "firewall")]
    ports, desired = (set(found.ports) if found else set() for found in (present, restriction))
    reasons = [
        Reason("neighbours_reach", f"other hosts with a route to {port} reach it", str(port))
        for port in sorted(desired - ports)
    ]
    for port in sorted(ports - desired):
        text = f"a rule of this collection keeps other hosts from {port}, which is not required"
        reasons.append(Reason("neighbours_kept_out", text, str(port)))
    if reasons or present is None or restriction is None:
        return reasons
    for bridge in sorted(set(restriction.bridges) - set(present.bridges)):
        text = f"the listener accepts packets from {bridge}, which is no bridge of the engine"
        reasons.append(Reason("neighbours_reach", text, bridge))
    for bridge in sorted(set(present.bridges) - set(restriction.bridges)):
        text = (
            f"a rule of this collection keeps packets from {bridge} from the listener, which is not required"
        )
        reasons.append(Reason("neighbours_kept_out", text, bridge))
    return reasons


def _opening_reasons(state: ListenerState, openings: Collection[Opening]) -> list[Reason]:
    firewall = state.firewall
    desired, opened = set(openings), set(firewall.opened)
    if desired == opened and not firewall.leftover:
        return []
    manager = firewall.manager or "the firewall"
    reasons = []
    for opening in sorted(desired - opened):
        drops = "may drop" if opening in firewall.at_boot else "drops"
        text = f"{manager} {drops} connections from {render_opening(opening)}"
        text += " after a boot, because the engine can start before it answers" if drops == "may drop" else ""
        reasons.append(Reason("firewall_blocks", text, opening.interface))
    for opening in sorted(opened - desired):
        rule = f"a rule of this collection for connections from {render_opening(opening)}"
        text = f"{manager} has {rule}, which is not required"
        reasons.append(Reason("firewall_opened", text, opening.interface))
    if not reasons:
        reasons.append(
            Reason("firewall_leftover", f"{manager} has incomplete rules of this collection", "firewall")
        )
    return reasons


def plan_interrupted_run(state: ListenerState, restarts: bool) -> Part:
    """Plans the end of an interrupted run; a restart of the engine also starts the containers."""
    reasons: list[Reason] = []
    actions: list[Action] = []
    if state.stranded:
        text = f"an interrupted run left containers stopped: {', '.join(state.stranded)}"
        reasons.append(Reason("containers_stranded", text, ENGINE_UNIT))
        if not restarts:
            actions.append(StartContainers(state.stranded))
    if state.interrupted:
        text = "an earlier run was interrupted before its change was verified"
        reasons.append(Reason("run_interrupted", text, ENGINE_UNIT))
        actions.append(EndTransaction())
    return Part(reasons, actions)
