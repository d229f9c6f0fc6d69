# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read files with metadata; write them atomically, with owner and mode from the first byte on.

Functions that read raise WormholeError if a path cannot be read, is of another kind, or is larger
than LARGEST. Functions that write raise ApplyFailed if they cannot; an existing file is then unchanged.
"""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import stat
import tempfile
from dataclasses import dataclass
from typing import Iterator, Optional

from ..errors import ApplyFailed, WormholeError
from . import locks
from .opening import open_regular, other_kind, read_limited


@dataclass(frozen=True)
class FileState:
    """A regular file.

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
        """The same in seconds, rounded: for comparisons."""
        return self.mtime_ns / 1e9

    @property
    def text(self) -> str:
        """The content as UTF-8; broken sequences are replaced."""
        return self.content.decode(errors="replace")


@dataclass(frozen=True)
class DirectoryState:
    """Owner and mode of a directory."""

    mode: int
    uid: int
    gid: int


def read_file(path: str, *, any_link: bool = False) -> Optional[FileState]:
    """Reads a regular file and its metadata; None if it does not exist.

    Which symbolic links are followed: see :func:`.opening.open_regular`.
    """
    try:
        handle = open_regular(path, any_link=any_link)
        try:
            info = os.fstat(handle)
            mode, content = stat.S_IMODE(info.st_mode), read_limited(handle, path)
            return FileState(content, mode, info.st_uid, info.st_gid, info.st_mtime_ns)
        finally:
            os.close(handle)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        found = error.strerror or str(error)
        raise WormholeError(path, found=found, problem=f"Cannot read {path}: {found}") from error


def read_text(path: str) -> Optional[str]:
    """Reads a text file; None if it does not exist."""
    found = read_file(path)
    return None if found is None else found.text


def read_directory(path: str) -> Optional[DirectoryState]:
    """Reads a directory's metadata; None if it does not exist."""
    try:
        info = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        found = error.strerror or str(error)
        raise WormholeError(path, found=found, problem=f"Cannot read {path}: {found}") from error
    if not stat.S_ISDIR(info.st_mode):
        raise other_kind(path, "a directory", info.st_mode)
    return DirectoryState(stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)


def write_file(
    path: str, content: bytes, *, mode: int, uid: int = 0, gid: int = 0, mtime_ns: Optional[int] = None
) -> None:
    """Writes a file so that a reader sees the old content or the new one, never a part of it.

    Sets owner and mode of a temporary file that only its owner can read, writes the content,
    flushes it to disk, renames it to the target and flushes the directory (rename(2), fsync(2)).
    mtime_ns is in nanoseconds since the epoch; by default, now.
    """
    directory, name = os.path.split(path)
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{name}.", suffix=".new", dir=directory)
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
        raise failure("write", path, error) from error
    finally:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)


def is_writable(directory: str) -> bool:
    """Whether this process may change a directory; the next existing one above a missing one.

    False for root only on a file system that is mounted read-only (access(2), EROFS).
    """
    while directory != "/" and not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    return os.access(directory, os.W_OK)


def leftovers(path: str) -> list[str]:
    """The temporary files that a killed :func:`write_file` left beside a file."""
    directory, name = os.path.split(path)
    pattern = f".{glob.escape(name)}.*.new"
    return sorted(glob.glob(os.path.join(glob.escape(directory), pattern)))


def link_file(path: str, link: str) -> bool:
    """Creates a hard link in the same file system, durably (link(2), fsync(2)).

    Returns:
        False if the file system does not support or allow hard links.
    """
    try:
        os.link(path, link)
        sync_directory(os.path.dirname(link))
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EXDEV, errno.EMLINK):
            return False
        raise failure("link", path, error, target=link) from error
    return True


def set_metadata(path: str, *, mode: int, uid: int, gid: int, mtime_ns: int) -> None:
    """Sets a file's owner, mode and modification time; does not follow symbolic links."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            os.fchown(handle, uid, gid)
            os.fchmod(handle, mode)
            os.utime(handle, ns=(mtime_ns, mtime_ns))
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise failure("set owner, mode and time of", path, error) from error


def remove_directory(path: str) -> None:
    """Removes a directory if it is empty."""
    try:
        os.rmdir(path)
        sync_directory(os.path.dirname(path))
    except OSError as error:
        # Busy: a mount point. A read-only file system fails without a look at the path.
        if os.path.isdir(path) and error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY):
            raise failure("remove", path, error) from error


def make_directory(path: str, *, mode: int, uid: int = 0, gid: int = 0) -> None:
    """Creates a directory, or sets owner and mode of an existing one.

    Missing parents are created with the owner of this process and mode 0755.
    """
    try:
        parent = os.path.dirname(path)
        if not os.path.isdir(parent):
            make_directory(parent, mode=0o755, uid=os.geteuid(), gid=os.getegid())
        with contextlib.suppress(FileExistsError):
            os.mkdir(path, 0o700)
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            os.fchown(handle, uid, gid)
            os.fchmod(handle, mode)
        finally:
            os.close(handle)
    except OSError as error:
        raise failure("create the directory", path, error, target=path + "/") from error


def ensure_directory(path: str) -> None:
    """Creates a directory of mode 0755 with its parents; leaves an existing one as it is."""
    if not os.path.isdir(path):
        make_directory(path, mode=0o755)


def rename(path: str, target: str) -> None:
    """Renames a file within its directory, over an existing one, durably (rename(2), fsync(2))."""
    try:
        os.replace(path, target)
        sync_directory(os.path.dirname(target))
    except OSError as error:
        raise failure("rename", path, error, target=target) from error


def remove_file(path: str) -> None:
    """Removes a file; no error if it does not exist."""
    try:
        os.unlink(path)
        sync_directory(os.path.dirname(path))
    except OSError as error:
        # A read-only file system fails without a look at the path.
        if os.path.lexists(path):
            raise failure("remove", path, error) from error


def sync_directory(path: str) -> None:
    """Flushes a directory to the disk, so that a rename in it survives a power cut (fsync(2))."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        # Some file systems cannot sync a directory.
        if error.errno not in (errno.EINVAL, errno.EROFS):
            raise
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked(path: str, patience: float = locks.PATIENCE) -> Iterator[None]:
    """Holds an exclusive lock on a file during a block; waits for other holders.

    Gives up after some seconds; the error then names the holder. See locks.take.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise failure("lock", path, error) from error
    with locks.locked(path, handle, patience=patience):
        yield


def failure(verb: str, path: str, error: OSError, *, target: str = "") -> ApplyFailed:
    """The error of an operation on a path; target is the name to add, if that is another path."""
    found, directory = error.strerror or str(error), os.path.dirname(target or path)
    remedies = {
        errno.ENOSPC: f"Free some space on the file system of {directory}",
        errno.EROFS: f"The file system of {directory} is mounted read-only",
        errno.EACCES: "Run the task with become: true",
        errno.EPERM: "Run the task with become: true",
    }
    remedy = remedies.get(error.errno or 0, "")
    return ApplyFailed(path, found=found, problem=f"Cannot {verb} {path}: {found}", remedy=remedy)
