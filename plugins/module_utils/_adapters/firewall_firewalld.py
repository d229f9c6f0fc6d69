# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""firewalld, by its own client and a policy file of ours."""

from __future__ import annotations

import contextlib
from typing import Iterable

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.files import remove_file, write_file
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.firewall_rules import execute
from ansible_collections.wormhole.docker.plugins.module_utils._core import firewall_firewalld
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import EngineUnavailable, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import Opening
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall_plan import Observed


def set_firewalld_openings(observed: Observed, openings: Iterable[Opening]) -> None:
    """Makes ours with firewalld be exactly these.

    Raises:
        EngineUnavailable: firewalld refused.
        Refused: the networks behind a bridge are not known, so that there is no exact rule.
    """
    wanted = set(openings)
    present = set(firewall_firewalld.parse_policy(observed.firewalld_policy or ""))
    for opening in sorted(wanted):
        if not firewall_firewalld.sources_of(opening, observed.sources):
            raise Refused(
                f"firewalld: {opening.interface}",
                expected="a bridge with a network, to tell its containers from others in the same zone",
                found="none",
                remedy="Leave the packet filter alone with firewall: ignore",
            )
    zones = {opening: _zone_of(opening.interface) for opening in wanted}
    # The file comes first and goes last: what is in force is known to be ours by it.
    if wanted:
        text = firewall_firewalld.render_policy(wanted | present, zones.values(), observed.sources)
        write_file(firewall_firewalld.POLICY_PATH, text.encode(), mode=0o644)
    for opening in sorted(wanted):
        if not firewall_firewalld.rules_of(observed.nft, opening, observed.sources):
            for rule in firewall_firewalld.rich_rules(opening, observed.sources):
                execute(["firewall-cmd", f"--zone={zones[opening]}", f"--add-rich-rule={rule}"])
    for opening in sorted(present - wanted):
        if observed.has_firewalld():
            _close(opening, observed)
    if wanted:
        text = firewall_firewalld.render_policy(wanted, zones.values(), observed.sources)
        write_file(firewall_firewalld.POLICY_PATH, text.encode(), mode=0o644)
    else:
        remove_file(firewall_firewalld.POLICY_PATH)


def _close(opening: Opening, observed: Observed) -> None:
    places = [f"--zone={_zone_of(opening.interface)}", f"--policy={firewall_firewalld.POLICY}"]
    for rule in firewall_firewalld.rich_rules(opening, observed.sources):
        for place in places:
            # It is in one of them: in the policy once firewalld has read that.
            with contextlib.suppress(EngineUnavailable):
                execute(["firewall-cmd", place, f"--remove-rich-rule={rule}"])


def _zone_of(interface: str) -> str:
    with contextlib.suppress(EngineUnavailable):
        return execute(["firewall-cmd", f"--get-zone-of-interface={interface}"]).strip()
    return execute(["firewall-cmd", "--get-default-zone"]).strip()
