# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The client side of the control socket."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

from lab.cache import Progress
from lab.errors import LabError
from lab.paths import LabPaths


def connect(paths: LabPaths) -> socket.socket | None:
    """Connect to the supervisor; None if no supervisor is running."""
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.connect(str(paths.control_socket))
    except OSError:
        connection.close()
        return None
    return connection


def supervisor_pid(paths: LabPaths) -> int | None:
    """Return the supervisor's process ID, from the socket; None if no supervisor is running."""
    connection = connect(paths)
    if connection is None:
        return None
    with connection:
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        pid: int = struct.unpack("3i", credentials)[0]
        return pid


def request(paths: LabPaths, progress: Progress, operation: str, **arguments: Any) -> Any:
    """Send a request to the supervisor; report its progress, return its result, raise its error."""
    connection = connect(paths)
    if connection is None:
        raise LabError("no lab is running in this clone", remedy="start one with ./dev lab up")
    with connection, connection.makefile("rw", encoding="utf-8") as stream:
        stream.write(json.dumps({"operation": operation, **arguments}) + "\n")
        stream.flush()
        for line in stream:
            ((kind, value),) = json.loads(line).items()
            if kind == "result":
                return value
            if kind == "error":
                raise LabError.from_json(value)
            progress(value)
    raise LabError(
        f"the lab ended during the request {operation}",
        found=f"see {paths.log}",
        remedy="start another with ./dev lab up",
    )
