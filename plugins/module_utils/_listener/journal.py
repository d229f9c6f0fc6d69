# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The two records of a transaction: the journal and the origin.

Parsing one raises Refused if it is damaged, or if another version of this collection wrote it.

The journal holds the files as they were before the transaction, for its rollback, also by a later
run. The origin holds the files as they were before the first transaction, for state absent, and
what the last transaction wrote, so that later changes of others are recognized.
"""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Callable, Mapping, Optional, TypeVar

from .._base.errors import Refused

VERSION = 1
"""Version of both formats. A format that this version cannot read gets the next number."""

Strip = Callable[[str, bytes], Optional[bytes]]
"""Given a path and a content, returns the content without our changes: the same bytes if there are
none, None if nothing else remains."""

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class SavedFile:
    """A file with its metadata.

    Attributes:
        mode: permission bits, such as 0o644.
        uid, gid: numeric owner and group.
        mtime_ns: time of the last modification, in nanoseconds since the epoch.
    """

    content: bytes
    mode: int
    uid: int
    gid: int
    mtime_ns: int


@dataclass(frozen=True)
class Journal:
    """A transaction that has begun and not ended.

    Attributes:
        files: the previous files by path; None for no file.
        notes: further data of the caller, as JSON values.
        directories: directories of the files that did not exist, the highest first.
        origin: the previous record of the origin.
    """

    files: Mapping[str, Optional[SavedFile]]
    notes: Mapping[str, Any] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    origin: Optional[SavedFile] = None


@dataclass(frozen=True)
class OriginEntry:
    """The origin of one file.

    Attributes:
        original: the original file; None for no file.
        written: the content that the last transaction wrote; None if it removed the file.
    """

    original: Optional[SavedFile]
    written: Optional[bytes]


@dataclass(frozen=True)
class Origin:
    """The state of the host before the first transaction.

    Attributes:
        files: by path, only those that a transaction has changed.
        directories: directories that did not exist, the highest first.
    """

    files: Mapping[str, OriginEntry] = field(default_factory=dict)
    directories: tuple[str, ...] = ()


def updated_origin(
    origin: Origin, path: str, before: Optional[SavedFile], after: Optional[bytes], strip: Strip
) -> Origin:
    """Updates the origin for a file that a transaction changed from before to after.

    The recorded original stays if the file was not changed between two transactions. Otherwise the
    file before this transaction, without our changes, becomes the original: others have edited it,
    or the installation is older than the record.
    """
    previous = None if before is None else before.content
    if previous == after:
        return origin
    entry, original = origin.files.get(path), before
    if entry is not None and entry.written == previous:
        original = entry.original
    elif before is not None:
        content = strip(path, before.content)
        original = None if content is None else replace(before, content=content)
    return replace(origin, files={**origin.files, path: OriginEntry(original, after)})


def with_directories(origin: Origin, made: tuple[str, ...]) -> Origin:
    """Adds directories that a transaction created."""
    return replace(origin, directories=tuple(sorted({*origin.directories, *made})))


def render_origin(origin: Origin) -> str:
    """Renders it as JSON."""
    entries = {
        path: {"former": _render_file(entry.original), "written": _render_bytes(entry.written)}
        for path, entry in sorted(origin.files.items())
    }
    return _render(files=entries, directories=origin.directories)


def parse_origin(text: str, path: str) -> Origin:
    """Parses the output of render_origin(), which was read from this path."""

    def build(data: Any) -> Origin:
        files = {
            str(name): OriginEntry(_parse_file(entry["former"]), _parse_bytes(entry["written"]))
            for name, entry in data["files"].items()
        }
        return Origin(files, tuple(map(str, data["directories"])))

    remedy = (
        "Restore it from a backup. Without a backup, remove it and run again: state absent then removes "
        "the changes of this collection, but cannot restore the original bytes"
    )
    return _parse(text, path, build, remedy)


def render_journal(journal: Journal) -> str:
    """Renders it as JSON."""
    files = {path: _render_file(file) for path, file in sorted(journal.files.items())}
    origin = _render_file(journal.origin)
    return _render(files=files, notes=journal.notes, directories=journal.directories, origin=origin)


def parse_journal(text: str, path: str) -> Journal:
    """Parses the output of render_journal(), which was read from this path."""

    def build(data: Any) -> Journal:
        files = {str(name): _parse_file(file) for name, file in data["files"].items()}
        directories = tuple(map(str, data["directories"]))
        return Journal(files, dict(data["notes"]), directories, _parse_file(data["origin"]))

    held = "It holds the files as they were before an interrupted run"
    return _parse(text, path, build, f"{held}. Restore these files by hand, remove it, then run again")


def _render(**data: Any) -> str:
    return json.dumps({"version": VERSION, **data}, indent=2) + "\n"


def _parse(text: str, path: str, build: Callable[[Any], _Record], remedy: str) -> _Record:
    try:
        data = json.loads(text)
        version = int(data["version"])
        if version == VERSION:
            return build(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problem = f"{path} is damaged ({type(error).__name__}: {error})"
        raise Refused(path, problem=problem, remedy=remedy) from error
    readable = f"this release of wormhole.docker reads version {VERSION}"
    problem = f"{path} is a record of version {version}, but {readable}"
    raise Refused(path, problem=problem, remedy="Run the release that wrote it, or a newer one")


def _render_bytes(content: Optional[bytes]) -> Optional[str]:
    return None if content is None else base64.b64encode(content).decode()


def _parse_bytes(data: Any) -> Optional[bytes]:
    return None if data is None else base64.b64decode(data, validate=True)


def _render_file(file: Optional[SavedFile]) -> Optional[dict[str, Any]]:
    if file is None:
        return None
    return {**asdict(file), "content": _render_bytes(file.content), "mode": f"{file.mode:04o}"}


def _parse_file(data: Any) -> Optional[SavedFile]:
    if data is None:
        return None
    uid, gid, mtime_ns = (int(data[key]) for key in ("uid", "gid", "mtime_ns"))
    return SavedFile(_parse_bytes(data["content"]) or b"", int(data["mode"], 8), uid, gid, mtime_ns)
