# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arguments of certificate_rotation, for the module and its action plugin."""

from __future__ import annotations

from typing import Any, Final

from .._certificates.rotation import STEPS
from .authority_options import previous_argument

COMPROMISED: Final = "compromised"
"""A key of the former authority may be in other hands, so its signatures prove nothing."""

REASON_ARGUMENT: dict[str, Any] = {
    "rotation_reason": {"type": "str", "default": "regular", "choices": ["regular", COMPROMISED]}
}

ROTATION_ARGUMENTS: dict[str, Any] = {
    "step": {"type": "str", "required": True, "choices": list(STEPS)},
    "directories": {"type": "list", "elements": "str", "default": ["/etc/wormhole"]},
    **REASON_ARGUMENT,
    **previous_argument(),
}
