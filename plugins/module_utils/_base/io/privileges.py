# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Let a forked child become a process of a container: its root directory, user and capabilities.

Whatever a container puts into its files, such a child reads it with the rights of the container.

Sources: capabilities(7), capset(2), prctl(2); proc(5), ``/proc/pid/status``; kernel,
include/uapi/linux/capability.h and prctl.h.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass
from typing import Callable, Iterable, NamedTuple, Optional, Sequence

from .children import libc
from .opening import change_root

_PR_SET_NO_NEW_PRIVS = 38
_VERSION_3 = 0x20080522
_DAC_OVERRIDE, _DAC_READ_SEARCH, _SETGID, _SETUID = 1, 2, 6, 7


class IdRange(NamedTuple):
    """A line of ``/proc/pid/uid_map``: numbers inside a user namespace, and outside of it."""

    inside: int
    outside: int
    length: int


class User(NamedTuple):
    """Numbers of a user, of his group and of his additional groups."""

    uid: int
    gid: int
    groups: Sequence[int] = ()


_UNMAPPED = (IdRange(0, 0, 4294967295),)


@dataclass(frozen=True)
class Credentials:
    """Who a process is.

    Attributes:
        user: its effective user and its groups, as numbers on the host.
        uid_map, gid_map: the maps of its user namespace.
        capabilities: the bits of its effective capabilities, in its own user namespace.
    """

    user: User
    uid_map: tuple[IdRange, ...]
    gid_map: tuple[IdRange, ...]
    capabilities: int

    @property
    def kept(self) -> tuple[int, ...]:
        """The capabilities that let it read files of others. Without them, root reads only its own."""
        if self.uid_map != _UNMAPPED:
            return ()
        return tuple(bit for bit in (_DAC_OVERRIDE, _DAC_READ_SEARCH) if self.capabilities >> bit & 1)


def read_credentials(pid: int) -> Credentials:
    """Read who a process is.

    Raises:
        OSError: it has ended.
    """
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
        status = dict(line.split(":", 1) for line in stream if ":" in line)
    # The second of the four numbers is the effective one.
    uid, gid = int(status["Uid"].split()[1]), int(status["Gid"].split()[1])
    groups = tuple(map(int, status["Groups"].split()))
    uid_map, gid_map = (_read_map(f"/proc/{pid}/{kind}_map") for kind in ("uid", "gid"))
    return Credentials(User(uid, gid, groups), uid_map, gid_map, int(status["CapEff"], 16))


def become(pid: int, find_user: Optional[Callable[[Credentials], User]] = None) -> None:
    """Give this process, a forked child, the root directory, user and groups of a container's process.

    It keeps no capability but those to read files of others, if the container's process has them.

    Args:
        find_user: returns another user, as numbers on the host. It is called in the container's root
            directory, with the capabilities to become that user.

    Raises:
        OSError: the process has ended, or this one is not root.
    """
    who = read_credentials(pid)
    change_root(f"/proc/{pid}/root")
    keep_capabilities((*who.kept, _SETGID, _SETUID))
    user = who.user if find_user is None else find_user(who)
    os.setgroups(user.groups)
    os.setgid(user.gid)
    os.setuid(user.uid)
    keep_capabilities(who.kept if user.uid == 0 else ())


def keep_capabilities(kept: Iterable[int]) -> None:
    """Drop the capabilities of this process for good, except for these, if it has them.

    Raises:
        OSError: the kernel does not permit it.
    """
    library, header = libc(), (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    # Effective, permitted and inheritable: for the lower 32 capabilities, then for the others.
    data = (ctypes.c_uint32 * 6)()
    bits = sum(1 << bit for bit in kept)
    done = library.capget(header, data) == 0
    bits &= data[1]
    data[:] = [bits, bits, 0, 0, 0, 0]
    if not done or library.capset(header, data) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    library.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _read_map(path: str) -> tuple[IdRange, ...]:
    with open(path, encoding="ascii") as lines:
        return tuple(IdRange(*map(int, line.split())) for line in lines)
