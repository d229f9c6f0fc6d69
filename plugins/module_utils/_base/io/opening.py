# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Open regular files in places where other users, or processes of containers, may have put others.

A path is resolved one component at a time, with descriptors that only name a file (O_PATH), so that
nothing but a regular file is ever opened: to open a device can have an effect, and to open a named
pipe waits for a writer. What was checked is then opened through ``/proc/self/fd``, so that nobody
can replace it in between.

Sources: open(2), O_PATH and O_NONBLOCK; proc(5); symlink(7); kernel, fs/proc/fd.c (a process may
always open its own descriptors).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import Iterator, Optional

from ..errors import WormholeError

LARGEST = 16 << 20
"""Bytes of the largest file that is read. Everything that the collection reads is far smaller."""

_KINDS = {
    stat.S_IFREG: "a regular file",
    stat.S_IFDIR: "a directory",
    stat.S_IFSOCK: "a socket",
    stat.S_IFIFO: "a named pipe",
}
_MOST_LINKS = 40  # path_resolution(7)
_NAME_ONLY = getattr(os, "O_PATH", 0) | os.O_CLOEXEC | os.O_NOFOLLOW
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

_own_descriptors: Optional[int] = None


def change_root(directory: str) -> None:
    """Change the root directory of this process, which must be a forked child, and stay able to open files.

    Raises:
        OSError: this process is not root, or there is no such directory.
    """
    global _own_descriptors  # pylint: disable=global-statement
    _own_descriptors = os.open("/proc/self/fd", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.chroot(directory)
    os.chdir("/")


def open_regular(path: str, *, root: str = "", any_link: bool = False, limit: int = LARGEST) -> int:
    """Open a regular file for reading; return its descriptor.

    A process of root follows only symbolic links of root: whoever may put another one there could
    have it read any file. In another root directory, all links are followed, and none leads out.

    Args:
        root: the directory in which the path and its links are resolved, such as a container's;
            empty for the root directory of this process.
        any_link: whether to follow links of everybody, for paths that the operator has chosen.
        limit: bytes of the largest file to open.

    Raises:
        OSError: the file does not exist, or cannot be opened.
        WormholeError: it is not a regular file, it is too large, or its path has a symbolic link of
            another user.
    """
    confined = bool(root) or _own_descriptors is not None
    if not confined and (any_link or not hasattr(os, "O_PATH")):
        _check(path, os.stat(path), limit)
        descriptor = os.open(path, _READ)
    else:
        only_own = not confined and os.geteuid() == 0
        name = _find(path, root or "/", only_own=only_own)
        try:
            _check(path, os.fstat(name), limit)
            descriptor = _open_again(name)
        finally:
            os.close(name)
    try:
        _check(path, os.fstat(descriptor), limit)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_regular(path: str, *, root: str = "", any_link: bool = False, limit: int = LARGEST) -> bytes:
    """Read a regular file; see :func:`open_regular`."""
    with os.fdopen(open_regular(path, root=root, any_link=any_link, limit=limit), "rb") as stream:
        return read_limited(stream.fileno(), path, limit)


@contextlib.contextmanager
def opened_path(path: str, *, root: str = "", limit: int = LARGEST) -> Iterator[str]:
    """A path by which a library opens a regular file, during a block; see :func:`open_regular`."""
    descriptor = open_regular(path, root=root, limit=limit)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def read_limited(descriptor: int, path: str, limit: int = LARGEST) -> bytes:
    """Read an open file to its end.

    Raises:
        WormholeError: it has grown beyond the limit.
    """
    chunks: list[bytes] = []
    left = limit + 1
    while left > 0:
        chunk = os.read(descriptor, min(left, 1 << 20))
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)
        left -= len(chunk)
    raise _too_large(path, limit)


def other_kind(path: str, expected: str, mode: int) -> WormholeError:
    """The error for a path that is of another kind, such as a named pipe."""
    kind = _KINDS.get(stat.S_IFMT(mode), "a special file")
    return WormholeError(path, expected=expected, found=kind, problem=f"{path} is {kind}, not {expected}")


def _check(path: str, info: os.stat_result, limit: int) -> None:
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not stat.S_ISREG(info.st_mode):
        raise other_kind(path, "a regular file", info.st_mode)
    if info.st_size > limit:
        raise _too_large(path, limit)


def _too_large(path: str, limit: int) -> WormholeError:
    size = f"{limit >> 20} MiB" if limit >= 1 << 20 else f"{limit} bytes"
    problem = f"{path} is larger than {size}, and is not read"
    return WormholeError(path, expected=f"at most {size}", found="a larger file", problem=problem)


def _open_again(name: int) -> int:
    if _own_descriptors is not None:
        return os.open(str(name), _READ, dir_fd=_own_descriptors)
    try:
        return os.open(f"/proc/self/fd/{name}", _READ)
    except FileNotFoundError as error:
        raise OSError(errno.ENOSYS, "/proc is not mounted") from error


def _find(path: str, root: str, *, only_own: bool) -> int:
    """A descriptor that names the file at a path, but has not opened it.

    Args:
        only_own: whether to reject symbolic links of other users than root.
    """
    if not os.path.isabs(path):
        path = os.path.join(os.getcwd(), path)
    place = [os.open(root, _NAME_ONLY & ~os.O_NOFOLLOW | os.O_DIRECTORY)]
    waiting = path.split("/")[::-1]
    links = 0
    try:
        while waiting:
            part = waiting.pop()
            if part == ".." and len(place) > 1:
                # The parent in the path, as it was: a directory may be moved meanwhile.
                os.close(place.pop())
            if part in ("", ".", ".."):
                continue
            name = os.open(part, _NAME_ONLY, dir_fd=place[-1])
            place.append(name)
            info = os.fstat(name)
            if not stat.S_ISLNK(info.st_mode):
                continue
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if only_own and info.st_uid != 0:
                raise _planted(path, part, info.st_uid)
            target = os.readlink("", dir_fd=name)
            os.close(place.pop())
            if target.startswith("/"):
                while len(place) > 1:
                    os.close(place.pop())
            waiting += target.split("/")[::-1]
        return os.dup(place[-1])
    finally:
        for descriptor in place:
            os.close(descriptor)


def _planted(path: str, part: str, uid: int) -> WormholeError:
    problem = f"{path} was not read: {part} in this path is a symbolic link of user {uid}, who could have it lead anywhere"
    remedy = "Replace the link by a file, or let root own it (chown -h root)"
    return WormholeError(path, problem=problem, remedy=remedy)
