# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Issue, renew and remove the certificates of a host."""

from __future__ import annotations

import datetime
from typing import Any, Mapping

from .._base.plan import Plan
from .._certificates import model, ownership, plan, removal
from .._certificates.io import decoding, store
from .._certificates.io import removal as removal_store
from .._certificates.spec import parse_certificates
from . import certificates
from .authority import unpack_authority
from .execute import execute
from .issue import execute_issuing


def manage_certificates(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Bring certificates to their desired state; return the result of tls_certificates.

    Args:
        params: options of the module, with defaults.

    Returns:
        The result, or requests for certificates that have to be signed first.

    Raises:
        WormholeError: it failed, or the task is rejected.
    """
    requested = certificates.check_state(params)
    if params["state"] == "absent":
        return _remove(params, check_mode=check_mode)
    decoding.require()
    specs = [store.look_up_owner(spec) for spec in parse_certificates(requested)]
    authority = unpack_authority(params["authority"] or {}, replaces=params["ca_replace"])
    now = datetime.datetime.now(datetime.timezone.utc)

    def describe(state: model.HostState, first: Plan[model.CertificateAction]) -> dict[str, Any]:
        facts = {
            spec.name: plan.describe_certificate(spec, state[spec.name], first.reasons, now) for spec in specs
        }
        warnings = ownership.replacement_warnings(first.reasons)
        return {
            "certificates": facts,
            "restart_required": plan.restart_required(first),
            **({"warnings": warnings} if warnings else {}),
        }

    return execute_issuing(
        params["issued"],
        check_mode=check_mode,
        subject=", ".join(spec.name for spec in specs),
        observe=lambda: store.observe_certificates(specs, authority),
        plan=lambda state: plan.plan_certificates(specs, state, authority, now),
        describe=describe,
        request=lambda action: store.make_request(action.spec, keep_key=action.keep_key),
        authority=authority,
        now=now,
    )


def request_certificates(params: Mapping[str, Any]) -> dict[str, str]:
    """Return the requests for the certificates that a run has to issue, by name.

    This makes keys, and changes nothing else.

    Args:
        params: options of tls_certificates, with defaults.

    Raises:
        WormholeError: the task is rejected, or a key cannot be created.
    """
    specs = [store.look_up_owner(spec) for spec in parse_certificates(certificates.check_state(params))]
    authority = unpack_authority(params["authority"] or {}, replaces=params["ca_replace"])
    now = datetime.datetime.now(datetime.timezone.utc)
    state = store.observe_certificates(specs, authority)
    actions = plan.plan_certificates(specs, state, authority, now).actions
    return {
        action.spec.name: store.make_request(action.spec, keep_key=action.keep_key)
        for action in actions
        if isinstance(action, model.IssueCertificate)
    }


def _remove(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Remove the certificates that were created on the host."""
    directories = [path.rstrip("/") for path in params["directories"]]
    seen: list[removal.RemovalState] = []

    def observe() -> removal.RemovalState:
        seen.append(removal_store.observe_removal())
        return seen[-1]

    def describe(state: removal.RemovalState, first: Plan[removal.RemovalAction]) -> dict[str, Any]:
        # The state before the removal: afterwards the record no longer lists these files.
        kept = removal.find_kept(directories, seen[0])
        warnings = removal.kept_warnings(kept)
        return {"left": kept, **({"warnings": list(warnings)} if warnings else {})}

    return execute(
        check_mode=check_mode,
        subject=", ".join(directories) or "the certificates that were created on this host",
        observe=observe,
        plan=lambda state: removal.plan_removal(directories, state),
        apply=removal_store.apply_removal,
        describe=describe,
    )
