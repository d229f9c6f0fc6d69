# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A list of wormholes that changes."""

from __future__ import annotations

import pytest

from hosts import BYSTANDER, WORMHOLE, engine, footprint, launch_arguments


@pytest.mark.parametrize("release", [12, 13])
def test_wormholes_that_left_the_list_go_when_asked_for(release, fresh_host, playbook):
    host = fresh_host(release)
    playbook("provision", host)
    host.run(BYSTANDER)
    playbook("launch", host, *launch_arguments(WORMHOLE, {**WORMHOLE, "name": "other"}))
    assert playbook("launch", host, *launch_arguments()).changed == 0

    before = footprint(host)
    twice = playbook("launch", host, *launch_arguments(WORMHOLE, WORMHOLE), check=False)
    assert "lists more than once: agent" in twice.message
    going = [*launch_arguments(), "-e", "wormholes_unlisted=remove"]
    predicted = playbook("launch", host, "--check", "--diff", *going)
    assert footprint(host) == before
    done = playbook("launch", host, "--diff", *going)
    assert [task.changed for task in predicted.tasks] == [task.changed for task in done.tasks]
    assert [task.diff for task in predicted.tasks] == [task.diff for task in done.tasks]
    assert {name.split()[1] for name in engine(host).containers} == {"agent", "bystander"}
    assert host.run("ls -A /etc/wormhole/identities").stdout.split() == ["agent"]
    assert playbook("launch", host, *going).changed == 0
