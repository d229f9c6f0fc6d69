# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Selects by seed what a scenario or a target runs on, if a run has no time for every choice.

With N choices, N runs with consecutive seeds cover each name with each choice.
"""

from __future__ import annotations

import zlib
from typing import TypeVar

Choice = TypeVar("Choice")

SHARING = 4
"""One in so many of what shares a host runs: targets, and files of scenarios."""
OWN_HOSTS = 9
"""One in so many of the scenarios with hosts of their own runs."""


def take_turn(name: str, choices: tuple[Choice, ...], seed: int) -> Choice:
    """Return the choice for a name in the run with this seed."""
    return choices[(zlib.crc32(name.encode()) + seed) % len(choices)]


def take_share(name: str, choices: tuple[Choice, ...], part: int, seed: int) -> Choice | None:
    """Return the choice for a name in one of ``part`` consecutive runs, and None in the others.

    ``part`` times N runs with consecutive seeds cover each name with each choice.
    """
    turns = tuple(turn for choice in choices for turn in (choice, *[None] * (part - 1)))
    return take_turn(name, turns, seed)
