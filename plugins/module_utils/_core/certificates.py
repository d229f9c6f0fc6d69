# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Leaf certificates of one host: what is wrong with those that are there, and what to do about it.

A deviation of the certificate or its key calls for a new one, always with a new key. Drift of owner, mode or trust
bundle is mended in place. Whatever else lies in a certificate's directory belongs to somebody else and stays.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Mapping, Optional, Sequence, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import (
    EXTENDED_KEY_USAGE,
    SERVER,
    CertificateSpec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused, VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import (
    ONE_DAY,
    CertificateFacts,
    KeyFacts,
    timestamp,
)

CA_FILE = "ca.pem"
CERTIFICATE_FILE = "cert.pem"
KEY_FILE = "key.pem"
# What the Docker CLI and SDKs look for in DOCKER_CERT_PATH.
FILES = (CA_FILE, CERTIFICATE_FILE, KEY_FILE)

# A leaf is valid from an hour before it is signed, for hosts whose clocks run late.
BACKDATE = datetime.timedelta(hours=1)
# Half of it, so that a certificate that is signed is also valid on the host that asked for it.
CLOCK_TOLERANCE = BACKDATE / 2

_DIRECTORY = ""


@dataclass(frozen=True)
class Authority:
    """Who issues, as the host sees it.

    Attributes:
        bundle: what ``ca.pem`` has to hold: certificates in PEM form; empty if there is no authority yet.
        certificate: the issuing one of them; None if there is no authority yet.
        obstacle: why it cannot sign at present; empty if it can.
        clock: what time it is where it signs; None if nobody said.
    """

    bundle: str = ""
    certificate: Optional[CertificateFacts] = None
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
        trust_bundle: the content of ``ca.pem``.
        certificate: ``cert.pem``, decoded.
        key: ``key.pem``, told by its public half.
        unreadable: why a file could not be read, by file name.
        issued_by_authority: whether the authority's key made the certificate's signature.
        leftovers: paths that an interrupted run left behind: a pending key, temporary files.
    """

    entries: Mapping[str, Entry] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()
    trust_bundle: Optional[str] = None
    certificate: Optional[CertificateFacts] = None
    key: Optional[KeyFacts] = None
    unreadable: Mapping[str, str] = field(default_factory=dict)
    issued_by_authority: bool = False
    leftovers: tuple[str, ...] = ()


HostState = Mapping[str, CertificateState]


@dataclass(frozen=True)
class IssueCertificate:
    """Install a new key, a new certificate and the trust bundle, with their directory."""

    spec: CertificateSpec


@dataclass(frozen=True)
class InstallTrustBundle:
    """Write ``ca.pem``."""

    spec: CertificateSpec


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


CertificateAction = Union[
    IssueCertificate, InstallTrustBundle, SetAttributes, RemoveCertificate, RemoveLeftovers
]


def plan_certificates(
    specs: Sequence[CertificateSpec], state: HostState, authority: Authority, now: datetime.datetime
) -> Plan[CertificateAction]:
    """Decides for every certificate of a task.

    Args:
        specs: what is asked for, with owners looked up.
        state: what stands on the host, by the certificates' names.
        authority: who issues.
        now: the host's clock.

    Raises:
        Refused: a certificate has to be issued, and the authority cannot do it; or what stands where a client has to be
            removed is no client.
    """
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    reasons: list[Reason] = []
    actions: list[CertificateAction] = []
    for spec in specs:
        found = state[spec.name]
        why, what = _plan_one(spec, found, authority, now)
        if what:
            before[spec.name] = _describe_found(found, authority, now)
            after[spec.name] = _describe_wanted(spec)
            reasons += why
            actions += what
    return Plan(before, after, tuple(reasons), tuple(actions))


def _plan_one(
    spec: CertificateSpec, state: CertificateState, authority: Authority, now: datetime.datetime
) -> tuple[list[Reason], list[CertificateAction]]:
    if not spec.present:
        return _plan_removal(spec, state)
    wrong = find_deviations(spec, state, authority, now)
    reasons, actions = _find_drift(spec, state, authority)
    if wrong:
        _check_can_issue(spec, authority, now)
        return [*wrong, *reasons], [IssueCertificate(spec)]
    if state.leftovers:
        reasons.append(_leftover(spec, state))
        actions.append(RemoveLeftovers(spec, state.leftovers))
    return reasons, actions


def _plan_removal(
    spec: CertificateSpec, state: CertificateState
) -> tuple[list[Reason], list[CertificateAction]]:
    if state.certificate and state.certificate.extended_key_usage == (EXTENDED_KEY_USAGE[SERVER],):
        raise Refused(
            spec.directory,
            expected=f"the client certificate {spec.name!r}",
            found="a server's certificate",
            remedy="Check the option directory; nothing was removed",
        )
    there = [name for name in FILES if name in state.entries]
    if there:
        return [_reason(spec, "not_wanted", f"{spec.directory} holds {', '.join(there)}")], [
            RemoveCertificate(spec)
        ]
    if _DIRECTORY in state.entries and not state.foreign:
        return [_reason(spec, "not_wanted", f"{spec.directory} is left, empty")], [RemoveCertificate(spec)]
    if state.leftovers:
        return [_leftover(spec, state)], [RemoveCertificate(spec)]
    return [], []


def find_deviations(
    spec: CertificateSpec, state: CertificateState, authority: Authority, now: datetime.datetime
) -> tuple[Reason, ...]:
    """What is wrong with a certificate or its key, so that only a new one can mend it."""
    missing = [name for name in (CERTIFICATE_FILE, KEY_FILE) if name not in state.entries]
    if missing:
        return (
            _reason(
                spec, "missing", f"not there: {', '.join(f'{spec.directory}/{name}' for name in missing)}"
            ),
        )
    broken = [name for name in (CERTIFICATE_FILE, KEY_FILE) if name in state.unreadable]
    if broken or state.certificate is None or state.key is None:
        found = "; ".join(f"{name}: {state.unreadable[name]}" for name in broken)
        return (_reason(spec, "unreadable", f"cannot be read: {found}"),)
    reasons = []
    if state.key.public_key_sha256 != state.certificate.public_key_sha256:
        reasons.append(_reason(spec, "key_mismatch", f"{KEY_FILE} is not the key of {CERTIFICATE_FILE}"))
    reasons += _issuer_deviations(spec, state, state.certificate, authority)
    reasons += _content_deviations(spec, state.certificate)
    reasons += _validity_deviations(spec, state.certificate, now)
    return tuple(reasons)


def _issuer_deviations(
    spec: CertificateSpec, state: CertificateState, certificate: CertificateFacts, authority: Authority
) -> list[Reason]:
    issuer = authority.certificate
    if issuer is None:
        return [
            _reason(
                spec, "wrong_issuer", f"issued by {certificate.issuer}, and the authority does not exist yet"
            )
        ]
    if state.issued_by_authority and certificate.authority_key_identifier == issuer.subject_key_identifier:
        return []
    namesake = ", an earlier authority of the same name" if certificate.issuer == issuer.subject else ""
    return [
        _reason(
            spec, "wrong_issuer", f"wrong issuer: {certificate.issuer}{namesake}, wanted {issuer.subject}"
        )
    ]


def _content_deviations(spec: CertificateSpec, certificate: CertificateFacts) -> list[Reason]:
    reasons = []
    if certificate.common_name != spec.common_name:
        text = f"common name: expected {spec.common_name!r}, found {certificate.common_name!r}"
        reasons.append(_reason(spec, "wrong_common_name", text))
    found, wanted = set(certificate.subject_alternative_names), set(spec.subject_alternative_names)
    for name in sorted(wanted - found):
        origin = f" ({spec.origins[name]})" if name in spec.origins else ""
        reasons.append(_reason(spec, "san_missing", f"SAN missing: {name.kind} {name.value}{origin}"))
    for name in sorted(found - wanted):
        reasons.append(_reason(spec, "san_surplus", f"SAN not asked for: {name.kind} {name.value}"))
    if certificate.key_type != spec.key_type:
        text = f"key type: expected {spec.key_type}, found {certificate.key_type}"
        reasons.append(_reason(spec, "wrong_key_type", text))
    # The usage that fits the key that is there: another key type is one reason, not two.
    reasons += _usage_deviations(replace(spec, key_type=certificate.key_type), certificate)
    return reasons


def _usage_deviations(spec: CertificateSpec, certificate: CertificateFacts) -> list[Reason]:
    wrong = []
    if certificate.extended_key_usage != spec.extended_key_usage:
        found = ", ".join(certificate.extended_key_usage) or "none"
        wrong.append(f"extended key usage: expected {spec.extended_key_usage[0]}, found {found}")
    if certificate.key_usage != spec.key_usage or "keyUsage" not in certificate.critical_extensions:
        found = ", ".join(certificate.key_usage) or "none"
        wrong.append(f"key usage: expected critical {', '.join(spec.key_usage)}, found {found}")
    if certificate.is_ca or "basicConstraints" not in certificate.critical_extensions:
        wrong.append("basic constraints: expected critical CA:FALSE")
    if not certificate.subject_key_identifier:
        wrong.append("subject key identifier: none")
    return [_reason(spec, "wrong_key_usage", text) for text in wrong]


def _validity_deviations(
    spec: CertificateSpec, certificate: CertificateFacts, now: datetime.datetime
) -> list[Reason]:
    end = timestamp(certificate.not_after)
    if now < certificate.not_before:
        text = f"not valid before {timestamp(certificate.not_before)}, and the host's clock says {timestamp(now)}"
        return [_reason(spec, "not_yet_valid", text)]
    if now > certificate.not_after:
        return [_reason(spec, "expired", f"expired at {end}")]
    if certificate.not_after - now <= spec.renew_before:
        window = f"{spec.renew_before / ONE_DAY:.3g} days before its end"
        return [_reason(spec, "expires_soon", f"expires at {end}, and is renewed {window}")]
    return []


def _find_drift(
    spec: CertificateSpec, state: CertificateState, authority: Authority
) -> tuple[list[Reason], list[CertificateAction]]:
    """What differs beside the certificate and its key; without an authority, nobody knows the bundle."""
    reasons: list[Reason] = []
    actions: list[CertificateAction] = []
    if authority.bundle and state.trust_bundle != authority.bundle and _DIRECTORY in state.entries:
        problem = "another one than the authority's" if CA_FILE in state.entries else "missing"
        reasons.append(
            _reason(spec, "trust_bundle_outdated", f"trust bundle {spec.directory}/{CA_FILE}: {problem}")
        )
        actions.append(InstallTrustBundle(spec))
    for name, wanted in wanted_entries(spec).items():
        found = state.entries.get(name)
        if found is None or found == wanted:
            continue
        path = f"{spec.directory}/{name}".rstrip("/")
        if found.mode != wanted.mode:
            text = f"mode of {path}: expected {wanted.mode:04o}, found {found.mode:04o}"
            reasons.append(_reason(spec, "mode_drift", text))
        if (found.uid, found.gid) != (wanted.uid, wanted.gid):
            text = f"owner of {path}: expected {wanted.uid}:{wanted.gid}, found {found.uid}:{found.gid}"
            reasons.append(_reason(spec, "owner_drift", text))
        actions.append(SetAttributes(spec, name))
    return reasons, actions


def _check_can_issue(spec: CertificateSpec, authority: Authority, now: datetime.datetime) -> None:
    """An authority that cannot sign, or whose own end is near, is told before a key is made."""
    if authority.obstacle:
        raise Refused(
            f"certificate {spec.name!r} has to be issued, and the authority cannot: {authority.obstacle}"
        )
    if authority.certificate and authority.certificate.not_after - now <= spec.renew_before:
        raise Refused(
            f"certificate {spec.name!r}",
            expected="an authority that outlives the renewal window",
            found=f"one that expires at {timestamp(authority.certificate.not_after)}",
            remedy="Make a new authority in another directory and provision with it, or shorten validity_days",
        )
    if authority.clock is not None:
        _check_clock(now, authority.clock)


def _check_clock(host: datetime.datetime, controller: datetime.datetime) -> None:
    """Compares the clocks before anything is issued: certificates are only as good as the clocks that judge them.

    Raises:
        VerificationFailed: they are too far apart.
    """
    if abs(host - controller) > CLOCK_TOLERANCE:
        raise VerificationFailed(
            "clock of the host",
            expected=f"within {CLOCK_TOLERANCE.seconds // 60} minutes of the controller's, {timestamp(controller)}",
            found=timestamp(host),
            remedy="Set the clock that is wrong (timedatectl set-ntp true), then run again; nothing was issued",
        )


def wanted_entries(spec: CertificateSpec) -> dict[str, Entry]:
    """Owner and mode of everything that belongs to a certificate."""
    if spec.uid is None or spec.gid is None:
        raise ValueError(f"the owner of {spec.name!r} has not been looked up")
    modes = {
        _DIRECTORY: spec.directory_mode,
        CA_FILE: spec.certificate_mode,
        CERTIFICATE_FILE: spec.certificate_mode,
        KEY_FILE: spec.key_mode,
    }
    return {name: Entry(mode, spec.uid, spec.gid) for name, mode in modes.items()}


def restart_required(plan: Plan[CertificateAction]) -> bool:
    """Whether an engine that reads its material at start only has to be restarted after this plan."""
    return any(
        action.spec.profile == SERVER and isinstance(action, (IssueCertificate, InstallTrustBundle))
        for action in plan.actions
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


def simulate_certificates(
    state: HostState, plan: Plan[CertificateAction], authority: Authority, now: datetime.datetime
) -> HostState:
    """The state that a plan leads to."""
    result = dict(state)
    for action in plan.actions:
        name = action.spec.name
        result[name] = _simulate_one(action, result[name], authority, now)
    return result


def _simulate_one(
    action: CertificateAction, state: CertificateState, authority: Authority, now: datetime.datetime
) -> CertificateState:
    spec = action.spec
    if isinstance(action, IssueCertificate):
        if authority.certificate is None:
            return state
        certificate = leaf_certificate(spec, authority.certificate, now)
        return CertificateState(
            entries=wanted_entries(spec),
            trust_bundle=authority.bundle,
            certificate=certificate,
            key=KeyFacts(spec.key_type, certificate.public_key_sha256),
            issued_by_authority=True,
            foreign=state.foreign,
        )
    if isinstance(action, RemoveCertificate):
        kept = {_DIRECTORY: state.entries[_DIRECTORY]} if state.foreign else {}
        return CertificateState(entries=kept, foreign=state.foreign)
    if isinstance(action, RemoveLeftovers):
        return replace(state, leftovers=())
    name = CA_FILE if isinstance(action, InstallTrustBundle) else action.name
    entries = {**state.entries, name: wanted_entries(spec)[name]}
    if isinstance(action, InstallTrustBundle):
        return replace(state, entries=entries, trust_bundle=authority.bundle)
    return replace(state, entries=entries)


def describe_certificate(
    spec: CertificateSpec, state: CertificateState, reasons: Iterable[Reason], now: datetime.datetime
) -> dict[str, Any]:
    """The returned fact about one certificate; the fields of one that is not there are left out."""
    fact: dict[str, Any] = {
        "directory": spec.directory,
        "profile": spec.profile,
        "reasons": [reason.as_dict() for reason in reasons if reason.subject == spec.name],
    }
    certificate = state.certificate
    if certificate is not None:
        fact.update(
            subject=certificate.subject,
            common_name=certificate.common_name,
            subject_alternative_names=[str(name) for name in certificate.subject_alternative_names],
            serial=certificate.serial,
            fingerprint_sha256=certificate.fingerprint_sha256,
            issuer=certificate.issuer,
            not_before=timestamp(certificate.not_before),
            not_after=timestamp(certificate.not_after),
            days_left=certificate.days_left(now),
        )
    return fact


def _describe_found(state: CertificateState, authority: Authority, now: datetime.datetime) -> dict[str, Any]:
    """For the diff: decoded fields, no time, no serial, nothing that a second run would write differently."""
    if not any(name in state.entries for name in FILES):
        return {"state": "absent"}
    fields: dict[str, Any] = {"state": "present"}
    certificate = state.certificate
    if certificate is not None:
        fields.update(
            subject=certificate.subject,
            issuer=_OWN_ISSUER if state.issued_by_authority else certificate.issuer,
            subject_alternative_names=[str(name) for name in certificate.subject_alternative_names],
            extended_key_usage=list(certificate.extended_key_usage),
            key_type=certificate.key_type,
            validity_days=(certificate.not_after - certificate.not_before) // ONE_DAY,
        )
    fields["trust_bundle"] = _OWN_ISSUER if state.trust_bundle == authority.bundle else "another one"
    return {**fields, **_describe_entries(state.entries)}


def _describe_wanted(spec: CertificateSpec) -> dict[str, Any]:
    if not spec.present:
        return {"state": "absent"}
    return {
        "state": "present",
        "subject": f"CN={spec.common_name}",
        "issuer": _OWN_ISSUER,
        "subject_alternative_names": [str(name) for name in spec.subject_alternative_names],
        "extended_key_usage": list(spec.extended_key_usage),
        "key_type": spec.key_type,
        "validity_days": spec.validity // ONE_DAY,
        "trust_bundle": _OWN_ISSUER,
        **_describe_entries(wanted_entries(spec)),
    }


# Not its name: on a virgin host in check mode the authority is not there yet, and the prediction has to be the same.
_OWN_ISSUER = "the authority in ca_directory"


def _describe_entries(entries: Mapping[str, Entry]) -> dict[str, str]:
    return {
        f"{name or 'directory'}": f"{entry.mode:04o} {entry.uid}:{entry.gid}"
        for name, entry in sorted(entries.items())
    }


def _leftover(spec: CertificateSpec, state: CertificateState) -> Reason:
    return _reason(spec, "leftover", f"left by an interrupted run: {', '.join(state.leftovers)}")


def _reason(spec: CertificateSpec, code: str, text: str) -> Reason:
    return Reason(code, text, spec.name)
