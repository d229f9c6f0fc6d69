# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decode certificates, keys and signing requests with the cryptography library.

Works with cryptography 38 (Debian 12) and newer.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import ipaddress
import re
import sys
from typing import Any, Iterator, Optional, Sequence

from ..._base.errors import InvalidInput, MissingRequirement, VerificationFailed, WormholeError
from ..facts import CertificateFacts, KeyFacts
from ..names import SubjectAlternativeName
from ..trust import FORMER, ISSUING, RETIRED, SUCCESSOR, Anchor, IssuedBy, Part, Trust

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.x509.oid import NameOID

    IMPORT_ERROR = ""
except ImportError as error:
    IMPORT_ERROR = str(error)

_PEM_BLOCK = re.compile(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "nonRepudiation",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}
_NOT_SIGNED = "signed by another key, or under another name"
_CURVES = {"secp256r1": "ecdsa-p256", "secp384r1": "ecdsa-p384"}


def require() -> None:
    """Check that the cryptography library is installed for this interpreter.

    Raises:
        MissingRequirement: it is not.
    """
    if IMPORT_ERROR:
        raise MissingRequirement(
            "Python library cryptography",
            found=IMPORT_ERROR,
            problem=f"{sys.executable} cannot import the Python library cryptography: {IMPORT_ERROR}",
            remedy="Set ansible_python_interpreter to a Python that has it: /usr/bin/python3 with python3-cryptography",
        )


@functools.lru_cache(maxsize=64)
def read_certificate(pem_or_der: bytes) -> CertificateFacts:
    """Decode a certificate, the first one of several in PEM form.

    Raises:
        VerificationFailed: it is not an X.509 certificate.
        MissingRequirement: the cryptography library is missing.
    """
    require()
    return facts_of(load_certificate(pem_or_der))


@functools.lru_cache(maxsize=64)
def read_bundle(pem: bytes) -> tuple[Anchor, ...]:
    """The certificates in a PEM file, in order and in normal form.

    Raises:
        VerificationFailed: there is none, or one of them is not an X.509 certificate.
    """
    require()
    blocks = _PEM_BLOCK.findall(pem)
    if not blocks:
        load_certificate(pem or b"-----BEGIN")
        raise VerificationFailed("trust bundle", problem="no certificate in PEM form found")
    loaded = [load_certificate(block) for block in blocks]
    return tuple(map(_anchor, loaded))


def chain_fault(chain: Sequence[Anchor]) -> str:
    """What is wrong with a chain, such as a missing issuer; empty if it is complete up to a root.

    A signature of a kind that the library does not know is a fault, too.

    Raises:
        VerificationFailed: one of them is not an X.509 certificate.
    """
    pems = [anchor.pem.encode() for anchor in chain]
    for certificate, issuer in zip(pems, [*pems[1:], pems[-1]]):
        fault = _signature_fault(certificate, issuer)
        if fault:
            facts = read_certificate(certificate)
            if fault == _NOT_SIGNED:
                return f"{facts.subject} is not followed by its issuer {facts.issuer}"
            return f"the signature of {facts.subject} cannot be verified: {fault}"
    return ""


def read_key(pem: bytes, passphrase: Optional[str] = None) -> Any:
    """Read a private key.

    Raises:
        InvalidInput: the passphrase is missing, wrong, or set for a key that is not encrypted.
        WormholeError: it is not a private key.
    """
    require()
    try:
        return serialization.load_pem_private_key(pem, None if passphrase is None else passphrase.encode())
    except TypeError as error:
        # The passphrase is missing, or the key is not encrypted.
        if passphrase is None:
            problem = "the private key is encrypted, but no passphrase is set"
        else:
            problem = "a passphrase is set, but the private key is not encrypted"
        raise InvalidInput("private key", problem=problem) from error
    except UnsupportedAlgorithm as error:
        raise WormholeError("private key", problem=f"the private key cannot be read: {error}") from error
    except Exception as error:  # see _decoded()
        if passphrase is not None and isinstance(error, ValueError):
            raise InvalidInput("private key", problem="the passphrase of the private key is wrong") from error
        raise WormholeError("private key", problem="not a private key in PEM form") from error


def key_facts(key: Any) -> KeyFacts:
    """The public part of a private key."""
    public = key.public_key()
    return KeyFacts(key_type_of(public), _public_key_sha256(public))


def request_key(request: str) -> str:
    """SHA-256 of the public key in a signing request, as in :class:`_certificates.facts.KeyFacts`.

    Raises:
        VerificationFailed: it is not a certificate signing request.
    """
    subject = "certificate signing request"
    return _public_key_sha256(requested_key(subject, load_request(subject, request)))


def is_signed_by(certificate_pem: bytes, issuer_pem: bytes) -> bool:
    """Whether the issuer has signed the certificate: by its key, and under its name.

    False for a kind of signature or key that the library does not know.

    Raises:
        VerificationFailed: one of them is not an X.509 certificate.
    """
    return not _signature_fault(certificate_pem, issuer_pem)


def _signature_fault(certificate_pem: bytes, issuer_pem: bytes) -> str:
    """Why a certificate does not count as signed by an issuer; empty if it does."""
    certificate, issuer = load_certificate(certificate_pem), load_certificate(issuer_pem)
    with _decoded("names that follow RFC 5280"):
        if certificate.issuer != issuer.subject:
            return _NOT_SIGNED
    try:
        public: Any = issuer.public_key()
        signed, digest = certificate.tbs_certificate_bytes, certificate.signature_hash_algorithm
        # Not verify_directly_issued_by(), which requires cryptography 40.
        arguments: tuple[Any, ...] = ()
        if isinstance(public, rsa.RSAPublicKey):
            # RSASSA-PSS, with the parameters of this signature; the library knows it since version 41.
            parameters = getattr(certificate, "signature_algorithm_parameters", None)
            scheme = parameters if isinstance(parameters, padding.PSS) else padding.PKCS1v15()
            arguments = (scheme, digest)
        elif isinstance(public, ec.EllipticCurvePublicKey):
            arguments = (ec.ECDSA(digest),) if digest else ()
        public.verify(certificate.signature, signed, *arguments)
    except (InvalidSignature, TypeError, AttributeError):
        # TypeError: the digest does not suit this kind of key, because another kind signed.
        # AttributeError: a key of this kind cannot sign.
        return _NOT_SIGNED
    except Exception as error:  # see _decoded()
        return str(error) or type(error).__name__
    return ""


def find_issuer(certificate: bytes, trust: Trust) -> IssuedBy:
    """The part of the authority that signed a certificate (in PEM form).

    Raises:
        VerificationFailed: it is not an X.509 certificate.
    """
    return find_anchor(certificate, trust)[0]


def find_anchor(certificate: bytes, trust: Trust) -> tuple[IssuedBy, Optional[Anchor]]:
    """The same, with the certificate of this part; None if no part has signed the certificate."""
    anchors: dict[Part, Sequence[Anchor]] = {
        ISSUING: trust.issuing[:1],
        SUCCESSOR: trust.successor,
        FORMER: trust.former[:1],
        RETIRED: trust.retired,
    }
    for part, candidates in anchors.items():
        for anchor in candidates:
            if is_signed_by(certificate, anchor.pem.encode()):
                return part, anchor
    return "", None


def load_request(subject: str, request: str) -> x509.CertificateSigningRequest:
    try:
        return x509.load_pem_x509_csr(request.encode())
    except Exception as error:  # see _decoded()
        raise VerificationFailed(subject, problem=f"{subject}: not PKCS#10 in PEM form") from error


def requested_key(subject: str, request: x509.CertificateSigningRequest) -> Any:
    """The public key in a signing request, which its own private key has signed.

    Raises:
        VerificationFailed: the library does not know such a key, or another one has signed.
    """
    try:
        public = request.public_key()
        signed = request.is_signature_valid
    except Exception as error:  # see _decoded()
        problem = f"{subject}: the key or its signature cannot be read: {error}"
        raise VerificationFailed(subject, problem=problem) from error
    if not signed:
        raise VerificationFailed(subject, problem=f"the {subject} is not signed with its own key")
    return public


def load_certificate(pem_or_der: bytes) -> x509.Certificate:
    try:
        if b"-----BEGIN" in pem_or_der:
            return x509.load_pem_x509_certificate(pem_or_der)
        return x509.load_der_x509_certificate(pem_or_der)
    except Exception as error:  # see _decoded()
        expected = "an X.509 certificate in PEM or DER form"
        raise VerificationFailed(
            "certificate", expected=expected, found="unreadable content", problem=f"not {expected}"
        ) from error


def facts_of(certificate: x509.Certificate) -> CertificateFacts:
    with _decoded("a key and extensions that follow RFC 5280"):
        constraints = extension_of(certificate, x509.BasicConstraints)
        usage = extension_of(certificate, x509.KeyUsage)
        purposes = extension_of(certificate, x509.ExtendedKeyUsage)
        subject_key = extension_of(certificate, x509.SubjectKeyIdentifier)
        authority_key = extension_of(certificate, x509.AuthorityKeyIdentifier)
        constraints_of_names = extension_of(certificate, x509.NameConstraints)
        return CertificateFacts(
            subject=certificate.subject.rfc4514_string(),
            common_name=_common_name(certificate.subject),
            issuer=certificate.issuer.rfc4514_string(),
            subject_alternative_names=_names(certificate),
            serial=f"{certificate.serial_number:X}",
            fingerprint_sha256=_fingerprint(certificate),
            public_key_sha256=_public_key_sha256(certificate.public_key()),
            key_type=key_type_of(certificate.public_key()),
            not_before=_moment(certificate, "not_valid_before"),
            not_after=_moment(certificate, "not_valid_after"),
            is_ca=bool(constraints and constraints.ca),
            path_length=constraints.path_length if constraints else None,
            key_usage=tuple(sorted(name for flag, name in USAGES.items() if usage and getattr(usage, flag))),
            extended_key_usage=tuple(sorted(_purpose(oid) for oid in purposes or ())),
            critical_extensions=tuple(sorted(_oid_name(e.oid) for e in certificate.extensions if e.critical)),
            subject_key_identifier=subject_key.digest.hex() if subject_key else "",
            authority_key_identifier=(authority_key.key_identifier or b"").hex() if authority_key else "",
            permitted_names=_subtrees(constraints_of_names, "permitted_subtrees"),
            excluded_names=_subtrees(constraints_of_names, "excluded_subtrees"),
        )


@contextlib.contextmanager
def _decoded(expected: str) -> Iterator[None]:
    """Raise VerificationFailed if the library cannot decode a part of a certificate.

    It decodes a part when that is read, and raises an error of almost any class, depending on its
    version: ValueError, UnsupportedAlgorithm, KeyError, InternalError and others.
    """
    try:
        yield
    except WormholeError:
        raise
    except Exception as error:
        found = str(error) or type(error).__name__
        raise VerificationFailed(
            "certificate",
            expected=expected,
            found=found,
            problem=f"the certificate does not have {expected}: {found}",
        ) from error


def extension_of(certificate: x509.Certificate, kind: Any) -> Any:
    """The value of an extension; None if it is missing."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _names(certificate: x509.Certificate) -> tuple[SubjectAlternativeName, ...]:
    names = set()
    for name in extension_of(certificate, x509.SubjectAlternativeName) or ():
        if isinstance(name, x509.DNSName):
            names.add(SubjectAlternativeName("DNS", name.value.lower()))
        elif isinstance(name, x509.IPAddress):
            # A network is valid only in name constraints. Here it matches no address.
            plain = isinstance(name.value, (ipaddress.IPv4Address, ipaddress.IPv6Address))
            names.add(SubjectAlternativeName("IP" if plain else "IPNetwork", str(name.value)))
        elif isinstance(name, x509.UniformResourceIdentifier):
            names.add(SubjectAlternativeName("URI", name.value))
        else:
            names.add(SubjectAlternativeName(type(name).__name__, str(name.value)))
    return tuple(sorted(names))


def _subtrees(constraints: Any, which: str) -> tuple[str, ...]:
    """Name constraints as text. Kinds of names that this collection does not issue are left out."""
    found = getattr(constraints, which, None) or ()
    names = [f"DNS:{name.value}" for name in found if isinstance(name, x509.DNSName)]
    names += [f"IP:{name.value}" for name in found if isinstance(name, x509.IPAddress)]
    names += [f"URI:{name.value}" for name in found if isinstance(name, x509.UniformResourceIdentifier)]
    return tuple(sorted(names))


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _purpose(oid: x509.ObjectIdentifier) -> str:
    name = _oid_name(oid)
    return oid.dotted_string if name == "Unknown OID" else name


def _oid_name(oid: x509.ObjectIdentifier) -> str:
    # No version of the library has a public accessor for the name of an object identifier.
    return str(getattr(oid, "_name", oid.dotted_string))


def _moment(certificate: x509.Certificate, name: str) -> datetime.datetime:
    """An aware datetime. Before cryptography 42, the library returns a naive one in UTC."""
    aware: Optional[datetime.datetime] = getattr(certificate, f"{name}_utc", None)
    return aware or getattr(certificate, name).replace(tzinfo=datetime.timezone.utc)


def _anchor(certificate: x509.Certificate) -> Anchor:
    with _decoded("a key, a name and dates that follow RFC 5280"):
        return Anchor(
            _fingerprint(certificate),
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
            certificate.subject.rfc4514_string(),
            _public_key_sha256(certificate.public_key()),
            _moment(certificate, "not_valid_after"),
        )


def _fingerprint(certificate: x509.Certificate) -> str:
    return hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest()


def _public_key_sha256(key: Any) -> str:
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def key_type_of(key: Any) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name, f"ecdsa-{key.curve.name}")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    return type(key).__name__
