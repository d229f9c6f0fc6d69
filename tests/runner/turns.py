# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a scenario or a target runs on, where a run has no time for everything.

They take turns, by the seed: as many runs with consecutive seeds as there are choices show each of them on each.
"""

from __future__ import annotations

import zlib
from typing import TypeVar

Choice = TypeVar("Choice")


def take_turn(name: str, choices: tuple[Choice, ...], seed: int) -> Choice:
    """The choice that it is a name's turn to have in the run with this seed."""
    return choices[(zlib.crc32(name.encode()) + seed) % len(choices)]
