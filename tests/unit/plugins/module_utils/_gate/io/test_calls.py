# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls through the gate to a stand-in for the engine, over real sockets."""

from __future__ import annotations

import json
import socket
import threading
import time

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate import limits as bounds
from ansible_collections.wormhole.docker.plugins.module_utils._gate.chunks import LAST, encode
from ansible_collections.wormhole.docker.plugins.module_utils._gate.limits import Limits
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.stand_in import (
    IDENTITY,
    Client,
    answer,
    soon,
    staged,
)


@pytest.fixture
def stage():
    with staged() as (engine, gate):
        yield engine, gate


def test_a_ping(client):
    client.send("GET /_ping")
    status, headers, content = client.answer()
    assert (status, content) == (200, b"OK")
    assert headers["api-version"] == "1.44"


def test_a_ping_without_a_body(engine, client):
    engine.answers["HEAD /_ping"] = answer(b"", "200 OK").replace(b"Length: 0", b"Length: 2")
    client.send("HEAD /_ping")
    status, headers = client.head()
    assert (status, headers["content-length"], client.data) == (200, "2", b"")
    assert client.call("GET /_ping") == (200, b"OK")


def test_both_sides_keep_their_connections(engine, client):
    client.call("GET /_ping")
    before = engine.connections
    for _number in range(20):
        assert client.call("GET /version")[0] == 404
    assert engine.connections == before


def test_nothing_of_the_request_is_copied(engine, client):
    engine.answers["GET /version"] = answer({})
    client.call("GET /v1.44/version", "X-Secret: a", "User-Agent: evil", "Cookie: b")
    head = engine.requests[-1][0]
    assert head == b"GET /v1.44/version HTTP/1.1\r\nHost: docker\r\nUser-Agent: wormhole-gate"


@pytest.mark.parametrize("preset, overrides", [("ci", {"build": "buildkit"}), ("unrestricted", {})])
def test_a_header_that_occurs_several_times_stays_so(engine, gate, client, preset, overrides):
    gate.allow(IDENTITY, preset=preset, overrides=overrides)
    name = "X-Docker-Expose-Session-Grpc-Method"
    headers = (f"{name}: /a.B/C", f"{name}: /d.E/F", "Connection: Upgrade", "Upgrade: h2c")
    client.send("POST /v1.44/session", *headers)
    assert client.answer()[0] == 404
    lines = engine.requests[-1][0].decode().lower().splitlines()
    assert [line for line in lines if line.startswith("x-docker")] == [
        f"{name}: {value}".lower() for value in ("/a.B/C", "/d.E/F")
    ]


def test_a_pipelined_call_is_a_call(engine, client):
    client.send("GET /_ping", body=b"")
    client.send("GET /version")
    assert client.answer()[0] == 200
    assert client.answer()[0] == 404


@pytest.mark.parametrize(
    "request_, status",
    [
        (b"GET /_ping HTTP/1.1\r\n\r\n", 400),
        (b"BREW /_ping HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST /auth HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * bounds.HEADER_COUNT + b"\r\n", 431),
        (b"GET /" + b"a" * bounds.HEAD_BYTES, 431),
        (b"POST /v1.44/containers/create HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"GET /swarm HTTP/1.1\r\nHost: a\r\n\r\n", 403),
        (b"GET /no/such/route HTTP/1.1\r\nHost: a\r\n\r\n", 403),
    ],
)
def test_refusals_reach_the_client_and_not_the_engine(engine, gate, client, request_, status):
    client.sock.sendall(request_)
    found, headers, content = client.answer()
    assert found == status
    assert headers["content-type"] == "application/json"
    assert json.loads(content)["message"].endswith(".")
    assert engine.lines() == []
    assert soon(gate.records)
    record = gate.records()[-1]
    assert (record["decision"], record["status"], record["identity"]) == ("deny", status, IDENTITY)
    if status != 403:
        assert client.is_closed()


def test_a_refusal_keeps_the_connection(client):
    assert client.call("GET /swarm")[0] == 403
    assert client.call("GET /_ping")[0] == 200


def test_a_body_that_was_refused_is_not_a_call(engine, client):
    inner = b"GET /version HTTP/1.1\r\nHost: a\r\n\r\n"
    lines = ["POST /swarm/init HTTP/1.1", "Host: a", f"Content-Length: {len(inner)}", "", ""]
    client.sock.sendall("\r\n".join(lines).encode() + inner)
    assert client.rest().count(b"HTTP/1.1 ") == 1
    assert engine.lines() == []


def test_a_refusal_of_the_last_call_closes_the_connection(client):
    client.send("GET /swarm", "Connection: close")
    status, headers, _content = client.answer()
    assert (status, headers["connection"]) == (403, "close")
    assert client.is_closed()


def test_interim_answers_are_left_out(engine, client):
    engine.answers["GET /version"] = (
        b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + answer(b"a")
    )
    assert client.call("GET /version") == (200, b"a")


def test_a_change_is_not_sent_on_a_connection_that_the_engine_has_closed(engine, gate, client):
    gate.allow(IDENTITY, preset="unrestricted")
    engine.answers["POST /networks/create"] = answer({}, "201 Created")
    assert client.call("GET /_ping")[0] == 200
    engine.drop()
    assert client.call("POST /v1.44/networks/create", body=b'{"Name": "n"}')[0] == 201


def test_errors_are_passed_on_whole_without_restrictions(engine, gate, client):
    gate.allow(IDENTITY, preset="unrestricted")
    message = {"message": f"in use by {'f' * 64}"}
    engine.answers["GET /version"] = answer(message, "409 Conflict")
    status, content = client.call("GET /version")
    assert (status, json.loads(content)) == (409, message)


def test_a_body_in_chunks_that_is_too_large(engine, client):
    client.send("POST /v1.44/networks/create", "Transfer-Encoding: chunked", "Content-Type: application/json")
    block = b"".join(encode([b" " * 65536]))
    with_patience(lambda: client.sock.sendall(block))
    assert client.answer()[0] in (403, 413)
    assert client.is_closed()
    assert engine.lines() == []


def with_patience(send):
    try:
        for _number in range(40):
            send()
    except OSError:
        pass


def test_a_body_arrives_written_anew(engine, gate, client):
    gate.allow(IDENTITY, preset="unrestricted")
    engine.answers["POST /networks/create"] = answer({"Id": "1"}, "201 Created")
    body = b'  {"Driver" : "bridge", "Name":"n" }  '
    assert client.call("POST /v1.44/networks/create", body=body) == (201, b'{"Id": "1"}')
    head, content = engine.requests[-1]
    assert json.loads(content)["Name"] == "n"
    assert content.strip() == content
    assert b"Content-Type: application/json" in head


def test_an_expectation_is_answered_before_the_body_is_read(engine, gate, client):
    gate.allow(IDENTITY, preset="unrestricted")
    engine.answers["POST /networks/create"] = answer({}, "201 Created")
    body = b'{"Name": "n"}'
    headers = (f"Content-Length: {len(body)}", "Expect: 100-continue", "Content-Type: application/json")
    client.send("POST /v1.44/networks/create", *headers)
    assert client.head()[0] == 100
    client.sock.sendall(body)
    assert client.answer()[0] == 201


def test_a_refused_expectation_is_not_answered_with_continue(client):
    client.send("POST /swarm/init", "Content-Length: 5", "Expect: 100-continue")
    assert client.head()[0] == 403


@pytest.mark.parametrize("size", [0, 5, 100000])
@pytest.mark.parametrize("chunked", [False, True])
def test_answers_of_all_framings(engine, client, size, chunked):
    content = b"x" * size
    framed = b"".join(b"".join(encode([content[i : i + 999]])) for i in range(0, size, 999)) + LAST
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    engine.answers["GET /version"] = head + framed if chunked else answer(content)
    for _number in range(2):
        assert client.call("GET /version") == (200, content)
    assert len([line for line in engine.lines() if "version" in line]) == 2


def test_an_answer_for_http_1_0_is_not_in_chunks(engine, gate):
    engine.answers["GET /version"] = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(encode([b"abc"])) + LAST
    )
    client = Client(gate.path)
    client.sock.sendall(b"GET /version HTTP/1.0\r\n\r\n")
    assert client.answer() == (200, {"connection": "close"}, b"abc")


def test_an_incomplete_answer_is_not_completed(engine, client):
    def half(connection):
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(encode([b"abc"]))
        )
        return False

    engine.answers["GET /version"] = half
    client.send("GET /version")
    with pytest.raises(EOFError):
        client.answer()


@pytest.mark.parametrize(
    "reply, status",
    [
        (b"", 502),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 502),
        (b"nonsense\r\n\r\n", 502),
        (b"HTTP/1.1 101 UPGRADED\r\n\r\n", 502),
    ],
)
def test_an_engine_that_breaks_the_rules(engine, client, reply, status):
    def wrong(connection):
        connection.sendall(reply)
        return False

    engine.answers["GET /version"] = wrong
    assert client.call("GET /version")[0] == status


def test_a_call_is_not_sent_twice_unless_it_changes_nothing(engine, gate, client):
    gate.allow(IDENTITY, preset="unrestricted")
    engine.answers["POST /networks/create"] = engine.answers["GET /version"] = lambda connection: False
    client.call("GET /_ping")
    assert client.call("POST /v1.44/networks/create", body=b'{"Name": "n"}')[0] == 502
    assert Client(gate.path).call("GET /version")[0] == 502
    assert len([line for line in engine.lines() if "create" in line]) == 1
    assert len([line for line in engine.lines() if "version" in line]) == 2


def test_an_engine_that_is_down_and_comes_back(engine, gate):
    client = Client(gate.path)
    assert client.call("GET /_ping")[0] == 200
    engine.drop()
    assert Client(gate.path).call("GET /_ping")[0] == 200
    engine.close()
    status, content = Client(gate.path).call("GET /_ping")
    assert status == 503
    assert "cannot reach the engine" in json.loads(content)["message"]


def test_a_client_that_leaves_ends_the_call(engine, gate, client):
    gone = []

    def wait(connection):
        gone.append(connection.recv(1) == b"")
        return False

    gate.allow(IDENTITY, preset="unrestricted")
    engine.answers["POST /containers/a/wait"] = wait
    client.send("POST /v1.44/containers/a/wait")
    assert soon(lambda: any("wait" in line for line in engine.lines()))
    client.close()
    assert soon(lambda: gone == [True])


def test_a_slow_head_is_cut_off():
    with staged(limits=Limits(head_seconds=1, drain_seconds=1)) as (_engine, gate):
        client, other = Client(gate.path), Client(gate.path)
        started = time.monotonic()
        for byte in b"GET /_ping HTTP/1.1":
            try:
                client.sock.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.1)
        assert client.is_closed()
        assert time.monotonic() - started < 4
        assert other.call("GET /_ping")[0] == 200


def test_an_idle_connection_is_closed():
    with staged(limits=Limits(idle_seconds=1, drain_seconds=1)) as (_engine, gate):
        client = Client(gate.path)
        assert client.call("GET /_ping")[0] == 200
        assert client.is_closed()


def test_too_many_connections_of_one_identity_do_not_hurt_another():
    with staged(limits=Limits(connections=3, drain_seconds=1)) as (_engine, gate):
        gate.allow("other", preset="observe")
        clients = [Client(gate.path) for _number in range(3)]
        assert all(client.call("GET /_ping")[0] == 200 for client in clients)
        assert Client(gate.path).answer()[0] == 503
        assert Client(gate.path.replace(IDENTITY, "other")).call("GET /_ping")[0] == 200
        clients[0].close()
        assert soon(lambda: _pings(gate.path))


def _pings(path):
    try:
        return Client(path).call("GET /_ping")[0] == 200
    except OSError:
        return False


# --- access ---------------------------------------------------------------------------------------


def test_a_removed_policy_ends_access_with_the_next_call(engine, gate, client):
    assert client.call("GET /_ping")[0] == 200
    (gate.policies / f"{IDENTITY}.json").unlink()
    before = engine.lines(ours=True)
    status, content = client.call("GET /_ping")
    assert (status, json.loads(content)["message"]) == (403, "ci has no access to this engine.")
    assert engine.lines(ours=True) == before


def test_a_policy_that_cannot_be_parsed_closes_its_identity_alone(gate, client):
    gate.allow("other", preset="observe")
    (gate.policies / "other.json").write_text("{")
    gate.parts.policies.reload()
    assert Client(gate.path.replace(IDENTITY, "other")).call("GET /_ping")[0] == 403
    assert client.call("GET /_ping")[0] == 200


def test_a_changed_policy_holds_with_the_next_call(engine, gate, client):
    engine.answers["POST /networks/create"] = answer({"Id": "1"}, "201 Created")
    gate.allow(IDENTITY, preset="observe")
    assert client.call("POST /v1.44/networks/create", body=b'{"Name": "n"}')[0] == 403
    gate.allow(IDENTITY, preset="unrestricted")
    assert client.call("POST /v1.44/networks/create", body=b'{"Name": "n"}')[0] == 201
    gate.allow(IDENTITY, preset="observe")
    assert client.call("POST /v1.44/networks/create", body=b'{"Name": "n"}')[0] == 403


def test_streams_of_a_removed_identity_are_cut(engine, gate, client):
    def endless(connection):
        connection.sendall(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"".join(encode([b"{}\n"]))
        )
        connection.recv(1)
        return False

    gate.allow(IDENTITY, preset="unrestricted")
    engine.answers["GET /events"] = endless
    client.send("GET /v1.44/events")
    assert client.head()[0] == 200
    gate.server.cut_unwelcome(time.time())
    client.sock.settimeout(0.3)
    with pytest.raises(socket.timeout):
        client.sock.recv(65536) and client.sock.recv(65536)
    client.sock.settimeout(10)
    (gate.policies / f"{IDENTITY}.json").unlink()
    gate.server.cut_unwelcome(time.time())
    with pytest.raises(EOFError):
        client.exactly(100000)


def test_a_client_that_has_not_called_yet_reads_why_it_has_no_access(gate, client):
    (gate.policies / f"{IDENTITY}.json").write_text("{")
    gate.policies.touch()
    gate.server.cut_unwelcome(time.time())
    status, content = client.call("GET /_ping")
    assert (status, b"cannot be read" in content) == (403, True)
    gate.server.cut_unwelcome(time.time())


@pytest.mark.parametrize("mode", ["learn", "warn"])
def test_a_policy_that_does_not_enforce_passes_the_call_on_as_it_came(engine, gate, client, mode):
    gate.allow(IDENTITY, preset="observe", mode=mode)
    engine.answers["POST /swarm/init"] = answer({"ok": 1})
    body = b'{ "ListenAddr": "0.0.0.0" }'
    assert client.call("POST /v1.44/swarm/init", "X-Registry-Auth: e30=", body=body)[0] == 200
    head, content = engine.requests[-1]
    assert content == body
    assert b"X-Registry-Auth: e30=" in head
    record = gate.records()[-1]
    assert (record["decision"], record["mode"], record["status"]) == ("would_deny", mode, 200)


def test_the_audit_log(engine, gate, client):
    engine.answers["POST /auth"] = answer({"Status": "Login Succeeded"})
    client.call("GET /_ping")
    client.call("POST /v1.44/auth", body=b'{"username": "u", "password": "hunter2"}')
    first = gate.records()[0]
    assert (first["route"], first["method"], first["status"], first["decision"]) == (
        "ping",
        "GET",
        200,
        "allow",
    )
    assert first["policy"]
    assert 0 < first["decided_us"] <= first["us"] < 10**7
    assert "hunter2" not in gate.log.read_text()


def test_a_draining_gate_ends_idle_connections_and_finishes_calls(engine, gate, client):
    def slow(connection):
        time.sleep(0.3)
        connection.sendall(answer(b"done"))
        return True

    engine.answers["GET /version"] = slow
    idle = Client(gate.path)
    idle.call("GET /_ping")
    client.send("GET /version")
    assert soon(lambda: any("/version" in line for line in engine.lines()))
    gate.close()
    _status, headers, content = client.answer()
    assert (content, headers["connection"]) == (b"done", "close")
    assert idle.is_closed()
    assert client.is_closed()


def test_a_draining_gate_answers_the_next_call_on_a_kept_connection(gate, client):
    assert client.call("GET /_ping")[0] == 200
    stopping = threading.Thread(target=gate.close)
    stopping.start()
    assert soon(lambda: all(session.draining for session in gate.server._sessions))
    client.send("GET /_ping")
    status, headers, _content = client.answer()
    assert (status, headers["connection"]) == (200, "close")
    assert client.is_closed()
    stopping.join()
