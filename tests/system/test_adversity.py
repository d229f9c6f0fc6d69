# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts that are not as they should be: one clear message, and the engine runs on as before."""

from __future__ import annotations

import json

import pytest

from hosts import BYSTANDER, GATEWAY, WORMHOLE, configure, engine, footprint, launch_arguments


@pytest.mark.parametrize("release", [12, 13])
def test_with_live_restore_no_container_stops(release, fresh_host, playbook):
    host = fresh_host(release)
    configure(host, '{"live-restore": true}')
    host.run(BYSTANDER)
    state = "docker inspect -f '{{.State.Pid}} {{.State.StartedAt}} {{.State.Running}}' bystander"
    before = host.run(state).stdout
    done = playbook("provision", host, "-e", "listener_running_containers=refuse")
    assert "bystander" not in json.dumps([task.diff for task in done.tasks])
    assert host.run(state).stdout == before
    assert before.split()[2] == "true"


@pytest.mark.parametrize("release", [12, 13])
def test_refusing_to_interrupt_leaves_everything_as_it_was(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(BYSTANDER)
    before = engine(host)
    failed = playbook("provision", host, "-e", "listener_running_containers=refuse", check=False)
    assert failed.failures == 1
    assert "bystander" in failed.message
    assert engine(host) == before
    assert (
        host.run(
            "ls /etc/docker/daemon.json /etc/systemd/system/wormhole-docker-172.17.0.1:2376.socket",
            check=False,
        ).stdout
        == ""
    )


@pytest.mark.parametrize("release", [12, 13])
def test_a_broken_configuration_is_named_and_left_alone(release, fresh_host, playbook):
    host = fresh_host(release)
    before = engine(host)
    host.write("/etc/docker/daemon.json", '{"debug": true,}', 0o644)
    failed = playbook("provision", host, check=False)
    assert failed.failures == 1
    assert "/etc/docker/daemon.json" in failed.message
    assert "broken JSON" in failed.message
    assert host.run("cat /etc/docker/daemon.json").stdout == '{"debug": true,}'
    assert engine(host) == before

    # JSON, but nothing that dockerd starts with; it does not know so yet.
    host.write("/etc/docker/daemon.json", '{"no-such-key": true}', 0o644)
    failed = playbook("provision", host, check=False)
    assert failed.failures == 1
    assert "/etc/docker/daemon.json" in failed.message
    assert "no-such-key" in failed.message
    assert host.run("cat /etc/docker/daemon.json").stdout == '{"no-such-key": true}'
    assert engine(host) == before
    host.write("/etc/docker/daemon.json", "{}", 0o644)
    host.run("systemctl mask docker.socket")
    failed = playbook("provision", host, check=False)
    assert "systemctl unmask docker.socket" in failed.message
    assert engine(host) == before


@pytest.mark.parametrize("release", [12, 13])
def test_a_port_that_is_taken_is_named_with_its_holder(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(
        "systemd-run --unit=squatter python3 -c "
        "'import socket, time; s = socket.socket(); s.bind((\"0.0.0.0\", 2376)); s.listen(); time.sleep(600)'"
    )
    host.run("for i in $(seq 50); do ss -Hltn sport = :2376 | grep -q . && exit 0; sleep 0.1; done; exit 1")
    before = engine(host)
    failed = playbook("provision", host, check=False)
    assert failed.failures == 1
    assert f"{GATEWAY}:2376" in failed.message
    assert "python3 (pid " in failed.message
    assert engine(host) == before
    assert (
        host.run(
            "ls /etc/docker/daemon.json /etc/systemd/system/wormhole-docker-172.17.0.1:2376.socket",
            check=False,
        ).stdout
        == ""
    )


@pytest.mark.parametrize("release", [12, 13])
def test_a_host_without_docker_gets_it_or_is_told(release, fresh_host, playbook):
    host = fresh_host(release, variant="bare")
    failed = playbook("provision", host, "-e", '{"engine_install": false}', check=False)
    assert failed.failures == 1
    assert "docker.io" in failed.message
    assert "python3-docker" in failed.message
    before = host.run("dpkg -l").stdout
    checked = playbook("provision", host, "--check")
    assert checked.changed == 1
    assert host.run("dpkg -l").stdout == before
    playbook("provision", host)
    assert playbook("provision", host).changed == 0
    assert f"{GATEWAY}:2376" in host.run("ss -Hltn").stdout


@pytest.mark.parametrize("release", [12, 13])
def test_a_host_without_python3_docker_is_told_and_its_engine_runs_on(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run("dpkg --purge --force-depends python3-docker")
    before = engine(host)
    failed = playbook("provision", host, "-e", '{"engine_install": false}', check=False)
    assert failed.failures == 1
    assert "python3-docker" in failed.message
    assert engine(host) == before
    failed = playbook("launch", host, *launch_arguments({**WORMHOLE, "transport": "unix"}), check=False)
    assert failed.failures == 1
    assert "python3-docker" in failed.message
    assert engine(host) == before


@pytest.mark.parametrize("release", [12, 13])
def test_an_engine_that_does_not_come_up_is_put_back_as_it_was(release, fresh_host, playbook):
    """dockerd refuses to start with our keys, for a reason that no validation could have foreseen."""
    host = fresh_host(release)
    configure(host, '{"debug": false}')
    host.run("mkdir /etc/systemd/system/docker.service.d")
    host.write(
        "/etc/systemd/system/docker.service.d/refuse.conf",
        "[Service]\nExecStartPre=/bin/sh -c '! grep tlsverify /etc/docker/daemon.json'\n",
        0o644,
    )
    host.run("systemctl daemon-reload")
    host.run(BYSTANDER)
    before, files = engine(host), footprint(host)
    failed = playbook("provision", host, check=False)
    assert failed.failures == 1
    assert "The former configuration is back" in failed.message
    after = engine(host)
    assert after.pid != before.pid
    assert after.containers == before.containers
    assert host.run("cat /etc/docker/daemon.json").stdout == '{"debug": false}'
    ours = [
        line
        for line in set(footprint(host).splitlines()) - set(files.splitlines())
        if "wormhole-docker" in line
    ]
    assert [line for line in ours if "inactive" not in line] == []
