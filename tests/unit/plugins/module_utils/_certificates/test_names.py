# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.names import (
    SubjectAlternativeName,
    parse_san,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("IP:172.17.0.1", "IP:172.17.0.1"),
        ("ip: 172.17.0.1", "IP:172.17.0.1"),
        ("IP:fd00:0:0::0001", "IP:fd00::1"),
        ("IP:FD00::1", "IP:fd00::1"),
        ("IP:fe80::1", "IP:fe80::1"),
        ("DNS:localhost", "DNS:localhost"),
        ("DNS:Host.Docker.Internal", "DNS:host.docker.internal"),
        ("DNS:*.ci.example.com", "DNS:*.ci.example.com"),
        ("DNS:xn--bcher-kva.example", "DNS:xn--bcher-kva.example"),
        ("DNS:my_dind", "DNS:my_dind"),
        ("DNS:3com.example", "DNS:3com.example"),
        (f"DNS:{'a' * 63}.example", f"DNS:{'a' * 63}.example"),
    ],
)
def test_names_are_parsed_into_normal_form(text, expected):
    assert str(parse_san(text)) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("172.17.0.1", "IP:<address> or DNS:<name>"),
        ("host", "IP:<address> or DNS:<name>"),
        ("", "IP:<address> or DNS:<name>"),
        ("URI:http://host", "IP:<address> or DNS:<name>"),
        ("IP:172.17.0.1:2376", "port"),
        ("IP:[fd00::1]:2376", "port"),
        ("IP:[fd00::1]", "brackets"),
        ("IP:fe80::1%docker0", "zone"),
        ("IP:172.17.0.0/16", "not a network"),
        ("IP:172.17.0.256", "IPv4 or IPv6"),
        ("IP:host", "IPv4 or IPv6"),
        ("IP:", "IPv4 or IPv6"),
        ("IP:0.0.0.0", "connect to"),
        ("IP:::", "connect to"),
        ("IP:224.0.0.1", "connect to"),
        ("IP:::ffff:172.17.0.1", "Write IP:172.17.0.1"),
        ("DNS:172.17.0.1", "IP:<address>"),
        ("DNS:host:2376", "port"),
        ("DNS:host.", "final dot"),
        ("DNS:", "DNS name"),
        ("DNS:a..b", "DNS name"),
        ("DNS:-a.example", "DNS name"),
        ("DNS:a-.example", "DNS name"),
        ("DNS:a b", "DNS name"),
        ("DNS:a/b", "DNS name"),
        (f"DNS:{'a' * 64}.example", "DNS name"),
        ("DNS:" + ".".join(["a" * 49] * 6), "DNS name"),
        ("DNS:bücher.example", "xn--"),
        ("DNS:*", "wildcard"),
        ("DNS:*.com", "wildcard"),
        ("DNS:ci.*.example.com", "wildcard"),
        ("DNS:ci*.example.com", "wildcard"),
        ("DNS:*.*.example.com", "wildcard"),
    ],
)
def test_names_that_no_client_can_match_are_rejected(text, complaint):
    with pytest.raises(InvalidInput) as caught:
        parse_san(text)
    assert complaint in str(caught.value)
    assert repr(text) in str(caught.value)


def test_names_come_before_addresses_and_addresses_by_value():
    texts = ["DNS:a", "DNS:b", "IP:10.0.0.9", "IP:10.0.0.10", "IP:::1", "IP:fd00::2"]
    assert [str(name) for name in sorted(parse_san(text) for text in reversed(texts))] == texts


def test_other_kinds_of_names_can_be_sorted():
    foreign = SubjectAlternativeName("URI", "http://host")
    assert sorted([foreign, parse_san("IP:10.0.0.1")])[-1] == foreign


LABEL = st.from_regex(r"[a-z]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)


@given(st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)))
def test_every_notation_of_an_address_is_the_same_name(address):
    if address.is_unspecified or address.is_multicast or getattr(address, "ipv4_mapped", None):
        return
    name = parse_san(f"IP:{address}")
    assert parse_san(f"IP:{address.exploded.upper()}") == name
    assert ipaddress.ip_address(name.value) == address


@given(st.lists(LABEL, min_size=1, max_size=6).map(".".join))
def test_the_text_form_can_be_parsed_again(name):
    parsed = parse_san(f"DNS:{name.upper()}")
    assert parsed.value == name
    assert parse_san(str(parsed)) == parsed


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_rejected(text):
    try:
        parsed = parse_san(text)
    except InvalidInput:
        return
    assert parse_san(str(parsed)) == parsed
