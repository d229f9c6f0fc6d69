# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine's TCP endpoint as a client meets it: what to look at, and what was seen.

:mod:``_adapters.probe`` looks; :mod:``_core.diagnosis`` tells what it means, layer by layer.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Iterable, Optional, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import Unreachable
from ansible_collections.wormhole.docker.plugins.module_utils._core.guests import Guest
from ansible_collections.wormhole.docker.plugins.module_utils._core.renewal import (
    is_renewal_due,
    renewal_time,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.routes import Route
from ansible_collections.wormhole.docker.plugins.module_utils._core.subject_alternative_names import (
    SubjectAlternativeName,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts, timestamp

TLS, TCP = "tls", "tcp"

DEFAULT_PORTS = {TLS: 2376, TCP: 2375}  # registered with IANA as docker-s and docker

_MAXIMUM_NAME_LENGTH = 253  # RFC 1035, 2.3.4, in its text form
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")


@dataclass(frozen=True)
class EndpointSpec:
    """What to look at, and as whom.

    Attributes:
        address: IP address or name to connect to.
        port: TCP port.
        directory: the client's ``ca.pem``, ``cert.pem`` and ``key.pem``, as ``DOCKER_CERT_PATH`` names it; empty to
            look as a client without a certificate does, which verifies nothing.
        server_name: IP address or name that the server's certificate has to be valid for; the address if empty.
        timeout: seconds that each step may take.
        container_pid: look from the network namespace of this process; 0 for where we are.
        transport: ``tls``, or ``tcp`` if plaintext is what is expected.
        ca_file: CA certificates to verify the server by, if not the directory's ``ca.pem``.
        guest: look from a Docker network, as a guest of its bridge; None for elsewhere.
        obstacle: why there is nothing to look at from a Docker network; None if there is.
        contained: whether directory and ca_file are paths as the process of container_pid sees them, and not the host's.

    Raises:
        InvalidInput: a value that cannot be meant.
    """

    address: str
    port: int = DEFAULT_PORTS[TLS]
    directory: str = ""
    server_name: str = ""
    timeout: float = 5.0
    container_pid: int = 0
    transport: str = TLS
    ca_file: str = ""
    guest: Optional[Guest] = None
    obstacle: Optional[Unreachable] = None
    contained: bool = False

    def __post_init__(self) -> None:
        _check_host(self.address, "address")
        if self.server_name:
            _check_host(self.server_name, "server_name")
        if not 1 <= self.port <= 65535:
            raise InvalidInput("port", expected="a number from 1 to 65535", found=str(self.port))
        check_timeout(self.timeout)
        if self.transport not in (TLS, TCP):
            raise InvalidInput("transport", expected="tls or tcp", found=repr(self.transport))
        if self.container_pid < 0:
            raise InvalidInput("container_pid", expected="a process id, or 0", found=str(self.container_pid))
        if self.contained and not self.container_pid:
            raise InvalidInput("container_pid", expected="a process id beside contained", found="0")
        if [bool(self.container_pid), self.guest is not None, self.obstacle is not None].count(True) > 1:
            raise InvalidInput("place to look from", expected="one", found="more than one")
        if self.transport == TCP and (self.directory or self.ca_file):
            raise InvalidInput(
                "transport tcp", expected="no certificates", found=self.directory or self.ca_file
            )

    @property
    def verified_name(self) -> str:
        """What the server's certificate has to be valid for."""
        return self.server_name or self.address

    @property
    def authority(self) -> str:
        """Path of the CA certificates to verify the server by; empty if there are none."""
        return self.ca_file or (f"{self.directory.rstrip('/')}/ca.pem" if self.directory else "")

    @property
    def text(self) -> str:
        """``address:port``, with brackets around an IPv6 address."""
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True)
class EndpointState:
    """What was seen. Whatever was not reached has its default.

    Attributes:
        gateways: next hops of the default routes in the namespace that was looked from, IPv4 first.
        route: the main table's route to the peer; None if there is none, and for a local address.
        source: the IP address that the kernel connects from; empty if there is no route.
        peer: the IP address that is connected to.
        tcp: ``open``, ``refused``, ``timeout``, ``unreachable``, ``unresolvable`` or ``not_tried``.
        tcp_detail: the operating system's words.
        listened: whether something listens there on this host; None if the peer is no address of this host's, and if
            the connection was made.
        protocol: what is spoken: ``tls``, ``plaintext`` (HTTP), ``silent`` (connected, but no answer in time),
            ``unknown`` (neither) or empty (not reached).
        protocol_detail: more on it.
        tls_version: such as ``TLSv1.3``.
        fingerprint_sha256: of the certificate served, lower-case hexadecimal; empty if none was seen.
        served: that certificate decoded; None if none was seen, or if it cannot be decoded.
        trusted: whether a chain leads from it to the client's CA, names and dates aside; None if not verified.
        trust_code: OpenSSL's result of the whole verification: 0 if it held, -1 without result
            (see verification codes in openssl-verification-options(1), X509_STORE_CTX_get_error(3)).
        trust_error: OpenSSL's words for it, or why the CA file cannot be used.
        matched_san: the subject alternative name that the verified name matches, such as ``IP:172.17.0.1``.
        anonymous: what a client without a certificate gets: ``refused``, ``accepted`` or ``unknown``.
        anonymous_detail: how it was refused, or why it is not known.
        client: what the client's certificate gets: ``accepted``, ``refused``, ``unusable`` (its files) or ``not_tried``.
        client_detail: why.
        presented: the client's certificate decoded; None where there is none or it cannot be.
        api: ``answered``, ``denied`` (the engine's authorization says no), ``failed`` or ``not_tried``.
        api_detail: the engine's words.
        api_version, engine_version, engine_id, engine_name: what the engine says of itself; empty if it does not.
        engine_root: its data directory, which tells engines of one host apart: before Docker 23 they share an ID.
        server_time: the server's clock by its ``Date`` header.
    """

    gateways: tuple[str, ...] = ()
    route: Optional[Route] = None
    source: str = ""
    peer: str = ""
    tcp: str = "not_tried"
    tcp_detail: str = ""
    listened: Optional[bool] = None
    protocol: str = ""
    protocol_detail: str = ""
    tls_version: str = ""
    fingerprint_sha256: str = ""
    served: Optional[CertificateFacts] = None
    trusted: Optional[bool] = None
    trust_code: int = -1
    trust_error: str = ""
    matched_san: str = ""
    anonymous: str = "unknown"
    anonymous_detail: str = ""
    client: str = "not_tried"
    client_detail: str = ""
    presented: Optional[CertificateFacts] = None
    api: str = "not_tried"
    api_detail: str = ""
    api_version: str = ""
    engine_version: str = ""
    engine_id: str = ""
    engine_name: str = ""
    engine_root: str = ""
    server_time: Optional[datetime] = None


def describe_endpoint(state: EndpointState, now: datetime) -> dict[str, Any]:
    """What was seen as plain data, for a module's result; times in ISO 8601, UTC."""
    return {
        "gateways": list(state.gateways),
        "source": state.source,
        "peer": state.peer,
        "protocol": state.protocol,
        "tls_version": state.tls_version,
        "matched_name": state.matched_san,
        "certificate": describe_certificate(state.served, now),
        "client_certificate": describe_certificate(state.presented, now),
        "anonymous": state.anonymous,
        "client": state.client,
        "api_version": state.api_version,
        "engine_version": state.engine_version,
        "engine_id": state.engine_id,
        "engine_name": state.engine_name,
        "server_time": timestamp(state.server_time) if state.server_time else "",
        "clock_difference": round((state.server_time - now).total_seconds()) if state.server_time else None,
    }


def describe_certificate(facts: Optional[CertificateFacts], now: datetime) -> dict[str, Any]:
    """A certificate as plain data; empty if there is none."""
    if facts is None:
        return {}
    return {
        "subject": facts.subject,
        "subject_alternative_names": [str(san) for san in facts.subject_alternative_names],
        "issuer": facts.issuer,
        "serial": facts.serial,
        "fingerprint_sha256": facts.fingerprint_sha256,
        "not_before": timestamp(facts.not_before),
        "not_after": timestamp(facts.not_after),
        "days_left": facts.days_left(now),
        "renewal_time": timestamp(renewal_time(facts)),
        "renewal_due": is_renewal_due(facts, now),
    }


def match_san(names: Iterable[SubjectAlternativeName], wanted: str) -> Optional[SubjectAlternativeName]:
    """The subject alternative name that a client's address or name matches; None if none does.

    An address matches an ``iPAddress`` entry only, a name a ``dNSName`` only, with a wildcard as the whole first
    label (RFC 9525, 6.3 and 6.5). The common name does not count, and neither does an address written as a name.
    """
    address = _parse_address(wanted)
    for san in names:
        if san.kind == "IP" and address is not None and _parse_address(san.value) == address:
            return san
        if (
            san.kind == "DNS"
            and address is None
            and _matches_name(san.value.lower(), wanted.lower().rstrip("."))
        ):
            return san
    return None


def as_san(wanted: str) -> SubjectAlternativeName:
    """An address or a name in the form that a certificate would have to hold it in."""
    address = _parse_address(wanted)
    if address is None:
        return SubjectAlternativeName("DNS", wanted.lower().rstrip("."))
    return SubjectAlternativeName("IP", str(address))


def find_in_hosts(table: str, name: str) -> list[str]:
    """The addresses that a hosts file (hosts(5)) gives to a name, in its order."""
    found = []
    for line in table.splitlines():
        fields = line.partition("#")[0].lower().split()
        if name.lower() in fields[1:] and _parse_address(fields[0]) is not None:
            found.append(fields[0])
    return found


def _matches_name(pattern: str, name: str) -> bool:
    if not pattern.startswith("*."):
        return pattern == name
    first, _dot, rest = name.partition(".")
    return bool(first) and "." in rest and rest == pattern[2:]


def _parse_address(text: str) -> Optional[Union[ipaddress.IPv4Address, ipaddress.IPv6Address]]:
    """None if it is a name. A zone (``fe80::1%eth0``) says how to get there and is no part of the address."""
    try:
        return ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None


def check_timeout(seconds: float) -> None:
    """Refuses what is no time to wait for a step.

    Raises:
        InvalidInput: it is none.
    """
    if not 0 < seconds <= 600:
        raise InvalidInput(
            "timeout of a step", expected="more than 0 and at most 600 seconds", found=f"{seconds:g}"
        )


def _check_host(text: str, option: str) -> None:
    if _parse_address(text) is not None:
        return
    if (
        len(text) > _MAXIMUM_NAME_LENGTH
        or not _NAME.fullmatch(text)
        or text.rstrip(".").split(".")[-1].isdigit()
    ):
        raise InvalidInput(
            option,
            expected="an IP address or a name, without scheme, brackets and port",
            found=repr(text),
            remedy="The port has an option of its own",
        )
