# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe real servers on loopback, each wrong in one way."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import http.server
import ipaddress
import json
import os
import socket
import ssl
import threading
import time
from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.diagnosis import diagnose
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.io.https_client import get
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.io.probe import observe_endpoint
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.io.reachability import (
    is_listened,
    observe_gateways,
)
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.layers import first_failure
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.model import EndpointSpec
from ansible_collections.wormhole.docker.plugins.module_utils._networks.io.namespaces import read_routes
from ansible_collections.wormhole.docker.plugins.module_utils._networks.routes import default_gateways

LOOPBACK = "127.0.0.1"
NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)
NONE = datetime.timedelta(0)
VALID = (NOW - DAY, NOW + 30 * DAY)
EXPIRED = (NOW - 3 * DAY, NOW - DAY)
FUTURE = (NOW + DAY, NOW + 3 * DAY)

ENGINE = {
    "/_ping": (200, "OK"),
    "/version": (200, {"Version": "26.1.5", "ApiVersion": "1.45"}),
    "/info": (200, {"ID": "4f1c-engine", "Name": "host1", "DockerRootDir": "/var/lib/docker"}),
}
DENIED = (403, {"message": "authorization denied by plugin gate"})


# --- certificates ---------------------------------------------------------------------------------


class Authority:
    """A CA with its own key, so that two of the same name differ."""

    def __init__(self, name="wormhole CA", dates=VALID):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _distinguished(name)
        usage = _usage(key_cert_sign=True, crl_sign=True)
        self.certificate = (
            _builder(self.name, self.name, self.key, dates)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )

    def issue(self, name, sans=(), dates=VALID, purpose=ExtendedKeyUsageOID.SERVER_AUTH, strict=True):
        """A leaf and its key; not strict: without the key identifier that RFC 5280 requires."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(_distinguished(name), self.name, key, dates)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if strict:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        if isinstance(sans, bytes):
            odd = x509.UnrecognizedExtension(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, sans)
            builder = builder.add_extension(odd, critical=False)
        elif sans:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_san(san) for san in sans]), critical=False
            )
        return builder.sign(self.key, hashes.SHA256()), key

    def client(self, name="ci", dates=VALID, purpose=ExtendedKeyUsageOID.CLIENT_AUTH):
        return self.issue(name, dates=dates, purpose=purpose)


def _distinguished(name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(subject, issuer, key, dates):
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dates[0])
        .not_valid_after(dates[1])
    )


def _usage(**granted):
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement key_cert_sign crl_sign"
        " encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: granted.get(name, False) for name in names.split()})


def _san(text):
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)


def _pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key, passphrase=None):
    protection = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection)


def write_identity(directory, authority, leaf, passphrase=None):
    """A directory for DOCKER_CERT_PATH."""
    directory.mkdir(exist_ok=True)
    (directory / "ca.pem").write_bytes(_pem(authority.certificate))
    if leaf:
        (directory / "cert.pem").write_bytes(_pem(leaf[0]))
        (directory / "key.pem").write_bytes(_key_pem(leaf[1], passphrase))
    return str(directory)


# --- servers --------------------------------------------------------------------------------------


def _handler(answers, context, ahead):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def date_time_string(self, timestamp=None):
            return super().date_time_string((timestamp or time.time()) + ahead.total_seconds())

        def setup(self):
            if context is not None:
                self.request = context.wrap_socket(self.request, server_side=True)
            super().setup()

        def do_GET(self):
            status, content = answers.get(self.path, (404, {"message": "page not found"}))
            body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    return Handler


class QuietServer(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """Ignore failed handshakes."""


@contextlib.contextmanager
def engine(context=None, answers=None, ahead=NONE):
    """An HTTP server like dockerd, with a clock that may be ahead; yields its port."""
    server = QuietServer((LOOPBACK, 0), _handler({**ENGINE, **(answers or {})}, context, ahead))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def canned(answer):
    """A server that gives everybody the same answer; yields its port."""
    listener = socket.create_server((LOOPBACK, 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _peer = listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(4096)
                    connection.sendall(answer)
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(4096)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()


@contextlib.contextmanager
def dripping(answer, pause, context=None):
    """A server that sends one byte after another, with a pause before each; yields its port."""
    listener, ended = socket.create_server((LOOPBACK, 0)), threading.Event()

    def drip(connection):
        with contextlib.suppress(OSError), connection:
            stream = context.wrap_socket(connection, server_side=True) if context else connection
            stream.recv(4096)
            for byte in answer:
                if ended.wait(pause):
                    break
                stream.sendall(bytes([byte]))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                threads.append(threading.Thread(target=drip, args=[listener.accept()[0]]))
                threads[-1].start()

    threads = [threading.Thread(target=serve)]
    threads[0].start()
    try:
        yield listener.getsockname()[1]
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        threads[0].join()
        for thread in threads:
            thread.join()
        listener.close()


class Lab:
    """A CA, a server certificate and a client identity from it, and servers that use them."""

    def __init__(self, directory):
        self.directory = directory
        self.authority = Authority()
        self.identity = write_identity(directory / "client", self.authority, self.authority.client())

    def context(self, leaf=None, *, demand=True, maximum=None):
        leaf = leaf or self.authority.issue("dockerd", [LOOPBACK, "localhost"])
        write_identity(self.directory / "server", self.authority, leaf)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if maximum:
            context.maximum_version = maximum
        context.load_cert_chain(
            str(self.directory / "server/cert.pem"), str(self.directory / "server/key.pem")
        )
        if demand:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(str(self.directory / "server/ca.pem"))
        return context

    def other_identity(self, leaf, authority=None, passphrase=None):
        return write_identity(self.directory / "other", authority or self.authority, leaf, passphrase)


@pytest.fixture
def lab(tmp_path):
    return Lab(tmp_path)


def look(port, **values):
    spec = EndpointSpec(**{"address": LOOPBACK, "port": port, "timeout": 5.0, **values})
    state = observe_endpoint(spec)
    return state, {
        layer.name: layer for layer in diagnose(spec, state, datetime.datetime.now(datetime.timezone.utc))
    }


def failing(layers):
    found = first_failure(layers.values())
    return found.name if found else None


# --- correct endpoints ----------------------------------------------------------------------------


@pytest.mark.parametrize("maximum", [None, ssl.TLSVersion.TLSv1_2])
def test_mutual_tls_holds_at_every_layer(lab, maximum):
    leaf = lab.authority.issue("dockerd", [LOOPBACK, "localhost"])
    with engine(lab.context(leaf, maximum=maximum)) as port:
        state, layers = look(port, directory=lab.identity)
    assert [layer.ok for layer in layers.values()] == [True] * 8
    assert state.tls_version == ("TLSv1.2" if maximum else "TLSv1.3")
    assert (state.reached.outcome, state.anonymous.protocol, state.reached.peer, state.reached.source) == (
        "open",
        "tls",
        LOOPBACK,
        LOOPBACK,
    )
    assert state.reached.route is None
    assert (
        state.served.fingerprint_sha256
        == hashlib.sha256(leaf[0].public_bytes(serialization.Encoding.DER)).hexdigest()
    )
    assert (state.verified.trusted, state.verified.trust_code, state.matched_san) == (
        True,
        0,
        f"IP:{LOOPBACK}",
    )
    assert (state.anonymous.verdict, state.verified.client, state.presented.common_name) == (
        "refused",
        "accepted",
        "ci",
    )
    assert (state.api.outcome, state.api.version, state.api.engine_version) == ("answered", "1.45", "26.1.5")
    assert (state.api.engine_id, state.api.engine_name, state.api.engine_root) == (
        "4f1c-engine",
        "host1",
        "/var/lib/docker",
    )
    assert abs(state.server_time - NOW) < DAY


def test_a_name_is_resolved_and_verified_as_a_name(lab):
    with engine(lab.context()) as port:
        state, layers = look(port, address="localhost", directory=lab.identity)
    assert failing(layers) is None
    assert state.matched_san == "DNS:localhost"


def test_the_name_to_verify_can_differ_from_the_address(lab):
    with engine(lab.context(lab.authority.issue("dockerd", ["host.docker.internal"]))) as port:
        state, layers = look(port, directory=lab.identity, server_name="host.docker.internal")
    assert failing(layers) is None
    assert state.matched_san == "DNS:host.docker.internal"


def test_a_rejection_under_tls_1_3_is_always_recognized(lab):
    with engine(lab.context()) as port:
        seen = {look(port)[0].anonymous.verdict for _attempt in range(50)}
    assert seen == {"refused"}


@pytest.mark.parametrize(
    "sans",
    [b"\x30\x02\xa3\x00", b"\x30\x07\x87\x05\x7f\x00\x00\x00\x01", b"\x30\x03\x82\x01\xff"],
    ids=["of an X.400 address", "of 5 bytes", "that is not ASCII"],
)
def test_a_certificate_with_a_name_that_cannot_be_decoded_is_reported(lab, sans):
    with engine(lab.context(lab.authority.issue("dockerd", sans))) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.served, state.anonymous.protocol) == (None, "tls")
    assert layers["validity"].ok is None
    assert "certificate cannot be decoded" in layers["validity"].text


SLOW = b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: slow\r\n" % number for number in range(20))


def test_a_server_that_sends_a_byte_now_and_then_does_not_extend_the_timeout_of_an_answer():
    with dripping(SLOW, 0.05) as port:
        begin = time.monotonic()
        state, layers = look(port, transport="tcp", timeout=0.3)
        taken = time.monotonic() - begin
    assert state.anonymous.protocol == "silent"
    assert failing(layers) == "tls"
    # One answer; all bytes would take more than 10 seconds.
    assert taken < 3


def test_the_same_within_tls(lab):
    with dripping(SLOW, 0.05, lab.context()) as port:
        begin = time.monotonic()
        state, layers = look(port, directory=lab.identity, timeout=1.0)
        taken = time.monotonic() - begin
    assert (state.verified.trusted, failing(layers)) == (True, "api")
    assert "timed out" in layers["api"].text
    assert taken < 8


def test_a_slow_body_does_not_extend_it_either():
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n"
    client, server = socket.socketpair()
    with client, server:
        client.settimeout(0.3)
        ended = threading.Event()

        def drip():
            server.sendall(head)
            while not ended.wait(0.05):
                server.sendall(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        begin = time.monotonic()
        answer = get(client, LOOPBACK, "/_ping")
        taken = time.monotonic() - begin
        ended.set()
        thread.join()
        assert (answer.status, answer.failure, client.gettimeout()) == (0, "timed out", 0.3)
    assert taken < 3


def test_without_an_identity_the_certificate_is_seen_and_nothing_is_verified(lab):
    with engine(lab.context()) as port:
        state, layers = look(port)
    assert state.served.common_name == "dockerd"
    assert (state.verified.trusted, state.verified.client, state.api.outcome, state.presented) == (
        None,
        "not_tried",
        "not_tried",
        None,
    )
    assert {name: layer.ok for name, layer in layers.items() if layer.ok is not True} == {
        "chain": None,
        "api": None,
    }


def test_a_ca_file_alone_verifies_the_server(lab):
    with engine(lab.context()) as port:
        state, layers = look(port, ca_file=f"{lab.identity}/ca.pem")
        foreign = write_identity(lab.directory / "foreign", Authority("another CA"), None)
        _state, distrusting = look(port, ca_file=f"{foreign}/ca.pem")
    assert (state.verified.trusted, state.verified.client, layers["chain"].ok) == (True, "not_tried", True)
    assert failing(distrusting) == "chain"


# --- wrong certificates ---------------------------------------------------------------------------


def test_expired(lab):
    with engine(lab.context(lab.authority.issue("dockerd", [LOOPBACK], EXPIRED))) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.verified.trust_code, state.api.outcome) == (10, "not_tried")
    assert (layers["chain"].ok, layers["name"].ok, failing(layers)) == (True, True, "validity")
    assert EXPIRED[1].strftime("%Y-%m-%dT%H:%M:%SZ") in layers["validity"].text


def test_not_yet_valid(lab):
    with engine(lab.context(lab.authority.issue("dockerd", [LOOPBACK], FUTURE))) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.verified.trust_code, failing(layers)) == (9, "validity")
    assert "clock" in layers["validity"].text


# The certificate is valid by the server's clock, but expired or not valid yet by the client's.
@pytest.mark.parametrize(("dates", "ahead"), [(EXPIRED, -2 * DAY), (FUTURE, 2 * DAY)])
def test_the_server_clock_is_read_if_only_the_dates_fail(lab, dates, ahead):
    with engine(lab.context(lab.authority.issue("dockerd", [LOOPBACK], dates)), ahead=ahead) as port:
        state, layers = look(port, directory=lab.identity)
    assert abs(state.server_time - NOW - ahead) < DAY / 24
    assert (state.verified.trust_code, state.verified.client, state.api.outcome) == (
        10 if ahead < NONE else 9,
        "not_tried",
        "not_tried",
    )
    assert failing(layers) == "validity"
    assert "by the server's clock the certificate is valid" in layers["validity"].remedy


@pytest.mark.parametrize("dates", [EXPIRED, FUTURE])
def test_dates_that_are_invalid_by_both_clocks(lab, dates):
    with engine(lab.context(lab.authority.issue("dockerd", [LOOPBACK], dates))) as port:
        state, layers = look(port, directory=lab.identity)
    assert abs(state.server_time - NOW) < DAY / 24
    assert "as does the server's" in layers["validity"].text
    assert "server's clock" not in layers["validity"].remedy


def test_the_clock_of_an_untrusted_server_is_not_read(lab):
    foreign = Authority("another CA", EXPIRED)
    identity = write_identity(lab.directory / "client", foreign, lab.authority.client())
    with engine(lab.context(lab.authority.issue("dockerd", [LOOPBACK], EXPIRED))) as port:
        state, layers = look(port, directory=identity)
    assert (state.server_time, failing(layers)) == (None, "chain")


def test_different_clocks_warn_while_the_certificate_is_valid(lab):
    with engine(lab.context(), ahead=DAY) as port:
        _state, layers = look(port, directory=lab.identity)
    assert failing(layers) is None
    assert layers["validity"].warns
    assert "the server's" in layers["validity"].text


@pytest.mark.parametrize("who", ["server", "client"])
def test_renewal_that_is_due(lab, who):
    dates = (NOW - 20 * DAY, NOW + 10 * DAY - DAY / 24)
    leaf = lab.authority.issue("dockerd", [LOOPBACK], dates) if who == "server" else None
    identity = lab.other_identity(lab.authority.client(dates=dates)) if who == "client" else lab.identity
    with engine(lab.context(leaf)) as port:
        state, layers = look(port, directory=identity)
    assert state.verified.client == "accepted"
    assert [layer.ok for layer in layers.values()] == [True] * 8
    assert [name for name, layer in layers.items() if layer.warns] == [
        "validity" if who == "server" else "client_auth"
    ]


@pytest.mark.parametrize("sans", [["10.0.0.1", "host.docker.internal"], ["127.0.0.2"], []])
def test_name_that_is_not_in_the_certificate(lab, sans):
    with engine(lab.context(lab.authority.issue(LOOPBACK, sans))) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.verified.trusted, state.matched_san, state.api.outcome) == (True, "", "not_tried")
    assert state.verified.trust_code in (62, 64)
    assert (layers["chain"].ok, failing(layers)) == (True, "name")
    assert f"IP:{LOOPBACK}" in layers["name"].text
    assert all(san in layers["name"].text for san in sans)


def test_the_common_name_is_no_name(lab):
    with engine(lab.context(lab.authority.issue("localhost"))) as port:
        state, layers = look(port, address="localhost", directory=lab.identity)
    assert (state.verified.trust_code, state.matched_san, failing(layers)) == (62, "", "name")


def test_a_wrong_name_does_not_hide_an_expired_ca(lab):
    old = Authority(dates=EXPIRED)
    identity = write_identity(lab.directory / "other", old, lab.authority.client())
    with engine(lab.context(old.issue("dockerd", ["10.0.0.1"]))) as port:
        state, layers = look(port, directory=identity)
    assert (state.verified.trusted, state.verified.trust_code, failing(layers), layers["name"].ok) == (
        False,
        10,
        "chain",
        False,
    )


def test_a_wrong_name_does_not_hide_an_untrusted_ca(lab):
    with engine(lab.context(Authority("another CA").issue("dockerd", ["10.0.0.1"]))) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.verified.trusted, failing(layers), layers["name"].ok) == (False, "chain", False)


@pytest.mark.parametrize("name", ["another CA", "wormhole CA"])
def test_foreign_ca(lab, name):
    with engine(lab.context(Authority(name).issue("dockerd", [LOOPBACK]))) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.verified.trusted, state.verified.client, state.api.outcome, failing(layers)) == (
        False,
        "not_tried",
        "not_tried",
        "chain",
    )
    assert f"{lab.identity}/ca.pem" in layers["chain"].text


def test_self_signed_server(lab):
    alone = Authority(LOOPBACK)
    with engine(lab.context((alone.certificate, alone.key))) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.verified.trust_code, failing(layers)) == (18, "chain")


def test_expired_ca(lab):
    old = Authority(dates=EXPIRED)
    identity = write_identity(lab.directory / "other", old, lab.authority.client())
    with engine(lab.context(old.issue("dockerd", [LOOPBACK]))) as port:
        state, layers = look(port, directory=identity)
    assert (state.verified.trust_code, failing(layers)) == (10, "chain")
    assert "CA certificate" in layers["chain"].text


def test_client_certificate_used_by_the_server(lab):
    leaf = lab.authority.issue("dockerd", [LOOPBACK], purpose=ExtendedKeyUsageOID.CLIENT_AUTH)
    with engine(lab.context(leaf)) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.verified.trust_code, failing(layers)) == (26, "chain")
    assert "extendedKeyUsage" in layers["chain"].text


def test_a_certificate_that_strict_clients_reject(lab):
    with engine(lab.context(lab.authority.issue("dockerd", [LOOPBACK], strict=False))) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.verified.trusted, failing(layers)) == (False, "chain")
    assert "Authority Key Identifier" in state.verified.trust_error


# --- wrong clients --------------------------------------------------------------------------------


@pytest.mark.parametrize("maximum", [None, ssl.TLSVersion.TLSv1_2])
def test_client_of_a_foreign_ca(lab, maximum):
    identity = lab.other_identity(Authority("another CA").client())
    with engine(lab.context(maximum=maximum)) as port:
        state, layers = look(port, directory=identity)
    assert (state.verified.client, state.verified.client_detail, state.api.outcome) == (
        "refused",
        "unknown CA",
        "not_tried",
    )
    assert (layers["chain"].ok, failing(layers)) == (True, "client_auth")
    assert "CN=another CA" in layers["client_auth"].text


def test_expired_client(lab):
    with engine(lab.context()) as port:
        state, layers = look(port, directory=lab.other_identity(lab.authority.client(dates=EXPIRED)))
    assert (state.verified.client, failing(layers)) == ("refused", "client_auth")
    assert "expired" in layers["client_auth"].text


def test_server_certificate_used_by_the_client(lab):
    leaf = lab.authority.client(purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    with engine(lab.context()) as port:
        state, layers = look(port, directory=lab.other_identity(leaf))
    assert (state.verified.client, failing(layers)) == ("refused", "client_auth")
    assert "profile client" in layers["client_auth"].remedy


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda d: os.unlink(f"{d}/key.pem"), "key.pem is missing; Docker's CLI then sends no certificate"),
        (lambda d: os.unlink(f"{d}/cert.pem"), "cert.pem is missing; Docker's CLI then sends no certificate"),
        (lambda d: open(f"{d}/key.pem", "w").close(), "not a certificate and its key"),
        (lambda d: _overwrite(d, _key_pem(ec.generate_private_key(ec.SECP256R1()))), "is not the key of"),
        (lambda d: _overwrite(d, _key_pem(ec.generate_private_key(ec.SECP256R1()), b"secret")), "encrypted"),
    ],
)
def test_identity_that_cannot_be_used(lab, spoil, words):
    spoil(lab.identity)
    with engine(lab.context()) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.verified.client, state.api.outcome, state.verified.trusted) == (
        "unusable",
        "not_tried",
        True,
    )
    assert words in state.verified.client_detail
    assert failing(layers) == "client_auth"


def _overwrite(directory, content):
    with open(f"{directory}/key.pem", "wb") as stream:
        stream.write(content)


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_ca_bundle_that_cannot_be_used(lab, content):
    bundle = lab.directory / "client/ca.pem"
    bundle.unlink() if content is None else bundle.write_bytes(content)
    with engine(lab.context()) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.verified.trusted, state.verified.trust_code, state.verified.client) == (
        False,
        -1,
        "not_tried",
    )
    assert str(bundle) in state.verified.trust_error
    assert failing(layers) == "chain"


# --- wrong servers --------------------------------------------------------------------------------


def test_server_that_accepts_anyone(lab):
    with engine(lab.context(demand=False)) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.anonymous.verdict, state.verified.client, failing(layers)) == (
        "accepted",
        "accepted",
        "client_auth",
    )


def test_plaintext_engine(lab):
    with engine() as port:
        state, layers = look(port, directory=lab.identity)
        _state, as_asked = look(port, transport="tcp")
    assert (state.anonymous.protocol, state.anonymous.verdict, state.verified.client) == (
        "plaintext",
        "accepted",
        "not_tried",
    )
    assert (failing(layers), failing(as_asked), as_asked["api"].ok) == ("tls", None, True)


def test_go_server_that_requires_tls():
    body = b"Client sent an HTTP request to an HTTPS server.\n"
    with canned(b"HTTP/1.0 400 Bad Request\r\n\r\n" + body) as port:
        state, layers = look(port, transport="tcp")
    assert (state.anonymous.protocol, state.anonymous.verdict, failing(layers)) == ("tls", "unknown", "tls")


@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2p1\r\n", b""])
def test_something_else_listens(lab, greeting):
    with canned(greeting) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.anonymous.protocol, failing(layers)) == ("unknown", "tls")


def test_socket_that_nobody_accepts_from(lab):
    with socket.create_server((LOOPBACK, 0)) as listener:
        state, layers = look(listener.getsockname()[1], directory=lab.identity, timeout=0.3)
    assert (state.reached.outcome, state.anonymous.protocol, failing(layers)) == ("open", "silent", "tls")
    assert "dockerd is stopped" in layers["tls"].text


@pytest.mark.parametrize("transport", ["tls", "tcp"])
def test_port_that_is_closed(transport):
    with socket.create_server((LOOPBACK, 0)) as listener:
        port = listener.getsockname()[1]
    state, layers = look(port, transport=transport)
    assert (state.reached.outcome, state.listened, failing(layers)) == ("refused", False, "port")


def test_name_without_an_address():
    state, layers = look(2376, address="nowhere.invalid")
    assert (state.reached.outcome, failing(layers)) == ("unresolvable", "route")


def test_authorization_that_denies_everything(lab):
    with engine(lab.context(), {"/_ping": DENIED}) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.verified.client, state.api.outcome, failing(layers)) == ("accepted", "denied", "api")
    assert "authorization denied by plugin gate" in layers["api"].text


def test_authorization_that_denies_the_engines_identity(lab):
    with engine(lab.context(), {"/info": DENIED}) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.api.outcome, state.api.version, state.api.engine_id, failing(layers)) == (
        "answered",
        "1.45",
        "",
        None,
    )


@pytest.mark.parametrize(
    "answer", [(500, {"message": "out of order"}), (200, "no JSON"), (200, [1]), (404, "")]
)
def test_server_that_is_no_engine(lab, answer):
    with engine(lab.context(), {"/version": answer}) as port:
        state, layers = look(port, directory=lab.identity)
    assert (state.api.outcome, failing(layers)) == ("failed", "api")


# --- other places ---------------------------------------------------------------------------------

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="entering a network namespace takes root")


@needs_root
def test_the_same_is_seen_through_a_process_in_the_same_namespace(lab):
    with engine(lab.context()) as port:
        here, _layers = look(port, directory=lab.identity)
        there, _layers = look(port, directory=lab.identity, container_pid=os.getpid())
    undated = [
        replace(
            state,
            anonymous=replace(state.anonymous, date=""),
            verified=replace(state.verified, date=""),
            server_time=None,
        )
        for state in (here, there)
    ]
    assert undated[0] == undated[1]
    assert there.server_time.tzinfo is not None


@needs_root
def test_gateways_of_the_same_namespace():
    assert observe_gateways(os.getpid(), 5.0) == default_gateways(read_routes())


@pytest.mark.parametrize(
    ("bound", "asked", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.2", "127.0.0.1", False),
        ("0.0.0.0", "127.0.0.1", True),
        ("::", "127.0.0.1", True),
        # No address of this host (RFC 5737).
        ("0.0.0.0", "192.0.2.1", None),
    ],
)
def test_whether_something_listens_is_known_of_this_hosts_addresses_only(bound, asked, expected):
    family = socket.AF_INET6 if ":" in bound else socket.AF_INET
    try:
        listener = socket.create_server((bound, 0), family=family)
    except OSError:
        pytest.skip(f"there is no {bound} here")
    with listener:
        port = listener.getsockname()[1]
        assert is_listened(EndpointSpec(asked, port), asked) is expected
    if expected:
        assert is_listened(EndpointSpec(asked, port), asked) is False
