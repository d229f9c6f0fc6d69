# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether somebody wants this process to end, or waits for its answer no longer.

A change is never left at any moment: signals are noted, and asked for where going back is possible. A lost SSH
connection sends no signal to a process without a terminal; what shows it is that nobody reads its output any more.

Sources: signal(7); poll(2), POLLERR and POLLHUP; sshd(8).
"""

from __future__ import annotations

import contextlib
import select
import signal
import sys
from types import FrameType
from typing import Iterator, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import ApplyFailed

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interruption:
    """What has happened since :meth:`watched` was entered."""

    def __init__(self) -> None:
        self._received: Optional[int] = None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Notes signals that would end the process, for the length of a block; then they have their former effect."""
        former = {number: signal.signal(number, self._note) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Makes sure that the change is still wanted.

        Raises:
            ApplyFailed: a signal has come, or nobody reads the answer.
        """
        if self._received is not None:
            raise ApplyFailed(
                "this run", expected="to be left to its end", found=signal.Signals(self._received).name
            )
        if _is_abandoned():
            raise ApplyFailed(
                "this run", expected="somebody to wait for its answer", found="a connection that was lost"
            )

    def _note(self, number: int, frame: Optional[FrameType]) -> None:
        del frame
        self._received = number


def _is_abandoned() -> bool:
    """Whether the other end of our output is closed."""
    try:
        poll = select.poll()
        poll.register(sys.__stdout__ or 1, 0)
        return any(event & (select.POLLERR | select.POLLHUP) for handle, event in poll.poll(0))
    except (OSError, ValueError):
        # No output at all, such as in a job that was detached on purpose.
        return False
