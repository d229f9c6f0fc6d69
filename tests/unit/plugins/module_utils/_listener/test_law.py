# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The law of planners, on hosts in any state: what a plan leads to needs no other plan."""

from __future__ import annotations

import dataclasses
import itertools
import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._base.systemd_units import (
    guarded_unit,
    overridden_unit,
)
from ansible_collections.wormhole.docker.plugins.module_utils._engine.command import EngineCommand
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.model import (
    FirewallState,
    Opening,
    Restriction,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener import guard
from ansible_collections.wormhole.docker.plugins.module_utils._listener import model as listener
from ansible_collections.wormhole.docker.plugins.module_utils._listener.model import (
    ListenerState,
    ReloadEngine,
    RestartEngine,
    UnitState,
    WriteConfig,
    WriteUnits,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.plan import plan_listener
from ansible_collections.wormhole.docker.plugins.module_utils._listener.removal import plan_removal
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import (
    SINGLE_UNIT,
    UNIX_UNIT,
    SocketAccess,
    is_listener_unit,
    render_units,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.unmanaged_sockets import (
    render_override,
)
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import Topology
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import (
    ADDED_STREAM,
    DOCKER_TCP,
    NEW,
    RESTARTED,
    TOPOLOGY,
    UNIT,
    carried_out,
    planned,
    restart_of,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.simulation import (
    simulate_listener,
)

ADDRESSES = ("172.17.0.1", "172.18.0.1", "172.19.0.1", "fd00::1", "127.0.0.1", "0.0.0.0", "192.0.2.7")
PORTS = (2375, 2376, 12376)


def some(*values):
    """A few of these, in some order."""
    return st.lists(st.sampled_from(values), unique=True, max_size=3).map(tuple)


ENDPOINTS = some(*itertools.starmap(SocketAddress, itertools.product(ADDRESSES, PORTS)))
SOCKETS = some("/run/wormhole/docker.sock", "/srv/docker.sock")
BOOLEANS = st.booleans()
BRIDGES = some("br0", "virbr0")
OPENINGS = some(*itertools.starmap(Opening, itertools.product(["docker0", "br-1"], ADDRESSES[:4], PORTS)))


def possible(spec):
    """A spec that parse_spec() accepts."""
    gate = spec.served_by == "gate" and spec.tls
    plaintext = None if gate else spec.insecure_plaintext_port
    return dataclasses.replace(
        spec, served_by="gate" if gate else "dockerd", insecure_plaintext_port=plaintext
    )


specs = st.builds(
    ListenerSpec,
    served_by=st.sampled_from(["dockerd", "gate"]),
    transports=st.sampled_from([("tls",), ("unix",), ("tls", "unix")]),
    addresses=st.lists(
        st.sampled_from(["172.17.0.1", "172.18.0.1", "fd00::1", "127.0.0.1", "gateways"]), unique=True
    ).map(tuple),
    host_addresses=st.sampled_from([(), ("192.0.2.7",)]),
    port=st.sampled_from([2376, 12376]),
    directory=st.sampled_from(["/etc/wormhole/server", "/srv/tls"]),
    unix_directory=st.sampled_from(["/run/wormhole", "/srv"]),
    insecure_plaintext_port=st.sampled_from([None, 2375]),
    existing_listeners=st.sampled_from(["refuse", "adopt"]),
    live_restore=st.sampled_from([None, True, False]),
    firewall=st.sampled_from(["open", "ignore"]),
    neighbours=st.sampled_from([None, None, "drop", "accept"]),
    material_changed=BOOLEANS,
).map(possible)
RIGHT_UNITS = {
    name: text
    for served_by in ("dockerd", "gate")
    for name, text in render_units(
        ListenerSpec(transports=("tls", "unix"), served_by=served_by),
        tuple(SocketAddress(address, 2376) for address in ADDRESSES),
        tuple(SocketAddress(address, 2375) for address in ADDRESSES[:3]),
        TOPOLOGY,
        SocketAccess(),
    ).items()
}
UNIT_NAMES = (SINGLE_UNIT, UNIX_UNIT, UNIT, *RIGHT_UNITS)


@st.composite
def unit_maps(draw):
    """Units of ours, as desired or changed by others."""
    found = {}
    for name in draw(st.lists(st.sampled_from(UNIT_NAMES), unique=True, max_size=4)):
        text = st.none() | st.sampled_from(
            ["", "[Socket]\nListenStream=0.0.0.0:2376\n", RIGHT_UNITS.get(name, "")]
        )
        drop_ins = st.sampled_from(
            [(), (f"/etc/systemd/system/{name}.d/a.conf", f"/run/systemd/system/{name}.d/b.conf")]
        )
        found[name] = draw(st.builds(UnitState, text, BOOLEANS, BOOLEANS, BOOLEANS, drop_ins))
    return found


other_configs = st.dictionaries(
    st.sampled_from(["debug", "labels", "live-restore", "tlsverify"]), st.just(True), max_size=3
)
hosts = st.sampled_from(
    [{}, {}, {"hosts": ["unix:///run/docker.sock"]}, {"hosts": ["tcp://172.17.0.1:2376", "fd://"]}]
)
LINES = ("dockerd -H fd://", "dockerd -D -H tcp://172.17.0.1:2376", "dockerd")
OVERRIDE = "/etc/systemd/system/docker.service.d/zz-wormhole-docker.conf"


@st.composite
def unmanaged_sockets(draw):
    """Unmanaged socket units, read by systemd or not, disabled or not."""
    found = {}
    for unit, socket in {"docker.socket": ADDED_STREAM, "docker-tcp.socket": DOCKER_TCP}.items():
        if not draw(st.sampled_from([False, False, True])):
            continue
        text = draw(st.sampled_from(["", "[Socket]\n", render_override(socket)]))
        name = draw(st.sampled_from(["zz", "zzz"]))
        found[unit] = dataclasses.replace(
            socket,
            configured=draw(st.sampled_from([socket.configured, ()])),
            held=draw(st.sampled_from([socket.held, ()])),
            override_path=f"/etc/systemd/system/{unit}.d/{name}-wormhole-docker.conf" if text else "",
            override_text=text,
            unclear=draw(st.sampled_from([False, False, True])),
        )
    return found


commands = st.one_of(
    st.just(EngineCommand()),
    st.builds(
        lambda line, adopted, stale: EngineCommand(
            "dockerd -H fd://" if adopted else line,
            line,
            "/etc/systemd/system/docker.service.d/admin.conf",
            ("/etc/systemd/system/docker.service.d/admin.conf",),
            OVERRIDE if adopted else "",
            f"[Service]\nExecStart=\nExecStart={line}\n" if adopted else "",
            stale,
        ),
        st.sampled_from(LINES),
        BOOLEANS,
        BOOLEANS,
    ),
)
SERVED = st.sampled_from(
    [
        listener.SERVED_CURRENT,
        listener.SERVED_OUTDATED,
        listener.SERVED_PLAINTEXT,
        listener.SERVED_NOTHING,
        listener.SERVED_TO_ANYONE,
    ]
)
states = st.builds(
    ListenerState,
    topology=st.just(TOPOLOGY),
    after_restart=st.sampled_from([None, Topology((*TOPOLOGY.gateways, NEW), ()), RESTARTED]),
    units=unit_maps(),
    listening=ENDPOINTS,
    lingering=ENDPOINTS,
    absent=st.lists(st.sampled_from(ADDRESSES)).map(tuple),
    passive=ENDPOINTS,
    unix_sockets=SOCKETS,
    lingering_unix_sockets=SOCKETS,
    command=commands,
    unmanaged_sockets=unmanaged_sockets(),
    config_text=st.builds(lambda one, other: json.dumps({**one, **other}), other_configs, hosts),
    served=st.dictionaries(st.sampled_from(ADDRESSES), SERVED),
    containers=some("a", "b"),
    live_restore=BOOLEANS,
    stranded=some("x", "y"),
    unadmitted=some(listener.Admission("agent", ("/a/cert.pem",))),
    firewall=st.builds(
        FirewallState,
        manager=st.just("nftables"),
        needed=OPENINGS,
        opened=OPENINGS,
        leftover=BOOLEANS,
        restriction=st.none() | st.builds(Restriction, ENDPOINTS, BRIDGES),
        unrestricted=BOOLEANS,
        restricts=st.sampled_from([True, True, True, False]),
    ),
    other_bridges=BRIDGES,
    interrupted=BOOLEANS,
    restarted=BOOLEANS,
    gate_reloaded=BOOLEANS,
)


def plan_or_refuse(spec, state):
    """The plan. The law does not apply to hosts where the task is rejected."""
    try:
        return planned(spec, state)
    except Refused:
        assume(False)


@given(specs, states)
def test_law_a_plan_carried_out_leaves_nothing_to_do(spec, state):
    plan = plan_or_refuse(spec, state)
    after = simulate_listener(state, plan)
    # Outdated is what this run replaces, once: its restart has been then.
    after = dataclasses.replace(after, restarted=state.restarted or restart_of(plan) is not None)
    left = plan_listener(spec, after)
    assert left.is_empty, left.texts()
    assert left.before == left.after


@given(specs, states)
def test_law_a_removal_leaves_nothing_to_do_and_nothing_of_ours(spec, state):
    spec = dataclasses.replace(spec, state="absent")
    after = simulate_listener(state, plan_or_refuse(spec, state))
    left = plan_removal(spec, after)
    assert left.is_empty, left.texts()
    assert left.before == left.after
    assert (after.units, after.command.override_path, after.firewall.opened) == ({}, "", ())
    assert after.firewall.restriction is None
    assert not any(socket.override_path for socket in after.unmanaged_sockets.values())


@given(specs, states)
def test_law_a_removal_leaves_nothing_to_do_also_after_a_run_of_ours(spec, state):
    plan_or_refuse(spec, state)
    state = carried_out(spec, state)
    absent = dataclasses.replace(spec, state="absent")
    plan_or_refuse(absent, state)
    after = carried_out(absent, state)
    assert plan_removal(absent, after).is_empty
    assert plan_removal(absent, dataclasses.replace(after, origin=state.origin)).is_empty


@given(specs, states, st.booleans())
def test_every_plan_keeps_keys_of_others_and_writes_only_our_files(spec, state, present):
    spec = dataclasses.replace(spec, state="present" if present else "absent")
    plan = plan_or_refuse(spec, state)
    foreign = {"debug", "labels"} | ({"live-restore"} if present and spec.live_restore is None else set())
    former = {key: value for key, value in json.loads(state.config_text).items() if key in foreign}
    for action in plan.actions:
        if isinstance(action, WriteConfig):
            assert json.loads(action.text).items() >= former.items()
            assert "hosts" not in json.loads(action.text) or not present
        elif isinstance(action, WriteUnits):
            for path, _text in action.files:
                assert (
                    overridden_unit(path)
                    or guarded_unit(path)
                    or path == guard.PROGRAM
                    or any(
                        is_listener_unit(part[: -len(".d")] if part.endswith(".d") else part)
                        for part in path.split("/")
                    )
                )


@given(specs, states, st.booleans())
def test_a_plan_restarts_once_and_after_everything_that_a_restart_reads(spec, state, present):
    plan = plan_or_refuse(dataclasses.replace(spec, state="present" if present else "absent"), state)
    kinds = [type(action) for action in plan.actions]
    assert kinds.count(RestartEngine) <= 1
    if RestartEngine in kinds:
        restart = kinds.index(RestartEngine)
        assert WriteUnits not in kinds[restart:]
        assert kinds.index(RestartEngine) > max(
            (i for i, kind in enumerate(kinds) if kind is WriteUnits), default=-1
        )
        if present:
            assert not {WriteConfig, ReloadEngine} & set(kinds[restart:])
        spared = state.live_restore if spec.live_restore is None or not present else spec.live_restore
        assert restart_of(plan).containers == ((() if spared else state.containers) + state.stranded)


@given(specs, states, st.booleans())
def test_running_containers_refuse_fails_or_plans_the_same(spec, state, present):
    spec = dataclasses.replace(spec, state="present" if present else "absent")
    plan = plan_or_refuse(spec, state)
    refusing = dataclasses.replace(spec, running_containers="refuse")
    restart = restart_of(plan)
    if restart is not None and set(restart.containers) - set(state.stranded):
        with pytest.raises(Refused, match="^The restart of docker.service would stop running containers"):
            planned(refusing, state)
    else:
        assert planned(refusing, state) == plan
