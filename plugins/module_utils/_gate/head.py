# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the head of an HTTP/1.1 message strictly, and find out how its body is framed.

The parser accepts less than the standard does: what two parsers could read differently is rejected.
Nothing of a head is passed on. The gate renders its own (see message.py).

Sources: RFC 9112, sections 2 to 6 (syntax, framing) and 11.2 (request smuggling).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Mapping, Optional, Tuple, Union

from . import limits

METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
END = b"\r\n\r\n"

_REQUEST = re.compile(r"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.([01])")
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_LONGEST_NAME = 128
_HARMLESS = bytes(byte for byte in range(256) if byte == 9 or (byte >= 32 and byte != 127))
"""All bytes but control characters. A tab may be in a value."""
_SPACE = " \t"
_LENGTH = re.compile(r"[0-9]{1,15}")
_TOKENS = re.compile(r"[ \t]*,[ \t]*")
_ONCE = (
    "host",
    "content-length",
    "transfer-encoding",
    "content-type",
    "expect",
    "upgrade",
    "content-encoding",
)

CHUNKED = -1
"""Length of a body in chunks."""
UNTIL_CLOSE = -2
"""Length of an answer that ends with its connection."""


@dataclass(frozen=True)
class Malformed:
    """A message that the gate does not read.

    Attributes:
        status: of the answer: 400, 413 or 431.
        code: reason code for the audit log.
        sentence: what is wrong, for the client.
    """

    status: int
    code: str
    sentence: str


@dataclass(frozen=True)
class RequestHead:
    """The head of a request.

    Attributes:
        method: one of METHODS.
        target: path and query as sent, visible ASCII characters only.
        headers: by name in lower case. Of a header that occurs several times, the values are joined
            by a comma.
        length: of the body in bytes, or CHUNKED.
        keep: whether the client keeps the connection.
        upgrade: the protocol that the client asks for, in lower case; empty if none.
        expects: whether the client waits for ``100 Continue`` before it sends the body.
        chunks: whether the client understands an answer in chunks.
        repeated: the values of each header that occurs several times.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    length: int = 0
    keep: bool = True
    upgrade: str = ""
    expects: bool = False
    chunks: bool = True
    repeated: Mapping[str, Tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ResponseHead:
    """The head of an answer of the engine.

    Attributes:
        status: such as 200.
        headers: like those of a request.
        length: of the body in bytes, CHUNKED or UNTIL_CLOSE.
        keep: whether the engine keeps the connection.
        hijacked: whether a stream in both directions follows.
    """

    status: int
    headers: Mapping[str, str]
    length: int = 0
    keep: bool = True
    hijacked: bool = False


def find_end(data: Union[bytes, bytearray], largest: int = limits.HEAD_BYTES) -> Union[int, Malformed]:
    """The length of the head at the start of these bytes, with its empty line; 0 if it is incomplete."""
    end = data.find(END, 0, largest + len(END))
    if end >= 0:
        return end + len(END)
    if len(data) >= largest:
        return Malformed(431, "head_too_large", f"The head of the request is larger than {largest} bytes.")
    return 0


def parse_request(head: bytes) -> Union[RequestHead, Malformed]:
    """Parses the head of a request, with its empty line."""
    lines = _lines(head)
    if isinstance(lines, Malformed):
        return lines
    found = _REQUEST.fullmatch(lines[0])
    if found is None:
        return _bad("request_line", "The request line is not that of an HTTP/1.1 request for a path.")
    method, target, minor = found.groups()
    if method not in METHODS:
        return _bad("method", f"The method {method} is unknown.")
    repeated: dict[str, Tuple[str, ...]] = {}
    headers = _headers(lines, repeated)
    if isinstance(headers, Malformed):
        return headers
    connection = _tokens(headers.get("connection", ""))
    upgrade = headers.get("upgrade", "").lower() if "upgrade" in connection else ""
    length = _request_length(headers, minor)
    if isinstance(length, Malformed):
        return length
    problem = _request_problem(headers, minor, upgrade)
    if problem is not None:
        return problem
    keep = minor == "1" and "close" not in connection
    return RequestHead(
        method, target, headers, length, keep, upgrade, "expect" in headers, minor == "1", repeated
    )


def parse_response(head: bytes, method: str) -> Union[ResponseHead, Malformed]:
    """Parses the head of the engine's answer to a call with this method."""
    lines = _lines(head)
    if isinstance(lines, Malformed):
        return lines
    found = _STATUS.fullmatch(lines[0])
    if found is None:
        return _bad("status_line", "The answer of the engine does not begin with a status line.")
    minor, status = found[1], int(found[2])
    headers = _headers(lines, {})
    if isinstance(headers, Malformed):
        return headers
    connection = _tokens(headers.get("connection", ""))
    keep = minor == "1" and "close" not in connection
    if status == 101:
        return ResponseHead(status, headers, UNTIL_CLOSE, False, hijacked=True)
    if method == "HEAD" or status < 200 or status in (204, 304):
        return ResponseHead(status, headers, 0, keep)
    if "content-length" not in headers and "transfer-encoding" not in headers:
        return ResponseHead(status, headers, UNTIL_CLOSE, False)
    length = _framing(headers)
    return length if isinstance(length, Malformed) else ResponseHead(status, headers, length, keep)


def _lines(head: bytes) -> Union[list[str], Malformed]:
    """The lines of a head. Latin-1 maps each byte to one character."""
    head = bytes(head)
    if not head.endswith(END):
        return _bad("head", "The head does not end with an empty line.")
    if head.translate(None, _HARMLESS) != b"\r\n" * head.count(b"\r\n"):
        return _bad(
            "control_character",
            "The head contains a control character, or a line that does not end with CRLF.",
        )
    return head[: -len(END)].decode("latin-1").split("\r\n")


def _headers(lines: list[str], repeated: dict[str, Tuple[str, ...]]) -> Union[dict[str, str], Malformed]:
    if len(lines) - 1 > limits.HEADER_COUNT:
        return Malformed(431, "too_many_headers", f"The head has more than {limits.HEADER_COUNT} headers.")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name = _lower_name(name) if colon and len(name) < _LONGEST_NAME else ""
        if not name:
            # A folded line begins with a space, which is no character of a name.
            return _bad("header", "A header does not have the form NAME: VALUE. Folded lines are rejected.")
        value = value.strip(_SPACE)
        if name in headers:
            if name in _ONCE:
                return _bad("header_twice", f"The header {name} occurs twice.")
            repeated[name] = (*repeated.get(name, (headers[name],)), value)
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers


@lru_cache(maxsize=256)
def _lower_name(name: str) -> str:
    """A header's name in lower case; nothing if it is none."""
    return name.lower() if _NAME.fullmatch(name) else ""


def _request_length(headers: Mapping[str, str], minor: str) -> Union[int, Malformed]:
    if "transfer-encoding" in headers and minor == "0":
        return _bad("framing", "HTTP/1.0 has no Transfer-Encoding.")
    return _framing(headers)


def _framing(headers: Mapping[str, str]) -> Union[int, Malformed]:
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if length is not None:
            return _bad("framing", "Content-Length and Transfer-Encoding contradict each other.")
        if coding.lower() != "chunked":
            return _bad("framing", "The only Transfer-Encoding that is accepted is chunked.")
        return CHUNKED
    if length is None:
        return 0
    if not _LENGTH.fullmatch(length):
        return _bad("framing", "Content-Length is not one number.")
    return int(length)


def _request_problem(headers: Mapping[str, str], minor: str, upgrade: str) -> Optional[Malformed]:
    if minor == "1" and "host" not in headers:
        return _bad("host", "The header Host is missing.")
    if headers.get("expect", "100-continue").lower() != "100-continue":
        return _bad("expect", "The only expectation that is accepted is 100-continue.")
    if headers.get("content-encoding", "identity").lower() != "identity":
        return _bad("content_encoding", "A body with a Content-Encoding is not accepted.")
    if upgrade not in ("", "tcp", "h2c", "websocket"):
        return _bad("upgrade", "The protocol of the header Upgrade is unknown.")
    return None


def _tokens(value: str) -> list[str]:
    return _TOKENS.split(value.lower()) if value else []


def _bad(code: str, sentence: str) -> Malformed:
    return Malformed(400, code, sentence)
