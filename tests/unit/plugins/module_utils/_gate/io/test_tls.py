# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""TLS of the gate: the fingerprint of the client's certificate names the identity."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import ssl
import threading
import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.secure import make_context
from ansible_collections.wormhole.docker.plugins.module_utils._gate.limits import Limits
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._endpoint.io.test_probe import (
    EXPIRED,
    Authority,
    write_identity,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.stand_in import (
    IDENTITY,
    Client,
    soon,
    staged,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.test_streams import (
    ATTACH,
    BLOCK,
    HEAD_101,
    UPGRADE,
)


def fingerprint(leaf):
    return hashlib.sha256(leaf[0].public_bytes(serialization.Encoding.DER)).hexdigest()


class Secured:
    """A gate with a TLS listener.

    Attributes:
        engine, gate: see stand_in.
        leaf: the certificate of IDENTITY, with its key.
    """

    def __init__(self, engine, gate, tmp_path):
        self.engine, self.gate, self.path = engine, gate, tmp_path
        self.authority = Authority()
        server = write_identity(
            tmp_path / "server", self.authority, self.authority.issue("gate", ["127.0.0.1"])
        )
        gate.server.context = make_context(str(server))
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        assert gate.server.add("tls", [("tls", listener)])
        self.leaf = self.authority.client(IDENTITY)
        self.allow(self.leaf)

    def allow(self, *leaves, **policy):
        policy = policy or {"preset": "unrestricted"}
        self.gate.allow(IDENTITY, tuple(map(fingerprint, leaves)), **policy)

    def connect(self, leaf=None, authority=None, version=ssl.TLSVersion.TLSv1_3):
        """A connection with a client certificate."""
        authority = authority or self.authority
        directory = write_identity(self.path / "client", authority, leaf or self.leaf)
        context = ssl.create_default_context(cafile=f"{self.path}/server/ca.pem")
        context.load_cert_chain(f"{directory}/cert.pem", f"{directory}/key.pem")
        context.set_alpn_protocols(["h2", "http/1.1"])
        context.maximum_version = version
        client = Client.__new__(Client)
        plain = socket.create_connection(self.address, timeout=10)
        client.sock = context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
        client.data = b""
        return client


@pytest.fixture
def secured(tmp_path):
    with staged(limits=Limits(drain_seconds=1, head_seconds=2)) as (engine, gate):
        yield Secured(engine, gate, tmp_path)


def refuses(secured, **how):
    """Whether the handshake fails, or the connection is closed instead of an answer."""
    try:
        client = secured.connect(**how)
        client.call("GET /_ping")
    except (OSError, EOFError):
        return True
    return False


def test_the_certificate_names_the_identity(secured):
    client = secured.connect()
    assert client.sock.selected_alpn_protocol() == "http/1.1"
    assert client.call("GET /_ping") == (200, b"OK")
    assert client.call("GET /_ping") == (200, b"OK")
    record = secured.gate.records()[-1]
    assert record["identity"] == IDENTITY
    assert int(record["serial"], 16) == secured.leaf[0].serial_number


def test_a_certificate_that_no_policy_names_has_no_access(secured):
    status, content = secured.connect(secured.authority.client(IDENTITY)).call("GET /_ping")
    assert status == 403
    assert "certificate" in json.loads(content)["message"]
    assert secured.engine.requests == []


def test_a_certificate_of_another_authority_is_rejected(secured):
    other = Authority()
    leaf = other.client(IDENTITY)
    secured.allow(leaf)
    assert refuses(secured, leaf=leaf, authority=other)


def test_an_expired_certificate_is_rejected(secured):
    leaf = secured.authority.client(IDENTITY, dates=EXPIRED)
    secured.allow(leaf)
    assert refuses(secured, leaf=leaf)


def test_a_server_certificate_is_rejected(secured):
    leaf = secured.authority.client(IDENTITY, purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    secured.allow(leaf)
    assert refuses(secured, leaf=leaf)


def test_no_certificate_is_rejected(secured):
    context = ssl.create_default_context(cafile=f"{secured.path}/server/ca.pem")
    plain = socket.create_connection(secured.address, timeout=10)
    received = b""
    with contextlib.suppress(OSError), context.wrap_socket(plain, server_hostname="127.0.0.1") as sock:
        sock.sendall(b"GET /_ping HTTP/1.1\r\nHost: a\r\n\r\n")
        received = sock.recv(100)
    assert received == b""
    assert secured.engine.requests == []


def test_a_replaced_certificate_loses_access_with_the_next_call(secured):
    client, renewed = secured.connect(), secured.authority.client(IDENTITY)
    assert client.call("GET /_ping")[0] == 200
    secured.allow(secured.leaf, renewed)
    assert client.call("GET /_ping")[0] == 200
    secured.allow(renewed)
    status, content = client.call("GET /_ping")
    assert status == 403
    assert "replaced or revoked" in json.loads(content)["message"]
    assert secured.connect(renewed).call("GET /_ping")[0] == 200


def test_a_kept_connection_ends_with_its_certificate(secured):
    client = secured.connect(secured.leaf)
    assert client.call("GET /_ping")[0] == 200
    session = next(iter(secured.gate.server._sessions))
    registry = secured.gate.parts.policies.current()
    assert registry.admits(session.peer, time.time())
    assert not registry.admits(session.peer, session.peer.expires + 1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_not_resumed(secured, version):
    client = secured.connect(version=version)
    client.call("GET /_ping")
    session = client.sock.session
    assert session is None or not session.has_ticket


def test_a_client_that_does_not_shake_hands_is_cut_off_and_hurts_nobody(secured):
    silent = socket.create_connection(secured.address, timeout=10)
    assert secured.connect().call("GET /_ping")[0] == 200
    started = time.monotonic()
    with contextlib.suppress(ConnectionResetError):
        assert silent.recv(1) == b""
    assert time.monotonic() - started < 6


def test_handshakes_of_one_address_are_bounded(secured):
    silent = [socket.create_connection(secured.address, timeout=10) for _number in range(40)]
    assert soon(lambda: sum(secured.gate.server._open.values()) == Limits().handshakes)
    for sock in silent:
        sock.close()
    assert soon(lambda: not refuses(secured))


def test_the_end_of_an_answer_can_be_told_from_a_cut(secured):
    client = secured.connect()
    client.send("GET /_ping", "Connection: close")
    assert client.answer()[0] == 200
    # Without the alert of TLS, Python would raise an error.
    assert client.rest() == b""


def test_a_client_that_leaves_a_download_by_tls_ends_it(secured):
    left = []

    def logs(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n")
        left.append(connection.recv(1))
        return False

    secured.engine.answers["GET /containers/a/logs"] = logs
    client = secured.connect()
    client.send("GET /v1.44/containers/a/logs?follow=1&stdout=1")
    client.exactly(8)
    client.close()
    assert soon(lambda: left == [b""])


def test_a_refused_body_does_not_take_the_refusal_away(secured):
    secured.allow(secured.leaf, preset="observe")
    for _number in range(5):
        client = secured.connect()
        client.send(
            "POST /v1.44/images/load", f"Content-Length: {len(BLOCK) * 3}", "Content-Type: application/x-tar"
        )
        client.sock.sendall(BLOCK * 3)
        assert client.answer()[0] == 403


def test_attach_by_tls_ends_its_input_and_reads_on(secured):
    def serve(connection):
        connection.sendall(HEAD_101)
        assert connection.recv(5) == b"hello"
        connection.sendall(b"hello")
        assert connection.recv(1) == b""
        # unwrap() of the client fails if this comes too soon.
        time.sleep(0.5)
        connection.sendall(b"goodbye")
        return False

    secured.engine.answers["POST /containers/a/attach"] = serve
    client = secured.connect()
    client.send(ATTACH, *UPGRADE)
    assert client.head()[0] == 101
    client.sock.sendall(b"hello")
    assert client.exactly(5) == b"hello"
    # The alert that ends our half. unwrap() would wait for the other half.
    client.sock.setblocking(False)
    with pytest.raises(ssl.SSLWantReadError):
        client.sock.unwrap()
    client.sock.settimeout(10)
    assert client.rest() == b"goodbye"


def test_a_stream_in_both_directions_by_tls(secured):
    def serve(connection):
        connection.sendall(HEAD_101)
        sender = threading.Thread(target=lambda: [connection.sendall(BLOCK) for _number in range(40)])
        sender.start()
        digest, size = hashlib.sha256(), 0
        while size < len(BLOCK) * 40:
            data = connection.recv(1 << 20)
            digest.update(data)
            size += len(data)
        sender.join()
        connection.sendall(digest.digest())
        return False

    secured.engine.answers["POST /containers/a/attach"] = serve
    client = secured.connect()
    client.send(ATTACH, *UPGRADE)
    client.head()
    # One thread may use a connection of TLS at a time: write and read in turns.
    client.sock.setblocking(False)
    out, received = memoryview(BLOCK * 40), bytearray()
    deadline = time.monotonic() + 60
    while len(received) < len(BLOCK) * 40 + 32 and time.monotonic() < deadline:
        with contextlib.suppress(ssl.SSLWantWriteError, ssl.SSLWantReadError):
            if out:
                out = out[client.sock.send(out[:65536]) :]
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            received += client.sock.recv(65536)
    found = bytes(received)
    assert found[:-32] == BLOCK * 40
    assert found[-32:] == hashlib.sha256(BLOCK * 40).digest()
