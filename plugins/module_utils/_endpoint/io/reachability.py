# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Resolve an endpoint's address, and observe routes, local addresses and listeners."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
import threading
from typing import Any, Optional

from ..._base.errors import WormholeError
from ..._base.io.children import call_in_child
from ..._base.io.opening import read_regular
from ..._base.io.privileges import become
from ..._networks.io.interfaces import is_assigned, listening_addresses
from ..._networks.io.namespaces import call_in_network_namespace, read_routes
from ..._networks.routes import default_gateways
from ..model import EndpointSpec, find_in_hosts
from ..observation import TcpOutcome

_HOSTS = "/etc/hosts"
_LARGEST_HOSTS_FILE = 1 << 20
_READING = 5.0
"""Seconds to read a file of a container."""


def observe_gateways(pid: int, timeout: float) -> tuple[str, ...]:
    """The default gateways of a process's network namespace, IPv4 first; timeout in seconds.

    Raises:
        WormholeError: the namespace could not be entered.
    """
    return tuple(call_in_network_namespace(pid, lambda: default_gateways(read_routes()), timeout=timeout))


def resolve(spec: EndpointSpec) -> list[str]:
    """The IP addresses to try, in order.

    Raises:
        OSError: the name has none, or resolving it timed out.
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

    # getaddrinfo(3) has no timeout.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(spec.timeout)
    if not answer:
        raise socket.timeout("timed out")
    if isinstance(answer[0], OSError):
        raise answer[0]
    return list(dict.fromkeys(str(entry[4][0]) for entry in answer[0]))


def source_address(spec: EndpointSpec, peer: str) -> str:
    """The address that the kernel connects from; empty if there is none. Sends nothing (udp(7))."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((peer, spec.port))
            return str(probe.getsockname()[0])
    except OSError:
        return ""


def is_local(spec: EndpointSpec, peer: str) -> bool:
    """Whether an address belongs to this host: the kernel connects to it from itself."""
    return source_address(spec, peer) == peer


def is_listened(spec: EndpointSpec, peer: str) -> Optional[bool]:
    """Whether something listens on the port; None if the address does not belong to this host."""
    # The gateway of an IPv6 network becomes tentative again when no container is on its bridge.
    if not is_local(spec, peer) and not (":" in peer and is_assigned(peer)):
        return None
    # A socket for all IPv6 addresses also serves IPv4, unless IPV6_V6ONLY is set (ipv6(7)); proc(5)
    # does not show that.
    everywhere = ("::",) if ":" in peer else ("::", "0.0.0.0")
    return bool({peer, *everywhere} & set(listening_addresses(spec.port)))


def kind_of_failure(error: OSError) -> TcpOutcome:
    """The outcome of a connection that failed with this error."""
    if isinstance(error, socket.timeout) or error.errno == errno.ETIMEDOUT:
        return "timeout"
    return "refused" if error.errno == errno.ECONNREFUSED else "unreachable"


def read_container_hosts(pid: int) -> str:
    """The container's ``/etc/hosts``; empty if it cannot be read.

    A child of its own reads it as the container's process would: what the container puts there
    leads nowhere else.
    """

    def read() -> str:
        become(pid)
        return read_regular(_HOSTS, limit=_LARGEST_HOSTS_FILE).decode("utf-8", errors="replace")

    try:
        return str(call_in_child(read, timeout=_READING, subject=f"{_HOSTS} of process {pid}"))
    except WormholeError:
        return ""
