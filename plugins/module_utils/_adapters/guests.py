# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Guests of a bridge: running a function in a network namespace that is on a bridge as a container's would be.

The namespace has no name: a forked child makes it and is the only process in it. The pair of interfaces that joins it
to the bridge lives and dies with it (veth(4)), so that nothing is left behind however this process ends, SIGKILL
included. Packets from there come in by the bridge, and the host's packet filter takes them for a container's.

What else the bridge would notice is kept from it: the host's end has the bridge's own MTU, for a smaller one would
become the bridge's, and a MAC address above all others, for a bridge without one of its own takes the lowest
(linux/net/bridge/br_if.c, br_stp_if.c; libvirt does the same).

That nobody has the address is asked on the network: by ARP (RFC 5227, 2.1), after the gateway has answered, so that
silence means something; and for IPv6 by the kernel (RFC 4862, 5.4).
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import socket
import struct
import subprocess
import time
from typing import Any, Callable, Iterator

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.commands import run
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.namespaces import (
    call_in_child,
    enter_network,
    enter_own_network,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    MissingRequirement,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.guests import Guest, GuestAddress

INTERFACE = "eth0"
"""What a container's interface is called."""

_HOST_END = (
    "wormhole"  # and the child's process id: at most 15 characters with PID_MAX_LIMIT (linux/threads.h)
)
_MAC_PREFIX = "fe:ff"
_SETTLING = 10.0  # seconds; duplicate address detection takes up to 2, on either end (RFC 4862, 5.4.2)
_ARP_WAIT = (
    0.2  # seconds until an address is taken for free; neighbours of a bridge answer within milliseconds
)
_ARP_PATIENCE = (
    3.0  # seconds; the kernel may take one to let a new interface into the bridge (net/core/link_watch.c)
)
_COMMAND_TIMEOUT = 10.0
_ARP_REQUEST, _ETHERTYPE_ARP = 1, 0x0806
_TENTATIVE, _DUPLICATE = 0x40, 0x08  # linux/if_addr.h


def call_as_guest(guest: Guest, function: Callable[[], Any], *, timeout: float) -> Any:
    """Calls a function where a container of a network would be, and returns what it returned.

    Args:
        guest: of which network, and by which addresses.
        function: takes nothing, returns what JSON can hold (tuples arrive as lists).
        timeout: seconds that the function may take.

    Raises:
        WormholeError: what the function raised, of the same class; or the bridge is not there, or has no room.
        MissingRequirement: there is no program ``ip``.
        VerificationFailed: it took too long, died, or raised something else.
    """
    subject = f"network {guest.network}"
    mtu = _read_mtu(guest)
    parent = os.getpid()

    def enter_and_call() -> Any:
        with _one_at_a_time(guest.bridge):
            _attach(guest, parent, mtu)
            for address in guest.addresses:
                _take_address(guest, address)
        _settle(guest, parent)
        return function()

    return call_in_child(enter_and_call, timeout=timeout + 2 * _SETTLING, subject=subject, clean_up=_detach)


def _read_mtu(guest: Guest) -> str:
    try:
        with open(f"/sys/class/net/{guest.bridge}/mtu", encoding="ascii") as mtu:
            return mtu.read().strip()
    except OSError as error:
        raise WormholeError(
            f"network {guest.network}",
            expected=f"its bridge, interface {guest.bridge}, on this host",
            found="no such interface",
            remedy="The bridge of a rootless engine is in a namespace of its own: look from a container",
        ) from error


@contextlib.contextmanager
def _one_at_a_time(bridge: str) -> Iterator[None]:
    """Two that ask at the same moment whether an address is free would both be told so."""
    directory = os.open(f"/sys/class/net/{bridge}/", os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _attach(guest: Guest, parent: int, mtu: str) -> None:
    """Moves this process to a namespace of its own, and joins that to the bridge."""
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
    """Removes the host's end at once, which would else take the kernel a moment, or more while a connection ends."""
    with contextlib.suppress(FileNotFoundError, subprocess.TimeoutExpired):
        run(["ip", "link", "delete", f"{_HOST_END}{child}"], _COMMAND_TIMEOUT)


def _take_address(guest: Guest, address: GuestAddress) -> None:
    if address.family == 4:
        _wait_for_arp(address.gateway)
    take = _take_ipv6 if address.family == 6 else _take_ipv4
    for candidate in address.candidates:
        if take(candidate, address.prefix_length):
            _ip(f"-{address.family}", "route", "add", "default", "via", address.next_hop, "dev", INTERFACE)
            return
    raise WormholeError(
        f"network {guest.network}",
        expected="an address that nobody has",
        found=f"that {', '.join(address.candidates)} are all in use, by somebody the engine does not know",
        remedy="Look from one of its containers: option container",
    )


def _wait_for_arp(gateway: str) -> None:
    deadline = time.monotonic() + _ARP_PATIENCE
    while not _answers_arp(gateway) and time.monotonic() < deadline:
        pass  # each question takes a moment


def _take_ipv4(candidate: str, prefix_length: int) -> bool:
    if _answers_arp(candidate):
        return False
    _ip("address", "add", f"{candidate}/{prefix_length}", "dev", INTERFACE)
    return True


def _take_ipv6(candidate: str, prefix_length: int) -> bool:
    _ip("address", "add", f"{candidate}/{prefix_length}", "dev", INTERFACE)
    deadline = time.monotonic() + _SETTLING
    while _flags(candidate) & _TENTATIVE and time.monotonic() < deadline:
        if _flags(candidate) & _DUPLICATE:
            break
        time.sleep(0.05)
    if _flags(candidate) & (_TENTATIVE | _DUPLICATE):
        _ip("address", "delete", f"{candidate}/{prefix_length}", "dev", INTERFACE)
        return False
    return True


def _answers_arp(address: str) -> bool:
    """Whether somebody on the network has an IPv4 address; asked from no address, so that no cache learns one."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETHERTYPE_ARP)) as raw:
        raw.bind((INTERFACE, _ETHERTYPE_ARP))
        own = raw.getsockname()[4]
        wanted = socket.inet_aton(address)
        ethernet = b"\xff" * 6 + own + struct.pack("!H", _ETHERTYPE_ARP)
        header = struct.pack("!HHBBH", 1, 0x0800, 6, 4, _ARP_REQUEST)
        raw.send(ethernet + header + own + bytes(4) + bytes(6) + wanted)
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
            # The sender's protocol address, be it an answer or somebody's own question (RFC 826).
            if frame[28:32] == wanted and frame[22:28] != own:
                return True


def _settle(guest: Guest, parent: int) -> None:
    """Waits until the host's IPv6 address can be used, which it cannot before the bridge has somebody on it."""
    deadline = time.monotonic() + _SETTLING
    for address in guest.addresses:
        while (
            address.family == 6
            and _flags(address.gateway, f"/proc/{parent}/net/if_inet6") & _TENTATIVE
            and time.monotonic() < deadline
        ):
            time.sleep(0.05)


def _flags(address: str, table: str = "/proc/self/net/if_inet6") -> int:
    """The flags of an IPv6 address (proc(5)); 0 if no interface has it."""
    wanted = f"{int(ipaddress.IPv6Address(address)):032x}"
    with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as lines:
        for line in lines:
            fields = line.split()
            if fields[0] == wanted:
                return int(fields[4], 16)
    return 0


def _set_ipv6(key: str, value: str) -> None:
    """A setting of the guest's interface, as the engine sets it; a kernel without IPv6 has none."""
    with contextlib.suppress(FileNotFoundError), open(
        f"/proc/sys/net/ipv6/conf/{INTERFACE}/{key}", "w", encoding="ascii"
    ) as setting:
        setting.write(value)


def _ip(*arguments: str) -> None:
    command = ["ip", *arguments]
    try:
        done = run(command, _COMMAND_TIMEOUT)
    except FileNotFoundError as error:
        raise MissingRequirement(
            "program ip",
            expected="to be on this host",
            found="none",
            remedy="Install iproute2, or look from a container: option container",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise VerificationFailed(" ".join(command), expected="to end", found="it took too long") from error
    if done.returncode != 0:
        raise WormholeError(
            " ".join(command), expected="to succeed", found=done.stderr.strip() or f"status {done.returncode}"
        )
