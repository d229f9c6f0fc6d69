# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preset ``unrestricted``: everything, recorded. It is root on the host."""

from __future__ import annotations

from typing import Any, Mapping

PRESET: Mapping[str, Any] = {"powers": {}, "environment": True}
