# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Execute modules that issue certificates: without signatures, they return the requests."""

from __future__ import annotations

import datetime
from typing import Any, Callable, Mapping, Optional

from .._base.plan import Plan
from .._certificates.io.installing import apply_certificates
from .._certificates.model import CertificateAction, IssueCertificate
from .._certificates.trust import Authority
from .certificates import REQUESTS
from .execute import execute


class SignaturesNeeded(Exception):
    """Not a failure: the plan is carried out once these requests are signed."""

    def __init__(self, requests: dict[str, Any]) -> None:
        super().__init__(", ".join(requests))
        self.requests = requests


def execute_issuing(
    issued: Optional[Mapping[str, str]],
    *,
    authority: Authority,
    now: datetime.datetime,
    request: Callable[[IssueCertificate], Any],
    adopts: bool = True,
    **execution: Any,
) -> dict[str, Any]:
    """Like :func:`_glue.execute.execute`, but a plan may return requests for certificates first.

    Args:
        issued: the signed certificates in PEM form by name, once they were requested.
        authority: the authority that issues.
        now: the host's clock.
        request: returns the request for one certificate, as JSON.
        adopts: whether certificates that are not on record are recorded, and later removed.
        execution: further arguments of execute.
    """

    def apply(plan: Plan[CertificateAction]) -> None:
        require_signatures(plan, request, issued)
        apply_certificates(plan, authority, issued or {}, now, adopts=adopts)

    return with_requests(lambda: execute(apply=apply, **execution))


def require_signatures(
    plan: Plan[Any], request: Callable[[IssueCertificate], Any], issued: Optional[Mapping[str, str]]
) -> None:
    """Request the certificates that a plan issues, unless they have been signed.

    Raises:
        SignaturesNeeded: they have not been requested yet.
    """
    issuing = [action for action in plan.actions if isinstance(action, IssueCertificate)]
    if issuing and issued is None:
        raise SignaturesNeeded({action.spec.name: request(action) for action in issuing})


def with_requests(execution: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of an execution, or the requests that have to be signed first."""
    try:
        return execution()
    except SignaturesNeeded as needed:
        return {"changed": True, REQUESTS: needed.requests}
