# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a policy says about one call that somebody writes down. The engine is not asked."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional, Tuple

from .._base.errors import InvalidInput
from .call import JSON, Head
from .decide import decide
from .decision import (
    CONTAINER,
    COUNT,
    EXEC,
    IMAGE,
    LABEL_OWNER,
    NETWORK,
    TEMPLATE,
    VOLUME,
    Allow,
    Ask,
    Decision,
    Deny,
    Facts,
    Found,
    Question,
)
from .naming import FOREIGN, MISSING, OWN, SELF
from .parse import parse, route_of
from .policy import Policy
from .refusal import render_refusal
from .routes import ROUTES

ASSUMPTIONS: Tuple[str, ...] = (OWN, FOREIGN, SELF, MISSING)
"""What the containers, networks and volumes of a call can be to the identity."""
_ROUNDS = 8
_ME = "the wormhole's own container"


def explain(policy: Policy, method: str, target: str, body: Any, assumed: str) -> Dict[str, Any]:
    """Return the decision about a call, with its reason.

    Mode and ``until`` do not matter: it says what ``enforce`` answers.

    Args:
        policy: the policy.
        method, target: of the request: ``GET``, ``/containers/web/json?size=1``.
        body: its JSON body; None if it has none.
        assumed: what containers, networks and volumes are to the identity: one of ``ASSUMPTIONS``. Those that
            the policy lists by name exist, images exist under the name that the call uses, and the
            identity has nothing yet that counts against a limit.

    Raises:
        InvalidInput: the assumption is unknown.
    """
    if assumed not in ASSUMPTIONS:
        raise InvalidInput("explain.object", expected=f"one of {', '.join(ASSUMPTIONS)}", found=repr(assumed))
    head = route_of(method.upper(), target)
    if isinstance(head, Deny):
        return _result(policy, head, "", "")
    route = ROUTES[head.route]
    decision = _decide(policy, head, body, assumed)
    return _result(policy, decision, route.power, f"{route.method} {route.path}")


def _decide(policy: Policy, head: Head, body: Any, assumed: str) -> Decision:
    content = None if body is None else json.dumps(body).encode()
    call = parse(head, "application/json" if content and head.body == JSON else "", content)
    if isinstance(call, Deny):
        return call
    answers: Dict[Question, Optional[Found]] = {}
    for _round in range(_ROUNDS):
        decision = decide(policy, call, Facts(_ME, "", answers))
        if not isinstance(decision, Ask):
            return decision
        answers.update({question: _answer(policy, question, assumed) for question in decision.questions})
    return Deny(403, "too_many_objects", "The call names too many objects")


def _answer(policy: Policy, question: Question, assumed: str) -> Optional[Found]:
    kind, name = question.kind, question.reference
    if kind == COUNT:
        return Found(COUNT, count=0)
    if kind == TEMPLATE:
        return None
    if kind == IMAGE:
        return Found(IMAGE, f"image {name}", references=(name,))
    if kind == EXEC:
        return Found(EXEC, name, container="the container of the exec instance")
    if (kind == NETWORK and name in ("bridge", *policy.networks)) or (
        kind == VOLUME and name in policy.volumes
    ):
        return Found(kind, name, name)
    if assumed == MISSING:
        return None
    if assumed == SELF and kind == CONTAINER:
        return Found(CONTAINER, _ME, name)
    labels: Mapping[str, str] = {} if assumed == FOREIGN else {LABEL_OWNER: policy.identity}
    return Found(kind, name if kind == VOLUME else f"{kind} {name}", name, labels)


def _result(policy: Policy, decision: Decision, power: str, route: str) -> Dict[str, Any]:
    if isinstance(decision, Allow):
        sentence = f"The policy {policy.preset} of {policy.identity} allows this, by the power {power}."
        return {
            "allowed": True, "code": "", "sentence": sentence, "setting": "", "status": 0, "power": power, "route": route
        }  # fmt: skip
    deny = decision if isinstance(decision, Deny) else Deny(403, "too_many_objects", "Undecided")
    return {
        "allowed": False,
        "code": deny.code,
        "sentence": render_refusal(policy, deny),
        "setting": f"policy_overrides.{deny.setting}" if deny.setting else "",
        "status": deny.status,
        "power": power,
        "route": route,
    }
