# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Requests and answers of the control socket."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._gate.control import (
    COMMANDS,
    Request,
    parse_answer,
    parse_request,
    render_answer,
    render_request,
)

REQUESTS = st.builds(
    Request, st.sampled_from(COMMANDS), st.text(max_size=20), st.lists(st.text(max_size=9)).map(tuple)
)


@given(REQUESTS)
def test_a_request_is_parsed_as_it_was_rendered(request_):
    assert parse_request(render_request(request_)) == request_


@given(st.text(max_size=100))
def test_an_answer_is_parsed_as_it_was_rendered(problem):
    assert parse_answer(render_answer(problem)) == problem


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        json.dumps({"command": "stop", "door": "", "names": []}).encode(),
        json.dumps({"command": "add", "door": 1, "names": []}).encode(),
        json.dumps({"command": "add", "door": "", "names": [1]}).encode(),
        json.dumps({"command": "add", "door": "", "names": "tls"}).encode(),
        json.dumps({"command": "add", "door": ""}).encode(),
    ],
)
def test_what_is_no_request(content):
    assert parse_request(content) is None


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"problem": 1}'])
def test_what_is_no_answer(content):
    with pytest.raises(ValueError, match="Expecting|not an answer"):
        parse_answer(content)
