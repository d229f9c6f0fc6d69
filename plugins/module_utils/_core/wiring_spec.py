# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a wormhole is meant to reach its engine: the options for it, which several modules share.

They are documented in the fragment wormhole.docker.wiring; :func:`_core.wiring.wire` works out what they come to.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import DEFAULT_BRIDGE
from ansible_collections.wormhole.docker.plugins.module_utils._core.identities import (
    DIRECTORY as IDENTITIES,
)

TLS = "tls"
UNIX = "unix"
TRANSPORTS = (TLS, UNIX)

SOCKET_TARGET = "/var/run/docker.sock"
HOST_NAME = "host.docker.internal"
LABEL_PREFIX = "wormhole.docker."
LABEL_MANAGED = LABEL_PREFIX + "managed"
LABEL_TRANSPORT = LABEL_PREFIX + "transport"
LABEL_IDENTITY = LABEL_PREFIX + "identity"

RESERVED_VARIABLES = ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CONTEXT")
"""Variables by which a Docker client chooses its engine; a second opinion on them would break the
wormhole."""

ARGUMENTS: Mapping[str, Any] = {
    "transport": {"type": "str", "choices": list(TRANSPORTS), "default": TLS},
    "identity": {"type": "str"},
    "identity_directory": {"type": "path"},
    "certificate_path": {"type": "str", "default": "/certs"},
    "port": {"type": "int", "default": 2376},
}


@dataclass(frozen=True)
class WiringSpec:
    """How a wormhole is meant to reach its engine.

    Attributes:
        transport: ``tls`` or ``unix``.
        identity: the name that the engine knows the wormhole by: its client certificate's common name.
        identity_directory: on the host: holds ``ca.pem``, ``cert.pem`` and ``key.pem``.
        certificate_path: where that directory is mounted in the container.
        port: TCP port of the listener.
        socket_path: the engine's socket on the host.
        networks: names of the networks that the container joins; empty for what network_mode says.
        network_mode: as in docker_container; empty for the default bridge.
    """

    transport: str = TLS
    identity: str = ""
    identity_directory: str = ""
    certificate_path: str = "/certs"
    port: int = 2376
    socket_path: str = SOCKET_TARGET
    networks: tuple[str, ...] = ()
    network_mode: str = ""

    @property
    def joined(self) -> tuple[str, ...]:
        """The networks that the container will be on; ``host``, ``none`` and ``container:…`` count as
        such."""
        mode = {"": DEFAULT_BRIDGE, "default": DEFAULT_BRIDGE}.get(self.network_mode, self.network_mode)
        return tuple(
            dict.fromkeys(self.networks if not self.network_mode else (mode, *self.networks)) or (mode,)
        )


def parse_wiring(
    params: Mapping[str, Any], *, name: str, socket_path: str, networks: Iterable[str], network_mode: str
) -> WiringSpec:
    """The options of the wiring.

    Args:
        params: of a module that has them.
        name: the container's, which the identity has by default.
        socket_path: the engine's socket on the host.
        networks, network_mode: see :class:`WiringSpec`.

    Raises:
        InvalidInput: a parameter is malformed.
    """
    if params["transport"] not in TRANSPORTS:
        raise InvalidInput("transport", expected=" or ".join(TRANSPORTS), found=params["transport"])
    if not 1 <= params["port"] <= 65535:
        raise InvalidInput("port", expected="a number from 1 to 65535", found=str(params["port"]))
    identity = params.get("identity") or name
    if "/" in identity or identity in (".", ".."):
        raise InvalidInput(
            f"identity {identity}", expected="a name", remedy="Set identity_directory for another place"
        )
    directory = params.get("identity_directory") or f"{IDENTITIES}/{identity}"
    for option, path in (("identity_directory", directory), ("certificate_path", params["certificate_path"])):
        if not path.startswith("/") or ":" in path:
            raise InvalidInput(option, expected="an absolute path without a colon", found=path)
    return WiringSpec(
        transport=params["transport"],
        identity=identity,
        identity_directory=directory.rstrip("/"),
        certificate_path=params["certificate_path"].rstrip("/"),
        port=params["port"],
        socket_path=socket_path,
        networks=tuple(networks),
        network_mode=network_mode,
    )


def refuse_conflicts(
    spec: WiringSpec,
    *,
    env: Iterable[str] = (),
    mount_targets: Iterable[str] = (),
    etc_hosts: Iterable[str] = (),
    labels: Iterable[str] = (),
) -> None:
    """Refuses what the user sets for himself although it is the wiring's.

    Raises:
        InvalidInput: names the first conflict.
    """
    target = spec.certificate_path if spec.transport == TLS else SOCKET_TARGET
    conflicts = [f"env {name}" for name in env if name in RESERVED_VARIABLES]
    conflicts += [f"volumes {path}" for path in mount_targets if posixpath.normpath(path) == target]
    conflicts += [f"etc_hosts {name}" for name in etc_hosts if name == HOST_NAME]
    conflicts += [f"labels {name}" for name in labels if name.startswith(LABEL_PREFIX)]
    if conflicts:
        raise InvalidInput(
            conflicts[0],
            expected=f"to be left to transport {spec.transport}, which sets it",
            remedy="Leave it out; for a container without a wormhole use another module",
        )
