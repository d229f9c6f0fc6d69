# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preset ``observe``: read the state of all containers, change nothing.

For Traefik, Prometheus, cAdvisor, Telegraf, Datadog, Homepage, Diun, and Dozzle without actions (which also
needs ``powers: {logs: all}``). It reads names, labels, mounts and command lines of all containers. Values of
environment variables are removed unless ``environment: true``.
"""

from __future__ import annotations

from typing import Any, Mapping

PRESET: Mapping[str, Any] = {
    "powers": {
        "ping": "all",
        "info": "all",
        "list": "all",
        "inspect": "all",
        "metrics": "all",
        "events": "all",
        "df": "all",
    },
}
