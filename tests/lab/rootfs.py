# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The root file system of a host: Debian with systemd, sshd and Python, and offline packages for the rest."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from lab import apt, cache
from lab.paths import LabPaths
from lab.spec import SUITES, Release

BASE = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "python3",
    "iptables",
    "iproute2",
    "nftables",
    "curl",
    "openssl",
    "ca-certificates",
    "procps",
)


def rootfs_key(release: Release) -> str:
    """Name what a root file system is made of."""
    return cache.key((SUITES[release],), ("apt", "customize", "rootfs", "spec"))


def rootfs_path(paths: LabPaths, release: Release) -> Path:
    """Return where the root file system of a release is kept."""
    return paths.cache / f"rootfs-{release}-{rootfs_key(release)}.tar"


def ensure_rootfs(paths: LabPaths, release: Release, progress: cache.Progress) -> Path:
    """Return the tar archive of a release's root file system; make it first if need be."""
    suite = SUITES[release]
    # The hook runs on this machine, as part of mmdebstrap, with the new root as its argument.
    python_path, python = str(Path(__file__).parent.parent), sys.executable
    hook = f'PYTHONPATH={shlex.quote(python_path)} {shlex.quote(python)} -m lab.customize {release} "$1"'

    def build(draft: Path) -> None:
        apt.mmdebstrap(suite, draft, BASE, "--variant=minbase", f"--customize-hook={hook}")

    return cache.build_once(
        rootfs_path(paths, release), build, f"the Debian {release} root file system", progress
    )
