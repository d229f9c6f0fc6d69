# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The state of one decision: what is asked, what is known, and what the rules add to the answer."""

from __future__ import annotations

from typing import Any, Callable, Dict, Final, Iterable, List, Mapping, Optional, Set, cast

from .call import Call, Json
from .decision import (
    CONTAINER,
    COUNT,
    IMAGE,
    NETWORK,
    VOLUME,
    Facts,
    Found,
    ObjectKind,
    Question,
    Reach,
    Refusal,
)
from .names import has_label, match_name
from .policy import Policy
from .routes import Route
from .shapes import FREE, STRUCT, Field, Struct

DROP: Final = object()
"""What a rule returns for a field that is not forwarded."""
RuleResult = Any
Rule = Callable[["Scope", Json, str], RuleResult]
"""A rule of a field: see :mod:`_policy.rules`."""


class Pending(Exception):
    """A rule needs answers of the engine.

    Args:
        questions: what to ask.
    """

    def __init__(self, questions: Iterable[Question]) -> None:
        super().__init__()
        self.questions = tuple(questions)


class Scope:
    """One decision.

    Attributes:
        policy, facts, call, route: what is decided.
        rules: the rules of fields, by name.
        body: the whole body of the call, or an empty mapping.
        filling: whether missing limits and labels are filled in: for new objects only.
        resources: the fields of the limits: ``HostConfig`` of a new container, the body of an update.
        network: the network whose endpoint is being decided; None for the default bridge.
        image: the image ID that the new container must have.
        volumes: names of volumes to create before the call is forwarded.
        serialize: quotas that the call counts against.
        pending: questions whose answers are missing.
    """

    def __init__(
        self, policy: Policy, facts: Facts, call: Call, route: Route, rules: Mapping[str, Rule]
    ) -> None:
        self.policy, self.facts, self.call, self.route, self.rules = policy, facts, call, route, rules
        self.body: Mapping[str, Json] = call.body if isinstance(call.body, dict) else {}
        self.filling = route.name in (
            "container.create",
            "volume.create",
            "network.create",
            "commit",
            "build",
        )
        self.resources: Mapping[str, Json] = self.body
        if route.name == "container.create":
            self.resources = self.body.get("HostConfig", {})
        self.network: Optional[Found] = None
        self.image = ""
        self.volumes: List[str] = []
        self.serialize: Set[str] = set()
        self.pending: Dict[Question, None] = {}

    def apply(self, shape: Struct, value: Mapping[str, Json], where: str = "") -> Dict[str, Json]:
        """Return a document as it may be forwarded.

        Fields with a rule that are not set are left out. Questions of its rules are added to
        ``pending``, so that one round asks them all; the result is then incomplete.

        Raises:
            Refusal: a rule refuses a field.
        """
        kept: Dict[str, Json] = {}
        for row in shape.fields:
            item = value.get(row.name)
            if row.rule == FREE:
                if item is not None:
                    kept[row.name] = item
                continue
            unset = row.is_unset(item)
            if unset and not row.always:
                continue
            try:
                new = self._apply_rule(
                    row, None if unset else item, f"{where}.{row.name}" if where else row.name
                )
            except Pending as pending:
                self.pending.update(dict.fromkeys(pending.questions))
                continue
            if new is not DROP:
                kept[row.name] = new
        return kept

    def _apply_rule(self, row: Field, item: Json, where: str) -> RuleResult:
        if row.rule == STRUCT:
            return self.apply(cast(Struct, row.shape), item or {}, where) or DROP
        return self.rules[row.rule](self, item, where)

    def find_all(self, kind: ObjectKind, references: Iterable[str]) -> Dict[str, Optional[Found]]:
        """Return what the engine said about each reference.

        Raises:
            Pending: it has not been asked about all of them.
        """
        questions = {text: Question(kind, text) for text in dict.fromkeys(references)}
        missing = [question for question in questions.values() if question not in self.facts.answers]
        if missing:
            raise Pending(missing)
        return {text: self.facts.answers[question] for text, question in questions.items()}

    def find(self, kind: ObjectKind, reference: str) -> Optional[Found]:
        """Return what the engine said about one reference."""
        return self.find_all(kind, (reference,))[reference]

    def count(self, what: str, more: int = 1) -> None:
        """Count ``more`` new objects against a quota.

        Raises:
            Pending: the engine has not been asked how many there are.
            Refusal: there would be too many.
        """
        limit: Optional[int] = getattr(self.policy.limits, what)
        if limit is None or more == 0:
            return
        self.serialize.add(what)
        found = self.find(COUNT, what)
        if (found.count if found else 0) + more > limit:
            raise Refusal(
                "quota", f"This identity already has its number of {what}", allowed=f"At most {limit}",
                setting="limits",
            )  # fmt: skip

    def is_me(self, found: Found) -> bool:
        """Whether a container is the identity's own."""
        return bool(self.facts.me) and found.kind == CONTAINER and found.id == self.facts.me

    def is_own(self, found: Found) -> bool:
        """Whether the identity has created the object."""
        return bool(found.owner) and found.owner == self.policy.identity

    def is_target(self, found: Found) -> bool:
        """Whether a container is one of the policy's targets."""
        targets = self.policy.targets
        return found.kind == CONTAINER and (
            match_name(targets.names, found.name) or has_label(targets.labels, found.labels)
        )

    def reaches(self, reach: Optional[Reach], found: Found) -> bool:
        """Whether a power of this reach includes the object."""
        if reach == "all" or self.is_own(found):
            return reach is not None
        return reach == "targets" and self.is_target(found)

    def sees(self, found: Found) -> bool:
        """Whether the identity may know that the object exists."""
        if self.reaches(self.policy.reach("inspect"), found) or self.reaches(
            self.policy.reach("list"), found
        ):
            return True
        if found.kind == NETWORK:
            return found.name in self.policy.networks
        if found.kind == VOLUME:
            return found.name in self.policy.volumes
        return self.is_me(found)

    def own_container(self, reference: str, *, me: bool = False) -> Found:
        """Return a container that the identity has created, or with ``me`` its own one.

        Raises:
            Pending: the engine has not been asked about it.
            Refusal: there is none that it may use.
        """
        found = self.find(CONTAINER, reference)
        if found is None:
            raise no_such(CONTAINER, reference)
        if self.is_own(found) or (me and self.is_me(found)):
            return found
        raise self.not_own(found, reference)

    def not_own(self, found: Found, reference: str) -> Refusal:
        """An object of others: as if it did not exist, unless the identity may see it."""
        if not self.sees(found):
            return no_such(found.kind, reference)
        return Refusal(
            "not_owner", f"The {found.kind} {reference} was not created by this identity",
            allowed=f"Only what it has created, and the targets of {self.route.power}",
            setting="powers",
        )  # fmt: skip


_NO_SUCH = {
    CONTAINER: "No such container: {}",
    NETWORK: "network {} not found",
    VOLUME: "get {}: no such volume",
    IMAGE: "No such image: {}",
}


def no_such(kind: str, reference: str) -> Refusal:
    """What the engine says about an object that does not exist."""
    text = _NO_SUCH.get(kind, "No such exec instance: {}")
    return Refusal("not_found", text.format(reference), status=404)


def refuse_field(where: str, allowed: str = "Leave it out") -> Refusal:
    """A field that no policy but ``unrestricted`` allows."""
    return Refusal("field", f"{where} is not allowed", allowed=allowed)
