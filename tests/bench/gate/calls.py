# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Makes calls on the host, by several ways to its engine in turn, and measures them.

It runs on the host: ``python3 calls.py``, with a task as JSON on its standard input. It prints the result
as JSON. A *side* is a way to the engine: ``{"unix": PATH}`` or ``{"tls": [ADDRESS, PORT]}``.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

CERTIFICATES = "/srv/gate/bench"
READ = 1 << 18
VERSION = "v1.41"
"""An API version that all engines of the lab know."""

Side = dict[str, Any]
Sides = dict[str, Side]


class Closed(Exception):
    """The other end has closed a kept connection."""


def connect(side: Side) -> socket.socket:
    """Connect to the engine by one way."""
    if "unix" in side:
        plain = socket.socket(socket.AF_UNIX)
        plain.connect(side["unix"])
        return plain
    host, port = side["tls"]
    context = ssl.create_default_context(cafile=f"{CERTIFICATES}/ca.pem")
    context.load_cert_chain(f"{CERTIFICATES}/cert.pem", f"{CERTIFICATES}/key.pem")
    tcp = socket.create_connection((host, port))
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(tcp, server_hostname=host)


def render(method: str, path: str, body: Any = None, **headers: str) -> bytes:
    """Return a request."""
    content = b"" if body is None else json.dumps(body).encode()
    lines = [f"{method} {path} HTTP/1.1", "Host: docker"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    elif method == "POST" and "Content_Length" not in headers:
        lines.append("Content-Length: 0")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


def exchange(kept: socket.socket, request: bytes) -> tuple[int, bytes]:
    """Send a request, and read the whole answer; return its status and its body, still in chunks.

    Raises:
        Closed: the connection was closed before the answer began.
    """
    try:
        kept.sendall(request)
    except OSError as error:
        raise Closed from error
    data = b""
    while True:
        piece = kept.recv(READ)
        if not piece:
            if data:
                raise SystemExit(f"the answer is incomplete: {data[:500]!r}")
            raise Closed
        data += piece
        head, mark, body = data.partition(b"\r\n\r\n")
        if mark and _is_whole(head, body):
            return int(head[9:12]), body


def _is_whole(head: bytes, body: bytes) -> bool:
    status, lower = head[9:12], head.lower()
    if status in (b"204", b"304"):
        return True
    _before, mark, rest = lower.partition(b"content-length: ")
    return len(body) >= int(rest.split(b"\r\n")[0]) if mark else body.endswith(b"0\r\n\r\n")


class Kept:
    """A connection that is kept, and opened again when the other end closes it."""

    def __init__(self, side: Side) -> None:
        self._side, self._open = side, connect(side)

    def call(self, request: bytes, *expected: int) -> tuple[float, bytes]:
        """Make a call; return its seconds, and the body of the answer."""
        for _attempt in range(2):
            began = time.perf_counter()
            try:
                status, body = exchange(self._open, request)
            except Closed:
                self._open.close()
                self._open = connect(self._side)
                continue
            seconds = time.perf_counter() - began
            if status not in expected:
                raise SystemExit(f"{request[:200]!r}: {status} {body[:500]!r}")
            return seconds, body
        raise SystemExit(f"{request[:200]!r}: the connection is closed at once")


def latency(sides: Sides, target: str, calls: int, block: int) -> dict[str, float]:
    """Return the median seconds of a call on a kept connection, by side, which take turns."""
    request = render("GET", target)
    kept = {name: Kept(side) for name, side in sides.items()}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    for connection in kept.values():
        connection.call(request, 200)
    for _block in range(calls // block):
        for name, connection in kept.items():
            taken[name] += [connection.call(request, 200)[0] for _call in range(block)]
    return {name: statistics.median(values) for name, values in taken.items()}


def cycle(sides: Sides, image: str, cycles: int) -> dict[str, float]:
    """Return the median seconds to create, start, await and remove a container, by side."""
    kept = {name: Kept(side) for name, side in sides.items()}
    taken: dict[str, list[float]] = {name: [] for name in sides}
    body = {"Image": image, "Cmd": ["true"]}
    for number in range(cycles + 1):
        for name, connection in kept.items():
            began = time.perf_counter()
            _seconds, answer = connection.call(
                render("POST", f"/{VERSION}/containers/create?name=bench-{os.getpid()}-{name}", body), 201
            )
            path = f"/{VERSION}/containers/{_document(answer)['Id']}"
            connection.call(render("POST", f"{path}/start"), 204)
            connection.call(render("POST", f"{path}/wait"), 200)
            connection.call(render("DELETE", path), 204)
            if number:  # the first one is not counted
                taken[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in taken.items()}


def _document(body: bytes) -> Any:
    """The JSON of a body, in chunks or not."""
    return json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])


def save(sides: Sides, image: str) -> dict[str, float]:
    """Return the bytes a second of saving an image, by side."""
    return {
        name: _stream(side, render("GET", f"/{VERSION}/images/{image}/get", Connection="close"))
        for name, side in sides.items()
    }


def load(sides: Sides, archive: str) -> dict[str, float]:
    """Return the bytes a second of loading an archive, by side."""
    size = os.path.getsize(archive)
    request = render(
        "POST", f"/{VERSION}/images/load?quiet=1", Connection="close", Content_Type="application/x-tar",
        Content_Length=str(size),
    )  # fmt: skip
    return {name: _stream(side, request, archive) for name, side in sides.items()}


def attach(sides: Sides, image: str, size: int) -> dict[str, float]:
    """Return the bytes a second of the output of a container, by side."""
    body = {
        "Image": image,
        "Cmd": ["dd", "if=/dev/zero", "bs=65536", f"count={size >> 16}"],
        "HostConfig": {"LogConfig": {"Type": "none"}},
    }
    found = {}
    for name, side in sides.items():
        kept = Kept(side)
        _seconds, answer = kept.call(render("POST", f"/{VERSION}/containers/create", body), 201)
        path = f"/{VERSION}/containers/{_document(answer)['Id']}"
        upgrade = render("POST", f"{path}/attach?stream=1&stdout=1", Connection="Upgrade", Upgrade="tcp")
        start = partial(kept.call, render("POST", f"{path}/start"), 204)
        found[name] = _stream(side, upgrade, then=start)
        kept.call(render("DELETE", f"{path}?force=1"), 204)
    return found


def _stream(side: Side, request: bytes, archive: str = "", then: Callable[[], Any] | None = None) -> float:
    """Send a request and a file, and read until the end; return the bytes a second of the larger one."""
    open_ = connect(side)
    began = time.perf_counter()
    open_.sendall(request)
    sent = _send_file(open_, archive) if archive else 0
    head = b""
    while b"\r\n\r\n" not in head:
        piece = open_.recv(READ)
        if not piece:
            raise SystemExit(f"{request[:200]!r}: no answer")
        head += piece
    if head[9:12] not in (b"200", b"101"):
        raise SystemExit(f"{request[:200]!r}: {head[:500]!r}")
    if then is not None:
        began = time.perf_counter()
        then()
    read = len(head)
    buffer = bytearray(READ)
    while True:
        number = open_.recv_into(buffer)
        if not number:
            break
        read += number
    seconds = time.perf_counter() - began
    open_.close()
    return max(sent, read) / seconds


def _send_file(open_: socket.socket, path: str) -> int:
    sent = 0
    with open(path, "rb") as file:
        while True:
            data = file.read(READ)
            if not data:
                return sent
            open_.sendall(data)
            sent += len(data)


def crowd(sides: Sides, target: str, clients: int, seconds: float) -> dict[str, float]:
    """Return the calls a second of several clients at once, by side."""
    return {name: _crowd(side, render("GET", target), clients, seconds) for name, side in sides.items()}


def _crowd(side: Side, request: bytes, clients: int, seconds: float) -> float:
    reader, writer = os.pipe()
    start = time.monotonic() + 0.3
    children = []
    for _client in range(clients):
        child = os.fork()
        if child == 0:
            status = 1
            try:
                kept, number = Kept(side), 0
                time.sleep(max(0.0, start - time.monotonic()))
                while time.monotonic() < start + seconds:
                    kept.call(request, 200)
                    number += 1
                os.write(writer, b"%d\n" % number)
                status = 0
            finally:
                os._exit(status)
        children.append(child)
    os.close(writer)
    ended = [os.waitpid(child, 0)[1] for child in children]
    with os.fdopen(reader) as numbers:
        counted = [int(line) for line in numbers]
    if any(ended):
        raise SystemExit(f"{request[:200]!r}: a client has failed")
    return sum(counted) / seconds


def hold(sides: Sides, target: str, process: int) -> dict[str, float]:
    """Return the resident bytes of a process while each side has a connection that has been used."""
    kept = [Kept(side) for side in sides.values()]
    for _round in range(20):
        for connection in kept:
            connection.call(render("GET", target), 200)
    return {"resident": _status(process, "VmRSS"), "highest": _status(process, "VmHWM")}


def memory(process: int) -> dict[str, float]:
    """Return the resident bytes of a process, now and at most."""
    return {"resident": _status(process, "VmRSS"), "highest": _status(process, "VmHWM")}


def _status(process: int, name: str) -> float:
    with open(f"/proc/{process}/status", encoding="ascii") as file:
        rows = dict(line.split(":", 1) for line in file)
    return float(rows[name].split()[0]) * 1024


TASKS: dict[str, Callable[..., dict[str, float]]] = {
    "latency": latency,
    "cycle": cycle,
    "save": save,
    "load": load,
    "attach": attach,
    "crowd": crowd,
    "hold": hold,
    "memory": memory,
}

if __name__ == "__main__":
    task = json.load(sys.stdin)
    print(json.dumps(TASKS[task.pop("task")](**task)))
