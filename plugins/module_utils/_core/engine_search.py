# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a program that runs inside a wormhole looks for the engine, in which order.

What the environment says counts alone, as it does for every Docker client: another engine that answers would be a
surprise. Otherwise sockets come before addresses, because they are certain to be mounted on purpose.

Sources: Docker CLI reference, "Environment variables" (any value of ``DOCKER_TLS_VERIFY`` but the empty one counts;
``DOCKER_CERT_PATH`` is ``~/.docker`` by default).
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.client_settings import parse_docker_host
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import DEFAULT_PORTS, TCP, TLS
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    SOCKET_DIRECTORY,
    SOCKET_TARGET,
)

SOCKETS = (f"{SOCKET_DIRECTORY}/docker.sock", SOCKET_TARGET)
CERTIFICATES = ("/certs",)
"""Where wormhole_container mounts an identity, beside Docker's own ``~/.docker``."""


@dataclass(frozen=True)
class Candidate:
    """An engine that may be there.

    Attributes:
        origin: where it comes from, for messages.
        socket: path of a unix socket; empty for TCP.
        address, port: of a TCP endpoint.
        directory: the client's certificates; empty for plaintext.
    """

    origin: str
    socket: str = ""
    address: str = ""
    port: int = 0
    directory: str = ""

    @property
    def docker_host(self) -> str:
        """In the form of ``DOCKER_HOST``."""
        if self.socket:
            return f"unix://{self.socket}"
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"tcp://{host}:{self.port}"

    @property
    def transport(self) -> str:
        return "unix" if self.socket else TLS if self.directory else TCP


def certificate_directories(environment: Mapping[str, str], wanted: str = "") -> tuple[str, ...]:
    """Where the client's certificates may be, the first that holds them counts.

    Args:
        environment: the process's variables.
        wanted: the only place, if somebody has named one.
    """
    named = wanted or environment.get("DOCKER_CERT_PATH", "")
    if named:
        return (named,)
    home = environment.get("HOME", "")
    return tuple(([posixpath.join(home, ".docker")] if home else []) + list(CERTIFICATES))


def from_environment(
    environment: Mapping[str, str], directory: str, directories: tuple[str, ...] = CERTIFICATES
) -> Optional[Candidate]:
    """The engine that the environment names; None if it names none.

    Args:
        environment: the process's variables.
        directory: the client's certificates; empty if there are none.
        directories: where they were looked for.

    Raises:
        InvalidInput: it is none that this can speak to, or it takes certificates that are not there.
    """
    docker_host = environment.get("DOCKER_HOST", "")
    if not docker_host:
        return None
    origin = f"DOCKER_HOST={docker_host}"
    scheme, _separator, path = docker_host.partition("://")
    if scheme == "unix" and path.startswith("/"):
        return Candidate(origin, socket=path)
    encrypted = bool(environment.get("DOCKER_TLS_VERIFY") or environment.get("DOCKER_TLS"))
    if encrypted and not directory:
        raise InvalidInput(
            origin,
            expected=f"ca.pem, cert.pem and key.pem to be readable in {' or '.join(directories)}",
            remedy="Name their directory by the option certificate_path",
        )
    try:
        address, port = parse_docker_host(docker_host, DEFAULT_PORTS[TLS if encrypted else TCP], origin)
    except InvalidInput as error:
        expected = "tcp://host:port or unix:///path"
        raise InvalidInput("DOCKER_HOST", expected=expected, found=docker_host) from error
    return Candidate(origin, address=address, port=port, directory=directory if encrypted else "")


def from_surroundings(
    sockets: Iterable[str],
    addresses: Iterable[str],
    directory: str,
    port: int,
    insecure_plaintext_port: Optional[int],
) -> tuple[Candidate, ...]:
    """The engines that may be there when the environment names none, in the order in which to try them.

    Args:
        sockets: paths of the unix sockets that are there.
        addresses: of the host, the most likely first; see :func:`_core.discovery.find_candidates`.
        directory: the client's certificates; empty if there are none, and then nothing is tried by TLS.
        port: of the listener that speaks TLS.
        insecure_plaintext_port: of the one that does not; None to try none.
    """
    places = tuple(addresses)
    found = [Candidate(f"socket {path}", socket=path) for path in sockets]
    if directory:
        found += [Candidate(f"address {a}", address=a, port=port, directory=directory) for a in places]
    if insecure_plaintext_port is not None:
        found += [Candidate(f"address {a}", address=a, port=insecure_plaintext_port) for a in places]
    return tuple(found)


def connection_options(candidate: Candidate) -> dict[str, object]:
    """Options by which the modules of community.docker reach this engine."""
    if not candidate.directory:
        return {"docker_host": candidate.docker_host}
    return {
        "docker_host": candidate.docker_host,
        "validate_certs": True,
        "ca_path": posixpath.join(candidate.directory, "ca.pem"),
        "client_cert": posixpath.join(candidate.directory, "cert.pem"),
        "client_key": posixpath.join(candidate.directory, "key.pem"),
    }
