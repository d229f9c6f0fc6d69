# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Connections to the engine's unix socket, kept and used again."""

from __future__ import annotations

import contextlib
import json
import socket
from collections import deque
from typing import Any, Callable, Deque, Optional

from .. import limits as bounds
from ..flow import Body
from ..head import Malformed, ResponseHead, find_end, parse_response
from ..limits import Limits
from .wire import Ended, TooSlow, Wire

_FIRST_LINES = "Host: docker\r\nUser-Agent: wormhole-gate\r\n"
_INTERIM = (100, 102, 103)


class EngineDown(Exception):
    """The engine does not answer, or not in a way that the gate understands.

    Args:
        status: to answer with: 502, 503 or 504.
        sentence: for the client.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


def always() -> bool:
    """Somebody waits for the answer."""
    return True


class Engine:
    """The engine.

    Args:
        path: of its unix socket.
        limits: the bounds.

    Attributes:
        version: newest version of its API, as its last answer says.
    """

    def __init__(self, path: str, limits: Limits) -> None:
        self.version = ""
        self._path = path
        self._limits = limits
        # Appending and popping need no lock (CPython). The last one used is taken first.
        self._idle: Deque[Wire] = deque()

    def take(self) -> Wire:
        """A connection, kept or new.

        Raises:
            EngineDown: there is none to be had.
        """
        with contextlib.suppress(IndexError):
            while True:
                wire = self._idle.pop()
                if wire.is_silent():
                    return wire
                wire.close()
        return self.connect()

    def connect(self) -> Wire:
        """A new connection.

        Raises:
            EngineDown: the engine does not take any.
        """
        wire = Wire(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        try:
            wire.connect(self._path, self._limits.lookup_seconds)
        except OSError as error:
            wire.close()
            raise EngineDown(503, f"The gate cannot reach the engine: {error.strerror or error}.") from error
        return wire

    def give_back(self, wire: Wire) -> None:
        """Keeps a connection for the next call."""
        if wire.buffer or len(self._idle) >= self._limits.kept_engine:
            wire.close()
        else:
            self._idle.append(wire)

    def call(
        self, method: str, request: bytes, seconds: float, still_there: Callable[[], bool] = always
    ) -> tuple[Wire, ResponseHead]:
        """Sends a whole request, and reads the head of the answer.

        A call that changes nothing is repeated once if a kept connection proves to be closed.

        Raises:
            EngineDown: there is no answer in time.
            Ended: nobody waits for it any more.
        """
        wire = self.take()
        try:
            return wire, self._try(wire, method, request, seconds, still_there)
        except Ended:
            wire.close()
            if method not in ("GET", "HEAD") or wire.buffer or not still_there():
                raise EngineDown(502, "The engine closed the connection without an answer.") from None
        except BaseException:
            wire.close()
            raise
        wire = self.connect()
        try:
            return wire, self._try(wire, method, request, seconds, still_there)
        except Ended:
            wire.close()
            raise EngineDown(502, "The engine closed the connection without an answer.") from None
        except BaseException:
            wire.close()
            raise

    def _try(
        self, wire: Wire, method: str, request: bytes, seconds: float, still_there: Callable[[], bool]
    ) -> ResponseHead:
        try:
            wire.send(request, self._limits.body_seconds)
        except TooSlow:
            raise EngineDown(504, "The engine does not read the call.") from None
        return self.read_head(wire, method, seconds, still_there)

    def read_head(
        self, wire: Wire, method: str, seconds: float, still_there: Callable[[], bool] = always
    ) -> ResponseHead:
        """Reads the head of an answer. What follows stays in the buffer.

        Raises:
            EngineDown: it does not come in time, or is malformed.
            Ended: the connection ended, or nobody waits for the answer any more.
        """
        while True:
            end = find_end(wire.buffer, bounds.ENGINE_HEAD_BYTES)
            if isinstance(end, Malformed):
                raise EngineDown(502, "The head of the engine's answer is too large.")
            if end:
                head = parse_response(wire.buffer[:end], method)
                wire.buffer = wire.buffer[end:]
                if isinstance(head, Malformed):
                    raise EngineDown(502, f"The gate does not understand the engine. {head.sentence}")
                if head.status in _INTERIM:
                    continue
                self.version = head.headers.get("api-version", self.version)
                return head
            try:
                data = wire.wait_for(seconds, still_there)
            except TooSlow:
                raise EngineDown(504, "The engine does not answer in time.") from None
            if not data:
                raise Ended
            wire.buffer += data

    def read_body(self, wire: Wire, head: ResponseHead, largest: int, seconds: float) -> bytes:
        """Reads a whole body, and keeps or closes the connection.

        Raises:
            EngineDown: it is too large, incomplete, or comes too slowly.
        """
        flow = Body(head.length, chunked=False)
        pieces, size = [], 0
        try:
            while not flow.done and flow.problem is None:
                data = wire.buffer or wire.receive(seconds)
                wire.buffer = b""
                for piece in flow.feed(data) if data else flow.end():
                    pieces.append(piece)
                    size += len(piece)
                if size > largest:
                    raise EngineDown(502, f"The engine's answer is larger than {largest} bytes.")
        except (Ended, TooSlow) as error:
            raise EngineDown(502, "The engine's answer is incomplete.") from error
        finally:
            if flow.done and flow.problem is None and head.keep and not flow.rest:
                self.give_back(wire)
            else:
                wire.close()
        if flow.problem is not None:
            raise EngineDown(502, "The engine's answer is incomplete.")
        return b"".join(pieces)

    def ask(self, method: str, target: str, content: Optional[bytes] = None) -> tuple[int, bytes]:
        """Makes a call of the gate's own, with a JSON document; returns status and body.

        Raises:
            EngineDown: there is no answer.
        """
        headers = (("Content-Type", "application/json"),) if content else ()
        length = f"Content-Length: {len(content or b'')}" if method != "GET" else ""
        request = render_request(method, target, headers, length) + (content or b"")
        wire, head = self.call(method, request, self._limits.lookup_seconds)
        return head.status, self.read_body(wire, head, self._limits.answer_bytes, self._limits.lookup_seconds)

    def ask_json(self, target: str) -> Any:
        """The document at a path; None if there is no such object.

        Raises:
            EngineDown: there is no answer, or one that is neither a document nor 404.
        """
        status, content = self.ask("GET", target)
        if status == 404:
            return None
        try:
            document = json.loads(content)
        except ValueError:
            document = None
        if status != 200 or document is None:
            raise EngineDown(502, f"The engine answers a question of the gate with status {status}.")
        return document


def render_request(method: str, target: str, headers: tuple[tuple[str, str], ...], length: str = "") -> bytes:
    """The head of a request to the engine.

    Args:
        method: the method.
        target: path and query, rendered by the policy.
        headers: pairs of name and value, rendered too.
        length: the header that frames the body; empty if there is none.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
    framing = f"{length}\r\n" if length else ""
    return f"{method} {target} HTTP/1.1\r\n{_FIRST_LINES}{lines}{framing}\r\n".encode("ascii")
