# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether an engine answers at a unix socket."""

from __future__ import annotations

import socket


def ping_socket(path: str, timeout: float) -> str:
    """Asks ``GET /_ping`` there; returns what is wrong, or nothing if it answers as an engine does.

    Args:
        path: of the socket, as this process sees it.
        timeout: seconds that each step may take.
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
