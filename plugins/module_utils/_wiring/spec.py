# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a wormhole reaches its engine, as parsed by :mod:`_wiring.options`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, Mapping, Optional

from .._access.spec import AccessSpec
from .._networks.gateways import DEFAULT_BRIDGE

Transport = Literal["tls", "unix", "tcp"]
TLS: Final = "tls"
UNIX: Final = "unix"
TCP: Final = "tcp"
TRANSPORTS: tuple[Transport, ...] = (TLS, UNIX, TCP)

Discovery = Literal["launch", "runtime"]
"""When the engine's address is determined: at launch, or at each start of the container."""
LAUNCH: Final = "launch"
RUNTIME: Final = "runtime"
DISCOVERIES: tuple[Discovery, ...] = (LAUNCH, RUNTIME)

SOCKET_TARGET = "/var/run/docker.sock"
SOCKET_DIRECTORY = "/run/wormhole"
"""The default directory of the socket that dockerd_listener creates."""
HOST_NAME = "host.docker.internal"

TESTCONTAINERS_VARIABLES = ("TESTCONTAINERS_HOST_OVERRIDE", "TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE")
"""The host whose published ports Testcontainers uses, and the socket that its reaper mounts. The
implementations for Java, Go, Node.js and Python read them; see "Configuration" in their
documentation."""
RYUK_DISABLED = "TESTCONTAINERS_RYUK_DISABLED"
"""By it, Testcontainers starts no reaper, see the same page."""

RESERVED_VARIABLES = ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CONTEXT")
"""Variables by which a Docker client chooses its engine. Only the wiring sets them."""
CONTEXT_VARIABLE = "DOCKER_CONTEXT"
NO_CONTEXT: Final = "default"
"""The context in which clients use ``DOCKER_HOST``. aiodocker prefers every other one, including
``currentContext`` of a configuration file, to ``DOCKER_HOST`` (0.27, ``Docker.__init__``)."""


@dataclass(frozen=True)
class WiringSpec:
    """How a wormhole reaches its engine.

    Most attributes are options of wormhole_container. The others are:

    Attributes:
        insecure_plaintext_port: None unless the transport is ``tcp``.
        engine, engine_address: name of another host whose engine the container uses, and the address
            at which that engine serves it; empty for the engine that runs the container.
        socket_path: the engine's socket on the host.
        networks: names of the networks that the container joins; empty for what network_mode says.
        network_mode: empty for the default bridge.
        identity_owner: a user as in the container's option ``user``; empty for the user of the
            container's main process.
        gateway_priorities: priorities other than 0, by network.
        host_users: whether the container is exempt from remapped users (``userns_mode: host``).
        unlabelled: whether the container is exempt from SELinux.
        policy: the policy that the task sets; None if it sets none.
    """

    transport: Transport = TLS
    identity: str = ""
    identity_directory: str = ""
    identity_managed: bool = False
    identity_owner: str = ""
    certificate_path: str = "/certs"
    port: int = 2376
    insecure_plaintext_port: Optional[int] = None
    engine: str = ""
    engine_address: str = ""
    socket_path: str = SOCKET_TARGET
    networks: tuple[str, ...] = ()
    network_mode: str = ""
    gateway_priorities: Mapping[str, int] = field(default_factory=dict)
    testcontainers: bool = False
    discover: Discovery = LAUNCH
    shared_directory: str = ""
    working_dir: str = ""
    host_users: bool = False
    unlabelled: bool = False
    policy: Optional[AccessSpec] = None

    @property
    def gated(self) -> bool:
        """Whether the container gets a socket of the gate instead of the engine's."""
        return self.transport == UNIX and self.policy is not None and self.policy.restricts

    @property
    def joined(self) -> tuple[str, ...]:
        """The networks that the container joins, with ``host``, ``none`` and ``container:…``."""
        mode = DEFAULT_BRIDGE if self.network_mode in ("", "default") else self.network_mode
        first = (mode,) if self.network_mode or not self.networks else ()
        return tuple(dict.fromkeys((*first, *self.networks)))
