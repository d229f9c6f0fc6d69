# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe and verify what the endpoints of this host's listener serve, by dockerd or by the gate."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Sequence

from ..._base.address import SocketAddress
from ..._base.errors import VerificationFailed
from ..._base.io import files, systemd
from ..._certificates.io.decoding import read_certificate
from ..._endpoint.adequacy import is_adequate
from ..._endpoint.io.https_client import ping_socket
from ..._endpoint.io.probe import observe_endpoint
from ..._endpoint.model import EndpointSpec
from ..._gate import config as gate_config
from ..._gate import units as gate_units
from ..._networks.gateways import NamedAddress, Topology
from ..._networks.io.interfaces import is_usable
from .. import model as listener
from .. import spec as listener_spec

_ATTEMPTS = 4
"""How often to connect to an endpoint without an answer; each waits for EndpointSpec.timeout."""
_PATIENCE = 15.0
"""Seconds within which an engine has to accept connections after its restart."""
_UNIX_TIMEOUT = 5.0
"""Seconds for each step of a request to a unix socket."""


class ListenerProbe:
    """Connects to the endpoints of one listener.

    Attributes:
        promised: names for networks to come, which the certificate need not have yet.
    """

    def __init__(self, spec: listener_spec.ListenerSpec) -> None:
        self._spec = spec
        self.promised: tuple[NamedAddress, ...] = ()

    def served(self, address: str, listening: Sequence[str], topology: Topology) -> listener.Served:
        """What an address serves to a client without a certificate.

        An endpoint without an answer is tried several times: a busy engine must not be restarted
        for being slow.

        Args:
            address: the address that clients use.
            listening: other addresses of the same engine, to connect to if the address itself is
                not usable now.
            topology: the host's Docker networks.
        """
        dialled = next((candidate for candidate in (address, *listening) if is_usable(candidate)), None)
        if dialled is None:
            # Only IPv6 gateways without containers: there is no client. A later run checks, and the
            # plan itself knows about a certificate that this run has issued.
            return listener.SERVED_CURRENT
        for _attempt in range(_ATTEMPTS):
            served = self._look(address, dialled, topology)
            if served != listener.SERVED_SILENT:
                break
        return served

    def verify(self, address: str, addresses: Sequence[str], topology: Topology) -> None:
        """Raises VerificationFailed if an address serves no installed certificate within 15 s."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            served = self.served(address, addresses, topology)
            if served == listener.SERVED_CURRENT:
                return
            if time.monotonic() > deadline:
                endpoint = str(SocketAddress(address, self._spec.port))
                problem = f"{endpoint} serves {served} instead of {listener.SERVED_CURRENT}"
                raise VerificationFailed(endpoint, problem=problem)
            time.sleep(0.2)

    def _look(self, address: str, dialled: str, topology: Topology) -> listener.Served:
        state = observe_endpoint(EndpointSpec(address=dialled, port=self._spec.port))
        if state.anonymous.protocol == "plaintext":
            return listener.SERVED_PLAINTEXT
        if state.anonymous.verdict == "accepted":
            return listener.SERVED_TO_ANYONE
        if state.served is None or state.anonymous.verdict != "refused":
            return listener.SERVED_SILENT if state.reached.outcome == "open" else listener.SERVED_NOTHING
        installed = files.read_file(f"{self._spec.directory}/cert.pem")
        if installed is None or self._trust_is_outdated():
            return listener.SERVED_OUTDATED
        facts, now = read_certificate(installed.content), datetime.now(timezone.utc)
        if self._spec.gate_tls:
            # The gate reads another one without a restart: nothing has to wait.
            same = state.served.fingerprint_sha256 == facts.fingerprint_sha256
            return listener.SERVED_CURRENT if same else listener.SERVED_OUTDATED
        # Only this address: the others are checked on their own.
        adequate = is_adequate(state.served, facts, [address], topology, now, self.promised)
        return listener.SERVED_CURRENT if adequate else listener.SERVED_OUTDATED

    def _trust_is_outdated(self) -> bool:
        """Whether ca.pem is another than the server has read; no handshake shows that."""
        bundle = files.read_file(f"{self._spec.directory}/{gate_config.CA}")
        if self._spec.gate_tls:
            # The gate reads copies, which its reload replaces.
            copied = files.read_file(f"{gate_units.RUNTIME}/{gate_config.COPIES}/{gate_config.CA}")
            return bundle is None or copied is None or copied.content != bundle.content
        started = systemd.show(listener_spec.ENGINE_UNIT, ["ExecMainStartTimestampMonotonic"])
        microseconds = int(started.get("ExecMainStartTimestampMonotonic") or 0)
        if bundle is None or not microseconds:
            return False
        start = time.time() - time.clock_gettime(time.CLOCK_MONOTONIC) + microseconds / 1e6
        return bundle.mtime > start


def verify_unix_socket(path: str) -> None:
    """Raises VerificationFailed if the engine does not answer at a unix socket (``GET /_ping``)."""
    found = ping_socket(path, _UNIX_TIMEOUT)
    if found:
        raise VerificationFailed(path, problem=f"The engine does not answer at {path}: {found}")
