# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._container.inspection import networks_of
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import parse_networks
from ansible_collections.wormhole.docker.plugins.module_utils._networks.guests import (
    find_network,
    find_obstacle,
    plan_guest,
)


def network(name="ci", *configs, driver="bridge", **more):
    return {
        "Name": name,
        "Id": f"{name:0<64}",
        "Driver": driver,
        "EnableIPv6": any(":" in config["Subnet"] for config in configs),
        "IPAM": {"Config": list(configs)},
        "Options": {},
        **more,
    }


def container(at, **endpoint):
    return {"NetworkSettings": {"Networks": {at["Name"]: {"NetworkID": at["Id"], **endpoint}}}}


def guest(at, *containers):
    return plan_guest(parse_networks([at]), at, map(networks_of, containers))


FOUR = {"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1"}
SIX = {"Subnet": "fd00:aa::/64", "Gateway": "fd00:aa::1"}


def test_from_the_top_of_the_subnet():
    planned = guest(network("ci", FOUR, SIX))
    assert (planned.network, planned.bridge) == ("ci", "br-ci0000000000")
    four, six = planned.addresses
    assert (four.family, six.family) == (4, 6)
    assert four.candidates == tuple(f"10.1.0.{last}" for last in range(254, 246, -1))
    assert (four.prefix_length, four.gateway, four.next_hop) == (24, "10.1.0.1", "10.1.0.1")
    # The last 128 addresses of a /64 are anycast ones.
    assert six.candidates[0] == "fd00:aa::ffff:ffff:ffff:ff7f"
    assert (six.prefix_length, six.next_hop) == (64, "fd00:aa::1")


@pytest.mark.parametrize(
    ("config", "first"),
    [
        ({**FOUR, "IPRange": "10.1.0.0/25"}, "10.1.0.254"),
        ({**FOUR, "IPRange": "10.1.0.128/25"}, "10.1.0.127"),
        ({**FOUR, "IPRange": "10.1.0.64/26"}, "10.1.0.254"),
        ({**FOUR, "IPRange": "10.1.0.0/24"}, "10.1.0.254"),
        ({**FOUR, "Gateway": "10.1.0.254"}, "10.1.0.253"),
        ({**FOUR, "AuxiliaryAddresses": {"router": "10.1.0.254"}}, "10.1.0.253"),
        ({"Subnet": "10.1.0.0/30", "Gateway": "10.1.0.1"}, "10.1.0.2"),
        ({"Subnet": "10.1.0.0/24"}, "10.1.0.254"),
        ({"Subnet": "FD00:AA::/120", "IPRange": "fd00:aa::/121"}, "fd00:aa::fe"),
        ({"Subnet": "fd00:aa::/125", "Gateway": "fd00:aa::1/125"}, "fd00:aa::6"),
    ],
)
def test_what_the_engine_gives_out_last_comes_first(config, first):
    at = network("ci", config)
    at["EnableIPv4"] = "." in config["Subnet"]
    [address] = guest(at).addresses
    assert address.candidates[0] == first


def test_addresses_of_containers_are_left_out():
    at = network("ci", FOUR, SIX)
    found = guest(
        at,
        container(at, IPAddress="10.1.0.254", GlobalIPv6Address="fd00:aa::ffff:ffff:ffff:ff7f"),
        # One that is stopped, and has its address from the user.
        container(at, IPAddress="", IPAMConfig={"IPv4Address": "10.1.0.253"}),
        # One that has never been started.
        {
            "NetworkSettings": {
                "Networks": {"ci": {"NetworkID": "", "IPAMConfig": {"IPv4Address": "10.1.0.252"}}}
            }
        },
        # Another network's.
        container(network("other", FOUR), IPAddress="10.1.0.251", IPAMConfig=None),
        {"NetworkSettings": {}},
    )
    assert found.addresses[0].candidates[0] == "10.1.0.251"
    assert found.addresses[1].candidates[0] == "fd00:aa::ffff:ffff:ffff:ff7e"


def test_a_full_network_says_what_to_do():
    at = network("ci", {"Subnet": "10.1.0.0/30", "Gateway": "10.1.0.1"})
    with pytest.raises(WormholeError, match="has no free address in .*. Connect from one of its containers"):
        guest(at, container(at, IPAddress="10.1.0.2"))


def test_the_default_route_is_the_containers_own():
    at = network("bridge", {**FOUR, "AuxiliaryAddresses": {"DefaultGatewayIPv4": "10.1.0.7"}})
    [address] = guest(at).addresses
    assert (address.gateway, address.next_hop) == ("10.1.0.1", "10.1.0.7")


def test_only_ipv6():
    planned = guest(network("six", FOUR, SIX, EnableIPv4=False))
    assert [address.family for address in planned.addresses] == [6]


def test_networks_are_found_by_name_and_by_id():
    networks = [network("ci", FOUR), network("twice", SIX), network("twice", SIX)]
    assert find_network(networks, "ci") is networks[0]
    assert find_network(networks, networks[0]["Id"]) is networks[0]
    with pytest.raises(InvalidInput, match="on this host, only ci, twice, twice"):
        find_network(networks, "c")
    with pytest.raises(InvalidInput, match="full ID"):
        find_network(networks, "twice")


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (network("inner", FOUR, Internal=True), "internal"),
        (network("none", driver="null"), "no network at all"),
        (network("lan", FOUR, driver="macvlan"), "macvlan"),
        (network("lan", FOUR, driver="ipvlan"), "ipvlan"),
        (network("swarm", FOUR, driver="overlay"), "docker_gwbridge"),
        (network("quiet", FOUR, Options={"com.docker.network.bridge.inhibit_ipv4": "true"}), "inhibit"),
        (network("empty"), "it has no gateway"),
        (network("host", driver="host"), None),
        (network("ci", FOUR), None),
    ],
)
def test_obstacles(found, reason):
    obstacle = find_obstacle(parse_networks([found]), found)
    if reason is None:
        assert obstacle is None
    else:
        assert reason in obstacle.reason
        assert obstacle.instead
        assert obstacle.network == found["Name"]


prefixes = st.integers(min_value=22, max_value=30)


@given(st.data(), prefixes)
def test_a_candidate_is_a_free_address_of_the_subnet(data, prefix):
    subnet = ipaddress.ip_network(f"10.1.0.0/{prefix}")
    hosts = list(subnet.hosts())
    config = {"Subnet": str(subnet), "Gateway": str(data.draw(st.sampled_from(hosts)))}
    if data.draw(st.booleans()):
        inner = data.draw(st.integers(min_value=prefix, max_value=31))
        config["IPRange"] = str(
            ipaddress.ip_network((str(data.draw(st.sampled_from(hosts))), inner), strict=False)
        )
    at = network("ci", config)
    used = data.draw(st.lists(st.sampled_from(hosts), max_size=6))
    free = set(hosts) - set(used) - {ipaddress.ip_address(config["Gateway"])}
    try:
        [address] = guest(at, *(container(at, IPAddress=str(one)) for one in used)).addresses
    except WormholeError:
        assert not free
        return
    candidates = [ipaddress.ip_address(text) for text in address.candidates]
    assert set(candidates) <= free
    assert len(set(candidates)) == len(candidates) == min(8, len(free))
    if "IPRange" in config:
        inside = [one in ipaddress.ip_network(config["IPRange"]) for one in candidates]
        assert inside == sorted(inside)
