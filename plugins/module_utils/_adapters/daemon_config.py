# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dockerd's configuration file as it stands on this host."""

from __future__ import annotations

import os
from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files
from ansible_collections.wormhole.docker.plugins.module_utils._core.daemon_json import PATH, parse_config
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.network_config import (
    NetworkConfig,
    parse_network_config,
)


def read_config_text(path: str = PATH) -> str:
    """The file's content; empty if there is none.

    Raises:
        Refused: it is no UTF-8 text.
        WormholeError: it is no readable file.
    """
    found = files.read_file(os.path.realpath(path))
    try:
        return "" if found is None else found.content.decode()
    except UnicodeDecodeError as error:
        raise Refused(path, expected="UTF-8 text", found=str(error)) from error


def read_network_config(info: Mapping[str, Any], path: str = PATH) -> NetworkConfig:
    """What the file and the running engine say about networks to come.

    Args:
        info: as the engine tells it (``GET /info``).
        path: of the file.

    Raises:
        Refused: the file is broken, or dockerd would not start with a value in it.
    """
    config = parse_config(read_config_text(path), path)
    return parse_network_config(config, info.get("DefaultAddressPools") or (), path)
