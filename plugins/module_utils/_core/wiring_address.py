# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""At which address a container reaches its engine: a matter of the networks that it is on.

A container reaches the gateways of its own bridges directly, and every other address of the host by its default route,
where that leads to the host. Plaintext listeners are bound to the interface of their bridge, so there only the
gateways of the container's own bridges count.

Sources: moby, ``Endpoint.Less`` and ``Sandbox.getGatewayEndpoint`` (libnetwork): of several networks the default route
follows the priority, then what is not docker_gwbridge, not internal, has both families, then IPv6, then the name. From
Docker 28 on, ``selectGatewayEndpoint`` (``default_gateway.go``): the first network with both families has both default
routes, whatever the priority of those with one; without such a network, each family goes by itself.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import (
    SWARM_BRIDGE,
    Gateway,
    Topology,
    Unreachable,
    remedy_for_missing,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import TCP, WiringSpec

LOOPBACK = ("127.0.0.1", "::1")


@dataclass(frozen=True)
class Choice:
    """An address, and what keeps it from working.

    Attributes:
        address: the one to use; where there is an obstacle, the one that is to be expected once it is gone.
        obstacle: empty if it works as things are.
        remedy: what removes the obstacle.
    """

    address: str
    obstacle: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class _Way:
    """A network of the container's, as far as it has to do with ways out."""

    name: str
    gateways: tuple[Gateway, ...]
    priority: int
    elsewhere: frozenset[int] = frozenset()

    @property
    def families(self) -> frozenset[int]:
        """Those that have a gateway; IPv4 where none is known yet, as of a bridge that the engine has still to make."""
        known = self.elsewhere.union(gateway.family for gateway in self.gateways)
        return known or frozenset((4,))

    @property
    def rank(self) -> tuple[bool, int, bool, bool, str]:
        """The smallest has the default route of each family that it has."""
        families = self.families
        return (len(families) < 2, -self.priority, self.name == SWARM_BRIDGE, 6 not in families, self.name)


def choose_address(spec: WiringSpec, topology: Topology, served: tuple[tuple[str, int], ...]) -> Choice:
    """The address for a transport that goes by TCP: the first that is served, of those that the container can reach.

    Args:
        spec: the wiring that is wanted.
        topology: the host's networks.
        served: where that transport is served.

    Raises:
        InvalidInput: there is no way from the container's networks to the engine.
    """
    port = served_port(spec)
    addresses = tuple(address for address, number in served if number == port)
    candidates, why = _candidates(spec, topology)
    missing = [name for name in spec.joined if not _is_known(name, topology)]
    if not candidates and not missing:
        raise _no_way(spec, topology)
    if missing and not candidates:
        candidates = tuple(gateway.address for gateway in topology.gateways)
        chosen = next((address for address in candidates if address in addresses), next(iter(candidates), ""))
        text = f"there is no network {', '.join(missing)} on this host"
        return Choice(chosen, text, remedy_for_missing(missing[0], topology))
    for candidate in candidates:
        if candidate in addresses:
            return Choice(candidate)
    return _not_served(spec, topology, candidates, served, why)


def host_address(spec: WiringSpec, topology: Topology) -> str:
    """An address at which the container reaches ports that the host publishes; empty if there is none."""
    if spec.joined[0] == "host":
        return LOOPBACK[0]
    return next(iter(near_addresses(spec, topology)), "")


def near_addresses(spec: WiringSpec, topology: Topology) -> tuple[str, ...]:
    """The gateways of the container's own bridges, that of its default route first."""
    return tuple(gateway.address for way in _ways(spec, topology) for gateway in way.gateways)


def served_port(spec: WiringSpec) -> int:
    """The TCP port of the listener that a transport goes to."""
    return int(spec.insecure_plaintext_port or 0) if spec.transport == TCP else spec.port


def bracketed(address: str) -> str:
    """An address as it stands in a URL."""
    try:
        return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    except ValueError:
        return address


def _candidates(spec: WiringSpec, topology: Topology) -> tuple[tuple[str, ...], str]:
    """The addresses to try, in this order, and why some of the host's are not among them."""
    own = tuple(gateway.address for gateway in topology.gateways)
    if spec.joined[0] == "host":
        if spec.transport == TCP:
            return LOOPBACK, "a plaintext listener on a bridge takes nothing from the host itself"
        return (*LOOPBACK, *own), ""
    ways = _ways(spec, topology)
    near = near_addresses(spec, topology)
    if spec.transport == TCP or not ways:
        return near, "a plaintext listener takes only what comes from its own bridge"
    routes = {family: way for way in reversed(ways) for family in way.families}
    astray = next((way.name for family, way in sorted(routes.items()) if family in way.elsewhere), "")
    home = {family for family, way in routes.items() if family not in way.elsewhere}
    far = (gateway.address for gateway in topology.gateways if gateway.family in home)
    why = f"the default route of the container leads through network {astray}, and not to the host"
    return tuple(dict.fromkeys((*near, *far))), why if astray else ""


def _ways(spec: WiringSpec, topology: Topology) -> tuple[_Way, ...]:
    """The container's networks that have a way out, the one with the default route first."""
    ways = []
    swarm = False
    for name in spec.joined:
        priority = spec.gateway_priorities.get(name, 0)
        gateways = _gateways(name, topology)
        elsewhere = topology.elsewhere.get(name, frozenset())
        network = _find_unreachable(name, topology)
        if gateways or elsewhere:
            ways.append(_Way(name, gateways, priority, elsewhere))
        elif network is not None and network.through:
            swarm = True
    if swarm and not ways:
        ways.append(_Way(SWARM_BRIDGE, _gateways(SWARM_BRIDGE, topology), 0))
    return tuple(sorted(ways, key=lambda way: way.rank))


def _gateways(name: str, topology: Topology) -> tuple[Gateway, ...]:
    return tuple(gateway for gateway in topology.gateways if gateway.network == name)


def _find_unreachable(name: str, topology: Topology) -> Optional[Unreachable]:
    return next((network for network in topology.unreachable if network.network == name), None)


def _is_known(name: str, topology: Topology) -> bool:
    known = bool(_gateways(name, topology)) or _find_unreachable(name, topology) is not None
    return known or name.startswith("container:") or name == "host"


def _no_way(spec: WiringSpec, topology: Topology) -> InvalidInput:
    transport = f"for transport {spec.transport}"
    if spec.joined[0].startswith("container:"):
        return InvalidInput(
            f"network_mode {spec.joined[0]}",
            expected=f"networks whose gateway is known, {transport}",
            remedy="Name the networks, or use transport unix",
        )
    network = next(found for found in (_find_unreachable(name, topology) for name in spec.joined) if found)
    if network.through:
        return InvalidInput(
            f"network {network.network}",
            expected=f"a gateway of network {network.through}, {transport}",
            found="that this engine has no such network yet",
            remedy="Use transport unix, or join a bridge network as well",
        )
    return InvalidInput(
        f"network {network.network}",
        expected=f"a network with a route to the host, {transport}",
        found=network.reason,
        remedy=f"Use {network.instead}, or join a bridge network as well",
    )


def _not_served(
    spec: WiringSpec,
    topology: Topology,
    candidates: tuple[str, ...],
    served: tuple[tuple[str, int], ...],
    why: str,
) -> Choice:
    port = served_port(spec)
    addresses = tuple(address for address, number in served if number == port)
    others = sorted({number for _address, number in served} - {port})
    where = "at " + ", ".join(map(bracketed, addresses)) if addresses else "nowhere"
    plainly = " in plaintext" if spec.transport == TCP else ""
    but = f", but on {', '.join(map(str, others))}" if others and not addresses else ""
    obstacle = (
        f"dockerd listens {where} for wormholes{plainly} on port {port}{but}, "
        f"and the container can reach {', '.join(candidates)}"
    ) + (f": {why}" if addresses and why else "")
    return Choice(
        _predicted(spec, topology, candidates),
        obstacle,
        "Run the role wormhole.docker.listener for such an address and port first, or use transport "
        + ("tls or unix" if spec.transport == TCP else "unix"),
    )


def _predicted(spec: WiringSpec, topology: Topology, candidates: tuple[str, ...]) -> str:
    """What the listener serves unless it is told otherwise: docker0's address, for whom that is in reach."""
    default = None if topology.default is None else topology.default.address
    if default in candidates:
        return str(default)
    first = next((g.address for g in topology.gateways if g.address in candidates), candidates[0])
    return candidates[0] if spec.transport == TCP else first
