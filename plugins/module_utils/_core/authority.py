# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A certificate authority in a directory: what it must be, and when to make one.

An authority is made once. One that is there is used or refused, never overwritten: every host that trusts it
would have to be provisioned again.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from typing import Optional, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason
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

DIRECTORY_MODE = 0o700
KEY_MODE = 0o400
CERTIFICATE_MODE = 0o444

# Hosts whose clocks run late accept the authority all the same; nothing is issued under it before it exists.
BACKDATE = ONE_DAY


@dataclass(frozen=True)
class AuthoritySpec:
    """The authority to make where there is none.

    Attributes:
        directory: absolute path of its own directory.
        common_name: of the subject; 64 characters at most.
        key_type: one of :data:`_core.x509.KEY_TYPES`.
        validity: how long from now.
    """

    directory: str
    common_name: str
    key_type: str
    validity: datetime.timedelta


@dataclass(frozen=True)
class AuthorityState:
    """What stands in the directory; None for what is not there.

    Attributes:
        directory_mode, key_mode, certificate_mode: permission bits.
        key: the private key, told by its public half.
        certificate: the certificate.
        foreign: sorted names of other entries.
    """

    directory_mode: Optional[int] = None
    key_mode: Optional[int] = None
    key: Optional[KeyFacts] = None
    certificate_mode: Optional[int] = None
    certificate: Optional[CertificateFacts] = None
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True)
class CreateAuthority:
    """Make the directory, the key and the certificate."""


@dataclass(frozen=True)
class SetMode:
    """Give a path its mode; the empty name means the directory."""

    name: str
    mode: int


AuthorityAction = Union[CreateAuthority, SetMode]


def parse_authority(*, directory: str, common_name: str, key_type: str, validity_days: int) -> AuthoritySpec:
    """Checks the options of the module.

    Raises:
        InvalidInput: an option cannot be meant.
    """
    check_directory("directory", directory)
    check_common_name("common_name", common_name)
    check_validity_days("validity_days", validity_days)
    return AuthoritySpec(directory.rstrip("/"), common_name, key_type, validity_days * ONE_DAY)


def plan_authority(
    spec: AuthoritySpec, state: AuthorityState, now: datetime.datetime
) -> Plan[AuthorityAction]:
    """Decides whether an authority has to be made, or its modes mended.

    Raises:
        Refused: what is there is no usable authority.
    """
    if state.key is None and state.certificate is None:
        if state.foreign:
            raise Refused(
                spec.directory,
                expected="a directory of the authority's own",
                found=f"other files, such as {state.foreign[0]}",
                remedy="Name a directory that is empty or does not exist",
            )
        return Plan(
            before={},
            after=_describe_new(spec),
            reasons=(Reason("missing", f"no certificate authority in {spec.directory}", spec.directory),),
            actions=(CreateAuthority(),),
        )
    check_authority(spec.directory, state, now)
    observed = {"": state.directory_mode, KEY_FILE: state.key_mode, CERTIFICATE_FILE: state.certificate_mode}
    drift = [SetMode(name, mode) for name, mode in _MODES.items() if observed[name] != mode]
    return Plan(
        before={_mode_label(action.name): _octal(observed[action.name]) for action in drift},
        after={_mode_label(action.name): _octal(action.mode) for action in drift},
        reasons=tuple(_drift_reason(spec.directory, action, observed[action.name]) for action in drift),
        actions=tuple(drift),
    )


def check_authority(directory: str, state: AuthorityState, now: datetime.datetime) -> CertificateFacts:
    """Makes sure that what stands in a directory can issue certificates.

    Returns:
        the authority's certificate.

    Raises:
        Refused: it cannot; the text says what to do.
    """
    if state.certificate is None:
        raise _unusable(
            directory, f"{KEY_FILE} and {CERTIFICATE_FILE}", f"{KEY_FILE} without {CERTIFICATE_FILE}"
        )
    if state.key is None:
        raise _unusable(
            directory, f"{KEY_FILE} and {CERTIFICATE_FILE}", f"{CERTIFICATE_FILE} without {KEY_FILE}"
        )
    if state.key.public_key_sha256 != state.certificate.public_key_sha256:
        raise _unusable(
            directory, f"{KEY_FILE} to belong to {CERTIFICATE_FILE}", "the key of another certificate"
        )
    check_issuer(directory, state.certificate, now)
    return state.certificate


def check_issuer(directory: str, certificate: CertificateFacts, now: datetime.datetime) -> None:
    """Makes sure that a certificate may issue others at this time (RFC 5280, 4.2.1.3, 4.2.1.9 and 6.1.4).

    Raises:
        Refused: it may not.
    """
    path = f"{directory}/{CERTIFICATE_FILE}"
    another = "Name the directory of another authority"
    if not certificate.is_ca:
        raise Refused(
            path, expected="basicConstraints CA:TRUE", found="a certificate of no authority", remedy=another
        )
    if "keyCertSign" not in certificate.key_usage:
        found = ", ".join(certificate.key_usage) or "none"
        raise Refused(path, expected="key usage keyCertSign", found=found, remedy=another)
    if not certificate.subject_key_identifier:
        raise Refused(path, expected="a subject key identifier", found="none", remedy=another)
    if now > certificate.not_after:
        raise Refused(
            path,
            expected="a valid certificate",
            found=f"one that expired at {timestamp(certificate.not_after)}",
            remedy=f"Move {directory} away, make a new authority, and provision every host anew",
        )
    if now < certificate.not_before:
        raise Refused(
            path,
            expected="a valid certificate",
            found=f"valid from {timestamp(certificate.not_before)}, and the clock says {timestamp(now)}",
            remedy="Check the controller's clock",
        )


def simulate_authority(
    spec: AuthoritySpec, state: AuthorityState, plan: Plan[AuthorityAction], now: datetime.datetime
) -> AuthorityState:
    """The state that a plan leads to."""
    for action in plan.actions:
        if isinstance(action, CreateAuthority):
            certificate = authority_certificate(spec, now)
            key = KeyFacts(spec.key_type, certificate.public_key_sha256)
            state = AuthorityState(DIRECTORY_MODE, KEY_MODE, key, CERTIFICATE_MODE, certificate)
        else:
            state = replace(
                state,
                directory_mode=action.mode if action.name == "" else state.directory_mode,
                key_mode=action.mode if action.name == KEY_FILE else state.key_mode,
                certificate_mode=action.mode if action.name == CERTIFICATE_FILE else state.certificate_mode,
            )
    return state


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


def describe_authority(
    spec: AuthoritySpec, state: AuthorityState, now: datetime.datetime
) -> dict[str, object]:
    """The module's return values; those of a certificate that is not there are left out."""
    if state.certificate is None:
        return {"directory": spec.directory}
    return {
        "directory": spec.directory,
        "subject": state.certificate.subject,
        "fingerprint_sha256": state.certificate.fingerprint_sha256,
        "not_before": timestamp(state.certificate.not_before),
        "not_after": timestamp(state.certificate.not_after),
        "days_left": state.certificate.days_left(now),
        "key_type": state.certificate.key_type,
    }


_MODES = {"": DIRECTORY_MODE, KEY_FILE: KEY_MODE, CERTIFICATE_FILE: CERTIFICATE_MODE}


def _describe_new(spec: AuthoritySpec) -> dict[str, object]:
    return {
        "directory": spec.directory,
        "subject": f"CN={spec.common_name}",
        "key_type": spec.key_type,
        "validity_days": spec.validity // ONE_DAY,
        **{_mode_label(name): _octal(mode) for name, mode in _MODES.items()},
    }


def _mode_label(name: str) -> str:
    return f"mode of {name or 'directory'}"


def _octal(mode: Optional[int]) -> str:
    return "none" if mode is None else f"{mode:04o}"


def _drift_reason(directory: str, action: SetMode, found: Optional[int]) -> Reason:
    path = f"{directory}/{action.name}".rstrip("/")
    return Reason(
        "mode_drift", f"mode of {path}: expected {_octal(action.mode)}, found {_octal(found)}", path
    )


def _unusable(directory: str, expected: str, found: str) -> Refused:
    return Refused(
        directory,
        expected=expected,
        found=found,
        remedy=f"Restore {KEY_FILE} and {CERTIFICATE_FILE} from a backup; without one, move {directory} "
        "away, make a new authority and provision every host anew",
    )
