# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""firewalld: a policy of our own for bridges that are not in a zone that accepts.

The engine puts its bridges into the zone ``docker``, which accepts everything. Only where an administrator has decided
otherwise is there anything to open. A zone may hold other interfaces too, so that our rules name the networks behind
the bridge as their source. A policy is a file of its own, which no other tool writes; firewalld reads it when it starts
or reloads. Until then a rule in the zone, which is not written anywhere, does the same: a reload would cost the
administrator what else is only in force.

Source: firewalld.policy(5), firewalld.richlanguage(5).
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import FIREWALLD, Opening
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall_nft import NftRules

POLICY = "wormhole-docker"
POLICY_PATH = f"/etc/firewalld/policies/{POLICY}.xml"
_PRIORITY = -1
"""Before what a zone denies."""


def render_policy(
    openings: Iterable[Opening], zones: Iterable[str], sources: Mapping[str, Sequence[str]]
) -> str:
    """The policy's file.

    Args:
        zones: those that the bridges are in.
        sources: by interface, the networks behind it.
    """
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
    """The openings that a policy of ours is about."""
    found = re.findall(r"^  <!-- (\S+) (\S+) (\d+) -->$", text, re.MULTILINE)
    return tuple(Opening(interface, address, int(port)) for interface, address, port in found)


def is_intact(text: str, sources: Mapping[str, Sequence[str]]) -> bool:
    """Whether a policy's file is as we write it, whatever the zones."""
    zones = re.findall(r'^  <ingress-zone name="([^"]+)"/>$', text, re.MULTILINE)
    return bool(zones) and text == render_policy(parse_policy(text), zones, sources)


def rich_rules(opening: Opening, sources: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The same rules for firewall-cmd."""
    return tuple(
        f'rule priority="{_PRIORITY}" family="{_family(opening)}" source address="{source}" '
        f'destination address="{opening.address}" port port="{opening.port}" protocol="tcp" accept'
        for source in sources_of(opening, sources)
    )


def sources_of(opening: Opening, sources: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The networks behind the bridge of an opening, of its family."""
    found = sources.get(opening.interface, ())
    return tuple(sorted({source for source in found if (":" in source) == (opening.family == "ip6")}))


def rules_of(
    nft: NftRules, opening: Opening, sources: Mapping[str, Sequence[str]]
) -> list[Mapping[str, Any]]:
    """The rules in force that firewalld has made of an opening; it gives them no name to know them by."""
    wanted = {_signature(opening, source) for source in sources_of(opening, sources)}
    return [
        rule
        for key, rules in nft.rules.items()
        if key[1] == FIREWALLD
        for rule in rules
        if _signature_of(rule) in wanted
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
    """What a rule says, in any order; firewalld adds the state of the connection in some versions."""
    found = set()
    for statement in rule.get("expr", ()):
        match = statement.get("match", {})
        left = match.get("left", {})
        if match.get("op") == "==" and "payload" in left:
            found.add(f"{left['payload'].get('protocol')} {left['payload'].get('field')} {match['right']}")
        elif "ct" not in left:
            found.update(statement)
    return frozenset(found)
