# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decisions about objects of several owners, and what is forwarded."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._policy.bodies import MASKED_PATHS_SINCE_20_10
from ansible_collections.wormhole.docker.plugins.module_utils._policy.call import Call
from ansible_collections.wormhole.docker.plugins.module_utils._policy.decide import (
    MAX_QUESTIONS,
    create_volume,
    decide,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.decision import (
    LABEL_OWNER,
    Ask,
    Facts,
    Question,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.refusal import render_refusal
from ansible_collections.wormhole.docker.plugins.module_utils._policy.render import render
from ansible_collections.wormhole.docker.plugins.module_utils._policy.routes import ROUTES
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.test_parse import TARGETS
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    IMAGE_ID,
    ME,
    OTHER,
    OTHER_EXEC,
    OWN,
    OWN_EXEC,
    OWN_NETWORK,
    RESTRICTED,
    SHARED_NETWORK,
    World,
    allowed,
    create,
    make_policy,
    read,
    refused,
    run,
)

ON_CONTAINERS = [route for route in ROUTES.values() if route.object == "container"]


def _on(route, reference):
    target = f"/v1.45{route.path.replace('{container}', reference)}"
    query = (
        "?path=/x" if "archive" in route.name else "?name=renamed" if route.name == "container.rename" else ""
    )
    body = {"Cmd": ["true"]} if route.name == "container.exec" else {} if route.body == "json" else None
    return route.method, target + query, body


@pytest.mark.parametrize("route", ON_CONTAINERS, ids=lambda route: route.name)
@pytest.mark.parametrize("reference", ["mine", OWN, OWN[:12]])
def test_own_containers_are_reached_by_full_id(route, reference):
    decision = allowed(run(make_policy("test"), *_on(route, reference)))
    assert decision.call.names == {"container": OWN}
    assert decision.object == OWN
    assert OWN in render(decision.call)[1]


@pytest.mark.parametrize("route", ON_CONTAINERS, ids=lambda route: route.name)
@pytest.mark.parametrize("reference", ["theirs", OTHER, OTHER[:12], "missing"])
def test_containers_of_others_do_not_exist(route, reference):
    decision = run(make_policy("test"), *_on(route, reference))
    assert refused(decision) == (404, "not_found")
    assert render_refusal(make_policy("test"), decision) == f"No such container: {reference}"


@pytest.mark.parametrize("route", ON_CONTAINERS, ids=lambda route: route.name)
@pytest.mark.parametrize("reference", ["self", ME])
def test_the_own_container_is_read_but_not_changed(route, reference):
    decision = run(make_policy("test"), *_on(route, reference))
    if route.name in (
        "container.inspect",
        "container.logs",
        "container.stats",
        "container.top",
        "container.wait",
    ):
        assert allowed(decision).call.names == {"container": ME}
    else:
        assert refused(decision) == (403, "not_owner")


def test_an_identity_without_a_container_has_no_self():
    decision = run(make_policy("test"), "GET", "/v1.45/containers/self/json", me="")
    assert refused(decision) == (404, "not_found")


@pytest.mark.parametrize("name", ["exec.start", "exec.resize", "exec.inspect"])
def test_exec_instances_belong_to_their_container(name):
    route = ROUTES[name]
    body = {"Detach": False, "Tty": True} if name == "exec.start" else None
    own = run(make_policy("test"), route.method, route.path.replace("{exec}", OWN_EXEC), body)
    assert allowed(own).call.names == {"exec": OWN_EXEC}
    assert allowed(own).hijack == (name == "exec.start")
    for reference in (OTHER_EXEC, "ab" * 32):
        other = run(make_policy("test"), route.method, route.path.replace("{exec}", reference), body)
        assert refused(other) == (404, "not_found")


def test_a_detached_exec_is_not_hijacked():
    body = {"Detach": True}
    assert not allowed(run(make_policy("test"), "POST", f"/exec/{OWN_EXEC}/start", body)).hijack


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("GET", "/networks/{}", None),
        ("DELETE", "/networks/{}", None),
        ("POST", "/networks/{}/connect", {"Container": "mine"}),
        ("POST", "/networks/{}/disconnect", {"Container": "mine"}),
    ],
)
def test_networks(method, path, body):
    policy = make_policy("test", networks=["shared"])
    assert allowed(run(policy, method, path.format("mynet"), body)).call.names == {"network": OWN_NETWORK}
    for reference in ("theirnet", "missing"):
        assert refused(run(policy, method, path.format(reference), body)) == (404, "not_found")
    shared = run(policy, method, path.format("shared"), body)
    if method == "DELETE":
        assert refused(shared) == (403, "not_owner")
    else:
        assert allowed(shared).call.names == {"network": SHARED_NETWORK}


def test_a_connection_names_the_container_by_its_id():
    decision = run(make_policy("test"), "POST", "/networks/mynet/connect", {"Container": "mine"})
    assert allowed(decision).call.body == {"Container": OWN}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_volumes(method):
    policy = make_policy("test", volumes=["cache"])
    allowed(run(policy, method, "/volumes/myvol"))
    assert refused(run(policy, method, "/volumes/theirvol")) == (404, "not_found")
    assert refused(run(policy, method, "/volumes/missing")) == (404, "not_found")
    cache = run(policy, method, "/volumes/cache")
    if method == "GET":
        allowed(cache)
    else:
        assert refused(cache) == (403, "not_owner")


def test_images_are_seen_by_pattern():
    policy = make_policy("test", images=["alpine"])
    for reference in ("alpine", "alpine:3.20", "aaaaaaaaaaaa", "docker.io/library/alpine"):
        allowed(run(policy, "GET", f"/images/{reference}/json"))
    for reference in (
        "registry.lan/secret:1",
        "bbbbbbbbbbbb",
        "sha256:" + "bb" * 32,
        "sha256:bbbb",
        "missing",
    ):
        assert refused(run(policy, "GET", f"/images/{reference}/json")) == (404, "not_found")


ALPINE = "sha256:" + "cc" * 32


@pytest.mark.parametrize("digest", [ALPINE, IMAGE_ID])
def test_a_pinned_image_is_run_by_any_name(digest):
    policy = make_policy("test", pinned={"alpine": digest, "alpine:3.20": digest})
    for reference in (
        "alpine",
        "alpine:3.20",
        "docker.io/library/alpine",
        "aaaaaaaaaaaa",
        f"alpine@{ALPINE}",
    ):
        assert allowed(create(policy, Image=reference)).image == IMAGE_ID
    # Any other image, and any other tag, is not concerned.
    allowed(create(policy, Image="ci/app:1"))


def test_another_image_under_a_pinned_name_is_not_run():
    other = "sha256:" + "ab" * 32
    policy = make_policy("test", pinned={"alpine": other, "ci/app:1": other})
    for reference in ("alpine", "docker.io/library/alpine:latest", "ci/app:1", "dddddddddddd"):
        assert refused(create(policy, Image=reference)) == (403, "image")
    # It has another name, which is not pinned.
    allowed(create(policy, Image="alpine:3.20"))
    mount = {"Mounts": [{"Type": "image", "Source": "ci/app:1", "Target": "/x"}]}
    assert refused(create(policy, host=mount, Image="alpine:3.20")) == (403, "image")


def test_a_pinned_image_that_is_absent_is_checked_if_it_has_come_by_then():
    policy = make_policy("test", pinned={"missing:1": ALPINE})
    assert allowed(create(policy, Image="missing:1")).image == ALPINE
    assert allowed(create(policy, Image="missing:2")).image == ""


def test_images_are_removed_by_tag():
    policy = make_policy("test", images=["**"])
    allowed(run(policy, "DELETE", "/images/ci/app:1"))
    allowed(run(policy, "DELETE", "/images/dddddddddddd?force=1"))
    assert refused(run(policy, "DELETE", "/images/alpine:3.20")) == (403, "tag")
    # By its ID, an image would lose the names of others, too.
    allowed(run(policy, "DELETE", "/images/ci/tool:1"))
    assert refused(run(policy, "DELETE", "/images/eeeeeeeeeeee?force=1")) == (403, "tag")
    assert refused(run(policy, "DELETE", f"/images/{IMAGE_ID}?force=1")) == (403, "tag")


def test_images_are_pushed_by_tag():
    policy = make_policy("ci")
    assert allowed(run(policy, "POST", "/images/ci/app/push?tag=1")).call.query == {"tag": "1"}
    assert refused(run(policy, "POST", "/images/alpine/push?tag=3.20")) == (403, "tag")
    assert refused(run(policy, "POST", "/images/ci/app/push")) == (404, "not_found")


def test_lists_are_made_by_the_engine():
    decision = allowed(
        run(make_policy("test"), "GET", "/containers/json?filters=%7B%22label%22%3A%5B%22a%22%5D%7D")
    )
    assert decision.call.query == {"filters": {"label": ("a", f"{LABEL_OWNER}=ci")}}
    assert decision.treatment.kind == "pass"


def test_a_client_cannot_widen_a_list():
    filters = f"%7B%22label%22%3A%5B%22{LABEL_OWNER}%3Dother%22%5D%7D"
    labels = allowed(run(make_policy("test"), "GET", f"/containers/json?filters={filters}")).call.query[
        "filters"
    ]["label"]
    assert f"{LABEL_OWNER}=ci" in labels


@pytest.mark.parametrize("name", ["before", "since"])
def test_a_list_does_not_tell_what_exists(name):
    def decision(path, reference, **overrides):
        return run(
            make_policy("test", **overrides),
            "GET",
            f"/{path}/json?filters=%7B%22{name}%22%3A%5B%22{reference}%22%5D%7D",
        )

    allowed(decision("containers", "mine"))
    allowed(decision("containers", "self"))
    allowed(decision("images", "alpine", images=["alpine"]))
    for reference in ("theirs", "missing"):
        assert refused(decision("containers", reference)) == (404, "not_found")
    for reference in ("registry.lan/secret:1", "missing"):
        assert refused(decision("images", reference, images=["alpine"])) == (404, "not_found")


@pytest.mark.parametrize("name", ["json", "history", "tag?repo=ci/app"])
def test_an_image_that_was_checked_is_named_by_its_id(name):
    method = "POST" if "tag" in name else "GET"
    assert allowed(run(make_policy("ci"), method, f"/images/alpine/{name}")).call.names == {"image": IMAGE_ID}


@pytest.mark.parametrize("kind", ["containers", "networks", "volumes"])
def test_only_own_objects_are_pruned(kind):
    query = allowed(run(make_policy("test"), "POST", f"/{kind}/prune")).call.query
    assert query == {"filters": {"label": (f"{LABEL_OWNER}=ci",)}}


def test_images_have_no_owner_and_are_not_pruned():
    assert refused(run(make_policy("test"), "POST", "/images/prune")) == (403, "power")


def test_events_are_those_of_own_containers():
    decision = allowed(run(make_policy("test"), "GET", "/events?since=1"))
    assert decision.call.query == {
        "since": "1",
        "filters": {"label": (f"{LABEL_OWNER}=ci",), "type": ("container",)},
    }
    assert decision.treatment.kind == "pass"
    assert (
        refused(run(make_policy("test"), "GET", "/events?filters=%7B%22type%22%3A%5B%22network%22%5D%7D"))[1]
        == "value"
    )


def test_a_new_container_gets_its_owner_and_its_limits():
    policy = make_policy("test", limits={"memory": "64m", "cpus": 0.5, "pids": 10})
    decision = allowed(create(policy, {}, Labels={"a": "b"}))
    assert decision.call.body == {
        "Image": "alpine",
        "Labels": {"a": "b", LABEL_OWNER: "ci"},
        "HostConfig": {"Memory": 64 << 20, "NanoCpus": 500_000_000, "PidsLimit": 10},
    }
    assert decision.image == IMAGE_ID
    assert decision.serialize == ("containers",)


def test_smaller_limits_stay():
    policy = make_policy("test", limits={"memory": "64m", "cpus": 0.5, "pids": 10})
    host = {"Memory": 1 << 20, "CpuQuota": 10_000, "PidsLimit": 5}
    assert allowed(create(policy, host)).call.body["HostConfig"] == host


def test_an_update_fills_nothing_in():
    policy = make_policy("test", limits={"memory": "64m", "pids": 10})
    decision = run(policy, "POST", "/containers/mine/update", {"Memory": 0, "PidsLimit": 0, "CpuShares": 2})
    assert allowed(decision).call.body == {"CpuShares": 2}


def test_a_quota_has_its_period():
    """An update of the quota alone keeps the container's period, which may be a short one."""
    policy = make_policy("test", limits={"cpus": 2})
    assert refused(run(policy, "POST", "/containers/mine/update", {"CpuQuota": 200_000})) == (403, "limit")
    allowed(create(policy, {"CpuQuota": 200_000}))
    assert refused(create(policy, {"CpuQuota": 200_001})) == (403, "limit")
    allowed(run(make_policy("test"), "POST", "/containers/mine/update", {"CpuQuota": 200_000}))


def test_new_volumes_are_created_with_their_owner():
    policy = make_policy("test")
    host = {
        "Binds": ["new1:/a", "myvol:/b"],
        "Mounts": [{"Type": "volume", "Source": "new2", "Target": "/c"}],
    }
    decision = allowed(create(policy, host))
    assert sorted(decision.volumes) == ["new1", "new2"]
    assert decision.call.body["HostConfig"]["Mounts"][0]["VolumeOptions"]["Labels"] == {LABEL_OWNER: "ci"}
    assert render(create_volume(policy, "new1")) == (
        "POST",
        "/volumes/create",
        b'{"Driver":"local","Labels":{"wormhole.docker.owner":"ci"},"Name":"new1"}',
    )


def test_names_in_a_body_become_ids():
    host = {
        "PidMode": "container:mine",
        "VolumesFrom": ["mine:ro"],
        "NetworkMode": "container:mine",
        "Links": ["mine:db"],
    }
    assert allowed(create(make_policy("test"), host)).call.body["HostConfig"] == {
        "NetworkMode": f"container:{OWN}",
        "PidMode": f"container:{OWN}",
        "VolumesFrom": [f"{OWN}:ro"],
        "Links": [f"{OWN}:db"],
        "PidsLimit": 4096,
    }


def test_names_of_a_list_that_another_identity_has_taken():
    policy = make_policy("test", networks=["theirnet", "shared"], volumes=["theirvol", "cache"])
    assert refused(create(policy, {"NetworkMode": "theirnet"})) == (403, "network")
    assert refused(create(policy, {"NetworkMode": "shared", "Binds": ["theirvol:/x"]})) == (403, "volume")
    allowed(create(policy, {"NetworkMode": "shared", "Binds": ["cache:/x"]}))


def test_a_network_keeps_its_name_and_loses_a_short_id():
    policy = make_policy("test")
    assert allowed(create(policy, {"NetworkMode": "mynet"})).call.body["HostConfig"]["NetworkMode"] == "mynet"
    by_id = allowed(create(policy, {"NetworkMode": OWN_NETWORK[:10]})).call.body["HostConfig"]["NetworkMode"]
    assert by_id == OWN_NETWORK


def test_an_address_is_filled_in():
    policy = make_policy("test", ports={"addresses": ["127.0.0.1"], "random": True})
    host = {"PortBindings": {"80/tcp": [{}], "81/tcp": []}}
    bindings = allowed(create(policy, host)).call.body["HostConfig"]["PortBindings"]
    assert bindings == {key: [{"HostIp": "127.0.0.1", "HostPort": ""}] for key in ("80/tcp", "81/tcp")}


def test_defaults_that_a_client_has_inspected_are_not_forwarded():
    host = {
        "Runtime": "runc", "CgroupnsMode": "private", "IpcMode": "private", "Isolation": "", "ShmSize": 64 << 20,
        "MemorySwappiness": None, "PidsLimit": None, "OomKillDisable": False, "NetworkMode": "bridge",
        "LogConfig": {"Type": "json-file", "Config": {}}, "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
        "MaskedPaths": [
            "/proc/asound", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
            "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/devices/virtual/powercap",
            "/sys/devices/system/cpu/cpu0/thermal_throttle",
        ],
        "ReadonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    }  # fmt: skip
    assert allowed(create(make_policy("test"), host)).call.body["HostConfig"] == {
        "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": "bridge",
        "PidsLimit": 4096,
        "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
    }


def test_more_masks_are_added_to_the_known_ones():
    masks = [*MASKED_PATHS_SINCE_20_10, "/proc/other"]
    forwarded = allowed(create(make_policy("test"), {"MaskedPaths": masks})).call.body["HostConfig"][
        "MaskedPaths"
    ]
    assert set(forwarded) > set(masks)
    assert "/sys/devices/virtual/powercap" in forwarded


def test_retries_without_end_get_one():
    host = allowed(create(make_policy("test"), {"RestartPolicy": {"Name": "on-failure"}})).call.body[
        "HostConfig"
    ]
    assert host["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 10}


@pytest.mark.parametrize(
    "what, call",
    [
        ("containers", ("POST", "/containers/create?name=new", {"Image": "alpine"})),
        ("networks", ("POST", "/networks/create", {"Name": "newnet"})),
        ("volumes", ("POST", "/volumes/create", {"Name": "newvol"})),
        (
            "volumes",
            ("POST", "/containers/create", {"Image": "alpine", "HostConfig": {"Binds": ["newvol:/x"]}}),
        ),
        ("running", ("POST", "/containers/mine/start")),
    ],
)
def test_quotas(what, call):
    policy = make_policy("test", limits={what: 5})
    assert what in allowed(run(policy, *call, world=World(counts={what: 4}))).serialize
    assert refused(run(policy, *call, world=World(counts={what: 5}))) == (403, "quota")


def test_what_runs_already_may_be_restarted():
    policy = make_policy("test", limits={"running": 2})
    full = World(counts={"running": 2})
    assert refused(run(policy, "POST", "/containers/mine/restart", world=full)) == (403, "quota")
    full.running = True
    allowed(run(policy, "POST", "/containers/mine/restart", world=full))


def test_several_new_volumes_count():
    policy = make_policy("test", limits={"volumes": 5})
    host = {"Binds": ["new1:/x"], "Mounts": [{"Type": "volume", "Source": "new2", "Target": "/y"}]}
    allowed(create(policy, host, World(counts={"volumes": 3})))
    assert refused(create(policy, host, World(counts={"volumes": 4})))[1] == "quota"


def test_the_version_of_the_engine_is_used_if_a_client_names_none():
    assert render(allowed(run(make_policy("test"), "GET", "/info")).call)[1] == "/v1.52/info"
    assert render(allowed(run(make_policy("test"), "GET", "/info", api="1.99")).call)[1] == "/v1.56/info"
    assert render(allowed(run(make_policy("test"), "GET", "/info", api="")).call)[1] == "/info"
    assert render(allowed(run(make_policy("test"), "GET", "/v1.41/info")).call)[1] == "/v1.41/info"


@pytest.mark.parametrize("version, host", [("1.40", {"CgroupnsMode": "private"}), ("1.41", {}), ("1.45", {})])
def test_old_versions_get_a_cgroup_namespace_of_their_own(version, host):
    decision = allowed(
        run(make_policy("test"), "POST", f"/v{version}/containers/create", {"Image": "alpine"})
    )
    assert decision.call.body["HostConfig"] == {**host, "PidsLimit": 4096}


def test_one_round_asks_for_everything():
    call = read("POST", "/containers/create", {
        "Image": "alpine",
        "HostConfig": {"NetworkMode": "mynet", "PidMode": "container:mine", "Binds": ["myvol:/x"]},
    })  # fmt: skip
    decision = decide(make_policy("test"), call, Facts(ME))
    assert isinstance(decision, Ask)
    assert set(decision.questions) == {
        Question("image", "alpine"),
        Question("network", "mynet"),
        Question("container", "mine"),
        Question("volume", "myvol"),
        Question("count", "containers"),
    }


def test_a_refusal_needs_no_answers():
    call = read("POST", "/containers/create", {"Image": "alpine", "HostConfig": {"Privileged": True}})
    assert refused(decide(make_policy("test"), call, Facts(ME))) == (403, "field")


def test_a_call_that_names_too_much_is_refused():
    links = [f"c{number}:x" for number in range(MAX_QUESTIONS + 1)]
    assert refused(create(make_policy("test"), {"Links": links})) == (403, "too_many_objects")


@pytest.mark.parametrize("name", ROUTES)
def test_without_its_power_no_route_is_allowed(name):
    route = ROUTES[name]
    method, target = TARGETS[name]
    body = {} if route.body == "json" else None
    powers = {} if route.power.startswith("build.") else {route.power: "none"}
    decision = run(make_policy("ci", powers=powers), method, target, body)
    assert refused(decision)[1] in ("power", "build")


@pytest.mark.parametrize("name", ROUTES)
def test_unrestricted_allows_every_route(name):
    route = ROUTES[name]
    method, target = TARGETS[name]
    body = (
        {"HostConfig": {"Privileged": True}}
        if name == "container.create"
        else {}
        if route.body == "json"
        else None
    )
    call = read(method, target, body)
    assert allowed(decide(make_policy("unrestricted"), call, Facts())).call == call


def test_an_image_does_not_get_an_owner():
    """Containers that others create from it would inherit the label."""
    decision = run(make_policy("test"), "POST", "/commit?container=mine&repo=ci/app", {"Labels": {"a": "b"}})
    assert allowed(decision).call.body["Labels"] == {"a": "b", LABEL_OWNER: ""}
    decision = run(make_policy("test"), "POST", "/commit?container=mine")
    assert allowed(decision).call.body["Labels"] == {LABEL_OWNER: ""}


def test_level_restricted():
    policy = make_policy("test", **RESTRICTED)
    body = {"User": "1000", "NetworkingConfig": {"EndpointsConfig": {"mynet": {}}}}
    host = {"CapDrop": ["ALL"], "NetworkMode": "mynet"}
    decision = allowed(create(policy, host, **body))
    assert decision.call.body["HostConfig"]["SecurityOpt"] == ["no-new-privileges"]
    for more, code in (
        ({"NetworkMode": "bridge"}, "network"),
        ({"NetworkMode": "container:mine"}, "namespace"),
        ({"PidMode": "container:mine"}, "namespace"),
        ({"PortBindings": {"80/tcp": [{}]}}, "port"),
        ({"PublishAllPorts": True}, "port"),
        ({"VolumesFrom": ["mine"]}, "field"),
        ({"Links": ["mine"]}, "field"),
        ({"CapAdd": ["CHOWN"]}, "capability"),
        ({"Sysctls": {"net.ipv4.tcp_syncookies": "1"}}, "value"),
        ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 1}}, "restart"),
        ({"Binds": ["/srv/data:/x"]}, "bind"),
        ({"Mounts": [{"Type": "image", "Source": "alpine", "Target": "/x"}]}, "bind"),
    ):
        assert refused(create(policy, {**host, **more}, **body))[1] == code, more
    assert refused(create(policy, host, **body, Labels={"a": "b"}))[1] == "label"
    allowed(
        create(make_policy("test", **RESTRICTED, labels={"allow": ["a"]}), host, **body, Labels={"a": "b"})
    )


def test_required_labels():
    policy = make_policy("compose", labels={"required": {"com.docker.compose.project": "shop"}})
    allowed(create(policy, Labels={"com.docker.compose.project": "shop"}))
    assert refused(create(policy, Labels={"com.docker.compose.project": "other"}))[1] == "label"
    assert refused(create(policy))[1] == "label"


def test_calls_are_not_changed_in_place():
    call = read(
        "POST", "/containers/create", {"Image": "alpine", "HostConfig": {"PortBindings": {"80/tcp": []}}}
    )
    before = repr(call)
    decide(make_policy("test"), call, Facts(ME))
    assert repr(call) == before
    assert isinstance(call, Call)


@pytest.mark.parametrize(
    "host",
    [
        {"NetworkMode": "theirnet"},
        {"NetworkMode": "container:theirs"},
        {"VolumesFrom": ["theirs"]},
        {"VolumesFrom": ["missing"]},
    ],
)
def test_a_creation_is_not_refused_with_404(host):
    """The Docker CLI and docker-py take 404 for a missing image: they pull it, and try again."""
    decision = create(make_policy("test"), host)
    assert refused(decision) == (400, "not_found")
