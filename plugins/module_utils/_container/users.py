# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The user of a container's main process, and what that user may read.

Sources: ``docker run`` reference, "--user" (``name|uid[:group|gid]``), "--group-add"; moby's lookup
of users in the image's ``/etc/passwd`` and ``/etc/group``; passwd(5), group(5), path_resolution(7),
user_namespaces(7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Optional

from .._base.errors import InvalidInput

_BY_NUMBER = "Use the numeric ID"


@dataclass(frozen=True)
class ContainerUser:
    """Numeric user and groups.

    Attributes:
        uid: user ID.
        gids: group IDs, the primary one first.
    """

    uid: int
    gids: tuple[int, ...]


@dataclass(frozen=True)
class Ownership:
    """Owner, group and permission bits of a file or directory."""

    uid: int
    gid: int
    mode: int


@dataclass(frozen=True)
class IdMap:
    """One line of ``/proc/PID/uid_map``: a range of IDs, mapped from the container to the host.

    Attributes:
        inside: the first ID in the container.
        outside: the corresponding ID on the host.
        length: how many consecutive IDs are mapped.
    """

    inside: int
    outside: int
    length: int


def host_uid(container_uid: int, id_maps: Iterable[IdMap]) -> Optional[int]:
    """Map a user ID in the container to the one on the host; also a group ID, with its maps.

    An engine that does not map users has no maps. The result is None if the ID is not mapped, so
    that no process in a container can have it.
    """
    maps = tuple(id_maps)
    if not maps:
        return container_uid
    for entry in maps:
        if entry.inside <= container_uid < entry.inside + entry.length:
            return entry.outside + container_uid - entry.inside
    return None


def resolve_user(
    user: str, added_groups: Iterable[str], passwd: Optional[bytes], group: Optional[bytes]
) -> ContainerUser:
    """Resolve a user and groups to IDs.

    Args:
        user: as in ``Config.User``; empty for root.
        added_groups: names and IDs of additional groups, as in ``HostConfig.GroupAdd``.
        passwd, group: content of these files of the image; None if it has no such file.

    Raises:
        InvalidInput: the image does not know a name.
    """
    name, _separator, group_name = (user or "0").partition(":")
    accounts = _read_table(passwd, 7, (2, 3))
    groups = _read_table(group, 4, (2,))
    # A number is always an ID, even if it is the name of an account.
    account = next((a for a in accounts if a[2 if name.isdigit() else 0] == name), None)
    if account is None and not name.isdigit():
        problem = f"The image has no user {name} in /etc/passwd"
        raise InvalidInput(f"user {name}", problem=problem, remedy=_BY_NUMBER)
    uid = int(account[2]) if account else int(name)
    if group_name:
        gids = [_group_number(group_name, groups)]
    else:
        gids = [int(account[3]) if account else 0]
        gids += [int(g[2]) for g in groups if account and account[0] in g[3].split(",")]
    gids += [_group_number(added, groups) for added in added_groups]
    return ContainerUser(uid, tuple(dict.fromkeys(gids)))


def plain_uid(user: str) -> Optional[int]:
    """Return the user ID in ``Config.User``; None if it is a name."""
    name = user.partition(":")[0] or "0"
    return int(name) if name.isdigit() else None


def may(user: ContainerUser, ownership: Ownership, permission: int) -> bool:
    """Report whether a user has a permission: 4 to read, 2 to write, 1 to enter or execute."""
    if user.uid == 0:
        return True
    if user.uid == ownership.uid:
        return bool(ownership.mode >> 6 & permission)
    if ownership.gid in user.gids:
        return bool(ownership.mode >> 3 & permission)
    return bool(ownership.mode & permission)


def _group_number(name: str, groups: Iterable[list[str]]) -> int:
    found = next((group for group in groups if group[0] == name), None)
    if found is not None:
        return int(found[2])
    if name.isdigit():
        return int(name)
    problem = f"The image has no group {name} in /etc/group"
    raise InvalidInput(f"group {name}", problem=problem, remedy=_BY_NUMBER)


def _read_table(content: Optional[bytes], length: int, numbers: tuple[int, ...]) -> list[list[str]]:
    """Return the rows of at least ``length`` fields with numbers in the fields ``numbers``."""
    rows = [line.split(":") for line in (content or b"").decode("utf-8", errors="replace").splitlines()]
    return [row for row in rows if len(row) >= length and all(row[index].isdigit() for index in numbers)]
