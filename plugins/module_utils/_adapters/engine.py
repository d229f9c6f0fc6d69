# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The Docker engine, spoken to through the docker SDK for Python.

Of the SDK's low-level ``APIClient`` only what is public is used, and of that only what has the same meaning
from release 5.0.3 to 7.1: its constructor, ``base_url``, ``api_version`` and the fact that it is a
``requests.Session``; ``pull`` and ``inspect_distribution``, which find registry credentials; ``logs``, which
takes the stream apart. Requests and answers are in the shape of the Engine API itself: the SDK's helpers for
containers lack options that newer engines have, and their parameters differ between releases.

Importing the SDK takes 0.1 to 0.2 s, whichever of its submodules is asked for (measured); so it is imported
when the first engine is opened and not before.
"""

from __future__ import annotations

import io
import json
import socket
import sys
import tarfile
import time
from typing import Any, Iterable, Mapping, Optional, cast
from urllib.parse import quote

from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import Json
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    EngineUnavailable,
    InvalidInput,
    MissingRequirement,
)

DEFAULT_DOCKER_HOST = "unix:///var/run/docker.sock"
DEFAULT_TIMEOUT = 60
DEFAULT_STOP_TIMEOUT = 10
_FOR_EVER = 10.0**9
_PAUSE = 0.1
MINIMUM_API_VERSION = (1, 41)
"""Docker 20.10, the oldest engine of the supported distributions."""


class Engine:
    """An engine on this host; see :class:``_core.engine_port.EnginePort`` for what each method does.

    Args:
        docker_host: ``unix://`` followed by the absolute path of the engine's socket.
        timeout: seconds to wait for an answer.

    Raises:
        InvalidInput: docker_host is not a unix socket.
        MissingRequirement: the docker SDK for Python is missing or unusable.
        EngineUnavailable: nothing answers at the socket, or it may not be opened.
    """

    def __init__(self, docker_host: str = DEFAULT_DOCKER_HOST, timeout: int = DEFAULT_TIMEOUT) -> None:
        self._timeout = timeout
        self.socket_path = parse_socket_path(docker_host)
        _check_socket(self.socket_path, timeout)
        client_class, self._failures, self._answered = _import_sdk()
        try:
            self._client = client_class(base_url=docker_host, version="auto", timeout=timeout)
        except self._failures as error:
            raise _unusable(docker_host, error) from error
        self.api_version = str(self._client.api_version)
        if _version(self.api_version) < MINIMUM_API_VERSION:
            raise EngineUnavailable(
                docker_host,
                expected=f"API {'.'.join(map(str, MINIMUM_API_VERSION))} or later (Docker 20.10)",
                found=f"API {self.api_version}",
                remedy="Upgrade Docker on this host",
            )

    def info(self) -> Json:
        return cast(Json, self._call("GET", "/info").json())

    def version(self) -> Json:
        return cast(Json, self._call("GET", "/version").json())

    def networks(self) -> list[Json]:
        return cast("list[Json]", self._call("GET", "/networks").json())

    def containers(self, *, labels: Mapping[str, Optional[str]], running_only: bool = False) -> list[Json]:
        filters = {"label": [key if value is None else f"{key}={value}" for key, value in labels.items()]}
        params = {"all": "0" if running_only else "1", "filters": json.dumps(filters)}
        return cast("list[Json]", self._call("GET", "/containers/json", params=params).json())

    def find_container(self, container: str) -> Optional[Json]:
        answer = self._call("GET", f"/containers/{_quoted(container)}/json", absent=(404,))
        if answer is None:
            return None
        found = cast(Json, answer.json())
        return found if container in (found["Id"], found["Name"].lstrip("/")) else None

    def find_image(self, reference: str) -> Optional[Json]:
        answer = self._call("GET", f"/images/{_quoted(reference)}/json", absent=(404,))
        return None if answer is None else cast(Json, answer.json())

    def registry_digest(self, reference: str) -> str:
        action = f"asking the registry for the image {reference}"
        try:
            answer = cast(Json, self._client.inspect_distribution(reference))
        except self._failures as error:
            raise self._failed(action, error) from error
        return str(answer["Descriptor"]["digest"])

    def pull_image(self, reference: str, *, platform: str = "") -> None:
        action = f"pulling the image {reference}"
        try:
            progress = self._client.pull(reference, stream=True, decode=True, platform=platform or None)
            for line in cast(Iterable[Json], progress):
                if line.get("error"):
                    raise EngineUnavailable(action, found=line["error"])
        except self._failures as error:
            raise self._failed(action, error) from error

    def create_container(self, name: str, body: Mapping[str, Any], *, platform: str = "") -> str:
        params = {"name": name, **({"platform": platform} if platform else {})}
        action = f"creating the container {name}"
        answer = self._call("POST", "/containers/create", params=params, body=body, action=action).json()
        identifier = cast(str, answer["Id"])
        try:
            _refuse_discarded(action, answer)
        except EngineUnavailable:
            self.remove_container(identifier, force=True, volumes=True)
            raise
        return identifier

    def update_container(self, container: str, body: Mapping[str, Any]) -> None:
        action = f"updating the container {container}"
        answer = self._call("POST", f"/containers/{_quoted(container)}/update", body=body, action=action)
        _refuse_discarded(action, answer.json())

    def start_container(self, container: str) -> None:
        self._call(
            "POST", f"/containers/{_quoted(container)}/start", action=f"starting the container {container}"
        )

    def stop_container(self, container: str, *, timeout: Optional[int] = None) -> None:
        grace = timeout
        if grace is None:
            found = self.find_container(container)
            grace = (found or {}).get("Config", {}).get("StopTimeout") or DEFAULT_STOP_TIMEOUT
        self._call(
            "POST",
            f"/containers/{_quoted(container)}/stop",
            params={} if timeout is None else {"t": str(timeout)},
            action=f"stopping the container {container}",
            absent=(404,),
            # A negative one lets the container take its time.
            patience=grace + self._timeout if grace >= 0 else _FOR_EVER,
        )

    def rename_container(self, container: str, name: str) -> None:
        self._call(
            "POST",
            f"/containers/{_quoted(container)}/rename",
            params={"name": name},
            action=f"renaming the container {container} to {name}",
        )

    def remove_container(self, container: str, *, force: bool = False, volumes: bool = False) -> None:
        # 409 with these words: the engine removes it by itself, because it was created with AutoRemove.
        try:
            self._call(
                "DELETE",
                f"/containers/{_quoted(container)}",
                params={"force": str(int(force)), "v": str(int(volumes))},
                action=f"removing the container {container}",
                absent=(404,),
            )
        except EngineUnavailable as error:
            if "already in progress" not in error.found or not self._is_gone_soon(container):
                raise

    def _is_gone_soon(self, container: str) -> bool:
        deadline = time.monotonic() + self._timeout
        while time.monotonic() < deadline:
            if self.find_container(container) is None:
                return True
            time.sleep(_PAUSE)
        return False

    def connect_network(self, network: str, container: str, endpoint: Mapping[str, Any]) -> None:
        self._call(
            "POST",
            f"/networks/{_quoted(network)}/connect",
            body={"Container": container, "EndpointConfig": endpoint},
            action=f"connecting the container {container} to the network {network}",
        )

    def disconnect_network(self, network: str, container: str) -> None:
        self._call(
            "POST",
            f"/networks/{_quoted(network)}/disconnect",
            body={"Container": container},
            action=f"disconnecting the container {container} from the network {network}",
        )

    def kill_container(self, container: str, signal: str) -> None:
        self._call(
            "POST",
            f"/containers/{_quoted(container)}/kill",
            params={"signal": signal},
            action=f"killing the container {container}",
        )

    def wait_container(self, container: str) -> int:
        answer = self._call(
            "POST",
            f"/containers/{_quoted(container)}/wait",
            action=f"waiting for the container {container}",
            patience=_FOR_EVER,
        )
        return int(answer.json()["StatusCode"])

    def container_logs(self, container: str, *, tail: Optional[int]) -> str:
        try:
            text = self._client.logs(
                container, stdout=True, stderr=True, tail="all" if tail is None else tail
            )
        except self._answered:
            return ""
        except self._failures as error:
            raise self._failed(f"reading the log of the container {container}", error) from error
        return cast(bytes, text).decode("utf-8", errors="replace")

    def read_container_file(self, container: str, path: str) -> Optional[bytes]:
        answer = self._call(
            "GET",
            f"/containers/{_quoted(container)}/archive",
            params={"path": path},
            action=f"reading {path} in the container {container}",
            absent=(404,),
        )
        if answer is None:
            return None
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as archive:
            member = archive.next()
            stream = archive.extractfile(member) if member is not None and member.isreg() else None
            return stream.read() if stream is not None else None

    def close(self) -> None:
        """Closes the connections to the engine."""
        self._client.close()

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, str]] = None,
        body: Optional[Mapping[str, Any]] = None,
        action: str = "",
        absent: tuple[int, ...] = (),
        patience: Optional[float] = None,
    ) -> Any:
        """One request; returns the answer, or None if its status is one of those that mean *not there*."""
        action = action or f"{method} {path}"
        try:
            answer = self._client.request(
                method,
                f"{self._client.base_url}/v{self.api_version}{path}",
                params=params,
                json=body,
                timeout=patience or self._timeout,
            )
        except self._failures as error:
            raise self._failed(action, error) from error
        if answer.status_code in absent:
            return None
        if answer.status_code >= 400:
            raise EngineUnavailable(action, found=_explanation(answer.text) or f"status {answer.status_code}")
        return answer

    def _failed(self, action: str, error: BaseException) -> EngineUnavailable:
        explanation = getattr(error, "explanation", None)
        if explanation:
            return EngineUnavailable(action, found=str(explanation))
        remedy = "See what dockerd does: systemctl status docker, journalctl -u docker"
        return EngineUnavailable(action, found=str(error), remedy=remedy)


def parse_socket_path(docker_host: str) -> str:
    """The path in ``unix:///path``.

    Raises:
        InvalidInput: it is something else.
    """
    scheme, separator, path = docker_host.partition("://")
    if scheme != "unix" or not separator or not path.startswith("/"):
        raise InvalidInput(
            f"docker_host {docker_host}",
            expected="the engine's socket on this host, such as unix:///var/run/docker.sock",
            remedy="The engine is managed where it runs: let the task run on that host",
        )
    return path


def _check_socket(path: str, timeout: float) -> None:
    """Tells apart why a socket cannot be opened, which the SDK's own exceptions do not (unix(7),
    connect(2))."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(timeout)
            probe.connect(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise EngineUnavailable(
            path,
            expected="the Docker engine's socket",
            found="nothing",
            remedy="Docker is not installed or does not run: install it, for example by the role "
            "wormhole.docker.engine, or start it by systemctl start docker",
        ) from error
    except PermissionError as error:
        raise EngineUnavailable(
            path,
            expected="permission to use the Docker engine",
            found="permission denied",
            remedy="Run the task with become: true",
        ) from error
    except OSError as error:
        raise EngineUnavailable(
            path,
            expected="an answer from the Docker engine",
            found=error.strerror or str(error),
            remedy="See why it does not run: systemctl status docker, journalctl -u docker",
        ) from error


def _import_sdk() -> tuple[Any, tuple[type[BaseException], ...], type[BaseException]]:
    """The client class, what it raises when anything fails, and what it raises when the engine answers an
    error."""
    try:
        import requests
        from docker.api.client import APIClient
        from docker.errors import APIError, DockerException
    except ImportError as error:
        raise MissingRequirement(
            "the docker SDK for Python",
            expected=f"release 5.0.3 or later for {sys.executable}",
            found=str(error),
            remedy="Install python3-docker, or set ansible_python_interpreter to a Python that has it",
        ) from error
    return APIClient, (DockerException, requests.exceptions.RequestException, OSError), APIError


def _unusable(docker_host: str, error: BaseException) -> Exception:
    # Older releases of the SDK do not fit to requests from 2.32 on, nor to urllib3 from 2.0 on.
    if "http+docker" in str(error) or "unexpected keyword argument" in str(error):
        return MissingRequirement(
            "the docker SDK for Python",
            expected=f"a release that fits the libraries requests and urllib3 of {sys.executable}",
            found=str(error),
            remedy="Install docker 7.1 or later, or python3-docker and python3-requests of one distribution",
        )
    return EngineUnavailable(
        docker_host,
        expected="an answer from the Docker engine",
        found=str(error),
        remedy="See what dockerd does: systemctl status docker, journalctl -u docker",
    )


def _refuse_discarded(action: str, answer: Json) -> None:
    """What the engine takes and then leaves out is told by the answer alone: ``GET /info`` is silent on some of it.

    Source: moby, daemon/daemon_unix.go, ``verifyPlatformContainerResources``.
    """
    discarded = [
        text for text in answer.get("Warnings") or () if "does not support" in text and "discarded" in text
    ]
    if discarded:
        raise EngineUnavailable(
            action,
            expected="all options to be heeded",
            found="; ".join(text.rstrip(".") for text in discarded),
            remedy="Leave it out on this host",
        )


def _explanation(text: str) -> str:
    """The engine's own words: the API answers errors as ``{"message": "…"}``."""
    try:
        return str(json.loads(text)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return text.strip()


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _quoted(name: str) -> str:
    # References to images hold slashes, and the API takes them as they are.
    return quote(name, safe="/:@")
