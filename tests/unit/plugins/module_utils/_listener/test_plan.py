# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.model import (
    FirewallState,
    Restriction,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener import model as listener
from ansible_collections.wormhole.docker.plugins.module_utils._listener import spec as listener_spec
from ansible_collections.wormhole.docker.plugins.module_utils._listener.journal import Origin, OriginEntry
from ansible_collections.wormhole.docker.plugins.module_utils._listener.model import (
    EnableUnits,
    EndTransaction,
    ReloadEngine,
    RemoveUnits,
    RestartEngine,
    RestartUnits,
    SetFirewall,
    StartContainers,
    UnitState,
    WriteConfig,
    WriteUnits,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.outlook import compute_outlook
from ansible_collections.wormhole.docker.plugins.module_utils._listener.parts import render_opening
from ansible_collections.wormhole.docker.plugins.module_utils._listener.plan import plan_listener
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import (
    SINGLE_UNIT,
    UNIX_UNIT,
    SocketAccess,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.unmanaged_sockets import (
    UnmanagedSocket,
    render_override,
)
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import Topology
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import (
    ADDED_STREAM,
    CI,
    CI_6,
    DOCKER0,
    DOCKER_TCP,
    NEW,
    NO_NETWORKS,
    RESTARTED,
    TOPOLOGY,
    UNIT,
    VIRGIN,
    carried_out,
    codes,
    names,
    opening,
    restart_of,
    right,
    with_config,
    with_firewall,
    with_unit,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.simulation import (
    simulate_listener,
)

SPEC = ListenerSpec()
RIGHT = right()
RESTRICTED = Restriction((SocketAddress("172.17.0.1", 2376),))
"""What keeps neighbours from docker0's address."""
CI_UNIT = "wormhole-docker-172.18.0.1:2376.socket"


def changed(**fields):
    return dataclasses.replace(RIGHT, **fields)


def virgin(**fields):
    return dataclasses.replace(VIRGIN, **fields)


def test_a_fresh_host_gets_everything_and_one_restart():
    plan = plan_listener(SPEC, VIRGIN)
    assert names(plan) == ["WriteConfig", "WriteUnits", "EnableUnits", "SetFirewall", "RestartEngine"]
    assert plan.actions[2:] == (
        EnableUnits((UNIT,)),
        SetFirewall((), RESTRICTED),
        RestartEngine(stop=(), containers=()),
    )
    assert plan.after["serves"] == {"172.17.0.1:2376": "current certificates"}
    assert plan.before["serves"] == {"172.17.0.1:2376": "nothing"}
    assert plan.before[f"{UNIT} enabled"] is False
    assert plan.after[f"{UNIT} enabled"] is True


def test_a_converged_host_gets_nothing():
    plan = plan_listener(SPEC, RIGHT)
    assert plan.is_empty
    assert plan.before == plan.after


OTHER_UNIT = UnitState("[Socket]\nListenStream=172.18.0.1:2376\n", enabled=True, active=True)
DROP_IN = f"/etc/systemd/system/{UNIT}.d/x.conf"


@pytest.mark.parametrize(
    "state, expected, restarts",
    [
        pytest.param(with_unit(RIGHT, text=None), ["unit_missing"], False, id="unit removed"),
        pytest.param(with_unit(RIGHT, text="[Socket]"), ["unit_changed"], False, id="unit edited"),
        pytest.param(with_unit(RIGHT, stale=True), ["unit_stale"], False, id="daemon-reload forgotten"),
        pytest.param(with_unit(RIGHT, drop_ins=(DROP_IN,)), ["unit_changed"], False, id="drop-in added"),
        pytest.param(with_unit(RIGHT, enabled=False), ["unit_disabled"], False, id="disabled"),
        pytest.param(
            changed(config_text='{"tlsverify": true}'), ["config_key_missing"] * 3, False, id="keys removed"
        ),
        pytest.param(
            changed(config_text="", config_missing=True), ["config_key_missing"] * 4, False, id="file removed"
        ),
        pytest.param(
            with_unit(changed(listening=(), served={}), active=False),
            ["unit_inactive", "served_differs"],
            True,
            id="socket stopped",
        ),
        pytest.param(
            changed(
                listening=(SocketAddress("0.0.0.0", 2376),), served={"172.17.0.1": listener.SERVED_NOTHING}
            ),
            ["listening_elsewhere", "served_differs"],
            True,
            id="address slipped in",
        ),
        pytest.param(
            changed(lingering=(SocketAddress("0.0.0.0", 2376),)),
            ["listening_elsewhere"],
            True,
            id="lingering",
        ),
        pytest.param(
            changed(
                units={**RIGHT.units, CI_UNIT: OTHER_UNIT},
                listening=(*RIGHT.listening, SocketAddress("172.18.0.1", 2376)),
            ),
            ["unit_surplus", "listening_elsewhere"],
            True,
            id="surplus unit",
        ),
        pytest.param(
            changed(units={**RIGHT.units, CI_UNIT: dataclasses.replace(OTHER_UNIT, active=False)}),
            ["unit_surplus"],
            False,
            id="surplus unit that is stopped",
        ),
        pytest.param(
            changed(unix_sockets=("/run/wormhole/docker.sock",)),
            ["listening_elsewhere"],
            True,
            id="unix socket",
        ),
        pytest.param(
            changed(lingering_unix_sockets=("/run/wormhole/docker.sock",)),
            ["listening_elsewhere"],
            True,
            id="lingering unix socket",
        ),
        *(
            pytest.param(changed(served={"172.17.0.1": what}), ["served_differs"], True, id=what)
            for what in (
                listener.SERVED_PLAINTEXT,
                listener.SERVED_OUTDATED,
                listener.SERVED_TO_ANYONE,
                listener.SERVED_SILENT,
            )
        ),
    ],
)
def test_drift_is_reported_and_repaired_with_a_restart_only_if_dockerd_needs_one(state, expected, restarts):
    plan = plan_listener(SPEC, state)
    assert codes(plan) == expected
    assert (restart_of(plan) is not None) is restarts
    assert plan.before != plan.after
    assert plan_listener(SPEC, carried_out(SPEC, state)).is_empty


def test_a_reason_says_how_a_unit_differs():
    texts = {
        "[Socket]\n": "lacks 172.17.0.1:2376",
        "[Socket]\nListenStream=0.0.0.0:2376\n": "lacks 172.17.0.1:2376 and names 0.0.0.0:2376, which is not requested",
        RIGHT.units[UNIT].text + "\n": "differs",
    }
    for text, difference in texts.items():
        assert plan_listener(SPEC, with_unit(RIGHT, text=text)).texts() == [f"unit {UNIT} {difference}"]


def test_drop_ins_on_our_unit_are_removed_and_the_socket_is_bound_anew_with_the_next_restart():
    state = with_unit(RIGHT, drop_ins=(DROP_IN,))
    assert plan_listener(SPEC, state).actions == (WriteUnits(((DROP_IN, None),)),)
    state = dataclasses.replace(state, served={"172.17.0.1": listener.SERVED_OUTDATED})
    assert restart_of(plan_listener(SPEC, state)).stop == (UNIT,)


def test_check_mode_predicts_the_restart_for_a_replaced_certificate():
    spec = ListenerSpec(material_changed=True)
    predicted = plan_listener(spec, RIGHT)
    found = plan_listener(spec, changed(served={"172.17.0.1": listener.SERVED_OUTDATED}))
    assert codes(predicted) == ["served_differs"]
    assert predicted == found
    assert plan_listener(spec, changed(restarted=True)).is_empty
    assert plan_listener(spec, dataclasses.replace(carried_out(spec, RIGHT), restarted=True)).is_empty


# --- one unit for each address


def test_an_address_is_added_without_touching_the_others():
    spec = ListenerSpec(addresses=("172.17.0.1", "172.18.0.1", "fd00::1"))
    plan = plan_listener(spec, RIGHT)
    added = (CI_UNIT, "wormhole-docker-fd00::1:2376.socket")
    (write,) = (action for action in plan.actions if isinstance(action, WriteUnits))
    assert [path for path, text in write.files] == [f"/etc/systemd/system/{name}" for name in added]
    assert EnableUnits(added) in plan.actions
    assert restart_of(plan) == RestartEngine(stop=(), containers=())


def test_another_address_replaces_the_unit_of_the_previous_one():
    spec = ListenerSpec(addresses=("172.18.0.1",))
    plan = plan_listener(spec, RIGHT)
    assert names(plan) == ["WriteUnits", "RemoveUnits", "EnableUnits", "SetFirewall", "RestartEngine"]
    assert plan.actions[1] == RemoveUnits((UNIT,))
    neighbours = ["neighbours_reach", "neighbours_kept_out"]
    assert codes(plan) == [
        *["unit_missing", "unit_surplus", *neighbours],
        *["listening_elsewhere", "served_differs"],
    ]
    after = carried_out(spec, RIGHT)
    assert list(after.units) == [CI_UNIT]
    assert after.listening == (("172.18.0.1", 2376),)
    assert plan_listener(spec, after).is_empty


@pytest.mark.parametrize(
    "fields",
    [{"text": "[Socket]\nListenStream=0.0.0.0:2376\n"}, {"stale": True}, {"drop_ins": (DROP_IN,)}],
)
def test_a_unit_that_may_hold_something_else_is_stopped_before_a_restart(fields):
    outdated = changed(served={"172.17.0.1": listener.SERVED_OUTDATED})
    assert restart_of(plan_listener(SPEC, outdated)).stop == ()
    assert restart_of(plan_listener(SPEC, with_unit(outdated, **fields))).stop == (UNIT,)
    assert restart_of(plan_listener(SPEC, with_unit(outdated, active=False, **fields))).stop == ()


def test_a_unit_that_holds_another_address_than_its_file_says_is_stopped_before_a_restart():
    state = changed(listening=(SocketAddress("172.18.0.1", 2376),), served={})
    assert restart_of(plan_listener(SPEC, state)).stop == (UNIT,)


def test_the_single_unit_of_earlier_versions_is_replaced_by_one_for_each_address():
    single = UnitState("[Socket]\nListenStream=172.17.0.1:2376\nListenStream=172.18.0.1:2376\n", True, True)
    listening = (SocketAddress("172.17.0.1", 2376), SocketAddress("172.18.0.1", 2376))
    both = ListenerSpec(addresses=("172.17.0.1", "172.18.0.1"))
    state = changed(
        units={SINGLE_UNIT: single},
        listening=listening,
        served=dict.fromkeys(("172.17.0.1", "172.18.0.1"), listener.SERVED_CURRENT),
    )
    for spec in (both, SPEC):
        plan = plan_listener(spec, state)
        assert RemoveUnits((SINGLE_UNIT,)) in plan.actions
        # Its socket closes with it: without a restart, systemd would have none left to hand over.
        assert restart_of(plan) is not None
        after = carried_out(spec, state)
        assert SINGLE_UNIT not in after.units
        assert plan_listener(spec, after).is_empty


# --- the unix socket


def test_adding_and_removing_the_unix_socket_each_take_one_restart():
    spec = ListenerSpec(transports=("tls", "unix"))
    plan = plan_listener(spec, RIGHT)
    assert codes(plan) == ["unit_missing", "not_listening"]
    assert "dockerd does not listen on /run/wormhole/docker.sock" in plan.texts()
    assert restart_of(plan) == RestartEngine(stop=(), containers=())
    both = carried_out(spec, RIGHT)
    assert both.unix_sockets == ("/run/wormhole/docker.sock",)
    assert plan_listener(spec, both).is_empty
    back = plan_listener(SPEC, both)
    assert codes(back) == ["unit_surplus", "listening_elsewhere"]
    assert back.actions == (RemoveUnits((UNIX_UNIT,)), RestartEngine((), ()))
    assert plan_listener(SPEC, carried_out(SPEC, both)).is_empty


def test_the_unix_socket_alone_needs_no_gateway_and_no_certificate():
    spec = ListenerSpec(transports=("unix",))
    state = virgin(topology=NO_NETWORKS)
    plan = plan_listener(spec, state)
    assert names(plan) == ["WriteUnits", "EnableUnits", "RestartEngine"]
    assert compute_outlook(spec, state).endpoints == ()
    assert plan_listener(spec, carried_out(spec, state)).is_empty


def test_without_transport_tls_its_units_and_keys_are_removed():
    spec = ListenerSpec(transports=("unix",))
    plan = plan_listener(spec, RIGHT)
    assert codes(plan) == [
        *["config_key_surplus"] * 4,
        "guard_surplus",
        "unit_missing",
        "unit_surplus",
        "neighbours_kept_out",
        "listening_elsewhere",
        "not_listening",
    ]
    after = carried_out(spec, RIGHT)
    assert json.loads(after.config_text) == {}
    assert after.listening == ()
    assert plan_listener(spec, after).is_empty


def test_the_unix_socket_follows_the_stock_ones_access():
    spec = ListenerSpec(transports=("unix",))
    state = dataclasses.replace(right(spec), stock=SocketAccess(group="wheel"))
    plan = plan_listener(spec, state)
    assert codes(plan) == ["unit_changed"]
    assert "SocketGroup=wheel" in plan.after[f"/etc/systemd/system/{UNIX_UNIT}"]


def test_a_missing_unix_socket_is_bound_again():
    spec = ListenerSpec(transports=("unix",))
    plan = plan_listener(spec, dataclasses.replace(right(spec), unix_sockets=()))
    assert codes(plan) == ["not_listening"]
    assert plan.actions == (RestartEngine(stop=(UNIX_UNIT,), containers=()),)


def test_a_unix_socket_whose_unit_was_stopped_is_bound_again():
    spec = ListenerSpec(transports=("unix",))
    plan = plan_listener(spec, with_unit(right(spec), UNIX_UNIT, active=False))
    assert codes(plan) == ["unit_inactive", "not_listening"]
    assert plan.actions == (RestartEngine((), ()),)


def test_a_unix_socket_in_another_directory_is_bound_again():
    spec = ListenerSpec(transports=("unix",), unix_directory="/srv/run")
    state = right(ListenerSpec(transports=("unix",)))
    plan = plan_listener(spec, state)
    assert codes(plan) == ["unit_changed", "not_listening", "listening_elsewhere"]
    assert restart_of(plan).stop == (UNIX_UNIT,)
    assert plan_listener(spec, carried_out(spec, state)).is_empty


# --- plaintext

INSECURE = ListenerSpec(insecure_plaintext_port=2375)
PROXY = "wormhole-docker-insecure-plaintext-172.17.0.1:2375"


def test_plaintext_is_added_and_removed_without_a_restart_of_the_engine():
    plan = plan_listener(INSECURE, RIGHT)
    assert codes(plan) == ["unit_missing", "unit_missing", "unit_inactive"]
    assert names(plan) == ["WriteUnits", "EnableUnits", "RestartUnits"]
    assert plan.actions[1:] == (EnableUnits((f"{PROXY}.socket",)), RestartUnits((f"{PROXY}.socket",)))
    assert compute_outlook(INSECURE, RIGHT).insecure_endpoints == (("172.17.0.1", 2375),)
    served = carried_out(INSECURE, RIGHT)
    assert served.passive == (("172.17.0.1", 2375),)
    assert plan_listener(INSECURE, served).is_empty
    back = plan_listener(SPEC, served)
    assert codes(back) == ["unit_surplus"] * 2
    assert back.actions == (RemoveUnits((f"{PROXY}.socket", f"{PROXY}@.service")),)
    closed = carried_out(SPEC, served)
    assert closed.passive == ()
    assert plan_listener(SPEC, closed).is_empty


@pytest.mark.parametrize(
    "fields, expected",
    [
        ({"text": "[Socket]\nListenStream=0.0.0.0:2375\n"}, ["unit_changed"]),
        ({"stale": True}, ["unit_stale"]),
        ({"drop_ins": ("/x.conf",)}, ["unit_changed"]),
        ({"active": False}, ["unit_inactive"]),
    ],
)
def test_a_changed_proxy_is_restarted_without_the_engine(fields, expected):
    state = with_unit(right(INSECURE), f"{PROXY}.socket", **fields)
    plan = plan_listener(INSECURE, state)
    assert codes(plan) == expected
    assert plan.actions[-1] == RestartUnits((f"{PROXY}.socket",))
    assert restart_of(plan) is None
    assert plan_listener(INSECURE, carried_out(INSECURE, state)).is_empty


def test_an_unbound_proxy_is_restarted_and_another_port_replaces_it():
    served = right(INSECURE)
    plan = plan_listener(INSECURE, dataclasses.replace(served, passive=()))
    assert codes(plan) == ["unit_inactive"]
    assert plan.actions == (RestartUnits((f"{PROXY}.socket",)),)
    moved = carried_out(ListenerSpec(insecure_plaintext_port=2374), served)
    assert moved.passive == (("172.17.0.1", 2374),)
    assert not any(name.startswith(PROXY) for name in moved.units)


def test_a_proxys_units_are_never_stopped_for_a_restart_of_the_engine():
    state = with_unit(right(INSECURE), f"{PROXY}.socket", stale=True)
    state = dataclasses.replace(state, served={"172.17.0.1": listener.SERVED_OUTDATED})
    plan = plan_listener(INSECURE, state)
    assert restart_of(plan).stop == ()
    assert plan.actions[-1] == RestartUnits((f"{PROXY}.socket",))


# --- containers, and live-restore


def test_interrupted_containers_are_reported_or_rejected():
    state = virgin(containers=("jenkins",))
    plan = plan_listener(SPEC, state)
    assert plan.after["restart"] == {"docker.service": {"interrupts": ["jenkins"]}}
    assert plan.actions[-1] == RestartEngine(stop=(), containers=("jenkins",))
    refusing = ListenerSpec(running_containers="refuse")
    with pytest.raises(Refused, match="stop running containers: jenkins.*live_restore"):
        plan_listener(refusing, state)
    assert plan_listener(refusing, changed(containers=("jenkins",))).is_empty
    spared = plan_listener(refusing, virgin(containers=("jenkins",), live_restore=True))
    assert restart_of(spared) == RestartEngine((), ())
    assert spared.after["restart"] == {"docker.service": {"interrupts": []}}


def test_containers_that_a_restart_removes_are_reported_as_such_or_rejected():
    state = virgin(containers=("jenkins", "once"), ephemeral=("once",))
    plan = plan_listener(SPEC, state)
    assert plan.after["restart"] == {"docker.service": {"interrupts": ["jenkins"], "removes": ["once"]}}
    assert plan.actions[-1] == RestartEngine((), ("jenkins",), ("once",))
    refusing = ListenerSpec(running_containers="refuse")
    only = virgin(containers=("once",), ephemeral=("once",))
    with pytest.raises(Refused, match=r"stop running containers: once\. It would remove .* --rm: once"):
        plan_listener(refusing, only)


def test_live_restore_is_read_by_the_engine_before_the_restart_so_that_nothing_is_interrupted():
    spec = ListenerSpec(live_restore=True, running_containers="refuse")
    state = virgin(containers=("jenkins",))
    plan = plan_listener(spec, state)
    assert names(plan) == [
        *["WriteConfig", "WriteUnits", "EnableUnits"],
        *["ReloadEngine", "SetFirewall", "RestartEngine"],
    ]
    assert restart_of(plan).containers == ()
    assert plan.after["restart"] == {"docker.service": {"interrupts": []}}
    after = carried_out(spec, state)
    assert after.live_restore
    assert json.loads(after.config_text)["live-restore"] is True
    assert plan_listener(spec, after).is_empty


def test_removed_live_restore_does_not_spare_containers_from_the_same_runs_restart():
    state = with_config('{"live-restore": true}', virgin(live_restore=True, containers=("jenkins",)))
    plan = plan_listener(ListenerSpec(live_restore=False), state)
    assert names(plan)[-3:] == ["ReloadEngine", "SetFirewall", "RestartEngine"]
    assert restart_of(plan).containers == ("jenkins",)
    with pytest.raises(Refused, match="jenkins"):
        plan_listener(ListenerSpec(live_restore=False, running_containers="refuse"), state)


@pytest.mark.parametrize(
    "wanted, text, runs, expected",
    [
        (None, "", True, []),
        (None, '{"live-restore": true}', False, []),
        (True, "", False, ["config_key_missing", "live_restore_differs"]),
        (True, "", True, ["config_key_missing"]),
        (True, '{"live-restore": true}', False, ["live_restore_differs"]),
        (True, '{"live-restore": true}', True, []),
        (True, '{"live-restore": false}', False, ["config_key_differs", "live_restore_differs"]),
        (False, "", False, []),
        (False, "", True, ["config_key_missing", "live_restore_differs"]),
        (False, '{"live-restore": false}', True, ["live_restore_differs"]),
        (False, '{"live-restore": true}', True, ["config_key_differs", "live_restore_differs"]),
    ],
)
def test_live_restore_is_set_without_a_restart_and_only_if_requested(wanted, text, runs, expected):
    spec = ListenerSpec(live_restore=wanted)
    before = with_config(text, virgin(live_restore=runs))
    state = dataclasses.replace(right(SPEC, before), live_restore=runs)
    plan = plan_listener(spec, state)
    assert codes(plan) == expected
    assert restart_of(plan) is None
    assert [action for action in plan.actions if isinstance(action, ReloadEngine)] == [ReloadEngine()] * (
        "live_restore_differs" in expected
    )
    assert plan_listener(spec, carried_out(spec, state)).is_empty


def test_a_reason_says_whether_live_restore_is_on():
    plan = plan_listener(ListenerSpec(live_restore=True), RIGHT)
    assert "the engine runs with live-restore off" in plan.texts()


# --- the firewall


def test_dropped_connections_are_opened_and_other_openings_closed():
    state = with_firewall(RIGHT, needed=[opening(), opening(CI)])
    plan = plan_listener(SPEC, state)
    assert tuple(plan.texts()) == (
        "nftables drops connections from br-1 to 172.17.0.1:2376",
        "nftables drops connections from docker0 to 172.17.0.1:2376",
    )
    assert plan.actions == (SetFirewall((opening(CI), opening()), RESTRICTED),)
    assert plan.after["firewall"] == ["br-1 to 172.17.0.1:2376", "docker0 to 172.17.0.1:2376"]
    opened = carried_out(SPEC, state)
    assert plan_listener(SPEC, opened).is_empty
    fewer = with_firewall(opened, needed=[opening()], opened=opened.firewall.opened)
    plan = plan_listener(SPEC, fewer)
    assert plan.texts() == [
        "nftables has a rule of this collection for connections from br-1 to 172.17.0.1:2376, which is not required"
    ]
    assert plan.actions == (SetFirewall((opening(),), RESTRICTED),)


def test_incomplete_rules_of_ours_are_repaired():
    state = with_firewall(RIGHT, needed=[opening()], opened=[opening()], leftover=True)
    plan = plan_listener(SPEC, state)
    assert codes(plan) == ["firewall_leftover"]
    assert (plan.before["firewall"], plan.after["firewall"]) == (
        ["docker0 to 172.17.0.1:2376", "incomplete rules of this collection"],
        ["docker0 to 172.17.0.1:2376"],
    )
    assert plan.actions == (SetFirewall((opening(),), RESTRICTED),)
    assert plan_listener(SPEC, carried_out(SPEC, state)).is_empty


def test_an_ignored_firewall_is_left_alone_and_our_openings_are_closed():
    spec = ListenerSpec(firewall="ignore")
    ignored = right(spec)
    assert plan_listener(spec, with_firewall(ignored, needed=[opening()])).is_empty
    plan = plan_listener(spec, with_firewall(ignored, needed=[opening()], opened=[opening()]))
    assert codes(plan) == ["firewall_opened"]
    assert plan.actions == (SetFirewall(()),)
    assert plan.after["firewall"] == []


def test_the_firewall_is_opened_before_the_restart():
    plan = plan_listener(SPEC, with_firewall(VIRGIN, needed=[opening()]))
    assert names(plan)[-2:] == ["SetFirewall", "RestartEngine"]


def test_the_firewall_is_opened_to_where_docker0_is_after_the_restart():
    both = [opening(), opening(address="10.1.0.1")]
    state = with_firewall(dataclasses.replace(VIRGIN, after_restart=RESTARTED), needed=both, opened=both[:1])
    plan = plan_listener(SPEC, state)
    moved = Restriction((SocketAddress("10.1.0.1", 2376),))
    assert SetFirewall((opening(address="10.1.0.1"),), moved) in plan.actions
    assert compute_outlook(SPEC, state).openings == (opening(address="10.1.0.1"),)
    assert plan_listener(SPEC, carried_out(SPEC, state)).is_empty
    stays = with_firewall(dataclasses.replace(RIGHT, after_restart=RESTARTED), needed=both, opened=both[:1])
    assert plan_listener(SPEC, stays).is_empty


def test_neighbours_are_kept_from_gateways_and_loopback_but_not_from_host_addresses():
    spec = ListenerSpec(addresses=("gateways", "127.0.0.1"), host_addresses=("192.0.2.7", "fd00::1"))
    ports = tuple(SocketAddress(host, 2376) for host in ("127.0.0.1", "172.17.0.1", "172.18.0.1"))
    after = carried_out(spec, virgin(other_bridges=("br0",)))
    assert after.firewall.restriction == Restriction(ports, ("br0",))
    assert plan_listener(spec, after).is_empty


@pytest.mark.parametrize(
    "neighbours, firewall, drops",
    [
        (None, "open", True),
        (None, "ignore", False),
        ("drop", "ignore", True),
        ("accept", "open", False),
    ],
)
def test_neighbours_are_dropped_where_the_firewall_is_managed_or_if_the_task_says_so(
    neighbours, firewall, drops
):
    spec = ListenerSpec(neighbours=neighbours, firewall=firewall)
    assert right(spec).firewall.restriction == (RESTRICTED if drops else None)
    after = carried_out(spec, RIGHT)
    assert after.firewall.restriction == (RESTRICTED if drops else None)
    assert plan_listener(spec, after).is_empty


def test_a_host_of_an_earlier_version_gets_the_restriction_without_a_restart():
    earlier = changed(firewall=FirewallState())
    plan = plan_listener(SPEC, earlier)
    assert plan.texts() == ["other hosts with a route to 172.17.0.1:2376 reach it"]
    assert plan.actions == (SetFirewall((), RESTRICTED),)
    assert (plan.before["drops"], plan.after["drops"]) == (
        [],
        ["interfaces that are no bridge to 172.17.0.1:2376"],
    )


def test_a_bridge_that_is_none_of_the_engines_is_kept_out_while_it_exists():
    bridged = changed(other_bridges=("br0", "virbr0"))
    plan = plan_listener(SPEC, bridged)
    assert codes(plan) == ["neighbours_reach"] * 2
    assert plan.after["drops"] == ["interfaces that are no bridge, br0, virbr0 to 172.17.0.1:2376"]
    after = carried_out(SPEC, bridged)
    assert plan_listener(SPEC, after).is_empty
    gone = plan_listener(SPEC, dataclasses.replace(after, other_bridges=("br0",)))
    assert codes(gone) == ["neighbours_kept_out"]
    assert gone.actions == (SetFirewall((), dataclasses.replace(RESTRICTED, bridges=("br0",))),)


def test_a_restriction_that_is_not_in_force_is_repaired():
    broken = changed(firewall=FirewallState(unrestricted=True))
    plan = plan_listener(SPEC, broken)
    assert codes(plan) == ["neighbours_leftover"]
    assert plan.before["drops"] == ["incomplete rules of this collection"]
    assert plan.actions == (SetFirewall((), RESTRICTED),)
    assert carried_out(ListenerSpec(state="absent"), broken).firewall == FirewallState()


def test_without_nft_neighbours_are_kept_out_only_if_the_task_says_so_which_is_rejected():
    without = virgin(firewall=FirewallState(restricts=False))
    assert compute_outlook(SPEC, without).restriction is None
    assert plan_listener(SPEC, carried_out(SPEC, without)).is_empty
    with pytest.raises(Refused, match=r"needs the program nft.*Install the package nftables"):
        plan_listener(ListenerSpec(neighbours="drop"), without)
    unix = ListenerSpec(transports=("unix",), neighbours="drop")
    assert plan_listener(unix, carried_out(unix, without)).is_empty


def test_an_opening_is_written_with_its_bridge():
    assert render_opening(opening(CI_6, "fd00::1")) == "br-1 to [fd00::1]:2376"


# --- interrupted runs


def test_stranded_containers_are_started_without_a_needless_restart():
    plan = plan_listener(ListenerSpec(running_containers="refuse"), changed(stranded=("jenkins",)))
    assert codes(plan) == ["containers_stranded"]
    assert plan.actions == (StartContainers(("jenkins",)),)
    assert plan.before["left stopped"] == ["jenkins"]
    plan = plan_listener(SPEC, virgin(containers=("db",), stranded=("jenkins",)))
    assert plan.actions[-1] == RestartEngine(stop=(), containers=("db", "jenkins"))


def test_an_open_transaction_is_ended_on_a_converged_host():
    plan = plan_listener(SPEC, changed(interrupted=True))
    assert codes(plan) == ["run_interrupted"]
    assert plan.actions == (EndTransaction(),)
    assert plan_listener(SPEC, carried_out(SPEC, changed(interrupted=True))).is_empty


# --- networks that come, go and move

NETWORKS = Topology((*TOPOLOGY.gateways, NEW), ())
EVERY = ListenerSpec(addresses=(listener_spec.EVERY_GATEWAY,))
ON_EVERY = right(EVERY)


def test_every_gateway_is_listened_on_in_both_families():
    assert ON_EVERY.listening == (("172.17.0.1", 2376), ("172.18.0.1", 2376), ("fd00::1", 2376))
    assert plan_listener(EVERY, ON_EVERY).is_empty
    with pytest.raises(Refused, match="no bridge network of this host has a gateway"):
        plan_listener(EVERY, virgin(topology=NO_NETWORKS))


def test_an_added_network_takes_one_restart_with_gateways_and_is_named():
    added = dataclasses.replace(ON_EVERY, topology=NETWORKS)
    plan = plan_listener(EVERY, added)
    assert tuple(plan.texts()) == (
        "unit wormhole-docker-172.19.0.1:2376.socket is missing",
        "other hosts with a route to 172.19.0.1:2376 reach it",
        "172.19.0.1:2376 (gateway of network new) serves nothing",
    )
    assert plan.actions[-1] == RestartEngine(stop=(), containers=())
    assert plan_listener(EVERY, carried_out(EVERY, added)).is_empty
    assert plan_listener(SPEC, changed(topology=NETWORKS)).is_empty


@pytest.mark.parametrize("absent, restarts", [(("172.18.0.1", "fd00::1"), False), ((), True)])
def test_a_removed_network_takes_no_restart_unless_the_host_has_its_address(absent, restarts):
    removed = dataclasses.replace(ON_EVERY, topology=Topology((DOCKER0,), ()), absent=absent)
    plan = plan_listener(EVERY, removed)
    assert codes(plan)[:2] == ["unit_surplus"] * 2
    assert (restart_of(plan) is not None) is restarts
    after = carried_out(EVERY, removed)
    assert plan_listener(EVERY, after).is_empty
    assert bool(after.lingering) is not restarts
    back = plan_listener(EVERY, dataclasses.replace(after, topology=TOPOLOGY, absent=()))
    assert restart_of(back) is not None


def test_a_listener_of_dockerds_own_option_is_reported_as_that_option_only():
    command = dataclasses.replace(RIGHT.command, running="dockerd -H tcp://0.0.0.0:2376 -H fd://")
    command = dataclasses.replace(command, configured=command.running)
    state = changed(command=command, lingering=(SocketAddress("0.0.0.0", 2376),))
    plan = plan_listener(ListenerSpec(existing_listeners="adopt", host_addresses=("192.0.2.7",)), state)
    assert "dockerd runs with -H tcp://0.0.0.0:2376" in plan.texts()
    assert "dockerd listens on 0.0.0.0:2376, which is not requested" not in plan.texts()


TCP = SocketAddress("::", 2375)
CLOSED = "/etc/systemd/system/docker.socket.d/zz-wormhole-docker.conf"


def with_socket(socket=ADDED_STREAM, name="docker.socket", **fields):
    """A converged host to which a socket was added."""
    return changed(unmanaged_sockets={name: socket}, **fields)


def test_an_added_stream_is_disabled_before_it_listens():
    plan = plan_listener(SPEC, with_socket())
    assert plan.texts() == [
        "docker.socket makes dockerd listen on [::]:2375, as /etc/systemd/system/docker.socket.d/tcp.conf configures"
    ]
    assert plan.actions == (WriteUnits(((CLOSED, render_override(ADDED_STREAM)),)),)
    assert (plan.before[CLOSED], plan.after[CLOSED]) == ([], render_override(ADDED_STREAM).splitlines())


def test_an_added_stream_that_listens_takes_a_restart_without_stopping_docker_socket():
    state = with_socket(listening=(*RIGHT.listening, TCP), containers=("a",))
    plan = plan_listener(SPEC, state)
    assert codes(plan) == ["listener_slipped_in", "listening_elsewhere"]
    assert restart_of(plan).stop == ()
    after = carried_out(SPEC, state)
    assert after.listening == RIGHT.listening
    assert plan_listener(SPEC, after).is_empty


def test_a_run_that_died_before_its_restart_is_finished():
    state = with_socket(listening=(*RIGHT.listening, TCP))
    written = simulate_listener(
        state, dataclasses.replace(plan := plan_listener(SPEC, state), actions=plan.actions[:1])
    )
    assert written.lingering == (TCP,)
    assert codes(plan_listener(SPEC, written)) == ["listening_elsewhere"]
    # Or even before systemd has read it.
    unread = dataclasses.replace(
        ADDED_STREAM, override_path=CLOSED, override_text=render_override(ADDED_STREAM)
    )
    plan = plan_listener(SPEC, with_socket(unread))
    assert plan.texts() == ["systemd has not read the current files of docker.socket"]
    assert plan.actions == (WriteUnits(),)


def test_a_unit_with_nothing_but_tcp_is_stopped():
    state = with_socket(DOCKER_TCP, "docker-tcp.socket", listening=(*RIGHT.listening, *DOCKER_TCP.held))
    plan = plan_listener(SPEC, state)
    assert codes(plan) == ["listener_slipped_in", "listening_elsewhere"]
    assert restart_of(plan).stop == ("docker-tcp.socket",)
    assert plan_listener(SPEC, carried_out(SPEC, state)).is_empty
    waiting = dataclasses.replace(DOCKER_TCP, held=())
    assert names(plan_listener(SPEC, with_socket(waiting, "docker-tcp.socket"))) == ["WriteUnits"]


def test_docker_socket_is_never_stopped_also_if_its_file_cannot_be_read():
    socket = UnmanagedSocket(held=(TCP,))
    plan = plan_listener(SPEC, with_socket(socket, listening=(*RIGHT.listening, TCP)))
    assert restart_of(plan).stop == ()


def test_our_drop_in_stays_the_last_one_and_is_removed_with_its_cause():
    after = carried_out(SPEC, with_socket())
    socket = after.unmanaged_sockets["docker.socket"]
    later = dataclasses.replace(
        socket, drop_ins=(*socket.drop_ins, "/run/systemd/system/docker.socket.d/zzz.conf")
    )
    moved = CLOSED.replace("zz-", "zzzz-")
    plan = plan_listener(SPEC, with_socket(later))
    assert plan.actions == (WriteUnits(((moved, render_override(ADDED_STREAM)), (CLOSED, None))),)
    gone = dataclasses.replace(socket, configured=(), sources=())
    plan = plan_listener(SPEC, with_socket(gone))
    assert plan.texts() == [f"{CLOSED} overrides docker.socket, which is no longer necessary"]
    assert plan.actions == (WriteUnits(((CLOSED, None),)),)
    assert plan_listener(SPEC, carried_out(SPEC, with_socket(gone))).is_empty


def test_a_socket_that_only_systemd_can_expand_stays_disabled():
    closed = UnmanagedSocket(sources=("/x",), override_path=CLOSED, unclear=True)
    closed = dataclasses.replace(closed, override_text=render_override(closed))
    assert plan_listener(SPEC, with_socket(closed)).is_empty
    with pytest.raises(Refused, match=r"docker.socket \(closed by a drop-in\)"):
        plan_listener(ListenerSpec(transports=("unix",)), with_socket(closed))


def test_a_removed_unit_of_ours_does_not_make_a_host_fresh():
    origin = Origin({f"/etc/systemd/system/{UNIT}": OriginEntry(None, b"[Socket]")})
    state = virgin(unmanaged_sockets={"docker.socket": ADDED_STREAM})
    with pytest.raises(Refused, match="units that this collection does not manage"):
        plan_listener(SPEC, state)
    plan = plan_listener(SPEC, dataclasses.replace(state, origin=origin))
    assert "listener_slipped_in" in codes(plan)


def test_a_restart_is_not_made_with_units_that_systemd_has_not_read():
    command = dataclasses.replace(RIGHT.command, stale=True)
    assert plan_listener(SPEC, changed(command=command)).is_empty
    plan = plan_listener(SPEC, changed(command=command, served={"172.17.0.1": listener.SERVED_OUTDATED}))
    assert names(plan) == ["WriteUnits", "RestartEngine"]
    assert codes(plan) == ["served_differs", "unit_stale"]


def test_without_tls_what_was_closed_is_not_opened_again():
    after = carried_out(SPEC, with_socket())
    with pytest.raises(Refused, match=r"docker.socket \(\[::\]:2375\)"):
        plan_listener(ListenerSpec(transports=("unix",)), after)


def test_without_tls_unmanaged_sockets_are_left_alone():
    spec = ListenerSpec(transports=("unix",))
    state = dataclasses.replace(
        right(spec),
        unmanaged_sockets={"docker-tcp.socket": DOCKER_TCP},
        listening=(SocketAddress("0.0.0.0", 2375),),
    )
    assert plan_listener(spec, state).is_empty


def test_a_restart_listens_where_docker0_is_afterwards():
    moved = Topology((dataclasses.replace(DOCKER0, address="10.1.0.1"), CI, CI_6), ())
    state = virgin(after_restart=moved)
    plan = plan_listener(SPEC, state)
    assert (
        "the restart gives docker0 the address 10.1.0.1, as /etc/docker/daemon.json configures"
        in plan.texts()
    )
    assert list(plan.after["serves"]) == ["10.1.0.1:2376"]
    assert compute_outlook(SPEC, state).endpoints == (("10.1.0.1", 2376),)
    assert compute_outlook(INSECURE, state).insecure_endpoints == (("10.1.0.1", 2375),)
    assert plan_listener(SPEC, carried_out(SPEC, state)).is_empty
    assert plan_listener(SPEC, changed(after_restart=moved)).is_empty
    assert compute_outlook(SPEC, changed(after_restart=moved)).endpoints == (("172.17.0.1", 2376),)
    assert plan_listener(ListenerSpec(addresses=("10.1.0.1",)), state).actions == plan.actions
    with pytest.raises(
        Refused, match="172.17.0.1, which is neither .* after the required restart of the engine"
    ):
        plan_listener(ListenerSpec(addresses=("172.17.0.1",)), state)


# --- further addresses


def test_dockerd_listens_on_host_addresses_as_well():
    spec = ListenerSpec(host_addresses=("192.0.2.7",))
    plan = plan_listener(spec, RIGHT)
    assert tuple(plan.texts()) == (
        "unit wormhole-docker-192.0.2.7:2376.socket is missing",
        "192.0.2.7:2376 serves nothing",
    )
    after = carried_out(spec, RIGHT)
    assert after.listening == (("172.17.0.1", 2376), ("192.0.2.7", 2376))
    assert plan_listener(spec, after).is_empty


def test_loopback_may_be_served():
    assert not plan_listener(ListenerSpec(addresses=("127.0.0.1",)), VIRGIN).is_empty


def test_other_keys_of_daemon_json_stay_in_place():
    text = '{\n    "debug": true,\n    "labels": ["a"]\n}\n'
    (write,) = (a for a in plan_listener(SPEC, with_config(text)).actions if isinstance(a, WriteConfig))
    assert write.text.startswith('{\n    "debug": true,\n    "labels": ["a"],\n    "tlsverify": true,\n')
    assert not write.exact
