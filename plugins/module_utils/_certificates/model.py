# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The certificates of one host as data: observed state, actions, and the profile of a new one."""

from __future__ import annotations

import datetime
import posixpath
from dataclasses import dataclass, field
from typing import Mapping, Optional, Union

from .facts import (
    BACKDATE,
    CA_FILE,
    CERTIFICATE_FILE,
    DIRECTORY,
    KEY_FILE,
    PARENT,
    CertificateFacts,
    KeyFacts,
)
from .spec import CertificateSpec
from .trust import Anchor, Bundle, IssuedBy


@dataclass(frozen=True)
class Entry:
    """Owner and mode of a directory or a file."""

    mode: int
    uid: int
    gid: int


@dataclass(frozen=True)
class CertificateState:
    """The observed directory of one certificate. What is missing is None or empty.

    Attributes:
        entries: owner and mode by file name; the empty name means the directory. The parent is
            observed only if its mode may be set.
        other_files: sorted names of other entries of the directory.
        trust_bundle: certificates in ``ca.pem``, in order; empty if the file is unreadable.
        certificate: content of ``cert.pem``.
        key: public part of ``key.pem``.
        unreadable: why a file could not be read, by file name.
        issued_by: part of the authority that signed the certificate.
        leftovers: paths that an interrupted run left behind: a pending key, temporary files.
        unrecorded: names of files whose content is not in the host's record, if the host keeps one.
        recorded: whether the record lists files of this directory; None if the host keeps none.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    other_files: tuple[str, ...] = ()
    trust_bundle: Optional[tuple[Anchor, ...]] = None
    certificate: Optional[CertificateFacts] = None
    key: Optional[KeyFacts] = None
    unreadable: Mapping[str, str] = field(default_factory=dict)
    issued_by: IssuedBy = ""
    leftovers: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()
    recorded: Optional[bool] = None


HostState = Mapping[str, CertificateState]
"""The observed certificates by name, or by directory in a rotation."""


@dataclass(frozen=True)
class IssueCertificate:
    """Install a new certificate with its key and the trust bundle.

    Attributes:
        spec: the requested certificate.
        bundle: content of ``ca.pem``.
        keep_key: certify the existing key, because only names, the issuer or dates change. A server
            that has loaded the previous certificate, and a client that reads the files at this
            moment, then still have a matching pair.
        deferrable: a server that has loaded the previous certificate need not be restarted.
    """

    spec: CertificateSpec
    bundle: Bundle = Bundle()
    keep_key: bool = False
    deferrable: bool = False


@dataclass(frozen=True)
class InstallTrustBundle:
    """Write ``ca.pem``."""

    spec: CertificateSpec
    bundle: Bundle


@dataclass(frozen=True)
class SetAttributes:
    """Set owner, group and mode of a file, or of the directory (the empty name)."""

    spec: CertificateSpec
    name: str


@dataclass(frozen=True)
class RemoveCertificate:
    """Remove the three files, and the directory if it is empty then."""

    spec: CertificateSpec


@dataclass(frozen=True)
class RemoveLeftovers:
    """Remove what an interrupted run left behind."""

    spec: CertificateSpec
    paths: tuple[str, ...]


@dataclass(frozen=True)
class RecordCertificate:
    """Add the three files to the host's record, with their present content."""

    spec: CertificateSpec


CertificateAction = Union[
    IssueCertificate, InstallTrustBundle, SetAttributes, RemoveCertificate, RemoveLeftovers, RecordCertificate
]


_OTHERS = {DIRECTORY: 0o005, CA_FILE: 0o004, CERTIFICATE_FILE: 0o004, KEY_FILE: 0o004}
"""The bits of a mode with which the owner of the key need not own the entry. No key has them."""


def expected_entries(spec: CertificateSpec) -> dict[str, Entry]:
    """The requested owners and modes of a certificate's directory and files.

    The owner has what only he can read. The rest belongs to the keeper.

    Raises:
        ValueError: the numbers of owner and group are unknown.
    """
    if spec.uid is None or spec.gid is None:
        raise ValueError(f"the owner of {spec.name!r} has not been looked up")
    modes = {
        DIRECTORY: spec.directory_mode,
        CA_FILE: spec.certificate_mode,
        CERTIFICATE_FILE: spec.certificate_mode,
        KEY_FILE: spec.key_mode,
    }
    uid, gid = spec.uid, spec.gid
    found = {
        name: Entry(mode, spec.keeper if mode & _OTHERS[name] == _OTHERS[name] else uid, gid)
        for name, mode in modes.items()
    }
    if spec.parent_mode is not None:
        found[PARENT] = Entry(spec.parent_mode, spec.keeper, 0)
    return found


def path_of(directory: str, name: str) -> str:
    """The path of an entry of :attr:`CertificateState.entries`."""
    if name == PARENT:
        return posixpath.dirname(directory)
    return f"{directory}/{name}" if name else directory


def is_usable(state: CertificateState, now: datetime.datetime) -> bool:
    """Whether a certificate can be in use: it is valid now, and its key exists."""
    certificate, key = state.certificate, state.key
    return (
        certificate is not None
        and key is not None
        and key.public_key_sha256 == certificate.public_key_sha256
        and certificate.not_before <= now <= certificate.not_after
    )


def leaf_certificate(
    spec: CertificateSpec, issuer: CertificateFacts, now: datetime.datetime
) -> CertificateFacts:
    """The profile of a new certificate (RFC 5280, 4.2). Key and serial are placeholders.

    Strict clients accept it. It never outlives its issuer.
    """
    return CertificateFacts(
        subject=f"CN={spec.common_name}",
        common_name=spec.common_name,
        issuer=issuer.subject,
        subject_alternative_names=spec.subject_alternative_names,
        serial="2",
        fingerprint_sha256="11" * 32,
        public_key_sha256="11" * 32,
        key_type=spec.key_type,
        not_before=max(now - BACKDATE, issuer.not_before),
        not_after=min(now + spec.validity, issuer.not_after),
        is_ca=False,
        path_length=None,
        key_usage=spec.key_usage,
        extended_key_usage=spec.extended_key_usage,
        critical_extensions=("basicConstraints", "keyUsage"),
        subject_key_identifier="11" * 20,
        authority_key_identifier=issuer.subject_key_identifier,
    )
