# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A recorded call is decided as the call itself, by every policy, and holds no secret."""

from __future__ import annotations

import json
import time
from typing import Any, Dict, Iterator, Optional, Tuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._policy.call import Call
from ansible_collections.wormhole.docker.plugins.module_utils._policy.decision import (
    Allow,
    Deny,
    Facts,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.generalised import FIELDS
from ansible_collections.wormhole.docker.plugins.module_utils._policy.learned_call import (
    LONGEST,
    PARAMETERS,
    LearnedCall,
    decide_again,
    generalise,
    parse_learned_call,
    record_rejected,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.naming import calm, new_name
from ansible_collections.wormhole.docker.plugins.module_utils._policy.parameter_rules import (
    RULES as PARAMETER_RULES,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy import Policy
from ansible_collections.wormhole.docker.plugins.module_utils._policy.rules import RULES
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy import cases, parameter_cases
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.strategies import calls
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    ME,
    RESTRICTED,
    World,
    make_policy,
    read,
    settle,
)

SECRET = "s3cret-Pa55word"


def record(policy: Policy, call: Call, world: Optional[World] = None) -> LearnedCall:
    """Record a call as the program does: it asks until nothing is missing."""
    world, answers = world or World(), {}  # type: Tuple[World, Dict[Question, Optional[Found]]]
    for _round in range(6):
        found, missing = generalise(policy, call, Facts(ME, "", answers))
        if not missing:
            break
        answers.update({question: world.answer(question) for question in missing})
    else:
        raise AssertionError("it asks too often")
    restored = parse_learned_call(json.loads(found.key))
    assert restored == found, "it is the same after it was written and read"
    return found


def verdict(decision: Any) -> Tuple[bool, str]:
    assert isinstance(decision, (Allow, Deny))
    return isinstance(decision, Allow), "" if isinstance(decision, Allow) else decision.code


POLICIES = [
    make_policy("test"),
    make_policy("ci", build="classic", limits={"memory": "64m", "cpus": 2}),
    make_policy("compose", build="buildkit"),
    make_policy("observe"),
    make_policy("tend"),
    make_policy("test", **RESTRICTED),
]
"""Policies by which each case is decided, in addition to its own."""


def same(policy: Policy, call: Call, found: LearnedCall, *, codes: bool = True) -> None:
    """Assert that a record is decided as its call, by a policy.

    With several reasons for a refusal, the first one depends on what is known when the call is decided.
    """
    decision = settle(policy, call)
    is_missing = any(entry["is"] == "missing" for entry in found.objects.values())
    if isinstance(decision, Deny) and is_missing and (not codes or decision.code == "not_found"):
        return
    again = decide_again(policy, found)
    if isinstance(decision, Deny) and (not codes or decision.code == "malformed"):
        assert isinstance(again, Deny), (policy.preset, call, found)
        return
    assert verdict(again) == verdict(decision), (policy.preset, call, found)


def _parts(table: Any, kind: str) -> Iterator[Any]:
    for name, rows in table.items():
        for path, case in rows.items():
            for number, item in enumerate(getattr(case, kind)):
                part = item if kind == "allowed" else item[0]
                yield pytest.param(name, case.overrides, part, id=f"{kind}-{name}-{path}-{number}")


@pytest.mark.parametrize(
    "name, overrides, part", [row for kind in ("allowed", "refused") for row in _parts(cases.DOCUMENTS, kind)]
)
def test_every_case_of_the_tables_of_fields_is_decided_as_before(name, overrides, part):
    target, minimal = cases.MINIMAL[name]
    bodies = [{**minimal, **part}]
    if name == "container.create":
        host = {"CapDrop": ["ALL"], "NetworkMode": "mynet", **part.get("HostConfig", {})}
        bodies.append({**minimal, "User": "1000", **part, "HostConfig": host})
    for body in bodies:
        call = read("POST", target, body)
        if isinstance(call, Deny):
            continue
        own = make_policy("test", **{**(RESTRICTED if "level" in overrides else {}), **overrides})
        for policy in (own, *POLICIES):
            same(policy, call, record(policy, call))


@pytest.mark.parametrize(
    "name, overrides, query",
    [row for kind in ("allowed", "refused") for row in _parts(parameter_cases.CASES, kind)],
)
def test_every_case_of_the_tables_of_parameters_is_decided_as_before(name, overrides, query):
    call = read(*parameter_cases.target_of(name, query))
    if not isinstance(call, Deny):
        for policy in (make_policy("ci", **overrides), *POLICIES):
            same(policy, call, record(policy, call))


@settings(max_examples=400)
@given(calls())
# An address without a registry, for a policy that allows every image.
@example(Call("auth", body={"username": "", "password": "", "identitytoken": "", "serveraddress": "/"}))
def test_any_call_is_decided_as_before(call):
    filters = call.query.get("filters") or {}
    if {"before", "since"} & set(filters):
        return  # Values of filters are not recorded.
    for policy in POLICIES:
        found = record(policy, call)
        assert len(found.key) <= LONGEST or found.rejected
        if not found.rejected:
            same(policy, call, found, codes=False)


def test_every_rule_has_a_function():
    assert set(FIELDS) == set(RULES)
    assert set(PARAMETERS) == set(PARAMETER_RULES)


SECRETS: Dict[str, Any] = {
    "Image": "alpine",
    "Env": [f"PASSWORD={SECRET}"],
    "Cmd": ["mysql", f"-p{SECRET}"],
    "Entrypoint": [SECRET],
    "Labels": {"com.example.token": SECRET, "traefik.http.middlewares.auth": SECRET},
    "Healthcheck": {"Test": ["CMD", SECRET], "Interval": 1},
    "User": SECRET,
    "HostConfig": {
        "Binds": [f"/srv/data:/{SECRET}"],
        "LogConfig": {"Type": "json-file", "Config": {"tag": SECRET}},
        "SecurityOpt": [f"seccomp={SECRET}", f"label=user:{SECRET}"],
        "Sysctls": {"kernel.msgmax": SECRET},
        "StorageOpt": {"size": SECRET},
        "Tmpfs": {f"/{SECRET}": f"size=1m,{SECRET}"},
        "Annotations": {SECRET: SECRET},
        "ExtraHosts": [f"{SECRET}:10.0.0.1"],
        "Mounts": [
            {
                "Type": "volume",
                "Source": "cache",
                "Target": f"/{SECRET}",
                "VolumeOptions": {
                    "Labels": {"a": SECRET},
                    "DriverConfig": {"Name": "cifs", "Options": {"o": f"password={SECRET}"}},
                },
            }
        ],
        "DeviceRequests": [{"Driver": "nvidia", "Options": {"a": SECRET}}],
        "Devices": [{"PathOnHost": f"/dev/{SECRET}"}],
    },
}


@pytest.mark.parametrize(
    "method, target, body",
    [
        ("POST", "/containers/create?name=web", SECRETS),
        ("POST", "/containers/mine/exec", {"Cmd": [SECRET], "Env": [SECRET], "User": SECRET}),
        ("POST", "/auth", {"username": SECRET, "password": SECRET, "serveraddress": "registry.lan"}),
        (
            "POST",
            "/volumes/create",
            {"Name": "v1", "DriverOpts": {"type": "cifs", "o": f"password={SECRET}"}},
        ),
        ("POST", "/networks/create", {"Name": "n1", "Options": {"a": SECRET}, "Labels": {"b": SECRET}}),
        ("GET", f"/containers/json?filters=%7B%22label%22%3A%5B%22{SECRET}%22%5D%7D", None),
        ("GET", f"/events?since={SECRET}&filters=%7B%22type%22%3A%5B%22{SECRET}%22%5D%7D", None),
        ("POST", f"/build?buildargs=%7B%22TOKEN%22%3A%22{SECRET}%22%7D&remote={SECRET}", None),
        ("POST", f"/commit?container=mine&repo=ci/x&changes=ENV%20A={SECRET}&comment={SECRET}", None),
        ("GET", f"/containers/mine/top?ps_args={SECRET}", None),
        ("GET", f"/containers/mine/archive?path=/{SECRET}", None),
        ("GET", f"/images/search?term={SECRET}", None),
        ("POST", f"/images/create?fromSrc=https://user:{SECRET}@host.example/x.tar", None),
    ],
)
def test_no_record_holds_a_secret(method, target, body):
    call = read(method, target, body)
    assert isinstance(call, Call)
    found = record(make_policy("test"), call)
    assert SECRET not in found.key
    assert "PASSWORD" not in found.key
    assert "token" not in found.key.lower()


def test_no_rejected_call_leaves_more_than_its_route():
    deny = read("POST", f"/v1.45/secret-{SECRET}/x?a={SECRET}")
    assert isinstance(deny, Deny)
    found = record_rejected(deny, "", "POST", f"/v1.45/secret-{SECRET}/x?a={SECRET}")
    assert SECRET not in found.key
    assert found.detail == "POST /…"
    assert record_rejected(deny, "", "GET", "/v1.45/swarm/x").detail == "GET /swarm"
    body = {"Labels": {SECRET: 1}, "Image": "alpine"}
    malformed = read("POST", "/v1.45/containers/create", body)
    assert isinstance(malformed, Deny)
    assert SECRET not in record_rejected(malformed, "container.create", "POST", "/containers/create").key


def test_records_say_what_objects_are():
    policy = make_policy("test")
    assert record(policy, read("POST", "/containers/mine/start")).objects == {
        "container:own-1": {"is": "own"}
    }
    assert record(policy, read("GET", "/containers/self/json")).objects == {"container:self": {"is": "self"}}
    assert record(policy, read("POST", "/containers/theirs/restart")).objects == {
        "container:theirs": {"is": "foreign", "labels": ["autoheal=true"], "owned": True}
    }
    missing = record(policy, read("GET", "/containers/nothing/json"))
    assert missing.objects == {"container:missing-1": {"is": "missing"}}
    assert isinstance(decide_again(policy, missing), Allow), "the engine says 404, too"


def test_two_calls_of_one_kind_have_one_key():
    policy, keys = make_policy("test"), set()
    for number in (4711, 815, 10000):
        body = {"Image": f"registry.lan/app:build-{number}", "HostConfig": {"Binds": [f"/srv/{number}:/x"]}}
        keys.add(record(policy, read("POST", f"/containers/create?name=job-{number}-build", body)).key)
    assert len(keys) == 1


@pytest.mark.parametrize(
    "text, calmed",
    [
        ("web", "web"),
        ("facade", "facade"),
        ("job-4711", "job-000"),
        ("web-1", "web-1"),
        ("tc-3f2a1b4c", "tc-00000000"),
        ("x-0b9e5e5a-3a52-4f0e-8a0e-9b6f6f9f1c11", "x-00000000-0000-0000-0000-000000000000"),
    ],
)
def test_what_differs_from_run_to_run_is_replaced(text, calmed):
    assert calm(text) == calmed


@given(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9_.-]{1,30}\Z"))
def test_a_new_name_stays_one(name):
    assert new_name(new_name(name)) == new_name(name)


def test_a_long_call_leaves_only_its_route():
    body = {
        "Image": "alpine",
        "HostConfig": {"Binds": [f"/srv/{'x' * 90}-{'ab'[n % 2] * n}:/x" for n in range(60)]},
    }
    found = record(make_policy("test"), read("POST", "/containers/create", body))
    assert found.rejected == "too_large"
    assert found.body is None


def test_a_call_with_many_objects_costs_little():
    binds = [f"v{number}:/x" for number in range(60_000)]
    call = Call("container.create", body={"Image": "a", "HostConfig": {"Binds": binds}})
    started = time.process_time()
    assert record(make_policy("test"), call).rejected == "too_large"
    assert time.process_time() - started < 2


@pytest.mark.parametrize("data", [None, [], {"route": 1}, {"route": "nothing"}, {"route": "ping", "names": []},
                                  {"route": "ping", "objects": {"a": 1}}])  # fmt: skip
def test_what_is_no_record_is_not_read(data):
    assert parse_learned_call(data) is None
