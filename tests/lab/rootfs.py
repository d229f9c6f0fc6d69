# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host's root file system: Debian with systemd, sshd and Python, and packages for the rest."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from lab import apt, cache
from lab.paths import LabPaths
from lab.spec import DEBIAN, Release

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
    """Return a hash of a root file system's inputs."""
    debian = DEBIAN[release]
    return cache.key((debian.suite, *debian.pockets, *debian.engine_packages), ("apt", "customize", "rootfs"))


def rootfs_path(paths: LabPaths, release: Release) -> Path:
    """Return the path of a release's root file system."""
    return paths.cache / f"rootfs-{release}-{rootfs_key(release)}.tar"


def ensure_rootfs(paths: LabPaths, release: Release, progress: cache.Progress) -> Path:
    """Return the tar archive of a release's root file system; build it if needed."""
    # mmdebstrap runs the hook on this machine, with the new root directory as its argument.
    python_path, python = str(Path(__file__).parent.parent), sys.executable
    hook = f'PYTHONPATH={shlex.quote(python_path)} {shlex.quote(python)} -m lab.customize {release} "$1"'

    def build(draft: Path) -> None:
        apt.mmdebstrap(DEBIAN[release], draft, BASE, "--variant=minbase", f"--customize-hook={hook}")

    return cache.build_once(
        rootfs_path(paths, release), build, f"the Debian {release} root file system", progress
    )
