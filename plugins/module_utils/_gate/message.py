# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Render the gate's own answers, and the heads of those that it passes on.

An answer's head is rendered from the status and from headers with known names. Refusals have the
form of Docker's own errors: a JSON object with ``message``.
"""

from __future__ import annotations

import json
from typing import Iterable, Mapping, Tuple

from .head import CHUNKED, UNTIL_CLOSE

PASSED_ON = (
    "content-type",
    "api-version",
    "builder-version",
    "docker-experimental",
    "ostype",
    "server",
    "swarm",
    "date",
    "cache-control",
    "pragma",
    "x-docker-container-path-stat",
    "x-content-type-options",
)
"""Headers of the engine that clients read."""
UPGRADED = ("sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions")
"""Headers of an answer with status 101, without which a client of WebSocket ends the connection (RFC 6455, 4.1)."""
_TITLES = {name: name.title() for name in (*PASSED_ON, *UPGRADED)}
REASONS: Mapping[int, str] = {
    100: "Continue",
    101: "UPGRADED",
    200: "OK",
    201: "Created",
    204: "No Content",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Content Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_CONNECTION = frozenset(
    (
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
    )
)
"""Headers of a request that the gate writes itself, or that end at the gate."""


def render_error(status: int, sentence: str, *, keep: bool, body: bool = True) -> bytes:
    """An answer with a message; without its body if it is one to HEAD."""
    content = json.dumps({"message": sentence}).encode() + b"\n"
    head = render_head(status, [("content-type", "application/json")], len(content), keep=keep)
    return head + content if body else head


def render_head(
    status: int,
    headers: Iterable[Tuple[str, str]],
    length: int,
    *,
    keep: bool,
    upgrade: str = "",
    framed: bool = True,
) -> bytes:
    """The head of an answer.

    Args:
        status: such as 200.
        headers: pairs of name in lower case and value, from a head that was parsed, or the gate's own.
        length: of the body in bytes, CHUNKED, or UNTIL_CLOSE.
        keep: whether the connection stays open.
        upgrade: protocol of an answer with status 101.
        framed: whether the head says how long the body is; 1xx, 204 and 304 must not.
    """
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, '')}".rstrip()]
    lines += [f"{_TITLES.get(name) or name.title()}: {value}" for name, value in headers]
    if upgrade:
        lines += ["Connection: Upgrade", f"Upgrade: {upgrade}"]
    elif framed and length == CHUNKED:
        lines.append("Transfer-Encoding: chunked")
    elif framed and length != UNTIL_CLOSE:
        lines.append(f"Content-Length: {length}")
    if not keep and not upgrade:
        lines.append("Connection: close")
    return "\r\n".join((*lines, "", "")).encode("latin-1", "replace")


def passed_on(headers: Mapping[str, str], names: Tuple[str, ...] = PASSED_ON) -> list[Tuple[str, str]]:
    """The headers of an engine's answer that the client gets."""
    return [(name, headers[name]) for name in names if name in headers]


def relayed(
    headers: Mapping[str, str], repeated: Mapping[str, Tuple[str, ...]]
) -> Tuple[Tuple[str, str], ...]:
    """The headers of a client's request that is passed on as it came, without those of its connection."""
    named = {token.strip().lower() for token in headers.get("connection", "").split(",")}
    return tuple(
        (name.title(), value)
        for name, joined in headers.items()
        if name not in _CONNECTION and name not in named and joined.isascii()
        for value in repeated.get(name, (joined,))
    )
