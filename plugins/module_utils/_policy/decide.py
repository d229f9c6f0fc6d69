# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The decision about one call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, Final, Mapping, Optional

from .call import HIJACK, Call, Json, Value
from .decision import (
    ALL,
    CONTAINER,
    CREATED_VOLUME,
    EVENTS,
    EXEC,
    IMAGE,
    INSPECT,
    LABEL_OWNER,
    LIST,
    NETWORK,
    OWN,
    VOLUME,
    Allow,
    Ask,
    Decision,
    Deny,
    Facts,
    Found,
    ObjectKind,
    Reach,
    Refusal,
    Sight,
    Treatment,
)
from .images import any_matches, parse_image
from .owned import with_owner
from .parameter_rules import ALWAYS
from .parameter_rules import RULES as PARAMETER_RULES
from .policy import LEARN, UNRESTRICTED, Policy
from .recreate import check_connection, recreate
from .routes import CEILING, ROUTES, Route
from .rules import RULES
from .rules_images import changeable_image, refuse_image, sees_image
from .rules_network import usable_network
from .scope import DROP, Pending, Scope, no_such
from .shapes import FREE

MAX_QUESTIONS: Final = 64
_LISTED: Mapping[str, ObjectKind] = {
    "container.list": CONTAINER,
    "image.list": IMAGE,
    "network.list": NETWORK,
    "volume.list": VOLUME,
}
_INSPECTED: Mapping[str, ObjectKind] = {
    "container.inspect": CONTAINER,
    "image.inspect": IMAGE,
    "image.history": IMAGE,
    "network.inspect": NETWORK,
    "volume.inspect": VOLUME,
}
_IMAGES_BY_ID = ("image.inspect", "image.history", "image.tag")
"""Routes that do not depend on the name of the image, which could mean another one by then."""
_NEIGHBOURS = frozenset(("before", "since"))
_PRUNED = ("container.prune", "network.prune", "volume.prune")


def decide(policy: Policy, call: Call, facts: Facts) -> Decision:
    """Decide about a call.

    Args:
        policy: the policy of the identity that makes the call.
        call: the parsed call.
        facts: what is known. Answer each ``Ask`` and decide again with more facts.
    """
    route = ROUTES[call.route]
    scope = Scope(policy, facts, call, route, RULES)
    try:
        return _decide(scope, policy.reach(route.power))
    except Refusal as refusal:
        return _of_creation(refusal.deny) if route.name == "container.create" else refusal.deny
    except Pending as pending:
        scope.pending.update(dict.fromkeys(pending.questions))
        return _ask(scope)


def _of_creation(deny: Deny) -> Deny:
    """Clients take 404 for "no such image", and pull it. Only the engine says that."""
    return replace(deny, status=400) if deny.status == 404 else deny


def create_volume(policy: Policy, name: str) -> Call:
    """Return the call that creates a volume of an identity (see ``Allow.volumes``)."""
    body = {"Name": name, "Driver": "local", "Labels": {LABEL_OWNER: policy.identity}}
    return Call("volume.create", body=body)


def _ask(scope: Scope) -> Decision:
    questions = tuple(scope.pending)
    if len(questions) > MAX_QUESTIONS:
        problem = f"The call names more than {MAX_QUESTIONS} objects"
        return Refusal("too_many_objects", problem, allowed="Several calls").deny
    return Ask(questions)


def _decide(scope: Scope, reach: Optional[Reach]) -> Decision:
    call, route = _with_version(scope.call, scope.facts), scope.route
    if reach is None:
        raise _lacks_power(scope)
    if scope.policy.preset == UNRESTRICTED:
        if scope.policy.mode == LEARN:
            call = with_owner(scope.policy.identity, call)
        return Allow(call, route.power, hijack=_is_hijacked(call, route))
    _check_verb(scope)
    query = _parameters(scope)
    found = _resolve(scope, reach)
    body = _body(scope, found)
    if scope.pending:
        return _ask(scope)
    if reach != ALL:
        query = _narrowed(scope, query)
    names = dict(call.names)
    by_id = route.object in (CONTAINER, NETWORK) or route.name in _IMAGES_BY_ID
    if by_id and found is not None:
        names = {str(route.object): found.id}
    call = replace(call, names=names, query=query, body=body)
    return Allow(
        call,
        route.power,
        _treatment(scope, found),
        _is_hijacked(call, route),
        found.id if found else "",
        _remembered(scope, found),
        scope.image,
        tuple(scope.volumes),
        tuple(sorted(scope.serialize)),
    )


def _with_version(call: Call, facts: Facts) -> Call:
    """A call without a version gets the newest one that both the engine and the tables know."""
    if call.version or not facts.api_version:
        return call
    major, _dot, minor = facts.api_version.partition(".")
    newest = min((int(major), int(minor)), CEILING)
    return replace(call, version=f"{newest[0]}.{newest[1]}")


def _lacks_power(scope: Scope) -> Refusal:
    power, build = scope.route.power, scope.route.power.startswith("build.")
    return Refusal(
        "build" if build else "power",
        f"{scope.route.method} {scope.route.path} needs the power {power}",
        allowed=f"Powers of this policy: {', '.join(scope.policy.powers)}",
        setting="build" if build else "powers",
    )


def _check_verb(scope: Scope) -> None:
    if scope.route.power != "container.life" or not scope.policy.verbs:
        return
    verb = scope.route.name.rpartition(".")[2]
    if verb not in scope.policy.verbs:
        raise Refusal(
            "verb", f"The verb {verb} is not allowed", allowed=", ".join(scope.policy.verbs), setting="verbs"
        )


def _is_hijacked(call: Call, route: Route) -> bool:
    detached = route.name == "exec.start" and isinstance(call.body, dict) and bool(call.body.get("Detach"))
    return route.answer == HIJACK and not detached


def _parameters(scope: Scope) -> Dict[str, Value]:
    query: Dict[str, Value] = {}
    for row in scope.route.parameters:
        given = row.name in scope.call.query
        if row.rule == FREE or not (given or row.rule in ALWAYS):
            if given:
                query[row.name] = scope.call.query[row.name]
            continue
        try:
            value = PARAMETER_RULES[row.rule](
                scope, scope.call.query[row.name] if given else ALWAYS[row.rule]
            )
        except Pending as pending:
            scope.pending.update(dict.fromkeys(pending.questions))
            continue
        if value is not DROP:
            query[row.name] = value
    return query


def _body(scope: Scope, found: Optional[Found]) -> Json:
    shape = scope.route.document
    if scope.route.name == "container.create" and scope.policy.recreate:
        name = str(scope.call.query.get("name") or "").lstrip("/")
        return recreate(scope, name)
    if scope.route.name == "network.connect" and scope.policy.recreate:
        return _reconnected(scope, found)
    if shape is None:
        return None
    if scope.call.body is None and not scope.filling:
        return None
    if scope.route.name == "container.create":
        try:
            scope.count("containers")
        except Pending as pending:
            scope.pending.update(dict.fromkeys(pending.questions))
    return scope.apply(shape, scope.body)


def _reconnected(scope: Scope, network: Optional[Found]) -> Json:
    container = scope.find(CONTAINER, str(scope.body.get("Container") or ""))
    if container is None or network is None:
        raise no_such(CONTAINER, str(scope.body.get("Container") or ""))
    endpoint = scope.body.get("EndpointConfig") or {}
    check_connection(scope, container.name, (network.name, network.id), endpoint)
    return {**scope.body, "Container": container.id}


def _resolve(scope: Scope, reach: Reach) -> Optional[Found]:
    """Return the object in the path, if the power reaches it."""
    kind = scope.route.object
    if kind is None:
        return None
    try:
        return _RESOLVERS[kind](scope, reach, scope.call.names[kind])
    except Pending as pending:
        scope.pending.update(dict.fromkeys(pending.questions))
        return None


def _container(scope: Scope, reach: Reach, reference: str) -> Found:
    found = scope.find(CONTAINER, reference)
    if found is None:
        raise no_such(CONTAINER, reference)
    if not scope.reaches(reach, found) and not (scope.route.on_self and scope.is_me(found)):
        raise scope.not_own(found, reference)
    if scope.route.name in ("container.start", "container.restart"):
        scope.count("running", 0 if found.running else 1)
    return found


def _exec(scope: Scope, reach: Reach, reference: str) -> Found:
    found = scope.find(EXEC, reference)
    container = scope.find(CONTAINER, found.container) if found else None
    if found is None or container is None or not scope.reaches(reach, container):
        raise no_such(EXEC, reference)
    return found


def _network(scope: Scope, reach: Reach, reference: str) -> Found:
    found = scope.find(NETWORK, reference)
    if found is None:
        raise no_such(NETWORK, reference)
    if scope.reaches(reach, found):
        return found
    if scope.route.name == "network.inspect" and found.name in scope.policy.networks:
        return found
    if scope.route.name in ("network.connect", "network.disconnect"):
        return usable_network(scope, reference)
    raise scope.not_own(found, reference)


def _volume(scope: Scope, reach: Reach, reference: str) -> Found:
    found = scope.find(VOLUME, reference)
    if found is None:
        raise no_such(VOLUME, reference)
    listed = scope.route.name == "volume.inspect" and found.name in scope.policy.volumes
    if not scope.reaches(reach, found) and not listed:
        raise scope.not_own(found, reference)
    return found


def _image(scope: Scope, reach: Reach, reference: str) -> Optional[Found]:
    name = scope.route.name
    if name == "distribution":
        if reach != ALL and not any_matches(
            (*scope.policy.images, *scope.policy.tags), parse_image(reference)
        ):
            raise refuse_image(scope, reference)
        return None
    if name == "image.push":
        tag = scope.call.query.get("tag")
        return changeable_image(scope, f"{reference}:{tag}" if tag else reference)
    if name == "image.delete":
        return changeable_image(scope, reference)
    found = scope.find(IMAGE, reference)
    if found is None or (reach != ALL and not sees_image(scope, reference, found)):
        raise no_such(IMAGE, reference)
    return found


_RESOLVERS: Mapping[str, Callable[[Scope, Reach, str], Optional[Found]]] = {
    CONTAINER: _container,
    EXEC: _exec,
    NETWORK: _network,
    VOLUME: _volume,
    IMAGE: _image,
}


def _narrowed(scope: Scope, query: Dict[str, Value]) -> Dict[str, Value]:
    """Add what makes the engine itself answer about the identity's own objects only."""
    name, own = scope.route.name, f"{LABEL_OWNER}={scope.policy.identity}"
    if name in ("container.list", "image.list"):
        query = _with_known_neighbours(scope, query)
    if name == "image.prune":
        raise Refusal(
            "power", "Images have no owner, so they are not pruned by this policy", setting="powers"
        )
    if name in _PRUNED or (
        name in ("container.list", "events") and scope.policy.reach(scope.route.power) == OWN
    ):
        query = {**query, "filters": _with_filter(query.get("filters"), "label", own)}
    if name == "events":
        filters: Any = query.get("filters", {})
        if filters.get("type", (CONTAINER,)) != (CONTAINER,):
            raise Refusal(
                "value", "Events of other types than container are not shown", allowed="type=container"
            )
        query = {**query, "filters": _with_filter(filters, "type", CONTAINER)}
    if name == "image.push" and "tag" not in query and ":" not in scope.call.names[IMAGE].rpartition("/")[2]:
        query = {**query, "tag": "latest"}
    return query


def _with_known_neighbours(scope: Scope, query: Dict[str, Value]) -> Dict[str, Value]:
    """Check ``before`` and ``since``: engines say whether the object that they name exists."""
    filters: Any = query.get("filters") or {}
    kind = _LISTED[scope.route.name]
    for name in _NEIGHBOURS.intersection(filters):
        for reference, found in scope.find_all(kind, filters.get(name, ())).items():
            hidden = found is None or (
                not sees_image(scope, reference, found) if kind == IMAGE else not scope.sees(found)
            )
            if hidden:
                raise no_such(kind, reference)
    return query


def _with_filter(filters: Any, name: str, value: str) -> Mapping[str, Any]:
    found = dict(filters or {})
    found[name] = tuple(sorted({*found.get(name, ()), value}))
    return found


def _treatment(scope: Scope, found: Optional[Found]) -> Treatment:
    """What to do with the answer; nothing if the engine answers about what may be seen only."""
    name, policy, me = scope.route.name, scope.policy, scope.facts.me
    if name == "volume.create":
        return Treatment(CREATED_VOLUME, VOLUME, policy.sight("volume", me))
    sight = policy.sight(scope.route.power, me)
    narrowed = name in ("container.list", "events") and sight.reach == OWN
    if name in _LISTED and sight.reach != ALL and not narrowed:
        return Treatment(LIST, _LISTED[name], sight)
    if name == "events" and sight.reach != ALL and not narrowed:
        return Treatment(EVENTS, CONTAINER, sight)
    if name in _INSPECTED and not _is_shown_whole(scope, found, sight):
        return Treatment(INSPECT, _INSPECTED[name], sight)
    return Treatment(sight=sight)


def _is_shown_whole(scope: Scope, found: Optional[Found], sight: Sight) -> bool:
    kind = _INSPECTED[scope.route.name]
    if kind == VOLUME or (
        found is not None and kind != IMAGE and (scope.is_own(found) or scope.is_me(found))
    ):
        return True
    return sight.reach == ALL and (sight.environment or kind == NETWORK)


def _remembered(scope: Scope, found: Optional[Found]) -> str:
    """Before an updater removes or renames a container, its configuration is kept."""
    changes = scope.route.name in ("container.delete", "container.rename", "container.stop", "container.kill")
    return found.id if scope.policy.recreate and changes and found is not None else ""
