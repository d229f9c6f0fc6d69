# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One call: read it, have it decided, and refuse or forward it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from typing import NoReturn, Optional, Protocol, TypeVar, Union

from ..._policy import parse
from ..._policy.call import JSON, NONE, STREAM, WHOLE, Call, Head
from ..._policy.decision import Allow, Deny
from ..._policy.owned import body_with_owner
from ..._policy.policy import ENFORCE
from ..._policy.refusal import render_refusal
from ..audit import Record
from ..flow import Body
from ..head import CHUNKED, Malformed, RequestHead, parse_request
from ..identities import Identity, Peer, Rejection
from ..limits import Limits
from ..message import CONTINUE, relayed, render_error
from .deciding import Decider, Undecided, Verdict
from .engine import Engine
from .inquiry import Inquiry
from .journal import Journal
from .learning import Learning
from .policies import Policies
from .wire import Ended, TooSlow, Wire

Parsed = TypeVar("Parsed")
_WAITS = ("container.wait", "container.stop", "container.restart")
"""Routes whose answer comes when something happens, although it is one document."""
_SHORT = 1024
"""Bytes of a head, and of a target, that is not parsed again when the same one comes next."""
_LINGER = 2.0
"""Seconds for which a refused body is read, so that the client gets to read the refusal."""


class Refused(Exception):
    """Ends a call with a refusal.

    Args:
        status: of the answer.
        code: reason code.
        sentence: for the client.
    """

    def __init__(self, status: int, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.code, self.sentence = status, code, sentence


@dataclass(frozen=True)
class Parts:
    """The parts of the gate that calls need.

    Attributes:
        limits: the bounds.
        engine, inquiry, decider, policies, journal: see their classes.
        learning: records calls; None to record none.
    """

    limits: Limits
    engine: Engine
    inquiry: Inquiry
    decider: Decider
    policies: Policies
    journal: Journal
    learning: Optional[Learning] = None


@dataclass(frozen=True)
class Decided:
    """A call that is to be forwarded.

    Attributes:
        request: the head of the client's request.
        identity: whose call it is.
        method, target, content: of the request to the engine.
        headers: pairs of name and value for the engine.
        streamed: whether the client's body follows and is passed on.
        waits: whether the answer comes when something happens, not as soon as possible.
        hijack: whether the connection becomes a stream in both directions.
        allow: what was decided; None if the call is passed on as it came, because the policy does
            not enforce.
    """

    request: RequestHead
    identity: Identity
    method: str
    target: str
    content: Optional[bytes]
    headers: tuple[tuple[str, str], ...]
    streamed: bool
    waits: bool
    hijack: bool
    allow: Optional[Allow]


class Connection(Protocol):
    """What a call needs to know of its connection (see session.py)."""

    peer: Peer
    draining: bool


class Exchange:
    """One call of a client.

    Args:
        parts: the gate.
        wire: the connection of the client.
        connection: who it is, and whether the connection ends after this call.
        held: takes what is released when the call is answered.

    Attributes:
        record: what the audit log gets about it.
        logged: whether that is written. The head of the answer follows at once.
    """

    def __init__(self, parts: Parts, wire: Wire, connection: Connection, held: ExitStack) -> None:
        self._parts, self._wire, self._connection, self._held = parts, wire, connection, held
        peer = self._peer = connection.peer
        self._started = time.perf_counter_ns()
        self._body_left = self._keep = False
        self._method = ""
        self.logged = False
        self.record = Record(identity=peer.identity, serial=peer.serial)

    # --- reading -----------------------------------------------------------------------------------

    def read(self, head: Union[bytes, Malformed]) -> Decided:
        """Reads a call, and has it decided.

        Raises:
            Refused: it is not to be forwarded.
            EngineDown: it cannot be decided.
            Ended, TooSlow: the client has left, or does not go on.
        """
        request = _checked(_parse(head) if isinstance(head, bytes) else head)
        self._method = self.record.method = request.method
        self._body_left, self._keep = request.length != 0, request.keep
        identity = self._admit()
        route_of = _route_of if len(request.target) <= _SHORT else parse.route_of
        parsed = route_of(request.method, request.target)
        if isinstance(parsed, Deny):
            return self._denied(identity, parsed, request, None, request.length != 0)
        self.record.route = parsed.route
        content = self._read_content(request, parsed)
        streamed = parsed.body == STREAM and request.length != 0
        headers = _forwarded_headers(request, parsed)
        call = parse.parse(parsed, request.headers.get("content-type", ""), content)
        problem = next((value for _name, value in headers if isinstance(value, Deny)), None)
        if problem is not None:
            return self._denied(identity, problem, request, content, streamed)
        if isinstance(call, Deny):
            return self._denied(identity, call, request, content, streamed)
        verdict = self._decide(identity, call, request)
        self._learn(identity, call, verdict)
        allow = verdict.decision
        if isinstance(allow, Deny):
            return self._denied(identity, allow, request, content, streamed, call)
        self.record.decision, self.record.code, self.record.object = "allow", allow.power, allow.object
        self.record.decided = self._elapsed()
        passed = tuple((name, value) for name, value in headers if isinstance(value, str))
        waits = parsed.answer != WHOLE or parsed.route in _WAITS
        return Decided(request, identity, *verdict.rendered, passed, streamed, waits, allow.hijack, allow)

    def _admit(self) -> Identity:
        """The identity of the client, whose policy may have changed since its last call."""
        identity = self._parts.policies.current().admit(self._peer, time.time())
        if isinstance(identity, Rejection):
            raise Refused(403, identity.code, identity.sentence)
        self.record.policy, self.record.mode = identity.policy.version, identity.policy.mode
        return identity

    def _read_content(self, request: RequestHead, parsed: Head) -> Optional[bytes]:
        """The body that the decision needs; None if there is none, or if it is passed on."""
        if parsed.body == STREAM:
            return None
        if request.length == 0:
            return b"" if parsed.body == JSON else None
        largest = min(parsed.body_limit, self._parts.limits.body_bytes)
        if request.length > largest:
            _too_large(largest)
        self.accept_body(request)
        content = self._read_whole(request.length, largest)
        self._body_left = False
        return content if content or parsed.body != NONE else None

    def accept_body(self, request: RequestHead) -> None:
        """Says that the body may come, to a client that waits for it."""
        if request.expects and not self._wire.buffer:
            self._wire.send(CONTINUE, self._parts.limits.body_seconds)

    def _read_whole(self, length: int, largest: int) -> bytes:
        seconds = self._parts.limits.body_seconds
        if length != CHUNKED:
            return self._wire.read_exactly(length, seconds)
        flow, pieces, size = Body(CHUNKED, chunked=False), [], 0
        deadline = time.monotonic() + seconds
        while not flow.done:
            data = self._wire.buffer or self._wire.receive(seconds)
            self._wire.buffer = b""
            if not data:
                raise Ended
            if time.monotonic() > deadline:
                raise TooSlow
            for piece in flow.feed(data):
                pieces.append(piece)
                size += len(piece)
            if flow.problem is not None:
                _checked(flow.problem)
            if size > largest:
                _too_large(largest)
        self._wire.buffer = flow.rest
        return b"".join(pieces)

    # --- deciding ----------------------------------------------------------------------------------

    def _decide(self, identity: Identity, call: Call, request: RequestHead) -> Verdict:
        line = (request.method, request.target) if request.length == 0 else None
        try:
            return self._parts.decider.decide(identity, call, line, self._hold_quota)
        except Undecided as error:
            raise Refused(403, "undecided", str(error)) from None

    def _hold_quota(self) -> None:
        lock = self._parts.inquiry.quota(self.record.identity)
        if not lock.acquire(timeout=self._parts.limits.body_seconds):
            raise Refused(403, "quota", "Another call that counts against the same limit does not end.")
        self._held.callback(lock.release)

    def _learn(self, identity: Identity, call: Call, verdict: Verdict) -> None:
        """Records a call before it is forwarded: afterwards, its object may not exist any more."""
        learning, decision = self._parts.learning, verdict.decision
        if learning is not None and (identity.policy.mode != ENFORCE or isinstance(decision, Deny)):
            deny = decision if isinstance(decision, Deny) else None
            code = decision.code if isinstance(decision, Deny) else decision.power
            answers = dict(zip(verdict.questions, verdict.answers))
            learning.note(identity.policy, call, answers, deny, code)

    def _denied(
        self,
        identity: Identity,
        deny: Deny,
        request: RequestHead,
        content: Optional[bytes],
        streamed: bool,
        call: Optional[Call] = None,
    ) -> Decided:
        """Refuses a call; a policy that does not enforce passes it on as it came, with the label of the owner."""
        sentence = render_refusal(identity.policy, deny)
        if call is None and self._parts.learning is not None:
            route, line = self.record.route, (request.method, request.target)
            self._parts.learning.note_rejected(identity.policy, deny, route, *line)
        if call is not None and identity.policy.mode != ENFORCE:
            content = body_with_owner(identity.name, call) or content
        if not identity.policy.relays:
            raise Refused(deny.status, deny.code, sentence)
        self.record.decision, self.record.code, self.record.detail = "would_deny", deny.code, sentence
        self.record.decided = self._elapsed()
        return Decided(
            request,
            identity,
            request.method,
            request.target,
            content or None,
            relayed(request.headers, request.repeated),
            streamed,
            waits=True,
            hijack=True,
            allow=None,
        )

    # --- ending ------------------------------------------------------------------------------------

    def refuse(self, status: int, code: str, sentence: str, decision: str = "deny") -> bool:
        """Answers with a refusal; returns whether the connection can be kept."""
        keep = self.keeps and not self._body_left and status in (403, 404)
        self.record.decision, self.record.code, self.record.detail = decision, code, sentence
        self.record.decided = self.record.decided or self._elapsed()
        self.log(status)
        answer = render_error(status, sentence, keep=keep, body=self._method != "HEAD")
        self._wire.send(answer, self._parts.limits.body_seconds)
        if not keep:
            self._linger()
        return keep

    @property
    def keeps(self) -> bool:
        """Whether the connection may be kept after this call."""
        return self._keep and not self._connection.draining

    def set_body_read(self, complete: bool) -> None:
        """Notes whether a body that is passed on has been read to its end."""
        self._body_left = not complete

    def release(self) -> None:
        """Lets the next call that counts against the same limit go on."""
        self._held.close()

    def log(self, status: int) -> None:
        """Writes the record."""
        self.record.status, self.record.taken = status, self._elapsed()
        self.logged = True
        self._parts.journal.write(self.record)

    def _linger(self) -> None:
        """Reads what the client still sends. Closing at once would take the answer from it (RFC 9112, 9.6)."""
        if not self._wire.secure:
            # OpenSSL reads nothing more after the alert that ends our half.
            self._wire.half_close()
        deadline = time.monotonic() + _LINGER
        try:
            while self._wire.receive(max(deadline - time.monotonic(), 0.001)) and time.monotonic() < deadline:
                pass
        except (Ended, TooSlow):
            return

    def _elapsed(self) -> int:
        return (time.perf_counter_ns() - self._started) // 1000


def _parse(head: bytes) -> Union[RequestHead, Malformed]:
    """Parses a head. A short one without credentials is remembered."""
    short = len(head) <= _SHORT and b"auth" not in head.lower() and b"registry" not in head.lower()
    return _parse_short(head) if short else parse_request(head)


_parse_short = lru_cache(maxsize=256)(parse_request)
_route_of = lru_cache(maxsize=256)(parse.route_of)


def _forwarded_headers(request: RequestHead, parsed: Head) -> tuple[tuple[str, Union[str, Deny]], ...]:
    return tuple(
        (name, parse.parse_header(name, value))
        for name in parsed.headers
        if name in request.headers
        for value in request.repeated.get(name, (request.headers[name],))
    )


def _checked(value: Union[Parsed, Malformed]) -> Parsed:
    if isinstance(value, Malformed):
        raise Refused(value.status, value.code, value.sentence)
    return value


def _too_large(largest: int) -> NoReturn:
    raise Refused(413, "too_large", f"The body is larger than {largest} bytes.")
