# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arguments of certificate_rotation, for the module, its action plugin and the signing module."""

from __future__ import annotations

from typing import Any, Final

from .._certificates.rotation import ISSUING_STEPS, STEPS
from .authority_options import previous_argument

_DIRECTORIES: dict[str, Any] = {"type": "list", "elements": "str", "default": ["/etc/wormhole"]}
_NAMES: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
COMPROMISED: Final = "compromised"
"""The reason of a rotation if a key may be in other hands. Signatures then prove nothing."""

_REASON: dict[str, Any] = {"type": "str", "default": "regular", "choices": ["regular", COMPROMISED]}

ROTATION_ARGUMENTS: dict[str, Any] = {
    "step": {"type": "str", "required": True, "choices": list(STEPS)},
    "directories": _DIRECTORIES,
    "subject_alternative_names": _NAMES,
    "rotation_reason": _REASON,
    **previous_argument(),
}

SIGNATURE_ARGUMENTS: dict[str, Any] = {
    "step": {"type": "str", "choices": list(ISSUING_STEPS)},
    "directories": _DIRECTORIES,
    "subject_alternative_names": _NAMES,
    "rotation_reason": _REASON,
}
"""The same for certificate_signature, which signs in the steps that issue certificates."""
