# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listener's unit files as they stand on this host."""

from __future__ import annotations

import glob
import os

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_units import (
    PREFIX,
    UNIT_DIRECTORY,
    is_insecure,
    is_listener_unit,
    parse_socket_unit,
)


def listener_unit_files(directory: str = UNIT_DIRECTORY) -> list[str]:
    """Names of the listener's units that have a file."""
    names = map(os.path.basename, glob.glob(f"{glob.escape(directory)}/{PREFIX}*"))
    return sorted(name for name in names if is_listener_unit(name))


def read_endpoints(directory: str = UNIT_DIRECTORY) -> tuple[tuple[str, int], ...]:
    """Where dockerd listens for wormholes by TLS, as its units say, in the order of their names."""
    endpoints: list[tuple[str, int]] = []
    for name in listener_unit_files(directory):
        found = None if is_insecure(name) else files.read_file(f"{directory}/{name}")
        if found is not None:
            endpoints += parse_socket_unit(found.content.decode(errors="replace"))
    return tuple(endpoints)
