# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.identities import identities_of


def identity(name, owner="0", directory=None):
    return {
        "name": name,
        "profile": "client",
        "directory": directory or f"/etc/wormhole/identities/{name}",
        "owner": owner,
        "group": "0",
    }


@pytest.mark.parametrize(
    "wormhole, expected",
    [
        ({"name": "ci"}, [identity("ci")]),
        ({"name": "ci", "transport": "unix"}, []),
        ({"name": "ci", "state": "absent"}, []),
        ({"name": "ci", "state": "stopped"}, [identity("ci")]),
        ({"name": "ci", "user": "1234:1234"}, [identity("ci", "1234")]),
        ({"name": "ci", "user": 1234}, [identity("ci", "1234")]),
        ({"name": "ci", "user": "jenkins"}, [identity("ci", "0")]),
        ({"name": "ci", "user": "jenkins", "identity_owner": 1000}, [identity("ci", "1000")]),
        ({"name": "ci", "identity": "team"}, [identity("team")]),
        ({"name": "ci", "identity_directory": "/srv/ci"}, [identity("ci", directory="/srv/ci")]),
    ],
)
def test_identity_of_one_wormhole(wormhole, expected):
    assert identities_of([wormhole]) == expected


def test_a_shared_identity_is_issued_once():
    assert identities_of([{"name": "a", "identity": "team"}, {"name": "b", "identity": "team"}]) == [
        identity("team")
    ]


@pytest.mark.parametrize(
    "wormholes, message",
    [
        ([{"image": "x"}], "expected a name"),
        (
            [{"name": "a", "identity": "t", "user": "1"}, {"name": "b", "identity": "t", "user": "2"}],
            "identity t",
        ),
    ],
)
def test_contradictions_are_refused(wormholes, message):
    with pytest.raises(InvalidInput, match=message):
        identities_of(wormholes)
