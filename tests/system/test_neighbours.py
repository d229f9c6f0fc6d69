# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another host with a route to the bridge does not reach the listener; containers of every network do."""

from __future__ import annotations

import json

import pytest

from continuous import LIVE_RESTORE, ContinuousClient
from hosts import GATEWAY, RESTART, configure, engine, inside, launch_arguments
from lab.spec import RELEASES
from test_firewalls import NFTABLES, PORT, container_reaches, other_reaches, route_to_gateway, texts

ACCEPT = ("-e", "listener_neighbours=accept")
REACHED = f"other hosts with a route to {GATEWAY}:{PORT} reach it"
TRACES = (
    "nft list ruleset | grep wormhole; find /etc/systemd -name '*neighbours*'; "
    "systemctl list-units --all --plain --no-legend '*neighbours*'; exit 0"
)
BEHIND = "ip netns exec guest"
"""Runs a program in a guest of the host, behind a bridge that is none of the engine's."""


def dials(host, address, prefix=""):
    """Return whether a program on this host, or in a guest of it, can connect to the engine's port."""
    dialled = f"import socket; socket.create_connection(('{address}', {PORT}), 2)"
    return host.run(f'{prefix} python3 -c "{dialled}"', check=False).returncode == 0


def units_and_links(host):
    """Return all files and links of systemd's configuration, and our own programs."""
    return host.run("find /etc/systemd /usr/local/sbin -not -type d -printf '%p %y %m %l\\n' | sort").stdout


def assert_only_containers_reach(host, other, *networks):
    for network in ("bridge", *networks):
        assert container_reaches(host, network, attempts=4), network
    assert dials(host, GATEWAY)
    # The route works: SSH is open.
    assert other_reaches(other, 22)
    assert not other_reaches(other, PORT)


def add_guest(host, bridge):
    """Add a guest with a route to the engine's port, behind a bridge of the administrator's."""
    host.run(
        f"ip link add {bridge} type bridge && ip address add 10.99.9.1/24 dev {bridge} && ip link set {bridge} up; "
        f"ip netns add guest && ip link add inner type veth peer name outer && ip link set inner netns guest && "
        f"ip link set outer master {bridge} up && {BEHIND} ip address add 10.99.9.2/24 dev inner && "
        f"{BEHIND} ip link set inner up && {BEHIND} ip route add default via 10.99.9.1"
    )


# Long because it is one life of a host: each step starts from what the previous one has left.
@pytest.mark.parametrize("release", RELEASES)
def test_neighbours_with_a_route_do_not_reach_the_listener(release, fresh_hosts, playbook):
    host, other = fresh_hosts(release, release)
    configure(host, LIVE_RESTORE)
    route_to_gateway(other, host)
    host.run("docker network create --subnet 172.30.2.0/24 ci")
    before = units_and_links(host)

    # A host of an earlier version, with wormholes that work.
    playbook("provision", host, *ACCEPT)
    playbook("launch", host, *launch_arguments())
    assert host.run(TRACES).stdout == ""
    assert container_reaches(host)
    assert container_reaches(host, "ci")
    assert other_reaches(other, PORT)

    running, client = engine(host), ContinuousClient(host)
    predicted = playbook("provision", host, "--check", "--diff")
    assert host.run(TRACES).stdout == ""
    restricted = playbook("provision", host, "--diff")
    client.stop().check(cuts=0)
    assert texts(predicted) == texts(restricted) == [REACHED]
    assert [task.diff for task in predicted.tasks] == [task.diff for task in restricted.tasks]
    assert engine(host) == running
    assert_only_containers_reach(host, other, "ci")
    assert playbook("provision", host).changed == 0

    # Networks come and go, the engine is restarted, and so is the host.
    host.run("docker network create later; docker network create -o com.docker.network.bridge.name=own0 own")
    assert_only_containers_reach(host, other, "ci", "later", "own")
    host.run("docker network rm ci; docker network create --subnet 172.30.2.0/24 ci; " + RESTART)
    assert_only_containers_reach(host, other, "ci", "later", "own")
    host.reboot()
    assert_only_containers_reach(host, other, "ci", "later", "own")
    assert inside(host, "docker version --format '{{.Server.Os}}'").stdout.strip() == "linux"
    # The next run adds the networks to the certificate, and changes no rule.
    rules = host.run(TRACES).stdout
    assert REACHED not in texts(playbook("provision", host))
    assert host.run(TRACES).stdout == rules
    assert playbook("provision", host).changed == 0

    # A bridge of the administrator's is no bridge of the engine.
    add_guest(host, "br-lan")
    assert dials(host, GATEWAY, BEHIND)
    found = playbook("provision", host)
    assert texts(found) == ["the listener accepts packets from br-lan, which is no bridge of the engine"]
    assert not dials(host, GATEWAY, BEHIND)
    assert_only_containers_reach(host, other, "ci", "own")
    assert playbook("provision", host).changed == 0

    # Clients on this host and on other hosts have addresses of their own.
    more = {"listener_addresses": ["gateways", "127.0.0.1"], "listener_host_addresses": [host.address]}
    playbook("provision", host, "-e", json.dumps(more))
    assert dials(host, "127.0.0.1")
    assert dials(other, host.address)
    assert container_reaches(host, "ci", "172.30.2.1")
    assert_only_containers_reach(host, other, "ci", "own")
    other.run("ip route replace 172.30.2.0/24 via " + host.address)
    assert not dials(other, "172.30.2.1")
    assert playbook("provision", host, "-e", json.dumps(more)).changed == 0

    # Whatever others do to the rules, the next run repairs it.
    for harm in (
        "nft delete table inet wormhole-docker",
        "systemctl disable --now wormhole-docker-neighbours.service",
        "nft insert rule inet wormhole-docker input accept",
    ):
        host.run(harm)
        assert playbook("provision", host, "-e", json.dumps(more)).changed
        assert_only_containers_reach(host, other, "ci")

    playbook("provision", host, "-e", json.dumps({**more, "listener_neighbours": "accept"}))
    assert host.run(TRACES).stdout == ""
    assert other_reaches(other, PORT)
    playbook("provision", host)
    assert not other_reaches(other, PORT)
    host.run("ip link delete br-lan; docker network rm later own")
    playbook("teardown", host, *launch_arguments())
    assert host.run(TRACES).stdout == ""
    assert units_and_links(host) == before


@pytest.mark.parametrize("release", RELEASES)
def test_a_firewall_that_flushes_all_rules_does_not_let_neighbours_in(release, fresh_hosts, playbook):
    host, other = fresh_hosts(release, release)
    route_to_gateway(other, host)
    lenient = NFTABLES.replace("policy drop", "policy accept")
    host.write("/etc/nftables.conf", lenient, 0o755)
    host.run("systemctl enable --now nftables.service; systemctl restart docker.service")
    before = units_and_links(host)
    playbook("provision", host)
    assert_only_containers_reach(host, other)
    for disturbance in (
        "systemctl reload nftables.service",
        "systemctl restart nftables.service",
        "systemctl stop nftables.service; systemctl start nftables.service",
    ):
        host.run(disturbance)
        assert_only_containers_reach(host, other)
    host.reboot()
    assert_only_containers_reach(host, other)
    assert playbook("provision", host).changed == 0

    # Without nft, a run says what it cannot do, and fails only if the task demands it.
    playbook("teardown", host)
    assert host.run(TRACES).stdout == ""
    assert units_and_links(host) == before
    host.run("systemctl disable --now nftables.service; mv /usr/sbin/nft /usr/sbin/nft.away")
    warned = playbook("provision", host)
    assert any("nftables" in text for task in warned.tasks for text in task.result.get("warnings", ()))
    assert container_reaches(host)
    refused = playbook("provision", host, "-e", "listener_neighbours=drop", check=False)
    assert "Install the package nftables" in refused.message
    assert playbook("provision", host).changed == 0
