# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of an authority's record: what it has issued, and when each host last answered."""

from __future__ import annotations

import contextlib
import datetime
import os
from typing import Iterable

from ..._base.errors import WormholeError
from ..._base.io import files
from ..issued import RECORD_FILE, SEEN_DIRECTORY, Event, Ledger, parse_ledger, render_events
from ..scope import file_name

_MODE = 0o600


def path_of(directory: str) -> str:
    """The path of the record in the directory of an authority."""
    return os.path.join(directory, RECORD_FILE)


def read(directory: str) -> Ledger:
    """Read the record in the directory of an authority; empty if there is none.

    Raises:
        Refused: a line other than the last one is damaged.
        WormholeError: the file cannot be read.
    """
    path = path_of(directory)
    return parse_ledger(_read(path), path)[0]


def append(directory: str, events: Iterable[Event]) -> None:
    """Add events to the record, durably, with one write and one fsync(2).

    The caller holds the authority's lock. What a power cut has left of a last line is removed.

    Raises:
        Refused: a line other than the last one is damaged.
        ApplyFailed: the file cannot be written.
    """
    content = render_events(events)
    if not content:
        return
    path = path_of(directory)
    present = _read(path)
    length = parse_ledger(present, path)[1]
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
        with os.fdopen(handle, "wb") as stream:
            if len(present) > length:
                stream.truncate(length)
            stream.seek(length)
            stream.write(content)
            stream.flush()
            os.fsync(handle)
        if not present:
            files.sync_directory(directory)
    except OSError as error:
        raise files.failure("write", path, error) from error


def _read(path: str) -> bytes:
    """The content of the record. Only this collection writes it, and it may be larger than other files."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as stream:
            return stream.read()
    except FileNotFoundError:
        return b""
    except OSError as error:
        found = error.strerror or str(error)
        raise WormholeError(path, found=found, problem=f"Cannot read {path}: {found}") from error


def see(directory: str, host: str) -> None:
    """Note that a host has answered now. A directory that cannot be written is no error."""
    path = os.path.join(directory, SEEN_DIRECTORY, file_name(host))
    with contextlib.suppress(OSError):
        try:
            os.utime(path)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):
                os.mkdir(os.path.dirname(path), 0o700)
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
            with os.fdopen(handle, "wb") as stream:
                stream.write(host.encode(errors="surrogateescape"))


def read_seen(directory: str) -> dict[str, datetime.datetime]:
    """When each host last answered, by its name in the inventory.

    Raises:
        WormholeError: a file cannot be read.
    """
    place = os.path.join(directory, SEEN_DIRECTORY)
    seen = {}
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(place):
            found = files.read_file(os.path.join(place, name))
            if found is not None:
                host = found.content.decode(errors="surrogateescape")
                seen[host] = datetime.datetime.fromtimestamp(found.mtime, datetime.timezone.utc)
    return dict(sorted(seen.items()))
