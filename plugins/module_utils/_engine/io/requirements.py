# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe what a host has of the collection's requirements; needs none of them itself.

Sources: apt-get(8); Debian Python Policy, "Module Path".
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib import metadata
from typing import Optional, Sequence

from ..._base.errors import WormholeError
from ..._base.io.commands import run
from ..installation import find_conflict, lacks_lists
from ..requirements import MINIMUM_VERSIONS, HostState, Interpreter
from .other_engines import observe_engines

_APT = ("env", "LC_ALL=C", "apt-get")
_SIMULATION = ("--simulate", "--yes", "install")
_TIMEOUT = 120.0


def observe_host() -> HostState:
    """Looks for an engine, for the Python libraries, and for the distribution.

    Raises:
        MissingRequirement: this host does not run systemd.
    """
    libraries = {}
    for name in MINIMUM_VERSIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            # None for a directory that an incomplete removal has left.
            version: Optional[str] = metadata.version(name)
            if version:
                libraries[name] = version
    running, engines, default_socket = observe_engines()
    return HostState(
        distribution=_distribution(),
        # An administrator's PATH: a login by SSH may have a shorter one.
        dockerd=shutil.which("dockerd", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        or "",
        running=running,
        python=_interpreter(),
        libraries=libraries,
        engines=engines,
        socket=default_socket,
    )


def simulate_installation(packages: Sequence[str]) -> Optional[WormholeError]:
    """The reason against installing packages, by apt's simulation of it; None if there is none.

    If this host's package lists lack them, they are downloaded to a temporary directory.
    """
    try:
        answer = run([*_APT, *_SIMULATION, *packages], _TIMEOUT)
        if lacks_lists(answer.stderr):
            answer = _simulate_with_new_lists(packages)
    except (OSError, subprocess.TimeoutExpired):
        return None  # The installation itself fails as well, or removes nothing (--no-remove).
    return find_conflict(packages, answer.stdout + answer.stderr, answer.returncode)


def _simulate_with_new_lists(packages: Sequence[str]) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)  # apt downloads as another user.
        os.mkdir(f"{place}/partial")
        elsewhere = [*_APT, f"--option=Dir::State::lists={place}", "--option=Dir::Cache::pkgcache="]
        elsewhere += ["--option=Dir::Cache::srcpkgcache="]
        run([*elsewhere, "update"], _TIMEOUT)
        return run([*elsewhere, *_SIMULATION, *packages], _TIMEOUT)


def _interpreter() -> Interpreter:
    default = re.search(r"python(3\.\d+)$", os.path.realpath("/usr/bin/python3"))
    return Interpreter(
        path=sys.executable,
        version=f"{sys.version_info[0]}.{sys.version_info[1]}",
        search_path=tuple(sys.path),
        default_version=default.group(1) if default else "",
    )


def _distribution() -> tuple[str, ...]:
    values = []
    with contextlib.suppress(OSError), open("/etc/os-release", encoding="utf-8") as lines:
        for line in lines:
            key, _separator, value = line.strip().partition("=")
            if key in ("ID", "ID_LIKE"):
                values += value.strip("\"'").split()
    return tuple(values)
