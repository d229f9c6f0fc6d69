# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check policies on the controller, where the tables of the Engine API are at hand."""

from __future__ import annotations

from typing import Optional

from ansible_collections.wormhole.docker.plugins.module_utils._access.plan import SERVE
from ansible_collections.wormhole.docker.plugins.module_utils._access.spec import AccessSpec
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy_file import parse_policy


def check_policy(access: Optional[AccessSpec], *, by_gate: bool = True) -> None:
    """Check a policy as the gate will.

    Args:
        access: the policy of a task; None if it sets none.
        by_gate: whether the gate may serve TLS on the host.

    Raises:
        InvalidInput: an override is unknown, is malformed, or contradicts another one; or dockerd
            serves TLS, and would let a certificate go around its policy.
    """
    if access is None:
        return
    parse_policy(access.document)
    if access.restricts and not access.door and not by_gate:
        subject = f"policy {access.preset}"
        problem = f"{subject} does not work with transport tls on this host: dockerd serves TLS, "
        problem += f"and would let the certificate of {access.identity} go around the policy"
        raise InvalidInput(
            subject,
            problem=problem,
            remedy=SERVE,
        )
