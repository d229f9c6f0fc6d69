# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mode ``learn`` ends by itself, and only a time with its zone says when."""

from __future__ import annotations

from datetime import datetime

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy_file import parse_policy
from ansible_collections.wormhole.docker.plugins.module_utils._policy.until import parse_until, render_time

EVENING = 1798131600
"""The time of the cases, in seconds since the epoch."""


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-24T18:00:00+01:00",
        "2026-12-24T17:00:00Z",
        "2026-12-24T17:00Z",
        "2026-12-24 17:00:00+00:00",
        "2026-12-24t17:00:00.5z",
        "2026-12-24T12:00:00-05:00",
    ],
)
def test_a_time_with_its_zone(text):
    assert parse_until(text, "x") == EVENING
    assert render_time(EVENING) == "2026-12-24T17:00:00Z"


def test_ansible_writes_a_time_of_yaml_as_text():
    assert parse_until(str(datetime.fromisoformat("2026-12-24T18:00:00+01:00")), "x") == EVENING


@pytest.mark.parametrize(
    "value",
    [
        None, True, 1798131600, "", "tomorrow", "2026-12-24", "2026-12-24T18:00:00", "2026-13-24T18:00:00Z",
        "2026-12-24T25:00:00Z", "2026-12-24T18:00:00+25:00", "2026-12-24T18:00:00Z\n", ["2026-12-24T18:00:00Z"],
        "0000-12-24T18:00:00Z",
    ],
)  # fmt: skip
def test_anything_else_is_rejected(value):
    with pytest.raises(InvalidInput, match="with its zone"):
        parse_until(value, "policy_until")


def policy(**more):
    return parse_policy({"identity": "ci", "preset": "test", "mode": "learn", **more})


def test_learning_ends_at_its_time():
    found = policy(until="2026-12-24T18:00:00+01:00")
    assert found.until == EVENING
    assert found.at(EVENING - 1) is found
    assert [found.at(EVENING + seconds).mode for seconds in (0, 1, 10**9)] == ["warn"] * 3
    assert found.at(EVENING).version == found.version
    assert policy().at(10**11).mode == "learn"


@pytest.mark.parametrize("mode", ["warn", "enforce"])
def test_no_other_mode_changes(mode):
    found = policy(mode=mode, until="2026-12-24T18:00:00Z")
    assert found.at(0).mode == found.at(10**11).mode == mode


def test_a_policy_with_another_end_is_another_version():
    first = policy(until="2026-12-24T18:00:00+01:00")
    assert policy(until="2026-12-24T17:00:00Z").version == first.version
    assert len({first.version, policy().version, policy(until="2026-12-24T18:00:00Z").version}) == 3


def test_a_malformed_end_is_no_policy():
    with pytest.raises(InvalidInput, match="policy_until"):
        policy(until="tomorrow")
