# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare the certificate on a host with the requested one. Each deviation is a reason."""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Iterator

from .._base.plan import Reason
from .facts import CA_FILE, CERTIFICATE_FILE, DIRECTORY, KEY_FILE, ONE_DAY, CertificateFacts, timestamp
from .host_uri import without_host
from .model import (
    CertificateAction,
    CertificateState,
    InstallTrustBundle,
    SetAttributes,
    expected_entries,
    path_of,
)
from .spec import CertificateSpec
from .trust import FORMER, ISSUING, RETIRED, SUCCESSOR, Authority

SAN_MISSING, SAN_SURPLUS, EXPIRES_SOON = "san_missing", "san_surplus", "expires_soon"


def find_deviations(
    spec: CertificateSpec, state: CertificateState, authority: Authority, now: datetime.datetime
) -> tuple[Reason, ...]:
    """The deviations of a certificate and its key that require a new certificate."""
    return tuple(make_reason(spec, code, text) for code, text in _deviations(spec, state, authority, now))


def _deviations(
    spec: CertificateSpec, state: CertificateState, authority: Authority, now: datetime.datetime
) -> Iterator[tuple[str, str]]:
    """Codes and texts of the reasons."""
    missing = [name for name in (CERTIFICATE_FILE, KEY_FILE) if name not in state.entries]
    certificate, key = state.certificate, state.key
    if missing:
        yield "missing", f"missing: {', '.join(f'{spec.directory}/{name}' for name in missing)}"
    elif state.unreadable or certificate is None or key is None:
        broken = (f"{name}: {problem}" for name, problem in sorted(state.unreadable.items()))
        yield "unreadable", f"cannot be read: {'; '.join(broken)}"
    else:
        if key.public_key_sha256 != certificate.public_key_sha256:
            yield "key_mismatch", f"{KEY_FILE} is not the key of {CERTIFICATE_FILE}"
        issuer = _wrong_issuer(state, certificate, authority)
        if issuer:
            yield "wrong_issuer", issuer
        yield from _content_deviations(spec, certificate)
        # The usage for the present key type: a wrong key type is one reason, not two.
        for text in _usage_deviations(replace(spec, key_type=certificate.key_type), certificate):
            yield "wrong_key_usage", text
        yield from _validity_deviations(spec, certificate, now)


def _wrong_issuer(state: CertificateState, certificate: CertificateFacts, authority: Authority) -> str:
    """What is wrong with the issuer; empty if nothing is."""
    issuer = authority.certificate
    if issuer is None:
        return f"issued by {certificate.issuer}, but the authority does not exist yet"
    # A rotation reissues these in the right order.
    if state.issued_by in (SUCCESSOR, FORMER):
        return ""
    if state.issued_by == ISSUING and certificate.authority_key_identifier == issuer.subject_key_identifier:
        return ""
    if state.issued_by == RETIRED:
        return f"issued by {certificate.issuer}, which is no longer trusted; expected {issuer.subject}"
    namesake = ", an earlier authority of the same name" if certificate.issuer == issuer.subject else ""
    return f"wrong issuer: expected {issuer.subject}, found {certificate.issuer}{namesake}"


def _content_deviations(spec: CertificateSpec, certificate: CertificateFacts) -> Iterator[tuple[str, str]]:
    if certificate.common_name != spec.common_name:
        text = f"common name: expected {spec.common_name!r}, found {certificate.common_name!r}"
        yield "wrong_common_name", text
    found = set(without_host(certificate.subject_alternative_names))
    requested = set(spec.subject_alternative_names)
    for name in sorted(requested - found):
        origin = f" ({spec.origins[name]})" if name in spec.origins else ""
        yield SAN_MISSING, f"SAN missing: {name.kind} {name.value}{origin}"
    for name in sorted(found - requested):
        hint = " (no longer a gateway of this host, or no longer listed)" if name.kind == "IP" else ""
        yield SAN_SURPLUS, f"SAN not requested: {name.kind} {name.value}{hint}"
    if certificate.key_type != spec.key_type:
        yield "wrong_key_type", f"key type: expected {spec.key_type}, found {certificate.key_type}"


def _usage_deviations(spec: CertificateSpec, certificate: CertificateFacts) -> Iterator[str]:
    if certificate.extended_key_usage != spec.extended_key_usage:
        found = ", ".join(certificate.extended_key_usage) or "none"
        yield f"extended key usage: expected {spec.extended_key_usage[0]}, found {found}"
    if certificate.key_usage != spec.key_usage or "keyUsage" not in certificate.critical_extensions:
        found = ", ".join(certificate.key_usage) or "none"
        yield f"key usage: expected critical {', '.join(spec.key_usage)}, found {found}"
    if certificate.is_ca or "basicConstraints" not in certificate.critical_extensions:
        yield "basic constraints: expected critical CA:FALSE"
    if not certificate.subject_key_identifier:
        yield "subject key identifier: expected one, found none"


def _validity_deviations(
    spec: CertificateSpec, certificate: CertificateFacts, now: datetime.datetime
) -> Iterator[tuple[str, str]]:
    start, end = timestamp(certificate.not_before), timestamp(certificate.not_after)
    if now < certificate.not_before:
        yield "not_yet_valid", f"not valid before {start}, but the host's clock says {timestamp(now)}"
    elif now > certificate.not_after:
        yield "expired", f"expired at {end}"
    elif certificate.not_after - now <= spec.renew_before:
        days = f"{spec.renew_before / ONE_DAY:.3g} days"
        yield EXPIRES_SOON, f"expires at {end}, within the renewal window of {days}"


def find_drift(
    spec: CertificateSpec, state: CertificateState, authority: Authority
) -> tuple[list[Reason], list[CertificateAction]]:
    """The deviations of owners, modes and trust bundle, and the actions that correct them.

    The trust bundle is compared only if the authority exists.
    """
    reasons: list[Reason] = []
    actions: list[CertificateAction] = []
    trust, bundle = authority.trust, state.trust_bundle
    if authority.certificate and DIRECTORY in state.entries and not trust.is_current(spec.profile, bundle):
        reasons.append(outdated_bundle(spec, state))
        actions.append(InstallTrustBundle(spec, trust.renewed(spec.profile, bundle)))
    for name, expected in expected_entries(spec).items():
        found = state.entries.get(name)
        if found is None or found == expected:
            continue
        path = path_of(spec.directory, name)
        if found.mode != expected.mode:
            text = f"mode of {path}: expected {expected.mode:04o}, found {found.mode:04o}"
            reasons.append(make_reason(spec, "mode_drift", text))
        if (found.uid, found.gid) != (expected.uid, expected.gid):
            text = f"owner of {path}: expected {expected.uid}:{expected.gid}, found {found.uid}:{found.gid}"
            reasons.append(make_reason(spec, "owner_drift", text))
        actions.append(SetAttributes(spec, name))
    return reasons, actions


def outdated_bundle(spec: CertificateSpec, state: CertificateState) -> Reason:
    problem = "does not hold the expected certificates" if CA_FILE in state.entries else "is missing"
    return make_reason(spec, "trust_bundle_outdated", f"trust bundle {spec.directory}/{CA_FILE} {problem}")


def leftover(spec: CertificateSpec, state: CertificateState) -> Reason:
    return make_reason(spec, "leftover", f"left by an interrupted run: {', '.join(state.leftovers)}")


def make_reason(spec: CertificateSpec, code: str, text: str) -> Reason:
    return Reason(code, text, spec.name)
