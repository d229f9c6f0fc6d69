# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preset ``discover``: read the state of the containers with a label, and see no others.

For Traefik. The label is ``traefik.enable=true``, or that of ``targets``.
"""

from __future__ import annotations

from typing import Any, Mapping

PRESET: Mapping[str, Any] = {
    "powers": {"ping": "all", "info": "all", "list": "targets", "inspect": "targets", "events": "targets"},
    "targets": {"labels": ["traefik.enable=true"]},
}
