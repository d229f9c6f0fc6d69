# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The words of a refusal."""

from __future__ import annotations

from .decision import Deny
from .policy import UNRESTRICTED, Policy
from .policy_file import OVERRIDES

_NOT_OURS = ("not_found",)
"""Codes that speak as the engine does, so that nobody learns that a policy was asked."""

_IMPERATIVES = ("Leave ", "Use ")
"""How an advice begins, as opposed to a list of what is allowed."""


def render_refusal(policy: Policy, deny: Deny) -> str:
    """Return the text of the error: what is refused, by which policy, what is allowed, where to change it."""
    if deny.code in _NOT_OURS:
        return deny.problem
    parts = [deny.problem]
    if deny.status == 403:
        parts.append(f"The policy {policy.preset} of {policy.identity} refuses this")
    if deny.allowed:
        is_list = deny.status == 403 and not deny.allowed.startswith(_IMPERATIVES)
        parts.append(f"Allowed: {deny.allowed}" if is_list else deny.allowed)
    if deny.setting:
        parts.append(f"The administrator can change {OVERRIDES}.{deny.setting} of this wormhole")
    elif deny.status == 403:
        parts.append(f"Only the policy {UNRESTRICTED} allows more")
    return ". ".join(parts) + "."
