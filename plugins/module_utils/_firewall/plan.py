# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Conclude which openings a host's packet filter needs, where they go, and which of them exist.

A packet filter has base chains, and each base chain has a *manager*: nftables or iptables, whose
rules the administrator loads, or firewalld or ufw, which keep files of their own and are changed by
their own commands.

To support another firewall:

1. model.py: add its name to Manager, by its rank. The module returns this name as
   ``firewall.manager``; add it to RETURN of plugins/modules/dockerd_listener.py.
2. A pure file of its own, like ufw.py: parse its files, recognise our openings in them, render its
   commands.
3. Observed in plan.py: add what has to be read; observe_rules() in io/rules.py reads it.
4. plan.py: recognise its base chains in manager_of(), and our rules in the kernel in is_ours() of
   blocking() (iptables) or in _our_nft_rules() (nftables). Otherwise, our own rules look like those
   of the administrator, and the next run removes them as unneeded.
5. plan.py: Places, place() and the variable ``blocks`` in _manager() say which openings go there. A
   function like _view_ufw() says what it holds of ours, and conclude() joins it to the others.
6. A file like io/ufw.py makes its openings match Places; set_openings() in io/openings.py calls it.
7. Tests: test_plan.py, with the rules as the firewall's programs print them, and
   tests/system/test_firewalls.py.
8. Documentation: the table in docs/firewalls.md, and a fragment in changelogs/fragments/.

A firewall that only loads rules into chains of nftables or iptables needs nothing but its service
in LOADERS of unit.py, so that our rules are inserted again after its own.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Iterable, Literal, Mapping, Optional, Sequence

from . import firewalld as firewall_firewalld
from . import iptables as firewall_iptables
from . import neighbours as firewall_neighbours
from . import nft as firewall_nft
from . import ufw as firewall_ufw
from . import unit as firewall_unit
from .iptables import IptablesRules, Words
from .model import (
    FIREWALLD,
    MANAGERS,
    FirewallState,
    Hook,
    Manager,
    Opening,
    Packet,
    Placement,
    Restriction,
)
from .nft import NftRules


@dataclass(frozen=True)
class Observed:
    """What was read of a host's packet filter.

    Attributes:
        nft: the rules of nftables in the kernel.
        iptables: the rules that iptables shows: of iptables-nft if it has chains of input, and of
            iptables-legacy.
        ufw_enabled: whether ufw's configuration enables it.
        ufw_rules: text of ufw's rules files, by family; missing files are left out.
        ufw_saved: whether a backup of ufw's files exists.
        firewalld_policy: text of our policy; None if there is none.
        firewalld_unordered: whether systemd starts the engine without waiting until firewalld answers.
        script, unit: texts of our files; None if there is none.
        enabled: how many of the links that enable our service exist.
        has_nft: whether this host has the program nft.
        neighbours_unit: text of the service that loads our own table; None if there is none.
        neighbours_enabled: how many of the links that enable this service exist.
        sources: the networks behind each interface, in CIDR notation.
    """

    nft: NftRules = field(default_factory=NftRules)
    iptables: tuple[IptablesRules, ...] = ()
    ufw_enabled: bool = False
    ufw_rules: Mapping[str, str] = field(default_factory=dict)
    ufw_saved: bool = False
    firewalld_policy: Optional[str] = None
    firewalld_unordered: bool = False
    script: Optional[str] = None
    unit: Optional[str] = None
    enabled: int = 0
    has_nft: bool = True
    neighbours_unit: Optional[str] = None
    neighbours_enabled: int = 0
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def ufw_openings(self) -> frozenset[Opening]:
        """Our openings in ufw's files."""
        return frozenset(o for text in self.ufw_rules.values() for o in firewall_ufw.our_openings(text))

    def firewalld_openings(self) -> frozenset[Opening]:
        """Our openings in the policy for firewalld."""
        return frozenset(firewall_firewalld.parse_policy(self.firewalld_policy or ""))

    def has_firewalld(self) -> bool:
        """Whether firewalld runs."""
        return any(key[1] == FIREWALLD for key in self.nft.rules)

    def iptables_of(self, hook: Hook) -> IptablesRules:
        """The rules of iptables that a base chain belongs to; empty if it is of nftables."""
        found = (r for r in self.iptables if (r.backend, r.family) == (hook.backend, hook.family))
        return next(found, IptablesRules(hook.backend, hook.family, {}))

    def shown_by_iptables(self) -> frozenset[tuple[str, str]]:
        """Family and name of the tables of nftables that iptables shows too, in more detail."""
        return frozenset(
            (rules.family, table)
            for rules in self.iptables
            if rules.backend == "iptables-nft"
            for table in rules.tables
        )


@dataclass(frozen=True)
class Places:
    """Which openings go where.

    Attributes:
        chains: into chains of nftables and iptables, by our own script.
        ufw: into ufw's rules.
        firewalld: into our policy for firewalld.
    """

    chains: frozenset[Placement] = frozenset()
    ufw: frozenset[Opening] = frozenset()
    firewalld: frozenset[Opening] = frozenset()


@dataclass(frozen=True)
class View:
    """What one place for openings holds of ours.

    Attributes:
        found: the openings in force there, or in its files.
        broken: those that are in force or persistent, but not both, or not exactly as we write
            them.
        misplaced: those that are there and do not belong there, or the other way round.
        leftover: whether it holds traces of ours that belong to no opening.
    """

    found: frozenset[Opening]
    broken: frozenset[Opening]
    misplaced: frozenset[Opening]
    leftover: bool


def manager_of(hook: Hook, observed: Observed) -> Manager:
    """The manager of a base chain."""
    if hook.backend == firewall_nft.BACKEND:
        return FIREWALLD if hook.table == FIREWALLD else "nftables"
    rules = observed.iptables_of(hook)
    if rules.has_chain("INPUT_ZONES"):
        return FIREWALLD
    if observed.ufw_enabled and any(rules.has_chain(chain) for chain in firewall_ufw.CHAINS):
        return "ufw"
    return "iptables"


def input_hooks(observed: Observed) -> tuple[Hook, ...]:
    """The base chains that can drop input."""
    shown = observed.shown_by_iptables()
    native = [
        Hook(firewall_nft.BACKEND, *base.key)
        for base in observed.nft.input_filters()
        if base.key[:2] not in shown
    ]
    return (*native, *(hook for rules in observed.iptables for hook in rules.hooks()))


def blocking(observed: Observed, opening: Opening, *, with_ours: bool) -> tuple[Hook, ...]:
    """The base chains that drop the packets of an opening.

    Args:
        with_ours: whether our own rules count.
    """
    packet = Packet(opening, firewall_firewalld.sources_of(opening, observed.sources))
    ours = set() if with_ours else _our_nft_rules(observed)
    by_ufw = observed.ufw_openings()

    def is_ours(chain: str, words: Words) -> bool:
        return not with_ours and (
            firewall_iptables.is_ours(words)
            or (chain in firewall_ufw.CHAINS and firewall_iptables.parse_ours(words) in by_ufw)
        )

    def drops(hook: Hook) -> bool:
        if hook in bases:
            return firewall_nft.blocks(observed.nft, bases[hook], packet, ours)
        return firewall_iptables.blocks(observed.iptables_of(hook).tables[hook.table], packet, is_ours)

    bases = {Hook(firewall_nft.BACKEND, *base.key): base for base in observed.nft.bases}
    families = (opening.family, "inet")
    return tuple(hook for hook in input_hooks(observed) if hook.family in families and drops(hook))


def _our_nft_rules(observed: Observed) -> set[int]:
    """The id() of our rules in nftables: with our comment, or from our policy for firewalld."""
    found = {id(rule) for _hook, rule, _placement in firewall_nft.placements(observed.nft)}
    for opening in observed.firewalld_openings():
        rules = firewall_firewalld.rules_of(observed.nft, opening, observed.sources)
        found |= {id(rule) for rule in rules}
    return found


def place(observed: Observed, openings: Sequence[Opening]) -> Places:
    """Where openings have to go, so that containers get through; nowhere if nothing blocks them.

    An engine that starts before firewalld answers does not put its bridges into their zone. They are
    in the default zone then, whatever zone they are in now.
    """
    chains: set[Placement] = set()
    by_ufw: set[Placement] = set()
    by_firewalld: set[Placement] = set()
    # A manager without a place is a KeyError. It must not look as if nothing blocked the packets.
    places: Mapping[Manager, set[Placement]]
    places = {"nftables": chains, "iptables": chains, "ufw": by_ufw, FIREWALLD: by_firewalld}
    for opening in openings:
        for hook in blocking(observed, opening, with_ours=False):
            places[manager_of(hook, observed)].add(Placement(hook, opening))
    unordered = frozenset(openings) if observed.firewalld_unordered else frozenset()
    return Places(frozenset(chains), _openings(by_ufw), _openings(by_firewalld) | unordered)


def conclude(observed: Observed, desired: Sequence[Opening]) -> FirewallState:
    """The state of the packet filter, as the planner needs it.

    Args:
        desired: the openings that the listener needs if they are blocked.
    """
    places = place(observed, desired)
    needed = _openings(places.chains) | places.ufw | places.firewalld
    views = (
        _view_chains(observed, places.chains),
        _view_ufw(observed, places.ufw),
        _view_firewalld(observed, places.firewalld),
    )
    found = frozenset(opening for view in views for opening in view.found)
    broken = frozenset(opening for view in views for opening in view.broken)
    misplaced = frozenset(opening for view in views for opening in view.misplaced)
    opened = frozenset(o for o in found - broken if not blocking(observed, o, with_ours=True))
    restriction = _restriction(observed)
    leftover = opened != found or bool(misplaced & opened & needed) or any(view.leftover for view in views)
    return FirewallState(
        manager=_manager(observed, places),
        needed=tuple(sorted(needed)),
        opened=tuple(sorted(opened)),
        leftover=leftover,
        at_boot=tuple(
            opening
            for opening in sorted(needed if observed.firewalld_unordered else ())
            if not blocking(observed, opening, with_ours=False)
        ),
        restriction=restriction,
        unrestricted=restriction is None and has_restriction(observed),
        restricts=observed.has_nft,
    )


def has_restriction(observed: Observed) -> bool:
    """Whether there are traces of a restriction: our table, its service, or a link to that."""
    has_table = any(key[:2] == firewall_nft.RESTRICTING for key in observed.nft.rules)
    return has_table or observed.neighbours_unit is not None or bool(observed.neighbours_enabled)


def _restriction(observed: Observed) -> Optional[Restriction]:
    """The restriction that is both in force and persistent."""
    found = firewall_neighbours.parse_unit(observed.neighbours_unit or "")
    enabled = observed.neighbours_enabled == len(firewall_neighbours.LINKS)
    if found and enabled and firewall_neighbours.is_in_force(observed.nft, found):
        return found
    return None


def _view_chains(observed: Observed, desired: frozenset[Placement]) -> View:
    """Our rules in chains of nftables and iptables, and the script and service that insert them."""
    kernel = kernel_placements(observed)
    in_kernel = frozenset(placement for placement in kernel if placement is not None)
    script = frozenset(firewall_unit.parse_script(observed.script or ""))
    intact = is_persistent(observed, script)
    return View(
        found=_openings(in_kernel | script),
        broken=_openings(in_kernel ^ script if intact else in_kernel | script),
        misplaced=_openings(script ^ desired),
        leftover=not intact or None in kernel or max(kernel.values(), default=0) > 1,
    )


def _view_ufw(observed: Observed, desired: frozenset[Opening]) -> View:
    """Our rules in ufw's files, and in the kernel, where they bear no comment."""
    in_files = observed.ufw_openings()
    in_kernel = {
        firewall_iptables.parse_ours(words)
        for rules in observed.iptables
        for table in rules.tables.values()
        for chain in firewall_ufw.CHAINS
        for words in table.chains.get(chain, ())
    }
    return View(
        found=in_files,
        broken=in_files - in_kernel if observed.ufw_enabled else in_files,
        misplaced=in_files ^ desired,
        leftover=observed.ufw_saved and not in_files,
    )


def _view_firewalld(observed: Observed, desired: frozenset[Opening]) -> View:
    """Our policy for firewalld, and the rules that firewalld has made of it."""
    policy, sources = observed.firewalld_openings(), observed.sources
    intact = observed.firewalld_policy is None or (
        firewall_firewalld.is_intact(observed.firewalld_policy, sources) and bool(policy)
    )
    in_force = {
        opening
        for opening in policy
        if len(firewall_firewalld.rules_of(observed.nft, opening, sources))
        >= len(firewall_firewalld.sources_of(opening, sources))
        > 0
    }
    return View(
        found=policy,
        broken=policy - in_force if intact else policy,
        misplaced=policy ^ desired,
        leftover=not intact,
    )


def _openings(placements: Iterable[Placement]) -> frozenset[Opening]:
    return frozenset(placement.opening for placement in placements)


def kernel_placements(observed: Observed) -> Counter[Optional[Placement]]:
    """How often the kernel has each rule with our comment; None: any that we would not write."""
    shown = observed.shown_by_iptables()
    found = [
        placement
        for hook, _rule, placement in firewall_nft.placements(observed.nft)
        if (hook.family, hook.table) not in shown
    ]
    for rules in observed.iptables:
        found += [placement for _hook, _words, placement in firewall_iptables.placements(rules)]
    return Counter(found)


def is_persistent(observed: Observed, placements: Iterable[Placement]) -> bool:
    """Whether script and service are those for these placements; for none, neither may exist."""
    if not list(placements):
        return observed.script is None and observed.unit is None and not observed.enabled
    return (
        observed.script == firewall_unit.render_script(placements)
        and observed.unit == firewall_unit.render_unit()
        and observed.enabled == len(firewall_unit.LINKS)
    )


def _manager(observed: Observed, places: Places) -> Literal[Manager, ""]:
    """The manager of the chains that block, otherwise of those that filter; empty without any."""
    blocks: set[Manager] = {manager_of(placement.hook, observed) for placement in places.chains}
    blocks |= {"ufw"} if places.ufw else set()
    blocks |= {FIREWALLD} if places.firewalld else set()
    filters = {manager_of(hook, observed) for hook in input_hooks(observed)}
    return next(
        (manager for managers in (blocks, filters) for manager in MANAGERS if manager in managers), ""
    )
