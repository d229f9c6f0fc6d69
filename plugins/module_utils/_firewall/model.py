# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which packets from containers to the host pass the host's packet filter.

A packet that a container sends to a gateway is input of the host. It has to pass every base chain
of the hook *input*: an accept in one chain does not overrule a drop in another. An opening
therefore is a rule at the head of each chain that drops. To support another firewall, follow the
steps in :mod:`_firewall.plan`.

A rule matches a packet, does not match it, or is undecidable. **An undecidable rule counts as no
match, whether it accepts or drops.** An accept that is not understood must not be relied on. A drop
under a further condition (a rate, a list of addresses) is aimed at particular traffic, and a filter
that drops by default ends with a drop without condition. A host with a block list therefore stays
untouched.

Sources: nft(8); iptables(8); Netfilter's "Packet flow in Netfilter and General Networking".
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Literal, Mapping, Optional, Sequence, TypeVar, get_args

from .._base.address import SocketAddress

COMMENT = "wormhole.docker"
"""The comment of our rules."""

Verdict = Literal["accept", "drop", "continue", "return", "jump", "goto"]

Manager = Literal["firewalld", "ufw", "nftables", "iptables"]
MANAGERS: tuple[Manager, ...] = get_args(Manager)
"""By rank: of several on one host, the first is reported."""
FIREWALLD: Manager = "firewalld"
"""Also the name of firewalld's table in nftables."""

Backend = Literal["nft", "iptables-nft", "iptables-legacy"]
"""The program that changes a chain."""

Family = Literal["ip", "ip6"]
"""The family of an address, as nft calls it."""

_DEEPEST = 64
"""The limit of nested jumps; the kernel allows 16."""

RuleT = TypeVar("RuleT")


@dataclass(frozen=True, order=True)
class Opening:
    """A TCP port of the host that containers on one bridge can reach.

    Attributes:
        interface: the bridge.
        address: the host's IPv4 or IPv6 address.
        port: TCP port.
    """

    interface: str
    address: str
    port: int

    @property
    def family(self) -> Family:
        return "ip6" if ":" in self.address else "ip"


@dataclass(frozen=True)
class Restriction:
    """TCP ports that only the host itself and bridges can reach; see :mod:`_firewall.neighbours`.

    Attributes:
        ports: addresses of the host, with their ports.
        bridges: the bridges that cannot reach them.
    """

    ports: tuple[SocketAddress, ...]
    bridges: tuple[str, ...] = ()


@dataclass(frozen=True)
class FirewallState:
    """The host's packet filter, as far as openings and the restriction are concerned.

    Attributes:
        manager: what manages the rules; empty if nothing filters input.
        needed: the desired openings that the host's own rules drop.
        opened: the openings that our rules make, in force and persistent.
        leftover: there are other traces of ours: an incomplete opening, a file without its rule, a
            rule without effect.
        at_boot: those of needed that are dropped only if the engine starts before firewalld answers.
        restriction: the restriction that is in force and persistent; None if there is none.
        unrestricted: there are traces of a restriction of ours that is not both.
        restricts: whether this host has the program that restricts ports.
    """

    manager: Literal[Manager, ""] = ""
    needed: tuple[Opening, ...] = ()
    opened: tuple[Opening, ...] = ()
    leftover: bool = False
    at_boot: tuple[Opening, ...] = ()
    restriction: Optional[Restriction] = None
    unrestricted: bool = False
    restricts: bool = True


@dataclass(frozen=True, order=True)
class Hook:
    """A base chain of the hook *input*.

    Attributes:
        backend: the program that changes it.
        family: ``ip``, ``ip6``, ``inet`` or another one of nftables.
        table, chain: their names.
    """

    backend: Backend
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
        opening: its interface, destination address and destination port.
        sources: the networks of its possible source addresses, in CIDR notation; empty if unknown.
    """

    opening: Opening
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """What a rule does with a packet: a verdict, with the target chain of a jump or goto."""

    verdict: Verdict = "continue"
    target: str = ""


def walk(
    chains: Mapping[str, Sequence[RuleT]], start: str, judge: Callable[[RuleT], Step], depth: int = 0
) -> Verdict:
    """Evaluates the rules of a chain for a packet; a chain that does not exist has no rules.

    Returns accept, drop, or continue at the end of the chain, where a base chain's policy decides.
    """
    for rule in chains.get(start, ()) if depth <= _DEEPEST else ():
        step = judge(rule)
        if step.verdict in ("accept", "drop"):
            return step.verdict
        if step.verdict == "return":
            break
        if step.verdict in ("jump", "goto"):
            result = walk(chains, step.target, judge, depth + 1)
            if result != "continue" or step.verdict == "goto":
                return result
    return "continue"


def every(matches: Iterable[Optional[bool]]) -> Optional[bool]:
    """Whether all match; None if undecidable."""
    found = list(matches)
    if False in found:
        return False
    return None if None in found else True


def some(matches: Iterable[Optional[bool]]) -> Optional[bool]:
    """Whether at least one matches; None if undecidable."""
    return negated(every(map(negated, matches)))


def negated(match: Optional[bool]) -> Optional[bool]:
    """The opposite of a match; None if undecidable."""
    return None if match is None else not match


def holds_address(network: str, address: str) -> Optional[bool]:
    """Whether an address lies in a network, in any notation of iptables; None if undecidable."""
    try:
        return ipaddress.ip_address(address) in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return None


def holds_sources(network: str, sources: Sequence[str]) -> Optional[bool]:
    """Whether all packets from these sources come from a network; False for none, None for some."""
    try:
        expected: Any = ipaddress.ip_network(network, strict=False)
        found = [ipaddress.ip_network(source) for source in sources]
    except ValueError:
        return None
    if not found or any(source.version != expected.version for source in found):
        return None
    if not any(map(expected.overlaps, found)):
        return False
    return True if all(source.subnet_of(expected) for source in found) else None


def matches_interface(pattern: str, interface: str, wildcard: str) -> bool:
    """Whether a pattern matches an interface; a wildcard at its end matches any rest."""
    if pattern.endswith(wildcard):
        return interface.startswith(pattern[: -len(wildcard)])
    return pattern == interface
