# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.scope import (
    SCOPES,
    authority_directory,
    authority_name,
    file_name,
)

BASE = "~/.wormhole/ca"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("ci1", "ci1"),
        ("ci-1.example.org", "ci-1.example.org"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "2001%3Adb8%3A%3A1"),
        ("CI1", "%43%491"),
        ("..", "%2E."),
        (".hidden", "%2Ehidden"),
        ("a/b", "a%2Fb"),
        ("a b", "a%20b"),
        ("%41", "%2541"),
        ("\udcff", "%ED%B3%BF"),
    ],
)
def test_a_host_has_a_directory_of_its_own(host, name):
    assert authority_directory(BASE, host, "host") == f"{BASE}/hosts/{name}"
    assert authority_directory(BASE, host, "fleet") == BASE


NAMES = st.text(min_size=1, max_size=300)


@given(NAMES, NAMES)
def test_no_two_hosts_share_a_directory(one, other):
    names = {file_name(one).lower(), file_name(other).lower()}
    assert len(names) == len({one, other})
    for name in names:
        assert posixpath.basename(posixpath.normpath(f"/hosts/{name}")) == name
        assert len(name) <= 255
        assert not name.startswith(".")


def test_long_names_that_differ_at_their_end_differ():
    one, other = "a" * 300, "a" * 299 + "b"
    assert len({file_name(one), file_name(other), file_name("a" * 200)}) == 3


@pytest.mark.parametrize(
    ("host", "scope", "subject"),
    [("ci1", "fleets", "certificate_authority_scope"), ("", "host", "inventory_hostname")],
)
def test_what_is_malformed_is_rejected(host, scope, subject):
    with pytest.raises(InvalidInput, match=subject):
        authority_directory(BASE, host, scope)
    assert set(SCOPES) == {"host", "fleet"}


@pytest.mark.parametrize(
    ("host", "scope", "name"),
    [
        ("ci1", "host", "wormhole CA ci1"),
        ("ci1", "fleet", "wormhole CA"),
        ("a" * 80, "host", "wormhole CA " + "a" * 52),
        ("a" * 51 + " b", "host", "wormhole CA " + "a" * 51),
    ],
)
def test_a_host_has_an_authority_of_its_own_name(host, scope, name):
    assert authority_name("wormhole CA", host, scope) == name
    with pytest.raises(InvalidInput, match="certificate_authority_scope"):
        authority_name("wormhole CA", host, "all")
