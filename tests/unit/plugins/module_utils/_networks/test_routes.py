# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._networks.routes import (
    Route,
    default_gateways,
    find_route,
    parse_ipv4_routes,
    parse_ipv6_routes,
)

# As a container on the default bridge of Docker 26.1 has it.
IPV4 = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
"""
# `ip route add unreachable 10.0.0.0/8`, beside a second default route.
REFUSING = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth1\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0
eth0\t00000000\t010011AC\t0003\t0\t0\t50\t00000000\t0\t0\t0
*\t0000000A\t00000000\t0201\t0\t0\t0\t000000FF\t0\t0\t0
"""
IPV6 = """\
fd000000000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fd000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
"""
NO_IPV6_DEFAULT = IPV6.splitlines(keepends=True)[2]


def test_ipv4_table_of_a_container():
    assert parse_ipv4_routes(IPV4, "little") == (
        Route("0.0.0.0/0", "172.17.0.1", "eth0", 0),
        Route("172.17.0.0/16", "", "eth0", 0),
    )


def test_ipv4_table_of_a_big_endian_kernel():
    swapped = (
        IPV4.replace("010011AC", "AC110001").replace("000011AC", "AC110000").replace("0000FFFF", "FFFF0000")
    )
    assert parse_ipv4_routes(swapped, "big") == parse_ipv4_routes(IPV4, "little")


def test_ipv6_table():
    assert parse_ipv6_routes(IPV6) == (
        Route("fd00::/64", "", "eth0", 256),
        Route("::/0", "fd00::1", "eth0", 1024),
        Route("::/0", "", "lo", 0xFFFFFFFF, reject=True),
    )


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        (parse_ipv4_routes(IPV4, "little"), ("172.17.0.1",)),
        (parse_ipv4_routes(REFUSING, "little"), ("172.17.0.1", "192.168.0.1")),
        (parse_ipv6_routes(IPV6) + parse_ipv4_routes(IPV4, "little"), ("172.17.0.1", "fd00::1")),
        (parse_ipv6_routes(NO_IPV6_DEFAULT), ()),
        (parse_ipv4_routes(IPV4, "little")[1:], ()),
        ((Route("0.0.0.0/0", "", "ppp0", 0),), ()),
        ((), ()),
    ],
)
def test_default_gateways(routes, expected):
    assert default_gateways(routes) == expected


@pytest.mark.parametrize(
    ("table", "address", "interface"),
    [
        (IPV4, "172.17.0.1", "eth0"),
        (IPV4, "192.0.2.1", "eth0"),
        (REFUSING, "192.0.2.1", "eth0"),
        (REFUSING, "10.1.2.3", None),
        (IPV4, "fd00::1", None),
        (IPV4, "no address", None),
        ("", "172.17.0.1", None),
    ],
)
def test_find_route(table, address, interface):
    found = find_route(parse_ipv4_routes(table, "little"), address)
    assert (found.interface if found else None) == interface


def test_find_route_by_ipv6_and_with_a_zone():
    routes = parse_ipv6_routes(IPV6)
    assert find_route(routes, "fd00::5%eth0").gateway == ""
    assert find_route(routes, "2001:db8::1").gateway == "fd00::1"


@given(st.text() | st.lists(st.sampled_from([*IPV4.split(), *IPV6.split(), "\n", " ", "zz"])).map(" ".join))
def test_any_text_is_read_without_an_exception(text):
    for routes in (parse_ipv4_routes(text, "little"), parse_ipv6_routes(text)):
        default_gateways(routes)
        find_route(routes, "172.17.0.1")


@given(
    st.lists(st.ip_addresses(v=4).flatmap(lambda a: st.integers(0, 32).map(lambda n: f"{a}/{n}"))),
    st.ip_addresses(v=4),
)
def test_the_longest_prefix_wins(networks, address):
    parsed = [ipaddress.ip_network(network, strict=False) for network in networks]
    found = find_route([Route(str(network), "", "eth0", 0) for network in parsed], str(address))
    lengths = [network.prefixlen for network in parsed if address in network]
    assert (ipaddress.ip_network(found.destination).prefixlen if found else None) == max(
        lengths, default=None
    )
