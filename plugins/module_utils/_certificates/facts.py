# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Certificates and keys as plain data (RFC 5280), their default renewal and their file names."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final, Literal, Mapping, Optional, get_args

from .names import SubjectAlternativeName

KeyType = Literal["ecdsa-p256", "ecdsa-p384", "rsa-3072", "rsa-4096", "ed25519"]
KEY_TYPES: tuple[KeyType, ...] = get_args(KeyType)
"""The kinds of private keys that can be made."""
KEY_TYPE_ARGUMENT: dict[str, Any] = {
    "type": "str",
    "choices": list(KEY_TYPES),
    "default": "ecdsa-p256",
    "no_log": False,
}
"""The argument of an option that selects one of them."""

ONE_DAY = timedelta(days=1)

Profile = Literal["server", "client"]
SERVER: Final = "server"
CLIENT: Final = "client"
EXTENDED_KEY_USAGE: Mapping[Profile, str] = {SERVER: "serverAuth", CLIENT: "clientAuth"}

CA_FILE = "ca.pem"
CERTIFICATE_FILE = "cert.pem"
KEY_FILE = "key.pem"
PARENT = ".."
"""Name of the directory in which a certificate's directory is."""
FILES = (CA_FILE, CERTIFICATE_FILE, KEY_FILE)
"""The files that the Docker CLI and SDKs read from DOCKER_CERT_PATH."""

DIRECTORY = ""
"""The name of the directory itself, among the names of its files."""

BACKDATE = timedelta(hours=1)
"""How long before the time of issue a certificate is valid, for hosts whose clocks are late."""

CLOCK_TOLERANCE = BACKDATE / 2
"""How far the clocks of host and controller may differ. A new certificate is then valid on both."""


@dataclass(frozen=True)
class CertificateFacts:
    """A certificate, decoded.

    Attributes:
        subject: distinguished name (RFC 4514), such as ``CN=ci-runner``.
        common_name: first common name of the subject; empty if it has none.
        issuer: distinguished name of the issuer.
        subject_alternative_names: sorted, without duplicates.
        serial: upper case hexadecimal serial number, as printed by ``openssl x509 -serial``.
        fingerprint_sha256: SHA-256 of the DER form, 64 lower case hexadecimal digits.
        public_key_sha256: SHA-256 of the subjectPublicKeyInfo, in hexadecimal digits.
        key_type: one of :data:`KEY_TYPES`, or a description such as ``rsa-2048``.
        not_before, not_after: aware datetimes in UTC, both inclusive (RFC 5280, 4.1.2.5).
        is_ca: whether the basic constraints are CA:TRUE.
        path_length: pathLenConstraint; None without one.
        key_usage: sorted names such as ``digitalSignature``; empty if the extension is missing.
        extended_key_usage: sorted names such as ``serverAuth``, or dotted object identifiers.
        critical_extensions: sorted names of extensions marked critical, such as ``keyUsage``.
        subject_key_identifier, authority_key_identifier: hexadecimal digits; empty if missing.
        permitted_names, excluded_names: name constraints of an authority (RFC 5280, 4.2.1.10), such
            as ``DNS:example.com`` or ``IP:10.0.0.0/8``.
    """

    subject: str
    common_name: str
    issuer: str
    subject_alternative_names: tuple[SubjectAlternativeName, ...]
    serial: str
    fingerprint_sha256: str
    public_key_sha256: str
    key_type: str
    not_before: datetime
    not_after: datetime
    is_ca: bool
    path_length: Optional[int]
    key_usage: tuple[str, ...]
    extended_key_usage: tuple[str, ...]
    critical_extensions: tuple[str, ...]
    subject_key_identifier: str
    authority_key_identifier: str
    permitted_names: tuple[str, ...] = ()
    excluded_names: tuple[str, ...] = ()

    @property
    def is_self_issued(self) -> bool:
        """Whether subject and issuer are the same, as in the root of a chain."""
        return self.subject == self.issuer

    def days_left(self, now: datetime) -> int:
        """Whole days until it expires, rounded down; negative once it has expired."""
        return (self.not_after - now) // ONE_DAY


@dataclass(frozen=True)
class KeyFacts:
    """The public part of a private key.

    Attributes:
        key_type: one of :data:`KEY_TYPES`, or a description such as ``rsa-2048``.
        public_key_sha256: SHA-256 of its subjectPublicKeyInfo, in hexadecimal digits.
    """

    key_type: str
    public_key_sha256: str


def default_renewal_window(validity: timedelta) -> timedelta:
    """How long before its end a certificate is replaced, unless option renew_before_days is set."""
    return validity / 3


def default_renewal_time(certificate: CertificateFacts) -> datetime:
    """When the default renewal window begins, for a certificate whose task is not known.

    Whether a task renews a certificate is decided in :mod:`_certificates.deviations`.
    """
    return certificate.not_after - default_renewal_window(certificate.not_after - certificate.not_before)


def is_default_renewal_due(certificate: CertificateFacts, now: datetime) -> bool:
    """Whether the default renewal window has begun, or the certificate has expired.

    Whether a task renews a certificate is decided in :mod:`_certificates.deviations`.
    """
    return now >= default_renewal_time(certificate)


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with seconds, such as ``2026-11-23T21:00:00Z``."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
