# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of the scenarios' tools: results for several hosts, and for unreachable ones."""

from __future__ import annotations

import json

import pytest

from lab.spec import RELEASES

PLAY = [
    {
        "hosts": "all",
        "gather_facts": False,
        "tasks": [
            {"name": "All", "ansible.builtin.command": "hostname"},
            {"name": "Some", "ansible.builtin.raw": "true", "when": "inventory_hostname == chosen"},
        ],
    }
]


@pytest.mark.parametrize("release", RELEASES)
def test_each_host_has_its_own_results(release, fresh_hosts, new_controller, tmp_path):
    first, second = hosts = fresh_hosts(release, release)
    path = tmp_path / "play.json"
    path.write_text(json.dumps(PLAY))
    play = (str(path), hosts, "-e", f"chosen={second.name}")
    here, there = new_controller("here"), new_controller("there")

    run = here.playbook(*play)
    assert [run.of(host).tasks[0].result["stdout"] for host in hosts] == [first.name, second.name]
    assert [run.of(host).changed for host in hosts] == [1, 2]
    assert [run.of(host).round_trips for host in hosts] == [1, 2]
    assert (run.changed, run.round_trips) == (3, 3)

    with first.cut_off():
        run = here.playbook(*play, check=False)
        assert run.unreachable == [first.name]
        assert [run.of(host).failures for host in hosts] == [1, 0]
        assert [run.of(host).changed for host in hosts] == [0, 2]
        assert "Connection refused" in run.of(first).message
        limited = here.playbook(*play, "--limit", second.name)
        assert limited.unreachable == []
        assert limited.of(first).round_trips == 0

    at_once = [here.start(*play), here.start(*play), there.start(*play)]
    assert [started.finish().changed for started in at_once] == [3, 3, 3]
