# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions as paths, and documents of the engine as answers."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._gate.found import (
    own_container_path,
    parse_found,
    parse_own_container,
    question_path,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.decision import Found, Question

KINDS = ("container", "network", "volume", "image", "exec", "template")


@pytest.mark.parametrize(
    "kind, reference, path",
    [
        ("container", "db", "/containers/db/json"),
        ("template", "db", "/containers/db/json"),
        ("exec", "e1", "/exec/e1/json"),
        ("network", "my net", "/networks/my%20net"),
        ("volume", "v?x=1#y", "/volumes/v%3Fx%3D1%23y"),
        ("image", "reg:5000/a/b@sha256:12", "/images/reg:5000/a/b@sha256:12/json"),
        ("container", "a/b", None),
        ("container", "..", None),
        ("image", "a/../b", None),
        ("image", "a//b", None),
        ("image", "", None),
        ("volume", "a\nb", None),
        ("count", "secrets", None),
    ],
)
def test_paths(kind, reference, path):
    assert question_path(Question(kind, reference), "ci") == path


@given(st.sampled_from(KINDS), st.text(max_size=20))
def test_a_reference_stays_in_its_place(kind, reference):
    path = question_path(Question(kind, reference), "ci")
    if path is None:
        return
    parts = urlsplit(path)
    assert (parts.query, parts.fragment) == ("", "")
    assert path.isascii()
    segments = [unquote(segment) for segment in parts.path.split("/")]
    assert not {"", ".", ".."} & set(segments[1:])
    assert "/".join(segments).count(reference) >= 1


@pytest.mark.parametrize("what, path", [("containers", "/containers/json"), ("running", "/containers/json")])
def test_counts_are_of_the_owner(what, path):
    found = urlsplit(question_path(Question("count", what), "ci"))
    assert found.path == path
    query = parse_qs(found.query)
    assert query["filters"] == ['{"label": ["wormhole.docker.owner=ci"]}']
    assert ("all" in query) == (what == "containers")


def test_answers():
    container = {
        "Id": "1",
        "Name": "/db",
        "Config": {"Labels": {"a": "b"}},
        "NetworkSettings": {"Networks": {"z": {}, "a": {}}},
    }
    assert parse_found(Question("container", "db"), container) == Found(
        "container", "1", "db", {"a": "b"}, networks=("a", "z")
    )
    assert parse_found(Question("template", "db"), container).config == container
    assert parse_found(Question("exec", "e"), {"ID": "e", "ContainerID": "1"}).container == "1"
    assert parse_found(Question("volume", "v"), {"Name": "v", "Labels": None}) == Found("volume", "v", "v")
    assert parse_found(Question("network", "n"), {"Id": "2", "Name": "n", "Labels": {"a": "b"}}).labels == {
        "a": "b"
    }
    image = {"Id": "sha256:1", "RepoTags": ["a:1"], "RepoDigests": ["a@sha256:2"], "Config": None}
    assert parse_found(Question("image", "a"), image).references == ("a:1", "a@sha256:2")
    assert parse_found(Question("count", "containers"), [{}, {}]).count == 2
    assert parse_found(Question("count", "volumes"), {"Volumes": [{}]}).count == 1
    assert parse_found(Question("count", "volumes"), {"Volumes": None}).count == 0


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["Id", "ID", "Name", "Labels", "Config", "NetworkSettings", "Networks"]), inner
        ),
    ),
)


@given(st.sampled_from((*KINDS, "count")), JSON)
def test_no_document_raises(kind, document):
    found = parse_found(Question(kind, "containers"), document)
    assert found is None or found.kind == kind


def test_the_own_container_is_not_one_that_pretends():
    own = {"Id": "1", "Labels": {"wormhole.docker.identity": "ci"}}
    sibling = {"Id": "2", "Labels": {"wormhole.docker.identity": "ci", "wormhole.docker.owner": "ci"}}
    assert parse_own_container([sibling, own]) == "1"
    assert parse_own_container([sibling]) == ""
    assert parse_own_container([own, {"Id": "3", "Labels": {}}]) == ""
    assert parse_own_container(None) == ""
    assert parse_own_container([own, {"Id": "3", "Labels": {}, "State": "running"}]) == "3"
    assert parse_own_container([{"Id": name, "State": "running"} for name in "12"]) == ""
    assert "wormhole.docker.identity%3Dci" in own_container_path("ci")
