# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read this host's configuration of dockerd: its file, and what the command line sets instead."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Mapping

from ..._base.errors import Refused
from ..._base.io import files
from ..daemon_json import PATH, parse_config
from .command import observe_command


@dataclass(frozen=True)
class DaemonConfig:
    """A configuration of dockerd.

    Attributes:
        path: its file.
        keys: its keys, those of the command line included.
    """

    path: str
    keys: Mapping[str, Any]


def read_config() -> DaemonConfig:
    """Reads the configuration with which dockerd starts.

    Raises:
        Refused: the file is invalid.
        WormholeError: it is not a readable file.
    """
    command = observe_command()
    path = command.config_file
    from_file = parse_config(read_config_text(path), path) if path else {}
    return DaemonConfig(path or PATH, {**from_file, **command.config_keys})


def read_config_text(path: str) -> str:
    """The content of a configuration file; empty if there is none.

    Raises:
        Refused: it is not UTF-8 text.
        WormholeError: it is not a readable file.
    """
    found = files.read_file(os.path.realpath(path))
    try:
        return "" if found is None else found.content.decode()
    except UnicodeDecodeError as error:
        raise Refused(path, problem=f"{path} is not UTF-8 text ({error})") from error
