# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan for an identity's access: fixed cases, one for each rule, and the law."""

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
from ansible_collections.wormhole.docker.plugins.module_utils._access.plan import plan_access, plan_removal
from ansible_collections.wormhole.docker.plugins.module_utils._access.spec import (
    MODES,
    PRESETS,
    AccessSpec,
    render_policy,
)
from ansible_collections.wormhole.docker.plugins.module_utils._gate import units
from ansible_collections.wormhole.docker.plugins.module_utils._gate.ending import (
    KEPT,
    REMOVED,
    STOPPED,
    Ending,
)
from ansible_collections.wormhole.docker.plugins.module_utils._gate.identities import parse_identity
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._access.simulation import (
    simulate_access,
)

UNIX = AccessSpec("agent", "ci", door=True)
TLS = AccessSpec("agent", "ci", certificates=("/etc/wormhole/identities/agent/cert.pem",))
PRINT, OTHER = "ab" * 32, "cd" * 32
UNIT = units.render_unix("agent", 1000)
GIVEN = AccessState(gate=True, policy=render_policy(UNIX.document, ()), unit=UNIT, enabled=True, owner=1000)
ADMITTED = AccessState(gate=True, policy=render_policy(TLS.document, (PRINT,)), fingerprints=(PRINT,))


def codes(plan):
    return [reason.code for reason in plan.reasons]


def test_an_access_as_specified_stays():
    assert plan_access(UNIX, GIVEN, 1000).is_empty
    assert plan_access(UNIX, GIVEN, None).is_empty
    assert plan_access(TLS, ADMITTED, None).is_empty


@pytest.mark.parametrize(
    "changes, code",
    [
        ({"gate": False}, "gate_missing"),
        ({"policy": None}, "policy_missing"),
        ({"policy": "{"}, "policy_differs"),
        ({"policy": "[]"}, "policy_differs"),
        ({"policy": render_policy(replace(UNIX, mode="warn").document, ())}, "policy_differs"),
        ({"policy": render_policy(UNIX.document, (PRINT,))}, "policy_certificate_differs"),
        ({"protected": False}, "policy_mode_differs"),
        ({"unit": None}, "door_missing"),
        ({"owner": None}, "door_missing"),
        ({"enabled": False}, "door_missing"),
        ({"owner": 0}, "door_owner_differs"),
        ({"unit": UNIT + "#"}, "door_differs"),
        ({"private": False}, "door_differs"),
    ],
)
def test_each_difference_has_a_reason(changes, code):
    assert codes(plan_access(UNIX, replace(GIVEN, **changes), 1000)) == [code]


def test_a_missing_gate_is_named_with_the_way_on():
    [action] = plan_access(UNIX, replace(GIVEN, gate=False), 1000).actions
    assert isinstance(action, RequireGate)
    assert action.problem == "agent has a policy, and the gate is not installed on this host"
    assert "wormhole.docker.provision" in action.remedy


def test_a_policy_that_dockerd_would_let_a_certificate_go_around_is_rejected():
    first = plan_access(TLS, AccessState(gate=True), None, served_by_gate=False).actions[0]
    assert isinstance(first, RequireGate)
    assert "agent has policy ci, but dockerd serves TLS on this host" in first.problem
    for spec, by_gate in ((TLS, True), (UNIX, False), (replace(TLS, preset="unrestricted"), False)):
        plan = plan_access(spec, AccessState(gate=True), 1000, served_by_gate=by_gate)
        assert "gate_bypassed" not in codes(plan)


def test_a_change_of_the_policy_replaces_one_file_and_nothing_else():
    plan = plan_access(replace(UNIX, preset="test"), GIVEN, 1000)
    assert plan.actions == (WritePolicy("agent", replace(UNIX, preset="test").document),)
    assert plan.before["policy"]["preset"] == "ci"
    assert plan.after["policy"]["preset"] == "test"
    assert plan.texts() == ["policy: expected preset test, found ci"]


def test_the_diff_says_what_a_change_would_have_refused():
    said = "This change would have refused 3 calls: GET /info (3 calls)"
    plan = plan_access(replace(UNIX, preset="test"), replace(GIVEN, replay=said), 1000)
    assert (plan.before["recorded_calls"], plan.after["recorded_calls"]) == ("", said)
    assert plan_access(UNIX, replace(GIVEN, replay=said), 1000).is_empty


def test_the_policy_is_written_before_the_door_opens():
    plan = plan_access(UNIX, AccessState(gate=True), 1000)
    assert [type(action) for action in plan.actions] == [WritePolicy, OpenDoor]


def test_a_door_belongs_to_root_until_the_user_is_known():
    plan = plan_access(UNIX, AccessState(gate=True), None)
    assert plan.actions[-1] == OpenDoor("agent", 0)


def test_a_wormhole_that_uses_tls_instead_needs_no_door():
    plan = plan_access(TLS, replace(ADMITTED, unit=UNIT, owner=1000), None)
    assert plan.actions == (CloseDoor("agent"),)
    assert codes(plan) == ["door_surplus"]


def test_another_certificate_on_the_host_is_admitted_instead():
    plan = plan_access(TLS, replace(ADMITTED, fingerprints=(OTHER,)), None)
    assert codes(plan) == ["policy_certificate_differs"]
    assert plan.before["policy"]["certificates"] == [PRINT]
    assert plan.after["policy"]["certificates"] == [OTHER]


def test_a_certificate_that_is_issued_first_is_admitted_afterwards():
    plan = plan_access(TLS, replace(ADMITTED, fingerprints=()), None, issuing=True)
    assert isinstance(plan.actions[0], WritePolicy)
    assert plan.after["policy"]["certificates"] == "of the certificate that is issued"


def test_what_nobody_uses_is_removed_the_door_first():
    plan = plan_removal({"agent": GIVEN})
    assert plan.actions == (CloseDoor("agent"), RemovePolicy("agent"))
    assert codes(plan) == ["door_surplus", "policy_surplus"]
    assert plan.before["policies"]["agent"]["preset"] == "ci"
    assert plan.after == {"policies": {"agent": None}}


SIBLINGS = (
    Ending("agent", "container", "a" * 64, "web", REMOVED),
    Ending("agent", "container", "b" * 64, "db", STOPPED, "cleanup: stop"),
    Ending("agent", "volume", "data", "data", KEPT, "cleanup: none"),
)


def test_siblings_are_removed_after_the_door_and_before_the_policy_that_says_so():
    plan = plan_removal({"agent": replace(GIVEN, siblings=SIBLINGS)})
    assert plan.actions == (CloseDoor("agent"), EndSiblings("agent", SIBLINGS), RemovePolicy("agent"))
    texts = [reason.text for reason in plan.reasons if reason.code == "siblings_surplus"]
    assert texts == [
        "agent has created what its policy wants removed: container web",
        "agent has created what its policy wants stopped: container db",
    ]
    assert plan.before["siblings"] == {"agent": ["container web", "container db"]}
    assert plan.after["siblings"] == {"agent": []}


def test_siblings_that_are_kept_are_no_reason():
    plan = plan_removal({"agent": replace(GIVEN, siblings=SIBLINGS[2:])})
    assert codes(plan) == ["door_surplus", "policy_surplus"]
    assert "siblings" not in plan.before
    assert plan.actions[1] == EndSiblings("agent", SIBLINGS[2:])


def test_nothing_is_removed_where_nothing_is():
    assert plan_removal({"agent": AccessState(gate=True)}).is_empty


def test_the_gate_reads_what_is_rendered():
    spec = replace(UNIX, overrides={"images": ["docker.io/library/*"]}, mode="warn")
    found = parse_identity("agent", render_policy(spec.document, (PRINT, PRINT)).encode())
    assert (found.policy.preset, found.policy.mode) == ("ci", "warn")
    assert found.certificates == frozenset({PRINT})


specs = st.builds(
    AccessSpec,
    st.just("agent"),
    st.sampled_from(PRESETS),
    st.sampled_from(MODES),
    st.sampled_from([{}, {"images": ["a"]}, {"images": ("a",)}]),
    st.sampled_from(["", "2026-12-31"]),
    door=st.booleans(),
)
texts = st.one_of(
    st.sampled_from([None, "", "{", json.dumps({"policy": 1})]),
    st.builds(lambda spec, prints: render_policy(spec.document, prints), specs, st.lists(st.just(PRINT))),
)
states = st.builds(
    AccessState,
    gate=st.booleans(),
    policy=texts,
    protected=st.booleans(),
    unit=st.sampled_from([None, UNIT, "another"]),
    enabled=st.booleans(),
    owner=st.sampled_from([None, 0, 1000]),
    private=st.booleans(),
    fingerprints=st.sampled_from([(), (PRINT,), (PRINT, OTHER)]),
    siblings=st.sampled_from([(), SIBLINGS, SIBLINGS[2:]]),
)


@given(specs, states, st.sampled_from([None, 0, 1000]))
def test_after_a_plan_nothing_is_left_to_do(spec, state, user):
    after = simulate_access(state, plan_access(spec, state, user).actions)
    assert plan_access(spec, after, user).is_empty


@given(states)
def test_after_a_removal_nothing_is_left_to_do(state):
    after = simulate_access(state, plan_removal({"agent": state}).actions)
    assert plan_removal({"agent": after}).is_empty
