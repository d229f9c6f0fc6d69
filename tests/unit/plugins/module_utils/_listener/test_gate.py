# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listener that the gate serves: dockerd stays as it is, and a switch restarts it once."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._gate import units as gate_units
from ansible_collections.wormhole.docker.plugins.module_utils._listener.model import (
    SERVED_NOTHING,
    SERVED_OUTDATED,
    Admission,
    AdmitWormholes,
    EnableUnits,
    ReloadGate,
    RemoveUnits,
    RestartUnits,
    SetFirewall,
    WriteConfig,
    WriteUnits,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.outlook import compute_outlook
from ansible_collections.wormhole.docker.plugins.module_utils._listener.plan import plan_listener
from ansible_collections.wormhole.docker.plugins.module_utils._listener.removal import plan_removal
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import (
    UNIX_UNIT,
    is_engine_unit,
    is_gate_unit,
    is_listener_unit,
    is_tls_unit,
    unit_path,
    wants_links,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import (
    ADDED_STREAM,
    DOCKER_TCP,
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
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.test_law import (
    plan_or_refuse,
    specs,
    states,
)

DOCKERD = ListenerSpec()
GATE = ListenerSpec(served_by="gate")
ENDPOINT = SocketAddress("172.17.0.1", 2376)
DOOR = gate_units.tls_unit(ENDPOINT)


def seen(spec, state):
    """A state as a run with this spec observes it: what its own program serves."""
    serving = {endpoint.host for endpoint in (state.passive if spec.gate_tls else state.listening)}
    served = {address: what for address, what in state.served.items() if address in serving}
    return dataclasses.replace(state, served=served)


BY_DOCKERD = seen(GATE, right(DOCKERD))
"""A host that dockerd serves, as a run for the gate observes it."""
BY_GATE = seen(DOCKERD, right(GATE))


def test_a_fresh_host_gets_sockets_of_the_gate_and_nothing_of_dockerds():
    plan = plan_listener(GATE, with_firewall(VIRGIN, needed=[opening()]))
    assert names(plan) == ["WriteUnits", "EnableUnits", "SetFirewall", "ReloadGate", "RestartUnits"]
    written, enabled, filtered, _reload, started = plan.actions
    assert written == WriteUnits(((unit_path(DOOR), gate_units.render_tls(ENDPOINT)),))
    assert (enabled, started) == (EnableUnits((DOOR,)), RestartUnits((DOOR,)))
    assert filtered.openings == (opening(),)
    assert filtered.restriction.ports == (ENDPOINT,)
    assert plan.after["serves"] == {"172.17.0.1:2376": "current certificates"}
    assert plan.after["/etc/docker/daemon.json"] == {}
    assert plan.after["restart"] == {}


def test_a_host_that_the_gate_serves_gets_nothing():
    plan = plan_listener(GATE, right(GATE))
    assert plan.is_empty
    assert plan.before == plan.after


def test_the_unix_socket_is_dockerds_all_the_same():
    spec = dataclasses.replace(GATE, transports=("tls", "unix"))
    plan = plan_listener(spec, VIRGIN)
    assert restart_of(plan) is not None
    assert not any(isinstance(action, WriteConfig) for action in plan.actions)
    after = right(spec)
    assert set(after.units) == {DOOR, UNIX_UNIT}
    assert after.guard_program is None
    assert after.listening == ()


def test_a_switch_to_the_gate_closes_dockerds_sockets_before_the_restart_and_opens_the_gates_after():
    plan = plan_listener(GATE, BY_DOCKERD)
    assert names(plan) == [
        *["WriteUnits", "RemoveUnits", "EnableUnits", "WriteConfig", "WriteUnits"],
        *["RestartEngine", "ReloadGate", "RestartUnits"],
    ]
    assert plan.actions[1] == RemoveUnits((UNIT,))
    assert "tlsverify" not in json.loads(plan.actions[3].text)
    assert all(text is None for path, text in plan.actions[4].files), "the guard goes"
    assert "dockerd listens on 172.17.0.1:2376, where the gate is to listen" in plan.texts()
    assert compute_outlook(GATE, BY_DOCKERD).endpoints == (ENDPOINT,)
    after = carried_out(GATE, BY_DOCKERD)
    assert (after.listening, after.lingering, after.passive) == ((), (), (ENDPOINT,))
    assert after.guard_program is None


def test_wormholes_without_a_policy_keep_their_access_when_dockerd_stops_to_serve_them():
    admission = Admission("agent", ("/etc/wormhole/identities/agent/cert.pem",))
    plan = plan_listener(GATE, dataclasses.replace(BY_DOCKERD, unadmitted=(admission,)))
    assert plan.actions[0] == AdmitWormholes((admission,))
    assert "agent has no policy, and would lose its access" in plan.texts()
    # Later, it may have lost its policy on purpose.
    for spec, state in ((GATE, right(GATE)), (GATE, VIRGIN), (DOCKERD, right(DOCKERD))):
        plan = plan_listener(spec, dataclasses.replace(state, unadmitted=(admission,)))
        assert "AdmitWormholes" not in names(plan)


@pytest.mark.parametrize("state", [BY_GATE, VIRGIN], ids=["switched back", "new"])
def test_dockerd_does_not_serve_clients_whose_policies_would_not_hold(state):
    limited = dataclasses.replace(state, policed=("agent", "web"))
    with pytest.raises(Refused, match="the certificates of agent, web, and their policies would not hold"):
        plan_listener(DOCKERD, limited)
    for spec in (GATE, dataclasses.replace(DOCKERD, transports=("unix",))):
        plan_listener(spec, limited)


def test_a_switch_back_closes_the_gates_sockets_before_the_restart():
    plan = plan_listener(DOCKERD, BY_GATE)
    assert names(plan) == [
        *["WriteConfig", "WriteUnits", "RemoveUnits", "EnableUnits", "RestartEngine"],
    ]
    assert plan.actions[2] == RemoveUnits((DOOR,))
    assert "the gate listens on 172.17.0.1:2376" in plan.texts()
    after = carried_out(DOCKERD, BY_GATE)
    assert (after.listening, after.passive) == ((ENDPOINT,), ())


def test_a_switch_keeps_the_openings():
    def state(spec):
        return right(spec, with_firewall(VIRGIN, needed=[opening()]))

    for spec, before in ((GATE, seen(GATE, state(DOCKERD))), (DOCKERD, seen(DOCKERD, state(GATE)))):
        assert not any(isinstance(action, SetFirewall) for action in plan_listener(spec, before).actions)


@pytest.mark.parametrize("before, second", [(BY_DOCKERD, GATE), (BY_GATE, DOCKERD)])
def test_a_switch_that_is_killed_between_two_actions_is_completed_by_the_next_run(before, second):
    plan = plan_listener(second, before)
    for number in range(len(plan.actions) + 1):
        done = SimpleNamespace(actions=plan.actions[:number])
        killed = dataclasses.replace(
            simulate_listener(before, done), interrupted=True, restarted=False, gate_reloaded=False
        )
        again = plan_listener(second, seen(second, killed))
        restarts = [name for name in names(done) + names(again) if name == "RestartEngine"]
        assert len(restarts) == 1, number
        after = simulate_listener(killed, again)
        assert plan_listener(second, after).is_empty, number
        assert sorted(after.units) == [UNIT if second is DOCKERD else DOOR], number


def test_a_renewed_certificate_reloads_the_gate_and_nothing_else():
    state = dataclasses.replace(right(GATE), served={"172.17.0.1": SERVED_OUTDATED})
    plan = plan_listener(GATE, state)
    assert (plan.actions, codes(plan)) == ((ReloadGate(),), ["served_differs"])
    # Check mode knows about the renewal from an earlier task.
    renewing = dataclasses.replace(GATE, material_changed=True)
    plan = plan_listener(renewing, right(GATE))
    assert plan.actions == (ReloadGate(),)
    assert plan_listener(renewing, simulate_listener(right(GATE), plan)).is_empty


def test_a_gate_that_does_not_answer_gets_its_sockets_again():
    state = dataclasses.replace(right(GATE), served={"172.17.0.1": SERVED_NOTHING})
    assert plan_listener(GATE, state).actions == (ReloadGate(), RestartUnits((DOOR,)))


@pytest.mark.parametrize(
    "fields, code",
    [
        ({"text": None}, "unit_missing"),
        ({"text": "[Socket]\nListenStream=0.0.0.0:2376\n"}, "unit_changed"),
        ({"stale": True}, "unit_stale"),
        ({"drop_ins": ("/x.conf",)}, "unit_changed"),
        ({"active": False}, "unit_inactive"),
        ({"enabled": False}, "unit_disabled"),
    ],
)
def test_a_changed_socket_of_the_gate_is_repaired_without_the_engine(fields, code):
    state = with_unit(right(GATE), DOOR, **fields)
    plan = plan_listener(GATE, state)
    assert codes(plan) == [code]
    assert (RestartUnits((DOOR,)) in plan.actions) is (code != "unit_disabled")
    assert restart_of(plan) is None
    assert plan_listener(GATE, carried_out(GATE, state)).is_empty


def test_another_port_moves_the_sockets_of_the_gate():
    moved = dataclasses.replace(GATE, port=12376)
    plan = plan_listener(moved, right(GATE))
    assert restart_of(plan) is None
    after = carried_out(moved, right(GATE))
    assert after.passive == (SocketAddress("172.17.0.1", 12376),)


def test_a_removal_takes_the_gates_sockets_and_leaves_dockerd_alone():
    plan = plan_removal(dataclasses.replace(GATE, state="absent"), right(GATE))
    assert names(plan) == ["RemoveUnits", "SetFirewall"]
    # The removal need not know who has served.
    assert plan_removal(ListenerSpec(state="absent"), right(GATE)).actions == plan.actions


def test_a_removal_spares_what_running_wormholes_need():
    state = dataclasses.replace(right(GATE), wormholes=("agent",))
    with pytest.raises(Refused, match="Running wormholes reach the engine by TLS: agent"):
        plan_removal(dataclasses.replace(GATE, state="absent"), state)


def test_tcp_sockets_of_others_stay_as_they_are():
    for socket in (DOCKER_TCP, ADDED_STREAM):
        state = dataclasses.replace(
            VIRGIN, unmanaged_sockets={"docker-tcp.socket": socket}, listening=socket.held
        )
        plan = plan_listener(GATE, state)
        assert restart_of(plan) is None
        assert names(plan) == names(plan_listener(GATE, VIRGIN))


def test_tcp_sockets_of_others_are_not_closed_when_dockerd_serves_again():
    state = dataclasses.replace(
        BY_GATE, unmanaged_sockets={"docker-tcp.socket": DOCKER_TCP}, listening=DOCKER_TCP.held
    )
    with pytest.raises(Refused, match="Socket units that this collection does not manage"):
        plan_listener(DOCKERD, state)


def test_tls_keys_of_others_stay_as_they_are():
    state = with_config('{"tlscacert": "/srv/ca.pem"}')
    assert not any(isinstance(action, WriteConfig) for action in plan_listener(GATE, state).actions)
    with pytest.raises(Refused, match="already sets tlscacert"):
        plan_listener(DOCKERD, state)


def test_an_occupied_port_is_rejected():
    state = dataclasses.replace(VIRGIN, occupied={ENDPOINT: "haproxy (pid 7)"})
    with pytest.raises(Refused, match=r"Port 172.17.0.1:2376 is already in use by haproxy"):
        plan_listener(GATE, state)


@pytest.mark.parametrize(
    "name, gate",
    [
        (DOOR, True),
        (gate_units.tls_unit(SocketAddress("fd00::1", 2376)), True),
        (gate_units.unix_unit("agent"), False),
        (gate_units.unix_unit("172.17.0.1:2376"), False),
        (gate_units.SERVICE, False),
        (UNIT, False),
        (UNIX_UNIT, False),
    ],
)
def test_units_of_the_gate_are_told_apart(name, gate):
    assert is_gate_unit(name) is gate
    assert is_listener_unit(name) is (gate or name in (UNIT, UNIX_UNIT))
    assert is_tls_unit(name) is (name == UNIT)
    assert is_engine_unit(name) is not gate
    if gate:
        assert wants_links(name) == (f"/etc/systemd/system/sockets.target.wants/{name}",)


@given(specs, states, st.booleans())
def test_the_gate_never_changes_what_dockerd_reads(spec, state, ours):
    """Except that it takes back what the listener of dockerd has written."""
    options = {"transports": ("tls",), "live_restore": None, "insecure_plaintext_port": None}
    spec = dataclasses.replace(spec, served_by="gate", **options)
    if ours:
        state = right(dataclasses.replace(spec, served_by="dockerd"))
    plan = plan_or_refuse(spec, state)
    after = simulate_listener(state, plan)
    assert (after.guard_program, after.command.guard_path) == (None, "")
    assert not any(is_tls_unit(name) for name in after.units)
    keys = json.loads(after.config_text or "{}")
    assert keys.get("tlscert") != f"{spec.directory}/cert.pem"
