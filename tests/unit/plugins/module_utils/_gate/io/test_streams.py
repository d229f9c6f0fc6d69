# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Streams through the gate: hijacked ones with half-close, uploads, downloads, and events."""

from __future__ import annotations

import hashlib
import json
import resource
import socket
import threading
import time

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.chunks import LAST, encode
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.pump import Pump
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.stand_in import (
    IDENTITY,
    Client,
    answer,
    soon,
    staged,
)

UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")
ATTACH = "POST /v1.44/containers/a/attach?stream=1&stdin=1&stdout=1"
HEAD_101 = b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
HEAD_200 = b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n"
BLOCK = bytes(range(256)) * 1024


@pytest.fixture
def stage():
    with staged(preset="unrestricted") as (engine, gate):
        yield engine, gate


def echo_until_end(head):
    """A container that repeats its input, and says goodbye after its end."""

    def serve(connection):
        connection.sendall(head)
        while True:
            data = connection.recv(65536)
            if not data:
                break
            connection.sendall(data)
        connection.sendall(b"goodbye")
        return False

    return serve


@pytest.mark.parametrize("head, headers", [(HEAD_101, UPGRADE), (HEAD_200, ())])
def test_attach_ends_its_input_and_reads_on(engine, client, head, headers):
    engine.answers["POST /containers/a/attach"] = echo_until_end(head)
    client.send(ATTACH, *headers)
    status, found = client.head()
    assert status == int(head.split(b" ")[1])
    assert found["content-type"] == "application/vnd.docker.raw-stream"
    assert ("upgrade" in found) == bool(headers)
    client.sock.sendall(b"hello")
    assert client.exactly(5) == b"hello"
    client.sock.shutdown(socket.SHUT_WR)
    assert client.rest() == b"goodbye"


def test_a_websocket_of_a_policy_that_allows_all(engine, client):
    head = (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nX-Other: a\r\n\r\n"
    )
    engine.answers["GET /containers/a/attach/ws"] = echo_until_end(head)
    key = ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13")
    client.send(
        "GET /v1.44/containers/a/attach/ws?stream=1", "Connection: Upgrade", "Upgrade: websocket", *key
    )
    status, found = client.head()
    assert (status, found["upgrade"], "x-other" in found) == (101, "websocket", False)
    assert found["sec-websocket-accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=".lower()
    client.sock.sendall(b"\x81\x05hello")
    assert client.exactly(7) == b"\x81\x05hello"
    lines = engine.requests[-1][0].decode().lower().split("\r\n")
    assert {line.lower() for line in ("Upgrade: websocket", "Connection: Upgrade", *key)} <= set(lines)


def test_input_that_follows_the_request_at_once_is_input(engine, client):
    engine.answers["POST /containers/a/attach"] = echo_until_end(HEAD_101)
    client.send(ATTACH, *UPGRADE)
    client.sock.sendall(b"GET /_ping HTTP/1.1\r\n\r\n")
    assert client.head()[0] == 101
    client.sock.shutdown(socket.SHUT_WR)
    assert client.rest() == b"GET /_ping HTTP/1.1\r\n\r\ngoodbye"


def test_a_body_before_the_stream(engine, client):
    engine.answers["POST /exec/e/start"] = echo_until_end(HEAD_101)
    client.send("POST /v1.44/exec/e/start", *UPGRADE, body=b'{"Detach": false, "Tty": true}')
    assert client.head()[0] == 101
    client.sock.sendall(b"x")
    assert client.exactly(1) == b"x"
    assert json.loads(engine.requests[-1][1]) == {"Detach": False, "Tty": True}


def test_a_refused_stream_is_an_answer(engine, client):
    engine.answers["POST /containers/a/attach"] = answer({"message": "not running"}, "409 Conflict")
    client.send(ATTACH, *UPGRADE)
    status, _headers, content = client.answer()
    assert (status, json.loads(content)) == (409, {"message": "not running"})
    assert client.call("GET /_ping")[0] == 200


def test_input_for_a_refused_stream_is_not_a_call(engine, client):
    engine.answers["POST /containers/a/attach"] = answer({"message": "not running"}, "409 Conflict")
    lines = [f"{ATTACH} HTTP/1.1", "Host: a", *UPGRADE, "", "GET /_ping HTTP/1.1", "Host: a", "", ""]
    client.sock.sendall("\r\n".join(lines).encode())
    assert client.answer()[0] == 409
    assert client.is_closed()


def test_the_end_of_the_container_ends_the_connection(engine, client):
    def serve(connection):
        connection.sendall(HEAD_101 + b"bye")
        return False

    engine.answers["POST /containers/a/attach"] = serve
    client.send(ATTACH, *UPGRADE)
    client.head()
    assert client.rest() == b"bye"


def test_a_client_that_does_not_notice_the_end_costs_nothing(stage):
    engine, gate = stage

    def serve(connection):
        connection.sendall(HEAD_101)
        return False

    engine.answers["POST /containers/a/attach"] = serve
    client = Client(gate.path)
    client.send(ATTACH, *UPGRADE)
    assert client.head()[0] == 101
    assert soon(lambda: not gate.server._sessions)
    client.close()


def test_a_gate_that_stops_ends_streams_at_last(stage):
    engine, gate = stage
    engine.answers["POST /containers/a/attach"] = echo_until_end(HEAD_101)
    client = Client(gate.path)
    client.send(ATTACH, *UPGRADE)
    assert client.head()[0] == 101
    gate.close()
    assert client.rest() in (b"", b"goodbye")


def test_a_defect_in_the_middle_of_an_answer_is_not_answered(stage, monkeypatch):
    engine, gate = stage
    engine.answers["POST /containers/a/attach"] = echo_until_end(HEAD_101)
    monkeypatch.setattr(Pump, "run", lambda *_arguments, **_more: 1 // 0)
    client = Client(gate.path)
    client.send(ATTACH, *UPGRADE)
    assert client.head()[0] == 101
    assert client.rest() == b""


def test_a_client_that_leaves_a_stream_ends_it(engine, client):
    left = []

    def serve(connection):
        connection.sendall(HEAD_101)
        left.append(connection.recv(1))
        return False

    engine.answers["POST /containers/a/attach"] = serve
    client.send(ATTACH, *UPGRADE)
    client.head()
    client.close()
    assert soon(lambda: left == [b""])


def test_a_stream_in_both_directions_at_once(engine, client):
    engine.answers["POST /containers/a/attach"] = echo_until_end(HEAD_101)
    client.send(ATTACH, *UPGRADE)
    client.head()

    def send():
        for _number in range(100):
            client.sock.sendall(BLOCK)
        client.sock.shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=send)
    thread.start()
    found = hashlib.sha256(client.rest()).digest()
    thread.join()
    assert found == hashlib.sha256(BLOCK * 100 + b"goodbye").digest()


# --- uploads and downloads ------------------------------------------------------------------------


def chunks(client, count):
    for _number in range(count):
        client.sock.sendall(b"".join(encode([BLOCK])))
    client.sock.sendall(LAST)


@pytest.mark.parametrize("framing", [f"Content-Length: {len(BLOCK) * 40}", "Transfer-Encoding: chunked"])
def test_an_upload_is_passed_on(engine, client, framing):
    engine.answers["PUT /containers/a/archive"] = answer()
    client.send("PUT /v1.44/containers/a/archive?path=/", framing, "Content-Type: application/x-tar")
    if framing.startswith("T"):
        chunks(client, 40)
    else:
        client.sock.sendall(BLOCK * 40)
    assert client.answer()[0] == 200
    assert engine.requests[-1][1] == BLOCK * 40
    assert client.call("GET /_ping")[0] == 200


def test_an_upload_that_the_engine_refuses_early(engine, client):
    def refuse(connection):
        connection.sendall(answer({"message": "no such container"}, "404 Not Found", "Connection: close"))
        return False

    refuse.early = True
    engine.answers["PUT /containers/a/archive"] = refuse
    client.send("PUT /v1.44/containers/a/archive?path=/", f"Content-Length: {len(BLOCK) * 1000}")
    try:
        for _number in range(1000):
            client.sock.sendall(BLOCK)
    except OSError:
        pass
    status, _headers, content = client.answer()
    assert (status, json.loads(content)) == (404, {"message": "no such container"})


def test_an_upload_whose_answer_comes_meanwhile(engine, client):
    received = []

    def load(connection):
        received.append(engine.ahead)
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while sum(received) < len(BLOCK) * 40:
            received.append(len(connection.recv(1 << 20)))
            connection.sendall(b"".join(encode([b"." * 2000])))
        connection.sendall(LAST)
        return False

    load.early = True
    engine.answers["POST /images/load"] = load
    client.send(
        "POST /v1.44/images/load", f"Content-Length: {len(BLOCK) * 40}", "Content-Type: application/x-tar"
    )
    client.sock.sendall(BLOCK * 40)
    status, _headers, content = client.answer()
    assert (status, content) == (200, b"." * len(content))
    assert sum(received) == len(BLOCK) * 40


def test_an_upload_that_breaks_off_is_not_completed(engine, stage, client):
    seen = []

    def read(connection):
        while True:
            data = connection.recv(65536)
            seen.append(data)
            if not data:
                return False

    read.early = True
    engine.answers["PUT /containers/a/archive"] = read
    client.send("PUT /v1.44/containers/a/archive?path=/", "Transfer-Encoding: chunked")
    client.sock.sendall(b"".join(encode([b"abc"])))
    client.sock.shutdown(socket.SHUT_WR)
    assert client.answer()[0] == 400
    assert soon(lambda: seen and seen[-1] == b"")
    assert LAST not in b"".join(seen)


def test_chunk_extensions_in_an_upload_are_rejected(engine, client):
    engine.answers["PUT /containers/a/archive"] = answer()
    client.send("PUT /v1.44/containers/a/archive?path=/", "Transfer-Encoding: chunked")
    client.sock.sendall(b"3;a=b\r\nabc\r\n0\r\n\r\n")
    assert client.answer()[0] == 400
    assert client.is_closed()


@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_download_does_not_stay_in_memory(engine, client, chunked):
    count, sizes = 400, []

    def save(connection):
        length = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (len(BLOCK) * count)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\n" + length + b"\r\n\r\n")
        for _number in range(count):
            connection.sendall(b"".join(encode([BLOCK])) if chunked else BLOCK)
            sizes.append(len(BLOCK))
        connection.sendall(LAST if chunked else b"")
        return True

    engine.answers["GET /images/a/get"] = save
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    client.send("GET /v1.44/images/a/get")
    status, headers = client.head()
    # The client does not read. The gate must not read on either.
    time.sleep(0.3)
    written = sum(sizes)
    time.sleep(0.3)
    assert sum(sizes) == written < len(BLOCK) * 20
    client.sock.settimeout(30)
    found = client.body(headers)
    assert (status, len(found)) == (200, len(BLOCK) * count)
    assert found[-len(BLOCK) :] == BLOCK
    del found
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400 << 10
    assert client.call("GET /_ping")[0] == 200


def test_an_answer_in_pieces_arrives_in_pieces(engine, client):
    go_on = threading.Event()

    def logs(connection):
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(encode([b"one"]))
        )
        go_on.wait(10)
        connection.sendall(b"".join(encode([b"two"])) + LAST)
        return True

    engine.answers["GET /containers/a/logs"] = logs
    client.send("GET /v1.44/containers/a/logs?follow=1&stdout=1")
    _status, headers = client.head()
    assert client.exactly(8) == b"3\r\none\r\n"
    go_on.set()
    assert client.body(headers) == b"two"


def test_a_client_that_leaves_a_download_ends_it(engine, client):
    left = []

    def logs(connection):
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(encode([b"one"]))
        )
        left.append(connection.recv(1))
        return False

    engine.answers["GET /containers/a/logs"] = logs
    client.send("GET /v1.44/containers/a/logs?follow=1&stdout=1")
    client.exactly(8)
    client.close()
    assert soon(lambda: left == [b""])


def test_the_answer_to_a_stream_of_another_identity_is_its_own(stage):
    engine, gate = stage
    gate.allow("other", preset="unrestricted")
    engine.answers["POST /containers/a/attach"] = echo_until_end(HEAD_101)
    clients = [Client(gate.path), Client(gate.path.replace(IDENTITY, "other"))]
    for client in clients:
        client.send(ATTACH, *UPGRADE)
        client.head()
    for name, client in zip([b"1", b"2"], clients):
        client.sock.sendall(name * 10000)
    for name, client in zip([b"1", b"2"], clients):
        assert client.exactly(10000) == name * 10000
        client.close()
