# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ufw: its rules files, and the commands that change them.

ufw writes our comment to its files only. Our rules in the kernel are recognised by what they say.

Source: ufw(8), and ``user.rules`` as ufw 0.36.2 writes it.
"""

from __future__ import annotations

import re
from typing import Mapping, Optional

from .model import COMMENT, Opening

CONFIG_PATH = "/etc/ufw/ufw.conf"
RULES_PATHS: Mapping[str, str] = {"ip": "/etc/ufw/user.rules", "ip6": "/etc/ufw/user6.rules"}
"""Rules files by address family."""
CHAINS = ("ufw-user-input", "ufw6-user-input")
"""Their chains in the kernel."""

_TUPLE = "### tuple ### "
_OUR_COMMENT = "comment=" + COMMENT.encode().hex()
_ANYWHERE = ("0.0.0.0/0", "::/0")


def is_enabled(config: str) -> bool:
    """Whether the text of ufw.conf enables ufw."""
    found = re.findall(r"^ENABLED=(.*)$", config, re.MULTILINE)
    return bool(found) and found[-1].strip().strip("\"'").lower() == "yes"


def our_openings(rules: str) -> tuple[Opening, ...]:
    """The openings with our comment in a rules file."""
    ours = [words for words in _tuples(rules) if words[0] == "allow" and words[-1] == _OUR_COMMENT]
    return tuple(opening for opening in map(_opening, ours) if opening is not None)


def contradiction(rules: str, opening: Opening) -> Optional[str]:
    """The action of an administrator's rule for exactly this opening, which ours would replace."""
    return next(
        (words[0] for words in _tuples(rules) if words[0] != "allow" and _opening(words) == opening), None
    )


def without_ours(rules: str) -> str:
    """A rules file as ufw leaves it after it has deleted our rules."""
    kept, skip = [], 0
    for line in rules.splitlines(keepends=True):
        if line.startswith(_TUPLE) and line.split()[-1] == _OUR_COMMENT:
            skip = 3  # the line with the tuple, the rule itself, an empty line
        if not skip:
            kept.append(line)
        skip = max(0, skip - 1)
    return "".join(kept)


def allow_command(opening: Opening) -> list[str]:
    """The command that adds an opening, as the first rule: a general deny before it would win."""
    return ["ufw", "prepend", *_allow(opening), "comment", COMMENT]


def delete_command(opening: Opening) -> list[str]:
    """The command that removes an opening."""
    return ["ufw", "delete", *_allow(opening)]


def _allow(opening: Opening) -> list[str]:
    return [
        *("allow", "in", "on", opening.interface),
        *("to", opening.address, "port", str(opening.port), "proto", "tcp"),
    ]


def _tuples(rules: str) -> list[list[str]]:
    """The words of each rule: action, protocol, port, address, source port, source, direction …"""
    lines = [line[len(_TUPLE) :].split() for line in rules.splitlines() if line.startswith(_TUPLE)]
    return [words for words in lines if words]


def _opening(words: list[str]) -> Optional[Opening]:
    """The opening that a rule is about; None if it is about anything else."""
    if len(words) < 7 or words[1] != "tcp" or words[4] != "any" or words[5] not in _ANYWHERE:
        return None
    direction, _underscore, interface = words[6].partition("_")
    if direction != "in" or not interface or not words[2].isdigit() or "/" in words[3]:
        return None
    return Opening(interface, words[3], int(words[2]))
