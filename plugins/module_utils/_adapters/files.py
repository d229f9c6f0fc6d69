# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files: read with their metadata, written atomically and with their final owner and mode from the first byte on."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import glob
import os
import stat
import tempfile
from dataclasses import dataclass
from typing import Iterator, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import ApplyFailed, WormholeError


@dataclass(frozen=True)
class FileState:
    """What stands at a path.

    Attributes:
        content: the bytes.
        mode: permission bits, such as 0o400.
        uid, gid: numeric owner and group.
        mtime_ns: time of the last change of the content, in nanoseconds since the epoch.
    """

    content: bytes
    mode: int
    uid: int
    gid: int
    mtime_ns: int

    @property
    def mtime(self) -> float:
        """The same in seconds, as a float has it: to compare, not to put back."""
        return self.mtime_ns / 1e9


@dataclass(frozen=True)
class DirectoryState:
    """Owner and mode of a directory."""

    mode: int
    uid: int
    gid: int


def read_file(path: str) -> Optional[FileState]:
    """Reads a regular file and its metadata; None if there is none.

    Raises:
        WormholeError: something other than a readable regular file is there.
    """
    try:
        with open(path, "rb") as stream:
            info = os.fstat(stream.fileno())
            if not stat.S_ISREG(info.st_mode):
                raise WormholeError(path, expected="a regular file", found=_kind(info.st_mode))
            return FileState(
                stream.read(), stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, info.st_mtime_ns
            )
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise WormholeError(path, expected="a readable file", found=error.strerror or str(error)) from error


def read_directory(path: str) -> Optional[DirectoryState]:
    """Reads a directory's metadata; None if nothing is there.

    Raises:
        WormholeError: something other than a directory is there.
    """
    try:
        info = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    if not stat.S_ISDIR(info.st_mode):
        raise WormholeError(path, expected="a directory", found=_kind(info.st_mode))
    return DirectoryState(stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)


def write_file(
    path: str, content: bytes, *, mode: int, uid: int = 0, gid: int = 0, mtime_ns: Optional[int] = None
) -> None:
    """Writes a file so that a reader sees the old content or the new one, never a part of it.

    The temporary file is created readable to nobody but its owner, gets its owner and mode, then its content, is
    flushed to the disk and renamed over the target; then the directory entry is flushed too (rename(2), fsync(2)).

    Args:
        path: absolute path.
        content: the bytes.
        mode: permission bits.
        uid, gid: owner and group.
        mtime_ns: the time that a former file had, in nanoseconds since the epoch; without it, now.

    Raises:
        ApplyFailed: the file could not be written; the former one is untouched.
    """
    directory = os.path.dirname(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(
            prefix=f".{os.path.basename(path)}.", suffix=".new", dir=directory
        )
        with os.fdopen(handle, "wb") as stream:
            os.fchown(stream.fileno(), uid, gid)
            os.fchmod(stream.fileno(), mode)
            stream.write(content)
            stream.flush()
            if mtime_ns is not None:
                os.utime(stream.fileno(), ns=(mtime_ns, mtime_ns))
            os.fsync(stream.fileno())
        os.replace(temporary, path)
        temporary = ""
        sync_directory(directory)
    except OSError as error:
        raise ApplyFailed(
            path,
            expected="to be written",
            found=error.strerror or str(error),
            remedy=_remedy(error, directory),
        ) from error
    finally:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def leftovers(path: str) -> list[str]:
    """Temporary files that :func:`write_file` left beside a file, because its process was killed."""
    directory, name = os.path.split(path)
    pattern = f".{glob.escape(name)}.*.new"
    return sorted(glob.glob(os.path.join(glob.escape(directory), pattern)))


def link_file(path: str, link: str) -> bool:
    """Gives a file a second name in the same file system, durably (link(2), fsync(2)).

    Returns:
        False if the file system, or its policy, has no such links.

    Raises:
        ApplyFailed: it could not be done for another reason, such as a full or read-only file system.
    """
    directory = os.path.dirname(link)
    try:
        os.link(path, link)
        sync_directory(directory)
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK):
            return False
        raise ApplyFailed(
            path,
            expected=f"to be secured as {link}",
            found=error.strerror or str(error),
            remedy=_remedy(error, directory),
        ) from error
    return True


def set_metadata(path: str, *, mode: int, uid: int, gid: int, mtime_ns: int) -> None:
    """Gives a file owner, mode and time; symbolic links are not followed.

    Raises:
        ApplyFailed: it could not be done.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.fchown(handle, uid, gid)
            os.fchmod(handle, mode)
            os.utime(handle, ns=(mtime_ns, mtime_ns))
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise ApplyFailed(
            path,
            expected="its owner, mode and time to be set",
            found=error.strerror or str(error),
            remedy=_remedy(error, os.path.dirname(path)),
        ) from error


def remove_directory(path: str) -> None:
    """Removes a directory if it is empty; what is left in another one is somebody else's.

    Raises:
        ApplyFailed: it could not be removed.
    """
    try:
        os.rmdir(path)
        sync_directory(os.path.dirname(path))
    except OSError as error:
        # Busy: something is mounted there. A read-only file system refuses before it looks.
        if os.path.isdir(path) and error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
            raise _not_removed(path, error) from error


def make_directory(path: str, *, mode: int, uid: int = 0, gid: int = 0, parents_mode: int = 0o755) -> None:
    """Creates a directory, or gives the one that is there its owner and mode.

    Args:
        path: absolute path.
        mode: permission bits of the directory itself.
        uid, gid: its owner and group.
        parents_mode: permission bits of parents that are missing; they belong to the caller.

    Raises:
        ApplyFailed: it could not be created.
    """
    try:
        parent = os.path.dirname(path)
        if not os.path.isdir(parent):
            make_directory(
                parent, mode=parents_mode, uid=os.geteuid(), gid=os.getegid(), parents_mode=parents_mode
            )
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchown(handle, uid, gid)
            os.fchmod(handle, mode)
        finally:
            os.close(handle)
    except OSError as error:
        raise ApplyFailed(
            path, expected="a directory", found=error.strerror or str(error), remedy=_remedy(error, path)
        ) from error


def rename(path: str, target: str) -> None:
    """Moves a file over another one in the same directory, durably (rename(2), fsync(2)).

    Raises:
        ApplyFailed: it could not be moved; both are as they were.
    """
    try:
        os.replace(path, target)
        sync_directory(os.path.dirname(target))
    except OSError as error:
        raise ApplyFailed(
            path,
            expected=f"to be renamed to {target}",
            found=error.strerror or str(error),
            remedy=_remedy(error, os.path.dirname(target)),
        ) from error


def remove_file(path: str) -> None:
    """Removes a file; no error if it is gone already.

    Raises:
        ApplyFailed: it could not be removed.
    """
    try:
        os.unlink(path)
        sync_directory(os.path.dirname(path))
    except OSError as error:
        # A read-only file system refuses before it looks.
        if not os.path.lexists(path):
            return
        raise _not_removed(path, error) from error


def sync_directory(path: str) -> None:
    """Flushes a directory's entries to the disk, so that a rename in it survives a power cut (fsync(2))."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems cannot sync a directory; the rename is then as durable as they make it.
        if error.errno not in (errno.EINVAL, errno.EROFS):
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    """Holds an exclusive lock on a lock file for the length of a block; waits for another holder (flock(2))."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _not_removed(path: str, error: OSError) -> ApplyFailed:
    return ApplyFailed(
        path,
        expected="to be removed",
        found=error.strerror or str(error),
        remedy=_remedy(error, os.path.dirname(path)),
    )


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISREG, "a regular file"),
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISLNK, "a symbolic link"),
    ):
        if test(mode):
            return name
    return "a special file"


def _remedy(error: OSError, directory: str) -> str:
    return {
        errno.ENOSPC: f"Free some space on the file system of {directory}",
        errno.EROFS: f"The file system of {directory} is mounted read-only",
        errno.EACCES: "Run the task with become: true",
        errno.EPERM: "Run the task with become: true",
    }.get(error.errno or 0, "")
