# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._core import listener
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import Gateway, Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    ListenerSpec,
    ListenerState,
    RestartEngine,
    StartContainers,
    WriteConfig,
    parse_socket_unit,
    parse_spec,
    render_socket_unit,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_plan import (
    is_adequate,
    plan_listener,
    simulate_listener,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.subject_alternative_names import parse_san
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts

TOPOLOGY = Topology(
    (
        Gateway("172.17.0.1", 4, "bridge", "docker0", "172.17.0.0/16"),
        Gateway("172.18.0.1", 4, "ci", "br-1", "172.18.0.0/16"),
        Gateway("fd00::1", 6, "ci", "br-1", "fd00::/64"),
    ),
    (),
)
VIRGIN = ListenerState(TOPOLOGY)
RIGHT = simulate_listener(VIRGIN, plan_listener(ListenerSpec(), VIRGIN))


def codes(plan):
    return [reason.code for reason in plan.reasons]


def changed(**fields):
    return dataclasses.replace(RIGHT, **fields)


def test_a_virgin_host_gets_everything_and_one_restart():
    plan = plan_listener(ListenerSpec(), VIRGIN)
    assert [type(action).__name__ for action in plan.actions] == [
        "WriteConfig",
        "WriteUnit",
        "EnableUnit",
        "RestartEngine",
    ]
    assert plan.actions[-1] == RestartEngine(rebind=False, containers=())
    assert plan.after["serves"] == {"172.17.0.1:2376": "current certificates"}


def test_a_host_that_is_right_gets_nothing():
    plan = plan_listener(ListenerSpec(), RIGHT)
    assert plan.is_empty
    assert plan.before == plan.after


@pytest.mark.parametrize(
    "state, expected, restarts",
    [
        pytest.param(changed(unit_text=None), ["unit_missing"], False, id="unit removed"),
        pytest.param(changed(unit_text="[Socket]"), ["unit_changed"], False, id="unit edited"),
        pytest.param(changed(stale=True), ["unit_stale"], False, id="daemon-reload forgotten"),
        pytest.param(changed(enabled=False), ["unit_disabled"], False, id="disabled"),
        pytest.param(
            changed(config_text='{"tlsverify": true}'), ["config_key_missing"] * 3, False, id="keys removed"
        ),
        pytest.param(
            changed(active=False, listening=(), served={}),
            ["unit_inactive", "served_differs"],
            True,
            id="socket stopped",
        ),
        pytest.param(
            changed(listening=(("0.0.0.0", 2376),), served={"172.17.0.1": listener.SERVED_NOTHING}),
            ["listening_elsewhere", "served_differs"],
            True,
            id="address slipped in",
        ),
        pytest.param(
            changed(served={"172.17.0.1": listener.SERVED_PLAINTEXT}),
            ["served_differs"],
            True,
            id="plaintext",
        ),
        pytest.param(
            changed(served={"172.17.0.1": listener.SERVED_OUTDATED}), ["served_differs"], True, id="renewed"
        ),
        pytest.param(
            changed(served={"172.17.0.1": listener.SERVED_TO_ANYONE}),
            ["served_differs"],
            True,
            id="to anyone",
        ),
    ],
)
def test_drift_is_named_and_mended_with_a_restart_only_where_dockerd_needs_one(state, expected, restarts):
    plan = plan_listener(ListenerSpec(), state)
    assert codes(plan) == expected
    assert any(isinstance(action, RestartEngine) for action in plan.actions) is restarts
    assert plan_listener(ListenerSpec(), simulate_listener(state, plan)).is_empty


def test_a_certificate_that_this_run_replaces_is_predicted_as_it_is_then_found():
    spec = ListenerSpec(material_changed=True)
    predicted = plan_listener(spec, changed(restarted=False))
    found = plan_listener(spec, changed(restarted=False, served={"172.17.0.1": listener.SERVED_OUTDATED}))
    assert codes(predicted) == ["served_differs"]
    assert predicted == found
    assert plan_listener(spec, simulate_listener(RIGHT, predicted)).is_empty


def test_containers_that_an_interrupted_run_left_stopped_are_started_without_a_restart_where_none_is_needed():
    plan = plan_listener(ListenerSpec(interrupt_containers=False), changed(stranded=("jenkins",)))
    assert codes(plan) == ["containers_stranded"]
    assert plan.actions == (StartContainers(("jenkins",)),)
    plan = plan_listener(
        ListenerSpec(), dataclasses.replace(VIRGIN, containers=("db",), stranded=("jenkins",))
    )
    assert plan.actions[-1] == RestartEngine(rebind=False, containers=("db", "jenkins"))


def test_another_address_stops_the_socket_before_it_is_bound_again():
    plan = plan_listener(ListenerSpec(addresses=("172.18.0.1", "fd00::1")), RIGHT)
    assert plan.actions[-1] == RestartEngine(rebind=True, containers=())
    assert "ListenStream=[fd00::1]:2376\n" in plan.actions[0].text


def test_what_a_restart_interrupts_is_told_or_refused():
    state = dataclasses.replace(VIRGIN, containers=("jenkins",))
    plan = plan_listener(ListenerSpec(), state)
    assert plan.after["restart"] == {"docker.service": {"interrupts": ["jenkins"]}}
    assert plan.actions[-1] == RestartEngine(rebind=False, containers=("jenkins",))
    with pytest.raises(Refused, match="jenkins"):
        plan_listener(ListenerSpec(interrupt_containers=False), state)
    assert plan_listener(ListenerSpec(interrupt_containers=False), changed(containers=("jenkins",))).is_empty


@pytest.mark.parametrize(
    "spec, state, message",
    [
        (
            ListenerSpec(addresses=("192.0.2.1",)),
            VIRGIN,
            "beyond the bridges.*172.18.0.1 .gateway of network ci",
        ),
        (ListenerSpec(), dataclasses.replace(VIRGIN, topology=Topology((), ())), "engine without one"),
        (ListenerSpec(), dataclasses.replace(VIRGIN, engine_arguments="dockerd"), "ExecStart"),
        (
            ListenerSpec(),
            dataclasses.replace(VIRGIN, engine_arguments="dockerd -H fd:// -H tcp://0.0.0.0:2375"),
            "tcp://0.0.0.0:2375",
        ),
        (
            ListenerSpec(),
            dataclasses.replace(VIRGIN, engine_arguments="dockerd --host=tcp://0.0.0.0:2375 --host=fd://"),
            "tcp://0.0.0.0:2375",
        ),
        (
            ListenerSpec(),
            dataclasses.replace(VIRGIN, foreign_sockets=("docker-tcp.socket",)),
            "docker-tcp.socket",
        ),
        (ListenerSpec(), dataclasses.replace(VIRGIN, config_text='{"hosts": ["fd://"]}'), "hosts"),
        (ListenerSpec(), dataclasses.replace(VIRGIN, config_text='{"tlscert": "/etc/x.pem"}'), "/etc/x.pem"),
        (ListenerSpec(), dataclasses.replace(VIRGIN, config_text='{"tlsverify": false}'), "tlsverify.*False"),
        (ListenerSpec(), dataclasses.replace(VIRGIN, config_text="{"), "broken JSON"),
        (ListenerSpec(), dataclasses.replace(VIRGIN, occupied={"172.17.0.1": "nc (pid 7)"}), r"nc \(pid 7\)"),
    ],
)
def test_what_belongs_to_somebody_else_is_refused(spec, state, message):
    with pytest.raises(Refused, match=message):
        plan_listener(spec, state)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"addresses": ["172.17.0.1:2376"]}, "without a port"),
        ({"addresses": ["172.17.0.0/16"]}, "without a port"),
        ({"addresses": ["0.0.0.0"]}, "0.0.0.0"),
        ({"addresses": ["::"]}, "::"),
        ({"port": 0}, "1 to 65535"),
        ({"directory": "etc/wormhole"}, "absolute path"),
    ],
)
def test_bad_options_are_refused(options, message):
    valid = {
        "addresses": None,
        "port": 2376,
        "directory": "/etc/wormhole/server",
        "material_changed": False,
        "running_containers": "interrupt",
    }
    assert parse_spec(**valid) == ListenerSpec()
    with pytest.raises(InvalidInput, match=message):
        parse_spec(**{**valid, **options})


NETWORKS = Topology((*TOPOLOGY.gateways, Gateway("172.19.0.1", 4, "new", "br-2", "172.19.0.0/16")), ())
EVERY = ListenerSpec(addresses=(listener.EVERY_GATEWAY,))
ON_EVERY = simulate_listener(VIRGIN, plan_listener(EVERY, VIRGIN))


def test_every_gateway_is_listened_on_in_both_families():
    assert ON_EVERY.listening == (("172.17.0.1", 2376), ("172.18.0.1", 2376), ("fd00::1", 2376))
    assert plan_listener(EVERY, ON_EVERY).is_empty
    with pytest.raises(Refused, match="none on this host"):
        plan_listener(EVERY, dataclasses.replace(VIRGIN, topology=Topology((), ())))


def test_a_network_that_is_added_costs_one_restart_where_every_gateway_was_asked_for_and_says_so():
    added = dataclasses.replace(ON_EVERY, topology=NETWORKS)
    plan = plan_listener(EVERY, added)
    assert tuple(plan.texts()) == (
        "socket unit wormhole-docker.socket lacks 172.19.0.1:2376 (gateway of network new)",
        "wormhole-docker.socket holds 172.17.0.1:2376, 172.18.0.1:2376, [fd00::1]:2376",
        "172.19.0.1:2376 (gateway of network new) serves nothing",
    )
    assert plan.actions[-1] == RestartEngine(rebind=True, containers=())
    assert plan_listener(EVERY, simulate_listener(added, plan)).is_empty
    assert plan_listener(ListenerSpec(), dataclasses.replace(RIGHT, topology=NETWORKS)).is_empty


@pytest.mark.parametrize("absent, restarts", [(("172.18.0.1", "fd00::1"), False), ((), True)])
def test_a_network_that_was_removed_costs_no_restart_unless_the_host_has_its_address(absent, restarts):
    removed = dataclasses.replace(ON_EVERY, topology=Topology((TOPOLOGY.gateways[0],), ()), absent=absent)
    plan = plan_listener(EVERY, removed)
    assert codes(plan)[0] == "unit_changed"
    assert any(isinstance(action, RestartEngine) for action in plan.actions) is restarts
    after = simulate_listener(removed, plan)
    assert plan_listener(EVERY, after).is_empty
    assert bool(after.lingering) is not restarts
    back = plan_listener(EVERY, dataclasses.replace(after, topology=TOPOLOGY, absent=()))
    assert any(isinstance(action, RestartEngine) for action in back.actions)


def test_a_restart_listens_where_docker0_is_afterwards():
    moved = Topology(
        (dataclasses.replace(TOPOLOGY.gateways[0], address="10.1.0.1"), *TOPOLOGY.gateways[1:]), ()
    )
    state = dataclasses.replace(VIRGIN, after_restart=moved)
    plan = plan_listener(ListenerSpec(), state)
    assert "docker0 gets the address 10.1.0.1 with the restart, by /etc/docker/daemon.json" in plan.texts()
    assert list(plan.after["serves"]) == ["10.1.0.1:2376"]
    assert plan_listener(ListenerSpec(), simulate_listener(state, plan)).is_empty
    assert plan_listener(ListenerSpec(), dataclasses.replace(RIGHT, after_restart=moved)).is_empty
    assert plan_listener(ListenerSpec(addresses=("10.1.0.1",)), state).actions == plan.actions
    with pytest.raises(Refused, match="172.17.0.1, which is one only until the engine is restarted"):
        plan_listener(ListenerSpec(addresses=("172.17.0.1",)), state)


def test_loopback_may_be_served():
    assert not plan_listener(ListenerSpec(addresses=("127.0.0.1",)), VIRGIN).is_empty


NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def certificate(*names, age=10, **fields):
    facts = {
        "subject": "CN=dockerd",
        "common_name": "dockerd",
        "issuer": "CN=ca",
        "issuer_common_name": "ca",
        "subject_alternative_names": tuple(parse_san(name) for name in names),
        "serial": "1",
        "fingerprint_sha256": "11" * 32,
        "public_key_sha256": "22" * 32,
        "key_type": "ecdsa-p256",
        "not_before": NOW - age * DAY,
        "not_after": NOW + (90 - age) * DAY,
        "is_ca": False,
        "path_length": None,
        "key_usage": ("digitalSignature",),
        "extended_key_usage": ("serverAuth",),
        "critical_extensions": (),
        "subject_key_identifier": "33",
        "authority_key_identifier": "44",
    }
    return CertificateFacts(**{**facts, **fields})


@pytest.mark.parametrize(
    "served, installed, addresses, expected",
    [
        pytest.param(
            certificate("IP:172.17.0.1"), certificate("IP:172.17.0.1"), ["172.17.0.1"], True, id="the same"
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", "IP:172.18.0.1", "IP:fd00::1"),
            ["172.17.0.1"],
            True,
            id="a network came",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", "IP:172.18.0.1"),
            ["172.17.0.1", "172.18.0.1"],
            False,
            id="a network came, whose gateway is listened on",
        ),
        pytest.param(
            certificate("IP:172.17.0.1", "IP:172.18.0.1"),
            certificate("IP:172.17.0.1"),
            ["172.17.0.1"],
            True,
            id="a network went",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", "IP:192.0.2.1"),
            ["172.17.0.1"],
            False,
            id="an address came that is no gateway",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", "DNS:ci.example.com"),
            ["172.17.0.1"],
            False,
            id="a name came",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", public_key_sha256="23" * 32),
            ["172.17.0.1"],
            False,
            id="another key",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", authority_key_identifier="45"),
            ["172.17.0.1"],
            False,
            id="another authority",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", common_name="other"),
            ["172.17.0.1"],
            False,
            id="another common name",
        ),
        pytest.param(
            certificate("IP:172.17.0.1", age=59),
            certificate("IP:172.17.0.1"),
            ["172.17.0.1"],
            True,
            id="not yet due",
        ),
        pytest.param(
            certificate("IP:172.17.0.1", age=60),
            certificate("IP:172.17.0.1"),
            ["172.17.0.1"],
            False,
            id="due",
        ),
    ],
)
def test_the_engine_goes_on_with_what_it_has_while_that_is_good_enough(
    served, installed, addresses, expected
):
    reissued = dataclasses.replace(installed, fingerprint_sha256="12" * 32)
    assert is_adequate(served, reissued, addresses, TOPOLOGY, NOW) is expected


@pytest.mark.parametrize("age", [10, 60, 89, 91])
def test_a_restart_that_would_serve_the_same_certificate_is_never_asked_for(age):
    same = certificate("IP:172.17.0.1", age=age)
    assert is_adequate(same, same, ["172.17.0.1"], TOPOLOGY, NOW)


specs = st.builds(
    ListenerSpec,
    addresses=st.lists(
        st.sampled_from(["172.17.0.1", "172.18.0.1", "fd00::1", "127.0.0.1", "gateways"]), unique=True
    ).map(tuple),
    port=st.integers(1, 65535),
    directory=st.sampled_from(["/etc/wormhole/server", "/srv/tls"]),
    material_changed=st.booleans(),
)
foreign = st.dictionaries(
    st.sampled_from(["debug", "labels", "bip", "tls"]), st.booleans() | st.text(max_size=4)
)
served = st.sampled_from(
    [listener.SERVED_CURRENT, listener.SERVED_OUTDATED, listener.SERVED_PLAINTEXT, listener.SERVED_NOTHING]
)
states = st.builds(
    ListenerState,
    topology=st.just(TOPOLOGY),
    after_restart=st.sampled_from([None, NETWORKS]),
    lingering=st.lists(st.tuples(st.sampled_from(["172.18.0.1", "0.0.0.0"]), st.just(2376))).map(tuple),
    absent=st.lists(st.sampled_from(["172.17.0.1", "172.18.0.1"])).map(tuple),
    unit_text=st.none()
    | st.text(max_size=20)
    | specs.map(lambda s: render_socket_unit((("172.17.0.1", s.port),))),
    enabled=st.booleans(),
    active=st.booleans(),
    stale=st.booleans(),
    listening=st.lists(st.tuples(st.sampled_from(["172.17.0.1", "0.0.0.0"]), st.integers(1, 65535))).map(
        tuple
    ),
    config_text=foreign.map(json.dumps),
    served=st.dictionaries(st.sampled_from(["172.17.0.1", "172.18.0.1"]), served),
    containers=st.lists(st.text("abc", min_size=1)).map(tuple),
    stranded=st.lists(st.text("abc", min_size=1)).map(tuple),
)


@given(specs, states)
def test_law_a_plan_carried_out_leaves_nothing_to_do(spec, state):
    plan = plan_listener(spec, state)
    assert plan_listener(spec, simulate_listener(state, plan)).is_empty
    for action in plan.actions:
        if isinstance(action, WriteConfig):
            assert json.loads(action.text).items() >= json.loads(state.config_text).items()


@given(
    st.lists(st.tuples(st.sampled_from(["172.17.0.1", "fd00::1"]), st.integers(1, 65535)), unique=True).map(
        tuple
    )
)
def test_a_socket_unit_reads_back_as_it_was_written(endpoints):
    assert parse_socket_unit(render_socket_unit(endpoints)) == endpoints


def test_the_socket_unit_binds_before_the_bridge_exists_and_starts_with_the_engine():
    lines = render_socket_unit((("172.17.0.1", 2376),)).splitlines()
    for line in (
        "ListenStream=172.17.0.1:2376",
        "FreeBind=true",
        "Service=docker.service",
        "WantedBy=sockets.target docker.service",
    ):
        assert line in lines


def test_systemds_own_listing_is_read():
    shown = "172.17.0.1:2376 (Stream)\n[fd00::1]:2376 (Stream)\n/run/docker.sock (Stream)"
    assert listener.parse_listen(shown) == (("172.17.0.1", 2376), ("fd00::1", 2376))
