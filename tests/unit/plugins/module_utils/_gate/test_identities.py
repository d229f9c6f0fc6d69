# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of policies, and who has access by them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._gate.identities import (
    Identity,
    Peer,
    Rejection,
    identity_of_listener,
    is_identity,
    parse_identity,
    parse_registry,
    render_identity,
)

PRINT, OTHER_PRINT = "1" * 64, "2" * 64


def content(name="ci", *prints, **more):
    return render_identity({"identity": name, "preset": "observe", **more}, prints).encode()


def test_a_file():
    found = parse_identity("ci", content("ci", PRINT, mode="warn"))
    assert (found.name, found.policy.preset, found.policy.mode) == ("ci", "observe", "warn")
    assert found.certificates == {PRINT}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{}",
        b"[" * 100000,
        json.dumps({"policy": {"identity": "ci", "preset": "observe"}, "more": 1}).encode(),
        json.dumps({"policy": {"identity": "ci", "preset": "nothing"}}).encode(),
        json.dumps({"policy": {"identity": "other", "preset": "observe"}}).encode(),
        json.dumps({"policy": {"identity": "ci", "preset": "observe"}, "certificates": PRINT}).encode(),
        json.dumps(
            {"policy": {"identity": "ci", "preset": "observe"}, "certificates": [PRINT.upper() + "A"]}
        ).encode(),
        json.dumps({"policy": {"identity": "ci", "preset": "observe"}, "certificates": [5]}).encode(),
        b'{"policy": {"identity": "ci", "preset": "observe", "preset": "unrestricted"}}',
        "permission denied",
    ],
)
def test_what_closes_an_identity(text):
    with pytest.raises(InvalidInput):
        parse_identity("ci", text)
    registry = parse_registry({"ci": text, "other": content("other")})
    assert set(registry.problems) == {"ci"}
    assert isinstance(registry.admit(Peer("ci"), 0), Rejection)
    assert isinstance(registry.admit(Peer("other"), 0), Identity)


@given(st.binary(max_size=100))
def test_no_bytes_raise(data):
    assert set(parse_registry({"ci": data}).problems) == {"ci"}


@pytest.mark.parametrize(
    "peer, code",
    [
        (Peer("ci"), None),
        (Peer("ci", fingerprint=PRINT, expires=100), None),
        (Peer("ci", fingerprint=PRINT, expires=9), "certificate_expired"),
        (Peer("ci", fingerprint=OTHER_PRINT, expires=100), "certificate"),
        (Peer("", fingerprint=OTHER_PRINT, expires=100), "certificate"),
        (Peer("other"), "no_policy"),
        (Peer("other", fingerprint=PRINT, expires=100), "no_policy"),
    ],
)
def test_who_has_access(peer, code):
    found = parse_registry({"ci": content("ci", PRINT)}).admit(peer, 10)
    assert (found.code if isinstance(found, Rejection) else None) == code


def test_a_certificate_of_two_identities_is_that_of_none():
    registry = parse_registry(
        {"a": content("a", PRINT), "b": content("b", PRINT, OTHER_PRINT), "c": content("c")}
    )
    assert set(registry.problems) == {"a", "b"}
    assert PRINT not in registry.by_fingerprint
    assert set(registry.identities) == {"c"}


@pytest.mark.parametrize(
    "name, path, identity",
    [
        ("unix.ci", "/run/wormhole/gate/ci/docker.sock", "ci"),
        ("unix.ci", "/run/wormhole/gate/other/docker.sock", None),
        ("unix.ci", "/run/wormhole/gate/ci/other.sock", None),
        ("unix.", "/run/wormhole/gate//docker.sock", None),
        ("unix...", "/run/wormhole/gate/../docker.sock", None),
        ("unix", "/run/wormhole/gate/ci/docker.sock", None),
        ("tls", "/run/wormhole/gate/tls/docker.sock", None),
        ("unix.ci", "", None),
    ],
)
def test_the_identity_of_a_socket(name, path, identity):
    assert identity_of_listener(name, path) == identity


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", ".ci", "-ci", "ci\n", "a" * 129, "\xe4"])
def test_names_that_are_none(name):
    assert not is_identity(name)
