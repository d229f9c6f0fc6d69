# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a packet filter lets through, and what has to be opened.

``verdicts.json`` was recorded from kernels: each rule set was loaded into a network namespace whose
bridge end is called docker0, shown by nft 1.0.6 and 1.1.3 (iptables 1.8.9 and 1.8.11), and a
second namespace behind it tried a connection. *reached* is the result.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._firewall import firewalld as firewall_firewalld
from ansible_collections.wormhole.docker.plugins.module_utils._firewall import iptables as firewall_iptables
from ansible_collections.wormhole.docker.plugins.module_utils._firewall import nft as firewall_nft
from ansible_collections.wormhole.docker.plugins.module_utils._firewall import plan as firewall_plan
from ansible_collections.wormhole.docker.plugins.module_utils._firewall import ufw as firewall_ufw
from ansible_collections.wormhole.docker.plugins.module_utils._firewall import unit as firewall_unit
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.model import (
    COMMENT,
    MANAGERS,
    FirewallState,
    Hook,
    Opening,
    Placement,
    holds_sources,
)
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.plan import (
    Observed,
    blocking,
    conclude,
    input_hooks,
    manager_of,
    place,
)

RECORDED = json.loads(Path(__file__).with_name("verdicts.json").read_text(encoding="utf-8"))
OPENING = Opening("docker0", "172.17.0.1", 2376)
OPENING6 = Opening("docker0", "fd00::1", 2376)
SOURCES = {"docker0": ("172.17.0.0/16", "fd00::/64")}


def of_nft(shown, **rest):
    return Observed(nft=firewall_nft.parse_ruleset(json.dumps(shown)), sources=SOURCES, **rest)


def of_iptables(lines, **rest):
    rules = firewall_iptables.parse_save("\n".join(lines), "iptables-nft", "ip")
    return Observed(iptables=(rules,), sources=SOURCES, **rest)


NFT_CASES = [
    pytest.param(shown, address, reached, id=f"{case['rules']} | {address} | {version}")
    for case in RECORDED["nft"]
    for version, shown in enumerate(case["shown"])
    for address, reached in case["reached"].items()
]
IPTABLES_CASES = [
    pytest.param(shown, case["reached"], id=f"{case['rules']} | {version}")
    for case in RECORDED["iptables"]
    for version, shown in enumerate(case["shown"])
]


@pytest.mark.parametrize("shown, address, reached", NFT_CASES)
def test_rules_of_nft_are_judged_as_the_kernel_judged_them(shown, address, reached):
    opening = Opening("docker0", address, 2376)
    assert (not blocking(of_nft(shown), opening, with_ours=False)) == reached


@pytest.mark.parametrize("shown, reached", IPTABLES_CASES)
def test_rules_of_iptables_are_judged_as_the_kernel_judged_them(shown, reached):
    assert (not blocking(of_iptables(shown), OPENING, with_ours=False)) == reached


@pytest.mark.parametrize(
    "statement",
    [
        {"limit": {"rate": 5, "per": "second"}},
        {"xt": {"type": "match", "name": "geoip"}},
        {"match": {"op": "==", "left": {"meta": {"key": "skuid"}}, "right": 0}},
        {"match": {"op": "==", "left": {"meta": {"key": "iifname"}}, "right": {"surprise": 1}}},
        {"match": {"op": "~", "left": {"meta": {"key": "l4proto"}}, "right": "tcp"}},
        {"match": {"op": "==", "left": {"ct": {"key": "state"}}, "right": {"surprise": 1}}},
        {"surprise": {}},
    ],
)
@pytest.mark.parametrize("verdict, policy", [("accept", "drop"), ("drop", "accept")])
def test_what_cannot_be_told_is_no_match_neither_of_an_accept_nor_of_a_drop(statement, verdict, policy):
    base = {"family": "inet", "table": "t"}
    shown = [
        {"chain": {**base, "name": "in", "type": "filter", "hook": "input", "policy": policy}},
        {"rule": {**base, "chain": "in", "expr": [statement, {verdict: None}]}},
    ]
    blocked = blocking(of_nft({"nftables": shown}), OPENING, with_ours=False)
    assert bool(blocked) == (policy == "drop")
    words = "-m geoip --source-country XX"
    lines = ["*filter", f":INPUT {policy.upper()} [0:0]", f"-A INPUT {words} -j {verdict.upper()}"]
    assert bool(blocking(of_iptables(lines), OPENING, with_ours=False)) == (policy == "drop")


@pytest.mark.parametrize(
    "network, sources, expected",
    [
        ("172.17.0.0/16", ["172.17.0.0/16"], True),
        ("172.16.0.0/12", ["172.17.0.0/16"], True),
        ("10.0.0.0/8", ["172.17.0.0/16"], False),
        ("172.17.0.5", ["172.17.0.0/16"], None),
        ("172.17.0.0/16", ["172.17.0.0/16", "172.18.0.0/16"], None),
        ("172.17.0.0/255.255.0.0", ["172.17.0.0/16"], True),
        ("172.17.0.0/16", [], None),
        ("fd00::/8", ["172.17.0.0/16"], None),
        ("nonsense", ["172.17.0.0/16"], None),
    ],
)
def test_where_packets_come_from_is_a_network(network, sources, expected):
    assert holds_sources(network, sources) is expected


@pytest.mark.parametrize("case", RECORDED["firewalld"], ids=lambda case: f"{case['release']} {case['zone']}")
def test_firewalld_lets_through_what_is_in_the_engines_zone_and_rejects_elsewhere(case):
    state = conclude(of_nft(case["shown"]), [OPENING])
    assert state == FirewallState("firewalld", (OPENING,) if case["zone"] == "public" else ())


# ---- ours, with firewalld

PUBLIC = {case["release"]: case["shown"] for case in RECORDED["firewalld"] if case["zone"] == "public"}
SOURCES4 = {"docker0": ("172.17.0.0/16",)}
POLICY = firewall_firewalld.render_policy([OPENING], ["public"], SOURCES4)
# As firewalld 1.3.3 and 2.3.1 made it of our rich rule.
OF_FIREWALLD = [
    ("ip", "daddr", "172.17.0.1"),
    ("ip", "saddr", {"prefix": {"addr": "172.17.0.0", "len": 16}}),
    ("tcp", "dport", 2376),
]


def opened_by_firewalld(release, chain="filter_IN_public_pre", changed=None, **rest):
    """The recorded rules, with ours where firewalld puts it: first in the zone's first chain."""
    expr = [
        {"match": {"op": "==", "left": {"payload": {"protocol": protocol, "field": field}}, "right": right}}
        for protocol, field, right in (changed or OF_FIREWALLD)
    ]
    place = {"family": "inet", "table": "firewalld", "chain": chain}
    ours = {"rule": {**place, "expr": [*expr, {"accept": None}]}}
    observed = of_nft({"nftables": [*PUBLIC[release]["nftables"], ours]}, **rest)
    return dataclasses.replace(observed, sources=SOURCES4)


@pytest.mark.parametrize("release", sorted(PUBLIC))
def test_a_policy_of_firewalld_counts_while_it_is_in_force(release):
    done = opened_by_firewalld(release, firewalld_policy=POLICY)
    assert conclude(done, [OPENING]) == FirewallState("firewalld", (OPENING,), (OPENING,))
    not_in_force = dataclasses.replace(of_nft(PUBLIC[release], firewalld_policy=POLICY), sources=SOURCES4)
    assert conclude(not_in_force, [OPENING]) == FirewallState("firewalld", (OPENING,), (), True)
    # Without our file, the rule is the administrator's.
    assert conclude(opened_by_firewalld(release), [OPENING]) == FirewallState("firewalld")


@pytest.mark.parametrize(
    "policy",
    [
        POLICY.replace("2376", "1", 1),
        POLICY.replace('  <ingress-zone name="public"/>\n', ""),
        POLICY.replace("<accept/>", "<drop/>"),
        "<policy/>",
        "",
    ],
)
def test_a_policy_that_was_edited_is_written_again(policy):
    state = conclude(opened_by_firewalld(13, firewalld_policy=policy), [OPENING])
    assert state.opened == ()
    assert state.leftover


def test_a_rule_of_firewalld_that_opens_something_else_is_not_ours():
    other = [*OF_FIREWALLD[:1], OF_FIREWALLD[2]]
    state = conclude(opened_by_firewalld(13, changed=other, firewalld_policy=POLICY), [OPENING])
    assert state == FirewallState("firewalld", (), (), True)


def test_a_policy_left_behind_by_a_firewalld_that_is_gone_is_told():
    gone = Observed(firewalld_policy=POLICY, sources=SOURCES4)
    assert conclude(gone, [OPENING]) == FirewallState("", leftover=True)


# ---- ours, in nftables


def ours_in_nft(hook, opening):
    """Our rule, as nft 1.0.6 and 1.1.3 show it."""
    match = [
        ({"meta": {"key": "iifname"}}, opening.interface),
        ({"payload": {"protocol": opening.family, "field": "daddr"}}, opening.address),
        ({"payload": {"protocol": "tcp", "field": "dport"}}, opening.port),
    ]
    expr = [{"match": {"op": "==", "left": left, "right": right}} for left, right in match]
    return {
        "rule": {
            "family": hook.family,
            "table": hook.table,
            "chain": hook.chain,
            "handle": 7,
            "comment": COMMENT,
            "expr": [*expr, {"accept": None}],
        }
    }


def with_files(observed, placements):
    return dataclasses.replace(
        observed,
        script=firewall_unit.render_script(placements),
        unit=firewall_unit.render_unit(),
        enabled=len(firewall_unit.LINKS),
    )


def opened_in_nft(shown, placements):
    """The host after ours has been put in: at the head of each chain, and into our files."""
    rules = [ours_in_nft(placement.hook, placement.opening) for placement in placements]
    chains = [entry for entry in shown["nftables"] if "rule" not in entry]
    rest = [entry for entry in shown["nftables"] if "rule" in entry]
    return with_files(of_nft({"nftables": [*chains, *rules, *rest]}), placements)


@pytest.mark.parametrize("shown, address, reached", NFT_CASES)
def test_what_is_opened_in_nftables_is_open_and_there_is_nothing_left_to_do(shown, address, reached):
    opening = Opening("docker0", address, 2376)
    placements = place(of_nft(shown), [opening]).chains
    assert bool(placements) != reached
    if reached:
        return
    assert conclude(of_nft(shown), [opening]) == FirewallState("nftables", (opening,), ())
    done = opened_in_nft(shown, placements)
    assert conclude(done, [opening]) == FirewallState("nftables", (opening,), (opening,))
    # Nobody asks for it any more: it is told all the same, so that it can be closed.
    assert conclude(done, []).opened == (opening,)


@pytest.mark.parametrize("shown, reached", IPTABLES_CASES)
def test_what_is_opened_in_iptables_is_open_and_there_is_nothing_left_to_do(shown, reached):
    placements = place(of_iptables(shown), [OPENING]).chains
    assert bool(placements) != reached
    if reached:
        return
    lines = []
    table = ""
    for line in shown:
        table = line[1:] if line.startswith("*") else table
        for placement in placements:
            chain_is_next = line.startswith("-A") or line == "COMMIT"
            if placement.hook.table == table and chain_is_next:
                lines.append(
                    "-A INPUT -d 172.17.0.1/32 -i docker0 -p tcp -m tcp --dport 2376 "
                    f'-m comment --comment "{COMMENT}" -j ACCEPT'
                )
                table = ""
        lines.append(line)
    done = with_files(of_iptables(lines), placements)
    assert conclude(done, [OPENING]) == FirewallState("iptables", (OPENING,), (OPENING,))


DROPPING = {
    "nftables": [
        {
            "chain": {
                "family": "inet",
                "table": "filter",
                "name": "input",
                "type": "filter",
                "hook": "input",
                "policy": "drop",
            }
        }
    ]
}
HOOK = Hook("nft", "inet", "filter", "input")
PLACED = Placement(HOOK, OPENING)
DONE = opened_in_nft(DROPPING, {PLACED})
KERNEL_ONLY = dataclasses.replace(DONE, script=None, unit=None, enabled=0)
FILES_ONLY = with_files(of_nft(DROPPING), {PLACED})
TWICE = of_nft({"nftables": [*DROPPING["nftables"], *[ours_in_nft(HOOK, OPENING)] * 2]})
EDITED = ours_in_nft(HOOK, OPENING)
EDITED["rule"]["expr"][0]["match"]["right"] = {"set": ["docker0", "eth0"]}
DROP_FIRST = {"rule": {"family": "inet", "table": "filter", "chain": "input", "expr": [{"drop": None}]}}
OTHER = Opening("br-0123456789ab", "172.18.0.1", 2376)


@pytest.mark.parametrize(
    "observed, opened, leftover",
    [
        pytest.param(of_nft(DROPPING), (), False, id="nothing of ours"),
        pytest.param(DONE, (OPENING,), False, id="done"),
        pytest.param(KERNEL_ONLY, (), True, id="lost at the next boot"),
        pytest.param(FILES_ONLY, (), True, id="not in force"),
        pytest.param(dataclasses.replace(DONE, enabled=2), (), True, id="a link is missing"),
        pytest.param(dataclasses.replace(DONE, enabled=0), (), True, id="disabled"),
        pytest.param(dataclasses.replace(DONE, unit=DONE.unit + "#"), (), True, id="the unit was edited"),
        pytest.param(dataclasses.replace(DONE, unit=None), (), True, id="no unit"),
        pytest.param(
            dataclasses.replace(DONE, script=DONE.script + "#"), (), True, id="the script was edited"
        ),
        pytest.param(dataclasses.replace(of_nft(DROPPING), unit="[Unit]"), (), True, id="a unit alone"),
        pytest.param(dataclasses.replace(of_nft(DROPPING), enabled=1), (), True, id="a link alone"),
        pytest.param(dataclasses.replace(of_nft(DROPPING), ufw_saved=True), (), True, id="of ufw, kept"),
        pytest.param(with_files(TWICE, {PLACED}), (OPENING,), True, id="twice"),
        pytest.param(
            with_files(of_nft({"nftables": [*DROPPING["nftables"], EDITED]}), {PLACED}),
            (),
            True,
            id="edited to open more",
        ),
        pytest.param(
            with_files(
                of_nft({"nftables": [*DROPPING["nftables"], DROP_FIRST, ours_in_nft(HOOK, OPENING)]}),
                {PLACED},
            ),
            (),
            True,
            id="a drop came before it",
        ),
        pytest.param(
            opened_in_nft(DROPPING, {PLACED, Placement(HOOK, OTHER)}), (OTHER, OPENING), False, id="one more"
        ),
        pytest.param(
            with_files(opened_in_nft(DROPPING, {PLACED}), {PLACED, Placement(HOOK, OTHER)}),
            (OPENING,),
            True,
            id="one more in the files only",
        ),
        pytest.param(
            opened_in_nft(DROPPING, {PLACED, Placement(Hook("nft", "inet", "old", "input"), OPENING)}),
            (OPENING,),
            True,
            id="in a chain that drops nothing any more",
        ),
    ],
)
def test_an_opening_counts_if_it_is_in_force_and_persistent(observed, opened, leftover):
    assert conclude(observed, [OPENING]) == FirewallState("nftables", (OPENING,), opened, leftover)


@pytest.mark.parametrize(
    "observed, wanted, manager",
    [
        (Observed(), [OPENING], ""),
        (of_iptables(["*filter", ":INPUT ACCEPT [0:0]", ":FORWARD DROP [0:0]"]), [OPENING], ""),
        (of_nft(DROPPING), [], "nftables"),
        (of_iptables(["*filter", ":INPUT DROP [0:0]"]), [], "iptables"),
    ],
)
def test_a_host_that_is_asked_for_nothing_or_filters_nothing_needs_nothing(observed, wanted, manager):
    assert conclude(observed, wanted) == FirewallState(manager)


@pytest.mark.parametrize("manager", MANAGERS)
def test_each_manager_has_a_place_for_what_its_chains_drop(manager, monkeypatch):
    monkeypatch.setattr(firewall_plan, "manager_of", lambda _hook, _observed: manager)
    state = conclude(of_nft(DROPPING), [OPENING])
    assert (state.manager, state.needed) == (manager, (OPENING,))


def test_a_table_that_iptables_shows_is_not_judged_by_nft_which_knows_less_of_it():
    rule = [{"xt": {"type": "match", "name": "comment"}}, {"accept": None}]
    names = {"family": "ip", "table": "filter"}
    nft = {
        "nftables": [
            {"chain": {**names, "name": "INPUT", "type": "filter", "hook": "input", "policy": "drop"}},
            {"rule": {**names, "chain": "INPUT", "expr": rule}},
        ]
    }
    seen_by_nft = of_nft(nft)
    seen_by_both = dataclasses.replace(
        of_iptables(["*filter", ":INPUT DROP [0:0]", '-A INPUT -m comment --comment "all" -j ACCEPT']),
        nft=seen_by_nft.nft,
    )
    assert conclude(seen_by_nft, [OPENING]).needed == (OPENING,)
    assert conclude(seen_by_both, [OPENING]) == FirewallState("iptables")
    assert input_hooks(seen_by_both) == (Hook("iptables-nft", "ip", "filter", "INPUT"),)


# ---- ufw

SAVE, SAVE6, UFW_RULES = (
    "\n".join(RECORDED["ufw"][name]) + "\n" for name in ("save", "save6", "rules")
)  # fmt: skip
UFW_KERNEL_RULE = "-A ufw-user-input -d 172.17.0.1/32 -i docker0 -p tcp -m tcp --dport 2376 -j ACCEPT\n"


def of_ufw(save=SAVE, rules=UFW_RULES, enabled=True, **rest):
    views = (
        firewall_iptables.parse_save(save, "iptables-nft", "ip"),
        firewall_iptables.parse_save(SAVE6, "iptables-nft", "ip6"),
    )
    return Observed(iptables=views, ufw_enabled=enabled, ufw_rules={"ip": rules}, sources=SOURCES, **rest)


BARE_RULES = firewall_ufw.without_ours(UFW_RULES)
BARE_SAVE = SAVE.replace(UFW_KERNEL_RULE, "")


@pytest.mark.parametrize(
    "observed, opened, leftover",
    [
        pytest.param(of_ufw(), (OPENING,), False, id="opened"),
        pytest.param(of_ufw(BARE_SAVE, BARE_RULES), (), False, id="nothing of ours"),
        pytest.param(of_ufw(BARE_SAVE), (), True, id="not in force"),
        pytest.param(of_ufw(ufw_saved=True), (OPENING,), False, id="with what is kept"),
        pytest.param(of_ufw(BARE_SAVE, BARE_RULES, ufw_saved=True), (), True, id="kept for nothing"),
    ],
)
def test_of_ufw_ours_are_known_by_its_files(observed, opened, leftover):
    assert UFW_KERNEL_RULE in SAVE
    assert conclude(observed, [OPENING]) == FirewallState("ufw", (OPENING,), opened, leftover)


def test_a_rule_of_somebody_elses_in_ufw_makes_ours_needless():
    """The same rule in the kernel, without our comment in the file."""
    assert conclude(of_ufw(rules=BARE_RULES), [OPENING]) == FirewallState("ufw")


def test_ufw_denies_by_ipv6_too():
    state = conclude(of_ufw(), [OPENING6])
    assert state == FirewallState("ufw", (OPENING6,), (OPENING,))
    assert place(of_ufw(), [OPENING6]).ufw == {OPENING6}


def test_a_ufw_that_was_switched_off_leaves_ours_behind():
    state = conclude(of_ufw("*filter\n:INPUT ACCEPT [0:0]\n", enabled=False), [OPENING])
    assert (state.needed, state.opened, state.leftover) == ((), (), True)
    # Switched off in its file alone, it is still in force, and gone after the next boot.
    state = conclude(of_ufw(enabled=False), [OPENING])
    assert (state.needed, state.opened, state.leftover) == ((OPENING,), (), True)


def test_the_rules_that_ufw_has_left_in_the_kernel_are_not_its_own_once_it_is_off():
    (hook, *_rest) = input_hooks(of_ufw(enabled=False))
    assert manager_of(hook, of_ufw(enabled=False)) == "iptables"
    assert manager_of(hook, of_ufw()) == "ufw"


def test_without_ours_the_file_is_as_ufw_leaves_it():
    assert firewall_ufw.our_openings(UFW_RULES) == (OPENING,)
    assert firewall_ufw.our_openings(BARE_RULES) == ()
    removed = [line for line in UFW_RULES.splitlines() if line not in BARE_RULES.splitlines()]
    assert [line.split()[0] for line in removed] == ["###", "-A"]
    assert len(UFW_RULES.splitlines()) == len(BARE_RULES.splitlines()) + 3


@pytest.mark.parametrize(
    "line, expected",
    [
        ("deny tcp 2376 172.17.0.1 any 0.0.0.0/0 in_docker0", "deny"),
        ("limit tcp 2376 172.17.0.1 any 0.0.0.0/0 in_docker0 comment=00", "limit"),
        ("allow tcp 2376 172.17.0.1 any 0.0.0.0/0 in_docker0", None),
        ("deny tcp 2376 172.17.0.1 any 0.0.0.0/0 in_eth0", None),
        ("deny tcp 2376 172.17.0.1 any 10.0.0.0/8 in_docker0", None),
        ("deny tcp 2376 0.0.0.0/0 any 0.0.0.0/0 in", None),
        ("deny udp 2376 172.17.0.1 any 0.0.0.0/0 in_docker0", None),
        ("route:deny tcp 2376 172.17.0.1 any 0.0.0.0/0 in_docker0!out_eth0", None),
        ("", None),
    ],
)
def test_a_rule_that_ours_would_replace_is_found(line, expected):
    assert firewall_ufw.contradiction(f"### tuple ### {line}\n", OPENING) == expected


@pytest.mark.parametrize(
    "text, expected", [("ENABLED=yes\n", True), ("#ENABLED=yes\nENABLED=no", False), ("", False)]
)
def test_ufw_says_whether_it_is_enabled(text, expected):
    assert firewall_ufw.is_enabled(text) is expected


# ---- files

interfaces = st.from_regex(r"[a-z][a-z0-9._-]{0,14}", fullmatch=True)
openings = st.builds(
    Opening,
    interfaces,
    st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6)).map(str),
    st.integers(min_value=1, max_value=65535),
)
names = st.from_regex(r"[A-Za-z][A-Za-z0-9_/.-]{0,20}", fullmatch=True)


@st.composite
def placements(draw):
    opening = draw(openings)
    native = st.builds(Hook, st.just("nft"), st.sampled_from([opening.family, "inet"]), names, names)
    backends = st.sampled_from(["iptables-nft", "iptables-legacy"])
    tables = st.sampled_from(firewall_iptables.TABLES)
    old = st.builds(Hook, backends, st.just(opening.family), tables, st.just("INPUT"))
    return Placement(draw(st.one_of(native, old)), opening)


@given(st.sets(placements(), max_size=6))
def test_the_script_tells_what_it_opens(found):
    assert set(firewall_unit.parse_script(firewall_unit.render_script(found))) == found


@given(st.sets(openings, max_size=4))
def test_ufw_gives_back_what_it_was_told(found):
    lines = [
        f"### tuple ### allow tcp {o.port} {o.address} any {'::/0' if o.family == 'ip6' else '0.0.0.0/0'} "
        f"in_{o.interface} comment={COMMENT.encode().hex()}"
        for o in found
    ]
    assert set(firewall_ufw.our_openings("\n".join(lines))) == found


@given(st.sets(openings, max_size=4), st.sets(interfaces, min_size=1, max_size=2))
def test_a_policy_tells_what_it_opens(found, zones):
    sources = {opening.interface: ("172.17.0.0/16", "fd00::/64") for opening in found}
    text = firewall_firewalld.render_policy(found, zones, sources)
    assert set(firewall_firewalld.parse_policy(text)) == found
    assert firewall_firewalld.is_intact(text, sources)


@given(openings)
def test_our_rule_in_iptables_is_known_again(opening):
    assert firewall_iptables.parse_ours(firewall_iptables.render_rule(opening)) == opening
    assert firewall_iptables.is_ours(firewall_iptables.render_rule(opening))


@pytest.mark.parametrize(
    "rule",
    [
        "-i docker0 -p tcp -m tcp --dport 2376 -m comment --comment wormhole.docker -j ACCEPT",
        "-d 172.17.0.0/16 -i docker0 -p tcp -m tcp --dport 2376 -m comment --comment wormhole.docker -j ACCEPT",
        "-d 172.17.0.1/32 -p tcp -m tcp --dport 2376 -m comment --comment wormhole.docker -j ACCEPT",
        "-d 172.17.0.1/32 -i docker0 -p tcp -m comment --comment wormhole.docker -j ACCEPT",
        "-d 172.17.0.1/32 ! -i docker0 -p tcp -m tcp --dport 2376 -m comment --comment wormhole.docker -j ACCEPT",
        "-d 172.17.0.1/32 -i docker0 -p tcp -m tcp --dport 1:9999 -m comment --comment wormhole.docker -j ACCEPT",
        "-d 172.17.0.1/32 -i docker0 -p udp -m udp --dport 2376 -m comment --comment wormhole.docker -j ACCEPT",
        "-d 172.17.0.1/32 -i docker0 -p tcp -m tcp --dport 2376 -m comment --comment wormhole.docker -j LOG",
    ],
)
def test_a_rule_with_our_comment_that_opens_something_else_is_not_taken_for_an_opening(rule):
    lines = ["*filter", ":INPUT DROP [0:0]", f"-A INPUT {rule}"]
    assert conclude(of_iptables(lines), [OPENING]) == FirewallState("iptables", (OPENING,), (), True)


def test_the_service_follows_whoever_loads_the_rules():
    unit = firewall_unit.render_unit()
    for line in ("After=", "PartOf=", "ReloadPropagatedFrom="):
        assert f"{line}nftables.service netfilter-persistent.service" in unit
    assert len(firewall_unit.LINKS) == 3


@pytest.mark.parametrize("zone", ["docker", "public"])
def test_an_engine_that_may_start_before_firewalld_answers_needs_an_opening_in_any_zone(zone):
    (case, *_others) = [case for case in RECORDED["firewalld"] if case["zone"] == zone]
    observed = of_nft(case["shown"], firewalld_unordered=True)
    state = conclude(dataclasses.replace(observed, sources=SOURCES4), [OPENING])
    assert state.needed == (OPENING,)
    assert state.at_boot == ((OPENING,) if zone == "docker" else ())
