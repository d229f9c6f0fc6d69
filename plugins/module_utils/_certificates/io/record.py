# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The file of the host's record. It is written before the certificates, so it is never incomplete.

It is in /var/lib, for state (Filesystem Hierarchy Standard 3.0, 5.8). Only root keeps it.
Certificates of other users are not recorded.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from typing import Callable, Iterator, Mapping, Optional

from ..._base.errors import WormholeError
from ..._base.io import files, locks
from ..facts import FILES
from ..record import Record, parse_record, render_record

NAME = "certificates.json"


def directory() -> str:
    """The record's directory."""
    return "/var/lib/wormhole"


def is_kept() -> bool:
    """Whether this process keeps the record."""
    return os.geteuid() == 0


def read() -> Record:
    """The present record; empty if there is none.

    Raises:
        Refused: the file is not a record.
        WormholeError: the file cannot be read.
    """
    path = os.path.join(directory(), NAME)
    found = files.read_file(path)
    return Record() if found is None else parse_record(found.content, path)


def note(written: Mapping[str, Mapping[str, bytes]], *, adopts: bool = True) -> None:
    """Record files that are about to be written: contents by file name, by directory.

    A directory without contents is recorded if it does not exist. Unless ``adopts``, directories
    with files of others are not recorded any more, so that a teardown does not remove these files.

    Raises:
        WormholeError: see :func:`update`.
    """

    def change(record: Record) -> Record:
        for place, contents in written.items():
            if not adopts and not record.certificates.get(place):
                # The request may have recorded its directory, for the pending key.
                record = record.without_certificate(place)
                continue
            new = {name: _digest(content) for name, content in contents.items()}
            record = record.with_files(place, new, digests(place)).with_directories(_missing(place))
        return record

    if written:
        update(change)


def update(change: Callable[[Record], Record]) -> None:
    """Change the record by a function, if this process keeps it. An empty record is removed.

    Raises:
        ApplyFailed: the record could not be written. The previous one is unchanged.
        Refused: the present file is not a record.
    """
    if not is_kept() or (change(Record()).is_empty and not os.path.isdir(directory())):
        return
    with _locked_directory() as place:
        present = read()
        record = change(present)
        path = os.path.join(place, NAME)
        if record.is_empty:
            files.remove_file(path)
        elif record != present:
            files.write_file(path, render_record(record), mode=0o600, uid=os.geteuid(), gid=os.getegid())
        # It may hold other files.
        with contextlib.suppress(OSError):
            os.rmdir(place)


def digests(place: str) -> dict[str, str]:
    """SHA-256 of the certificate's regular files in a directory, by name."""
    contents = {name: _read_regular(os.path.join(place, name)) for name in FILES}
    return {name: _digest(content) for name, content in contents.items() if content is not None}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read_regular(path: str) -> Optional[bytes]:
    try:
        if not stat.S_ISREG(os.lstat(path).st_mode):
            return None
    except (FileNotFoundError, NotADirectoryError):
        return None
    found = files.read_file(path)
    return None if found is None else found.content


def _missing(path: str) -> list[str]:
    """Those of a directory and its parents that do not exist."""
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing


@contextlib.contextmanager
def _locked_directory() -> Iterator[str]:
    """Create and lock the record's directory: two controllers may manage one host (flock(2))."""
    place = directory()
    handle = None
    while handle is None:
        if not os.path.isdir(place):
            files.make_directory(place, mode=0o755, uid=os.geteuid(), gid=os.getegid())
        handle = _lock(place)
    try:
        yield place
    finally:
        os.close(handle)


def _lock(place: str) -> Optional[int]:
    """A handle that holds the lock; None if another process has removed the directory."""
    try:
        handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise files.failure("lock", place, error) from error
    try:
        locks.take(place, handle)
        if os.path.samestat(os.fstat(handle), os.stat(place)):
            return handle
    except FileNotFoundError:
        pass
    except OSError as error:
        os.close(handle)
        raise files.failure("lock", place, error) from error
    except WormholeError:
        os.close(handle)
        raise
    os.close(handle)
    return None
