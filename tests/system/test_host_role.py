# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Role host sets up a host in one task, and in as few round trips as it can."""

from __future__ import annotations

from pathlib import Path

import pytest

from hosts import (
    BYSTANDER,
    GATEWAY,
    WORMHOLE,
    configure,
    engine,
    footprint,
    inside,
    launch_arguments,
    listening,
)
from lab.spec import RELEASES

PLAY = str(Path(__file__).parent / "plays" / "host.yml")
SINGLE_ROLES = str(Path(__file__).parent / "plays" / "single_roles.yml")
ROLE = "wormhole.docker.wormhole_host"
TWO = launch_arguments(WORMHOLE, {**WORMHOLE, "name": "second", "transport": "unix"})
ASK = "docker version --format '{{.Server.Os}}'"


def sections(run):
    """Return the sections of the role's task by name."""
    (task,) = [task for task in run.tasks if task.action == ROLE]
    return {section["section"]: section for section in task.result["sections"]}


def codes(section):
    return {reason["code"] for reason in section["reasons"]}


@pytest.mark.parametrize("release", RELEASES)
def test_a_host_with_docker_takes_two_round_trips_and_then_one(release, fresh_host, playbook, controller_ca):
    host = fresh_host(release)
    host.run(BYSTANDER)
    before = footprint(host)
    predicted = playbook(PLAY, host, "--check", "--diff", *TWO)
    assert (predicted.round_trips, footprint(host), controller_ca.exists()) == (1, before, False)
    done = playbook(PLAY, host, "--diff", *TWO)
    assert done.round_trips == 2
    assert [task.diff for task in done.tasks] == [task.diff for task in predicted.tasks]
    assert list(sections(done)) == ["authority", "engine", "certificates", "listener", "wormholes"]
    assert [name for name, section in sections(done).items() if not section["changed"]] == ["engine"]
    assert {
        item["name"]: item["wormhole"]["proved"] for item in sections(done)["wormholes"]["wormholes"]
    } == {
        "agent": True,
        "second": True,
    }
    assert f"{GATEWAY}:2376" in listening(host)
    for container in ("agent", "second", "bystander"):
        assert container in host.run("docker ps --format '{{.Names}}'").stdout.split()
    assert inside(host, ASK).stdout.strip() == "linux"

    state, files = engine(host), footprint(host)
    again = playbook(PLAY, host, "--diff", *TWO)
    assert (again.changed, again.round_trips) == (0, 1)
    assert not any(section["changed"] for section in sections(again).values())
    assert (engine(host), footprint(host)) == (state, files)
    # The single roles find nothing to do either.
    for name in (SINGLE_ROLES, "provision", "launch"):
        assert playbook(name, host, *TWO).changed == 0

    # Each part is repaired by itself.
    host.run("rm /etc/wormhole/server/key.pem")
    repaired = playbook(PLAY, host, *TWO)
    assert repaired.round_trips == 2
    assert {name for name, section in sections(repaired).items() if section["changed"]} == {
        "certificates",
        "listener",
    }
    host.run("docker rm -f second; docker network create --subnet 172.30.7.0/24 ci")
    repaired = playbook(PLAY, host, *TWO)
    found = {name: codes(section) for name, section in sections(repaired).items() if section["changed"]}
    assert found["certificates"] == {"san_missing"}
    assert found["wormholes"] == {"missing"}
    assert playbook(PLAY, host, *TWO).round_trips == 1
    # A stopped engine is repaired and started by the roles.
    host.run("systemctl stop docker.socket docker.service")
    playbook(PLAY, host, *TWO)
    assert playbook(PLAY, host, *TWO).changed == 0
    assert inside(host, ASK).stdout.strip() == "linux"


@pytest.mark.parametrize("release", RELEASES)
def test_a_bare_host_takes_three_round_trips(release, fresh_host, playbook):
    host = fresh_host(release, variant="bare")
    packages = host.run("dpkg -l").stdout
    refused = playbook(PLAY, host, "-e", "engine_install=false", check=False)
    assert "The host lacks docker.io, " in refused.message
    predicted = playbook(PLAY, host, "--check")
    assert codes(sections(predicted)["engine"]) == {"package_missing"}
    assert host.run("dpkg -l").stdout == packages
    done = playbook(PLAY, host)
    assert done.round_trips == 3
    assert "installing " in done.stdout
    assert codes(sections(done)["engine"]) == {"package_missing"}
    assert f"{GATEWAY}:2376" in listening(host)
    again = playbook(PLAY, host)
    assert (again.changed, again.round_trips) == (0, 1)


@pytest.mark.parametrize("release", RELEASES)
def test_what_is_rejected_changes_nothing(release, fresh_host, playbook, controller_ca):
    host = fresh_host(release)
    configure(host, '{"userland-proxy": true, "live-restore": false}')
    host.run(BYSTANDER)
    before = footprint(host)
    busy = "listener_running_containers=refuse"
    refused = playbook(PLAY, host, "-e", busy, *TWO, check=False)
    assert "would stop running containers: bystander" in refused.message
    malformed = playbook(PLAY, host, *launch_arguments({**WORMHOLE, "memory": "much"}), check=False)
    assert "agent: memory" in malformed.message
    for variable in ("listener_port=many", "listener_transports=ltls", "listener_firewall=opne"):
        refused = playbook(PLAY, host, "-e", variable, *TWO, check=False)
        assert (
            f"listener: value of {variable.partition('=')[0].partition('_')[2]}"
            in refused.message.replace("argument '", "value of ")
        ), refused.message
    assert (footprint(host), controller_ca.exists()) == (before, False)

    # A wormhole that fails leaves the rest of the host set up.
    absent = {**WORMHOLE, "name": "second", "image": "wormhole-lab/absent:1"}
    failed = playbook(PLAY, host, *launch_arguments(WORMHOLE, absent), check=False)
    assert "1 of 2 wormholes failed. second: " in failed.message
    assert inside(host, ASK).stdout.strip() == "linux"
