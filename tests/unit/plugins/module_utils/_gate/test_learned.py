# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of an identity is bounded, and survives being written and read."""

from __future__ import annotations

import json

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate import learned
from ansible_collections.wormhole.docker.plugins.module_utils._gate.learned import (
    DAYS,
    Learned,
    Outcome,
    entries_of,
    parse_learned,
)
from ansible_collections.wormhole.docker.plugins.module_utils._policy.learned_call import LearnedCall

ALLOWED, REFUSED = Outcome("allow", "ping", "v1", "learn"), Outcome("deny", "power", "v2", "enforce")
DAY = 86400
NOW = 1_764_590_400


def numbered(number: int, route: str = "container.rename") -> LearnedCall:
    return LearnedCall(route, query={"name": f"name-{number}"})


def test_calls_of_one_kind_are_counted_by_day():
    found = Learned("ci", NOW)
    for time, outcome in ((NOW, ALLOWED), (NOW + 60, ALLOWED), (NOW + DAY, REFUSED)):
        found.note(LearnedCall("ping"), outcome, time)
    (entry,) = entries_of(found)
    assert (entry.first, entry.last, entry.count) == (NOW, NOW + DAY, 3)
    assert entry.outcome == REFUSED, "what happened to the last one"
    assert sorted(entry.days.values()) == [1, 2]
    assert (entry.since(NOW + DAY), entry.since(NOW)) == (1, 3)


def test_days_are_bounded():
    found = Learned("ci", NOW)
    for number in range(DAYS + 9):
        found.note(LearnedCall("ping"), ALLOWED, NOW + number * DAY)
    (entry,) = entries_of(found)
    assert len(entry.days) == DAYS
    assert entry.count == DAYS + 9
    assert entry.since(NOW) == DAYS


def test_a_record_is_the_same_after_it_was_written_and_read():
    found = Learned("ci", NOW)
    found.note(LearnedCall("ping"), ALLOWED, NOW)
    found.note(numbered(1), REFUSED, NOW + 5)
    found.dropped = 7
    again = parse_learned("ci", found.render().encode())
    assert again is not None
    assert (again.entries, again.since, again.dropped) == (found.entries, NOW, 7)
    assert again.render() == found.render()


def test_kinds_of_a_route_are_bounded():
    found = Learned("ci", NOW)
    for number in range(learned.MOST_OF_ROUTE + 5):
        found.note(numbered(number), ALLOWED, NOW)
    assert (len(found.entries), found.dropped) == (learned.MOST_OF_ROUTE, 5)
    found.note(numbered(0), ALLOWED, NOW)
    assert found.dropped == 5, "what is known is counted"
    found.note(LearnedCall("ping"), ALLOWED, NOW)
    assert "ping" in {entry.call.route for entry in found.entries.values()}


def test_what_is_only_refused_cannot_fill_the_record(monkeypatch):
    monkeypatch.setattr(learned, "MOST_OF_ROUTE", 10_000)
    found = Learned("ci", NOW)
    for number in range(learned.MOST + 50):
        found.note(numbered(number), REFUSED, NOW)
    assert len(found.entries) == learned.MOST_REFUSED
    found.note(LearnedCall("ping"), ALLOWED, NOW)
    assert len(found.entries) == learned.MOST_REFUSED + 1


def test_kinds_and_bytes_are_bounded(monkeypatch):
    monkeypatch.setattr(learned, "MOST_OF_ROUTE", 10_000)
    found = Learned("ci", NOW)
    for number in range(learned.MOST + 50):
        found.note(numbered(number), ALLOWED, NOW)
    assert len(found.entries) == learned.MOST
    monkeypatch.setattr(learned, "MOST_BYTES", 200)
    small = Learned("ci", NOW)
    for number in range(50):
        small.note(numbered(number), ALLOWED, NOW)
    assert 0 < len(small.entries) < 6
    assert len(found.render()) < learned.LARGEST


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"{}", b'{"identity": "other", "calls": []}', b"[" * 10_000, b"\xff"],
)
def test_what_is_no_record_is_not_read(content):
    assert parse_learned("ci", content) is None


def test_rows_that_this_version_does_not_know_are_left_out():
    found = Learned("ci", NOW)
    found.note(LearnedCall("ping"), ALLOWED, NOW)
    document = json.loads(found.render())
    row = document["calls"][0]
    document["calls"] += [1, {}, {**row, "call": {"route": "new.route"}}, {**row, "code": 1}]
    again = parse_learned("ci", json.dumps(document).encode())
    assert again is not None
    assert len(again.entries) == 1
