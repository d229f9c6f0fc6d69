# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Progress messages, each with the seconds since the start."""

from __future__ import annotations

import sys
import threading
import time


class Progress:
    """Prints messages to standard error; standard output is for results."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()

    @property
    def seconds(self) -> float:
        """The time since the start."""
        return time.monotonic() - self._began

    def __call__(self, text: str) -> None:
        with self._lock:
            print(f"[{self.seconds:6.1f} s] {text}", file=sys.stderr, flush=True)
