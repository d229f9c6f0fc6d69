# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._container.users import (
    ContainerUser,
    IdMap,
    Ownership,
    host_uid,
    may,
    resolve_user,
)

PASSWD = b"""root:x:0:0::/root:/bin/sh
ci:x:1234:1235::/:/bin/sh
broken line
99:x:77:78::/:/bin/sh
"""
GROUP = b"""root:x:0:
ci:x:1235:
extra:x:60:someone,ci
"""


@pytest.mark.parametrize(
    "user, added, uid, gids",
    [
        ("", (), 0, (0,)),
        ("root", (), 0, (0,)),
        ("ci", (), 1234, (1235, 60)),
        ("1234", (), 1234, (1235, 60)),
        ("1234:5", (), 1234, (5,)),
        ("ci:extra", (), 1234, (60,)),
        ("4321", (), 4321, (0,)),
        ("4321", ("998", "extra"), 4321, (0, 998, 60)),
        ("99", (), 99, (0,)),
    ],
)
def test_users_are_resolved_like_by_the_engine(user, added, uid, gids):
    assert resolve_user(user, added, PASSWD, GROUP) == ContainerUser(uid, gids)


def test_ids_need_no_files():
    assert resolve_user("5:6", ("7",), None, None) == ContainerUser(5, (6, 7))


CI = ContainerUser(1234, (1235, 60))


@pytest.mark.parametrize(
    "user, uid, gid, mode, expected",
    [
        (CI, 1234, 0, 0o400, True),
        (CI, 0, 0, 0o400, False),
        (CI, 0, 60, 0o440, True),
        (CI, 0, 60, 0o400, False),
        (CI, 0, 0, 0o444, True),
        (CI, 1234, 60, 0o044, False),
        (CI, 0, 60, 0o004, False),
        (ContainerUser(0, (0,)), 5, 5, 0o000, True),
    ],
)
def test_who_may_read(user, uid, gid, mode, expected):
    assert may(user, Ownership(uid, gid, 0o100000 | mode), 4) is expected


@pytest.mark.parametrize(
    "maps, inside, outside",
    [
        ((), 1000, 1000),
        ((IdMap(0, 100000, 65536),), 0, 100000),
        ((IdMap(0, 100000, 65536),), 65535, 165535),
        ((IdMap(0, 100000, 65536),), 65536, None),
        ((IdMap(0, 1000, 1), IdMap(1, 100000, 10)), 1, 100000),
        ((IdMap(5, 1000, 1),), 0, None),
    ],
)
def test_ids_are_mapped_to_the_host(maps, inside, outside):
    assert host_uid(inside, maps) == outside


@pytest.mark.parametrize(
    ("user", "added", "message"),
    [
        ("jenkins", (), "The image has no user jenkins in /etc/passwd. Use the numeric ID"),
        ("0:build", (), "The image has no group build in /etc/group. Use the numeric ID"),
        ("0", ("build",), "The image has no group build in /etc/group. Use the numeric ID"),
    ],
)
def test_an_unknown_name_is_reported_without_the_name_of_an_option(user, added, message):
    """The name may be from user, group_add, identity_owner or the image."""
    with pytest.raises(InvalidInput) as error:
        resolve_user(user, added, PASSWD, GROUP)
    assert str(error.value) == message
