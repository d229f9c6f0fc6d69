# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A connection, to a client or to the engine, with a buffer and a time limit for each wait."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import time
from typing import Callable, Optional, Sequence, Union

from .. import limits
from ..chunks import Piece
from ..head import Malformed, find_end

_TICK = 2.0
"""Seconds after which a wait for the engine looks whether the client is still there."""
_GONE = select.POLLHUP | select.POLLERR | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)

_TIMEVAL = struct.Struct("@ll")

WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Ended(Exception):
    """The other side closed the connection, or broke it."""


class TooSlow(Exception):
    """A wait lasted longer than its limit."""


class Wire:
    """One connection.

    Args:
        sock: a connected socket, which may be one of TLS.

    Attributes:
        sock: the socket, for a pump.
        buffer: bytes that were received, but not used yet.
        secure: whether it is a connection of TLS.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.secure = isinstance(sock, ssl.SSLSocket)
        if not self.secure:
            sock.setblocking(True)
        self._limits: dict[int, float] = {}
        self._ended = False
        self._poll: Optional[select.poll] = None

    def close(self) -> None:
        """Closes the connection."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def shut(self) -> None:
        """Ends the connection from another thread: each wait of its own thread ends."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.sock, socket.SHUT_RDWR)

    def _limit(self, option: int, seconds: float) -> None:
        """Sets the time limit of later reads or writes. It costs a system call if it changes.

        The kernel keeps the limits of plain sockets. Python's would need a poll(2) for each read and
        write. OpenSSL does not report those of the kernel, so TLS needs Python's.
        """
        if self._limits.get(option) == seconds:
            return
        if self.secure:
            self.sock.settimeout(seconds)
            self._limits = {socket.SO_RCVTIMEO: seconds, socket.SO_SNDTIMEO: seconds}
            return
        whole = int(seconds)
        # Zero would be no limit.
        rest = max(int((seconds - whole) * 1e6), 0 if whole else 1)
        self.sock.setsockopt(socket.SOL_SOCKET, option, _TIMEVAL.pack(whole, rest))
        self._limits[option] = seconds

    def connect(self, path: str, seconds: float) -> None:
        """Connects to a unix socket.

        Raises:
            OSError: nobody listens there, or takes the connection in time.
        """
        self._limit(socket.SO_SNDTIMEO, seconds)
        self.sock.connect(path)

    def receive(self, seconds: float) -> bytes:
        """Reads what is there, and waits for the first byte; empty at the end of the stream.

        Raises:
            TooSlow: nothing came in time.
            Ended: the connection broke.
        """
        try:
            self._limit(socket.SO_RCVTIMEO, seconds)
            return self.sock.recv(limits.READ_BYTES)
        except (socket.timeout, BlockingIOError) as error:
            raise TooSlow from error
        except OSError as error:
            raise Ended from error

    def send(self, data: bytes, seconds: float) -> None:
        """Writes all of these bytes.

        Raises:
            TooSlow: the other side does not read.
            Ended: the connection broke.
        """
        try:
            self._limit(socket.SO_SNDTIMEO, seconds)
            self.sock.sendall(data)
        except (socket.timeout, BlockingIOError) as error:
            raise TooSlow from error
        except OSError as error:
            raise Ended from error

    def read_head(self, largest: int, idle_seconds: float, head_seconds: float) -> Union[bytes, Malformed]:
        """Reads up to the empty line of a head. What follows stays in the buffer.

        Raises:
            TooSlow: no byte came within the first time, or no empty line within the second.
            Ended: the connection ended; also between two messages.
        """
        deadline = time.monotonic() + head_seconds if self.buffer else 0.0
        while True:
            end = find_end(self.buffer, largest)
            if isinstance(end, Malformed):
                return end
            if end:
                head, self.buffer = self.buffer[:end], self.buffer[end:]
                return head
            data = self.receive(max(deadline - time.monotonic(), 0.001) if deadline else idle_seconds)
            if not data:
                raise Ended
            deadline = deadline or time.monotonic() + head_seconds
            self.buffer += data

    def read_exactly(self, length: int, seconds: float) -> bytes:
        """Reads this many bytes, with a limit for each read and thirty times as much for all.

        Raises:
            TooSlow: see above.
            Ended: the connection ended before.
        """
        pieces, missing = [self.buffer[:length]], length - len(self.buffer)
        self.buffer = self.buffer[length:]
        deadline = time.monotonic() + 30 * seconds
        while missing > 0:
            data = self.receive(seconds)
            if not data:
                raise Ended
            if time.monotonic() > deadline:
                raise TooSlow
            pieces.append(data[:missing])
            self.buffer = data[missing:]
            missing -= len(data)
        return b"".join(pieces)

    def wait_for(self, seconds: float, still_there: Callable[[], bool]) -> bytes:
        """Reads like receive(), and gives up as soon as nobody waits for the answer any more.

        Raises:
            TooSlow: nothing came in time.
            Ended: the connection broke, or the one who waits has left.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.receive(_TICK)
            except TooSlow:
                if not still_there():
                    raise Ended from None
                if time.monotonic() > deadline:
                    raise

    def is_there(self) -> bool:
        """Whether the other side has neither closed nor half-closed the connection."""
        poll = select.poll()
        try:
            poll.register(self.sock, getattr(select, "POLLRDHUP", 0))
        except (OSError, ValueError):
            return False
        return not any(event & _GONE for _fd, event in poll.poll(0))

    def is_silent(self) -> bool:
        """Whether a kept connection can be used again: it is open, and nothing has come unasked."""
        if self._poll is None:
            self._poll = select.poll()
            try:
                self._poll.register(self.sock, select.POLLIN)
            except (OSError, ValueError):
                return False
        return not self.buffer and not self._poll.poll(0)

    # --- without waiting, for a pump ---------------------------------------------------------------

    def receive_now(self) -> Optional[bytes]:
        """Reads what is there; None if nothing is; empty at the end of the stream or if it broke."""
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        if self._ended:
            return b""
        try:
            if not self.secure:
                return self.sock.recv(limits.READ_BYTES, socket.MSG_DONTWAIT)
            self._limit(socket.SO_RCVTIMEO, 0.0)
            return self.sock.recv(limits.READ_BYTES)
        except WOULD_BLOCK:
            return None
        except OSError:
            return b""

    def send_now(self, pieces: Sequence[Piece]) -> int:
        """Writes what fits; returns the number of bytes.

        Raises:
            Ended: the connection broke.
        """
        try:
            if not self.secure:
                return self.sock.sendmsg(pieces, (), socket.MSG_DONTWAIT)
            self._limit(socket.SO_SNDTIMEO, 0.0)
            return self.sock.send(pieces[0])
        except WOULD_BLOCK:
            return 0
        except OSError as error:
            raise Ended from error

    def half_close(self) -> None:
        """Says that nothing more follows. The other side can still send."""
        with contextlib.suppress(OSError, ValueError):
            if isinstance(self.sock, ssl.SSLSocket):
                self._close_notify(self.sock)
            socket.socket.shutdown(self.sock, socket.SHUT_WR)

    def _close_notify(self, sock: ssl.SSLSocket) -> None:
        """Sends the alert that ends our half of a TLS connection."""
        self._limit(socket.SO_SNDTIMEO, 0.0)
        try:
            sock.unwrap()
        except (OSError, ValueError):
            return  # sent; that of the other side has not arrived
        # Python's object reads plaintext from now on, which anybody on the way could send.
        self._ended = True
