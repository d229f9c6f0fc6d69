# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules as ``iptables-save`` and ``ip6tables-save`` print them.

Sources: iptables(8), iptables-extensions(8).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Callable, Mapping, Optional, Sequence, Tuple

from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import (
    ACCEPT,
    COMMENT,
    CONTINUE,
    DROP,
    GOTO,
    JUMP,
    RETURN,
    Hook,
    Opening,
    Packet,
    Placement,
    Step,
    every,
    holds_address,
    holds_sources,
    matches_interface,
    negated,
    walk,
)

INPUT = "INPUT"
TABLES = ("mangle", "filter", "security")
"""The tables whose chain INPUT filters; that of ``nat`` is no place to drop."""

Words = Tuple[str, ...]
"""A rule: the words that follow ``-A CHAIN``."""

_VERDICTS = {"ACCEPT": ACCEPT, "DROP": DROP, "REJECT": DROP, "RETURN": RETURN}
# Matches that are fully told by their options; another one may match by its name alone.
_PLAIN_MATCHES = {"tcp", "udp", "conntrack", "state", "addrtype", "comment", "multiport", "pkttype"}
_FLAGS = {"SYN", "ACK", "FIN", "RST", "URG", "PSH"}


@dataclass(frozen=True)
class Table:
    """One table: the policies of its base chains, and the rules of all chains."""

    policies: Mapping[str, str]
    chains: Mapping[str, Sequence[Words]]

    def hooks_input(self) -> bool:
        """Whether its chain INPUT can drop anything."""
        return self.policies.get(INPUT, "ACCEPT") == "DROP" or bool(self.chains.get(INPUT))


@dataclass(frozen=True)
class IptablesRules:
    """What one of the programs shows.

    Attributes:
        backend: ``iptables-nft`` or ``iptables-legacy``.
        family: ``ip`` or ``ip6``.
        tables: by name.
    """

    backend: str
    family: str
    tables: Mapping[str, Table]

    def has_chain(self, name: str) -> bool:
        """Whether a table has a chain of this name."""
        return any(name in table.chains for table in self.tables.values())

    def hooks(self) -> tuple[Hook, ...]:
        """The base chains that can drop input."""
        return tuple(
            Hook(self.backend, self.family, name, INPUT)
            for name in TABLES
            if name in self.tables and self.tables[name].hooks_input()
        )


def parse_save(text: str, backend: str, family: str) -> IptablesRules:
    """Reads what ``iptables-save`` printed; a table that the program cannot show is not in it."""
    tables: dict[str, Table] = {}
    policies: dict[str, str] = {}
    chains: dict[str, list[Words]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            policies, chains = {}, {}
            tables[line[1:].strip()] = Table(policies, chains)
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            chains.setdefault(name, [])
            if policy != "-":
                policies[name] = policy
        else:
            words = _words(line)
            if words[:1] == ("-A",) and len(words) > 1:
                chains.setdefault(words[1], []).append(words[2:])
    return IptablesRules(backend, family, tables)


def blocks(table: Table, packet: Packet, is_skipped: Callable[[str, Words], bool]) -> bool:
    """Whether a table drops a packet.

    Args:
        is_skipped: which rules are to be left out, by their chain and their words.
    """
    # Rules carry their chain, because the same words may be ours in one and the administrator's in another.
    chains = {name: [(name, words) for words in rules] for name, rules in table.chains.items()}

    def judge(rule: tuple[str, Words]) -> Step:
        return Step() if is_skipped(*rule) else judge_rule(rule[1], packet, chains)

    result = walk(chains, INPUT, judge)
    return (_VERDICTS.get(table.policies.get(INPUT, ""), ACCEPT) if result == CONTINUE else result) == DROP


def is_ours(words: Words) -> bool:
    """Whether a rule bears our comment."""
    return any(pair == ("--comment", COMMENT) for pair in zip(words, words[1:]))


def parse_ours(words: Words) -> Optional[Opening]:
    """The opening that a rule of ours makes; None if the rule is another one, whatever its comment says."""
    rest = list(words)
    for match in ("tcp", "comment"):
        if "-m" in rest and rest[rest.index("-m") + 1 :][:1] == [match]:
            at = rest.index("-m")
            del rest[at : at + 2]
    options = dict(zip(rest[::2], rest[1::2]))
    known = {"-i", "-d", "-p", "--dport", "--comment", "-j"}
    if len(rest) % 2 or set(options) - known or len(options) * 2 != len(rest):
        return None
    address, _slash, length = options.get("-d", "").partition("/")
    if (options.get("-p"), options.get("-j")) != ("tcp", "ACCEPT") or length not in ("", "32", "128"):
        return None
    if not address or "-i" not in options or not options.get("--dport", "").isdigit():
        return None
    return Opening(options["-i"], address, int(options["--dport"]))


def render_rule(opening: Opening) -> Words:
    """The rule of ours that makes an opening."""
    return (
        *("-i", opening.interface, "-d", opening.address, "-p", "tcp", "--dport", str(opening.port)),
        *("-m", "comment", "--comment", COMMENT, "-j", "ACCEPT"),
    )


def placements(rules: IptablesRules) -> tuple[tuple[Hook, Words, Optional[Placement]], ...]:
    """The rules that bear our comment, in any chain; a Placement where they are as we write them."""
    found = []
    for name, table in rules.tables.items():
        for chain, listed in table.chains.items():
            hook = Hook(rules.backend, rules.family, name, chain)
            for words in filter(is_ours, listed):
                opening = parse_ours(words)
                found.append((hook, words, Placement(hook, opening) if opening else None))
    return tuple(found)


def judge_rule(words: Words, packet: Packet, chains: Mapping[str, object]) -> Step:
    """What a rule does with a packet."""
    matches: list[Optional[bool]] = []
    rest = list(words)
    while rest:
        inverted = rest[0] == "!"
        option = rest.pop(0) if not inverted else (rest.pop(0), rest.pop(0) if rest else "")[1]
        if option in ("-j", "-g"):
            step = _target(option, rest[0] if rest else "", chains)
            return step if every(matches) else Step()
        values = []
        while rest and rest[0] != "!" and not rest[0].startswith("-"):
            values.append(rest.pop(0))
        match = _match(option, values, packet)
        matches.append(negated(match) if inverted else match)
    return Step()


def _target(option: str, name: str, chains: Mapping[str, object]) -> Step:
    if name in _VERDICTS:
        return Step(_VERDICTS[name])
    if name in chains:
        return Step(GOTO if option == "-g" else JUMP, name)
    # LOG and its like go on to the next rule; what decides otherwise (NFQUEUE) cannot be told.
    return Step()


def _match(option: str, values: list[str], packet: Packet) -> Optional[bool]:
    value = values[0] if values else ""
    judge = _MATCHES.get(option)
    if option == "--tcp-flags":
        return _flags(values)
    return None if judge is None else judge(value, packet)


def _flags(values: list[str]) -> Optional[bool]:
    """The first packet of a connection has SYN and nothing else."""
    if len(values) != 2:
        return None
    mask, wanted = (_FLAGS if value == "ALL" else set(value.split(",")) - {"NONE"} for value in values)
    return mask & {"SYN"} == wanted


def _ports(value: str, packet: Packet) -> Optional[bool]:
    for part in value.split(","):
        first, _colon, last = part.partition(":")
        if not (first + last).isdigit():
            return None
        if int(first or 0) <= packet.opening.port <= int((last or "65535") if _colon else first):
            return True
    return False


_MATCHES: Mapping[str, Callable[[str, Packet], Optional[bool]]] = {
    "-i": lambda value, packet: matches_interface(value, packet.opening.interface, "+"),
    "-o": lambda value, packet: False,  # input has no outgoing interface
    "-s": lambda value, packet: holds_sources(value, packet.sources),
    "-d": lambda value, packet: holds_address(value, packet.opening.address),
    "-p": lambda value, packet: value in ("tcp", "6", "all", "0"),
    "-f": lambda value, packet: False,
    "-m": lambda value, packet: True if value in _PLAIN_MATCHES else None,
    "--dport": _ports,
    "--dports": _ports,
    "--syn": lambda value, packet: True,
    "--ctstate": lambda value, packet: "NEW" in value.split(","),
    "--state": lambda value, packet: "NEW" in value.split(","),
    "--ctdir": lambda value, packet: value == "ORIGINAL",
    "--dst-type": lambda value, packet: "LOCAL" in value.split(","),
    "--src-type": lambda value, packet: "UNICAST" in value.split(","),
    "--pkt-type": lambda value, packet: value == "unicast",
    "--comment": lambda value, packet: True,
}


def _words(line: str) -> Words:
    try:
        words = shlex.split(line)
    except ValueError:
        return ()
    # With -c, the counters come first.
    return tuple(words[1:] if words and words[0].startswith("[") else words)
