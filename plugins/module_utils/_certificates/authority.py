# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate authority in a directory: its files, its profile, and the checks before it issues.

An authority is created once and never overwritten, because every host that trusts it would have to
be provisioned again. A rotation replaces it with a successor, see :mod:`_certificates.trust`.
During a rotation, ``next.*`` or ``former.*`` hold the other authority. ``retired.pem`` holds the
certificates of authorities that are no longer trusted.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Mapping, Optional, Union

from .._base.errors import Refused
from .checks import check_common_name, check_directory, check_validity_days
from .facts import DIRECTORY, ONE_DAY, CertificateFacts, KeyFacts, KeyType, timestamp

KEY_FILE = "ca.key"
CERTIFICATE_FILE = "ca.pem"
NEXT_KEY_FILE = "next.key"
NEXT_CERTIFICATE_FILE = "next.pem"
FORMER_KEY_FILE = "former.key"
FORMER_CERTIFICATE_FILE = "former.pem"
RETIRED_FILE = "retired.pem"

MODES = {
    DIRECTORY: 0o700,
    **dict.fromkeys((KEY_FILE, NEXT_KEY_FILE, FORMER_KEY_FILE), 0o400),
    **dict.fromkeys((CERTIFICATE_FILE, NEXT_CERTIFICATE_FILE, FORMER_CERTIFICATE_FILE, RETIRED_FILE), 0o444),
}
"""Modes of the directory and of the authority's files."""

Stage = Literal["trust", "reissue", "drop"]
"""The stages of a rotation; see :mod:`_certificates.trust`."""

TRUST: Final = "trust"
REISSUE: Final = "reissue"
DROP: Final = "drop"


@dataclass(frozen=True)
class AuthoritySpec:
    """The authority to create, or whose successor to create.

    Attributes:
        directory: absolute path of the authority's own directory.
        common_name: common name of the subject, at most 64 characters.
        key_type: type of the private key.
        validity: validity from now.
        stage: stage that the rotation has to reach; None to leave it where it is.
        waits_for: hosts that have not completed the previous stage; the previous authority is not
            dropped if there are any.
        replaces: certificate of an authority in another directory that it replaces, in PEM form, so
            that a rotation creates it; empty without one.
    """

    directory: str
    common_name: str
    key_type: KeyType
    validity: datetime.timedelta
    stage: Optional[Stage] = None
    waits_for: tuple[str, ...] = ()
    replaces: str = ""


@dataclass(frozen=True)
class AuthorityState:
    """The observed authority. What is missing is None or empty.

    Attributes:
        modes: permission bits of the directory (under the empty name) and of the authority's files.
        key: public part of the private key.
        certificate: issuing certificate.
        chain: certificates above it, each the issuer of the previous one.
        chain_fault: what is wrong with the order of the chain; empty if it is complete.
        successor, former: certificate of the other authority in a rotation.
        unfinished: a replacement was interrupted, and only the rename of a file is left to do.
        other_files: sorted names of other entries of the directory.
    """

    modes: Mapping[str, int] = field(default_factory=dict)
    key: Optional[KeyFacts] = None
    certificate: Optional[CertificateFacts] = None
    chain: tuple[CertificateFacts, ...] = ()
    chain_fault: str = ""
    successor: Optional[CertificateFacts] = None
    former: Optional[CertificateFacts] = None
    unfinished: bool = False
    other_files: tuple[str, ...] = ()


@dataclass(frozen=True)
class CreateAuthority:
    """Create the directory, the key and the certificate."""


@dataclass(frozen=True)
class CreateSuccessor:
    """Create a second authority that is trusted, but does not issue certificates yet."""

    spec: AuthoritySpec


@dataclass(frozen=True)
class Promote:
    """Make the successor the issuing authority."""


@dataclass(frozen=True)
class DropFormer:
    """Add the previous authority's certificate to the retired ones, and remove its key."""


@dataclass(frozen=True)
class SetMode:
    """Set the mode of a file, or of the directory (the empty name)."""

    name: str
    mode: int


_ROTATE = (
    "Replace it with a new authority, while its clients can still connect: put its key and certificate into a directory as ca.key and "
    "ca.pem, and run the playbook wormhole.docker.rotate with it, first with --tags trust, then with --tags reissue "
    "(docs/certificates.md, An authority from Docker's manual)"
)

AuthorityAction = Union[CreateAuthority, CreateSuccessor, Promote, DropFormer, SetMode]


def parse_authority(directory: str, options: Mapping[str, Any], *, replaces: str = "") -> AuthoritySpec:
    """Parse the options of module certificate_authority.

    Args:
        replaces: see :class:`AuthoritySpec`.

    Raises:
        InvalidInput: an option is invalid.
    """
    check_directory("directory", directory)
    check_common_name("common_name", options["common_name"])
    check_validity_days("validity_days", options["validity_days"])
    return AuthoritySpec(
        directory=directory.rstrip("/"),
        common_name=options["common_name"],
        key_type=options["key_type"],
        validity=options["validity_days"] * ONE_DAY,
        stage=options["rotation"],
        waits_for=tuple(options["rotation_waits_for"]),
        replaces=replaces,
    )


def successor_name(common_name: str) -> str:
    """The successor's common name: ``wormhole CA G2`` for ``wormhole CA``, then ``wormhole CA G3``.

    The names differ because clients look for the issuer of a certificate by its name.
    """
    match = re.fullmatch(r"(.*) G(\d+)", common_name)
    name, generation = match.groups() if match else (common_name, 1)
    suffix = f" G{int(generation) + 1}"
    return name[: 64 - len(suffix)].rstrip() + suffix


def check_authority(
    place: str,
    state: AuthorityState,
    now: datetime.datetime,
    *,
    needs_key: bool = True,
    is_replaced: bool = False,
) -> CertificateFacts:
    """Return an authority's certificate if it may issue now (RFC 5280, 4.2.1.3, 4.2.1.9, 6.1.4).

    Args:
        place: the directory, path or option that it was read from, for messages.
        now: the controller's clock.
        needs_key: whether it is an error if the key is missing.
        is_replaced: whether a successor replaces it, so that it need not issue; see
            :func:`profile_fault`.

    Raises:
        Refused: it cannot issue certificates.
    """
    found, key = state.certificate, state.key
    if found is None:
        fault = f"the authority has a key, but no certificate ({KEY_FILE} without {CERTIFICATE_FILE})"
        raise _unusable(place, fault)
    if key is None and needs_key:
        raise missing_key(place)
    if key and key.public_key_sha256 != found.public_key_sha256:
        raise _unusable(place, f"{KEY_FILE} is the key of another certificate than {CERTIFICATE_FILE}")
    for depth, certificate in enumerate((found, *state.chain)):
        _check_member(place, certificate, depth, now)
    fault = "" if is_replaced else profile_fault(place, state)
    if fault:
        raise Refused(place, problem=fault, remedy=_ROTATE)
    if state.chain_fault:
        raise Refused(
            place,
            problem=f"{place}: the chain does not end in a root: {state.chain_fault}",
            remedy="Append the missing certificates in order, each followed by its issuer. OpenSSL clients need the root",
        )
    return found


def _check_member(place: str, certificate: CertificateFacts, depth: int, now: datetime.datetime) -> None:
    """Check one certificate of a chain. The issuing one has depth 0."""
    problem, remedy = "", "Use another authority"
    if not certificate.is_ca:
        problem = "is not a certificate authority (its basic constraints are not CA:TRUE)"
    elif certificate.key_usage and "keyCertSign" not in certificate.key_usage:
        usage = ", ".join(certificate.key_usage)
        problem = f"cannot sign certificates: expected key usage keyCertSign, found {usage}"
    elif certificate.path_length is not None and certificate.path_length < depth:
        problem = f"has path length {certificate.path_length}, but the chain needs at least {depth}"
    elif now > certificate.not_after:
        problem = f"expired at {timestamp(certificate.not_after)}"
        remedy = (
            "Move it away, create a new authority, and run wormhole.docker.provision and wormhole.docker.launch again. "
            "Before an authority expires, the playbook wormhole.docker.rotate replaces it without interruption"
        )
    elif now < certificate.not_before:
        start = timestamp(certificate.not_before)
        problem = f"is not valid before {start}, but the clock says {timestamp(now)}"
        remedy = "Check the controller's clock"
    if problem:
        subject = f"{place}: {certificate.subject}"
        raise Refused(subject, problem=f"{subject} {problem}", remedy=remedy)


def profile_fault(place: str, state: AuthorityState) -> str:
    """Why strict clients reject certificates of an authority; empty if they do not.

    Engines accept the clients of such an authority, which Docker's manual creates. It can be
    trusted, and a rotation can replace it, but it must not issue more certificates.
    """
    for certificate in (state.certificate, *state.chain):
        if certificate is not None:
            lacks = [] if certificate.key_usage else ["key usage"]
            lacks += [] if certificate.subject_key_identifier else ["subject key identifier"]
            if lacks:
                subject = f"{place}: {certificate.subject}"
                return f"{subject} has no {' and no '.join(lacks)}, so strict clients reject certificates that it issues"
    return ""


def profile_obstacle(place: str, state: AuthorityState) -> str:
    """The same with the remedy; empty if there is no fault."""
    fault = profile_fault(place, state)
    return f"{fault}. {_ROTATE}" if fault else ""


def authority_certificate(spec: AuthoritySpec, now: datetime.datetime) -> CertificateFacts:
    """An authority's certificate profile (RFC 5280, 4.2). Key and serial are placeholders."""
    name = f"CN={spec.common_name}"
    return CertificateFacts(
        subject=name,
        common_name=spec.common_name,
        issuer=name,
        subject_alternative_names=(),
        serial="1",
        fingerprint_sha256="00" * 32,
        public_key_sha256="00" * 32,
        key_type=spec.key_type,
        not_before=now - ONE_DAY,  # for hosts whose clocks are late
        not_after=now + spec.validity,
        is_ca=True,
        path_length=0,
        key_usage=("cRLSign", "keyCertSign"),
        extended_key_usage=(),
        critical_extensions=("basicConstraints", "keyUsage"),
        subject_key_identifier="00" * 20,
        authority_key_identifier="00" * 20,
    )


def missing_key(place: str) -> Refused:
    """The error if a certificate has to be issued, but the authority's key is missing."""
    fault = f"the authority has a certificate, but no key ({CERTIFICATE_FILE} without {KEY_FILE})"
    return _unusable(place, fault)


def _unusable(place: str, problem: str) -> Refused:
    return Refused(
        place,
        problem=f"{place}: {problem}",
        remedy=f"Restore {KEY_FILE} and {CERTIFICATE_FILE} from a backup. If there is none, move {place} "
        "away, and run wormhole.docker.provision and wormhole.docker.launch with certificate_authority_replace: true",
    )
