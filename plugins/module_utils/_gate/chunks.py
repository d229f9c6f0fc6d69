# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The chunked transfer coding, decoded strictly and encoded anew.

Extensions and trailers are rejected: the gate would have to pass on what it does not understand.

Source: RFC 9112, section 7.1.
"""

from __future__ import annotations

import re
from typing import Optional, Union

from . import limits
from .head import Malformed

LAST = b"0\r\n\r\n"
_EXTENSION = "A chunk does not begin with its size alone. Chunk extensions are rejected."
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}")

Piece = Union[bytes, memoryview]


class ChunkReader:
    """Decodes a body that arrives in pieces of any size. Keeps at most one line.

    Attributes:
        done: whether the body is complete.
        rest: the bytes after the body, which belong to the next message.
        problem: why the body is not a chunked one; nothing is decoded any more.
    """

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self.problem: Optional[Malformed] = None
        self._left = 0
        self._line = b""
        self._state = "size"

    def feed(self, data: bytes) -> list[Piece]:
        """Decodes the next bytes; returns what they contain of the body, without a copy."""
        found: list[Piece] = []
        view = memoryview(data)
        position = 0
        while position < len(data) and not self.done and self.problem is None:
            if self._state == "data":
                piece = view[position : position + self._left]
                found.append(piece)
                position += len(piece)
                self._left -= len(piece)
                self._state = "data" if self._left else "end"
            else:
                position = self._read_line(data, position)
        if self.done:
            self.rest = data[position:]
        return found

    def _read_line(self, data: bytes, position: int) -> int:
        """Reads on to the end of a line, which may have begun in an earlier piece; returns the position."""
        stop = position + limits.SIZE_LINE_BYTES - len(self._line)
        end = data.find(b"\n", position, stop)
        if end < 0:
            self._line += data[position:stop]
            if len(self._line) >= limits.SIZE_LINE_BYTES:
                self._fail(_EXTENSION)
            return min(stop, len(data))
        line, self._line = self._line + data[position : end + 1], b""
        self._end_line(line)
        return end + 1

    def _end_line(self, line: bytes) -> None:
        if not line.endswith(b"\r\n"):
            self._fail("A line of a chunked body does not end with CRLF.")
        elif self._state == "size":
            if not _SIZE.fullmatch(line[:-2]):
                self._fail(_EXTENSION)
                return
            self._left = int(line[:-2], 16)
            self._state = "data" if self._left else "last"
        elif line != b"\r\n":
            self._fail(
                "A chunk does not end where its size says, or the body has trailers, which are rejected."
            )
        elif self._state == "last":
            self.done = True
        else:
            self._state = "size"

    def _fail(self, sentence: str) -> None:
        self.problem = Malformed(400, "chunk", sentence)


def encode(pieces: list[Piece]) -> list[Piece]:
    """One chunk with these pieces, for one vectored write; nothing if they are empty."""
    size = sum(map(len, pieces))
    return [b"%x\r\n" % size, *pieces, b"\r\n"] if size else []
