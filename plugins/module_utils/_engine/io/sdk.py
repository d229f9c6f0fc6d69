# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Long because it has a method for each question to the engine and each change.
"""The Docker engine, through the docker SDK for Python.

Of the SDK's low-level ``APIClient``, this uses only public parts that mean the same from release
5.0.3 to 7.1: the constructor, ``base_url``, ``api_version`` and the fact that it is a
``requests.Session``; ``pull`` and ``inspect_distribution``, which find registry credentials.
Requests and answers have the shape of the Engine API itself:
the SDK's helpers for containers lack options of newer engines, and their parameters differ between
releases.

Importing the SDK takes 0.1 to 0.2 s (measured); it is therefore imported when the first engine is
opened.
"""

from __future__ import annotations

import contextlib
import io
import json
import socket
import sys
import tarfile
import time
from typing import Any, Container, Iterable, Iterator, Mapping, Optional, cast
from urllib.parse import quote

from ..._base.errors import EngineUnavailable, InvalidInput, MissingRequirement
from ..._container.inspection import config_of
from ..port import Json

DEFAULT_DOCKER_HOST = "unix:///var/run/docker.sock"
DEFAULT_TIMEOUT = 60
DEFAULT_STOP_TIMEOUT = 10
_LARGEST_LOG = 4 << 20
_LARGEST_ARCHIVE = 4 << 20
_CHUNK = 1 << 16
_ERRORS = range(400, 600)
_FOREVER = 10.0**9
"""Seconds."""
_PAUSE = 0.1
"""Seconds between two looks at a container that is being removed."""
_SEE_LOG = "See the state of dockerd: systemctl status docker, journalctl -u docker"
MINIMUM_API_VERSION = (1, 41)
"""Docker 20.10, the oldest engine of the supported distributions."""


class Engine:
    """An engine on this host; :class:`_engine.port.EnginePort` documents the methods.

    Args:
        docker_host: ``unix://`` followed by the absolute path of the engine's socket.
        timeout: seconds to wait for an answer.
        removal_timeout: seconds to wait for a removal that is in progress; None: the same.

    Raises:
        InvalidInput: docker_host is not a unix socket.
        MissingRequirement: the docker SDK for Python is missing or unusable.
        EngineUnavailable: nothing answers at the socket, or this process may not open it.
    """

    def __init__(
        self,
        docker_host: str = DEFAULT_DOCKER_HOST,
        timeout: int = DEFAULT_TIMEOUT,
        removal_timeout: Optional[float] = None,
    ) -> None:
        self._timeout = timeout
        self._removal_timeout = timeout if removal_timeout is None else removal_timeout
        self.socket_path = parse_socket_path(docker_host)
        _check_socket(self.socket_path, timeout)
        client_class, self._failures = _import_sdk()
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
        with self._reported(f"asking the registry for the image {reference}"):
            answer = cast(Json, self._client.inspect_distribution(reference))
        return str(answer["Descriptor"]["digest"])

    def pull_image(self, reference: str, *, platform: str = "") -> None:
        action = f"pulling the image {reference}"
        with self._reported(action):
            progress = self._client.pull(reference, stream=True, decode=True, platform=platform or None)
            for line in cast(Iterable[Json], progress):
                if line.get("error"):
                    raise _failure(action, line["error"])

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
        answer = self._post(container, "update", action, body=body)
        _refuse_discarded(action, answer.json())

    def start_container(self, container: str) -> None:
        self._post(container, "start", f"starting the container {container}")

    def stop_container(self, container: str, *, timeout: Optional[int] = None) -> None:
        self._end(container, "stop", f"stopping the container {container}", timeout, absent=(404,))

    def restart_container(self, container: str, *, timeout: Optional[int] = None) -> None:
        self._end(container, "restart", f"restarting the container {container}", timeout)

    def _end(self, container: str, verb: str, action: str, timeout: Optional[int], **request: Any) -> None:
        """Sends a request that stops a container, and waits for as long as that may take."""
        grace = timeout
        if grace is None:
            grace = config_of(self.find_container(container)).get("StopTimeout") or DEFAULT_STOP_TIMEOUT
        params = {} if timeout is None else {"t": str(timeout)}
        # A negative value waits without limit.
        patience = grace + self._timeout if grace >= 0 else _FOREVER
        self._post(container, verb, action, params=params, patience=patience, **request)

    def pause_container(self, container: str) -> None:
        self._post(container, "pause", f"pausing the container {container}")

    def unpause_container(self, container: str) -> None:
        self._post(container, "unpause", f"unpausing the container {container}")

    def rename_container(self, container: str, name: str) -> None:
        action = f"renaming the container {container} to {name}"
        self._post(container, "rename", action, params={"name": name})

    def remove_container(self, container: str, *, force: bool = False, volumes: bool = False) -> None:
        path, action = f"/containers/{_quoted(container)}", f"removing the container {container}"
        params = {"force": str(int(force)), "v": str(int(volumes))}
        try:
            self._call("DELETE", path, params=params, action=action, absent=(404,))
        except EngineUnavailable as error:
            # Status 409: the engine is removing the container, because it was created with
            # AutoRemove.
            if "already in progress" not in error.found:
                raise
            if not self._is_gone_soon(container):
                error.remedy = f"Waited {self._removal_timeout:g} s for that; see removal_wait_timeout"
                raise

    def _is_gone_soon(self, container: str) -> bool:
        deadline = time.monotonic() + self._removal_timeout
        while time.monotonic() < deadline:
            if self.find_container(container) is None:
                return True
            time.sleep(_PAUSE)
        return False

    def connect_network(self, network: str, container: str, endpoint: Mapping[str, Any]) -> None:
        action = f"connecting the container {container} to the network {network}"
        body = {"Container": container, "EndpointConfig": endpoint}
        self._call("POST", f"/networks/{_quoted(network)}/connect", body=body, action=action)

    def disconnect_network(self, network: str, container: str) -> None:
        action = f"disconnecting the container {container} from the network {network}"
        body = {"Container": container}
        self._call("POST", f"/networks/{_quoted(network)}/disconnect", body=body, action=action)

    def kill_container(self, container: str, signal: str) -> None:
        self._post(container, "kill", f"killing the container {container}", params={"signal": signal})

    def wait_container(self, container: str) -> int:
        answer = self._post(container, "wait", f"waiting for the container {container}", patience=_FOREVER)
        return int(answer.json()["StatusCode"])

    def container_logs(self, container: str, *, tail: Optional[int]) -> str:
        url, action = (
            f"/containers/{_quoted(container)}/logs",
            f"reading the log of the container {container}",
        )
        params = {"stdout": "1", "stderr": "1", "tail": "all" if tail is None else str(tail)}
        config = (self.find_container(container) or {}).get("Config") or {}
        answer = self._call("GET", url, params=params, action=action, absent=_ERRORS, stream=True)
        if answer is None:
            return ""
        end = bytearray()
        with self._reported(action), contextlib.closing(answer):
            chunks = answer.iter_content(_CHUNK)
            for chunk in chunks if config.get("Tty") else without_headers(chunks):
                end += chunk
                if len(end) > 2 * _LARGEST_LOG:
                    del end[:-_LARGEST_LOG]
        return end[-_LARGEST_LOG:].decode("utf-8", errors="replace")

    def read_container_file(self, container: str, path: str) -> Optional[bytes]:
        url, action = (
            f"/containers/{_quoted(container)}/archive",
            f"reading {path} in the container {container}",
        )
        answer = self._call("GET", url, params={"path": path}, action=action, absent=(404,), stream=True)
        if answer is None:
            return None
        content = bytearray()
        with self._reported(action), contextlib.closing(answer):
            for chunk in answer.iter_content(_CHUNK):
                content += chunk
                if len(content) > _LARGEST_ARCHIVE:
                    break
        try:
            with tarfile.open(fileobj=io.BytesIO(content)) as archive:
                member = archive.next()
                stream = archive.extractfile(member) if member is not None and member.isreg() else None
                return stream.read() if stream is not None else None
        except tarfile.TarError as error:
            large = len(content) > _LARGEST_ARCHIVE
            found = f"it is larger than {_LARGEST_ARCHIVE >> 20} MiB" if large else str(error)
            raise _failure(action, found) from error

    def close(self) -> None:
        """Closes the connections to the engine."""
        self._client.close()

    def _post(self, container: str, verb: str, action: str, **request: Any) -> Any:
        return self._call("POST", f"/containers/{_quoted(container)}/{verb}", action=action, **request)

    def _call(
        self,
        method: str,
        path: str,
        *,
        params: Optional[Mapping[str, str]] = None,
        body: Optional[Mapping[str, Any]] = None,
        action: str = "",
        absent: Container[int] = (),
        patience: Optional[float] = None,
        stream: bool = False,
    ) -> Any:
        """Sends one request.

        Args:
            action: what the request does, for messages; by default the method and the path.
            absent: the status codes for which to return None.
            patience: seconds to wait for the answer; by default the timeout of this engine.
            stream: whether to leave the content of the answer to the caller, who has to close it.
        """
        action = action or f"{method} {path}"
        url = f"{self._client.base_url}/v{self.api_version}{path}"
        with self._reported(action):
            answer = self._client.request(
                method, url, params=params, json=body, timeout=patience or self._timeout, stream=stream
            )
        if answer.status_code in absent:
            answer.close()
            return None
        if answer.status_code >= 400:
            raise _failure(action, _explanation(answer.text) or f"status {answer.status_code}")
        return answer

    @contextlib.contextmanager
    def _reported(self, action: str) -> Iterator[None]:
        """Reports an exception of the SDK as EngineUnavailable."""
        try:
            yield
        except self._failures as error:
            explanation = str(getattr(error, "explanation", None) or "")
            raise _failure(action, explanation or str(error), "" if explanation else _SEE_LOG) from error


def without_headers(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The output of a container without a terminal, of which each part has a header of 8 bytes.

    Source: Engine API, ``POST /containers/{id}/attach``.
    """
    header, left = bytearray(), 0
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            if left:
                part, rest = rest[:left], rest[left:]
                left -= len(part)
                yield bytes(part)
                continue
            missing = 8 - len(header)
            header += rest[:missing]
            rest = rest[missing:]
            if len(header) == 8:
                left = int.from_bytes(header[4:], "big")
                header.clear()


def parse_socket_path(docker_host: str) -> str:
    """The path in ``unix:///path``.

    Raises:
        InvalidInput: docker_host has another form.
    """
    scheme, separator, path = docker_host.partition("://")
    if scheme != "unix" or not separator or not path.startswith("/"):
        expected = "the engine's socket on this host, such as unix:///var/run/docker.sock"
        remedy = "Run the task on the host of the engine"
        raise InvalidInput(f"docker_host {docker_host}", expected=expected, remedy=remedy)
    return path


def _check_socket(path: str, timeout: float) -> None:
    """Reports why a socket cannot be opened, which the SDK does not (unix(7), connect(2))."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(timeout)
            probe.connect(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise EngineUnavailable(
            path,
            problem=f"The Docker engine's socket {path} does not exist: Docker is not installed, or does not run",
            remedy="Install it, for example with the role wormhole.docker.engine, or start it: systemctl start docker",
        ) from error
    except PermissionError as error:
        remedy = "Run the task with become: true"
        raise EngineUnavailable(path, problem=f"{path}: permission denied", remedy=remedy) from error
    except OSError as error:
        raise _silent(path, error.strerror or str(error)) from error


def _import_sdk() -> tuple[Any, tuple[type[BaseException], ...]]:
    """The client class, and all exceptions that it raises."""
    try:
        import requests
        from docker.api.client import APIClient
        from docker.errors import DockerException
    except ImportError as error:
        raise MissingRequirement(
            "the docker SDK for Python",
            problem=f"{sys.executable} has no docker SDK for Python, release 5.0.3 or later ({error})",
            remedy="Set ansible_python_interpreter to a Python that has it: /usr/bin/python3 with python3-docker",
        ) from error
    return APIClient, (DockerException, requests.exceptions.RequestException, OSError)


def _unusable(docker_host: str, error: BaseException) -> Exception:
    # Older releases of the SDK work neither with requests 2.32 and later nor with urllib3 2.0 and
    # later.
    if "http+docker" in str(error) or "unexpected keyword argument" in str(error):
        return MissingRequirement(
            "the docker SDK for Python",
            problem=f"The docker SDK of {sys.executable} does not work with its libraries requests and urllib3 ({error})",
            remedy="Install docker 7.1 or later, or python3-docker and python3-requests of one distribution",
        )
    return _silent(docker_host, str(error))


def _silent(address: str, found: str) -> EngineUnavailable:
    problem = f"The Docker engine does not answer at {address}: {found}"
    return EngineUnavailable(address, found=found, problem=problem, remedy=_SEE_LOG)


def _failure(action: str, found: str, remedy: str = "") -> EngineUnavailable:
    return EngineUnavailable(action, found=found, problem=f"{action}: {found}", remedy=remedy)


def _refuse_discarded(action: str, answer: Json) -> None:
    """Rejects an answer that reports an ignored option; ``GET /info`` does not predict all.

    Source: moby, daemon/daemon_unix.go, ``verifyPlatformContainerResources``.
    """
    warnings = answer.get("Warnings") or ()
    discarded = [text.rstrip(".") for text in warnings if "does not support" in text and "discarded" in text]
    if discarded:
        problem = f"{action}: the engine ignores an option ({'; '.join(discarded)})"
        raise EngineUnavailable(action, problem=problem, remedy="Leave it out on this host")


def _explanation(text: str) -> str:
    """The engine's message: the API answers errors as ``{"message": "…"}``."""
    try:
        return str(json.loads(text)["message"]).strip()
    except (ValueError, KeyError, TypeError):
        return text.strip()


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _quoted(name: str) -> str:
    # References of images hold slashes, which the API does not expect to be quoted.
    return quote(name, safe="/:@")
