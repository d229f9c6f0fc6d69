# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is said over the control socket of the gate: one request and one answer on each connection.

Root and doors use it (see units.py). Both are JSON texts; the sockets of a door are passed along with
its request. This file is imported by each door, so it imports little.
"""

from __future__ import annotations

import json
from typing import NamedTuple, Optional

RUNTIME = "/run/wormhole-gate"
"""Directory of the gate's control socket and its copies of the certificate (RuntimeDirectory=)."""
NAME = "control.sock"
MESSAGE_BYTES = 8192
SOCKETS = 16
"""Sockets that one door passes on at most."""

ADD, REMOVE, RELOAD = "add", "remove", "reload"
COMMANDS = (ADD, REMOVE, RELOAD)


class Request(NamedTuple):
    """What the gate shall do.

    Attributes:
        command: ADD or REMOVE sockets, or RELOAD policies and the certificate.
        door: whose sockets, such as ``unix-ci``.
        names: of its sockets (FileDescriptorName=, systemd.socket(5)), in the order in which they are passed.
    """

    command: str
    door: str = ""
    names: tuple[str, ...] = ()


def render_request(request: Request) -> bytes:
    """Renders a request. parse_request() returns the same one."""
    return json.dumps(request._asdict()).encode()


def parse_request(content: bytes) -> Optional[Request]:
    """Parses a request; None if it is none."""
    try:
        found = json.loads(content)
        command, door, names = found["command"], found["door"], found["names"]
    except (ValueError, KeyError, TypeError):
        return None
    if command not in COMMANDS or not isinstance(door, str) or not isinstance(names, list):
        return None
    if not all(isinstance(name, str) for name in names):
        return None
    return Request(command, door, tuple(names))


def render_answer(problem: str) -> bytes:
    """Renders an answer: what is wrong; empty if the request has been carried out."""
    return json.dumps({"problem": problem}).encode()[:MESSAGE_BYTES]


def parse_answer(content: bytes) -> str:
    """Parses an answer.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(content)
    if not isinstance(found, dict) or not isinstance(found.get("problem"), str):
        raise ValueError("not an answer of the gate")
    return str(found["problem"])
