# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a transaction remembers: the files before it (its journal), and the files before the first one (the origin).

The journal serves a roll-back, also by a later run when this one dies. The origin serves the undo: it holds what stood
at each path before we ever wrote there, and what we wrote last, so that other people's later edits are recognised.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field, replace
from typing import Any, Callable, Mapping, Optional, TypeVar

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused

VERSION = 1
"""Of both records. One that cannot be read by this version gets the next number."""

Strip = Callable[[str, bytes], Optional[bytes]]
"""Given a path and its content, the content without our part: the same bytes where there is nothing of ours, None
where the whole file is ours."""

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class FormerFile:
    """A file as it stood.

    Attributes:
        content: the bytes.
        mode: permission bits, such as 0o644.
        uid, gid: numeric owner and group.
        mtime_ns: time of the last change of the content, in nanoseconds since the epoch.
    """

    content: bytes
    mode: int
    uid: int
    gid: int
    mtime_ns: int


@dataclass(frozen=True)
class Journal:
    """A transaction that was begun and not ended.

    Attributes:
        files: what stood at each path before it; None: there was no file.
        notes: what else its caller has to know to go on or to go back; values that JSON has.
        directories: directories above the files that were not there, the highest first.
        origin: the record of the origin as it stood.
    """

    files: Mapping[str, Optional[FormerFile]]
    notes: Mapping[str, Any] = field(default_factory=dict)
    directories: tuple[str, ...] = ()
    origin: Optional[FormerFile] = None


@dataclass(frozen=True)
class OriginEntry:
    """One path of the origin.

    Attributes:
        former: what stood there before us; None: there was no file.
        written: what we wrote last; None if we removed the file.
    """

    former: Optional[FormerFile]
    written: Optional[bytes]


@dataclass(frozen=True)
class Origin:
    """What the undo gives back.

    Attributes:
        files: by path; those where we never changed anything are not in it.
        directories: directories that were not there before us, the highest first.
    """

    files: Mapping[str, OriginEntry] = field(default_factory=dict)
    directories: tuple[str, ...] = ()


def updated_origin(
    origin: Origin, path: str, before: Optional[FormerFile], after: Optional[bytes], strip: Strip
) -> Origin:
    """The origin after a transaction that changed a path.

    The original of an earlier transaction stays, if nobody has written in between. Otherwise the original is what
    stood there before this one, without our part: somebody edited what we had written, or an installation is older
    than this record.

    Args:
        origin: the record before the transaction.
        path: real path of the file.
        before: what stood there before the transaction.
        after: what stands there now.
        strip: takes our part out of a content.
    """
    if _content(before) == after:
        return origin
    entry = origin.files.get(path)
    if entry is not None and entry.written == _content(before):
        former = entry.former
    else:
        former = _stripped(path, before, strip)
    return replace(origin, files={**origin.files, path: OriginEntry(former, after)})


def with_directories(origin: Origin, made: tuple[str, ...]) -> Origin:
    """The origin with directories that a transaction made."""
    return replace(origin, directories=tuple(sorted({*origin.directories, *made})))


def render_origin(origin: Origin) -> str:
    """As JSON."""
    entries = {
        path: {"former": _render_file(entry.former), "written": _render_bytes(entry.written)}
        for path, entry in sorted(origin.files.items())
    }
    return _render({"files": entries, "directories": origin.directories})


def parse_origin(text: str, path: str) -> Origin:
    """Reads what :func:`render_origin` wrote.

    Args:
        text: the content.
        path: where it stands, for the error.

    Raises:
        Refused: it is broken, or a newer version of this collection wrote it.
    """
    return _parse(
        text,
        path,
        lambda data: Origin(
            {
                str(name): OriginEntry(_parse_file(entry["former"]), _parse_bytes(entry["written"]))
                for name, entry in data["files"].items()
            },
            tuple(str(name) for name in data["directories"]),
        ),
        "Remove it if no backup has it, then run again: an undo then takes out our part and cannot give back the original bytes",
    )


def render_journal(journal: Journal) -> str:
    """As JSON."""
    entries = {path: _render_file(former) for path, former in sorted(journal.files.items())}
    return _render(
        {
            "files": entries,
            "notes": journal.notes,
            "directories": journal.directories,
            "origin": _render_file(journal.origin),
        }
    )


def parse_journal(text: str, path: str) -> Journal:
    """Reads what :func:`render_journal` wrote.

    Args:
        text: the content.
        path: where it stands, for the error.

    Raises:
        Refused: it is broken, or a newer version of this collection wrote it.
    """
    return _parse(
        text,
        path,
        lambda data: Journal(
            {str(name): _parse_file(former) for name, former in data["files"].items()},
            dict(data["notes"]),
            tuple(str(name) for name in data["directories"]),
            _parse_file(data["origin"]),
        ),
        "It holds the files as they were before a run that died. Put them right by hand, remove it, then run again",
    )


def _content(former: Optional[FormerFile]) -> Optional[bytes]:
    return None if former is None else former.content


def _stripped(path: str, present: Optional[FormerFile], strip: Strip) -> Optional[FormerFile]:
    if present is None:
        return None
    content = strip(path, present.content)
    return None if content is None else replace(present, content=content)


def _render(data: Mapping[str, Any]) -> str:
    return json.dumps({"version": VERSION, **data}, indent=2) + "\n"


def _parse(text: str, path: str, build: Callable[[Any], _Record], mend: str) -> _Record:
    try:
        data = json.loads(text)
        version = int(data["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(path, error, mend) from error
    if version != VERSION:
        raise Refused(
            path,
            expected=f"a record of version {VERSION}",
            found=f"version {version}",
            remedy="Run with the version of wormhole.docker that wrote it, or a newer one",
        )
    try:
        return build(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(path, error, mend) from error


def _broken(path: str, error: Exception, mend: str) -> Refused:
    return Refused(
        path,
        expected="a record of wormhole.docker",
        found=f"broken text ({type(error).__name__}: {error})",
        remedy=mend,
    )


def _render_bytes(content: Optional[bytes]) -> Optional[str]:
    return None if content is None else base64.b64encode(content).decode()


def _parse_bytes(data: Any) -> Optional[bytes]:
    return None if data is None else base64.b64decode(data, validate=True)


def _render_file(former: Optional[FormerFile]) -> Optional[dict[str, Any]]:
    if former is None:
        return None
    return {
        "content": _render_bytes(former.content),
        "mode": f"{former.mode:04o}",
        "uid": former.uid,
        "gid": former.gid,
        "mtime_ns": former.mtime_ns,
    }


def _parse_file(data: Any) -> Optional[FormerFile]:
    if data is None:
        return None
    return FormerFile(
        _parse_bytes(data["content"]) or b"",
        int(data["mode"], 8),
        int(data["uid"]),
        int(data["gid"]),
        int(data["mtime_ns"]),
    )
