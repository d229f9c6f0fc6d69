# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read from the listener's unit files where dockerd or the gate listens, to connect wormholes to it."""

from __future__ import annotations

import glob
import os
from typing import Optional

from ..._base.address import SocketAddress
from ..._base.io import files
from ..._base.systemd_units import UNIT_DIRECTORY
from ..units import (
    GATE_PREFIX,
    PREFIX,
    is_gate_unit,
    is_insecure,
    is_listener_unit,
    parse_socket_unit,
    parse_unix_paths,
)


def listener_unit_files(directory: str = UNIT_DIRECTORY) -> list[str]:
    """Return the names of the listener's units that have a file."""
    patterns = (f"{glob.escape(directory)}/{prefix}*" for prefix in (PREFIX, GATE_PREFIX))
    names = (os.path.basename(path) for pattern in patterns for path in glob.glob(pattern))
    return sorted(name for name in names if is_listener_unit(name))


def read_endpoints(directory: str = UNIT_DIRECTORY) -> tuple[SocketAddress, ...]:
    """Return the addresses of the listener's TLS, in the order of the units' names."""
    texts = _read_units(directory, insecure=False)
    return tuple(endpoint for text in texts for endpoint in parse_socket_unit(text))


def is_served_by_gate(directory: str = UNIT_DIRECTORY) -> bool:
    """Return whether the gate serves TLS, and dockerd nowhere.

    An interrupted change can leave sockets of both: a client of dockerd then goes around its policy.
    """
    by_gate, by_engine = (
        [endpoint for text in texts for endpoint in parse_socket_unit(text)]
        for texts in (
            _read_units(directory, insecure=False, gate=True),
            _read_units(directory, insecure=False, gate=False),
        )
    )
    return bool(by_gate and not by_engine)


def read_plaintext_endpoints(directory: str = UNIT_DIRECTORY) -> tuple[SocketAddress, ...]:
    """Return the addresses on which dockerd listens without TLS, in the order of unit names."""
    texts = _read_units(directory, insecure=True)
    return tuple(endpoint for text in texts for endpoint in parse_socket_unit(text))


def read_unix_socket(directory: str = UNIT_DIRECTORY) -> str:
    """Return the path of the additional unix socket; empty if its unit does not exist."""
    paths = (path for text in _read_units(directory, insecure=False) for path in parse_unix_paths(text))
    return next(paths, "")


def _read_units(directory: str, *, insecure: bool, gate: Optional[bool] = None) -> list[str]:
    names = [
        name
        for name in listener_unit_files(directory)
        if is_insecure(name) == insecure and gate in (None, is_gate_unit(name))
    ]
    texts = (files.read_text(f"{directory}/{name}") for name in names)
    return [text for text in texts if text is not None]
