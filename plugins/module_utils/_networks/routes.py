# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel's routing tables, as ``/proc/net/route`` and ``/proc/net/ipv6_route`` print them.

Reading them needs no program, so it works in any container's network namespace. They hold the main
table, without routes of policy routing. Source: proc(5) and linux/route.h, linux/ipv6_route.h.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from sys import byteorder as NATIVE_BYTE_ORDER
from typing import Callable, Iterable, Optional, Union

_Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

_RTF_UP = 0x0001
_RTF_REJECT = 0x0200


@dataclass(frozen=True)
class Route:
    """One route.

    Attributes:
        destination: in CIDR notation; ``0.0.0.0/0`` and ``::/0`` are default routes.
        gateway: the next hop's address; empty if the destination is on the link.
        interface: the interface's name.
        metric: of two routes to the same destination, the one with the smaller metric is used.
        reject: whether it rejects packets (``unreachable``, ``blackhole``, ``prohibit``).
    """

    destination: str
    gateway: str
    interface: str
    metric: int
    reject: bool = False

    @property
    def is_default(self) -> bool:
        return self.destination in ("0.0.0.0/0", "::/0")


def parse_ipv4_routes(table: str, byteorder: str = NATIVE_BYTE_ORDER) -> tuple[Route, ...]:
    """Reads ``/proc/net/route``; skips lines that are no route, such as the heading.

    Args:
        table: text of the file.
        byteorder: byte order of the kernel, ``little`` or ``big``: it prints an address as one
            number.
    """

    def address(field: str) -> ipaddress.IPv4Address:
        number = int(field, 16)
        return ipaddress.IPv4Address(number.to_bytes(4, "little" if byteorder == "little" else "big"))

    def route(fields: list[str]) -> Optional[Route]:
        network = ipaddress.IPv4Network(f"{address(fields[1])}/{address(fields[7])}", strict=False)
        return _route(network, address(fields[2]), fields[0], int(fields[6]), int(fields[3], 16))

    return _routes(table, route)


def parse_ipv6_routes(table: str) -> tuple[Route, ...]:
    """Reads ``/proc/net/ipv6_route``; skips lines that are no route."""

    def route(fields: list[str]) -> Optional[Route]:
        network = ipaddress.IPv6Network((int(fields[0], 16), int(fields[1], 16)), strict=False)
        hop = ipaddress.IPv6Address(int(fields[4], 16))
        return _route(network, hop, fields[9], int(fields[5], 16), int(fields[8], 16))

    return _routes(table, route)


def default_gateways(routes: Iterable[Route]) -> tuple[str, ...]:
    """The next hops of the default routes, each once: IPv4 before IPv6, smaller metrics first."""
    found = [route for route in routes if route.is_default and route.gateway and not route.reject]
    found.sort(key=lambda route: (":" in route.destination, route.metric))
    return tuple(dict.fromkeys(route.gateway for route in found))


def find_route(routes: Iterable[Route], address: str) -> Optional[Route]:
    """The route to an address: longest prefix, then smallest metric; None if none or rejecting.

    Not for local addresses: their routes are in a table that ``/proc/net/route`` does not print.
    """
    try:
        target = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    found = [
        (network.prefixlen, -route.metric, route)
        for route in routes
        for network in [ipaddress.ip_network(route.destination)]
        if target in network
    ]
    best = max(found, key=lambda entry: entry[:2])[2] if found else None
    return None if best is None or best.reject else best


def _routes(table: str, parse: Callable[[list[str]], Optional[Route]]) -> tuple[Route, ...]:
    found = []
    for line in table.splitlines():
        try:
            found.append(parse(line.split()))
        except (ValueError, OverflowError, IndexError):
            continue
    return tuple(filter(None, found))


def _route(network: _Network, hop: _Address, interface: str, metric: int, flags: int) -> Optional[Route]:
    if not flags & (_RTF_UP | _RTF_REJECT):
        return None
    return Route(str(network), str(hop) if int(hop) else "", interface, metric, bool(flags & _RTF_REJECT))
