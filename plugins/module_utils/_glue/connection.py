# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of the fragment wormhole.docker.docker, for the connection to the engine."""

from __future__ import annotations

from typing import Any, Mapping

from .._base.errors import InvalidInput
from .._engine.io.sdk import DEFAULT_DOCKER_HOST, DEFAULT_TIMEOUT, Engine


def connection_arguments() -> dict[str, Any]:
    """Entries for a module's argument_spec."""
    return {
        "docker_host": {"type": "str", "default": DEFAULT_DOCKER_HOST},
        "timeout": {"type": "int", "default": DEFAULT_TIMEOUT},
    }


def open_engine(params: Mapping[str, Any]) -> Engine:
    """Open the engine that a module's parameters name.

    Raises:
        InvalidInput: a parameter is malformed.
        MissingRequirement: the docker SDK for Python is missing.
        EngineUnavailable: the engine does not answer.
    """
    timeout = params["timeout"]
    if timeout <= 0:
        raise InvalidInput("timeout", problem=f"timeout is {timeout}; it must be a number of seconds above 0")
    return Engine(params["docker_host"], timeout, params.get("removal_wait_timeout"))
