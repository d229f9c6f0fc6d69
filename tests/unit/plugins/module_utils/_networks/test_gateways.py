# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import (
    Gateway,
    parse_networks,
    server_names,
)

ID = "1f0c3a5e7b9d2244668800aabbccddeeff"
DOCKER0 = {"com.docker.network.bridge.name": "docker0"}
MODE = "com.docker.network.bridge.gateway_mode_ipv"
INHIBIT = "com.docker.network.bridge.inhibit_ipv4"


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
        (network("n", "null", config=[v4("10.9.0.0/24")], ConfigOnly=True), "config-only: it is a template"),
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
        (network("n", config=[v4("fd00:9::/64")], EnableIPv4=False, EnableIPv6=False), "not enabled"),
    ],
)
def test_networks_without_a_way_to_the_host_are_named_with_a_reason_and_an_alternative(unreachable, reason):
    topology = parse_networks([unreachable, BRIDGE])
    assert [gateway.network for gateway in topology.gateways] == ["bridge"]
    (found,) = topology.unreachable
    assert reason in found.reason
    assert found.instead


@pytest.mark.parametrize(
    "options, more, expected",
    [
        pytest.param({}, {}, ["10.9.0.1", "fd00:9::1"], id="as it comes"),
        pytest.param(
            {"name": "docker_gwbridge"}, {}, ["10.9.0.1", "fd00:9::1"], id="docker_gwbridge of Swarm"
        ),
        pytest.param(
            {"gateway_mode_ipv4": "nat-unprotected"}, {}, ["10.9.0.1", "fd00:9::1"], id="nat-unprotected"
        ),
        pytest.param({"gateway_mode_ipv6": "routed"}, {}, ["10.9.0.1", "fd00:9::1"], id="routed"),
        pytest.param({"gateway_mode_ipv6": "isolated"}, {}, ["10.9.0.1"], id="isolated in one family"),
        pytest.param({"inhibit_ipv4": "true"}, {}, ["fd00:9::1"], id="inhibit_ipv4 leaves IPv6"),
        pytest.param(
            {"host_binding_ipv4": "127.0.0.1"}, {}, ["10.9.0.1", "fd00:9::1"], id="about published ports"
        ),
        pytest.param({}, {"EnableIPv4": False}, ["fd00:9::1"], id="IPv6 only"),
    ],
)
def test_options_of_a_bridge_count_by_family(options, more, expected):
    options = {f"com.docker.network.bridge.{key}": value for key, value in options.items()}
    config = [v4("10.9.0.0/24"), v4("fd00:9::/64")]
    topology = parse_networks([network("n", config=config, Options=options, EnableIPv6=True, **more)])
    assert [gateway.address for gateway in topology.gateways] == expected


def test_containers_may_have_another_default_route_and_still_find_the_host_at_its_own_address():
    """``network create --aux-address DefaultGatewayIPv4=…``: the host is a neighbour, no router."""
    config = {"Subnet": "10.9.0.0/24", "AuxiliaryAddresses": {"DefaultGatewayIPv4": "10.9.0.77"}}
    (gateway,) = parse_networks([network("n", config=[config])], {"br-1f0c3a5e7b9d": ["10.9.0.1"]}).gateways
    assert gateway.address == "10.9.0.1"


@pytest.mark.parametrize(
    "away, families",
    [
        (network("n", config=[v4("10.9.0.0/24", "10.9.0.1")]), None),
        (network("n", "macvlan", [v4("10.9.0.0/24")]), {4}),
        (network("n", "macvlan", [v4("10.9.0.0/24")], EnableIPv6=True), {4, 6}),
        (network("n", "ipvlan", [v4("fd00:9::/64")], EnableIPv6=True, EnableIPv4=False), {6}),
        (network("n", "macvlan", [v4("10.9.0.0/24")], Internal=True), None),
        (network("n", "overlay"), None),
        (network("n", "host"), None),
        (network("n", "null"), None),
        # Its containers get the gateway that nobody on this host has.
        (network("n", config=[v4("10.9.0.0/24")], Options={INHIBIT: "true"}), {4}),
        (network("n", config=[v4("10.9.0.0/24")], Options={INHIBIT: "1"}), {4}),
        (network("n", config=[v4("10.9.0.0/24")], Options={INHIBIT: "true"}, Internal=True), None),
        (
            network(
                "n", config=[{**v4("10.9.0.0/24"), "AuxiliaryAddresses": {"DefaultGatewayIPv4": "10.9.0.77"}}]
            ),
            {4},
        ),
        (
            network(
                "n", config=[{**v4("10.9.0.0/24"), "AuxiliaryAddresses": {"DefaultGatewayIPv4": "10.9.0.1"}}]
            ),
            None,
        ),
        (network("n", config=[{**v4("10.9.0.0/24"), "AuxiliaryAddresses": {"printer": "10.9.0.77"}}]), None),
    ],
)
def test_where_a_default_route_does_not_lead_to_the_host(away, families):
    assert parse_networks([away]).elsewhere == ({} if families is None else {"n": families})


@pytest.mark.parametrize(
    "value, address", [("1", False), ("t", False), ("True", False), ("0", True), ("false", True)]
)
def test_inhibit_ipv4_is_what_the_engine_takes_it_for(value, address):
    found = parse_networks([network("n", config=[v4("10.9.0.0/24")], Options={INHIBIT: value})])
    assert bool(found.gateways) == address


def test_a_subnet_may_be_written_by_an_address_in_it():
    """Docker 20.10 repeats ``docker network create --subnet 10.9.5.0/16`` as it is."""
    (gateway,) = parse_networks([network("n", config=[v4("10.9.5.0/16")])]).gateways
    assert (gateway.address, gateway.subnet) == ("10.9.0.1", "10.9.0.0/16")


def test_ipv4_of_the_link_is_as_good_as_any():
    """``bip: 169.254.33.1/24`` keeps docker0 out of the way of what a company's network uses."""
    topology = parse_networks(
        [network("bridge", config=[v4("169.254.33.0/24", "169.254.33.1")], Options=DOCKER0)]
    )
    assert topology.default.address == "169.254.33.1"


@pytest.mark.parametrize("config", [[], [v4("fe80::/64")], [{}]])
def test_a_bridge_of_which_no_address_is_known_is_named_as_well(config):
    topology = parse_networks([network("n", config=config, EnableIPv4=False, EnableIPv6=True)])
    assert [(found.network, found.instead) for found in topology.unreachable] == [("n", "transport unix")]


@given(
    st.fixed_dictionaries(
        {
            "config": st.lists(st.sampled_from([v4("10.9.0.0/24"), v4("fd00:9::/64"), v4("fe80::/64"), {}])),
            "EnableIPv4": st.booleans(),
            "EnableIPv6": st.booleans(),
            "Options": st.dictionaries(
                st.sampled_from([INHIBIT, f"{MODE}4", f"{MODE}6"]),
                st.sampled_from(["true", "isolated", "routed"]),
            ),
        }
    )
)
def test_law_every_bridge_has_gateways_or_a_reason_for_having_none(fields):
    topology = parse_networks([network("n", **fields)])
    assert bool(topology.gateways) != bool(topology.unreachable)
    assert all(found.reason and found.instead for found in topology.unreachable)


def test_networks_of_one_name_are_told_apart_by_their_ids():
    networks = [{**network("ci", config=[v4("10.9.0.0/24")]), "Id": number} for number in ("1", "2")]
    assert parse_networks([BRIDGE, *networks]).ids == {"bridge": {ID}, "ci": {"1", "2"}}


def test_a_link_local_gateway_is_no_name_that_a_client_could_dial():
    both = network("n", config=[v4("10.9.0.0/24"), v4("fe80::/64", "fe80::1")], EnableIPv6=True)
    assert [gateway.address for gateway in parse_networks([both]).gateways] == ["10.9.0.1"]


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
