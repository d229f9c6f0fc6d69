# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages that only some scenarios need."""

from __future__ import annotations

import base64
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab import apt, cache
from lab.spec import DEBIAN


def install(lab: Any, host: Any, package: str) -> None:
    """Install a package that the lab's repository lacks and that needs no further packages."""

    def fetch(draft: Path) -> None:
        command = _prepare(draft, host)
        for words in (["update"], ["download", package]):
            subprocess.run([*command, *words], cwd=draft, check=True, capture_output=True)

    folder = lab.paths.cache / f"package-{package}-{host.release}"
    cache.build_once(folder, fetch, package, print)
    (deb,) = folder.glob("*.deb")
    _install(host, [deb])


def install_with_dependencies(lab: Any, host: Any, package: str) -> None:
    """Install a package that the lab's repository lacks, with those that it needs and the host lacks."""

    def fetch(draft: Path) -> None:
        command = _prepare(draft, host)
        (draft / "status").write_text(host.read("/var/lib/dpkg/status"))
        (draft / "cache/archives/partial").mkdir(parents=True)
        words = ["--yes", "--no-install-recommends", "--download-only", "install", package]
        for further in (
            ["update"],
            [f"-oDir::State::status={draft / 'status'}", "-oDebug::NoLocking=1", *words],
        ):
            subprocess.run([*command, *further], cwd=draft, check=True, capture_output=True)

    folder = lab.paths.cache / f"packages-{package}-{host.release}"
    cache.build_once(folder, fetch, package, print)
    _install(host, sorted(folder.glob("cache/archives/*.deb")))


def _prepare(draft: Path, host: Any) -> list[str]:
    """Return the command of apt-get for the packages of the host's release."""
    (draft / "state/lists/partial").mkdir(parents=True)
    (draft / "sources.list").write_text("\n".join(apt.sources(DEBIAN[host.release])) + "\n")
    options = {
        "Dir::State": draft / "state",
        "Dir::Cache": draft / "cache",
        "Dir::Etc::sourcelist": draft / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
    }
    return ["apt-get", *(f"-o{name}={value}" for name, value in options.items())]


def _install(host: Any, packages: Sequence[Path]) -> None:
    for package in packages:
        path = shlex.quote(f"/srv/packages/{package.name}")
        host.run("mkdir -p /srv/packages")
        host.run(f"base64 -d >{path}", input=base64.b64encode(package.read_bytes()).decode())
    host.run("DEBIAN_FRONTEND=noninteractive dpkg -i /srv/packages/*.deb && rm -r /srv/packages")
