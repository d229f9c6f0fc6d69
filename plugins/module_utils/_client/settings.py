# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the endpoint of a container's Docker clients from its inspection, and order the candidates of
the run-time discovery.

Sources: Docker CLI reference, "Environment variables" (``DOCKER_HOST``, ``DOCKER_CERT_PATH``,
``DOCKER_TLS_VERIFY``, ``DOCKER_TLS``: any value except the empty one counts); Engine API,
``ContainerInspect``; ``files/wormhole-discover``.
"""

from __future__ import annotations

import ipaddress
import posixpath
from dataclasses import dataclass
from typing import Any, Iterable, Iterator, Mapping, Sequence

from .._base.address import SocketAddress, split_url
from .._base.errors import InvalidInput
from .._base.labels import LABEL_DISCOVER
from .._container.inspection import config_of, environment_of, labels_of, mounts_of, name_of
from .._endpoint.model import DEFAULT_PORTS, TCP, TLS, Transport, find_in_hosts
from .._networks.routes import Route, default_gateways
from .._wiring.program import PROGRAM
from .._wiring.spec import HOST_NAME, RUNTIME

SOURCES = ("gateways", "host-gateway", "networks")
"""Words of ``WORMHOLE_CANDIDATES``, in the default order."""


@dataclass(frozen=True)
class ClientSettings:
    """The settings of a Docker client.

    Attributes:
        address: host of ``DOCKER_HOST``; empty if that is not set or the container discovers it.
        port: its port; 0 if ``DOCKER_HOST`` is not set. The port to search if the container
            discovers the address.
        transport: ``tls`` or ``tcp``.
        directory: directory of the host mounted at ``DOCKER_CERT_PATH``; empty without TLS.
        discovers: whether wormhole-discover finds the address each time the container starts.
    """

    address: str
    port: int
    transport: Transport
    directory: str
    discovers: bool = False


def parse_client_settings(
    inspection: Mapping[str, Any], *, address: str = "", directory: str = ""
) -> ClientSettings:
    """Read the settings from a container's environment.

    Args:
        inspection: the container, in the shape of the Engine API.
        address: address to use instead of ``DOCKER_HOST``.
        directory: directory to use instead of the one that is mounted at ``DOCKER_CERT_PATH``.

    Raises:
        InvalidInput: the environment names no TCP endpoint, or no directory of the host.
    """
    name = name_of(inspection)
    environment = environment_of(inspection)
    if _discovers(inspection):
        return _discovering(inspection, environment, address, directory, f"container {name}")
    docker_host = "" if address else environment.get("DOCKER_HOST", "")
    # TLS is the default if nothing is set.
    encrypted = bool(environment.get("DOCKER_TLS_VERIFY") or environment.get("DOCKER_TLS") or not docker_host)
    transport: Transport = TLS if encrypted or directory else TCP
    port = 0
    if docker_host:
        address, port = parse_docker_host(docker_host, DEFAULT_PORTS[transport], f"container {name}")
    if transport == TLS and not directory and environment.get("DOCKER_CERT_PATH"):
        directory = mounted_directory(inspection, environment["DOCKER_CERT_PATH"], f"container {name}")
    return ClientSettings(address, port, transport, directory)


def _discovers(inspection: Mapping[str, Any]) -> bool:
    """Whether the container starts with wormhole-discover, with or without its label."""
    config = config_of(inspection)
    words = (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))
    labelled = labels_of(inspection).get(LABEL_DISCOVER) == RUNTIME
    return labelled or any(posixpath.basename(PROGRAM) in str(word) for word in words)


def _discovering(
    inspection: Mapping[str, Any], environment: Mapping[str, str], address: str, directory: str, subject: str
) -> ClientSettings:
    """The settings of wormhole-discover, which ignores ``DOCKER_HOST`` and replaces it."""
    plaintext = environment.get("WORMHOLE_INSECURE_PLAINTEXT") == "true" and not directory
    transport: Transport = TCP if plaintext else TLS
    port = environment.get("WORMHOLE_PORT", "")
    if transport == TLS and not directory:
        path = environment.get("WORMHOLE_CERT_PATH") or environment.get("DOCKER_CERT_PATH") or "/certs"
        directory = mounted_directory(inspection, path, subject)
    number = int(port) if port.isascii() and port.isdigit() else DEFAULT_PORTS[transport]
    return ClientSettings(address, number, transport, directory, discovers=True)


def parse_docker_host(text: str, default_port: int, subject: str) -> SocketAddress:
    """Parse a value of ``DOCKER_HOST`` of the form ``tcp://host:port``; subject is its owner.

    Raises:
        InvalidInput: the text has another form.
    """
    scheme, authority = split_url(text)
    if scheme == "unix":
        raise InvalidInput(
            subject,
            remedy="Set the option address to diagnose another endpoint from this container",
            problem=f"{subject} has DOCKER_HOST={text}, a unix socket, which has no layers to diagnose",
        )
    address = SocketAddress.parse(authority, default_port) if scheme == "tcp" else None
    if address is None or not address.host:
        raise InvalidInput(
            subject, problem=f"{subject} has DOCKER_HOST={text}, which is not of the form tcp://host:port"
        )
    return address


def mounted_directory(inspection: Mapping[str, Any], path: str, subject: str) -> str:
    """The directory on the host that is mounted at a path inside the container.

    Raises:
        InvalidInput: there is none.
    """
    path = posixpath.normpath(path)
    best = ("", "")
    for mount in mounts_of(inspection):
        destination = posixpath.normpath(str(mount.get("Destination", "")))
        inside = path == destination or path.startswith(destination.rstrip("/") + "/")
        if inside and len(destination) > len(best[0]):
            best = (destination, str(mount.get("Source", "")))
    destination, source = best
    if not source.startswith("/"):
        raise InvalidInput(
            subject,
            remedy="Set the option directory to the client's certificates",
            problem=f"{subject} has no directory of the host mounted at DOCKER_CERT_PATH={path}",
        )
    return posixpath.normpath(posixpath.join(source, posixpath.relpath(path, destination)))


def find_candidates(routes: Sequence[Route], hosts: str, words: Iterable[str] = SOURCES) -> tuple[str, ...]:
    """The addresses that the program tries, in order, each once.

    Args:
        routes: the main routing tables of the container's network namespace.
        hosts: the container's ``/etc/hosts``.
        words: words of ``WORMHOLE_CANDIDATES``: some of :data:`SOURCES`, addresses, host names.
    """
    found: list[str] = []
    for word in words:
        if word == "gateways":
            found.extend(default_gateways(routes))
        elif word == "host-gateway":
            found.extend(find_in_hosts(hosts, HOST_NAME))
        elif word == "networks":
            found.extend(_first_addresses(routes))
        else:
            found.append(word.removeprefix("[").removesuffix("]"))
    return tuple(dict.fromkeys(found))


def _first_addresses(routes: Iterable[Route]) -> Iterator[str]:
    """The first address of each network on the link, Docker's default gateway; IPv4 before IPv6.

    Networks with fewer than four addresses and link-local and multicast networks are skipped.
    """
    networks = [
        ipaddress.ip_network(route.destination)
        for route in routes
        if not (route.gateway or route.reject or route.is_default or route.interface == "lo")
    ]
    for network in sorted(networks, key=lambda network: network.version):
        if network.num_addresses >= 4 and not network.is_link_local and not network.is_multicast:
            yield str(network.network_address + 1)
