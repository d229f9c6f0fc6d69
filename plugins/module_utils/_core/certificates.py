# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leaf certificates of one host, as data: what stands there, what can be done, and what a new one is like."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from typing import Mapping, Optional, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import CertificateSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.trust import Anchor, Bundle, Trust
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts, KeyFacts

CA_FILE = "ca.pem"

CERTIFICATE_FILE = "cert.pem"

KEY_FILE = "key.pem"

# What the Docker CLI and SDKs look for in DOCKER_CERT_PATH.
FILES = (CA_FILE, CERTIFICATE_FILE, KEY_FILE)

# The directory itself, among the names of its files.
DIRECTORY = ""

# A leaf is valid from an hour before it is signed, for hosts whose clocks run late.
BACKDATE = datetime.timedelta(hours=1)

# Half of it, so that a certificate that is signed is also valid on the host that asked for it.
CLOCK_TOLERANCE = BACKDATE / 2


@dataclass(frozen=True)
class Authority:
    """Who issues, as the host sees it.

    Attributes:
        trust: whom to trust: the one that issues, and those that take part in a rotation.
        certificate: the one that issues, decoded; None if there is no authority yet.
        chain: the certificates above it, decoded.
        obstacle: why it cannot sign at present; empty if it can.
        clock: what time it is where it signs; None if nobody said.
    """

    trust: Trust = Trust()
    certificate: Optional[CertificateFacts] = None
    chain: tuple[CertificateFacts, ...] = ()
    obstacle: str = ""
    clock: Optional[datetime.datetime] = None


@dataclass(frozen=True)
class Entry:
    """Owner and mode of a directory or a file."""

    mode: int
    uid: int
    gid: int


@dataclass(frozen=True)
class CertificateState:
    """What stands where one certificate belongs; None or empty for what is not there.

    Attributes:
        entries: owner and mode by file name; the empty name means the directory.
        foreign: sorted names of what else lies in the directory.
        trust_bundle: the certificates in ``ca.pem``, in order; empty if none can be read.
        certificate: ``cert.pem``, decoded.
        key: ``key.pem``, told by its public half.
        unreadable: why a file could not be read, by file name.
        issued_by: the part that the authority plays whose key made the certificate's signature, such as
            :data:`_core.trust.ISSUING`; empty if it is none of ours.
        leftovers: paths that an interrupted run left behind: a pending key, temporary files.
        unrecorded: names of files that the host's record does not know with this content, if it was looked at.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    trust_bundle: Optional[tuple[Anchor, ...]] = None
    certificate: Optional[CertificateFacts] = None
    key: Optional[KeyFacts] = None
    unreadable: Mapping[str, str] = field(default_factory=dict)
    issued_by: str = ""
    leftovers: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()


HostState = Mapping[str, CertificateState]


@dataclass(frozen=True)
class IssueCertificate:
    """Install a new certificate with its key and the trust bundle, in their directory.

    Attributes:
        spec: what is asked for.
        bundle: what ``ca.pem`` has to hold.
        keep_key: certify the key that is there, because nothing but the names or the issuer has changed. A server that
            has the former certificate in memory then still speaks with the right key, and a client that reads the
            files in this moment finds a pair that fits.
        deferrable: a server that has the former certificate in memory need not be restarted for the new one.
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
    """Give a file, or the directory by its empty name, its owner, group and mode."""

    spec: CertificateSpec
    name: str


@dataclass(frozen=True)
class RemoveCertificate:
    """Remove the three files, and the directory if nothing else is in it."""

    spec: CertificateSpec


@dataclass(frozen=True)
class RemoveLeftovers:
    """Remove what an interrupted run left behind."""

    spec: CertificateSpec
    paths: tuple[str, ...]


@dataclass(frozen=True)
class RecordCertificate:
    """Record the three files as made here, as they are."""

    spec: CertificateSpec


CertificateAction = Union[
    IssueCertificate,
    InstallTrustBundle,
    SetAttributes,
    RemoveCertificate,
    RemoveLeftovers,
    RecordCertificate,
]


def wanted_entries(spec: CertificateSpec) -> dict[str, Entry]:
    """Owner and mode of everything that belongs to a certificate."""
    if spec.uid is None or spec.gid is None:
        raise ValueError(f"the owner of {spec.name!r} has not been looked up")
    modes = {
        DIRECTORY: spec.directory_mode,
        CA_FILE: spec.certificate_mode,
        CERTIFICATE_FILE: spec.certificate_mode,
        KEY_FILE: spec.key_mode,
    }
    return {name: Entry(mode, spec.uid, spec.gid) for name, mode in modes.items()}


def is_usable(state: CertificateState, now: datetime.datetime) -> bool:
    """Whether somebody could be using a certificate: it is valid, and its key is there."""
    certificate, key = state.certificate, state.key
    return (
        certificate is not None
        and key is not None
        and key.public_key_sha256 == certificate.public_key_sha256
        and certificate.not_before <= now <= certificate.not_after
    )


def leaf_certificate(
    spec: CertificateSpec,
    issuer: CertificateFacts,
    now: datetime.datetime,
    *,
    public_key_sha256: str = "11" * 32,
) -> CertificateFacts:
    """The profile of a leaf (RFC 5280, 4.2), as strict clients want it; it never outlives its issuer."""
    return CertificateFacts(
        subject=f"CN={spec.common_name}",
        common_name=spec.common_name,
        issuer=issuer.subject,
        issuer_common_name=issuer.common_name,
        subject_alternative_names=spec.subject_alternative_names,
        serial="2",
        fingerprint_sha256="11" * 32,
        public_key_sha256=public_key_sha256,
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
