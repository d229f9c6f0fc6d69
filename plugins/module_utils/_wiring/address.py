# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Chooses the address at which a container reaches its engine, by the networks that it joins.

A container reaches the gateways of its own bridges directly. It reaches every other address of the
host by its default route, if that leads to the host. A plaintext listener is bound to the interface
of its bridge, so only gateways of the container's own bridges work.

Sources: moby, ``Endpoint.Less`` and ``Sandbox.getGatewayEndpoint`` (libnetwork): of several
networks, the default route uses the one with the highest priority, then one that is not
docker_gwbridge, is not internal, has both families, has IPv6, and then the first by name. From
Docker 28 on, ``selectGatewayEndpoint`` (``default_gateway.go``): the first network with both
families has both default routes, regardless of priority; without such a network, each family is
considered separately.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Optional

from .._base.address import SocketAddress, bracket
from .._base.errors import InvalidInput
from .._networks.gateways import SWARM_BRIDGE, Gateway, Topology, Unreachable, remedy_for_missing
from .spec import TCP, WiringSpec

LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Choice:
    """An address, and what prevents a container from using it.

    Attributes:
        address: the address; with an obstacle, the expected one once the obstacle is removed.
        obstacle: why it does not work now; empty if it works.
        remedy: what removes the obstacle.
    """

    address: str
    obstacle: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class _Route:
    """A network of the container through which a default route may lead."""

    name: str
    gateways: tuple[Gateway, ...]
    priority: int
    elsewhere: frozenset[int] = frozenset()

    @property
    def families(self) -> frozenset[int]:
        """The IP versions with a gateway; 4 if unknown, as for a bridge that does not exist yet."""
        known = self.elsewhere.union(gateway.family for gateway in self.gateways)
        return known or frozenset((4,))

    @property
    def rank(self) -> tuple[bool, int, bool, bool, str]:
        """The sort key: the first network has the default route of each of its families."""
        families = self.families
        return (len(families) < 2, -self.priority, self.name == SWARM_BRIDGE, 6 not in families, self.name)


def choose_address(spec: WiringSpec, topology: Topology, served: tuple[SocketAddress, ...]) -> Choice:
    """Return the first address that the container can reach and the listener serves.

    Args:
        spec: the specified wiring, with transport ``tls`` or ``tcp``.
        topology: the host's networks.
        served: the listener's addresses for that transport.

    Raises:
        InvalidInput: the container's networks have no route to the engine.
    """
    port = served_port(spec)
    addresses = tuple(address for address, number in served if number == port)
    candidates, why = _candidates(spec, topology)
    if not candidates:
        missing = [name for name in spec.joined if not _is_known(name, topology)]
        if not missing:
            raise _no_route(spec, topology)
        candidates = tuple(gateway.address for gateway in topology.gateways)
        chosen = next((address for address in candidates if address in addresses), next(iter(candidates), ""))
        text = f"there is no network {', '.join(missing)} on this host"
        return Choice(chosen, text, remedy_for_missing(missing[0], topology))
    chosen = next((address for address in candidates if address in addresses), "")
    return Choice(chosen) if chosen else _not_served(spec, topology, candidates, served, why)


def host_address(spec: WiringSpec, topology: Topology) -> str:
    """Return an address at which the container reaches published ports; empty if there is none."""
    if spec.joined[0] == "host":
        return LOOPBACK[0]
    return next(iter(near_addresses(spec, topology)), "")


def can_reach(spec: WiringSpec, topology: Topology, address: str) -> bool:
    """Report whether the container can reach an address of the host."""
    if spec.joined[0] == "host":
        return True
    if ipaddress.ip_address(address).is_loopback:
        return False
    family = ipaddress.ip_address(address).version
    return address in near_addresses(spec, topology) or family in _families_to_host(_routes(spec, topology))


def near_addresses(spec: WiringSpec, topology: Topology) -> tuple[str, ...]:
    """Return the gateways of the container's own bridges, that of its default route first."""
    return tuple(gateway.address for route in _routes(spec, topology) for gateway in route.gateways)


def served_port(spec: WiringSpec) -> int:
    """Return the TCP port of the listener for the transport."""
    return int(spec.insecure_plaintext_port or 0) if spec.transport == TCP else spec.port


def _candidates(spec: WiringSpec, topology: Topology) -> tuple[tuple[str, ...], str]:
    """Return the addresses to try, in order, and why the host's other addresses do not work."""
    own = tuple(gateway.address for gateway in topology.gateways)
    if spec.joined[0] == "host":
        if spec.transport == TCP:
            return LOOPBACK, "a plaintext listener on a bridge accepts no connections from the host itself"
        return (*LOOPBACK, *own), ""
    routes = _routes(spec, topology)
    near = near_addresses(spec, topology)
    if spec.transport == TCP or not routes:
        return near, "a plaintext listener accepts connections from its own bridge only"
    defaults = _default_routes(routes)
    elsewhere = next((item.name for family, item in sorted(defaults.items()) if family in item.elsewhere), "")
    to_host = _families_to_host(routes)
    far = (gateway.address for gateway in topology.gateways if gateway.family in to_host)
    why = f"the default route of the container leads through network {elsewhere}, and not to the host"
    return tuple(dict.fromkeys((*near, *far))), why if elsewhere else ""


def _default_routes(routes: tuple[_Route, ...]) -> dict[int, _Route]:
    """Return the network of the default route by address family."""
    return {family: route for route in reversed(routes) for family in route.families}


def _families_to_host(routes: tuple[_Route, ...]) -> set[int]:
    """Return the families whose default route leads to the host."""
    return {family for family, item in _default_routes(routes).items() if family not in item.elsewhere}


def _routes(spec: WiringSpec, topology: Topology) -> tuple[_Route, ...]:
    """Return the container's networks with a route out, that of the default route first."""
    routes = []
    for name in spec.joined:
        gateways, elsewhere = _gateways(name, topology), topology.elsewhere.get(name, frozenset())
        if gateways or elsewhere:
            routes.append(_Route(name, gateways, spec.gateway_priorities.get(name, 0), elsewhere))
    unreachable = (_find_unreachable(name, topology) for name in spec.joined)
    if not routes and any(network is not None and network.through for network in unreachable):
        return (_Route(SWARM_BRIDGE, _gateways(SWARM_BRIDGE, topology), 0),)
    return tuple(sorted(routes, key=lambda route: route.rank))


def _gateways(name: str, topology: Topology) -> tuple[Gateway, ...]:
    return tuple(gateway for gateway in topology.gateways if gateway.network == name)


def _find_unreachable(name: str, topology: Topology) -> Optional[Unreachable]:
    return next((network for network in topology.unreachable if network.network == name), None)


def _is_known(name: str, topology: Topology) -> bool:
    known = bool(_gateways(name, topology)) or _find_unreachable(name, topology) is not None
    return known or name.startswith("container:") or name == "host"


def _no_route(spec: WiringSpec, topology: Topology) -> InvalidInput:
    if spec.joined[0].startswith("container:"):
        subject = f"network_mode {spec.joined[0]}"
        text = "the gateways of that container's networks are not known, "
        text += f"and transport {spec.transport} requires one"
        remedy = "Set networks instead, or use transport unix"
        return InvalidInput(subject, problem=f"{subject}: {text}", remedy=remedy)
    unreachable = (_find_unreachable(name, topology) for name in spec.joined)
    network = next(found for found in unreachable if found)
    text = f"no route to the host, which transport {spec.transport} requires: {network.reason}"
    if network.through:
        text = f"transport {spec.transport} requires the gateway of network {network.through}, "
        text += "and this engine has no such network yet"
    instead = "transport unix" if network.through else network.instead
    subject, remedy = f"network {network.network}", f"Use {instead}, or join a bridge network as well"
    return InvalidInput(subject, problem=f"{subject}: {text}", remedy=remedy)


def _not_served(
    spec: WiringSpec,
    topology: Topology,
    candidates: tuple[str, ...],
    served: tuple[SocketAddress, ...],
    why: str,
) -> Choice:
    port = served_port(spec)
    addresses = tuple(address for address, number in served if number == port)
    others = sorted({number for _address, number in served} - {port})
    where = f"for wormholes{' in plaintext' if spec.transport == TCP else ''} on port {port}"
    reachable = ", ".join(candidates)
    if addresses:
        obstacle = f"dockerd listens at {', '.join(map(bracket, addresses))} {where}, "
        obstacle += f"but the container can reach only {reachable}"
        obstacle += f": {why}" if why else ""
    else:
        but = f", but on {', '.join(map(str, others))}" if others else ""
        obstacle = f"dockerd does not listen {where}{but}. The container can reach {reachable}"
    remedy = "Run the role wormhole.docker.listener for such an address and port first, or use transport "
    remedy += "tls or unix" if spec.transport == TCP else "unix"
    return Choice(_predicted(spec, topology, candidates), obstacle, remedy)


def _predicted(spec: WiringSpec, topology: Topology, candidates: tuple[str, ...]) -> str:
    """Return the listener's default address: that of docker0 if the container reaches it."""
    default = None if topology.default is None else topology.default.address
    if default in candidates:
        return str(default)
    first = next((g.address for g in topology.gateways if g.address in candidates), candidates[0])
    return candidates[0] if spec.transport == TCP else first
