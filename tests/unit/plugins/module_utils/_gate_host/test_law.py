# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The law of planners, on hosts in any state: what a plan leads to needs no other plan."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._gate import config, units
from ansible_collections.wormhole.docker.plugins.module_utils._gate.ending import REMOVED, Ending
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host import desired
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.model import (
    Directory,
    File,
    GateHostState,
    Unit,
    User,
)
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.plan import plan_gate
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.removal import plan_removal
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.spec import GateHostSpec
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate_host.simulation import (
    PROGRAM,
    SERVED,
    simulate,
)

SPECS = st.builds(
    GateHostSpec,
    connections=st.sampled_from((64, 128)),
    memory=st.sampled_from(("512M", "1G")),
    tls_directory=st.sampled_from(("", SERVED)),
    program=st.sampled_from((PROGRAM, "b" * 64)),
)
GROUPS = st.sampled_from(("", "docker", "engine"))


@st.composite
def files(draw, spec, group):
    """Some of the files: as they are to be, of another version, or strange ones."""
    other = draw(SPECS)
    wanted = {**desired.desired_files(other, "docker"), **desired.desired_files(spec, group)}
    found = {}
    for path, file in wanted.items():
        former = desired.desired_files(other, group).get(path, file)
        strange = File(draw(st.sampled_from(("", "x"))), 0o600, "root", "staff")
        found[path] = draw(st.sampled_from((file, file, former, strange, None)))
    return {path: file for path, file in found.items() if file is not None}


@st.composite
def states(draw, spec):
    group = draw(GROUPS)
    booleans = st.booleans()
    directories = [*desired.DIRECTORIES, *desired.MADE_WHEN_RUNNING]
    made = st.sampled_from((Directory(0o755), Directory(0o750, "root", units.USER), Directory(0o700)))
    doors = (units.unix_unit("ci"), "wormhole-gate-tls-172.17.0.1:2376.socket")
    found = draw(st.dictionaries(st.sampled_from(directories), made))
    return GateHostState(
        user=draw(st.sampled_from((None, User(998, units.USER)))),
        socket_group=group,
        files=draw(files(spec, group)),
        directories=found,
        units=draw(
            st.dictionaries(st.sampled_from(desired.UNITS), st.builds(Unit, booleans, booleans, booleans))
        ),
        running=draw(st.sampled_from(("", "x", desired.version_of(spec, group)))),
        doors=tuple(sorted(draw(st.sets(st.sampled_from(doors))))),
        policies=draw(st.sampled_from(((), ("ci",), ("a", "ci")))) if config.POLICIES in found else (),
        siblings=draw(st.sampled_from(((), (Ending("ci", "volume", "data", "data", REMOVED),)))),
        leftovers=draw(st.sampled_from(((), ("/etc/wormhole/.gate.json.x1.new",)))),
    )


@given(st.data())
def test_a_gate_that_was_planned_needs_no_other_plan(data):
    spec = data.draw(SPECS)
    state = data.draw(states(spec))
    plan = plan_gate(spec, state)
    after = simulate(state, plan)
    assert plan_gate(spec, after).texts() == []
    assert set(plan.before) == set(plan.after)


@given(st.data())
def test_a_plan_that_is_cut_short_is_completed_by_the_next_one(data):
    spec = data.draw(SPECS)
    state = data.draw(states(spec))
    plan = plan_gate(spec, state)
    done = data.draw(st.integers(0, len(plan.actions)))
    cut = dataclasses.replace(plan, actions=plan.actions[:done] or plan.actions) if plan.actions else plan
    after = simulate(state, cut)
    completed = simulate(after, plan_gate(spec, after))
    assert plan_gate(spec, completed).texts() == []
    wanted = desired.desired_files(spec, state.socket_group)
    assert dict(completed.files) == wanted
    assert completed.running == desired.version_of(spec, state.socket_group)


@given(st.data())
def test_a_removal_leaves_nothing(data):
    spec = data.draw(SPECS)
    state = data.draw(states(spec))
    gone = dataclasses.replace(spec, state="absent")
    after = simulate(state, plan_removal(gone, state))
    assert plan_removal(gone, after).texts() == []
    assert (after.user, after.files, after.directories, after.doors, after.policies) == (None, {}, {}, (), ())
    assert after.leftovers == ()


@given(st.data())
def test_a_removed_gate_can_be_installed_again(data):
    spec = data.draw(SPECS)
    state = data.draw(states(spec))
    bare = simulate(state, plan_removal(dataclasses.replace(spec, state="absent"), state))
    after = simulate(bare, plan_gate(spec, bare))
    assert plan_gate(spec, after).is_empty


@given(st.data())
def test_nothing_is_removed_while_a_container_uses_it(data):
    spec = dataclasses.replace(data.draw(SPECS), state="absent")
    state = dataclasses.replace(
        data.draw(states(spec)), users=("web",), doors=("wormhole-gate-unix-ci.socket",)
    )
    with pytest.raises(Refused, match=r"through the gate: web\. Stop them"):
        plan_removal(spec, state)
    going = dataclasses.replace(spec, wormholes_removed=("web",))
    assert not plan_removal(going, state).is_empty


def test_the_policies_are_in_a_directory_that_only_the_gate_reads():
    assert desired.DIRECTORIES[config.POLICIES] == Directory(0o750, "root", units.USER)
