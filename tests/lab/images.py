# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outer engine's images of hosts, and the template of /var/lib/docker for standard hosts.

bare      the root file system, imported
standard  the same with Docker and its Python libraries, from the host's own offline repository
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import get_args

from lab import cache, client_image, container_images, rootfs
from lab.engine import Engine, programs
from lab.errors import LabError
from lab.paths import LabPaths
from lab.spec import DEBIAN, RELEASES, HostSpec, Release, Variant

_SEED_SECONDS = 60
_CACHED = ("clients-", "engine-", "images-", "rootfs-", "var-lib-docker-")


def image_name(spec: HostSpec) -> str:
    """Return the name of a host's image in the outer engine."""
    return f"wormhole-lab-host/{spec.variant}:{spec.release}-{rootfs.rootfs_key(spec.release)}"


def remove_stale(engine: Engine, paths: LabPaths) -> None:
    """Remove images and cached files of older versions of this package."""
    specs = [HostSpec(release, variant) for release in RELEASES for variant in get_args(Variant)]
    engine.remove_images_except([image_name(spec) for spec in specs])
    current = {client_image.archive_path(paths), container_images.images_path(paths), programs(paths)}
    for release in RELEASES:
        current |= {rootfs.rootfs_path(paths, release), template_path(paths, release)}
    for path in paths.cache.iterdir():
        if path.name.startswith(_CACHED) and path.suffix != ".lock" and path not in current:
            cache.remove(path)


def template_path(paths: LabPaths, release: Release) -> Path:
    """Return the path of the template of a release's /var/lib/docker."""
    key = cache.key((rootfs.rootfs_key(release), container_images.images_key()))
    return paths.cache / f"var-lib-docker-{release}-{key}"


def ensure_image(engine: Engine, paths: LabPaths, spec: HostSpec, progress: cache.Progress) -> str:
    """Return the image of a host; build it from the root file system if needed."""
    name = image_name(spec)
    if engine.has_image(name):
        return name
    bare = image_name(HostSpec(spec.release, "bare"))
    if not engine.has_image(bare):
        progress(f"importing the Debian {spec.release} root file system (once) …")
        engine.docker("import", str(rootfs.rootfs_path(paths, spec.release)), bare)
    if spec.variant == "standard":
        progress(f"installing Docker into the Debian {spec.release} host image (once) …")
        packages = " ".join(DEBIAN[spec.release].engine_packages)
        # No fsync, because a crash during the build costs nothing. The repository has no
        # recommended packages.
        options = "--yes --option=Dpkg::Options::=--force-unsafe-io"
        script = f"apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install {options} {packages}"
        engine.docker("build", "--network=none", "--tag", name, "-", input=f"FROM {bare}\nRUN {script}\n")
    return name


def engine_template(engine: Engine, paths: LabPaths, release: Release, progress: cache.Progress) -> Path:
    """Return a /var/lib/docker with the images for wormholes, in that release's engine format."""

    def build(draft: Path) -> None:
        spec = HostSpec(release, "standard")
        seed = f"seed-{release}"
        engine.try_docker("rm", "--force", seed)
        engine.docker(
            "create", "--name", seed, *run_options(paths, draft), ensure_image(engine, paths, spec, progress)
        )
        try:
            engine.docker("start", seed)
            wait_for_boot(engine, seed, _SEED_SECONDS)
            engine.docker("exec", seed, "docker", "load", "--input", "/srv/images.tar")
            engine.docker("exec", seed, "systemctl", "stop", "docker.socket", "docker.service")
        finally:
            engine.try_docker("rm", "--force", seed)
        # These files must differ between hosts.
        for path in ("engine-id", "network", "containers", "runtimes"):
            cache.remove(draft / path)

    return cache.build_once(
        template_path(paths, release), build, f"the Debian {release} image store", progress
    )


def run_options(paths: LabPaths, var_lib_docker: Path) -> list[str]:
    """Return the options of every host's container, for systemd as PID 1 and a Docker engine.

    --privileged requires CAP_SYS_RESOURCE, which some machines lack. So it is not used, and no host
    has that capability.
    """
    return [
        "--cap-add=ALL",
        "--cap-drop=SYS_RESOURCE",
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--security-opt=systempaths=unconfined",
        "--cgroupns=host",
        "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw",
        "--network=none",
        "--tmpfs=/run:exec,mode=755",
        "--tmpfs=/tmp:exec,mode=1777",
        # The engine's store cannot be an overlay on an overlay.
        f"--volume={var_lib_docker}:/var/lib/docker",
        f"--volume={container_images.images_path(paths)}:/srv/images.tar:ro",
        "--stop-signal=SIGRTMIN+3",
        "--entrypoint=/sbin/init",
    ]


def wait_for_boot(engine: Engine, container: str, seconds: float) -> None:
    """Wait until systemd has started everything; a unit that failed is the caller's to find."""
    deadline = time.monotonic() + seconds
    state: str | None = ""
    while time.monotonic() < deadline:
        # Prints "running" or "degraded"; fails as long as systemd does not answer yet.
        state = engine.try_docker("exec", container, "sh", "-c", "systemctl is-system-running --wait || true")
        if state in ("running", "degraded"):
            return
        time.sleep(0.1)
    raise LabError(
        f"{container} does not boot",
        expected=f"systemd running within {seconds:.0f} s",
        found=state or "no answer from systemd",
    )
