# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have a call decided: ask the engine what the policy has to know, and remember what follows.

A decision depends on the policy, the call and the facts only (see _policy/decide.py). The same call
with the same facts is therefore not decided twice. The facts are asked for each time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Optional, Tuple, Union

from ..._policy import decide
from ..._policy.call import Call
from ..._policy.decision import COUNT, MAX_ROUNDS, Allow, Deny, Facts, Found, Question
from ..._policy.render import render
from ..identities import Identity
from .inquiry import Inquiry

_REMEMBERED = 1024
_LONGEST = 512
"""Characters of a request's target that is remembered."""

Key = Tuple[str, ...]
Rendered = Tuple[str, str, Optional[bytes]]


class Undecided(Exception):
    """The policy asks without an end, or too much."""


@dataclass(frozen=True)
class Verdict:
    """A decision.

    Attributes:
        decision: what was decided.
        rendered: method, target and body for the engine; empty if it is refused.
        questions, answers: the facts that it rests on.
    """

    decision: Union[Allow, Deny]
    rendered: Rendered
    questions: Tuple[Question, ...] = ()
    answers: Tuple[Optional[Found], ...] = ()


class Decider:
    """Decides calls.

    Args:
        inquiry: answers questions.
        lookups: the most questions for one call.
    """

    def __init__(self, inquiry: Inquiry, lookups: int) -> None:
        self._inquiry = inquiry
        self._lookups = lookups
        self._remembered: dict[Key, Verdict] = {}

    def decide(
        self, identity: Identity, call: Call, line: Optional[Tuple[str, str]], hold: Callable[[], None]
    ) -> Verdict:
        """Decides a call.

        Args:
            identity: whose call it is.
            call: the call.
            line: method and target if they are all of the call; None if it has a body.
            hold: called before objects are counted; keeps other calls from being counted meanwhile.

        Raises:
            Undecided: see there.
            EngineDown: the engine does not answer.
        """
        name = identity.name
        me, version = self._inquiry.own_container(name), self._inquiry.version()
        key = None
        if line is not None and len(line[1]) <= _LONGEST:
            key = (name, identity.policy.version, *line, me, version)
        known = self._remembered.get(key) if key is not None else None
        answers: dict[Question, Optional[Found]] = {}
        if known is not None:
            found = tuple(self._inquiry.answer(question, name) for question in known.questions)
            if all(new is old for new, old in zip(found, known.answers)):
                return known
            answers = dict(zip(known.questions, found))
        verdict = self._decide(identity, call, Facts(me, version, answers), hold)
        if key is not None and _is_lasting(verdict):
            if len(self._remembered) >= _REMEMBERED:
                self._remembered.clear()
            self._remembered[key] = verdict
        return verdict

    def _decide(self, identity: Identity, call: Call, facts: Facts, hold: Callable[[], None]) -> Verdict:
        answers = dict(facts.answers)
        for _round in range(MAX_ROUNDS + 1):
            decision = decide.decide(identity.policy, call, Facts(facts.me, facts.api_version, answers))
            if isinstance(decision, (Allow, Deny)):
                rendered = render(decision.call) if isinstance(decision, Allow) else ("", "", None)
                return Verdict(decision, rendered, tuple(answers), tuple(answers.values()))
            if len(decision.questions) + len(answers) > self._lookups:
                raise Undecided("The call names too many objects.")
            if any(question.kind == COUNT for question in decision.questions):
                hold()
            for question in decision.questions:
                answers[question] = self._inquiry.answer(question, identity.name)
        raise Undecided("The gate cannot decide this call. It is a defect of the gate.")


def _is_lasting(verdict: Verdict) -> bool:
    return isinstance(verdict.decision, Allow) and all(
        question.kind != COUNT for question in verdict.questions
    )
