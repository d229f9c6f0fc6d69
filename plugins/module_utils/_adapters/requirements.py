# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host has of the things that everything else needs; works without any of them."""

from __future__ import annotations

import contextlib
import shutil
import sys
from importlib import metadata

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import systemd
from ansible_collections.wormhole.docker.plugins.module_utils._core.requirements import (
    MINIMUM_VERSIONS,
    HostState,
)


def observe_host() -> HostState:
    """Looks for an engine, for the libraries, and what distribution this is.

    Raises:
        MissingRequirement: this host does not run systemd.
    """
    libraries = {}
    for name in MINIMUM_VERSIONS:
        with contextlib.suppress(metadata.PackageNotFoundError):
            libraries[name] = metadata.version(name)
    return HostState(
        distribution=_distribution(),
        # An administrator's PATH, which a login by SSH need not have.
        dockerd=shutil.which("dockerd", path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        or "",
        running=systemd.show("docker.service", ["ActiveState"]).get("ActiveState") == "active",
        python=sys.executable,
        libraries=libraries,
    )


def _distribution() -> tuple[str, ...]:
    values = []
    with contextlib.suppress(OSError), open("/etc/os-release", encoding="utf-8") as lines:
        for line in lines:
            key, _separator, value = line.strip().partition("=")
            if key in ("ID", "ID_LIKE"):
                values += value.strip("\"'").split()
    return tuple(values)
