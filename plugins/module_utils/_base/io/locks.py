# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wait for the lock of a file or directory, but not forever, and name the process that holds it.

Sources: flock(2), proc_locks(5), proc_pid_cmdline(5).
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from typing import Iterator

from ..errors import ApplyFailed

PATIENCE = 600.0
"""Seconds to wait for another run. One that restarts an engine with many containers takes minutes."""
_PAUSE = 0.1
_LONGEST_COMMAND = 200


@contextlib.contextmanager
def locked(path: str, handle: int, *, shared: bool = False, patience: float = PATIENCE) -> Iterator[None]:
    """Hold a lock on an open file or directory during a block, then close the file.

    See :func:`take` for the arguments and errors.
    """
    try:
        take(path, handle, shared=shared, patience=patience)
        yield
    finally:
        os.close(handle)


def take(path: str, handle: int, *, shared: bool = False, patience: float = PATIENCE) -> None:
    """Lock an open file or directory; wait for other holders.

    Args:
        path: its path, for messages.
        handle: its descriptor; the lock ends when it is closed.
        shared: whether others may hold a shared lock at the same time.
        patience: seconds to wait at most.

    Raises:
        ApplyFailed: another process still holds the lock; the message names it.
        OSError: the file system has no locks.
    """
    operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    deadline = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, operation | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise _still_held(path, handle, patience) from None
            time.sleep(_PAUSE)


def _still_held(path: str, handle: int, patience: float) -> ApplyFailed:
    holders = [_describe(pid) for pid in _holders(handle)]
    found = ", ".join(holders) or "a process that /proc/locks does not show"
    waited = f"{patience / 60:g} minutes" if patience >= 60 else f"{patience:g} seconds"
    return ApplyFailed(
        path,
        found=found,
        problem=f"{path} is still locked after {waited}, by {found}",
        remedy="Another run is at work. Wait until it has ended, or end its process, then run the task again",
    )


def _holders(handle: int) -> list[int]:
    """The processes that have taken a lock on an open file, by their numbers in this namespace."""
    status = os.fstat(handle)
    exact = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    matching, similar = [], []
    with contextlib.suppress(OSError), open("/proc/locks", encoding="ascii", errors="replace") as table:
        for line in table:
            fields = line.split()
            # Lines of processes that wait have an arrow. A process in another namespace is 0.
            if len(fields) < 6 or fields[1] != "FLOCK" or not fields[4].isdigit() or fields[4] == "0":
                continue
            if fields[5] == exact:
                matching.append(int(fields[4]))
            elif fields[5].rpartition(":")[2] == str(status.st_ino):
                # Some file systems show another device number there than to stat(2): btrfs, overlayfs.
                similar.append(int(fields[4]))
    return list(dict.fromkeys(matching or similar))


def _describe(pid: int) -> str:
    """A process with its command line, without words that may hold a secret: values of variables."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as command:
            words = command.read(1 << 16).decode("utf-8", "replace").rstrip("\0").split("\0")
    except OSError:
        return f"process {pid}, which has ended and left a child that holds it"
    shown = " ".join("…" if any(mark in word for mark in "={ \n") else word for word in words)
    if not shown:
        return f"process {pid}"
    cut = shown if len(shown) <= _LONGEST_COMMAND else f"{shown[:_LONGEST_COMMAND]}…"
    return f"process {pid} ({cut})"
