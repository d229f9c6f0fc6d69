# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's addresses, and the routes that keep its packets on the machine.

This file runs no commands.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from lab.errors import LabError

# Reserved by RFC 2544 for benchmarks of network devices, so not used in real networks or Docker's
# default pools.
POOL = ipaddress.IPv4Network("198.18.0.0/15")

# No packet from the lab to these addresses may leave, whatever the machine's routes are.
PRIVATE_RANGES = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16")

BRIDGE = "lab0"
FIRST_HOST = 10
LAST_HOST = 250


@dataclass(frozen=True)
class Subnet:
    """The /24 of one lab."""

    network: ipaddress.IPv4Network

    @classmethod
    def parse(cls, text: str) -> Subnet:
        """Parse the result of `str`."""
        return cls(ipaddress.IPv4Network(text))

    def __str__(self) -> str:
        return str(self.network)

    @property
    def gateway(self) -> str:
        """The hosts' default gateway: the lab's bridge, whose namespace has no default route."""
        return str(self.network[1])

    @property
    def controller(self) -> str:
        """The address of the machine's own namespace on the lab's bridge."""
        return str(self.network[254])

    def host(self, octet: int) -> str:
        """Return a host's address."""
        return str(self.network[octet])

    def mac(self, octet: int) -> str:
        """Return a host's MAC address. It never changes: ARP caches stay valid after a reboot."""
        second, third = self.network.network_address.packed[1:3]
        return f"02:c6:{second:02x}:{third:02x}:00:{octet:02x}"


def choose_subnet(routes: Iterable[str], clone_key: str) -> Subnet:
    """Choose a /24 of the pool that no route of the machine overlaps.

    `routes` are the destinations of `ip route`; `clone_key` (hexadecimal) spreads clones over the
    pool.
    """
    taken = []
    for route in routes:
        try:
            network = ipaddress.ip_network(route, strict=False)
        except ValueError:
            continue  # "default" and the like
        if isinstance(network, ipaddress.IPv4Network) and network.prefixlen > 0:
            taken.append(network)
    candidates = list(POOL.subnets(new_prefix=24))
    start = int(clone_key, 16) % len(candidates)
    for candidate in candidates[start:] + candidates[:start]:
        if not any(candidate.overlaps(network) for network in taken):
            return Subnet(candidate)
    raise LabError(
        "no address range is free for the lab",
        expected=f"one /24 of {POOL} that no route overlaps",
        found=f"routes to {', '.join(map(str, taken))}",
        remedy="remove such a route, or stop the labs of other clones with ./dev lab down",
    )


def free_octet(taken: Iterable[int]) -> int:
    """Return the last octet of the next host's address."""
    used = set(taken)
    for octet in range(FIRST_HOST, LAST_HOST + 1):
        if octet not in used:
            return octet
    raise LabError("the lab is full", expected=f"at most {LAST_HOST - FIRST_HOST + 1} hosts")
