# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The script and service that make our rules in chains of nftables and iptables persistent.

The administrator's files stay as they are. The service inserts our rules after the administrator's
are loaded at boot, and again when these are reloaded or loaded anew: ``PartOf`` propagates a stop
and a restart, ``ReloadPropagatedFrom`` a reload, ``WantedBy`` a start after a stop. Rules match
interfaces by name; the bridges need not exist yet.

Sources: systemd.unit(5); nft(8); iptables(8).
"""

from __future__ import annotations

import re
import shlex
from typing import Iterable, Mapping

from . import iptables as firewall_iptables
from . import nft as firewall_nft
from .model import COMMENT, Backend, Hook, Opening, Placement

UNIT = "wormhole-docker-firewall.service"
UNIT_PATH = "/etc/systemd/system/" + UNIT
SCRIPT_PATH = "/usr/local/sbin/wormhole-docker-firewall"

LOADERS = ("nftables.service", "netfilter-persistent.service")
"""The services that load an administrator's rules on Debian. Add those of other firewalls here."""
_WANTED_BY = ("multi-user.target", *LOADERS)
LINKS = tuple(f"/etc/systemd/system/{unit}.wants/{UNIT}" for unit in _WANTED_BY)
"""The links that exist while the service is enabled."""

MANAGED = (
    "# Managed by the Ansible module wormhole.docker.dockerd_listener, which undoes changes made here.\n"
)
"""The first line of our files."""
_PROGRAMS: Mapping[tuple[Backend, str], str] = {
    ("iptables-nft", "ip"): "iptables-nft",
    ("iptables-nft", "ip6"): "ip6tables-nft",
    ("iptables-legacy", "ip"): "iptables-legacy",
    ("iptables-legacy", "ip6"): "ip6tables-legacy",
}

_HEAD = (
    "#!/bin/sh\n"
    + MANAGED
    + "# Lets containers reach the Docker API of this host: `start` puts a rule at the head of each chain that drops,\n"
    "# `stop` takes it out. Our rules bear the comment @COMMENT@. A chain that is not there drops nothing.\n"
    r"""
action=$1
failed=0

nft_rules() {  # family, table and name of the chain; rules on standard input
    present=$(nft -a list chain "$1" "$2" "$3" 2>/dev/null) || return 0
    {
        printf '%s\n' "$present" | sed -n 's/.* comment "@COMMENT@" # handle \([0-9]*\)$/\1/p' |
            while read -r handle; do printf 'delete rule %s %s %s handle %s\n' "$1" "$2" "$3" "$handle"; done
        test "$action" = stop ||
            while read -r rule; do printf 'insert rule %s %s %s %s\n' "$1" "$2" "$3" "$rule"; done
    } | nft -f - || failed=1
}

iptables_rule() {  # program, table and chain; then the rule
    program=$1 table=$2 chain=$3
    shift 3
    if test "$action" = stop; then
        while "$program" -w -t "$table" -D "$chain" "$@" 2>/dev/null; do :; done
    elif ! "$program" -w -t "$table" -C "$chain" "$@" 2>/dev/null; then
        "$program" -w -t "$table" -I "$chain" "$@" || failed=1
    fi
}

"""
).replace("@COMMENT@", COMMENT)
_TAIL = "\nexit $failed\n"


def program_of(hook: Hook) -> str:
    """The program that changes a chain of iptables."""
    return _PROGRAMS[hook.backend, hook.family]


def render_script(placements: Iterable[Placement]) -> str:
    """The text of the script."""
    found = sorted(placements)
    chains = dict.fromkeys(p.hook for p in found if p.hook.backend == firewall_nft.BACKEND)
    body = ""
    for hook in chains:
        rules = [firewall_nft.render_rule(p.opening) for p in found if p.hook == hook]
        body += f"nft_rules {shlex.join([hook.family, hook.table, hook.chain])} <<'END'\n"
        body += "".join(rule + "\n" for rule in rules) + "END\n"
    for placement in found:
        hook = placement.hook
        if hook.backend != firewall_nft.BACKEND:
            words = [program_of(hook), hook.table, hook.chain]
            body += (
                f"iptables_rule {shlex.join([*words, *firewall_iptables.render_rule(placement.opening)])}\n"
            )
    return _HEAD + body + _TAIL


def parse_script(text: str) -> tuple[Placement, ...]:
    """The placements in the text of our script; lines that we would not write are skipped."""
    found = []
    hook = None
    for line in text.splitlines():
        words = firewall_iptables.split_words(line)
        if words[:1] == ("nft_rules",) and len(words) == 5:
            hook = Hook(firewall_nft.BACKEND, words[1], words[2], words[3])
        elif line == "END":
            hook = None
        elif hook is not None:
            rule = re.fullmatch(r'iifname "([^"]+)" ip6? daddr (\S+) tcp dport (\d+) accept .*', line)
            if rule:
                found.append(Placement(hook, Opening(rule.group(1), rule.group(2), int(rule.group(3)))))
        elif words[:1] == ("iptables_rule",) and len(words) > 4:
            opening = firewall_iptables.parse_ours(words[4:])
            for (backend, family), program in _PROGRAMS.items():
                if opening and program == words[1]:
                    found.append(Placement(Hook(backend, family, words[2], words[3]), opening))
    return tuple(found)


def render_unit() -> str:
    """The text of the service."""
    loaders = " ".join(LOADERS)
    return (
        MANAGED + "[Unit]\n"
        "Description=Openings in the packet filter, for containers that use the Docker API of this host\n"
        f"After={loaders} network.target\n"
        "Before=docker.service\n"
        f"PartOf={loaders}\n"
        f"ReloadPropagatedFrom={loaders}\n"
        "\n"
        "[Service]\n"
        "Type=oneshot\n"
        "RemainAfterExit=true\n"
        f"ExecStart={SCRIPT_PATH} start\n"
        f"ExecReload={SCRIPT_PATH} start\n"
        f"ExecStop={SCRIPT_PATH} stop\n"
        "TimeoutStartSec=60\n"
        "\n"
        "[Install]\n"
        f"WantedBy={' '.join(_WANTED_BY)}\n"
    )
