# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes what the kernel does not remove when a lab ends."""

from __future__ import annotations

import time
from pathlib import Path

from lab import cache, cgroups
from lab.paths import LabPaths

_LINK_SECONDS = 5


def clear(paths: LabPaths) -> list[str]:
    """Remove the remains of a lab that has ended; return what could not be removed."""
    left = []
    for cgroup in cgroups.lab_cgroups(paths.run.name):
        cgroups.kill(cgroup)
    # The kernel removes a namespace shortly after its last process has ended.
    link = Path("/sys/class/net") / paths.link
    deadline = time.monotonic() + _LINK_SECONDS
    while link.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    if link.exists():
        left.append(f"interface {paths.link}: a process still uses the lab's network")
    for cgroup in cgroups.lab_cgroups(paths.run.name):
        if not cgroups.remove_tree(cgroup):
            left.append(f"cgroup {cgroup}: it still has processes")
    for path in (paths.run, paths.hosts, paths.inventory, paths.known_hosts):
        try:
            cache.remove(path)
        except OSError as error:
            left.append(f"{path}: {error}")
    return left
