# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker networks that come and go: what is named, what is listened on, and when the engine is restarted for it."""

from __future__ import annotations

import json

import pytest

from hosts import GATEWAY, WORMHOLE, engine, launch_arguments, listening

pytestmark = pytest.mark.parametrize("release", [12, 13])

EVERY = ["-e", json.dumps({"listener_addresses": ["gateways"]})]
SIX = "docker network create --ipv6 --subnet fd00:aa::/64 --subnet 10.77.1.0/24 six"
CI = "docker network create --subnet 10.77.2.0/24 ci"


def reasons(run):
    """What every task of a run said that it changed, and why."""
    return "\n".join(reason["text"] for task in run.tasks for reason in task.result.get("reasons", []))


def restarted(run):
    return [task.result["restarted"] for task in run.tasks if "restarted" in task.result]


def verified(host, network, address):
    """The engine's name, asked by a container on this network at this address, by TLS that verifies it."""
    url = f"tcp://[{address}]:2376" if ":" in address else f"tcp://{address}:2376"
    # An IPv6 gateway answers about a second after the network's first container has been attached to it.
    retried = "for i in 1 2 3 4 5; do docker info --format '{{.Name}}' && exit 0; sleep 0.5; done; exit 1"
    return host.run(
        f"docker run --rm --network {network} -v /etc/wormhole/identities/agent:/certs:ro "
        f"-e DOCKER_HOST={url} -e DOCKER_TLS_VERIFY=1 -e DOCKER_CERT_PATH=/certs "
        f'wormhole-lab/cli:1 sh -c "{retried}"'
    ).stdout.strip()


def test_every_gateway_is_verified_by_its_own_containers_and_follows_what_comes_and_goes(
    release, fresh_host, playbook
):
    host = fresh_host(release)
    host.run(f"{SIX}; docker network create --internal inner")
    playbook("provision", host, *EVERY)
    playbook("launch", host, *launch_arguments())
    assert verified(host, "bridge", GATEWAY) == host.name
    assert verified(host, "six", "10.77.1.1") == host.name
    assert verified(host, "six", "fd00:aa::1") == host.name
    before = engine(host)
    assert playbook("provision", host, *EVERY).changed == 0

    host.run(CI)
    predicted = playbook("provision", host, *EVERY, "--check", "--diff")
    added = playbook("provision", host, *EVERY, "--diff")
    assert [task.diff for task in predicted.tasks] == [task.diff for task in added.tasks]
    assert reasons(predicted) == reasons(added)
    assert "SAN missing: IP 10.77.2.1 (gateway of network ci)" in reasons(added)
    assert "10.77.2.1:2376 (gateway of network ci) serves nothing" in reasons(added)
    assert restarted(added) == [True]
    assert engine(host).pid != before.pid
    assert verified(host, "ci", "10.77.2.1") == host.name

    before = engine(host)
    host.run("docker network rm ci")
    removed = playbook("provision", host, *EVERY)
    assert "wormhole-docker-10.77.2.1:2376.socket is not asked for" in reasons(removed)
    assert restarted(removed) == [False]
    assert playbook("provision", host, *EVERY).changed == 0
    assert engine(host) == before


def test_a_stopped_wormhole_follows_a_network_that_was_made_anew(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(CI)
    if release == 12:
        # Newer engines take no subnet that is written by an address in it.
        host.run("docker network create --subnet 10.78.5.0/16 odd")
    playbook("provision", host)
    arguments = launch_arguments({**WORMHOLE, "networks": [{"name": "ci", "aliases": ["tool"]}]})
    playbook("launch", host, *arguments)
    host.run(
        "docker stop -t 0 agent && docker network rm ci && docker network create --subnet 10.77.3.0/24 ci && ! docker start agent"
    )
    anew = "networks ci: expected attached, found attached to a former network of that name"
    for more in (["--check"], []):
        launched = playbook("launch", host, *more, *arguments)
        of_wormholes = (item for task in launched.tasks for item in task.result.get("results", []))
        assert anew in [reason["text"] for item in of_wormholes for reason in item.get("reasons", [])]
    shown = (
        '{{.State.Running}} {{with index .NetworkSettings.Networks "ci"}}{{.IPAddress}} {{.Aliases}}{{end}}'
    )
    running, address, *aliases = host.run(f"docker inspect agent --format '{shown}'").stdout.split()
    assert (running, address) == ("true", "10.77.3.2")
    assert "tool" in " ".join(aliases)
    assert playbook("launch", host, *arguments).changed == 0


def test_by_default_a_network_is_named_without_a_restart(release, fresh_host, playbook):
    host = fresh_host(release)
    playbook("provision", host)
    before = engine(host)
    host.run(CI)
    added = playbook("provision", host)
    assert "SAN missing: IP 10.77.2.1 (gateway of network ci)" in reasons(added)
    assert restarted(added) == [False]
    assert playbook("provision", host).changed == 0
    host.run("docker network rm ci")
    playbook("provision", host)
    assert engine(host) == before


def test_what_is_configured_and_not_yet_read_is_named_and_listened_on_in_one_restart(
    release, fresh_host, playbook
):
    """A network from a pool then changes nothing at all."""
    host = fresh_host(release)
    pools = [{"base": "10.200.0.0/22", "size": 24}]
    host.write(
        "/etc/docker/daemon.json", json.dumps({"bip": "10.201.0.9/24", "default-address-pools": pools})
    )
    done = playbook("provision", host)
    assert "docker0 gets the address 10.201.0.9 with the restart" in reasons(done)
    assert "10.201.0.9:2376" in listening(host)
    # The address that docker0 had is not named any more.
    assert playbook("provision", host).changed == 1
    before = engine(host)
    host.run("docker network create pooled")
    address = host.run("docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' pooled").stdout.strip()
    assert address.startswith("10.200.")
    assert playbook("provision", host).changed == 0
    assert engine(host) == before
