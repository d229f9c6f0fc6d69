# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What wormholes have created, from the engine's lists."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.reaping import Memory, Removed
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.siblings import siblings_of

MINE = {"wormhole.docker.owner": "ci"}
REMOVED = Removed("", "volume", "v", "v", "removed", 1)


def test_only_what_has_the_label_counts():
    rows = [
        {"Id": "1", "Names": ["/b"], "State": "running", "Created": 1796119200, "Labels": MINE},
        {"Id": "2", "Names": ["/a"], "State": "exited", "Labels": MINE},
        {"Id": "3", "Names": ["/c"], "State": "running", "Labels": {"wormhole.docker.owner": "other"}},
        {"Id": "4", "Names": ["/d"], "State": "running", "Labels": None},
    ]
    found = siblings_of("ci", rows, rows[:1], Memory())
    assert found["siblings"] == [
        {"name": "a", "id": "2", "state": "exited", "created": ""},
        {"name": "b", "id": "1", "state": "running", "created": "2026-12-01T10:00:00Z"},
    ]
    assert found["siblings_used"] == {"containers": 2, "running": 1, "networks": 1}


def test_nobody_owns_what_has_an_empty_label():
    row = {"Id": "1", "Names": ["/b"], "Labels": {"wormhole.docker.owner": ""}}
    found = siblings_of("", [row], [row], Memory(removed=(REMOVED,)))
    assert found["siblings"] == found["siblings_removed"] == []
    assert found["siblings_used"] == {"containers": 0, "running": 0, "networks": 0}


@pytest.mark.parametrize("created", [None, "x", -1, 10**20])
def test_a_time_that_is_none_is_left_empty(created):
    row = {"Id": "1", "Names": [], "Labels": MINE, "Created": created}
    assert siblings_of("ci", [row], [], Memory())["siblings"] == [
        {"name": "", "id": "1", "state": "", "created": ""}
    ]
