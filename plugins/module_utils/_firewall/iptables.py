# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules as ``iptables-save`` and ``ip6tables-save`` print them.

Sources: iptables(8), iptables-extensions(8).
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import Callable, Iterator, Mapping, Optional, Sequence, Tuple

from . import model
from .model import COMMENT, Backend, Hook, Opening, Packet, Placement, Step, Verdict

INPUT = "INPUT"
TABLES = ("mangle", "filter", "security")
"""The tables whose chain INPUT filters; the table nat is not for dropping."""

Words = Tuple[str, ...]
"""A rule: the words that follow ``-A CHAIN``."""

_VERDICTS: Mapping[str, Verdict] = {
    "ACCEPT": "accept", "DROP": "drop", "REJECT": "drop", "RETURN": "return"
}  # fmt: skip
# Matches that are decided by their options alone; another match may depend on anything.
_PLAIN_MATCHES = {"tcp", "udp", "conntrack", "state", "addrtype", "comment", "multiport", "pkttype"}
_FLAGS = {"SYN", "ACK", "FIN", "RST", "URG", "PSH"}


@dataclass(frozen=True)
class Table:
    """One table: the policies of its base chains, and the rules of all chains."""

    policies: Mapping[str, str]
    chains: Mapping[str, Sequence[Words]]


@dataclass(frozen=True)
class IptablesRules:
    """The rules that one program shows.

    Attributes:
        backend: ``iptables-nft`` or ``iptables-legacy``.
        family: ``ip`` or ``ip6``.
        tables: by name.
    """

    backend: Backend
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
            if name in self.tables
            and (self.tables[name].policies.get(INPUT) == "DROP" or self.tables[name].chains.get(INPUT))
        )


def parse_save(text: str, backend: Backend, family: str) -> IptablesRules:
    """Reads the output of ``iptables-save``, which lacks tables that the program cannot show."""
    tables: dict[str, Table] = {}
    policies: dict[str, str] = {}
    chains: dict[str, list[Words]] = {}
    for line in text.splitlines():
        if line.startswith("*"):
            policies, chains = {}, {}
            tables[line[1:].strip()] = Table(policies, chains)
        elif line.startswith(":"):
            name, policy = (*line[1:].split(), "-", "-")[:2]
            chains.setdefault(name, [])
            if policy != "-":
                policies[name] = policy
        else:
            words = split_words(line)
            # With -c, the counters come first.
            words = words[1:] if words and words[0].startswith("[") else words
            if words[:1] == ("-A",) and len(words) > 1:
                chains.setdefault(words[1], []).append(words[2:])
    return IptablesRules(backend, family, tables)


def blocks(table: Table, packet: Packet, is_skipped: Callable[[str, Words], bool]) -> bool:
    """Whether a table drops a packet.

    Args:
        is_skipped: whether to leave a rule out, given its chain and its words.
    """
    # The same words may be our rule in one chain and the administrator's in another: rules carry
    # their chain.
    chains = {name: [(name, words) for words in rules] for name, rules in table.chains.items()}

    def judge(rule: tuple[str, Words]) -> Step:
        return Step() if is_skipped(*rule) else judge_rule(rule[1], packet, chains)

    result = model.walk(chains, INPUT, judge)
    return result == "drop" or (result == "continue" and table.policies.get(INPUT) == "DROP")


def is_ours(words: Words) -> bool:
    """Whether a rule has our comment."""
    return any(pair == ("--comment", COMMENT) for pair in zip(words, words[1:]))


def parse_ours(words: Words) -> Optional[Opening]:
    """The opening that a rule of ours makes; None for any other rule, whatever its comment."""
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
    """The rule that makes an opening."""
    return (
        *("-i", opening.interface, "-d", opening.address, "-p", "tcp", "--dport", str(opening.port)),
        *("-m", "comment", "--comment", COMMENT, "-j", "ACCEPT"),
    )


def placements(rules: IptablesRules) -> Iterator[tuple[Hook, Words, Optional[Placement]]]:
    """The rules with our comment, in any chain; with a Placement if they are as we write them."""
    for name, table in rules.tables.items():
        for chain, listed in table.chains.items():
            hook = Hook(rules.backend, rules.family, name, chain)
            for words in filter(is_ours, listed):
                opening = parse_ours(words)
                yield hook, words, Placement(hook, opening) if opening else None


def judge_rule(words: Words, packet: Packet, chains: Mapping[str, object]) -> Step:
    """What a rule does with a packet."""
    matches: list[Optional[bool]] = []
    rest = list(words)
    while rest:
        inverted = rest[0] == "!"
        option = rest.pop(0) if not inverted else (rest.pop(0), rest.pop(0) if rest else "")[1]
        if option in ("-j", "-g"):
            step = _target(option, rest[0] if rest else "", chains)
            return step if model.every(matches) else Step()
        values = []
        while rest and rest[0] != "!" and not rest[0].startswith("-"):
            values.append(rest.pop(0))
        match = _match(option, values, packet)
        matches.append(model.negated(match) if inverted else match)
    return Step()


def _target(option: str, name: str, chains: Mapping[str, object]) -> Step:
    if name in _VERDICTS:
        return Step(_VERDICTS[name])
    if name in chains:
        return Step("goto" if option == "-g" else "jump", name)
    # LOG and the like continue with the next rule; the outcome of others (NFQUEUE) is unknown.
    return Step()


def _match(option: str, values: list[str], packet: Packet) -> Optional[bool]:
    if option == "--tcp-flags":
        return _flags(values)
    judge = _MATCHES.get(option)
    return judge(values[0] if values else "", packet) if judge else None


def _flags(values: list[str]) -> Optional[bool]:
    """Whether flags match the first packet of a connection, which has SYN and no other flag."""
    if len(values) != 2:
        return None
    mask, expected = (_FLAGS if value == "ALL" else set(value.split(",")) - {"NONE"} for value in values)
    return mask & {"SYN"} == expected


def _ports(value: str, packet: Packet) -> Optional[bool]:
    for part in value.split(","):
        first, _colon, last = part.partition(":")
        if not (first + last).isdigit():
            return None
        if int(first or 0) <= packet.opening.port <= int((last or "65535") if _colon else first):
            return True
    return False


_MATCHES: Mapping[str, Callable[[str, Packet], Optional[bool]]] = {
    "-i": lambda value, packet: model.matches_interface(value, packet.opening.interface, "+"),
    "-o": lambda value, packet: False,  # input has no outgoing interface
    "-s": lambda value, packet: model.holds_sources(value, packet.sources),
    "-d": lambda value, packet: model.holds_address(value, packet.opening.address),
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


def split_words(line: str) -> Words:
    """The words of a line as a shell reads it; none if a quote is not closed."""
    try:
        return tuple(shlex.split(line))
    except ValueError:
        return ()
