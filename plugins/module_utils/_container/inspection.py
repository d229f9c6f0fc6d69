# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads the engine's inspection of a container (``GET /containers/{id}/json``).

All functions accept None, for a container that does not exist, and missing parts.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

from .._base.errors import WormholeError

Inspection = Optional[Mapping[str, Any]]
NO_ENTRYPOINT = ("",)
"""Removes the image's entrypoint; the engine then reports none (moby: ``mergeAndVerifyConfig``)."""


def _part(inspection: Inspection, name: str) -> Mapping[str, Any]:
    return (inspection or {}).get(name) or {}


def name_of(container: Inspection) -> str:
    """Return the container's name, without the slash that the API puts before it."""
    return str((container or {}).get("Name") or "").lstrip("/")


def names_of(summary: Mapping[str, Any]) -> tuple[str, ...]:
    """Return all names of a container from its summary in ``GET /containers/json``, likewise."""
    return tuple(str(name).lstrip("/") for name in summary.get("Names") or ())


def config_of(inspection: Inspection) -> Mapping[str, Any]:
    """Return ``Config``, which images have too."""
    return _part(inspection, "Config")


def host_config_of(container: Inspection) -> Mapping[str, Any]:
    """Return ``HostConfig``."""
    return _part(container, "HostConfig")


def labels_of(container: Inspection) -> Mapping[str, Any]:
    """Return the labels."""
    return config_of(container).get("Labels") or {}


def variables_of(container: Inspection) -> tuple[str, ...]:
    """Return the environment variables as ``NAME=value``, or ``NAME`` if a variable was removed."""
    return tuple(map(str, config_of(container).get("Env") or ()))


def environment_of(container: Inspection) -> dict[str, str]:
    """Return the values of the environment variables by name."""
    return dict(variable.split("=", 1) for variable in variables_of(container) if "=" in variable)


def docker_host_of(container: Inspection) -> str:
    """Return the value of ``DOCKER_HOST``; empty if it is not set."""
    return environment_of(container).get("DOCKER_HOST", "")


def networks_of(container: Inspection) -> Mapping[str, Any]:
    """Return the API's EndpointSettings by the name of the network."""
    return _part(container, "NetworkSettings").get("Networks") or {}


def mounts_of(container: Inspection) -> list[Mapping[str, Any]]:
    """Return the mounts; a summary in ``GET /containers/json`` has them too."""
    return list((container or {}).get("Mounts") or ())


def state_of(container: Inspection) -> Mapping[str, Any]:
    """Return ``State``."""
    return _part(container, "State")


def status_of(container: Inspection) -> str:
    """Return the status, such as ``running`` or ``exited``."""
    return str(state_of(container).get("Status") or "")


def health_of(container: Inspection) -> Mapping[str, Any]:
    """Return ``State.Health``."""
    return state_of(container).get("Health") or {}


def is_running(container: Inspection) -> bool:
    """Report whether the main process runs, paused or not, and does not wait for a restart."""
    return is_alive(container) and not state_of(container).get("Restarting")


def is_alive(container: Inspection) -> bool:
    """Report whether the main process runs, or the engine is about to start it again."""
    return bool(state_of(container).get("Running"))


def is_paused(container: Inspection) -> bool:
    """Report whether the processes of a running container are paused."""
    return bool(state_of(container).get("Paused"))


def is_leaving(container: Inspection) -> bool:
    """Report whether the container is partly removed, and cannot be started again."""
    return status_of(container) in ("removing", "dead")


def pid_of(container: Inspection) -> int:
    """Return the main process's ID on the host; 0 if it does not run."""
    return int(state_of(container).get("Pid") or 0)


def running_pid(container: Inspection) -> int:
    """Return the main process's ID on the host.

    Raises:
        WormholeError: the container does not run.
    """
    pid = pid_of(container)
    if not is_alive(container) or pid <= 0:
        subject, found = f"container {name_of(container)}", status_of(container) or "not running"
        problem = f"{subject} is {found}, so it has no network namespace to test from"
        raise WormholeError(subject, found=found, problem=problem, remedy="Start it first")
    return pid
