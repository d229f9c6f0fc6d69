# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preset ``compose``: deploy projects that stay, with restart policies and the ports of ``ports``.

It builds nothing. ``labels: {required: {com.docker.compose.project: NAME}}`` limits it to one project.
"""

from __future__ import annotations

from typing import Any, Mapping

from . import ci

PRESET: Mapping[str, Any] = {
    **ci.PRESET,
    "ports": {"addresses": ["*"], "random": False},
    "restart": ["no", "on-failure", "always", "unless-stopped"],
    "cleanup": {"mode": "none"},
}
