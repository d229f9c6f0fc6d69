# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write the audit log to standard output, which is the journal under systemd."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time

from ..audit import Record, render_record

_PATIENCE = 1000
"""Milliseconds for which a call waits for a journal that does not read. This slows down clients that
would flood it. After that the record is lost, and the next one says so."""
_SHORT_PATIENCE = 10
"""The same while records are being lost."""


class Journal:
    """The audit log.

    Args:
        number: file descriptor to write to. It is not closed.
    """

    def __init__(self, number: int = 1) -> None:
        self._number = number
        self._lock = threading.Lock()
        self._lost = 0
        self._tail = b""
        with contextlib.suppress(OSError):
            os.set_blocking(number, False)

    def write(self, record: Record) -> None:
        """Writes one record."""
        self._put(render_record(record, time.time(), self._lost))

    def say(self, sentence: str) -> None:
        """Writes a sentence about the gate itself, which is no call."""
        self._put(render_record(Record(decision="note", detail=sentence), time.time(), self._lost))

    def note(self, identity: str, identifier: str, sentence: str) -> None:
        """Writes a sentence about an object of an identity, with its full ID."""
        record = Record(identity=identity, object=identifier, decision="note", detail=sentence)
        self._put(render_record(record, time.time(), self._lost))

    def _put(self, line: bytes) -> None:
        with self._lock:
            if self._tail and not self._flush(self._tail):
                self._lost += 1
            elif self._flush(line):
                self._lost = 0
            elif self._tail == line:
                # Nothing of it has been written.
                self._tail = b""
                self._lost += 1

    def _flush(self, rest: bytes) -> bool:
        """Writes what is left of a record, and keeps what cannot be written, so that lines stay whole."""
        patience = _SHORT_PATIENCE if self._lost else _PATIENCE
        while rest:
            try:
                rest = rest[os.write(self._number, rest) :]
            except BlockingIOError:
                poll = select.poll()
                poll.register(self._number, select.POLLOUT)
                if not poll.poll(patience):
                    break
            except OSError:
                break
        self._tail = rest
        return not rest
