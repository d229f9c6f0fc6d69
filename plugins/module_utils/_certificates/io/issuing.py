# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Generate keys, certificate signing requests and certificates with the cryptography library.

:mod:`_certificates.authority` and :mod:`_certificates.model` hold the profiles of certificates.
"""

from __future__ import annotations

import contextlib
import ipaddress
from typing import Any, Optional

from ..facts import CertificateFacts
from ..names import SubjectAlternativeName
from .decoding import USAGES, extension_of, require

with contextlib.suppress(ImportError):  # :func:`require` reports it
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def make_key(key_type: str) -> Any:
    """A new private key of one of :data:`_certificates.facts.KEY_TYPES`."""
    require()
    if key_type == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    if key_type.startswith("rsa-"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(key_type[4:]))
    return ec.generate_private_key({"ecdsa-p256": ec.SECP256R1, "ecdsa-p384": ec.SECP384R1}[key_type]())


def write_key(key: Any, passphrase: Optional[str] = None) -> bytes:
    """A private key in PKCS#8 PEM form (RFC 5958), encrypted if there is a passphrase."""
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase is not None:
        encryption = serialization.BestAvailableEncryption(passphrase.encode())
    form = serialization.PrivateFormat.PKCS8
    encoded: bytes = key.private_bytes(serialization.Encoding.PEM, form, encryption)
    return encoded


def make_request(key: Any, common_name: str) -> str:
    """A certificate signing request (PKCS#10, RFC 2986) in PEM form, signed with the key."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(common_name))
    return builder.sign(key, _digest(key)).public_bytes(serialization.Encoding.PEM).decode()


def sign_profile(
    template: CertificateFacts, public_key: Any, issuer_key: Any, issuer: Optional[x509.Certificate] = None
) -> bytes:
    """Sign a certificate with this profile, in PEM form. Without an issuer, it is self-signed."""
    critical = template.critical_extensions
    basic = x509.BasicConstraints(template.is_ca, template.path_length)
    usages = {flag: name in template.key_usage for flag, name in USAGES.items()}
    usage = x509.KeyUsage(**usages, encipher_only=False, decipher_only=False)
    subject = _name(template.common_name)
    identifier = x509.SubjectKeyIdentifier.from_public_key(public_key)
    # The issuer's own statement, which is not necessarily a hash of its key (RFC 5280, 4.2.1.1).
    issuer_identifier = extension_of(issuer, x509.SubjectKeyIdentifier) if issuer else identifier
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(template.not_before)
        .not_valid_after(template.not_after)
        .add_extension(basic, "basicConstraints" in critical)
        .add_extension(usage, "keyUsage" in critical)
        .add_extension(identifier, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier(issuer_identifier.digest, None, None), critical=False)
    )
    if template.extended_key_usage:
        known = {"serverAuth": ExtendedKeyUsageOID.SERVER_AUTH, "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH}
        purposes = [known[name] for name in template.extended_key_usage]
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if template.subject_alternative_names:
        names = [_general_name(name) for name in template.subject_alternative_names]
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, _digest(issuer_key)).public_bytes(serialization.Encoding.PEM)


def _digest(key: Any) -> Any:
    """The hash to sign with. Ed25519 has its own (RFC 8032), P-384 uses SHA-384 (RFC 5758)."""
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
    if name.kind == "URI":
        return x509.UniformResourceIdentifier(name.value)
    return x509.DNSName(name.value)
