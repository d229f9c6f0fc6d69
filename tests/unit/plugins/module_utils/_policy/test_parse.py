# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is parsed has one meaning, and what is rendered parses to the same call."""

from __future__ import annotations

import base64
import json
import re
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._policy.bodies import DOCUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._policy.call import Head
from ansible_collections.wormhole.docker.plugins.module_utils._policy.decision import Allow, Code, Deny
from ansible_collections.wormhole.docker.plugins.module_utils._policy.parse import (
    parse,
    parse_header,
    route_of,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy_file import PRESETS
from ansible_collections.wormhole.docker.plugins.module_utils._policy.refusal import render_refusal
from ansible_collections.wormhole.docker.plugins.module_utils._policy.render import render
from ansible_collections.wormhole.docker.plugins.module_utils._policy.routes import ROUTES
from ansible_collections.wormhole.docker.plugins.module_utils._policy.shapes import (
    DROPPED,
    NEVER,
    ListOf,
    MapOf,
    Struct,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.strategies import calls
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    make_policy,
    read,
    refused,
    settle,
)

CREATE = "/v1.45/containers/create"


@given(calls())
def test_what_is_rendered_parses_to_the_same_call(call):
    method, target, body = render(call)
    assert re.match(r"[!-~]+\Z", target)
    assert read(method, target, body) == call
    assert render(read(method, target, body)) == (method, target, body)


@given(
    st.text(max_size=60) | st.text("/v1.45containersjson%2F.?&=;#+", max_size=40),
    st.sampled_from(["GET", "POST"]),
)
def test_any_target_is_rejected_or_has_one_spelling(text, method):
    head = route_of(method, text)
    if isinstance(head, Head):
        call = parse(head, "", None if head.body == "stream" else b"")
        again = route_of(*render(call)[:2])
        assert again == head
    else:
        _check_refusal(head)


@given(st.binary(max_size=60) | st.text('{}[]":,\\uImage0123.eE-+ ntrue', max_size=40).map(str.encode))
def test_any_body_is_rejected_or_has_one_spelling(raw):
    call = read("POST", CREATE, raw)
    if isinstance(call, Deny):
        _check_refusal(call)
    else:
        method, target, body = render(call)
        assert read(method, target, body) == call


@given(calls(), st.sampled_from(sorted(set(PRESETS) - {"unrestricted"})))
def test_what_is_forwarded_was_decided(call, preset):
    """Every refusal has a code and words; what is forwarded parses, and holds nothing that no policy allows."""
    policy = make_policy(preset)
    decision = settle(policy, call)
    if isinstance(decision, Deny):
        _check_refusal(decision)
        assert decision.code == "not_found" or render_refusal(policy, decision).endswith(".")
    else:
        assert isinstance(decision, Allow)
        assert policy.reach(decision.power)
        method, target, body = render(decision.call)
        assert read(method, target, body) == decision.call
        shape = DOCUMENTS.get(decision.call.route)
        if shape and decision.call.body and not policy.recreate:
            assert list(_forbidden(shape, decision.call.body)) == []


def _check_refusal(deny):
    assert deny.code in get_args(Code)
    assert deny.status in (400, 403, 404, 405, 413, 414)
    assert deny.problem
    assert deny.code == "not_found" or not deny.problem.endswith(".")


def _forbidden(shape, value):
    if isinstance(shape, ListOf):
        for item in value:
            yield from _forbidden(shape.item, item)
    if isinstance(shape, MapOf):
        for item in value.values():
            yield from _forbidden(shape.item, item)
    if isinstance(shape, Struct):
        for row in shape.fields:
            if row.name in value:
                if row.rule in (NEVER, DROPPED):
                    yield row.name
                yield from _forbidden(row.shape, value[row.name])


def _structs(shape, path=()):
    """Yield the path of each struct in a document: names, and what leads into lists and maps."""
    if isinstance(shape, ListOf):
        yield from _structs(shape.item, (*path, list))
    if isinstance(shape, MapOf):
        yield from _structs(shape.item, (*path, dict))
    if isinstance(shape, Struct):
        yield path
        for row in shape.fields:
            yield from _structs(row.shape, (*path, row.name))


def _at(path, value):
    for step in reversed(path):
        value = [value] if step is list else {"x": value} if step is dict else {step: value}
    return value


EVERY_STRUCT = [(name, path) for name, shape in DOCUMENTS.items() for path in _structs(shape)]
TARGETS = {
    name: (route.method, re.sub(r"\{exec\}", "a" * 64, re.sub(r"\{(?!exec)\w+\}", "x1", route.path)))
    for name, route in ROUTES.items()
}


@pytest.mark.parametrize("name, path", EVERY_STRUCT)
def test_an_unknown_field_is_refused_everywhere(name, path):
    method, target = TARGETS[name]
    assert refused(read(method, target, _at(path, {"Unknown": 1}))) == (403, "unknown_field")
    assert not isinstance(read(method, target, _at(path, {"Unknown": None})), Deny)


@pytest.mark.parametrize(
    "body",
    [
        b'{"Image":"a","Image":"b"}',
        b'{"Image":"a","image":"b"}',
        b'{"image":"a","IMAGE":null}',
        b'{"HostConfig":{"Privileged":false,"privileged":true}}',
        b'{"HostConfig":{},"hostconfig":{"Privileged":true}}',
        b'{"Labels":{"a":"b","a":"c"}}',
        b'{"StopTimeout":NaN}',
        b'{"StopTimeout":Infinity}',
        b'{"StopTimeout":1.0}',
        b'{"StopTimeout":1e3}',
        b'{"StopTimeout":9223372036854775808}',
        b'{"StopTimeout":' + b"9" * 5000 + b"}",
        b'{"StopTimeout":"1"}',
        b'{"StopTimeout":true}',
        b'{"Tty":1}',
        b'{"Tty":"true"}',
        b'{"Image":"\\ud800"}',
        b'{"Image":"a\\u0000b"}',
        b'{"Image":"\xff"}',
        b'\xef\xbb\xbf{"Image":"a"}',
        '{"Image":"a"}'.encode("utf-16"),
        b'{"Image":"a"}{"Image":"b"}',
        b'{"Image":"a"} x',
        b'{"Image":"a",}',
        b"{'Image':'a'}",
        b'{"Env":[null]}',
        b'{"Env":"A=b"}',
        b'{"ExposedPorts":{"80/tcp":0}}',
        b'{"ExposedPorts":{"80/tcp":false}}',
        b'[{"Image":"a"}]',
        b'"a"',
        b"1",
        b"[" * 100_000,
        b'{"HostConfig":[]}',
    ],
)
def test_a_body_with_two_meanings_is_rejected(body):
    assert refused(read("POST", CREATE, body)) == (400, "malformed")


def test_letters_that_only_fold_to_a_field_are_another_field():
    """Go takes the Kelvin sign for a K. A key with it is unknown here, whatever an engine would make of it."""
    assert refused(read("POST", CREATE, '{"HostConfig":{"Lin\u212as":["a"]}}'.encode()))[1] == "unknown_field"
    assert refused(read("POST", CREATE, '{"Label\u017f":{"a":"b"}}'.encode()))[1] == "unknown_field"


def test_a_field_in_another_case_is_the_same_field():
    body = {"image": "alpine", "hostCONFIG": {"binds": ["a:/b"]}}
    assert read("POST", CREATE, body).body == {"Image": "alpine", "HostConfig": {"Binds": ["a:/b"]}}


def test_nulls_and_what_the_engine_ignores_are_left_out():
    body = {
        "Image": "alpine",
        "Env": None,
        "HostConfig": {"ContainerIDFile": "/tmp/x", "Binds": None},
        "New": False,
    }
    assert read("POST", CREATE, body).body == {"Image": "alpine", "HostConfig": {}}


def test_one_word_is_a_list_of_one():
    assert read("POST", CREATE, {"Cmd": "true", "Entrypoint": ["a"]}).body == {
        "Cmd": ["true"],
        "Entrypoint": ["a"],
    }


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/jsonx", "application/json; charset=utf-16"]
)
def test_a_body_is_declared_as_json(content_type):
    decision = parse(route_of("POST", CREATE), content_type, b'{"Image":"a"}')
    assert refused(decision) == (400, "content_type")


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "Application/JSON; charset=UTF-8", ' application/json;charset="utf-8"'],
)
def test_json_is_declared_in_several_spellings(content_type):
    assert parse(route_of("POST", CREATE), content_type, b'{"Image":"a"}').body == {"Image": "a"}


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b" {}\n"])
def test_a_route_without_a_body_takes_an_empty_one(body):
    assert read("POST", "/v1.45/containers/x1/start", body).body is None


@pytest.mark.parametrize("body", [b"[]", b'{"Binds":["/:/x"]}', b"x"])
def test_a_route_without_a_body_takes_no_other(body):
    assert refused(read("POST", "/v1.45/containers/x1/start", body))[0] in (400, 413)


def test_dockerode_repeats_bodies_as_parameters_and_parameters_as_bodies():
    body = {"Image": "alpine", "name": "web", "HostConfig": {}}
    call = read("POST", "/containers/create?name=web&Image=alpine&HostConfig=%7B%7D", body)
    assert call.query == {"name": "web"}
    assert call.body == {"Image": "alpine", "HostConfig": {}}
    assert read("POST", "/containers/x1/stop?t=10", {"t": 10}).query == {"t": 10}
    assert read("POST", "/containers/x1/stop?t=10", {"t": 10}).body is None
    assert refused(read("POST", "/containers/x1/stop", {"Binds": []})) == (400, "malformed")
    assert refused(read("POST", "/containers/create?Privileged=1", body)) == (403, "unknown_parameter")


def test_a_body_has_a_bound():
    assert refused(read("POST", "/v1.45/networks/create", b'{"Name":"' + b"x" * 70_000 + b'"}')) == (
        413,
        "too_large",
    )
    assert refused(route_of("GET", "/" + "x" * 40_000)) == (414, "too_large")
    assert refused(route_of("GET", "/info?" + "&".join(["a=b"] * 300))) == (414, "too_large")


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "containers/json",
        "http://host/containers/json",
        "//containers/json",
        "/containers//json",
        "/containers/json/",
        "/containers/./json",
        "/containers/../info",
        "/containers/x/../../info",
        "/containers/%2e%2e/info",
        "/containers/x%2f..%2f..%2finfo",
        "/containers/x%00/json",
        "/containers/x%/json",
        "/containers/x%zz/json",
        "/containers/x%0ay/json",
        "/containers/x y/json",
        "/containers/x;y/json",
        "/containers/x#y",
        "/containers/json#x",
        "/info%00",
        "/info%c3%a9",
        "/containers/json?all=1#x",
        "/containers/\u00e9/json",
        "/containers/%c3%a9/json",
        "/containers/-x/json",
        "/containers/x%2fy/json",
        "/exec/abc/json",
        "/images//json",
    ],
)
def test_a_path_with_two_meanings_is_rejected(target):
    assert refused(route_of("GET", target)) == (400, "malformed")


@pytest.mark.parametrize("version", ["v1.23", "v1.57", "v2.0", "v1.045", "v01.45", "v0.99", "v1.450"])
def test_a_version_outside_the_table_is_refused(version):
    assert refused(route_of("GET", f"/{version}/info")) == (400, "version")


@pytest.mark.parametrize("prefix", ["v1", "v1.", "v1.45.1", "V1.45", "v1.45v", "1.45", "v1.45/v1.45"])
def test_a_prefix_that_is_no_version_is_an_unknown_route(prefix):
    assert refused(route_of("GET", f"/{prefix}/info")) == (403, "unknown_route")


def test_a_path_may_be_encoded():
    assert route_of("GET", "/v1.45/images/docker.io%2flibrary%2Falpine%3A3/json").names == {
        "image": "docker.io/library/alpine:3"
    }
    assert route_of("GET", "/v1.45/%63ontainers/json").route == "container.list"
    assert render(read("GET", "/v1.45/%63ontainers/json"))[1] == "/v1.45/containers/json"


def test_headers_are_written_anew():
    raw = json.dumps({"username": "a", "password": "?>~"}).encode()
    standard = base64.b64encode(raw).decode()
    assert base64.urlsafe_b64decode(parse_header("x-registry-auth", standard.rstrip("="))) == raw
    assert refused(parse_header("x-registry-auth", "a b"))[1] == "malformed"
    assert refused(parse_header("x-registry-auth", "a\r\nx: y"))[1] == "malformed"
    assert parse_header("x-docker-expose-session-uuid", " abc ") == "abc"


def test_headers_belong_to_routes():
    assert route_of("POST", "/images/create?fromImage=a").headers == ("x-registry-auth",)
    assert route_of("GET", "/containers/json").headers == ()
