# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides what gives an identity its access through the gate, and what takes it away.

A change of the policy alone replaces one file. The gate reads it with the next call, and no
container and no stream is disturbed.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from .._base.plan import Plan, Reason
from .._gate import units
from .._gate.ending import KEPT, REMOVED, STOPPED, name_endings
from .model import (
    AccessAction,
    AccessState,
    CloseDoor,
    EndSiblings,
    OpenDoor,
    RemovePolicy,
    RequireGate,
    WritePolicy,
)
from .spec import AccessSpec, read_policy

SERVE = "Set listener_served_by: gate for the host, or use transport unix"
INSTALL = "Run the playbook wormhole.docker.provision, or the role wormhole.docker.gate"


def plan_access(
    spec: AccessSpec,
    state: AccessState,
    user: Optional[int],
    *,
    issuing: bool = False,
    served_by_gate: bool = True,
) -> Plan[AccessAction]:
    """Plan the access of an identity.

    Args:
        user: number of the user to whom the door has to belong; None to keep the present owner.
        issuing: whether a certificate of the identity is issued first.
        served_by_gate: whether the gate serves TLS on this host, and dockerd does not.
    """
    reasons: list[Reason] = []
    actions: list[AccessAction] = []
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    if not spec.door and spec.restricts and not served_by_gate:
        text = "dockerd serves TLS on this host, and would let its certificate go around the policy"
        reasons.append(Reason("gate_bypassed", text, spec.identity))
        problem = f"{spec.identity} has policy {spec.preset}, but {text}"
        actions.append(RequireGate(spec.identity, problem, SERVE))
    if not state.gate:
        problem = f"{spec.identity} has a policy, and the gate is not installed on this host"
        reasons.append(Reason("gate_missing", "the gate is not installed", spec.identity))
        actions.append(RequireGate(spec.identity, problem, INSTALL))
    found = list(_policy_reasons(spec, state, issuing=issuing))
    if found:
        reasons += found
        actions.append(WritePolicy(spec.identity, spec.document, spec.certificates))
        before["policy"], after["policy"] = _shown(state.policy), _describe(spec, state, issuing=issuing)
        if state.replay:
            before["recorded_calls"], after["recorded_calls"] = "", state.replay
    owner = _door_owner(state, user)
    door = list(_door_reasons(spec, state, owner)) if spec.door else []
    if door:
        reasons += door
        actions.append(OpenDoor(spec.identity, owner))
        before["door"], after["door"] = _show_door(spec, state), {"path": _path(spec), "user": owner}
    if not spec.door and state.has_door:
        reasons.append(Reason("door_surplus", f"{_path(spec)} is not needed any more", spec.identity))
        actions.append(CloseDoor(spec.identity))
        before["door"], after["door"] = _show_door(spec, state), None
    return Plan(before, after, tuple(reasons), tuple(actions))


def plan_removal(states: Mapping[str, AccessState]) -> Plan[AccessAction]:
    """Plan to take the access of identities that nobody uses any more.

    Args:
        states: the state of each, by name.
    """
    reasons: list[Reason] = []
    actions: list[AccessAction] = []
    before: dict[str, Any] = {}
    siblings: dict[str, Any] = {}
    for identity, state in sorted(states.items()):
        if state.has_door:
            text = f"the socket {units.socket_path(identity)} of {identity} is not needed any more"
            reasons.append(Reason("door_surplus", text, identity))
            actions.append(CloseDoor(identity))
        if state.siblings:
            reasons += _sibling_reasons(identity, state)
            # Nobody can create more, and the policy still says what to do: a run that is killed here
            # is continued by the next one.
            actions.append(EndSiblings(identity, state.siblings))
            siblings[identity] = [
                f"{ending.kind} {ending.name}" for ending in state.siblings if ending.action != KEPT
            ]
        if state.policy is not None:
            text = f"the policy of {identity} is not needed any more"
            reasons.append(Reason("policy_surplus", text, identity))
            actions.append(RemovePolicy(identity))
        if state.has_door or state.policy is not None:
            before[identity] = _shown(state.policy)
    sides: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    if before:
        sides = {"policies": before}, {"policies": dict.fromkeys(before)}
    if any(siblings.values()):
        sides[0]["siblings"], sides[1]["siblings"] = siblings, {name: [] for name in siblings}
    return Plan(*sides, tuple(reasons), tuple(actions))


def _sibling_reasons(identity: str, state: AccessState) -> Iterable[Reason]:
    for action in (REMOVED, STOPPED):
        names = name_endings(state.siblings, action)
        if names:
            text = f"{identity} has created what its policy wants {action}: {names}"
            yield Reason("siblings_surplus", text, identity)


def _policy_reasons(spec: AccessSpec, state: AccessState, *, issuing: bool) -> Iterable[Reason]:
    if state.policy is None:
        yield Reason("policy_missing", "its policy does not exist", spec.identity)
        return
    found = read_policy(state.policy)
    if found is None:
        yield Reason("policy_differs", "the file of its policy is malformed", spec.identity)
        return
    policy, prints = found
    expected = spec.document
    different = [key for key in {**expected, **policy} if expected.get(key) != policy.get(key)]
    if different:
        text = f"its policy differs in {', '.join(different)}"
        if different == ["preset"] or different == ["mode"]:
            key = different[0]
            text = f"policy: expected {key} {expected[key]}, found {policy.get(key)}"
        yield Reason("policy_differs", text, spec.identity)
    if issuing or set(prints) != set(state.fingerprints):
        yield Reason("policy_certificate_differs", "its policy admits another certificate", spec.identity)
    if not state.protected:
        yield Reason("policy_mode_differs", "owner or mode of its policy's file differ", spec.identity)


def _door_reasons(spec: AccessSpec, state: AccessState, owner: int) -> Iterable[Reason]:
    path = _path(spec)
    if state.unit is None or state.owner is None or not state.enabled:
        what = "has no unit" if state.unit is None else "does not exist" if state.owner is None else ""
        yield Reason("door_missing", f"{path} {what or 'is not enabled at boot'}", spec.identity)
    elif state.owner != owner:
        text = f"{path} belongs to user {state.owner}, and the container runs as user {owner}"
        yield Reason("door_owner_differs", text, spec.identity)
    elif state.unit != units.render_unix(spec.identity, owner) or not state.private:
        yield Reason("door_differs", f"the unit or the mode of {path} differs", spec.identity)


def _door_owner(state: AccessState, user: Optional[int]) -> int:
    """Return the owner of the door; root until the user of a container is known."""
    return user if user is not None else state.owner or 0


def _path(spec: AccessSpec) -> str:
    return units.socket_path(spec.identity)


def _shown(text: Optional[str]) -> Any:
    """Return a policy's file for the diff. Of certificates, it has nothing but fingerprints."""
    found = read_policy(text)
    if found is None:
        return None if text is None else "malformed"
    policy, prints = found
    return {**policy, **({"certificates": list(prints)} if prints else {})}


def _describe(spec: AccessSpec, state: AccessState, *, issuing: bool) -> dict[str, Any]:
    prints: Any = sorted(state.fingerprints)
    if issuing:
        prints = "of the certificate that is issued"
    return {**spec.document, **({"certificates": prints} if prints else {})}


def _show_door(spec: AccessSpec, state: AccessState) -> Any:
    return {"path": _path(spec), "user": state.owner} if state.has_door else None
