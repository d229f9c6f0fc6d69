# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe, plan, apply, observe and plan again: the one place that knows about check mode.

Modules hand four functions to :func:``execute``; it returns the module's result. :func:``run`` wraps a whole module
and turns the collection's errors into ``fail_json``.
"""

from __future__ import annotations

from typing import Any, Callable, TypeVar

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import NotConverged, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan

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
) -> dict[str, Any]:
    """Brings the observed state to the desired one.

    Args:
        check_mode: whether to stop after planning.
        subject: what the module manages, for the message when it does not converge.
        observe: reads the present state, without changing it.
        plan: decides; see :mod:``_core.plan``.
        apply: carries out a plan that is not empty.
        prepare: puts right what keeps the state from being read; not called in check mode.
        give_up: what a run that cannot go on has to clean up, before its error is raised; not called in check mode.
        describe: return values made from the last state that was observed and the first plan.

    Returns:
        the module's result: ``changed``, ``reasons``, ``diff`` and what ``describe`` adds.

    Raises:
        NotConverged: what is observed after applying still differs from what was asked for.
    """
    if check_mode:
        state = observe()
        first = plan(state)
    else:
        state, first = _change(subject, observe, plan, apply, prepare, give_up)
    return {
        "changed": not first.is_empty,
        "reasons": [reason.as_dict() for reason in first.reasons],
        "diff": {"before": dict(first.before), "after": dict(first.after)},
        **describe(state, first),
    }


def _change(
    subject: str,
    observe: Callable[[], StateT],
    plan: Callable[[StateT], Plan[Any]],
    apply: Callable[[Plan[Any]], None],
    prepare: Callable[[], None],
    give_up: Callable[[WormholeError], WormholeError],
) -> tuple[StateT, Plan[Any]]:
    """Carries out what is planned; returns the state that it has led to, and the plan."""
    try:
        prepare()
        state = observe()
        first = plan(state)
    except WormholeError as error:
        failure = give_up(error)
        if failure is error:
            raise
        raise failure from error
    if first.is_empty:
        return state, first
    apply(first)
    state = observe()
    left = plan(state)
    if not left.is_empty:
        raise NotConverged(
            subject,
            expected="nothing left to do after the change",
            found="; ".join(left.texts()),
            remedy="Something else changes the same objects, or this is a defect; please report it with this text.",
        )
    return state, first


def run(module: AnsibleModule, main: Callable[[AnsibleModule], dict[str, Any]]) -> None:
    """Runs a module's body and ends the process with its result or its error."""
    try:
        result = main(module)
    except WormholeError as error:
        module.fail_json(msg=str(error), error=error.as_dict(), **error.facts())
    else:
        module.exit_json(**result)
