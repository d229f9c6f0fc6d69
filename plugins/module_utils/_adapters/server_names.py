# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a server certificate has to name on this host: one answer for what issues it and for what checks it."""

from __future__ import annotations

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.daemon_config import read_config_text
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interfaces import observe_topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.daemon_json import PATH, parse_config
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import (
    NamedAddress,
    Topology,
    server_names,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.network_config import (
    parse_network_config,
    promised_names,
)


def observe_server_names(engine: EnginePort, path: str = PATH) -> tuple[Topology, tuple[NamedAddress, ...]]:
    """The host's Docker networks, and the names for them and for those that its configuration promises.

    Args:
        engine: the engine of this host.
        path: its configuration file.

    Raises:
        EngineUnavailable: the engine does not answer.
        Refused: the configuration is broken, or dockerd would not start with a value in it.
    """
    topology = observe_topology(engine.networks())
    pools = engine.info().get("DefaultAddressPools") or ()
    config = parse_network_config(parse_config(read_config_text(path), path), pools, path)
    return topology, server_names(topology, promised_names(config))
