# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options by which modules reach the Docker engine; documented in the fragment wormhole.docker.docker."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.engine import (
    DEFAULT_DOCKER_HOST,
    DEFAULT_TIMEOUT,
    Engine,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput


def connection_arguments() -> dict[str, Any]:
    """Entries for a module's argument_spec."""
    return {
        "docker_host": {"type": "str", "default": DEFAULT_DOCKER_HOST},
        "timeout": {"type": "int", "default": DEFAULT_TIMEOUT},
    }


def open_engine(params: Mapping[str, Any]) -> Engine:
    """The engine that a module's parameters name.

    Raises:
        InvalidInput: the parameters are wrong.
        MissingRequirement: the docker SDK for Python is missing.
        EngineUnavailable: nothing answers.
    """
    if params["timeout"] <= 0:
        raise InvalidInput("timeout", expected="a number of seconds above 0", found=str(params["timeout"]))
    return Engine(params["docker_host"], params["timeout"])
