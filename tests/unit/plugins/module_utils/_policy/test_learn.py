# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The suggested policy allows what was recorded, as far as a policy can, and little besides."""

from __future__ import annotations

import json
from dataclasses import replace as replace_call
from pathlib import Path
from typing import Any, List, Sequence, Tuple

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._policy import naming
from ansible_collections.wormhole.docker.plugins.module_utils._policy.call import Call
from ansible_collections.wormhole.docker.plugins.module_utils._policy.decision import (
    Allow,
    Deny,
    Facts,
    Found,
    Question,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.describe import (
    effective,
    render_yaml,
    title,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.learn import (
    SMALLEST_FIRST,
    Counted,
    Suggestion,
    replay,
    suggest,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.learned_call import (
    decide_again,
    record_rejected,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.parse import parse, route_of
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy import Policy
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy_file import PRESETS, parse_policy
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy import cases
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.strategies import calls
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.test_learned_call import (
    record,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    make_policy,
    read,
    settle,
)

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text(encoding="utf-8"))["requests"]
LEARNING = make_policy("observe", "learn")


def learned(*requests: Tuple[Any, ...]) -> List[Counted]:
    """The records of requests: method, target and, if there is one, the body."""
    found = []
    for method, target, *body in requests:
        call = read(method, target, *body)
        assert isinstance(call, Call), call
        found.append(Counted(record(LEARNING, call)))
    return found


def policy_of(suggestion: Suggestion) -> Policy:
    return parse_policy({"identity": "ci", "preset": suggestion.preset, "overrides": suggestion.overrides})


def check(counted: Sequence[Counted]) -> Suggestion:
    """Suggest a policy, and assert that it allows what any preset allows."""
    found = suggest("ci", counted)
    policy = policy_of(found)
    refused = {id(row) for row, _deny in found.refused}
    for row in counted:
        assert isinstance(decide_again(policy, row.call), Allow) == (id(row) not in refused), title(row.call)
        assert id(row) not in refused or row.call.copy or not _any_preset_allows(row), title(row.call)
    assert replay(policy, [row for row in counted if id(row) not in refused]) == []
    text = yaml.safe_load(render_yaml(found, "a", "b"))
    assert text.pop("policy_mode") == "warn"
    expected = {"policy": found.preset}
    if found.overrides:
        expected["policy_overrides"] = json.loads(json.dumps(found.overrides))
    assert text == expected
    return found


def _any_preset_allows(row: Counted) -> bool:
    presets = [parse_policy({"identity": "ci", "preset": name}) for name in PRESETS if name != "unrestricted"]
    return any(isinstance(decide_again(policy, row.call), Allow) for policy in presets)


def create(name: str = "new", **body: Any) -> Tuple[str, str, Any]:
    return "POST", f"/containers/create?name={name}", {"Image": "alpine", **body}


PING, LISTED = ("GET", "/_ping"), ("GET", "/containers/json?all=1")
START, LOGS = ("POST", "/containers/mine/start"), ("GET", "/containers/mine/logs?stdout=1")


@pytest.mark.parametrize(
    "requests, preset, overrides",
    [
        ([PING, LISTED], "observe", {}),
        ([PING, LISTED, ("GET", "/containers/theirs/json")], "observe", {}),
        ([PING, LISTED, ("POST", "/containers/theirs/restart")], "tend", {}),
        ([PING, create(), START, LOGS], "test", {"images": ["alpine"]}),
        ([create(), ("POST", "/images/alpine/tag?repo=ci/new&tag=1")], "ci", {"images": ["alpine"]}),
        ([create(HostConfig={"RestartPolicy": {"Name": "always"}})], "compose", {"images": ["alpine"]}),
        (
            [create(HostConfig={"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}})],
            "test",
            {"images": ["alpine"], "ports": {"addresses": ["*"], "ranges": ["8080"], "random": True}},
        ),
        (
            [create(HostConfig={"Binds": ["/srv/data:/x:ro"]}), create(HostConfig={"Binds": ["/srv/w:/x"]})],
            "test",
            {"images": ["alpine"], "binds": [{"path": "/srv/data", "read_only": True}, "/srv/w"]},
        ),
        (
            [create(HostConfig={"Binds": ["/srv/data:/x:ro"]}), create(HostConfig={"Binds": ["/srv/data:/x"]})],
            "test",
            {"images": ["alpine"], "binds": ["/srv/data"]},
        ),
        (
            [create(HostConfig={"NetworkMode": "shared", "Binds": ["cache:/x"]})],
            "test",
            {"images": ["alpine"], "networks": ["bridge", "shared"], "volumes": ["cache"]},
        ),
        ([create(HostConfig={"PidsLimit": 9000})], "test", {"images": ["alpine"], "limits": {"pids": 9000}}),
        ([create(HostConfig={"ShmSize": -1})], "test", {"images": ["alpine"], "limits": {"shm": None}}),
        (
            [create(Labels={"traefik.enable": "true", "a": "b"})],
            "test",
            {"images": ["alpine"], "labels": {"allow": ["traefik."]}},
        ),
        (
            [create(HostConfig={"VolumesFrom": ["self"]})],
            "test",
            {"images": ["alpine"], "volumes_from_self": True},
        ),
        (
            [create(HostConfig={"DeviceRequests": [{"Driver": "nvidia", "Count": -1}]})],
            "test",
            {"images": ["alpine"], "devices": ["nvidia"]},
        ),
        ([create(), ("POST", "/build?t=ci/app&version=1")], "test", {"images": ["alpine"], "build": "classic"}),
        ([create(), ("POST", "/session")], "test", {"images": ["alpine"], "build": "buildkit"}),
        (
            [("POST", "/build/prune"), create(), ("POST", "/session")],
            "test",
            {"build": "buildkit", "images": ["alpine"]},
        ),
        (
            [create(), ("POST", "/images/alpine/tag?repo=registry.lan/app&tag=4711")],
            "ci",
            {"images": ["alpine"], "tags": ["ci/**", "registry.lan/app"]},
        ),
        (
            [("POST", "/networks/create", {"Name": "n2", "IPAM": {"Config": [{"Subnet": "10.9.3.0/24"}]}})],
            "test",
            {"subnets": ["10.9.3.0/24"]},
        ),
        (
            [("POST", "/volumes/create", {"Name": "v2", "DriverOpts": {"type": "nfs", "device": ":/e", "o": "addr=10.0.0.9"}})],
            "test",
            {"volume_servers": ["10.0.0.9"]},
        ),
        ([LISTED, ("POST", "/containers/theirs/stop")], "tend", {"verbs": ["restart", "stop"]}),
    ],
)  # fmt: skip
def test_the_smallest_preset_that_fits(requests, preset, overrides):
    found = check(learned(*requests))
    assert (found.preset, found.overrides, found.refused) == (preset, overrides, ())
    assert all(reason.count for reason in found.reasons)


@pytest.mark.parametrize(
    "target, power",
    [("GET /containers/theirs/logs", "logs"), ("POST /containers/theirs/stop", "container.life")],
)
def test_containers_of_others_become_targets_by_name(target, power):
    rows = learned(create(), tuple(target.split()))
    # Those of other wormholes do not.
    assert check(rows).refused or "targets" not in check(rows).overrides
    objects = {"container:theirs": {"is": "foreign"}}
    found = check([rows[0], Counted(replace_call(rows[1].call, objects=objects))])
    assert (found.preset, found.refused) == ("test", ())
    assert found.overrides == {
        "images": ["alpine"], "powers": {power: "targets"}, "targets": {"names": ["theirs"]}
    }  # fmt: skip


def test_a_login_needs_no_more_than_the_registries_of_the_images():
    auth = ("POST", "/auth", {"username": "u", "serveraddress": "registry.lan"})
    pull = ("POST", "/images/create?fromImage=registry.lan/app&tag=1")
    found = check(learned(auth, create(), pull))
    assert found.overrides == {"powers": {"login": "own"}, "images": ["alpine", "registry.lan/app"]}
    assert check(learned(auth, create())).overrides["powers"] == {"login": "all"}


@pytest.mark.parametrize(
    "request_, code",
    [
        (create(HostConfig={"Binds": ["/var/run/docker.sock:/var/run/docker.sock"]}), "bind"),
        (create(HostConfig={"Privileged": True}), "field"),
        (create(HostConfig={"NetworkMode": "host"}), "namespace"),
        (create(HostConfig={"CapAdd": ["SYS_ADMIN"]}), "capability"),
        (create(HostConfig={"Binds": ["theirvol:/x"]}), "volume"),
        (create(HostConfig={"NetworkMode": "theirnet"}), "not_found"),
        (("POST", "/containers/theirs/exec", {"Cmd": ["sh"]}), "not_found"),
        (("GET", "/containers/theirs/archive?path=/etc"), "not_found"),
        (("DELETE", "/networks/shared"), "not_owner"),
        (create(Labels={"wormhole.docker.identity": "x"}), "label"),
        (("POST", "/images/load"), "power"),
        (("GET", "/images/alpine/get"), "power"),
        (("POST", "/build/prune"), "build"),
    ],
)
def test_what_is_as_good_as_root_stays_refused(request_, code):
    found = check([*learned(create(), LISTED), *learned(request_)])
    assert [deny.code for _row, deny in found.refused] in ([code], ["not_found"])
    assert "Only the policy unrestricted" in render_yaml(found, "a", "b")


@pytest.mark.parametrize(
    "text", ["{{ lookup('pipe', 'id') }}", "a\npolicy: unrestricted", "\u2028policy: x", "{% x %}"]
)
def test_nothing_of_a_client_is_an_expression_of_the_inventory(text):
    rows = learned(create(HostConfig={"Binds": [f"/srv/{text}:/x"]}), create(), LISTED)
    call = rows[2].call
    objects = {f"container:{text}": {"is": "foreign"}, f"network:{text}": {"is": "foreign"}}
    rows.append(Counted(replace_call(rows[1].call, objects={**rows[1].call.objects, **objects})))
    rows.append(
        Counted(replace_call(call, rejected="unknown_field", detail=f"The field {text} is not known"))
    )
    found = check(rows)
    assert "policy: unrestricted" not in render_yaml(found, "a", "b").splitlines()
    assert text not in json.dumps(found.overrides)
    assert rows[0] in [row for row, _deny in found.refused]
    names = naming.Naming("ci", Facts("", "", {Question("network", "n"): Found("network", "1", text)}))
    assert names.refer("network", "n") == "other"


def test_a_rejected_call_stays_refused():
    deny = route_of("GET", "/swarm")
    assert isinstance(deny, Deny)
    found = check([*learned(PING), Counted(record_rejected(deny, "", "GET", "/swarm"), 3)])
    assert "# - GET /swarm, 3 calls: The call cannot be read" not in render_yaml(found, "a", "b")
    assert "# - GET /swarm, 3 calls: " in render_yaml(found, "a", "b")


def test_an_updater_recreates():
    world_policy = make_policy("update", "learn")
    rows = learned(LISTED, ("GET", "/containers/theirs/json"), ("POST", "/containers/theirs/stop"),
                   ("DELETE", "/containers/theirs"))  # fmt: skip
    call = read(*create("theirs"))
    assert isinstance(call, Call)
    copy = record(world_policy, call)
    found = suggest("ci", [*rows, Counted(replace_call(copy, copy=True))])
    assert (found.preset, found.overrides, found.refused) == ("update", {}, ())


def test_clients_of_all_kinds_get_a_policy_that_allows_them():
    for client in ("docker ", "docker-py", "dockerode"):
        rows = []
        for name, method, target, content_type, body in RECORDED:
            if name.startswith(client.strip()):
                head = route_of(method, target)
                assert not isinstance(head, Deny)
                call = parse(head, content_type, None if head.body == "stream" else body.encode())
                assert isinstance(call, Call)
                rows.append(Counted(record(LEARNING, call)))
        found = check(rows)
        assert {row.call.route for row, _deny in found.refused} <= {
            "image.prune",
            "image.load",
            "build.prune",
        }


@settings(max_examples=60, deadline=None)
@given(st.lists(calls(), max_size=6))
def test_any_calls(found):
    check([Counted(record(LEARNING, call)) for call in found])


def test_every_case_of_the_tables_that_the_preset_test_allows_is_in_a_suggestion():
    for name, rows in cases.DOCUMENTS.items():
        if name not in cases.MINIMAL:
            continue
        target, minimal = cases.MINIMAL[name]
        requests = [
            ("POST", target, {**minimal, **part}) for case in rows.values() for part in case.allowed[:2]
        ]
        counted = learned(*requests)
        found = check(counted)
        if name != "auth":
            assert not found.refused, name


def test_a_suggestion_says_why():
    rows = [
        Counted(learned(create(HostConfig={"Binds": ["/srv/data:/x:ro"]}))[0].call, 12),
        *learned(START),
    ]
    text = render_yaml(
        suggest("ci", rows, {"mode": "remove"}), "2026-12-01T10:00:00Z", "2026-12-02T10:00:00Z"
    )
    assert (
        text
        == """\
# Learned from 13 calls between 2026-12-01T10:00:00Z and 2026-12-02T10:00:00Z.
policy: test
# Next, warn: it refuses nothing yet, and reports what it would refuse. Then enforce.
policy_mode: warn
policy_overrides:
  # Directories of the host that it mounts.
  # 12 calls: POST /containers/create
  binds:
    - path: /srv/data
      read_only: true
  # The images that were used. Remove it to allow every image.
  # 12 calls: POST /containers/create
  images:
    - alpine
  # From the present policy. No call says anything about it.
  cleanup:
    mode: remove
# Lists and events show only what this wormhole has created.
"""
    )


def test_a_replay_names_what_another_policy_refuses():
    rows = learned(create(), START, LISTED)
    assert replay(make_policy("test"), rows) == []
    found = replay(make_policy("observe"), rows)
    assert [(title(row.counted.call), row.deny.code) for row in found] == [
        ("POST /containers/create (image docker.io/library/alpine:latest)", "power"),
        ("POST /containers/{container}/start (its own container)", "power"),
    ]
    assert [row.deny.code for row in replay(make_policy("test", images=["busybox"]), rows)] == ["image"]


def test_required_labels_are_not_replayed():
    rows = learned(create(Labels={"com.docker.compose.project": "shop"}))
    required = {"required": {"com.docker.compose.project": "shop"}}
    assert replay(make_policy("compose", labels=required), rows) == []


def test_pins_are_not_replayed():
    rows = learned(create())
    pinned = {"alpine:latest": "sha256:" + "f" * 64}
    assert replay(make_policy("test", pinned=pinned), rows) == []
    call = read(*create())
    assert isinstance(call, Call)
    assert isinstance(settle(make_policy("test", pinned=pinned), call), Deny)


def test_every_preset_but_unrestricted_can_be_suggested():
    assert set(SMALLEST_FIRST) == set(PRESETS) - {"unrestricted"}


def test_effective_sections_are_those_of_the_parsed_policy():
    sections = effective("ci", {"images": ["python"], "limits": {"memory": "1g"}}, "shop")
    assert sections["images"] == ["python"]
    assert sections["tags"] == ["shop/**"]
    assert sections["limits"] == {**PRESETS["ci"]["limits"], "memory": "1g"}
    for name, preset in PRESETS.items():
        if name != "unrestricted":
            again = parse_policy(
                {"identity": "shop", "preset": name, "overrides": effective(name, {}, "shop")}
            )
            assert again.__dict__ == {
                **parse_policy({"identity": "shop", "preset": name}).__dict__,
                "version": again.version,
            }
            assert preset
