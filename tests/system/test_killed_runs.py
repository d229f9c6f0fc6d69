# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs that die half-way: the engine runs on, and one more run puts everything right.

The default run takes a seeded sample of the schedule, a thorough one the whole.
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

from hosts import BYSTANDER, GATEWAY, WORMHOLE, engine, inside, launch_arguments

KILLS = 25 if os.environ.get("WORMHOLE_THOROUGH") else 2
SEED = int(os.environ.get("WORMHOLE_SEED", "0"))
LONGEST = 6.0
"""Seconds from the start of a run to the latest kill; a run that changes the port takes about as long."""
PORTS = (2376, 12376)
FOREIGN = {"labels": ["rack=7"], "max-concurrent-downloads": 2}


def end_with_children(pid):
    """Kills a process and what it started; Ansible's workers have process groups of their own."""
    children = subprocess.run(
        ["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
    ).stdout.split()
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for child in children:
        end_with_children(int(child))


def kill_controller(run, host):
    end_with_children(run.pid)
    run.wait()


def kill_module(run, host):
    # The module's process on the host: Python with Ansible's payload from standard input.
    host.run("pkill -KILL -x python3", check=False)
    run.wait()


def cut_power(run, host):
    host.reboot(power_cut=True)
    end_with_children(run.pid)
    run.wait()


@pytest.mark.parametrize("release", [12, 13])
def test_after_a_kill_at_any_moment_the_engine_runs_and_one_more_run_puts_it_right(
    release, fresh_host, playbook, start_playbook
):
    host = fresh_host(release)
    host.write("/etc/docker/daemon.json", json.dumps(FOREIGN), 0o644)
    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    host.run(BYSTANDER)
    chance = random.Random(SEED * 100 + release)
    for number in range(1, KILLS + 1):
        kill, moment = chance.choice([kill_controller, kill_module, cut_power]), chance.uniform(0.5, LONGEST)
        port = PORTS[number % 2]
        print(f"kill {number} of seed {SEED}: {kill.__name__} after {moment:.2f} s, port {port}")
        run = start_playbook("provision", host, "-e", f"listener_port={port}")
        time.sleep(moment)
        kill(run, host)
        host.run("for i in $(seq 120); do docker version >/dev/null 2>&1 && exit 0; sleep 0.5; done; exit 1")
        if kill is cut_power:
            host.run("docker start bystander")
        # A module whose controller died goes on by itself; it must be done before the next one starts.
        host.run("while pgrep -x python3 >/dev/null; do sleep 0.2; done")

        playbook("provision", host, "-e", f"listener_port={port}")
        again = playbook("provision", host, "-e", f"listener_port={port}")
        assert again.changed == 0
        assert f"{GATEWAY}:{port}" in host.run("ss -Hltn").stdout
        config = json.loads(host.run("cat /etc/docker/daemon.json").stdout)
        assert {key: config[key] for key in FOREIGN} == FOREIGN
        assert {name.split()[1] for name in engine(host).containers} == {"agent", "bystander"}
    playbook("provision", host)
    playbook("launch", host, *launch_arguments(WORMHOLE))
    assert inside(host, "docker info --format '{{.Name}}'").stdout.strip() == host.name
