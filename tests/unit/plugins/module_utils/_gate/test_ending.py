# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the program answers about siblings that are removed, and what modules report of it."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.ending import (
    KEPT,
    REMOVED,
    STOPPED,
    Ending,
    describe_endings,
    name_endings,
    parse_endings,
)

WEB = Ending("ci", "container", "a" * 64, "web", REMOVED)
DB = Ending("ci", "container", "b" * 64, "db", STOPPED, "cleanup: stop")
DATA = Ending("ci", "volume", "data", "data", KEPT, "cleanup: none")


def test_the_answer_of_the_program_is_read():
    assert parse_endings([ending._asdict() for ending in (WEB, DB, DATA)]) == (WEB, DB, DATA)
    assert parse_endings([]) == ()


@pytest.mark.parametrize("rows", [None, {}, "x", [1], [{}], [{**WEB._asdict(), "name": 1}]])
def test_anything_else_is_no_answer(rows):
    with pytest.raises(ValueError, match="not an answer"):
        parse_endings(rows)


def test_what_was_only_stopped_is_kept():
    found = describe_endings([WEB, DB, DATA])
    assert found["siblings_removed"] == [
        {"identity": "ci", "kind": "container", "id": "a" * 64, "name": "web"}
    ]
    assert [(row["name"], row["action"]) for row in found["siblings_kept"]] == [
        ("db", STOPPED),
        ("data", KEPT),
    ]
    assert name_endings([WEB, DB, DATA], KEPT) == "volume data"
