# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress, split_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("172.17.0.1:2376", ("172.17.0.1", 2376)),
        ("172.17.0.1", ("172.17.0.1", 1)),
        ("[fd00::1]:2376", ("fd00::1", 2376)),
        ("[fd00::1]", ("fd00::1", 1)),
        ("[fe80::1%eth0]:80", ("fe80::1%eth0", 80)),
        ("fd00::1:2376", ("fd00::1", 2376)),
        ("host.example.com:1234", ("host.example.com", 1234)),
        ("host:", ("host", 1)),
        (":2376", ("", 2376)),
        ("", ("", 1)),
        ("[fd00::1", None),
        ("[fd00::1]2376", None),
        ("fd00::1]", None),
        ("host:x", None),
    ],
)
def test_texts(text, expected):
    assert SocketAddress.parse(text, 1) == expected


@given(
    st.one_of(st.ip_addresses().map(str), st.sampled_from(["a", "host.example.com"])), st.integers(1, 65535)
)
def test_what_is_rendered_is_read(host, port):
    address = SocketAddress(host, port)
    assert SocketAddress.parse(str(address), 0) == address


def test_an_address_is_rendered_with_brackets_where_it_needs_them():
    assert str(SocketAddress("172.17.0.1", 2376)) == "172.17.0.1:2376"
    assert str(SocketAddress("fd00::1", 2376)) == "[fd00::1]:2376"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("tcp://[::1]:2376/v1", ("tcp", "[::1]:2376")),
        ("unix:///run/docker.sock", ("unix", "")),
        ("host:2376/", ("", "host:2376")),
    ],
)
def test_urls(url, expected):
    assert split_url(url) == expected
