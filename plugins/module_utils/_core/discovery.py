# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the program ``files/wormhole-discover`` tries in a container, in its order.

The program is a shell script, because a container has nothing else for certain. This says the same in Python: for the
proof that what it settled on is what it had to settle on, and as what its tests compare it with.
"""

from __future__ import annotations

import ipaddress
from typing import Iterable, Iterator, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import find_in_hosts
from ansible_collections.wormhole.docker.plugins.module_utils._core.routes import Route, default_gateways
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import HOST_NAME

GATEWAYS, HOST_GATEWAY, NETWORKS = SOURCES = ("gateways", "host-gateway", "networks")
"""Words of ``WORMHOLE_CANDIDATES``, in the order that is the default."""


def find_candidates(routes: Sequence[Route], hosts: str, wanted: Iterable[str] = SOURCES) -> tuple[str, ...]:
    """Addresses that the program tries, in order, each once.

    Args:
        routes: the main routing tables of the container's network namespace.
        hosts: the container's ``/etc/hosts``.
        wanted: words of ``WORMHOLE_CANDIDATES``: some of :data:`SOURCES`, addresses, host names.
    """
    found: list[str] = []
    for word in wanted:
        if word == GATEWAYS:
            found.extend(default_gateways(routes))
        elif word == HOST_GATEWAY:
            found.extend(find_in_hosts(hosts, HOST_NAME))
        elif word == NETWORKS:
            found.extend(_first_addresses(routes))
        else:
            found.append(word.removeprefix("[").removesuffix("]"))
    return tuple(dict.fromkeys(found))


def _first_addresses(routes: Iterable[Route]) -> Iterator[str]:
    """The first address of each network on the link, IPv4 before IPv6: where Docker puts the gateway by default.

    Networks with less than four addresses, link-local and multicast ones have none.
    """
    networks = [
        ipaddress.ip_network(route.destination)
        for route in routes
        if not (route.gateway or route.reject or route.is_default or route.interface == "lo")
    ]
    for network in sorted(networks, key=lambda network: network.version):
        if network.num_addresses >= 4 and not network.is_link_local and not network.is_multicast:
            yield str(network.network_address + 1)
