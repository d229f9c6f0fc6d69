# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the collection needs of a Docker engine, as a type.

Values are plain dictionaries in the shape of the Docker Engine API
(https://docs.docker.com/reference/api/engine/), because every layer that reads them quotes that reference.
The real one is :class:``_adapters.engine.Engine``.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Protocol

Json = Dict[str, Any]


class EnginePort(Protocol):
    """A Docker engine.

    Every method raises EngineUnavailable when the engine does not answer or answers with an error. A
    *container* is named by its name or its full ID, never by the start of an ID: the API takes the start of
    an ID too, and would let the name ``ab`` find a container that is none of the caller's business.
    """

    def info(self) -> Json:
        """``GET /info``: the engine and its host."""

    def version(self) -> Json:
        """``GET /version``: versions of the engine and of its API."""

    def networks(self) -> list[Json]:
        """``GET /networks``: all networks, in the shape of an inspection, without their containers."""

    def containers(self, *, labels: Mapping[str, Optional[str]], running_only: bool = False) -> list[Json]:
        """``GET /containers/json``: summaries of the containers that carry all these labels, those without value by any."""

    def find_container(self, container: str) -> Optional[Json]:
        """``GET /containers/{id}/json``: the inspection of one container; None if there is none."""

    def find_image(self, reference: str) -> Optional[Json]:
        """``GET /images/{name}/json``: the inspection of a local image; None if there is none."""

    def registry_digest(self, reference: str) -> str:
        """``GET /distribution/{name}/json``: digest of what the registry has by that reference now."""

    def pull_image(self, reference: str, *, platform: str = "") -> None:
        """``POST /images/create``: pulls one image; without tag and digest, the tag ``latest``."""

    def create_container(self, name: str, body: Mapping[str, Any], *, platform: str = "") -> str:
        """``POST /containers/create``: creates a container and returns its full ID.

        Raises:
            EngineUnavailable: it cannot be created, or only without something that the kernel lacks; there is none then.
        """

    def update_container(self, container: str, body: Mapping[str, Any]) -> None:
        """``POST /containers/{id}/update``: changes resources or the restart policy in place.

        Raises:
            EngineUnavailable: it cannot be changed, or something was left out that the kernel lacks.
        """

    def start_container(self, container: str) -> None:
        """``POST /containers/{id}/start``; no error if it runs already."""

    def stop_container(self, container: str, *, timeout: Optional[int] = None) -> None:
        """``POST /containers/{id}/stop``; no error if it is stopped or gone already.

        One that was created with ``AutoRemove`` may go at any moment after it has ended.

        Args:
            container: name or full ID.
            timeout: seconds until it is killed; by default what the container was created with.
        """

    def rename_container(self, container: str, name: str) -> None:
        """``POST /containers/{id}/rename``."""

    def remove_container(self, container: str, *, force: bool = False, volumes: bool = False) -> None:
        """``DELETE /containers/{id}``; no error if it is gone already.

        Args:
            container: name or full ID.
            force: kill it first if it runs.
            volumes: remove its anonymous volumes too; named volumes always stay.
        """

    def connect_network(self, network: str, container: str, endpoint: Mapping[str, Any]) -> None:
        """``POST /networks/{id}/connect`` with an EndpointSettings object."""

    def disconnect_network(self, network: str, container: str) -> None:
        """``POST /networks/{id}/disconnect``."""

    def kill_container(self, container: str, signal: str) -> None:
        """``POST /containers/{id}/kill``: sends a signal to its main process; an error if it does not run."""

    def wait_container(self, container: str) -> int:
        """``POST /containers/{id}/wait``: waits, however long it takes, until it does not run; its exit code."""

    def container_logs(self, container: str, *, tail: Optional[int]) -> str:
        """``GET /containers/{id}/logs``: the last lines of both streams, or all; empty if the driver keeps none."""

    def read_container_file(self, container: str, path: str) -> Optional[bytes]:
        """``GET /containers/{id}/archive``: a regular file in a container, running or not; or None."""
