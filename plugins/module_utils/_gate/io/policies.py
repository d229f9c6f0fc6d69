# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the files of the policies, again whenever their directory has changed."""

from __future__ import annotations

import os
import stat
import threading
import time
from typing import FrozenSet, Optional, Tuple, Union

from ..identities import Registry, parse_registry
from ..places import SUFFIX, is_identity

_LARGEST = 1 << 20
_TICK_NS = 50_000_000

Stamp = Tuple[int, int]
_ABSENT: Stamp = (0, 0)


class Policies:
    """The identities.

    A file is replaced by renaming another one over it, which changes the directory. That costs one
    stat(2) for each call, and needs no signal: a revocation holds with the next call. A file that is
    changed in place is read after a SIGHUP.

    Args:
        directory: of the files.
        owner: number of the user to whom files must belong. Others must not be able to write them.
    """

    def __init__(self, directory: str, owner: int = 0) -> None:
        self._directory = directory
        self._owner = owner
        self._lock = threading.Lock()
        self._registry = Registry()
        self._stamp: Stamp = (-1, -1)
        self._settled = False
        self.reload()

    def current(self) -> Registry:
        """All identities, as the files are now."""
        if not self._settled or self._look() != self._stamp:
            self.reload()
        return self._registry

    def reload(self) -> Registry:
        """Reads all files."""
        with self._lock:
            # Looked at before: what changes meanwhile is read by the next call.
            self._stamp = self._look()
            # Within one tick of the kernel's clock, a second change does not show.
            self._settled = time.time_ns() - self._stamp[1] > _TICK_NS
            self._registry = parse_registry(self._read())
            return self._registry

    def names(self) -> Optional[FrozenSet[str]]:
        """The identities that have a policy, valid or not; None if that is not known."""
        registry = self.current()
        found = frozenset({*registry.identities, *registry.problems})
        return found if self.is_readable() else None

    def is_readable(self) -> bool:
        """Whether there is such a directory. Otherwise nobody has a policy, and nobody has lost it."""
        return self._look() != _ABSENT

    def _look(self) -> Stamp:
        try:
            found = os.stat(self._directory)
        except OSError:
            return _ABSENT
        return (found.st_ino, found.st_mtime_ns)

    def _read(self) -> dict[str, Union[bytes, str]]:
        try:
            names = os.listdir(self._directory)
        except OSError:
            return {}
        identities = [name[: -len(SUFFIX)] for name in names if name.endswith(SUFFIX)]
        return {name: self._read_one(name) for name in identities if is_identity(name)}

    def _read_one(self, identity: str) -> Union[bytes, str]:
        """The content of a file, or why it is not used."""
        path = os.path.join(self._directory, identity + SUFFIX)
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with open(path, "rb", opener=lambda name, _flags: os.open(name, flags)) as stream:
                status = os.fstat(stream.fileno())
                if not stat.S_ISREG(status.st_mode):
                    return "it is not a regular file"
                if status.st_uid != self._owner or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    return "others than its owner can write it"
                content = stream.read(_LARGEST + 1)
        except OSError as error:
            return error.strerror or str(error)
        return content if len(content) <= _LARGEST else f"it is larger than {_LARGEST} bytes"
