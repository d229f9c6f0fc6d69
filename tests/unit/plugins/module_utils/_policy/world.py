# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Policies and an engine with objects of several owners, for the tests of this slice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.wormhole.docker.plugins.module_utils._policy.call import Call, Head
from ansible_collections.wormhole.docker.plugins.module_utils._policy.decide import decide
from ansible_collections.wormhole.docker.plugins.module_utils._policy.decision import (
    LABEL_OWNER,
    MAX_ROUNDS,
    Allow,
    Ask,
    Decision,
    Deny,
    Facts,
    Found,
    Question,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.parse import parse, route_of
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy import Policy
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy_file import parse_policy

OWN, OTHER, ME = "11" * 32, "22" * 32, "33" * 32
"""Full IDs of a container of the identity, of one of another identity, and of the identity's own."""
OWN_NETWORK, OTHER_NETWORK, SHARED_NETWORK, BRIDGE = "44" * 32, "55" * 32, "66" * 32, "77" * 32
OWN_EXEC, OTHER_EXEC = "88" * 32, "99" * 32
IMAGE_ID, SECRET_ID = "sha256:" + "aa" * 32, "sha256:" + "bb" * 32
MINE, THEIRS = {LABEL_OWNER: "ci"}, {LABEL_OWNER: "other"}

_OBJECTS = [
    Found("container", OWN, "mine", MINE),
    Found("container", OTHER, "theirs", {**THEIRS, "autoheal": "true"}),
    Found("container", ME, "self", {"wormhole.docker.identity": "ci"}),
    Found("network", OWN_NETWORK, "mynet", MINE),
    Found("network", OTHER_NETWORK, "theirnet", THEIRS),
    Found("network", SHARED_NETWORK, "shared", {}),
    Found("network", BRIDGE, "bridge", {}),
    Found("volume", "myvol", "myvol", MINE),
    Found("volume", "theirvol", "theirvol", THEIRS),
    Found("volume", "cache", "cache", {}),
    Found("image", IMAGE_ID, references=("alpine:latest", "alpine:3.20", "alpine@sha256:" + "cc" * 32)),
    Found("image", SECRET_ID, references=("registry.lan/secret:1",)),
    Found("image", "sha256:" + "dd" * 32, references=("ci/app:1",)),
    Found("image", "sha256:" + "ee" * 32, references=("ci/tool:1", "prod/tool:1")),
    Found("exec", OWN_EXEC, container=OWN),
    Found("exec", OTHER_EXEC, container=OTHER),
]
COUNTS = {"containers": 3, "running": 2, "networks": 1, "volumes": 1}


class World:
    """An engine that answers questions.

    Args:
        templates: inspected configurations by the name of a container.
        counts: how many objects the identity has.

    Attributes:
        running: whether containers run.
    """

    def __init__(
        self, templates: Optional[Dict[str, Any]] = None, counts: Optional[Dict[str, int]] = None
    ) -> None:
        self.running = False
        self.templates, self.counts = templates or {}, {**COUNTS, **(counts or {})}
        self.asked: List[Question] = []

    def answer(self, question: Question) -> Optional[Found]:
        self.asked.append(question)
        if question.kind == "count":
            return Found("count", count=self.counts[question.reference])
        if question.kind == "template":
            config = self.templates.get(question.reference)
            return Found("template", name=question.reference, config=config) if config else None
        for found in _OBJECTS:
            if found.kind == question.kind and _names(found, question.reference):
                return replace(found, running=self.running)
        return None


def _names(found: Found, reference: str) -> bool:
    if found.kind == "image":
        digest = found.id.partition(":")[2]
        familiar = reference.replace("docker.io/library/", "").replace("docker.io/", "")
        tagged = familiar if ":" in familiar.rpartition("/")[2] or "@" in familiar else f"{familiar}:latest"
        return tagged in found.references or reference == found.id or digest.startswith(reference)
    return reference == found.name or (len(reference) > 3 and found.id.startswith(reference))


RESTRICTED = {"level": "restricted", "images": ["alpine"], "limits": {"memory": "1g", "cpus": 4}}
"""The overrides that the level ``restricted`` needs."""


def make_policy(preset: str = "test", mode: str = "enforce", **overrides: Any) -> Policy:
    """Return the policy of the identity ``ci``."""
    return parse_policy({"identity": "ci", "preset": preset, "mode": mode, "overrides": overrides})


def read(method: str, target: str, body: Any = None, content_type: str = "application/json") -> Call | Deny:
    """Parse a request as the program does. A body of bytes is sent as it is."""
    head = route_of(method, target)
    if isinstance(head, Deny):
        return head
    assert isinstance(head, Head)
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    return parse(head, content_type if raw else "", raw)


def run(
    policy: Policy, method: str, target: str, body: Any = None, world: Optional[World] = None, **facts: Any
) -> Decision:
    """Parse a request and decide it, asking the world as often as the program would."""
    call = read(method, target, body)
    return call if isinstance(call, Deny) else settle(policy, call, world, **facts)


def settle(policy: Policy, call: Call, world: Optional[World] = None, **facts: Any) -> Decision:
    """Decide a call, asking the world as often as the program would."""
    world = world or World()
    answers: Dict[Question, Optional[Found]] = {}
    for _round in range(MAX_ROUNDS):
        decision = decide(policy, call, Facts(facts.get("me", ME), facts.get("api", "1.52"), answers))
        if not isinstance(decision, Ask):
            return decision
        assert decision.questions
        assert not set(decision.questions) & set(answers), "it asks again what it knows"
        answers = {**answers, **{question: world.answer(question) for question in decision.questions}}
    raise AssertionError("it asks too often")


def allowed(decision: Decision) -> Allow:
    """Return a decision that allows the call."""
    assert isinstance(decision, Allow), decision
    return decision


def refused(decision: Decision | Call) -> Tuple[int, str]:
    """Return status and code of a refusal."""
    assert isinstance(decision, Deny), decision
    return decision.status, decision.code


def create(
    policy: Policy, host: Any = None, world: Optional[World] = None, name: str = "new", **config: Any
) -> Decision:
    """Decide the creation of a container."""
    body = {"Image": "alpine", "HostConfig": host or {}, **config}
    return run(policy, "POST", f"/v1.45/containers/create?name={name}", body, world)
