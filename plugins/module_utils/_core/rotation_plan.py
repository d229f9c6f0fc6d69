# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the certificates of one host follow when its authority hands over to another one.

Their order keeps every connection verified: clients trust the new authority before their server comes from it, and the
server, restarted, trusts it before a client comes from it. What is reissued keeps its key and everything but its issuer
and its dates, so that whoever reads the files in this moment finds a pair that fits.
"""

from __future__ import annotations

import datetime
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_deviations import (
    make_reason,
    outdated_bundle,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_plan import (
    check_can_issue,
    describe_found,
    describe_wanted,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import (
    CLIENT,
    EXTENDED_KEY_USAGE,
    SERVER,
    CertificateSpec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import (
    BACKDATE,
    CA_FILE,
    CERTIFICATE_FILE,
    DIRECTORY,
    KEY_FILE,
    Authority,
    CertificateAction,
    CertificateState,
    Entry,
    InstallTrustBundle,
    IssueCertificate,
    is_usable,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._core.trust import ISSUING
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import ONE_DAY, CertificateFacts

TRUST, SERVERS, CLIENTS, DROP, REPAIR = "trust", "servers", "clients", "drop", "repair"
STEPS = (TRUST, SERVERS, CLIENTS, DROP, REPAIR)
"""What a host goes through, in this order, each of them repeatable; the last one stands alone."""


def reissue_spec(
    directory: str, certificate: CertificateFacts, entries: Optional[Mapping[str, Entry]] = None
) -> Optional[CertificateSpec]:
    """What asks for the same certificate again; None if it is none that this collection issues.

    Args:
        directory: where it is; also its name.
        certificate: what is there.
        entries: owner and mode of the directory and its files; they do not matter to whoever signs.
    """
    profiles = [
        profile for profile, usage in EXTENDED_KEY_USAGE.items() if certificate.extended_key_usage == (usage,)
    ]
    if not profiles or certificate.is_ca:
        return None
    fallback = Entry(0o444, 0, 0)
    found = entries or {}
    place, key = found.get(DIRECTORY, fallback), found.get(KEY_FILE, fallback)
    shown = found.get(CERTIFICATE_FILE, found.get(CA_FILE, fallback))
    validity = certificate.not_after - certificate.not_before - BACKDATE
    return CertificateSpec(
        name=directory,
        profile=profiles[0],
        present=True,
        common_name=certificate.common_name,
        subject_alternative_names=certificate.subject_alternative_names,
        origins={},
        directory=directory,
        owner=None,
        group=None,
        directory_mode=place.mode,
        key_mode=key.mode,
        certificate_mode=shown.mode,
        key_type=certificate.key_type,
        validity=max(validity, ONE_DAY),
        renew_before=max(validity, ONE_DAY) / 3,
        uid=key.uid,
        gid=key.gid,
    )


def select_certificates(
    found: Mapping[str, CertificateState], authority: Authority, now: datetime.datetime
) -> dict[str, CertificateSpec]:
    """Those directories of a host that a rotation is about: usable, and of this authority or one that it knows."""
    selected = {}
    for directory, state in sorted(found.items()):
        if state.certificate is None or not is_usable(state, now):
            continue
        if not state.issued_by and not authority.trust.knows(state.trust_bundle):
            continue
        spec = reissue_spec(directory, state.certificate, state.entries)
        if spec is not None:
            selected[directory] = spec
    return selected


def plan_rotation(
    step: str, found: Mapping[str, CertificateState], authority: Authority, now: datetime.datetime
) -> Plan[CertificateAction]:
    """Decides for all certificates of a host.

    Args:
        step: one of :data:`STEPS`.
        found: what stands on the host, by directory.
        authority: who issues, and who takes part in the rotation.
        now: the host's clock.

    Raises:
        Refused: the step before has not been taken, so that a connection would fail; or the authority cannot issue.
    """
    if step == REPAIR:
        return _plan_repair(found, authority, now)
    if authority.certificate is None:
        raise Refused(f"rotation: {authority.obstacle or 'there is no authority'}")
    specs = select_certificates(found, authority, now)
    _check_order(step, specs, found)
    decided = {
        directory: _plan_one(step, spec, found[directory], authority, now)
        for directory, spec in specs.items()
    }
    return _assemble(specs, found, authority, decided)


def _plan_repair(
    found: Mapping[str, CertificateState], authority: Authority, now: datetime.datetime
) -> Plan[CertificateAction]:
    """Decides about servers whose engine cannot start: their key or their trust bundle is of no use.

    As long as it does not run, nobody can tell its networks: the certificate that is there tells the names.
    """
    specs = {}
    decided: dict[str, Optional[tuple[Reason, CertificateAction]]] = {}
    for directory, state in sorted(found.items()):
        certificate = state.certificate
        if certificate is None or not state.issued_by or now > certificate.not_after:
            continue
        spec = reissue_spec(directory, certificate, state.entries)
        if spec is None or spec.profile != SERVER:
            continue
        specs[directory] = spec
        bundle = authority.trust.renewed(SERVER, state.trust_bundle)
        if not is_usable(state, now):
            check_can_issue(spec, authority, now)
            problem = state.unreadable.get(KEY_FILE, "not there, or not the certificate's")
            reason = make_reason(spec, "unreadable", f"{directory}/{KEY_FILE}: {problem}")
            decided[directory] = reason, IssueCertificate(spec, bundle)
        elif not state.trust_bundle:
            decided[directory] = outdated_bundle(spec, state), InstallTrustBundle(spec, bundle)
    return _assemble(specs, found, authority, decided)


def _assemble(
    specs: Mapping[str, CertificateSpec],
    found: Mapping[str, CertificateState],
    authority: Authority,
    decided: Mapping[str, Optional[tuple[Reason, CertificateAction]]],
) -> Plan[CertificateAction]:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    reasons: list[Reason] = []
    actions: list[CertificateAction] = []
    for directory, decision in decided.items():
        if decision is not None:
            reason, action = decision
            reasons.append(reason)
            actions.append(action)
            before[directory] = describe_found(specs[directory], found[directory], authority)
            after[directory] = describe_wanted(specs[directory])
    # A server's certificate comes when its clients trust the authority that has issued it.
    actions.sort(key=lambda action: isinstance(action, IssueCertificate))
    return Plan(before, after, tuple(reasons), tuple(actions))


def _plan_one(
    step: str, spec: CertificateSpec, state: CertificateState, authority: Authority, now: datetime.datetime
) -> Optional[tuple[Reason, CertificateAction]]:
    trust = authority.trust
    if step == DROP:
        if trust.is_exact(spec.profile, state.trust_bundle):
            return None
        reason = make_reason(
            spec,
            "former_trusted",
            f"{spec.directory}/{CA_FILE} holds more than the authority that issues now",
        )
        return reason, InstallTrustBundle(spec, trust.exact(spec.profile))
    turn = {SERVERS: SERVER, CLIENTS: CLIENT}.get(step)
    bundle = trust.renewed(spec.profile, state.trust_bundle)
    if turn == spec.profile and state.issued_by not in ("", ISSUING):
        check_can_issue(spec, authority, now)
        text = f"issued by {state.certificate.issuer if state.certificate else ''}, which hands over to another authority"
        return make_reason(spec, "wrong_issuer", text), IssueCertificate(spec, bundle, keep_key=True)
    if not trust.is_current(spec.profile, state.trust_bundle):
        return outdated_bundle(spec, state), InstallTrustBundle(spec, bundle)
    return None


def _check_order(
    step: str, specs: Mapping[str, CertificateSpec], found: Mapping[str, CertificateState]
) -> None:
    left = [directory for directory in specs if found[directory].issued_by != ISSUING]
    servers = [directory for directory in left if specs[directory].profile == SERVER]
    if step == CLIENTS and servers:
        raise Refused(
            "clients of this host",
            expected="servers whose certificates come from the authority that issues now: they would not accept others",
            found=", ".join(servers),
            remedy="Take the step servers first, and restart the engine",
        )
    if step == DROP and left:
        raise Refused(
            "authorities that this host trusts",
            expected="every certificate in use to come from the authority that issues now, before another one is dropped",
            found=", ".join(f"{directory} by {_issuer(found[directory])}" for directory in left),
            remedy="Take the steps servers and clients first; remove what is not needed any more",
        )


def _issuer(state: CertificateState) -> str:
    return state.certificate.issuer if state.certificate else "nobody"
