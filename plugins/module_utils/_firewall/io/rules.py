# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the rules of the host's packet filter, by its own programs.

One call of nft prints all of nftables. iptables is called only if it has rules for input: nft
prints rules of iptables-nft without the details of their matches.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import Optional, Sequence

from ..._base.errors import EngineUnavailable
from ..._base.io.commands import failure_of, run
from ..._base.io.files import read_text
from ..._base.io.systemd import show
from ..._networks.io.namespaces import read_routes
from .. import firewalld as firewall_firewalld
from .. import iptables as firewall_iptables
from .. import neighbours as firewall_neighbours
from .. import nft as firewall_nft
from .. import ufw as firewall_ufw
from .. import unit as firewall_unit
from ..iptables import IptablesRules
from ..model import FIREWALLD
from ..nft import NftRules
from ..plan import Observed
from .ufw import has_saved

_TIMEOUT = 60.0
_LEGACY_TABLES = {"ip": "/proc/net/ip_tables_names", "ip6": "/proc/net/ip6_tables_names"}
_PROGRAMS = {"ip": "iptables", "ip6": "ip6tables"}


def observe_rules() -> Observed:
    """Reads the rules for input, the files of firewall managers, and our own files.

    Raises:
        EngineUnavailable: a program of the packet filter failed.
    """
    nft = _nft_rules()
    ufw_config = read_text(firewall_ufw.CONFIG_PATH)
    ufw_rules = {family: read_text(path) for family, path in firewall_ufw.RULES_PATHS.items()}
    sources: dict[str, tuple[str, ...]] = {}
    for route in read_routes():
        # Multicast and link-local networks are no sources.
        if not route.is_default and not route.reject and not route.destination.startswith(("ff", "fe80")):
            sources[route.interface] = (*sources.get(route.interface, ()), route.destination)
    return Observed(
        nft=nft or NftRules(),
        iptables=_iptables_rules(nft),
        ufw_enabled=firewall_ufw.is_enabled(ufw_config or ""),
        ufw_rules={family: text for family, text in ufw_rules.items() if text is not None},
        ufw_saved=has_saved(),
        firewalld_policy=read_text(firewall_firewalld.POLICY_PATH),
        firewalld_unordered=_is_firewalld_unordered(nft),
        script=read_text(firewall_unit.SCRIPT_PATH),
        unit=read_text(firewall_unit.UNIT_PATH),
        enabled=sum(os.path.islink(path) for path in firewall_unit.LINKS),
        has_nft=nft is not None,
        neighbours_unit=read_text(firewall_neighbours.UNIT_PATH),
        neighbours_enabled=sum(os.path.islink(path) for path in firewall_neighbours.LINKS),
        sources=sources,
    )


def execute(argv: Sequence[str], text: Optional[str] = None) -> str:
    """Runs a program of the packet filter, with a text as its standard input.

    Raises:
        EngineUnavailable: it failed; the message holds its output.
    """
    command = " ".join(argv)
    try:
        answer = run(argv, _TIMEOUT, text=text)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineUnavailable(command, expected="an answer", found=str(error)) from error
    if answer.returncode:
        problem = f"{command} failed: {failure_of(answer)}"
        remedy = "Repair the packet filter, or set firewall: ignore"
        raise EngineUnavailable(command, problem=problem, remedy=remedy)
    return answer.stdout


def _is_firewalld_unordered(nft: Optional[NftRules]) -> bool:
    """Whether units that are ordered after firewalld may start before it answers (systemd.service(5))."""
    if nft is None or not any(key[1] == FIREWALLD for key in nft.rules):
        return False
    shown = show("firewalld.service", ["Type", "ActiveState"])
    return shown.get("ActiveState") == "active" and shown.get("Type") not in (
        "dbus",
        "notify",
        "notify-reload",
    )


def _nft_rules() -> Optional[NftRules]:
    """The rules of nftables; None if this host has no nft."""
    if shutil.which("nft") is None:
        return None
    argv = ["nft", "-j", "list", "ruleset"]
    try:
        return firewall_nft.parse_ruleset(execute(argv))
    except (ValueError, KeyError, TypeError) as error:
        raise EngineUnavailable(
            " ".join(argv),
            expected="a description of the rules in JSON",
            found=str(error),
            remedy="Use nft 0.9.3 or newer, or set firewall: ignore",
        ) from error


def _iptables_rules(nft: Optional[NftRules]) -> tuple[IptablesRules, ...]:
    found = []
    for family, program in _PROGRAMS.items():
        if nft is None or _has_iptables_input(nft, family):
            command = shutil.which(f"{program}-nft-save") or shutil.which(f"{program}-save")
            if command:
                found.append(firewall_iptables.parse_save(execute([command]), "iptables-nft", family))
        # Not without such tables: the program would create those that it looks for.
        if _has_legacy_tables(family) and shutil.which(f"{program}-legacy-save"):
            text = execute([f"{program}-legacy-save"])
            found.append(firewall_iptables.parse_save(text, "iptables-legacy", family))
    return tuple(found)


def _has_iptables_input(nft: NftRules, family: str) -> bool:
    tables = {(family, table, firewall_iptables.INPUT) for table in firewall_iptables.TABLES}
    return any(base.key in tables for base in nft.input_filters())


def _has_legacy_tables(family: str) -> bool:
    with contextlib.suppress(OSError), open(_LEGACY_TABLES[family], encoding="ascii") as names:
        return bool(set(names.read().split()) & set(firewall_iptables.TABLES))
    return False
