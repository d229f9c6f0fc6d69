# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What to do about the leaf certificates of one host.

A deviation of the certificate or its key calls for a new one; with a new key, unless only names came or went or a client is
renewed. Drift of owner, mode or trust bundle is mended in place. Whatever else lies in a certificate's directory belongs to somebody else and
stays.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_deviations import (
    EXPIRES_SOON,
    SAN_MISSING,
    SAN_SURPLUS,
    find_deviations,
    find_drift,
    leftover,
    make_reason,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import (
    CLIENT,
    EXTENDED_KEY_USAGE,
    SERVER,
    CertificateSpec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import (
    CA_FILE,
    CLOCK_TOLERANCE,
    DIRECTORY,
    FILES,
    Authority,
    CertificateAction,
    CertificateState,
    Entry,
    HostState,
    InstallTrustBundle,
    IssueCertificate,
    RecordCertificate,
    RemoveCertificate,
    RemoveLeftovers,
    is_usable,
    leaf_certificate,
    wanted_entries,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.constraints import check_constraints
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused, VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._core.trust import FORMER, ISSUING, RETIRED
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import ONE_DAY, KeyFacts, timestamp


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
        Refused: a certificate has to be issued, and the authority cannot do it; or what stands where a client
            has to be removed is no client.
    """
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    reasons: list[Reason] = []
    actions: list[CertificateAction] = []
    for spec in specs:
        found = state[spec.name]
        why, what = _plan_one(spec, found, authority, now)
        if what:
            before[spec.name] = describe_found(spec, found, authority)
            after[spec.name] = describe_wanted(spec)
            if any(isinstance(action, RecordCertificate) for action in what):
                before[spec.name]["recorded"], after[spec.name]["recorded"] = False, True
            reasons += why
            actions += what
    return Plan(before, after, tuple(reasons), tuple(actions))


def _plan_one(
    spec: CertificateSpec, state: CertificateState, authority: Authority, now: datetime.datetime
) -> tuple[list[Reason], list[CertificateAction]]:
    if not spec.present:
        return _plan_removal(spec, state)
    wrong = find_deviations(spec, state, authority, now)
    reasons, actions = find_drift(spec, state, authority)
    if wrong:
        check_can_issue(spec, authority, now)
        _refuse_to_overtake_a_rotation(spec, state, now)
        return [*wrong, *reasons], [_issue(spec, state, {reason.code for reason in wrong}, authority)]
    if state.leftovers:
        reasons.append(leftover(spec, state))
        actions.append(RemoveLeftovers(spec, state.leftovers))
    rewritten = {CA_FILE} if any(isinstance(action, InstallTrustBundle) for action in actions) else set()
    unrecorded = [name for name in state.unrecorded if name not in rewritten]
    if unrecorded:
        files = ", ".join(f"{spec.directory}/{name}" for name in unrecorded)
        text = f"in order, but this host has no record that they were made here: {files}"
        reasons.append(make_reason(spec, "not_recorded", text))
        actions.append(RecordCertificate(spec))
    return reasons, actions


def _issue(
    spec: CertificateSpec, state: CertificateState, codes: set[str], authority: Authority
) -> IssueCertificate:
    bundle = authority.trust.renewed(spec.profile, state.trust_bundle)
    names = {SAN_MISSING, SAN_SURPLUS}
    # A client reads its files at any time, one after the other: a renewal must not give it a key that does not fit.
    kept = names | {EXPIRES_SOON} if spec.profile == CLIENT else names
    if state.certificate is None or not codes <= kept:
        return IssueCertificate(spec, bundle)
    missing = set(spec.subject_alternative_names) - set(state.certificate.subject_alternative_names)
    trusted_already = bundle.only_grows or authority.trust.is_current(spec.profile, state.trust_bundle)
    return IssueCertificate(
        spec,
        bundle,
        keep_key=True,
        deferrable=codes <= names and trusted_already and missing <= spec.deferrable,
    )


def _refuse_to_overtake_a_rotation(
    spec: CertificateSpec, state: CertificateState, now: datetime.datetime
) -> None:
    """A host's server and clients change their issuer in a certain order, of which this task sees a part only.

    Raises:
        Refused: what is there and in use comes from an authority that has handed over to another one.
    """
    found = state.certificate
    if found is None or state.issued_by not in (FORMER, RETIRED) or not is_usable(state, now):
        return
    raise Refused(
        f"certificate {spec.name!r} has to be issued anew, and this host has missed a rotation of its authority",
        expected="a certificate by the authority that issues now",
        found=f"one by {found.issuer}, which is {'trusted still' if state.issued_by == FORMER else 'retired'}",
        remedy="Run the playbook wormhole.docker.rotate with --tags reissue,drop for this host first; nothing was changed",
    )


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
        return [make_reason(spec, "not_wanted", f"{spec.directory} holds {', '.join(there)}")], [
            RemoveCertificate(spec)
        ]
    if DIRECTORY in state.entries and not state.foreign:
        return [make_reason(spec, "not_wanted", f"{spec.directory} is left, empty")], [
            RemoveCertificate(spec)
        ]
    if state.leftovers:
        return [leftover(spec, state)], [RemoveCertificate(spec)]
    return [], []


def check_can_issue(spec: CertificateSpec, authority: Authority, now: datetime.datetime) -> None:
    """An authority that cannot sign this, or whose own end is near, is told before a key is made.

    Raises:
        Refused: the authority cannot, or may not, issue this certificate.
        VerificationFailed: the clocks of host and controller are too far apart.
    """
    if authority.obstacle:
        raise Refused(
            f"certificate {spec.name!r} has to be issued, and the authority cannot: {authority.obstacle}"
        )
    if authority.certificate and authority.certificate.not_after - now <= spec.renew_before:
        raise Refused(
            f"certificate {spec.name!r}",
            expected="an authority that outlives the renewal window",
            found=f"one that expires at {timestamp(authority.certificate.not_after)}",
            remedy="Run the playbook wormhole.docker.rotate, or shorten validity_days and renew_before_days",
        )
    if authority.certificate:
        check_constraints(spec, (authority.certificate, *authority.chain))
    if authority.clock is not None:
        _check_clock(now, authority.clock)


_TOLERATED = f"{CLOCK_TOLERANCE.seconds // 60} minutes"


def _check_clock(host: datetime.datetime, controller: datetime.datetime) -> None:
    """Compares the clocks before anything is issued: a certificate is as good as the clock that judges it.

    Raises:
        VerificationFailed: they are too far apart.
    """
    if abs(host - controller) > CLOCK_TOLERANCE:
        raise VerificationFailed(
            "clock of the host",
            expected=f"{timestamp(controller)} as on the controller, or {_TOLERATED} more or less",
            found=timestamp(host),
            remedy="Set the clock that is wrong (timedatectl set-ntp true); nothing was issued",
        )


def restart_required(plan: Plan[CertificateAction]) -> bool:
    """Whether an engine that reads its material at start only has to be restarted for this plan.

    It need not for names that can wait, such as the gateway of a network whose containers reach the engine at
    another address that it serves and names.
    """
    return any(
        action.spec.profile == SERVER
        and (
            (isinstance(action, InstallTrustBundle) and not action.bundle.only_grows)
            or (isinstance(action, IssueCertificate) and not action.deferrable)
        )
        for action in plan.actions
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
            trust_bundle=action.bundle.anchors,
            certificate=certificate,
            key=KeyFacts(spec.key_type, certificate.public_key_sha256),
            issued_by=ISSUING,
            foreign=state.foreign,
        )
    if isinstance(action, RemoveCertificate):
        kept = {DIRECTORY: state.entries[DIRECTORY]} if state.foreign else {}
        return CertificateState(entries=kept, foreign=state.foreign)
    if isinstance(action, RemoveLeftovers):
        return replace(state, leftovers=())
    if isinstance(action, RecordCertificate):
        return replace(state, unrecorded=())
    name = CA_FILE if isinstance(action, InstallTrustBundle) else action.name
    entries = {**state.entries, name: wanted_entries(spec)[name]}
    if isinstance(action, InstallTrustBundle):
        unrecorded = tuple(unknown for unknown in state.unrecorded if unknown != CA_FILE)
        return replace(state, entries=entries, trust_bundle=action.bundle.anchors, unrecorded=unrecorded)
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


# Not its name: on a virgin host in check mode the authority is not there yet, and the prediction has to be
# the same.
_OWN_ISSUER = "the authority in ca_directory"


def describe_found(spec: CertificateSpec, state: CertificateState, authority: Authority) -> dict[str, Any]:
    """For the diff: decoded fields, no time, no serial, nothing that a second run would write differently."""
    if not any(name in state.entries for name in FILES):
        return {"state": "absent"}
    fields: dict[str, Any] = {"state": "present"}
    certificate = state.certificate
    if certificate is not None:
        fields.update(
            subject=certificate.subject,
            issuer=_OWN_ISSUER if state.issued_by == ISSUING else certificate.issuer,
            subject_alternative_names=[str(name) for name in certificate.subject_alternative_names],
            extended_key_usage=list(certificate.extended_key_usage),
            key_type=certificate.key_type,
            validity_days=(certificate.not_after - certificate.not_before) // ONE_DAY,
        )
    current = authority.trust.is_current(spec.profile, state.trust_bundle)
    fields["trust_bundle"] = _OWN_ISSUER if current else "another one"
    return {**fields, **_describe_entries(state.entries)}


def describe_wanted(spec: CertificateSpec) -> dict[str, Any]:
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


def _describe_entries(entries: Mapping[str, Entry]) -> dict[str, str]:
    return {
        f"{name or 'directory'}": f"{entry.mode:04o} {entry.uid}:{entry.gid}"
        for name, entry in sorted(entries.items())
    }
