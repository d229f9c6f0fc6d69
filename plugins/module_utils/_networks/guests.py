# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests: connect from a Docker network like a container on it, without a container or an image.

A guest is a short-lived network namespace on the network's bridge. It needs a free address of the
network. The engine assigns addresses to containers only, so the guest uses one that the engine
would assign last:

- outside the network's ``ip_range``, if it has one: the engine assigns no address there by itself;
- otherwise from the top of the subnet: the engine assigns addresses in ascending order (moby,
  ``libnetwork/ipam``; seen on Docker 20.10 and 26.1).

Addresses that the engine knows to be in use, or reserved for a stopped container, are left out;
:mod:`_networks.io.guests` checks the others on the network itself. The default route of containers
is the gateway, unless dockerd's option ``default-gateway`` sets another: IPAM then has that address
as DEFAULT_GATEWAY.
"""

from __future__ import annotations

import ipaddress
import itertools
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping, Optional, Union

from .._base.errors import InvalidInput, WormholeError
from .gateways import DEFAULT_GATEWAY, Gateway, Topology, Unreachable, parse_subnet, subnets_of

HOST_DRIVER = "host"

_CANDIDATES = 8

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@dataclass(frozen=True)
class GuestAddress:
    """An address for a guest, and its default route.

    Attributes:
        candidates: addresses not known to be in use, the best first; at least one.
        prefix_length: prefix length of the subnet.
        gateway: the host's address on the network.
        next_hop: the next hop of the containers' default route; usually the gateway.
    """

    candidates: tuple[str, ...]
    prefix_length: int
    gateway: str
    next_hop: str

    @property
    def family(self) -> int:
        """4 or 6."""
        return ipaddress.ip_address(self.gateway).version


@dataclass(frozen=True)
class Guest:
    """A guest of a network.

    Attributes:
        network: the Docker network's name.
        bridge: the bridge interface on the host.
        addresses: one or two, IPv4 first.
    """

    network: str
    bridge: str
    addresses: tuple[GuestAddress, ...]


def find_network(networks: Iterable[Mapping[str, Any]], name: str) -> Mapping[str, Any]:
    """Finds a network by its name or full ID among those of ``GET /networks``.

    Raises:
        InvalidInput: no network, or more than one, has this name.
    """
    known = list(networks)
    found = [network for network in known if name in (network.get("Name"), network.get("Id"))]
    if len(found) == 1:
        return found[0]
    if found:
        problem = f"{len(found)} networks have the name {name}"
        remedy = "Use the full ID of one of them: docker network ls --no-trunc"
        raise InvalidInput(f"network {name}", problem=problem, remedy=remedy)
    names = ", ".join(sorted(str(network.get("Name", "")) for network in known))
    problem = f"There is no network {name} on this host" + (f", only {names}" if names else "")
    raise InvalidInput(f"network {name}", problem=problem)


def find_obstacle(topology: Topology, network: Mapping[str, Any]) -> Optional[Unreachable]:
    """Why containers on a network cannot route to the host; None: they can, or use network host."""
    if network.get("Driver") == HOST_DRIVER:
        return None
    name = str(network.get("Name", ""))
    return next((entry for entry in topology.unreachable if entry.network == name), None)


def plan_guest(
    topology: Topology, network: Mapping[str, Any], attached: Iterable[Mapping[str, Any]]
) -> Guest:
    """Chooses the addresses of a guest on a network with a route to the host.

    Args:
        attached: the networks of each container of the host, also of stopped ones, as returned by
            :func:`_container.inspection.networks_of`.

    Raises:
        WormholeError: the network has no free address.
    """
    name = str(network.get("Name", ""))
    gateways = [gateway for gateway in topology.gateways if gateway.network == name]
    taken = _taken(network, attached) | {ipaddress.ip_address(gateway.address) for gateway in gateways}
    chosen = []
    for family in (4, 6):
        # A container gets one address from the first subnet of each family, too.
        own = [gateway for gateway in gateways if gateway.family == family]
        chosen += [_choose(gateway, network, taken) for gateway in own[:1]]
    return Guest(name, gateways[0].interface, tuple(chosen))


def _choose(gateway: Gateway, network: Mapping[str, Any], taken: set[_Address]) -> GuestAddress:
    subnet = ipaddress.ip_network(gateway.subnet)
    config = _config(network, subnet)
    free = (str(address) for address in _from_the_top(subnet, config.get("IPRange")) if address not in taken)
    candidates = tuple(itertools.islice(free, _CANDIDATES))
    if not candidates:
        subject = f"network {gateway.network}"
        remedy = "Connect from one of its containers: set option container"
        raise WormholeError(subject, problem=f"{subject} has no free address in {subnet}", remedy=remedy)
    auxiliary = config.get("AuxiliaryAddresses") or {}
    next_hop = auxiliary.get(f"{DEFAULT_GATEWAY}{subnet.version}") or gateway.address
    return GuestAddress(candidates, subnet.prefixlen, gateway.address, str(next_hop))


def _config(network: Mapping[str, Any], subnet: _Network) -> Mapping[str, Any]:
    entries = subnets_of(network)
    return next((entry for entry in entries if parse_subnet(entry.get("Subnet") or "::/128") == subnet), {})


def _from_the_top(subnet: _Network, ip_range: Optional[str]) -> Iterator[_Address]:
    """The addresses of a subnet in descending order: those outside the range, then those inside."""
    lowest = int(subnet.network_address) + 1
    # The last address of an IPv4 subnet is its broadcast address. The last 128 of an IPv6 /64 are
    # anycast addresses (RFC 2526).
    wide = subnet.version == 6 and subnet.prefixlen <= 64
    highest = int(subnet.broadcast_address) - (128 if wide else 1)
    if ip_range:
        inner = ipaddress.ip_network(ip_range, strict=False)
        first, last = int(inner.network_address), int(inner.broadcast_address)
        yield from _descending(subnet, highest, max(lowest, last + 1))
        yield from _descending(subnet, min(highest, first - 1), lowest)
        yield from _descending(subnet, min(highest, last), max(lowest, first))
    else:
        yield from _descending(subnet, highest, lowest)


def _descending(subnet: _Network, first: int, last: int) -> Iterator[_Address]:
    kind = ipaddress.IPv6Address if subnet.version == 6 else ipaddress.IPv4Address
    return (kind(number) for number in range(first, last - 1, -1))


def _taken(network: Mapping[str, Any], attached: Iterable[Mapping[str, Any]]) -> set[_Address]:
    """The addresses that containers on a network have or will have, or that IPAM reserves."""
    found = []
    for endpoints in attached:
        for endpoint in endpoints.values():
            if endpoint.get("NetworkID") in (network.get("Id"), "", None):
                own = endpoint.get("IPAMConfig") or {}
                found += [endpoint.get("IPAddress"), endpoint.get("GlobalIPv6Address")]
                found += [own.get("IPv4Address"), own.get("IPv6Address")]
    for config in subnets_of(network):
        found += (config.get("AuxiliaryAddresses") or {}).values()
    return {ipaddress.ip_address(text.split("/", maxsplit=1)[0]) for text in found if text}
