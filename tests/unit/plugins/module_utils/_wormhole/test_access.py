# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A wormhole with a policy: its access and its container, decided together."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._access.model import (
    AccessState,
    CloseDoor,
    EndSiblings,
    OpenDoor,
    RemovePolicy,
    RequireGate,
    WritePolicy,
)
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._gate.ending import REMOVED, Ending
from ansible_collections.wormhole.docker.plugins.module_utils._gate.units import socket_path
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.access import (
    WormholeAccess,
    bypass_warnings,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.identity import (
    ManagedState,
    plan_managed,
    split_actions,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.model import (
    CreateContainer,
    RemoveContainer,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._access.simulation import (
    simulate_access,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wormhole.simulation import (
    simulate_wormhole,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wormhole.test_identity import (
    AUTHORITY,
    IMAGES,
    NOW,
    virgin,
    wanted,
)

UNIX = {"transport": "unix", "identity_managed": False}
POLICED = {**UNIX, "policy": "ci", "policy_mode": "enforce"}
INSTALLED = WormholeAccess(AccessState(gate=True))


def fresh(user="1234"):
    state = virgin(user)
    return replace(state, identity=replace(state.identity, access=INSTALLED))


def plan(found, **params):
    return plan_managed(*wanted(**params), found, AUTHORITY, NOW)


def simulate(state, uid, params):
    """The state after a run, observed for a run with the parameters ``params[-1]``."""
    spec, _identity = wanted(**params[0])
    planned = plan_managed(spec, None, state, AUTHORITY, NOW)
    parts = split_actions(planned)
    wormhole = simulate_wormhole(state.wormhole, parts.container)
    identity = state.identity
    own = simulate_access(identity.access.own, parts.opening.actions)
    creates = any(isinstance(action, CreateContainer) for action in parts.container.actions)
    if spec.wiring.gated and creates:
        # The new container's user gets the socket before it starts.
        own = simulate_access(own, [OpenDoor(spec.wiring.identity, uid)])
    former = {
        name: simulate_access(found, [a for a in parts.closing.actions if a.identity == name])
        for name, found in identity.access.former.items()
    }
    later, _identity = wanted(**params[-1])
    if spec.wiring.gated and not (later.wiring.gated and later.state != "absent"):
        former, own = {"agent": own}, AccessState(gate=True)
    elif later.wiring.gated and not spec.wiring.gated:
        own, former = former.get("agent", own), {}
    former = {name: found for name, found in former.items() if found.has_door or found.policy is not None}
    access = replace(identity.access, own=own, former=former)
    number = uid if creates else identity.uid
    done = replace(wormhole, created_now=False, started_now=False)
    return ManagedState(done, replace(identity, uid=number, access=access))


def codes(planned):
    return [reason.code for reason in planned.reasons]


def test_the_access_comes_before_the_container():
    planned = plan(fresh(), **POLICED)
    kinds = [type(action) for action in planned.actions]
    assert kinds == [WritePolicy, OpenDoor, CreateContainer]
    assert planned.actions[1] == OpenDoor("agent", 1234)
    [create] = [action for action in planned.actions if isinstance(action, CreateContainer)]
    labels = create.body["Labels"]
    assert (labels["wormhole.docker.identity"], labels["wormhole.docker.gate"]) == ("agent", "true")
    assert f"DOCKER_HOST=unix://{socket_path('agent')}" in create.body["Env"]
    assert create.body["HostConfig"]["Binds"] == ["/run/wormhole/gate/agent:/run/wormhole/gate/agent:ro"]
    assert not create.body["HostConfig"].get("GroupAdd")
    assert planned.after["policy"] == {
        "identity": "agent",
        "preset": "ci",
        "mode": "enforce",
        "overrides": {},
    }


def test_without_a_gate_the_plan_says_so_and_does_not_go_on():
    planned = plan(virgin(), **POLICED)
    assert codes(planned)[0] == "gate_missing"
    assert isinstance(planned.actions[0], RequireGate)


def test_a_door_of_an_unknown_user_belongs_to_root_first():
    planned = plan(fresh("ci"), **POLICED)
    assert OpenDoor("agent", 0) in planned.actions


def test_unrestricted_is_the_socket_of_the_engine():
    planned = plan(fresh(), **{**POLICED, "policy": "unrestricted"})
    assert [type(action) for action in planned.actions] == [CreateContainer]
    assert planned.actions == plan(fresh(), **UNIX).actions


def test_a_change_of_the_policy_alone_leaves_the_container():
    state = simulate(fresh(), 1234, [POLICED, POLICED])
    assert plan(state, **POLICED).is_empty
    for change in ({"policy": "test"}, {"policy_mode": "warn"}, {"policy_overrides": {"images": ["a"]}}):
        planned = plan(state, **{**POLICED, **change})
        assert [type(action) for action in planned.actions] == [WritePolicy]
        assert codes(planned) == ["policy_differs"]


def test_the_existing_container_keeps_its_door_until_it_is_replaced():
    state = simulate(fresh(), 1234, [POLICED, POLICED])
    planned = plan(state, **POLICED, user="4321")
    assert "door_owner_differs" in codes(planned)
    assert [type(action) for action in planned.actions] == [CreateContainer]


def test_two_users_cannot_have_one_door():
    state = fresh()
    state = replace(state, identity=replace(state.identity, sharers={"other": 5}))
    with pytest.raises(Refused, match="also mounted by other, whose user is 5"):
        plan(state, **POLICED)


def test_going_back_removes_the_access_last():
    state = simulate(fresh(), 1234, [POLICED, UNIX])
    planned = plan(state, **UNIX)
    kinds = [type(action) for action in planned.actions]
    assert kinds == [CreateContainer, CloseDoor, RemovePolicy]


def test_a_removal_removes_the_access_last():
    absent = {**POLICED, "state": "absent"}
    state = simulate(fresh(), 1234, [POLICED, absent])
    planned = plan(state, **absent)
    assert [type(action) for action in planned.actions] == [RemoveContainer, CloseDoor, RemovePolicy]
    left = replace(state, wormhole=replace(state.wormhole, container=None))
    # As after a run that was killed in between.
    assert [type(action) for action in plan(left, **absent).actions] == [CloseDoor, RemovePolicy]


def test_siblings_are_removed_between_the_door_and_the_policy():
    absent = {**POLICED, "state": "absent"}
    state = simulate(fresh(), 1234, [POLICED, absent])
    siblings = (Ending("agent", "container", "a" * 64, "web", REMOVED),)
    former = {name: replace(found, siblings=siblings) for name, found in state.identity.access.former.items()}
    access = replace(state.identity.access, former=former)
    planned = plan(replace(state, identity=replace(state.identity, access=access)), **absent)
    kinds = [RemoveContainer, CloseDoor, EndSiblings, RemovePolicy]
    assert [type(action) for action in planned.actions] == kinds
    assert split_actions(planned).closing.actions == planned.actions[1:]
    assert planned.before["siblings"] == {"agent": ["container web"]}


def test_an_access_that_others_use_stays():
    absent = {**POLICED, "state": "absent"}
    state = simulate(fresh(), 1234, [POLICED, absent])
    access = replace(state.identity.access, used=frozenset({"agent"}))
    planned = plan(replace(state, identity=replace(state.identity, access=access)), **absent)
    assert [type(action) for action in planned.actions] == [RemoveContainer]


def test_without_an_image_the_access_stays_as_it_is():
    state = simulate(fresh(), 1234, [POLICED, POLICED])
    assert plan(state, **{**POLICED, "image": None, "policy": None}).is_empty


TLS = {"policy": "ci", "policy_mode": "enforce", "identity_managed": False}


def by_gate(state):
    wiring = replace(state.wormhole.wiring, served_by_gate=True)
    return replace(state, wormhole=replace(state.wormhole, wiring=wiring))


def test_dockerd_would_let_a_certificate_go_around_the_policy():
    planned = plan(fresh(), **TLS)
    assert "gate_bypassed" in codes(planned)
    assert isinstance(planned.actions[0], RequireGate)
    assert "listener_served_by: gate" in planned.actions[0].remedy
    assert "gate_bypassed" not in codes(plan(by_gate(fresh()), **TLS))


def test_where_the_gate_serves_tls_everyone_has_a_policy():
    [write, *_rest] = plan(by_gate(fresh()), identity_managed=False).actions
    assert isinstance(write, WritePolicy)
    assert write.document["preset"] == "unrestricted"
    assert write.certificates == ("/etc/wormhole/identities/agent/cert.pem",)
    assert not any(isinstance(a, WritePolicy) for a in plan(fresh(), identity_managed=False).actions)


@pytest.mark.parametrize(
    "params, problem",
    [
        ({"transport": "tcp", "insecure_plaintext_port": 2375, "identity_managed": False}, "transport tcp"),
        ({"engine": "other", "engine_address": "192.0.2.1"}, "engine other"),
        ({"transport": "unix", "identity_managed": False, "identity": "a" * 100}, "too long"),
    ],
)
def test_a_policy_needs_a_way_to_the_gate(params, problem):
    with pytest.raises(InvalidInput, match=problem):
        wanted(**{"policy": "ci", "policy_mode": "enforce", **params})


def test_testcontainers_needs_no_socket():
    planned = plan(fresh(), **POLICED, testcontainers=True)
    env = dict(item.split("=", 1) for item in planned.actions[-1].body["Env"])
    assert env["TESTCONTAINERS_RYUK_DISABLED"] == "true"
    assert "TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE" not in env
    assert env["TESTCONTAINERS_HOST_OVERRIDE"]


options = st.fixed_dictionaries(
    {"policy": st.sampled_from([None, "ci", "observe", "unrestricted"]), "user": st.sampled_from([None, "7"])}
)


@given(options, options, st.sampled_from(sorted(IMAGES)), st.booleans())
def test_after_a_plan_nothing_is_left_to_do(first, second, user, absent):
    uids = {"": 0, "ci": 2000, "dev": 2001, "4321:5": 4321}
    one, two = ({**POLICED, **item} for item in (first, second))
    if absent:
        two["state"] = "absent"
    uid = [int(item["user"] or uids.get(user, 1234)) for item in (one, two)]
    state = simulate(fresh(user), uid[0], [one, one])
    assert plan(state, **one).is_empty
    state = simulate(fresh(user), uid[0], [one, two])
    state = simulate(state, uid[1], [two, two])
    assert plan(state, **two).is_empty


def test_what_is_planned_can_be_shown():
    json.dumps([dict(plan(fresh(), **POLICED).before), dict(plan(fresh(), **POLICED).after)])


@pytest.mark.parametrize(
    "options, way",
    [
        ({"privileged": True}, "privileged"),
        ({"volumes": ["/:/host"]}, "the mount of /"),
        ({"volumes": ["/var/run:/x:ro"]}, "the mount of /var/run"),
        ({"volumes": ["/run/docker.sock:/x"]}, "the mount of /run/docker.sock"),
        ({"mounts": [{"type": "bind", "source": "/run/", "target": "/x"}]}, "the mount of /run"),
    ],
)
def test_a_way_around_the_policy_is_named(options, way):
    [text] = bypass_warnings(wanted(**POLICED, **options)[0])
    assert f"its policy ci does not limit {way}" in text
    assert bypass_warnings(wanted(**UNIX, **options)[0]) == ()
    assert bypass_warnings(wanted(**{**POLICED, "state": "absent"}, **options)[0]) == ()


def test_other_mounts_are_no_way_around_the_policy():
    options = {"volumes": ["/srv:/srv", "data:/run", "/runner:/x", "/tmp"]}
    assert bypass_warnings(wanted(**POLICED, **options)[0]) == ()
