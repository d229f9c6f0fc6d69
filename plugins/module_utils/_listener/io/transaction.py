# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Change several files together or not at all: back them up first, restore them on failure.

The journal is written before anything else and removed after everything else: while it exists, a
transaction is open, and a later run can restore the files. Beside each file to change, a hard link
keeps the previous one. Restoring it is one rename(2), which needs no disk space and keeps what a
copy would lose (inode, extended attributes).

Only one process at a time may use this; the caller holds the lock. Every function raises Refused if
a record is corrupt or of a newer version of this collection, WormholeError if a path cannot be read
or is not a regular file, and ApplyFailed if a file cannot be written, restored or removed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import asdict, replace
from typing import Any, Iterator, Mapping, Optional, Sequence

from ..._base.errors import ApplyFailed, WormholeError
from ..._base.io import files
from .. import journal as records
from ..journal import Journal, Origin, SavedFile, Strip

DIRECTORY = "/var/lib/wormhole/listener"


def backup_path(path: str) -> str:
    """The path of the previous file during a transaction; systemd and dockerd ignore such names."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.wormhole-former")


def read_saved(path: str) -> Optional[SavedFile]:
    """The present file with its metadata; None if it does not exist."""
    found = files.read_file(path)
    return None if found is None else SavedFile(**asdict(found))


def write_saved(path: str, saved: SavedFile) -> None:
    """Writes a file with its metadata."""
    files.write_file(path, **asdict(saved))


class Transaction:
    """The transaction of this host, and the record of the files before the first one (the origin).

    Call begin, write the files, then call commit; or restore_files and abandon, to undo them; or
    forget, if they are the original files again.

    Args:
        directory: the directory of journal and origin; its parent is created and removed with it.
    """

    def __init__(self, directory: str = DIRECTORY) -> None:
        self._directory = directory
        self._journal_path = os.path.join(directory, "journal.json")
        self._origin_path = os.path.join(directory, "origin.json")

    def open(self) -> Optional[Journal]:
        """The journal of the open transaction; None if none is open."""
        text = files.read_text(self._journal_path)
        return None if text is None else records.parse_journal(text, self._journal_path)

    def origin(self) -> Origin:
        """The record of the original files."""
        return self._parse_origin(read_saved(self._origin_path))

    def begin(self, paths: Sequence[str], notes: Mapping[str, Any]) -> Journal:
        """Backs up files before anything is written.

        The journal of an open transaction holds the last good state: its files and notes are kept,
        and missing ones added. If this fails, nothing was changed.

        Args:
            paths: real paths of exactly the files that the caller is going to write or remove.
            notes: further data for a later run, as JSON values.
        """
        previous = self.open()
        known = previous or Journal({}, origin=read_saved(self._origin_path))
        self._parse_origin(known.origin)
        added = {path: _read_real(path) for path in paths if path not in known.files}
        for path in paths:
            _require_writable(os.path.dirname(path))
        missing = [directory for path in paths for directory in _missing_directories(path)]
        journal = replace(
            known,
            files={**known.files, **added},
            notes={**notes, **known.notes},
            directories=tuple(sorted({*known.directories, *missing})),
        )
        made = [] if previous else list(_missing_directories(self._journal_path))
        linked: list[str] = []
        try:
            files.make_directory(self._directory, mode=0o700, uid=os.geteuid(), gid=os.getegid())
            self._write(self._journal_path, records.render_journal(journal))
            for path, saved in self._all_saved(journal):
                if saved is not None and self._link_backup(path, saved):
                    linked.append(backup_path(path))
        except BaseException:
            self._undo_begin(previous, linked, made)
            raise
        return journal

    def note(self, **changes: Any) -> None:
        """Adds to the notes of the open journal, durably."""
        journal = self._opened()
        self._write(
            self._journal_path, records.render_journal(replace(journal, notes={**journal.notes, **changes}))
        )

    def restore_files(self) -> None:
        """Restores every file, and removes those that did not exist.

        If one fails, the others are restored all the same. May be repeated, also after it was
        killed. The transaction stays open.
        """
        journal = self._opened()
        failures: dict[str, WormholeError] = {}
        for path, saved in self._all_saved(journal):
            try:
                for leftover in files.leftovers(path):
                    files.remove_file(leftover)
                _restore(path, saved)
            except WormholeError as error:
                failures[path] = error
        for directory in reversed(journal.directories):
            try:
                files.remove_directory(directory)
            except WormholeError as error:
                failures[directory] = error
        if failures:
            found = "; ".join(dict.fromkeys(error.found for error in failures.values()))
            remedies = dict.fromkeys(error.remedy for error in failures.values() if error.remedy)
            paths = ", ".join(failures)
            raise ApplyFailed(paths, problem=f"Cannot restore {paths}: {found}", remedy=". ".join(remedies))

    def commit(self, strip: Strip) -> None:
        """Ends the transaction with the present files; records the origin of those that changed.

        Does nothing if no transaction is open: a commit that failed or was killed may be repeated.

        Args:
            strip: removes our changes from a content that others have edited since, or that an
                older version wrote.
        """
        journal = self.open()
        if journal is None:
            return
        # From the journal, not from the file, which a commit that was killed may have written
        # already.
        previous = origin = self._parse_origin(journal.origin)
        for path, before in journal.files.items():
            origin = records.updated_origin(origin, path, before, _content_of(path), strip)
        if origin != previous:
            origin = records.with_directories(origin, tuple(filter(os.path.isdir, journal.directories)))
            self._write(self._origin_path, records.render_origin(origin))
        else:
            # No file has changed in the end. A commit that was killed may have recorded a state in
            # between, and a restoration that was killed may have left directories.
            _restore(self._origin_path, journal.origin)
            for directory in reversed(journal.directories):
                files.remove_directory(directory)
        self._end(journal)

    def abandon(self) -> None:
        """Ends the transaction after its files were restored."""
        journal = self.open()
        if journal is not None:
            self._end(journal)

    def forget(self) -> None:
        """Ends a transaction that restored the original files; removes our records."""
        journal = self.open()
        made = (*self.origin().directories, *(journal.directories if journal else ()))
        if journal is not None:
            self._remove_backups(journal)
        for directory in sorted(set(made), reverse=True):
            files.remove_directory(directory)
        for path in (*files.leftovers(self._origin_path), self._origin_path):
            files.remove_file(path)
        self._remove_journal()

    def _opened(self) -> Journal:
        journal = self.open()
        if journal is None:
            problem = f"No transaction is open: {self._journal_path} does not exist"
            raise ApplyFailed(self._journal_path, problem=problem)
        return journal

    def _parse_origin(self, found: Optional[SavedFile]) -> Origin:
        if found is None:
            return Origin()
        origin = records.parse_origin(found.content.decode(errors="replace"), self._origin_path)
        # An administrator may have moved a file and replaced it by a link, which is never written to.
        links = {os.path.realpath(path): path for path in origin.files if os.path.islink(path)}
        moved = {path: origin.files[link] for path, link in links.items()}
        kept = {path: entry for path, entry in origin.files.items() if path not in links.values()}
        return replace(origin, files={**moved, **kept})

    def _all_saved(self, journal: Journal) -> Iterator[tuple[str, Optional[SavedFile]]]:
        """The files to restore: those of the caller, and the record of the origin."""
        yield from journal.files.items()
        yield self._origin_path, journal.origin

    def _link_backup(self, path: str, saved: SavedFile) -> bool:
        """Links the backup of a file, unless it exists or the file has changed since."""
        link = backup_path(path)
        if _content_of(link) == saved.content:
            return False
        files.remove_file(link)
        return read_saved(path) == saved and files.link_file(path, link)

    def _undo_begin(self, previous: Optional[Journal], linked: Sequence[str], made: Sequence[str]) -> None:
        """Removes what a begin that failed has written; the first failure is the one to report."""
        with contextlib.suppress(WormholeError):
            for link in linked:
                files.remove_file(link)
            if previous is None:
                files.remove_file(self._journal_path)
                for directory in reversed(made):
                    files.remove_directory(directory)
            else:
                self._write(self._journal_path, records.render_journal(previous))

    def _write(self, path: str, text: str) -> None:
        files.write_file(path, text.encode(), mode=0o600, uid=os.geteuid(), gid=os.getegid())

    def _end(self, journal: Journal) -> None:
        self._remove_backups(journal)
        self._remove_journal()

    def _remove_backups(self, journal: Journal) -> None:
        for path, _saved in self._all_saved(journal):
            for leftover in (*files.leftovers(path), backup_path(path)):
                files.remove_file(leftover)

    def _remove_journal(self) -> None:
        """The last step of every end; removes the directory too unless the origin is in it."""
        for path in (*files.leftovers(self._journal_path), self._journal_path):
            files.remove_file(path)
        files.remove_directory(self._directory)
        files.remove_directory(os.path.dirname(self._directory))


def _read_real(path: str) -> Optional[SavedFile]:
    if os.path.islink(path):
        target = os.readlink(path)
        raise WormholeError(path, problem=f"{path} is a link to {target}, not a real path")
    return read_saved(path)


def _require_writable(directory: str) -> None:
    """Raises ApplyFailed if a file system is read-only: a new file would show that too late."""
    if not files.is_writable(directory):
        error = OSError(errno.EROFS, os.strerror(errno.EROFS))
        raise files.failure("write into", directory, error, target=f"{directory}/")


def _content_of(path: str) -> Optional[bytes]:
    found = files.read_file(path)
    return None if found is None else found.content


def _missing_directories(path: str) -> Iterator[str]:
    """The missing directories above a path, the highest first."""
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        yield from _missing_directories(directory)
        yield directory


def _restore(path: str, saved: Optional[SavedFile]) -> None:
    if read_saved(path) == saved:
        return
    if saved is None:
        files.remove_file(path)
        return
    link = backup_path(path)
    source = next((name for name in (link, path) if _content_of(name) == saved.content), "")
    if not source:
        # The link could not be created, or the file itself was written into.
        write_saved(path, saved)
        return
    if read_saved(source) != saved:
        files.set_metadata(source, mode=saved.mode, uid=saved.uid, gid=saved.gid, mtime_ns=saved.mtime_ns)
    if source == link:
        files.rename(link, path)
