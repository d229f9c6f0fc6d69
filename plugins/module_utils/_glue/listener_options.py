# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of dockerd_listener."""

from __future__ import annotations

from typing import Any, get_args

from .._listener.spec import (
    ExistingListeners,
    Firewall,
    ListenerSpec,
    Neighbours,
    RunningContainers,
    ServedBy,
    State,
    Transport,
)

DEFAULTS = ListenerSpec()


def _choice(values: Any, default: str) -> dict[str, Any]:
    return {"type": "str", "choices": list(get_args(values)), "default": default}


ARGUMENTS: dict[str, dict[str, Any]] = {
    "state": _choice(State, DEFAULTS.state),
    "transports": {
        "type": "list",
        "elements": "str",
        "choices": list(get_args(Transport)),
        "default": list(DEFAULTS.transports),
    },
    "served_by": _choice(ServedBy, DEFAULTS.served_by),
    "addresses": {"type": "list", "elements": "str"},
    "host_addresses": {"type": "list", "elements": "str", "default": list(DEFAULTS.host_addresses)},
    "port": {"type": "int", "default": DEFAULTS.port},
    "directory": {"type": "path", "default": DEFAULTS.directory},
    "unix_directory": {"type": "path", "default": DEFAULTS.unix_directory},
    "insecure_plaintext_port": {"type": "int"},
    "existing_listeners": _choice(ExistingListeners, DEFAULTS.existing_listeners),
    "live_restore": {"type": "bool"},
    "firewall": _choice(Firewall, DEFAULTS.firewall),
    "neighbours": {"type": "str", "choices": list(get_args(Neighbours))},
    "material_changed": {"type": "bool", "default": DEFAULTS.material_changed},
    "running_containers": _choice(RunningContainers, DEFAULTS.running_containers),
    "wormholes_removed": {"type": "list", "elements": "str", "default": list(DEFAULTS.wormholes_removed)},
}
