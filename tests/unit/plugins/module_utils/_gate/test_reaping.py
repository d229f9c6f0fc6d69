# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which siblings are removed after their wormhole has ended, and when."""

from __future__ import annotations

import json

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.identities import (
    parse_registry,
    render_identity,
)
from ansible_collections.wormhole.docker.plugins.module_utils._gate.reaping import (
    KINDS,
    Memory,
    Owner,
    Removed,
    Sibling,
    due_times,
    find_ended,
    find_forgotten,
    parse_alive,
    parse_memory,
    parse_siblings,
    remember,
    removal_path,
    render_memory,
    siblings_path,
    stop_path,
    with_removed,
)

OWNER, IDENTITY = "wormhole.docker.owner", "wormhole.docker.identity"


def registry(**identities):
    contents = {
        name: render_identity({"identity": name, **policy}).encode() if policy else b"not a policy"
        for name, policy in identities.items()
    }
    return parse_registry(contents)


def test_what_a_policy_says_last_is_remembered():
    known = remember({}, registry(ci={"preset": "ci"}, obs={"preset": "observe"}), {"ci"})
    assert known == {"ci": Owner("remove", 60, True), "obs": Owner("none", 60, False)}
    stop = {"preset": "ci", "overrides": {"cleanup": {"mode": "stop", "after": "5m"}}}
    known = remember(known, registry(ci=stop), ())
    assert known["ci"] == Owner("stop", 300, True)
    # The file is gone, or cannot be parsed.
    assert remember(known, registry(), ())["ci"] == Owner("stop", 300, True)
    assert remember(known, registry(ci=None), ())["ci"] == Owner("stop", 300, True)


@pytest.mark.parametrize("mode, cleanup", [("enforce", "remove"), ("warn", "none"), ("learn", "none")])
def test_only_a_policy_that_enforces_cleans_up(mode, cleanup):
    assert remember({}, registry(ci={"preset": "ci", "mode": mode}), ())["ci"].mode == cleanup


def test_an_owner_ends_with_its_container():
    owners = {"ci": Owner("remove", 60, seen=True)}
    policies = registry(ci={"preset": "ci"})
    assert find_ended(owners, policies, {"ci"}) == frozenset()
    assert find_ended(owners, policies, {"other"}) == {"ci"}
    # It may still run, without the gate.
    assert find_ended(owners, registry(), {"ci"}) == frozenset()
    assert find_ended(owners, registry(), ()) == {"ci"}


def test_an_owner_without_a_known_container_ends_with_its_policy():
    owners = {"ci": Owner("remove", 60, seen=False)}
    assert find_ended(owners, registry(ci={"preset": "ci"}), ()) == frozenset()
    assert find_ended(owners, registry(ci=None), ()) == frozenset()
    assert find_ended(owners, registry(), ()) == {"ci"}


def test_who_has_neither_a_policy_nor_a_cleanup_is_forgotten():
    owners = {"a": Owner("none"), "b": Owner("remove"), "c": Owner("none", seen=True)}
    policies = registry(c={"preset": "observe"})
    ended = find_ended(owners, policies, ())
    assert ended == {"a", "b", "c"}
    assert find_forgotten(owners, policies, ended) == {"a"}


def test_due_is_who_has_ended_for_long_enough():
    owners = {
        "a": Owner("remove", 60),
        "b": Owner("stop", 10),
        "c": Owner("none", 0),
        "d": Owner("remove", 0),
    }
    since = dict.fromkeys(owners, 100.0)
    assert due_times(owners, since, {}, 30.0) == {"a": 160.0, "b": 110.0, "d": 100.0}
    # What was in use then is tried again.
    assert due_times(owners, since, {"a": 110.0, "d": 101.0}, 30.0) == {"a": 160.0, "b": 110.0, "d": 131.0}
    assert due_times(owners, {}, {}, 30.0) == {}


@pytest.mark.parametrize(
    "state, alive",
    [
        ("running", True), ("paused", True), ("restarting", True),
        ("created", False), ("exited", False), ("dead", False), ("removing", False),
    ],
)  # fmt: skip
def test_a_container_that_runs_is_alive(state, alive):
    row = {"Id": "a" * 64, "State": state, "Labels": {IDENTITY: "ci"}}
    assert parse_alive([row]) == ({"ci"} if alive else frozenset())
    # While it is replaced, there are two.
    assert "ci" in parse_alive([row, {**row, "State": "running"}])


def test_a_sibling_that_pretends_is_no_owner():
    labels = {IDENTITY: "ci", OWNER: "ci"}
    assert parse_alive([{"Id": "a" * 64, "State": "running", "Labels": labels}]) == frozenset()


@pytest.mark.parametrize("document", [None, {}, "x", [1], [{"Labels": 1}], [{"Labels": {IDENTITY: 1}}]])
def test_odd_documents_name_nobody(document):
    assert parse_alive(document) == frozenset()
    for kind in KINDS:
        assert parse_siblings(kind, document, "ci") == ()


@pytest.mark.parametrize(
    "labels",
    [
        {}, {OWNER: "other"}, {OWNER: ""}, {OWNER: "ci2"}, {"owner": "ci"}, {IDENTITY: "ci"},
        {OWNER: "ci", IDENTITY: "ci"}, {OWNER: "ci", "wormhole.docker.managed": "true"}, {OWNER: "CI"},
    ],
)  # fmt: skip
def test_what_does_not_have_exactly_this_owner_is_not_touched(labels):
    row = {"Id": "a" * 64, "Name": "x", "Names": ["/x"], "State": "running", "Labels": labels}
    assert parse_siblings("container", [row], "ci") == ()
    assert parse_siblings("network", [row], "ci") == ()
    assert parse_siblings("volume", {"Volumes": [row]}, "ci") == ()
    assert parse_siblings("container", [row], "") == ()


def test_siblings_are_named_by_their_ids():
    row = {"Id": "a" * 64, "Labels": {OWNER: "ci", "com.docker.compose.project": "x"}}
    container = {**row, "Names": ["/web", "/x/web"], "State": "running", "ImageID": "sha256:1"}
    network, volume = {**row, "Name": "net"}, {"Name": "data", "Labels": row["Labels"]}
    found = [
        *parse_siblings("container", [container, {**container, "State": "exited"}], "ci"),
        *parse_siblings("network", [network], "ci"),
        *parse_siblings("volume", {"Volumes": [volume]}, "ci"),
    ]
    assert found == [
        Sibling("container", "a" * 64, "web", True, "sha256:1"),
        Sibling("container", "a" * 64, "web", False, "sha256:1"),
        Sibling("network", "a" * 64, "net"),
        Sibling("volume", "data", "data"),
    ]
    assert [removal_path(sibling) for sibling in found[1:]] == [
        f"/containers/{'a' * 64}?force=1&v=1",
        f"/networks/{'a' * 64}",
        "/volumes/data",
    ]
    assert stop_path(found[0]) == f"/containers/{'a' * 64}/stop"
    assert parse_siblings("volume", {"Volumes": None}, "ci") == ()


def test_an_id_leads_nowhere_else():
    sibling = Sibling("volume", "../containers/x?force=1", "x")
    assert removal_path(sibling) == "/volumes/..%2Fcontainers%2Fx%3Fforce%3D1"


@pytest.mark.parametrize("kind, path", [("container", "/containers/json?all=1&"), ("volume", "/volumes?")])
def test_lists_are_filtered_by_the_owner(kind, path):
    assert (
        siblings_path(kind, "ci")
        == path + "filters=%7B%22label%22%3A+%5B%22wormhole.docker.owner%3Dci%22%5D%7D"
    )


def test_the_memory_is_read_as_it_was_written():
    memory = Memory({"ci": Owner("stop", 5, True), "other": Owner()})
    for number in range(150):
        memory = with_removed(memory, Removed("ci", "volume", f"v{number}", "v", "removed", number))
    assert len(memory.removed) == 100
    assert memory.removed[-1].time == 149
    assert parse_memory(render_memory(memory)) == memory


@pytest.mark.parametrize(
    "document",
    [
        b"", b"{", b"[]", b"[" * 100000, b"{}", b'{"owners": [], "removed": {}}',
        json.dumps({"owners": {"../x": {"mode": "remove", "after": 0, "seen": True}}}).encode(),
        json.dumps({"owners": {"ci": {"mode": "burn", "after": 0, "seen": True}}}).encode(),
        json.dumps({"owners": {"ci": {"mode": "remove", "after": "0", "seen": True}}}).encode(),
        json.dumps({"owners": {"ci": {"mode": "remove", "after": -1, "seen": True}}}).encode(),
        json.dumps({"owners": {"ci": {"mode": "remove", "after": 0, "seen": 1}}}).encode(),
        json.dumps({"removed": [{"identity": "ci"}, 1]}).encode(),
    ],
)  # fmt: skip
def test_a_malformed_memory_removes_nothing(document):
    assert parse_memory(document) == Memory()
