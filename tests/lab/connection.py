# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A shared SSH connection to a host, for all programs that use the lab's SSH options."""

from __future__ import annotations

import subprocess
import threading
import time

from lab import access
from lab.paths import LabPaths
from lab.spec import HostState

_OPEN_SECONDS = 10


class SharedConnection:
    """The master of a shared connection. It is a process of the lab, so it ends with the lab.

    A program may stop the connection, as Ansible does to log in again. It is then reopened.
    """

    def __init__(self, paths: LabPaths, host: HostState) -> None:
        self._socket = paths.ssh_master(host.name)
        argv = access.ssh_argv(paths, host)
        self._argv = [argv[0], "-M", "-N", "-oControlMaster=yes", *argv[1:]]
        self._closed = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        threading.Thread(target=self._keep, daemon=True).start()
        deadline = time.monotonic() + _OPEN_SECONDS
        while not self._socket.exists() and time.monotonic() < deadline:
            time.sleep(0.02)

    def close(self) -> None:
        """Close the connection for good."""
        self._closed.set()
        if self._process is not None:
            self._process.kill()
        self._socket.unlink(missing_ok=True)

    def _keep(self) -> None:
        while not self._closed.is_set():
            # With a leftover socket, ssh would connect without sharing.
            self._socket.unlink(missing_ok=True)
            self._process = subprocess.Popen(self._argv, stdin=subprocess.DEVNULL)
            if self._closed.is_set():  # close() ran before the process was stored
                self._process.kill()
            self._process.wait()
            self._closed.wait(0.1)
