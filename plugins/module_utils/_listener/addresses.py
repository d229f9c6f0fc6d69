# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resolves the addresses to listen on: gateways, loopback, and further addresses of the host.

Every function raises Refused if an address of the option addresses is neither loopback nor a
gateway of this host, or if there is no default bridge to stand for a missing option.
"""

from __future__ import annotations

import ipaddress
from typing import Optional

from .._base.address import SocketAddress
from .._base.errors import Refused
from .._firewall.model import Opening, Restriction
from .._networks.gateways import DEFAULT_BRIDGE, Topology
from .spec import EVERY_GATEWAY, ListenerSpec

_NO_GATEWAY = (
    "Create a bridge network for the wormholes first (docker network create NAME), and set addresses to "
    f"[{EVERY_GATEWAY}], or set transports to [unix]"
)


def resolve_gateways(spec: ListenerSpec, topology: Topology) -> tuple[str, ...]:
    """Resolves the option addresses."""
    if not spec.addresses:
        if topology.default is None:
            problem = "addresses is not set, and the engine has no default bridge (docker0) to listen on"
            remedy = f"Set addresses to gateways of this host: {_known(topology)}"
            raise _refused(problem, remedy if topology.gateways else _NO_GATEWAY)
        return (topology.default.address,)
    addresses: list[str] = []
    for address in spec.addresses:
        if address == EVERY_GATEWAY:
            addresses += _every_gateway(topology)
        elif topology.find(address) is None and not ipaddress.ip_address(address).is_loopback:
            family = ipaddress.ip_address(address).version
            raise _refused(
                f"addresses lists {address}, which is neither loopback nor a gateway of a bridge network",
                "To listen on another address of the host, list it in host_addresses instead. "
                + (
                    f"The gateways of this host are: {_known(topology, family)}"
                    if topology.gateways
                    else _NO_GATEWAY
                ),
            )
        else:
            addresses.append(address)
    return tuple(dict.fromkeys(addresses))


def resolve_addresses(spec: ListenerSpec, topology: Topology) -> tuple[str, ...]:
    """Resolves all addresses to listen on by TLS; none without transport tls."""
    if not spec.tls:
        return ()
    return tuple(dict.fromkeys((*resolve_gateways(spec, topology), *spec.host_addresses)))


def candidate_addresses(
    spec: ListenerSpec, topology: Topology, after_restart: Optional[Topology]
) -> tuple[str, ...]:
    """Resolves the addresses to listen on before and after a restart; one of the two suffices."""
    found: list[str] = []
    refusals = []
    for candidate in filter(None, (topology, after_restart)):
        try:
            found += resolve_addresses(spec, candidate)
        except Refused as refusal:
            refusals.append(refusal)
    if refusals and not found:
        raise refusals[0]
    return tuple(dict.fromkeys(found))


def insecure_endpoints(spec: ListenerSpec, topology: Topology) -> tuple[SocketAddress, ...]:
    """Resolves where plaintext is served: on gateways and loopback, not on host_addresses."""
    port = spec.insecure_plaintext_port
    if port is None:
        return ()
    return tuple(SocketAddress(address, port) for address in resolve_gateways(spec, topology))


def required_openings(spec: ListenerSpec, topology: Topology) -> tuple[Opening, ...]:
    """Lists the connections that a firewall has to accept.

    Containers on every bridge connect to docker0, and to another gateway only from its own bridge.
    """
    openings = []
    for address in resolve_gateways(spec, topology) if spec.tls else ():
        own = topology.find(address)
        for gateway in topology.gateways:
            if own is None or gateway.family != own.family:
                continue
            if own.network == DEFAULT_BRIDGE or gateway.interface == own.interface:
                openings.append(Opening(gateway.interface, address, spec.port))
    for address, port in insecure_endpoints(spec, topology):
        own = topology.find(address)
        if own is not None:
            openings.append(Opening(own.interface, address, port))
    return tuple(sorted(set(openings)))


def required_restriction(
    spec: ListenerSpec, topology: Topology, bridges: tuple[str, ...]
) -> Optional[Restriction]:
    """The ports that neighbours cannot reach: those of all addresses but host_addresses.

    Args:
        bridges: the host's bridges that are none of the engine's.
    """
    if not (spec.tls and spec.drops_neighbours):
        return None
    addresses = [
        address for address in resolve_gateways(spec, topology) if address not in spec.host_addresses
    ]
    ports = tuple(sorted(SocketAddress(address, spec.port) for address in addresses))
    return Restriction(ports, bridges) if ports else None


def _every_gateway(topology: Topology) -> list[str]:
    if not topology.gateways:
        problem = f"addresses lists {EVERY_GATEWAY}, but no bridge network of this host has a gateway"
        raise _refused(problem, _NO_GATEWAY)
    return [gateway.address for gateway in topology.gateways]


def _refused(problem: str, remedy: str) -> Refused:
    return Refused("option addresses", problem=problem, remedy=remedy)


def _known(topology: Topology, family: int = 0) -> str:
    """The gateways of a host as text: those of the family if it has any, otherwise all."""
    gateways = [gateway for gateway in topology.gateways if gateway.family == family] or topology.gateways
    return ", ".join(f"{gateway.address} ({gateway.origin})" for gateway in gateways)
