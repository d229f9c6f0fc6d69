# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes of the list of wormholes."""

from __future__ import annotations

import json

import pytest

from hosts import BYSTANDER, WORMHOLE, engine, footprint, launch_arguments
from lab.spec import RELEASES

STOCK = "unix:///var/run/docker.sock"
SECOND = "unix:///run/second.sock"
SECOND_ENGINE = f"""
    ip link add second0 type bridge && ip address add 198.51.100.1/24 dev second0 && ip link set second0 up
    echo '{{}}' >/run/second.json
    systemd-run --unit=second-engine dockerd --host={SECOND} --config-file=/run/second.json --data-root=/var/lib/second \\
        --exec-root=/run/second --pidfile=/run/second.pid --bridge=second0 --iptables=false --ip-forward=false --ip-masq=false \\
        --storage-driver=vfs --containerd=/run/containerd/containerd.sock --containerd-namespace=second \\
        --containerd-plugins-namespace=second-plugins
    for i in $(seq 100); do docker -H {SECOND} version >/dev/null 2>&1 && break; sleep 0.2; done
    docker save wormhole-lab/busybox:1 | docker -H {SECOND} load -q
"""
THERE = {
    **WORMHOLE,
    "image": "wormhole-lab/busybox:1",
    "transport": "unix",
    "restart_policy": "no",
    "stop_timeout": 1,
    "docker_host": SECOND,
}


def inventory(place, host, *, group, own):
    """Return arguments that add a host to a group, both with wormholes, as in the role's README."""
    for folder in ("group_vars", "host_vars"):
        (place / folder).mkdir()
    (place / "more.json").write_text(json.dumps({"builders": {"hosts": {host.name: {}}}}))
    both = "{{ wormholes_of_group + wormholes_of_host }}"
    of_group = {"wormholes_of_group": group, "wormholes_containers": both}
    (place / "group_vars/builders.json").write_text(json.dumps(of_group))
    (place / f"host_vars/{host.name}.json").write_text(json.dumps({"wormholes_of_host": own}))
    return ["-i", str(place / "more.json")]


@pytest.mark.parametrize("release", RELEASES)
def test_wormholes_that_are_no_longer_listed_are_removed_on_request(release, fresh_host, playbook, tmp_path):
    host = fresh_host(release)
    playbook("provision", host, "-e", json.dumps({"listener_transports": ["tls", "unix"]}))
    host.run(BYSTANDER)
    listed = inventory(tmp_path, host, group=[WORMHOLE], own=[{**WORMHOLE, "name": "Agent"}])
    playbook("launch", host, *listed)
    assert {name.split()[1] for name in engine(host).containers} == {"agent", "Agent", "bystander"}
    assert playbook("launch", host, *listed).changed == 0
    assert playbook("launch", host, *launch_arguments()).changed == 0

    before = footprint(host)
    twice = playbook("launch", host, *launch_arguments(WORMHOLE, WORMHOLE), check=False)
    assert "lists names more than once: agent" in twice.message
    number = playbook("launch", host, *launch_arguments(WORMHOLE, {**WORMHOLE, "name": 7}), check=False)
    assert "not strings in YAML: 7. Nothing was changed." in number.message
    going = [*launch_arguments(), "-e", "wormholes_unlisted=remove"]
    predicted = playbook("launch", host, "--check", "--diff", *going)
    assert footprint(host) == before
    done = playbook("launch", host, "--diff", *going)
    assert [task.changed for task in predicted.tasks] == [task.changed for task in done.tasks]
    assert [task.diff for task in predicted.tasks] == [task.diff for task in done.tasks]
    assert {name.split()[1] for name in engine(host).containers} == {"agent", "bystander"}
    assert host.run("ls -A /etc/wormhole/identities").stdout.split() == ["agent"]
    assert playbook("launch", host, *going).changed == 0
    check_wormholes_of_another_engine(host, playbook)


def check_wormholes_of_another_engine(host, playbook):
    """The same host, with exactly the listed wormholes."""
    host.run(SECOND_ENGINE)
    kept, left = ({**THERE, "name": name} for name in ("kept", "left"))
    both, one = launch_arguments(WORMHOLE, kept, left), launch_arguments(WORMHOLE, kept)
    removing = ["-e", "wormholes_unlisted=remove"]
    there = f"docker -H {SECOND} ps -a --format '{{{{.Names}}}}'"
    playbook("launch", host, *both)
    assert set(host.run(there).stdout.split()) == {"kept", "left"}
    # The additional unix socket belongs to the engine of docker.service.
    mounted = "docker -H {} inspect kept --format '{{{{range .Mounts}}}}{{{{.Source}}}} {{{{end}}}}'"
    assert host.run(mounted.format(SECOND)).stdout.split() == ["/run/second.sock"]
    playbook("launch", host, *one, *removing)
    assert host.run(there).stdout.split() == ["kept"]
    assert playbook("launch", host, *one, *removing).changed == 0

    # A name is only listed for the engine of its element.
    playbook("launch", host, *both)
    moved = launch_arguments(WORMHOLE, left, {**THERE, "name": "kept", "docker_host": STOCK})
    playbook("launch", host, *moved)
    assert set(host.run(there).stdout.split()) == {"kept", "left"}
    playbook("launch", host, *moved, *removing)
    assert host.run(there).stdout.split() == ["left"]
    assert playbook("launch", host, *moved, *removing).changed == 0
    playbook("launch", host, *both, *removing)
    assert set(host.run(there).stdout.split()) == {"kept", "left"}
    assert {name.split()[1] for name in engine(host).containers} == {"agent", "bystander"}

    refused = playbook("teardown", host, *one, check=False)
    assert f"does not list: left at {SECOND}." in refused.message
    playbook("teardown", host, *one, *removing)
    assert host.run(there).stdout == ""
