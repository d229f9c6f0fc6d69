# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Install packages of the distribution, and use them in this process.

The options are those of ansible.builtin.apt, with ``--no-remove``: no package is ever removed, even
if the packages have changed since the simulation.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import time
from types import ModuleType
from typing import Iterable, Sequence

from ..._base.errors import ApplyFailed
from ..._base.io.commands import failure_of, run

_LISTS = "/var/lib/apt/lists"
_VALID = 3600.0
"""Seconds for which downloaded package lists are used."""
_TIMEOUT = 1800.0
_WAIT_FOR_LOCK = 120
"""Seconds to wait for another package manager, such as unattended-upgrades."""


def install(packages: Sequence[str], libraries: Iterable[ModuleType] = ()) -> None:
    """Install packages.

    Args:
        packages: names of Debian packages.
        libraries: modules to load again, because they have tried to import what was missing.

    Raises:
        ApplyFailed: apt-get failed.
    """
    if not _lists_are_new():
        _run_apt(packages, "update")
    keep = [f"--option=Dpkg::Options::=--force-{answer}" for answer in ("confdef", "confold")]
    _run_apt(packages, "--yes", "--no-remove", *keep, "install", *packages)
    importlib.invalidate_caches()
    for library in libraries:
        importlib.reload(library)


def _lists_are_new() -> bool:
    try:
        return time.time() - os.stat(_LISTS).st_mtime < _VALID and any(
            name.endswith("_Packages") or "_Packages." in name for name in os.listdir(_LISTS)
        )
    except OSError:
        return False


def _run_apt(packages: Sequence[str], *arguments: str) -> None:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
    lock = f"--option=DPkg::Lock::Timeout={_WAIT_FOR_LOCK}"
    subject, found = f"packages {', '.join(packages)}", ""
    try:
        answer = run(["apt-get", lock, *arguments], _TIMEOUT, environment=environment)
        if answer.returncode == 0:
            return
        found = failure_of(answer)
    except FileNotFoundError:
        found = "there is no apt-get"
    except subprocess.TimeoutExpired:
        found = f"apt-get has not ended within {_TIMEOUT:.0f} s"
    problem = f"The {subject} cannot be installed: {found}"
    raise ApplyFailed(
        subject, found=found, problem=problem, remedy="Install them, or set engine_install to false"
    )
