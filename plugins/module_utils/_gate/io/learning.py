# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find out what a call is about, and have it recorded, before it is forwarded.

Modes ``learn`` and ``warn`` record every call. A policy that refuses a call early has not asked about its
objects: they are asked for here. Mode ``enforce`` records refusals, and asks nothing.
"""

from __future__ import annotations

from typing import Dict, Mapping, Optional

from ..._policy.call import Call
from ..._policy.decision import CONTAINER, Deny, Facts, Found, Question
from ..._policy.learned_call import LearnedCall, generalise, record_rejected
from ..._policy.policy import ENFORCE, Policy
from ..learned import Outcome
from .engine import EngineDown
from .inquiry import Inquiry
from .recorder import Recorder

_ROUNDS = 4
_REPLACING = ("container.stop", "container.kill", "container.rename", "container.delete")
"""What updaters do to a container before they create its copy."""


class Learning:
    """Records calls.

    Args:
        inquiry: answers questions about objects.
        recorder: counts and keeps.
        lookups: the most questions for one call.
    """

    def __init__(self, inquiry: Inquiry, recorder: Recorder, lookups: int) -> None:
        self._inquiry, self._recorder, self._lookups = inquiry, recorder, lookups

    def note(
        self,
        policy: Policy,
        call: Call,
        answers: Mapping[Question, Optional[Found]],
        deny: Optional[Deny],
        code: str,
    ) -> None:
        """Records a call that a policy has decided.

        Args:
            policy: the policy.
            call: the call.
            answers: what the engine said while it was decided.
            deny: the refusal, if it is one.
            code: its reason code, or the power that allows the call.
        """
        if policy.mode == ENFORCE and deny is None:
            return
        self._recorder.note(
            policy.identity, self._generalise(policy, call, answers), _outcome(policy, deny, code)
        )

    def note_rejected(self, policy: Policy, deny: Deny, route: str, method: str, target: str) -> None:
        """Records a call that was refused before a policy was asked."""
        found = record_rejected(deny, route, method, target)
        self._recorder.note(policy.identity, found, _outcome(policy, deny, deny.code))

    def _generalise(
        self, policy: Policy, call: Call, known: Mapping[Question, Optional[Found]]
    ) -> LearnedCall:
        answers: Dict[Question, Optional[Found]] = dict(known)
        me = ""
        try:
            me = self._inquiry.own_container(policy.identity)
            for _round in range(_ROUNDS):
                found, missing = generalise(policy, call, Facts(me, "", answers))
                if not missing or policy.mode == ENFORCE or len(answers) + len(missing) > self._lookups:
                    break
                for question in missing:
                    answers[question] = self._inquiry.answer(question, policy.identity)
            self._remember(policy, call, answers)
        except EngineDown:
            found, _missing = generalise(policy, call, Facts(me, "", answers))
        return found

    def _remember(self, policy: Policy, call: Call, answers: Mapping[Question, Optional[Found]]) -> None:
        """Keeps the configuration of a container of others, so that its copy is recognised."""
        if policy.mode == ENFORCE or call.route not in _REPLACING:
            return
        found = answers.get(Question(CONTAINER, call.names.get(CONTAINER, "")))
        if found is not None and found.owner != policy.identity:
            self._inquiry.remember(policy.identity, found.id)


def _outcome(policy: Policy, deny: Optional[Deny], code: str) -> Outcome:
    refused = "deny" if policy.mode == ENFORCE and not policy.relays else "would_deny"
    return Outcome(refused if deny is not None else "allow", code, policy.version, policy.mode)
