# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From what the host's packet filter is to what has to be opened where, and to what of it is ours already."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Iterable, Mapping, Optional, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._core import (
    firewall_firewalld,
    firewall_iptables,
    firewall_nft,
    firewall_ufw,
    firewall_unit,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import (
    FIREWALLD,
    IPTABLES,
    NFTABLES,
    UFW,
    FirewallState,
    Hook,
    Opening,
    Packet,
    Placement,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall_iptables import (
    IptablesRules,
    Words,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall_nft import NftRules


@dataclass(frozen=True)
class Observed:
    """All that is read of a host.

    Attributes:
        nft: the kernel's nftables.
        iptables: what iptables shows: of iptables-nft where it has chains of input, and of iptables-legacy.
        ufw_enabled: whether its configuration says so.
        ufw_rules: its rules files, by family; those that there are.
        ufw_saved: what we have kept of its files is there.
        firewalld_policy: text of our policy; None where there is none.
        script, unit: texts of our files; None where there is none.
        enabled: how many of the service's links are there.
        sources: by interface, the networks behind it, in CIDR notation.
    """

    nft: NftRules = field(default_factory=NftRules)
    iptables: tuple[IptablesRules, ...] = ()
    ufw_enabled: bool = False
    ufw_rules: Mapping[str, str] = field(default_factory=dict)
    ufw_saved: bool = False
    firewalld_policy: Optional[str] = None
    script: Optional[str] = None
    unit: Optional[str] = None
    enabled: int = 0
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def ufw_openings(self) -> tuple[Opening, ...]:
        """Ours in ufw's files."""
        return tuple(o for text in self.ufw_rules.values() for o in firewall_ufw.our_openings(text))

    def firewalld_openings(self) -> tuple[Opening, ...]:
        """Ours in the policy for firewalld."""
        return firewall_firewalld.parse_policy(self.firewalld_policy or "")

    def has_firewalld(self) -> bool:
        """Whether firewalld is at work."""
        return any(key[1] == FIREWALLD for key in self.nft.rules)


@dataclass(frozen=True)
class Places:
    """Where openings go: with ufw, with firewalld, and into chains by ourselves."""

    chains: frozenset[Placement] = frozenset()
    ufw: frozenset[Opening] = frozenset()
    firewalld: frozenset[Opening] = frozenset()


def manager_of(hook: Hook, observed: Observed) -> str:
    """Who keeps the rules of a base chain."""
    if hook.backend == firewall_nft.BACKEND:
        return FIREWALLD if hook.table == FIREWALLD else NFTABLES
    for rules in observed.iptables:
        if (rules.backend, rules.family) == (hook.backend, hook.family):
            if rules.has_chain("INPUT_ZONES"):
                return FIREWALLD
            if observed.ufw_enabled and any(rules.has_chain(chain) for chain in firewall_ufw.CHAINS):
                return UFW
    return IPTABLES


def input_hooks(observed: Observed) -> tuple[Hook, ...]:
    """The base chains that can drop input."""
    shown = _shown(observed)
    native = [
        Hook(firewall_nft.BACKEND, *base.key)
        for base in observed.nft.bases
        if base.hook == "input" and observed.nft.filters(base) and base.key[:2] not in shown
    ]
    return (*native, *(hook for rules in observed.iptables for hook in rules.hooks()))


def blocking(observed: Observed, opening: Opening, *, with_ours: bool) -> tuple[Hook, ...]:
    """The base chains that drop what an opening is for.

    Args:
        with_ours: whether our own rules count.
    """
    sources = observed.sources.get(opening.interface, ())
    packet = Packet(opening, tuple(s for s in sources if (":" in s) == (opening.family == "ip6")))
    skipped = {id(rule) for _hook, rule, _placement in firewall_nft.placements(observed.nft)}
    for ours in observed.firewalld_openings():
        rules = firewall_firewalld.rules_of(observed.nft, ours, observed.sources)
        skipped |= {id(rule) for rule in rules}
    by_ufw = set(observed.ufw_openings())

    def is_skipped(chain: str, words: Words) -> bool:
        return firewall_iptables.is_ours(words) or (
            chain in firewall_ufw.CHAINS and firewall_iptables.parse_ours(words) in by_ufw
        )

    def is_nobodys(_chain: str, _words: Words) -> bool:
        return False

    found = []
    bases = {Hook(firewall_nft.BACKEND, *base.key): base for base in observed.nft.bases}
    for hook in input_hooks(observed):
        if hook.family not in (opening.family, "inet"):
            continue
        if hook in bases:
            drops = firewall_nft.blocks(observed.nft, bases[hook], packet, () if with_ours else skipped)
        else:
            (table,) = (
                view.tables[hook.table]
                for view in observed.iptables
                if (view.backend, view.family) == (hook.backend, hook.family)
            )
            drops = firewall_iptables.blocks(table, packet, is_nobodys if with_ours else is_skipped)
        if drops:
            found.append(hook)
    return tuple(found)


def place(observed: Observed, openings: Iterable[Opening]) -> Places:
    """Where openings have to go, so that containers get through; those that nothing blocks go nowhere."""
    chains, ufw, firewalld = set(), set(), set()
    for opening in openings:
        for hook in blocking(observed, opening, with_ours=False):
            manager = manager_of(hook, observed)
            if manager == UFW:
                ufw.add(opening)
            elif manager == FIREWALLD:
                firewalld.add(opening)
            else:
                chains.add(Placement(hook, opening))
    return Places(frozenset(chains), frozenset(ufw), frozenset(firewalld))


def conclude(observed: Observed, wanted: Sequence[Opening]) -> FirewallState:
    """The state, of which the planner decides."""
    needed = tuple(sorted(o for o in set(wanted) if blocking(observed, o, with_ours=False)))
    places = place(observed, needed)
    kernel = kernel_placements(observed)
    script = set(firewall_unit.parse_script(observed.script or ""))
    ufw_files, ufw_kernel = set(observed.ufw_openings()), _ufw_kernel(observed)
    if not observed.ufw_enabled:
        ufw_kernel = set()
    policy = set(observed.firewalld_openings())
    files_fine = is_persistent(observed, script)
    policy_fine = observed.firewalld_policy is None or (
        firewall_firewalld.is_intact(observed.firewalld_policy, observed.sources) and bool(policy)
    )
    candidates = {p.opening for p in script} | {p.opening for p in kernel if p} | ufw_files | policy

    def is_whole(opening: Opening) -> bool:
        in_kernel = {p for p in kernel if p and p.opening == opening}
        in_script = {p for p in script if p.opening == opening}
        return (
            in_kernel == in_script
            and (files_fine or not in_script)
            and (opening in ufw_files) == (opening in ufw_files & ufw_kernel)
            and (opening not in policy or (policy_fine and _is_in_firewalld(observed, opening)))
            and not blocking(observed, opening, with_ours=True)
        )

    def is_in_place(opening: Opening) -> bool:
        return (
            {p for p in script if p.opening == opening} == {p for p in places.chains if p.opening == opening}
            and (opening in ufw_files) == (opening in places.ufw)
            and (opening in policy) == (opening in places.firewalld)
        )  # fmt: skip

    opened = tuple(sorted(filter(is_whole, candidates)))
    leftover = (
        bool(candidates - set(opened))
        or None in kernel
        or max(kernel.values(), default=0) > 1
        or not (files_fine and policy_fine)
        or (observed.ufw_saved and not ufw_files)
        or not all(is_in_place(opening) for opening in set(opened) & set(needed))
    )
    return FirewallState(_manager(observed, places), needed, opened, leftover)


def kernel_placements(observed: Observed) -> Counter[Optional[Placement]]:
    """How often each rule of ours is in the kernel; None stands for one that bears our comment and is another."""
    shown = _shown(observed)
    found = [
        placement
        for hook, _rule, placement in firewall_nft.placements(observed.nft)
        if (hook.family, hook.table) not in shown
    ]
    for rules in observed.iptables:
        found += [placement for _hook, _words, placement in firewall_iptables.placements(rules)]
    return Counter(found)


def is_persistent(observed: Observed, placements: Iterable[Placement]) -> bool:
    """Whether our files are as they have to be for these placements; there are none for none."""
    if not list(placements):
        return observed.script is None and observed.unit is None and not observed.enabled
    return (
        observed.script == firewall_unit.render_script(placements)
        and observed.unit == firewall_unit.render_unit()
        and observed.enabled == len(firewall_unit.LINKS)
    )


def _is_in_firewalld(observed: Observed, opening: Opening) -> bool:
    """Whether firewalld lets each network behind the bridge through."""
    rules = firewall_firewalld.rules_of(observed.nft, opening, observed.sources)
    return len(rules) >= len(firewall_firewalld.sources_of(opening, observed.sources)) > 0


def _shown(observed: Observed) -> set[tuple[str, str]]:
    """The tables, by family and name, that nft has and iptables shows too, in more detail."""
    return {
        (rules.family, table)
        for rules in observed.iptables
        if rules.backend == "iptables-nft"
        for table in rules.tables
    }


def _ufw_kernel(observed: Observed) -> set[Opening]:
    found = set()
    for rules in observed.iptables:
        for table in rules.tables.values():
            for chain in firewall_ufw.CHAINS:
                found |= {firewall_iptables.parse_ours(words) for words in table.chains.get(chain, ())}
    return {opening for opening in found if opening is not None}


def _manager(observed: Observed, places: Places) -> str:
    managers = {manager_of(hook, observed) for hook in input_hooks(observed)}
    blocking_ones = {manager_of(p.hook, observed) for p in places.chains}
    blocking_ones |= {UFW} if places.ufw else set()
    blocking_ones |= {FIREWALLD} if places.firewalld else set()
    # Who drops is who has to be asked; where nobody does, who filters.
    for candidates in (blocking_ones, managers):
        for manager in (FIREWALLD, UFW, NFTABLES, IPTABLES):
            if manager in candidates:
                return manager
    return ""
