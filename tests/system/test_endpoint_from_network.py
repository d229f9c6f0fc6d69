# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare endpoint_info's prediction for a container on a Docker network with a real container."""

from __future__ import annotations

import ipaddress
import json

import pytest
import yaml

from hosts import GATEWAY, engine, launch_arguments
from lab.spec import RELEASES

pytestmark = pytest.mark.parametrize("release", RELEASES)

EVERY = ["-e", json.dumps({"listener_addresses": ["gateways"]})]
CERTIFICATES = "/etc/wormhole/identities/agent"
NETWORKS = """
docker network create ci
docker network create --internal inner
docker network create --ipv6 --subnet fd00:aa::/64 --subnet 10.77.1.0/24 --ip-range 10.77.1.0/25 six
docker network create --subnet 10.77.9.0/29 small
"""
CROWD = "for number in 1 2 3 4; do docker run -d --network small wormhole-lab/busybox:1 sleep 600; done"
DROP = """
table inet by_hand {
    chain input {
        type filter hook input priority 0; policy drop;
        iif lo accept
        ct state established,related accept
        tcp dport 22 accept
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    }
}
"""
TRACES = """
ip -o link | sed 's/^[0-9]*: //; s/NO-CARRIER,//; s/,LOWER_UP//; s/state [A-Z]* //' | grep -v veth
ip -o link | grep -c veth
ip -o address | grep -v 'scope link' | sed 's/ tentative//'; ip route | sed 's/ linkdown//'; ip netns
iptables-save | grep -v '^[#:]'
for bridge in docker0 $(ls /sys/class/net | grep ^br-); do cat /sys/class/net/$bridge/mtu; ls /sys/class/net/$bridge/brif; done
"""
"""Prints everything that a probe could leave behind.

It omits the kernel's changes to a bridge with its first container.
"""


@pytest.fixture
def look(playbook, start_playbook, tmp_path):
    """Run endpoint_info with each of these options; return the results in order, or the run."""

    def run(host, *options, start=False):
        task = {
            "name": "Look",
            "wormhole.docker.endpoint_info": {
                "directory": CERTIFICATES,
                **dict.fromkeys(("network", "address", "networks", "require"), "{{ omit }}"),
            },
            "loop": list(options),
            "register": "seen",
            "ignore_errors": True,
        }
        arguments = task["wormhole.docker.endpoint_info"]
        arguments["step_timeout"] = "{{ item.step_timeout | default(2) }}"
        for name in ("network", "address", "networks", "require"):
            arguments[name] = "{{ item." + name + " | default(omit) }}"
        play = tmp_path / "look.yml"
        play.write_text(yaml.safe_dump([{"hosts": "all", "gather_facts": False, "tasks": [task]}]))
        if start:
            return start_playbook(str(play), host)
        items = playbook(str(play), host).tasks[0].items
        for item in items:
            print(item["item"], item.get("text") or item.get("msg"), sep="\n")
        return items

    return run


def failures(seen):
    return [layer["name"] for layer in seen["layers"] if layer["ok"] is False]


def traces(host):
    return host.run(TRACES, check=False).stdout


def meets(host, network, address):
    """Return the message of Docker's client in a container on this network."""
    url = f"tcp://[{address}]:2376" if ":" in address else f"tcp://{address}:2376"
    return host.run(
        f"docker run --rm --network {network} -v {CERTIFICATES}:/certs:ro "
        f"-e DOCKER_HOST={url} -e DOCKER_TLS_VERIFY=1 -e DOCKER_CERT_PATH=/certs "
        "wormhole-lab/cli:1 sh -c 'for i in 1 2 3 4; do "
        "timeout 3 docker version -f {{.Server.APIVersion}} && exit; sleep 0.5; done; exit 1' 2>&1",
        check=False,
    )


def test_predictions_match_a_real_container_and_nothing_is_left(release, fresh_host, playbook, look):
    host = fresh_host(release)
    host.run(NETWORKS)
    playbook("provision", host, *EVERY)
    playbook("launch", host, *launch_arguments())
    host.run(CROWD)
    gateway = host.run("docker network inspect -f '{{(index .IPAM.Config 0).Gateway}}' ci").stdout.strip()
    before, running = traces(host), engine(host)
    bridge, ci, six, six6, own, inner, none, small, missing = look(
        host,
        {"network": "bridge"},
        {"network": "ci", "require": True},
        {"network": "six"},
        {"network": "six", "address": "fd00:aa::1"},
        {"network": "host"},
        {"network": "inner"},
        {"network": "none"},
        {"network": "small"},
        {"network": "nowhere"},
    )
    assert traces(host) == before
    assert engine(host) == running

    for seen, network, address in (
        (bridge, "bridge", GATEWAY),
        (ci, "ci", gateway),
        (six, "six", "10.77.1.1"),
        (six6, "six", "fd00:aa::1"),
    ):
        assert seen["ok"], seen["text"]
        assert [layer["ok"] for layer in seen["layers"]] == [True] * 8 + [None, seen["layers"][9]["ok"]]
        assert seen["endpoint"]["network"] == network
        assert seen["peer"] == address
        assert seen["matched_name"] == f"IP:{address}"
        assert seen["anonymous"] == "refused"
        assert f"API {seen['api_version']}" in seen["text"]
        assert f"{seen['certificate']['days_left']} days left" in seen["text"]
        met = meets(host, network, address)
        assert met.stdout.splitlines()[-1] == seen["api_version"], met.stdout
    assert bridge["layers"][0]["text"] == f"{GATEWAY} is the default gateway, reached by eth0"
    # Outside of ip_range, or otherwise at the end of the subnet.
    assert six["source"] == "10.77.1.254"
    assert six6["source"] == "fd00:aa::ffff:ffff:ffff:ff7f"
    subnet = host.run("docker network inspect -f '{{(index .IPAM.Config 0).Subnet}}' ci").stdout.strip()
    assert ci["source"] == str(ipaddress.ip_network(subnet)[-2])
    assert (own["source"], failures(own)) == ("127.0.0.1", ["port"])
    assert "nothing listens on 127.0.0.1:2376" in own["text"]
    for seen, reason in ((inner, "internal network"), (none, "no network at all")):
        assert failures(seen) == ["route"]
        assert reason in seen["layers"][0]["text"]
        assert "transport unix" in seen["layers"][0]["remedy"]
        assert {layer["ok"] for layer in seen["layers"][1:]} == {None}
    # Gateway, four containers, network, broadcast: one of eight addresses is free.
    assert small["ok"]
    assert small["source"] == "10.77.9.6"
    assert missing["error"]["kind"] == "InvalidInput"


def test_a_firewall_is_distinguished_from_a_missing_listener_and_a_kill_leaves_nothing(
    release, fresh_host, playbook, look
):
    host = fresh_host(release)
    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    host.run("docker network create ci")
    [absent] = look(host, {"network": "ci"})
    assert failures(absent) == ["port"]
    assert "nothing listens" in absent["layers"][1]["text"]

    before = traces(host)
    host.write("/root/drop.nft", DROP)
    host.run("nft -f /root/drop.nft")
    bridge, ci, own = look(
        host, {"network": "bridge"}, {"network": "ci"}, {"network": "host", "address": GATEWAY}
    )
    for seen, interface in ((bridge, "docker0"), (ci, "br-")):
        assert failures(seen) == ["port"]
        assert "the host's firewall drops the packets" in seen["layers"][1]["text"]
        assert f"accept TCP port 2376 from interface {interface}" in seen["layers"][1]["remedy"]
    assert "though something listens there" in bridge["layers"][1]["text"]
    assert "nothing listens there either" in ci["layers"][1]["text"]
    assert own["ok"]
    assert meets(host, "bridge", GATEWAY).returncode != 0

    host.run("nft add rule inet by_hand input iifname docker0 tcp dport 2376 reject")
    [rejected] = look(host, {"network": "bridge"})
    assert failures(rejected) == ["port"]
    assert "though something listens there: the host's firewall rejects" in rejected["layers"][1]["text"]

    for signal in ("TERM", "KILL"):
        run = look(host, {"network": "ci", "step_timeout": 30}, start=True)
        host.run("for i in $(seq 100); do ip link | grep -q ' wormhole' && exit; sleep 0.2; done; exit 1")
        # Kill the module's process. Its child must end with it.
        host.run(f"kill -{signal} $(pgrep -o -x python3)")
        run.wait()
        host.run("for i in $(seq 25); do ip link | grep -q ' wormhole' || exit 0; sleep 0.2; done; exit 1")
        host.run("! pgrep -x python3")

    host.run("nft insert rule inet by_hand input iifname docker0 tcp dport 2376 accept")
    [accepted] = look(host, {"network": "bridge", "networks": True})
    assert accepted["ok"], accepted["text"]
    assert accepted["missing_names"][0]["name"].startswith("IP:172.18.")
    host.run("nft delete table inet by_hand")
    assert traces(host) == before
