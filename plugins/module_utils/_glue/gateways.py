# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Report every address at which a container can reach the engine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Mapping

from .._engine.io import server_names
from . import connection


def describe_gateways(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of gateway_info.

    Args:
        params: options of the module, with defaults.

    Raises:
        WormholeError: the engine does not answer.
    """
    topology, names = server_names.observe_server_names(connection.open_engine(params))
    return {
        "changed": False,
        "default_gateway": topology.default.address if topology.default else "",
        "gateways": [asdict(gateway) for gateway in topology.gateways],
        # Not "unreachable": Ansible takes a result with that key for a host that cannot be reached.
        "without_gateway": [
            {name: getattr(network, name) for name in ("network", "driver", "reason", "instead")}
            for network in topology.unreachable
        ],
        "subject_alternative_names": [asdict(name) for name in names],
    }
