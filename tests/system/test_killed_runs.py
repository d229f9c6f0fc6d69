# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that are killed: the engine keeps running, and another run completes or undoes everything.

A default run takes a seeded sample of the schedule, a thorough run the whole schedule.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time

import pytest

from certificates import DAY, SERVER, reissue
from hosts import BYSTANDER, GATEWAY, WORMHOLE, engine, inside, launch_arguments
from lab import LabError
from lab.spec import RELEASES
from transactions import leftovers, lose_connection, signal_module

KILLS = 13 if os.environ.get("WORMHOLE_THOROUGH") else 2
"""Number of killed runs. A run that ended before it could be killed does not count."""
SEED = int(os.environ.get("WORMHOLE_SEED", "0"))
LONGEST = 6.0
"""Seconds from a run's start to the latest kill, about as long as a run that changes the port."""
LONGEST_CHANGE = 2.0
"""Seconds from the start of a run's change to the latest kill."""
PORTS = (2376, 12376)
ALSO = ({}, {"listener_transports": ["tls", "unix"]}, {"listener_addresses": ["gateways"]})
"""Variables in addition to the port."""
BETWEEN = "/run/between"
STOP_BETWEEN = f"""
import os
import time

replace = os.replace

def stop_between(source, target, **options):
    replace(source, target, **options)
    if target == "{SERVER}/key.pem":
        open("{BETWEEN}", "w").close()
        time.sleep(600)

os.replace = stop_between
"""
"""Stops a module after it has renamed the server's key, and before it renames the certificate."""
FOREIGN = {"labels": ["rack=7"], "max-concurrent-downloads": 2}


def end_with_children(pid):
    """Kill a process and its descendants. Ansible's workers have their own process groups."""
    children = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for child in children:
        end_with_children(int(child))


def kill_controller(run, host, controller):
    end_with_children(run.pid)
    run.wait()


def kill_module(run, host, controller):
    # Between two tasks there is none. The next one is then killed.
    signal_module(host, "KILL", patience=3)
    run.wait()


def kill_connection(run, host, controller):
    lose_connection(controller)
    run.wait()


def cut_power(run, host, controller):
    host.reboot(power_cut=True)
    end_with_children(run.pid)
    run.wait()


KINDS = (kill_controller, kill_module, kill_connection, cut_power)


def wait_for_change(host):
    """Wait until the run has begun its change. Every run changes the port."""
    journal = "/var/lib/wormhole/listener/journal.json"
    host.run(f"timeout 110 sh -c 'until [ -e {journal} ]; do sleep 0.02; done'")


def wait_for_engine(host):
    """Check that Docker runs. A host that has just booted may reject logins for a moment."""
    deadline = time.monotonic() + 60
    while True:
        try:
            host.run(
                "for i in $(seq 120); do docker version >/dev/null 2>&1 && exit 0; sleep 0.5; done; exit 1"
            )
            return
        except LabError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def survivors(host):
    """Return the processes of the containers."""
    shown = host.run("docker inspect -f '{{.Name}} {{.State.Pid}} {{.State.Running}}' agent bystander").stdout
    return sorted(shown.splitlines())


@pytest.mark.parametrize("live_restore", [False, True])
@pytest.mark.parametrize("release", RELEASES)
def test_after_a_kill_the_engine_runs_and_the_next_run_completes_or_undoes_the_change(
    release, live_restore, fresh_host, playbook, start_playbook, controller
):
    host = fresh_host(release)
    # With live-restore, containers survive the engine, so their processes must not change.
    foreign = {**FOREIGN, **({"live-restore": True} if live_restore else {})}
    host.write("/etc/docker/daemon.json", json.dumps(foreign), 0o644)
    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    host.run(BYSTANDER)
    chance = random.Random(SEED * 100 + release + 2 * live_restore)
    number = cut = 0
    while cut < KILLS:
        number += 1
        assert number <= 3 * KILLS, "most runs ended before they could be killed"
        kill, port, also = chance.choice(KINDS), PORTS[number % 2], chance.choice(ALSO)
        early = chance.random() < 0.25
        moment = chance.uniform(0.5, LONGEST) if early else chance.uniform(0, LONGEST_CHANGE)
        since = "start" if early else "change"
        wanted = ["-e", json.dumps({"listener_port": port, **also})]
        before = survivors(host)
        run = start_playbook("provision", host, *wanted)
        if not early:
            wait_for_change(host)
        time.sleep(moment)
        ended = run.has_ended
        kill(run, host, controller)
        cut += not ended and run.wait() != 0
        left = leftovers(host)
        print(
            f"{number} of seed {SEED}, cut {cut}: {kill.__name__} {moment:.2f} s after the {since}, {wanted}, left {left}"
        )
        wait_for_engine(host)
        if kill is cut_power:
            host.run("docker start bystander")
            before = []

        # A module whose controller was killed may continue. The next run waits for it.
        playbook("provision", host, *wanted)
        again = playbook("provision", host, *wanted)
        assert again.changed == 0
        assert f"{GATEWAY}:{port}" in host.run("ss -Hltn").stdout
        config = json.loads(host.run("cat /etc/docker/daemon.json").stdout)
        assert {key: config[key] for key in foreign} == foreign
        assert {name.split()[1] for name in engine(host).containers} == {"agent", "bystander"}
        if live_restore and before:
            assert survivors(host) == before
        assert leftovers(host) == []
    playbook("provision", host)
    playbook("launch", host, *launch_arguments(WORMHOLE))
    assert inside(host, "docker info --format '{{.Name}}'").stdout.strip() == host.name


@pytest.mark.parametrize("release", RELEASES)
def test_a_power_cut_between_key_and_certificate_leaves_an_engine_that_starts(
    release, fresh_host, playbook, start_playbook, own_ca, tmp_path
):
    host = fresh_host(release)
    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    # An expired certificate is replaced together with its key.
    reissue(host, SERVER, own_ca(host), begins=-2 * DAY, ends=-DAY / 24)
    before = keys(host)
    host.write(
        "/opt/between/python", '#!/bin/sh\nPYTHONPATH=/opt/between exec /usr/bin/python3 -B "$@"\n', 0o755
    )
    host.write("/opt/between/sitecustomize.py", STOP_BETWEEN)
    inventory = tmp_path / "between.json"
    variables = {"ansible_python_interpreter": "/opt/between/python"}
    inventory.write_text(json.dumps({"all": {"hosts": {host.name: variables}}}))

    run = start_playbook("provision", host, "-i", str(inventory))
    host.run(f"timeout 110 sh -c 'until [ -e {BETWEEN} ]; do sleep 0.1; done'")
    key, certificate = keys(host)
    assert key not in before
    assert certificate == before[1]
    cut_power(run, host, None)

    wait_for_engine(host)
    assert f"{GATEWAY}:2376" in host.run("ss -Hltn").stdout
    assert keys(host) == (key, key)
    assert "completes an interrupted replacement" in host.run("journalctl -b -u docker.service").stdout
    host.run("docker start agent")
    assert inside(host, "docker info --format '{{.Name}}'").stdout.strip() == host.name
    playbook("provision", host)
    assert keys(host) == (key, key)
    assert host.run(f"ls -A {SERVER}").stdout.split() == ["ca.pem", "cert.pem", "key.pem"]
    assert playbook("provision", host).changed == 0


def keys(host):
    """Return the public keys of the server's private key and of its certificate."""
    private = host.run(f"openssl pkey -in {SERVER}/key.pem -pubout").stdout
    return private, host.run(f"openssl x509 -in {SERVER}/cert.pem -noout -pubkey").stdout
