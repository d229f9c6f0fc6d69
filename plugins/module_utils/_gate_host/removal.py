# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans how the gate is removed from a host."""

from __future__ import annotations

from .._base.errors import Refused
from .._base.plan import Plan, Reason
from .._gate import config, units
from .._gate.ending import KEPT
from . import desired, model
from .model import Action, GateHostState
from .spec import GateHostSpec


def plan_removal(spec: GateHostSpec, state: GateHostState) -> Plan[Action]:
    """Plans the removal of the service, its doors, policies, files and user, and of what wormholes have created.

    Raises:
        Refused: running containers have access through the gate.
    """
    things = _find(state)
    users = [name for name in state.users if name not in spec.wormholes_removed]
    if things and users:
        raise Refused(
            units.SERVICE,
            problem=f"Running containers reach the engine through the gate: {', '.join(users)}",
            remedy="Stop them, or remove them by wormhole_container with state absent",
        )
    names = tuple(sorted({*state.doors, *_existing_units(state)}))
    files = tuple(sorted({*(path for path in state.files if not _is_unit(path)), *state.leftovers}))
    actions: list[Action] = []
    if state.siblings:
        # First: only the program knows what the policies say.
        actions.append(model.EndSiblings(state.siblings))
    if names:
        actions.append(model.RemoveUnits(names))
    if files:
        actions.append(model.RemoveFiles(files))
    if state.directories:
        actions.append(model.RemoveDirectories(tuple(sorted(state.directories))))
    if _has_our_user(state):
        actions.append(model.RemoveUser())
    reasons = tuple(Reason("gate_surplus", text, subject) for subject, text in things.items())
    return Plan(dict.fromkeys(things, "exists"), dict.fromkeys(things, ""), reasons, tuple(actions))


def _find(state: GateHostState) -> dict[str, str]:
    """What is removed, each with a reason."""
    found = {name: f"unit {name} exists" for name in sorted({*state.doors, *_existing_units(state)})}
    policies = {f"{config.POLICIES}/{name}.json": f"{name} has a policy" for name in state.policies}
    files = {path: f"{path} exists" for path in (*state.files, *state.leftovers) if not _is_unit(path)}
    directories = {path: f"{path} exists" for path in state.directories}
    user = {f"user {units.USER}": f"the user {units.USER} exists"} if _has_our_user(state) else {}
    siblings = {
        f"{ending.kind} {ending.name}": f"{ending.identity} has created it, and its policy wants it {ending.action}"
        for ending in state.siblings
        if ending.action != KEPT
    }
    return {**siblings, **found, **policies, **files, **directories, **user}


def _existing_units(state: GateHostState) -> list[str]:
    return [
        name
        for name in desired.UNITS
        if units.unit_path(name) in state.files or state.units.get(name, model.Unit()) != model.Unit()
    ]


def _has_our_user(state: GateHostState) -> bool:
    """Whether there is a user as this collection creates it."""
    return state.user is not None and state.user.is_ours


def _is_unit(path: str) -> bool:
    return path in map(units.unit_path, desired.UNITS)
