# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_command import EngineCommand
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    ListenerSpec,
    RestartEngine,
    WriteConfig,
    WriteUnits,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_plan import plan_listener
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._core.listener_facts import (
    ADMINS_DROP_IN,
    ADOPTABLE,
    DOCKER_TCP,
    NO_NETWORKS,
    SLIPPED_IN,
    VIRGIN,
    codes,
    names,
    right,
    with_config,
)

SPEC = ListenerSpec()
ADOPT = ListenerSpec(adopt=True)
UNIX = ListenerSpec(transports=("unix",))
OVERRIDE = "/etc/systemd/system/docker.service.d/zz-wormhole-docker.conf"


def virgin(**fields):
    return dataclasses.replace(VIRGIN, **fields)


def started(line, running=None):
    """An engine that is configured so, and runs so unless something else is said."""
    return virgin(
        command=EngineCommand(line if running is None else running, line, ADMINS_DROP_IN, (ADMINS_DROP_IN,))
    )


@pytest.mark.parametrize(
    "spec, state, message",
    [
        (
            ListenerSpec(addresses=("192.0.2.1",)),
            VIRGIN,
            "beyond the bridges.*172.18.0.1 .gateway of network ci",
        ),
        (SPEC, virgin(topology=NO_NETWORKS), "engine without one"),
        (SPEC, started("dockerd"), "admin.conf: expected.*ExecStart"),
        (SPEC, started(""), "found no ExecStart"),
        (
            SPEC,
            started("dockerd -H fd:// -H tcp://0.0.0.0:2375"),
            "tcp://0.0.0.0:2375.*existing_listeners to adopt",
        ),
        (SPEC, started("dockerd --host=tcp://0.0.0.0:2375 --host=fd://"), "tcp://0.0.0.0:2375"),
        (
            SPEC,
            virgin(foreign_sockets={"docker-tcp.socket": DOCKER_TCP}),
            r"docker-tcp.socket \(0.0.0.0:2375\)",
        ),
        (
            ADOPT,
            virgin(foreign_sockets={"docker.socket": SLIPPED_IN}),
            r"docker.socket \(\[::\]:2375\)",
        ),
        (SPEC, with_config('{"hosts": ["fd://"]}'), "daemon.json: hosts.*existing_listeners to adopt"),
        (SPEC, with_config('{"tlscert": "/etc/x.pem"}'), "daemon.json: tlscert.*/etc/x.pem"),
        (SPEC, with_config('{"tlsverify": false}'), "tlsverify.*False"),
        (ADOPT, with_config('{"tlsverify": false}'), "tlsverify.*False"),
        (SPEC, with_config("{"), "broken JSON"),
        (SPEC, virgin(occupied={("172.17.0.1", 2376): "nc (pid 7)"}), r"port 172.17.0.1:2376.*nc \(pid 7\)"),
        (
            ListenerSpec(host_addresses=("192.0.2.7",)),
            virgin(unassigned=("192.0.2.7",)),
            "host_addresses: expected addresses that an interface of this host has, found 192.0.2.7",
        ),
        (
            SPEC,
            started("dockerd -H fd://", "dockerd -H fd:// -H tcp://0.0.0.0:2375"),
            "unit files do not name, found -H tcp://0.0.0.0:2375.*/etc/default/docker",
        ),
        (
            ADOPT,
            started("dockerd -H fd:// $DOCKER_OPTS", "dockerd -H fd:// -H tcp://172.17.0.1:2376"),
            "unit files do not name, found -H tcp://172.17.0.1:2376",
        ),
        (SPEC, started("dockerd -H fd:// --tlsverify"), "no TLS options.*found --tlsverify. "),
        (ADOPT, started("dockerd -H fd:// $OPTS", "dockerd -H fd:// --tls --tlscert=/x"), "--tls, --tlscert"),
        (ListenerSpec(live_restore=True), virgin(swarm=True), "found Swarm mode"),
        (
            SPEC,
            with_config('{"live-restore": true}', virgin(swarm=True)),
            "live-restore: expected no such key in Swarm mode",
        ),
        (
            ListenerSpec(live_restore=False),
            started("dockerd -H fd:// --live-restore"),
            "--live-restore on dockerd's command line",
        ),
        (
            ListenerSpec(live_restore=True),
            started("dockerd -H fd:// $OPTS", "dockerd -H fd:// --live-restore=true"),
            "--live-restore on dockerd's command line",
        ),
    ],
)
def test_what_belongs_to_somebody_else_is_refused(spec, state, message):
    with pytest.raises(Refused, match=message):
        plan_listener(spec, state)


@pytest.mark.parametrize(
    "spec, state",
    [
        (UNIX, virgin(foreign_sockets={"docker-tcp.socket": DOCKER_TCP})),
        (UNIX, with_config('{"tlscert": "/etc/x.pem", "tlsverify": false}')),
        (SPEC, with_config('{"tlscert": "/etc/wormhole/server/cert.pem"}')),
        (ListenerSpec(directory="/etc/x"), with_config('{"tlscert": "/etc/x/cert.pem"}')),
        (ListenerSpec(live_restore=False), virgin(swarm=True)),
        (ListenerSpec(live_restore=False), with_config('{"live-restore": true}', virgin(swarm=True))),
        (SPEC, with_config('{"live-restore": false}', virgin(swarm=True))),
        (SPEC, virgin(swarm=True)),
        (SPEC, started("dockerd -H fd:// --live-restore")),
        (SPEC, started("dockerd -H fd:// --host-gateway-ip 10.0.0.1")),
    ],
)
def test_what_does_not_concern_us_is_not_refused(spec, state):
    assert not plan_listener(spec, state).is_empty


def test_foreign_keys_stay_where_only_the_unix_socket_is_asked_for():
    state = with_config('{"tlscert": "/etc/x.pem", "tlsverify": false}')
    assert right(UNIX, state).config_text == state.config_text


@pytest.mark.parametrize(
    "hosts, spec",
    [
        (["tcp://172.17.0.1:2376", "unix:///var/run/docker.sock"], ADOPT),
        (["unix:///run/docker.sock", "fd://"], ADOPT),
        (["tcp://172.17.0.1"], ADOPT),
        (["172.17.0.1:2376"], ADOPT),
        (["tcp://[fd00::1]:12376"], ListenerSpec(adopt=True, addresses=("fd00::1",), port=12376)),
        (["tcp://192.0.2.7:2376/"], ListenerSpec(adopt=True, host_addresses=("192.0.2.7",))),
        (["tcp://0.0.0.0:2376"], ListenerSpec(adopt=True, host_addresses=("192.0.2.7",))),
        (["tcp://[::]:2376"], ListenerSpec(adopt=True, host_addresses=("192.0.2.7",))),
        (["tcp://:2376"], ListenerSpec(adopt=True, host_addresses=("192.0.2.7",))),
        (
            ["unix:///run/wormhole/docker.sock"],
            ListenerSpec(adopt=True, transports=("tls", "unix")),
        ),
    ],
)
def test_hosts_of_daemon_json_that_this_task_serves_are_adopted(hosts, spec):
    state = with_config(json.dumps({"debug": True, "hosts": hosts}))
    plan = plan_listener(spec, state)
    assert "config_key_surplus" in codes(plan)
    (write,) = (action for action in plan.actions if isinstance(action, WriteConfig))
    config = json.loads(write.text)
    assert "hosts" not in config
    assert config["debug"] is True
    assert plan.before["/etc/docker/daemon.json"]["hosts"] == hosts
    assert "hosts" not in plan.after["/etc/docker/daemon.json"]
    assert plan_listener(spec, right(spec, state)).is_empty


@pytest.mark.parametrize(
    "host",
    [
        "tcp://192.0.2.7:2376",
        "tcp://172.17.0.1:2377",
        "tcp://172.17.0.1:2375",
        "tcp://0.0.0.0:2376",
        "tcp://[::]:2376",
        "unix:///srv/docker.sock",
        "unix:///run/wormhole/docker.sock",
        "npipe:////./pipe/x",
        "tcp://docker.example.com:2376",
        "",
    ],
)
def test_a_listener_that_nobody_would_go_on_to_serve_is_refused_also_if_it_may_be_adopted(host):
    state = with_config(json.dumps({"hosts": ["unix:///run/docker.sock", host]}))
    with pytest.raises(
        Refused, match="daemon.json: hosts: expected only listeners that this task goes on to serve"
    ):
        plan_listener(ADOPT, state)
    if host and not host.startswith("npipe"):
        with pytest.raises(
            Refused, match="admin.conf: expected only listeners that this task goes on to serve"
        ):
            plan_listener(ADOPT, started(f"dockerd -H {host} -H fd://"))


@pytest.mark.parametrize("host", ["tcp://0.0.0.0:2375", "tcp://0.0.0.0:12376"])
def test_all_addresses_are_covered_on_the_port_only(host):
    with pytest.raises(Refused, match=host):
        plan_listener(
            ListenerSpec(adopt=True, host_addresses=("192.0.2.7",)),
            with_config(json.dumps({"hosts": [host]})),
        )


def test_an_administrators_option_is_adopted_by_a_drop_in_that_overrules_theirs():
    state = virgin(command=ADOPTABLE, lingering=(("172.17.0.1", 2376),))
    plan = plan_listener(ADOPT, state)
    assert names(plan) == ["WriteConfig", "WriteUnits", "EnableUnits", "WriteUnits", "RestartEngine"]
    ((path, text),) = plan.actions[3].files
    assert path == OVERRIDE
    assert text.endswith("ExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --debug\n")
    assert {"command_differs", "listening_elsewhere"} <= set(codes(plan))
    assert "dockerd runs with -H tcp://172.17.0.1:2376" in plan.texts()
    assert plan.after[OVERRIDE] == text.splitlines()
    after = right(ADOPT, state)
    assert after.command.running == "/usr/sbin/dockerd -H fd:// --debug"
    assert plan_listener(ADOPT, after).is_empty


def test_our_drop_in_follows_what_it_overrules():
    after = right(ADOPT, virgin(command=ADOPTABLE))
    edited = dataclasses.replace(
        after.command, configured="/usr/sbin/dockerd -H tcp://172.17.0.1:2376", drop_ins=("/etc/x/zzz.conf",)
    )
    state = dataclasses.replace(after, command=edited)
    plan = plan_listener(ADOPT, state)
    assert codes(plan) == ["command_differs"]
    (write,) = plan.actions
    path = "/etc/systemd/system/docker.service.d/zzzz-wormhole-docker.conf"
    assert write == WriteUnits(((path, write.files[0][1]), (OVERRIDE, None)))
    assert plan_listener(ADOPT, right(ADOPT, state)).is_empty


def test_our_drop_in_goes_once_there_is_nothing_to_overrule():
    after = right(ADOPT, virgin(command=ADOPTABLE))
    vendors = "/usr/sbin/dockerd -H fd://"
    state = dataclasses.replace(
        after, command=dataclasses.replace(after.command, configured=vendors, drop_ins=())
    )
    plan = plan_listener(SPEC, state)
    assert codes(plan) == ["override_surplus"]
    assert plan.actions == (WriteUnits(((OVERRIDE, None),)),)
    assert plan.after[OVERRIDE] == []
    assert plan_listener(SPEC, right(SPEC, state)).is_empty


def test_a_dockerd_that_does_not_take_our_sockets_yet_is_restarted():
    after = right()
    state = dataclasses.replace(after, command=dataclasses.replace(after.command, running="dockerd"))
    plan = plan_listener(SPEC, state)
    assert codes(plan) == ["command_differs"]
    assert plan.actions == (RestartEngine((), ()),)
