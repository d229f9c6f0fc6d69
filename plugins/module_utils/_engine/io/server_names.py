# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe the names that this host's server certificate needs."""

from __future__ import annotations

from ..._networks.gateways import NamedAddress, Topology, server_names
from ..._networks.io.interfaces import observe_topology
from ..network_config import parse_network_config, promised_names
from ..port import EnginePort
from .daemon_config import read_config


def observe_server_names(engine: EnginePort) -> tuple[Topology, tuple[NamedAddress, ...]]:
    """The host's Docker networks, and the names for these and for networks to come.

    Raises:
        EngineUnavailable: the engine does not answer.
        Refused: the configuration is broken, or dockerd would not start with a value in it.
    """
    topology = observe_topology(engine.networks())
    pools = engine.info().get("DefaultAddressPools") or ()
    found = read_config()
    config = parse_network_config(found.keys, pools, found.path)
    return topology, server_names(topology, promised_names(config, found.path))
