# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One direction of a transfer, as a transformation of bytes.

A flow takes what was read on one side, and returns what is to be written on the other.
"""

from __future__ import annotations

from typing import Optional, Protocol

from .chunks import LAST, ChunkReader, Piece, encode
from .head import CHUNKED, UNTIL_CLOSE, Malformed


class Flow(Protocol):
    """What a pump needs of a direction.

    Attributes:
        done: whether nothing more is to be read.
        problem: why the transfer has to end.
        rest: what was read beyond the end.
    """

    done: bool
    problem: Optional[Malformed]
    rest: bytes

    def feed(self, data: bytes) -> list[Piece]:
        """Transforms the next bytes."""

    def end(self) -> list[Piece]:
        """Takes note that the source has ended; returns what is still to be written."""


class Copy:
    """Bytes as they come, until the source ends."""

    def __init__(self) -> None:
        self.done = False
        self.problem: Optional[Malformed] = None
        self.rest = b""

    def feed(self, data: bytes) -> list[Piece]:
        """Returns the bytes."""
        return [data]

    def end(self) -> list[Piece]:
        """Is done."""
        self.done = True
        return []


class Body:
    """A body of one framing, which is framed anew.

    Args:
        length: of the source: bytes, CHUNKED or UNTIL_CLOSE.
        chunked: whether it is written in chunks.
    """

    def __init__(self, length: int, chunked: bool) -> None:
        self.problem: Optional[Malformed] = None
        self.rest = b""
        self.done = length == 0
        self._left = length
        self._chunked = chunked
        self._reader = ChunkReader() if length == CHUNKED else None

    def feed(self, data: bytes) -> list[Piece]:
        """Returns the next bytes of the body, framed."""
        pieces: list[Piece]
        if self._reader is not None:
            pieces = self._reader.feed(data)
            self.done, self.problem, self.rest = self._reader.done, self._reader.problem, self._reader.rest
        elif self._left == UNTIL_CLOSE:
            pieces = [data]
        else:
            pieces = [data if len(data) <= self._left else memoryview(data)[: self._left]]
            self.rest = data[self._left :]
            self._left -= len(pieces[0])
            self.done = not self._left
        if not self._chunked:
            return pieces
        return [*encode(pieces), LAST] if self.done else encode(pieces)

    def end(self) -> list[Piece]:
        """Ends a body that ends with its connection. Any other is incomplete, and stays so."""
        if self.done:
            return []
        self.done = True
        if self._left != UNTIL_CLOSE:
            self.problem = Malformed(400, "incomplete", "The body ended before its time.")
            return []
        return [LAST] if self._chunked else []
