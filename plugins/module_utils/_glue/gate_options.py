# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of wormhole_gate."""

from __future__ import annotations

from typing import Any, get_args

from .._gate_host.spec import GateHostSpec, State

DEFAULTS = GateHostSpec()

ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": {"type": "str", "choices": list(get_args(State)), "default": DEFAULTS.state},
    "connections": {"type": "int", "default": DEFAULTS.connections},
    "memory": {"type": "str", "default": DEFAULTS.memory},
    "tls_directory": {"type": "str", "default": DEFAULTS.tls_directory},
    "wormholes_removed": {"type": "list", "elements": "str", "default": list(DEFAULTS.wormholes_removed)},
}

INTERNAL: dict[str, dict[str, Any]] = {"program": {"type": "str"}, "program_content": {"type": "str"}}
"""Options that the action plugin sets."""
