# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read from the listener's unit files where dockerd listens, to connect wormholes to it."""

from __future__ import annotations

import glob
import os

from ..._base.address import SocketAddress
from ..._base.io import files
from ..._base.systemd_units import UNIT_DIRECTORY
from ..units import PREFIX, is_insecure, is_listener_unit, parse_socket_unit, parse_unix_paths


def listener_unit_files(directory: str = UNIT_DIRECTORY) -> list[str]:
    """Return the names of the listener's units that have a file."""
    names = map(os.path.basename, glob.glob(f"{glob.escape(directory)}/{PREFIX}*"))
    return sorted(name for name in names if is_listener_unit(name))


def read_endpoints(directory: str = UNIT_DIRECTORY) -> tuple[SocketAddress, ...]:
    """Return the addresses on which dockerd listens with TLS, in the order of the units' names."""
    texts = _read_units(directory, insecure=False)
    return tuple(endpoint for text in texts for endpoint in parse_socket_unit(text))


def read_plaintext_endpoints(directory: str = UNIT_DIRECTORY) -> tuple[SocketAddress, ...]:
    """Return the addresses on which dockerd listens without TLS, in the order of unit names."""
    texts = _read_units(directory, insecure=True)
    return tuple(endpoint for text in texts for endpoint in parse_socket_unit(text))


def read_unix_socket(directory: str = UNIT_DIRECTORY) -> str:
    """Return the path of the additional unix socket; empty if its unit does not exist."""
    paths = (path for text in _read_units(directory, insecure=False) for path in parse_unix_paths(text))
    return next(paths, "")


def _read_units(directory: str, *, insecure: bool) -> list[str]:
    names = [name for name in listener_unit_files(directory) if is_insecure(name) == insecure]
    texts = (files.read_text(f"{directory}/{name}") for name in names)
    return [text for text in texts if text is not None]
