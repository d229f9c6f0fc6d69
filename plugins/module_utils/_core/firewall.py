# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of containers' packets the host's packet filter lets through to the host.

A packet that a container sends to a gateway is input of the host. It has to pass every base chain of the hook *input*:
an accept in one does not overrule a drop in another. An opening therefore is a rule at the head of each chain that
drops.

Rules are judged in three values: they match, they do not, or that cannot be told. **What cannot be told counts as no
match, of an accept as of a drop.** An accept that is not understood must not be relied on. A drop under a further
condition (a rate, a list of addresses) is aimed at some traffic, and what drops by default ends without one: a host
with a block list stays untouched.

Sources: nft(8); iptables(8); Netfilter's "Packet flow in Netfilter and General Networking".
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Callable, Iterable, Mapping, Optional, Sequence, TypeVar

COMMENT = "wormhole.docker"
"""By this comment our rules are known."""

ACCEPT = "accept"
DROP = "drop"
CONTINUE = "continue"
RETURN = "return"
JUMP = "jump"
GOTO = "goto"

FIREWALLD = "firewalld"
UFW = "ufw"
NFTABLES = "nftables"
IPTABLES = "iptables"

_DEEPEST = 64
"""Jumps within jumps; the kernel allows 16."""

RuleT = TypeVar("RuleT")


@dataclass(frozen=True, order=True)
class Opening:
    """A TCP port of the host, reachable from the containers on one bridge.

    Attributes:
        interface: the bridge.
        address: of the host; IPv4 or IPv6.
        port: TCP port.
    """

    interface: str
    address: str
    port: int

    @property
    def family(self) -> str:
        """``ip`` or ``ip6``, as nft calls it."""
        return "ip6" if ":" in self.address else "ip"


@dataclass(frozen=True)
class FirewallState:
    """The host's packet filter, as far as openings are concerned.

    Attributes:
        manager: who keeps the rules: ``firewalld``, ``ufw``, ``nftables`` or ``iptables``; empty where nothing filters
            input.
        needed: which of the openings asked about the rules would drop if ours were not there.
        opened: what our own rules open, in force and persistent.
        leftover: there are traces of ours besides: half an opening, a file without its rule, a rule that does not help.
    """

    manager: str = ""
    needed: tuple[Opening, ...] = ()
    opened: tuple[Opening, ...] = ()
    leftover: bool = False


@dataclass(frozen=True, order=True)
class Hook:
    """A base chain of the hook *input*.

    Attributes:
        backend: the program that has to change it: ``nft``, ``iptables-nft`` or ``iptables-legacy``.
        family: ``ip``, ``ip6`` or ``inet``.
        table, chain: their names.
    """

    backend: str
    family: str
    table: str
    chain: str


@dataclass(frozen=True, order=True)
class Placement:
    """An opening's rule in one chain."""

    hook: Hook
    opening: Opening


@dataclass(frozen=True)
class Packet:
    """The first packet of a connection from a container.

    Attributes:
        opening: where it comes in, and where it goes.
        sources: the networks it may come from, in CIDR notation; empty if they are unknown.
    """

    opening: Opening
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """What a rule does with a packet: one of the constants, with the chain that it jumps or goes to."""

    verdict: str = CONTINUE
    target: str = ""


def walk(
    chains: Mapping[str, Sequence[RuleT]], start: str, judge: Callable[[RuleT], Step], depth: int = 0
) -> str:
    """Sends a packet through a chain.

    Args:
        chains: rules by the name of their chain.
        start: where it begins; a chain that is not there has no rules.
        judge: what a rule does with the packet.
        depth: how many jumps led here.

    Returns:
        ACCEPT, DROP, or CONTINUE if it leaves the chain at its end: a base chain's policy decides then.
    """
    if depth > _DEEPEST:
        return CONTINUE
    for rule in chains.get(start, ()):
        step = judge(rule)
        if step.verdict in (ACCEPT, DROP):
            return step.verdict
        if step.verdict == RETURN:
            return CONTINUE
        if step.verdict in (JUMP, GOTO):
            result = walk(chains, step.target, judge, depth + 1)
            if result in (ACCEPT, DROP) or step.verdict == GOTO:
                return result
    return CONTINUE


def every(matches: Iterable[Optional[bool]]) -> Optional[bool]:
    """Whether all of them match; None if that cannot be told."""
    found = list(matches)
    if False in found:
        return False
    return None if None in found else True


def some(matches: Iterable[Optional[bool]]) -> Optional[bool]:
    """Whether one of them matches; None if that cannot be told."""
    found = list(matches)
    if True in found:
        return True
    return None if None in found else False


def negated(match: Optional[bool]) -> Optional[bool]:
    """Whether it does not match; None if that cannot be told."""
    return None if match is None else not match


def holds_address(network: str, address: str) -> Optional[bool]:
    """Whether an address lies in a network, given in CIDR notation, with a netmask, or as one address."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return None


def holds_sources(network: str, sources: Sequence[str]) -> Optional[bool]:
    """Whether packets from these networks come from a network: all, none, or (None) it depends."""
    try:
        wanted = ipaddress.ip_network(network, strict=False)
        found = [ipaddress.ip_network(source) for source in sources]
    except ValueError:
        return None
    if not found or any(source.version != wanted.version for source in found):
        return None
    if not any(source.overlaps(wanted) for source in found):
        return False
    inside = [
        int(wanted.network_address) <= int(source.network_address)
        and int(source.broadcast_address) <= int(wanted.broadcast_address)
        for source in found
    ]
    return True if all(inside) else None


def matches_interface(pattern: str, interface: str, wildcard: str) -> bool:
    """Whether a rule's interface means this one; a wildcard at its end stands for any rest."""
    if pattern.endswith(wildcard):
        return interface.startswith(pattern[: -len(wildcard)])
    return pattern == interface
