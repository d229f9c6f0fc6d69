# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Signing, where the authority's key is: what a task asks for, or again what an authority of ours has signed before."""

from __future__ import annotations

import datetime
from typing import Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import x509
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.authority_store import Material
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.certificate_store import find_issuer
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import (
    CLIENT,
    CertificateSpec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    InvalidInput,
    VerificationFailed,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.rotation_plan import reissue_spec


def sign_requests(
    specs: Iterable[CertificateSpec],
    requests: Mapping[str, str],
    material: Material,
    now: datetime.datetime,
) -> dict[str, str]:
    """Signs what a task asks for; of a request, only the public key counts.

    Args:
        specs: what is asked for.
        requests: certificate signing requests in PEM form, by the names of the certificates.
        material: the authority with its key.
        now: the clock.

    Returns:
        certificates in PEM form, by name.

    Raises:
        InvalidInput: a request is for a certificate that the task does not ask for.
        VerificationFailed: a request is not what it should be.
    """
    known = {spec.name: spec for spec in specs}
    strange = [name for name in requests if name not in known]
    if strange:
        raise InvalidInput(
            "requests", expected="names of the certificates that the task asks for", found=", ".join(strange)
        )
    return {name: _sign(known[name], request, material, now) for name, request in requests.items()}


def sign_again(
    requests: Mapping[str, Mapping[str, str]], material: Material, now: datetime.datetime
) -> dict[str, str]:
    """Signs what is there already: the same names and usage, for a client the same key, by the authority that issues now.

    Args:
        requests: by directory, ``certificate`` and ``request`` in PEM form.
        material: the authority with its key.
        now: the clock.

    Returns:
        certificates in PEM form, by directory.

    Raises:
        VerificationFailed: no authority of ours has signed that certificate, or the request is for another key than a
            client's own.
    """
    return {directory: _sign_again(directory, pair, material, now) for directory, pair in requests.items()}


def _sign_again(directory: str, pair: Mapping[str, str], material: Material, now: datetime.datetime) -> str:
    certificate, request = pair["certificate"], pair["request"]
    subject = f"certificate in {directory}"
    facts = x509.read_certificate(certificate.encode())
    spec = reissue_spec(directory, facts)
    if spec is None or not find_issuer(certificate.encode(), material.trust) or now > facts.not_after:
        raise VerificationFailed(
            subject,
            expected="a valid one that this authority, or one that it follows, has issued",
            found=f"{facts.subject} by {facts.issuer}",
            remedy="Nothing was signed",
        )
    # A server of this name may have another key: which names a host's server needs is told by that host alone, always. The
    # name of a client is who it is: to certify it for another key would give it away.
    if spec.profile == CLIENT and x509.request_key(request) != facts.public_key_sha256:
        raise VerificationFailed(
            subject,
            expected="a request for its own key",
            found="one for another key",
            remedy="Nothing was signed",
        )
    return _sign(spec, request, material, now)


def _sign(spec: CertificateSpec, request: str, material: Material, now: datetime.datetime) -> str:
    return x509.sign_certificate(spec, request, material.issuer_pem, material.key, now)
