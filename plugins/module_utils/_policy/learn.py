# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From recorded calls to a policy: the smallest preset that fits, and the overrides that it needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from .._base.errors import InvalidInput
from .decision import ALL, CONTAINER, OWN, Deny
from .fitting import ON_ALL, Overrides, repositories, widen
from .images import EVERY_IMAGE
from .learned_call import LearnedCall, decide_again
from .naming import FOREIGN
from .policy import Policy
from .policy_file import parse_policy

SMALLEST_FIRST: Tuple[str, ...] = ("discover", "observe", "tend", "test", "ci", "compose", "update")
"""The presets in the order in which they are preferred if they fit equally well."""
_MAX_CHANGES = 40
"""Overrides that one call may need."""
_MANY_IMAGES = 40
_SHOWN = ("container.list", "events")


@dataclass(frozen=True)
class Counted:
    """A recorded call, and how often it came."""

    call: LearnedCall
    count: int = 1


@dataclass(frozen=True)
class Reason:
    """Why an override is needed.

    Attributes:
        section: the section of the overrides.
        routes: routes of the calls that need it.
        count: how many calls.
    """

    section: str
    routes: Tuple[str, ...]
    count: int


@dataclass(frozen=True)
class Suggestion:
    """A policy that fits recorded calls.

    Attributes:
        preset, overrides: the policy.
        reasons: why each section of the overrides is there, in its order.
        refused: calls that it refuses, with the refusal.
        calls: how many calls it rests on.
        hides: whether lists show the identity's own objects only.
    """

    preset: str
    overrides: Overrides
    reasons: Tuple[Reason, ...] = ()
    refused: Tuple[Tuple[Counted, Deny], ...] = ()
    calls: int = 0
    hides: bool = False


@dataclass
class _Fit:
    preset: str
    overrides: Overrides = field(default_factory=dict)
    needs: Dict[str, List[Counted]] = field(default_factory=dict)
    refused: List[Tuple[Counted, Deny]] = field(default_factory=list)


def suggest(
    identity: str, calls: Sequence[Counted], cleanup: Optional[Mapping[str, Any]] = None
) -> Suggestion:
    """Return the policy that refuses the fewest of the calls, and allows the least besides.

    Args:
        identity: the identity.
        calls: what was recorded. What no policy but ``unrestricted`` allows stays refused.
        cleanup: the overrides of the section ``cleanup``, which no call says anything about.
    """
    fits = [_fit(identity, preset, calls) for preset in SMALLEST_FIRST]
    best = min(fits, key=lambda fit: _cost(identity, fit, calls))
    _attribute(identity, best, calls)
    _narrow_images(identity, best, calls)
    _narrow_powers(identity, best, calls)
    policy = _policy(identity, best.preset, best.overrides)
    overrides = {**best.overrides, **({"cleanup": dict(cleanup)} if cleanup else {})}
    reasons = tuple(
        Reason(
            name,
            tuple(dict.fromkeys(counted.call.route for counted in best.needs.get(name, ()))),
            sum(counted.count for counted in best.needs.get(name, ())),
        )
        for name in best.overrides
    )
    return Suggestion(
        best.preset,
        overrides,
        reasons,
        tuple(best.refused),
        sum(counted.count for counted in calls),
        policy is not None and policy.reach("list") != ALL,
    )


def _policy(identity: str, preset: str, overrides: Overrides) -> Optional[Policy]:
    try:
        return parse_policy({"identity": identity, "preset": preset, "overrides": overrides})
    except InvalidInput:
        return None


def _fit(identity: str, preset: str, calls: Sequence[Counted]) -> _Fit:
    fit = _Fit(preset)
    policy = parse_policy({"identity": identity, "preset": preset})
    for counted in calls:
        overrides, current = fit.overrides, policy
        deny: Optional[Deny] = None
        for _change in range(_MAX_CHANGES):
            decision = decide_again(current, counted.call)
            deny = decision if isinstance(decision, Deny) else None
            wider = widen(current, overrides, counted.call, deny) if deny is not None else None
            following = None
            if wider is not None and wider != overrides:
                following = _policy(identity, preset, wider)
            if following is None or wider is None:
                break
            overrides, current = wider, following
        if deny is not None:
            # Part of what it needs would open more than nothing, and not be enough.
            fit.refused.append((counted, deny))
            continue
        fit.overrides, policy = overrides, current
    # What other calls needed may be enough for these.
    fit.refused = [row for row in fit.refused if isinstance(decide_again(policy, row[0].call), Deny)]
    return fit


def _attribute(identity: str, fit: _Fit, calls: Sequence[Counted]) -> None:
    """Find the calls that need each section: those that are refused without it."""
    refused = {id(counted) for counted, _deny in fit.refused}
    for name in fit.overrides:
        rest = {key: value for key, value in fit.overrides.items() if key != name}
        policy = _policy(identity, fit.preset, rest)
        if policy is None:
            continue
        fit.needs[name] = [
            counted
            for counted in calls
            if id(counted) not in refused and isinstance(decide_again(policy, counted.call), Deny)
        ]


def _cost(identity: str, fit: _Fit, calls: Sequence[Counted]) -> Tuple[int, ...]:
    policy = _policy(identity, fit.preset, fit.overrides)
    powers = fit.overrides.get("powers", {})
    hidden = policy is None or _hides(policy, calls)
    # An updater changes the containers of all others.
    too_large = fit.preset == "update" and not any(counted.call.copy for counted in calls)
    return (
        len(fit.refused),
        int(too_large),
        int(hidden),
        len(powers),
        len(fit.overrides),
        SMALLEST_FIRST.index(fit.preset),
    )


def _hides(policy: Policy, calls: Sequence[Counted]) -> bool:
    """Whether the policy hides containers from one who creates none, and so reads those of others."""
    routes = {counted.call.route for counted in calls}
    if "container.create" in routes or not routes.intersection(_SHOWN):
        return False
    if policy.reach("list") == ALL:
        return False
    others = [
        entry
        for counted in calls
        for key, entry in counted.call.objects.items()
        if key.startswith(f"{CONTAINER}:") and entry.get("is") == FOREIGN
    ]
    labels = set(policy.targets.labels)
    return not others or not all(labels.intersection(entry.get("labels") or ()) for entry in others)


def _narrow_images(identity: str, fit: _Fit, calls: Sequence[Counted]) -> None:
    """List the images that were used, if the preset allows every image."""
    policy = _policy(identity, fit.preset, fit.overrides)
    if policy is None or EVERY_IMAGE not in policy.images:
        return
    using = [counted for counted in calls if repositories(counted.call)]
    names = sorted({name for counted in using for name in repositories(counted.call)})
    if not 0 < len(names) <= _MANY_IMAGES:
        return
    overrides = {**fit.overrides, "images": names}
    if _is_enough(identity, fit, overrides, calls):
        fit.overrides = overrides
        fit.needs["images"] = using


def _narrow_powers(identity: str, fit: _Fit, calls: Sequence[Counted]) -> None:
    """Let powers reach no more than they need to, with all other overrides."""
    for power, reach in fit.overrides.get("powers", {}).items():
        overrides = {**fit.overrides, "powers": {**fit.overrides["powers"], power: OWN}}
        if reach == ALL and power in ("login", *ON_ALL) and _is_enough(identity, fit, overrides, calls):
            fit.overrides = overrides


def _is_enough(identity: str, fit: _Fit, overrides: Overrides, calls: Sequence[Counted]) -> bool:
    """Whether overrides allow all calls that those of a fit allow."""
    policy = _policy(identity, fit.preset, overrides)
    refused = {id(counted) for counted, _deny in fit.refused}
    return policy is not None and all(
        id(counted) in refused or not isinstance(decide_again(policy, counted.call), Deny)
        for counted in calls
    )


@dataclass(frozen=True)
class Replayed:
    """A recorded call that a policy refuses."""

    counted: Counted
    deny: Deny


def replay(policy: Policy, calls: Sequence[Counted]) -> List[Replayed]:
    """Return the recorded calls that a policy refuses."""
    found = []
    for counted in calls:
        decision = decide_again(policy, counted.call)
        if isinstance(decision, Deny):
            found.append(Replayed(counted, decision))
    return found
