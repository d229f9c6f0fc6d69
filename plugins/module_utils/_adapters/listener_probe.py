# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a listener of this host serves to those who dial it."""

from __future__ import annotations

import socket
import time
from datetime import datetime, timezone
from typing import Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files, systemd
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interfaces import is_usable
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.probe import observe_endpoint
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.x509 import read_certificate
from ansible_collections.wormhole.docker.plugins.module_utils._core import listener
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import EndpointSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import NamedAddress, Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_material import is_adequate

_ATTEMPTS = 4
"""Looks at an endpoint that is silent; each waits as long as EndpointSpec.timeout says."""
_PATIENCE = 15.0
"""Seconds within which a restarted engine, which said that it is ready, has to take connections."""
_UNIX_TIMEOUT = 5.0
"""Seconds for one answer by a unix socket."""


class ListenerProbe:
    """Looks at the endpoints of one listener.

    Attributes:
        promised: names of networks to come, which the certificate need not have yet.
    """

    def __init__(self, spec: listener.ListenerSpec) -> None:
        self._spec = spec
        self.promised: tuple[NamedAddress, ...] = ()

    def served(self, address: str, listening: Sequence[str], topology: Topology) -> str:
        """What a client without a certificate meets, as one of the SERVED constants.

        Silence is believed only when it lasts: a busy engine must not be restarted for being slow.

        Args:
            address: whose clients matter.
            listening: where else the same engine serves the same: asked where nobody can dial the address itself.
            topology: the host's Docker networks.
        """
        dialled = next((candidate for candidate in (address, *listening) if is_usable(candidate)), None)
        if dialled is None:
            # IPv6 gateways only, and no container at any of them: nobody meets anything. The next run that finds one
            # looks, and what this run issued is known to the plan by itself.
            return listener.SERVED_CURRENT
        for _attempt in range(_ATTEMPTS):
            served = self._look(address, dialled, topology)
            if served != listener.SERVED_SILENT:
                break
        return served

    def prove(self, address: str, addresses: Sequence[str], topology: Topology) -> None:
        """Makes sure that an address serves what is installed.

        Raises:
            VerificationFailed: it does not, even after a while.
        """
        deadline = time.monotonic() + _PATIENCE
        while True:
            served = self.served(address, addresses, topology)
            if served == listener.SERVED_CURRENT:
                return
            if time.monotonic() > deadline:
                endpoint = listener.render_endpoint(address, self._spec.port)
                raise VerificationFailed(endpoint, expected=listener.SERVED_CURRENT, found=served)
            time.sleep(0.2)

    def _look(self, address: str, dialled: str, topology: Topology) -> str:
        state = observe_endpoint(EndpointSpec(address=dialled, port=self._spec.port))
        if state.protocol == "plaintext":
            return listener.SERVED_PLAINTEXT
        if state.anonymous == "accepted":
            return listener.SERVED_TO_ANYONE
        if state.served is None or state.anonymous != "refused":
            return listener.SERVED_SILENT if state.tcp == "open" else listener.SERVED_NOTHING
        installed = files.read_file(f"{self._spec.directory}/cert.pem")
        if installed is None or self._trust_is_outdated():
            return listener.SERVED_OUTDATED
        facts, now = read_certificate(installed.content), datetime.now(timezone.utc)
        # Whether the other addresses are named is what their own clients meet, and is asked for them.
        adequate = is_adequate(state.served, facts, [address], topology, now, self.promised)
        return listener.SERVED_CURRENT if adequate else listener.SERVED_OUTDATED

    def _trust_is_outdated(self) -> bool:
        """Whether ca.pem, which no handshake shows, is younger than the engine, which reads it only at its start."""
        bundle = files.read_file(f"{self._spec.directory}/ca.pem")
        started = systemd.show(listener.ENGINE_UNIT, ["ExecMainStartTimestampMonotonic"])
        microseconds = int(started.get("ExecMainStartTimestampMonotonic") or 0)
        if bundle is None or not microseconds:
            return False
        start = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC) + microseconds / 1e6
        return bundle.mtime > start


def prove_unix_socket(path: str) -> None:
    """Makes sure that the engine answers by a unix socket (``GET /_ping``).

    Raises:
        VerificationFailed: it does not.
    """
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(_UNIX_TIMEOUT)
            connection.connect(path)
            connection.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            answer = connection.recv(64)
    except OSError as error:
        raise VerificationFailed(
            path, expected="the engine's answer", found=error.strerror or str(error)
        ) from error
    if b" 200 " not in answer:
        raise VerificationFailed(path, expected="the engine's answer", found=repr(answer))
