# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preset ``tend``: read the state of all containers, and restart those with a label.

For autoheal; with ``verbs: [start, stop, restart]`` and other ``targets`` for dashboards.
"""

from __future__ import annotations

from typing import Any, Mapping

from . import observe

PRESET: Mapping[str, Any] = {
    **observe.PRESET,
    "powers": {**observe.PRESET["powers"], "container.life": "targets"},
    "verbs": ["restart"],
    "targets": {"labels": ["autoheal=true"]},
}
