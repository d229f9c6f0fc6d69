# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._container.ports import (
    parse_default_address,
    parse_ports,
    read_ports,
    render_ports,
    with_default_address,
)
from ansible_collections.wormhole.docker.plugins.module_utils._container.values import (
    parse_binds,
    parse_bytes,
    parse_mapping,
)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("0", 0),
        ("4096", 4096),
        ("512m", 512 * 2**20),
        ("512 MiB", 512 * 2**20),
        ("1.5G", 3 * 2**29),
        ("2kb", 2048),
        ("1b", 1),
    ],
)
def test_sizes(text, expected):
    assert parse_bytes("memory", text) == expected


@pytest.mark.parametrize("text", ["", "-1", "m", "1x", "1,5g", "512mm", "1e3", "9999999999g"])
def test_malformed_sizes(text):
    with pytest.raises(InvalidInput, match="^memory: expected a size"):
        parse_bytes("memory", text)


@pytest.mark.parametrize(
    "items, expected",
    [
        (["/a:/b"], ("/a:/b",)),
        (["/a/:/b/:rw"], ("/a:/b",)),
        (["/a:/b:z,ro"], ("/a:/b:ro,z",)),
        (["data:/b"], ("data:/b",)),
        (["/b"], ("/b",)),
        (["./a:/b", "~/a:/c:ro"], ("./a:/b", "~/a:/c:ro")),
        (["/a:/b", "/a:/b:rw"], ("/a:/b",)),
    ],
)
def test_volumes(items, expected):
    assert parse_binds("volumes", items) == expected
    assert parse_binds("volumes", expected) == expected


@pytest.mark.parametrize(
    "items, message",
    [
        (["a:b"], "the path in the container, b, is not absolute"),
        (["relative"], "the path in the container, relative, is not absolute"),
        ([":/b"], "the source before the colon is empty"),
        (["/a:/b:ro:x"], "it has 4 parts between colons"),
        (["/a:/b:readonly"], "'readonly' is not a mode of a volume"),
        (["/a:/b", "/c:/b"], "volumes /c:/b: /a:/b has the same target"),
    ],
)
def test_malformed_volumes(items, message):
    with pytest.raises(InvalidInput, match=message):
        parse_binds("volumes", items)


@pytest.mark.parametrize(
    "items, expected",
    [
        ([80], ("80/tcp",)),
        (["80"], ("80/tcp",)),
        (["8080:80"], ("8080:80/tcp",)),
        (["53:53/udp"], ("53:53/udp",)),
        (["127.0.0.1:8080:80"], ("127.0.0.1:8080:80/tcp",)),
        (["127.0.0.1::80"], ("127.0.0.1::80/tcp",)),
        (["[::1]:8080:80"], ("[::1]:8080:80/tcp",)),
        (["[fd00::1]::80"], ("[fd00::1]::80/tcp",)),
        (["[FD00:0:0:0:0:0:0:1]::80"], ("[fd00::1]::80/tcp",)),
        (["8080-8081:80-81"], ("8080:80/tcp", "8081:81/tcp")),
        (["80-81"], ("80/tcp", "81/tcp")),
        (["8080-8090:80"], ("8080-8090:80/tcp",)),
        (["80", "80/tcp"], ("80/tcp",)),
        (["all", "80"], ("all", "80/tcp")),
    ],
)
def test_ports(items, expected):
    assert parse_ports("published_ports", items) == expected
    assert parse_ports("published_ports", expected) == expected
    assert set(read_ports(render_ports(expected))) == set(expected)


@pytest.mark.parametrize(
    "item",
    [
        "",
        "0",
        "65536",
        "80:",
        "http",
        "80/icmp",
        "1.2.3.4:80",
        "1.2.3:1:80",
        "[x]:1:2",
        "::80",
        "81-80",
        "8080-8081:80-82",
    ],
)
def test_malformed_ports(item):
    with pytest.raises(InvalidInput, match="^published_ports"):
        parse_ports("published_ports", [item])


@pytest.mark.parametrize(
    "address, expected",
    [
        ("0.0.0.0", ("0.0.0.0:8080:80/tcp", "0.0.0.0::81/udp", "127.0.0.1:82:82/tcp", "all")),
        ("fd00::1", ("[fd00::1]:8080:80/tcp", "[fd00::1]::81/udp", "127.0.0.1:82:82/tcp", "all")),
        ("", ("8080:80/tcp", "81/udp", "127.0.0.1:82:82/tcp", "all")),
    ],
)
def test_ports_without_an_address_get_the_default_one(address, expected):
    ports = parse_ports("published_ports", ["8080:80", "81/udp", "127.0.0.1:82:82", "all"])
    assert with_default_address(ports, address) == expected


@pytest.mark.parametrize(
    "text, expected", [("", ""), ("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("[::1]", "::1")]
)
def test_default_addresses(text, expected):
    assert parse_default_address("default_host_ip", text) == expected


def test_malformed_default_address():
    with pytest.raises(InvalidInput, match="^default_host_ip: expected an IP address, or an empty string"):
        parse_default_address("default_host_ip", "localhost")


PORTS = st.integers(1, 65535)
ADDRESSES = st.one_of(
    st.just(""), st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda address: f"[{address}]")
)


@given(ADDRESSES, st.one_of(st.none(), PORTS), PORTS, st.sampled_from(["tcp", "udp", "sctp"]))
def test_ports_read_back_as_rendered(address, host, port, protocol):
    text = f"{address}:{host or ''}:" if address else (f"{host}:" if host else "")
    parsed = parse_ports("published_ports", [f"{text}{port}/{protocol}"])
    assert read_ports(render_ports(parsed)) == parsed


@pytest.mark.parametrize("value", [True, 1, None, ["a"], {"a": "b"}])
def test_values_that_are_not_strings_are_rejected(value):
    with pytest.raises(InvalidInput, match="^env A: expected a string.*quotes"):
        parse_mapping("env", {"A": value})


def test_booleans_are_accepted_on_request():
    found = parse_mapping("labels", {"a": True, "b": False, "c": 1}, numbers=True, booleans=True)
    assert found == {"a": "true", "b": "false", "c": "1"}


@pytest.mark.parametrize("key", ["", "A=B"])
def test_malformed_names_are_rejected(key):
    with pytest.raises(InvalidInput, match="expected a name"):
        parse_mapping("env", {key: "x"})
