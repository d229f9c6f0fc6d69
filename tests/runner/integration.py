# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Part ``integration``: against real hosts of both Debian releases."""

from __future__ import annotations

from collections.abc import Callable

from runner.steps import Lane, Log, Settings


def lanes() -> list[Lane]:
    return []


def prepare(settings: Settings, log: Log, say: Callable[[str], None]) -> None:
    """Begin to build what the hosts are made of, while other parts run."""


def clean_up() -> None:
    """Take down the hosts that this run started."""
