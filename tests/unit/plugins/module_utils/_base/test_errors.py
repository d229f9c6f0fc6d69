# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an error reads, and what of it is data."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    CommandFailed,
    InvalidInput,
    WormholeError,
)


@pytest.mark.parametrize(
    "facts, text",
    [
        ({}, "port"),
        ({"expected": "a number"}, "port: expected a number"),
        ({"found": "x"}, "port: found x"),
        ({"expected": "a number", "found": "x"}, "port: expected a number, found x"),
        ({"found": "x", "remedy": "Set it"}, "port: found x. Set it"),
        ({"problem": "port is no number", "remedy": "Set it"}, "port is no number. Set it"),
        ({"problem": "port is no number", "expected": "a number", "found": "x"}, "port is no number"),
    ],
)
def test_a_message_says_what_is_wrong_and_what_to_do(facts, text):
    assert str(WormholeError("port", **facts)) == text


def test_facts_stay_data_where_the_sentence_is_written_by_hand():
    error = InvalidInput("port", expected="a number", found="x", remedy="Set it", problem="port is no number")
    assert error.as_dict() == {
        "kind": "InvalidInput",
        "subject": "port",
        "expected": "a number",
        "found": "x",
        "remedy": "Set it",
    }


@pytest.mark.parametrize(
    "facts, text",
    [
        ({"expected": "a number", "found": "x"}, "/a: port: expected a number, found x"),
        ({"problem": "port is no number", "remedy": "Set it"}, "/a: port is no number. Set it"),
    ],
)
def test_a_place_is_named_before_the_object_and_all_else_is_kept(facts, text):
    error = InvalidInput("port", **facts)
    before = error.as_dict()
    error.put_in("/a")
    assert str(error) == text
    assert error.as_dict() == {**before, "subject": "/a: port"}


def test_a_command_that_failed_is_quoted_from_its_end():
    error = CommandFailed("container job", status=3, output="x" * 2000 + "the last line\n")
    assert str(error).startswith("The container job ended with exit code 3; its output ends with: x")
    assert str(error).endswith("the last line")
    assert len(str(error)) < 1200
    assert error.facts()["output"].startswith("xxx")
