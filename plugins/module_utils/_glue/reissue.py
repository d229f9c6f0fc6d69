# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse what a task allows to be signed again, where certificates are signed."""

from __future__ import annotations

from typing import Any, Mapping

from .._certificates.io.signing import Reissue
from .rotation import COMPROMISED


def parse_reissue(options: Mapping[str, Any]) -> Reissue:
    """Parse the options that certificate_rotation and certificate_signature share."""
    return Reissue(
        options["step"],
        options["directories"],
        options["subject_alternative_names"],
        is_compromised=options["rotation_reason"] == COMPROMISED,
    )
