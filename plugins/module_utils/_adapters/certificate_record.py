# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The record of what was made on a host, as a file; written before what it tells of, so that no run leaves more than it tells.

It is in /var/lib, as the Filesystem Hierarchy Standard 3.0 has it for state (5.8). Only root can keep it; what another user makes
is not recorded.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import stat
from typing import Callable, Iterator, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_record import (
    Record,
    parse_record,
    render_record,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import FILES
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import ApplyFailed

NAME = "certificates.json"


def directory() -> str:
    """Where the record is."""
    return "/var/lib/wormhole"


def is_kept() -> bool:
    """Whether this process can keep it."""
    return os.geteuid() == 0


def read() -> Record:
    """The record as it stands; empty if there is none.

    Raises:
        Refused: the file is something else.
        WormholeError: it cannot be read.
    """
    path = os.path.join(directory(), NAME)
    found = files.read_file(path)
    return Record() if found is None else parse_record(found.content, path)


def note(written: Mapping[str, Mapping[str, bytes]]) -> None:
    """Records what is about to be written.

    Args:
        written: contents by file name, by the directories of the certificates; a directory without any is going to be made,
            or something beside it.

    Raises:
        ApplyFailed: it could not be recorded; nothing was written.
        Refused: the record is something else.
    """

    def change(record: Record) -> Record:
        for place, contents in written.items():
            new = {name: digest(content) for name, content in contents.items()}
            record = record.with_files(place, new, digests(place)).with_directories(_missing(place))
        return record

    if written:
        update(change)


def mark_identity(place: str) -> None:
    """Records that the certificate in a directory is a wormhole's, if it is recorded at all.

    Raises:
        WormholeError: see :func:`update`.
    """
    update(lambda record: record.with_identity(place))


def release_identity(place: str) -> None:
    """Records that the certificate in a directory no longer goes with a wormhole, because somebody else looks after it now.

    Raises:
        WormholeError: see :func:`update`.
    """
    update(lambda record: record.without_identity(place))


def update(change: Callable[[Record], Record]) -> None:
    """Replaces the record, if it is kept, by what a function makes of it.

    An empty one is removed, with its directory if that is empty then.

    Raises:
        ApplyFailed: it could not be written; the former one is untouched.
        Refused: the record is something else.
    """
    if not is_kept() or (change(Record()).is_empty and not os.path.isdir(directory())):
        return
    with _locked_directory() as place:
        former = read()
        record = change(former)
        path = os.path.join(place, NAME)
        if record.is_empty:
            files.remove_file(path)
        elif record != former:
            files.write_file(path, render_record(record), mode=0o600, uid=os.geteuid(), gid=os.getegid())
        # Others may keep something there too.
        with contextlib.suppress(OSError):
            os.rmdir(place)


def digests(place: str) -> dict[str, str]:
    """SHA-256 of the certificate's files in a directory; of those that are regular files, not links to some."""
    found = {}
    for name in FILES:
        content = _read_regular(os.path.join(place, name))
        if content is not None:
            found[name] = digest(content)
    return found


def digest(content: bytes) -> str:
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
    """A directory and those above it, as far as they are not there."""
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    return missing


@contextlib.contextmanager
def _locked_directory() -> Iterator[str]:
    """Makes the record's directory, and holds a lock on it: two controllers may be at work on one host (flock(2))."""
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
    """A handle that holds the lock; None if another holder has removed the directory meanwhile."""
    try:
        handle = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ApplyFailed(place, expected="to be opened", found=error.strerror or str(error)) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        if os.path.samestat(os.fstat(handle), os.stat(place)):
            return handle
    except FileNotFoundError:
        pass
    except OSError as error:
        os.close(handle)
        raise ApplyFailed(place, expected="to be locked", found=error.strerror or str(error)) from error
    os.close(handle)
    return None
