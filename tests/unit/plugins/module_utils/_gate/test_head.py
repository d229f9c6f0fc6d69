# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Heads of messages are parsed strictly, and what two parsers could read differently is rejected."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._gate import limits
from ansible_collections.wormhole.docker.plugins.module_utils._gate.head import (
    CHUNKED,
    END,
    METHODS,
    UNTIL_CLOSE,
    Malformed,
    RequestHead,
    ResponseHead,
    find_end,
    parse_request,
    parse_response,
)


def request(*headers, line="POST /v1.44/containers/create?name=a HTTP/1.1", host="Host: docker"):
    return "\r\n".join([line, *([host] if host else []), *headers, "", ""]).encode("latin-1")


def response(*headers, line="HTTP/1.1 200 OK"):
    return "\r\n".join([line, *headers, "", ""]).encode("latin-1")


def test_a_request():
    head = parse_request(request("Content-Length: 12", "Content-Type:application/json \t"))
    assert head == RequestHead(
        method="POST",
        target="/v1.44/containers/create?name=a",
        headers={"host": "docker", "content-length": "12", "content-type": "application/json"},
        length=12,
    )


@pytest.mark.parametrize("method", METHODS)
def test_methods(method):
    assert parse_request(request(line=f"{method} /_ping HTTP/1.1")).method == method


@pytest.mark.parametrize(
    "headers, attribute, value",
    [
        ([], "length", 0),
        (["Transfer-Encoding: chunked"], "length", CHUNKED),
        (["Transfer-Encoding: Chunked"], "length", CHUNKED),
        (["Content-Length: 999999999999999"], "length", 999999999999999),
        ([], "keep", True),
        (["Connection: keep-alive, close"], "keep", False),
        (["Connection: Upgrade", "Upgrade: TCP"], "upgrade", "tcp"),
        (["Connection: keep-alive", "Upgrade: tcp"], "upgrade", ""),
        (["Expect: 100-Continue"], "expects", True),
        ([], "expects", False),
        ([], "chunks", True),
    ],
)
def test_what_a_head_says(headers, attribute, value):
    assert getattr(parse_request(request(*headers)), attribute) == value


def test_http_1_0_neither_keeps_the_connection_nor_knows_chunks():
    head = parse_request(request("Connection: keep-alive", line="GET /_ping HTTP/1.0", host=""))
    assert (head.keep, head.chunks) == (False, False)


REJECTED = [
    (request(line="GET  /_ping HTTP/1.1"), "request_line"),
    (request(line="GET /_ping HTTP/1.1 "), "request_line"),
    (request(line=" GET /_ping HTTP/1.1"), "request_line"),
    (request(line="GET /_ping"), "request_line"),
    (request(line="GET /_ping HTTP/2.0"), "request_line"),
    (request(line="GET /_ping http/1.1"), "request_line"),
    (request(line="get /_ping HTTP/1.1"), "request_line"),
    (request(line="GET http://docker/_ping HTTP/1.1"), "request_line"),
    (request(line="OPTIONS * HTTP/1.1"), "request_line"),
    (request(line="GET /\xe4 HTTP/1.1"), "request_line"),
    (request(line="GET /a\tb HTTP/1.1"), "request_line"),
    (request(line=""), "request_line"),
    (request(line="PATCH / HTTP/1.1"), "method"),
    (request(line="CONNECT / HTTP/1.1"), "method"),
    (request(line="PRI / HTTP/1.1"), "method"),
    (request(host=""), "host"),
    (request("Host: other"), "header_twice"),
    (request("X: a", " folded"), "header"),
    (request("X: a", "\tfolded"), "header"),
    (request("X : a"), "header"),
    (request("X"), "header"),
    (request(": a"), "header"),
    (request("X\xe4: a"), "header"),
    (request("X: a\x00b"), "control_character"),
    (request("X: a\rb"), "control_character"),
    (request("X: a\nContent-Length: 5"), "control_character"),
    (request("X: a\x7f"), "control_character"),
    (request("Content-Length: 5", "Transfer-Encoding: chunked"), "framing"),
    (request("Content-Length: 5", "Content-Length: 5"), "header_twice"),
    (request("Content-Length: 5", "Content-Length: 6"), "header_twice"),
    (request("Content-Length: 5, 5"), "framing"),
    (request("Content-Length: +5"), "framing"),
    (request("Content-Length: -5"), "framing"),
    (request("Content-Length: 0x5"), "framing"),
    (request("Content-Length: 5_0"), "framing"),
    (request("Content-Length: \xb2"), "framing"),
    (request("Content-Length:"), "framing"),
    (request("Content-Length: 1000000000000000"), "framing"),
    (request("Transfer-Encoding: gzip, chunked"), "framing"),
    (request("Transfer-Encoding: chunked, chunked"), "framing"),
    (request("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "header_twice"),
    (request("Transfer-Encoding: identity"), "framing"),
    (request("Transfer-Encoding:"), "framing"),
    (request("Transfer-Encoding: \x0bchunked"), "control_character"),
    (request("Transfer-Encoding: chunked", line="POST / HTTP/1.0"), "framing"),
    (request("Expect: 200-ok"), "expect"),
    (request("Content-Encoding: gzip"), "content_encoding"),
    (request("Connection: upgrade", "Upgrade: smtp"), "upgrade"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n", "head"),
    (b"GET / HTTP/1.1\nHost: a\n\n", "head"),
    (b"", "head"),
]


@pytest.mark.parametrize("head, code", REJECTED)
def test_what_is_rejected(head, code):
    found = parse_request(head)
    assert isinstance(found, Malformed), found
    assert (found.status, found.code) == (400, code)


def test_too_many_headers():
    assert isinstance(parse_request(request(*["X: a"] * (limits.HEADER_COUNT - 1))), RequestHead)
    found = parse_request(request(*["X: a"] * limits.HEADER_COUNT))
    assert (found.status, found.code) == (431, "too_many_headers")


@pytest.mark.parametrize(
    "data, end",
    [
        (b"", 0),
        (b"GET / HTTP/1.1\r\n\r", 0),
        (b"a\r\n\r\n", 5),
        (b"a\r\n\r\nb\r\n\r\n", 5),
        (b"a" * (limits.HEAD_BYTES - 1), 0),
        (b"a" * limits.HEAD_BYTES + END, limits.HEAD_BYTES + 4),
    ],
)
def test_the_end_of_a_head(data, end):
    assert find_end(data) == end


@pytest.mark.parametrize("data", [b"a" * limits.HEAD_BYTES, b"a" * (limits.HEAD_BYTES + 1) + END])
def test_a_head_that_is_too_large(data):
    assert find_end(data).status == 431


@pytest.mark.parametrize(
    "head, method, expected",
    [
        (response("Content-Length: 2"), "GET", (200, 2, True, False)),
        (response("Content-Length: 2"), "HEAD", (200, 0, True, False)),
        (response("Transfer-Encoding: chunked"), "GET", (200, CHUNKED, True, False)),
        (response("Connection: close"), "GET", (200, UNTIL_CLOSE, False, False)),
        (response(line="HTTP/1.1 204 No Content"), "POST", (204, 0, True, False)),
        (response(line="HTTP/1.1 304 Not Modified"), "POST", (304, 0, True, False)),
        (response(line="HTTP/1.1 100 Continue"), "POST", (100, 0, True, False)),
        (response("Upgrade: tcp", line="HTTP/1.1 101 UPGRADED"), "POST", (101, UNTIL_CLOSE, False, True)),
        (response("Content-Length: 0", line="HTTP/1.0 404"), "GET", (404, 0, False, False)),
    ],
)
def test_a_response(head, method, expected):
    found = parse_response(head, method)
    assert isinstance(found, ResponseHead)
    assert (found.status, found.length, found.keep, found.hijacked) == expected


@pytest.mark.parametrize(
    "head",
    [
        response("Content-Length: 2", "Transfer-Encoding: chunked"),
        response(line="HTTP/1.1 99 Low"),
        response(line="HTTP/1.1 2000 High"),
        response(line="HTTP/2 200 OK"),
        response("Content-Length: two"),
    ],
)
def test_a_response_that_is_rejected(head):
    assert isinstance(parse_response(head, "GET"), Malformed)


PIECES = st.sampled_from(
    [
        *(
            b"GET",
            b"POST",
            b" ",
            b"/",
            b"/_ping",
            b"HTTP/1.1",
            b"\r\n",
            b"\n",
            b"\r",
            b":",
            b"Host: a",
            b"\t",
        ),
        *(b"Content-Length: ", b"Transfer-Encoding: ", b"chunked", b"5", b",", b"\xff", b"\x00"),
        b"Connection: upgrade",
    ]
)


@given(st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=30).map(b"".join)))
@example(b"\r\n\r\n")
def test_no_bytes_raise_and_what_is_accepted_has_one_meaning(data):
    end = find_end(data)
    if isinstance(end, Malformed) or not end:
        return
    found = parse_request(data[:end])
    assert isinstance(parse_response(data[:end], "GET"), (ResponseHead, Malformed))
    if isinstance(found, Malformed):
        assert found.status in (400, 431)
        assert found.sentence.endswith(".")
        return
    text = data[:end].decode("latin-1")
    assert text.startswith(f"{found.method} {found.target} HTTP/1.")
    assert found.target.isascii()
    assert found.target.isprintable()
    assert text.count("\n") == text.count("\r") == text.count("\r\n")
    assert not ("content-length" in found.headers and "transfer-encoding" in found.headers)
    assert found.length == CHUNKED or found.length == int(found.headers.get("content-length", 0))
