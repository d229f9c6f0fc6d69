# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Looking at an endpoint as its clients do, with sockets and OpenSSL only.

A look takes up to four connections: one without a certificate, which sees what is served and whether it is refused;
one in plaintext if that one met no TLS; one that verifies the server and presents the client's certificate; one that
verifies all but the name, if the name was what failed; or one that verifies all but the dates, if these were, and asks
for the server's clock. The client's key goes to OpenSSL and nowhere else.

Facts that this rests on:

- Under TLS 1.3 a server refuses a client only after the client's handshake is complete (RFC 8446, 4.4.2.4), so a
  refusal is read where the first answer should be.
- dockerd (Go's net/http) answers plaintext on a TLS port with status 400 and the text below, and a TLS hello on a
  plaintext port with status 400 in plaintext.
- OpenSSL checks the chain's extensions, then the name, then signatures and dates from the root to the leaf, and ends
  at the first error (``verify_chain`` in x509_vfy.c).
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import socket
import ssl
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Dict, Iterator, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.guests import call_as_guest
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.namespaces import (
    call_in_network_namespace,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.reachability import (
    is_listened,
    kind_of_failure,
    read_routes,
    resolve,
    source_address,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.x509 import read_certificate
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import (
    TCP,
    EndpointSpec,
    EndpointState,
    match_san,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._core.routes import (
    Route,
    default_gateways,
    find_route,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts

_PLAINTEXT_REFUSED = b"Client sent an HTTP request to an HTTPS server"
_LARGEST_ANSWER = 1 << 20
_STEPS = 16  # connections, handshakes and answers that a look waits for at most
_NAME_MISMATCH = (62, 64)  # X509_V_ERR_HOSTNAME_MISMATCH, X509_V_ERR_IP_ADDRESS_MISMATCH
_OUT_OF_DATE = (9, 10)  # X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED
_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME (openssl/x509_vfy.h); Python's ssl does not name it

# TLS alerts (RFC 8446, 6.2) by which a server refuses a client's certificate or the lack of one.
_REFUSALS = (
    "CERTIFICATE_REQUIRED",
    "BAD_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN",
    "UNKNOWN_CA",
    "ACCESS_DENIED",
    "DECRYPT_ERROR",
    "HANDSHAKE_FAILURE",
)

Fields = Dict[str, Any]
"""Some of the fields of an EndpointState."""


@dataclass(frozen=True)
class _Sight:
    """What was seen, before certificates are decoded; crosses the border of a namespace as JSON."""

    fields: Fields
    certificate: bytes = b""
    presented: bytes = b""


@dataclass(frozen=True)
class _Answer:
    """An HTTP response, or why there is none (then the status is 0)."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    failure: str = ""
    refusal: str = ""


def observe_endpoint(spec: EndpointSpec) -> EndpointState:
    """Looks at an endpoint. What is wrong with it is in the state returned and never an exception.

    Raises:
        WormholeError: the namespace to look from could not be entered or made.
        MissingRequirement: the library that decodes certificates is missing, or the program that makes a namespace.
    """
    sight = _look_from_there(spec)
    if sight.fields.get("tcp", "open") != "open" and sight.fields.get("peer"):
        sight.fields["listened"] = is_listened(spec, sight.fields["peer"])
    served = _decode(sight.certificate) if sight.certificate else None
    matched = match_san(served.subject_alternative_names, spec.verified_name) if served else None
    return EndpointState(
        **sight.fields,
        fingerprint_sha256=hashlib.sha256(sight.certificate).hexdigest() if sight.certificate else "",
        served=served,
        matched_san=str(matched) if matched else "",
        presented=_decode(sight.presented) if sight.presented else None,
    )


def _look_from_there(spec: EndpointSpec) -> _Sight:
    if spec.obstacle:
        return _Sight({}, presented=_read_presented(spec))
    timeout = _STEPS * spec.timeout
    if spec.guest:
        return _from_json(call_as_guest(spec.guest, lambda: _to_json(_see(spec)), timeout=timeout))
    if spec.container_pid:
        seen = call_in_network_namespace(spec.container_pid, lambda: _to_json(_see(spec)), timeout=timeout)
        return _from_json(seen)
    return _see(spec)


def _see(spec: EndpointSpec) -> _Sight:
    return replace(_look(spec), presented=_read_presented(spec))


def _look(spec: EndpointSpec) -> _Sight:
    routes = read_routes()
    fields: Fields = {"gateways": default_gateways(routes)}
    try:
        peers = resolve(spec)
    except OSError as error:
        return _Sight({**fields, "tcp": "unresolvable", "tcp_detail": _words(error)})
    for peer in peers:
        source = source_address(spec, peer)
        # The routes of local addresses are not in the tables that were read.
        fields.update(peer=peer, source=source, route=None if source == peer else find_route(routes, peer))
        try:
            connection = _connect(spec, peer)
        except OSError as error:
            fields.update(tcp=kind_of_failure(error), tcp_detail=_words(error))
            continue
        fields.update(tcp="open", tcp_detail="")
        with connection:
            return _look_at_peer(spec, peer, connection, fields)
    return _Sight(fields)


def _look_at_peer(spec: EndpointSpec, peer: str, connection: socket.socket, fields: Fields) -> _Sight:
    if spec.transport == TCP:
        return _Sight({**fields, **_look_in_plaintext(spec, connection)})
    seen, certificate = _look_without_certificate(spec, connection)
    connection.close()
    if seen.get("protocol") == "unknown":
        try:
            with _connect(spec, peer) as second:
                plain = _look_in_plaintext(spec, second)
        except OSError:
            plain = {}
        if plain.get("protocol") == "plaintext":
            seen = plain
    if seen.get("protocol") == "tls" and spec.authority:
        verified, presented = _look_verified(spec, peer)
        seen.update(verified)
        certificate = certificate or presented
    return _Sight({**fields, **seen}, certificate)


def _look_without_certificate(spec: EndpointSpec, connection: socket.socket) -> tuple[Fields, bytes]:
    """What a client meets that verifies nothing and presents nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        tls = context.wrap_socket(connection, server_hostname=spec.verified_name)
    except OSError as error:
        refusal = _refusal(error)
        if refusal:
            return {"protocol": "tls", "anonymous": "refused", "anonymous_detail": refusal}, b""
        kind = "silent" if isinstance(error, socket.timeout) else "unknown"
        return {"protocol": kind, "protocol_detail": _words(error)}, b""
    with tls:
        seen: Fields = {"protocol": "tls", "tls_version": tls.version() or ""}
        certificate = tls.getpeercert(binary_form=True) or b""
        answer = _get(tls, spec.verified_name, "/_ping")
        if answer.status:
            seen.update(anonymous="accepted", anonymous_detail=f"HTTP status {answer.status}")
            seen.update(_clock(answer))
        elif answer.refusal:
            seen.update(anonymous="refused", anonymous_detail=answer.refusal)
        else:
            seen.update(anonymous_detail=answer.failure)
    return seen, certificate


def _look_in_plaintext(spec: EndpointSpec, connection: socket.socket) -> Fields:
    ping = _get(connection, spec.verified_name, "/_ping")
    if ping.status == 400 and _PLAINTEXT_REFUSED in ping.body:
        return {"protocol": "tls", "protocol_detail": "it refuses plaintext"}
    if not ping.status:
        kind = "silent" if ping.failure == "timed out" else "unknown"
        return {"protocol": kind, "protocol_detail": ping.failure}
    return {
        "protocol": "plaintext",
        "anonymous": "accepted",
        **_clock(ping),
        **_ask(connection, spec.verified_name, ping),
    }


def _look_verified(spec: EndpointSpec, peer: str) -> tuple[Fields, bytes]:
    """What the client meets: a server that it verifies, to which it shows its certificate, if it has one."""
    try:
        with _clients_files(spec):
            context = _verifying_context(spec.authority)
            problem = _load_identity(context, spec.directory) if spec.directory else ""
    except (OSError, ValueError) as error:
        return {"trusted": False, "trust_error": f"{spec.authority}: {_words(error)}"}, b""
    seen: Fields = {"client": "unusable", "client_detail": problem} if problem else {}
    try:
        with _connect(spec, peer) as connection, context.wrap_socket(
            connection, server_hostname=spec.verified_name
        ) as tls:
            certificate = tls.getpeercert(binary_form=True) or b""
            seen.update(trusted=True, trust_code=0, tls_version=tls.version() or "")
            if spec.directory and not problem:
                seen.update(_greet(tls, spec.verified_name))
            return seen, certificate
    except ssl.SSLCertVerificationError as error:
        seen.update(trusted=False, trust_code=error.verify_code, trust_error=error.verify_message)
        if error.verify_code in _NAME_MISMATCH:
            seen.update(_verify_chain_only(spec, peer, context))
        elif error.verify_code in _OUT_OF_DATE and spec.directory and not problem:
            seen.update(_ask_clock(spec, peer, context))
    except OSError as error:
        refusal = _refusal(error)
        if refusal:
            # Up to TLS 1.2 the refusal comes within the handshake, after the server has been verified.
            seen.update(trusted=True, trust_code=0)
            if spec.directory and not problem:
                seen.update(client="refused", client_detail=refusal)
        else:
            seen.update(api="failed", api_detail=f"a second connection failed: {_words(error)}")
    return seen, b""


def _verify_chain_only(spec: EndpointSpec, peer: str, context: ssl.SSLContext) -> Fields:
    """Whether the chain would hold; the code and the words of the name's failure stay as they are."""
    context.check_hostname = False
    try:
        with _connect(spec, peer) as connection, context.wrap_socket(
            connection, server_hostname=spec.verified_name
        ):
            return {"trusted": True}
    except ssl.SSLCertVerificationError as error:
        return {"trusted": False, "trust_code": error.verify_code, "trust_error": error.verify_message}
    except OSError as error:
        return {"trusted": True} if _refusal(error) else {"trusted": None}


def _ask_clock(spec: EndpointSpec, peer: str, context: ssl.SSLContext) -> Fields:
    """The server's clock, from a server that is verified but for the dates; empty if it does not tell.

    The second opinion on dates that do not hold: they are past, or the clock that judges them here is wrong.
    """
    context.verify_flags |= _NO_CHECK_TIME
    with contextlib.suppress(OSError), _connect(spec, peer) as connection, context.wrap_socket(
        connection, server_hostname=spec.verified_name
    ) as tls:
        return _clock(_get(tls, spec.verified_name, "/_ping"))
    return {}


def _verifying_context(authority: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # What clients with Python 3.13 do; others are less strict, so what passes here passes there.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.hostname_checks_common_name = False
    context.load_verify_locations(cafile=authority)
    return context


def _load_identity(context: ssl.SSLContext, directory: str) -> str:
    """Gives the client's key and certificate to OpenSSL; why that fails, if it does."""
    paths = [os.path.join(directory, name) for name in ("cert.pem", "key.pem")]
    for path in paths:
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            return f"{path}: {_words(error)}"
    try:
        # Without a callback OpenSSL would ask at the terminal for an encrypted key's passphrase.
        context.load_cert_chain(paths[0], paths[1], password=lambda: "")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return f"{paths[1]} is not the key of {paths[0]}"
        return (
            f"{paths[0]} and {paths[1]} are no certificate with its key in PEM form, or the key is encrypted"
        )
    except (OSError, ValueError) as error:
        return f"{paths[0]}: {_words(error)}"
    return ""


def _greet(connection: socket.socket, host: str) -> Fields:
    ping = _get(connection, host, "/_ping")
    if ping.refusal:
        return {"client": "refused", "client_detail": ping.refusal}
    if not ping.status:
        return {"api": "failed", "api_detail": ping.failure}
    return {"client": "accepted", **_clock(ping), **_ask(connection, host, ping)}


def _ask(connection: socket.socket, host: str, ping: _Answer) -> Fields:
    """Who the engine is. ``/info`` may be denied by authorization plugins: then its identity stays unknown."""
    if ping.status != 200:
        return _failed_api("/_ping", ping)
    answer = _get(connection, host, "/version")
    if answer.status != 200:
        return _failed_api("/version", answer)
    version = _json_object(answer.body)
    if not version.get("ApiVersion"):
        return {"api": "failed", "api_detail": "GET /version: the answer is not a Docker engine's"}
    info = _json_object(_get(connection, host, "/info").body)
    return {
        "api": "answered",
        "api_version": str(version["ApiVersion"]),
        "engine_version": str(version.get("Version", "")),
        "engine_id": str(info.get("ID", "")),
        "engine_name": str(info.get("Name", "")),
        "engine_root": str(info.get("DockerRootDir", "")),
    }


def _failed_api(path: str, answer: _Answer) -> Fields:
    if not answer.status:
        return {"api": "failed", "api_detail": f"GET {path}: {answer.refusal or answer.failure}"}
    words = str(_json_object(answer.body).get("message", "")) or f"HTTP status {answer.status}"
    return {"api": "denied" if answer.status == 403 else "failed", "api_detail": f"GET {path}: {words}"}


def _get(connection: socket.socket, host: str, path: str) -> _Answer:
    """One request on a connection that stays open for the next one."""
    name = f"[{host}]" if ":" in host else host
    request = f"GET {path} HTTP/1.1\r\nHost: {name}\r\nUser-Agent: wormhole.docker\r\nAccept: */*\r\n\r\n"
    try:
        # A server that refuses a certificate may have closed already; its alert is then still there to be read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            connection.sendall(request.encode("ascii"))
        response = http.client.HTTPResponse(connection, method="GET")
        try:
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return _Answer(response.status, headers, response.read(_LARGEST_ANSWER))
        finally:
            response.close()
    except (OSError, http.client.HTTPException) as error:
        return _Answer(0, failure=_words(error), refusal=_refusal(error))


def _connect(spec: EndpointSpec, peer: str) -> socket.socket:
    return socket.create_connection((peer, spec.port), timeout=spec.timeout)


def _refusal(error: BaseException) -> str:
    """The alert by which a server refuses a client, in words such as ``bad certificate``; empty if it is none."""
    reason = str(getattr(error, "reason", "") or "") if isinstance(error, ssl.SSLError) else ""
    alert = reason.partition("ALERT_")[2]
    return alert.replace("_", " ").lower().replace(" ca", " CA") if alert in _REFUSALS else ""


def _words(error: BaseException) -> str:
    if isinstance(error, socket.timeout):
        return "timed out"
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).replace("_", " ").lower()
    return str(getattr(error, "strerror", "") or error) or type(error).__name__


def _clock(answer: _Answer) -> Fields:
    try:
        moment = parsedate_to_datetime(answer.headers["date"])
    except (KeyError, TypeError, ValueError):
        return {}
    return {"server_time": moment} if moment.tzinfo is not None else {}


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _decode(certificate: bytes) -> Optional[CertificateFacts]:
    try:
        return read_certificate(certificate)
    except VerificationFailed:
        return None


def _read_presented(spec: EndpointSpec) -> bytes:
    """The client's certificate; empty where there is none or it cannot be read."""
    if not spec.directory:
        return b""
    try:
        with _clients_files(spec), open(os.path.join(spec.directory, "cert.pem"), "rb") as stream:
            return stream.read(_LARGEST_ANSWER)
    except OSError:
        return b""


@contextlib.contextmanager
def _clients_files(spec: EndpointSpec) -> Iterator[None]:
    """Lets paths mean what they mean to the client: mounts and absolute links of its own, where it is contained.

    For a forked child only, since the root directory is the whole process's. Sources: chroot(2), proc(5).
    """
    if not spec.contained:
        yield
        return
    outside = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chroot(f"/proc/{spec.container_pid}/root")
        yield
    finally:
        os.fchdir(outside)
        os.chroot(".")
        os.close(outside)


def _to_json(sight: _Sight) -> dict[str, Any]:
    fields = dict(sight.fields)
    if fields.get("route"):
        fields["route"] = asdict(fields["route"])
    if fields.get("server_time"):
        fields["server_time"] = fields["server_time"].isoformat()
    return {"fields": fields, "certificate": sight.certificate.hex(), "presented": sight.presented.hex()}


def _from_json(message: dict[str, Any]) -> _Sight:
    fields = dict(message["fields"])
    fields["gateways"] = tuple(fields["gateways"])
    if fields.get("route"):
        fields["route"] = Route(**fields["route"])
    if fields.get("server_time"):
        fields["server_time"] = datetime.fromisoformat(fields["server_time"])
    return _Sight(fields, bytes.fromhex(message["certificate"]), bytes.fromhex(message["presented"]))
