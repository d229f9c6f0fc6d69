# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Divide a stream of JSON documents into lines, of which the policy decides one by one.

dockerd writes one document a line (json.Encoder of Go ends each with a newline).
"""

from __future__ import annotations

from typing import Callable, Optional

from .chunks import LAST, Piece, encode
from .flow import Body
from .head import Malformed


class FilteredBody:
    """A body of lines, each of which is replaced or left out.

    Args:
        length: framing of the source, as for Body.
        chunked: whether it is written in chunks.
        treat: returns what the client gets of a line without its end; nothing leaves it out.
        longest: bytes of the longest line.
    """

    def __init__(self, length: int, chunked: bool, treat: Callable[[bytes], bytes], longest: int) -> None:
        self._body = Body(length, chunked=False)
        self.done = self._body.done
        self.problem: Optional[Malformed] = None
        self.rest = b""
        self._chunked = chunked
        self._treat = treat
        self._longest = longest
        self._line = b""

    def feed(self, data: bytes) -> list[Piece]:
        """Returns what the client gets of the lines that are complete."""
        text = self._line + b"".join(self._body.feed(data))
        self.problem = self._body.problem
        lines = text.split(b"\n")
        self._line = lines.pop()
        if len(self._line) > self._longest:
            self.problem = Malformed(400, "line_too_long", "The engine sent a line that is too long.")
            return []
        return self._framed(lines, self._body.done)

    def end(self) -> list[Piece]:
        """Ends the body if its source may end so."""
        self._body.end()
        self.problem = self._body.problem
        return self._framed([], True) if self.problem is None else []

    def _framed(self, lines: list[bytes], done: bool) -> list[Piece]:
        if done:
            lines, self._line = [*lines, self._line], b""
            self.done, self.rest = True, self._body.rest
        treated = [self._treat(line) for line in lines if line.strip()]
        text = b"".join(line + b"\n" for line in treated if line)
        pieces: list[Piece] = [text] if text else []
        if not self._chunked:
            return pieces
        return [*encode(pieces), LAST] if done else encode(pieces)
