# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the files of a unit.

Source: systemd.unit(5), "Unit File Load Path".
"""

from __future__ import annotations

import glob
import os
from typing import Mapping

from .. import systemd_units
from . import files

_DIRECTORIES = (
    systemd_units.UNIT_DIRECTORY,
    "/run/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
)


def read_unit_files(name: str, shown: Mapping[str, str]) -> list[tuple[str, str]]:
    """Reads paths and contents of a unit's file and its drop-ins, in the order of systemd.

    This includes files that systemd has not read yet: it will have when a change is carried out.

    Args:
        shown: the unit's properties FragmentPath and DropInPaths.
    """
    fragments = [path for path in (f"{top}/{name}" for top in _DIRECTORIES) if os.path.lexists(path)]
    drop_ins = [
        path for top in _DIRECTORIES for path in sorted(glob.glob(f"{top}/{glob.escape(name)}.d/*.conf"))
    ]
    known = [*fragments[:1], *(() if fragments else (shown.get("FragmentPath", ""),))]
    found = []
    for path in systemd_units.in_order(
        filter(None, [*known, *shown.get("DropInPaths", "").split(), *drop_ins])
    ):
        # A link to /dev/null disables a file of the same name elsewhere (systemd.unit(5)).
        text = None if os.path.realpath(path) == os.devnull else files.read_text(path)
        if text is not None:
            found.append((path, text))
    return found
