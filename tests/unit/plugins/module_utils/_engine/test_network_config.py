# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._engine.network_config import (
    MAXIMUM_POOL_NAMES,
    NetworkConfig,
    parse_host_gateways,
    parse_network_config,
    promised_names,
    topology_after_restart,
)
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import (
    Gateway,
    Topology,
    server_names,
)

DOCKER0 = Gateway("172.17.0.1", 4, "bridge", "docker0", "172.17.0.0/16")
CI = Gateway("172.18.0.1", 4, "ci", "br-1", "172.18.0.0/16")
TOPOLOGY = Topology((DOCKER0, CI), ())
POOL = {"base": "10.200.0.0/22", "size": 24}


def names(config, **more):
    return [
        (name.name, name.origin, name.urgent) for name in promised_names(parse_network_config(config, **more))
    ]


@pytest.mark.parametrize(
    "config, expected",
    [
        pytest.param({}, [], id="nothing is configured"),
        pytest.param(
            {"bip": "10.1.2.9/24"}, [("IP:10.1.2.9", "bip of /etc/docker/daemon.json", True)], id="bip"
        ),
        pytest.param({"fixed-cidr-v6": "fd00:5::/64"}, [], id="IPv6 that is not enabled"),
        pytest.param(
            {"ipv6": True, "fixed-cidr-v6": "fd00:5::/64"},
            [("IP:fd00:5::1", "fixed-cidr-v6 of /etc/docker/daemon.json", True)],
            id="IPv6",
        ),
        pytest.param({"ipv6": True, "fixed-cidr-v6": "fe80::/64"}, [], id="link-local"),
        pytest.param(
            {"ipv6": True, "fixed-cidr-v6": "fd00:5::/64", "bip6": "fd00:6::9/64"},
            [("IP:fd00:6::9", "bip6 of /etc/docker/daemon.json", True)],
            id="bip6",
        ),
        pytest.param(
            {
                "default-address-pools": [
                    {"base": "10.200.0.0/23", "size": 24},
                    {"Base": "10.9.1.7/25", "Size": 26},
                ]
            },
            [
                ("IP:10.200.0.1", "first address of 10.200.0.0/24, of default-address-pools", False),
                ("IP:10.200.1.1", "first address of 10.200.1.0/24, of default-address-pools", False),
                ("IP:10.9.1.1", "first address of 10.9.1.0/26, of default-address-pools", False),
                ("IP:10.9.1.65", "first address of 10.9.1.64/26, of default-address-pools", False),
            ],
            id="pools, in their order",
        ),
        pytest.param(
            {"default-address-pools": [{"base": "fd00:77::/63", "size": 64}]},
            [
                ("IP:fd00:77::1", "first address of fd00:77::/64, of default-address-pools", False),
                ("IP:fd00:77:0:1::1", "first address of fd00:77:0:1::/64, of default-address-pools", False),
            ],
            id="a pool of IPv6",
        ),
        pytest.param({"default-address-pools": [{"base": "10.0.0.0/24", "size": 31}]}, [], id="no room"),
    ],
)
def test_what_is_configured_is_named_with_its_origin(config, expected):
    assert names(config) == expected


def test_pools_of_the_engines_command_line_count_where_the_file_names_none():
    running = [{"Base": "10.210.0.0/24", "Size": 24}]
    assert [entry[0] for entry in names({}, running_pools=running)] == ["IP:10.210.0.1"]
    assert [entry[0] for entry in names({"default-address-pools": [POOL]}, running_pools=running)] == [
        f"IP:10.200.{third}.1" for third in range(4)
    ]


def test_a_pool_that_is_not_private_promises_no_name():
    pools = [{"base": "100.64.0.0/10", "size": 24}, {"base": "203.0.113.0/24", "size": 26}, POOL]
    found = names({"default-address-pools": pools})
    assert [entry[0] for entry in found] == [f"IP:10.200.{number}.1" for number in range(4)]


def test_large_pools_are_named_up_to_a_bound_that_counts_for_all_of_them():
    pools = [{"base": "10.0.0.0/8", "size": 24}, {"base": "fd00::/8", "size": 64}]
    found = names({"default-address-pools": [POOL, *pools]})
    assert len(found) == MAXIMUM_POOL_NAMES == 64
    assert found[4][0] == "IP:10.0.0.1"
    assert found[-1][0] == "IP:10.0.59.1"


def test_a_large_pool_of_ipv6_leaves_room_for_ipv4_wherever_it_is_written():
    found = names({"default-address-pools": [{"base": "fd00::/8", "size": 64}, POOL]})
    assert [entry[0] for entry in found[:5]] == [
        *(f"IP:10.200.{third}.1" for third in range(4)),
        "IP:fd00::1",
    ]
    assert len(found) == MAXIMUM_POOL_NAMES


def test_where_docker0_goes_is_found_beside_a_pool_that_nobody_could_count():
    config = parse_network_config({"default-address-pools": [{"base": "fd00::/8", "size": 64}, POOL]})
    assert topology_after_restart(TOPOLOGY, config).default.address == "10.200.0.1"


def test_a_network_from_a_pool_changes_no_name():
    promised = promised_names(parse_network_config({"default-address-pools": [POOL]}))
    created = Gateway("10.200.3.1", 4, "new", "br-2", "10.200.3.0/24")
    before, after = (
        server_names(topology, promised)
        for topology in (TOPOLOGY, Topology((*TOPOLOGY.gateways, created), ()))
    )
    assert {name.name for name in before} == {name.name for name in after}
    assert [name.origin for name in after if name.name == "IP:10.200.3.1"] == ["gateway of network new"]


@pytest.mark.parametrize(
    "config, subject",
    [
        ({"bip": "10.1.2.9"}, "bip"),
        ({"bip": "10.1.2.9/33"}, "bip"),
        ({"bip": 9}, "bip"),
        ({"ipv6": True, "bip6": "nonsense"}, "bip6"),
        ({"ipv6": True, "fixed-cidr-v6": "10.0.0.0/8"}, "fixed-cidr-v6"),
        ({"default-address-pools": {"base": "10.0.0.0/8", "size": 24}}, "default-address-pools"),
        ({"default-address-pools": ["10.0.0.0/8"]}, "default-address-pools"),
        ({"default-address-pools": [{"base": "10.0.0.0/8"}]}, "default-address-pools"),
        ({"default-address-pools": [{"base": "10.0.0.0/8", "size": 7}]}, "default-address-pools"),
        ({"default-address-pools": [{"base": "10.0.0.0/8", "size": 33}]}, "default-address-pools"),
        ({"default-address-pools": [{"base": "10.0.0.0/8", "size": None}]}, "default-address-pools"),
    ],
)
def test_what_dockerd_would_not_start_with_is_named_with_file_and_key(config, subject):
    with pytest.raises(Refused, match=f"^/etc/docker/daemon.json: {subject}: expected"):
        parse_network_config(config)


@pytest.mark.parametrize(
    "config, taken, expected",
    [
        pytest.param({}, [], "172.17.0.1", id="nothing is configured"),
        pytest.param({"bip": "10.1.2.9/24"}, [], "10.1.2.9", id="bip"),
        pytest.param({"bip": "10.1.2.9/24", "live-restore": True}, [], "10.1.2.9", id="bip, live-restore"),
        pytest.param({"default-address-pools": [POOL]}, [], "10.200.0.1", id="pools"),
        pytest.param(
            {"default-address-pools": [POOL]},
            ["10.200.0.128/25", "10.200.1.0/24"],
            "10.200.2.1",
            id="some taken",
        ),
        pytest.param({"default-address-pools": [POOL]}, ["10.200.0.0/16"], "172.17.0.1", id="all taken"),
        pytest.param(
            {
                "default-address-pools": [
                    {"base": "fd00:77::/64", "size": 64},
                    {"base": "172.18.0.0/15", "size": 16},
                ]
            },
            [],
            "172.19.0.1",
            id="IPv4 only, and not where another network is",
        ),
        pytest.param(
            {"default-address-pools": [POOL], "live-restore": True}, [], "172.17.0.1", id="live-restore"
        ),
        pytest.param({"default-address-pools": [POOL], "bip": "10.1.2.9/24"}, [], "10.1.2.9", id="bip wins"),
        pytest.param(
            {"default-address-pools": [POOL], "bridge": "br0"}, [], "172.17.0.1", id="a bridge of their own"
        ),
    ],
)
def test_where_docker0_is_after_a_restart(config, taken, expected):
    config = parse_network_config(config)
    after = topology_after_restart(TOPOLOGY, config, taken)
    assert after.default.address == expected
    assert after.gateways[1:] == (CI,)
    assert topology_after_restart(after, config, taken) == after


def test_ipv6_of_docker0_comes_with_the_restart_beside_ipv4():
    config = parse_network_config({"ipv6": True, "fixed-cidr-v6": "fd00:5::/64"})
    after = topology_after_restart(TOPOLOGY, config)
    assert after.gateways == (DOCKER0, Gateway("fd00:5::1", 6, "bridge", "docker0", "fd00:5::/64"), CI)
    assert topology_after_restart(after, config) == after


def test_without_a_default_bridge_nothing_moves():
    config = parse_network_config({"bip": "10.1.2.9/24"})
    assert topology_after_restart(Topology((CI,), ()), config) == Topology((CI,), ())


@given(st.integers(0, 32), st.integers(0, 30), st.lists(st.integers(0, 3), unique=True))
def test_law_the_address_from_a_pool_is_the_first_of_a_subnet_that_nobody_has(prefix, more, thirds):
    size = min(prefix + more, 30)
    base = ipaddress.ip_network(("10.200.0.0", prefix), strict=False)
    taken = [f"10.200.{third}.0/24" for third in thirds]
    if size < prefix:
        return
    config = NetworkConfig(
        pools=parse_network_config({"default-address-pools": [{"base": str(base), "size": size}]}).pools
    )
    after = topology_after_restart(Topology((DOCKER0,), ()), config, taken).default
    subnet = ipaddress.ip_network(after.subnet)
    if after != DOCKER0:
        assert ipaddress.ip_address(after.address) == subnet.network_address + 1
        assert subnet.prefixlen == size
        assert not any(subnet.overlaps(ipaddress.ip_network(other)) for other in taken)


@pytest.mark.parametrize(
    "config, expected",
    [
        ({}, ()),
        ({"host-gateway-ip": "192.0.2.7"}, ("192.0.2.7",)),
        ({"host-gateway-ips": ["192.0.2.7", "fd00:0::7"]}, ("192.0.2.7", "fd00::7")),
        ({"host-gateway-ip": ""}, ()),
        ({"host-gateway-ip": "nonsense"}, ()),
    ],
)
def test_where_host_gateway_leads(config, expected):
    assert parse_host_gateways(config) == expected
