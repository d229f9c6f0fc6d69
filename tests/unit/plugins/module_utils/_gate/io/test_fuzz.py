# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Bytes of any kind: the gate forwards nothing that was not decided, and always answers or closes."""

from __future__ import annotations

import re
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._gate.limits import Limits
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.stand_in import (
    IDENTITY,
    Client,
    answer,
    soon,
    staged,
)

STATUSES = (b"200", b"400", b"403", b"404", b"413", b"431")
ALLOWED = ("GET /v1.44/_ping", "GET /v1.44/version", "GET /v1.44/info", "HEAD /v1.44/_ping")

WORDS = st.sampled_from(
    [
        *(
            b"GET ",
            b"POST ",
            b"PUT ",
            b"DELETE ",
            b"HEAD ",
            b"/_ping",
            b"/v1.44/info",
            b"/version",
            b"/containers/create",
        ),
        *(
            b" HTTP/1.1",
            b" HTTP/1.0",
            b"\r\n",
            b"\r\n\r\n",
            b"\n",
            b"\r",
            b"Host: a\r\n",
            b"Content-Length: 5\r\n",
        ),
        *(
            b"Content-Length: 0\r\n",
            b"Transfer-Encoding: chunked\r\n",
            b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
        ),
        *(
            b"5\r\nhello\r\n0\r\n\r\n",
            b"0\r\n\r\n",
            b"{}",
            b"Expect: 100-continue\r\n",
            b"/swarm",
            b"%2e%2e/",
            b"?all=1",
        ),
        *(
            b"Content-Type: application/json\r\n",
            b"\x00",
            b"\xff",
            b" ",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            b"\x16\x03\x01",
        ),
    ]
)
HEADS = st.tuples(
    st.sampled_from([b"GET", b"POST", b"HEAD", b"PUT"]),
    st.sampled_from(
        [
            b"/_ping",
            b"/version",
            b"/info",
            b"/swarm",
            b"/v1.44/_ping",
            b"/containers/create",
            b"//_ping",
            b"/x",
        ]
    ),
    st.lists(WORDS, max_size=3),
).map(lambda parts: parts[0] + b" " + parts[1] + b" HTTP/1.1\r\nHost: a\r\n" + b"".join(parts[2]) + b"\r\n")
BYTES = st.one_of(
    st.binary(max_size=200),
    st.lists(WORDS, max_size=20).map(b"".join),
    st.lists(HEADS, max_size=4).map(b"".join),
)


@pytest.fixture(scope="module")
def stage():
    limits = Limits(head_seconds=1, body_seconds=1, idle_seconds=1, drain_seconds=1)
    with staged(preset="observe", limits=limits) as (engine, gate):
        engine.answers.update({"GET /version": answer({}), "GET /info": answer({}), "HEAD /_ping": answer()})
        yield engine, gate


@given(data=BYTES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_what_was_not_decided_is_not_forwarded(stage, data):
    engine, gate = stage
    del engine.requests[:]
    client = Client(gate.path)
    client.sock.settimeout(15)
    received = b""
    try:
        client.sock.sendall(data)
        client.sock.shutdown(socket.SHUT_WR)
        received = client.rest()
    except ConnectionError:
        pass
    client.close()
    for line in engine.lines(ours=True):
        if "filters=" not in line and line != "GET /_ping HTTP/1.1":
            assert line.endswith(" HTTP/1.1")
            assert line[: -len(" HTTP/1.1")] in ALLOWED, line
    for head, body in engine.requests:
        assert body == b""
        assert b"User-Agent: wormhole-gate" in head
    statuses = re.findall(rb"HTTP/1\.1 ([0-9]{3})", received)
    assert all(status in (*STATUSES, b"100") for status in statuses), received
    if not received.startswith(b"HTTP/1.1 ") and received:
        raise AssertionError(received)


def test_it_has_not_grown(stage):
    _engine, gate = stage
    assert soon(lambda: not gate.server._sessions)
    assert gate.server._open == {}
    assert Client(gate.path).call("GET /_ping") == (200, b"OK")
    assert {record["identity"] for record in gate.records()} == {IDENTITY}
    assert not any(record["status"] == 500 for record in gate.records())
