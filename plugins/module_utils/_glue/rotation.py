# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arguments of certificate_rotation, for the module and its action plugin."""

from __future__ import annotations

from typing import Any

from .._certificates.rotation import STEPS
from .authority_options import previous_argument

ROTATION_ARGUMENTS: dict[str, Any] = {
    "step": {"type": "str", "required": True, "choices": list(STEPS)},
    "directories": {"type": "list", "elements": "str", "default": ["/etc/wormhole"]},
    **previous_argument(),
}
