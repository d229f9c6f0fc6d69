# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Places to observe an endpoint from, each with its client's settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Optional

from ..._base.address import SocketAddress
from ..._base.errors import InvalidInput, VerificationFailed, WormholeError
from ..._container.inspection import networks_of, running_pid, variables_of
from ..._endpoint.io.reachability import observe_gateways
from ..._endpoint.layers import Layer
from ..._endpoint.model import DEFAULT_PORTS, TLS
from ..._engine.port import EnginePort
from ..._networks.gateways import Unreachable
from ..._networks.guests import HOST_DRIVER, Guest, find_network, find_obstacle, plan_guest
from ..._networks.io.interfaces import observe_topology
from ..._wiring.wire import Wiring
from ..interference import diagnose_environment
from ..settings import ClientSettings, parse_client_settings
from .discovery import candidates, find_wiring


@dataclass(frozen=True)
class Place:
    """A place, by default this host, and the settings of a client there.

    Attributes:
        client: the client's settings; empty if there are none.
        pid: a process in the network namespace to observe from; 0 for this process's own.
        guest: the guest on the Docker network to observe from; None for other places.
        obstacle: why containers of that network cannot reach the host; None if they can.
        environment: the layer of a container's variables; None for other places.
    """

    client: ClientSettings = ClientSettings("", 0, TLS, "")
    pid: int = 0
    guest: Optional[Guest] = None
    obstacle: Optional[Unreachable] = None
    environment: Optional[Layer] = None


def container_place(
    engine: EnginePort, container: str, *, address: str, directory: str, timeout: float
) -> Place:
    """A running container, by its name or full ID; see parse_client_settings() for the options.

    Raises:
        InvalidInput: there is no such container, or its settings name no TCP endpoint.
        WormholeError: the container does not run, or has no path to an engine.
    """
    inspection = engine.find_container(container)
    if inspection is None:
        raise InvalidInput(
            f"container {container}",
            remedy="Give its whole name or its full ID",
            problem=f"container {container} does not exist",
        )
    pid = running_pid(inspection)
    client = parse_client_settings(inspection, address=address, directory=directory)
    if not client.address and client.discovers:
        client = _discovered(container, pid, client)
    elif not client.address:
        client = replace(client, address=_gateway(container, pid, timeout))
    docker_host = f"tcp://{SocketAddress(client.address, client.port or DEFAULT_PORTS[client.transport])}"
    tls = client.transport == TLS
    return Place(
        client, pid, environment=diagnose_environment(variables_of(inspection), docker_host, tls=tls)
    )


def network_place(engine: EnginePort, name: str) -> Place:
    """A Docker network, by its name or full ID; this host for the network of driver ``host``.

    Raises:
        InvalidInput: there is no such network.
        WormholeError: the network has no free address.
    """
    networks = engine.networks()
    topology, network = observe_topology(networks), find_network(networks, name)
    if network["Driver"] == HOST_DRIVER:
        return Place(_at("127.0.0.1"))
    obstacle = find_obstacle(topology, network)
    if obstacle:
        address = topology.default.address if topology.default else "host.docker.internal"
        return Place(_at(address), obstacle=obstacle)
    guest = plan_guest(topology, network, map(networks_of, engine.containers(labels={})))
    return Place(_at(guest.addresses[0].gateway), guest=guest)


def _at(address: str) -> ClientSettings:
    return ClientSettings(address, 0, TLS, "")


def _discovered(container: str, pid: int, client: ClientSettings) -> ClientSettings:
    """The settings with the address that the program found, or the first one that it tries."""
    try:
        found = find_wiring(pid, Wiring("", port=client.port))
    except VerificationFailed as error:
        tried = candidates(pid)
        if not tried:
            raise WormholeError(
                f"container {container}",
                remedy="Attach it to a bridge network, or give an address",
                problem=f"container {container} is on no network with a route to the host",
            ) from error
        return replace(client, address=tried[0])
    return replace(client, address=found.address, port=found.port)


def _gateway(container: str, pid: int, timeout: float) -> str:
    gateways = observe_gateways(pid, timeout)
    if not gateways:
        raise WormholeError(
            f"container {container}",
            remedy="Attach it to a bridge network that is not internal, or give an address",
            problem=f"container {container} has no default route: it is on an internal network, or on none",
        )
    return gateways[0]
