# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe an endpoint as its clients do, with sockets and OpenSSL only.

An observation takes up to four connections:

1. without a certificate: which certificate is served, and whether the client is rejected;
2. in plaintext, if the first one met no TLS;
3. with verification of the server and the client's certificate;
4. as the third, but without the name if the name failed, or without the dates, to read the server's
   clock, if the dates failed.

Facts that this relies on:

- dockerd (Go's net/http) answers plaintext on a TLS port with status 400 and the text below, and a
  TLS hello on a plaintext port with status 400 in plaintext.
- OpenSSL checks the chain's extensions, then the name, then signatures and dates from root to leaf,
  and ends at the first error (``verify_chain`` in x509_vfy.c).
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Callable, Iterator, Optional

from ..._base.errors import VerificationFailed
from ..._base.io.files import read_text
from ..._base.systemd_units import CLOSED_REASON
from ..._certificates.facts import CertificateFacts
from ..._certificates.io.decoding import read_certificate
from ..._networks.io.guests import call_as_guest
from ..._networks.io.namespaces import call_in_network_namespace, read_routes
from ..._networks.routes import default_gateways, find_route
from ..model import TCP, EndpointSpec, EndpointState, match_san
from ..observation import Anonymous, Api, Observation, Reached, Verified, parse_observation
from .https_client import ask_engine, client_context, error_text, get, read_presented, rejection
from .reachability import is_listened, kind_of_failure, resolve, source_address

_PLAINTEXT_REJECTED = b"Client sent an HTTP request to an HTTPS server"
_ADDRESSES = 4  # of a name that has more, when none of them answers
_STEPS = 16  # connections, handshakes and answers that an observation waits for at most
_NAME_MISMATCH = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_OUT_OF_DATE = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h); Python's ssl does not name it


def observe_endpoint(spec: EndpointSpec, finish: Callable[[], None] = lambda: None) -> EndpointState:
    """Observe an endpoint. Its problems are in the state returned and never raise an exception.

    Args:
        finish: called where the endpoint was observed, at the end; its error is raised. In the
            network namespace of a container, that is a forked child, which it may change.

    Raises:
        WormholeError: the network namespace could not be entered or made.
        MissingRequirement: the library that decodes certificates is missing, or the program that
            makes a namespace.
    """
    seen = _observe_from_place(spec, finish)
    failed = bool(seen.reached.peer) and seen.reached.outcome != "open"
    listened = is_listened(spec, seen.reached.peer) if failed else None
    served = _decode(seen.anonymous.certificate or seen.verified.certificate)
    matched = match_san(served.subject_alternative_names, spec.verified_name) if served else None
    return EndpointState(
        seen.reached,
        seen.anonymous,
        seen.verified,
        listened=listened,
        closed=(read_text(CLOSED_REASON) or "").strip() if listened is False else "",
        served=served,
        presented=_decode(seen.presented),
        matched_san=str(matched) if matched else "",
        server_time=_parse_date(seen.verified.date) or _parse_date(seen.anonymous.date),
    )


def ask_once(spec: EndpointSpec, path: str) -> int:
    """Send a GET request as the client of an endpoint, from where this process is.

    Returns:
        The HTTP status; 0 without an answer, whose reason :func:`observe_endpoint` finds.
    """
    try:
        context, problem = client_context(spec)
        if problem:
            return 0
        with _connect_tls(spec, spec.address, context) as tls:
            return get(tls, spec.verified_name, path).status
    except (OSError, ValueError):
        return 0


def _observe_from_place(spec: EndpointSpec, finish: Callable[[], None]) -> Observation:
    """Observe from the network namespace that the spec names."""
    if spec.obstacle:
        return Observation(presented=read_presented(spec).hex())
    timeout = _STEPS * spec.timeout

    def observe() -> dict[str, Any]:
        seen = _observe(spec).as_json()
        finish()
        return seen

    if spec.guest:
        return parse_observation(call_as_guest(spec.guest, observe, timeout=timeout))
    if spec.container_pid:
        return parse_observation(call_in_network_namespace(spec.container_pid, observe, timeout=timeout))
    return parse_observation(observe())


def _observe(spec: EndpointSpec) -> Observation:
    return replace(_connect_and_observe(spec), presented=read_presented(spec).hex())


def _connect_and_observe(spec: EndpointSpec) -> Observation:
    routes = read_routes()
    reached = Reached(default_gateways(routes))
    try:
        peers = resolve(spec)
    except OSError as error:
        return Observation(replace(reached, outcome="unresolvable", detail=error_text(error)))
    deadline = time.monotonic() + _ADDRESSES * spec.timeout
    for peer in peers:
        if reached.peer and time.monotonic() >= deadline:
            break
        source = source_address(spec, peer)
        # The tables that were read lack the routes of local addresses.
        route = None if source == peer else find_route(routes, peer)
        reached = replace(reached, peer=peer, source=source, route=route, outcome="open", detail="")
        try:
            connection = _connect(spec, peer)
        except OSError as error:
            reached = replace(reached, outcome=kind_of_failure(error), detail=error_text(error))
            continue
        with connection:
            return Observation(reached, *_observe_peer(spec, peer, connection))
    return Observation(reached)


def _observe_peer(spec: EndpointSpec, peer: str, connection: socket.socket) -> tuple[Anonymous, Verified]:
    if spec.transport == TCP:
        return _observe_plaintext(spec, connection), Verified()
    anonymous = _observe_anonymously(spec, connection)
    connection.close()
    if anonymous.protocol == "unknown":
        with contextlib.suppress(OSError), _connect(spec, peer) as second:
            plaintext = _observe_plaintext(spec, second)
            anonymous = plaintext if plaintext.protocol == "plaintext" else anonymous
    if anonymous.protocol == "tls" and spec.authority:
        return anonymous, _observe_verified(spec, peer)
    return anonymous, Verified()


def _observe_anonymously(spec: EndpointSpec, connection: socket.socket) -> Anonymous:
    """Connect as a client that verifies nothing and presents nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        tls = context.wrap_socket(connection, server_hostname=spec.verified_name)
    except OSError as error:
        alert = rejection(error)
        if alert:
            return Anonymous("tls", verdict="refused", detail=alert)
        return Anonymous("silent" if isinstance(error, socket.timeout) else "unknown", error_text(error))
    with tls:
        seen = Anonymous("tls", tls_version=tls.version() or "", certificate=_certificate(tls))
        answer = get(tls, spec.verified_name, "/_ping")
        if answer.status:
            detail = f"HTTP status {answer.status}"
            return replace(seen, verdict="accepted", detail=detail, date=answer.date)
        if answer.rejection:
            return replace(seen, verdict="refused", detail=answer.rejection)
        return replace(seen, detail=answer.failure)


def _observe_plaintext(spec: EndpointSpec, connection: socket.socket) -> Anonymous:
    ping = get(connection, spec.verified_name, "/_ping")
    if ping.status == 400 and _PLAINTEXT_REJECTED in ping.body:
        return Anonymous("tls", "it rejects plaintext")
    if not ping.status:
        return Anonymous("silent" if ping.failure == "timed out" else "unknown", ping.failure)
    api = ask_engine(connection, spec.verified_name, ping)
    return Anonymous("plaintext", verdict="accepted", date=ping.date, api=api)


def _observe_verified(spec: EndpointSpec, peer: str) -> Verified:
    """Connect as the client: verify the server, and present the certificate if there is one."""
    try:
        context, problem = client_context(spec)
    except (OSError, ValueError) as error:
        return Verified(False, trust_error=f"{spec.authority}: {error_text(error)}")
    presents = bool(spec.directory) and not problem
    seen = Verified(client="unusable", client_detail=problem) if problem else Verified()
    try:
        with _connect_tls(spec, peer, context) as tls:
            seen = replace(seen, trusted=True, trust_code=0, tls_version=tls.version() or "")
            seen = replace(seen, certificate=_certificate(tls))
            return _present(tls, spec.verified_name, seen) if presents else seen
    except ssl.SSLCertVerificationError as error:
        seen = replace(seen, trusted=False, trust_code=error.verify_code, trust_error=error.verify_message)
        if error.verify_code in _NAME_MISMATCH:
            return _verify_chain_only(spec, peer, context, seen)
        if error.verify_code in _OUT_OF_DATE and presents:
            return replace(seen, date=_ask_date(spec, peer, context))
        return seen
    except OSError as error:
        alert = rejection(error)
        if not alert:
            return replace(seen, api=Api("failed", f"a second connection failed: {error_text(error)}"))
        # Up to TLS 1.2 the server rejects within the handshake, after it has been verified.
        seen = replace(seen, trusted=True, trust_code=0)
        return replace(seen, client="refused", client_detail=alert) if presents else seen


def _present(tls: ssl.SSLSocket, host: str, seen: Verified) -> Verified:
    """Learn whether the server accepts the client's certificate, and ask the engine if it does."""
    ping = get(tls, host, "/_ping")
    if ping.rejection:
        return replace(seen, client="refused", client_detail=ping.rejection)
    if not ping.status:
        return replace(seen, api=Api("failed", ping.failure))
    return replace(seen, client="accepted", date=ping.date, api=ask_engine(tls, host, ping))


def _verify_chain_only(spec: EndpointSpec, peer: str, context: ssl.SSLContext, seen: Verified) -> Verified:
    """Verify the chain without the name; if it holds, the error of the name stays."""
    context.check_hostname = False
    try:
        with _connect_tls(spec, peer, context):
            return replace(seen, trusted=True)
    except ssl.SSLCertVerificationError as error:
        return replace(seen, trust_code=error.verify_code, trust_error=error.verify_message)
    except OSError as error:
        return replace(seen, trusted=True if rejection(error) else None)


def _ask_date(spec: EndpointSpec, peer: str, context: ssl.SSLContext) -> str:
    """The ``Date`` header of a server, verified except for the dates; empty if there is none.

    It shows whether the dates are over or the clock here is wrong.
    """
    context.verify_flags |= _NO_CHECK_TIME
    with contextlib.suppress(OSError), _connect_tls(spec, peer, context) as tls:
        return get(tls, spec.verified_name, "/_ping").date
    return ""


def _connect(spec: EndpointSpec, peer: str) -> socket.socket:
    return socket.create_connection((peer, spec.port), timeout=spec.timeout)


@contextlib.contextmanager
def _connect_tls(spec: EndpointSpec, peer: str, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    with _connect(spec, peer) as connection, context.wrap_socket(
        connection, server_hostname=spec.verified_name
    ) as tls:
        yield tls


def _certificate(tls: ssl.SSLSocket) -> str:
    return (tls.getpeercert(binary_form=True) or b"").hex()


def _parse_date(header: str) -> Optional[datetime]:
    try:
        moment = parsedate_to_datetime(header)
    except (TypeError, ValueError, IndexError):
        return None
    return moment if moment.tzinfo is not None else None


def _decode(digits: str) -> Optional[CertificateFacts]:
    try:
        return read_certificate(bytes.fromhex(digits)) if digits else None
    except VerificationFailed:
        return None
