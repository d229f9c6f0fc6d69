# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import ipaddress
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.names import (
    SubjectAlternativeName,
    check_reported_names,
    is_local,
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


# --- names that a host reports ---------------------------------------------------------------------

LOCAL = [
    *("IP:10.0.0.0", "IP:10.255.255.255", "IP:172.16.0.1", "IP:172.31.255.255", "IP:192.168.0.1"),
    *("IP:127.0.0.1", "IP:127.255.255.255", "IP:::1"),
    *("IP:169.254.0.1", "IP:fe80::1", "IP:febf::1", "IP:fc00::1", "IP:fdff::1"),
    *("DNS:localhost", "DNS:LOCALHOST", "DNS:host.docker.internal"),
]
NOT_LOCAL = [
    *("IP:9.255.255.255", "IP:11.0.0.0", "IP:172.15.255.255", "IP:172.32.0.0", "IP:192.167.255.255"),
    *("IP:192.169.0.0", "IP:126.255.255.255", "IP:128.0.0.1", "IP:169.253.255.255", "IP:169.255.0.0"),
    # Shared (RFC 6598), benchmarks (RFC 2544) and documentation (RFC 5737, RFC 3849)
    *("IP:100.64.0.1", "IP:198.18.0.1", "IP:192.0.2.1", "IP:203.0.113.1", "IP:2001:db8::1"),
    *("IP:8.8.8.8", "IP:2606:4700::1111", "IP:::2", "IP:fec0::1", "IP:fe7f::1", "IP:fbff::1"),
    # An IPv4 address in another form
    *("IP:64:ff9b::a00:1", "IP:2002:a00:1::1", "IP:::10.0.0.1"),
    *("DNS:ci2", "DNS:ci2.example", "DNS:localhost.example", "DNS:*.docker.internal", "DNS:docker.internal"),
]


@pytest.mark.parametrize("text", LOCAL)
def test_a_host_may_report_local_names(text):
    assert is_local(parse_san(text))
    check_reported_names([{"name": text}], ())


@pytest.mark.parametrize("text", NOT_LOCAL)
def test_a_host_may_report_other_names_only_if_the_task_names_them(text):
    assert not is_local(parse_san(text))
    name = str(parse_san(text))
    with pytest.raises(Refused, match=re.escape(f"loopback: {name} (gateway of network ci)")) as refused:
        check_reported_names([{"name": text, "origin": "gateway of network ci"}, {"name": LOCAL[0]}], LOCAL)
    assert f"add {name} to listener_subject_alternative_names" in str(refused.value)
    # In any form, and beside options that are malformed
    check_reported_names([{"name": text}], ["IP:gateways", f"{text[:3]} {text[3:]}", name])


def test_reported_names_have_to_be_names():
    for text in ("IP:10.0.0.1/8", "URI:wormhole://ci2", "IP:::ffff:10.0.0.1", "DNS:10.0.0.1", "10.0.0.1"):
        with pytest.raises(InvalidInput):
            check_reported_names([{"name": text}], [text])


@given(st.ip_addresses())
def test_local_addresses_are_a_part_of_those_that_python_calls_private(address):
    if is_local(SubjectAlternativeName("IP", str(address))):
        assert address.is_private or address.is_link_local or address.is_loopback
