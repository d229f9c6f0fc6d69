# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which addresses of a host a listener is for: gateways of its bridges, loopback, and what the user has named."""

from __future__ import annotations

import ipaddress
from typing import Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import Opening
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import DEFAULT_BRIDGE, Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    EVERY_GATEWAY,
    ListenerSpec,
)


def resolve_gateways(spec: ListenerSpec, topology: Topology) -> tuple[str, ...]:
    """The addresses for containers of this host.

    Raises:
        Refused: an address belongs to no bridge network of this host, or there is no default bridge.
    """
    if not spec.addresses:
        if topology.default is None:
            raise Refused(
                "option addresses",
                expected="a default bridge network (docker0) to take the address from",
                found="an engine without one",
                remedy="Name the gateways to listen on: " + _known(topology),
            )
        return (topology.default.address,)
    addresses: list[str] = []
    for address in spec.addresses:
        if address == EVERY_GATEWAY:
            addresses += _every_gateway(topology)
        elif topology.find(address) is None and not ipaddress.ip_address(address).is_loopback:
            raise Refused(
                "option addresses",
                expected="gateways of bridge networks of this host, or loopback",
                found=address,
                remedy=_instead(address, topology),
            )
        else:
            addresses.append(address)
    return tuple(dict.fromkeys(addresses))


def resolve_addresses(spec: ListenerSpec, topology: Topology) -> tuple[str, ...]:
    """Where dockerd is to listen by TLS on this host; nowhere if only another transport is asked for.

    Raises:
        Refused: as :func:`resolve_gateways`.
    """
    if not spec.tls:
        return ()
    return tuple(dict.fromkeys((*resolve_gateways(spec, topology), *spec.host_addresses)))


def candidate_addresses(
    spec: ListenerSpec, topology: Topology, after_restart: Optional[Topology]
) -> tuple[str, ...]:
    """Where to listen now, and after a restart.

    Raises:
        Refused: what is asked for is in neither.
    """
    found: list[str] = []
    refusals = []
    topologies = [topology] if after_restart is None else [topology, after_restart]
    for candidate in topologies:
        try:
            found += resolve_addresses(spec, candidate)
        except Refused as refusal:
            refusals.append(refusal)
    if len(refusals) == len(topologies):
        raise refusals[0]
    return tuple(dict.fromkeys(found))


def insecure_endpoints(spec: ListenerSpec, topology: Topology) -> tuple[tuple[str, int], ...]:
    """Where plaintext is to be served: on gateways and loopback only, never on addresses for other hosts.

    Raises:
        Refused: as :func:`resolve_gateways`.
    """
    if spec.insecure_plaintext_port is None:
        return ()
    return tuple((address, spec.insecure_plaintext_port) for address in resolve_gateways(spec, topology))


def wanted_openings(spec: ListenerSpec, topology: Topology) -> tuple[Opening, ...]:
    """What containers have to get through to: on docker0 from every bridge, on another gateway from its own bridge.

    Raises:
        Refused: as :func:`resolve_gateways`.
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


def _every_gateway(topology: Topology) -> list[str]:
    if not topology.gateways:
        raise Refused(
            "option addresses",
            expected="a bridge network with a route to the host",
            found="none on this host",
            remedy="Create one, or name an address",
        )
    return [gateway.address for gateway in topology.gateways]


def _instead(address: str, topology: Topology) -> str:
    family = ipaddress.ip_address(address).version
    remedy = "Nothing may listen beyond the bridges unless host_addresses names it; choose of: "
    return remedy + (
        ", ".join(f"{g.address} ({g.origin})" for g in topology.gateways if g.family == family)
        or _known(topology)
    )


def _known(topology: Topology) -> str:
    return ", ".join(f"{g.address} ({g.origin})" for g in topology.gateways) or "none"
