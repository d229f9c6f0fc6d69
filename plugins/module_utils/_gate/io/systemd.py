# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What systemd hands to a service, and what it is told by it.

Sources: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Mapping, Optional

_FIRST = 3


def take_listeners(environment: Mapping[str, str], process: int) -> list[tuple[str, socket.socket]]:
    """The listening sockets with their names; empty if systemd has passed none to this process."""
    if environment.get("LISTEN_PID") != str(process):
        return []
    count = int(environment.get("LISTEN_FDS", "0"))
    names = environment.get("LISTEN_FDNAMES", "").split(":") if count else []
    names += ["unknown"] * (count - len(names))
    found = []
    for offset in range(count):
        os.set_inheritable(_FIRST + offset, False)
        found.append((names[offset], socket.socket(fileno=_FIRST + offset)))
    return found


class Notifier:
    """Reports to systemd.

    Args:
        environment: of this process.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self.watchdog = _watchdog(environment)

    def send(self, text: str) -> None:
        """Reports a state, such as ``READY=1``."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1)
            sock.sendto(text.encode(), address)


def _watchdog(environment: Mapping[str, str]) -> Optional[float]:
    """Seconds after which systemd restarts a service that does not report; None without a watchdog."""
    text = environment.get("WATCHDOG_USEC", "")
    return int(text) / 1e6 if text.isdigit() and int(text) else None
