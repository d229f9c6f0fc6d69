# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._listener import guard
from ansible_collections.wormhole.docker.plugins.module_utils._listener import spec as listener_spec
from ansible_collections.wormhole.docker.plugins.module_utils._listener.journal import Origin
from ansible_collections.wormhole.docker.plugins.module_utils._listener.model import (
    EndTransaction,
    ReloadEngine,
    RemoveUnits,
    RestartEngine,
    SetFirewall,
    StartContainers,
    UnitState,
    WriteConfig,
    WriteUnits,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.plan import plan_listener
from ansible_collections.wormhole.docker.plugins.module_utils._listener.removal import plan_removal
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec, tls_keys
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import SINGLE_UNIT
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import (
    ADDED_STREAM,
    ADOPTABLE,
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
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.simulation import (
    simulate_listener,
)

ABSENT = ListenerSpec(state="absent")
RIGHT = right()
OVERRIDE = "/etc/systemd/system/docker.service.d/zz-wormhole-docker.conf"
CLOSED = "/etc/systemd/system/docker.socket.d/zz-wormhole-docker.conf"
KEYS = tls_keys(ListenerSpec())
UNGUARD = WriteUnits(
    (("/etc/systemd/system/docker.service.d/zz-wormhole-docker-guard.conf", None), (guard.PROGRAM, None))
)


def changed(**fields):
    return dataclasses.replace(RIGHT, **fields)


def edited(state, text):
    """An edit of daemon.json by others."""
    return with_config(text, state)


def given_back(state, spec=ABSENT):
    """daemon.json after a removal; None: no file. Nothing of ours and nothing to do may be left."""
    after = carried_out(spec, state)
    assert plan_removal(spec, after).is_empty
    assert (after.units, after.command.override_path, after.unix_sockets) == ({}, "", ())
    assert set(after.listening) == {e for socket in after.unmanaged_sockets.values() for e in socket.held}
    return None if after.config_missing else after.config_text


@pytest.mark.parametrize(
    "state", [VIRGIN, with_config('{"hosts": ["tcp://0.0.0.0:2375"]}'), with_config("{}")]
)
def test_a_host_without_the_listener_is_left_alone(state):
    plan = plan_removal(ABSENT, state)
    assert plan.is_empty
    assert plan.before == plan.after


def test_everything_is_removed_with_one_restart():
    plan = plan_removal(ABSENT, RIGHT)
    assert plan.actions == (
        RemoveUnits((UNIT,)),
        WriteConfig(None, exact=True),
        UNGUARD,
        SetFirewall(()),
        RestartEngine((), ()),
    )
    assert codes(plan) == [
        *["unit_surplus", "config_differs", *["guard_surplus"] * 2],
        *["listening_elsewhere", "neighbours_kept_out"],
    ]
    assert (plan.before["drops"], plan.after["drops"]) == (
        ["interfaces that are no bridge to 172.17.0.1:2376"],
        [],
    )
    assert plan.before["/etc/docker/daemon.json exists"] is True
    assert plan.after["/etc/docker/daemon.json exists"] is False
    assert plan.before["/etc/docker/daemon.json"] == KEYS
    assert plan.after["/etc/docker/daemon.json"] == {}
    assert plan.before[f"/etc/systemd/system/{UNIT}"] == RIGHT.units[UNIT].text.splitlines()
    assert plan.after[f"/etc/systemd/system/{UNIT}"] == []
    assert given_back(RIGHT) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "{}",
        "{}\n",
        "{ }",
        '{"debug":true}',
        '{"debug":true,\n"labels" : [ 1,2 ]  }',
        '{"live-restore": true, "tlsverify": true}',
        '\t{\r\n\t"debug": true\r\n}\r\n\r\n',
        json.dumps(KEYS),
        json.dumps({"debug": True, "tlscert": KEYS["tlscert"]}),
    ],
)
def test_the_original_bytes_are_restored(text):
    state = right(ListenerSpec(), with_config(text))
    plan = plan_removal(ABSENT, state)
    if state.config_text != text:
        assert plan.actions[1] == WriteConfig(text, exact=True)
    assert given_back(state) == text


def test_several_runs_with_several_options_are_undone_at_once():
    text = '{"live-restore":false,\n   "debug":true}'
    state = with_config(text)
    specs = (
        ListenerSpec(live_restore=True),
        ListenerSpec(transports=("unix",), live_restore=False),
        ListenerSpec(transports=("tls", "unix"), insecure_plaintext_port=2375, host_addresses=("192.0.2.7",)),
    )
    for spec in specs:
        state = carried_out(spec, state)
    assert given_back(state) == text


def moments(state, plan):
    """What an engine would find that starts between two actions of a plan."""
    return [
        simulate_listener(state, dataclasses.replace(plan, actions=plan.actions[: number + 1]))
        for number in range(len(plan.actions))
    ]


@pytest.mark.parametrize("hosts", [False, True])
def test_at_no_moment_would_an_engine_that_starts_serve_plaintext_or_not_start(hosts):
    spec = ListenerSpec(existing_listeners="adopt" if hosts else "refuse")
    virgin = VIRGIN
    if hosts:
        text = '{"hosts": ["tcp://172.17.0.1:2376"]}'
        bare = dataclasses.replace(ADOPTABLE, configured="/usr/sbin/dockerd", running="/usr/sbin/dockerd")
        virgin = with_config(text, dataclasses.replace(VIRGIN, command=bare))
    installed = right(spec, virgin)
    changes = [(virgin, plan_listener(spec, virgin)), (installed, plan_removal(ABSENT, installed))]
    if not hosts:
        other = ListenerSpec(transports=("unix",))
        changes.append((installed, plan_listener(other, installed)))
    for state, plan in changes:
        for moment in moments(state, plan):
            config = json.loads(moment.config_text or "{}")
            assert config.get("tlsverify") or UNIT not in moment.units
            started_by = moment.command.override_text or moment.command.configured
            assert "hosts" not in config or "-H" not in started_by


def test_later_changes_of_others_stay():
    state = right(ListenerSpec(), with_config('{\n  "debug": true,\n  "labels": ["a"]\n}\n'))
    config = json.loads(state.config_text)
    del config["debug"]
    config.update({"labels": ["b"], "mtu": 1400, "tlskey": "/etc/theirs.pem"})
    plan = plan_removal(ABSENT, edited(state, json.dumps(config)))
    text = given_back(edited(state, json.dumps(config)))
    assert json.loads(text) == {"labels": ["b"], "mtu": 1400, "tlskey": "/etc/theirs.pem"}
    assert plan.actions[1] == WriteConfig(text, exact=True)


def test_a_file_of_ours_with_keys_of_others_stays_with_these():
    state = edited(RIGHT, json.dumps({**KEYS, "debug": True}))
    assert json.loads(given_back(state)) == {"debug": True}
    assert given_back(edited(RIGHT, json.dumps(KEYS))) is None
    assert given_back(edited(RIGHT, "{}")) is None
    theirs = right(ListenerSpec(), with_config("{}"))
    assert json.loads(given_back(edited(theirs, json.dumps(KEYS)))) == {}


def test_a_file_that_others_have_removed_stays_removed():
    state = right(ListenerSpec(), with_config('{"debug": true}'))
    removed = dataclasses.replace(state, config_text="", config_missing=True)
    plan = plan_removal(ABSENT, removed)
    assert names(plan) == ["RemoveUnits", "WriteUnits", "SetFirewall", "RestartEngine"]
    assert given_back(removed) is None


def test_an_edit_between_two_of_our_runs_is_restored_as_well():
    state = right(ListenerSpec(), with_config('{"debug": true}'))
    between = edited(state, json.dumps({**json.loads(state.config_text), "mtu": 1400}))
    state = carried_out(ListenerSpec(live_restore=True), between)
    assert json.loads(given_back(state)) == {"debug": True, "mtu": 1400}


def test_an_installation_without_a_record_loses_our_keys_and_units():
    single = UnitState("[Socket]\nListenStream=172.17.0.1:2376\n", True, True)
    for name in (SINGLE_UNIT, UNIT):
        state = changed(origin=Origin(), units={name: single})
        state = edited(state, json.dumps({**KEYS, "debug": True, "tlskey": "/etc/theirs.pem"}))
        plan = plan_removal(ABSENT, state)
        assert RemoveUnits((name,)) in plan.actions
        assert restart_of(plan) is not None
        assert json.loads(given_back(state)) == {"debug": True, "tlskey": "/etc/theirs.pem"}


def test_keys_of_an_earlier_version_are_removed_after_its_single_unit_was_replaced():
    single = UnitState("[Socket]\nListenStream=172.17.0.1:2376\n", True, True)
    old = edited(changed(origin=Origin(), units={SINGLE_UNIT: single}), json.dumps({**KEYS, "debug": True}))
    state = right(ListenerSpec(), old)
    assert state.config_path not in state.origin.files
    assert json.loads(given_back(state)) == {"debug": True}
    state = carried_out(ListenerSpec(live_restore=True), state)
    assert json.loads(given_back(state)) == {"debug": True}


def test_the_record_of_a_linked_daemon_json_names_its_real_path():
    real = "/srv/config/daemon.json"
    state = right(ListenerSpec(), dataclasses.replace(with_config('{"a":1}'), config_path=real))
    assert real in state.origin.files
    assert given_back(state) == '{"a":1}'


# --- what else was changed


BARE = dataclasses.replace(ADOPTABLE, configured="/usr/sbin/dockerd", running="/usr/sbin/dockerd")
"""dockerd as it starts with the key hosts."""
ADOPT = ListenerSpec(existing_listeners="adopt", host_addresses=("192.0.2.7",))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ('{"hosts": ["tcp://172.17.0.1:2376"]}', "{}"),
        ('{ "debug": true, "hosts": ["tcp://0.0.0.0:2376"] }', '{ "debug": true }'),
        ('{"hosts": ["fd://", "192.0.2.7:2376"], "mtu": 1400}', '{"hosts": ["fd://"], "mtu": 1400}'),
        ('{"hosts": "tcp://172.17.0.1:2376", "tls": true}', '{"tls": true}'),
        (
            '{"hosts": ["tcp://172.17.0.1:2376", "unix:///run/docker.sock"]}',
            '{"hosts": ["unix:///run/docker.sock"]}',
        ),
    ],
)
def test_an_adopted_listener_is_not_restored_in_plaintext(text, left):
    state = right(ADOPT, with_config(text, dataclasses.replace(VIRGIN, command=BARE)))
    plan = plan_removal(ABSENT, state)
    assert "listener_left_out" in codes(plan)
    assert "without TLS, which is not restored" in " ".join(plan.texts())
    assert json.loads(given_back(state)) == json.loads(left)
    # Also if the keys were lost in the meantime, so that the guard has closed the listener.
    assert json.loads(given_back(with_config("{}", state))).get("hosts", []) == json.loads(left).get(
        "hosts", []
    )


def test_an_adopted_listener_with_tls_of_its_own_is_restored():
    text = json.dumps({"hosts": ["tcp://172.17.0.1:2376"], **KEYS})
    state = right(ADOPT, with_config(text, dataclasses.replace(VIRGIN, command=BARE)))
    assert "listener_left_out" not in codes(plan_removal(ABSENT, state))
    assert given_back(state) == text


def test_an_adopted_option_that_would_serve_plaintext_keeps_the_listener():
    state = right(ADOPT, dataclasses.replace(VIRGIN, command=ADOPTABLE))
    assert state.command.override_path == OVERRIDE
    with pytest.raises(Refused, match="starts dockerd with -H tcp://172.17.0.1:2376.*in plaintext.*Remove"):
        plan_removal(ABSENT, state)
    # Also if no record says that the keys are ours.
    with pytest.raises(Refused, match="in plaintext"):
        plan_removal(ABSENT, dataclasses.replace(state, origin=Origin()))
    removed = dataclasses.replace(
        state.command,
        configured="/usr/sbin/dockerd -H fd://",
        source="/usr/lib/systemd/system/docker.service",
    )
    state = dataclasses.replace(state, command=removed)
    plan = plan_removal(ABSENT, state)
    assert "override_surplus" in codes(plan)
    assert (plan.before[OVERRIDE], plan.after[OVERRIDE]) == (state.command.override_text.splitlines(), [])
    assert given_back(state) is None


def test_an_option_stays_where_the_original_configuration_has_tls():
    state = right(ADOPT, with_config(json.dumps(KEYS), dataclasses.replace(VIRGIN, command=ADOPTABLE)))
    assert given_back(state) == json.dumps(KEYS)
    assert carried_out(ABSENT, state).command == ADOPTABLE


def test_plaintext_of_a_host_without_the_listener_is_not_ours():
    state = with_config('{"hosts": ["tcp://0.0.0.0:2375"]}', dataclasses.replace(VIRGIN, command=BARE))
    assert plan_removal(ABSENT, state).is_empty
    assert plan_removal(ABSENT, dataclasses.replace(VIRGIN, command=ADOPTABLE)).is_empty


def test_our_drop_in_alone_takes_a_restart_too():
    command = dataclasses.replace(VIRGIN.command, override_path=OVERRIDE, override_text="x")
    plan = plan_removal(ABSENT, dataclasses.replace(VIRGIN, command=command))
    assert plan.actions == (WriteUnits(((OVERRIDE, None),)), RestartEngine((), ()))


def test_running_wormholes_are_not_cut_off():
    with pytest.raises(Refused, match="by TLS: agent.*state absent"):
        plan_removal(ABSENT, changed(wormholes=("agent",)))
    assert plan_removal(ABSENT, dataclasses.replace(VIRGIN, wormholes=("agent",))).is_empty


def test_an_engine_in_swarm_mode_is_not_restarted_with_live_restore_which_it_would_not_start_with():
    theirs = right(state=with_config('{"live-restore": true}'))
    with pytest.raises(Refused, match="sets live-restore, but the engine is in Swarm mode"):
        plan_removal(ABSENT, dataclasses.replace(theirs, swarm=True))
    assert restart_of(plan_removal(ABSENT, theirs))
    assert restart_of(plan_removal(ABSENT, changed(swarm=True)))


def test_running_containers_are_reported_or_rejected():
    state = changed(containers=("db",), stranded=("jenkins",))
    plan = plan_removal(ABSENT, state)
    assert plan.actions[-1] == RestartEngine((), ("db", "jenkins"))
    assert plan.after["restart"] == {"docker.service": {"interrupts": ["db"]}}
    with pytest.raises(Refused, match="db"):
        plan_removal(ListenerSpec(state="absent", running_containers="refuse"), state)


@pytest.mark.parametrize("text", [None, '{"debug": true}', '{"live-restore": false}'])
def test_live_restore_that_we_set_spares_the_containers_until_the_engine_has_been_restarted(text):
    spec = ListenerSpec(live_restore=True)
    virgin = VIRGIN if text is None else with_config(text)
    state = dataclasses.replace(right(spec, virgin), containers=("db",))
    refusing = ListenerSpec(state="absent", running_containers="refuse")
    plan = plan_removal(refusing, state)
    last = (
        ["WriteConfig", "ReloadEngine"]
        if "live" in (text or "")
        else ["WriteConfig", "ReloadEngine", "WriteConfig"]
    )
    first = ["RemoveUnits", "WriteConfig", "WriteUnits", "SetFirewall"]
    assert names(plan) == [*first, "RestartEngine", *last]
    assert json.loads(plan.actions[5].text or "{}")["live-restore"] is False
    meanwhile = json.loads(plan.actions[1].text)
    assert meanwhile == {**json.loads(text or "{}"), "live-restore": True}
    assert not plan.actions[1].exact
    assert restart_of(plan).containers == ()
    assert [action for action in plan.actions if isinstance(action, WriteConfig)][-1] == WriteConfig(
        text, exact=True
    )
    assert given_back(state, refusing) == text
    assert not carried_out(refusing, state).live_restore


@pytest.mark.parametrize("text", [None, '{"debug": true}', '{"debug": true  }\n'])
@pytest.mark.parametrize("steps", range(8))
def test_a_removal_killed_at_any_step_ends_with_the_original_bytes(text, steps):
    virgin = VIRGIN if text is None else with_config(text)
    state = dataclasses.replace(right(ListenerSpec(live_restore=True), virgin), containers=("db",))
    plan = plan_removal(ABSENT, state)
    assert len(plan.actions) == 8
    killed = simulate_listener(state, dataclasses.replace(plan, actions=plan.actions[: steps + 1]))
    killed = dataclasses.replace(killed, interrupted=True)
    assert given_back(killed) == text
    assert not carried_out(ABSENT, killed).live_restore


def test_live_restore_of_the_original_configuration_stays():
    state = right(
        ListenerSpec(), with_config('{"live-restore": true}', dataclasses.replace(VIRGIN, live_restore=True))
    )
    plan = plan_removal(ABSENT, state)
    assert names(plan) == ["RemoveUnits", "WriteConfig", "WriteUnits", "SetFirewall", "RestartEngine"]
    assert given_back(state) == '{"live-restore": true}'


def test_a_configuration_alone_is_restored_by_a_reload_without_a_restart():
    state = right(ListenerSpec(live_restore=True))
    state = dataclasses.replace(state, units={}, listening=(), served={})
    plan = plan_removal(ABSENT, state)
    # Without the key, a reload would leave it on.
    meanwhile = WriteConfig('{\n  "live-restore": false\n}\n')
    end = ReloadEngine(), WriteConfig(None, exact=True)
    assert plan.actions == (UNGUARD, SetFirewall(()), meanwhile, *end)
    assert given_back(state) is None


def test_a_socket_of_ours_without_a_unit_takes_a_restart_and_an_unmanaged_one_does_not():
    lingering = dataclasses.replace(VIRGIN, lingering=(SocketAddress("172.17.0.1", 2376),))
    assert plan_removal(ABSENT, lingering).actions == (RestartEngine((), ()),)
    unix = dataclasses.replace(VIRGIN, lingering_unix_sockets=("/run/wormhole/docker.sock",))
    assert plan_removal(ABSENT, unix).texts() == ["dockerd listens on /run/wormhole/docker.sock"]
    other_port = dataclasses.replace(VIRGIN, lingering=(SocketAddress("172.17.0.1", 2377),))
    assert plan_removal(ABSENT, other_port).is_empty
    at_our_port = (SocketAddress("0.0.0.0", 2376),)
    socket = dataclasses.replace(DOCKER_TCP, configured=at_our_port, held=at_our_port)
    unmanaged = dataclasses.replace(
        VIRGIN, listening=at_our_port, unmanaged_sockets={"docker-tcp.socket": socket}
    )
    assert plan_removal(ABSENT, unmanaged).is_empty


def test_disabled_sockets_are_not_opened_again_without_tls():
    slipped_in = dataclasses.replace(RIGHT, unmanaged_sockets={"docker.socket": ADDED_STREAM})
    mended = carried_out(ListenerSpec(), slipped_in)
    with pytest.raises(
        Refused,
        match=r"plaintext on the sockets of units that this collection does not manage: docker.socket \(\[::\]:2375\)",
    ):
        plan_removal(ABSENT, mended)
    # The same without the keys.
    with pytest.raises(Refused, match="dockerd would serve plaintext on the sockets"):
        plan_removal(ABSENT, with_config("{}", mended))
    socket = dataclasses.replace(mended.unmanaged_sockets["docker.socket"], configured=(), sources=())
    removed = dataclasses.replace(mended, unmanaged_sockets={"docker.socket": socket})
    plan = plan_removal(ABSENT, removed)
    assert f"drop-in {CLOSED} exists" in plan.texts()
    assert WriteUnits(((CLOSED, None),)) in plan.actions
    assert given_back(removed) is None


def test_a_listener_on_another_port_than_the_tasks_is_removed_too():
    state = right(ListenerSpec(port=12376))
    plan = plan_removal(ABSENT, state)
    assert "dockerd listens on 172.17.0.1:12376" in plan.texts()
    assert given_back(state) is None


def test_plaintext_alone_is_removed_without_a_restart():
    spec = ListenerSpec(insecure_plaintext_port=2375)
    both = right(spec)
    alone = {name: unit for name, unit in both.units.items() if name != UNIT}
    state = dataclasses.replace(both, units=alone, listening=(), served={})
    plan = plan_removal(ABSENT, state)
    assert names(plan) == ["RemoveUnits", "WriteConfig", "WriteUnits", "SetFirewall"]
    assert carried_out(ABSENT, both).passive == ()


def test_our_openings_in_the_firewall_are_closed():
    for state in (with_firewall(VIRGIN, opened=[opening()]), with_firewall(VIRGIN, leftover=True)):
        plan = plan_removal(ABSENT, state)
        assert plan.actions == (SetFirewall(()),)
        assert plan.before["firewall"]
        assert plan.after["firewall"] == []
        assert given_back(state) is None
        assert carried_out(ABSENT, state).firewall.opened == ()
    assert plan_removal(ABSENT, with_firewall(VIRGIN, needed=[opening()])).is_empty


def test_an_interrupted_run_is_ended_here_too():
    plan = plan_removal(ABSENT, dataclasses.replace(VIRGIN, interrupted=True, stranded=("jenkins",)))
    assert plan.actions == (StartContainers(("jenkins",)), EndTransaction())
    assert codes(plan) == ["containers_stranded", "run_interrupted"]


# --- laws

SPACES = st.sampled_from(["", " ", "\n", "\n  ", "\r\n\t"])
VALUES = st.booleans() | st.integers(0, 3) | st.text(max_size=2) | st.lists(st.booleans(), max_size=2)
FOREIGN = st.dictionaries(
    st.sampled_from(["debug", "labels", "mtu", "bip", "live-restore"]), VALUES, max_size=3
)
OURS = st.dictionaries(st.sampled_from(sorted(KEYS)), st.none(), max_size=4).map(
    lambda keys: {k: KEYS[k] for k in keys}
)


@st.composite
def texts(draw, keys=FOREIGN):
    """A daemon.json of others, with their own white space."""
    config = {**draw(keys), **draw(OURS)}
    if "live-restore" in config:
        config["live-restore"] = draw(st.booleans())
    opening, between = draw(SPACES), draw(SPACES)
    members = [f"{json.dumps(key)}:{draw(SPACES)}{json.dumps(value)}" for key, value in config.items()]
    return draw(SPACES) + "{" + opening + ("," + between).join(members) + draw(SPACES) + "}" + draw(SPACES)


specs = st.builds(
    ListenerSpec,
    transports=st.sampled_from([("tls",), ("unix",), ("tls", "unix")]),
    addresses=st.sampled_from([(), ("172.18.0.1",), (listener_spec.EVERY_GATEWAY,)]),
    port=st.sampled_from([2376, 12376]),
    insecure_plaintext_port=st.sampled_from([None, 2375]),
    live_restore=st.sampled_from([None, True, False]),
)


@given(st.none() | texts(), st.lists(specs, min_size=1, max_size=3))
def test_law_an_untouched_file_is_restored_byte_by_byte(text, sequence):
    virgin = VIRGIN if text is None else with_config(text)
    state = dataclasses.replace(
        virgin, live_restore=bool(json.loads(text or "{}").get("live-restore", False))
    )
    for spec in sequence:
        state = carried_out(spec, state)
        assert plan_listener(spec, state).is_empty
    assert given_back(state) == text
    assert carried_out(ABSENT, state).live_restore == bool(
        json.loads(text or "{}").get("live-restore", False)
    )


@given(st.none() | texts(), specs, specs, st.integers(0, 3), st.booleans())
def test_law_a_key_that_others_added_stays_and_everything_else_is_restored(
    text, first, second, value, between
):
    def add_key(state):
        config = json.loads(state.config_text or "{}")
        return edited(state, json.dumps({"storage-driver": value, **config}))

    state = carried_out(first, VIRGIN if text is None else with_config(text))
    state = carried_out(second, add_key(state)) if between else add_key(carried_out(second, state))
    assert json.loads(given_back(state)) == {**json.loads(text or "{}"), "storage-driver": value}
