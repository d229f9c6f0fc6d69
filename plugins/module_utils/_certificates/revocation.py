# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide what to mark as revoked, and whether a revoked certificate is still accepted.

Engines read no revocation lists. A revoked certificate opens them until they do not trust its
authority any more, so a revocation is complete when a successor has replaced this authority. Until
then, the same command goes on with the same revocation: what was issued since has a new key.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Iterator, Optional

from .._base.errors import InvalidInput, Refused
from .._base.plan import Plan, Reason
from .checks import check_common_name
from .facts import CLIENT, CertificateFacts
from .issued import AUTHORITY, HOST, IDENTITY, Issued, Ledger, Revoked, Target


@dataclass(frozen=True)
class RevocationSpec:
    """What to revoke.

    Attributes:
        directory: of the authority, for messages.
        target: kind of what is revoked.
        name: common name of the identity or of the authority, or name of the host in the inventory.
        host: only the identity of this host; empty for those of all hosts.
        reason: free text.
    """

    directory: str
    target: Target
    name: str
    host: str = ""
    reason: str = ""


@dataclass(frozen=True)
class RevocationState:
    """An authority and its record.

    Attributes:
        ledger: the record.
        issuing, successor, former: certificates of the authorities that are trusted now.
        retired: names of authorities that are no longer trusted.
    """

    ledger: Ledger
    issuing: Optional[CertificateFacts] = None
    successor: Optional[CertificateFacts] = None
    former: Optional[CertificateFacts] = None
    retired: tuple[str, ...] = ()

    @property
    def trusted(self) -> tuple[CertificateFacts, ...]:
        """The authorities whose certificates engines and clients accept."""
        return tuple(facts for facts in (self.issuing, self.successor, self.former) if facts is not None)


def parse_revocation(
    directory: str, *, identity: Optional[str], host: Optional[str], authority: Optional[str], reason: str
) -> RevocationSpec:
    """Parse the options of module certificate_revocation, of which None is not set.

    Raises:
        InvalidInput: an option is malformed, or they contradict each other.
    """
    given = {IDENTITY: identity, HOST: host, AUTHORITY: authority}
    for name, value in given.items():
        if value is not None and (not value.strip() or not value.isprintable()):
            raise InvalidInput(name, expected="a name without control characters", found=repr(value))
    if not reason.isprintable():
        raise InvalidInput("reason", expected="printable characters", found=repr(reason))
    if authority is not None and (identity is not None or host is not None):
        raise InvalidInput("authority", problem="authority is not allowed with identity or host")
    if authority is not None:
        return RevocationSpec(directory, AUTHORITY, authority, reason=reason)
    if identity is not None:
        check_common_name(IDENTITY, identity, "Set the name of an identity")
        return RevocationSpec(directory, IDENTITY, identity, host or "", reason)
    if host is None:
        raise InvalidInput("identity", problem="one of identity, host and authority is required")
    return RevocationSpec(directory, HOST, host, reason=reason)


def plan_revocation(spec: RevocationSpec, state: RevocationState, now: datetime.datetime) -> Plan[Revoked]:
    """The events to add to the record; none if there is no authority.

    Raises:
        Refused: the record is incomplete.
    """
    _check_complete(spec, state)
    marks = list(_marks(spec, state, now))
    labels = {_label(mark, state.ledger): mark for mark in marks}
    return Plan(
        before=dict.fromkeys(labels, "valid"),
        after=dict.fromkeys(labels, f"revoked: {spec.reason}"),
        reasons=tuple(Reason("not_revoked", f"{label} is valid", spec.directory) for label in labels),
        actions=tuple(marks),
    )


def is_known(spec: RevocationSpec, state: RevocationState) -> bool:
    """Whether the record holds what the command names, revoked or not."""
    if spec.target == AUTHORITY:
        names = {facts.common_name for facts in state.trusted}
        return spec.name in {*names, *state.retired}
    return any(_is_meant(spec, issued) for issued in state.ledger.issued.values())


def find_removed(spec: RevocationSpec, state: RevocationState) -> tuple[str, ...]:
    """Fingerprints of the identities to remove from their hosts."""
    marks = state.ledger.revocations
    return tuple(
        fingerprint
        for fingerprint, issued in state.ledger.issued.items()
        if spec.target == IDENTITY
        and _is_meant(spec, issued)
        and fingerprint in marks
        and marks[fingerprint].target == IDENTITY
    )


def find_hosts(state: RevocationState, now: datetime.datetime) -> tuple[str, ...]:
    """The hosts with certificates of the trusted authorities. These have to replace them."""
    keys = {facts.public_key_sha256 for facts in state.trusted}
    ledger = state.ledger
    current = (ledger.issued[fingerprint] for fingerprint in ledger.current.values())
    found = (
        one.host
        for one in current
        if one.issuer_spki_sha256 in keys
        and now <= one.not_after
        and one.fingerprint_sha256 not in ledger.revocations
    )
    return tuple(sorted(set(found) - {""}))


def is_accepted(state: RevocationState, now: datetime.datetime) -> bool:
    """Whether an engine or a client may still accept something that is revoked."""
    return any(_has_revoked(state, facts, now) for facts in state.trusted)


def must_drop_first(state: RevocationState, now: datetime.datetime) -> bool:
    """Whether a rotation in progress has to end first, because its new authority has to be replaced."""
    return state.former is not None and state.issuing is not None and _has_revoked(state, state.issuing, now)


def _has_revoked(state: RevocationState, authority: CertificateFacts, now: datetime.datetime) -> bool:
    ledger, key = state.ledger, authority.public_key_sha256
    if key in ledger.revoked_authorities:
        return True
    issued = (
        ledger.issued[fingerprint] for fingerprint in ledger.revocations if fingerprint in ledger.issued
    )
    return any(one.issuer_spki_sha256 == key and now <= one.not_after for one in issued)


def _check_complete(spec: RevocationSpec, state: RevocationState) -> None:
    if spec.target == AUTHORITY and spec.name not in {facts.common_name for facts in state.trusted}:
        return
    for facts in (state.issuing, state.former):
        if facts is not None and not state.ledger.is_complete(facts.public_key_sha256):
            raise Refused(
                spec.directory,
                problem=f"{spec.directory}: the record does not hold everything that {facts.subject} has issued, because this "
                "authority existed before the record began",
                remedy="Run the playbook wormhole.docker.rotate first. It moves all certificates to an authority with a complete "
                "record. Nothing was changed",
            )


def _marks(spec: RevocationSpec, state: RevocationState, now: datetime.datetime) -> Iterator[Revoked]:
    ledger = state.ledger
    keys = {facts.public_key_sha256: facts for facts in state.trusted}
    if spec.target == AUTHORITY:
        for key, facts in keys.items():
            if facts.common_name == spec.name and key not in ledger.revoked_authorities:
                yield Revoked(now, AUTHORITY, spec.reason, issuer_spki_sha256=key, common_name=spec.name)
        return
    meant = {
        issued.fingerprint_sha256: issued
        for issued in ledger.issued.values()
        if _is_meant(spec, issued) and issued.issuer_spki_sha256 in keys and now <= issued.not_after
    }
    begun = False
    for event in ledger.events:
        if isinstance(event, Revoked):
            begun = begun or (event.target == spec.target and event.fingerprint_sha256 in meant)
        elif isinstance(event, Issued) and event.fingerprint_sha256 in meant and not begun:
            mark = ledger.revocations.get(event.fingerprint_sha256)
            if mark is None or mark.target not in (spec.target, IDENTITY):
                yield _mark(spec, event, now)


def _mark(spec: RevocationSpec, issued: Issued, now: datetime.datetime) -> Revoked:
    return Revoked(
        now,
        spec.target,
        spec.reason,
        issued.serial,
        issued.fingerprint_sha256,
        issued.issuer_spki_sha256,
        issued.common_name,
        issued.host,
    )


def _is_meant(spec: RevocationSpec, issued: Issued) -> bool:
    if spec.target == HOST:
        return issued.host == spec.name
    return issued.profile == CLIENT and issued.common_name == spec.name and spec.host in ("", issued.host)


def _label(mark: Revoked, ledger: Ledger) -> str:
    if not mark.fingerprint_sha256:
        return f"authority CN={mark.common_name}"
    return ledger.issued[mark.fingerprint_sha256].label


def describe(spec: RevocationSpec, state: RevocationState, now: datetime.datetime) -> dict[str, Any]:
    """The return values of module certificate_revocation."""
    return {
        "directory": spec.directory,
        "known": is_known(spec, state),
        "removed_identities": list(find_removed(spec, state)),
        "hosts": list(find_hosts(state, now)),
        "replacement_required": is_accepted(state, now),
        "drop_required": must_drop_first(state, now),
    }
