# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""As whom a container's main process runs, and what that user may read.

Sources: ``docker run`` reference, "--user" (``name|uid[:group|gid]``), "--group-add"; moby's lookup of users
in the image's ``/etc/passwd`` and ``/etc/group``; passwd(5), group(5), path_resolution(7), user_namespaces(7).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

_PASSWD_FIELDS = 7
_GROUP_FIELDS = 4


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
    """A range of numbers in a container and what they are on the host, as a line of ``/proc/PID/uid_map``.

    Attributes:
        inside: the first number in the container.
        outside: the number on the host that it stands for.
        length: how many numbers follow each other.
    """

    inside: int
    outside: int
    length: int


def host_uid(container_uid: int, id_maps: Iterable[IdMap]) -> Optional[int]:
    """The number that a user of a container has on the host; group numbers alike, with maps of groups.

    Args:
        container_uid: the number in the container.
        id_maps: how the engine maps numbers; empty if it does not.

    Returns:
        None if the number has none on the host, so that nobody can be it in a container.
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
    """Finds out the numbers behind a user.

    Args:
        user: as in ``Config.User``; empty for root.
        added_groups: names and numbers of further groups, as in ``HostConfig.GroupAdd``.
        passwd, group: the image's ``/etc/passwd`` and ``/etc/group``; None where there is none.

    Raises:
        InvalidInput: the image does not know a name.
    """
    name, _separator, group_name = (user or "0").partition(":")
    accounts = _read_table(passwd, _PASSWD_FIELDS)
    groups = _read_table(group, _GROUP_FIELDS)
    # A number is a user ID, also where an account has it for a name; an account of that number lends its group.
    account = next((a for a in accounts if a[2 if name.isdigit() else 0] == name), None)
    if account is None and not name.isdigit():
        raise InvalidInput(
            f"user {name}", expected="a user of the image, or a number", remedy="Set user to a number"
        )
    uid = int(account[2]) if account else int(name)
    gids: tuple[int, ...]
    if group_name:
        gids = (_group_number(group_name, groups),)
    else:
        supplementary = [int(g[2]) for g in groups if account and account[0] in g[3].split(",")]
        gids = (int(account[3]) if account else 0, *supplementary)
    return ContainerUser(
        uid, tuple(dict.fromkeys((*gids, *(_group_number(g, groups) for g in added_groups))))
    )


def plain_uid(user: str) -> Optional[int]:
    """The user ID in a user that needs no image to be understood, as in ``Config.User``; None for a name."""
    name = user.partition(":")[0] or "0"
    return int(name) if name.isdigit() else None


def may(user: ContainerUser, ownership: Ownership, permission: int) -> bool:
    """Whether a user has a permission, 4 to read, 2 to write, 1 to enter or execute; root has all."""
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
    raise InvalidInput(
        f"group {name}", expected="a group of the image, or a number", remedy="Give its number"
    )


def _read_table(content: Optional[bytes], fields: int) -> list[list[str]]:
    lines = (content or b"").decode("utf-8", errors="replace").splitlines()
    rows = [line.split(":") for line in lines]
    numbers = {_PASSWD_FIELDS: (2, 3), _GROUP_FIELDS: (2,)}[fields]
    return [row for row in rows if len(row) >= fields and all(row[index].isdigit() for index in numbers)]
