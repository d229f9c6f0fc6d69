# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls of the Engine API as bytes, through a unix socket of a host, many in one session of SSH."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

CLIENT = r"""
import json, socket, sys

SHORT = 1.5

def call(path, method, target, body, kind):
    content = body.encode("latin-1") if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
    lines = [method + " " + target + " HTTP/1.1", "Host: docker", "Connection: " + ("Upgrade" if kind == "hijack" else "close")]
    if kind == "hijack":
        lines += ["Upgrade: " + ("h2c" if "/session" in target or "/grpc" in target else "tcp")]
    if content or method in ("POST", "PUT"):
        lines += ["Content-Type: " + ("application/x-tar" if isinstance(body, str) else "application/json")] if content else []
        lines += ["Content-Length: %d" % len(content)]
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(path)
    with sock:
        sock.sendall("\r\n".join(lines + ["", ""]).encode() + content)
        data = b""
        try:
            while len(data) < 200000:
                more = sock.recv(65536)
                if not more:
                    break
                data += more
                if b"\r\n\r\n" in data and kind != "whole":
                    sock.settimeout(SHORT)
        except OSError:
            pass
    head, _empty, rest = data.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1]) if head.startswith(b"HTTP/1.1 ") else 0
    return [status, rest.decode("latin-1")]

print(json.dumps([call(*one) for one in json.load(sys.stdin)]))
"""


@dataclass(frozen=True)
class Raw:
    """One call.

    Attributes:
        method, target: of the request.
        body: a JSON document, or a text whose characters are the bytes of an archive.
        kind: ``whole``; ``stream``, of which the beginning is read; ``hijack``.
    """

    method: str
    target: str
    body: Any = None
    kind: str = "whole"

    def __str__(self) -> str:
        body = f" {json.dumps(self.body)[:200]}" if isinstance(self.body, dict) else ""
        return f"{self.method} {self.target}{body}"


@dataclass(frozen=True)
class Answer:
    """Status and the beginning of the body."""

    status: int
    text: str


def make_calls(host: Any, socket_path: str, calls: list[Raw]) -> list[Answer]:
    """Make calls one after the other, and return the answers."""
    host.write("/root/raw_calls.py", CLIENT)
    rows = [[socket_path, call.method, call.target, call.body, call.kind] for call in calls]
    done = host.run(["python3", "/root/raw_calls.py"], input=json.dumps(rows), timeout=600)
    return [Answer(status, text) for status, text in json.loads(done.stdout)]
