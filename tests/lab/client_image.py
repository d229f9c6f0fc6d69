# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The image with one TLS client of each kind: `wormhole-lab/clients:1`.

It has its own archive, because it is as large as all other images together. A scenario that needs
it loads it.
"""

from __future__ import annotations

from pathlib import Path

from lab import cache
from lab.container_images import RELEASE, ImageParts, build_layers, work_directory, write_archive
from lab.paths import LabPaths

IMAGE = "wormhole-lab/clients:1"
PACKAGES = (
    "docker-cli",
    "python3-docker",
    "nodejs",
    "curl",
    "openssl",
    "gnutls-bin",
    # Debian's JRE includes the compiler: `java -m jdk.compiler/com.sun.tools.javac.Main`.
    "default-jre-headless",
    "busybox-static",
    "ca-certificates",
)
_EXCLUDE = ("/usr/share/nodejs/corepack/*", "/usr/lib/jvm/*/lib/server/classes_nocoops.jsa")


def archive_path(paths: LabPaths) -> Path:
    """Return the path of the archive with the image."""
    key = cache.key((RELEASE.suite, *RELEASE.pockets), ("apt", "container_images", "client_image"))
    return paths.cache / f"clients-{key}.tar"


def ensure_archive(paths: LabPaths, progress: cache.Progress) -> Path:
    """Return an archive for `docker load` with the image; build it if needed."""
    return cache.build_once(archive_path(paths), _build, "the image of the TLS clients", progress)


def _build(draft: Path) -> None:
    with work_directory(draft) as work:
        write_archive(draft, [ImageParts(IMAGE, build_layers(work, PACKAGES, _EXCLUDE))])
