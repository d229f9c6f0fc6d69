# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Teardown restores a host's original state, also with other users of the engine."""

from __future__ import annotations

import json

import pytest

from hosts import BYSTANDER, WORMHOLE, configure, engine, footprint, launch_arguments
from lab.spec import RELEASES

CONFIG = "/etc/docker/daemon.json"
AGENT = {**WORMHOLE, "volumes": ["data:/data"]}
OTHER = {**WORMHOLE, "name": "other"}
STRANGE = {
    "labels": ["rack=7"],
    "log-opts": {"max-size": "10m", "max-file": "3"},
    "max-concurrent-downloads": 2,
    "shutdown-timeout": 20,
}


def traces(host):
    """Return what a teardown restores: directories, and the footprint that no restart changes."""
    lines = [line for line in footprint(host).splitlines() if not line.startswith("/var/lib/docker/")]
    made = "find /etc /srv /opt /var/lib/wormhole /run/wormhole /run/wormhole-code /usr/local -type d -printf '%p %m %U %G\\n' 2>/dev/null | sort"
    return lines + host.run(made, check=False).stdout.splitlines()


def tree(directory):
    return {path: path.read_bytes() for path in sorted(directory.rglob("*")) if path.is_file()}


def running(host):
    return {name.split()[1] for name in engine(host).containers}


def changes(run):
    """Return the names of the tasks that changed something, or would have."""
    return [task.name.rpartition(" : ")[2] for task in run.tasks if task.changed]


@pytest.mark.parametrize("release", RELEASES)
def test_a_new_host_is_restored(release, fresh_host, playbook, controller_ca):
    host = fresh_host(release)
    host.run(BYSTANDER)
    before, process = traces(host), engine(host)
    nothing = playbook("teardown", host)
    assert nothing.changed == 0
    assert engine(host) == process
    assert traces(host) == before

    playbook("provision", host)
    playbook("launch", host, *launch_arguments(AGENT, OTHER))
    host.run("docker exec agent sh -c 'echo mine >/data/file'")
    authority = tree(controller_ca)
    provisioned, process = footprint(host), engine(host)
    refused = playbook("teardown", host, *launch_arguments(AGENT), check=False)
    assert refused.failures == 1
    assert "does not list: other." in refused.message
    assert refused.changed == 0
    assert footprint(host) == provisioned

    going = [*launch_arguments(AGENT), "-e", "wormholes_unlisted=remove"]
    predicted = playbook("teardown", host, *going, "--check", "--diff")
    assert footprint(host) == provisioned
    assert engine(host) == process
    done = playbook("teardown", host, *going, "--diff")
    assert changes(predicted) == changes(done)
    assert changes(done)
    assert traces(host) == before
    assert running(host) == {"bystander"}
    assert host.run("cat /var/lib/docker/volumes/data/_data/file").stdout == "mine\n"
    assert tree(controller_ca) == authority

    process = engine(host)
    again = playbook("teardown", host, *going)
    assert again.changed == 0
    assert engine(host) == process
    assert traces(host) == before


REMOVE_THE_LISTENER = """
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.import_role: {name: wormhole.docker.listener, tasks_from: absent}
"""


@pytest.mark.parametrize("release", RELEASES)
def test_unmanaged_changes_stay(release, fresh_host, playbook, tmp_path):
    host = fresh_host(release)
    text = json.dumps(STRANGE, indent=7) + "\n\n"
    configure(host, text)
    host.run(f"touch -d '2024-02-29 12:00' {CONFIG}")
    host.run(BYSTANDER)
    before = traces(host)
    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    playbook("teardown", host, *launch_arguments())
    assert host.run(f"cat {CONFIG}").stdout == text
    assert traces(host) == before
    assert running(host) == {"bystander"}

    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    play, process = tmp_path / "listener.yml", engine(host)
    play.write_text(REMOVE_THE_LISTENER)
    refused = playbook(str(play), host, check=False)
    assert refused.failures == 1
    assert "Running wormholes reach the engine by TLS: agent." in refused.message
    assert engine(host) == process

    written = host.run(f"cat {CONFIG}").stdout
    edited = written.replace('"rack=7"', '"rack=8"').replace("{", '{ "max-concurrent-uploads": 3,', 1)
    host.write(CONFIG, edited, 0o644)
    host.run(
        "echo mine >/etc/wormhole/server/notes.txt; mkdir /etc/wormhole/theirs; chmod 750 /etc/wormhole/theirs"
    )
    host.run("cp /etc/wormhole/identities/agent/*.pem /etc/wormhole/theirs")
    theirs = host.run("sha256sum /etc/wormhole/theirs/*").stdout
    done = playbook("teardown", host, *launch_arguments())
    config = host.run(f"cat {CONFIG}").stdout
    assert json.loads(config) == {"max-concurrent-uploads": 3, **STRANGE, "labels": ["rack=8"]}
    assert config.startswith('{ "max-concurrent-uploads": 3,\n' + " " * 7 + '"labels"')
    assert host.run("sha256sum /etc/wormhole/theirs/*").stdout == theirs
    left = host.run("find /etc/wormhole -mindepth 1 | sort").stdout.split()
    assert left == [
        "/etc/wormhole/server",
        "/etc/wormhole/server/notes.txt",
        "/etc/wormhole/theirs",
        *(f"/etc/wormhole/theirs/{name}.pem" for name in ("ca", "cert", "key")),
    ]
    assert (
        "/etc/wormhole/server is kept, because it contains files that this collection did not create: notes.txt"
        in done.stdout
    )
    assert running(host) == {"bystander"}
    assert playbook("teardown", host, *launch_arguments()).changed == 0


@pytest.mark.parametrize("release", RELEASES)
def test_a_host_without_an_engine_does_not_change(release, fresh_host, playbook):
    host = fresh_host(release, variant="bare")
    before = traces(host)
    assert playbook("teardown", host).changed == 0
    assert traces(host) == before
