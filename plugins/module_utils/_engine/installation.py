# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an installation would do besides installing, read from apt's simulation of it.

Sources: apt-get(8), "--simulate", "--allow-downgrades", "--allow-change-held-packages".
"""

from __future__ import annotations

import re
from typing import Optional, Sequence

from .._base.errors import Refused, WormholeError

# The headings of apt-get's summary, each with the verb for a message.
_HEADINGS = {
    "The following packages will be REMOVED:": "remove",
    "The following packages will be DOWNGRADED:": "downgrade",
    "The following held packages will be changed:": "change the held",
}
_UNKNOWN = re.compile(
    r"^E: (Unable to locate package|Package '\S+' has no installation candidate)", re.MULTILINE
)


def lacks_lists(output: str) -> bool:
    """Whether apt-get does not know a package: its lists are missing or old."""
    return bool(_UNKNOWN.search(output))


def find_conflict(packages: Sequence[str], output: str, status: int) -> Optional[WormholeError]:
    """The reason against installing packages; None if the installation only adds and upgrades.

    Args:
        packages: the packages to install.
        output: what ``apt-get --simulate --yes install`` printed.
        status: its exit status.
    """
    effects = _effects(output)
    if effects:
        found = " and ".join(f"{verb} {', '.join(names)}" for verb, names in effects.items())
        names = sorted({name for affected in effects.values() for name in affected})
        remedy = f"Remove {', '.join(names)} first if nothing uses them, or leave this host out"
    elif status:
        errors = [line[len("E: ") :].rstrip(".") for line in output.splitlines() if line.startswith("E: ")]
        found, remedy = (
            "fail: " + ("; ".join(errors) or f"exit status {status}"),
            "Repair the packages of this host",
        )
    else:
        return None
    problem = f"The installation of {', '.join(packages)} would {found}"
    return Refused("packages of this host", found=found, problem=problem, remedy=remedy)


def _effects(output: str) -> dict[str, list[str]]:
    """The affected packages by verb. Below each heading, the names are indented."""
    effects: dict[str, list[str]] = {}
    verb: Optional[str] = None
    for line in output.splitlines():
        if not line.startswith(" "):
            verb = _HEADINGS.get(line.strip())
        elif verb:
            # An asterisk marks a package that is purged.
            effects.setdefault(verb, []).extend(name.rstrip("*") for name in line.split())
    return effects
