# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ufw: what is in its files, and the commands that change them.

ufw writes our comment to its files only, not into the kernel. Its rules there are known by their words.

Source: ufw(8), and ``user.rules`` as ufw 0.36.2 writes it.
"""

from __future__ import annotations

import re
from typing import Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import COMMENT, Opening

CONFIG_PATH = "/etc/ufw/ufw.conf"
RULES_PATHS: Mapping[str, str] = {"ip": "/etc/ufw/user.rules", "ip6": "/etc/ufw/user6.rules"}
"""Its rules, by family."""
CHAINS = ("ufw-user-input", "ufw6-user-input")
"""Where it puts them in the kernel."""

_TUPLE = "### tuple ### "
_ANYWHERE = ("0.0.0.0/0", "::/0")


def is_enabled(config: str) -> bool:
    """Whether ufw.conf says that ufw filters."""
    found = re.findall(r"^ENABLED=(.*)$", config, re.MULTILINE)
    return bool(found) and found[-1].strip().strip("\"'").lower() == "yes"


def our_openings(rules: str) -> tuple[Opening, ...]:
    """The openings with our comment in a rules file."""
    comment = "comment=" + COMMENT.encode().hex()
    found = []
    for line in rules.splitlines():
        words = line[len(_TUPLE) :].split() if line.startswith(_TUPLE) else []
        opening = _opening(words)
        if opening and words[0] == "allow" and words[-1] == comment:
            found.append(opening)
    return tuple(found)


def contradiction(rules: str, opening: Opening) -> Optional[str]:
    """What an administrator's rule does about exactly an opening (deny, reject, limit), which ours would replace."""
    for line in rules.splitlines():
        words = line[len(_TUPLE) :].split() if line.startswith(_TUPLE) else []
        if words and words[0] != "allow" and _opening(words) == opening:
            return words[0]
    return None


def without_ours(rules: str) -> str:
    """A rules file as ufw leaves it once it has deleted ours."""
    comment = "comment=" + COMMENT.encode().hex()
    kept, skip = [], 0
    for line in rules.splitlines(keepends=True):
        if line.startswith(_TUPLE) and line.split()[-1] == comment:
            skip = 3  # the line with the tuple, the rule itself, an empty line
        if not skip:
            kept.append(line)
        skip = max(0, skip - 1)
    return "".join(kept)


def allow_command(opening: Opening) -> list[str]:
    """Opens. It comes first, since a general deny before it would win."""
    return ["ufw", "prepend", *_allow(opening), "comment", COMMENT]


def delete_command(opening: Opening) -> list[str]:
    """Closes again."""
    return ["ufw", "delete", *_allow(opening)]


def _allow(opening: Opening) -> list[str]:
    return [
        *("allow", "in", "on", opening.interface),
        *("to", opening.address, "port", str(opening.port), "proto", "tcp"),
    ]


def _opening(words: list[str]) -> Optional[Opening]:
    """The opening that a tuple is about: action, protocol, port, address, source port, source, direction."""
    if len(words) < 7 or words[1] != "tcp" or words[4] != "any" or words[5] not in _ANYWHERE:
        return None
    direction, _underscore, interface = words[6].partition("_")
    if direction != "in" or not interface or not words[2].isdigit() or "/" in words[3]:
        return None
    return Opening(interface, words[3], int(words[2]))
