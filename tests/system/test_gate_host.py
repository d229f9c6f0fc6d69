# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate is installed, updated and removed on a host, by the playbooks and by its role."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from hosts import BYSTANDER, WORMHOLE, footprint, inside, launch_arguments
from lab.spec import RELEASES
from test_killed_runs import SEED
from test_teardown import changes, traces

pytestmark = pytest.mark.parametrize("release", RELEASES)

GATE = ("-e", "gate_state=present")
HOST = str(Path(__file__).parent / "plays" / "host.yml")
SERVICE = "wormhole-gate.service"
PROGRAM = "/usr/local/lib/wormhole-gate/wormhole-gate.pyz"
POLICY = '{"policy": {"identity": "ci", "preset": "observe"}, "certificates": []}'
SOCKET = "/run/wormhole/gate/ci/docker.sock"
DOOR = f"""\
[Socket]
ListenStream={SOCKET}
FileDescriptorName=unix.ci
SocketMode=0600
Service=wormhole-gate-door@unix-ci.service
TriggerLimitIntervalSec=0
[Install]
WantedBy=sockets.target
"""
USERS = ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
"""Files that useradd and userdel write again. Their content has to be the same, and not their times."""
PLAY = """
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.import_role: {name: wormhole.docker.gate}
"""
ASK = """
count=0 failed=0
while [ ! -e /run/asking.stop ]; do
    if [ "$(curl -sS --max-time 60 --unix-socket SOCKET http://gate/_ping 2>&1)" = OK ]; then
        count=$((count + 1))
    else
        failed=$((failed + 1))
    fi
    echo "$count $failed" >/run/asking.new && mv /run/asking.new /run/asking
done
touch /run/asking.ended
""".replace("SOCKET", SOCKET)
KILL_AT = """
import os
import signal
import subprocess

steps = 0

def counted(function, *names):
    def step(*arguments, **options):
        global steps
        command = arguments[0] if arguments else ()
        if not names or (isinstance(command, list) and {*names} & {*command}):
            steps += 1
            if steps == NUMBER:
                os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **options)
    return step

os.replace = counted(os.replace)
os.mkdir = counted(os.mkdir)
os.unlink = counted(os.unlink)
subprocess.run = counted(subprocess.run, "useradd", "userdel", "daemon-reload", "enable", "restart", "stop")
"""
"""Kills a module before its step of this number. Ansible's own files are counted, too."""


def section(run):
    """Return the gate's part of a run's result."""
    return next(part.result for part in run.parts if part.action == "wormhole.docker.wormhole_gate")


def codes(result):
    return {reason["code"] for reason in result["reasons"]}


def everything(host):
    """Return the footprint of a host. The files of its users are compared by their content."""
    lines = [line for line in traces(host) if not re.match(rf"/etc/({'|'.join(USERS)})-? ", line)]
    contents = host.run(
        f"cd /etc && sha256sum {' '.join(USERS)} 2>/dev/null; ls /run/wormhole* -d", check=False
    )
    return [line for line in lines if "/etc/.pwd.lock" not in line] + [
        line for line in contents.stdout.splitlines() if ".lock" not in line
    ]


def process(host):
    """Return the process of the gate."""
    return host.run(f"systemctl show {SERVICE} -p MainPID --value").stdout.strip()


def is_served(host):
    """Return whether systemd says that the gate runs and starts at boot."""
    shown = host.run(f"systemctl is-active {SERVICE}; systemctl is-enabled {SERVICE}", check=False).stdout
    return shown.split() == ["active", "enabled"]


def give_access(host):
    """Give an identity a policy and a socket, as wormhole_container does, and use it."""
    host.write("/etc/wormhole/policies/ci.json", POLICY, 0o640)
    host.run("chgrp wormhole-gate /etc/wormhole/policies/ci.json")
    host.write("/etc/systemd/system/wormhole-gate-unix-ci.socket", DOOR, 0o644)
    host.run("systemctl daemon-reload && systemctl enable --now wormhole-gate-unix-ci.socket")
    assert ask(host) == "OK"


def ask(host):
    said = host.run(f"curl -sS --max-time 60 --unix-socket {SOCKET} http://gate/_ping", check=False)
    return (said.stdout + said.stderr).strip()


# Long because each step continues on the host of the one before.
def test_a_gate_is_installed_once_and_leaves_no_trace(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(BYSTANDER)
    before, unit = everything(host), footprint(host)
    nothing = playbook("teardown", host)
    assert (nothing.changed, everything(host)) == (0, before)

    # Check mode changes nothing, and shows what the run does.
    predicted = playbook("provision", host, *GATE, "--check", "--diff")
    assert (footprint(host), predicted.round_trips) == (unit, 1)
    done = playbook("provision", host, *GATE, "--diff")
    assert done.round_trips == 2
    assert section(predicted)["diff"] == section(done)["diff"]
    assert "gate_missing" in codes(section(done))
    assert section(done)["restarted"]
    assert is_served(host)
    listed = host.run(f"stat -c '%a %U:%G' {PROGRAM} /etc/wormhole/gate.json /etc/wormhole/policies").stdout
    assert listed.splitlines() == ["755 root:root", "640 root:wormhole-gate", "750 root:wormhole-gate"]
    assert host.run(f"stat -c %U /proc/{process(host)}").stdout == "wormhole-gate\n"
    groups = host.run(f"grep ^Groups: /proc/{process(host)}/status").stdout.split()
    assert host.run("stat -c %g /run/docker.sock").stdout.strip() in groups

    give_access(host)
    running, files = process(host), footprint(host)
    again = playbook("provision", host, *GATE, "--diff")
    assert (again.changed, again.round_trips) == (0, 1)
    assert (process(host), footprint(host)) == (running, files)
    # A run that needs no gate does not remove it.
    assert playbook("provision", host).changed == 0
    assert (process(host), ask(host)) == (running, "OK")

    # While a container uses it, it stays.
    host.run(
        "docker run -d --name user -v /run/wormhole/gate/ci:/run/wormhole:ro wormhole-lab/cli:1 sleep 600"
    )
    refused = playbook("teardown", host, check=False)
    assert "Running containers reach the engine through the gate: user." in refused.message
    assert ask(host) == "OK"
    host.run("docker rm -f user")
    # The rejected run has removed the listener before.
    playbook("provision", host, *GATE)
    predicted = playbook("teardown", host, "--check", "--diff")
    assert ask(host) == "OK"
    done = playbook("teardown", host, "--diff")
    assert set(changes(predicted)) == set(changes(done))
    assert "Remove the gate" in changes(done)
    assert everything(host) == before
    assert host.run("systemctl list-units --all --plain --no-legend 'wormhole-gate*'").stdout == ""
    assert playbook("teardown", host).changed == 0


def test_a_policy_in_the_inventory_brings_the_gate(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(BYSTANDER)
    before = everything(host)
    listed = launch_arguments({**WORMHOLE, "transport": "unix", "policy": "observe"})
    done = playbook(HOST, host, *listed)
    assert done.round_trips <= 3
    assert "gate_missing" in codes(section(done))
    assert inside(host, "docker ps --format '{{.Names}}'").stdout.split() == ["agent", "bystander"]
    assert "needs the power container.life" in inside(host, "docker stop bystander 2>&1", check=False).stdout
    for name in (HOST, "provision", "launch"):
        again = playbook(name, host, *listed)
        assert (again.changed, again.round_trips) == (0, 1), name
    gone = playbook("teardown", host, *listed)
    assert "Remove the gate" in changes(gone)
    assert everything(host) == before


# Long because the same clients call through all repairs.
def test_the_role_repairs_and_updates_the_gate_and_no_client_notices(release, fresh_host, playbook, tmp_path):
    host = fresh_host(release)
    play = tmp_path / "gate.yml"
    play.write_text(PLAY)
    first = playbook(str(play), host)
    assert first.round_trips == 2
    assert playbook(str(play), host).round_trips == 1
    give_access(host)
    host.write("/opt/ask", ASK, 0o755)
    for setting in ("gate_connections=128", "gate_memory=1G", "program"):
        host.run("rm -f /run/asking*; setsid sh /opt/ask >/dev/null 2>&1 &")
        host.run("timeout 60 sh -c 'until [ -e /run/asking ]; do sleep 0.1; done'")
        arguments = [] if setting == "program" else ["-e", setting]
        if setting == "program":
            # What another version of the collection would find.
            host.run(f"printf x >>{PROGRAM}")
        running = process(host)
        done = playbook(str(play), host, *arguments)
        assert section(done)["restarted"], setting
        assert (setting == "program") == ("gate_program_differs" in codes(section(done)))
        assert (setting == "program") == (done.round_trips == 2)
        assert process(host) != running
        host.run(
            "touch /run/asking.stop; timeout 90 sh -c 'until [ -e /run/asking.ended ]; do sleep 0.1; done'"
        )
        count, failed = map(int, host.run("cat /run/asking").stdout.split())
        print(f"{setting}: {count} calls, {failed} failed")
        assert failed == 0
        assert count >= 20
        assert playbook(str(play), host, *arguments).changed == 0
    # What others change is repaired, each by itself.
    for damage, code in (
        ("chmod 0777 /etc/wormhole/policies", "gate_directory_differs"),
        ("echo '{}' >/etc/wormhole/gate.json", "gate_config_differs"),
        (f"systemctl disable {SERVICE}", "gate_not_enabled"),
        (f"systemctl stop {SERVICE}", "gate_stopped"),
        (f"echo '# x' >>/etc/systemd/system/{SERVICE}", "gate_unit_differs"),
    ):
        host.run(damage)
        assert code in codes(section(playbook(str(play), host))), damage
        assert playbook(str(play), host).changed == 0
        assert (is_served(host), ask(host)) == (True, "OK")
    broken = playbook(str(play), host, "-e", "gate_memory=much", check=False)
    assert "memory is 'much'" in broken.message

    # A change with which the gate does not start is undone.
    drop_in = "/run/systemd/system/wormhole-gate.service.d"
    host.run(
        f"mkdir -p {drop_in}; printf '[Service]\\nExecStartPre=/bin/sh -c \"! grep -q 77 /etc/wormhole/gate.json\"\\n' "
        f">{drop_in}/x.conf; systemctl daemon-reload"
    )
    files = footprint(host).replace(" failed", " running")
    failed = playbook(str(play), host, "-e", "gate_connections=77", check=False)
    assert "wormhole-gate.service did not start" in failed.message
    assert "The previous gate was restored" in failed.message
    assert ask(host) == "OK"
    assert without_times(footprint(host)) == without_times(files)
    host.run(f"rm -r {drop_in}; systemctl daemon-reload")
    assert playbook(str(play), host).changed == 0
    host.reboot(power_cut=True)
    host.run("for i in $(seq 120); do docker version >/dev/null 2>&1 && exit 0; sleep 0.5; done; exit 1")
    assert (is_served(host), ask(host)) == (True, "OK")


def without_times(text):
    """Return a footprint without the times of files, which a restoration writes again."""
    return re.sub(r" \d{10}\.\d+ ", " ", text)


def test_a_killed_run_is_completed_by_the_next_one(release, fresh_host, playbook, tmp_path):
    host = fresh_host(release)
    play, home = tmp_path / "gate.yml", Path("/opt/kill")
    play.write_text(PLAY)
    before = everything(host)
    host.write(f"{home}/python", f'#!/bin/sh\nPYTHONPATH={home} exec /usr/bin/python3 -B "$@"\n', 0o755)
    chance = random.Random(SEED * 100 + release)
    numbers = sorted(chance.sample(range(1, 14), 4))
    killed = 0
    for number in numbers:
        host.write(f"{home}/sitecustomize.py", KILL_AT.replace("NUMBER", str(number)))
        cut = ("-e", f"ansible_python_interpreter={home}/python")
        died = playbook(str(play), host, *cut, check=False)
        killed += died.returncode != 0
        left = host.run(
            "ls -A /etc/wormhole /usr/local/lib/wormhole-gate 2>/dev/null", check=False
        ).stdout.split()
        print(f"killed before step {number}: {died.failures} failures, left {left}")
        playbook(str(play), host)
        assert is_served(host)
        assert playbook(str(play), host).changed == 0
        # The same for a removal.
        died = playbook("teardown", host, *cut, check=False)
        playbook("teardown", host)
        assert [line for line in everything(host) if str(home) not in line] == before
    assert killed >= 2
