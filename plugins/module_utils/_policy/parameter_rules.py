# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules that the rows of query parameters in :mod:`_policy.routes` name.

A rule is a function of the scope and a value. It returns the value to forward, or ``DROP`` to leave the
parameter out. It is only called for parameters that the call has, and for those of ``ALWAYS``.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping

from .call import Json, Value
from .decision import LABEL_OWNER, Refusal
from .images import parse_image, registry_of
from .names import check_new_name
from .rules_images import check_new_tag, check_registry, pull, refuse_image, sees_image
from .rules_labels import check_labels
from .rules_limits import CPU_PERIOD, MAX_SHARES, too_much, ulimits
from .rules_network import check_bridge, usable_network
from .scope import DROP, Scope
from .text import malformed

ALLOWED_PS_ARGS = re.compile(r"(?:-ef|-e|-aux|aux|axu|-el|(?:-e?o|axo|-axo) [a-z_%,]{1,100})\Z")
"""Arguments of ps on the host. ``e`` as a BSD option would print environments."""
ALLOWED_CHANGE = re.compile(
    r"\s*(?:CMD|ENTRYPOINT|ENV|EXPOSE|USER|WORKDIR|STOPSIGNAL|VOLUME|HEALTHCHECK|SHELL)\s[^\n\r\\]*\Z",
    re.IGNORECASE,
)
"""One instruction a value. LABEL could set an owner, ONBUILD acts on the builds of others."""

ParameterRule = Callable[[Scope, Any], Any]


def refused(scope: Scope, value: Value) -> Any:
    if value in ("", (), False):
        return DROP
    name = next(name for name, item in scope.call.query.items() if item is value)
    raise Refusal("field", f"The parameter {name} is not allowed", allowed="Leave it out")


def container_name(scope: Scope, value: str) -> Any:
    # Engines accept a slash in front, which is how they show a name.
    name = value[1:] if value.startswith("/") else value
    if not name and scope.route.name == "container.create":
        return DROP
    is_copy = scope.policy.recreate and scope.route.name == "container.create"
    return name if is_copy else check_new_name(scope.policy, "container", name)


def ps_args(scope: Scope, value: str) -> Any:
    if not value:
        return DROP
    if not ALLOWED_PS_ARGS.match(value):
        raise Refusal("value", "The parameter ps_args is not allowed", allowed="-ef, aux, or -o with columns")
    return value


def commit_container(scope: Scope, value: str) -> str:
    if not value:
        raise malformed("The parameter container is missing")
    return scope.own_container(value).id


def new_tag(scope: Scope, value: str) -> Any:
    if not value and scope.route.name == "commit":
        return DROP
    tag = str(scope.call.query.get("tag") or "latest")
    if ":" in value.rpartition("/")[2] or "@" in value:
        raise malformed("The parameter repo has a tag", "Write it in the parameter tag")
    check_new_tag(scope, f"{value}:{tag}")
    return value


def new_tags(scope: Scope, value: tuple[str, ...]) -> Any:
    for text in filter(None, value):
        check_new_tag(scope, text)
    return tuple(filter(None, value)) or DROP


def changes(scope: Scope, value: tuple[str, ...]) -> Any:
    for text in value:
        if not ALLOWED_CHANGE.match(text):
            raise Refusal("build", "The parameter changes has an instruction that is not allowed",
                          allowed="CMD, ENTRYPOINT, ENV, EXPOSE, USER, WORKDIR, VOLUME")  # fmt: skip
    return value


def pulled(scope: Scope, value: str) -> str:
    pull(scope, value, str(scope.call.query.get("tag") or ""))
    return value


def pulled_tag(scope: Scope, value: str) -> Any:
    # Engines pull every tag of a name that has none.
    image = str(scope.call.query.get("fromImage") or "")
    has_tag = "@" in image or ":" in image.rpartition("/")[2]
    return value or (DROP if has_tag else "latest")


def search_term(scope: Scope, value: str) -> str:
    check_registry(scope, registry_of(value), "The parameter term")
    return value


def saved_images(scope: Scope, value: tuple[str, ...]) -> Any:
    for reference, found in scope.find_all("image", value).items():
        if scope.policy.reach(scope.route.power) != "all" and not sees_image(scope, reference, found):
            raise refuse_image(scope, reference)
    return value


def cache_from(scope: Scope, value: list[str]) -> Any:
    for reference, found in scope.find_all("image", value).items():
        if parse_image(reference) is None or not sees_image(scope, reference, found):
            raise refuse_image(scope, reference)
    return value


def build_labels(scope: Scope, value: Json) -> Json:
    labels = dict(value or {})
    check_labels(scope, labels, "The parameter labels")
    # An image has no owner: containers that others create from it would inherit it.
    return {**labels, LABEL_OWNER: ""}


def build_network(scope: Scope, value: str) -> Any:
    if value in ("", "default", "bridge"):
        check_bridge(scope, "The network of the build")
        return value or DROP
    if value == "none":
        return value
    if value == "host" or value.startswith("container:"):
        raise Refusal(
            "namespace", "The build joins a network namespace", allowed="none, or networks of this identity"
        )
    return usable_network(scope, value).id


def build_memory(scope: Scope, value: int) -> Any:
    limit = scope.policy.limits.memory
    if not value:
        return DROP if limit is None else limit
    if limit is not None and not 0 < value <= limit:
        raise too_much("The parameter memory", f"{limit} bytes")
    return value


def build_swap(scope: Scope, value: int) -> Any:
    limit = scope.policy.limits.memory
    if limit is not None and not 0 <= value <= 2 * limit:
        raise too_much("The parameter memswap", f"{2 * limit} bytes")
    return value or DROP


def build_quota(scope: Scope, value: int) -> Any:
    limit = scope.policy.limits.cpus
    period = int(str(scope.call.query.get("cpuperiod") or CPU_PERIOD))
    if limit is None or period <= 0:
        return value or DROP
    most = limit * period // 1_000_000_000
    if not 0 <= value <= most:
        raise too_much("The parameter cpuquota", f"{most} in a period of {period}")
    return value or most


def build_shares(scope: Scope, value: int) -> Any:
    if scope.policy.limits.cpus is not None and not 0 <= value <= MAX_SHARES:
        raise too_much("The parameter cpushares", str(MAX_SHARES))
    return value or DROP


def build_shm(scope: Scope, value: int) -> Any:
    limit = scope.policy.limits.shm
    if limit is not None and not 0 <= value <= limit:
        raise too_much("The parameter shmsize", f"{limit} bytes")
    return value or DROP


def build_ulimits(scope: Scope, value: Json) -> Any:
    return ulimits(scope, value, "The parameter ulimits")


def build_isolation(scope: Scope, value: str) -> Any:
    return refused(scope, value) if value not in ("", "default") else DROP


def build_version(scope: Scope, value: str) -> Any:
    if value == "2" and scope.policy.build != "buildkit":
        raise Refusal(
            "build",
            "BuildKit is not allowed",
            allowed="The classic builder: DOCKER_BUILDKIT=0",
            setting="build",
        )
    return value or DROP


def build_session(scope: Scope, value: str) -> Any:
    if not value:
        return DROP
    build_version(scope, "2")
    return value


RULES: Mapping[str, ParameterRule] = {
    "never": refused,
    "container_name": container_name,
    "ps_args": ps_args,
    "commit_container": commit_container,
    "new_tag": new_tag,
    "new_tags": new_tags,
    "changes": changes,
    "pull": pulled,
    "pull_tag": pulled_tag,
    "search_term": search_term,
    "saved_images": saved_images,
    "cache_from": cache_from,
    "build_labels": build_labels,
    "build_network": build_network,
    "build_memory": build_memory,
    "build_swap": build_swap,
    "build_quota": build_quota,
    "build_shares": build_shares,
    "build_shm": build_shm,
    "build_ulimits": build_ulimits,
    "build_isolation": build_isolation,
    "build_version": build_version,
    "build_session": build_session,
}

ALWAYS: Mapping[str, Any] = {
    "commit_container": "",
    "new_tag": "",
    "pull": "",
    "pull_tag": "",
    "build_labels": {},
    "build_network": "",
    "build_memory": 0,
    "build_quota": 0,
}
"""Rules that also decide a parameter that the call lacks, as this value."""
