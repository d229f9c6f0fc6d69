# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The results of the single connections to an endpoint.

They hold only values that JSON can represent, because the process that connects may be in another
network namespace.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Mapping, Optional

from .._networks.routes import Route

TcpOutcome = Literal["open", "refused", "timeout", "unreachable", "unresolvable", "not_tried"]
Protocol = Literal["tls", "plaintext", "silent", "unknown", ""]
AnonymousVerdict = Literal["refused", "accepted", "unknown"]
ClientVerdict = Literal["accepted", "refused", "unusable", "not_tried"]
ApiOutcome = Literal["answered", "denied", "failed", "not_tried"]


@dataclass(frozen=True)
class Reached:
    """The route to the endpoint and the TCP connection.

    Attributes:
        gateways: next hops of the client's default routes, IPv4 first.
        peer: the IP address that is connected to.
        source: the IP address that the kernel connects from; empty if there is no route.
        route: the main table's route to the peer; None if there is none, and for a local address.
        detail: the operating system's message.
    """

    gateways: tuple[str, ...] = ()
    peer: str = ""
    source: str = ""
    route: Optional[Route] = None
    outcome: TcpOutcome = "not_tried"
    detail: str = ""


@dataclass(frozen=True)
class Api:
    """The engine's answers.

    Attributes:
        outcome: whether it answers; ``denied`` if its authorization denies the client.
        detail: its message.
        version: its API version.
        engine_root: its data directory; engines of one host share an ID before Docker 23.
    """

    outcome: ApiOutcome = "not_tried"
    detail: str = ""
    version: str = ""
    engine_version: str = ""
    engine_id: str = ""
    engine_name: str = ""
    engine_root: str = ""


@dataclass(frozen=True)
class Anonymous:
    """The connection without a certificate, or in plaintext.

    Attributes:
        protocol: ``silent`` without an answer in time, ``unknown`` if neither TLS nor HTTP.
        protocol_detail: why it is silent or unknown.
        verdict, detail: how the server treats a client without a certificate, and why.
        certificate: the server's, DER in hexadecimal digits; empty if none was seen.
        date: the server's ``Date`` header.
        api: the engine's answers in plaintext.
    """

    protocol: Protocol = ""
    protocol_detail: str = ""
    tls_version: str = ""
    verdict: AnonymousVerdict = "unknown"
    detail: str = ""
    certificate: str = ""
    date: str = ""
    api: Api = Api()


@dataclass(frozen=True)
class Verified:
    """The connection that verifies the server and presents the client's certificate.

    Attributes:
        trusted: whether a chain leads to the client's CA, except for names and dates; None if
            not verified.
        trust_code: OpenSSL's result of the whole verification: 0 if it succeeded, -1 if there is
            none (openssl-verification-options(1), X509_STORE_CTX_get_error(3)).
        trust_error: OpenSSL's message, or why the CA file cannot be used.
        client, client_detail: how the server treats the client's certificate, and why; ``unusable``
            if its files cannot be used.
        certificate, date, api: as in Anonymous.
    """

    trusted: Optional[bool] = None
    trust_code: int = -1
    trust_error: str = ""
    tls_version: str = ""
    client: ClientVerdict = "not_tried"
    client_detail: str = ""
    certificate: str = ""
    date: str = ""
    api: Api = Api()


@dataclass(frozen=True)
class Observation:
    """All connections to an endpoint.

    Attributes:
        reached: the route and the first connection.
        anonymous: the first connection's answer.
        verified: the connection of the client; the defaults if there was none.
        presented: content of the client's certificate file, in hexadecimal digits; empty if none.
    """

    reached: Reached = Reached()
    anonymous: Anonymous = Anonymous()
    verified: Verified = Verified()
    presented: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def parse_observation(data: Mapping[str, Any]) -> Observation:
    """Read what Observation.as_json() made and JSON transported."""
    reached, anonymous, verified = data["reached"], data["anonymous"], data["verified"]
    route = Route(**reached["route"]) if reached["route"] else None
    return Observation(
        Reached(**{**reached, "gateways": tuple(reached["gateways"]), "route": route}),
        Anonymous(**{**anonymous, "api": Api(**anonymous["api"])}),
        Verified(**{**verified, "api": Api(**verified["api"])}),
        data["presented"],
    )
