# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A client of an engine: its certificates, its HTTP requests, and what their failures mean.

Under TLS 1.3 a server rejects a client only after the client's handshake is complete (RFC 8446,
4.4.2.4), so the rejection is read in place of the first answer. The client's key is given to
OpenSSL and to nothing else.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import socket
import ssl
import time
from dataclasses import dataclass
from typing import Any, Iterator, Optional

from ..._base.address import bracket
from ..._base.errors import WormholeError
from ..._base.io.opening import opened_path, read_regular
from ..model import EndpointSpec
from ..observation import Api

_LARGEST_ANSWER = 1 << 20
_LARGEST_FILE = 1 << 20

# TLS alerts (RFC 8446, 6.2) by which a server rejects a client's certificate or the lack of one.
_REJECTIONS = (
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


def _root(spec: EndpointSpec) -> str:
    """The root directory of the client's paths: with the mounts and absolute links of its container."""
    return f"/proc/{spec.container_pid}/root" if spec.contained else ""


@contextlib.contextmanager
def _opened(spec: EndpointSpec, path: str) -> Iterator[str]:
    """A path by which OpenSSL opens a file of the client; see :func:`.opening.opened_path`.

    Raises:
        OSError: it does not exist, is not a regular file, or cannot be opened.
    """
    with contextlib.ExitStack() as opened:
        try:
            found = opened.enter_context(opened_path(path, root=_root(spec), limit=_LARGEST_FILE))
        except WormholeError as error:
            raise OSError(error.problem) from error
        yield found


def read_presented(spec: EndpointSpec) -> bytes:
    """The client's certificate; empty if it has none or it cannot be read."""
    if not spec.directory:
        return b""
    try:
        return read_regular(os.path.join(spec.directory, "cert.pem"), root=_root(spec), limit=_LARGEST_FILE)
    except (OSError, WormholeError):
        return b""


def client_context(spec: EndpointSpec) -> tuple[ssl.SSLContext, str]:
    """A context with the CA and the client's certificate, and why the latter cannot be used.

    Raises:
        OSError, ValueError: the CA certificates cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Clients with Python 3.13 are this strict; others are less so.
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    context.hostname_checks_common_name = False
    with _opened(spec, spec.authority) as path:
        context.load_verify_locations(cafile=path)
    return context, _load_identity(context, spec) if spec.directory else ""


def _load_identity(context: ssl.SSLContext, spec: EndpointSpec) -> str:
    """Load the client's certificate and key; return the reason if that fails."""
    paths = certificate, key = [os.path.join(spec.directory, name) for name in ("cert.pem", "key.pem")]
    with contextlib.ExitStack() as opened:
        found: list[str] = []
        for path in paths:
            try:
                found.append(opened.enter_context(_opened(spec, path)))
            except FileNotFoundError:
                return f'{path} is missing; Docker\'s CLI then sends no certificate and prints "certificate required"'
            except OSError as error:
                return f"{path}: {error_text(error)}"
        try:
            # Without a callback OpenSSL would ask at the terminal for an encrypted key's passphrase.
            context.load_cert_chain(found[0], found[1], password=lambda: "")
        except ssl.SSLError as error:
            if error.reason == "KEY_VALUES_MISMATCH":
                return f"{key} is not the key of {certificate}"
            return f"{certificate} and {key} are not a certificate and its key in PEM form, or the key is encrypted"
        except (OSError, ValueError) as error:
            return f"{certificate}: {error_text(error)}"
    return ""


@dataclass(frozen=True)
class Answer:
    """An HTTP response.

    Attributes:
        status: HTTP status; 0 if there is no response.
        date: its ``Date`` header.
        body: its content.
        failure: why there is no response.
        rejection: the TLS alert by which the server rejected the client, in words.
    """

    status: int
    date: str = ""
    body: bytes = b""
    failure: str = ""
    rejection: str = ""


class _Answering(io.RawIOBase):
    """What a server sends within the timeout of its socket, counted from now and not from each byte."""

    def __init__(self, connection: socket.socket) -> None:
        super().__init__()
        self._connection, self._timeout = connection, connection.gettimeout()
        self._deadline = None if self._timeout is None else time.monotonic() + self._timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> Optional[int]:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise socket.timeout("timed out")
            self._connection.settimeout(left)
        try:
            return self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(self._timeout)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What HTTPResponse asks of a socket."""
        return io.BufferedReader(self)


def get(connection: socket.socket, host: str, path: str) -> Answer:
    """Send one request and read its answer; the connection stays open for the next one.

    The whole answer has to arrive within the timeout of the connection: a server that sends a byte
    now and then does not extend it.
    """
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {bracket(host)}\r\nUser-Agent: wormhole.docker\r\nAccept: */*\r\n\r\n"
    )
    try:
        # A server that rejects a certificate may have closed already; its alert can still be read.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):
            connection.sendall(request.encode("ascii"))
        answering: Any = _Answering(connection)
        with contextlib.closing(http.client.HTTPResponse(answering, method="GET")) as response:
            response.begin()
            return Answer(response.status, response.getheader("Date") or "", response.read(_LARGEST_ANSWER))
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, failure=error_text(error), rejection=rejection(error))


def ask_engine(connection: socket.socket, host: str, ping: Answer) -> Api:
    """Ask the engine for its version and identity, after its answer to ``/_ping``.

    An authorization plugin may deny ``/info``; the identity then stays unknown.
    """
    if ping.status != 200:
        return _failed("/_ping", ping)
    answer = get(connection, host, "/version")
    if answer.status != 200:
        return _failed("/version", answer)
    version = _json_object(answer.body)
    if not version.get("ApiVersion"):
        return Api("failed", "GET /version: the answer is not a Docker engine's")
    info = _json_object(get(connection, host, "/info").body)
    return Api(
        "answered",
        version=str(version["ApiVersion"]),
        engine_version=str(version.get("Version", "")),
        engine_id=str(info.get("ID", "")),
        engine_name=str(info.get("Name", "")),
        engine_root=str(info.get("DockerRootDir", "")),
    )


def ask_socket(path: str, request: str, timeout: float) -> int:
    """Send a GET request to a unix socket; return the HTTP status, or 0 without an answer.

    Args:
        path: path of the socket, as this process sees it.
        request: path of the request.
        timeout: seconds for each step.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout)
            client.connect(path)
            return get(client, "docker", request).status
    except OSError:
        return 0


def ping_socket(path: str, timeout: float) -> str:
    """Send ``GET /_ping`` to a unix socket. Return the problem; empty if the status is 200.

    Args:
        path: path of the socket, as this process sees it.
        timeout: seconds for each step.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(timeout)
            client.connect(path)
            client.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            answer = client.recv(64)
    except OSError as error:
        return error.strerror or str(error)
    return "" if b" 200 " in answer else f"{answer.splitlines()[0]!r}" if answer else "no answer"


def rejection(error: BaseException) -> str:
    """The alert of a server that rejects a client: ``bad certificate``; empty for other errors."""
    reason = str(getattr(error, "reason", "") or "") if isinstance(error, ssl.SSLError) else ""
    alert = reason.partition("ALERT_")[2]
    return alert.replace("_", " ").lower().replace(" ca", " CA") if alert in _REJECTIONS else ""


def error_text(error: BaseException) -> str:
    """An error of a socket in words."""
    if isinstance(error, socket.timeout):
        return "timed out"
    if isinstance(error, ssl.SSLError) and error.reason:
        return str(error.reason).replace("_", " ").lower()
    return str(getattr(error, "strerror", "") or error) or type(error).__name__


def _failed(path: str, answer: Answer) -> Api:
    if not answer.status:
        return Api("failed", f"GET {path}: {answer.rejection or answer.failure}")
    message = str(_json_object(answer.body).get("message", "")) or f"HTTP status {answer.status}"
    return Api("denied" if answer.status == 403 else "failed", f"GET {path}: {message}")


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
