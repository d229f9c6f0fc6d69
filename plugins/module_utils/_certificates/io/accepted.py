# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read whose client certificates the engine of this host accepts."""

from __future__ import annotations

from typing import Optional

from ..._base.errors import WormholeError
from ..._base.io import files
from ..._engine.io.daemon_config import read_config
from ..ownership import Accepted
from . import decoding

_SOCKETS = ("/run/docker.sock", "/var/run/docker.sock")
"""The sockets of the engine that docker.service runs."""


def read_accepted(socket_path: str) -> Optional[Accepted]:
    """The authorities that the engine at a socket trusts; None if they are unknown.

    They are unknown, too, to a user who cannot read the engine's configuration.
    """
    if socket_path not in _SOCKETS:
        return None
    try:
        config = read_config().keys
        path = config.get("tlscacert")
        if not config.get("tlsverify") or not isinstance(path, str):
            return None
        found = files.read_file(path)
        return None if found is None else Accepted(path, decoding.read_bundle(found.content))
    except WormholeError:
        # The next provision reports or repairs it.
        return None
