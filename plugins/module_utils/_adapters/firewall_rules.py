# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The rules of the host's packet filter, read by the programs that keep them.

Everything of nftables comes from one call of nft. iptables is asked only where it has rules about input: nft shows
those of iptables-nft without what their matches say.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from typing import Optional, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.commands import run
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.files import read_file
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.firewall_ufw import has_saved
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.reachability import read_routes
from ansible_collections.wormhole.docker.plugins.module_utils._core import (
    firewall_firewalld,
    firewall_iptables,
    firewall_nft,
    firewall_ufw,
    firewall_unit,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import EngineUnavailable
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall_iptables import IptablesRules
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall_nft import NftRules
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall_plan import Observed

_TIMEOUT = 60.0
_LEGACY_TABLES = {"ip": "/proc/net/ip_tables_names", "ip6": "/proc/net/ip6_tables_names"}
_PROGRAMS = {"ip": "iptables", "ip6": "ip6tables"}


def observe_rules() -> Observed:
    """Reads all that concerns input, and our own files.

    Raises:
        EngineUnavailable: a program of the packet filter failed.
    """
    nft = _nft_rules()
    ufw_config = _text(firewall_ufw.CONFIG_PATH)
    ufw_rules = {family: _text(path) for family, path in firewall_ufw.RULES_PATHS.items()}
    sources: dict[str, tuple[str, ...]] = {}
    for route in read_routes():
        # What is multicast or link-local is nobody's source.
        if not route.is_default and not route.reject and not route.destination.startswith(("ff", "fe80")):
            sources[route.interface] = (*sources.get(route.interface, ()), route.destination)
    return Observed(
        nft=nft or NftRules(),
        iptables=_iptables_rules(nft),
        ufw_enabled=firewall_ufw.is_enabled(ufw_config or ""),
        ufw_rules={family: text for family, text in ufw_rules.items() if text is not None},
        ufw_saved=has_saved(),
        firewalld_policy=_text(firewall_firewalld.POLICY_PATH),
        script=_text(firewall_unit.SCRIPT_PATH),
        unit=_text(firewall_unit.UNIT_PATH),
        enabled=sum(os.path.islink(path) for path in firewall_unit.LINKS),
        sources=sources,
    )


def execute(argv: Sequence[str]) -> str:
    """Runs a program of the packet filter.

    Raises:
        EngineUnavailable: it failed; the text holds what it said.
    """
    try:
        answer = run(argv, _TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineUnavailable(" ".join(argv), expected="an answer", found=str(error)) from error
    if answer.returncode:
        raise EngineUnavailable(
            " ".join(argv),
            expected="success",
            found=(answer.stderr or answer.stdout).strip() or f"exit status {answer.returncode}",
            remedy="Put the packet filter in order, or leave it alone with firewall: ignore",
        )
    return answer.stdout


def _nft_rules() -> Optional[NftRules]:
    """None if this host has no nft."""
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
            remedy="Use nft 0.9.3 or newer, or leave the packet filter alone with firewall: ignore",
        ) from error


def _iptables_rules(nft: Optional[NftRules]) -> tuple[IptablesRules, ...]:
    found = []
    for family, program in _PROGRAMS.items():
        if nft is None or _has_iptables_input(nft, family):
            command = shutil.which(f"{program}-nft-save") or shutil.which(f"{program}-save")
            if command:
                found.append(firewall_iptables.parse_save(execute([command]), "iptables-nft", family))
        # The program itself would make the tables that it looks for.
        if _has_legacy_tables(family) and shutil.which(f"{program}-legacy-save"):
            text = execute([f"{program}-legacy-save"])
            found.append(firewall_iptables.parse_save(text, "iptables-legacy", family))
    return tuple(found)


def _has_iptables_input(nft: NftRules, family: str) -> bool:
    return any(
        base.key[1] in firewall_iptables.TABLES
        and base.key[2] == firewall_iptables.INPUT
        and nft.filters(base)
        for base in nft.input_chains(family)
    )


def _has_legacy_tables(family: str) -> bool:
    with contextlib.suppress(OSError), open(_LEGACY_TABLES[family], encoding="ascii") as names:
        return bool(set(names.read().split()) & set(firewall_iptables.TABLES))
    return False


def _text(path: str) -> Optional[str]:
    found = read_file(path)
    return None if found is None else found.content.decode("utf-8", "replace")
