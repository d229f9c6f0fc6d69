# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._container.users import IdMap
from ansible_collections.wormhole.docker.plugins.module_utils._engine.security import (
    EngineSecurity,
    is_unlabelled,
    parse_security,
)

ROOT = "/var/lib/docker"


@pytest.mark.parametrize(
    "options, root, found",
    [
        (None, None, EngineSecurity()),
        (["name=seccomp,profile=builtin", "name=cgroupns"], ROOT, EngineSecurity()),
        (["name=selinux"], ROOT, EngineSecurity(selinux=True)),
        (["name=rootless"], "/home/me/.local/share/docker", EngineSecurity(rootless=True)),
        (
            ["name=seccomp,profile=default", "name=userns"],
            ROOT + "/100000.200000",
            EngineSecurity(
                remapped=True, uid_maps=(IdMap(0, 100000, 65536),), gid_maps=(IdMap(0, 200000, 65536),)
            ),
        ),
        (["name=userns"], ROOT, EngineSecurity(remapped=True)),
        # A directory that only looks like it, of an engine that does not remap.
        (["name=seccomp"], ROOT + "/1.2", EngineSecurity()),
    ],
)
def test_what_the_engine_says_of_itself(options, root, found):
    assert parse_security({"SecurityOptions": options, "DockerRootDir": root}) == found


@pytest.mark.parametrize(
    "opts, privileged, exempt",
    [
        ((), False, False),
        ((), True, True),
        (("label=disable",), False, True),
        (("label:disable",), False, True),
        (("label=type:x", "seccomp=unconfined"), False, False),
    ],
)
def test_who_is_exempt_from_selinux(opts, privileged, exempt):
    assert is_unlabelled(opts, privileged=privileged) is exempt
