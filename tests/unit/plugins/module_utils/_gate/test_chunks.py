# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bodies in chunks are decoded strictly, in pieces of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._gate.chunks import LAST, ChunkReader, encode


def decode(*parts):
    reader = ChunkReader()
    found = b"".join(bytes(piece) for part in parts for piece in reader.feed(part))
    return reader, found


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.binary(max_size=5), st.data())
def test_what_is_encoded_is_decoded_however_it_is_divided(pieces, rest, data):
    text = b"".join(b"".join(encode([piece])) for piece in pieces) + LAST + rest
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text) - len(rest)), max_size=8)))
    parts = [text[i:j] for i, j in zip([0, *cuts], [*cuts, len(text)])]
    reader, found = decode(*parts)
    assert found == b"".join(pieces)
    assert (reader.done, reader.problem, reader.rest) == (True, None, rest)


@given(st.lists(st.binary(max_size=12), max_size=8))
def test_no_bytes_raise(parts):
    reader, found = decode(*parts)
    assert len(found) <= sum(map(len, parts))
    assert not (reader.done and reader.problem)


@given(st.binary(max_size=30), st.integers(0, 30))
def test_the_division_does_not_matter(data, cut):
    once, twice = decode(data), decode(data[:cut], data[cut:])
    assert (once[0].done, once[0].problem) == (twice[0].done, twice[0].problem)
    if once[0].problem is None:
        assert once[1] == twice[1]


@pytest.mark.parametrize(
    "data",
    [
        b"3;name=value\r\nabc\r\n0\r\n\r\n",
        b"3 \r\nabc\r\n0\r\n\r\n",
        b" 3\r\nabc\r\n0\r\n\r\n",
        b"0x3\r\nabc\r\n0\r\n\r\n",
        b"+3\r\nabc\r\n",
        b"-3\r\nabc\r\n",
        b"3\nabc\n0\n\n",
        b"33\nabc\r\n0\r\n\r\n",
        b"3\r\nabcd\r\n0\r\n\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"\r\n",
        b"000000003\r\nabc",
        b"0\r\nTrailer: a\r\n\r\n",
        b"0\r\n\n",
        b"g\r\n",
        b"1" * 11,
    ],
)
def test_what_is_rejected(data):
    reader, _found = decode(data)
    assert not reader.done
    assert reader.problem.status == 400


def test_a_chunk_without_bytes_would_end_the_body():
    assert encode([]) == []
    assert encode([b""]) == []
