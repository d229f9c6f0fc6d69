# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answers of the gate, and lines of its log."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._gate.audit import Record, render_record
from ansible_collections.wormhole.docker.plugins.module_utils._gate.head import (
    CHUNKED,
    UNTIL_CLOSE,
    parse_response,
)
from ansible_collections.wormhole.docker.plugins.module_utils._gate.message import (
    passed_on,
    relayed,
    render_error,
    render_head,
)


def test_an_error_is_one_of_docker():
    text = render_error(403, "No.", keep=True)
    head, _empty, body = text.partition(b"\r\n\r\n")
    found = parse_response(head + b"\r\n\r\n", "GET")
    assert (found.status, found.length, found.keep) == (403, len(body), True)
    assert json.loads(body) == {"message": "No."}


def test_an_error_to_head_has_no_body():
    assert render_error(403, "No.", keep=False, body=False).endswith(b"Connection: close\r\n\r\n")


def test_heads():
    headers = [("content-type", "text/plain")]
    assert parse_response(render_head(200, headers, CHUNKED, keep=True), "GET").length == CHUNKED
    assert parse_response(render_head(200, headers, UNTIL_CLOSE, keep=False), "GET").length == UNTIL_CLOSE
    assert b"Content-Length" not in render_head(204, headers, 0, keep=True, framed=False)
    found = parse_response(render_head(101, headers, UNTIL_CLOSE, keep=True, upgrade="tcp"), "POST")
    assert (found.hijacked, found.headers["upgrade"]) == (True, "tcp")


def test_headers_that_clients_do_not_need_are_not_passed_on():
    assert passed_on({"server": "Docker", "x-secret": "a", "transfer-encoding": "chunked"}) == [
        ("server", "Docker")
    ]


def test_headers_of_the_connection_are_not_relayed():
    headers = {
        "connection": "close, X-Hop",
        "x-hop": "1",
        "host": "a",
        "content-length": "5",
        "x-registry-auth": "e30=",
    }
    assert relayed(headers, {}) == (("X-Registry-Auth", "e30="),)
    assert relayed({"a": "1, 2"}, {"a": ("1", "2")}) == (("A", "1"), ("A", "2"))


@given(
    st.builds(
        Record, *[st.text(max_size=20)] * 9, st.integers(0), st.integers(0), st.integers(0, 999), st.text()
    ),
    st.integers(0, 9),
)
def test_a_record_is_one_line_of_json(record, lost):
    line = render_record(record, 1.5, lost)
    assert line.count(b"\n") == 1
    found = json.loads(line)
    assert found["time"] == 1.5
    assert (found["identity"], found["route"], found["status"]) == (
        record.identity,
        record.route,
        record.status,
    )
    assert found.get("lost", 0) == lost
    assert found.get("detail", "") == record.detail[:300]
