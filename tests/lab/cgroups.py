# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's own cgroup, so that hosts make theirs below it and one folder shows what is left of a lab.

Inside the lab there is nothing but cgroup v2, as on an ordinary Debian, also where the machine itself mounts the
older hierarchies beside it: one way to start a host, whatever release it is and wherever the lab runs. Only an engine
that has to limit something (`lab.limits`) makes cgroups in those.
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
    """Return the lab's cgroup as the machine sees it; None where cgroup v2 is not mounted."""
    mount = v2_mount(Path("/proc/self/mounts").read_text())
    return mount / name if mount else None


def lab_cgroups(name: str) -> list[Path]:
    """Return the cgroups of a lab that are there: its own, and those of its engines in the older hierarchies."""
    own = lab_cgroup(name)
    found = [own] if own is not None and own.exists() else []
    for mount in v1_mounts(Path("/proc/self/mounts").read_text()):
        # Which of the machine's cgroups they are below is up to what started the lab.
        found += sorted(mount.rglob(name))
    return found


def v1_mounts(mounts: str) -> list[Path]:
    """Find where the older hierarchies are mounted, in the text of /proc/self/mounts."""
    return [Path(line.split()[1]) for line in mounts.splitlines() if line.split()[2:3] == ["cgroup"]]


def enter(name: str) -> None:
    """Move this process into a cgroup of its own, make that the root it sees, and mount only v2.

    To be called in a mount namespace of the lab's own.
    """
    run(["umount", "--recursive", str(CGROUP)])
    run(["mount", "-t", "cgroup2", "cgroup2", str(CGROUP)])
    top = CGROUP / name
    top.mkdir(exist_ok=True)
    (top / "cgroup.procs").write_text("0")
    _unshare_cgroup()
    run(["umount", str(CGROUP)])
    run(["mount", "-t", "cgroup2", "cgroup2", str(CGROUP)])
    # A cgroup with processes cannot hand controllers down, so this process lives one level below.
    leaf = CGROUP / "supervisor"
    leaf.mkdir(exist_ok=True)
    (leaf / "cgroup.procs").write_text("0")
    _delegate(CGROUP)


def _delegate(cgroup: Path) -> None:
    """Hand each controller down to the children, as far as the machine has them to give."""
    for controller in (cgroup / "cgroup.controllers").read_text().split():
        try:
            (cgroup / "cgroup.subtree_control").write_text(f"+{controller}")
        except OSError:
            continue  # hosts run without limits; a controller that cannot be had is not missed


def _unshare_cgroup() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWCGROUP):
        code = ctypes.get_errno()
        raise LabError("no cgroup namespace for the lab", found=os.strerror(code))


def kill(top: Path) -> None:
    """End every process in a cgroup and below it, should there be any: nobody but the lab is in there."""
    switch = top / "cgroup.kill"
    if switch.exists():  # not in the older hierarchies, nor before Linux 5.14
        switch.write_text("1")


def remove_tree(top: Path, timeout: float = 5.0) -> bool:
    """Remove a cgroup and all below it once their processes are gone; say whether it is away."""
    deadline = time.monotonic() + timeout
    while top.exists():
        for folder, _folders, _files in os.walk(top, topdown=False):
            # A process may still be on its way out: tried again until the deadline.
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        if top.exists():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
    return True
