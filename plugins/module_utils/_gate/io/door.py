# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A door: pass the sockets that systemd has opened on to the running gate, or have it drop them.

systemd runs this with the first connection to a socket, and again after each start of the gate (see
render_door() in units.py). Clients wait in the queue of the socket meanwhile, so nothing is imported
here that takes long.
"""

from __future__ import annotations

import os
import sys
import time

from ..control import ADD, REMOVE, RUNTIME, Request
from .asking import Unavailable, ask
from .systemd import take_listeners

_PATIENCE = 50.0
"""Seconds to wait for a gate that is starting: less than the unit's TimeoutStartSec=."""
_PAUSE = 0.05


def main(arguments: list[str]) -> int:
    """Carries out ``add DOOR`` or ``remove DOOR``; returns the exit status."""
    if len(arguments) != 2 or arguments[0] not in (ADD, REMOVE):
        sys.stderr.write("usage: door add|remove DOOR\n")
        return 64
    command, door = arguments
    problem = _add(door) if command == ADD else _remove(door)
    if problem:
        sys.stderr.write(f"wormhole-gate: {problem}\n")
    return 1 if problem else 0


def _add(door: str) -> str:
    listeners = take_listeners(os.environ, os.getpid())
    if not listeners:
        return "systemd has passed no sockets. Start the socket unit instead of its door."
    request = Request(ADD, door, tuple(name for name, _listener in listeners))
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return ask(request, [listener for _name, listener in listeners], _directory())
        except Unavailable as error:
            if time.monotonic() > deadline:
                return f"The gate does not take the sockets: {error}. See systemctl status wormhole-gate."
        time.sleep(_PAUSE)


def _remove(door: str) -> str:
    try:
        return ask(Request(REMOVE, door), (), _directory())
    except Unavailable:
        # Without a gate, nobody has the sockets.
        return ""


def _directory() -> str:
    return os.environ.get("RUNTIME_DIRECTORY", RUNTIME)
