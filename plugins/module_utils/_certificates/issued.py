# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of what an authority has issued: JSON lines, each an event.

- ``begin``: the record of an authority's certificates begins. It is complete if this collection has
  created the authority. An existing authority may have issued certificates that nobody recorded.
- ``issued``: a certificate was signed.
- ``revoked``: a certificate, or everything that an authority has signed, is no longer accepted as
  proof of anything.

A rotation goes on in the same file, which therefore holds the events of several authorities.
"""

from __future__ import annotations

import datetime
import functools
import json
from dataclasses import dataclass, fields
from typing import Any, Final, Iterable, Literal, Mapping, Optional, Union, get_args

from .._base.errors import Refused
from .facts import ONE_DAY, CertificateFacts, timestamp
from .trust import Anchor

RECORD_FILE: Final = "issued.jsonl"
SEEN_DIRECTORY: Final = "seen"
"""Directory with a file for each host. Its time is that of the last answer of the host."""

Target = Literal["identity", "host", "authority"]
"""What was revoked: one identity, all certificates of a host, or all of an authority."""

IDENTITY: Final = "identity"
HOST: Final = "host"
AUTHORITY: Final = "authority"
TARGETS: tuple[Target, ...] = get_args(Target)

State = Literal["alive", "expiring", "superseded", "untrusted", "expired", "revoked"]
"""The state of a recorded certificate, see :func:`state_of`."""

ALIVE: Final = "alive"
EXPIRING: Final = "expiring"
SUPERSEDED: Final = "superseded"
UNTRUSTED: Final = "untrusted"
EXPIRED: Final = "expired"
REVOKED: Final = "revoked"


@dataclass(frozen=True)
class Begin:
    """The record of one authority's certificates begins.

    Attributes:
        time: when, aware, in UTC.
        complete: whether it holds all certificates of the authority.
        issuer: distinguished name of the authority.
        issuer_spki_sha256: digest of the authority's public key.
    """

    time: datetime.datetime
    complete: bool
    issuer: str
    issuer_spki_sha256: str


@dataclass(frozen=True)
class Issued:
    """A certificate was signed.

    Attributes:
        time: when, aware, in UTC.
        serial, fingerprint_sha256, common_name, not_before, not_after, issuer: as in
            :class:`_certificates.facts.CertificateFacts`.
        spki_sha256: digest of its public key.
        names: subject alternative names, such as ``IP:172.17.0.1``.
        profile: ``server`` or ``client``.
        host: name of the host in the inventory; empty if it was not given.
        directory: where the host keeps it.
        issuer_spki_sha256: digest of the authority's public key.
    """

    time: datetime.datetime
    serial: str
    spki_sha256: str
    fingerprint_sha256: str
    common_name: str
    names: tuple[str, ...]
    profile: str
    host: str
    directory: str
    not_before: datetime.datetime
    not_after: datetime.datetime
    issuer: str
    issuer_spki_sha256: str

    @property
    def label(self) -> str:
        """What it is, for messages and diffs."""
        return (
            f"{self.profile} CN={self.common_name} of {self.host or 'an unknown host'}, serial {self.serial}"
        )


@dataclass(frozen=True)
class Revoked:
    """Something is no longer accepted. A certificate of an identity is never signed again; those of a
    host or of an authority are, for a new key.

    Attributes:
        time: when, aware, in UTC.
        target: what the command named.
        reason: free text.
        serial, fingerprint_sha256: the certificate. Empty if everything is revoked that the authority
            has signed, also what the record does not hold.
        issuer_spki_sha256: digest of the public key of the authority.
        common_name, host: of the certificate.
    """

    time: datetime.datetime
    target: Target
    reason: str
    serial: str = ""
    fingerprint_sha256: str = ""
    issuer_spki_sha256: str = ""
    common_name: str = ""
    host: str = ""


Event = Union[Begin, Issued, Revoked]
_KINDS: Mapping[str, type] = {"begin": Begin, "issued": Issued, "revoked": Revoked}


@dataclass(frozen=True)
class Ledger:
    """The events of a record, in order."""

    events: tuple[Event, ...] = ()

    @functools.cached_property
    def issued(self) -> Mapping[str, Issued]:
        """The certificates by fingerprint, in the order of their issue."""
        return {event.fingerprint_sha256: event for event in self.events if isinstance(event, Issued)}

    @functools.cached_property
    def revocations(self) -> Mapping[str, Revoked]:
        """The first revocation of each certificate, by fingerprint. That of an identity is final."""
        marks = [e for e in self.events if isinstance(e, Revoked) and e.fingerprint_sha256]
        marks.sort(key=lambda mark: mark.target == IDENTITY, reverse=True)
        return {mark.fingerprint_sha256: mark for mark in reversed(marks)}

    @functools.cached_property
    def revoked_authorities(self) -> Mapping[str, Revoked]:
        """The first revocation of each authority, by the digest of its public key."""
        marks = [event for event in self.events if isinstance(event, Revoked)]
        return {mark.issuer_spki_sha256: mark for mark in reversed(marks) if not mark.fingerprint_sha256}

    @functools.cached_property
    def begun(self) -> Mapping[str, Begin]:
        """The beginning of each authority's record, by the digest of its public key."""
        begun = [event for event in self.events if isinstance(event, Begin)]
        return {event.issuer_spki_sha256: event for event in reversed(begun)}

    @functools.cached_property
    def current(self) -> Mapping[tuple[str, str], str]:
        """The fingerprint of the last certificate of each directory of each host."""
        return {(event.host, event.directory): event.fingerprint_sha256 for event in self.issued.values()}

    def is_complete(self, issuer_spki_sha256: str) -> bool:
        """Whether all certificates of an authority are recorded."""
        begin = self.begun.get(issuer_spki_sha256)
        return begin is not None and begin.complete

    def with_events(self, events: Iterable[Event]) -> Ledger:
        return Ledger((*self.events, *events))

    def find_revocation(self, fingerprint_sha256: str, issuer_spki_sha256: str) -> Optional[Revoked]:
        """Why a certificate is revoked, by itself or with its authority; None if it is not."""
        mark = self.revocations.get(fingerprint_sha256)
        return mark or self.revoked_authorities.get(issuer_spki_sha256)

    def find_revoked_key(self, spki_sha256: str) -> Optional[Revoked]:
        """Why the key of a recorded certificate is revoked; None if it is not."""
        for fingerprint, mark in self.revocations.items():
            issued = self.issued.get(fingerprint)
            if issued is not None and issued.spki_sha256 == spki_sha256:
                return mark
        return None


@dataclass(frozen=True)
class Again:
    """A certificate that a host presents to have it signed again.

    Attributes:
        certificate: what it presents.
        issuer: the authority that has signed it.
        host: the host of the task; empty if unknown.
        is_same_key: whether the new certificate is for the key of the presented one.
        is_compromised: whether the authority's signature proves nothing.
    """

    certificate: CertificateFacts
    issuer: Anchor
    host: str
    is_same_key: bool
    is_compromised: bool = False


def find_fault(ledger: Ledger, again: Again, *, is_client: bool) -> str:
    """Why a certificate must not be signed again, as the end of a sentence; empty if it may be."""
    certificate, issuer = again.certificate, again.issuer.public_key_sha256
    recorded = ledger.issued.get(certificate.fingerprint_sha256)
    mark = ledger.find_revocation(certificate.fingerprint_sha256, issuer)
    if mark is not None and (mark.target == IDENTITY or again.is_same_key):
        return f"was revoked at {timestamp(mark.time)}: {mark.reason}"
    signature_proves = mark is None and not again.is_compromised
    # A client's name is its identity, which gets another key only where it was issued.
    gets_another_key = is_client and not again.is_same_key
    if recorded is None and (gets_another_key or ledger.is_complete(issuer) or not signature_proves):
        return "is not in the record of issued certificates"
    # A host determines the names of its own server, which are checked, so an unknown host is no fault.
    permitted = {again.host} - {""} if gets_another_key or not signature_proves else {again.host, ""}
    if (
        recorded is not None
        and recorded.host not in permitted
        and not (again.is_same_key and signature_proves)
    ):
        return f"was issued to {recorded.host or 'an unknown host'}, not to {again.host or 'an unknown host'}"
    return ""


def state_of(
    ledger: Ledger,
    issued: Issued,
    now: datetime.datetime,
    window: datetime.timedelta,
    trusted: Optional[frozenset[str]] = None,
) -> State:
    """The state of a recorded certificate.

    Args:
        window: how long before its end it counts as expiring.
        trusted: digests of the public keys of trusted authorities; None if all are.
    """
    if ledger.find_revocation(issued.fingerprint_sha256, issued.issuer_spki_sha256):
        return REVOKED
    if now > issued.not_after:
        return EXPIRED
    if trusted is not None and issued.issuer_spki_sha256 not in trusted:
        return UNTRUSTED
    if ledger.current[issued.host, issued.directory] != issued.fingerprint_sha256:
        return SUPERSEDED
    return EXPIRING if issued.not_after - now <= window else ALIVE


def describe_issued(
    ledger: Ledger,
    issued: Issued,
    now: datetime.datetime,
    window: datetime.timedelta,
    trusted: Optional[frozenset[str]] = None,
) -> dict[str, Any]:
    """A recorded certificate as a return value."""
    described: dict[str, Any] = {
        "state": state_of(ledger, issued, now, window, trusted),
        "days_left": (issued.not_after - now) // ONE_DAY,
        "revoked": None,
        **_as_json(issued),
    }
    mark = ledger.find_revocation(issued.fingerprint_sha256, issued.issuer_spki_sha256)
    if mark is not None:
        described["revoked"] = {"time": timestamp(mark.time), "target": mark.target, "reason": mark.reason}
    return described


def issued_event(
    certificate: CertificateFacts,
    *,
    profile: str,
    host: str,
    directory: str,
    issuer: Anchor,
    now: datetime.datetime,
) -> Issued:
    """The event of a certificate that was just signed."""
    return Issued(
        time=now,
        serial=certificate.serial,
        spki_sha256=certificate.public_key_sha256,
        fingerprint_sha256=certificate.fingerprint_sha256,
        common_name=certificate.common_name,
        names=tuple(map(str, certificate.subject_alternative_names)),
        profile=profile,
        host=host,
        directory=directory,
        not_before=certificate.not_before,
        not_after=certificate.not_after,
        issuer=issuer.subject,
        issuer_spki_sha256=issuer.public_key_sha256,
    )


def render_events(events: Iterable[Event]) -> bytes:
    """Lines to append to a record."""
    names = {kind: name for name, kind in _KINDS.items()}
    documents = ({"event": names[type(event)], **_as_json(event)} for event in events)
    return "".join(f"{json.dumps(document)}\n" for document in documents).encode()


def parse_ledger(content: bytes, path: str) -> tuple[Ledger, int]:
    """Parse a record; return it, and how many bytes of it are intact.

    A power cut can damage the last line. Its certificate was never handed out, because the record is
    on the disk before. All other lines are intact, unless somebody has changed them.

    Raises:
        Refused: another line than the last one is no event. The message names file and line.
    """
    lines = content.split(b"\n")
    last = len(lines) - 1
    events: list[Event] = []
    length = 0
    for number, line in enumerate(lines):
        if number == last:
            # Without a line feed, it was not written completely.
            break
        try:
            events.append(_parse_event(json.loads(line)))
        except (ValueError, KeyError, TypeError) as error:
            if number == last - 1 and not lines[last]:
                break
            raise Refused(
                path,
                problem=f"{path}, line {number + 1}: not an event of a record of issued certificates ({error})",
                remedy="Restore the file from a backup. If there is none, move it away: a new record then begins, which is "
                "incomplete",
            ) from error
        length += len(line) + 1
    return Ledger(tuple(events)), length


def _parse_event(document: Any) -> Event:
    if not isinstance(document, dict):
        raise ValueError("not an object")
    kind = _KINDS[document["event"]]
    values = {}
    for field in fields(kind):
        value = document[field.name]
        if field.name in ("time", "not_before", "not_after"):
            value = datetime.datetime.strptime(value, "%Y-%m-%dT%H:%M:%S%z")
        elif field.name == "names":
            value = tuple(map(str, value))
        elif field.name == "target" and value not in TARGETS:
            raise ValueError(f"target {value!r}")
        elif not isinstance(value, bool if field.name == "complete" else str):
            raise ValueError(f"{field.name}: {value!r}")
        values[field.name] = value
    event: Event = kind(**values)
    return event


def _as_json(event: Event) -> dict[str, Any]:
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    return {name: _plain(value) for name, value in values.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime.datetime):
        return timestamp(value)
    return list(value) if isinstance(value, tuple) else value
