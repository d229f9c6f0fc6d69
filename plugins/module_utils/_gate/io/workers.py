# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Threads that serve connections. An idle one takes the next, a busy gate starts another."""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import Callable

_IDLE_SECONDS = 30.0
_STACK = 256 * 1024

Work = Callable[[], None]


class Workers:
    """A pool without a size of its own: the bounds of connections bound it."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Work] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0
        threading.stack_size(_STACK)

    def submit(self, work: Work) -> None:
        """Has a thread do this.

        Raises:
            RuntimeError: there is no idle thread, and none can be started.
        """
        with self._lock:
            if self._idle:
                self._idle -= 1
                self._queue.put(work)
                return
        threading.Thread(target=self._run, args=(work,), daemon=True).start()

    def _run(self, work: Work) -> None:
        while True:
            work()
            del work
            with self._lock:
                self._idle += 1
            try:
                work = self._queue.get(timeout=_IDLE_SECONDS)
                continue
            except Empty:
                pass
            with self._lock:
                if self._idle:
                    self._idle -= 1
                    return
            # It is counted on: work is on its way.
            work = self._queue.get()
