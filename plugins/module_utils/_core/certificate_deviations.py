# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is wrong with a certificate that stands on a host, told one reason at a time."""

from __future__ import annotations

import datetime
from dataclasses import replace

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import CertificateSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import (
    CA_FILE,
    CERTIFICATE_FILE,
    DIRECTORY,
    KEY_FILE,
    Authority,
    CertificateAction,
    CertificateState,
    InstallTrustBundle,
    SetAttributes,
    wanted_entries,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Reason
from ansible_collections.wormhole.docker.plugins.module_utils._core.trust import (
    FORMER,
    ISSUING,
    RETIRED,
    SUCCESSOR,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import (
    ONE_DAY,
    CertificateFacts,
    timestamp,
)

SAN_MISSING, SAN_SURPLUS, EXPIRES_SOON = "san_missing", "san_surplus", "expires_soon"


def find_deviations(
    spec: CertificateSpec, state: CertificateState, authority: Authority, now: datetime.datetime
) -> tuple[Reason, ...]:
    """What is wrong with a certificate or its key, so that only a new one can mend it."""
    missing = [name for name in (CERTIFICATE_FILE, KEY_FILE) if name not in state.entries]
    if missing:
        return (
            make_reason(
                spec, "missing", f"not there: {', '.join(f'{spec.directory}/{name}' for name in missing)}"
            ),
        )
    broken = [name for name in (CERTIFICATE_FILE, KEY_FILE) if name in state.unreadable]
    if broken or state.certificate is None or state.key is None:
        found = "; ".join(f"{name}: {state.unreadable[name]}" for name in broken)
        return (make_reason(spec, "unreadable", f"cannot be read: {found}"),)
    reasons = []
    if state.key.public_key_sha256 != state.certificate.public_key_sha256:
        reasons.append(make_reason(spec, "key_mismatch", f"{KEY_FILE} is not the key of {CERTIFICATE_FILE}"))
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
            make_reason(
                spec, "wrong_issuer", f"issued by {certificate.issuer}, and the authority does not exist yet"
            )
        ]
    # Moving what another authority of ours has issued is the business of a rotation, which knows the order.
    if state.issued_by in (SUCCESSOR, FORMER):
        return []
    if state.issued_by == ISSUING and certificate.authority_key_identifier == issuer.subject_key_identifier:
        return []
    if state.issued_by == RETIRED:
        text = f"issued by {certificate.issuer}, which is retired; wanted {issuer.subject}"
        return [make_reason(spec, "wrong_issuer", text)]
    namesake = ", an earlier authority of the same name" if certificate.issuer == issuer.subject else ""
    return [
        make_reason(
            spec, "wrong_issuer", f"wrong issuer: {certificate.issuer}{namesake}, wanted {issuer.subject}"
        )
    ]


def _content_deviations(spec: CertificateSpec, certificate: CertificateFacts) -> list[Reason]:
    reasons = []
    if certificate.common_name != spec.common_name:
        text = f"common name: expected {spec.common_name!r}, found {certificate.common_name!r}"
        reasons.append(make_reason(spec, "wrong_common_name", text))
    found, wanted = set(certificate.subject_alternative_names), set(spec.subject_alternative_names)
    for name in sorted(wanted - found):
        origin = f" ({spec.origins[name]})" if name in spec.origins else ""
        reasons.append(make_reason(spec, SAN_MISSING, f"SAN missing: {name.kind} {name.value}{origin}"))
    for name in sorted(found - wanted):
        gone = " (no longer a gateway of this host, or no longer listed)" if name.kind == "IP" else ""
        text = f"SAN not asked for: {name.kind} {name.value}{gone}"
        reasons.append(make_reason(spec, SAN_SURPLUS, text))
    if certificate.key_type != spec.key_type:
        text = f"key type: expected {spec.key_type}, found {certificate.key_type}"
        reasons.append(make_reason(spec, "wrong_key_type", text))
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
    return [make_reason(spec, "wrong_key_usage", text) for text in wrong]


def _validity_deviations(
    spec: CertificateSpec, certificate: CertificateFacts, now: datetime.datetime
) -> list[Reason]:
    end = timestamp(certificate.not_after)
    if now < certificate.not_before:
        start = timestamp(certificate.not_before)
        text = f"not valid before {start}, and the host's clock says {timestamp(now)}"
        return [make_reason(spec, "not_yet_valid", text)]
    if now > certificate.not_after:
        return [make_reason(spec, "expired", f"expired at {end}")]
    if certificate.not_after - now <= spec.renew_before:
        window = f"{spec.renew_before / ONE_DAY:.3g} days before its end"
        return [make_reason(spec, EXPIRES_SOON, f"expires at {end}, and is renewed {window}")]
    return []


def find_drift(
    spec: CertificateSpec, state: CertificateState, authority: Authority
) -> tuple[list[Reason], list[CertificateAction]]:
    """What differs beside the certificate and its key; without an authority, nobody knows the bundle."""
    reasons: list[Reason] = []
    actions: list[CertificateAction] = []
    if (
        authority.certificate
        and DIRECTORY in state.entries
        and not authority.trust.is_current(spec.profile, state.trust_bundle)
    ):
        reasons.append(outdated_bundle(spec, state))
        actions.append(InstallTrustBundle(spec, authority.trust.renewed(spec.profile, state.trust_bundle)))
    for name, wanted in wanted_entries(spec).items():
        found = state.entries.get(name)
        if found is None or found == wanted:
            continue
        path = f"{spec.directory}/{name}".rstrip("/")
        if found.mode != wanted.mode:
            text = f"mode of {path}: expected {wanted.mode:04o}, found {found.mode:04o}"
            reasons.append(make_reason(spec, "mode_drift", text))
        if (found.uid, found.gid) != (wanted.uid, wanted.gid):
            text = f"owner of {path}: expected {wanted.uid}:{wanted.gid}, found {found.uid}:{found.gid}"
            reasons.append(make_reason(spec, "owner_drift", text))
        actions.append(SetAttributes(spec, name))
    return reasons, actions


def outdated_bundle(spec: CertificateSpec, state: CertificateState) -> Reason:
    problem = "does not hold what it should" if CA_FILE in state.entries else "missing"
    return make_reason(spec, "trust_bundle_outdated", f"trust bundle {spec.directory}/{CA_FILE}: {problem}")


def leftover(spec: CertificateSpec, state: CertificateState) -> Reason:
    return make_reason(spec, "leftover", f"left by an interrupted run: {', '.join(state.leftovers)}")


def make_reason(spec: CertificateSpec, code: str, text: str) -> Reason:
    return Reason(code, text, spec.name)
