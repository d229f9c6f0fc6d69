# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy between two connections in both directions, in one thread and without waiting in either.

One thread, because a TLS connection must not be read and written at the same time (OpenSSL's
connections are not safe for threads). A direction is read only while nothing of it waits to be
written: that bounds the memory.
"""

from __future__ import annotations

import select
import time
from typing import Optional

from ..chunks import Piece
from ..flow import Flow
from .wire import Ended, TooSlow, Wire

_VECTORS = 64
_SMALL = 4096
_TICK = 2.0
_BROKEN = select.POLLHUP | select.POLLERR | select.POLLNVAL


class Direction:
    """One direction.

    Args:
        source: where to read.
        target: where to write.
        flow: what to do with the bytes.
        half_close: whether the end of the source is passed on.

    Attributes:
        finished: nothing is left to read or to write.
        broken: the target does not take anything any more.
    """

    def __init__(self, source: Wire, target: Wire, flow: Flow, half_close: bool = False) -> None:
        self.source, self.target, self.flow = source, target, flow
        self.broken = False
        self._half_close = half_close
        self._waiting: list[Piece] = []
        self._closed = False

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.broken or (self.flow.done and not self._waiting)

    @property
    def reads(self) -> bool:
        """Whether the next step reads."""
        return not self.finished and not self._waiting

    def put(self, pieces: list[Piece]) -> None:
        """Adds what has to be written first."""
        self._waiting += pieces

    def step(self) -> bool:
        """Reads or writes once; returns whether anything moved."""
        if self.finished:
            return False
        moved = self._read() if not self._waiting else False
        if self._waiting:
            moved = self._write() or moved
        if self.flow.done and not self._waiting and self._half_close and not self._closed and not self.broken:
            self._closed = True
            self.target.half_close()
        return moved

    def give_up(self) -> None:
        """Drops what cannot be written: the target is closed in both directions."""
        self.broken, self._waiting = True, []

    def _read(self) -> bool:
        data = self.source.receive_now()
        if data is None:
            return False
        self._waiting = _joined(self.flow.feed(data) if data else self.flow.end(), self.target)
        if self.flow.done and self.flow.rest:
            self.source.buffer = self.flow.rest + self.source.buffer
        return True

    def _write(self) -> bool:
        try:
            sent = self.target.send_now(self._waiting[:_VECTORS])
        except Ended:
            self.give_up()
            return True
        moved = sent > 0
        while sent:
            first = self._waiting[0]
            if len(first) > sent:
                self._waiting[0] = memoryview(first)[sent:]
                break
            sent -= len(first)
            del self._waiting[0]
        return moved


def _joined(pieces: list[Piece], target: Wire) -> list[Piece]:
    """Pieces for few writes: small ones become one; with TLS all do, because each is a record."""
    if len(pieces) > 1 and (target.secure or sum(map(len, pieces)) <= _SMALL):
        return [b"".join(pieces)]
    return [piece for piece in pieces if len(piece)]


class Pump:
    """Two connections, and one or two directions between them.

    Args:
        directions: what to copy.
        silence: seconds after which a pump that moves nothing ends.
    """

    def __init__(self, directions: tuple[Direction, ...], silence: float) -> None:
        self._directions = directions
        self._silence = silence

    def run(
        self,
        until_readable: Optional[Wire] = None,
        watched: Optional[Wire] = None,
        until: Optional[Direction] = None,
    ) -> None:
        """Copies until all directions are finished, or one has a problem.

        Args:
            until: ends also as soon as this direction is finished.
            until_readable: ends also as soon as this connection has something to read.
            watched: ends also as soon as the other side of this connection has left.

        Raises:
            TooSlow: nothing moved for too long.
            Ended: the watched connection ended.
        """
        last = time.monotonic()
        while not all(direction.finished for direction in self._directions):
            if until is not None and until.finished:
                return
            moved = False
            for direction in self._directions:
                moved = direction.step() or moved
                if direction.flow.problem is not None:
                    return
            if moved:
                last = time.monotonic()
            if until_readable is not None and not until_readable.is_silent():
                return
            if not moved:
                self._wait(until_readable, watched)
                if time.monotonic() - last > self._silence:
                    raise TooSlow

    def _wait(self, until_readable: Optional[Wire], watched: Optional[Wire]) -> None:
        poll = select.poll()
        wanted: dict[int, int] = {}
        for direction in self._directions:
            if direction.finished:
                continue
            if direction.reads:
                _add(wanted, direction.source, select.POLLIN)
            # Registered also without an event: poll(2) reports that it has been closed.
            _add(wanted, direction.target, 0 if direction.reads else select.POLLOUT)
        if until_readable is not None:
            _add(wanted, until_readable, select.POLLIN)
        try:
            for number, events in wanted.items():
                poll.register(number, events)
        except (OSError, ValueError) as error:
            raise Ended from error
        broken = {number for number, events in poll.poll(_TICK * 1000) if events & _BROKEN}
        for direction in self._directions:
            if direction.target.sock.fileno() in broken and not direction.finished:
                direction.give_up()
        if watched is not None and not watched.is_there():
            raise Ended


def _add(wanted: dict[int, int], wire: Wire, events: int) -> None:
    number = wire.sock.fileno()
    wanted[number] = wanted.get(number, 0) | events
