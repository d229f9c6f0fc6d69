# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The control socket of the running gate. See control.py one directory above."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import struct
import threading
import time
from typing import Callable, List, Tuple

from ..control import ADD, MESSAGE_BYTES, NAME, SOCKETS, Request, parse_request, render_answer

_SECONDS = 5.0
_PAUSE = 0.05
_CREDENTIALS = struct.Struct("3i")
_BACKLOG = 128

Listeners = List[Tuple[str, socket.socket]]
Obey = Callable[[Request, Listeners], str]


class Control:
    """Takes requests of root and of the gate's own user, one after the other.

    Args:
        directory: where to create the socket. Only the gate and root can enter it.
        obey: carries out a request with the sockets that came along, which it has to close in the end;
            returns what is wrong, or an empty text.
    """

    def __init__(self, directory: str, obey: Obey) -> None:
        self._obey = obey
        self._path = os.path.join(directory, NAME)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # The socket has its mode before anybody can connect.
        before = os.umask(0o177)
        try:
            self._listener.bind(self._path)
        finally:
            os.umask(before)
        self._listener.listen(_BACKLOG)

    def start(self) -> None:
        """Serves in a thread of its own."""
        threading.Thread(target=self._run, daemon=True).start()

    def close(self) -> None:
        """Takes no more requests. A door that comes now waits for the next gate."""
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _run(self) -> None:
        while True:
            try:
                sock, _address = self._listener.accept()
            except OSError:
                if self._listener.fileno() < 0:
                    return
                # Without a free descriptor, requests wait.
                time.sleep(_PAUSE)
                continue
            with sock, contextlib.suppress(OSError):
                sock.settimeout(_SECONDS)
                self._serve(sock)

    def _serve(self, sock: socket.socket) -> None:
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        if _CREDENTIALS.unpack(credentials)[1] not in (0, os.getuid()):
            return
        content, numbers, flags, _address = socket.recv_fds(sock, MESSAGE_BYTES, SOCKETS)
        if not content:
            return
        sockets = []
        for number in numbers:
            os.set_inheritable(number, False)
            if _is_socket(number):
                sockets.append(socket.socket(fileno=number))
            else:
                os.close(number)
        request = parse_request(content)
        complete = not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) and len(sockets) == len(numbers)
        wanted = len(request.names) if request is not None and request.command == ADD else 0
        if request is None or not complete or len(sockets) != wanted:
            for found in sockets:
                found.close()
            sock.send(render_answer("The request is malformed."))
            return
        sock.send(render_answer(self._obey(request, list(zip(request.names, sockets)))))


def _is_socket(number: int) -> bool:
    return stat.S_ISSOCK(os.fstat(number).st_mode)
