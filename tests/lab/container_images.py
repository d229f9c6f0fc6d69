# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The images for wormholes, built without an engine and without a registry.

- `wormhole-lab/cli:1`: the Docker command line with buildx and Compose, openssl, curl and BusyBox
- `wormhole-lab/nonroot:1`: the same, run as user 1234:1234, `ci`
- `wormhole-lab/busybox:1`: BusyBox only

All three run until SIGTERM, and then exit at once.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab import apt, cache
from lab.paths import LabPaths
from lab.process import run
from lab.spec import DEBIAN, DEFAULT

# The packages of one release serve hosts of all releases: newer clients support older engines.
RELEASE = DEBIAN[DEFAULT]
CLI_PACKAGES = (
    "docker-cli",
    "docker-buildx",
    "docker-compose",
    "openssl",
    "curl",
    "busybox-static",
    "ca-certificates",
)

# PID 1 ignores SIGTERM by default: without the trap, stopping a container takes ten seconds.
COMMAND = ["/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"]

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nci:x:1234:1234:ci:/home/ci:/bin/sh\n",
    "etc/group": "root:x:0:\nci:x:1234:\n",
    "etc/nsswitch.conf": "hosts: files dns\n",
}
_FOLDERS = {
    "tmp": (0o1777, 0),
    "root": (0o700, 0),
    "home": (0o755, 0),
    "home/ci": (0o755, 1234),
    "etc": (0o755, 0),
}
_EXCLUDE = ("/usr/lib/*/gconv/*", "/usr/share/perl5/*", "/usr/share/bash-completion/*", "/var/lib/dpkg/*")
_BUSYBOX = "./usr/bin/busybox"
_MERGED_USR = (
    'for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d"; [ -e "$1/$d" ] || ln -s "usr/$d" "$1/$d"; done'
)


def images_key() -> str:
    """Return a hash of the images' inputs."""
    return cache.key((RELEASE.suite, *RELEASE.pockets), ("apt", "container_images"))


def images_path(paths: LabPaths) -> Path:
    """Return the path of the archive with the three images."""
    return paths.cache / f"images-{images_key()}.tar"


def ensure_images(paths: LabPaths, progress: cache.Progress) -> Path:
    """Return an archive for `docker load` with the three images; build it if needed."""
    return cache.build_once(images_path(paths), _build, "the images for wormholes", progress)


def _build(draft: Path) -> None:
    with work_directory(draft) as work:
        _build_in(work, draft)


@contextmanager
def work_directory(draft: Path) -> Iterator[Path]:
    """A directory next to a draft for intermediate files. It is removed after the `with` block."""
    work = draft.with_name(f"{draft.name}.work")
    cache.remove(work)
    work.mkdir()
    try:
        yield work
    finally:
        cache.remove(work)


def _build_in(work: Path, archive: Path) -> None:
    packages, additions = build_layers(work, CLI_PACKAGES)
    with tarfile.open(packages) as layer:
        busybox = _read(layer, _BUSYBOX)
    applets = _applets(busybox, work)

    small = work / "busybox.tar"
    with tarfile.open(small, "w") as layer:
        _add_common(layer)
        _add_file(layer, "bin/busybox", busybox, 0o755)
        for applet in applets:
            _add_link(layer, f"bin/{applet}", "busybox")

    write_archive(
        archive,
        [
            ImageParts("wormhole-lab/cli:1", (packages, additions)),
            ImageParts("wormhole-lab/nonroot:1", (packages, additions), user="1234:1234"),
            ImageParts("wormhole-lab/busybox:1", (small,)),
        ],
    )


def build_layers(work: Path, packages: Sequence[str], exclude: Sequence[str] = ()) -> tuple[Path, Path]:
    """Make an image's two layers: Debian packages, unpacked only, and what makes a user land of
    them.

    Args:
        work: where the layers are made.
        packages: with busybox-static and ca-certificates among them, which the second layer is made
            from.
        exclude: patterns of paths that the image can do without.
    """
    unpacked, additions = work / "packages.tar", work / "additions.tar"
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in (*_EXCLUDE, *exclude)]
    apt.mmdebstrap(RELEASE, unpacked, packages, "--variant=extract", f"--setup-hook={_MERGED_USR}", *options)
    with tarfile.open(unpacked) as layer:
        present = {Path(name).name for name in layer.getnames() if "bin/" in name}
        certificates = b"".join(_read(layer, name) for name in layer.getnames() if name.endswith(".crt"))
        applets = _applets(_read(layer, _BUSYBOX), work)
    with tarfile.open(additions, "w") as layer:
        _add_common(layer)
        _add_file(layer, "etc/ssl/certs/ca-certificates.crt", certificates, 0o644)
        for applet in applets:
            if applet not in present:
                _add_link(layer, f"usr/bin/{applet}", "busybox")
    return unpacked, additions


@dataclass(frozen=True)
class ImageParts:
    """The parts of an image."""

    name: str
    layers: tuple[Path, ...]
    user: str = ""


def write_archive(target: Path, images: Sequence[ImageParts]) -> None:
    """Write an archive like `docker save`: the configuration and the layers of each image."""
    architecture = run(["dpkg", "--print-architecture"]).strip()
    manifest: list[dict[str, Any]] = []
    with tarfile.open(target, "w") as archive:
        digests: dict[Path, str] = {}
        for image in images:
            for layer in image.layers:
                if layer not in digests:
                    with layer.open("rb") as stream:
                        digests[layer] = hashlib.file_digest(stream, "sha256").hexdigest()
                    archive.add(layer, f"{digests[layer]}.tar")
            config = json.dumps(
                {
                    "architecture": architecture,
                    "os": "linux",
                    "created": "2020-01-01T00:00:00Z",
                    "config": {
                        "Cmd": COMMAND,
                        "Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
                        "User": image.user,
                        "WorkingDir": "/",
                    },
                    "rootfs": {
                        "type": "layers",
                        "diff_ids": [f"sha256:{digests[layer]}" for layer in image.layers],
                    },
                },
                sort_keys=True,
            ).encode()
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add_file(archive, name, config, 0o644)
            layers = [f"{digests[layer]}.tar" for layer in image.layers]
            manifest.append({"Config": name, "RepoTags": [image.name], "Layers": layers})
        _add_file(archive, "manifest.json", json.dumps(manifest).encode(), 0o644)


def _applets(busybox: bytes, folder: Path) -> list[str]:
    program = folder / "busybox"
    program.write_bytes(busybox)
    program.chmod(0o755)
    return [applet for applet in run([str(program), "--list"]).split() if applet != "busybox"]


def _add_common(layer: tarfile.TarFile) -> None:
    for name, (mode, owner) in _FOLDERS.items():
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode, folder.uid, folder.gid = tarfile.DIRTYPE, mode, owner, owner
        layer.addfile(folder)
    for name, text in _FILES.items():
        _add_file(layer, name, text.encode(), 0o644)


def _add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def _add_link(archive: tarfile.TarFile, name: str, target: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
    archive.addfile(entry)


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None
    return stream.read()
