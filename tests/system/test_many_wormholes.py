# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many wormholes on one host, in one task: started, left alone, changed, and removed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hosts import BYSTANDER, engine, footprint, inside, launch_arguments
from lab.spec import RELEASES

PLAY = str(Path(__file__).parent / "plays" / "host.yml")
NUMBER = 100 if os.environ.get("WORMHOLE_THOROUGH") else 16
CHANGED = NUMBER // 10 + 1
TASK = "wormhole.docker.wormhole_containers"


def wormhole(number, **options):
    return {
        "name": f"agent-{number:03}",
        "image": "wormhole-lab/cli:1",
        "pull": "never",
        "command": "sleep 100000",
        "stop_timeout": 0,
        **options,
    }


def started(run):
    """Return the results of the wormholes by name, from the last task that has them."""
    (*_requests, task) = [task for task in run.parts if task.action == TASK and task.status != "skipped"]
    return {item["name"]: item for item in task.items}


def identifiers(host):
    return dict(line.split()[::-1] for line in engine(host).containers)


@pytest.mark.parametrize("release", RELEASES)
def test_many_wormholes_take_one_task_and_two_round_trips(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(BYSTANDER)
    listed = [wormhole(number) for number in range(NUMBER)]
    names = {wanted["name"] for wanted in listed}

    # By role host, with everything else that a host needs: as many round trips as with one wormhole.
    predicted = playbook(PLAY, host, "--check", "--diff", *launch_arguments(*listed))
    assert set(identifiers(host)) == {"bystander"}
    first = playbook(PLAY, host, "--diff", *launch_arguments(*listed))
    assert (first.changed, first.round_trips) == (1, 2)
    assert [task.diff for task in predicted.tasks] == [task.diff for task in first.tasks]
    results = started(first)
    assert {name for name, item in results.items() if item["changed"] and item["wormhole"]["proved"]} == names
    for name in sorted(names)[:: NUMBER // 4]:
        assert inside(host, "docker version --format '{{.Server.Os}}'", container=name).stdout == "linux\n"

    before, files = identifiers(host), footprint(host)
    for name in (PLAY, "launch"):
        again = playbook(name, host, *launch_arguments(*listed))
        assert (again.changed, again.round_trips) == (0, 1)
        assert all(item["wormhole"]["proved"] for item in started(again).values())
    assert (identifiers(host), footprint(host)) == (before, files)

    # Some are changed, and one of these cannot be.
    differing = [wormhole(number, labels={"round": "2"}) for number in range(CHANGED)]
    differing.append(wormhole(CHANGED, image="wormhole-lab/absent:1"))
    run = playbook("launch", host, *launch_arguments(*differing, *listed[CHANGED + 1 :]), check=False)
    failing = f"agent-{CHANGED:03}"
    assert f"1 of {NUMBER} wormholes failed. {failing}: " in run.message
    assert "wormhole-lab/absent:1 is not on this host" in run.message
    after = identifiers(host)
    assert {name for name in after if after[name] != before[name]} == {
        f"agent-{n:03}" for n in range(CHANGED)
    }
    assert (set(after), after[failing]) == (set(before), before[failing])
    assert {name for name, item in started(run).items() if item["failed"]} == {failing}

    # Only the first ones are listed any more.
    fewer = launch_arguments(*differing[:CHANGED])
    removing = playbook("launch", host, *fewer, "-e", json.dumps({"wormholes_unlisted": "remove"}))
    assert removing.changed == 1
    left = {wanted["name"] for wanted in differing[:CHANGED]}
    assert set(identifiers(host)) == {"bystander", *left}
    assert set(host.run("ls /etc/wormhole/identities").stdout.split()) == left
