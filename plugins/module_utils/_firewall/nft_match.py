# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rule of nftables does with a packet.

Sources: libnftables-json(5), nft(8).
"""

from __future__ import annotations

import functools
import ipaddress
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence, Tuple

from . import model
from .model import Packet, Step, Verdict

Key = Tuple[str, str, str]
"""Family, table and name of a chain or a set."""

_NEUTRAL = {"counter", "log", "mangle", "notrack", "set", "ct helper", "ct timeout", "ct expectation", "map"}
"""Statements after which the next one is evaluated."""
_VERDICTS: Mapping[str, Verdict] = {
    "accept": "accept", "drop": "drop", "reject": "drop", "return": "return"
}  # fmt: skip
_OTHER_PROTOCOLS = {"udp", "udplite", "icmp", "icmpv6", "igmp", "sctp", "dccp", "esp", "ah", "comp", "arp"}
_ANYTHING = object()
"""A property of the packet that is unknown."""
_NOTHING = object()
"""A property that the packet does not have: no rule about it matches."""
_SOURCES = object()
"""The source address, of which only the possible networks are known."""


def judge_rule(rule: Mapping[str, Any], packet: Packet, elements: Mapping[Key, Sequence[Any]]) -> Step:
    """What a rule does with a packet."""
    view = _View(packet, (rule.get("family", ""), rule.get("table", "")), elements)
    for statement in rule.get("expr", ()):
        kind = next(iter(statement), "")
        if kind == "vmap":
            step = view.look_up(statement[kind])
            if step.verdict != "continue":
                return step
        elif kind == "match":
            if not view.matches(statement[kind]):
                return Step()
        elif kind not in _NEUTRAL:
            # A rate, a quota or a match of iptables is undecidable; so is what a queue or a
            # translation leads to.
            return _step(statement)
    return Step()


def _step(statement: Mapping[str, Any]) -> Step:
    """What a statement does that may be a verdict."""
    kind = next(iter(statement), "")
    if kind in ("jump", "goto"):
        return Step("jump" if kind == "jump" else "goto", statement[kind]["target"])
    return Step(_VERDICTS.get(kind, "continue"))


@dataclass(frozen=True)
class _View:
    """A packet as the rules of one table see it."""

    packet: Packet
    table: tuple[str, str]
    elements: Mapping[Key, Sequence[Any]]

    def matches(self, match: Mapping[str, Any]) -> Optional[bool]:
        operator, right = match["op"], match["right"]
        value = self._value(match["left"])
        if value is _NOTHING:
            return False
        if operator in ("==", "in"):
            return self._is(value, right, operator)
        if operator == "!=":
            return model.negated(self._is(value, right, "=="))
        if isinstance(value, int) and isinstance(right, int):
            compared = {"<": value < right, ">": value > right, "<=": value <= right, ">=": value >= right}
            return compared.get(operator)
        return None

    def look_up(self, vmap: Mapping[str, Any]) -> Step:
        """The verdict of a verdict map for the packet."""
        value = self._value(vmap["key"])
        for entry in self._elements(vmap["data"]):
            if not isinstance(entry, list) or len(entry) != 2:
                continue
            key, verdict = entry
            if value is not _NOTHING and self._is(value, _element(key), "=="):
                return _step(verdict)
        return Step()

    def _elements(self, data: Any) -> Sequence[Any]:
        """The elements of a set or map, anonymous or named."""
        if isinstance(data, str):
            return self.elements.get((*self.table, data.lstrip("@")), ())
        return data.get("set", ()) if isinstance(data, dict) else ()

    def _value(self, expression: Any) -> Any:
        if not isinstance(expression, dict) or len(expression) != 1:
            return _ANYTHING
        ((kind, body),) = expression.items()
        readers: Mapping[str, Callable[[Any], Any]] = {
            "meta": lambda body: self._meta(body["key"]),
            "payload": self._payload,
            "ct": _connection,
            "fib": lambda body: self._fib(body["result"], set(body["flags"])),
            "concat": self._concatenated,
            "&": self._masked,
        }
        return readers[kind](body) if kind in readers else _ANYTHING

    def _concatenated(self, parts: Sequence[Any]) -> Any:
        values = tuple(map(self._value, parts))
        return _NOTHING if _NOTHING in values else values

    def _masked(self, operands: Sequence[Any]) -> Any:
        value, mask = self._value(operands[0]), _flags(operands[1])
        return value & mask if isinstance(value, frozenset) and mask is not None else _ANYTHING

    def _meta(self, key: str) -> Any:
        family = self.packet.opening.family
        return {
            "iifname": self.packet.opening.interface,
            "iif": self.packet.opening.interface,
            "oifname": "",  # input has no outgoing interface
            "oif": "",
            "iifkind": "bridge",
            "l4proto": "tcp",
            "nfproto": "ipv6" if family == "ip6" else "ipv4",
            "protocol": family,
            "pkttype": "host",
        }.get(key, _ANYTHING)

    def _payload(self, body: Mapping[str, Any]) -> Any:
        protocol, name = body.get("protocol", ""), body.get("field", "")
        opening = self.packet.opening
        if protocol in _OTHER_PROTOCOLS:
            return _NOTHING
        if protocol in ("ip", "ip6"):
            if protocol != opening.family:
                return _NOTHING
            known = {"saddr": _SOURCES, "daddr": ipaddress.ip_address(opening.address)}
            return {**known, "protocol": "tcp", "nexthdr": "tcp"}.get(name, _ANYTHING)
        if protocol in ("tcp", "th"):
            return {"dport": opening.port, "flags": frozenset({"syn"})}.get(name, _ANYTHING)
        return _ANYTHING

    def _fib(self, result: str, flags: set[str]) -> Any:
        if result == "type" and (
            flags <= {"daddr"} or (flags == {"daddr", "iif"} and self._is_own_address())
        ):
            return "local"
        if result == "type" and flags <= {"saddr"}:
            return "unicast"
        if result == "oif" and "saddr" in flags:
            return True  # the route back leads through the bridge
        return _ANYTHING

    def _is_own_address(self) -> bool:
        """Whether the address belongs to this bridge and not to another one."""
        address = self.packet.opening.address
        return any(model.holds_address(network, address) for network in self.packet.sources)

    def _is(self, value: Any, right: Any, operator: str) -> Optional[bool]:
        """Whether a value equals, or is in, the right side of an operator."""
        right = _element(right)
        if (isinstance(right, str) and right.startswith("@")) or (isinstance(right, dict) and "set" in right):
            return model.some(self._is(value, element, "==") for element in self._elements(right))
        if isinstance(right, dict) and "concat" in right:
            parts = right["concat"]
            if not isinstance(value, tuple) or len(value) != len(parts):
                return None
            return model.every(self._is(one, part, "==") for one, part in zip(value, parts))
        if value is _ANYTHING or isinstance(value, tuple):
            return None
        if isinstance(value, frozenset):
            expected = _flags(right)
            if expected is None:
                return None
            return bool(value & expected) if operator == "in" else value == expected
        return _equals(value, right, self.packet.sources)


def _connection(body: Mapping[str, Any]) -> Any:
    """What connection tracking knows of the packet."""
    known = {"state": frozenset({"new"}), "status": frozenset(), "direction": "original"}
    return _ANYTHING if "dir" in body else known.get(body["key"], _ANYTHING)


def _element(element: Any) -> Any:
    """An element without its timeout, counter and comment."""
    while isinstance(element, dict) and "elem" in element:
        element = element["elem"]["val"]
    return element


def _equals(value: Any, right: Any, sources: Sequence[str]) -> Optional[bool]:
    """Whether a single value equals another, or lies in a range or network."""
    if isinstance(right, list):
        return model.some(_equals(value, one, sources) for one in right)
    return _equals_single(value, right, sources)


@functools.singledispatch
def _equals_single(value: Any, right: Any, sources: Sequence[str]) -> Optional[bool]:
    """The same for an address, or for the source address."""
    networks = _networks(right)
    if networks is None:
        return None
    if value is _SOURCES:
        return model.some(model.holds_sources(network, sources) for network in networks)
    return model.some(model.holds_address(network, str(value)) for network in networks)


@_equals_single.register(bool)
def _equals_bool(value: bool, right: Any, _sources: Sequence[str]) -> Optional[bool]:
    return value == right if isinstance(right, bool) else None


@_equals_single.register(int)
def _equals_int(value: int, right: Any, _sources: Sequence[str]) -> Optional[bool]:
    if isinstance(right, dict) and all(isinstance(end, int) for end in right.get("range", ("",))):
        return bool(right["range"][0] <= value <= right["range"][1])
    return value == right if isinstance(right, int) else None


@_equals_single.register(str)
def _equals_str(value: str, right: Any, _sources: Sequence[str]) -> Optional[bool]:
    if isinstance(right, str):
        return model.matches_interface(right, value, "*") if right.endswith("*") else value == right
    # nft may print the protocol as a number.
    return value == "tcp" if right == 6 and isinstance(right, int) else None


def _networks(right: Any) -> Optional[list[str]]:
    """An address, a prefix or a range of addresses as networks."""
    if isinstance(right, str):
        return [right]
    if isinstance(right, dict) and "prefix" in right:
        return [f"{right['prefix']['addr']}/{right['prefix']['len']}"]
    if isinstance(right, dict) and "range" in right:
        try:
            first, last = map(ipaddress.ip_address, right["range"])
            return list(map(str, ipaddress.summarize_address_range(first, last)))
        except (TypeError, ValueError):
            return None
    return None


def _flags(right: Any) -> Optional[frozenset[str]]:
    """The names of flags or states in any notation; None if it is not understood."""
    if isinstance(right, str):
        return frozenset({right})
    if right == 0 and not isinstance(right, bool):
        return frozenset()
    if isinstance(right, dict) and len(right) == 1:
        right = right.get("|")
    if not isinstance(right, list):
        return None
    flags = [found for found in map(_flags, right) if found is not None]
    return frozenset[str]().union(*flags) if len(flags) == len(right) else None
