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
    is_insecure,
    is_listener_unit,
    parse_socket_unit,
    parse_unix_paths,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.systemd_units import UNIT_DIRECTORY


def listener_unit_files(directory: str = UNIT_DIRECTORY) -> list[str]:
    """Names of the listener's units that have a file."""
    names = map(os.path.basename, glob.glob(f"{glob.escape(directory)}/{PREFIX}*"))
    return sorted(name for name in names if is_listener_unit(name))


def read_endpoints(directory: str = UNIT_DIRECTORY) -> tuple[tuple[str, int], ...]:
    """Where dockerd listens for wormholes by TLS, as its units say, in the order of their names."""
    texts = _read_units(directory, insecure=False)
    return tuple(endpoint for text in texts for endpoint in parse_socket_unit(text))


def read_plaintext_endpoints(directory: str = UNIT_DIRECTORY) -> tuple[tuple[str, int], ...]:
    """Where the engine is served without TLS, as the units say, in the order of their names."""
    texts = _read_units(directory, insecure=True)
    return tuple(endpoint for text in texts for endpoint in parse_socket_unit(text))


def read_unix_socket(directory: str = UNIT_DIRECTORY) -> str:
    """Path of the engine's socket in a directory of its own, as its unit says; empty if there is none."""
    paths = (path for text in _read_units(directory, insecure=False) for path in parse_unix_paths(text))
    return next(paths, "")


def _read_units(directory: str, *, insecure: bool) -> list[str]:
    names = [name for name in listener_unit_files(directory) if is_insecure(name) == insecure]
    found = (files.read_file(f"{directory}/{name}") for name in names)
    return [item.content.decode(errors="replace") for item in found if item is not None]
