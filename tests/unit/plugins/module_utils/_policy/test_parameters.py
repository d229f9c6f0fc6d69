# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every query parameter: what a table does not know, and what a rule refuses, does not pass."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._policy.parameter_rules import ALWAYS, RULES
from ansible_collections.wormhole.docker.plugins.module_utils._policy.render import render
from ansible_collections.wormhole.docker.plugins.module_utils._policy.routes import ROUTES
from ansible_collections.wormhole.docker.plugins.module_utils._policy.shapes import FREE
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.parameter_cases import (
    CASES,
    target_of,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    allowed,
    make_policy,
    read,
    refused,
    run,
)

EVERY_ROW = [(route, row) for route in ROUTES.values() for row in route.parameters]


def test_every_row_names_a_rule():
    assert {row.rule for _route, row in EVERY_ROW} - {FREE} == set(RULES)
    assert set(ALWAYS) <= set(RULES)


def test_every_row_with_a_rule_has_cases():
    ruled = {(route.name, row.name) for route, row in EVERY_ROW if row.rule != FREE}
    tested = {(name, parameter) for name, rows in CASES.items() for parameter in rows}
    assert ruled == tested


def _all(kind):
    return [
        pytest.param(name, case.overrides, item, id=f"{name}:{parameter}:{number}")
        for name, rows in CASES.items()
        for parameter, case in rows.items()
        for number, item in enumerate(getattr(case, kind))
    ]


def _decide(name, overrides, query):
    body = {"Image": "alpine"} if name == "container.create" else None
    method, target = target_of(name, query)
    return run(make_policy("ci", **overrides), method, target, body)


@pytest.mark.parametrize("name, overrides, query", _all("allowed"))
def test_what_is_allowed_passes(name, overrides, query):
    allowed(_decide(name, overrides, query))


@pytest.mark.parametrize("name, overrides, item", _all("refused"))
def test_what_is_refused_does_not_pass(name, overrides, item):
    query, code = item
    assert refused(_decide(name, overrides, query))[1] == code


@pytest.mark.parametrize("name", [name for name in ROUTES if "{" not in ROUTES[name].path])
def test_a_parameter_that_no_table_knows_is_refused(name):
    route = ROUTES[name]
    assert refused(read(route.method, f"{route.path}?Unknown=")) == (403, "unknown_parameter")


@pytest.mark.parametrize(
    "query",
    [
        "all=1&all=1",
        "all=1&all=0",
        "limit=1&limit=2",
        "all=off",
        "all=2",
        "limit=1.0",
        "limit=0x10",
        "limit=9223372036854775808",
        "limit=%2B1",
        "all=1;limit=1",
        "all=%",
        "all=%zz",
        "filters=%ff",
        "filters=%00",
        'filters={"label":["a"],"label":["b"]}',
        'filters={"label":{"a":false}}',
        'filters={"label":[1]}',
        'filters={"label":["\\ud800"]}',
        "filters=[]",
        "filters={",
    ],
)
def test_a_query_with_two_meanings_is_rejected(query):
    quoted = query.replace('"', "%22").replace("{", "%7B").replace("}", "%7D").replace("\\", "%5C")
    assert refused(read("GET", f"/v1.45/containers/json?{quoted}")) == (400, "malformed")


def test_a_semicolon_has_no_meaning_in_a_text():
    assert refused(read("GET", "/v1.45/containers/x1/logs?since=1;until=2")) == (400, "malformed")
    assert read("GET", "/v1.45/containers/x1/logs?since=1%3B2").query == {"since": "1;2"}


def test_case_of_a_parameter_matters():
    assert refused(read("GET", "/v1.45/containers/json?All=1"))[1] == "unknown_parameter"


def test_filters_that_no_table_knows_are_refused():
    decision = read("GET", "/v1.45/containers/json?filters=%7B%22other%22%3A%5B%22a%22%5D%7D")
    assert refused(decision) == (403, "unknown_parameter")


@pytest.mark.parametrize(
    "given, canonical",
    [
        ("all=true", "all=1"),
        ("all=False", "all=0"),
        ("all=", "all=0"),
        ("all", "all=0"),
        ("limit=007", "limit=7"),
        ("limit=", "limit=0"),
        ("size=1&all=1", "all=1&size=1"),
        ("&&all=1&", "all=1"),
        ("filters=%7B%22name%22%3A%5B%22b%22,%22a%22,%22a%22%5D%7D", "filters=%7B%22name%22%3A%7B%22a%22%3Atrue%2C%22b%22%3Atrue%7D%7D"),
        ("filters=%7B%22name%22:%7B%22a+b%22:true%7D%7D", "filters=%7B%22name%22%3A%7B%22a%20b%22%3Atrue%7D%7D"),
        ("filters=", "filters=%7B%7D"),
    ],
)  # fmt: skip
def test_one_spelling_is_forwarded(given, canonical):
    assert render(read("GET", f"/v1.45/containers/json?{given}"))[1] == f"/v1.45/containers/json?{canonical}"


def test_a_platform_is_text_or_json():
    target = (
        "/v1.48/images/alpine/json?platform=%7B%22OS%22%3A%22linux%22%2C%22architecture%22%3A%22arm64%22%7D"
    )
    assert read("GET", target).query == {"platform": '{"architecture":"arm64","os":"linux"}'}
    assert read("GET", "/v1.48/images/alpine/json?platform=linux/arm64").query == {"platform": "linux/arm64"}
    assert refused(read("GET", "/v1.48/images/alpine/json?platform=%7B%22x%22%3A1%7D"))[1] == "unknown_field"
    assert refused(read("GET", "/v1.48/images/alpine/json?platform=linux%20x"))[1] == "malformed"


def test_every_tag_of_a_name_is_never_pulled():
    policy = make_policy("test")
    assert allowed(run(policy, "POST", "/images/create?fromImage=alpine")).call.query["tag"] == "latest"
    assert "tag" not in allowed(run(policy, "POST", "/images/create?fromImage=alpine:3.20")).call.query


def test_limits_of_a_build_are_filled_in():
    policy = make_policy("ci", build="classic", limits={"memory": "64m", "cpus": 0.5})
    query = allowed(run(policy, "POST", "/v1.45/build")).call.query
    assert query == {"memory": 64 << 20, "cpuquota": 50_000, "labels": {"wormhole.docker.owner": ""}}


def test_buildkit_is_a_power_of_its_own():
    assert refused(run(make_policy("ci", build="classic"), "POST", "/v1.45/session"))[1] == "build"
    assert refused(run(make_policy("ci"), "POST", "/v1.45/build"))[1] == "build"
    policy = make_policy("ci", build="buildkit", tags=["ci/*"])
    allowed(run(policy, "POST", "/v1.45/build?version=2&session=abc&t=ci/app"))
    assert allowed(run(policy, "POST", "/v1.45/session")).hijack
    assert allowed(run(policy, "POST", "/grpc")).hijack
