# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the host's addresses and listening sockets from the kernel's tables."""

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

from ..._base.address import SocketAddress
from ..gateways import Topology, bridge_interface, parse_networks

_SIOCGIFADDR = 0x8915  # netdevice(7)
_IP_FREEBIND = 15  # ip(7); Python's socket module does not name it
_IPV6_FREEBIND = 78  # linux/in6.h
_LOOPBACK = "::1"
_ACCEPTS_CONNECTIONS = 0x10000
_TCP_LISTEN = "0A"  # include/net/tcp_states.h


def observe_topology(networks: Iterable[Mapping[str, Any]]) -> Topology:
    """Sorts the engine's networks; reads a bridge's address if the engine reports no gateway.

    Args:
        networks: as the Engine API lists them (``GET /networks``).
    """
    networks = list(networks)
    return parse_networks(networks, {name: interface_addresses(name) for name in bridges_of(networks)})


def bridges_of(networks: Iterable[Mapping[str, Any]]) -> set[str]:
    """The interfaces of the engine's bridge networks; networks as for observe_topology."""
    return {bridge_interface(network) for network in networks if network.get("Driver") == "bridge"}


def bridges() -> tuple[str, ...]:
    """The host's interfaces that are bridges, the engine's and all others (Linux, net/bridge/br_sysfs_br.c)."""
    return tuple(sorted(path.split("/")[-2] for path in glob.glob("/sys/class/net/*/bridge")))


def interface_addresses(name: str) -> tuple[str, ...]:
    """An interface's primary IPv4 address and its IPv6 addresses, without link-local ones."""
    addresses = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
        addresses.append(socket.inet_ntoa(answer[20:24]))
    return (*addresses, *(address for address, interface in _ipv6_addresses().items() if interface == name))


def is_usable(address: str) -> bool:
    """Whether programs on this host can connect to one of the host's own addresses.

    They cannot connect to an IPv6 address on a bridge without carrier, which is a bridge without a
    running container: the address is tentative (RFC 4862, 5.4) until the first container starts,
    and packets to it are dropped after the last one stops. Packets to the host itself pass the
    loopback interface, which may have no IPv6.
    """
    assigned = _ipv6_addresses() if ":" in address else {}
    if ":" in address and (_LOOPBACK not in assigned or not _has_carrier(assigned.get(address, ""))):
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
    path = f"/sys/class/net/{interface}/carrier"
    with contextlib.suppress(OSError), open(path, encoding="ascii") as carrier:
        return carrier.read().strip() == "1"
    return False


def is_assigned(address: str) -> bool:
    """Whether an interface of this host has an address, usable or tentative."""
    return is_usable(address) or (":" in address and address in _ipv6_addresses())


def can_listen(address: str, port: int) -> bool:
    """Whether a socket can listen here, even if no interface has the address yet (IP_FREEBIND)."""
    family, level, free_bind = socket.AF_INET, socket.IPPROTO_IP, _IP_FREEBIND
    if ":" in address:
        family, level, free_bind = socket.AF_INET6, socket.IPPROTO_IPV6, _IPV6_FREEBIND
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.setsockopt(level, free_bind, 1)
        try:
            probe.bind((address, port))
            probe.listen(1)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            raise
    return True


def listening_addresses(port: int) -> tuple[str, ...]:
    """The addresses on which processes listen on a TCP port; ``0.0.0.0`` and ``::`` mean all."""
    return tuple(sorted({address for address, held in _listening_sockets().values() if held == port}))


def port_holder(port: int) -> Optional[str]:
    """The process that listens on a TCP port, as ``name (pid N)``; None if unknown."""
    inodes = {inode for inode, endpoint in _listening_sockets().items() if endpoint[1] == port}
    for pid in sorted(int(path) for path in os.listdir("/proc") if path.isdigit()):
        if inodes & sockets_of(pid):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/comm", encoding="utf-8") as name:
                return f"{name.read().strip()} (pid {pid})"
    return None


def sockets_of(pid: int) -> set[str]:
    """The inodes of a process's open sockets; empty if it has ended."""
    found = set()
    for path in glob.glob(f"/proc/{pid}/fd/*"):
        with contextlib.suppress(OSError):
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(path))
            if match:
                found.add(match.group(1))
    return found


def tcp_listeners(*groups: set[str]) -> list[tuple[SocketAddress, ...]]:
    """The bound TCP endpoints of the listening sockets in each group of inodes.

    The kernel takes some milliseconds to list its sockets.
    """
    sockets = _listening_sockets()
    return [tuple(sorted(sockets[inode] for inode in inodes & sockets.keys())) for inodes in groups]


def unix_listeners(inodes: set[str]) -> tuple[str, ...]:
    """The paths of the listening unix sockets among these (proc(5), linux/net.h)."""
    found = set()
    with contextlib.suppress(FileNotFoundError), open("/proc/net/unix", encoding="utf-8") as table:
        for line in list(table)[1:]:
            fields = line.rstrip("\n").split(None, 7)
            if len(fields) == 8 and int(fields[3], 16) & _ACCEPTS_CONNECTIONS and fields[6] in inodes:
                found.add(fields[7])
    return tuple(sorted(found))


def _ipv6_addresses() -> dict[str, str]:
    """Interfaces by IPv6 address, also tentative ones, not link-local ones (proc(5), if_inet6)."""
    found = {}
    with contextlib.suppress(FileNotFoundError), open("/proc/net/if_inet6", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            address = ipaddress.IPv6Address(int(fields[0], 16))
            if not address.is_link_local:
                found[str(address)] = fields[-1]
    return found


def _listening_sockets() -> dict[str, SocketAddress]:
    """Address and port of every TCP socket in state LISTEN, by the socket's inode (proc(5))."""
    found = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as lines:
            for line in list(lines)[1:]:
                fields = line.split()
                if fields[3] == _TCP_LISTEN:
                    address, port = fields[1].split(":")
                    found[fields[9]] = SocketAddress(_address(address), int(port, 16))
    return found


def _address(digits: str) -> str:
    """Parses an address of the kernel: words of 32 bits, each in the machine's byte order."""
    words = [int(digits[start : start + 8], 16) for start in range(0, len(digits), 8)]
    return str(ipaddress.ip_address(b"".join(struct.pack("=I", word) for word in words)))
