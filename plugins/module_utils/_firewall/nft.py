# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules as ``nft -j list ruleset`` prints them.

Source: libnftables-json(5), nft(8).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Collection, Iterator, Mapping, Optional, Sequence

from .model import COMMENT, Backend, Hook, Opening, Packet, Placement, Step, walk
from .nft_match import Key, judge_rule

BACKEND: Backend = "nft"
RESTRICTING = ("inet", "wormhole-docker")
"""Family and name of our own table, see :mod:`_firewall.neighbours`."""
_NAME = re.compile(r"[A-Za-z_.][A-Za-z0-9_./-]*")


@dataclass(frozen=True)
class BaseChain:
    """A chain that the kernel calls, with its hook and policy."""

    key: Key
    hook: str
    policy: str


@dataclass(frozen=True)
class NftRules:
    """All rules of nftables, including those of iptables-nft.

    Attributes:
        bases: the base chains.
        rules: the rules of each chain, in order, as nft describes them.
        elements: the elements of each set and map.
    """

    bases: tuple[BaseChain, ...] = ()
    rules: Mapping[Key, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    elements: Mapping[Key, Sequence[Any]] = field(default_factory=dict)

    def input_filters(self) -> tuple[BaseChain, ...]:
        """The base chains that can drop input, without that of our own table."""
        return tuple(
            base
            for base in self.bases
            if base.hook == "input"
            and base.key[:2] != RESTRICTING
            and (base.policy == "drop" or self.rules.get(base.key))
        )


def parse_ruleset(text: str) -> NftRules:
    """Reads the output of ``nft -j list ruleset``.

    Raises:
        ValueError: it is not JSON.
    """
    bases, elements = [], {}
    rules: dict[Key, list[Mapping[str, Any]]] = {}
    for entry in json.loads(text).get("nftables", ()):
        for kind, body in entry.items():
            if kind == "chain":
                key = (body["family"], body["table"], body["name"])
                rules.setdefault(key, [])
                if "hook" in body:
                    bases.append(BaseChain(key, body["hook"], body.get("policy", "accept")))
            elif kind == "rule":
                rules.setdefault((body["family"], body["table"], body["chain"]), []).append(body)
            elif kind in ("set", "map"):
                elements[body["family"], body["table"], body["name"]] = body.get("elem", [])
    return NftRules(tuple(bases), rules, elements)


def blocks(rules: NftRules, base: BaseChain, packet: Packet, skipped: Collection[int] = ()) -> bool:
    """Whether a base chain drops a packet.

    Args:
        skipped: what id() returns for the rules to leave out.
    """
    family, table, name = base.key
    chains = {key[2]: listed for key, listed in rules.rules.items() if key[:2] == (family, table)}

    def judge(rule: Mapping[str, Any]) -> Step:
        return Step() if id(rule) in skipped else judge_rule(rule, packet, rules.elements)

    result = walk(chains, name, judge)
    return (base.policy if result == "continue" else result) == "drop"


def placements(rules: NftRules) -> Iterator[tuple[Hook, Mapping[str, Any], Optional[Placement]]]:
    """The rules with our comment, in any chain; with a Placement if they are as we write them."""
    for key, listed in rules.rules.items():
        hook = Hook(BACKEND, *key)
        for rule in listed:
            if rule.get("comment") == COMMENT:
                opening = parse_opening(rule)
                yield hook, rule, Placement(hook, opening) if opening else None


def parse_opening(rule: Mapping[str, Any]) -> Optional[Opening]:
    """The opening that a rule of ours makes; None for any other rule."""
    found: dict[str, Any] = {}
    for statement in rule.get("expr", ()):
        if "match" in statement and statement["match"].get("op") == "==":
            found[json.dumps(statement["match"]["left"], sort_keys=True)] = statement["match"]["right"]
        elif "counter" not in statement:
            found[json.dumps(statement)] = None
    for family in ("ip", "ip6"):
        expected = {
            '{"meta": {"key": "iifname"}}': str,
            f'{{"payload": {{"field": "daddr", "protocol": "{family}"}}}}': str,
            '{"payload": {"field": "dport", "protocol": "tcp"}}': int,
            '{"accept": null}': type(None),
        }
        if set(found) == set(expected) and all(
            isinstance(found[key], kind) for key, kind in expected.items()
        ):
            interface, address, port, _accept = (found[key] for key in expected)
            return Opening(interface, address, port)
    return None


def has_name(hook: Hook) -> bool:
    """Whether the language of nft can name a chain and its table.

    It has no quotes for names (nft(8), scanner.l). A program that uses the kernel's interface or
    JSON can give a chain any name.
    """
    return all(_NAME.fullmatch(name) for name in (hook.family, hook.table, hook.chain))


def render_insertion(placement: Placement) -> str:
    """The command that inserts the rule of an opening at the head of a chain."""
    hook = placement.hook
    return f"insert rule {hook.family} {hook.table} {hook.chain} {render_rule(placement.opening)}"


def deletion(hook: Hook, handle: int) -> tuple[list[str], Optional[str]]:
    """The command that deletes a rule from any chain, and its standard input, if it reads that."""
    if has_name(hook):
        words = ["nft", "delete", "rule", hook.family, hook.table, hook.chain, "handle", str(handle)]
        return words, None
    rule = {"family": hook.family, "table": hook.table, "chain": hook.chain, "handle": handle}
    return ["nft", "-j", "-f", "-"], json.dumps({"nftables": [{"delete": {"rule": rule}}]})


def render_rule(opening: Opening) -> str:
    """The rule that makes an opening, in the language of nft."""
    return (
        f'iifname "{opening.interface}" {opening.family} daddr {opening.address} tcp dport {opening.port} '
        f'accept comment "{COMMENT}"'
    )
