# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which release a scenario or a target runs on, where a run has no time for both.

They take turns: half of them run on either release, and swap with a seed of the other parity. So one run shows each of them,
and two runs with consecutive seeds show each of them on each release.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

Release = TypeVar("Release")


def take_turns(names: Iterable[str], releases: tuple[Release, ...], seed: int) -> Mapping[str, Release]:
    """The release that each name has its turn on.

    Args:
        names: all that take turns.
        releases: what there is to choose from.
        seed: of the run.
    """
    return {name: releases[(place + seed) % len(releases)] for place, name in enumerate(sorted(set(names)))}
