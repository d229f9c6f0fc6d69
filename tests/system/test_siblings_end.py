# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What wormholes have created is removed with them at once, and with the gate."""

from __future__ import annotations

import pytest

from hosts import BYSTANDER, WORMHOLE, footprint, launch_arguments
from lab.spec import RELEASES
from test_gate_host import HOST, everything
from test_siblings import create_siblings, names_of, of
from test_teardown import changes

pytestmark = pytest.mark.parametrize("release", RELEASES)

LATE = {"cleanup": {"after": "1h"}}
"""The running gate removes nothing during the scenario."""
AGENT = {**WORMHOLE, "transport": "unix", "policy": "test", "policy_overrides": LATE}
OTHERS = (
    {**AGENT, "name": "stray"},
    {**AGENT, "name": "listed"},
    {**AGENT, "name": "keeper", "policy": "compose", "policy_overrides": {}},
    {**AGENT, "name": "stopper", "policy_overrides": {"cleanup": {"mode": "stop", "after": "1h"}}},
)
RECORDS = "/var/lib/wormhole-gate/learned"
LEARNT = f"timeout 20 sh -c 'until [ -e {RECORDS}/NAME.json ]; do sleep 0.2; done'"


def ends(results):
    """Return what was removed, and what was kept, by name."""
    gone = sorted(row["name"] for row in results.get("siblings_removed", ()) if len(row["name"]) < 64)
    kept = {row["name"]: row["action"] for row in results.get("siblings_kept", ()) if len(row["name"]) < 64}
    return gone, kept


def result_of(run, name):
    """Return the result of a wormhole in a list."""
    found = [item for task in run.tasks for item in task.items if item.get("name") == name]
    return found[-1]


def removal_of_gate(run):
    tasks = [task for task in run.tasks if task.action == "wormhole.docker.wormhole_gate"]
    return next(task.result for task in tasks if task.name.endswith(" : Remove the gate"))


# Long because each step continues on the host of the one before.
def test_siblings_end_with_their_wormhole_and_with_the_gate(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(BYSTANDER)
    before = everything(host)
    playbook(HOST, host, *launch_arguments(AGENT, *OTHERS))
    for item in (AGENT, *OTHERS):
        create_siblings(host, item["name"])
        host.run(LEARNT.replace("NAME", item["name"]))

    # The removal of a wormhole predicts what it removes, and removes it at once.
    gone = launch_arguments({"name": "agent", "state": "absent"}, *OTHERS)
    predicted = playbook("launch", host, *gone, "--check", "--diff")
    assert of(host, "agent") == names_of("agent")
    done = playbook("launch", host, *gone, "--diff")
    assert ends(result_of(predicted, "agent")) == ends(result_of(done, "agent")) == (names_of("agent"), {})
    assert result_of(predicted, "agent")["diff"] == result_of(done, "agent")["diff"]
    assert of(host, "agent") == []
    assert "siblings_surplus" in [reason["code"] for reason in result_of(done, "agent")["reasons"]]
    # The record of its calls goes with the policy, also if calls were still waiting to be counted.
    host.run("sleep 3")
    assert host.run(f"ls {RECORDS}").stdout.split() == [
        "keeper.json",
        "listed.json",
        "stopper.json",
        "stray.json",
    ]
    assert playbook("launch", host, *gone).changed == 0
    # What the policy keeps is named.
    first = launch_arguments({"name": "stopper", "state": "absent"}, *OTHERS[:3])
    done = playbook("launch", host, *first)
    assert ends(result_of(done, "stopper"))[0] == []
    assert ends(result_of(done, "stopper"))[1] == {
        "stopper-web": "stopped",
        "stopper-made": "kept",
        "stopper-net": "kept",
        "stopper-data": "kept",
    }
    assert of(host, "stopper") == names_of("stopper")
    assert host.run("docker inspect -f '{{.State.Running}}' stopper-web").stdout.strip() == "false"

    # A container that others manage uses a door: the teardown fails before it touches anything.
    host.run(
        "docker run -d --name user -v /run/wormhole/gate/keeper:/run/wormhole:ro wormhole-lab/cli:1 sleep 600"
    )
    listed, files = launch_arguments(*OTHERS[:3]), footprint(host)
    refused = playbook("teardown", host, *listed, check=False)
    assert "Running containers reach the engine through the gate: user." in refused.message
    assert (refused.changed, footprint(host)) == (0, files)
    assert [name for name in ("stray", "listed", "keeper") if of(host, name) != names_of(name)] == []
    host.run("docker rm -f user")

    # Somebody has removed a wormhole by hand: its siblings go with the gate.
    host.run("docker rm -f stray")
    predicted = playbook("teardown", host, *listed, "--check", "--diff")
    assert of(host, "listed") == names_of("listed")
    done = playbook("teardown", host, *listed, "--diff")
    assert set(changes(predicted)) == set(changes(done))
    assert of(host, "stray") == of(host, "listed") == []
    assert ends(result_of(done, "listed")) == (names_of("listed"), {})
    by_gate = ends(removal_of_gate(done))
    assert by_gate[0] == names_of("stray")
    left = {*names_of("keeper"), *names_of("stopper")}
    assert by_gate[1] == dict.fromkeys(left, "kept")
    assert {name for owner in ("keeper", "stopper") for name in of(host, owner)} == left
    # They are all that is left.
    host.run("docker rm -f -v keeper-web keeper-made stopper-web stopper-made")
    host.run("docker network rm keeper-net stopper-net; docker volume rm keeper-data stopper-data")
    assert everything(host) == before
    assert playbook("teardown", host, *listed).changed == 0


def test_two_policies_of_one_identity_are_rejected_before_anything_is_touched(release, fresh_host, playbook):
    host = fresh_host(release)
    before = footprint(host)
    twice = ({**AGENT, "identity": "one"}, {**OTHERS[2], "identity": "one"})
    refused = playbook(HOST, host, *launch_arguments(*twice), check=False)
    said = "The wormholes agent and keeper set different policies for the identity one"
    assert said in refused.message
    assert (refused.changed, footprint(host)) == (0, before)
    playbook("provision", host, "-e", "gate_state=present")
    before = footprint(host)
    refused = playbook("launch", host, *launch_arguments(*twice), check=False)
    assert said in refused.message
    assert (refused.changed, footprint(host)) == (0, before)
    # Neither of them came first.
    assert "wormholes_containers has options that are rejected" in refused.message
