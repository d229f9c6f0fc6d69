# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check policies on the controller, where the tables of the Engine API are at hand."""

from __future__ import annotations

from typing import Optional

from ansible_collections.wormhole.docker.plugins.module_utils._access.spec import AccessSpec
from ansible_collections.wormhole.docker.plugins.module_utils._policy.policy_file import parse_policy


def check_policy(access: Optional[AccessSpec]) -> None:
    """Check a policy as the gate will.

    Args:
        access: the policy of a task; None if it sets none.

    Raises:
        InvalidInput: an override is unknown, is malformed, or contradicts another one.
    """
    if access is not None:
        parse_policy(access.document)
