# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for the engine on a unix socket, and a gate in front of it.

The stand-in answers what a test has put into ``answers``, and records each request as it came.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import ssl
import tempfile
import threading
import time
from pathlib import Path

from ansible_collections.wormhole.docker.plugins.module_utils._gate.chunks import ChunkReader
from ansible_collections.wormhole.docker.plugins.module_utils._gate.identities import render_identity
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.deciding import Decider
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.engine import Engine
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.exchange import Parts
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.inquiry import Inquiry
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.journal import Journal
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.learning import Learning
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.policies import Policies
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.recorder import Recorder
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.server import Server
from ansible_collections.wormhole.docker.plugins.module_utils._gate.limits import Limits

PATIENCE = 10
IDENTITY = "ci"


def answer(content=b"", status="200 OK", *headers):
    """An answer with a length."""
    text = json.dumps(content).encode() if isinstance(content, (dict, list)) else content
    kind = ["Content-Type: application/json"] if text is not content else []
    lines = [
        f"HTTP/1.1 {status}",
        "Api-Version: 1.44",
        *kind,
        *headers,
        f"Content-Length: {len(text)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + text


class StandIn:
    """The engine.

    Attributes:
        answers: by ``METHOD path`` without version and query: bytes, or a function of the
            connection that writes the answer itself, and returns whether the connection is kept.
        requests: what came: head and body of each.
        connections: how many were opened.
        ahead: bytes of the body that came with the last head.
    """

    def __init__(self, path):
        self.path = path
        self.answers = {"GET /_ping": answer(b"OK"), "GET /containers/json": answer([])}
        self.requests = []
        self.connections = self.ahead = 0
        self.open = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        """Stops the engine: no connection is left, and none is accepted."""
        os.unlink(self.path)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def drop(self):
        """Closes all connections."""
        for connection in self.open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def lines(self, ours=False):
        """The request lines that came; without those of the gate's own questions."""
        found = [head.split(b"\r\n")[0].decode() for head, _body in self.requests]
        return (
            found if ours else [line for line in found if "filters=" not in line and "GET /_ping" not in line]
        )

    def _accept(self):
        while True:
            try:
                connection, _address = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self.open.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        connection.settimeout(PATIENCE)
        data = b""
        with connection, contextlib.suppress(OSError):
            while True:
                while b"\r\n\r\n" not in data:
                    more = connection.recv(65536)
                    if not more:
                        return
                    data += more
                head, _empty, data = data.partition(b"\r\n\r\n")
                self.requests.append([head, b""])
                method, target = head.split(b"\r\n")[0].decode().split(" ")[:2]
                path = target.partition("?")[0]
                path = path.partition("/")[2].partition("/")[2] if path.startswith("/v1.") else path[1:]
                reply = self.answers.get(
                    f"{method} /{path}", answer({"message": "no such thing"}, "404 Not Found")
                )
                self.ahead = len(data)
                early = callable(reply) and getattr(reply, "early", False)
                if not early:
                    body, data = self._read_body(connection, head.lower(), data)
                    self.requests[-1][1] = body
                if callable(reply):
                    if not reply(connection):
                        return
                else:
                    connection.sendall(reply)

    @staticmethod
    def _read_body(connection, head, data):
        if b"transfer-encoding: chunked" in head:
            reader, pieces = ChunkReader(), []
            pieces += map(bytes, reader.feed(data))
            while not reader.done:
                more = connection.recv(1 << 20)
                if not more or reader.problem:
                    raise OSError("the body is incomplete")
                pieces += map(bytes, reader.feed(more))
            return b"".join(pieces), reader.rest
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        found = bytearray(data)
        while len(found) < length:
            more = connection.recv(1 << 20)
            if not more:
                raise OSError("the body is incomplete")
            found += more
        return bytes(found[:length]), bytes(found[length:])


class Gate:
    """A gate with unix sockets, in this process.

    Attributes:
        path: of the socket of IDENTITY.
        learned: directory of the recorded calls.
        parts, server: its parts.
    """

    def __init__(self, directory, engine, limits=None, preset="ci", **policy):
        self.directory = directory
        self.policies = directory / "policies"
        self.policies.mkdir(exist_ok=True)
        self.log = directory / "log"
        self._log = os.open(self.log, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        self.limits = limits or Limits(drain_seconds=1)
        self.allow(IDENTITY, preset=preset, **policy)
        back = Engine(engine.path, self.limits)
        inquiry = Inquiry(back)
        decider = Decider(inquiry, self.limits.lookups)
        policies = Policies(str(self.policies), os.getuid())
        journal = Journal(self._log)
        self.learned = directory / "learned"
        self.recorder = Recorder(str(self.learned), journal.say, period=0.05)
        self.recorder.start()
        learning = Learning(inquiry, self.recorder, self.limits.lookups)
        parts = Parts(self.limits, back, inquiry, decider, policies, journal, learning)
        self.parts = parts
        self.path = str(directory / IDENTITY / "docker.sock")
        self.server = Server(parts)
        self._thread = threading.Thread(target=self.server.run, daemon=True)
        self._thread.start()
        for name in (IDENTITY, "other"):
            assert self.server.add(f"unix-{name}", [self.listen(name)])

    def listen(self, identity):
        """A listening socket with its name, as a door passes it."""
        (self.directory / identity).mkdir(exist_ok=True)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.directory / identity / "docker.sock"))
        listener.listen(64)
        return f"unix.{identity}", listener

    def allow(self, identity, certificates=(), **policy):
        """Writes the file of an identity, as the module does."""
        text = render_identity({"identity": identity, **policy}, certificates)
        new = self.policies / f".{identity}.new"
        new.write_text(text)
        new.replace(self.policies / f"{identity}.json")

    def close(self):
        """Stops the gate."""
        self.server.stop(1)
        self._thread.join(PATIENCE)
        self.recorder.stop()

    def records(self):
        """The audit log."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


class Client:
    """A connection to the gate."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(path)
        self.data = b""

    def close(self):
        self.sock.close()

    def send(self, line, *headers, body=b""):
        """Sends a request."""
        length = [f"Content-Length: {len(body)}"] if body else []
        kind = ["Content-Type: application/json"] if body else []
        lines = [f"{line} HTTP/1.1", "Host: docker", *kind, *length, *headers, "", ""]
        self.sock.sendall("\r\n".join(lines).encode() + body)

    def head(self):
        """Status and headers of the next answer."""
        while b"\r\n\r\n" not in self.data:
            self._more()
        head, _empty, self.data = self.data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:])
        return int(lines[0].split(" ")[1]), headers

    def answer(self, has_body=True):
        """Status, headers and body of the next answer."""
        status, headers = self.head()
        has_body = has_body and status not in (204, 304)
        return status, headers, self.body(headers) if has_body else b""

    def body(self, headers):
        """The body of an answer."""
        if headers.get("transfer-encoding") == "chunked":
            reader = ChunkReader()
            pieces = list(map(bytes, reader.feed(self.data)))
            while not reader.done:
                assert reader.problem is None, reader.problem
                self.data = b""
                self._more()
                pieces += map(bytes, reader.feed(self.data))
            self.data = reader.rest
            return b"".join(pieces)
        if "content-length" in headers:
            return self.exactly(int(headers["content-length"]))
        return self.rest()

    def exactly(self, length):
        pieces, size = [self.data], len(self.data)
        while size < length:
            more = self.sock.recv(1 << 20)
            if not more:
                raise EOFError(size)
            pieces.append(more)
            size += len(more)
        found = b"".join(pieces)
        self.data = found[length:]
        return found[:length]

    def rest(self):
        """Everything up to the end of the stream."""
        pieces, self.data = [self.data], b""
        while True:
            try:
                more = self.sock.recv(1 << 20)
            except ssl.SSLZeroReturnError:
                # Python says so if our half has ended before.
                more = b""
            if not more:
                return b"".join(pieces)
            pieces.append(more)

    def call(self, line, *headers, body=b""):
        """Sends a request, and returns status and body of the answer."""
        self.send(line, *headers, body=body)
        status, _headers, content = self.answer(has_body=not line.startswith("HEAD"))
        return status, content

    def is_closed(self):
        """Whether the gate has closed the connection."""
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def _more(self):
        more = self.sock.recv(65536)
        if not more:
            raise EOFError(self.data)
        self.data += more


@contextlib.contextmanager
def staged(**settings):
    """An engine and a gate. Paths of unix sockets are short, so not below pytest's directory."""
    directory = Path(tempfile.mkdtemp(prefix="gate"))
    engine = StandIn(str(directory / "engine.sock"))
    gate = Gate(directory, engine, **settings)
    try:
        yield engine, gate
    finally:
        gate.close()
        with contextlib.suppress(OSError):
            engine.close()
        shutil.rmtree(directory)


def soon(condition):
    """Waits until a condition holds."""
    for _attempt in range(500):
        if condition():
            return True
        time.sleep(0.01)
    return False
