# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Create, check and rotate an authority."""

from __future__ import annotations

import datetime
from typing import Any, Mapping

from .._certificates import authority, authority_plan
from .._certificates.facts import CLIENT, KEY_TYPE_ARGUMENT
from .._certificates.io import authority as store
from .authority import pack_authority
from .execute import execute
from .material import load_material, load_previous

CREATION_ARGUMENTS: dict[str, Any] = {
    "common_name": {"type": "str", "default": "wormhole.docker CA"},
    "key_type": KEY_TYPE_ARGUMENT,
    "validity_days": {"type": "int", "default": 3650},
    "rotation": {"type": "str", "choices": [authority.TRUST, authority.REISSUE, authority.DROP]},
    "rotation_waits_for": {"type": "list", "elements": "str", "default": []},
}
"""Options of certificate_authority, without those that name the authority."""


def ensure_authority(params: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Create or check an authority; return the result of certificate_authority.

    An authority by path or content is only checked.

    Args:
        params: options of the module, with defaults.

    Raises:
        WormholeError: it is unusable, or could not be changed.
    """
    now = datetime.datetime.now(datetime.timezone.utc)
    place, material = load_material(params, "")
    if params["directory"] is None:
        is_replaced = bool(material.trust.successor)
        authority.check_authority(place, material.state, now, is_replaced=is_replaced)
        result = {"changed": False, "reasons": [], **_describe(place, material, now)}
        return {**result, **({"warnings": [material.warning]} if material.warning else {})}
    passphrase = params["passphrase"]
    previous = load_previous(params, "")
    spec = authority.parse_authority(place, params, replaces="".join(a.pem for a in previous.issuing))
    result = execute(
        check_mode=check_mode,
        subject=spec.directory,
        observe=lambda: store.read_material(spec.directory, passphrase),
        plan=lambda material: authority_plan.plan_authority(spec, material.state, now),
        apply=lambda plan: store.apply_authority(spec, plan, passphrase, now),
        describe=lambda material, plan: {
            **_describe(place, material, now),
            "waiting": authority_plan.waiting_text(spec, material.state),
            "obstacle": authority_plan.missing_key_text(spec, material.state),
        },
    )
    warnings = [text for text in (result["waiting"], result["obstacle"]) if text]
    return {**result, **({"warnings": warnings} if warnings else {})}


def _describe(place: str, material: store.Material, now: datetime.datetime) -> dict[str, Any]:
    facts: dict[str, Any] = authority_plan.describe_authority(place, material.state, now)
    # The task creates a missing authority.
    offered = store.offer_authority(place, material, now, may_be_missing=True)
    facts["authority"] = pack_authority(offered)
    if material.trust.issuing:
        facts["certificate"] = "".join(anchor.pem for anchor in material.trust.issuing)
        facts["trust_bundle"] = material.trust.renewed(CLIENT, None).text
    return facts
