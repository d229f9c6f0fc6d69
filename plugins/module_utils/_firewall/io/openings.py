# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe and set our openings and the restriction in the host's packet filter, as
:mod:`_firewall.plan` decides."""

from __future__ import annotations

import contextlib
import os
from typing import Iterable, Optional, Sequence

from ..._base.errors import ApplyFailed, EngineUnavailable, Refused
from ..._base.io import systemd
from ..._base.io.files import read_file, remove_file, write_file
from .. import iptables as firewall_iptables
from .. import neighbours as firewall_neighbours
from .. import nft as firewall_nft
from .. import unit as firewall_unit
from ..model import FirewallState, Hook, Opening, Placement, Restriction
from ..plan import Observed, blocking, conclude, is_persistent, place
from .firewalld import set_firewalld_openings
from .rules import execute, observe_rules
from .ufw import has_saved, set_ufw_openings


def observe_firewall(desired: Sequence[Opening]) -> FirewallState:
    """Reads which of these openings the packet filter blocks, and which openings of ours exist.

    Raises:
        EngineUnavailable: a program of the packet filter failed.
    """
    return conclude(observe_rules(), desired)


def set_openings(
    manager: str, openings: Sequence[Opening], restriction: Optional[Restriction] = None
) -> None:
    """Makes our openings and the restriction exactly these, in force and persistent.

    Without any, all our traces are removed.

    An opening goes wherever it is needed now, and nowhere if the host's own rules accept its
    packets. The manager is for messages only.

    Raises:
        Refused: a rule of the administrator contradicts an opening, or the manager has no exact
            rule for it.
        EngineUnavailable: a program of the packet filter, or systemd, failed.
        ApplyFailed: a file could not be written, a rule was rejected, or our rules have no effect.
    """
    observed = observe_rules()
    places = place(observed, openings)
    _check_names(places.chains)
    if places.firewalld or observed.firewalld_policy is not None:
        set_firewalld_openings(observed, places.firewalld)
    if places.ufw or observed.ufw_openings() or has_saved():
        set_ufw_openings(places.ufw)
    _set_chains(observed, places.chains, openings)
    _set_restriction(observed, restriction)
    state = conclude(observe_rules(), openings)
    dropped = sorted(set(state.needed) - set(state.opened))
    if dropped:
        ports = ", ".join(f"{o.address} port {o.port} from {o.interface}" for o in dropped)
        subject = f"packet filter ({manager or 'of unknown origin'})"
        remedy = "Open the port there yourself, and set firewall: ignore"
        raise ApplyFailed(subject, problem=f"The {subject} still drops packets to {ports}", remedy=remedy)
    if state.restriction != restriction or state.unrestricted:
        unit = firewall_neighbours.UNIT
        problem = f"{unit} has run, but the table of nftables that it loads is not the desired one"
        raise ApplyFailed(
            unit, problem=problem, remedy=f"See journalctl -u {unit}, or set neighbours: accept"
        )


def _set_restriction(observed: Observed, restriction: Optional[Restriction]) -> None:
    state = conclude(observed, ())
    if (state.restriction, state.unrestricted) == (restriction, False):
        return
    path, unit = firewall_neighbours.UNIT_PATH, firewall_neighbours.UNIT
    if restriction is None:
        _remove_unit(path, unit, firewall_neighbours.LINKS)
        if observed.has_nft:
            execute(firewall_neighbours.REMOVE_COMMAND)
        return
    write_file(path, firewall_neighbours.render_unit(restriction).encode(), mode=0o644)
    systemd.daemon_reload()
    systemd.enable(unit)
    # A reload replaces the table in one step; a service that is not active is started.
    execute(["systemctl", "reload-or-restart", unit])


def _check_names(desired: frozenset[Placement]) -> None:
    """Raises Refused if the language of nft cannot name a chain: our script and service speak it."""
    ours = sorted(placement for placement in desired if placement.hook.backend == firewall_nft.BACKEND)
    commands = "".join(firewall_nft.render_insertion(placement) + "\n" for placement in ours)
    for hook in dict.fromkeys(placement.hook for placement in ours):
        if not firewall_nft.has_name(hook):
            raise _unnamed(hook, "it has a character that the language of nft does not allow")
    if ours:
        try:
            # Names may also be words of the language, in some versions of nft.
            execute(["nft", "--check", "--file", "-"], commands)
        except EngineUnavailable as error:
            hooks = ", ".join(dict.fromkeys(_name_of(placement.hook) for placement in ours))
            raise _unnamed(ours[0].hook, str(error), hooks) from error


def _unnamed(hook: Hook, found: str, names: str = "") -> Refused:
    names = names or _name_of(hook)
    problem = f"Cannot insert a rule into chain {names} of nftables: {found}"
    remedy = "Open the port there yourself, or rename the chain, and set firewall: ignore"
    return Refused(f"chain {names}", problem=problem, remedy=remedy)


def _name_of(hook: Hook) -> str:
    return f"{hook.chain!r} in table {hook.family} {hook.table!r}"


def _set_chains(observed: Observed, desired: frozenset[Placement], openings: Iterable[Opening]) -> None:
    """Makes our rules in chains exactly these: the script inserts them, this removes all others."""
    # The files are written first and removed last: if this run is killed, the next one sees that
    # something is left.
    ineffective = {opening for opening in openings if blocking(observed, opening, with_ours=True)}
    if not desired:
        if observed.unit is not None or observed.enabled:
            _remove_unit(firewall_unit.UNIT_PATH, firewall_unit.UNIT, firewall_unit.LINKS)
        _remove_rules(keep=frozenset())
        remove_file(firewall_unit.SCRIPT_PATH)
        return
    if not is_persistent(observed, desired):
        script = firewall_unit.render_script(desired)
        write_file(firewall_unit.SCRIPT_PATH, script.encode(), mode=0o755)
        write_file(firewall_unit.UNIT_PATH, firewall_unit.render_unit().encode(), mode=0o644)
        systemd.daemon_reload()
        systemd.enable(firewall_unit.UNIT)
    _remove_rules(keep=frozenset(p for p in desired if p.opening not in ineffective))
    # A reload never leaves the rules out for a moment; a service that is not active is started.
    execute(["systemctl", "reload-or-restart", firewall_unit.UNIT])


def _remove_unit(path: str, unit: str, links: Iterable[str]) -> None:
    if read_file(path) is not None:
        systemd.stop(unit)
    for link in links:
        if os.path.islink(link):
            os.unlink(link)
        # systemd has created the directory. It stays if it holds other links.
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(link))
    remove_file(path)
    systemd.daemon_reload()


def _remove_rules(keep: frozenset[Placement]) -> None:
    """Removes our rules from the kernel, except one of each to keep."""
    # Read again: the service may have been stopped in the meantime.
    now = observe_rules()
    shown = now.shown_by_iptables()
    found: list[tuple[Optional[Placement], Sequence[str], Optional[str]]] = [
        (placement, *firewall_nft.deletion(hook, rule["handle"]))
        for hook, rule, placement in firewall_nft.placements(now.nft)
        if (hook.family, hook.table) not in shown
    ]
    for rules in now.iptables:
        for hook, words, placement in firewall_iptables.placements(rules):
            program = firewall_unit.program_of(hook)
            found.append((placement, [program, "-w", "-t", hook.table, "-D", hook.chain, *words], None))
    kept: set[Placement] = set()
    for placement, command, text in found:
        if placement in keep and placement not in kept:
            kept.add(placement)
        else:
            execute(command, text)
