# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Packages that only some scenarios need."""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

from lab import apt, cache
from lab.spec import DEBIAN


def install(lab: Any, host: Any, package: str) -> None:
    """Install a package that the lab's repository lacks and that needs no further packages."""

    def fetch(draft: Path) -> None:
        (draft / "state/lists/partial").mkdir(parents=True)
        (draft / "sources.list").write_text("\n".join(apt.sources(DEBIAN[host.release])) + "\n")
        options = {
            "Dir::State": draft / "state",
            "Dir::Cache": draft / "cache",
            "Dir::Etc::sourcelist": draft / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
        }
        command = ["apt-get", *(f"-o{name}={value}" for name, value in options.items())]
        for words in (["update"], ["download", package]):
            subprocess.run([*command, *words], cwd=draft, check=True, capture_output=True)

    folder = lab.paths.cache / f"package-{package}-{host.release}"
    cache.build_once(folder, fetch, package, print)
    (deb,) = folder.glob("*.deb")
    host.run("base64 -d >/srv/package.deb", input=base64.b64encode(deb.read_bytes()).decode())
    host.run("DEBIAN_FRONTEND=noninteractive dpkg -i /srv/package.deb && rm /srv/package.deb")
