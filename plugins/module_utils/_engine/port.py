# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The interface of a Docker engine.

Values are plain dictionaries in the shape of the Docker Engine API
(https://docs.docker.com/reference/api/engine/), because every layer that reads them quotes that
reference. :class:`_engine.io.sdk.Engine` implements it.
"""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Protocol

Json = Dict[str, Any]


class EnginePort(Protocol):
    """A Docker engine.

    Every method raises EngineUnavailable if the engine does not answer or answers an error. A
    *container* is given by its name or its full ID. The API accepts the beginning of an ID too;
    implementations must not, or the name ``ab`` could find an unrelated container.
    """

    def info(self) -> Json:
        """``GET /info``: the engine and its host."""

    def version(self) -> Json:
        """``GET /version``: versions of the engine and of its API."""

    def networks(self) -> list[Json]:
        """``GET /networks``: all networks, as their inspections without containers."""

    def containers(self, *, labels: Mapping[str, Optional[str]], running_only: bool = False) -> list[Json]:
        """``GET /containers/json``: summaries of containers with these labels; None: any value."""

    def find_container(self, container: str) -> Optional[Json]:
        """``GET /containers/{id}/json``: the inspection of one container; None if there is none."""

    def find_image(self, reference: str) -> Optional[Json]:
        """``GET /images/{name}/json``: the inspection of a local image; None if there is none."""

    def registry_digest(self, reference: str) -> str:
        """``GET /distribution/{name}/json``: the registry's present digest of an image."""

    def pull_image(self, reference: str, *, platform: str = "") -> None:
        """``POST /images/create``: pulls one image; its tag is ``latest`` by default."""

    def create_container(self, name: str, body: Mapping[str, Any], *, platform: str = "") -> str:
        """``POST /containers/create``: creates a container and returns its full ID.

        Raises:
            EngineUnavailable: it cannot be created, or the engine would ignore an option; no
                container remains.
        """

    def update_container(self, container: str, body: Mapping[str, Any]) -> None:
        """``POST /containers/{id}/update``: changes resources or the restart policy.

        Raises:
            EngineUnavailable: it cannot be changed, or the engine ignored an option.
        """

    def start_container(self, container: str) -> None:
        """``POST /containers/{id}/start``; no error if it is running."""

    def stop_container(self, container: str, *, timeout: Optional[int] = None) -> None:
        """``POST /containers/{id}/stop``; no error if it is stopped or does not exist.

        The engine may remove a container with ``AutoRemove`` at any moment after it has exited.

        Args:
            container: name or full ID.
            timeout: seconds until it is killed; by default the timeout that it was created with.
        """

    def restart_container(self, container: str, *, timeout: Optional[int] = None) -> None:
        """``POST /containers/{id}/restart``; keeps a container with ``AutoRemove``.

        Args:
            container: name or full ID.
            timeout: see :meth:`stop_container`.
        """

    def pause_container(self, container: str) -> None:
        """``POST /containers/{id}/pause``; fails if it is paused, or not running."""

    def unpause_container(self, container: str) -> None:
        """``POST /containers/{id}/unpause``; fails if it is not paused."""

    def rename_container(self, container: str, name: str) -> None:
        """``POST /containers/{id}/rename``."""

    def remove_container(self, container: str, *, force: bool = False, volumes: bool = False) -> None:
        """``DELETE /containers/{id}``; no error if it does not exist.

        Args:
            container: name or full ID.
            force: kill it first if it is running.
            volumes: remove its anonymous volumes too; named volumes always stay.
        """

    def connect_network(self, network: str, container: str, endpoint: Mapping[str, Any]) -> None:
        """``POST /networks/{id}/connect`` with an EndpointSettings object."""

    def disconnect_network(self, network: str, container: str) -> None:
        """``POST /networks/{id}/disconnect``."""

    def kill_container(self, container: str, signal: str) -> None:
        """``POST /containers/{id}/kill``: sends a signal; fails if it is not running."""

    def wait_container(self, container: str) -> int:
        """``POST /containers/{id}/wait``: waits until it has exited; returns its exit code."""

    def container_logs(self, container: str, *, tail: Optional[int]) -> str:
        """``GET /containers/{id}/logs``: the last lines, or all; empty if the driver keeps none.

        Only the end of a log of more than 4 MiB.
        """

    def read_container_file(self, container: str, path: str) -> Optional[bytes]:
        """``GET /containers/{id}/archive``: content of a file; None if it is no regular file.

        A file of more than 4 MiB is an error.
        """
