# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The engines that the lookup ``docker_host`` tries, in order.

If the environment names an engine, no other one is tried, as with every Docker client. Otherwise
sockets come before addresses, because somebody mounted them on purpose.

Sources: Docker CLI reference, "Environment variables" (any value of ``DOCKER_TLS_VERIFY`` except
the empty one counts; ``DOCKER_CERT_PATH`` is ``~/.docker`` by default).
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Iterable, Mapping, Optional

from .._base.address import SocketAddress
from .._base.errors import InvalidInput
from .._endpoint.model import DEFAULT_PORTS, TCP, TLS
from .._wiring.spec import SOCKET_DIRECTORY, SOCKET_TARGET, UNIX, Transport
from .settings import parse_docker_host

SOCKETS = (f"{SOCKET_DIRECTORY}/docker.sock", SOCKET_TARGET)
CERTIFICATES = ("/certs",)
"""Where wormhole_container mounts an identity."""


@dataclass(frozen=True)
class Candidate:
    """An engine to try.

    Attributes:
        origin: why it is tried, for messages.
        socket: path of a unix socket; empty for TCP.
        address, port: a TCP endpoint.
        directory: the client's certificates; empty for plaintext.
    """

    origin: str
    socket: str = ""
    address: str = ""
    port: int = 0
    directory: str = ""

    @property
    def docker_host(self) -> str:
        """The engine in the form of ``DOCKER_HOST``."""
        if self.socket:
            return f"unix://{self.socket}"
        return f"tcp://{SocketAddress(self.address, self.port)}"

    @property
    def transport(self) -> Transport:
        return UNIX if self.socket else TLS if self.directory else TCP


def certificate_directories(environment: Mapping[str, str], directory: str = "") -> tuple[str, ...]:
    """The directories to search for the client's certificates, in order.

    A directory given is the only one; without, ``DOCKER_CERT_PATH``; without, the defaults.
    """
    named = directory or environment.get("DOCKER_CERT_PATH", "")
    if named:
        return (named,)
    home = environment.get("HOME", "")
    return ((posixpath.join(home, ".docker"),) if home else ()) + CERTIFICATES


def from_environment(
    environment: Mapping[str, str], directory: str, directories: tuple[str, ...] = CERTIFICATES
) -> Optional[Candidate]:
    """The engine that the environment names; None if it names none.

    Args:
        directory: the client's certificates; empty if there are none.
        directories: the directories that were searched for them.

    Raises:
        InvalidInput: ``DOCKER_HOST`` has an unsupported form, or certificates are missing.
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
        places = " or ".join(directories)
        raise InvalidInput(
            origin,
            remedy="Set the option certificate_path to their directory",
            problem=f"{origin} requires TLS, but no ca.pem, cert.pem and key.pem are readable in {places}",
        )
    try:
        address, port = parse_docker_host(docker_host, DEFAULT_PORTS[TLS if encrypted else TCP], origin)
    except InvalidInput as error:
        raise InvalidInput(
            "DOCKER_HOST", problem=f"{origin} is not of the form tcp://host:port or unix:///path"
        ) from error
    return Candidate(origin, address=address, port=port, directory=directory if encrypted else "")


def from_surroundings(
    sockets: Iterable[str],
    addresses: Iterable[str],
    directory: str,
    port: int,
    insecure_plaintext_port: Optional[int],
) -> tuple[Candidate, ...]:
    """The engines to try if the environment names none, in order.

    Args:
        sockets: paths of existing unix sockets.
        addresses: addresses that may be the host's; see :func:`_client.settings.find_candidates`.
        directory: the client's certificates; empty to try no TLS.
        port: TCP port to try with TLS.
        insecure_plaintext_port: TCP port to try without TLS; None to try none.
    """
    places = tuple(addresses)
    found = [Candidate(f"socket {path}", socket=path) for path in sockets]
    if directory:
        found += [Candidate(f"address {a}", address=a, port=port, directory=directory) for a in places]
    if insecure_plaintext_port is not None:
        found += [Candidate(f"address {a}", address=a, port=insecure_plaintext_port) for a in places]
    return tuple(found)


def connection_options(candidate: Candidate) -> dict[str, object]:
    """Options with which the modules of community.docker connect to this engine."""
    if not candidate.directory:
        return {"docker_host": candidate.docker_host}
    return {
        "docker_host": candidate.docker_host,
        "validate_certs": True,
        "ca_path": posixpath.join(candidate.directory, "ca.pem"),
        "client_cert": posixpath.join(candidate.directory, "cert.pem"),
        "client_key": posixpath.join(candidate.directory, "key.pem"),
    }
