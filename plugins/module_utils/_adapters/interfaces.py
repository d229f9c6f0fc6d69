# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses of the host's network interfaces and who listens on its ports, from the kernel's own tables."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import ipaddress
import os
import re
import socket
import struct
from typing import Any, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import (
    Topology,
    bridge_interface,
    parse_networks,
)

_SIOCGIFADDR = 0x8915  # netdevice(7)
_IP_FREEBIND = 15  # ip(7); Python's socket module does not name it
_IPV6_FREEBIND = 78  # linux/in6.h
_LOOPBACK = "::1"
_ACCEPTS_CONNECTIONS = 0x10000
_TCP_LISTEN = "0A"  # include/net/tcp_states.h


def observe_topology(networks: Iterable[Mapping[str, Any]]) -> Topology:
    """Sorts the engine's networks, asking the bridge interfaces where the engine names no gateway.

    Args:
        networks: as the Engine API lists them (``GET /networks``).
    """
    networks = list(networks)
    names = {bridge_interface(network) for network in networks if network.get("Driver") == "bridge"}
    return parse_networks(networks, {name: interface_addresses(name) for name in names})


def interface_addresses(name: str) -> tuple[str, ...]:
    """The IPv4 (primary) and IPv6 (all but link-local) addresses of an interface; none if it does not exist."""
    addresses = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        addresses.append(socket.inet_ntoa(answer[20:24]))
    return (*addresses, *(address for address, interface in _ipv6_addresses().items() if interface == name))


def is_usable(address: str) -> bool:
    """Whether programs on this host can dial an address of its own.

    An IPv6 address whose bridge has no carrier, because no container is attached, cannot be dialled: it is tentative
    (RFC 4862, 5.4) until the first container comes, and packets to it are dropped after the last one has gone. A host's
    packets to itself take the loopback interface, which may be without IPv6.
    """
    if ":" in address:
        assigned = _ipv6_addresses()
        if _LOOPBACK not in assigned or not _has_carrier(assigned.get(address, "")):
            return False
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
            return False
        raise
    return True


def _has_carrier(interface: str) -> bool:
    with contextlib.suppress(OSError), open(
        f"/sys/class/net/{interface}/carrier", encoding="ascii"
    ) as carrier:
        return carrier.read().strip() == "1"
    return False


def is_assigned(address: str) -> bool:
    """Whether an interface of this host has an address, be it usable or tentative."""
    return is_usable(address) or (":" in address and address in _ipv6_addresses())


def can_listen(address: str, port: int) -> bool:
    """Whether a socket could be bound here, also when no interface has the address yet (IP_FREEBIND)."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
        else:
            probe.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def listening_addresses(port: int) -> tuple[str, ...]:
    """The addresses on which something listens on a TCP port; ``0.0.0.0`` and ``::`` stand for all."""
    return tuple(sorted({address for address, held in _listening_sockets().values() if held == port}))


def port_holder(port: int) -> Optional[str]:
    """The process that listens on a TCP port, as ``name (pid N)``; None if it cannot be told."""
    inodes = {inode for inode, endpoint in _listening_sockets().items() if endpoint[1] == port}
    for pid in sorted(int(path) for path in os.listdir("/proc") if path.isdigit()):
        if inodes & _sockets_of(pid):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as name:
                return f"{name.read().strip()} (pid {pid})"
    return None


def shared_listeners(first: int, second: int) -> tuple[tuple[str, int], ...]:
    """The TCP endpoints on which two processes listen by the same socket, such as systemd and what it activates.

    This is what is bound; systemd's own property Listen tells what the unit's file asks for.
    """
    return _listeners(_sockets_of(first) & _sockets_of(second))


def sole_listeners(first: int, second: int) -> tuple[tuple[str, int], ...]:
    """The TCP endpoints on which the first of two processes listens and the second does not."""
    return _listeners(_sockets_of(first) - _sockets_of(second))


def shared_unix_listeners(first: int, second: int) -> tuple[str, ...]:
    """The paths of unix sockets on which two processes listen by the same socket."""
    return _unix_listeners(_sockets_of(first) & _sockets_of(second))


def sole_unix_listeners(first: int, second: int) -> tuple[str, ...]:
    """The paths of unix sockets on which the first of two processes listens and the second does not."""
    return _unix_listeners(_sockets_of(first) - _sockets_of(second))


def _unix_listeners(inodes: set[str]) -> tuple[str, ...]:
    """Paths in proc(5)'s net/unix of sockets that take connections (flag __SO_ACCEPTCON, linux/net.h)."""
    found = set()
    with contextlib.suppress(FileNotFoundError), open("/proc/net/unix", encoding="utf-8") as table:
        for line in list(table)[1:]:
            fields = line.rstrip("\n").split(None, 7)
            if len(fields) == 8 and int(fields[3], 16) & _ACCEPTS_CONNECTIONS and fields[6] in inodes:
                found.add(fields[7])
    return tuple(sorted(found))


def _listeners(inodes: set[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(endpoint for inode, endpoint in _listening_sockets().items() if inode in inodes))


def _ipv6_addresses() -> dict[str, str]:
    """Interfaces by their IPv6 addresses, tentative ones included, link-local ones left out (proc(5), if_inet6)."""
    found = {}
    with contextlib.suppress(FileNotFoundError), open("/proc/net/if_inet6", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            address = ipaddress.IPv6Address(int(fields[0], 16))
            if not address.is_link_local:
                found[str(address)] = fields[-1]
    return found


def _listening_sockets() -> dict[str, tuple[str, int]]:
    """Address and port of every TCP socket in state LISTEN, by the socket's inode (proc(5))."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[3] == _TCP_LISTEN:
                    address, port = fields[1].split(":")
                    found[fields[9]] = (_address(address), int(port, 16))
    return found


def _address(digits: str) -> str:
    """An address as the kernel prints it: words of 32 bits, each in the machine's byte order."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    return str(ipaddress.ip_address(b"".join(struct.pack("=I", word) for word in words)))


def _sockets_of(pid: int) -> set[str]:
    """Inodes of the sockets that a process has open; empty if it is gone."""
    found = set()
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        with contextlib.suppress(OSError):
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(path))
            if match:
                found.add(match.group(1))
    return found
