# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preset ``update``: containers are recreated as they were, and no other way."""

from __future__ import annotations

import copy

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._policy.bodies import (
    MASKED_PATHS_SINCE_20_10,
    READONLY_PATHS,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._policy.world import (
    OTHER,
    OTHER_NETWORK,
    World,
    allowed,
    make_policy,
    refused,
    run,
)

MASKED = [*MASKED_PATHS_SINCE_20_10, "/sys/devices/system/cpu/cpu0/thermal_throttle"]
TEMPLATE = {
    "Id": OTHER,
    "Config": {
        "Hostname": "222222222222", "Domainname": "", "User": "app", "AttachStdin": False, "Tty": False,
        "ExposedPorts": {"80/tcp": {}}, "Env": ["A=b", "PATH=/bin"], "Cmd": ["serve"], "Image": "alpine:3.20",
        "Volumes": None, "WorkingDir": "/srv", "Entrypoint": None, "OnBuild": None,
        "Labels": {"wormhole.docker.owner": "other", "com.docker.compose.project": "shop", "autoheal": "true"},
    },
    "HostConfig": {
        "Binds": ["/srv/data:/data:rw"], "ContainerIDFile": "", "LogConfig": {"Type": "json-file", "Config": {}},
        "NetworkMode": "theirnet", "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]},
        "RestartPolicy": {"Name": "always", "MaximumRetryCount": 0}, "AutoRemove": False, "CapAdd": ["NET_ADMIN"],
        "CapDrop": None, "CgroupnsMode": "private", "IpcMode": "private", "Privileged": False,
        "ShmSize": 67108864, "Runtime": "runc", "Memory": 1048576, "PidsLimit": None, "SecurityOpt": None,
        "MaskedPaths": MASKED, "ReadonlyPaths": list(READONLY_PATHS), "ConsoleSize": [0, 0], "MemorySwappiness": None,
        "ReadonlyRootfs": True, "CpusetCpus": "0",
    },
    "NetworkSettings": {
        "Networks": {
            "theirnet": {
                "IPAMConfig": None, "Links": None, "Aliases": ["web", "222222222222"], "NetworkID": OTHER_NETWORK,
                "EndpointID": "x", "Gateway": "10.0.0.1", "IPAddress": "10.0.0.2", "MacAddress": "02:42:0a:00:00:02",
                "DriverOpts": None,
            }
        }
    },
}  # fmt: skip


def inspected():
    """What an updater sends: what it has inspected, with another image."""
    body = {key: value for key, value in copy.deepcopy(TEMPLATE["Config"]).items() if key != "User"}
    body["Image"] = "alpine:latest"
    body["HostConfig"] = copy.deepcopy(TEMPLATE["HostConfig"])
    body["NetworkingConfig"] = {"EndpointsConfig": copy.deepcopy(TEMPLATE["NetworkSettings"]["Networks"])}
    return body


def recreate(body, name="web", templates=None, **overrides):
    world = World(templates={"web": TEMPLATE} if templates is None else templates)
    return run(
        make_policy("update", **overrides), "POST", f"/v1.45/containers/create?name={name}", body, world
    )


def test_what_was_inspected_is_recreated():
    decision = allowed(recreate(inspected()))
    assert decision.call.body["Labels"] == TEMPLATE["Config"]["Labels"]
    assert decision.call.body["HostConfig"]["CapAdd"] == ["NET_ADMIN"]
    assert decision.image


def test_a_label_of_this_collection_stays():
    body = inspected()
    body["Labels"] = {}
    assert allowed(recreate(body)).call.body["Labels"] == {"wormhole.docker.owner": "other"}


@pytest.mark.parametrize(
    "change", [{"Env": ["A=b"]}, {"Cmd": None}, {"ExposedPorts": {}}, {"Hostname": ""}, {"User": "app"}]
)
def test_what_the_image_says_may_be_left_out(change):
    allowed(recreate({**inspected(), **change}))


@pytest.mark.parametrize(
    "change",
    [
        {"Cmd": ["other"]},
        {"Entrypoint": ["sh"]},
        {"Env": ["A=c"]},
        {"Env": ["A=b", "NEW=1"]},
        {"User": "root"},
        {"WorkingDir": "/"},
        {"Labels": {"traefik.enable": "true"}},
        {"Labels": {"wormhole.docker.owner": "ci"}},
        {"Volumes": {"/x": {}}},
        {"MacAddress": "02:42:0a:00:00:03"},
        {"Healthcheck": {"Test": ["CMD", "x"]}},
    ],
)
def test_another_configuration_is_refused(change):
    assert refused(recreate({**inspected(), **change})) == (403, "recreate")


@pytest.mark.parametrize(
    "change",
    [
        {"Privileged": True},
        {"Binds": ["/:/data:rw"]},
        {"Binds": ["/srv/data:/data:rw", "/etc:/etc"]},
        {"CapAdd": ["NET_ADMIN", "SYS_ADMIN"]},
        {"NetworkMode": "host"},
        {"PidMode": "host"},
        {"Memory": 0},
        {"Memory": 2097152},
        {"SecurityOpt": ["seccomp=unconfined"]},
        {"MaskedPaths": []},
        {"MaskedPaths": ["/proc/acpi"]},
        {"ReadonlyPaths": ["/proc/bus"]},
        {"ReadonlyRootfs": False},
        {"CpusetCpus": ""},
        {"PortBindings": {}},
        {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}]}},
        {"Devices": [{"PathOnHost": "/dev/sda"}]},
        {"Runtime": "other"},
        {"AutoRemove": True},
    ],
)
def test_another_host_configuration_is_refused(change):
    body = inspected()
    body["HostConfig"].update(change)
    assert refused(recreate(body)) == (403, "recreate")


@pytest.mark.parametrize(
    "endpoints",
    [
        {"mynet": {}},
        {"host": {}},
        {"theirnet": {"Aliases": ["db"]}},
        {"theirnet": {"IPAMConfig": {"IPv4Address": "10.0.0.9"}}},
        {"theirnet": {"MacAddress": "02:42:0a:00:00:03"}},
        {"theirnet": {"DriverOpts": {"a": "b"}}},
    ],
)
def test_other_networks_are_refused(endpoints):
    body = {**inspected(), "NetworkingConfig": {"EndpointsConfig": endpoints}}
    assert refused(recreate(body)) == (403, "recreate")


@pytest.mark.parametrize(
    "image", ["alpine", "alpine:edge", "alpine:3.20", "docker.io/library/alpine:9", "aaaaaaaaaaaa"]
)
def test_a_newer_image_has_the_same_repository(image):
    allowed(recreate({**inspected(), "Image": image}))


@pytest.mark.parametrize(
    "image", ["busybox", "registry.lan/secret:1", "bbbbbbbbbbbb", "evil.example/library/alpine"]
)
def test_another_repository_is_refused(image):
    assert refused(recreate({**inspected(), "Image": image})) == (403, "recreate")


def test_another_repository_may_be_listed():
    allowed(recreate({**inspected(), "Image": "registry.lan/alpine:1"}, images=["registry.lan/alpine"]))


def test_only_existing_names_are_recreated():
    assert refused(recreate(inspected(), templates={})) == (403, "recreate")
    assert refused(recreate(inspected(), name="other")) == (403, "recreate")
    assert refused(recreate(inspected(), name="")) == (403, "recreate")
    allowed(recreate(inspected(), name="/web"))


def test_a_container_is_remembered_before_it_goes():
    policy = make_policy("update")
    for method, target in (
        ("POST", "/containers/theirs/stop"),
        ("POST", "/containers/theirs/kill?signal=TERM"),
        ("POST", "/containers/theirs/rename?name=old"),
        ("DELETE", "/containers/theirs"),
    ):
        assert allowed(run(policy, method, target)).remember == OTHER
    assert allowed(run(policy, "POST", "/containers/theirs/start")).remember == ""
    assert allowed(run(make_policy("test"), "DELETE", "/containers/mine")).remember == ""


def test_a_container_rejoins_its_networks_only():
    world = World(templates={"theirs": TEMPLATE})
    policy = make_policy("update")
    body = {"Container": "theirs", "EndpointConfig": {"Aliases": ["web"]}}
    allowed(run(policy, "POST", "/networks/theirnet/connect", body, world))
    assert refused(run(policy, "POST", "/networks/mynet/connect", body, world)) == (403, "recreate")
    other = {"Container": "theirs", "EndpointConfig": {"Aliases": ["db"]}}
    assert refused(run(policy, "POST", "/networks/theirnet/connect", other, world)) == (403, "recreate")
    unknown = {"Container": "mine"}
    assert refused(run(policy, "POST", "/networks/theirnet/connect", unknown, world)) == (403, "recreate")


def test_images_that_the_host_has_are_pulled():
    policy = make_policy("update")
    allowed(run(policy, "POST", "/images/create?fromImage=alpine&tag=3.20"))
    assert refused(run(policy, "POST", "/images/create?fromImage=busybox&tag=latest")) == (403, "image")


@pytest.mark.parametrize(
    "call",
    [("POST", "/networks/create", {"Name": "newnet"}), ("POST", "/containers/theirs/exec", {"Cmd": ["sh"]})],
)
def test_nothing_else_is_created(call):
    assert refused(run(make_policy("update"), *call))[0] == 403
