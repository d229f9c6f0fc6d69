# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The way to an endpoint: its addresses, the routes of a network namespace, and what a failed connection means."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import os
import socket
import threading
from typing import Any, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interfaces import (
    is_assigned,
    listening_addresses,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.namespaces import (
    call_in_network_namespace,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import (
    EndpointSpec,
    find_in_hosts,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.routes import (
    Route,
    default_gateways,
    parse_ipv4_routes,
    parse_ipv6_routes,
)

_LARGEST_HOSTS_FILE = 1 << 20


def observe_gateways(container_pid: int = 0, timeout: float = 5.0) -> tuple[str, ...]:
    """The default gateways of a network namespace, IPv4 first; see EndpointSpec for the arguments.

    Raises:
        WormholeError: the namespace could not be entered.
    """
    if not container_pid:
        return default_gateways(read_routes())
    found = call_in_network_namespace(container_pid, lambda: default_gateways(read_routes()), timeout=timeout)
    return tuple(found)


def read_routes() -> tuple[Route, ...]:
    """The main table of the network namespace that this runs in."""
    found: list[Route] = []
    for path, parse in (
        ("/proc/self/net/route", parse_ipv4_routes),
        ("/proc/self/net/ipv6_route", parse_ipv6_routes),
    ):
        # A kernel without IPv6 has no such table.
        with contextlib.suppress(FileNotFoundError), open(path, encoding="ascii") as table:
            found.extend(parse(table.read()))
    return tuple(found)


def resolve(spec: EndpointSpec) -> list[str]:
    """The IP addresses to try, in order.

    Raises:
        OSError: the name has none, or it took too long.
    """
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(spec.address)
        return [spec.address]
    if spec.container_pid:
        found = find_in_hosts(read_container_hosts(spec.container_pid), spec.address)
        if found:
            return found
    answer: list[Any] = []

    def ask() -> None:
        try:
            answer.append(socket.getaddrinfo(spec.address, spec.port, type=socket.SOCK_STREAM))
        except OSError as error:
            answer.append(error)

    # getaddrinfo(3) knows no timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(spec.timeout)
    if not answer:
        raise socket.timeout("timed out")
    if isinstance(answer[0], OSError):
        raise answer[0]
    return list(dict.fromkeys(str(entry[4][0]) for entry in answer[0]))


def source_address(spec: EndpointSpec, peer: str) -> str:
    """The address that the kernel would connect from, found without sending anything (udp(7)); empty if none."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((peer, spec.port))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def is_local(spec: EndpointSpec, peer: str) -> bool:
    """Whether an address is one of this host: to these the kernel connects from the very same address."""
    return source_address(spec, peer) == peer


def is_listened(spec: EndpointSpec, peer: str) -> Optional[bool]:
    """Whether something listens on the port at an address of this host; None if the address is not one."""
    # The gateway of an IPv6 network is tentative again once nobody is on its bridge.
    if not is_local(spec, peer) and not (":" in peer and is_assigned(peer)):
        return None
    # A socket for all IPv6 addresses serves IPv4 as well, unless it was told not to (ipv6(7)), which nothing shows.
    everywhere = ("::",) if ":" in peer else ("::", "0.0.0.0")
    return bool({peer, *everywhere} & set(listening_addresses(spec.port)))


def kind_of_failure(error: OSError) -> str:
    """One of the failures that EndpointState.tcp can have."""
    if isinstance(error, socket.timeout) or error.errno == errno.ETIMEDOUT:
        return "timeout"
    return "refused" if error.errno == errno.ECONNREFUSED else "unreachable"


def read_container_hosts(pid: int) -> str:
    """The container's ``/etc/hosts``, in which ``host.docker.internal`` stands; empty if it cannot be read."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        with open(
            f"/proc/{pid}/root/etc/hosts", "rb", opener=lambda path, _flags: os.open(path, flags)
        ) as hosts:
            return hosts.read(_LARGEST_HOSTS_FILE).decode("utf-8", errors="replace")
    except OSError:
        return ""
