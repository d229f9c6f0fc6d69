# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Odd certificates, keys and signing requests end in a message, whatever the library raises."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import warnings

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, x25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    InvalidInput,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import decoding
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.trust import Trust

DATES = datetime.datetime(2025, 1, 1), datetime.datetime(2055, 1, 1)
P256, UNKNOWN_CURVE = bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f")
ECDSA_SHA256, UNKNOWN_SIGNATURE = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d04037f")
ELLIPTIC, UNKNOWN_KEY = bytes.fromhex("06072a8648ce3d0201"), bytes.fromhex("06072a8648ce3d027f")
DER = serialization.Encoding.DER
KEY = ec.generate_private_key(ec.SECP256R1())


def name_of(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def build(key, issuer_key=None, issuer="odd", subject="odd", **signing):
    """A certificate with all extensions that are decoded, in DER form."""
    subtrees = [x509.DNSName("example.org"), x509.IPAddress(ipaddress.ip_network("10.0.0.0/8"))]
    names = [
        x509.DNSName("a.example"),
        x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
        x509.RFC822Name("a@example.org"),
        x509.UniformResourceIdentifier("wormhole://host/agent"),
        x509.DirectoryName(name_of("odd")),
    ]
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    builder = (
        x509.CertificateBuilder()
        .subject_name(name_of(subject))
        .issuer_name(name_of(issuer))
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(DATES[0])
        .not_valid_after(DATES[1])
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, True, True, False, False), critical=True
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(identifier.digest, None, None), critical=False)
        .add_extension(x509.NameConstraints(subtrees, None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
    )
    return builder.sign(issuer_key or key, hashes.SHA256(), **signing).public_bytes(DER)


def pem_of(der, label="CERTIFICATE"):
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n".encode()


def replaced(der, old, new):
    assert der.count(old)
    return der.replace(old, new)


def odd_certificates():
    plain = build(KEY)
    return {
        "curve": replaced(plain, P256, UNKNOWN_CURVE),
        "kind of key": replaced(plain, ELLIPTIC, UNKNOWN_KEY),
        "address of 5 bytes": replaced(plain, b"\x87\x04\x0a\x00\x00\x01\x81\x0d", b"\x87\x05\x0a\x00\x00\x01\x81\x0c"),
        "name that is not ASCII": replaced(plain, b"a.example", b"a.\xff\xfeample"),
        "date": replaced(plain, b"250101000000Z", b"251301000000Z"),
        "date without a zone": replaced(plain, b"250101000000Z", b"2501010000001"),
        "version": replaced(plain, b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x01"),
        "subject that is not UTF-8": replaced(plain, b"\x0c\x03odd", b"\x0c\x03o\xff\xfe"),
        "extension that is cut off": replaced(plain, b"\x30\x06\x01\x01\xff\x02\x01\x00", b"\x30\x07\x01\x01\xff\x02\x01\x00"),
    }  # fmt: skip


@pytest.mark.parametrize("der", odd_certificates().values(), ids=odd_certificates())
def test_an_odd_certificate_ends_in_a_message(der):
    with pytest.raises(VerificationFailed, match="certificate"):
        decoding.read_certificate(der)


@pytest.mark.parametrize("kind", ["curve", "kind of key", "date", "version", "subject that is not UTF-8"])
def test_an_odd_authority_ends_in_a_message(kind):
    with pytest.raises(VerificationFailed, match="certificate"):
        decoding.read_bundle(pem_of(odd_certificates()[kind]))


def test_an_unknown_signature_algorithm_is_not_the_signature_of_an_authority():
    plain = build(KEY)
    odd = pem_of(replaced(plain, ECDSA_SHA256, UNKNOWN_SIGNATURE))
    anchors = decoding.read_bundle(pem_of(plain))
    assert decoding.read_certificate(odd).common_name == "odd"
    assert decoding.is_signed_by(pem_of(plain), pem_of(plain))
    assert not decoding.is_signed_by(odd, pem_of(plain))
    assert decoding.find_issuer(odd, Trust(issuing=anchors)) == ""
    fault = decoding.chain_fault(decoding.read_bundle(odd))
    assert fault.startswith("the signature of CN=odd cannot be verified: ")


def test_a_key_that_cannot_be_read_or_cannot_sign_has_signed_nothing():
    plain = pem_of(build(KEY))
    assert not decoding.is_signed_by(plain, pem_of(odd_certificates()["curve"]))
    exchange = x25519.X25519PrivateKey.generate()
    assert not decoding.is_signed_by(plain, pem_of(build(exchange, KEY)))


@pytest.mark.parametrize("curve", [ec.BrainpoolP256R1, ec.BrainpoolP384R1, ec.SECP256K1])
def test_an_authority_on_another_curve_is_used_like_any_other(curve):
    key = ec.generate_private_key(curve())
    authority = pem_of(build(key))
    leaf = pem_of(build(KEY, key, subject="leaf"))
    assert decoding.read_certificate(authority).key_type == f"ecdsa-{curve.name}"
    assert decoding.find_issuer(leaf, Trust(issuing=decoding.read_bundle(authority))) == "issuing"
    assert decoding.chain_fault([*decoding.read_bundle(leaf), *decoding.read_bundle(authority)]) == ""


def test_an_authority_that_signs_by_rsa_pss():
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    scheme = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
    try:
        authority = build(key, rsa_padding=scheme)
    except TypeError:
        pytest.skip("this version of cryptography cannot sign so")
    leaf = build(KEY, key, subject="leaf", rsa_padding=scheme)
    chain = [*decoding.read_bundle(pem_of(leaf)), *decoding.read_bundle(pem_of(authority))]
    assert decoding.is_signed_by(pem_of(leaf), pem_of(authority))
    assert decoding.chain_fault(chain) == ""
    wrong = leaf[:-1] + bytes([leaf[-1] ^ 1])
    assert not decoding.is_signed_by(pem_of(wrong), pem_of(authority))


def request(key=KEY):
    builder = x509.CertificateSigningRequestBuilder().subject_name(name_of("odd"))
    return builder.sign(key, hashes.SHA256()).public_bytes(DER)


REQUEST = request()


@pytest.mark.parametrize(
    "der",
    [
        replaced(REQUEST, P256, UNKNOWN_CURVE),
        replaced(REQUEST, ELLIPTIC, UNKNOWN_KEY),
        replaced(REQUEST, ECDSA_SHA256, UNKNOWN_SIGNATURE),
        REQUEST[:-1] + bytes([REQUEST[-1] ^ 1]),
        REQUEST[1:],
    ],
    ids=["curve", "kind of key", "signature algorithm", "signature", "cut off"],
)
def test_an_odd_signing_request_ends_in_a_message(der):
    text = pem_of(der, "CERTIFICATE REQUEST").decode()
    with pytest.raises(VerificationFailed, match="signing request"):
        decoding.request_key(text)


def test_a_key_of_an_unknown_kind_ends_in_a_message():
    der = KEY.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    odd = pem_of(replaced(der, P256, UNKNOWN_CURVE), "PRIVATE KEY")
    with pytest.raises(WormholeError, match="private key"):
        decoding.read_key(odd)
    with pytest.raises(WormholeError, match="private key") as caught:
        decoding.read_key(pem_of(b"\x30\x82", "PRIVATE KEY"))
    assert not isinstance(caught.value, InvalidInput)


def outcome(decode):
    """The message in which a call ends; empty if it returns."""
    try:
        decode()
    except VerificationFailed as error:
        return str(error)
    return ""


def test_a_certificate_with_any_byte_changed_is_decoded_or_ends_in_a_message():
    plain = build(KEY)
    good = pem_of(plain)
    ends = set()
    with warnings.catch_warnings():
        # The library warns of numbers and dates that the standard forbids.
        warnings.simplefilter("ignore")
        for position, byte in enumerate(plain):
            for value in (0xFF, byte ^ 1):
                odd = pem_of(plain[:position] + bytes([value]) + plain[position + 1 :])
                for decode in (
                    lambda odd=odd: decoding.facts_of(decoding.load_certificate(odd)),
                    lambda odd=odd: decoding.chain_fault(decoding.read_bundle.__wrapped__(odd)),
                    lambda odd=odd: decoding.is_signed_by(odd, good),
                    lambda odd=odd: decoding.is_signed_by(good, odd),
                ):
                    ends.add(outcome(decode))
    assert "" in ends
    messages = ends - {""}
    assert messages
    assert [
        text for text in messages if not text.startswith(("the certificate does not", "not an X.509"))
    ] == []
