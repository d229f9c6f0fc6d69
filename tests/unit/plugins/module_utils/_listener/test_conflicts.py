# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._engine.command import EngineCommand
from ansible_collections.wormhole.docker.plugins.module_utils._listener.model import (
    RestartEngine,
    WriteConfig,
    WriteUnits,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.original_config import (
    is_former_config,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.plan import plan_listener
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import SocketAccess
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import (
    ADDED_STREAM,
    ADMINS_DROP_IN,
    ADOPTABLE,
    DOCKER_TCP,
    NO_NETWORKS,
    VIRGIN,
    carried_out,
    codes,
    names,
    planned,
    right,
    with_config,
)

SPEC = ListenerSpec()
ADOPT = ListenerSpec(existing_listeners="adopt")
UNIX = ListenerSpec(transports=("unix",))
OVERRIDE = "/etc/systemd/system/docker.service.d/zz-wormhole-docker.conf"


def virgin(**fields):
    return dataclasses.replace(VIRGIN, **fields)


def started(line, running=None):
    """An engine with this configured command line, and the same running one by default."""
    return virgin(
        command=EngineCommand(line if running is None else running, line, ADMINS_DROP_IN, (ADMINS_DROP_IN,))
    )


def test_the_message_for_a_port_in_use_is_a_heading_of_the_troubleshooting_page():
    page = Path(__file__).resolve().parents[5] / "docs/troubleshooting.md"
    with pytest.raises(Refused) as caught:
        plan_listener(SPEC, virgin(occupied={SocketAddress("172.17.0.1", 2376): "…"}))
    message = str(caught.value).partition(". ")[0]
    assert f"## {message}" in page.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    "spec, state, message",
    [
        (
            ListenerSpec(addresses=("192.0.2.1",)),
            VIRGIN,
            "neither loopback nor a gateway.*another address of the host.*172.18.0.1 .gateway of network ci",
        ),
        (SPEC, virgin(topology=NO_NETWORKS), "no default bridge"),
        (
            SPEC,
            started("dockerd"),
            "admin.conf has to start dockerd with -H fd:// -H unix:///var/run/docker.sock and no.*ExecStart",
        ),
        (SPEC, started(""), "docker.service has no valid ExecStart=, or more than one"),
        (
            SPEC,
            started("dockerd -H fd:// -H tcp://0.0.0.0:2375"),
            "tcp://0.0.0.0:2375.*existing_listeners: adopt, port: 2375, host_addresses with the addresses of this host",
        ),
        (SPEC, started("dockerd --host=tcp://0.0.0.0:2375 --host=fd://"), "tcp://0.0.0.0:2375"),
        (
            SPEC,
            virgin(unmanaged_sockets={"docker-tcp.socket": DOCKER_TCP}),
            r"docker-tcp.socket \(0.0.0.0:2375\)",
        ),
        (
            ADOPT,
            virgin(unmanaged_sockets={"docker.socket": ADDED_STREAM}),
            r"docker.socket \(\[::\]:2375\)",
        ),
        (
            SPEC,
            with_config('{"hosts": ["fd://"]}'),
            r"daemon.json sets hosts to \['fd://'\].*existing_listeners: adopt",
        ),
        (SPEC, with_config('{"tlscert": "/etc/x.pem"}'), "daemon.json already sets tlscert to '/etc/x.pem'"),
        (SPEC, with_config('{"tlsverify": false}'), "tlsverify.*False"),
        (ADOPT, with_config('{"tlsverify": false}'), "tlsverify.*False"),
        (SPEC, with_config("{"), "broken JSON"),
        (
            SPEC,
            virgin(occupied={SocketAddress("172.17.0.1", 2376): "nc (pid 7)"}),
            r"Port 172.17.0.1:2376 is already in use by nc \(pid 7\)",
        ),
        (
            ListenerSpec(host_addresses=("192.0.2.7",)),
            virgin(unassigned=("192.0.2.7",)),
            "host_addresses lists addresses that no interface of this host has: 192.0.2.7",
        ),
        (
            SPEC,
            started("dockerd -H fd://", "dockerd -H fd:// -H tcp://0.0.0.0:2375"),
            "unit files of docker.service do not name: -H tcp://0.0.0.0:2375.*Restart docker.service first",
        ),
        (
            ADOPT,
            started("dockerd -H fd:// $DOCKER_OPTS", "dockerd -H fd:// -H tcp://172.17.0.1:2376"),
            "unit files of docker.service do not name: -H tcp://172.17.0.1:2376",
        ),
        (
            SPEC,
            started("dockerd -H fd:// --tlsverify"),
            "TLS options.*daemon.json has to set them: --tlsverify. ",
        ),
        (ADOPT, started("dockerd -H fd:// $OPTS", "dockerd -H fd:// --tls --tlscert=/x"), "--tls, --tlscert"),
        (
            ListenerSpec(live_restore=True),
            virgin(swarm=True),
            "live_restore is true, but the engine is in Swarm mode",
        ),
        (
            SPEC,
            with_config('{"live-restore": true}', virgin(swarm=True)),
            "daemon.json sets live-restore, but the engine is in Swarm mode",
        ),
        (
            ListenerSpec(live_restore=False),
            started("dockerd -H fd:// --live-restore"),
            "dockerd's command line has --live-restore",
        ),
        (
            ListenerSpec(live_restore=True),
            started("dockerd -H fd:// $OPTS", "dockerd -H fd:// --live-restore=true"),
            "dockerd's command line has --live-restore",
        ),
    ],
)
def test_conflicts_are_rejected(spec, state, message):
    with pytest.raises(Refused, match=message):
        plan_listener(spec, state)


@pytest.mark.parametrize(
    "spec, state",
    [
        (UNIX, virgin(unmanaged_sockets={"docker-tcp.socket": DOCKER_TCP})),
        (UNIX, with_config('{"tlscert": "/etc/x.pem", "tlsverify": false}')),
        (SPEC, with_config('{"tlscert": "/etc/wormhole/server/cert.pem"}')),
        (ListenerSpec(directory="/etc/x"), with_config('{"tlscert": "/etc/x/cert.pem"}')),
        (ListenerSpec(live_restore=False), virgin(swarm=True)),
        (ListenerSpec(live_restore=False), with_config('{"live-restore": true}', virgin(swarm=True))),
        (SPEC, with_config('{"live-restore": false}', virgin(swarm=True))),
        (SPEC, virgin(swarm=True)),
        (ADOPT, with_config('{"tlscert": "/etc/x.pem"}')),
        (SPEC, started("dockerd -H fd:// --live-restore")),
        (SPEC, started("dockerd -H fd:// --host-gateway-ip 10.0.0.1")),
    ],
)
def test_other_configurations_are_not_rejected(spec, state):
    assert not plan_listener(spec, state).is_empty


def test_tls_keys_that_name_other_files_are_replaced_if_they_are_adopted():
    state = with_config('{"tlscert": "/etc/x.pem", "tlskey": "/etc/wormhole/server/key.pem"}')
    config = json.loads(right(ADOPT, state).config_text)
    assert config["tlscert"] == "/etc/wormhole/server/cert.pem"


def test_a_remedy_of_several_obstacles_is_given_once():
    state = with_config('{"tlscert": "/x/a", "tlskey": "/x/b", "tlscacert": "/x/c"}')
    with pytest.raises(Refused, match="3 obstacles") as caught:
        plan_listener(SPEC, state)
    assert caught.value.remedy.startswith("Remove all of them: (1, 2, 3) Set existing_listeners to adopt")
    assert caught.value.remedy.count("existing_listeners") == 1


NO_STOCK_SOCKET = SocketAccess(active=False)
ENGINE_CONFIG = "/etc/docker/engine.json"


def configured(line, running=None, **fields):
    command = EngineCommand(line if running is None else running, line, ADMINS_DROP_IN, **fields)
    return virgin(command=command, config_missing=False, config_path=ENGINE_CONFIG)


@pytest.mark.parametrize(
    "state, message",
    [
        (configured("dockerd -H fd://", missing=("/etc/x",)), "environment files that do not exist: /etc/x"),
        (
            configured("/bin/sh -c 'exec dockerd -H fd://'", "dockerd -H fd://"),
            "admin.conf starts /bin/sh instead of dockerd, so the options of dockerd are unknown",
        ),
        (
            configured("dockerd -H fd:// --config-file="),
            "admin.conf starts dockerd with an empty --config-file",
        ),
        (
            configured("dockerd -H fd:// --config-file=/etc/%H.json"),
            "by a specifier of systemd: /etc/%H.json",
        ),
        (
            configured('dockerd -H fd:// "--config-file=/etc/a b.json"'),
            "admin.conf names a configuration file with white space: '/etc/a b.json'",
        ),
        (
            configured("dockerd -H fd:// --config-file=/a.json", "dockerd -H fd://"),
            "from /etc/docker/daemon.json, but will read /a.json at its next start. Restart docker.service",
        ),
        (
            dataclasses.replace(configured("dockerd -H fd:// --config-file=/a.json"), config_missing=True),
            "names a configuration file that does not exist: /a.json",
        ),
        (
            dataclasses.replace(
                configured("dockerd -H fd:// -H tcp://0.0.0.0:2376 --config-file=/a.json"),
                config_missing=True,
            ),
            r"\(1\) .* does not exist: /a.json.*\(\d\) .*-H fd:// and no other listener",
        ),
        (
            configured(
                "dockerd -H fd:// $OPTS",
                "dockerd -H fd:// -H tcp://0.0.0.0:2375 --tls=false",
                environment={"OPTS": "-H tcp://0.0.0.0:2375 --tls=false"},
                variable_sources={"OPTS": "/etc/default/docker"},
            ),
            r"2 obstacles: \(1\) The variable OPTS in /etc/default/docker sets listeners of dockerd: "
            r"tcp://0.0.0.0:2375 \(2\) The variable OPTS in /etc/default/docker starts dockerd with TLS options",
        ),
        (
            configured("dockerd -H fd:// -H tcp://0.0.0.0:2376 --tlsverify"),
            r"\(1\) .*-H fd:// and no other listener.*\(2\) .* TLS options.*: --tlsverify.*Remove all of them: \(1\)",
        ),
        (
            configured("dockerd -H tcp://0.0.0.0:2376 -H tcp://127.0.0.1:2375"),
            r"see systemctl cat docker.service\)$",
        ),
    ],
)
@pytest.mark.parametrize("existing", ["refuse", "adopt"])
def test_a_start_that_is_not_understood_is_rejected_with_every_obstacle(state, message, existing):
    spec = ListenerSpec(existing_listeners=existing)
    if existing == "adopt":
        message = message.replace(".*-H fd:// and no other listener", ".*that this task does not serve")
        message = message.replace(r"see systemctl cat docker.service\)$", "Remove them there$")
    with pytest.raises(Refused, match=message):
        plan_listener(spec, state)


def test_the_file_that_dockerd_reads_is_changed_and_named():
    state = configured(f"dockerd -H fd:// --config-file={ENGINE_CONFIG}")
    plan = plan_listener(SPEC, state)
    assert "engine.json lacks tlsverify" in plan.texts()
    assert "tlsverify" in plan.after[ENGINE_CONFIG]
    assert plan_listener(SPEC, right(SPEC, state)).is_empty
    with pytest.raises(Refused, match="/etc/docker/engine.json already sets tlscert"):
        plan_listener(SPEC, dataclasses.replace(state, config_text='{"tlscert": "/x"}'))


@pytest.mark.parametrize(
    "line, config, kept",
    [
        ("/usr/sbin/dockerd", {}, "-H unix:///var/run/docker.sock"),
        (
            "/usr/sbin/dockerd",
            {"hosts": ["unix:///srv/a.sock", "tcp://172.17.0.1:2376"]},
            "-H unix:///srv/a.sock",
        ),
        (
            "/usr/sbin/dockerd -H unix:///run/docker.sock -H tcp://172.17.0.1:2376",
            {},
            "-H unix:///run/docker.sock",
        ),
    ],
)
@pytest.mark.parametrize("stock", [NO_STOCK_SOCKET, SocketAccess()])
def test_dockerd_keeps_the_unix_sockets_that_no_unit_passes_to_it(line, config, kept, stock):
    state = with_config(json.dumps(config), dataclasses.replace(started(line), stock=stock))
    plan = plan_listener(ADOPT, state)
    assert f"ExecStart=/usr/sbin/dockerd -H fd:// {kept}" in plan.after[OVERRIDE]
    after = right(ADOPT, state)
    assert plan_listener(ADOPT, after).is_empty
    # Another run finds the adopted sockets in our drop-in, whatever else it changes.
    drifted = dataclasses.replace(after, command=dataclasses.replace(after.command, running="dockerd"))
    assert codes(plan_listener(ADOPT, drifted)) == ["command_differs"]


def test_a_unix_socket_beside_systemds_is_no_obstacle():
    state = started("dockerd -H fd:// -H unix:///srv/docker.sock")
    after = right(SPEC, state)
    assert (after.command.override_path, after.command.running) == ("", state.command.running)
    assert plan_listener(SPEC, after).is_empty


def test_a_file_that_dockerd_no_longer_reads_is_restored():
    before = with_config('{"mtu": 1450}')
    state = right(SPEC, before)
    former = dataclasses.replace(
        state,
        command=EngineCommand(*2 * (f"dockerd -H fd:// --config-file={ENGINE_CONFIG}",)),
        config_path=ENGINE_CONFIG,
        config_text="{}",
        former_configs={state.config_path: state.config_text},
    )
    for spec in (SPEC, ListenerSpec(state="absent")):
        plan = planned(spec, former)
        (write,) = (action for action in plan.actions if isinstance(action, WriteConfig) and action.path)
        assert write == WriteConfig('{"mtu": 1450}', exact=True, path="/etc/docker/daemon.json")
        assert "dockerd no longer reads /etc/docker/daemon.json" in plan.texts()
        assert planned(spec, carried_out(spec, former)).is_empty
    assert not is_former_config(before.config_path, right(SPEC, before).origin, before.config_path)
    assert is_former_config(before.config_path, right(SPEC, before).origin, ENGINE_CONFIG)


def test_existing_tls_keys_stay_if_only_the_unix_socket_is_requested():
    state = with_config('{"tlscert": "/etc/x.pem", "tlsverify": false}')
    assert right(UNIX, state).config_text == state.config_text


@pytest.mark.parametrize(
    "hosts, spec",
    [
        (["tcp://172.17.0.1:2376", "unix:///var/run/docker.sock"], ADOPT),
        (["unix:///run/docker.sock", "fd://"], ADOPT),
        (["tcp://172.17.0.1"], ADOPT),
        (["172.17.0.1:2376"], ADOPT),
        (
            ["tcp://[fd00::1]:12376"],
            ListenerSpec(existing_listeners="adopt", addresses=("fd00::1",), port=12376),
        ),
        (["tcp://192.0.2.7:2376/"], ListenerSpec(existing_listeners="adopt", host_addresses=("192.0.2.7",))),
        (["tcp://0.0.0.0:2376"], ListenerSpec(existing_listeners="adopt", host_addresses=("192.0.2.7",))),
        (["tcp://[::]:2376"], ListenerSpec(existing_listeners="adopt", host_addresses=("192.0.2.7",))),
        (["tcp://:2376"], ListenerSpec(existing_listeners="adopt", host_addresses=("192.0.2.7",))),
        (
            ["unix:///run/wormhole/docker.sock"],
            ListenerSpec(existing_listeners="adopt", transports=("tls", "unix")),
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
        "npipe:////./pipe/x",
        "tcp://docker.example.com:2376",
        "",
    ],
)
def test_a_listener_that_the_task_does_not_serve_is_rejected_even_with_adopt(host):
    state = with_config(json.dumps({"hosts": ["unix:///run/docker.sock", host]}))
    rejected = f"configures listeners that this task does not serve: {host}. "
    with pytest.raises(Refused, match=re.escape(f"/etc/docker/daemon.json (key hosts) {rejected}")):
        plan_listener(ADOPT, state)
    if host and not host.startswith("npipe"):
        with pytest.raises(Refused, match=re.escape(f"{ADMINS_DROP_IN} {rejected}")):
            plan_listener(ADOPT, started(f"dockerd -H {host} -H fd://"))


@pytest.mark.parametrize("host", ["tcp://0.0.0.0:2375", "tcp://0.0.0.0:12376"])
def test_a_listener_on_all_addresses_is_covered_on_the_port_only(host):
    with pytest.raises(Refused, match=host):
        plan_listener(
            ListenerSpec(existing_listeners="adopt", host_addresses=("192.0.2.7",)),
            with_config(json.dumps({"hosts": [host]})),
        )


def test_an_administrators_option_is_adopted_by_an_overriding_drop_in():
    state = virgin(command=ADOPTABLE, lingering=(SocketAddress("172.17.0.1", 2376),))
    plan = plan_listener(ADOPT, state)
    assert names(plan) == [
        "WriteConfig",
        "WriteUnits",
        "EnableUnits",
        "WriteUnits",
        "SetFirewall",
        "RestartEngine",
    ]
    ((path, text),) = plan.actions[3].files
    assert path == OVERRIDE
    assert text.endswith("ExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --debug\n")
    assert {"command_differs", "listening_elsewhere"} <= set(codes(plan))
    assert "dockerd runs with -H tcp://172.17.0.1:2376" in plan.texts()
    assert plan.after[OVERRIDE] == text.splitlines()
    after = right(ADOPT, state)
    assert after.command.running == "/usr/sbin/dockerd -H fd:// --debug"
    assert plan_listener(ADOPT, after).is_empty


def test_our_drop_in_follows_the_command_line_that_it_overrides():
    after = right(ADOPT, virgin(command=ADOPTABLE))
    edited = dataclasses.replace(
        after.command, configured="/usr/sbin/dockerd -H tcp://172.17.0.1:2376", drop_ins=("/etc/x/zzz.conf",)
    )
    state = dataclasses.replace(after, command=edited)
    plan = plan_listener(ADOPT, state)
    assert codes(plan) == ["guard_changed", "command_differs"]
    (write,) = plan.actions
    directory = "/etc/systemd/system/docker.service.d"
    files = dict(write.files)
    assert list(files) == [
        f"{directory}/zzzz-wormhole-docker-guard.conf",
        f"{directory}/zz-wormhole-docker-guard.conf",
        f"{directory}/zzzz-wormhole-docker.conf",
        OVERRIDE,
    ]
    assert [path for path, content in files.items() if content is None] == [list(files)[1], OVERRIDE]
    assert plan_listener(ADOPT, right(ADOPT, state)).is_empty


def test_our_drop_in_is_removed_once_nothing_needs_an_override():
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


def test_a_dockerd_that_runs_without_systemds_sockets_is_restarted():
    after = right()
    state = dataclasses.replace(after, command=dataclasses.replace(after.command, running="dockerd"))
    plan = plan_listener(SPEC, state)
    assert codes(plan) == ["command_differs"]
    assert plan.actions == (RestartEngine((), ()),)
