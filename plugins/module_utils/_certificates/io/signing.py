# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sign certificates where the authority's key is: requested ones, or existing ones again."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Sequence

from ..._base.errors import InvalidInput, VerificationFailed
from ..model import leaf_certificate
from ..names import check_names
from ..reissue import reissue_spec
from ..rotation import ISSUING_STEPS, REPAIR, Step, check_requested
from ..spec import CertificateSpec
from ..trust import ISSUING
from . import decoding, issuing
from .authority import Material


def sign_requests(
    specs: Iterable[CertificateSpec], requests: Mapping[str, str], material: Material, now: datetime.datetime
) -> dict[str, str]:
    """Sign requested certificates. Only the public key is taken from a signing request.

    Signing requests and certificates are in PEM form, by name; the time is the controller's.

    Raises:
        InvalidInput: a signing request is for a certificate that the task does not list.
        VerificationFailed: a signing request is invalid.
    """
    known = {spec.name: spec for spec in specs if spec.present}
    unknown = ", ".join(name for name in requests if name not in known)
    if unknown:
        raise InvalidInput("requests", expected="names in option certificates", found=unknown)
    return {
        name: sign_certificate(known[name], request, material.issuer_pem, material.key, now)
        for name, request in requests.items()
    }


@dataclass(frozen=True)
class Reissue:
    """What a task allows to be signed again.

    Attributes:
        step: the step of the rotation.
        directories: only certificates in or below these.
        names: names that a repaired server may have although they are not local.
    """

    step: Step
    directories: Sequence[str]
    names: Sequence[str] = ()


def sign_again(
    requests: Mapping[str, Mapping[str, str]],
    material: Material,
    now: datetime.datetime,
    allowed: Reissue,
) -> dict[str, str]:
    """Sign existing certificates again, with the same names and usage.

    A request holds ``certificate`` and ``request``. All are in PEM form, by directory; the time is
    the controller's.

    Raises:
        VerificationFailed: the step issues no such certificate, the directory is not one of the
            task's, another authority has signed the certificate, or the signing request is for
            another key than its own.
        Refused: a server with an unusable key has names that are neither local nor those of the task.
    """
    check_requested(allowed.step, allowed.directories, requests)
    return {
        directory: _sign_again(directory, pair, material, now, allowed)
        for directory, pair in requests.items()
    }


def _sign_again(
    directory: str, pair: Mapping[str, str], material: Material, now: datetime.datetime, allowed: Reissue
) -> str:
    certificate, request = pair["certificate"], pair["request"]
    subject = f"certificate in {directory}"
    facts = decoding.read_certificate(certificate.encode())
    spec = reissue_spec(directory, facts)
    ours = decoding.find_issuer(certificate.encode(), material.trust)
    same_key = decoding.request_key(request) == facts.public_key_sha256
    if spec is None or not ours or now > facts.not_after:
        raise VerificationFailed(
            subject,
            problem=f"{subject}: {facts.subject} by {facts.issuer} has expired, or was not issued by this authority "
            "or one that it replaced",
            remedy="Nothing was signed",
        )
    repairs = allowed.step == REPAIR
    if spec.profile != ISSUING_STEPS[allowed.step] or (ours == ISSUING and not repairs):
        what = "is from the issuing authority already" if ours == ISSUING else f"is one of a {spec.profile}"
        problem = f"{subject}: step {allowed.step} does not reissue it, because it {what}"
        raise VerificationFailed(subject, problem=problem, remedy="Nothing was signed")
    if not same_key and not repairs:
        # A host can present the certificate of another one, but not the key.
        raise VerificationFailed(
            subject, problem=f"{subject}: the request is for another key", remedy="Nothing was signed"
        )
    if not same_key:
        check_names(dict.fromkeys(spec.subject_alternative_names, subject), allowed.names)
    return sign_certificate(spec, request, material.issuer_pem, material.key, now)


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
