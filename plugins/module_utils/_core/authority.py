# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate authority in a directory: what it must be.

An authority is made once. One that is there is used or refused, never overwritten: every host that trusts it would have to
be provisioned again. It hands over to a successor by a rotation, see :mod:`_core.trust`; ``next.*`` and ``former.*`` beside
it are the other authority in that, and ``retired.pem`` remembers the certificates of those that are trusted no more.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import Mapping, Optional, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import (
    ONE_DAY,
    CertificateFacts,
    KeyFacts,
    check_common_name,
    check_directory,
    check_validity_days,
    timestamp,
)

KEY_FILE = "ca.key"
CERTIFICATE_FILE = "ca.pem"
NEXT_KEY_FILE = "next.key"
NEXT_CERTIFICATE_FILE = "next.pem"
FORMER_KEY_FILE = "former.key"
FORMER_CERTIFICATE_FILE = "former.pem"
RETIRED_FILE = "retired.pem"

DIRECTORY = ""
DIRECTORY_MODE = 0o700
KEY_MODE = 0o400
CERTIFICATE_MODE = 0o444

MODES = {
    DIRECTORY: DIRECTORY_MODE,
    **dict.fromkeys((KEY_FILE, NEXT_KEY_FILE, FORMER_KEY_FILE), KEY_MODE),
    **dict.fromkeys(
        (CERTIFICATE_FILE, NEXT_CERTIFICATE_FILE, FORMER_CERTIFICATE_FILE, RETIRED_FILE), CERTIFICATE_MODE
    ),
}
"""Of the directory, by its empty name, and of the files that are its own."""

# Hosts whose clocks run late accept the authority all the same; nothing is issued under it before it exists.
BACKDATE = ONE_DAY

TRUST, REISSUE, DROP = "trust", "reissue", "drop"
"""The stages of a rotation: what holds afterwards is told by :mod:`_core.trust`."""


@dataclass(frozen=True)
class AuthoritySpec:
    """The authority to make where there is none, or to make as the successor of the one that is there.

    Attributes:
        directory: absolute path of its own directory.
        common_name: of the subject; 64 characters at most.
        key_type: one of :data:`_core.x509.KEY_TYPES`.
        validity: how long from now.
        stage: of a rotation; None to leave it where it is.
        waits_for: hosts that have not been through the stage before; nothing is dropped as long as there are any.
    """

    directory: str
    common_name: str
    key_type: str
    validity: datetime.timedelta
    stage: Optional[str] = None
    waits_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuthorityState:
    """What an authority consists of; None or empty for what is not there.

    Attributes:
        modes: permission bits of the directory, by its empty name, and of its own files.
        key: the private key, told by its public half.
        certificate: the certificate.
        chain: the certificates above it, each the issuer of the one before.
        chain_fault: what is wrong with that order; empty if nothing is.
        successor, former: the other authority's certificate in a rotation.
        unfinished: a rotation was interrupted while it handed over; all that is left is to rename a file.
        foreign: sorted names of other entries of the directory.
    """

    modes: Mapping[str, int] = field(default_factory=dict)
    key: Optional[KeyFacts] = None
    certificate: Optional[CertificateFacts] = None
    chain: tuple[CertificateFacts, ...] = ()
    chain_fault: str = ""
    successor: Optional[CertificateFacts] = None
    former: Optional[CertificateFacts] = None
    unfinished: bool = False
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True)
class CreateAuthority:
    """Make the directory, the key and the certificate."""


@dataclass(frozen=True)
class CreateSuccessor:
    """Make another authority beside the one that is there."""

    spec: AuthoritySpec


@dataclass(frozen=True)
class Promote:
    """Let the successor issue; the one that has issued until now becomes the former."""


@dataclass(frozen=True)
class DropFormer:
    """Remember the former one's certificate as retired, and remove its key."""


@dataclass(frozen=True)
class SetMode:
    """Give a path its mode; the empty name means the directory."""

    name: str
    mode: int


AuthorityAction = Union[CreateAuthority, CreateSuccessor, Promote, DropFormer, SetMode]


def parse_authority(
    *,
    directory: str,
    common_name: str,
    key_type: str,
    validity_days: int,
    stage: Optional[str] = None,
    waits_for: tuple[str, ...] = (),
) -> AuthoritySpec:
    """Checks the options of the module.

    Raises:
        InvalidInput: an option cannot be meant.
    """
    check_directory("directory", directory)
    check_common_name("common_name", common_name)
    check_validity_days("validity_days", validity_days)
    return AuthoritySpec(
        directory.rstrip("/"), common_name, key_type, validity_days * ONE_DAY, stage, waits_for
    )


def successor_name(common_name: str) -> str:
    """The next generation's name: ``wormhole CA`` is followed by ``wormhole CA G2``, that by ``wormhole CA G3``.

    Two authorities of one name make clients guess which of them has issued a certificate.
    """
    match = re.fullmatch(r"(.*) G(\d+)", common_name)
    name, generation = (match.group(1), int(match.group(2))) if match else (common_name, 1)
    suffix = f" G{generation + 1}"
    return name[: 64 - len(suffix)].rstrip() + suffix


def check_authority(place: str, state: AuthorityState, now: datetime.datetime) -> CertificateFacts:
    """Makes sure that an authority can issue certificates.

    Args:
        place: where it is, for messages: a directory, or what the options call it.
        state: what it consists of.
        now: the controller's clock.

    Returns:
        the authority's certificate.

    Raises:
        Refused: it cannot; the text says what to do.
    """
    if state.certificate is None:
        raise _unusable(
            place, "a key with its certificate", f"a key alone ({KEY_FILE} without {CERTIFICATE_FILE})"
        )
    if state.key is None:
        raise lost_key(place)
    if state.key.public_key_sha256 != state.certificate.public_key_sha256:
        raise _unusable(place, "the key to belong to the certificate", "the key of another certificate")
    check_issuer(place, state, now)
    return state.certificate


def check_issuer(place: str, state: AuthorityState, now: datetime.datetime) -> None:
    """Makes sure that a certificate, and the chain above it, may issue at this time (RFC 5280, 4.2.1.3, 4.2.1.9 and 6.1.4).

    Raises:
        Refused: it may not.
    """
    if state.certificate is None:
        return
    for depth, certificate in enumerate((state.certificate, *state.chain)):
        _check_member(place, certificate, depth, now)
    if state.chain_fault:
        raise Refused(
            place,
            expected="a certificate that is its own issuer, or followed by its chain up to such a one",
            found=state.chain_fault,
            remedy="Append the missing certificates in order, the issuer of each after it: OpenSSL's clients need the root",
        )


def _check_member(place: str, certificate: CertificateFacts, depth: int, now: datetime.datetime) -> None:
    """Checks one certificate of a chain; the issuing one has depth 0."""
    path = f"{place}: {certificate.subject}"
    another = "Name another authority"
    if not certificate.is_ca:
        raise Refused(
            path, expected="basicConstraints CA:TRUE", found="a certificate of no authority", remedy=another
        )
    if "keyCertSign" not in certificate.key_usage:
        found = ", ".join(certificate.key_usage) or "none"
        raise Refused(path, expected="key usage keyCertSign", found=found, remedy=another)
    if not certificate.subject_key_identifier:
        raise Refused(path, expected="a subject key identifier", found="none", remedy=another)
    if certificate.path_length is not None and certificate.path_length < depth:
        raise Refused(
            path,
            expected=f"a path length of {depth} at least, as many authorities as are below it",
            found=str(certificate.path_length),
            remedy=another,
        )
    if now > certificate.not_after:
        raise Refused(
            path,
            expected="a valid certificate",
            found=f"one that expired at {timestamp(certificate.not_after)}",
            remedy="Move it away, make a new authority, and provision every host anew; "
            "before its end, the playbook wormhole.docker.rotate does that without an interruption",
        )
    if now < certificate.not_before:
        raise Refused(
            path,
            expected="a valid certificate",
            found=f"valid from {timestamp(certificate.not_before)}, and the clock says {timestamp(now)}",
            remedy="Check the controller's clock",
        )


def authority_certificate(
    spec: AuthoritySpec, now: datetime.datetime, *, serial: str = "1", public_key_sha256: str = "00" * 32
) -> CertificateFacts:
    """The profile of an authority's certificate (RFC 5280, 4.2)."""
    name = f"CN={spec.common_name}"
    return CertificateFacts(
        subject=name,
        common_name=spec.common_name,
        issuer=name,
        issuer_common_name=spec.common_name,
        subject_alternative_names=(),
        serial=serial,
        fingerprint_sha256="00" * 32,
        public_key_sha256=public_key_sha256,
        key_type=spec.key_type,
        not_before=now - BACKDATE,
        not_after=now + spec.validity,
        is_ca=True,
        path_length=0,
        key_usage=("cRLSign", "keyCertSign"),
        extended_key_usage=(),
        critical_extensions=("basicConstraints", "keyUsage"),
        subject_key_identifier="00" * 20,
        authority_key_identifier="00" * 20,
    )


def lost_key(place: str) -> Refused:
    """The error that an authority without its key is to whoever needs it."""
    return _unusable(
        place, "a certificate with its key", f"a certificate alone ({CERTIFICATE_FILE} without {KEY_FILE})"
    )


def _unusable(place: str, expected: str, found: str) -> Refused:
    return Refused(
        place,
        expected=expected,
        found=found,
        remedy=f"Restore {KEY_FILE} and {CERTIFICATE_FILE} from a backup; without one, move {place} "
        "away, make a new authority and provision every host anew",
    )
