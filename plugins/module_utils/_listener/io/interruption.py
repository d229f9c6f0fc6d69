# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detect that this process should end, or that no one is waiting for its result.

A signal must not end a change at any moment: it is recorded, and checked where a rollback is
possible. A process without a terminal gets no signal when its SSH connection is lost; its output is
then closed at the other end.

Sources: signal(7); poll(2), POLLERR and POLLHUP; sshd(8).
"""

from __future__ import annotations

import contextlib
import select
import signal
import sys
from types import FrameType
from typing import Iterator, Optional

from ..._base.errors import ApplyFailed

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Interruption:
    """The signals received since :meth:`watched` was entered."""

    def __init__(self) -> None:
        self._received: Optional[int] = None

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Records signals that would end the process, for the duration of a block."""
        previous = {number: signal.signal(number, self._record) for number in _SIGNALS}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def check(self) -> None:
        """Raises ApplyFailed if a signal was received, or the output is closed at the other end."""
        if self._received is not None:
            name = signal.Signals(self._received).name
            raise ApplyFailed("this run", problem=f"This run was interrupted by {name}")
        if _is_abandoned():
            raise ApplyFailed("this run", problem="This run has lost its connection to the controller")

    def _record(self, number: int, frame: Optional[FrameType]) -> None:
        del frame
        self._received = number


def _is_abandoned() -> bool:
    """Whether the output is closed at the other end."""
    try:
        poll = select.poll()
        poll.register(sys.__stdout__ or 1, 0)
        return any(event & (select.POLLERR | select.POLLHUP) for handle, event in poll.poll(0))
    except (OSError, ValueError):
        # No output at all, for example in a detached job.
        return False
