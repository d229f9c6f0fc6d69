# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What files/wormhole-discover tries in every shell here, compared with _client/settings.py."""

from __future__ import annotations

import ipaddress
import itertools
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._client.settings import find_candidates
from ansible_collections.wormhole.docker.plugins.module_utils._networks.routes import (
    parse_ipv4_routes,
    parse_ipv6_routes,
)
from ansible_collections.wormhole.docker.tests.unit.files.discover import (
    HEADING,
    SHELLS,
    Container,
    ipv4_line,
    ipv6_line,
)

UP, GATEWAY, REJECT = 0x1, 0x2, 0x200

DEFAULT = ipv4_line("0.0.0.0", "0.0.0.0", "172.17.0.1", flags=UP | GATEWAY)
ON_LINK = ipv4_line("172.17.0.0", "255.255.0.0")
SECOND = ipv4_line("10.1.2.0", "255.255.255.0", interface="eth1")
FD00 = "fd000000000000000000000000000000"
DEFAULT_6 = ipv6_line("0" * 32, 0, "fd000000000000000000000000000001", flags=UP | GATEWAY)
ON_LINK_6 = ipv6_line(FD00, 64, metric=256)
NO_ROUTE_6 = ipv6_line("0" * 32, 0, metric=0xFFFFFFFF, flags=0x00200200, interface="lo")
LINK_LOCAL_6 = ipv6_line("fe800000000000000000000000000000", 64, metric=256)
HOSTS = "127.0.0.1\tlocalhost\n172.17.0.1\thost.docker.internal\n"

TABLE = {
    "default bridge": (DEFAULT + ON_LINK, "", "", ["172.17.0.1"]),
    "two networks": (DEFAULT + SECOND + ON_LINK, "", HOSTS, ["172.17.0.1", "10.1.2.1"]),
    "user network": (
        ipv4_line("0.0.0.0", "0.0.0.0", "10.1.2.1", flags=3) + SECOND,
        "",
        HOSTS,
        ["10.1.2.1", "172.17.0.1"],
    ),
    "several default routes, by metric": (
        ipv4_line("0.0.0.0", "0.0.0.0", "10.0.0.1", metric=200, flags=3)
        + ipv4_line("0.0.0.0", "0.0.0.0", "10.0.1.1", metric=100, flags=3)
        + ipv4_line("0.0.0.0", "0.0.0.0", "10.0.2.1", metric=100, flags=3, interface="eth2")
        + ipv4_line("0.0.0.0", "0.0.0.0", "10.0.3.1", flags=3),
        "",
        "",
        ["10.0.3.1", "10.0.1.1", "10.0.2.1", "10.0.0.1"],
    ),
    "no default route": (SECOND, "", HOSTS, ["172.17.0.1", "10.1.2.1"]),
    "no network": ("", NO_ROUTE_6, "", []),
    "IPv6 only": ("", ON_LINK_6 + LINK_LOCAL_6 + DEFAULT_6 + NO_ROUTE_6, "", ["fd00::1"]),
    "both families, IPv4 first": (DEFAULT + ON_LINK, ON_LINK_6 + DEFAULT_6, HOSTS, ["172.17.0.1", "fd00::1"]),
    "IPv6 by metric": (
        "",
        DEFAULT_6 + ipv6_line("0" * 32, 0, "fd00" + "0" * 27 + "2", metric=1),
        "",
        ["fd00::2", "fd00::1"],
    ),
    # It is tried for nothing, but told: see test_discover.
    "link-local default route": (
        "",
        ipv6_line("0" * 32, 0, "fe80" + "0" * 27 + "1", flags=3),
        "",
        ["fe80::1"],
    ),
    "refused": (ipv4_line("0.0.0.0", "0.0.0.0", "10.0.0.1", flags=UP | REJECT), "", "", []),
    "down": (ipv4_line("0.0.0.0", "0.0.0.0", "10.0.0.1", flags=GATEWAY), "", "", []),
    "no next hop": (ipv4_line("0.0.0.0", "0.0.0.0", interface="ppp0"), "", "", []),
    "half of all addresses is no default route": (
        ipv4_line("0.0.0.0", "128.0.0.0", "10.8.0.1", flags=3),
        "",
        "",
        [],
    ),
    "IPv6 networks of four and of eight addresses": (
        "",
        "".join(ipv6_line(FD00[:-1] + last, length) for last, length in (("4", 126), ("8", 125), ("c", 126))),
        "",
        ["fd00::5", "fd00::9", "fd00::d"],
    ),
    "networks too small for a gateway, link-local, multicast, loopback": (
        ipv4_line("10.0.0.1", "255.255.255.255")
        + ipv4_line("10.0.0.2", "255.255.255.254")
        + ipv4_line("10.0.0.4", "255.255.255.252")
        + ipv4_line("169.254.0.0", "255.255.0.0")
        + ipv4_line("224.0.0.0", "240.0.0.0")
        + ipv4_line("127.0.0.0", "255.0.0.0", interface="lo"),
        # Only 00ff:… and 0fe8:… look a little like multicast and link-local addresses.
        LINK_LOCAL_6
        + ipv6_line("ff" + "0" * 30, 8)
        + ipv6_line("febf" + "0" * 28, 64)
        + ipv6_line("00ff" + "0" * 28, 64)
        + ipv6_line("0fe8" + "0" * 28, 64)
        + ipv6_line(FD00, 128)
        + ipv6_line(FD00, 127),
        "",
        ["10.0.0.5", "ff::1", "fe8::1"],
    ),
    "hosts: comments, several names, both families": (
        "",
        "",
        "# 10.0.0.9 host.docker.internal\n10.0.0.1 a host.docker.internal b\n10.0.0.2 other # host.docker.internal\n"
        "fd00::9\thost.docker.internal\nnonsense host.docker.internal\n",
        ["10.0.0.1", "fd00::9"],
    ),
    "hosts: an IPv4-mapped address, as Docker 28 writes host-gateway-ip": (
        "",
        "",
        "::ffff:10.0.0.1 host.docker.internal\n",
        ["10.0.0.1"],
    ),
    "lines that are no routes": (
        "garbage\n\neth0\tzz\n"
        + DEFAULT[:20]
        + "\n"
        + DEFAULT.replace("\t0\t0\t0\t", "\t0\t0\tx\t")
        + DEFAULT,
        "garbage\n" + DEFAULT_6[:60] + "\n" + DEFAULT_6,
        "",
        ["172.17.0.1", "fd00::1"],
    ),
}


@pytest.fixture(params=sorted(SHELLS))
def container(request, tmp_path):
    return Container(tmp_path, SHELLS[request.param])


def oracle(container):
    routes = (
        *parse_ipv4_routes(container.ipv4 or "", container.order),
        *parse_ipv6_routes(container.ipv6 or ""),
    )
    wanted = container.settings.get("WORMHOLE_CANDIDATES")
    return list(find_candidates(routes, container.hosts, *([wanted.split()] if wanted else [])))


def test_the_shells_that_images_have_are_here():
    assert {"dash", "busybox"} <= set(SHELLS)


@pytest.mark.parametrize("case", sorted(TABLE))
def test_what_is_tried(container, case):
    ipv4, container.ipv6, container.hosts, expected = TABLE[case]
    container.ipv4 = HEADING + ipv4
    assert container.candidates() == expected
    assert oracle(container) == expected


def test_a_machine_with_the_other_byte_order(container):
    container.order = "big"
    container.ipv4 = ipv4_line("0.0.0.0", "0.0.0.0", "172.17.0.1", flags=3, order="big") + ipv4_line(
        "10.1.2.0", "255.255.255.0", order="big"
    )
    assert container.candidates() == oracle(container) == ["172.17.0.1", "10.1.2.1"]


def test_kernels_without_a_protocol_have_no_table_of_it(container):
    container.ipv4, container.ipv6 = None, ON_LINK_6 + DEFAULT_6
    assert container.candidates() == ["fd00::1"]
    container.ipv6 = ""
    assert container.candidates() == []


@pytest.mark.parametrize(
    "wanted, expected",
    [
        ("networks gateways", ["10.1.2.1", "172.17.0.1"]),
        ("host-gateway", ["172.17.0.1"]),
        (
            "192.0.2.7 gateways [fd00::7] engine.example.org",
            ["192.0.2.7", "172.17.0.1", "fd00::7", "engine.example.org"],
        ),
    ],
)
def test_what_is_tried_can_be_chosen(container, wanted, expected):
    container.ipv4, container.hosts = DEFAULT + SECOND, HOSTS
    container.settings["WORMHOLE_CANDIDATES"] = wanted
    assert container.candidates() == oracle(container) == expected


def test_it_says_where_each_comes_from(container):
    container.ipv4, container.hosts = DEFAULT + SECOND, "10.9.9.9 host.docker.internal\n"
    container.settings["WORMHOLE_CANDIDATES"] = "gateways host-gateway networks example.org"
    assert container.run("--candidates").stdout.splitlines() == [
        "172.17.0.1 (default gateway of eth0)",
        "10.9.9.9 (host.docker.internal in /etc/hosts)",
        "10.1.2.1 (first address of the network of eth1)",
        "example.org (named in WORMHOLE_CANDIDATES)",
    ]


# -- property: the same as in Python ---------------------------------------------------------------

_interfaces = st.sampled_from(["eth0", "eth1", "lo", "br-0a1b2c"])
_flags = st.sampled_from([0x1, 0x3, 0x3, 0x5, 0x0, 0x201, 0x203])
_metrics = st.sampled_from([0, 0, 1, 100, 1024, 4294967295])
# Few different ones, so that routes meet each other.
_ipv4 = st.sampled_from(["0.0.0.0", "10.0.0.0", "10.255.0.255", "172.17.0.1", "192.168.255.254", "255.0.0.1"])
_masks = st.sampled_from([0, 0, 8, 16, 24, 30, 31, 32])
_ipv6 = st.one_of(
    st.sampled_from(["0" * 32, FD00, "fe80" + "0" * 27 + "1", "00010000000200000000000300000004"]),
    st.lists(st.sampled_from(["0000", "0000", "00ff", "fd00", "0db8"]), min_size=8, max_size=8).map("".join),
).filter(lambda digits: not ipaddress.IPv6Address(int(digits, 16)).ipv4_mapped)


@st.composite
def _ipv4_lines(draw, order):
    network = ipaddress.IPv4Network((draw(_ipv4), draw(_masks)), strict=False)
    return ipv4_line(
        str(network.network_address),
        str(network.netmask),
        draw(_ipv4),
        interface=draw(_interfaces),
        metric=draw(_metrics),
        flags=draw(_flags),
        order=order,
    )


@st.composite
def _ipv6_lines(draw):
    network = ipaddress.IPv6Network(
        (int(draw(_ipv6), 16), draw(st.sampled_from([0, 0, 8, 64, 126, 127, 128]))), strict=False
    )
    destination = network.network_address.packed.hex()
    return ipv6_line(
        destination,
        network.prefixlen,
        draw(_ipv6),
        interface=draw(_interfaces),
        metric=draw(_metrics),
        flags=draw(_flags),
    )


@st.composite
def _containers(draw):
    order = draw(st.sampled_from(["little", "big"]))
    return {
        "order": order,
        "ipv4": HEADING + "".join(draw(st.lists(_ipv4_lines(order), max_size=5))),
        "ipv6": "".join(draw(st.lists(_ipv6_lines(), max_size=5))),
        "hosts": draw(st.sampled_from(["", HOSTS])),
    }


_turns = itertools.cycle(sorted(SHELLS))


@given(found=_containers())
@settings(max_examples=60)
def test_the_program_tries_what_the_modules_expect(found):
    # One shell after the other: a program is started for each example.
    with tempfile.TemporaryDirectory() as directory:
        container = Container(Path(directory), SHELLS[next(_turns)], **found)
        assert container.candidates() == oracle(container)
