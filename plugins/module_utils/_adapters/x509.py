# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates and keys, read and made with the cryptography library: the only module that imports it.

Works with cryptography 38 (Debian 12) and newer. Times are aware datetimes in UTC, handed in by the caller.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import sys
from typing import Any, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    MissingRequirement,
    VerificationFailed,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.subject_alternative_names import (
    SubjectAlternativeName,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.x509.oid import NameOID

    IMPORT_ERROR = ""
except ImportError as error:
    IMPORT_ERROR = str(error)

_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "nonRepudiation",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}
_CURVES = {"secp256r1": "ecdsa-p256", "secp384r1": "ecdsa-p384"}


def require() -> None:
    """Makes sure that the library is there.

    Raises:
        MissingRequirement: it is not, for the interpreter that runs this.
    """
    if IMPORT_ERROR:
        raise MissingRequirement(
            "Python library cryptography",
            expected=f"to be importable by {sys.executable}",
            found=IMPORT_ERROR,
            remedy="Install the Debian package python3-cryptography, or choose another ansible_python_interpreter",
        )


def read_certificate(pem_or_der: bytes) -> CertificateFacts:
    """Decodes a certificate; of several in PEM form, the first.

    Raises:
        VerificationFailed: it is not an X.509 certificate.
        MissingRequirement: the cryptography library is missing.
    """
    require()
    return _facts(_load(pem_or_der))


def _load(pem_or_der: bytes) -> x509.Certificate:
    try:
        if b"-----BEGIN" in pem_or_der:
            return x509.load_pem_x509_certificate(pem_or_der)
        return x509.load_der_x509_certificate(pem_or_der)
    except ValueError as error:
        raise VerificationFailed(
            "certificate", expected="an X.509 certificate in PEM or DER form", found="something that cannot be parsed"
        ) from error


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    try:
        constraints = _extension(certificate, x509.BasicConstraints)
        usage = _extension(certificate, x509.KeyUsage)
        purposes = _extension(certificate, x509.ExtendedKeyUsage)
        subject_key = _extension(certificate, x509.SubjectKeyIdentifier)
        authority_key = _extension(certificate, x509.AuthorityKeyIdentifier)
        return CertificateFacts(
            subject=certificate.subject.rfc4514_string(),
            common_name=_common_name(certificate.subject),
            issuer=certificate.issuer.rfc4514_string(),
            issuer_common_name=_common_name(certificate.issuer),
            subject_alternative_names=_names(certificate),
            serial=f"{certificate.serial_number:X}",
            fingerprint_sha256=hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest(),
            public_key_sha256=_public_key_sha256(certificate.public_key()),
            key_type=_key_type(certificate.public_key()),
            not_before=_moment(certificate, "not_valid_before"),
            not_after=_moment(certificate, "not_valid_after"),
            is_ca=bool(constraints and constraints.ca),
            path_length=constraints.path_length if constraints else None,
            key_usage=tuple(sorted(name for flag, name in _USAGES.items() if usage and getattr(usage, flag))),
            extended_key_usage=tuple(sorted(_purpose(oid) for oid in purposes or ())),
            critical_extensions=tuple(sorted(_oid_name(e.oid) for e in certificate.extensions if e.critical)),
            subject_key_identifier=subject_key.digest.hex() if subject_key else "",
            authority_key_identifier=(authority_key.key_identifier or b"").hex() if authority_key else "",
        )
    except (ValueError, x509.DuplicateExtension) as error:
        raise VerificationFailed(
            "certificate", expected="extensions that follow RFC 5280", found=str(error) or type(error).__name__
        ) from error


def _extension(certificate: x509.Certificate, kind: Any) -> Any:
    """The extension's value, or None: what is missing is a fact, too."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _names(certificate: x509.Certificate) -> tuple[SubjectAlternativeName, ...]:
    names = set()
    for name in _extension(certificate, x509.SubjectAlternativeName) or ():
        if isinstance(name, x509.DNSName):
            names.add(SubjectAlternativeName("DNS", name.value.lower()))
        elif isinstance(name, x509.IPAddress):
            names.add(_address(name.value))
        else:
            names.add(SubjectAlternativeName(type(name).__name__, str(name.value)))
    return tuple(sorted(names))


def _address(value: Any) -> SubjectAlternativeName:
    # A network is legal in name constraints only; one that stands here matches no client's address.
    plain = isinstance(value, (ipaddress.IPv4Address, ipaddress.IPv6Address))
    return SubjectAlternativeName("IP" if plain else "IPNetwork", str(value))


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else ""


def _purpose(oid: x509.ObjectIdentifier) -> str:
    name = _oid_name(oid)
    return oid.dotted_string if name == "Unknown OID" else name


def _oid_name(oid: x509.ObjectIdentifier) -> str:
    # The library has no public accessor for the name of an object identifier, in any version.
    return str(getattr(oid, "_name", oid.dotted_string))


def _moment(certificate: x509.Certificate, name: str) -> datetime.datetime:
    """Aware since cryptography 42; before that, naive and in UTC."""
    aware: Optional[datetime.datetime] = getattr(certificate, f"{name}_utc", None)
    if aware is not None:
        return aware
    naive: datetime.datetime = getattr(certificate, name)
    return naive.replace(tzinfo=datetime.timezone.utc)


def _public_key_sha256(key: Any) -> str:
    encoded = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(encoded).hexdigest()


def _key_type(key: Any) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name, f"ecdsa-{key.curve.name}")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    return type(key).__name__
