# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files that change as one, or not at all: secured before the first write, put back on failure, also by a later run.

The journal is written before anything else and removed after everything else, so whoever finds one knows that a
transaction was not ended. Beside each file that is to change, a hard link keeps the former one: putting it back is
one rename(2), which needs no space on the disk and keeps what no copy has (inode, extended attributes).

Only one process at a time may use it; the lock is its caller's.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import Any, Iterator, Mapping, Optional, Sequence, Union

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import ApplyFailed, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._core.transaction import (
    FormerFile,
    Journal,
    Origin,
    Strip,
    parse_journal,
    parse_origin,
    render_journal,
    render_origin,
    updated_origin,
    with_directories,
)

DIRECTORY = "/var/lib/wormhole/listener"


def backup_path(path: str) -> str:
    """Where the former file is kept during a transaction; systemd and dockerd look at no such name."""
    directory, name = os.path.split(path)
    return os.path.join(directory, f".{name}.wormhole-former")


def read_former(path: str) -> Optional[FormerFile]:
    """A file as it stands now; None if there is none.

    Raises:
        WormholeError: something other than a readable regular file is there.
    """
    found = files.read_file(path)
    if found is None:
        return None
    return FormerFile(found.content, found.mode, found.uid, found.gid, found.mtime_ns)


class Transaction:
    """The transaction of one host, and the record of what was there before the first one.

    The order of calls is begin, writes, then either commit, or restore_files and abandon, or, to end an undo, forget.

    Args:
        directory: where journal and origin are kept; its parent is made and removed with it.
    """

    def __init__(self, directory: str = DIRECTORY) -> None:
        self._directory = directory
        self._journal_path = os.path.join(directory, "journal.json")
        self._origin_path = os.path.join(directory, "origin.json")

    def open(self) -> Optional[Journal]:
        """The journal of a transaction that was begun and not ended.

        Raises:
            Refused: a newer version of this collection wrote it, or somebody broke it.
            WormholeError: it cannot be read.
        """
        found = files.read_file(self._journal_path)
        if found is None:
            return None
        return parse_journal(found.content.decode(errors="replace"), self._journal_path)

    def origin(self) -> Origin:
        """What the undo gives back.

        Raises:
            Refused: a newer version of this collection wrote it, or somebody broke it.
            WormholeError: it cannot be read.
        """
        return self._parse_origin(files.read_file(self._origin_path))

    def begin(self, paths: Sequence[str], notes: Mapping[str, Any]) -> Journal:
        """Secures files before anything is written.

        A journal that is open already holds the last good state: its files and notes win, and what is new is added.

        Args:
            paths: real paths of the files that are about to be written or removed, and no others.
            notes: what a later run has to know; values that JSON has.

        Returns:
            The journal as it stands now.

        Raises:
            ApplyFailed: it could not be secured, such as on a full disk; nothing has been touched.
            WormholeError: something other than a regular file is at a path; nothing has been touched.
        """
        former = self.open()
        known = former or Journal({}, origin=read_former(self._origin_path))
        self._parse_origin(known.origin)
        added = {path: _read_real(path) for path in paths if path not in known.files}
        missing = [directory for path in paths for directory in _missing_directories(path)]
        journal = replace(
            known,
            files={**known.files, **added},
            notes={**notes, **known.notes},
            directories=tuple(sorted({*known.directories, *missing})),
        )
        made = [] if former else list(_missing_directories(self._journal_path))
        linked: list[str] = []
        try:
            files.make_directory(self._directory, mode=0o700, uid=os.geteuid(), gid=os.getegid())
            self._write(self._journal_path, render_journal(journal))
            for path, content in self._secured(journal):
                if content is not None and self._secure(path, content):
                    linked.append(backup_path(path))
        except BaseException:
            self._take_back(former, linked, made)
            raise
        return journal

    def note(self, **changes: Any) -> None:
        """Adds to the notes of the open journal, durably.

        Raises:
            ApplyFailed: it could not be written.
        """
        journal = self._opened()
        self._write(self._journal_path, render_journal(replace(journal, notes={**journal.notes, **changes})))

    def restore_files(self) -> None:
        """Puts every file back as it was, and removes those that were not there.

        May be repeated, also after it was killed. The journal stays, until it is abandoned.

        Raises:
            ApplyFailed: some could not be put back; the others are.
        """
        journal = self._opened()
        failures: dict[str, WormholeError] = {}
        for path, former in self._secured(journal):
            try:
                for leftover in files.leftovers(path):
                    files.remove_file(leftover)
                _put_back(path, former)
            except WormholeError as error:
                failures[path] = error
        for directory in reversed(journal.directories):
            try:
                files.remove_directory(directory)
            except WormholeError as error:
                failures[directory] = error
        if failures:
            raise ApplyFailed(
                ", ".join(failures),
                expected="to be put back",
                found="; ".join(dict.fromkeys(error.found for error in failures.values())),
                remedy=". ".join(dict.fromkeys(error.remedy for error in failures.values() if error.remedy)),
            )

    def commit(self, strip: Strip) -> None:
        """Ends the transaction with the files as they are now, and records the origin of those that changed.

        No error if no transaction is open: a commit that was killed may be repeated.

        Args:
            strip: takes our part out of a content; for what somebody edited since, or an older version wrote.

        Raises:
            ApplyFailed: it could not be recorded; the journal is still open.
        """
        journal = self.open()
        if journal is None:
            return
        # By the journal, not by the file: a commit that was killed may have written the file already.
        former = self._parse_origin(journal.origin)
        origin = former
        for path, before in journal.files.items():
            origin = updated_origin(origin, path, before, _content_of(path), strip)
        if origin != former:
            origin = with_directories(origin, tuple(filter(os.path.isdir, journal.directories)))
            self._write(self._origin_path, render_origin(origin))
        else:
            # What is written now was there before. A commit that was killed may have recorded something in between.
            _put_back(self._origin_path, journal.origin)
        self._end(journal)

    def abandon(self) -> None:
        """Ends the transaction after its files have been put back.

        Raises:
            ApplyFailed: a file of ours could not be removed.
        """
        journal = self.open()
        if journal is not None:
            self._end(journal)

    def forget(self) -> None:
        """Ends the transaction that undid everything: removes all that we keep, and directories that we had made.

        Raises:
            ApplyFailed: something could not be removed.
        """
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
            raise ApplyFailed(self._journal_path, expected="an open transaction", found="none")
        return journal

    def _parse_origin(self, found: Union[FormerFile, files.FileState, None]) -> Origin:
        if found is None:
            return Origin()
        return parse_origin(found.content.decode(errors="replace"), self._origin_path)

    def _secured(self, journal: Journal) -> Iterator[tuple[str, Optional[FormerFile]]]:
        """The files that are put back: those of the caller, and our own record."""
        yield from journal.files.items()
        yield self._origin_path, journal.origin

    def _secure(self, path: str, former: FormerFile) -> bool:
        """Links a file beside itself, unless that has been done or it is no longer the former one."""
        link = backup_path(path)
        if _content_of(link) == former.content:
            return False
        files.remove_file(link)
        return read_former(path) == former and files.link_file(path, link)

    def _take_back(self, former: Optional[Journal], linked: Sequence[str], made: Sequence[str]) -> None:
        """Leaves nothing behind of a beginning that failed; what fails now is less than what failed before."""
        with contextlib.suppress(WormholeError):
            for link in linked:
                files.remove_file(link)
            if former is None:
                files.remove_file(self._journal_path)
                for directory in reversed(made):
                    files.remove_directory(directory)
            else:
                self._write(self._journal_path, render_journal(former))

    def _write(self, path: str, text: str) -> None:
        files.write_file(path, text.encode(), mode=0o600, uid=os.geteuid(), gid=os.getegid())

    def _end(self, journal: Journal) -> None:
        self._remove_backups(journal)
        self._remove_journal()

    def _remove_backups(self, journal: Journal) -> None:
        for path, _former in self._secured(journal):
            for leftover in (*files.leftovers(path), backup_path(path)):
                files.remove_file(leftover)

    def _remove_journal(self) -> None:
        """The last step, always; without a journal and an origin, there is nothing to keep a directory for."""
        for path in (*files.leftovers(self._journal_path), self._journal_path):
            files.remove_file(path)
        files.remove_directory(self._directory)
        files.remove_directory(os.path.dirname(self._directory))


def _read_real(path: str) -> Optional[FormerFile]:
    if os.path.islink(path):
        raise WormholeError(path, expected="a real path", found=f"a link to {os.readlink(path)}")
    return read_former(path)


def _content_of(path: str) -> Optional[bytes]:
    found = files.read_file(path)
    return None if found is None else found.content


def _missing_directories(path: str) -> Iterator[str]:
    """The directories above a path that do not exist, the highest first."""
    directory = os.path.dirname(path)
    if not os.path.isdir(directory):
        yield from _missing_directories(directory)
        yield directory


def _put_back(path: str, former: Optional[FormerFile]) -> None:
    current = read_former(path)
    if current == former:
        return
    if former is None:
        files.remove_file(path)
        return
    link = backup_path(path)
    if _content_of(link) == former.content:
        source = link
    elif current is not None and current.content == former.content:
        source = path
    else:
        # The link could not be made, or somebody has written into the file itself.
        _write_back(path, former)
        return
    if read_former(source) != former:
        files.set_metadata(source, mode=former.mode, uid=former.uid, gid=former.gid, mtime_ns=former.mtime_ns)
    if source == link:
        files.rename(link, path)


def _write_back(path: str, former: FormerFile) -> None:
    files.write_file(
        path, former.content, mode=former.mode, uid=former.uid, gid=former.gid, mtime_ns=former.mtime_ns
    )
