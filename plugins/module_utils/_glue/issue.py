# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The host's half of the modules that need signatures: half-way through its plan it asks for them."""

from __future__ import annotations

import datetime
from typing import Any, Callable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import certificate_store
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import (
    Authority,
    CertificateAction,
    HostState,
    IssueCertificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import REQUESTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import execute


class SignaturesNeeded(Exception):
    """Not a failure: the plan goes on once these requests are answered."""

    def __init__(self, requests: dict[str, Any]) -> None:
        super().__init__(", ".join(requests))
        self.requests = requests


def execute_issuing(
    *,
    check_mode: bool,
    subject: str,
    observe: Callable[[], HostState],
    plan: Callable[[HostState], Plan[CertificateAction]],
    describe: Callable[[HostState, Plan[CertificateAction]], dict[str, Any]],
    request: Callable[[IssueCertificate], Any],
    authority: Authority,
    issued: Optional[Mapping[str, str]],
    now: datetime.datetime,
) -> dict[str, Any]:
    """As :func:`_glue.execute.execute`; a plan that needs certificates ends in a result with the requests for them.

    Args:
        check_mode, subject, observe, plan, describe: see there.
        request: makes what whoever signs needs to know about one certificate, as JSON.
        authority: who issues.
        issued: certificates in PEM form, by name; None as long as nobody was asked.
        now: the host's clock.
    """

    def apply(decided: Plan[CertificateAction]) -> None:
        require_signatures(decided, request, issued)
        certificate_store.apply_certificates(decided, authority, issued or {}, now)

    return with_requests(
        lambda: execute(
            check_mode=check_mode,
            subject=subject,
            observe=observe,
            plan=plan,
            apply=apply,
            describe=describe,
        )
    )


def require_signatures(
    plan: Plan[Any], request: Callable[[IssueCertificate], Any], issued: Optional[Mapping[str, str]]
) -> None:
    """Makes the requests for what a plan issues, unless they have been answered.

    Raises:
        SignaturesNeeded: nobody was asked yet.
    """
    wanted = [action for action in plan.actions if isinstance(action, IssueCertificate)]
    if wanted and issued is None:
        raise SignaturesNeeded({action.spec.name: request(action) for action in wanted})


def with_requests(execution: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The result of an execution, or one with the requests that it could not go on without."""
    try:
        return execution()
    except SignaturesNeeded as needed:
        return {"changed": True, REQUESTS: needed.requests}
