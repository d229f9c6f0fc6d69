# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bodies are framed anew, and lines of a stream are filtered."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._gate.chunks import LAST, ChunkReader, encode
from ansible_collections.wormhole.docker.plugins.module_utils._gate.flow import Body, Copy
from ansible_collections.wormhole.docker.plugins.module_utils._gate.head import CHUNKED, UNTIL_CLOSE
from ansible_collections.wormhole.docker.plugins.module_utils._gate.lines import FilteredBody


def chunked(*pieces):
    return b"".join(b"".join(encode([piece])) for piece in pieces) + LAST


def run(flow, *parts, end=False):
    found = b"".join(bytes(piece) for part in parts for piece in flow.feed(part))
    return found + b"".join(bytes(piece) for piece in (flow.end() if end else []))


def plain(text):
    reader = ChunkReader()
    found = b"".join(bytes(piece) for piece in reader.feed(text))
    assert reader.done
    return found


@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1"])
@pytest.mark.parametrize("to_chunks", [False, True])
@pytest.mark.parametrize("length, text", [(6, b"abcdef"), (CHUNKED, chunked(b"abc", b"def"))])
def test_a_body_ends_where_its_frame_does(length, text, to_chunks, rest):
    flow = Body(length, chunked=to_chunks)
    found = run(flow, text + rest)
    assert (plain(found) if to_chunks else found) == b"abcdef"
    assert (flow.done, flow.rest, flow.problem) == (True, rest, None)
    assert flow.end() == []


@pytest.mark.parametrize("to_chunks", [False, True])
def test_a_body_that_ends_with_its_connection(to_chunks):
    flow = Body(UNTIL_CLOSE, chunked=to_chunks)
    found = run(flow, b"abc", b"def", end=True)
    assert (plain(found) if to_chunks else found) == b"abcdef"
    assert flow.problem is None


@pytest.mark.parametrize("length", [7, CHUNKED])
def test_an_incomplete_body_is_never_completed(length):
    flow = Body(length, chunked=True)
    found = run(flow, b"3\r\nabc", end=True)
    assert flow.problem.code == "incomplete"
    assert LAST not in found


def test_a_body_of_nothing_is_complete():
    assert Body(0, chunked=False).done


def test_a_stream_is_copied_until_its_end():
    flow = Copy()
    assert run(flow, b"\r\n\r\n", b"\x00") == b"\r\n\r\n\x00"
    assert not flow.done
    flow.end()
    assert flow.done


def odd(line):
    return line if json.loads(line)["n"] % 2 else b""


@given(st.lists(st.integers(0, 9), max_size=8), st.data())
def test_lines_are_filtered_however_they_are_divided(numbers, data):
    text = b"".join(json.dumps({"n": n}).encode() + b"\n" for n in numbers)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    parts = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)]) if text[i:j]]
    flow = FilteredBody(CHUNKED, True, odd, 100)
    found = plain(run(flow, chunked(*parts) + b"rest"))
    assert [json.loads(line)["n"] for line in found.splitlines()] == [n for n in numbers if n % 2]
    assert (flow.done, flow.rest) == (True, b"rest")


def test_an_event_is_passed_on_at_once():
    flow = FilteredBody(CHUNKED, True, odd, 100)
    assert b"".join(map(bytes, flow.feed(b"".join(encode([b'{"n": 1}\n{"n": ']))))) == b'9\r\n{"n": 1}\n\r\n'


def test_an_event_without_an_end_of_line_is_decided_too():
    flow = FilteredBody(CHUNKED, False, odd, 100)
    assert run(flow, chunked(b'{"n": 2}\n{"n": 2}')) == b""
    assert flow.done


def test_a_line_that_does_not_end_does_not_fill_the_memory():
    flow = FilteredBody(UNTIL_CLOSE, True, odd, 100)
    assert run(flow, b"x" * 60, b"x" * 60) == b""
    assert flow.problem.code == "line_too_long"


def test_a_stream_that_breaks_off_is_not_completed():
    flow = FilteredBody(CHUNKED, True, odd, 100)
    assert LAST not in run(flow, b"".join(encode([b'{"n": 1}\n'])), end=True)
    assert flow.problem.code == "incomplete"
