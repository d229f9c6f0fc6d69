# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Openings in the host's packet filter, for containers that use the engine of their host."""

from __future__ import annotations

import contextlib
import os
from typing import Iterable, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import systemd
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.files import (
    read_file,
    remove_file,
    write_file,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.firewall_firewalld import (
    set_firewalld_openings,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.firewall_rules import (
    execute,
    observe_rules,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.firewall_ufw import (
    has_saved,
    set_ufw_openings,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core import (
    firewall_iptables,
    firewall_nft,
    firewall_unit,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import ApplyFailed
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import (
    FirewallState,
    Opening,
    Placement,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall_plan import (
    Observed,
    blocking,
    conclude,
    is_persistent,
    place,
)


def observe_firewall(wanted: Sequence[Opening]) -> FirewallState:
    """What the host's packet filter does about these openings, and what of it is ours.

    Raises:
        EngineUnavailable: a program of the packet filter failed.
    """
    return conclude(observe_rules(), wanted)


def set_openings(manager: str, openings: Sequence[Opening]) -> None:
    """Makes our rules be exactly these, in force and persistent; none removes every trace.

    An opening goes where it is needed, wherever ours were before, and nowhere if the host lets it pass anyway.

    Args:
        manager: who keeps the rules, as observed; tells the user about whom a failure is.
        openings: all that there are to be.

    Raises:
        Refused: the administrator's own rules contradict, or their manager has no exact place for ours.
        EngineUnavailable: a program of the packet filter, or systemd, failed.
        ApplyFailed: a file could not be written, a rule was refused, or ours do not help.
    """
    observed = observe_rules()
    places = place(observed, openings)
    if places.firewalld or observed.firewalld_policy is not None:
        set_firewalld_openings(observed, places.firewalld)
    if places.ufw or observed.ufw_openings() or has_saved():
        set_ufw_openings(places.ufw)
    _set_chains(observed, places.chains, openings)
    state = conclude(observe_rules(), openings)
    dropped = sorted(set(state.needed) - set(state.opened))
    if dropped:
        ports = ", ".join(f"{o.address} port {o.port} from {o.interface}" for o in dropped)
        raise ApplyFailed(
            f"packet filter ({manager or 'of unknown origin'})",
            expected=f"to let containers through to {ports}",
            found="rules that drop them still",
            remedy="Open the port there yourself, and leave the packet filter alone with firewall: ignore",
        )


def _set_chains(observed: Observed, wanted: frozenset[Placement], openings: Iterable[Opening]) -> None:
    """Makes ours in chains be exactly these. The script puts them in; what is not in it is taken out here."""
    # The files come first and go last: should this run be ended, the next one sees that something is left.
    helpless = {opening for opening in openings if blocking(observed, opening, with_ours=True)}
    if not wanted:
        if observed.unit is not None or observed.enabled:
            _remove_unit()
        _remove_rules(observed, keep=frozenset())
        remove_file(firewall_unit.SCRIPT_PATH)
        return
    if not is_persistent(observed, wanted):
        script = firewall_unit.render_script(wanted)
        write_file(firewall_unit.SCRIPT_PATH, script.encode(), mode=0o755)
        write_file(firewall_unit.UNIT_PATH, firewall_unit.render_unit().encode(), mode=0o644)
        systemd.daemon_reload()
        systemd.enable(firewall_unit.UNIT)
    _remove_rules(observed, keep=frozenset(p for p in wanted if p.opening not in helpless))
    # A reload leaves no moment without the rules; a service that does not run is started.
    execute(["systemctl", "reload-or-restart", firewall_unit.UNIT])


def _remove_unit() -> None:
    if read_file(firewall_unit.UNIT_PATH) is not None:
        systemd.stop(firewall_unit.UNIT)
    for link in firewall_unit.LINKS:
        if os.path.islink(link):
            os.unlink(link)
        # systemd has made the directory; where others have a link in it too, it stays.
        with contextlib.suppress(OSError):
            os.rmdir(os.path.dirname(link))
    remove_file(firewall_unit.UNIT_PATH)
    systemd.daemon_reload()


def _remove_rules(observed: Observed, keep: frozenset[Placement]) -> None:
    """Takes our rules out of the kernel that are there, except for one of each that is to stay."""
    # The service may have been stopped since they were read.
    kept: set[Placement] = set()
    now = observe_rules()
    shown = {
        (rules.family, table)
        for rules in now.iptables
        if rules.backend == "iptables-nft"
        for table in rules.tables
    }
    for hook, rule, placement in firewall_nft.placements(now.nft):
        if (hook.family, hook.table) in shown:
            continue
        if placement in keep and placement not in kept:
            kept.add(placement)
        else:
            execute(
                ["nft", "delete", "rule", hook.family, hook.table, hook.chain, "handle", str(rule["handle"])]
            )
    for rules in now.iptables:
        for hook, words, placement in firewall_iptables.placements(rules):
            if placement in keep and placement not in kept:
                kept.add(placement)
            else:
                program = firewall_unit.program_of(hook)
                execute([program, "-w", "-t", hook.table, "-D", hook.chain, *words])
