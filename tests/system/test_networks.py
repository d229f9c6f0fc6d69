# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Docker networks are added and removed: certificate names, listeners, and engine restarts."""

from __future__ import annotations

import json

import pytest

from hosts import GATEWAY, WORMHOLE, configure, engine, inside, launch_arguments, listening
from lab.spec import RELEASES

pytestmark = pytest.mark.parametrize("release", RELEASES)

EVERY = ["-e", json.dumps({"listener_addresses": ["gateways"]})]
SIX = "docker network create --ipv6 --subnet fd00:aa::/64 --subnet 10.77.1.0/24 six"
CI = "docker network create --subnet 10.77.2.0/24 ci"
API = "docker version --format '{{.Server.APIVersion}}'"


def reasons(run):
    """Return what each task of a run changed, and why."""
    return "\n".join(reason["text"] for task in run.tasks for reason in task.result.get("reasons", []))


def restarted(run):
    return [task.result["restarted"] for task in run.parts if "restarted" in task.result]


def verified(host, network, address):
    """Return the engine's name, queried at this address over verified TLS from this network."""
    url = f"tcp://[{address}]:2376" if ":" in address else f"tcp://{address}:2376"
    # An IPv6 gateway responds about a second after the network's first container is attached.
    retried = "for i in 1 2 3 4 5; do docker info --format '{{.Name}}' && exit 0; sleep 0.5; done; exit 1"
    return host.run(
        f"docker run --rm --network {network} -v /etc/wormhole/identities/agent:/certs:ro "
        f"-e DOCKER_HOST={url} -e DOCKER_TLS_VERIFY=1 -e DOCKER_CERT_PATH=/certs "
        f'wormhole-lab/cli:1 sh -c "{retried}"'
    ).stdout.strip()


def test_every_gateway_is_verified_by_its_containers_and_follows_added_and_removed_networks(
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
    assert "wormhole-docker-10.77.2.1:2376.socket is not requested" in reasons(removed)
    assert restarted(removed) == [False]
    assert playbook("provision", host, *EVERY).changed == 0
    assert engine(host) == before


AWAY = "10.77.9.1"
"""An address of the host that is on no bridge."""
FACTS = f"""
    set -e
    ip address add {AWAY}/32 dev lo
    docker network create --subnet 10.77.2.0/24 ci
    docker network create --subnet 10.77.6.0/24 --ip-range 10.77.6.128/25 ranged
    docker network create --config-only --subnet 10.77.8.0/24 template
"""
ISOLATED = (
    "docker network create --internal -o com.docker.network.bridge.gateway_mode_ipv4=isolated "
    "--subnet 10.77.7.0/24 apart && docker run -d --name first --network apart wormhole-lab/busybox:1 sleep 900"
)


def with_keys(host, **keys):
    """Add keys to daemon.json, and restart the engine with them."""
    found = json.loads(host.run("cat /etc/docker/daemon.json").stdout)
    configure(host, json.dumps({**found, **keys}))


def refused(playbook, host, **options):
    """Launch a wormhole in vain; return the messages, and check that nothing was touched."""
    wanted = {**WORMHOLE, "name": "refused", "identity": "agent", **options}
    run = playbook("launch", host, *launch_arguments(wanted), check=False)
    assert run.returncode != 0
    assert host.run("docker ps -aq --filter name=refused").stdout == ""
    return " ".join(run.stdout.split())


def test_where_networks_and_the_engines_configuration_lead(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(FACTS)
    modern = tuple(map(int, host.run(API).stdout.split("."))) >= (1, 48)
    if modern:
        host.run(ISOLATED)
        # The first address of this network is a container's.
        assert (
            "10.77.7.1"
            in host.run("docker inspect first --format '{{json .NetworkSettings.Networks}}'").stdout
        )
    # No gateway is reported before dockerd is restarted; it is not the first address of the subnet.
    playbook("provision", host, *EVERY)
    playbook("launch", host, *launch_arguments())
    assert "10.77.6.128:2376" in listening(host)
    assert not [
        address for address in listening(host) if address.startswith(("10.77.6.1:", "10.77.7.", "10.77.8."))
    ]
    assert verified(host, "ranged", "10.77.6.128") == host.name
    template = {"networks": [{"name": "template"}], "transport": "unix"}
    assert "network template is config-only" in refused(playbook, host, **template)

    # The listener serves docker0 only, and neither host-gateway nor a published port is there.
    host.run("docker rm -f agent")
    with_keys(host, ip="127.0.0.1", **{"host-gateway-ip": AWAY})
    playbook("provision", host)
    on_ci = {"networks": [{"name": "ci"}]}
    said = refused(playbook, host, **on_ci, discover="runtime")
    assert f"makes host.docker.internal resolve to {AWAY}" in said
    assert "publishes them at 127.0.0.1" in refused(playbook, host, **on_ci, testcontainers=True)

    playbook("provision", host, "-e", json.dumps({"listener_host_addresses": [AWAY]}))
    with_keys(host, ip=GATEWAY)
    wanted = [
        {**WORMHOLE, **on_ci, "discover": "runtime"},
        {**WORMHOLE, **on_ci, "name": "tester", "testcontainers": True},
    ]
    playbook("launch", host, *launch_arguments(*wanted))
    assert playbook("launch", host, *launch_arguments(*wanted)).changed == 0
    found = inside(host, "sh /usr/local/lib/wormhole-docker/wormhole-discover --print").stdout
    assert f"tcp://{AWAY}:2376" in found
    sibling = (
        "docker run -d --name sibling -p 8088:80 wormhole-lab/busybox:1 httpd -f -p 80 -h /etc >/dev/null; "
        "curl -fsS --retry 5 --retry-connrefused http://$TESTCONTAINERS_HOST_OVERRIDE:8088/hostname"
    )
    assert inside(host, sibling, container="tester").stdout.strip()


def test_a_stopped_wormhole_follows_a_network_that_was_created_again(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(CI)
    if release == 12:
        # Newer engines reject a subnet that is written as an address in it.
        host.run("docker network create --subnet 10.78.5.0/16 odd")
    playbook("provision", host)
    arguments = launch_arguments({**WORMHOLE, "networks": [{"name": "ci", "aliases": ["tool"]}]})
    playbook("launch", host, *arguments)
    host.run(
        "docker stop -t 0 agent && docker network rm ci && docker network create --subnet 10.77.3.0/24 ci && ! docker start agent"
    )
    anew = "networks ci: expected attached, found attached to a removed network of that name"
    for more in (["--check"], []):
        launched = playbook("launch", host, *more, *arguments)
        of_wormholes = (item for task in launched.tasks for item in task.items)
        assert anew in [reason["text"] for item in of_wormholes for reason in item.get("reasons", [])]
    shown = (
        '{{.State.Running}} {{with index .NetworkSettings.Networks "ci"}}{{.IPAddress}} {{.Aliases}}{{end}}'
    )
    running, address, *aliases = host.run(f"docker inspect agent --format '{shown}'").stdout.split()
    assert (running, address) == ("true", "10.77.3.2")
    assert "tool" in " ".join(aliases)
    assert playbook("launch", host, *arguments).changed == 0


def test_by_default_a_new_network_is_in_the_certificate_without_a_restart(release, fresh_host, playbook):
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


def test_configured_networks_that_are_not_read_yet_take_one_restart(release, fresh_host, playbook):
    """With pools, a new network changes nothing."""
    host = fresh_host(release)
    pools = [{"base": "10.200.0.0/22", "size": 24}]
    host.write(
        "/etc/docker/daemon.json", json.dumps({"bip": "10.201.0.9/24", "default-address-pools": pools})
    )
    done = playbook("provision", host)
    assert "the restart gives docker0 the address 10.201.0.9" in reasons(done)
    assert "10.201.0.9:2376" in listening(host)
    # The previous address of docker0 is no longer in the certificate.
    assert playbook("provision", host).changed == 1
    before = engine(host)
    host.run("docker network create pooled")
    address = host.run("docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' pooled").stdout.strip()
    assert address.startswith("10.200.")
    assert playbook("provision", host).changed == 0
    assert engine(host) == before
