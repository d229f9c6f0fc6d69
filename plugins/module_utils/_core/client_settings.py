# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Docker client inside a container would connect to, read from the container's inspection.

Sources: Docker CLI reference, "Environment variables" (``DOCKER_HOST``, ``DOCKER_CERT_PATH``, ``DOCKER_TLS_VERIFY``,
``DOCKER_TLS``: any value but the empty one counts); Engine API, ``ContainerInspect``; ``files/wormhole-discover``.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import PROGRAM
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import (
    DEFAULT_PORTS,
    TCP,
    TLS,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import LABEL_DISCOVER, RUNTIME


@dataclass(frozen=True)
class ClientSettings:
    """The settings of a Docker client.

    Attributes:
        address: host of ``DOCKER_HOST``; empty if that is not set, and where it is looked up at each start.
        port: its port; 0 if ``DOCKER_HOST`` is not set. Where it is looked up, the port at which that is done.
        transport: ``tls`` or ``tcp``.
        directory: the directory on the host that is mounted at ``DOCKER_CERT_PATH``; empty without TLS.
        discovers: whether a program looks the address up at each start, which the environment then does not tell.
    """

    address: str
    port: int
    transport: str
    directory: str
    discovers: bool = False


def parse_client_settings(
    inspection: Mapping[str, Any], *, address: str = "", directory: str = ""
) -> ClientSettings:
    """The settings of a container's environment.

    Args:
        inspection: of the container, as the Engine API gives it.
        address: to be used instead of ``DOCKER_HOST``, which is then not looked at.
        directory: to be used instead of what is mounted at ``DOCKER_CERT_PATH``, which is then not looked at.

    Raises:
        InvalidInput: the environment names no TCP endpoint, or certificates that the host does not have.
    """
    name = str(inspection.get("Name", "")).lstrip("/")
    environment = environment_of(inspection)
    if _discovers(inspection):
        return _discovering(inspection, environment, address, directory, f"container {name}")
    docker_host = "" if address else environment.get("DOCKER_HOST", "")
    # Where nothing is set, TLS is what we look for.
    encrypted = bool(environment.get("DOCKER_TLS_VERIFY") or environment.get("DOCKER_TLS") or not docker_host)
    transport = TLS if encrypted or directory else TCP
    port = 0
    if docker_host:
        address, port = parse_docker_host(docker_host, DEFAULT_PORTS[transport], f"container {name}")
    if transport == TLS and not directory and environment.get("DOCKER_CERT_PATH"):
        directory = mounted_directory(inspection, environment["DOCKER_CERT_PATH"], f"container {name}")
    return ClientSettings(address, port, transport, directory)


def _discovers(inspection: Mapping[str, Any]) -> bool:
    """Whether it starts with the program that looks the address up; images of one's own have no label that says so."""
    config = inspection.get("Config") or {}
    words = (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))
    labelled = (config.get("Labels") or {}).get(LABEL_DISCOVER) == RUNTIME
    return labelled or any(posixpath.basename(PROGRAM) in str(word) for word in words)


def _discovering(
    inspection: Mapping[str, Any], environment: Mapping[str, str], address: str, directory: str, subject: str
) -> ClientSettings:
    """What the program is told by its own settings; it does not look at ``DOCKER_HOST``, but replaces it."""
    plaintext = environment.get("WORMHOLE_INSECURE_PLAINTEXT") == "true" and not directory
    transport = TCP if plaintext else TLS
    port = environment.get("WORMHOLE_PORT", "")
    if transport == TLS and not directory:
        path = environment.get("WORMHOLE_CERT_PATH") or environment.get("DOCKER_CERT_PATH") or "/certs"
        directory = mounted_directory(inspection, path, subject)
    number = int(port) if port.isascii() and port.isdigit() else DEFAULT_PORTS[transport]
    return ClientSettings(address, number, transport, directory, discovers=True)


def running_pid(inspection: Mapping[str, Any]) -> int:
    """The process id, on the host, of a running container.

    Raises:
        WormholeError: it does not run.
    """
    state = inspection.get("State") or {}
    pid = int(state.get("Pid") or 0)
    if not state.get("Running") or pid <= 0:
        raise WormholeError(
            f"container {str(inspection.get('Name', '')).lstrip('/')}",
            expected="running, so that there is a network namespace to look from",
            found=str(state.get("Status") or "not running"),
            remedy="Start it first",
        )
    return pid


def environment_of(inspection: Mapping[str, Any]) -> dict[str, str]:
    """A container's environment variables."""
    variables = (inspection.get("Config") or {}).get("Env") or []
    return dict(variable.split("=", 1) for variable in variables if "=" in variable)


def parse_docker_host(text: str, default_port: int, subject: str) -> tuple[str, int]:
    """Host and port in ``tcp://host:port``.

    Raises:
        InvalidInput: it is something else.
    """
    scheme, separator, rest = text.partition("://")
    if scheme == "unix":
        raise InvalidInput(
            subject,
            expected="DOCKER_HOST=tcp://…, or the option address",
            found=f"DOCKER_HOST={text}, a unix socket, at which there are no layers to look at",
            remedy="Give an address to look at another endpoint from this container",
        )
    authority = rest.split("/", 1)[0]
    host, port = authority, ""
    if authority.startswith("["):
        host, _bracket, tail = authority[1:].partition("]")
        port = tail[1:] if tail.startswith(":") else tail
    elif ":" in authority:
        host, port = authority.rsplit(":", 1)
    if scheme != "tcp" or not separator or not host or (port and not (port.isascii() and port.isdigit())):
        raise InvalidInput(subject, expected="DOCKER_HOST=tcp://host:port", found=f"DOCKER_HOST={text}")
    return host, int(port or default_port)


def mounted_directory(inspection: Mapping[str, Any], path: str, subject: str) -> str:
    """The directory on the host that a path inside the container is; the mount nearest to it counts.

    Raises:
        InvalidInput: it is none.
    """
    path = posixpath.normpath(path)
    best = ("", "")
    for mount in inspection.get("Mounts") or []:
        destination = posixpath.normpath(str(mount.get("Destination", "")))
        inside = path == destination or path.startswith(destination.rstrip("/") + "/")
        if inside and len(destination) > len(best[0]):
            best = (destination, str(mount.get("Source", "")))
    destination, source = best
    if not source.startswith("/"):
        raise InvalidInput(
            subject,
            expected=f"a directory of the host mounted at DOCKER_CERT_PATH={path}",
            found="none",
            remedy="Give the client's certificates by the option directory",
        )
    return posixpath.normpath(posixpath.join(source, posixpath.relpath(path, destination)))
