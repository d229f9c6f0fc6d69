# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides whether a change that a run has not ended has to be undone before anything else can be done."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import ENGINE_UNIT
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason


@dataclass(frozen=True)
class RecoveryState:
    """What is observed.

    Attributes:
        interrupted: a run has begun a change and not ended it.
        answers: the engine answers.
    """

    interrupted: bool
    answers: bool


@dataclass(frozen=True)
class Recover:
    """Put the former state back."""


def plan_recovery(state: RecoveryState) -> Plan[Recover]:
    """Decides: where the engine answers, the next run goes on from what it finds."""
    if not state.interrupted or state.answers:
        return Plan()
    text = "the engine does not run with a change that an earlier run has not ended"
    return Plan(
        before={ENGINE_UNIT: "half changed"},
        after={ENGINE_UNIT: "as before that run"},
        reasons=(Reason("run_interrupted", text, ENGINE_UNIT),),
        actions=(Recover(),),
    )
