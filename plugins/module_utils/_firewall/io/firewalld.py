# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Set our openings in firewalld, by its own client and a policy file of ours."""

from __future__ import annotations

import contextlib
from typing import Iterable

from ..._base.errors import EngineUnavailable, Refused
from ..._base.io.files import remove_file, write_file
from .. import firewalld as firewall_firewalld
from ..model import Opening
from ..plan import Observed
from .rules import execute


def set_firewalld_openings(observed: Observed, openings: Iterable[Opening]) -> None:
    """Makes our openings in firewalld exactly these.

    Raises:
        EngineUnavailable: firewalld rejected a rule.
        Refused: no rule is exact, because the networks behind a bridge are unknown.
    """
    desired, present = set(openings), observed.firewalld_openings()
    for opening in sorted(desired):
        if not firewall_firewalld.sources_of(opening, observed.sources):
            problem = (
                f"The networks behind {opening.interface} are unknown: a rule for firewalld could not distinguish "
                "its containers from other hosts in the same zone"
            )
            remedy = "Open the port yourself and set firewall: ignore"
            raise Refused(f"firewalld: {opening.interface}", problem=problem, remedy=remedy)
    zones = {opening: _zone_of(opening.interface) for opening in desired}
    ingress = {*zones.values(), *([_default_zone()] if desired and observed.firewalld_unordered else [])}
    # The file is written first and removed last: it says which rules in force are ours.
    if desired:
        text = firewall_firewalld.render_policy(desired | present, ingress, observed.sources)
        write_file(firewall_firewalld.POLICY_PATH, text.encode(), mode=0o644)
    for opening in sorted(desired):
        if not firewall_firewalld.rules_of(observed.nft, opening, observed.sources):
            for rule in firewall_firewalld.rich_rules(opening, observed.sources):
                execute(["firewall-cmd", f"--zone={zones[opening]}", f"--add-rich-rule={rule}"])
    for opening in sorted(present - desired) if observed.has_firewalld() else ():
        _close(opening, observed)
    if desired:
        text = firewall_firewalld.render_policy(desired, ingress, observed.sources)
        write_file(firewall_firewalld.POLICY_PATH, text.encode(), mode=0o644)
    else:
        remove_file(firewall_firewalld.POLICY_PATH)


def _close(opening: Opening, observed: Observed) -> None:
    zones = dict.fromkeys((_zone_of(opening.interface), _default_zone()))
    places = [*(f"--zone={zone}" for zone in zones), f"--policy={firewall_firewalld.POLICY}"]
    for rule in firewall_firewalld.rich_rules(opening, observed.sources):
        for place in places:
            # The rule is in one of them: in the policy once firewalld has read the file, otherwise in the
            # zone that the bridge was in.
            with contextlib.suppress(EngineUnavailable):
                execute(["firewall-cmd", place, f"--remove-rich-rule={rule}"])


def _zone_of(interface: str) -> str:
    with contextlib.suppress(EngineUnavailable):
        return execute(["firewall-cmd", f"--get-zone-of-interface={interface}"]).strip()
    return _default_zone()


def _default_zone() -> str:
    return execute(["firewall-cmd", "--get-default-zone"]).strip()
