# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide what to do about the certificates of one host.

A deviation of the certificate or its key requires a new certificate. It comes with a new key,
unless only names change or the certificate is renewed. A different owner, mode or trust bundle
is corrected in place. Other files in a certificate's directory are not changed.
"""

from __future__ import annotations

import datetime
import ipaddress
import urllib.parse
from typing import Any, Iterable, List, Mapping, Sequence, Tuple

from .._base.errors import Refused, VerificationFailed
from .._base.plan import Plan, Reason
from . import deviations, facts, model, ownership
from .host_uri import hosts_in, with_host
from .names import SubjectAlternativeName
from .spec import CertificateSpec
from .trust import FORMER, ISSUING, RETIRED, Authority

Decision = Tuple[List[Reason], List[model.CertificateAction]]
"""What to do about one certificate, and why."""


def plan_certificates(
    specs: Sequence[CertificateSpec], state: model.HostState, authority: Authority, now: datetime.datetime
) -> Plan[model.CertificateAction]:
    """Decide about every certificate of a task, at the time of the host's clock.

    The owners of the requested certificates have been looked up.

    Raises:
        Refused: the authority cannot issue a certificate, the host has missed a rotation, the
            files are not managed or another authority's (:mod:`_certificates.ownership`), or a
            server certificate is in the directory of a client certificate to remove.
        VerificationFailed: the clocks of host and controller differ too much to issue.
    """
    pairs = ((spec, state[spec.name]) for spec in specs)
    decisions = ((spec, found, _plan_one(spec, found, authority, now)) for spec, found in pairs)
    return assemble(decisions, authority)


def assemble(
    decisions: Iterable[tuple[CertificateSpec, model.CertificateState, Decision]], authority: Authority
) -> Plan[model.CertificateAction]:
    """The plan for several certificates."""
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    reasons: list[Reason] = []
    actions: list[model.CertificateAction] = []
    for spec, state, (why, what) in decisions:
        if what:
            before[spec.name] = describe_found(spec, state, authority)
            after[spec.name] = describe_requested(spec, state, future_names(spec, state, authority, what))
            if any(isinstance(action, model.RecordCertificate) for action in what):
                before[spec.name]["recorded"], after[spec.name]["recorded"] = False, True
            reasons += why
            actions += what
    return Plan(before, after, tuple(reasons), tuple(actions))


def _plan_one(
    spec: CertificateSpec, state: model.CertificateState, authority: Authority, now: datetime.datetime
) -> Decision:
    if not spec.present:
        return _plan_removal(spec, state, authority)
    wrong = deviations.find_deviations(spec, state, authority, now)
    reasons, actions = deviations.find_drift(spec, state, authority)
    if wrong or actions:
        ownership.check_managed(spec, state, authority)
    replaced = ownership.find_replaced(spec, state, authority, now)
    reasons += [] if replaced is None else [replaced]
    if wrong:
        check_can_issue(spec, authority, now)
        _check_rotation(spec, state, now)
        issue = _issue(spec, state, {reason.code for reason in wrong}, authority)
        above = [
            item for item in actions if isinstance(item, model.SetAttributes) and item.name == facts.PARENT
        ]
        return [*wrong, *reasons], [issue, *above]
    if state.leftovers:
        reasons.append(deviations.leftover(spec, state))
        actions.append(model.RemoveLeftovers(spec, state.leftovers))
    rewritten = any(isinstance(action, model.InstallTrustBundle) for action in actions)
    unrecorded = [name for name in state.unrecorded if not (rewritten and name == facts.CA_FILE)]
    if unrecorded:
        files = ", ".join(f"{spec.directory}/{name}" for name in unrecorded)
        text = f"valid, but missing in the record of files that were created on this host: {files}"
        reasons.append(deviations.make_reason(spec, "not_recorded", text))
        actions.append(model.RecordCertificate(spec))
    return reasons, actions


def _issue(
    spec: CertificateSpec, state: model.CertificateState, codes: set[str], authority: Authority
) -> model.IssueCertificate:
    bundle = authority.trust.renewed(spec.profile, state.trust_bundle)
    names = {deviations.SAN_MISSING, deviations.SAN_SURPLUS}
    # Only one file changes with the same key: a client that reads its files meanwhile, and an engine
    # that is started after a power cut, find a matching pair.
    if state.certificate is None or not codes <= names | {deviations.EXPIRES_SOON}:
        return model.IssueCertificate(spec, bundle)
    missing = set(spec.subject_alternative_names) - set(state.certificate.subject_alternative_names)
    trusted_already = bundle.only_grows or authority.trust.is_current(spec.profile, state.trust_bundle)
    return model.IssueCertificate(
        spec,
        bundle,
        keep_key=True,
        deferrable=codes <= names and trusted_already and missing <= spec.deferrable,
    )


def _check_rotation(spec: CertificateSpec, state: model.CertificateState, now: datetime.datetime) -> None:
    """Check that the host has not missed a rotation, which changes issuers in the right order."""
    found = state.certificate
    if found is None or state.issued_by not in (FORMER, RETIRED) or not model.is_usable(state, now):
        return
    former = state.issued_by == FORMER
    fate = "has been replaced, but is still trusted" if former else "is no longer trusted"
    raise Refused(
        f"certificate {spec.name!r}",
        problem=f"certificate {spec.name!r} has to be reissued, but this host has missed a rotation: "
        f"its issuer {found.issuer} {fate}",
        remedy="Run the playbook wormhole.docker.rotate with --tags reissue,drop for this host first. Nothing was changed",
    )


def _plan_removal(spec: CertificateSpec, state: model.CertificateState, authority: Authority) -> Decision:
    server = (facts.EXTENDED_KEY_USAGE[facts.SERVER],)
    if state.certificate and state.certificate.extended_key_usage == server:
        raise Refused(
            spec.directory,
            problem=f"{spec.directory} holds a server certificate, not the client certificate {spec.name!r}",
            remedy="Check the option directory. Nothing was removed",
        )
    present = [name for name in facts.FILES if name in state.entries]
    if present:
        ownership.check_managed(spec, state, authority)
        reason = deviations.make_reason(spec, "not_wanted", f"{spec.directory} holds {', '.join(present)}")
    elif facts.DIRECTORY in state.entries and not state.other_files:
        reason = deviations.make_reason(spec, "not_wanted", f"{spec.directory} is empty")
    elif state.leftovers:
        reason = deviations.leftover(spec, state)
    else:
        return [], []
    return [reason], [model.RemoveCertificate(spec)]


def check_can_issue(spec: CertificateSpec, authority: Authority, now: datetime.datetime) -> None:
    """Check that the authority can issue a certificate, before its key is generated.

    Raises:
        Refused: it cannot or must not, or expires within the renewal window.
        VerificationFailed: the clocks of host and controller differ too much.
    """
    subject = f"certificate {spec.name!r}"
    if authority.obstacle:
        raise Refused(subject, problem=f"{subject} cannot be issued: {authority.obstacle}")
    if authority.certificate:
        end = authority.certificate.not_after
        if end - now <= spec.renew_before:
            raise Refused(
                subject,
                problem=f"{subject} cannot be issued: the authority expires at {facts.timestamp(end)}, "
                "within the renewal window",
                remedy="Run the playbook wormhole.docker.rotate, or reduce validity_days and renew_before_days",
            )
        _check_constraints(spec, (authority.certificate, *authority.chain))
    if authority.clock is not None:
        _check_clock(now, authority.clock)


def _check_constraints(spec: CertificateSpec, authorities: Sequence[facts.CertificateFacts]) -> None:
    """Check the purposes and names that the authorities permit (RFC 5280, 4.2.1.12, 4.2.1.10)."""
    subject = f"certificate {spec.name!r}"
    for authority in authorities:
        limits = authority.extended_key_usage
        if limits and "anyExtendedKeyUsage" not in limits and not set(spec.extended_key_usage) <= set(limits):
            raise Refused(
                subject,
                problem=f"{subject} needs the extended key usage {', '.join(spec.extended_key_usage)}, "
                f"but {authority.subject} is limited to {', '.join(limits)}",
                remedy="Use an authority without this limit",
            )
        names = spec.subject_alternative_names
        forbidden = [str(name) for name in names if not _is_permitted(name, authority)]
        if forbidden:
            raise Refused(
                subject,
                problem=f"{subject}: the name constraints of {authority.subject} do not permit "
                f"{', '.join(forbidden)}",
                remedy="Use an authority that permits the addresses of bridge gateways and local names",
            )


def _is_permitted(name: SubjectAlternativeName, authority: facts.CertificateFacts) -> bool:
    """Whether an authority may issue for a name.

    Without permitted subtrees of the name's kind, every name is permitted.
    """

    def matches(subtrees: Iterable[str]) -> list[bool]:
        kinds = (subtree.partition(":") for subtree in subtrees)
        return [_is_within(name, subtree) for kind, _colon, subtree in kinds if kind == name.kind]

    permitted = matches(authority.permitted_names)
    return not any(matches(authority.excluded_names)) and (not permitted or any(permitted))


def _is_within(name: SubjectAlternativeName, subtree: str) -> bool:
    if name.kind == "IP":
        network = ipaddress.ip_network(subtree)
        address = ipaddress.ip_address(name.value)
        return address.version == network.version and address in network
    domain = subtree.lower()
    if name.kind == "URI":
        host = urllib.parse.urlsplit(name.value).hostname or ""
        return host.endswith(domain) if domain.startswith(".") else host == domain
    # A leading dot, as in OpenSSL's configuration, permits only subdomains.
    if domain.startswith("."):
        return name.value.endswith(domain)
    return domain == "" or name.value == domain or name.value.endswith(f".{domain}")


def _check_clock(host: datetime.datetime, controller: datetime.datetime) -> None:
    if abs(host - controller) > facts.CLOCK_TOLERANCE:
        raise VerificationFailed(
            "clock of the host",
            expected=facts.timestamp(controller),
            found=facts.timestamp(host),
            problem=f"the clock of the host says {facts.timestamp(host)}, and the controller's {facts.timestamp(controller)}: "
            f"they differ by more than {facts.CLOCK_TOLERANCE.seconds // 60} minutes",
            remedy="Correct the wrong clock (timedatectl set-ntp true). Nothing was issued",
        )


def restart_required(plan: Plan[model.CertificateAction]) -> bool:
    """Whether the engine, which reads its certificate at start, has to be restarted for this plan.

    Names that can wait do not require it, for example the gateway of a network whose containers can
    also reach the engine at another address.
    """
    return any(
        action.spec.profile == facts.SERVER
        and (
            (isinstance(action, model.InstallTrustBundle) and not action.bundle.only_grows)
            or (isinstance(action, model.IssueCertificate) and not action.deferrable)
        )
        for action in plan.actions
    )


def describe_certificate(
    spec: CertificateSpec, state: model.CertificateState, reasons: Iterable[Reason], now: datetime.datetime
) -> dict[str, Any]:
    """The return value about one certificate. Fields about a missing certificate are left out."""
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
            not_before=facts.timestamp(certificate.not_before),
            not_after=facts.timestamp(certificate.not_after),
            days_left=certificate.days_left(now),
        )
    return fact


# Not its name: check mode on a new host does not know it, and shows the same diff.
_OWN_ISSUER = "the authority in ca_directory"


def describe_found(
    spec: CertificateSpec, state: model.CertificateState, authority: Authority
) -> dict[str, Any]:
    """The observed certificate in the diff, without dates and serial number."""
    if not any(name in state.entries for name in facts.FILES):
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
            validity_days=(certificate.not_after - certificate.not_before) // facts.ONE_DAY,
        )
    current = authority.trust.is_current(spec.profile, state.trust_bundle)
    fields["trust_bundle"] = _OWN_ISSUER if current else "other certificates"
    return {**fields, **_describe_entries(_shown(spec, state, state.entries))}


def future_names(
    spec: CertificateSpec,
    state: model.CertificateState,
    authority: Authority,
    actions: Iterable[model.CertificateAction],
) -> tuple[SubjectAlternativeName, ...]:
    """The names that a certificate has once these actions are done.

    A new one gets the host of the inventory from whoever signs it. An existing one keeps what it has.
    """
    if any(isinstance(action, model.IssueCertificate) for action in actions):
        return with_host(spec, authority.named_host).subject_alternative_names
    kept = hosts_in(state.certificate.subject_alternative_names) if state.certificate else ()
    return tuple(sorted([*spec.subject_alternative_names, *kept]))


def describe_requested(
    spec: CertificateSpec, state: model.CertificateState, names: Iterable[SubjectAlternativeName]
) -> dict[str, Any]:
    """The requested certificate in the diff, with these names; see :func:`future_names`."""
    if not spec.present:
        return {"state": "absent"}
    return {
        "state": "present",
        "subject": f"CN={spec.common_name}",
        "issuer": _OWN_ISSUER,
        "subject_alternative_names": list(map(str, names)),
        "extended_key_usage": list(spec.extended_key_usage),
        "key_type": spec.key_type,
        "validity_days": spec.validity // facts.ONE_DAY,
        "trust_bundle": _OWN_ISSUER,
        **_describe_entries(_shown(spec, state, model.expected_entries(spec))),
    }


def _shown(
    spec: CertificateSpec, state: model.CertificateState, entries: Mapping[str, model.Entry]
) -> dict[str, model.Entry]:
    """The entries in the diff. The parent directory is only shown if it changes: certificates share it."""
    found, wanted = state.entries.get(facts.PARENT), model.expected_entries(spec).get(facts.PARENT)
    changes = None not in (found, wanted) and found != wanted
    return {name: entry for name, entry in entries.items() if name != facts.PARENT or changes}


def _describe_entries(entries: Mapping[str, model.Entry]) -> dict[str, str]:
    names = {facts.DIRECTORY: "directory", facts.PARENT: "parent directory"}
    return {
        names.get(name, name): f"{entry.mode:04o} {entry.uid}:{entry.gid}"
        for name, entry in sorted(entries.items())
    }
