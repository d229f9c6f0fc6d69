# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe, plan, apply, observe and plan again. Only this file depends on check mode."""

from __future__ import annotations

from typing import Any, Callable, TypeVar

from .._base.errors import NotConverged, WormholeError
from .._base.plan import Plan

StateT = TypeVar("StateT")


def execute(
    *,
    check_mode: bool,
    subject: str,
    observe: Callable[[], StateT],
    plan: Callable[[StateT], Plan[Any]],
    apply: Callable[[Plan[Any]], None],
    describe: Callable[[StateT, Plan[Any]], dict[str, Any]] = lambda state, plan: {},
    prepare: Callable[[], None] = lambda: None,
    give_up: Callable[[WormholeError], WormholeError] = lambda error: error,
    plans_only: bool = False,
) -> dict[str, Any]:
    """Bring the observed state to the desired one.

    Args:
        check_mode: whether to stop after planning.
        subject: the managed object, for messages.
        observe: reads the current state without changing it.
        plan: plans the change; see :mod:`_base.plan`.
        apply: carries out a plan that is not empty.
        describe: makes return values of the last observed state and the first plan.
        prepare: repairs what prevents the state from being read; not called in check mode.
        give_up: cleans up if the run fails before a change, and returns the error to raise; not
            called in check mode.
        plans_only: whether to stop after planning without check mode. An unusable state that an
            interrupted run has left is then repaired first, as before a change.

    Returns:
        ``changed``, ``reasons``, ``diff`` and the values of ``describe``.

    Raises:
        NotConverged: after the change, the observed state still differs from the desired one.
    """
    if check_mode:
        state = observe()
        first = plan(state)
    else:
        state, first = _plan(observe, plan, prepare, give_up)
        if not plans_only and not first.is_empty:
            state = _change(subject, first, observe, plan, apply)
    return {
        "changed": not first.is_empty,
        "reasons": [reason.as_dict() for reason in first.reasons],
        "diff": {"before": dict(first.before), "after": dict(first.after)},
        **describe(state, first),
    }


def collect(check_mode: bool, needs: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what a run needs before it carries out its plans; nothing in check mode.

    Args:
        needs: makes keys and requests for certificates, which is a change.
    """
    return {} if check_mode else needs()


def _plan(
    observe: Callable[[], StateT],
    plan: Callable[[StateT], Plan[Any]],
    prepare: Callable[[], None],
    give_up: Callable[[WormholeError], WormholeError],
) -> tuple[StateT, Plan[Any]]:
    """Observe and plan; repair first what an interrupted run has left unusable."""
    try:
        prepare()
        state = observe()
        return state, plan(state)
    except WormholeError as error:
        failure = give_up(error)
        if failure is error:
            raise
        raise failure from error


def _change(
    subject: str,
    first: Plan[Any],
    observe: Callable[[], StateT],
    plan: Callable[[StateT], Plan[Any]],
    apply: Callable[[Plan[Any]], None],
) -> StateT:
    """Carry out a plan that is not empty; return the resulting state."""
    apply(first)
    state = observe()
    left = plan(state)
    if not left.is_empty:
        found = "; ".join(left.texts())
        problem = f"{subject} still differs after the change: {found}"
        remedy = "Find what else changes the same objects; if nothing does, report a defect with this text"
        raise NotConverged(subject, found=found, problem=problem, remedy=remedy)
    return state
