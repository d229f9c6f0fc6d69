# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sign certificates where the authority's key is: requested ones, or existing ones again.

Each signed certificate is recorded beside the authority before it is handed out. An authority
without a directory has no record.
"""

from __future__ import annotations

import contextlib
import datetime
import os
from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator, Mapping, Sequence

from ..._base.errors import InvalidInput, VerificationFailed, WormholeError
from ..facts import CLIENT, CertificateFacts, timestamp
from ..host_uri import with_host
from ..issued import Again, Begin, Event, Ledger, find_fault, issued_event
from ..model import leaf_certificate
from ..names import check_names
from ..reissue import reissue_spec
from ..rotation import ISSUING_STEPS, REPAIR, REPLACE, Step, check_requested
from ..spec import CertificateSpec
from ..trust import ISSUING
from . import authority as store
from . import decoding, issued, issuing


@dataclass(frozen=True)
class Order:
    """Who signs, when, and for whom.

    Attributes:
        material: the authority.
        now: the time where it is.
        host: name of the host in the inventory; empty if unknown.
    """

    material: store.Material
    now: datetime.datetime
    host: str = ""


@dataclass(frozen=True)
class Reissue:
    """What a task allows to be signed again.

    Attributes:
        step: the step of the rotation.
        directories: only certificates in or below these.
        names: names that a repaired server may have although they are not local.
        is_compromised: whether a signature of a former authority proves nothing.
    """

    step: Step
    directories: Sequence[str]
    names: Sequence[str] = ()
    is_compromised: bool = False


@dataclass
class _Batch:
    """What one call signs.

    Attributes:
        ledger: what was issued before.
        events: what is recorded at the end.
    """

    order: Order
    ledger: Ledger = Ledger()
    events: list[Event] = field(default_factory=list)

    def sign(self, spec: CertificateSpec, request: str) -> str:
        material, now = self.order.material, self.order.now
        # Of the controller's knowledge, not of the request or of a presented certificate.
        spec = with_host(spec, self.order.host if material.names_hosts else "")
        subject = f"certificate in {spec.directory}"
        mark = self.ledger.find_revoked_key(decoding.request_key(request))
        if mark is not None:
            raise VerificationFailed(
                subject,
                problem=f"{subject}: its key was revoked at {timestamp(mark.time)}: {mark.reason}",
                remedy=f"Remove {spec.directory} on the host, and run the playbook again. It then makes a new key",
            )
        certificate = sign_certificate(spec, request, material.issuer_pem, material.key, now)
        if material.directory:
            issuer, facts = material.trust.issuing[0], decoding.read_certificate(certificate.encode())
            if issuer.public_key_sha256 not in self.ledger.begun and not self.events:
                self.events.append(Begin(now, False, issuer.subject, issuer.public_key_sha256))
            self.events.append(
                issued_event(
                    facts,
                    profile=spec.profile,
                    host=self.order.host,
                    directory=spec.directory,
                    issuer=issuer,
                    now=now,
                )
            )
        return certificate


@contextlib.contextmanager
def _recording(order: Order) -> Iterator[_Batch]:
    """Lock the record, read it, and append what the block has signed."""
    directory, previous = order.material.directory, order.material.previous_directory
    if not directory:
        yield _Batch(order)
        return
    with store.locked(directory):
        ledger = issued.read(directory)
        if previous and os.path.isdir(previous):
            # Of the other scope. Nothing is added to it any more, except by hosts that are still there.
            ledger = ledger.with_events(issued.read(previous).events)
        batch = _Batch(order, ledger)
        yield batch
        issued.append(directory, batch.events)


def sign_requests(
    specs: Iterable[CertificateSpec], requests: Mapping[str, str], order: Order
) -> dict[str, str]:
    """Sign requested certificates. Only the public key is taken from a signing request.

    Signing requests and certificates are in PEM form, by name.

    Raises:
        InvalidInput: a signing request is for a certificate that the task does not list.
        VerificationFailed: a signing request is invalid, or for a revoked key.
        WormholeError: the record cannot be read or written. Nothing is handed out then.
    """
    known = {spec.name: spec for spec in specs if spec.present}
    unknown = ", ".join(name for name in requests if name not in known)
    if unknown:
        raise InvalidInput("requests", expected="names in option certificates", found=unknown)
    signed: dict[str, str] = {}
    with _recording(order) as batch:
        signed.update({name: batch.sign(known[name], request) for name, request in requests.items()})
    return signed


def sign_again(
    requests: Mapping[str, Mapping[str, str]], order: Order, allowed: Reissue
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Sign existing certificates again, with the same names and usage.

    A request holds ``certificate`` and ``request``. All are in PEM form, by directory.

    Returns:
        The signed certificates by directory, and warnings.

    Raises:
        VerificationFailed: the step issues no such certificate, the directory is not one of the
            task's, another authority has signed the certificate, the signing request is for another
            key than its own, or the record forbids it (:func:`_certificates.issued.find_fault`).
        Refused: a server with an unusable key has names that are neither local nor those of the task.
        WormholeError: the record cannot be read or written. Nothing is handed out then.
    """
    check_requested(allowed.step, allowed.directories, requests)
    with _recording(order) as batch:
        signed = {
            directory: _sign_again(directory, pair, batch, allowed) for directory, pair in requests.items()
        }
        warnings = _warn_unrecorded(batch, requests)
    return signed, warnings


def _sign_again(directory: str, pair: Mapping[str, str], batch: _Batch, allowed: Reissue) -> str:
    order = batch.order
    certificate, request = pair["certificate"], pair["request"]
    subject = f"certificate in {directory}"
    try:
        facts = decoding.read_certificate(certificate.encode())
        spec = reissue_spec(directory, facts)
        ours, issuer = decoding.find_anchor(certificate.encode(), order.material.trust)
        same_key = decoding.request_key(request) == facts.public_key_sha256
    except WormholeError as error:
        error.put_in(subject)
        raise
    if spec is None or issuer is None or order.now > facts.not_after:
        raise VerificationFailed(
            subject,
            problem=f"{subject}: {facts.subject} by {facts.issuer} has expired, or was not issued by this authority "
            "or one that it replaced",
            remedy="Nothing was signed",
        )
    repairs, replaces = allowed.step == REPAIR, allowed.step == REPLACE
    if spec.profile not in ISSUING_STEPS[allowed.step] or (ours == ISSUING and not repairs):
        what = "is from the issuing authority already" if ours == ISSUING else f"is one of a {spec.profile}"
        problem = f"{subject}: step {allowed.step} does not reissue it, because it {what}"
        raise VerificationFailed(subject, problem=problem, remedy="Nothing was signed")
    if same_key == replaces and not repairs:
        # A host can present the certificate of another one, but not the key.
        problem = f"{subject}: the request is for {'the same' if same_key else 'another'} key"
        raise VerificationFailed(subject, problem=problem, remedy="Nothing was signed")
    again = Again(facts, issuer, order.host, same_key, allowed.is_compromised)
    fault = find_fault(batch.ledger, again, is_client=spec.profile == CLIENT)
    if fault:
        raise VerificationFailed(
            subject, problem=f"{subject}: {_name(facts)} {fault}", remedy=_remedy(directory)
        )
    is_recorded = facts.fingerprint_sha256 in batch.ledger.issued
    if not same_key and not (replaces and is_recorded):
        # The record proves the names of a server that was issued to this host.
        check_names(dict.fromkeys(spec.subject_alternative_names, subject), allowed.names)
    return batch.sign(spec, request)


def _name(facts: CertificateFacts) -> str:
    return f"{facts.subject} with serial number {facts.serial}"


def _remedy(directory: str) -> str:
    return (
        f"Nothing was signed. If the host should keep this certificate, remove {directory} on the host, and run the playbooks "
        "wormhole.docker.provision and wormhole.docker.launch: they issue a new one with a new key"
    )


def _warn_unrecorded(batch: _Batch, requests: Mapping[str, Mapping[str, str]]) -> tuple[str, ...]:
    """A warning about certificates that were signed again though the record does not hold them."""
    directory = batch.order.material.directory
    found = {
        place: decoding.read_certificate(pair["certificate"].encode()).fingerprint_sha256
        for place, pair in requests.items()
    }
    unknown = ", ".join(
        place for place, fingerprint in found.items() if fingerprint not in batch.ledger.issued
    )
    if not directory or not unknown:
        return ()
    return (
        f"{issued.path_of(directory)} does not hold the certificates in {unknown}, because their authority existed before the "
        "record began. Their signature was accepted as proof. From now on, the record holds them",
    )


def sign_certificate(
    spec: CertificateSpec, request: str, issuer_pem: bytes, issuer_key: Any, now: datetime.datetime
) -> str:
    """Issue a certificate in PEM form. Only the public key is taken from the signing request.

    Raises:
        VerificationFailed: the signing request is not signed with its own key, or the key has
            another type.
    """
    subject = f"certificate signing request for {spec.name!r}"
    public = decoding.requested_key(subject, decoding.load_request(subject, request))
    found = decoding.key_type_of(public)
    if found != spec.key_type:
        raise VerificationFailed(subject, expected=f"a key of type {spec.key_type}", found=found)
    issuer = decoding.load_certificate(issuer_pem)
    template = leaf_certificate(spec, decoding.facts_of(issuer), now)
    return issuing.sign_profile(template, public, issuer_key, issuer).decode()
