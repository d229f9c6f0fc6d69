# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import CLIENT, SERVER
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.host_uri import (
    host_uri,
    hosts_in,
    names_hosts,
    with_host,
    without_host,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.names import (
    SubjectAlternativeName,
    parse_san,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.facts import make_facts
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.test_plan import (
    CLIENT as SPEC,
)

HOSTS = st.text(min_size=1, max_size=50)
OTHER = SubjectAlternativeName("URI", "https://ci1.example.org/")


@pytest.mark.parametrize(
    ("host", "profile", "uri"),
    [
        ("ci1.example.org", SERVER, "wormhole:ci1.example.org"),
        ("ci1.example.org", CLIENT, "wormhole:ci1.example.org/agent"),
        ("CI_1~", SERVER, "wormhole:CI_1~"),
        ("2001:db8::1", CLIENT, "wormhole:2001%3Adb8%3A%3A1/agent"),
        ("//ci1/a b?c#d", CLIENT, "wormhole:%2F%2Fci1%2Fa%20b%3Fc%23d/agent"),
        ("\u00fc\udcff", SERVER, "wormhole:%C3%BC%ED%B3%BF"),
    ],
)
def test_the_uri_names_the_host_and_the_identity(host, profile, uri):
    assert host_uri(host, profile, "agent") == SubjectAlternativeName("URI", uri)


@given(HOSTS, st.sampled_from([CLIENT, SERVER]), HOSTS)
def test_go_can_read_every_uri(host, profile, identity):
    """Go rejects the whole certificate if the host of a URI is odd, so the URI has none."""
    uri = host_uri(host, profile, identity).value
    assert uri.isascii()
    assert urllib.parse.urlsplit(uri).netloc == ""
    assert not uri.startswith("wormhole:/")
    assert not set(uri) & set(" ?#\\\"'<>[]{}|^`")


@given(HOSTS, HOSTS, HOSTS, HOSTS)
def test_no_two_identities_have_one_uri(host, identity, other_host, other_identity):
    ours, theirs = host_uri(host, CLIENT, identity), host_uri(other_host, CLIENT, other_identity)
    assert (ours == theirs) == ((host, identity) == (other_host, other_identity))
    assert host_uri(other_host, SERVER, other_identity) != ours


def test_a_specification_gets_the_host_once_and_keeps_its_other_names():
    names = (OTHER, host_uri("ci2", CLIENT, "jenkins"), parse_san("IP:172.17.0.1"))
    spec = with_host(dataclasses.replace(SPEC, subject_alternative_names=names), "ci1")
    found = [str(name) for name in spec.subject_alternative_names]
    assert found == ["IP:172.17.0.1", "URI:https://ci1.example.org/", "URI:wormhole:ci1/jenkins"]
    assert hosts_in(spec.subject_alternative_names) == (
        SubjectAlternativeName("URI", "wormhole:ci1/jenkins"),
    )
    assert without_host(spec.subject_alternative_names) == (parse_san("IP:172.17.0.1"), OTHER)
    assert with_host(spec, "").subject_alternative_names == (parse_san("IP:172.17.0.1"), OTHER)


def test_another_spelling_of_the_scheme_is_a_host_too():
    assert without_host([SubjectAlternativeName("URI", "WORMHOLE:ci2")]) == ()


@pytest.mark.parametrize(
    ("directory", "limits", "expected"),
    [
        ("/home/ops/.wormhole/ca", {}, True),
        ("", {}, True),
        ("/home/ops/.wormhole/ca/hosts/ci1", {}, False),
        ("/srv/hosts", {}, True),
        ("", {"permitted_names": ("DNS:example.org", "IP:10.0.0.0/8")}, True),
        ("", {"permitted_names": ("URI:example.org",)}, False),
        ("", {"excluded_names": ("URI:.example.org",)}, False),
    ],
)
def test_a_shared_authority_names_hosts_unless_it_limits_uris(directory, limits, expected):
    assert names_hosts(directory, [make_facts(**limits)]) is expected
    assert names_hosts(directory, [make_facts(), make_facts(**limits)]) is expected


def test_an_authority_that_does_not_exist_yet_names_hosts_if_it_will():
    assert names_hosts("/ca", [None])
    assert not names_hosts("/ca/hosts/ci1", [None])
