# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's own cgroup. Hosts create theirs below it, so that one directory shows what is left of a
lab.

Inside the lab there is only cgroup v2, as on Debian, even if the machine also mounts cgroup v1. So
hosts of every release start in the same way on every machine. Only an engine that has to limit
resources (`lab.limits`) creates cgroups in v1.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import time
from pathlib import Path

from lab.errors import LabError
from lab.process import run

CGROUP = Path("/sys/fs/cgroup")
_CLONE_NEWCGROUP = 0x02000000


def v2_mount(mounts: str) -> Path | None:
    """Find where cgroup v2 is mounted, in the text of /proc/self/mounts."""
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) > 2 and fields[2] == "cgroup2":
            return Path(fields[1])
    return None


def lab_cgroup(name: str) -> Path | None:
    """Return the lab's cgroup path in the machine's namespace; None if cgroup v2 is not mounted."""
    mount = v2_mount(Path("/proc/self/mounts").read_text())
    return mount / name if mount else None


def lab_cgroups(name: str) -> list[Path]:
    """Return the existing cgroups of a lab: its own, and those of its engines in cgroup v1."""
    own = lab_cgroup(name)
    found = [own] if own is not None and own.exists() else []
    for mount in v1_mounts(Path("/proc/self/mounts").read_text()):
        # Their parents depend on the cgroup of the process that started the lab.
        found += sorted(mount.rglob(name))
    return found


def v1_mounts(mounts: str) -> list[Path]:
    """Find where cgroup v1 is mounted, in the text of /proc/self/mounts."""
    return [Path(line.split()[1]) for line in mounts.splitlines() if line.split()[2:3] == ["cgroup"]]


def enter(name: str) -> None:
    """Move this process into its own cgroup, make that the root of a cgroup namespace, and mount
    only cgroup v2.

    Call it in the lab's mount namespace.
    """
    run(["umount", "--recursive", str(CGROUP)])
    run(["mount", "-t", "cgroup2", "cgroup2", str(CGROUP)])
    top = CGROUP / name
    top.mkdir(exist_ok=True)
    (top / "cgroup.procs").write_text("0")
    _unshare_cgroup()
    run(["umount", str(CGROUP)])
    run(["mount", "-t", "cgroup2", "cgroup2", str(CGROUP)])
    # A cgroup with processes cannot delegate controllers, so this process moves one level down.
    leaf = CGROUP / "supervisor"
    leaf.mkdir(exist_ok=True)
    (leaf / "cgroup.procs").write_text("0")
    _delegate(CGROUP)


def _delegate(cgroup: Path) -> None:
    """Delegate every available controller to the children."""
    for controller in (cgroup / "cgroup.controllers").read_text().split():
        try:
            (cgroup / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            continue  # hosts run without limits, so they do not need the controller


def _unshare_cgroup() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWCGROUP):
        code = ctypes.get_errno()
        raise LabError("the lab's cgroup namespace could not be created", found=os.strerror(code))


def kill(top: Path) -> None:
    """Kill every process in a cgroup and below it. Only the lab's processes are in there."""
    switch = top / "cgroup.kill"
    if switch.exists():  # missing in cgroup v1, and before Linux 5.14
        switch.write_text("1")


def remove_tree(top: Path, timeout: float = 5.0) -> bool:
    """Remove a cgroup and its children after their processes end; return whether it is removed."""
    deadline = time.monotonic() + timeout
    while top.exists():
        for folder, _folders, _files in os.walk(top, topdown=False):
            # A process may still be ending: try again until the deadline.
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if top.exists():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
    return True
