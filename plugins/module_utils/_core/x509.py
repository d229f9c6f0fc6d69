# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is read from certificates and keys, as plain data (RFC 5280)."""

from __future__ import annotations

import datetime
import posixpath
from dataclasses import dataclass
from typing import Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.subject_alternative_names import (
    SubjectAlternativeName,
)

KEY_TYPES = ("ecdsa-p256", "ecdsa-p384", "rsa-3072", "rsa-4096", "ed25519")

ONE_DAY = datetime.timedelta(days=1)

SERVER_AUTH = "serverAuth"
CLIENT_AUTH = "clientAuth"


@dataclass(frozen=True)
class CertificateFacts:
    """A certificate, decoded.

    Attributes:
        subject: the distinguished name (RFC 4514), such as ``CN=ci-runner``.
        common_name: its first common name; empty if it has none.
        issuer: the issuer's distinguished name.
        issuer_common_name: its first common name; empty if it has none.
        subject_alternative_names: sorted, without repetitions.
        serial: the serial number in upper case hexadecimal digits, as ``openssl x509 -serial`` prints it.
        fingerprint_sha256: SHA-256 of the DER form, 64 lower case hexadecimal digits.
        public_key_sha256: SHA-256 of the subjectPublicKeyInfo; the same as in :class:`KeyFacts` of its key.
        key_type: one of :data:`KEY_TYPES`, or a description such as ``rsa-2048``.
        not_before, not_after: aware datetimes in UTC, both inclusive (RFC 5280, 4.1.2.5).
        is_ca: basicConstraints with cA true.
        path_length: its pathLenConstraint, if there is one.
        key_usage: sorted names such as ``digitalSignature``; empty if the extension is missing.
        extended_key_usage: sorted names such as ``serverAuth``, else dotted object identifiers.
        critical_extensions: sorted names of extensions marked critical, such as ``keyUsage``.
        subject_key_identifier, authority_key_identifier: hexadecimal digits; empty if missing.
        permitted_names, excluded_names: name constraints of an authority (RFC 5280, 4.2.1.10), such as
            ``DNS:example.com`` or ``IP:10.0.0.0/8``.
    """

    subject: str
    common_name: str
    issuer: str
    issuer_common_name: str
    subject_alternative_names: tuple[SubjectAlternativeName, ...]
    serial: str
    fingerprint_sha256: str
    public_key_sha256: str
    key_type: str
    not_before: datetime.datetime
    not_after: datetime.datetime
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
        """Whether subject and issuer are the same, as they are in the root of a chain."""
        return self.subject == self.issuer

    def days_left(self, now: datetime.datetime) -> int:
        """Whole days until it expires, rounded down; negative once it has expired."""
        return (self.not_after - now) // ONE_DAY


@dataclass(frozen=True)
class KeyFacts:
    """What may be told about a private key.

    Attributes:
        key_type: one of :data:`KEY_TYPES`, or a description such as ``rsa-2048``.
        public_key_sha256: SHA-256 of its subjectPublicKeyInfo, in hexadecimal digits.
    """

    key_type: str
    public_key_sha256: str


def timestamp(moment: datetime.datetime) -> str:
    """ISO 8601 in UTC with seconds, such as ``2026-11-23T21:00:00Z``."""
    return moment.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def check_common_name(subject: str, common_name: str) -> None:
    """Checks a common name (RFC 5280, appendix A.1: ub-common-name is 64).

    Raises:
        InvalidInput: it is empty, too long or holds control characters.
    """
    if not 1 <= len(common_name) <= 64 or not common_name.isprintable() or common_name != common_name.strip():
        raise InvalidInput(
            subject,
            expected="1 to 64 printable characters, no space at the ends",
            found=f"{len(common_name)} characters: {common_name!r}",
            remedy="Longer names belong into the subject alternative names",
        )


def check_validity_days(subject: str, days: int) -> None:
    """Checks a validity in days.

    Raises:
        InvalidInput: it is less than a day or more than a century.
    """
    if not 1 <= days <= 36500:
        raise InvalidInput(subject, expected="1 to 36500 days", found=str(days))


def check_directory(subject: str, path: str) -> None:
    """Checks the path of a directory that is going to be owned by a certificate.

    Raises:
        InvalidInput: it is relative, has ``..`` or doubled slashes in it, or is the root directory.
    """
    if not path.startswith("/") or path.strip("/") == "" or posixpath.normpath(path) != path.rstrip("/"):
        raise InvalidInput(subject, expected="an absolute path in its shortest form", found=repr(path))
