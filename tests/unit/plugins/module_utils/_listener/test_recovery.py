# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._listener.removal import (
    Recover,
    RecoveryState,
    plan_recovery,
)


def test_an_interrupted_change_is_undone_if_the_engine_does_not_answer():
    plan = plan_recovery(RecoveryState(interrupted=True, answers=False))
    assert plan.actions == (Recover(),)
    assert [reason.code for reason in plan.reasons] == ["run_interrupted"]


@pytest.mark.parametrize(
    "state",
    [
        RecoveryState(interrupted=True, answers=True),
        RecoveryState(interrupted=False, answers=False),
        RecoveryState(interrupted=False, answers=True),
    ],
)
def test_an_engine_that_answers_and_one_that_fails_for_another_reason_are_left_alone(state):
    assert plan_recovery(state).is_empty
