# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""community.docker and community.crypto as a reference, from the PyPI package ``ansible``.

Only tests and benchmarks use them.
"""

from __future__ import annotations

import fcntl
import subprocess
import sys
import tempfile
import zipfile
import zlib
from pathlib import Path

PACKAGE = "ansible==14.5.0"
"""The release of ``ansible`` with community.docker 5.4.0, whose options of docker_container are those
of 5.3.0, and community.crypto 3.5.0."""
_NEEDED = (
    "ansible_collections/community/crypto/",
    "ansible_collections/community/docker/",
    "ansible_collections/community/library_inventory_filtering_v1/",
)


def reference_collections(cache: Path) -> Path:
    """Return the directory with ``ansible_collections/community``; download and unpack it if needed.

    Args:
        cache: where it is kept.
    """
    cache.mkdir(parents=True, exist_ok=True)
    # The name changes with the collections, so that those of an earlier version are not used.
    kept = zlib.crc32("".join(_NEEDED).encode())
    place = cache / f"{PACKAGE.replace('==', '-')}-{kept:08x}"
    with (cache / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not place.exists():
            with tempfile.TemporaryDirectory(dir=cache) as scratch:
                _fetch(Path(scratch))
                (Path(scratch) / "unpacked").rename(place)
    return place


def _fetch(scratch: Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet", "--no-deps"]
    # Its collections also run with the older Python and ansible-core of the lab.
    any_python = ["--only-binary", ":all:", "--python-version", "3.14"]
    subprocess.run([*command, *any_python, "--dest", str(scratch), PACKAGE], check=True, timeout=600)
    with zipfile.ZipFile(next(scratch.glob("ansible-*.whl"))) as wheel:
        names = [name for name in wheel.namelist() if name.startswith(_NEEDED) and "/tests/" not in name]
        wheel.extractall(scratch / "unpacked", names)
