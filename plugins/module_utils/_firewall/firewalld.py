# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""firewalld: our own policy for bridges in a zone that does not accept everything.

The engine puts its bridges into the zone ``docker``, which accepts everything. An opening is needed
only where an administrator has moved a bridge to another zone. A zone may hold other interfaces
too; our rules therefore name the networks behind the bridge as their source. The policy is a file
of its own that no other tool writes. firewalld reads it when it starts or reloads. Until then, a
runtime rule in the zone does the same: a reload would discard the administrator's runtime rules.

Source: firewalld.policy(5), firewalld.richlanguage(5).
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping, Sequence

from .model import FIREWALLD, Opening
from .nft import NftRules

POLICY = "wormhole-docker"
POLICY_PATH = f"/etc/firewalld/policies/{POLICY}.xml"
_PRIORITY = -1
"""Evaluated before what a zone denies."""


def render_policy(
    openings: Iterable[Opening], zones: Iterable[str], sources: Mapping[str, Sequence[str]]
) -> str:
    """The text of our policy for bridges in these zones; sources as in Observed."""
    found = sorted(openings)
    rules = "".join(
        f"  <!-- {opening.interface} {opening.address} {opening.port} -->\n"
        + "".join(
            f'  <rule family="{_family(opening)}" priority="{_PRIORITY}">\n'
            f'    <source address="{source}"/>\n'
            f'    <destination address="{opening.address}"/>\n'
            f'    <port port="{opening.port}" protocol="tcp"/>\n'
            "    <accept/>\n"
            "  </rule>\n"
            for source in sources_of(opening, sources)
        )
        for opening in found
    )
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n'
        "<!-- Managed by the Ansible module wormhole.docker.dockerd_listener, which undoes changes made here. -->\n"
        '<policy target="CONTINUE">\n'
        "  <short>Docker API for containers of this host</short>\n"
        f"{rules}"
        + "".join(f'  <ingress-zone name="{zone}"/>\n' for zone in sorted(set(zones)))
        + '  <egress-zone name="HOST"/>\n</policy>\n'
    )


def parse_policy(text: str) -> tuple[Opening, ...]:
    """The openings in the text of our policy."""
    found = re.findall(r"^  <!-- (\S+) (\S+) (\d+) -->$", text, re.MULTILINE)
    return tuple(Opening(interface, address, int(port)) for interface, address, port in found)


def is_intact(text: str, sources: Mapping[str, Sequence[str]]) -> bool:
    """Whether the text of our policy is unchanged; the zones may be any."""
    zones = re.findall(r'^  <ingress-zone name="([^"]+)"/>$', text, re.MULTILINE)
    return bool(zones) and text == render_policy(parse_policy(text), zones, sources)


def rich_rules(opening: Opening, sources: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The rules of an opening, as firewall-cmd takes them."""
    return tuple(
        f'rule priority="{_PRIORITY}" family="{_family(opening)}" source address="{source}" '
        f'destination address="{opening.address}" port port="{opening.port}" protocol="tcp" accept'
        for source in sources_of(opening, sources)
    )


def sources_of(opening: Opening, sources: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The networks behind an opening's bridge, of its address family."""
    found = sources.get(opening.interface, ())
    return tuple(sorted({source for source in found if (":" in source) == (opening.family == "ip6")}))


def rules_of(
    nft: NftRules, opening: Opening, sources: Mapping[str, Sequence[str]]
) -> list[Mapping[str, Any]]:
    """The rules that firewalld has made of an opening; they have no comment."""
    expected = {_signature(opening, source) for source in sources_of(opening, sources)}
    return [
        rule
        for key, rules in nft.rules.items()
        if key[1] == FIREWALLD
        for rule in rules
        if _signature_of(rule) in expected
    ]


def _family(opening: Opening) -> str:
    return "ipv6" if opening.family == "ip6" else "ipv4"


def _signature(opening: Opening, source: str) -> frozenset[str]:
    address, _slash, length = source.partition("/")
    prefix = {"prefix": {"addr": address, "len": int(length)}}
    return frozenset(
        {
            f"{opening.family} daddr {opening.address}",
            f"{opening.family} saddr {prefix}",
            f"tcp dport {opening.port}",
            "accept",
        }
    )


def _signature_of(rule: Mapping[str, Any]) -> frozenset[str]:
    """The matches and verdict of a rule, without the connection state that some versions add."""
    found = set()
    for statement in rule.get("expr", ()):
        match = statement.get("match", {})
        left = match.get("left", {})
        if match.get("op") == "==" and "payload" in left:
            found.add(f"{left['payload'].get('protocol')} {left['payload'].get('field')} {match['right']}")
        elif "ct" not in left:
            found.update(statement)
    return frozenset(found)
