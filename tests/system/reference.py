# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""community.docker, to compare with; it comes with the package ``ansible`` and is used by tests alone."""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "ansible==12.3.0"
"""The release that is compared with; it brings community.docker 4.8.5."""
_NEEDED = (
    "ansible_collections/community/docker/",
    "ansible_collections/community/library_inventory_filtering_v1/",
)


def reference_collections(cache: Path) -> Path:
    """The directory with ``ansible_collections/community/docker``, fetched and unpacked where it has not been yet.

    Args:
        cache: where it is kept.
    """
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / PACKAGE.replace("==", "-")
    with (cache / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                _fetch(Path(scratch))
                (Path(scratch) / "unpacked").rename(place)
    return place


def _fetch(scratch: Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    subprocess.run([*command, "--dest", str(scratch), PACKAGE], check=True, timeout=600)
    with zipfile.ZipFile(next(scratch.glob("ansible-*.whl"))) as wheel:
        names = [name for name in wheel.namelist() if name.startswith(_NEEDED) and "/tests/" not in name]
        wheel.extractall(scratch / "unpacked", names)
