# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Issued and decoded certificates, verified in handshakes of Python's ssl module."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import functools
import ssl

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    InvalidInput,
    MissingRequirement,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.authority import (
    AuthoritySpec,
    authority_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import KEY_TYPES
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    decoding,
    issuing,
    signing,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.authority import (
    make_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.model import leaf_certificate
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.names import parse_san
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.spec import CertificateSpec

NOW = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)
DAY = datetime.timedelta(days=1)
NAMES = ("DNS:host.docker.internal", "DNS:*.ci.example.com", "IP:172.17.0.1", "IP:fd00::1")


def leaf_spec(profile, key_type="ecdsa-p256", names=NAMES, **fields):
    return CertificateSpec(
        name=profile,
        profile=profile,
        present=True,
        common_name=profile,
        subject_alternative_names=tuple(sorted(parse_san(name) for name in names)),
        origins={},
        directory=f"/{profile}",
        owner=None,
        group=None,
        directory_mode=0o755,
        key_mode=0o400,
        certificate_mode=0o444,
        key_type=key_type,
        validity=365 * DAY,
        renew_before=100 * DAY,
        **fields,
    )


@dataclasses.dataclass(frozen=True)
class Pair:
    """A certificate with its key."""

    certificate: bytes
    key: object

    def load_into(self, context, directory, name):
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_bytes(self.certificate)
        key.write_bytes(issuing.write_key(self.key))
        context.load_cert_chain(certificate, key)


@functools.lru_cache(maxsize=None)
def key_of(owner, key_type):
    """One key for each owner and type, because generating RSA keys takes seconds."""
    return issuing.make_key(key_type)


def make_authority(key_type="ecdsa-p256", now=NOW, owner="authority"):
    key = key_of(owner, key_type)
    return Pair(make_certificate(AuthoritySpec("/ca", "CA", key_type, 3650 * DAY), key, now), key)


def issue(authority, spec, now=NOW):
    key = key_of("leaf", spec.key_type)
    request = issuing.make_request(key, spec.common_name)
    return Pair(
        signing.sign_certificate(spec, request, authority.certificate, authority.key, now).encode(), key
    )


@pytest.fixture(scope="module")
def authority():
    return make_authority()


# --- handshakes -----------------------------------------------------------------------------------


def handshake(tmp_path, authority, server, client, *, address="172.17.0.1", trusted_by_server=None):
    """Perform a strict mutual handshake in memory; return the client certificate the server got."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.verify_mode = ssl.CERT_REQUIRED
    server_context.load_verify_locations(cadata=(trusted_by_server or authority).certificate.decode())
    server.load_into(server_context, tmp_path, "server")
    client_context = ssl.create_default_context(cadata=authority.certificate.decode())
    client_context.minimum_version = ssl.TLSVersion.TLSv1_2
    if client:
        client.load_into(client_context, tmp_path, "client")
    for context in (server_context, client_context):
        context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = server_context.wrap_bio(to_server, to_client, server_side=True)
    client_side = client_context.wrap_bio(to_client, to_server, server_hostname=address)
    waiting = [client_side, server_side]
    for _round in range(20):
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
        if not waiting:
            return server_side.getpeercert()
    raise AssertionError("the handshake does not come to an end")


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_server_and_client_accept_each_other(tmp_path, key_type):
    authority = make_authority(key_type)
    server, client = (issue(authority, leaf_spec(profile, key_type)) for profile in ("server", "client"))
    seen = handshake(tmp_path, authority, server, client)
    assert seen["subject"] == ((("commonName", "client"),),)


@pytest.mark.parametrize("authority_type", KEY_TYPES)
@pytest.mark.parametrize("key_type", ["rsa-3072", "ed25519"])
def test_leaf_and_authority_need_no_common_key_type(tmp_path, authority_type, key_type):
    authority = make_authority(authority_type)
    server, client = issue(authority, leaf_spec("server", key_type)), issue(authority, leaf_spec("client"))
    assert handshake(tmp_path, authority, server, client)
    assert decoding.is_signed_by(server.certificate, authority.certificate)


@pytest.mark.parametrize(
    "address", ["172.17.0.1", "fd00::1", "host.docker.internal", "anything.ci.example.com"]
)
def test_a_client_accepts_every_name_in_the_certificate(tmp_path, authority, address):
    client = issue(authority, leaf_spec("client", names=()))
    assert handshake(tmp_path, authority, issue(authority, leaf_spec("server")), client, address=address)


@pytest.mark.parametrize(
    "address", ["172.17.0.2", "fd00::2", "server", "a.b.ci.example.com", "ci.example.com"]
)
def test_a_name_that_is_not_in_the_certificate_is_rejected(tmp_path, authority, address):
    client = issue(authority, leaf_spec("client"))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid for"):
        handshake(tmp_path, authority, issue(authority, leaf_spec("server")), client, address=address)


def refused(tmp_path, authority, server, client, complaint, **options):
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        handshake(tmp_path, authority, server, client, **options)
    assert complaint in str(caught.value)


def test_another_authority_of_the_same_name_is_rejected_on_both_sides(tmp_path, authority):
    foreign = make_authority(owner="foreign")
    server, client = issue(authority, leaf_spec("server")), issue(authority, leaf_spec("client"))
    refused(
        tmp_path,
        authority,
        issue(foreign, leaf_spec("server")),
        client,
        "unable to get local issuer certificate",
    )
    refused(
        tmp_path,
        authority,
        server,
        issue(foreign, leaf_spec("client")),
        "unable to get local issuer certificate",
    )


def test_expired_and_future_certificates_are_rejected(tmp_path):
    authority = make_authority(now=NOW - 1000 * DAY)
    client = issue(authority, leaf_spec("client"))
    past, future = (issue(authority, leaf_spec("server"), NOW + 400 * sign * DAY) for sign in (-1, 1))
    refused(tmp_path, authority, past, client, "certificate has expired")
    refused(tmp_path, authority, future, client, "certificate is not yet valid")


def test_client_and_server_certificates_are_not_interchangeable(tmp_path, authority):
    server, client = issue(authority, leaf_spec("server")), issue(authority, leaf_spec("client"))
    # "unsuitable" in OpenSSL 3, "unsupported" before.
    refused(tmp_path, authority, client, client, "certificate purpose")
    refused(tmp_path, authority, server, server, "certificate purpose")


def test_a_client_without_certificate_is_rejected(tmp_path, authority):
    with pytest.raises(ssl.SSLError, match=r"PEER_DID_NOT_RETURN_A_CERTIFICATE|peer did not return"):
        handshake(tmp_path, authority, issue(authority, leaf_spec("server")), None)


def test_a_leaf_cannot_issue(tmp_path, authority):
    server = issue(authority, leaf_spec("server"))
    grandchild = issue(server, leaf_spec("client"))
    refused(tmp_path, authority, server, grandchild, "unable to get local issuer certificate")


# --- certificates follow their profiles -----------------------------------------------------------


def comparable(facts):
    """Remove the fields that the profile holds placeholders for."""
    unknown = (
        "serial",
        "fingerprint_sha256",
        "public_key_sha256",
        "subject_key_identifier",
        "authority_key_identifier",
    )
    return dataclasses.replace(facts, **dict.fromkeys(unknown, ""))


@pytest.mark.parametrize("key_type", KEY_TYPES)
def test_an_authority_follows_its_profile(key_type):
    made = decoding.read_certificate(make_authority(key_type).certificate)
    assert comparable(made) == comparable(
        authority_certificate(AuthoritySpec("/ca", "CA", key_type, 3650 * DAY), NOW)
    )
    assert made.subject_key_identifier == made.authority_key_identifier != ""
    assert made.path_length == 0


@pytest.mark.parametrize("key_type", KEY_TYPES)
@pytest.mark.parametrize("profile", ["server", "client"])
def test_a_certificate_follows_its_profile(authority, profile, key_type):
    spec = leaf_spec(profile, key_type)
    pair = issue(authority, spec)
    made, issuer = (
        decoding.read_certificate(pair.certificate),
        decoding.read_certificate(authority.certificate),
    )
    assert comparable(made) == comparable(leaf_certificate(spec, issuer, NOW))
    assert made.authority_key_identifier == issuer.subject_key_identifier
    assert made.public_key_sha256 == decoding.key_facts(pair.key).public_key_sha256
    assert decoding.key_facts(pair.key).key_type == key_type


def test_serial_numbers_are_random_positive_and_at_most_20_octets(authority):
    serials = {
        decoding.read_certificate(issue(authority, leaf_spec("client")).certificate).serial
        for _each in range(5)
    }
    assert len(serials) == 5
    assert all(0 < int(serial, 16) < 1 << 159 for serial in serials)


def test_der_and_pem_say_the_same(authority):
    der = base64.b64decode(b"".join(authority.certificate.splitlines()[1:-1]))
    assert decoding.read_certificate(der) == decoding.read_certificate(authority.certificate)


def test_of_a_bundle_the_first_certificate_is_read(authority):
    other = make_authority(owner="other")
    assert decoding.read_certificate(authority.certificate + other.certificate) == decoding.read_certificate(
        authority.certificate
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", b"0\x82\x01"],
)
def test_an_invalid_certificate_is_reported(content):
    with pytest.raises(VerificationFailed, match=r"X.509 certificate"):
        decoding.read_certificate(content)


# --- signing --------------------------------------------------------------------------------------


def test_a_request_contributes_its_public_key_only(authority):
    """The request names another subject, but the task determines the certificate."""
    spec = leaf_spec("client", names=())
    key = issuing.make_key("ecdsa-p256")
    request = issuing.make_request(key, "somebody-else")
    made = decoding.read_certificate(
        signing.sign_certificate(spec, request, authority.certificate, authority.key, NOW).encode()
    )
    assert made.common_name == "client"
    assert not made.is_ca
    assert made.subject_alternative_names == ()
    assert made.extended_key_usage == ("clientAuth",)


def test_a_manipulated_request_is_rejected(authority):
    """The public key of one request under the signature of another."""
    one, other = (issuing.make_request(issuing.make_key("ed25519"), "client") for _each in range(2))
    first, second = (base64.b64decode("".join(pem.splitlines()[1:-1])) for pem in (one, other))
    body = base64.b64encode(first[:-64] + second[-64:]).decode()
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}\n-----END CERTIFICATE REQUEST-----\n"
    spec = leaf_spec("client", "ed25519")
    with pytest.raises(VerificationFailed, match="is not signed with its own key"):
        signing.sign_certificate(spec, pem, authority.certificate, authority.key, NOW)
    assert signing.sign_certificate(spec, one, authority.certificate, authority.key, NOW)


def test_a_request_for_another_key_type_is_rejected(authority):
    request = issuing.make_request(issuing.make_key("ecdsa-p256"), "client")
    with pytest.raises(VerificationFailed, match="a key of type ecdsa-p384, found ecdsa-p256"):
        signing.sign_certificate(
            leaf_spec("client", "ecdsa-p384"), request, authority.certificate, authority.key, NOW
        )


def test_an_invalid_request_is_rejected(authority):
    with pytest.raises(VerificationFailed, match="PKCS#10"):
        signing.sign_certificate(leaf_spec("client"), "nonsense", authority.certificate, authority.key, NOW)


@pytest.mark.parametrize("key_type", KEY_TYPES)
@pytest.mark.parametrize("foreign_type", ["ecdsa-p256", "rsa-3072", "ed25519"])
def test_a_signature_of_an_authority_of_the_same_name_is_recognized(key_type, foreign_type):
    authority, foreign = make_authority(key_type), make_authority(foreign_type, owner="foreign")
    leaf = issue(authority, leaf_spec("client"))
    assert decoding.is_signed_by(leaf.certificate, authority.certificate)
    assert not decoding.is_signed_by(leaf.certificate, foreign.certificate)


def test_a_key_under_another_name_is_another_authority(authority):
    """A renamed authority: its key has signed, but clients cannot find the issuer by name."""
    renamed = make_certificate(AuthoritySpec("/ca", "Renamed", "ecdsa-p256", 3650 * DAY), authority.key, NOW)
    assert not decoding.is_signed_by(issue(authority, leaf_spec("client")).certificate, renamed)


# --- keys -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key_type", ["ecdsa-p256", "ed25519"])
def test_an_encrypted_key_opens_with_its_passphrase_only(key_type):
    key = issuing.make_key(key_type)
    encrypted, plain = issuing.write_key(key, "sésame"), issuing.write_key(key)
    assert encrypted.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert plain.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert decoding.key_facts(decoding.read_key(encrypted, "sésame")) == decoding.key_facts(key)
    for content, passphrase, complaint in (
        (encrypted, None, "the private key is encrypted, but no passphrase is set"),
        (encrypted, "wrong", "the passphrase of the private key is wrong"),
        (plain, "sésame", "a passphrase is set, but the private key is not encrypted"),
    ):
        with pytest.raises(InvalidInput) as caught:
            decoding.read_key(content, passphrase)
        assert complaint in str(caught.value)
        assert "sésame" not in str(caught.value)


def test_an_incomplete_key_is_rejected():
    content = issuing.write_key(issuing.make_key("ecdsa-p256"))
    with pytest.raises(WormholeError, match="not a private key in PEM form"):
        decoding.read_key(content[: len(content) // 2])


def test_a_missing_library_is_named_with_its_package(monkeypatch):
    monkeypatch.setattr(decoding, "IMPORT_ERROR", "No module named 'cryptography'")
    with pytest.raises(MissingRequirement, match="python3-cryptography"):
        decoding.read_certificate(b"")


def test_an_encrypted_key_is_protected_as_the_documentation_says():
    """docs/certificates.md: PBES2 with PBKDF2-HMAC-SHA-256, 2,048 iterations, and AES-256-CBC."""
    pem = issuing.write_key(issuing.make_key("ecdsa-p256"), "correct horse")
    assert pem.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    der = base64.b64decode(b"".join(pem.splitlines()[1:-1]))
    pbes2, pbkdf2 = bytes.fromhex("06092a864886f70d01050d"), bytes.fromhex("06092a864886f70d01050c")
    hmac_sha256, aes_256_cbc = bytes.fromhex("06082a864886f70d0209"), bytes.fromhex("060960864801650304012a")
    iterations = b"\x02\x02" + (2048).to_bytes(2, "big")
    places = [der.index(part) for part in (pbes2, pbkdf2, iterations, hmac_sha256, aes_256_cbc)]
    assert places == sorted(places)
