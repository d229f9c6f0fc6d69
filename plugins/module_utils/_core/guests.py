# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests: how to look from a Docker network as a container on it would, without a container and without an image.

A guest is a network namespace on the network's bridge, for as long as a look takes. It needs an address there that
nobody has. The engine cannot lend one without a container, so it is taken where the engine would come to last:

- outside of the network's ``ip_range``, where there is one, for the engine gives nothing out there by itself;
- else from the top of the subnet, for the engine gives addresses out in ascending order (moby,
  ``libnetwork/ipam``; seen on Docker 20.10 and 26.1).

Addresses that the engine knows to be in use, or reserved for a stopped container, are left out; of the others
:mod:`_adapters.guests` asks on the network itself. Containers' default route is the gateway, unless dockerd's option
``default-gateway`` says otherwise: then IPAM keeps that address under the name below.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping, Optional, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import (
    DEFAULT_GATEWAY,
    Gateway,
    Topology,
    Unreachable,
    parse_subnet,
)

HOST_DRIVER = "host"

_CANDIDATES = 8

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


@dataclass(frozen=True)
class GuestAddress:
    """An address for a guest, and its default route.

    Attributes:
        candidates: addresses that nobody is known to have, the best first; at least one.
        prefix_length: of the subnet.
        gateway: the host's address on the network.
        next_hop: where the default route of the network's containers leads; mostly the gateway.
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
    """What a guest of a network is made of.

    Attributes:
        network: the Docker network's name.
        bridge: the bridge interface on the host.
        addresses: one or two, IPv4 first.
    """

    network: str
    bridge: str
    addresses: tuple[GuestAddress, ...]


def find_network(networks: Iterable[Mapping[str, Any]], wanted: str) -> Mapping[str, Any]:
    """A network by its name or its full ID, as the Engine API lists them (``GET /networks``).

    Raises:
        InvalidInput: there is none, or more than one of that name.
    """
    known = list(networks)
    found = [network for network in known if wanted in (network.get("Name"), network.get("Id"))]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidInput(
            f"network {wanted}",
            expected="one of that name",
            found=f"{len(found)}",
            remedy="Give the full ID of the one that is meant: docker network ls --no-trunc",
        )
    names = ", ".join(sorted(str(network.get("Name", "")) for network in known))
    raise InvalidInput(f"network {wanted}", expected="to exist", found=f"only {names or 'none at all'}")


def find_obstacle(topology: Topology, network: Mapping[str, Any]) -> Optional[Unreachable]:
    """Why containers of a network have no path to the host; None if they have, and for the host's own network."""
    if network.get("Driver") == HOST_DRIVER:
        return None
    name = str(network.get("Name", ""))
    return next((entry for entry in topology.unreachable if entry.network == name), None)


def plan_guest(
    topology: Topology, network: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]
) -> Guest:
    """Chooses the addresses of a guest.

    Args:
        topology: the host's networks.
        network: one of them, whose containers have a path to the host.
        containers: all of the host's, stopped ones too, as the Engine API lists them (``GET /containers/json``).

    Raises:
        WormholeError: no address is left.
    """
    name = str(network.get("Name", ""))
    gateways = _gateways(topology, name)
    taken = _taken(network, containers) | {ipaddress.ip_address(gateway.address) for gateway in gateways}
    chosen = []
    for family in (4, 6):
        # One address is enough: a container gets one from the first subnet of each family, too.
        gateway = next((gateway for gateway in gateways if gateway.family == family), None)
        if gateway is not None:
            chosen.append(_choose(gateway, network, taken))
    return Guest(name, gateways[0].interface, tuple(chosen))


def _gateways(topology: Topology, network: str) -> list[Gateway]:
    return [gateway for gateway in topology.gateways if gateway.network == network]


def _choose(gateway: Gateway, network: Mapping[str, Any], taken: set[_Address]) -> GuestAddress:
    subnet = ipaddress.ip_network(gateway.subnet)
    config = _config(network, subnet)
    candidates = []
    for address in _from_the_top(subnet, config.get("IPRange")):
        if address not in taken:
            candidates.append(str(address))
        if len(candidates) == _CANDIDATES:
            break
    if not candidates:
        raise WormholeError(
            f"network {gateway.network}",
            expected=f"an address in {subnet} that nobody has",
            found="none",
            remedy="Look from one of its containers: option container",
        )
    auxiliary = config.get("AuxiliaryAddresses") or {}
    next_hop = auxiliary.get(f"{DEFAULT_GATEWAY}{subnet.version}") or gateway.address
    return GuestAddress(tuple(candidates), subnet.prefixlen, gateway.address, str(next_hop))


def _config(network: Mapping[str, Any], subnet: _Network) -> Mapping[str, Any]:
    configs = (network.get("IPAM") or {}).get("Config") or []
    return next((entry for entry in configs if parse_subnet(entry.get("Subnet") or "::/128") == subnet), {})


def _from_the_top(subnet: _Network, ip_range: Optional[str]) -> Iterator[_Address]:
    """The addresses of a subnet, from the last one down: those outside of the range first."""
    lowest = int(subnet.network_address) + 1
    # The last address of an IPv4 subnet is its broadcast address; in IPv6 there is none, and anycast ones are there
    # (RFC 2526: the last 128 of a /64).
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


def _taken(network: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> set[_Address]:
    """Addresses of a network that containers have, or will have when they start, and those that IPAM reserves."""
    found = []
    for container in containers:
        attached = (container.get("NetworkSettings") or {}).get("Networks") or {}
        for endpoint in attached.values():
            if endpoint.get("NetworkID") in (network.get("Id"), "", None):
                own = endpoint.get("IPAMConfig") or {}
                found += [endpoint.get("IPAddress"), endpoint.get("GlobalIPv6Address")]
                found += [own.get("IPv4Address"), own.get("IPv6Address")]
    for config in (network.get("IPAM") or {}).get("Config") or []:
        found += (config.get("AuxiliaryAddresses") or {}).values()
    return {ipaddress.ip_address(text.split("/", maxsplit=1)[0]) for text in found if text}
