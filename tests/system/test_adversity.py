# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts with unexpected states: one clear message, and the engine keeps running as before."""

from __future__ import annotations

import json
import time
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

PLAYS = Path(__file__).parent / "plays"


@pytest.mark.parametrize("release", RELEASES)
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


@pytest.mark.parametrize("release", RELEASES)
def test_running_containers_refuse_changes_nothing(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(BYSTANDER)
    host.run("docker run -d --rm --name once wormhole-lab/busybox:1 sleep 600")
    before = engine(host)
    failed = playbook("provision", host, "-e", "listener_running_containers=refuse", check=False)
    assert failed.failures == 1
    assert "bystander, once. It would remove those that were created with --rm: once" in failed.message
    predicted = playbook("provision", host, "--check")
    result = next(task.result for task in predicted.parts if "interrupted" in task.result)
    assert (result["interrupted"], result["removed"]) == (["bystander"], ["once"])
    assert engine(host) == before
    assert (
        host.run(
            "ls /etc/docker/daemon.json /etc/systemd/system/wormhole-docker-172.17.0.1:2376.socket",
            check=False,
        ).stdout
        == ""
    )


@pytest.mark.parametrize("release", RELEASES)
def test_an_invalid_configuration_is_reported_and_not_changed(release, fresh_host, playbook):
    host = fresh_host(release)
    before = engine(host)
    host.write("/etc/docker/daemon.json", '{"debug": true,}', 0o644)
    failed = playbook("provision", host, check=False)
    assert failed.failures == 1
    assert "/etc/docker/daemon.json" in failed.message
    assert "broken JSON" in failed.message
    assert host.run("cat /etc/docker/daemon.json").stdout == '{"debug": true,}'
    assert engine(host) == before

    # Valid JSON that dockerd rejects at its next start.
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


@pytest.mark.parametrize("release", RELEASES)
def test_a_taken_port_is_reported_with_its_process(release, fresh_host, playbook):
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


@pytest.mark.parametrize("release", RELEASES)
def test_missing_docker_is_installed_or_reported(release, fresh_host, playbook):
    host = fresh_host(release, variant="bare")
    # As text, which would be true in a condition.
    failed = playbook("provision", host, "-e", "engine_install=false", check=False)
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


@pytest.mark.parametrize("release", RELEASES)
def test_missing_python3_docker_is_reported_and_the_engine_keeps_running(release, fresh_host, playbook):
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


@pytest.mark.parametrize("release", RELEASES)
def test_an_engine_that_does_not_start_is_rolled_back(release, fresh_host, playbook):
    """Make dockerd fail to start with the collection's keys, for a reason no validation detects."""
    host = fresh_host(release)
    configure(host, '{"debug": false}')
    host.run("mkdir -p /etc/systemd/system/docker.service.d")
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
    assert "The previous configuration is restored" in failed.message
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


@pytest.mark.parametrize("release", RELEASES)
def test_private_role_variables_and_values_as_text(release, fresh_host, playbook, controller):
    host = fresh_host(release)
    (controller.home / "ansible.cfg").write_text("[defaults]\nprivate_role_vars = True\n")
    text = {
        "engine_install": "false",
        "certificate_authority_become": "false",
        "certificate_authority_validity_days": "3650",
        "listener_port": "2376",
        "listener_insecure_plaintext_port": "0",
        "listener_subject_alternative_names": "DNS:engine.example,DNS:second.example",
        "rotation_holds_up": "false",
    }
    wormhole = {
        **WORMHOLE,
        "identity_managed": "true",
        "identity_validity_days": "90",
        "verify": "true",
        "recreate": "false",
        "timeout": "60",
    }
    values = [*launch_arguments(wormhole), "-e", " ".join(f"{name}={value}" for name, value in text.items())]
    for name in ("provision", "launch"):
        assert playbook(name, host, *values).changed > 0
        assert playbook(name, host, *values).changed == 0
    assert f"{GATEWAY}:2376" in listening(host)
    server = host.run("openssl x509 -noout -ext subjectAltName -in /etc/wormhole/server/cert.pem").stdout
    assert {"DNS:engine.example", "DNS:second.example"} <= set(server.replace(",", " ").split())
    key = host.run("cat /etc/wormhole/identities/agent/cert.pem").stdout
    playbook("rotate", host, *values)
    assert host.run("cat /etc/wormhole/identities/agent/cert.pem").stdout != key
    playbook("teardown", host, *values)
    assert host.run("ls -d /etc/wormhole; docker ps -aq", check=False).stdout == ""


@pytest.mark.parametrize("release", RELEASES)
def test_a_module_without_root_says_so(release, fresh_host, playbook):
    host = fresh_host(release)
    playbook("provision", host)
    before = footprint(host)
    run = playbook(str(PLAYS / "without_root.yml"), host)
    assert footprint(host) == before
    failed = {task.name: task.result["msg"] for task in run.tasks if task.status == "failed"}
    assert len(failed) > 8
    # Authorities are usually on the controller, where become is not the remedy.
    authority = failed.pop("Create an authority")
    assert f"Certificates are signed on {host.name}, by user nobody. Give this user access" in authority
    assert "Errno" not in authority
    assert [name for name, said in failed.items() if "Run the task with become: true" not in said] == []
    assert [said for said in failed.values() if "Errno" in said] == []


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_container_puts_in_place_of_its_files_does_not_stop_a_run(release, fresh_host, playbook):
    host = fresh_host(release)
    wormhole = {**WORMHOLE, "identity_owner": "1234"}
    playbook("provision", host)
    playbook("launch", host, *launch_arguments(wormhole))
    # The identity's owner is looked up in these files. Who opens a pipe for reading waits for a writer.
    inside(host, "for name in passwd group; do rm /etc/$name; mkfifo -m 0666 /etc/$name; done")
    began = time.monotonic()
    run = playbook("launch", host, *launch_arguments(wormhole))
    assert run.changed == 0
    assert time.monotonic() - began < 60
