# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A call as it is recorded: what policies decide by, and nothing else.

``generalise()`` makes such a record of a call. ``decide_again()`` decides it by any policy as that policy
would have decided the call. Two things are an exception, because they are not recorded: labels that a policy
requires count as set, and images that it pins count as the right ones.
"""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple, Union, cast

from . import generalised
from .call import Call, Json
from .decide import decide
from .decision import CONTAINER, COUNT, IMAGE, Allow, Ask, Deny, Facts, Found, Question
from .images import parse_image, registry_of
from .naming import (
    MALFORMED,
    MISSING,
    OTHER,
    UNKNOWN,
    Naming,
    TooManyObjects,
    calm,
    new_name,
    restore_facts,
    word,
)
from .parameter_rules import ALLOWED_CHANGE, ALLOWED_PS_ARGS
from .policy import Policy
from .policy_file import PRESETS, parse_policy
from .routes import ROOT_ONLY, ROUTES
from .shapes import FREE

LONGEST = 4096
"""Bytes of a record. Of a call with more, only route, object and decision are kept."""
TARGET_LABELS: Tuple[str, ...] = tuple(
    sorted({text for preset in PRESETS.values() for text in preset.get("targets", {}).get("labels", ())})
)
"""The labels by which presets select containers."""
_COPIED = ("container.create", "network.connect")
_MAX_ROUNDS = 8
_QUOTED = ("unknown_route", "unknown_parameter", "unknown_field")
"""Reasons whose sentence names what the tables lack, and no value."""


@dataclass(frozen=True)
class LearnedCall:
    """One kind of call.

    Attributes:
        route: name of the route; empty if the tables have none.
        names: the reference in the path, by the name of its place.
        query, body: parameters and fields that a rule decides, generalised; body is None if there is none.
        objects: what the objects are to the identity: see ``naming.Naming``.
        copy: whether a new container, or a connection, repeats what the previous container of its name had.
        rejected: reason code of a call that is refused before a policy is asked.
        detail: the sentence of that reason, if it names no value of the client.
    """

    route: str
    names: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, Json] = field(default_factory=dict)
    body: Json = None
    objects: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    copy: bool = False
    rejected: str = ""
    detail: str = ""

    def as_data(self) -> Dict[str, Json]:
        """The record as a JSON object; what is empty is left out."""
        found = {name: getattr(self, name) for name in _ATTRIBUTES}
        kept = {
            name: value for name, value in found.items() if value or (name == "body" and value is not None)
        }
        return json.loads(json.dumps(kept))  # type: ignore[no-any-return]

    @property
    def key(self) -> str:
        """Calls with the same key are of the same kind."""
        return json.dumps(self.as_data(), sort_keys=True, separators=(",", ":"))


_ATTRIBUTES = ("route", "names", "query", "body", "objects", "copy", "rejected", "detail")


def parse_learned_call(data: Any) -> Optional[LearnedCall]:
    """Return a record from its JSON object; None if it is not one of a known route."""
    if not isinstance(data, dict) or not isinstance(data.get("route", ""), str):
        return None
    kinds: Mapping[str, type] = {
        "names": dict, "query": dict, "objects": dict, "copy": bool, "rejected": str, "detail": str,
    }  # fmt: skip
    if any(not isinstance(data[name], kind) for name, kind in kinds.items() if name in data):
        return None
    found = LearnedCall(**{"route": "", **{name: data[name] for name in _ATTRIBUTES if name in data}})
    known = found.route in ROUTES or bool(found.rejected)
    return found if known and all(isinstance(row, dict) for row in found.objects.values()) else None


def generalise(policy: Policy, call: Call, facts: Facts) -> Tuple[LearnedCall, List[Question]]:
    """Return the record of a call, and the questions whose answers it lacks.

    Objects about which the facts say nothing are recorded as unknown.
    """
    naming = Naming(policy.identity, facts, tuple(dict.fromkeys((*TARGET_LABELS, *policy.targets.labels))))
    try:
        found = _record(naming, call)
    except TooManyObjects:
        return _too_large(call), []
    copy, questions = _is_copy(policy.identity, call, facts)
    found = replace(found, copy=copy)
    if len(found.key) > LONGEST:
        return _too_large(call), []
    return found, list(dict.fromkeys((*naming.pending, *questions)))


def _too_large(call: Call) -> LearnedCall:
    return LearnedCall(call.route, rejected="too_large", detail="The call is too long to be recorded")


def _record(naming: Naming, call: Call) -> LearnedCall:
    route = ROUTES[call.route]
    names = {kind: _path(naming, call, kind, reference) for kind, reference in call.names.items()}
    query: Dict[str, Json] = {}
    for row in route.parameters:
        if row.name in call.query and row.rule != FREE:
            value = PARAMETERS[row.rule](naming, call, call.query[row.name])
            if value is not None:
                query[row.name] = value
    query.update(_without_rule(call))
    types: Any = cast(Any, call.query.get("filters") or {}).get("type", (CONTAINER,))
    if call.route == "events" and types != (CONTAINER,):
        query["filters"] = {"type": [OTHER]}
    body: Json = None
    if route.document is not None and call.body is not None:
        body = generalised.document(naming, route.document, call.body)
    return LearnedCall(call.route, names, query, body, naming.objects)


def _without_rule(call: Call) -> Dict[str, Json]:
    """Parameters that rules of other parameters look at."""
    if call.route == "build" and call.query.get("cpuperiod"):
        return {"cpuperiod": call.query["cpuperiod"]}
    tag = call.query.get("tag")
    if call.route in ("image.tag", "commit") and isinstance(tag, str) and word(tag) == tag:
        return {"tag": calm(tag)}
    return {}


def _path(naming: Naming, call: Call, kind: str, reference: str) -> str:
    if kind != IMAGE:
        return naming.refer(kind, reference)  # type: ignore[arg-type]
    tag = call.query.get("tag") if call.route == "image.push" else None
    return naming.image(f"{reference}:{tag}" if tag else reference)


def _is_copy(identity: str, call: Call, facts: Facts) -> Tuple[bool, Sequence[Question]]:
    """Whether the preset ``update`` allows a call, because it repeats what a previous container had."""
    named = call.query.get("name") if call.route == "container.create" else call.route == "network.connect"
    if call.route not in _COPIED or not named:
        return False, ()
    decision = decide(_updater(identity), call, facts)
    return isinstance(decision, Allow), decision.questions if isinstance(decision, Ask) else ()


@functools.lru_cache(maxsize=64)
def _updater(identity: str) -> Policy:
    return parse_policy({"identity": identity, "preset": "update"})


def record_rejected(deny: Deny, route: str, method: str, target: str) -> LearnedCall:
    """Return the record of a call that no policy is asked about.

    Args:
        deny: why it is refused.
        route: its route; empty if there is none.
        method, target: its request line, of which only the first part of the path is kept, if the engine
            has such a part.
    """
    detail = deny.problem if deny.code in _QUOTED else ""
    if not route:
        parts = [part for part in target.partition("?")[0].split("/") if part]
        if parts and re.match(r"v[0-9.]+\Z", parts[0]):
            parts = parts[1:]
        first = f"/{parts[0]}" if parts else "/"
        detail = f"{method if method.isalpha() and len(method) < 8 else OTHER} {first if first in _FIRST else '/…'}"
    return LearnedCall(route, rejected=deny.code, detail=detail[:200])


_FIRST = frozenset((*ROOT_ONLY, *("/" + route.path.split("/")[1] for route in ROUTES.values())))


def restore(identity: str, found: LearnedCall) -> Tuple[Call, Facts]:
    """Return a call, and facts about its objects, that policies decide as they would the recorded one."""
    me, answers = restore_facts(identity, found.objects)
    query: Dict[str, Any] = {}
    for row in ROUTES[found.route].parameters:
        if row.name in found.query:
            value = found.query[row.name]
            if row.kind in ("texts", "platforms"):
                value = tuple(value)
            elif row.kind == "filters":
                value = {name: tuple(texts) for name, texts in value.items()}
            query[row.name] = value
    return Call(found.route, "", found.names, query, found.body), Facts(me, "", answers)


def decide_again(policy: Policy, found: LearnedCall) -> Union[Allow, Deny]:
    """Decide a recorded call by another policy.

    What the engine itself answers with 404 counts as allowed, and so does what exceeds a number of objects:
    the record does not say how many there were.
    """
    if policy.preset == "unrestricted":
        return Allow(Call(found.route), "")
    if found.rejected:
        return Deny(403, found.rejected, found.detail or "The call cannot be read")  # type: ignore[arg-type]
    call, facts = restore(policy.identity, found)
    route = ROUTES[found.route]
    if policy.recreate and found.route in _COPIED and policy.reach(route.power):
        if found.copy:
            return Allow(call, route.power)
        return Deny(403, "recreate", "This identity only recreates containers", setting="recreate")
    policy = replace(policy, labels=replace(policy.labels, required={}), pinned={})
    answers: Dict[Question, Optional[Found]] = dict(facts.answers)
    for _round in range(_MAX_ROUNDS):
        decision = decide(policy, call, Facts(facts.me, facts.api_version, answers))
        if isinstance(decision, Ask):
            for question in decision.questions:
                answers[question] = Found(COUNT, count=0) if question.kind == COUNT else None
        elif isinstance(decision, Deny) and decision.status == 404 and _lacks_object(found):
            return Allow(call, route.power)
        else:
            return decision
    return Deny(403, "too_many_objects", "The call names too many objects")


def _lacks_object(found: LearnedCall) -> bool:
    return any(entry.get("is") in (MISSING, UNKNOWN) for entry in found.objects.values())


Parameter = Callable[[Naming, Call, Any], Json]


def _never(_naming: Naming, _call: Call, value: Any) -> Json:
    if value in ("", (), False):
        return None
    return [OTHER] if isinstance(value, tuple) else OTHER if isinstance(value, str) else True


def _name(_naming: Naming, call: Call, value: str) -> Json:
    name = value[1:] if value.startswith("/") else value
    return new_name(name) if name or call.route == "container.rename" else None


def _ps_args(_naming: Naming, _call: Call, value: str) -> Json:
    return None if not value or ALLOWED_PS_ARGS.match(value) else OTHER


def _container(naming: Naming, _call: Call, value: str) -> Json:
    return naming.refer(CONTAINER, value) if value else None


def _new_tag(_naming: Naming, call: Call, value: str) -> Json:
    if not value and call.route == "commit":
        return None
    tag = str(call.query.get("tag") or "latest")
    if ":" in value.rpartition("/")[2] or "@" in value:
        return f"{MALFORMED}:"
    # Tags of builds differ from run to run, and patterns of tags seldom look at them.
    name = parse_image(f"{value}:{tag}")
    return calm(value) if name is not None and not name.digest else MALFORMED


def _new_tags(_naming: Naming, _call: Call, value: Sequence[str]) -> Json:
    return sorted({_calm_tag(text) for text in value if text}) or None


def _calm_tag(text: str) -> str:
    name = parse_image(text)
    return calm(text) if name is not None and not name.digest else MALFORMED


def _changes(_naming: Naming, _call: Call, value: Sequence[str]) -> Json:
    return None if all(ALLOWED_CHANGE.match(text) for text in value) else [OTHER]


def _pull(naming: Naming, call: Call, value: str) -> Json:
    tag = str(call.query.get("tag") or "")
    mark = "@" if tag.startswith("sha256:") else ":"
    name = parse_image(f"{value}{mark}{tag}" if tag else value)
    return MALFORMED if name is None else naming.image(str(name))


def _drop(_naming: Naming, _call: Call, _value: Any) -> Json:
    return None


def _search_term(_naming: Naming, _call: Call, value: str) -> Json:
    name = registry_of(value)
    return f"{name}/{OTHER}" if re.match(r"[A-Za-z0-9.:-]{1,255}\Z", name) else f"{OTHER}.invalid/{OTHER}"


def _images(naming: Naming, _call: Call, value: Sequence[str]) -> Json:
    return [naming.image(text) for text in value] or None


def _labels(naming: Naming, _call: Call, value: Json) -> Json:
    return generalised.labels(naming, value or {})


def _network(naming: Naming, _call: Call, value: str) -> Json:
    return generalised.network(naming, value)


def _number(_naming: Naming, _call: Call, value: int) -> Json:
    return value or None


def _ulimits(naming: Naming, _call: Call, value: Json) -> Json:
    return generalised.FIELDS["ulimits"](naming, value)


def _isolation(_naming: Naming, _call: Call, value: str) -> Json:
    return None if value in ("", "default") else OTHER


def _version(_naming: Naming, _call: Call, value: str) -> Json:
    return value or None


def _session(_naming: Naming, _call: Call, value: str) -> Json:
    return OTHER if value else None


PARAMETERS: Mapping[str, Parameter] = {
    "never": _never,
    "container_name": _name,
    "ps_args": _ps_args,
    "commit_container": _container,
    "new_tag": _new_tag,
    "new_tags": _new_tags,
    "changes": _changes,
    "pull": _pull,
    "pull_tag": _drop,
    "search_term": _search_term,
    "saved_images": _images,
    "cache_from": _images,
    "build_labels": _labels,
    "build_network": _network,
    **dict.fromkeys(("build_memory", "build_swap", "build_quota", "build_shares", "build_shm"), _number),
    "build_ulimits": _ulimits,
    "build_isolation": _isolation,
    "build_version": _version,
    "build_session": _session,
}
"""The function of each rule of parameters: see :mod:`_policy.generalised`."""
