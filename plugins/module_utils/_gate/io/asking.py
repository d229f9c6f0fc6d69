# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the running gate over its control socket, from another process. See control.py."""

from __future__ import annotations

import os
import socket
from typing import Sequence

from ..control import MESSAGE_BYTES, NAME, RUNTIME, Request, parse_answer, render_request

_SECONDS = 20.0


class Unavailable(Exception):
    """No gate has answered: none runs, or it ended meanwhile."""


def ask(request: Request, sockets: Sequence[socket.socket] = (), directory: str = RUNTIME) -> str:
    """Has the gate carry out a request; returns what is wrong, or an empty text.

    Args:
        request: the request.
        sockets: of a door, as many as the request has names.
        directory: of the control socket.

    Raises:
        Unavailable: see there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as sock:
        sock.settimeout(_SECONDS)
        try:
            sock.connect(os.path.join(directory, NAME))
            socket.send_fds(sock, [render_request(request)], [found.fileno() for found in sockets])
            return parse_answer(sock.recv(MESSAGE_BYTES))
        except (OSError, ValueError) as error:
            raise Unavailable(str(error)) from error
