# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Record what identities call, so that a policy can be written from it.

A call only puts its record into a queue. A thread counts the records, and replaces the files of those
identities that have new ones every two seconds. A kill loses at most what came in that time.

The record of an identity is removed with its policy: by the module that removes the policy, and here, where
calls may still be waiting to be counted.
"""

from __future__ import annotations

import contextlib
import os
import queue
import stat
import threading
import time
from typing import Callable, Collection, Dict, Optional, Set, Tuple

from ..._policy.learned_call import LearnedCall
from ..learned import LARGEST, Learned, Outcome, parse_learned
from ..places import SUFFIX

PERIOD = 2.0
"""Seconds between two replacements of the files."""
_WAITING = 4096
"""Records that wait. With more, calls are counted as dropped."""
_AFTER_AN_ERROR = 30.0

Noted = Tuple[str, LearnedCall, Outcome, int]


class Recorder:
    """Keeps the records of all identities.

    Args:
        directory: of the files. It is made if the directory above it exists; otherwise nothing is recorded.
        say: writes a sentence to the log.
        period: seconds between two replacements of the files.
        names: returns the identities that have a policy; None if that is not known.
    """

    def __init__(
        self,
        directory: str,
        say: Callable[[str], None],
        period: float = PERIOD,
        names: Callable[[], Optional[Collection[str]]] = lambda: None,
    ) -> None:
        self._directory, self._say, self._period, self._names = directory, say, period, names
        self._queue: queue.Queue[Optional[Noted]] = queue.Queue(_WAITING)
        self._learned: Dict[str, Learned] = {}
        self._changed: Set[str] = set()
        self._written: Set[str] = set()
        self._overflow: Dict[str, int] = {}
        self._said = False
        self._not_before = 0.0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def note(self, identity: str, call: LearnedCall, outcome: Outcome) -> None:
        """Records a call. It never waits."""
        try:
            self._queue.put_nowait((identity, call, outcome, int(time.time())))
        except queue.Full:
            self._overflow[identity] = self._overflow.get(identity, 0) + 1

    def stop(self) -> None:
        """Writes what is not written yet, and ends the thread."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join(self._period + 5)

    def _run(self) -> None:
        due = time.monotonic() + self._period
        while True:
            ended = False
            with contextlib.suppress(queue.Empty):
                noted = self._queue.get(timeout=max(due - time.monotonic(), 0.01))
                ended = noted is None
                if noted is not None:
                    self._count(noted)
            if ended or time.monotonic() >= due:
                self._flush(last=ended)
                due = time.monotonic() + self._period
            if ended:
                return

    def _count(self, noted: Noted) -> None:
        identity, call, outcome, now = noted
        learned = self._learned.get(identity)
        if learned is None:
            learned = self._learned[identity] = self._read(identity) or Learned(identity, now)
        learned.note(call, outcome, now)
        learned.dropped += self._overflow.pop(identity, 0)
        self._changed.add(identity)

    def _path(self, identity: str) -> str:
        return os.path.join(self._directory, identity + SUFFIX)

    def _read(self, identity: str) -> Optional[Learned]:
        content = read_record(self._directory, identity)
        if content is None:
            return None
        self._written.add(identity)
        return parse_learned(identity, content)

    def _flush(self, last: bool = False) -> None:
        if not self._changed or (time.monotonic() < self._not_before and not last):
            return
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(self._directory, 0o700)
            for identity in sorted(self._changed):
                if self._has_policy(identity):
                    self._write(identity)
                # It may have lost the policy meanwhile, after whoever removed that has removed the file.
                if not self._has_policy(identity):
                    self._forget(identity)
                self._changed.discard(identity)
            self._said = False
        except OSError as error:
            # The disk may be full. Calls go on; what was counted is written when there is room.
            self._not_before = time.monotonic() + _AFTER_AN_ERROR
            if not self._said:
                self._say(f"The recorded calls cannot be written to {self._directory}: {error.strerror}.")
            self._said = True

    def _has_policy(self, identity: str) -> bool:
        names = self._names()
        return names is None or identity in names

    def _forget(self, identity: str) -> None:
        self._learned.pop(identity, None)
        self._written.discard(identity)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(identity))

    def _write(self, identity: str) -> None:
        path = self._path(identity)
        learned = self._learned[identity]
        if identity in self._written and not os.path.lexists(path):
            # The administrator has removed the file, so that the record begins anew.
            learned = self._learned[identity] = Learned(identity, int(time.time()))
        # The name is of no identity: it begins with a dot.
        temporary = os.path.join(self._directory, f".{identity}.new")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(temporary, "wb", opener=lambda name, _flags: os.open(name, flags, 0o600)) as stream:
            stream.write(learned.render().encode("ascii"))
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, path)
        self._written.add(identity)


def read_record(directory: str, identity: str) -> Optional[bytes]:
    """The content of an identity's file; None if there is none that can be read."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    path = os.path.join(directory, identity + SUFFIX)
    try:
        with open(path, "rb", opener=lambda name, _flags: os.open(name, flags)) as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                return None
            content = stream.read(LARGEST + 1)
    except OSError:
        return None
    return content if len(content) <= LARGEST else None
