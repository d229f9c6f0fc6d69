# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of routes against the engine's own."""

from __future__ import annotations

import re

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._policy.call import Head
from ansible_collections.wormhole.docker.plugins.module_utils._policy.parse import route_of
from ansible_collections.wormhole.docker.plugins.module_utils._policy.routes import POWERS, ROUTES
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.moby_routes import (
    MOBY_ROUTES,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import refused

BY_NAME = [
    ("GET", path)
    for path in (
        *(f"/{kind}/{{}}" for kind in ("services", "tasks", "nodes", "secrets", "configs")),
        "/plugins/{}/json",
    )
]
_LITERAL = ("search", "json", "get", "create", "load", "prune")


def example(path):
    """A path with references, as a client would send it."""
    return re.sub(r"\{exec\}", "a" * 64, re.sub(r"\{(?!exec\})\w+\}", "x1", path))


@pytest.mark.parametrize("name", ROUTES)
def test_every_route_is_found(name):
    route = ROUTES[name]
    head = route_of(route.method, "/v1.45" + example(route.path))
    assert isinstance(head, Head)
    assert (head.route, head.body, head.answer) == (name, route.body, route.answer)
    assert (route.document is not None) == (route.body == "json")


@pytest.mark.parametrize("method, path", MOBY_ROUTES)
def test_every_route_of_the_engine_is_known_or_reserved(method, path):
    """A route that neither table has would be ``unknown_route``, which says that the tables are old."""
    head = route_of(method, example(path))
    if isinstance(head, Head):
        assert ROUTES[head.route].method == method
        assert re.sub(r"\{\w+\}", "{}", ROUTES[head.route].path) == re.sub(r"\{\w+\}", "{}", path)
    elif (method, re.sub(r"\{\w+\}", "{}", path)) in BY_NAME:
        assert refused(head) == (404, "not_found")
    else:
        assert refused(head) == (403, "root_only")


def test_every_route_of_the_table_is_one_of_the_engine():
    engine = {(method, re.sub(r"\{\w+\}", "{}", path)) for method, path in MOBY_ROUTES}
    ours = {(route.method, re.sub(r"\{\w+\}", "{}", route.path)) for route in ROUTES.values()}
    assert ours <= engine


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/"),
        ("GET", "/unknown"),
        ("GET", "/containers"),
        ("POST", "/containers/json"),
        ("GET", "/containers/x1"),
        ("GET", "/containers/x1/unknown"),
        ("PUT", "/containers/x1/start"),
        ("DELETE", "/images"),
        ("POST", "/_ping"),
        ("GET", "/v1.45"),
        ("GET", "/_ping/x"),
    ],
)
def test_what_no_table_has_is_refused(method, path):
    assert refused(route_of(method, path)) == (403, "unknown_route")


@pytest.mark.parametrize("method", ["PATCH", "CONNECT", "TRACE", "OPTIONS", "get", ""])
def test_other_methods_are_refused(method):
    assert refused(route_of(method, "/info")) == (405, "unknown_route")


@pytest.mark.parametrize(
    "path",
    [
        "/swarm",
        "/services",
        "/services/x1/logs",
        "/services/-",
        "/secrets",
        "/plugins/pull",
        "/plugins/x1",
        "/debug/pprof/",
        "/containers/x1/checkpoints/c",
    ],
)
def test_what_is_root_only_says_so(path):
    expected = (400, "malformed") if path.endswith("/") else (403, "root_only")
    assert refused(route_of("GET", path)) == expected


@pytest.mark.parametrize("path", [path for _method, path in BY_NAME])
def test_objects_reserved_for_root_do_not_exist(path):
    """``docker inspect`` asks for objects of all kinds, and goes on after 404 only."""
    path = path.replace("{}", "x1")
    head = route_of("GET", f"/v1.45{path}")
    assert refused(head) == (404, "not_found")
    assert head.problem.endswith("x1 not found")
    assert refused(route_of("DELETE", path))[0] == 403


def test_an_image_may_have_a_name_of_several_parts():
    assert route_of("GET", "/images/registry.lan:5000/a/json/json").names == {
        "image": "registry.lan:5000/a/json"
    }
    assert route_of("DELETE", "/images/a/json").names == {"image": "a/json"}
    assert route_of("GET", "/images/json").route == "image.list"


def test_powers_are_named_once():
    assert len(POWERS) == len(set(POWERS))
    assert "container.create" in POWERS
