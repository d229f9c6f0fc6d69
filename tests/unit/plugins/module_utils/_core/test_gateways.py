# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import (
    Gateway,
    parse_networks,
    server_names,
)

ID = "1f0c3a5e7b9d2244668800aabbccddeeff"
DOCKER0 = {"com.docker.network.bridge.name": "docker0"}


def network(name, driver="bridge", config=(), **more):
    return {"Name": name, "Id": ID, "Driver": driver, "IPAM": {"Config": list(config)}, **more}


def v4(subnet, gateway=None):
    return {"Subnet": subnet, **({"Gateway": gateway} if gateway else {})}


BRIDGE = network("bridge", config=[v4("172.17.0.0/16", "172.17.0.1")], Options=DOCKER0)


def test_the_default_bridge_comes_first_whatever_its_place_and_name():
    topology = parse_networks([network("a", config=[v4("172.18.0.0/16", "172.18.0.1")]), BRIDGE])
    assert [gateway.address for gateway in topology.gateways] == ["172.17.0.1", "172.18.0.1"]
    assert topology.default == Gateway("172.17.0.1", 4, "bridge", "docker0", "172.17.0.0/16")


@pytest.mark.parametrize(
    "config, interfaces, expected",
    [
        pytest.param(v4("172.18.0.0/16", "172.18.0.254"), {}, "172.18.0.254", id="IPAM names it"),
        pytest.param(
            v4("172.18.0.0/16"), {"br-1f0c3a5e7b9d": ["172.18.0.9"]}, "172.18.0.9", id="interface has it"
        ),
        pytest.param(
            v4("172.18.0.0/16"), {"br-1f0c3a5e7b9d": ["10.0.0.1"]}, "172.18.0.1", id="interface has another"
        ),
        pytest.param(v4("172.18.0.0/16"), {}, "172.18.0.1", id="the subnet's first address"),
    ],
)
def test_where_the_gateway_comes_from(config, interfaces, expected):
    (gateway,) = parse_networks([network("ci", config=[config])], interfaces).gateways
    assert gateway.address == expected
    assert gateway.interface == "br-1f0c3a5e7b9d"


@pytest.mark.parametrize(
    "enabled, expected",
    [(True, ["172.18.0.1", "fd00:1::1"]), (False, ["172.18.0.1"])],
)
def test_ipv6_counts_where_it_is_enabled_and_loses_its_prefix(enabled, expected):
    both = network(
        "ci",
        config=[v4("fd00:1::/64", "fd00:1::1/64"), v4("172.18.0.0/16", "172.18.0.1")],
        EnableIPv6=enabled,
    )
    assert [gateway.address for gateway in parse_networks([both]).gateways] == expected


@pytest.mark.parametrize(
    "unreachable, reason",
    [
        (network("n", config=[v4("10.9.0.0/24")], Internal=True), "internal network"),
        (network("n", "host"), "no gateway"),
        (network("n", "null"), "no network at all"),
        (network("n", "macvlan", [v4("10.9.0.0/24", "10.9.0.1")]), "macvlan"),
        (network("n", "ipvlan", [v4("10.9.0.0/24", "10.9.0.1")]), "ipvlan"),
        (network("n", "overlay", [v4("10.9.0.0/24", "10.9.0.1")]), "docker_gwbridge"),
        (network("n", "weave", [v4("10.9.0.0/24", "10.9.0.1")]), "driver weave"),
        (
            network(
                "n",
                config=[v4("10.9.0.0/24")],
                Options={"com.docker.network.bridge.gateway_mode_ipv4": "isolated"},
            ),
            "isolated",
        ),
        (
            network(
                "n", config=[v4("10.9.0.0/24")], Options={"com.docker.network.bridge.inhibit_ipv4": "true"}
            ),
            "inhibit",
        ),
    ],
)
def test_networks_without_a_way_to_the_host_are_named_with_a_reason_and_an_alternative(unreachable, reason):
    topology = parse_networks([unreachable, BRIDGE])
    assert [gateway.network for gateway in topology.gateways] == ["bridge"]
    (found,) = topology.unreachable
    assert reason in found.reason
    assert found.instead


def test_an_engine_without_a_default_bridge_has_no_default():
    topology = parse_networks([network("ci", config=[v4("172.18.0.0/16", "172.18.0.1")])])
    assert topology.default is None
    assert all(name.urgent for name in server_names(topology))


def test_what_is_no_subnet_is_an_error_that_names_the_network():
    with pytest.raises(WormholeError, match="network ci: expected a subnet, found 'nonsense'"):
        parse_networks([network("ci", config=[v4("nonsense")])])


def test_server_names_hold_every_gateway_with_its_origin_and_the_fixed_names_once():
    names = server_names(parse_networks([BRIDGE, network("ci", config=[v4("172.18.0.0/16", "172.18.0.1")])]))
    assert ("IP:172.18.0.1", "gateway of network ci") in [(n.name, n.origin) for n in names]
    assert [n.name for n in names if not n.urgent] == ["IP:172.18.0.1"]
    assert [n.name for n in names] == [
        "IP:172.17.0.1",
        "IP:172.18.0.1",
        "DNS:host.docker.internal",
        "DNS:localhost",
        "IP:127.0.0.1",
        "IP:::1",
    ]


@given(
    st.lists(
        st.tuples(st.text("abc", min_size=1, max_size=4), st.ip_addresses(v=4), st.integers(8, 30)),
        unique_by=lambda entry: entry[0],
        max_size=6,
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_engines_answer_never_matters(entries, random):
    networks = [
        network(
            name, config=[v4(str(ipaddress.ip_network((int(address), prefix), strict=False)), str(address))]
        )
        for name, address, prefix in entries
    ]
    shuffled = list(networks)
    random.shuffle(shuffled)
    assert parse_networks(networks) == parse_networks(shuffled)
