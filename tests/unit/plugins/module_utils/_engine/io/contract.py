# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Long because it is one suite of tests, which runs as a whole against each engine.
"""What the collection relies on in a Docker engine, as tests for the fake and for real engines.

A class of tests that derives from :class:`EngineContract` gives it a fixture ``engine``. A real
engine needs the images IMAGE and NONROOT_IMAGE. The contract names its containers ``contract-…``,
and its network ``contract``.
"""

from __future__ import annotations

import time
from contextlib import nullcontext

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import EngineUnavailable
from ansible_collections.wormhole.docker.plugins.module_utils._container.attachments import (
    Attachment,
    endpoint_settings,
)
from ansible_collections.wormhole.docker.plugins.module_utils._container.checks import (
    NAMESPACES,
    with_identifiers,
)
from ansible_collections.wormhole.docker.plugins.module_utils._container.inspection import (
    is_paused,
    is_running,
    status_of,
)
from ansible_collections.wormhole.docker.plugins.module_utils._container.option import Comparison
from ansible_collections.wormhole.docker.plugins.module_utils._container.options import (
    OPTIONS,
    find_deviations,
    find_unsupported,
    merge_options,
    parse_options,
    render_body,
    render_update,
)
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import parse_networks
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wormhole.simulation import (
    merge_image_config,
)

IMAGE = "wormhole-lab/busybox:1"
NONROOT_IMAGE = "wormhole-lab/nonroot:1"
NETWORK = "contract"
PREFIX = "contract-"

OTHER = PREFIX + "other"
"""A further container, for options that name one."""

# One value for each option, and another one that is not the default of image or engine.
OPTION_VALUES = {
    "command": (["sleep", "1000"], "sleep 2000"),
    "entrypoint": (["/bin/sleep"], ["/bin/sh", "-c"]),
    "env": ({"A": "1", "B": "x=y z"}, {"A": "2"}),
    "user": ("7:8", "1234"),
    "groups": (["77"], ["78"]),
    "working_dir": ("/tmp/", "/home"),
    "hostname": ("first", "second"),
    "domainname": ("example.org", "example.net"),
    "labels": ({"a": "b"}, {"a": "c"}),
    "tty": (True, False),
    "interactive": (True, False),
    "init": (True, False),
    "stop_signal": ("SIGINT", "quit"),
    "stop_timeout": (1, 2),
    "healthcheck": (
        {"test": "true", "interval": "1m30s", "retries": 3},
        {"test": ["CMD", "false"], "start_period": "1s"},
    ),
    "restart_policy": ("on-failure", "unless-stopped"),
    "auto_remove": (True, False),
    "log_driver": ("local", "none"),
    "log_options": ({"max-size": "1m"}, {"max-size": "2m", "max-file": 2}),
    "volumes": (["/tmp:/host:ro", "contract-volume:/named", "/anonymous"], ["/tmp:/host"]),
    "mounts": (
        [
            {
                "target": "/m/bind",
                "type": "bind",
                "source": "/tmp",
                "read_only": True,
                "propagation": "rprivate",
            },
            {"target": "/m/volume", "source": "contract-volume", "labels": {"a": "b"}, "no_copy": True},
            {"target": "/m/tmpfs", "type": "tmpfs", "tmpfs_size": "1m", "tmpfs_mode": "1770"},
        ],
        [{"target": "/m/bind/", "type": "bind", "source": "/tmp", "read_only": False}],
    ),
    "tmpfs": (["/scratch:size=1m,mode=700"], ["/scratch/"]),
    "volumes_from": ([f"{OTHER}:ro"], [OTHER]),
    "volume_driver": ("local", "none"),
    "storage_opts": ({"size": "1G"}, {"size": "2G"}),
    "read_only": (True, False),
    "shm_size": ("32m", "48m"),
    "network_mode": ("none", "host"),
    "published_ports": (["127.0.0.1:18080:80", "18081:81/udp", "82"], ["18082:80"]),
    "publish_all_ports": (True, False),
    "exposed_ports": (["80", "90-91/udp"], ["100"]),
    "etc_hosts": ({"host.docker.internal": "host-gateway", "a": "192.0.2.1"}, {"a": "192.0.2.2"}),
    "dns_servers": (["192.0.2.1", "192.0.2.2"], ["192.0.2.2", "192.0.2.1"]),
    "dns_opts": (["ndots:1"], ["timeout:3"]),
    "dns_search_domains": (["example.org", "example.net"], ["example.net"]),
    "mac_address": ("02:42:AC:11:00:99", "02-42-ac-11-00-98"),
    "links": ([f"{OTHER}:alias"], [OTHER]),
    "memory": ("64m", "96m"),
    "memory_reservation": ("32m", "48m"),
    "memory_swap": ("unlimited", "128m"),
    "memory_swappiness": (10, 0),
    "cpus": (0.5, 1.5),
    "cpu_period": (50000, 60000),
    "cpu_quota": (20000, 30000),
    "cpu_shares": (512, 256),
    "cpuset_cpus": ("0", "1"),
    "cpuset_mems": ("0", "0-1"),
    "pids_limit": (100, 200),
    "blkio_weight": (100, 200),
    "device_read_bps": ([{"path": "/dev/null", "rate": "1mb"}], [{"path": "/dev/null", "rate": "2mb"}]),
    "device_write_bps": ([{"path": "/dev/null", "rate": "1mb"}], [{"path": "/dev/null", "rate": "2mb"}]),
    "device_read_iops": ([{"path": "/dev/null", "rate": 10}], [{"path": "/dev/null", "rate": 20}]),
    "device_write_iops": ([{"path": "/dev/null", "rate": 10}], [{"path": "/dev/null", "rate": 20}]),
    "oom_killer": (True, False),
    "oom_score_adj": (100, 200),
    "ulimits": (["nofile:100:200", "core:0"], ["nofile=300"]),
    "cgroup_parent": ("contract.slice", "other.slice"),
    "privileged": (True, False),
    "capabilities": (["SYS_ADMIN", "cap_net_admin"], ["NET_RAW"]),
    "cap_drop": (["ALL"], ["CAP_CHOWN"]),
    "security_opts": (["no-new-privileges"], ["label=disable"]),
    "devices": (["/dev/null:/dev/other:r"], ["/dev/zero"]),
    "device_requests": (
        [{"capabilities": [["gpu"]], "count": -1}],
        [{"capabilities": [["gpu"]], "device_ids": ["0"], "options": {"a": "b"}}],
    ),
    "device_cgroup_rules": (["c 42:* rmw"], ["c 43:* r"]),
    "sysctls": ({"net.ipv4.ip_forward": 1}, {"net.ipv4.ip_forward": "0"}),
    "userns_mode": ("host", ""),
    "pid_mode": ("host", ""),
    "ipc_mode": ("shareable", "none"),
    "uts": ("host", ""),
    "cgroupns_mode": ("host", "private"),
    "runtime": ("io.containerd.runc.v2", "runc"),
}

# What an option needs beside it, to be right.
COMPANIONS = {"log_options": {"log_driver": "json-file"}, "memory_swap": {"memory": "64m"}}

# Those that contradict other values of this table.
CONTRADICTORY = ("auto_remove", "cpu_period", "cpu_quota", "log_options", "memory_swap", "uts")

# The engine does not announce that its file system, or its kernel with cgroup v1, lacks them.
REFUSED_UNFORESEEN = ("blkio_weight", "storage_opts")

_RATES = tuple(f"device_{way}_{unit}" for way in ("read", "write") for unit in ("bps", "iops"))

# Those that contradict others of the table, need what the tested engines lack to start, or let a
# container keep what is not its own.
NOT_TOGETHER = (
    *_RATES,
    "auto_remove",
    "blkio_weight",
    "cap_drop",
    "capabilities",
    "cgroup_parent",
    "cgroupns_mode",
    "cpu_period",
    "cpu_quota",
    "cpus",
    "device_requests",
    "links",
    "network_mode",
    "pid_mode",
    "runtime",
    "storage_opts",
    "uts",
    "volumes_from",
)


def with_companions(option, value):
    """Parameters of the module that set one option."""
    return {**COMPANIONS.get(option, {}), option: value}


def deviating(values, found):
    """Names of the deviating options, including those that are compared only on request."""
    strict = {option.name: Comparison.STRICT for option in OPTIONS if option.comparison is Comparison.IGNORE}
    deviations = find_deviations(values, found, comparisons=strict)
    return tuple(dict.fromkeys(deviation.option for deviation in deviations))


class EngineContract:
    """The tests; derive from it, and give it a fixture ``engine``."""

    @pytest.fixture
    def create(self, engine):
        created = []

        def create(name, start=False, image=IMAGE, **fields):
            identifier = engine.create_container(PREFIX + name, {"Image": image, **fields})
            created.append(identifier)
            if start:
                engine.start_container(identifier)
            return identifier

        yield create
        for identifier in created:
            engine.remove_container(identifier, force=True, volumes=True)

    def test_the_engine_tells_what_it_is(self, engine):
        assert engine.version()["ApiVersion"].count(".") == 1
        assert all(option.startswith("name=") for option in engine.info()["SecurityOptions"])

    def test_networks_show_their_driver_and_the_default_gateway(self, engine):
        networks = {network["Name"]: network for network in engine.networks()}
        assert networks["bridge"]["Driver"] == "bridge"
        assert networks["host"]["Driver"] == "host"
        assert networks["none"]["Driver"] == "null"
        topology = parse_networks(engine.networks())
        assert topology.default.interface == "docker0"
        assert topology.default.address in {g.address for g in topology.gateways if g.network == "bridge"}

    def test_what_is_not_there_is_none(self, engine):
        assert engine.find_container(PREFIX + "absent") is None
        assert engine.find_image("wormhole-lab/absent:1") is None

    def test_a_container_is_found_by_name_and_full_id_only(self, engine, create):
        identifier = create("found")
        assert engine.find_container(PREFIX + "found")["Id"] == identifier
        assert engine.find_container(identifier)["Name"] == f"/{PREFIX}found"
        assert engine.find_container(identifier[:12]) is None

    def test_an_image_is_found_by_reference_and_id(self, engine):
        image = engine.find_image(IMAGE)
        assert image["Id"].startswith("sha256:")
        assert engine.find_image(image["Id"])["Id"] == image["Id"]
        assert engine.find_image(NONROOT_IMAGE)["Config"]["User"] == "1234:1234"

    def test_a_name_is_given_once(self, engine, create):
        create("twice")
        with pytest.raises(EngineUnavailable, match=f"creating the container {PREFIX}twice: .*in use"):
            create("twice")

    def test_an_unknown_image_is_refused(self, engine, create):
        with pytest.raises(EngineUnavailable, match="(?i)no such image"):
            create("imageless", image="wormhole-lab/absent:1")

    def test_the_life_of_a_container(self, engine, create):
        identifier = create("life")
        assert engine.find_container(identifier)["State"]["Status"] == "created"
        for _again in range(2):
            engine.start_container(identifier)
            found = engine.find_container(identifier)
            assert is_running(found)
            assert found["State"]["Pid"] > 0
        for _again in range(2):
            engine.stop_container(identifier, timeout=5)
            found = engine.find_container(identifier)
            assert (found["State"]["Status"], is_running(found)) == ("exited", False)
        for _again in range(2):
            engine.remove_container(identifier)
            assert engine.find_container(identifier) is None
        engine.stop_container(identifier)

    def test_a_running_container_is_removed_by_force_only(self, engine, create):
        identifier = create("force", start=True)
        with pytest.raises(EngineUnavailable, match="(?i)removing the container .* running"):
            engine.remove_container(identifier)
        engine.remove_container(identifier, force=True)
        assert engine.find_container(identifier) is None

    def test_a_container_that_the_engine_removes_by_itself_is_gone_once_it_is_removed(self, engine, create):
        identifier = create("auto", start=True, HostConfig={"AutoRemove": True})
        engine.stop_container(identifier, timeout=1)
        engine.remove_container(identifier)
        assert engine.find_container(identifier) is None

    def test_a_renamed_container_runs_on(self, engine, create):
        identifier = create("before", start=True)
        engine.rename_container(identifier, PREFIX + "after")
        assert engine.find_container(PREFIX + "before") is None
        found = engine.find_container(PREFIX + "after")
        assert (found["Id"], is_running(found)) == (identifier, True)

    def test_whether_a_container_ended_before_or_after_another_was_made_is_told(self, engine, create):
        before, after = create("ended-before", start=True), create("ended-after", start=True)
        never = create("never-started")
        engine.stop_container(before, timeout=1)
        made = engine.find_container(create("made"))["Created"]
        engine.stop_container(after, timeout=1)
        ended = [engine.find_container(found)["State"]["FinishedAt"] for found in (never, before, after)]
        assert all(text.endswith("Z") for text in (made, *ended))
        assert [text.rstrip("Z") >= made.rstrip("Z") for text in ended] == [False, False, True]

    @pytest.mark.parametrize("removed", [True, False])
    def test_a_restarted_container_runs_again(self, engine, create, removed):
        identifier = create("restarted", start=True, HostConfig={"AutoRemove": removed})
        pid = engine.find_container(identifier)["State"]["Pid"]
        engine.restart_container(identifier, timeout=1)
        found = engine.find_container(identifier)
        assert is_running(found)
        assert found["HostConfig"]["AutoRemove"] is removed
        assert found["State"]["Pid"] not in (0, pid) or pid == 4242  # of the fake

    def test_a_paused_container_runs_and_is_stopped_and_restarted_like_others(self, engine, create):
        identifier = create("paused", start=True)
        for again in (engine.unpause_container, lambda c: engine.restart_container(c, timeout=1)):
            engine.pause_container(identifier)
            found = engine.find_container(identifier)
            assert (is_running(found), is_paused(found), status_of(found)) == (True, True, "paused")
            with pytest.raises(EngineUnavailable, match=f"pausing the container {identifier}"):
                engine.pause_container(identifier)
            again(identifier)
            found = engine.find_container(identifier)
            assert (is_running(found), is_paused(found)) == (True, False)
        with pytest.raises(EngineUnavailable, match=f"unpausing the container {identifier}"):
            engine.unpause_container(identifier)
        engine.pause_container(identifier)
        engine.stop_container(identifier, timeout=1)
        found = engine.find_container(identifier)
        assert (is_running(found), is_paused(found)) == (False, False)
        with pytest.raises(EngineUnavailable, match="not running"):
            engine.pause_container(identifier)

    def test_a_name_in_use_is_not_given_by_renaming(self, engine, create):
        identifier = create("one")
        create("other")
        with pytest.raises(EngineUnavailable, match="in use"):
            engine.rename_container(identifier, PREFIX + "other")
        assert engine.find_container(identifier)["Name"] == f"/{PREFIX}one"

    def test_a_program_that_ends_leaves_its_exit_code(self, engine, create):
        identifier = create("ends", start=True, Entrypoint=["false"])
        found = _wait(lambda: engine.find_container(identifier), lambda c: c["State"]["Status"] == "exited")
        assert found["State"]["ExitCode"] == 1

    def test_a_program_that_keeps_ending_is_not_running(self, engine, create):
        policy = {"RestartPolicy": {"Name": "always"}}
        identifier = create("keeps-ending", start=True, Entrypoint=["false"], HostConfig=policy)
        found = _wait(lambda: engine.find_container(identifier), lambda c: c["State"]["Restarting"])
        assert not is_running(found)
        assert found["RestartCount"] > 0

    def test_a_program_that_does_not_exist_does_not_start(self, engine, create):
        with pytest.raises(EngineUnavailable, match="not found"):
            create("nosuch", start=True, Entrypoint=["nosuch"])

    def test_a_host_port_is_given_once(self, engine, create):
        ports = {"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "18088"}]}}
        create("port-one", start=True, ExposedPorts={"80/tcp": {}}, HostConfig=ports)
        with pytest.raises(EngineUnavailable, match="allocated"):
            create("port-two", start=True, ExposedPorts={"80/tcp": {}}, HostConfig=ports)

    def test_containers_are_listed_by_label(self, engine, create):
        create("listed", Labels={"contract": "yes", "which": "1"})
        running = create("listed-too", start=True, Labels={"contract": "yes", "which": "2"})
        names = [c["Names"] for c in engine.containers(labels={"contract": "yes"})]
        assert sorted(names) == [[f"/{PREFIX}listed"], [f"/{PREFIX}listed-too"]]
        assert [c["Id"] for c in engine.containers(labels={"contract": "yes", "which": "2"})] == [running]
        assert [c["Id"] for c in engine.containers(labels={"contract": "yes"}, running_only=True)] == [
            running
        ]
        assert engine.containers(labels={"contract": "no"}) == []

    def test_a_container_in_the_list_tells_what_it_mounts(self, engine, create):
        create("mounting", Labels={"contract": "mounts"}, HostConfig={"Binds": ["/tmp:/t:ro"]})
        (found,) = engine.containers(labels={"contract": "mounts"})
        assert [(m["Source"], m["Destination"]) for m in found["Mounts"]] == [("/tmp", "/t")]

    def test_files_of_a_container_are_read_before_it_runs(self, engine, create):
        identifier = create("files")
        assert engine.read_container_file(identifier, "/etc/passwd").startswith(b"root:x:0:0:")
        assert engine.read_container_file(identifier, "/etc/absent") is None

    def test_the_image_fills_in_what_a_body_leaves_out(self, engine, create):
        image = engine.find_image(NONROOT_IMAGE)["Config"]
        body = {"Env": ["A=b"], "Labels": {"c": "d"}}
        found = engine.find_container(create("merged", image=NONROOT_IMAGE, **body))["Config"]
        merged = merge_image_config(body, image)
        for key in ("Cmd", "Entrypoint", "User", "WorkingDir", "Labels"):
            assert (found.get(key) or None) == (merged.get(key) or None), key
        assert sorted(found["Env"]) == sorted(merged["Env"])

    def test_a_variable_that_is_named_without_a_value_is_not_inherited(self, engine, create):
        (variable,) = engine.find_image(IMAGE)["Config"]["Env"]
        assert variable.startswith("PATH=")
        shows = {"Entrypoint": ["/bin/env"], "Env": ["PATH", "A=b"]}
        identifier = create("bare", start=True, **shows)
        assert sorted(engine.find_container(identifier)["Config"]["Env"]) == ["A=b", "PATH"]
        assert engine.wait_container(identifier) == 0
        assert "PATH=" not in engine.container_logs(identifier, tail=None)

    def test_an_entrypoint_drops_the_images_command(self, engine, create):
        assert not engine.find_container(create("entrypoint", Entrypoint=["/bin/sleep"]))["Config"]["Cmd"]

    @pytest.mark.parametrize("option", sorted(OPTION_VALUES))
    def test_an_option_reads_back_as_it_was_asked_for(self, engine, create, option):
        first, second = OPTION_VALUES[option]
        if option in ("links", "volumes_from"):
            create("other")
        values = parse_options(with_companions(option, first))
        unsupported = find_unsupported(values, engine.info())
        try:
            identifier = create("option", **render_body(values))
        except EngineUnavailable:
            if not unsupported and option not in REFUSED_UNFORESEEN:
                raise
            assert engine.find_container(PREFIX + "option") is None
            return
        assert not unsupported
        found = engine.find_container(identifier)
        assert deviating(values, found) == ()
        if first is True:
            found = engine.find_container(create("option-default"))
        wanted = parse_options(with_companions(option, second if first is not True else first))
        assert deviating(wanted, found) == (option,)

    @pytest.mark.parametrize("option", NAMESPACES)
    def test_the_namespace_of_another_container_reads_back(self, engine, create, option):
        other = create("other", start=True, HostConfig={"IpcMode": "shareable"})
        asked = parse_options({option: f"container:{OTHER}"})
        values = with_identifiers(asked, {OTHER: other})
        found = engine.find_container(create("option", start=True, **render_body(values)))
        assert is_running(found)
        assert deviating(values, found) == ()
        anybody = with_identifiers(asked, {OTHER: create("option-other")})
        assert deviating(anybody, found) == (option,)

    def test_all_options_together_read_back(self, engine, create):
        together = {name: values[0] for name, values in OPTION_VALUES.items() if name not in NOT_TOGETHER}
        together = {**together, "entrypoint": ["/bin/sleep"], "command": ["1000"], "restart_retries": 3}
        values = merge_options(parse_options(together), {"groups": ("5",), "env": {"C": "d"}})
        unsupported = find_unsupported(values, engine.info())
        values = {name: value for name, value in values.items() if name not in unsupported}
        identifier = create("together", start=True, **render_body(values))
        assert deviating(values, engine.find_container(identifier)) == ()

    @pytest.mark.parametrize(
        "option, values",
        [
            ("restart_policy", ("always", "no")),
            ("memory", ("32m", "256m")),
            ("memory_reservation", ("16m", "8m")),
            ("cpu_shares", (512, 256)),
            ("cpuset_cpus", ("0", "0-1")),
            ("pids_limit", (50, -1)),
        ],
    )
    def test_an_option_is_updated_while_the_container_runs(self, engine, create, option, values):
        identifier = create("updated", start=True)
        for value in values:
            parsed = parse_options({option: value})
            unsupported = find_unsupported(parsed, engine.info())
            with pytest.raises(EngineUnavailable, match="discarded") if unsupported else nullcontext():
                engine.update_container(
                    identifier, render_update([option], parsed, engine.find_container(identifier))
                )
            found = engine.find_container(identifier)
            assert deviating(parsed, found) == unsupported
            assert is_running(found)

    @pytest.mark.parametrize(
        "made_with, option, value",
        [
            ({"cpus": 0.5}, "cpu_period", 50000),
            ({"cpus": 0.5}, "cpu_quota", 20000),
            ({"cpu_period": 50000}, "cpus", 0.5),
            ({"cpu_quota": 20000}, "cpus", 0.5),
            ({"auto_remove": True}, "restart_policy", "always"),
        ],
    )
    def test_what_a_container_is_made_with_rules_out_an_update(
        self, engine, create, made_with, option, value
    ):
        former, parsed = parse_options(made_with), parse_options({option: value})
        if find_unsupported({**former, **parsed}, engine.info()):
            pytest.skip("the kernel of this engine has no such limits")
        identifier = create("fixed", **render_body(former))
        assert render_update([option], parsed, engine.find_container(identifier)) is None
        with pytest.raises(EngineUnavailable, match="cannot be updated"):
            engine.update_container(identifier, render_update([option], parsed, {}))

    def test_networks_are_attached_and_detached_while_it_runs(self, engine, create, network):
        identifier = create("networked", start=True)
        engine.connect_network(network, identifier, Attachment(network, aliases=("alias",)).render())
        attached = engine.find_container(identifier)["NetworkSettings"]["Networks"]
        assert sorted(attached) == ["bridge", network]
        assert "alias" in attached[network]["Aliases"]
        engine.disconnect_network(network, identifier)
        assert list(engine.find_container(identifier)["NetworkSettings"]["Networks"]) == ["bridge"]

    def test_a_container_is_attached_again_as_it_was_before_an_address_was_refused(
        self, engine, create, network
    ):
        identifier = create("again", start=True)
        engine.connect_network(network, identifier, Attachment(network, aliases=("alias",)).render())
        former = endpoint_settings(engine.find_container(identifier), network)
        engine.disconnect_network(network, identifier)
        with pytest.raises(EngineUnavailable):
            engine.connect_network(
                network, identifier, Attachment(network, ipv4_address="192.0.2.9").render()
            )
        assert endpoint_settings(engine.find_container(identifier), network) is None
        engine.connect_network(network, identifier, former)
        found = engine.find_container(identifier)
        assert is_running(found)
        assert endpoint_settings(found, network)["Aliases"] == former["Aliases"] == ["alias"]

    def test_a_network_is_joined_instead_of_the_default_bridge(self, engine, create, network):
        endpoints = {network: Attachment(network, aliases=("alias",)).render()}
        identifier = create(
            "joined",
            start=True,
            HostConfig={"NetworkMode": network},
            NetworkingConfig={"EndpointsConfig": endpoints},
        )
        attached = engine.find_container(identifier)["NetworkSettings"]["Networks"]
        assert list(attached) == [network]
        assert "alias" in attached[network]["Aliases"]

    def test_a_network_that_is_not_there_is_refused(self, engine, create):
        identifier = create("unnetworked", start=True)
        with pytest.raises(EngineUnavailable, match="(?i)network .*absent"):
            engine.connect_network(PREFIX + "absent", identifier, {})

    @pytest.mark.parametrize("mode", ["none", "host"])
    def test_network_modes_that_leave_no_room_for_networks(self, engine, create, network, mode):
        identifier = create("full", start=True, HostConfig={"NetworkMode": mode})
        with pytest.raises(EngineUnavailable, match=f"connecting the container .*{mode}"):
            engine.connect_network(network, identifier, {})

    def test_a_program_is_waited_for_until_it_ends(self, engine, create):
        identifier = create("waited", start=True, Entrypoint=["false"])
        assert engine.wait_container(identifier) == 1
        assert engine.wait_container(identifier) == 1

    def test_a_container_is_killed_by_a_signal(self, engine, create):
        identifier = create("killed", start=True)
        engine.kill_container(identifier, "SIGKILL")
        assert engine.wait_container(identifier) == 137
        with pytest.raises(EngineUnavailable, match="(?i)killing the container .*not running"):
            engine.kill_container(identifier, "SIGKILL")

    def test_logs_can_be_read_while_nothing_was_written(self, engine, create):
        assert engine.container_logs(create("log", start=True), tail=3) == ""
        assert engine.container_logs(create("log-all", start=True), tail=None) == ""


def _wait(look, wanted, attempts=100):
    for _attempt in range(attempts):
        found = look()
        if wanted(found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"not seen within {attempts * 0.05:g} s; last: {found['State']}")
