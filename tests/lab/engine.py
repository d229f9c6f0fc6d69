# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The outer engine. Its containers are the lab's hosts.

Its programs are unpacked from Debian packages into the cache, and not installed: none of their
services can start, and an engine of the machine is neither used nor changed.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from lab import apt, cache
from lab.errors import LabError
from lab.paths import LabPaths
from lab.process import run

_START_SECONDS = 30


def programs(paths: LabPaths) -> Path:
    """Return the directory of the unpacked engine packages."""
    machine = apt.this_release()
    key = cache.key((machine.suite, *machine.outer))
    return paths.cache / f"engine-{machine.suite}-{key}"


def ensure_programs(paths: LabPaths, progress: cache.Progress) -> Path:
    """Return the directory of the engine's programs; download and unpack them if needed."""

    def build(draft: Path) -> None:
        draft.mkdir()
        machine = apt.this_release()
        apt.sources(machine)  # runs `apt-get update` if this machine never did
        # Without this option, apt switches to a user that cannot write to root's directory, and
        # warns.
        fetch = ["apt-get", "download", "-o", "APT::Sandbox::User=root", *machine.outer]
        run(["env", f"--chdir={draft}", *fetch], remedy="run apt-get update")
        for deb in draft.glob("*.deb"):
            run(["dpkg-deb", "--extract", str(deb), str(draft)])
            deb.unlink()

    return cache.build_once(programs(paths), build, "the lab's own Docker engine", progress)


class Engine:
    """The outer engine, for the supervisor."""

    def __init__(self, paths: LabPaths) -> None:
        self._paths = paths
        top = programs(paths)
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")},
            "PATH": f"{top}/usr/sbin:{top}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "DOCKER_HOST": f"unix://{paths.docker_socket}",
            "DOCKER_CONFIG": str(paths.lab / "docker-config"),
            # The outer engine's client package does not include buildx.
            "DOCKER_BUILDKIT": "0",
        }

    def start(self) -> subprocess.Popen[bytes]:
        """Start dockerd and wait until it answers."""
        exec_root = self._paths.run / "exec"
        # Do not read the machine's /etc/docker/daemon.json.
        configuration = self._paths.lab / "daemon.json"
        configuration.write_text("{}\n")
        with self._paths.engine_log.open("wb") as log:
            process = subprocess.Popen(
                [
                    "dockerd",
                    f"--config-file={configuration}",
                    f"--data-root={self._paths.data_root}",
                    f"--exec-root={exec_root}",
                    f"--pidfile={self._paths.run / 'docker.pid'}",
                    f"--host=unix://{self._paths.docker_socket}",
                    "--exec-opt=native.cgroupdriver=cgroupfs",
                    "--storage-driver=overlay2",
                    # The supervisor connects the hosts itself, without a packet filter.
                    "--bridge=none",
                    "--iptables=false",
                    "--ip6tables=false",
                    "--userland-proxy=false",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._env,
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                words = self._paths.engine_log.read_text(errors="replace")[-2000:]
                raise LabError(
                    "the lab's Docker engine did not start", found=f"{self._paths.engine_log}: …{words}"
                )
            time.sleep(0.05)
        return process

    def _answers(self) -> bool:
        if not self._paths.docker_socket.exists():
            return False
        return (
            subprocess.run(
                ["docker", "version"],
                env=self._env,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            ).returncode
            == 0
        )

    def docker(self, *arguments: str, input: str | bytes | None = None) -> str:
        """Run a docker command on the outer engine."""
        return run(["docker", *arguments], env=self._env, input=input).strip()

    def try_docker(self, *arguments: str) -> str | None:
        """Run a docker command; None if it fails."""
        try:
            return self.docker(*arguments)
        except LabError:
            return None

    def has_image(self, name: str) -> bool:
        """Return whether an image exists."""
        return self.try_docker("image", "inspect", "--format={{.Id}}", name) is not None

    def remove_stale_containers(self) -> None:
        """Remove the containers of an earlier lab from the data root."""
        stale = self.docker("ps", "--all", "--quiet").split()
        if stale:
            self.docker("rm", "--force", "--volumes", *stale)

    def remove_images_except(self, current: Sequence[str]) -> None:
        """Remove all other images that no image depends on."""
        names = self.docker("image", "ls", "--format={{.Repository}}:{{.Tag}}").split()
        for name in names:
            if name not in current:
                self.try_docker("image", "rm", name)
