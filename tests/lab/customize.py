# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Turn a new Debian root file system into that of a lab host; mmdebstrap runs this as a hook.

The host gets a local package repository with its engine, its Python libraries and their
dependencies, and no other package source. So `apt-get install docker.io` works there without a
network.
"""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from lab.process import run
from lab.spec import DEBIAN, Debian

REPOSITORY = "srv/apt"

# Units that would change the kernel, which a host shares with the machine, and periodic units that
# hosts do not need.
MASKED = (
    "systemd-modules-load.service",
    "systemd-sysctl.service",
    "systemd-pstore.service",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-fs-fuse-connections.mount",
    "dev-hugepages.mount",
    "getty.target",
    "console-getty.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "dpkg-db-backup.timer",
)

_SSHD = """\
UseDNS no
PermitRootLogin prohibit-password
PasswordAuthentication no
HostKey /etc/ssh/ssh_host_ed25519_key
MaxStartups 100
MaxSessions 100
"""


_RELEASE = """\
Origin: wormhole-lab
Date: Wed, 01 Jan 2020 00:00:00 UTC
SHA256:
 {digest} {size} Packages
"""


def index_entry(deb: Path, control: str) -> str:
    """Return a package's paragraph of a repository index."""
    digest = hashlib.sha256(deb.read_bytes()).hexdigest()
    size = deb.stat().st_size
    return f"{control.strip()}\nFilename: ./{deb.name}\nSize: {size}\nSHA256: {digest}\n"


def add_repository(root: Path, release: Debian) -> None:
    """Download a bare host's missing packages to a repository on it, its only package source."""
    repository = root / REPOSITORY
    (repository / "partial").mkdir(parents=True)
    fetch = ["apt-get", "install", "--yes", "--download-only", "-o", f"Dir::Cache::archives={repository}"]
    run(
        [*fetch, *release.engine_packages],
        env={**os.environ, "APT_CONFIG": os.environ["MMDEBSTRAP_APT_CONFIG"]},
    )
    (repository / "partial").rmdir()
    (repository / "lock").unlink(missing_ok=True)
    entries = [
        index_entry(deb, run(["dpkg-deb", "-f", str(deb)])) for deb in sorted(repository.glob("*.deb"))
    ]
    packages = "\n".join(entries).encode()
    (repository / "Packages").write_bytes(packages)
    digest = hashlib.sha256(packages).hexdigest()
    (repository / "Release").write_text(_RELEASE.format(digest=digest, size=len(packages)))

    # Remove mmdebstrap's settings of apt and dpkg, such as those that disable recommended packages.
    for path in (root / "etc/apt/apt.conf.d/99mmdebstrap", root / "etc/dpkg/dpkg.cfg.d/99mmdebstrap"):
        path.unlink(missing_ok=True)
    for path in (root / "etc/apt/sources.list", *(root / "etc/apt/sources.list.d").iterdir()):
        path.unlink(missing_ok=True)
    (root / "etc/apt/sources.list").write_text(f"deb [trusted=yes] file:/{REPOSITORY} ./\n")
    (root / "etc/apt/apt.conf.d/lab").write_text('Acquire::Languages "none";\n')


def configure(root: Path) -> None:
    """Write the settings that all hosts share; remove the files that must differ between hosts."""
    (root / "etc/ssh/sshd_config.d/lab.conf").write_text(_SSHD)
    for path in (*(root / "etc/ssh").glob("ssh_host_*"), root / "etc/hostname"):
        path.unlink(missing_ok=True)
    # Each host gets its own ID later. Without any, systemd would treat the boot as the first one
    # and enable all units.
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    for unit in MASKED:
        mask = root / "etc/systemd/system" / unit
        mask.unlink(missing_ok=True)
        mask.symlink_to("/dev/null")


def main() -> None:
    """Run as `python -m lab.customize RELEASE ROOT`."""
    release, root = DEBIAN[int(sys.argv[1])], Path(sys.argv[2])
    configure(root)
    add_repository(root, release)


if __name__ == "__main__":
    main()
