# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine's TCP endpoint as a client sees it: the endpoint to observe, and the observation.

:mod:`_endpoint.io.probe` observes; :mod:`_endpoint.diagnosis` interprets the observation.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Iterable, Literal, Mapping, Optional, Union

from .._base.address import SocketAddress
from .._base.errors import InvalidInput
from .._certificates.facts import CertificateFacts
from .._certificates.names import SubjectAlternativeName
from .._networks.gateways import Unreachable
from .._networks.guests import Guest
from .observation import Anonymous, Api, Reached, Verified

Transport = Literal["tls", "tcp"]
TLS: Final = "tls"
TCP: Final = "tcp"

DEFAULT_PORTS: Mapping[Transport, int] = {TLS: 2376, TCP: 2375}  # registered with IANA as docker-s and docker

_MAXIMUM_NAME_LENGTH = 253  # RFC 1035, 2.3.4, in its text form
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")


@dataclass(frozen=True)
class EndpointSpec:
    """An endpoint, and the client to observe it as.

    Attributes:
        address: IP address or name to connect to.
        port: TCP port.
        directory: directory with the client's ``ca.pem``, ``cert.pem`` and ``key.pem``; empty for a
            client without a certificate, which verifies nothing.
        server_name: address or name that the certificate must be valid for; empty for address.
        timeout: seconds for each step.
        container_pid: process whose network namespace to observe from; 0 for that of this process.
        transport: the expected protocol: ``tls``, or ``tcp`` for plaintext.
        ca_file: CA certificates to verify the server by; empty for the directory's ``ca.pem``.
        guest: guest on the Docker network to observe from; None for other places.
        obstacle: why containers of that network cannot reach the host; None if they can.
        contained: whether directory and ca_file are paths inside the container of container_pid.

    Raises:
        InvalidInput: a value is malformed, or contradicts another one.
    """

    address: str
    port: int = DEFAULT_PORTS[TLS]
    directory: str = ""
    server_name: str = ""
    timeout: float = 5.0
    container_pid: int = 0
    transport: Transport = TLS
    ca_file: str = ""
    guest: Optional[Guest] = None
    obstacle: Optional[Unreachable] = None
    contained: bool = False

    def __post_init__(self) -> None:
        _check_host(self.address, "address")
        if self.server_name:
            _check_host(self.server_name, "server_name")
        if not 1 <= self.port <= 65535:
            raise InvalidInput("port", problem=f"port {self.port} is not a number from 1 to 65535")
        check_timeout(self.timeout)
        if self.transport not in (TLS, TCP):
            raise InvalidInput("transport", expected="tls or tcp", found=repr(self.transport))
        if self.container_pid < 0:
            raise InvalidInput("container_pid", expected="a process id, or 0", found=str(self.container_pid))
        if self.contained and not self.container_pid:
            raise InvalidInput("container_pid", expected="a process id with contained", found="0")
        if [bool(self.container_pid), self.guest is not None, self.obstacle is not None].count(True) > 1:
            raise InvalidInput("place to observe from", expected="one", found="more than one")
        certificates = self.directory or self.ca_file
        if self.transport == TCP and certificates:
            raise InvalidInput(
                "transport tcp",
                remedy="Leave out the options directory and ca_file, or set transport: tls",
                problem="transport tcp is plaintext and uses no certificates",
            )

    @property
    def verified_name(self) -> str:
        """The name or address that the server's certificate must be valid for."""
        return self.server_name or self.address

    @property
    def authority(self) -> str:
        """Path of the CA certificates to verify the server by; empty if there are none."""
        return self.ca_file or (f"{self.directory.rstrip('/')}/ca.pem" if self.directory else "")

    @property
    def text(self) -> str:
        """``address:port``, with brackets around an IPv6 address."""
        return str(SocketAddress(self.address, self.port))


@dataclass(frozen=True)
class EndpointState:
    """The observation of an endpoint. Fields that were not reached have their defaults.

    Attributes:
        reached, anonymous, verified: the connections.
        listened: whether something listens there on this host; None if the peer is no address of
            this host, and if the connection succeeded.
        closed: why the guard of this host's listener keeps it closed; empty if it does not, or if
            something listens.
        served: the served certificate; None if none was seen, or if it cannot be decoded.
        presented: the client's certificate; None if there is none or it cannot be decoded.
        matched_san: the matching subject alternative name, such as ``IP:172.17.0.1``.
        server_time: the server's clock by its ``Date`` header.
    """

    reached: Reached = Reached()
    anonymous: Anonymous = Anonymous()
    verified: Verified = Verified()
    listened: Optional[bool] = None
    closed: str = ""
    served: Optional[CertificateFacts] = None
    presented: Optional[CertificateFacts] = None
    matched_san: str = ""
    server_time: Optional[datetime] = None

    @property
    def tls_version(self) -> str:
        """The negotiated version, such as ``TLSv1.3``; empty without TLS."""
        return self.verified.tls_version or self.anonymous.tls_version

    @property
    def api(self) -> Api:
        """The engine's answers to the client."""
        return self.anonymous.api if self.anonymous.protocol == "plaintext" else self.verified.api


def match_san(names: Iterable[SubjectAlternativeName], host: str) -> Optional[SubjectAlternativeName]:
    """The subject alternative name that a client's address or name matches; None if none does.

    An address matches an ``iPAddress`` entry only, a name a ``dNSName`` only, with a wildcard as
    the whole first label (RFC 9525, 6.3 and 6.5). The common name is ignored, as is an address
    written as a ``dNSName``.
    """
    requested = as_san(host)
    for san in names:
        if san.kind != requested.kind:
            continue
        if san.kind == "IP" and _parse_address(san.value) == _parse_address(host):
            return san
        if san.kind == "DNS" and _matches_name(san.value.lower(), requested.value):
            return san
    return None


def as_san(host: str) -> SubjectAlternativeName:
    """The subject alternative name that a certificate needs for an address or a name."""
    address = _parse_address(host)
    if address is None:
        return SubjectAlternativeName("DNS", host.lower().rstrip("."))
    return SubjectAlternativeName("IP", str(address))


def find_in_hosts(table: str, name: str) -> list[str]:
    """The addresses of a name in a hosts file (hosts(5)), in its order.

    IPv4-mapped IPv6 addresses, such as Docker 28 writes for ``host-gateway-ip``, are returned as
    IPv4 addresses: clients connect by IPv4, and certificates name them so.
    """
    found = []
    for line in table.splitlines():
        fields = line.partition("#")[0].lower().split()
        address = _parse_address(fields[0]) if name.lower() in fields[1:] else None
        if address is not None:
            found.append(str(getattr(address, "ipv4_mapped", None) or fields[0]))
    return found


def _matches_name(pattern: str, name: str) -> bool:
    if not pattern.startswith("*."):
        return pattern == name
    first, _dot, rest = name.partition(".")
    return bool(first) and "." in rest and rest == pattern[2:]


def _parse_address(text: str) -> Optional[Union[ipaddress.IPv4Address, ipaddress.IPv6Address]]:
    """An address without its zone (``fe80::1%eth0``); None for a name."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def check_timeout(seconds: float) -> None:
    """Raise InvalidInput unless a step can have this timeout in seconds."""
    if not 0 < seconds <= 600:
        raise InvalidInput(
            "timeout of a step",
            problem=f"the timeout of a step is {seconds:g} seconds; it must be more than 0 and at most 600",
        )


def _check_host(text: str, option: str) -> None:
    if _parse_address(text) is not None:
        return
    numeric = text.rstrip(".").split(".")[-1].isdigit()
    if numeric or len(text) > _MAXIMUM_NAME_LENGTH or not _NAME.fullmatch(text):
        raise InvalidInput(
            option,
            remedy="The port has an option of its own",
            problem=f"{option} {text!r} is not an IP address or a name without scheme, brackets and port",
        )
