# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a rule of nftables does with a packet.

Sources: libnftables-json(5), nft(8).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence, Tuple

from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import (
    ACCEPT,
    CONTINUE,
    DROP,
    GOTO,
    JUMP,
    RETURN,
    Packet,
    Step,
    every,
    holds_address,
    holds_sources,
    matches_interface,
    negated,
    some,
)

Key = Tuple[str, str, str]
"""Family, table and name of a chain or a set."""

_NEUTRAL = {"counter", "log", "mangle", "notrack", "set", "ct helper", "ct timeout", "ct expectation", "map"}
"""Statements that let the packet go on to the next one."""
_VERDICTS = {"accept": ACCEPT, "drop": DROP, "reject": DROP, "return": RETURN}
_OTHER_PROTOCOLS = {"udp", "udplite", "icmp", "icmpv6", "igmp", "sctp", "dccp", "esp", "ah", "comp", "arp"}
_ANYTHING = object()
"""A property of the packet that is not known."""
_NOTHING = object()
"""A property that this packet has not, so that no rule about it matches."""
_SOURCES = object()
"""Where it comes from: known as networks only."""


def judge_rule(rule: Mapping[str, Any], packet: Packet, elements: Mapping[Key, Sequence[Any]]) -> Step:
    """What a rule does with a packet."""
    view = _View(packet, (rule.get("family", ""), rule.get("table", "")), elements)
    for statement in rule.get("expr", ()):
        ((kind, body),) = list(statement.items())[:1] or [("", None)]
        if kind in _VERDICTS:
            return Step(_VERDICTS[kind])
        if kind in ("jump", "goto"):
            return Step(JUMP if kind == "jump" else GOTO, body["target"])
        if kind == "vmap":
            step = view.look_up(body)
            if step.verdict != CONTINUE:
                return step
        elif kind == "match":
            if not view.matches(body):
                return Step()
        elif kind not in _NEUTRAL:
            # A rate, a quota, a match of iptables: cannot be told. A queue or a translation: is not ours to foresee.
            return Step()
    return Step()


@dataclass(frozen=True)
class _View:
    """A packet, seen by the rules of one table."""

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
            return negated(self._is(value, right, "=="))
        if isinstance(value, int) and isinstance(right, int):
            compared = {
                "<": value < right,
                ">": value > right,
                "<=": value <= right,
                ">=": value >= right,
            }
            return compared.get(operator)
        return None

    def look_up(self, vmap: Mapping[str, Any]) -> Step:
        """The verdict that a verdict map has for the packet."""
        value = self._value(vmap["key"])
        for entry in self._elements(vmap["data"]):
            if not isinstance(entry, list) or len(entry) != 2:
                continue
            key, verdict = entry
            if value is not _NOTHING and self._is(value, _element(key), "=="):
                ((kind, body),) = list(verdict.items())[:1]
                if kind in ("jump", "goto"):
                    return Step(JUMP if kind == "jump" else GOTO, body["target"])
                return Step(_VERDICTS.get(kind, CONTINUE))
        return Step()

    def _elements(self, data: Any) -> Sequence[Any]:
        """The elements of a set or a map, which stands there or is named."""
        if isinstance(data, str):
            return self.elements.get((*self.table, data.lstrip("@")), ())
        return data.get("set", ()) if isinstance(data, dict) else ()

    def _value(self, expression: Any) -> Any:
        if not isinstance(expression, dict) or len(expression) != 1:
            return _ANYTHING
        ((kind, body),) = expression.items()
        if kind == "meta":
            return self._meta(body["key"])
        if kind == "payload":
            return self._payload(body)
        if kind == "ct":
            known = {"state": frozenset({"new"}), "status": frozenset(), "direction": "original"}
            return _ANYTHING if "dir" in body else known.get(body["key"], _ANYTHING)
        if kind == "fib":
            return self._fib(body["result"], set(body["flags"]))
        if kind == "concat":
            values = tuple(self._value(part) for part in body)
            return _NOTHING if _NOTHING in values else values
        if kind == "&":
            value, mask = self._value(body[0]), _flags(body[1])
            return value & mask if isinstance(value, frozenset) and mask is not None else _ANYTHING
        return _ANYTHING

    def _meta(self, key: str) -> Any:
        version = "ipv6" if self.packet.opening.family == "ip6" else "ipv4"
        return {
            "iifname": self.packet.opening.interface,
            "iif": self.packet.opening.interface,
            "oifname": "",  # input has no outgoing interface
            "oif": "",
            "iifkind": "bridge",
            "l4proto": "tcp",
            "nfproto": version,
            "protocol": "ip6" if version == "ipv6" else "ip",
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
        if result == "type" and flags <= {"daddr"}:
            return "local"
        if result == "type" and flags == {"daddr", "iif"} and self._is_own_address():
            return "local"
        if result == "type" and flags <= {"saddr"}:
            return "unicast"
        if result == "oif" and "saddr" in flags:
            return True  # the way back is the bridge itself
        return _ANYTHING

    def _is_own_address(self) -> bool:
        """Whether the address is the bridge's own, and not that of another one."""
        address = self.packet.opening.address
        return any(holds_address(network, address) for network in self.packet.sources)

    def _is(self, value: Any, right: Any, operator: str) -> Optional[bool]:
        """Whether a value is what stands at the right of an operator."""
        right = _element(right)
        if (isinstance(right, str) and right.startswith("@")) or (isinstance(right, dict) and "set" in right):
            return some(self._is(value, element, "==") for element in self._elements(right))
        if isinstance(right, dict) and "concat" in right:
            parts = right["concat"]
            if not isinstance(value, tuple) or len(value) != len(parts):
                return None
            return every(self._is(one, part, "==") for one, part in zip(value, parts))
        if value is _ANYTHING or isinstance(value, tuple):
            return None
        if isinstance(value, frozenset):
            wanted = _flags(right)
            return None if wanted is None else bool(value & wanted) if operator == "in" else value == wanted
        return _equals(value, right, self.packet.sources)


def _element(element: Any) -> Any:
    """An element without its timeout, counter and comment."""
    while isinstance(element, dict) and "elem" in element:
        element = element["elem"]["val"]
    return element


def _equals(value: Any, right: Any, sources: Sequence[str]) -> Optional[bool]:
    """Whether a single value is another, or lies in a range or a network."""
    if isinstance(right, list):
        return some(_equals(value, one, sources) for one in right)
    if isinstance(value, bool):
        return value == right if isinstance(right, bool) else None
    if isinstance(value, int):
        if isinstance(right, dict) and all(isinstance(end, int) for end in right.get("range", ("",))):
            return bool(right["range"][0] <= value <= right["range"][1])
        return value == right if isinstance(right, int) else None
    if isinstance(value, str):
        if not isinstance(right, str):
            return {6: value == "tcp"}.get(right) if isinstance(right, int) else None
        return matches_interface(right, value, "*") if right.endswith("*") else value == right
    networks = _networks(right)
    if networks is None:
        return None
    if value is _SOURCES:
        return some(holds_sources(network, sources) for network in networks)
    return some(holds_address(network, str(value)) for network in networks)


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
    """Names of flags or states, however they are put together; None if that is not understood."""
    if isinstance(right, dict) and len(right) == 1 and "|" in right:
        right = right["|"]
    if right == 0 and not isinstance(right, bool):
        return frozenset()
    parts = right if isinstance(right, list) else [right]
    found: set[str] = set()
    for part in parts:
        if isinstance(part, str):
            found.add(part)
            continue
        inner = _flags(part) if isinstance(part, dict) else None
        if inner is None:
            return None
        found |= inner
    return frozenset(found)
