# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Forward a decided call to the engine, and the engine's answer to the client."""

from __future__ import annotations

import json
from functools import partial
from typing import Optional
from urllib.parse import quote

from ..._policy import decide, treat
from ..._policy.decision import ALL, CREATED_VOLUME, EVENTS, PASS, VOLUME, Treatment
from ..._policy.render import render
from ..chunks import Piece
from ..flow import Body, Copy, Flow
from ..found import parse_image_of
from ..head import CHUNKED, UNTIL_CLOSE, ResponseHead
from ..lines import FilteredBody
from ..message import PASSED_ON, UPGRADED, passed_on, render_head
from .engine import EngineDown, always, render_request
from .exchange import Decided, Exchange, Parts, Refused
from .pump import Direction, Pump
from .wire import Ended, TooSlow, Wire

_STREAMS = ((101, UNTIL_CLOSE), (200, UNTIL_CLOSE))
"""Status and length of an answer after which the connection is a stream in both directions."""


class Forwarding:
    """One decided call.

    Args:
        parts: the gate.
        client: the connection of the client.
        exchange: the call, for its record.
        decided: what to do.
    """

    def __init__(self, parts: Parts, client: Wire, exchange: Exchange, decided: Decided) -> None:
        self._parts, self._client, self._exchange, self._decided = parts, client, exchange, decided
        self._limits = parts.limits
        self._treatment = decided.allow.treatment if decided.allow is not None else Treatment()
        self._method, self._content = decided.method, decided.content
        self._patience = self._limits.stream_seconds if decided.waits else self._limits.answer_seconds

    def run(self) -> bool:
        """Carries the call out; returns whether the client's connection can be kept.

        Raises:
            Refused: the answer shows that it must not have been.
            EngineDown: there is no answer; the client has not got any either.
            Ended, TooSlow: a connection broke in the middle, which the client must notice.
        """
        allow = self._decided.allow
        if allow is not None and allow.remember:
            self._parts.inquiry.remember(self._decided.identity.name, allow.remember)
        if allow is not None and allow.volumes:
            self._create_volumes(allow.volumes)
        if self._method not in ("GET", "HEAD"):
            self._parts.inquiry.forget(self._decided.identity.name)
        if self._decided.streamed:
            return self._upload()
        request = self._request_head() + (self._content or b"")
        # A new container is checked even if the client leaves.
        checked = allow is not None and bool(allow.image)
        still_there = always if checked else self._client.is_there
        engine, head = self._parts.engine.call(self._method, request, self._patience, still_there)
        try:
            return self._answer(engine, head, None)
        except BaseException:
            engine.close()
            raise

    def _create_volumes(self, names: tuple[str, ...]) -> None:
        """Creates volumes that the engine would create without the label of their owner."""
        policy = self._decided.identity.policy
        for name in names:
            method, target, content = render(decide.create_volume(policy, name))
            answer = self._parts.engine.ask(method, target, content)
            created = Treatment(CREATED_VOLUME, VOLUME, policy.sight("volume", ""))
            status, _content = treat.treat(created, *answer)
            if status >= 300:
                raise Refused(403, "volume", f"The volume {name} cannot be used, or created.")

    def _request_head(self) -> bytes:
        decided = self._decided
        headers = list(decided.headers)
        if decided.hijack and decided.request.upgrade:
            headers += [("Connection", "Upgrade"), ("Upgrade", decided.request.upgrade)]
        typed = decided.allow is not None
        framing = ""
        if decided.streamed:
            headers += [("Content-Type", "application/x-tar")] if typed else []
            length = decided.request.length
            framing = "Transfer-Encoding: chunked" if length == CHUNKED else f"Content-Length: {length}"
        elif self._content is not None:
            headers += [("Content-Type", "application/json")] if typed else []
            framing = f"Content-Length: {len(self._content)}"
        elif self._method in ("POST", "PUT") and not decided.hijack:
            framing = "Content-Length: 0"
        return render_request(self._method, decided.target, tuple(headers), framing)

    # --- a body of the client that is passed on ------------------------------------------------------

    def _upload(self) -> bool:
        engine = self._parts.engine.take()
        try:
            try:
                engine.send(self._request_head(), self._limits.body_seconds)
            except (Ended, TooSlow):
                raise EngineDown(502, "The engine does not take the call.") from None
            self._exchange.accept_body(self._decided.request)
            length = self._decided.request.length
            upload = Direction(self._client, engine, Body(length, chunked=length == CHUNKED))
            Pump((upload,), self._limits.answer_seconds).run(until_readable=engine)
            if upload.flow.problem is not None:
                raise Refused(400, upload.flow.problem.code, upload.flow.problem.sentence)
            self._exchange.set_body_read(upload.flow.done)
            try:
                head = self._parts.engine.read_head(
                    engine, self._method, self._patience, self._client.is_there
                )
            except Ended:
                raise EngineDown(502, "The engine closed the connection without an answer.") from None
            return self._answer(engine, head, None if upload.finished and not upload.broken else upload)
        except BaseException:
            engine.close()
            raise

    # --- the answer --------------------------------------------------------------------------------

    def _answer(self, engine: Wire, head: ResponseHead, upload: Optional[Direction]) -> bool:
        """Passes an answer on. An upload that is not finished goes on meanwhile."""
        if self._decided.hijack and (head.status, head.length) in _STREAMS:
            return self._hijack(engine, head)
        if head.hijacked:
            raise EngineDown(502, "The engine answers with a stream that was not asked for.")
        allow = self._decided.allow
        if allow is not None and allow.image and head.status == 201:
            return self._created(engine, head, allow.image)
        kind = self._treatment.kind
        sight = self._treatment.sight
        refused = head.status >= 400 and head.length != 0 and bool(sight.identity) and sight.reach != ALL
        if allow is not None and upload is None and (kind not in (PASS, EVENTS) or refused):
            return self._treated(engine, head)
        keep = self._exchange.keeps and upload is None and not self._extra()
        length = head.length
        if length in (CHUNKED, UNTIL_CLOSE):
            length = CHUNKED if self._decided.request.chunks else UNTIL_CLOSE
            keep = keep and length == CHUNKED
        flow = self._flow(head, length == CHUNKED)
        if kind == EVENTS and length >= 0 and self._method != "HEAD":
            length, keep = UNTIL_CLOSE, False
        framed = self._method == "HEAD" or not (head.status == 204 or head.status == 304)
        if self._method == "HEAD" and "content-length" in head.headers:
            length = _number(head.headers["content-length"])
        first = render_head(head.status, passed_on(head.headers), length, keep=keep, framed=framed)
        self._exchange.log(head.status)
        self._exchange.release()
        return self._copy(engine, head, flow, first, upload) and keep

    def _flow(self, head: ResponseHead, chunked: bool) -> Flow:
        if self._treatment.kind != EVENTS or head.status != 200:
            return Body(head.length, chunked=chunked)
        line = partial(treat.treat_line, self._treatment)
        return FilteredBody(head.length, chunked, line, self._limits.event_bytes)

    def _copy(
        self, engine: Wire, head: ResponseHead, flow: Flow, first: bytes, upload: Optional[Direction]
    ) -> bool:
        """Writes head and body; returns whether the body is complete."""
        pieces: list[Piece] = []
        if engine.buffer and not flow.done:
            pieces, engine.buffer = flow.feed(engine.buffer), b""
        self._client.send(b"".join([first, *pieces]), self._limits.body_seconds)
        if not flow.done and flow.problem is None:
            download = Direction(engine, self._client, flow)
            directions = (download,) if upload is None else (download, upload)
            Pump(directions, self._limits.stream_seconds).run(watched=self._client, until=download)
            if download.broken:
                raise Ended
        if flow.problem is not None or not flow.done:
            raise Ended
        if head.keep and not flow.rest and upload is None:
            self._parts.engine.give_back(engine)
        else:
            engine.close()
        return True

    def _treated(self, engine: Wire, head: ResponseHead) -> bool:
        content = self._parts.engine.read_body(
            engine, head, self._limits.answer_bytes, self._limits.answer_seconds
        )
        status, content = treat.treat(self._treatment, head.status, content)
        return self._whole(status, head, content)

    def _whole(self, status: int, head: ResponseHead, content: bytes) -> bool:
        self._exchange.release()
        self._exchange.log(status)
        keep = self._exchange.keeps and not self._extra()
        headers = dict(head.headers)
        if status != head.status:
            headers["content-type"] = "application/json"
        first = render_head(status, passed_on(headers), len(content), keep=keep)
        body = b"" if self._method == "HEAD" else content
        self._client.send(first + body, self._limits.body_seconds)
        return keep

    def _created(self, engine: Wire, head: ResponseHead, wanted: str) -> bool:
        """Checks that the new container has the image that was decided about; else removes it."""
        content = self._parts.engine.read_body(
            engine, head, self._limits.answer_bytes, self._limits.answer_seconds
        )
        try:
            container = str(json.loads(content)["Id"])
        except (ValueError, TypeError, KeyError):
            raise EngineDown(502, "The engine does not say which container it has created.") from None
        place = f"/containers/{quote(container, safe='')}"
        try:
            found = parse_image_of(self._parts.engine.ask_json(f"{place}/json"))
        except EngineDown:
            found = ""
        if found != wanted:
            self._remove(container, f"{place}?force=1&v=1")
            raise Refused(403, "image", "The image's tag was moved while the container was created.")
        return self._whole(head.status, head, content)

    def _remove(self, container: str, target: str) -> None:
        """Removes a container that must not exist, or says to the administrator that it is left."""
        try:
            status, _content = self._parts.engine.ask("DELETE", target)
            problem = "" if status in (204, 404) else f"the engine says {status}"
        except EngineDown as error:
            problem = error.sentence
        if problem:
            name = self._decided.identity.name
            sentence = f"not removed: a new container of {name}, whose image is not the one that was allowed: {problem}"
            self._parts.journal.note(name, container, sentence)

    def _hijack(self, engine: Wire, head: ResponseHead) -> bool:
        upgrade = head.headers.get("upgrade", "tcp") if head.status == 101 else ""
        headers = passed_on(head.headers, PASSED_ON + UPGRADED if upgrade else PASSED_ON)
        first = render_head(head.status, headers, UNTIL_CLOSE, keep=head.status == 101, upgrade=upgrade)
        self._exchange.log(head.status)
        self._exchange.release()
        self._client.send(first, self._limits.body_seconds)
        down = Direction(engine, self._client, Copy(), half_close=True)
        up = Direction(self._client, engine, Copy(), half_close=True)
        try:
            Pump((down, up), self._limits.stream_seconds).run()
        finally:
            engine.close()
        return False

    def _extra(self) -> bool:
        """Whether bytes follow that a client only sends if it expects a stream."""
        return self._decided.hijack and bool(self._client.buffer)


def _number(text: str) -> int:
    return int(text) if text.isdigit() and len(text) < 16 else 0
