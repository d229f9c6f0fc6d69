# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Move the certificates of one host to a new authority.

The order of the steps keeps every connection verified. Clients trust the new authority before their
server has a certificate from it. The server trusts it, and is restarted, before a client has one. A
reissued certificate keeps its key, its names and its usage, so that a client that reads the files
at that moment finds a matching pair.

After a theft, security is more important: :data:`REPLACE` makes new keys, and the trust bundles hold
only the issuing authority from then on. Clients cannot connect until the server has been restarted.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Collection, Final, Iterable, Literal, Mapping, get_args

from .._base.errors import Refused, VerificationFailed
from .._base.plan import Plan
from . import facts
from .checks import check_directory
from .deviations import make_reason, outdated_bundle
from .model import CertificateAction, CertificateState, InstallTrustBundle, IssueCertificate, is_usable
from .plan import Decision, assemble, check_can_issue
from .reissue import reissue_spec
from .spec import CertificateSpec
from .trust import ISSUING, Authority

Step = Literal["trust", "servers", "clients", "drop", "replace", "repair"]
"""The steps of a rotation on one host, in this order.

After a theft, ``replace`` takes the place of the steps from ``servers`` on. ``repair`` is not part of
a rotation.
"""

SERVERS: Final = "servers"
CLIENTS: Final = "clients"
DROP: Final = "drop"
REPLACE: Final = "replace"
REPAIR: Final = "repair"
STEPS: tuple[Step, ...] = get_args(Step)

ISSUING_STEPS: Final[Mapping[Step, tuple[facts.Profile, ...]]] = {
    SERVERS: (facts.SERVER,),
    CLIENTS: (facts.CLIENT,),
    REPLACE: (facts.SERVER, facts.CLIENT),
    REPAIR: (facts.SERVER,),
}
"""The steps that issue certificates, with the profiles of these."""


MAXIMUM_REQUESTS: Final = 1000
"""How many certificates are signed again at once. A host has one for each wormhole, and its server's."""


def check_requested(step: Step, roots: Iterable[str], directories: Collection[str]) -> None:
    """Check which certificates a host requests in a step, where they are signed.

    Args:
        roots: the directories of the task.
        directories: those of the certificates.

    Raises:
        VerificationFailed: the step issues none, a directory is not in or below one of the task, or
            there are too many.
    """
    subject = "requests"
    if directories and step not in ISSUING_STEPS:
        raise VerificationFailed(
            subject, problem=f"step {step} issues no certificates", remedy="Nothing was signed"
        )
    if len(directories) > MAXIMUM_REQUESTS:
        problem = f"{len(directories)} certificates are requested, more than {MAXIMUM_REQUESTS}"
        raise VerificationFailed(subject, problem=problem, remedy="Nothing was signed")
    tops = [root.rstrip("/") for root in roots]
    for directory in directories:
        check_directory(subject, directory)
        place = directory.rstrip("/")
        if not any(place == top or place.startswith(f"{top}/") for top in tops):
            problem = f"{directory} is not in or below the directories of the task: {', '.join(tops)}"
            raise VerificationFailed(subject, problem=problem, remedy="Nothing was signed")


def select_certificates(
    found: Mapping[str, CertificateState], authority: Authority, now: datetime.datetime
) -> dict[str, CertificateSpec]:
    """The certificates that a rotation covers, by directory."""
    selected = {}
    for directory, state in sorted(found.items()):
        ours = state.issued_by or authority.trust.knows(state.trust_bundle)
        if state.certificate and ours and is_usable(state, now):
            spec = reissue_spec(directory, state.certificate, state.entries)
            if spec is not None:
                selected[directory] = spec
    return selected


def plan_rotation(
    step: Step, found: Mapping[str, CertificateState], authority: Authority, now: datetime.datetime
) -> Plan[CertificateAction]:
    """Decide about all certificates of a host, by directory, at the time of the host's clock.

    Raises:
        Refused: the authority cannot issue, or a connection would fail after an incomplete step.
        VerificationFailed: the clocks of host and controller differ too much to issue.
    """
    if step == REPAIR:
        return _plan_repair(found, authority, now)
    if authority.certificate is None and not authority.obstacle:
        # In check mode, an earlier task has only predicted that it creates the authority.
        return assemble((), authority)
    if authority.certificate is None:
        raise Refused("rotation", problem=f"rotation: {authority.obstacle}")
    specs = select_certificates(found, authority, now)
    _check_order(step, specs, found)
    pairs = ((spec, found[directory]) for directory, spec in specs.items())
    decisions = ((spec, state, _plan_one(step, spec, state, authority, now)) for spec, state in pairs)
    plan = assemble(decisions, authority)
    # First the trust bundles: clients have to trust the new authority before servers use it.
    bundles_first = sorted(plan.actions, key=lambda action: isinstance(action, IssueCertificate))
    return replace(plan, actions=tuple(bundles_first))


def _plan_repair(
    found: Mapping[str, CertificateState], authority: Authority, now: datetime.datetime
) -> Plan[CertificateAction]:
    """Decide about servers whose key or trust bundle is unusable, so that the engine cannot start.

    The names come from the existing certificate, because a stopped engine cannot list its networks.
    """
    decisions: list[tuple[CertificateSpec, CertificateState, Decision]] = []
    for directory, state in sorted(found.items()):
        certificate = state.certificate
        if certificate is None or not state.issued_by or now > certificate.not_after:
            continue
        spec = reissue_spec(directory, certificate, state.entries)
        if spec is None or spec.profile != facts.SERVER:
            continue
        bundle = authority.trust.renewed(facts.SERVER, state.trust_bundle)
        if not is_usable(state, now):
            check_can_issue(spec, authority, now)
            problem = state.unreadable.get(
                facts.KEY_FILE, f"missing, or not the key of {facts.CERTIFICATE_FILE}"
            )
            reason = make_reason(spec, "unreadable", f"{directory}/{facts.KEY_FILE}: {problem}")
            decisions.append((spec, state, ([reason], [IssueCertificate(spec, bundle)])))
        elif not state.trust_bundle:
            reason = outdated_bundle(spec, state)
            decisions.append((spec, state, ([reason], [InstallTrustBundle(spec, bundle)])))
    return assemble(decisions, authority)


def _plan_one(
    step: Step, spec: CertificateSpec, state: CertificateState, authority: Authority, now: datetime.datetime
) -> Decision:
    trust = authority.trust
    is_reissued = spec.profile in ISSUING_STEPS.get(step, ()) and state.issued_by not in ("", ISSUING)
    if is_reissued:
        check_can_issue(spec, authority, now)
    if is_reissued and step == REPLACE:
        text = f"issued by {_issuer(state)}, and its key is replaced"
        action = IssueCertificate(spec, trust.exact(spec.profile))
        return [make_reason(spec, "key_replaced", text)], [action]
    if step in (DROP, REPLACE):
        if trust.is_exact(spec.profile, state.trust_bundle):
            return [], []
        text = f"{spec.directory}/{facts.CA_FILE} trusts other authorities than the issuing one"
        reason = make_reason(spec, "former_trusted", text)
        return [reason], [InstallTrustBundle(spec, trust.exact(spec.profile))]
    bundle = trust.renewed(spec.profile, state.trust_bundle)
    if is_reissued:
        text = f"issued by {_issuer(state)}, which is not the issuing authority"
        return [make_reason(spec, "wrong_issuer", text)], [IssueCertificate(spec, bundle, keep_key=True)]
    if not trust.is_current(spec.profile, state.trust_bundle):
        return [outdated_bundle(spec, state)], [InstallTrustBundle(spec, bundle)]
    return [], []


def _check_order(
    step: Step, specs: Mapping[str, CertificateSpec], found: Mapping[str, CertificateState]
) -> None:
    left = [directory for directory in specs if found[directory].issued_by != ISSUING]
    servers = [directory for directory in left if specs[directory].profile == facts.SERVER]
    if step == CLIENTS and servers:
        raise Refused(
            "clients of this host",
            problem=f"server certificates of this host are not from the issuing authority: {', '.join(servers)}",
            remedy="Run the step servers first and restart the engine, so that it accepts the new client certificates",
        )
    if step == DROP and left:
        used = ", ".join(f"{directory} by {_issuer(found[directory])}" for directory in left)
        raise Refused(
            "authorities that this host trusts",
            problem=f"certificates of other authorities than the issuing one are still in use: {used}",
            remedy="Run the steps servers and clients first. Remove certificates that are no longer needed",
        )


def _issuer(state: CertificateState) -> str:
    return state.certificate.issuer if state.certificate else "nobody"
