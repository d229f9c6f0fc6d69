# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests: call a function in a network namespace that is attached to a bridge like a container's.

The namespace has no name: a forked child creates it and is the only process in it. The veth pair
that connects it to the bridge is removed with it (veth(4)), so that nothing is left behind however
this process ends, even by SIGKILL. The host's packet filter sees the guest's packets arrive from
the bridge, like a container's.

The guest does not change the bridge: the host's end of the pair has the bridge's MTU, because the
bridge would adopt a smaller one; and it has a MAC address above all others, because a bridge
without one of its own adopts the lowest (linux/net/bridge/br_if.c, br_stp_if.c; libvirt does the
same).

Whether an address is free is asked on the network: by ARP (RFC 5227, 2.1), once the gateway
answers, so that no answer means something; for IPv6, by the kernel (RFC 4862, 5.4).
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import socket
import struct
import subprocess
import time
from typing import Any, Callable, Iterator

from ..._base.errors import MissingRequirement, VerificationFailed, WormholeError
from ..._base.io import locks
from ..._base.io.children import call_in_child
from ..._base.io.commands import failure_of, run
from ..guests import Guest, GuestAddress
from .namespaces import enter_network, enter_own_network

INTERFACE = "eth0"
"""The name of a container's interface."""

_HOST_END = "wormhole"
"""Plus the child's process ID: at most 15 characters with PID_MAX_LIMIT (linux/threads.h)."""
_MAC_PREFIX = "fe:ff"
_ADDRESS_TIMEOUT = 10.0  # seconds; duplicate address detection takes up to 2, on either end (RFC 4862, 5.4.2)
_ARP_WAIT = 0.2
"""Seconds without an answer until an address counts as free; neighbours take milliseconds."""
_ARP_PATIENCE = 3.0
"""Seconds; the kernel may take one to use a bridge's new interface (net/core/link_watch.c)."""
_COMMAND_TIMEOUT = 10.0
_ARP_REQUEST, _ETHERTYPE_ARP = 1, 0x0806
_TENTATIVE, _DUPLICATE = 0x40, 0x08  # linux/if_addr.h


def call_as_guest(guest: Guest, function: Callable[[], Any], *, timeout: float) -> Any:
    """Calls a function as if from a container on a network; returns its result.

    Args:
        guest: the network and the addresses.
        function: takes no argument; returns what JSON can hold (tuples arrive as lists).
        timeout: seconds that the function may take.

    Raises:
        WormholeError: the error of the function, of the same class; or the bridge does not exist or
            has no free address.
        MissingRequirement: the program ``ip`` is missing.
        VerificationFailed: the function took too long, died, or raised another exception.
    """
    subject = f"network {guest.network}"
    mtu = _read_mtu(guest)
    parent = os.getpid()

    def enter_and_call() -> Any:
        # It gives up before the child does, to name the other guest.
        with _one_at_a_time(guest.bridge, timeout + _ADDRESS_TIMEOUT):
            _attach(guest, parent, mtu)
            for address in guest.addresses:
                _take_address(guest, address)
        _wait_for_gateway(guest, parent)
        return function()

    return call_in_child(
        enter_and_call, timeout=timeout + 2 * _ADDRESS_TIMEOUT, subject=subject, clean_up=_detach
    )


def _read_mtu(guest: Guest) -> str:
    try:
        with open(f"/sys/class/net/{guest.bridge}/mtu", encoding="ascii") as mtu:
            return mtu.read().strip()
    except OSError as error:
        subject = f"network {guest.network}"
        problem = f"The bridge of {subject}, interface {guest.bridge}, does not exist on this host"
        remedy = (
            "The bridge of a rootless engine is in a namespace of its own: connect from a container instead"
        )
        raise WormholeError(subject, problem=problem, remedy=remedy) from error


@contextlib.contextmanager
def _one_at_a_time(bridge: str, patience: float) -> Iterator[None]:
    """Waits for other guests of a bridge: two at once would find the same address free."""
    path = f"/sys/class/net/{bridge}/"
    with locks.locked(path, os.open(path, os.O_RDONLY | os.O_CLOEXEC), patience=patience):
        yield


def _attach(guest: Guest, parent: int, mtu: str) -> None:
    """Moves this process to a new namespace, and connects that to the bridge."""
    number = os.getpid()
    mac = f"{_MAC_PREFIX}:{':'.join(f'{byte:02x}' for byte in number.to_bytes(4, 'big'))}"
    host_end = f"{_HOST_END}{number}"
    outside = enter_own_network()
    inside = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    _ip(
        *("link", "add", INTERFACE, "mtu", mtu, "type", "veth"),
        *("peer", "name", host_end, "mtu", mtu, "address", mac, "netns", str(parent)),
    )
    enter_network(outside)
    _ip("link", "set", host_end, "master", guest.bridge)
    _ip("link", "set", host_end, "up")
    enter_network(inside)
    os.close(outside)
    os.close(inside)
    families = {address.family for address in guest.addresses}
    _set_ipv6("disable_ipv6", "0" if 6 in families else "1")
    _set_ipv6("accept_ra", "0")
    _ip("link", "set", "lo", "up")
    _ip("link", "set", INTERFACE, "up")


def _detach(child: int) -> None:
    """Removes the host's end at once; the kernel alone would do so later."""
    with contextlib.suppress(FileNotFoundError, subprocess.TimeoutExpired):
        run(["ip", "link", "delete", f"{_HOST_END}{child}"], _COMMAND_TIMEOUT)


def _take_address(guest: Guest, address: GuestAddress) -> None:
    deadline = time.monotonic() + _ARP_PATIENCE
    while address.family == 4 and not _answers_arp(address.gateway) and time.monotonic() < deadline:
        pass  # each question takes a moment
    take = _take_ipv6 if address.family == 6 else _take_ipv4
    for candidate in address.candidates:
        if take(candidate, address.prefix_length):
            _ip(f"-{address.family}", "route", "add", "default", "via", address.next_hop, "dev", INTERFACE)
            return
    subject, tried = f"network {guest.network}", ", ".join(address.candidates)
    problem = f"{subject} has no free address: {tried} are all in use, but not by containers of the engine"
    remedy = "Connect from one of its containers: set option container"
    raise WormholeError(subject, problem=problem, remedy=remedy)


def _take_ipv4(candidate: str, prefix_length: int) -> bool:
    if _answers_arp(candidate):
        return False
    _ip("address", "add", f"{candidate}/{prefix_length}", "dev", INTERFACE)
    return True


def _take_ipv6(candidate: str, prefix_length: int) -> bool:
    _ip("address", "add", f"{candidate}/{prefix_length}", "dev", INTERFACE)
    deadline = time.monotonic() + _ADDRESS_TIMEOUT
    while _flags(candidate) & (_TENTATIVE | _DUPLICATE) == _TENTATIVE and time.monotonic() < deadline:
        time.sleep(0.05)
    if _flags(candidate) & (_TENTATIVE | _DUPLICATE):
        _ip("address", "delete", f"{candidate}/{prefix_length}", "dev", INTERFACE)
        return False
    return True


def _answers_arp(address: str) -> bool:
    """Whether an IPv4 address is in use, asked without a sender address to spare ARP caches."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETHERTYPE_ARP)) as raw:
        raw.bind((INTERFACE, _ETHERTYPE_ARP))
        own = raw.getsockname()[4]
        expected = socket.inet_aton(address)
        ethernet = b"\xff" * 6 + own + struct.pack("!H", _ETHERTYPE_ARP)
        header = struct.pack("!HHBBH", 1, 0x0800, 6, 4, _ARP_REQUEST)
        raw.send(ethernet + header + own + bytes(4) + bytes(6) + expected)
        deadline = time.monotonic() + _ARP_WAIT
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            raw.settimeout(left)
            try:
                frame = raw.recv(128)
            except socket.timeout:
                return False
            # The sender's protocol address, in an answer or in a question of its own (RFC 826).
            if frame[28:32] == expected and frame[22:28] != own:
                return True


def _wait_for_gateway(guest: Guest, parent: int) -> None:
    """Waits until the host's IPv6 address is usable, a moment after the bridge has a carrier."""
    deadline = time.monotonic() + _ADDRESS_TIMEOUT
    for address in guest.addresses:
        while (
            address.family == 6
            and _flags(address.gateway, f"/proc/{parent}/net/if_inet6") & _TENTATIVE
            and time.monotonic() < deadline
        ):
            time.sleep(0.05)


def _flags(address: str, table: str = "/proc/self/net/if_inet6") -> int:
    """The flags of an IPv6 address (proc(5)); 0 if no interface has it."""
    expected = f"{int(ipaddress.IPv6Address(address)):032x}"
    with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as lines:
        for line in lines:
            fields = line.split()
            if fields[0] == expected:
                return int(fields[4], 16)
    return 0


def _set_ipv6(key: str, value: str) -> None:
    """Sets an option of the guest's interface like the engine; a kernel without IPv6 has none."""
    with contextlib.suppress(FileNotFoundError), open(
        f"/proc/sys/net/ipv6/conf/{INTERFACE}/{key}", "w", encoding="ascii"
    ) as setting:
        setting.write(value)


def _ip(*arguments: str) -> None:
    text = " ".join(("ip", *arguments))
    try:
        done = run(["ip", *arguments], _COMMAND_TIMEOUT)
    except FileNotFoundError as error:
        problem = "The program ip is not installed on this host"
        remedy = "Install iproute2, or connect from a container: set option container"
        raise MissingRequirement("program ip", problem=problem, remedy=remedy) from error
    except subprocess.TimeoutExpired as error:
        raise VerificationFailed(text, problem=f"{text} took longer than {_COMMAND_TIMEOUT:g} s") from error
    if done.returncode != 0:
        raise WormholeError(text, problem=f"{text} failed: {failure_of(done)}")
