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
import re
import sys
from typing import Any, Optional, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._core.authority import (
    AuthoritySpec,
    authority_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import CertificateSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import leaf_certificate
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    InvalidInput,
    MissingRequirement,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.subject_alternative_names import (
    SubjectAlternativeName,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.trust import Anchor
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import (
    CLIENT_AUTH,
    SERVER_AUTH,
    CertificateFacts,
    KeyFacts,
)

try:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    IMPORT_ERROR = ""
except ImportError as error:
    IMPORT_ERROR = str(error)

_PEM_BLOCK = re.compile(b"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)

_USAGES = {
    "digital_signature": "digitalSignature",
    "content_commitment": "nonRepudiation",
    "key_encipherment": "keyEncipherment",
    "data_encipherment": "dataEncipherment",
    "key_agreement": "keyAgreement",
    "key_cert_sign": "keyCertSign",
    "crl_sign": "cRLSign",
}
_PURPOSES = {SERVER_AUTH: "SERVER_AUTH", CLIENT_AUTH: "CLIENT_AUTH"}
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
            remedy="Install the Debian package python3-cryptography, or set ansible_python_interpreter",
        )


def read_certificate(pem_or_der: bytes) -> CertificateFacts:
    """Decodes a certificate; of several in PEM form, the first.

    Raises:
        VerificationFailed: it is not an X.509 certificate.
        MissingRequirement: the cryptography library is missing.
    """
    require()
    return _facts(_load(pem_or_der))


def read_bundle(pem: bytes) -> tuple[Anchor, ...]:
    """The certificates in a file of several, in order and in a normal form, so that equal ones compare equal.

    Raises:
        VerificationFailed: there is none, or one of them is not an X.509 certificate.
    """
    require()
    blocks = _PEM_BLOCK.findall(pem)
    if not blocks:
        _load(pem or b"-----BEGIN")
        raise VerificationFailed("trust bundle", expected="certificates in PEM form", found="none")
    loaded = [_load(block) for block in blocks]
    return tuple(
        Anchor(
            hashlib.sha256(certificate.public_bytes(serialization.Encoding.DER)).hexdigest(),
            certificate.public_bytes(serialization.Encoding.PEM).decode(),
        )
        for certificate in loaded
    )


def chain_fault(chain: Sequence[Anchor]) -> str:
    """What is wrong with a chain, each certificate the issuer of the one before, the last its own; empty if nothing is.

    Raises:
        VerificationFailed: one of them is not an X.509 certificate.
    """
    pems = [anchor.pem.encode() for anchor in chain]
    for certificate, issuer in zip(pems, [*pems[1:], pems[-1]]):
        if not is_signed_by(certificate, issuer):
            facts = read_certificate(certificate)
            return f"{facts.subject} without its issuer, {facts.issuer}"
    return ""


def make_key(key_type: str) -> Any:
    """A new private key of one of :data:`_core.x509.KEY_TYPES`."""
    require()
    if key_type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if key_type.startswith("rsa-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type[4:]))
    return ec.generate_private_key({"ecdsa-p256": ec.SECP256R1, "ecdsa-p384": ec.SECP384R1}[key_type]())


def write_key(key: Any, passphrase: Optional[str] = None) -> bytes:
    """A private key as PKCS#8 in PEM form (RFC 5958), encrypted if there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    encoded: bytes = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption
    )
    return encoded


def read_key(pem: bytes, passphrase: Optional[str] = None) -> Any:
    """Reads a private key.

    Raises:
        InvalidInput: the passphrase is missing, wrong, or given for a key that has none.
        WormholeError: it is no private key.
    """
    require()
    try:
        return serialization.load_pem_private_key(pem, None if passphrase is None else passphrase.encode())
    except TypeError as error:
        # The library tells "encrypted, no password" and "password, not encrypted" by this type.
        expected, found = ("a passphrase", "none") if passphrase is None else ("no passphrase", "one")
        raise InvalidInput("private key", expected=expected, found=found) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        if passphrase is not None:
            raise InvalidInput("private key", expected="its passphrase", found="a wrong one") from error
        raise WormholeError("private key", expected="a key in PEM form", found="something else") from error


def key_facts(key: Any) -> KeyFacts:
    """What may be told about a private key."""
    public = key.public_key()
    return KeyFacts(_key_type(public), _public_key_sha256(public))


def make_request(key: Any, common_name: str) -> str:
    """A certificate signing request (PKCS#10, RFC 2986) in PEM form: proof that somebody holds the key."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(common_name))
    return builder.sign(key, _digest(key)).public_bytes(serialization.Encoding.PEM).decode()


def make_authority(spec: AuthoritySpec, key: Any, now: datetime.datetime) -> bytes:
    """The authority's certificate, signed by itself, in PEM form."""
    public = key.public_key()
    identifier = x509.SubjectKeyIdentifier.from_public_key(public)
    return _sign(authority_certificate(spec, now), public, key, identifier.digest)


def request_key(request: str) -> str:
    """SHA-256 of the public key in a certificate signing request, as in :class:`_core.x509.KeyFacts`.

    Raises:
        VerificationFailed: it is not one.
    """
    return _public_key_sha256(_load_request("certificate signing request", request).public_key())


def sign_certificate(
    spec: CertificateSpec, request: str, issuer_pem: bytes, issuer_key: Any, now: datetime.datetime
) -> str:
    """Issues what the task asks for; a request contributes its public key and nothing else.

    Raises:
        VerificationFailed: the request is not signed by its own key, or the key is of another type.
    """
    subject = f"certificate signing request for {spec.name!r}"
    parsed = _load_request(subject, request)
    public = parsed.public_key()
    if not parsed.is_signature_valid:
        raise VerificationFailed(subject, expected="a signature by its own key", found="a wrong one")
    if _key_type(public) != spec.key_type:
        raise VerificationFailed(subject, expected=f"a key of type {spec.key_type}", found=_key_type(public))
    issuer = _load(issuer_pem)
    # As the issuer states it, which is not necessarily a hash of its key (RFC 5280, 4.2.1.1).
    identifier = _extension(issuer, x509.SubjectKeyIdentifier).digest
    template = leaf_certificate(spec, _facts(issuer), now)
    return _sign(template, public, issuer_key, identifier, issuer.subject).decode()


def is_signed_by(certificate_pem: bytes, issuer_pem: bytes) -> bool:
    """Whether the issuer's key made the certificate's signature, and its subject is the issuer's name.

    Raises:
        VerificationFailed: one of them is not an X.509 certificate.
    """
    certificate, issuer = _load(certificate_pem), _load(issuer_pem)
    if certificate.issuer != issuer.subject:
        return False
    public: Any = issuer.public_key()
    signed, digest = certificate.tbs_certificate_bytes, certificate.signature_hash_algorithm
    # Not verify_directly_issued_by(): that came with cryptography 40.
    arguments: tuple[Any, ...] = ()
    if isinstance(public, rsa.RSAPublicKey):
        arguments = (padding.PKCS1v15(), digest)
    elif isinstance(public, ec.EllipticCurvePublicKey):
        arguments = (ec.ECDSA(digest),) if digest else ()
    try:
        public.verify(certificate.signature, signed, *arguments)
    except (InvalidSignature, TypeError, UnsupportedAlgorithm):
        # TypeError: signed by another kind of key, so that the digest does not fit this one.
        return False
    return True


def _sign(
    template: CertificateFacts,
    public_key: Any,
    issuer_key: Any,
    issuer_identifier: bytes,
    issuer_name: Optional[x509.Name] = None,
) -> bytes:
    """Turns a profile that was decided elsewhere into a certificate in PEM form."""

    def critical(name: str) -> bool:
        return name in template.critical_extensions

    usages = {flag: name in template.key_usage for flag, name in _USAGES.items()}
    subject = _name(template.common_name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name or subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(template.not_before)
        .not_valid_after(template.not_after)
        .add_extension(
            x509.BasicConstraints(template.is_ca, template.path_length), critical("basicConstraints")
        )
        .add_extension(
            x509.KeyUsage(**usages, encipher_only=False, decipher_only=False), critical("keyUsage")
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(issuer_identifier, None, None), critical=False)
    )
    if template.extended_key_usage:
        purposes = [getattr(ExtendedKeyUsageOID, _PURPOSES[name]) for name in template.extended_key_usage]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if template.subject_alternative_names:
        names = [_general_name(name) for name in template.subject_alternative_names]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, _digest(issuer_key)).public_bytes(serialization.Encoding.PEM)


def _digest(key: Any) -> Any:
    """The hash to sign with; Ed25519 has its own (RFC 8032), P-384 goes with SHA-384 (RFC 5758)."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size > 256:
        return hashes.SHA384()
    return hashes.SHA256()


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general_name(name: SubjectAlternativeName) -> x509.GeneralName:
    if name.kind == "IP":
        return x509.IPAddress(ipaddress.ip_address(name.value))
    return x509.DNSName(name.value)


def _load_request(subject: str, request: str) -> x509.CertificateSigningRequest:
    try:
        return x509.load_pem_x509_csr(request.encode())
    except ValueError as error:
        raise VerificationFailed(subject, expected="PKCS#10 in PEM form", found="something else") from error


def _load(pem_or_der: bytes) -> x509.Certificate:
    try:
        if b"-----BEGIN" in pem_or_der:
            return x509.load_pem_x509_certificate(pem_or_der)
        return x509.load_der_x509_certificate(pem_or_der)
    except ValueError as error:
        raise VerificationFailed(
            "certificate",
            expected="an X.509 certificate in PEM or DER form",
            found="something that cannot be parsed",
        ) from error


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    try:
        constraints = _extension(certificate, x509.BasicConstraints)
        usage = _extension(certificate, x509.KeyUsage)
        purposes = _extension(certificate, x509.ExtendedKeyUsage)
        subject_key = _extension(certificate, x509.SubjectKeyIdentifier)
        authority_key = _extension(certificate, x509.AuthorityKeyIdentifier)
        constraints_of_names = _extension(certificate, x509.NameConstraints)
        return CertificateFacts(
            subject=certificate.subject.rfc4514_string(),
            common_name=_common_name(certificate.subject),
            issuer=certificate.issuer.rfc4514_string(),
            issuer_common_name=_common_name(certificate.issuer),
            subject_alternative_names=_names(certificate),
            serial=f"{certificate.serial_number:X}",
            fingerprint_sha256=hashlib.sha256(
                certificate.public_bytes(serialization.Encoding.DER)
            ).hexdigest(),
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
            permitted_names=_subtrees(constraints_of_names, "permitted_subtrees"),
            excluded_names=_subtrees(constraints_of_names, "excluded_subtrees"),
        )
    except (ValueError, x509.DuplicateExtension) as error:
        raise VerificationFailed(
            "certificate",
            expected="extensions that follow RFC 5280",
            found=str(error) or type(error).__name__,
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


def _subtrees(constraints: Any, which: str) -> tuple[str, ...]:
    """Name constraints as text; kinds that no certificate of ours has are left out."""
    found = getattr(constraints, which, None) or ()
    names = [f"DNS:{name.value}" for name in found if isinstance(name, x509.DNSName)]
    names += [f"IP:{name.value}" for name in found if isinstance(name, x509.IPAddress)]
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
    encoded = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()


def _key_type(key: Any) -> str:
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa-{key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return _CURVES.get(key.curve.name, f"ecdsa-{key.curve.name}")
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "ed25519"
    return type(key).__name__
