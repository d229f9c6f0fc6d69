# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of nftables that keeps neighbours from the listener, and the service that loads it."""

from __future__ import annotations

import copy
import dataclasses
import json
import re
import shlex

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._firewall import neighbours
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.model import (
    FirewallState,
    Opening,
    Restriction,
)
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.nft import parse_ruleset
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.plan import Observed, conclude, place

PORTS = (SocketAddress("172.17.0.1", 2376), SocketAddress("fd00::1", 2376))
PLAIN = Restriction(PORTS)
BRIDGED = Restriction(PORTS, ("br0", "virbr0"))
ONE = Restriction(PORTS[:1], ("br0",))

BASE = {"family": "inet", "table": "wormhole-docker"}


def match(left, right, op="=="):
    return {"match": {"op": op, "left": left, "right": right}}


def to_port(protocol, address):
    return [
        match({"payload": {"protocol": protocol, "field": "daddr"}}, address),
        match({"payload": {"protocol": "tcp", "field": "dport"}}, 2376),
        {"drop": None},
    ]


def shown(excluded=None, rules=(("ip", "172.17.0.1"), ("ip6", "fd00::1"))):
    """What ``nft -j list ruleset`` prints of our table."""
    name = {"meta": {"key": "iifname"}}
    expressions = [
        [match(name, "lo"), {"accept": None}],
        [
            *([match(name, excluded, "!=")] if excluded else []),
            match({"meta": {"key": "iifkind"}}, "bridge"),
            {"accept": None},
        ],
        *(to_port(*rule) for rule in rules),
    ]
    chain = {**BASE, "name": "input", "type": "filter", "hook": "input", "prio": -5, "policy": "accept"}
    return {
        "nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"table": {"family": "inet", "name": "wormhole-docker", "handle": 1}},
            {"chain": chain},
            *({"rule": {**BASE, "chain": "input", "handle": 2, "expr": expr}} for expr in expressions),
        ]
    }


def observed(ruleset=None, restriction=PLAIN, **rest):
    return Observed(
        nft=parse_ruleset(json.dumps(ruleset or {"nftables": []})),
        neighbours_unit=neighbours.render_unit(restriction) if restriction else None,
        neighbours_enabled=len(neighbours.LINKS) if restriction else 0,
        **rest,
    )


@pytest.mark.parametrize("restriction", [PLAIN, BRIDGED, ONE])
def test_the_service_says_what_it_restricts(restriction):
    text = neighbours.render_unit(restriction)
    assert neighbours.parse_unit(text) == restriction
    assert neighbours.parse_unit(text.replace("2376 drop", "2377 drop", 1)) is None
    assert neighbours.parse_unit(text + "\n") is None
    assert neighbours.parse_unit("") is None


def test_the_service_replaces_the_table_in_one_call_of_nft():
    lines = neighbours.render_unit(BRIDGED).replace("\\\n", " ").splitlines()
    commands = {key: value for key, _equals, value in (line.partition("=") for line in lines)}
    start = shlex.split(commands["ExecStart"])
    assert (len(start), start[0]) == (2, "nft")
    assert re.sub(r"\s+", " ", start[1]) == (
        "add table inet wormhole-docker; delete table inet wormhole-docker; "
        "table inet wormhole-docker { chain input { "
        "type filter hook input priority filter - 5; policy accept; "
        'iifname "lo" accept; iifname != { "br0", "virbr0" } meta iifkind "bridge" accept; '
        "ip daddr 172.17.0.1 tcp dport 2376 drop; ip6 daddr fd00::1 tcp dport 2376 drop; }; }"
    )
    assert commands["ExecReload"] == commands["ExecStart"]
    assert shlex.split(commands["ExecStop"]) == neighbours.REMOVE_COMMAND
    # systemd would expand these.
    assert not set("%$") & set(commands["ExecStart"])


@pytest.mark.parametrize(
    "restriction, ruleset",
    [
        (PLAIN, shown()),
        (BRIDGED, shown({"set": ["virbr0", "br0"]})),
        (ONE, shown({"set": ["br0"]}, [("ip", "172.17.0.1")])),
        (ONE, shown("br0", [("ip", "172.17.0.1")])),
    ],
)
def test_a_restriction_is_there_if_it_is_in_force_and_persistent(restriction, ruleset):
    found = observed(ruleset, restriction)
    # Our own table is no firewall of the host.
    assert conclude(found, ()) == FirewallState(restriction=restriction)
    for less in (
        dataclasses.replace(found, neighbours_enabled=1),
        dataclasses.replace(found, neighbours_unit=None),
        dataclasses.replace(found, neighbours_unit="[Unit]\n"),
        observed(None, restriction),
    ):
        assert conclude(less, ()) == FirewallState(unrestricted=True)
    assert conclude(observed(None, None), ()) == FirewallState()


def test_a_host_without_nft_says_so():
    assert conclude(observed(None, None, has_nft=False), ()) == FirewallState(restricts=False)


def changes():
    """What others can have changed in our table."""
    for at in range(len(shown()["nftables"])):
        if at > 1:
            yield lambda entries, at=at: entries.pop(at)
    yield lambda entries: entries.append(copy.deepcopy(entries[-1]))
    yield lambda entries: entries.reverse()
    yield lambda entries: entries[2]["chain"].update(hook="forward")
    yield lambda entries: entries[2]["chain"].update(policy="drop")
    yield lambda entries: entries[3]["rule"]["expr"].pop(0)
    yield lambda entries: entries[5]["rule"]["expr"].append({"accept": None})
    yield lambda entries: entries.append({"chain": {**BASE, "name": "other"}})


@pytest.mark.parametrize("change", list(changes()))
def test_a_changed_table_is_not_the_restriction(change):
    ruleset = shown()
    change(ruleset["nftables"])
    assert conclude(observed(ruleset), ()) == FirewallState(unrestricted=True)


def test_the_restriction_is_no_reason_for_an_opening():
    openings = (Opening("docker0", "172.17.0.1", 2376), Opening("br0", "172.17.0.1", 2376))
    found = observed(shown("br0", [("ip", "172.17.0.1")]), ONE)
    assert not place(found, openings).chains


@pytest.mark.parametrize(
    "present, of_engine, expected",
    [
        (["docker0", "br-0123456789ab", "docker_gwbridge"], ["docker0"], ()),
        (["br0", "ci0", "docker0"], ["ci0", "docker0"], ("br0",)),
        (["virbr0", "br-lan", "br-0123456789abc"], [], ("br-0123456789abc", "br-lan", "virbr0")),
        (['a"b', "a'b", "a%n", "a$b", "a*", "a\\b"], [], ()),
    ],
)
def test_a_bridge_is_the_engines_if_a_network_or_its_name_says_so(present, of_engine, expected):
    assert neighbours.other_bridges(present, of_engine) == expected
