# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What each preset allows and refuses, by the calls of the clients that it is for."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    ME,
    OTHER,
    allowed,
    make_policy,
    refused,
    run,
)

TRAEFIK = {"targets": {"labels": ["autoheal"]}}


@pytest.mark.parametrize(
    "method, target",
    [
        ("HEAD", "/_ping"),
        ("GET", "/v1.45/version"),
        ("GET", "/v1.45/info"),
        ("GET", "/v1.45/containers/json?all=1"),
        ("GET", "/v1.45/containers/theirs/json"),
        ("GET", "/v1.45/containers/theirs/stats?stream=0"),
        ("GET", "/v1.45/containers/theirs/top"),
        ("GET", "/v1.45/events?filters=%7B%22type%22%3A%7B%22container%22%3Atrue%7D%7D"),
        ("GET", "/v1.45/images/json"),
        ("GET", "/v1.45/images/registry.lan/secret:1/json"),
        ("GET", "/v1.45/images/alpine/history"),
        ("GET", "/v1.45/networks"),
        ("GET", "/v1.45/networks/theirnet"),
        ("GET", "/v1.45/volumes"),
        ("GET", "/v1.45/system/df"),
    ],
)
def test_observe_reads(method, target):
    allowed(run(make_policy("observe"), method, target))


@pytest.mark.parametrize(
    "method, target",
    [
        ("GET", "/v1.45/containers/theirs/logs"),
        ("GET", "/v1.45/containers/theirs/archive?path=/"),
        ("GET", "/v1.45/containers/theirs/export"),
        ("POST", "/v1.45/containers/theirs/restart"),
        ("POST", "/v1.45/containers/create"),
        ("POST", "/v1.45/images/create?fromImage=alpine"),
        ("POST", "/v1.45/containers/theirs/exec"),
        ("DELETE", "/v1.45/volumes/theirvol"),
    ],
)
def test_observe_does_nothing_else(method, target):
    body = {} if target.endswith(("create", "exec")) else None
    assert refused(run(make_policy("observe"), method, target, body)) == (403, "power")


def test_observe_with_logs():
    allowed(run(make_policy("observe", powers={"logs": "all"}), "GET", "/containers/theirs/logs?stdout=1"))


def test_observe_hides_environments():
    decision = allowed(run(make_policy("observe"), "GET", "/containers/theirs/json"))
    assert (decision.treatment.kind, decision.treatment.sight.environment) == ("inspect", False)
    decision = allowed(run(make_policy("observe", environment=True), "GET", "/containers/theirs/json"))
    assert decision.treatment.kind == "pass"
    for name in ("containers/json", "networks", "volumes", "images/json", "events"):
        assert allowed(run(make_policy("observe"), "GET", f"/{name}")).treatment.kind == "pass"


def test_discover_sees_its_targets_only():
    policy = make_policy("discover", **TRAEFIK)
    decision = allowed(run(policy, "GET", "/containers/json?all=1"))
    assert (decision.treatment.kind, decision.treatment.sight.labels) == ("list", ("autoheal",))
    assert "filters" not in decision.call.query
    assert allowed(run(policy, "GET", "/containers/theirs/json")).treatment.kind == "inspect"
    assert refused(run(policy, "GET", "/containers/self/json", me="")) == (404, "not_found")
    assert refused(run(make_policy("discover"), "GET", "/containers/theirs/json")) == (404, "not_found")
    events = allowed(run(policy, "GET", "/events"))
    assert (events.treatment.kind, events.call.query) == ("events", {"filters": {"type": ("container",)}})


def test_tend_restarts_its_targets():
    policy = make_policy("tend")
    assert allowed(run(policy, "POST", "/containers/theirs/restart?t=10")).call.names == {"container": OTHER}
    assert refused(run(policy, "POST", "/containers/theirs/stop")) == (403, "verb")
    assert refused(run(policy, "POST", "/containers/self/restart")) == (403, "not_owner")
    assert refused(run(policy, "DELETE", "/containers/theirs")) == (403, "verb")
    by_name = make_policy("tend", targets={"names": ["self"], "labels": []}, verbs=["start", "stop"])
    assert allowed(run(by_name, "POST", "/containers/self/stop")).call.names == {"container": ME}
    assert refused(run(by_name, "POST", "/containers/theirs/stop")) == (403, "not_owner")


def test_test_runs_what_testcontainers_needs():
    policy = make_policy("test")
    body = {
        "Image": "alpine",
        "Labels": {"org.testcontainers.sessionId": "x"},
        "HostConfig": {
            "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "0"}]},
            "NetworkMode": "default",
        },
    }
    for method, target, content in (
        ("GET", "/info", None),
        ("GET", "/images/alpine/json", None),
        ("POST", "/images/create?fromImage=alpine&tag=3.20", None),
        ("POST", "/containers/create", body),
        ("POST", "/containers/mine/start", None),
        ("GET", "/containers/mine/logs?follow=1&stdout=1", None),
        ("POST", "/containers/mine/exec", {"Cmd": ["true"], "AttachStdout": True}),
        ("PUT", "/containers/mine/archive?path=/tmp", None),
        ("DELETE", "/containers/mine?v=1&force=1", None),
        ("POST", "/networks/create", {"Name": "testnet", "Driver": "bridge", "CheckDuplicate": True}),
        ("POST", "/networks/mynet/connect", {"Container": "self"}),
        ("DELETE", "/networks/mynet", None),
    ):
        allowed(run(policy, method, target, content))


def test_ryuk_is_refused():
    """It mounts the engine's socket, which would go around the policy."""
    binds = {"Image": "alpine", "HostConfig": {"Binds": ["/var/run/docker.sock:/var/run/docker.sock"]}}
    assert refused(run(make_policy("test"), "POST", "/containers/create", binds)) == (403, "bind")


def test_ci_takes_the_volumes_of_its_agent_if_it_may():
    """Jenkins does it with --volumes-from."""
    body = {"Image": "alpine", "HostConfig": {"VolumesFrom": [ME]}}
    assert refused(run(make_policy("ci"), "POST", "/containers/create", body)) == (403, "bind")
    decision = run(make_policy("ci", volumes_from_self=True), "POST", "/containers/create", body)
    assert allowed(decision).call.body["HostConfig"]["VolumesFrom"] == [ME]


def test_ci_tags_and_pushes_its_own():
    policy = make_policy("ci")
    allowed(run(policy, "POST", "/images/alpine/tag?repo=ci/app&tag=2"))
    assert refused(run(policy, "POST", "/images/alpine/tag?repo=alpine&tag=mine")) == (403, "tag")
    assert refused(run(make_policy("test"), "POST", "/images/alpine/tag?repo=ci/app")) == (403, "power")


def test_compose_keeps_containers_running():
    policy = make_policy("compose", ports={"ranges": ["8080"]})
    host = {"RestartPolicy": {"Name": "unless-stopped"}, "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
    allowed(run(policy, "POST", "/containers/create", {"Image": "alpine", "HostConfig": host}))
    body = {"Image": "alpine", "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8081"}]}}}
    assert refused(run(policy, "POST", "/containers/create", body)) == (403, "port")
    assert refused(run(policy, "POST", "/build")) == (403, "build")
