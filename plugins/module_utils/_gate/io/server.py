# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accept connections on the sockets of the doors, and bound how many there are."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections import Counter
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue
from typing import Callable, List, Optional, Tuple

from ..identities import Peer, identity_of_listener
from ..message import render_error
from ..places import TLS_NAME
from .exchange import Parts
from .secure import peer_of
from .session import Session
from .wire import Wire
from .workers import Workers

_ACCEPTED_AT_ONCE = 32
_PAUSE = 0.05
_GRACE = 1.0
"""Seconds for which idle connections are left open when the gate stops."""
_ORDER_SECONDS = 5.0

Listeners = List[Tuple[str, socket.socket]]


class Server:
    """All listeners and connections.

    Args:
        parts: the gate.
        context: TLS; None if there is none, with which connections of TLS are closed at once.
    """

    def __init__(self, parts: Parts, context: Optional[ssl.SSLContext] = None) -> None:
        self.context = context
        self._parts = parts
        self._workers = Workers()
        self._selector = selectors.DefaultSelector()
        self._lock = threading.Lock()
        self._sessions: set[Session] = set()
        self._open: Counter[str] = Counter()
        self._stopped = False
        self._finished = threading.Event()
        self._doors: dict[str, list[socket.socket]] = {}
        # Only the thread that accepts touches listeners, so that it never meets one that is closed.
        self._orders: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._waker, self._woken = socket.socketpair()
        self._woken.setblocking(False)
        self._selector.register(self._woken, selectors.EVENT_READ)

    def add(self, door: str, listeners: Listeners) -> bool:
        """Serves the sockets of a door, instead of those that it had before. From another thread.

        Args:
            door: name of the door.
            listeners: name and listening socket of each. The server closes them.

        Returns:
            Whether they are served now: the server may have stopped.
        """
        return self._order(partial(self._add, door, listeners))

    def remove(self, door: str) -> bool:
        """Accepts nothing more from a door. Its connections go on. From another thread."""
        return self._order(partial(self._drop, door))

    def _order(self, work: Callable[[], None]) -> bool:
        done = threading.Event()

        def carry_out() -> None:
            work()
            done.set()

        self._orders.put(carry_out)
        self._wake()
        return done.wait(_ORDER_SECONDS)

    def _wake(self) -> None:
        # If it is full, the thread is awake.
        with contextlib.suppress(OSError):
            self._waker.send(b"x", socket.MSG_DONTWAIT)

    def _add(self, door: str, listeners: Listeners) -> None:
        self._drop(door)
        for name, listener in listeners:
            identity = self._identity(name, listener)
            if identity is None:
                listener.close()
                continue
            listener.setblocking(False)
            self._selector.register(listener, selectors.EVENT_READ, identity)
            self._doors.setdefault(door, []).append(listener)

    def _drop(self, door: str) -> None:
        for listener in self._doors.pop(door, ()):
            self._selector.unregister(listener)
            listener.close()

    def _identity(self, name: str, listener: socket.socket) -> Optional[str]:
        """The identity of a socket; empty if the certificates of its clients tell; None if nothing does."""
        if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            self._parts.journal.say(f"The socket {name} is not served: it does not listen.")
            return None
        if name == TLS_NAME:
            return ""
        path = listener.getsockname() if listener.family == socket.AF_UNIX else ""
        found = identity_of_listener(name, path if isinstance(path, str) else "")
        if found is None:
            self._parts.journal.say(f"The socket {name} is not served: it does not name an identity.")
        return found

    def run(self) -> None:
        """Accepts connections until stop()."""
        while not self._stopped:
            for key, _events in self._selector.select():
                if isinstance(key.fileobj, socket.socket) and isinstance(key.data, str):
                    self._accept(key.fileobj, key.data)
            self._carry_out_orders()
        self._selector.close()
        self._finished.set()

    def _carry_out_orders(self) -> None:
        # First the bytes, then the orders: one that comes now wakes the thread again.
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        with contextlib.suppress(Empty):
            while True:
                self._orders.get_nowait()()

    def _accept(self, listener: socket.socket, identity: str) -> None:
        for _number in range(_ACCEPTED_AT_ONCE):
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError:
                # Without a free descriptor, connections wait in the socket of systemd.
                time.sleep(_PAUSE)
                return
            self._start(sock, identity, address)

    def stop(self, seconds: float) -> None:
        """Accepts nothing more, and gives running calls this long to end. From another thread."""
        self._stopped = True
        self._wake()
        started = time.monotonic()
        self._finished.wait(seconds)
        for session in self._copy():
            session.drain()
        # A call that is on its way on a kept connection is answered, and the client learns of the end.
        self._wait_until(started + min(_GRACE, seconds))
        for session in self._copy():
            session.end_if_idle()
        self._wait_until(started + seconds)
        for session in self._copy():
            session.cut()

    def _wait_until(self, deadline: float) -> None:
        # Counts also connections that no thread serves yet.
        while self._open and time.monotonic() < deadline:
            time.sleep(_PAUSE / 5)

    def cut_unwelcome(self, now: float) -> None:
        """Ends the connections, streams too, of identities that have lost their access."""
        registry = self._parts.policies.current()
        for session in self._copy():
            if session.used and session.peer.identity and not registry.admits(session.peer, now):
                session.cut()

    def _copy(self) -> list[Session]:
        with self._lock:
            return list(self._sessions)

    # --- one connection ------------------------------------------------------------------------------

    def _start(self, sock: socket.socket, identity: str, address: object) -> None:
        # An identity's connections share a bound; TLS clients that are not known yet, one by address.
        limits = self._parts.limits
        owner = identity or f"address {address[0] if isinstance(address, tuple) else address}"
        largest = limits.connections if identity else limits.handshakes
        if not self._enter(owner, largest):
            self._turn_away(sock, bool(identity))
            return
        sock.settimeout(limits.head_seconds)
        serve = partial(self._serve, sock, Peer(identity), owner)
        try:
            self._workers.submit(serve if identity else partial(self._shake_hands, sock, owner))
        except RuntimeError:
            self._leave(owner)
            self._turn_away(sock, bool(identity))

    def _enter(self, owner: str, largest: int) -> bool:
        with self._lock:
            if self._open[owner] >= largest:
                return False
            self._open[owner] += 1
            return True

    def _leave(self, owner: str) -> None:
        with self._lock:
            self._open[owner] -= 1
            if self._open[owner] <= 0:
                del self._open[owner]

    @staticmethod
    def _turn_away(sock: socket.socket, plain: bool) -> None:
        with contextlib.suppress(OSError):
            if plain:
                sock.settimeout(0)
                sock.send(render_error(503, "Too many connections of this identity are open.", keep=False))
        sock.close()

    def _serve(self, sock: socket.socket, peer: Peer, owner: str) -> None:
        try:
            session = Session(self._parts, Wire(sock), peer)
            with self._lock:
                self._sessions.add(session)
            if self._stopped:
                session.drain()
            try:
                session.serve()
            finally:
                with self._lock:
                    self._sessions.discard(session)
        finally:
            self._leave(owner)

    def _shake_hands(self, sock: socket.socket, address: str) -> None:
        owner = address
        try:
            context = self.context
            if context is None:
                raise OSError("the gate has no certificate")
            sock.settimeout(self._parts.limits.head_seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            secure = context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=True)
            peer = peer_of(secure)
        except (OSError, ValueError, KeyError):
            sock.close()
            self._leave(owner)
            return
        identity = self._parts.policies.current().by_fingerprint.get(peer.fingerprint, "")
        peer = replace(peer, identity=identity)
        wanted = identity or f"unknown {address}"
        entered = self._enter(wanted, self._parts.limits.connections)
        self._leave(owner)
        if not entered:
            secure.close()
            return
        self._serve(secure, peer, wanted)
