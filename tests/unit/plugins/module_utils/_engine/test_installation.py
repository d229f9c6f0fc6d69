# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._engine.installation import (
    find_conflict,
    lacks_lists,
)

ADDS = """\
Reading package lists...
Suggested packages:
  docker-doc aufs-tools
The following NEW packages will be installed:
  containerd docker.io
The following packages will be upgraded:
  runc
1 upgraded, 2 newly installed, 0 to remove and 0 not upgraded.
Inst containerd (1.7.24 localhost [amd64])
"""
REMOVES = """\
The following packages will be REMOVED:
  containerd.io podman-docker*
The following NEW packages will be installed:
  docker.io
0 upgraded, 1 newly installed, 2 to remove and 0 not upgraded.
Remv podman-docker [1]
"""
DOWNGRADES = """\
The following held packages will be changed:
  tini
The following packages will be DOWNGRADED:
  tini
0 upgraded, 0 newly installed, 1 downgraded, 0 to remove and 0 not upgraded.
E: Packages were downgraded and -y was used without --allow-downgrades.
"""
HELD = """\
Some packages could not be installed. This may mean that you have requested an impossible situation.
The following packages have unmet dependencies:
 podman-docker : Conflicts: docker.io
E: Unable to correct problems, you have held broken packages.
"""
NO_LISTS = "Reading package lists...\nE: Package 'docker.io' has no installation candidate\n"


def test_an_installation_that_only_adds():
    assert find_conflict(["docker.io"], ADDS, 0) is None
    assert not lacks_lists(ADDS)


@pytest.mark.parametrize("output", [NO_LISTS, "E: Unable to locate package docker.io\n"])
def test_unknown_packages(output):
    assert lacks_lists(output)
    assert "would fail: " in str(find_conflict(["docker.io"], output, 100))


@pytest.mark.parametrize(
    "output, status, said",
    [
        (REMOVES, 0, "The installation of docker.io, x would remove containerd.io, podman-docker. Remove containerd.io"),
        (DOWNGRADES, 100, "would change the held tini and downgrade tini"),
        (HELD, 100, "would fail: Unable to correct problems, you have held broken packages. Repair"),
        ("", 1, "would fail: exit status 1"),
    ],
)  # fmt: skip
def test_an_installation_that_affects_other_packages(output, status, said):
    assert said in str(find_conflict(["docker.io", "x"], output, status))
