# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an identity gets of the engine's answers."""

from __future__ import annotations

import json

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._policy.decision import (
    LABEL_OWNER,
    Sight,
    Treatment,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.treat import treat, treat_line
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    ME,
    MINE,
    OTHER,
    OWN,
    THEIRS,
)

SIGHT = Sight("ci", ME, "own", images=("alpine", "ci/**"), networks=("bridge",), volumes=("cache",))
ALL = Sight("ci", ME, "all")
TARGETS = Sight("ci", ME, "targets", ("web*",), ("traefik.enable=true",))


def seen(kind, of, sight, document, status=200):
    """The treated document."""
    code, content = treat(Treatment(kind, of, sight), status, json.dumps(document).encode())
    assert code == status
    return json.loads(content)


CONTAINERS = [
    {"Id": OWN, "Names": ["/mine"], "Labels": MINE},
    {"Id": OTHER, "Names": ["/theirs"], "Labels": THEIRS},
    {"Id": ME, "Names": ["/self"], "Labels": {}},
    {"Id": "aa" * 32, "Names": ["/web-1"], "Labels": None},
    {"Id": "bb" * 32, "Names": ["/x"], "Labels": {"traefik.enable": "true"}},
    {"Id": "cc" * 32, "Names": None, "Labels": {"traefik.enable": "false"}},
]


@pytest.mark.parametrize(
    "sight, names",
    [
        (SIGHT, ["mine", "self"]),
        (Sight("ci", ""), ["mine"]),
        (TARGETS, ["mine", "self", "web-1", "x"]),
        (Sight("nobody"), []),
    ],
)
def test_containers(sight, names):
    assert [row["Names"][0][1:] for row in seen("list", "container", sight, CONTAINERS)] == names


def test_everything_is_seen_by_all():
    assert seen("list", "container", ALL, CONTAINERS) == CONTAINERS


def test_images_are_shown_with_the_names_that_may_be_seen():
    rows = [
        {"Id": "1", "RepoTags": ["alpine:3", "secret:1"], "RepoDigests": None},
        {"Id": "2", "RepoTags": ["secret:2"], "RepoDigests": ["secret@sha256:" + "ab" * 32]},
        {"Id": "3", "RepoTags": None, "RepoDigests": ["alpine@sha256:" + "ab" * 32]},
        {"Id": "4", "RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]},
    ]
    assert seen("list", "image", SIGHT, rows) == [
        {"Id": "1", "RepoTags": ["alpine:3"], "RepoDigests": []},
        {"Id": "3", "RepoTags": [], "RepoDigests": ["alpine@sha256:" + "ab" * 32]},
    ]


def test_networks_that_are_shared_do_not_show_who_is_on_them():
    rows = [
        {"Name": "mynet", "Labels": MINE, "Containers": {OWN: {}}},
        {"Name": "theirnet", "Labels": THEIRS, "Containers": {OTHER: {}}},
        {"Name": "bridge", "Labels": {}, "Containers": {OTHER: {}}},
        {"Name": "none", "Labels": None},
        {"Name": "host", "Labels": {}},
    ]
    assert seen("list", "network", SIGHT, rows) == [
        {"Name": "mynet", "Labels": MINE, "Containers": {OWN: {}}},
        {"Name": "bridge", "Labels": {}, "Containers": {}},
        {"Name": "none", "Labels": None},
    ]
    assert seen("inspect", "network", SIGHT, rows[2])["Containers"] == {}
    assert seen("inspect", "network", ALL, rows[2])["Containers"] == {OTHER: {}}


def test_volumes():
    rows = [
        {"Name": "myvol", "Labels": MINE},
        {"Name": "theirvol", "Labels": THEIRS},
        {"Name": "cache", "Labels": None},
    ]
    document = seen("list", "volume", SIGHT, {"Volumes": rows, "Warnings": ["theirvol is broken"]})
    assert document == {"Volumes": [rows[0], rows[2]], "Warnings": None}
    assert seen("list", "volume", SIGHT, {"Volumes": None})["Volumes"] == []


def _container(identifier, labels):
    return {"Id": identifier, "Config": {"Env": ["A=secret", "B=", "C"], "Labels": labels, "Cmd": ["x"]}}


def test_values_of_variables_of_others_are_removed():
    theirs = seen("inspect", "container", ALL, _container(OTHER, THEIRS))
    assert theirs == {"Id": OTHER, "Config": {"Env": ["A=", "B=", "C="], "Labels": THEIRS, "Cmd": ["x"]}}
    for identifier, labels in ((OWN, MINE), (ME, {})):
        assert seen("inspect", "container", ALL, _container(identifier, labels)) == _container(
            identifier, labels
        )
    shown = Sight("ci", ME, "all", environment=True)
    assert seen("inspect", "container", shown, _container(OTHER, THEIRS)) == _container(OTHER, THEIRS)


def test_values_of_variables_of_images_are_removed_from_observers():
    image = {
        "Id": "1",
        "RepoTags": ["a:1"],
        "Config": {"Env": ["A=secret"]},
        "ContainerConfig": {"Env": ["A=secret"]},
    }
    text = json.dumps(seen("inspect", "image", ALL, image))
    assert "secret" not in text
    assert "A=" in text
    history = seen("inspect", "image", ALL, [{"Id": "1", "CreatedBy": "ENV A=secret"}])
    assert history == [{"Id": "1", "CreatedBy": ""}]


def test_an_image_that_may_be_run_is_shown_without_other_names():
    image = {"Id": "1", "RepoTags": ["alpine:1", "secret:1"], "RepoDigests": [], "Config": {"Env": ["A=b"]}}
    assert seen("inspect", "image", SIGHT, image) == {**image, "RepoTags": ["alpine:1"]}


def test_a_volume_of_others_that_was_returned_as_created():
    mine = {"Name": "x", "Labels": MINE}
    assert seen("created_volume", "volume", SIGHT, mine, 201) == mine
    for labels in (THEIRS, {}, None):
        content = json.dumps({"Name": "x", "Mountpoint": "/secret", "Labels": labels}).encode()
        status, answer = treat(Treatment("created_volume", "volume", SIGHT), 201, content)
        assert status == 409
        assert json.loads(answer) == {"message": "The name x of the new volume cannot be used"}


def test_ids_in_errors_are_removed():
    content = f'{{"message":"name in use by container {OTHER}"}}'.encode()
    assert treat(Treatment(sight=SIGHT), 409, content) == (
        409,
        b'{"message":"name in use by container (another)"}',
    )
    assert treat(Treatment(sight=ALL), 409, content) == (409, content)


@pytest.mark.parametrize("content", [b"", b"x", b"{}", b"[1]", b"null", b'[{"Names":["/x"]}]'])
def test_what_cannot_be_read_is_not_shown(content):
    status, answer = treat(Treatment("list", "container", SIGHT), 200, content)
    assert (status, json.loads(answer)) in (
        (502, {"message": "The answer of the engine could not be read"}),
        (200, []),
    )


def test_what_is_not_treated_is_the_same_bytes():
    assert treat(Treatment(), 200, b'{"a":  1}') == (200, b'{"a":  1}')


def _event(identifier, kind="container", **attributes):
    return json.dumps(
        {"Type": kind, "Action": "start", "Actor": {"ID": identifier, "Attributes": attributes}}
    ).encode()


def test_events():
    treatment = Treatment("events", "container", TARGETS)
    for line in (
        _event(OWN, **{LABEL_OWNER: "ci"}),
        _event(ME, name="self"),
        _event(OTHER, name="web-2"),
        _event(OTHER, name="x", **{"traefik.enable": "true"}),
    ):
        assert treat_line(treatment, line) == line
    for line in (
        _event(OTHER, name="x"),
        _event(OTHER, name="x", **{LABEL_OWNER: "other"}),
        _event(OTHER, "network", name="web-net"),
        b"{}",
        b"x",
        b"[]",
        b"null",
        b'{"Type":"container","Actor":{"ID":1,"Attributes":null}}',
    ):
        assert treat_line(treatment, line) == b""
    line = _event(OTHER, name="x")
    assert treat_line(Treatment("events", "container", ALL), line) == line
