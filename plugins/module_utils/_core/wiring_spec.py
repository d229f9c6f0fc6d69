# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a wormhole is meant to reach its engine: the options for it, which several modules share.

They are documented in the fragment wormhole.docker.wiring; :func:`_core.wiring.wire` works out what they come to.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import (
    DIRECTORY as PROGRAM_DIRECTORY,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import refuse_variables
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import DEFAULT_BRIDGE
from ansible_collections.wormhole.docker.plugins.module_utils._core.identities import (
    DIRECTORY as IDENTITIES,
)

TLS = "tls"
UNIX = "unix"
TCP = "tcp"
TRANSPORTS = (TLS, UNIX, TCP)
LAUNCH, RUNTIME = DISCOVERIES = ("launch", "runtime")

SOCKET_TARGET = "/var/run/docker.sock"
SOCKET_DIRECTORY = "/run/wormhole"
"""Where dockerd_listener makes a socket in a directory of its own, unless it is told another."""
HOST_NAME = "host.docker.internal"
LABEL_PREFIX = "wormhole.docker."
LABEL_MANAGED = LABEL_PREFIX + "managed"
LABEL_TRANSPORT = LABEL_PREFIX + "transport"
LABEL_IDENTITY = LABEL_PREFIX + "identity"
LABEL_IDENTITY_DIRECTORY = LABEL_PREFIX + "identity-directory"
LABEL_DISCOVER = LABEL_PREFIX + "discover"

TESTCONTAINERS_VARIABLES = ("TESTCONTAINERS_HOST_OVERRIDE", "TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE")
"""Where Testcontainers finds the ports that the host publishes, and which socket its reaper mounts. The
implementations for Java, Go, Node.js and Python read them; see their documentation, "Configuration"."""

RESERVED_VARIABLES = ("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CONTEXT")
"""Variables by which a Docker client chooses its engine; a second opinion on them would break the
wormhole."""

ARGUMENTS: Mapping[str, Any] = {
    "transport": {"type": "str", "choices": list(TRANSPORTS), "default": TLS},
    "identity": {"type": "str"},
    "identity_directory": {"type": "path"},
    "certificate_path": {"type": "str", "default": "/certs"},
    "port": {"type": "int", "default": 2376},
    "insecure_plaintext_port": {"type": "int"},
    "testcontainers": {"type": "bool", "default": False},
    "shared_directory": {"type": "path"},
}


@dataclass(frozen=True)
class WiringSpec:
    """How a wormhole is meant to reach its engine.

    Attributes:
        transport: ``tls``, ``unix`` or ``tcp``.
        identity: the name that the engine knows the wormhole by: its client certificate's common name.
        identity_directory: on the host: holds ``ca.pem``, ``cert.pem`` and ``key.pem``.
        identity_managed: whether the identity is made, and removed, with the container.
        certificate_path: where that directory is mounted in the container.
        port: TCP port of the listener that speaks TLS.
        insecure_plaintext_port: TCP port of the one that does not; None unless transport is ``tcp``.
        socket_path: the engine's socket on the host.
        networks: names of the networks that the container joins; empty for what network_mode says.
        network_mode: as in docker_container; empty for the default bridge.
        gateway_priorities: of those networks that have another than 0.
        testcontainers: whether to set what Testcontainers needs.
        discover: when the engine's address is worked out: ``launch``, or ``runtime`` for each start of the container.
        shared_directory: directory of the host that the container has at the same path, and works in; empty for none.
        working_dir: the container's working directory, if the user has set it.
        host_users: whether the container is exempt from remapped users (``userns_mode: host``).
        unlabelled: whether it is exempt from confinement by SELinux.
    """

    transport: str = TLS
    identity: str = ""
    identity_directory: str = ""
    identity_managed: bool = False
    certificate_path: str = "/certs"
    port: int = 2376
    insecure_plaintext_port: Optional[int] = None
    socket_path: str = SOCKET_TARGET
    networks: tuple[str, ...] = ()
    network_mode: str = ""
    gateway_priorities: Mapping[str, int] = field(default_factory=dict)
    testcontainers: bool = False
    discover: str = LAUNCH
    shared_directory: str = ""
    working_dir: str = ""
    host_users: bool = False
    unlabelled: bool = False

    @property
    def joined(self) -> tuple[str, ...]:
        """The networks that the container will be on; ``host``, ``none`` and ``container:…`` count as
        such."""
        mode = {"": DEFAULT_BRIDGE, "default": DEFAULT_BRIDGE}.get(self.network_mode, self.network_mode)
        return tuple(
            dict.fromkeys(self.networks if not self.network_mode else (mode, *self.networks)) or (mode,)
        )


def parse_wiring(
    params: Mapping[str, Any],
    *,
    name: str,
    socket_path: str,
    networks: Iterable[str],
    network_mode: str,
    gateway_priorities: Optional[Mapping[str, int]] = None,
    working_dir: str = "",
    host_users: bool = False,
    unlabelled: bool = False,
) -> WiringSpec:
    """The options of the wiring.

    Args:
        params: of a module that has them.
        name: the container's, which the identity has by default.
        socket_path: the engine's socket on the host.
        networks, network_mode, gateway_priorities, working_dir, host_users, unlabelled: see :class:`WiringSpec`.

    Raises:
        InvalidInput: a parameter is malformed, or some contradict each other.
    """
    transport = params["transport"]
    if transport not in TRANSPORTS:
        raise InvalidInput("transport", expected=" or ".join(TRANSPORTS), found=transport)
    plaintext = params.get("insecure_plaintext_port")
    _check_port("port", params["port"])
    _check_plaintext(transport, plaintext)
    discover = params.get("discover") or LAUNCH
    _check_discovery(discover, transport, bool(params.get("testcontainers")))
    identity = params.get("identity") or name
    if "/" in identity or identity in (".", ".."):
        raise InvalidInput(
            f"identity {identity}", expected="a name", remedy="Set identity_directory for another place"
        )
    directory = params.get("identity_directory") or f"{IDENTITIES}/{identity}"
    shared = _parse_shared(params.get("shared_directory") or "", working_dir)
    return WiringSpec(
        transport=transport,
        identity=identity,
        identity_directory=_parse_directory("identity_directory", directory),
        identity_managed=params["transport"] == TLS and bool(params.get("identity_managed")),
        certificate_path=_parse_directory("certificate_path", params["certificate_path"]),
        port=params["port"],
        insecure_plaintext_port=plaintext,
        socket_path=_normal(socket_path),
        networks=tuple(networks),
        network_mode=network_mode,
        gateway_priorities=dict(gateway_priorities or {}),
        testcontainers=bool(params.get("testcontainers")),
        discover=discover,
        shared_directory=shared,
        working_dir=working_dir,
        host_users=host_users,
        unlabelled=unlabelled,
    )


def plaintext_warnings(spec: WiringSpec) -> list[str]:
    """What a run has to warn of: plaintext is never silent."""
    if spec.transport != TCP:
        return []
    return [
        f"transport tcp: the wormhole reaches its engine without TLS, at port {spec.insecure_plaintext_port}; "
        "whoever reaches that port is root on the host"
    ]


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
    targets = {
        *([spec.certificate_path] if spec.transport == TLS else []),
        *([SOCKET_TARGET, SOCKET_DIRECTORY] if spec.transport == UNIX else []),
        *([spec.shared_directory] if spec.shared_directory else []),
        *([PROGRAM_DIRECTORY] if spec.discover == RUNTIME else []),
    }
    env = tuple(env)
    if spec.discover == RUNTIME:
        refuse_variables(env)
    reserved = (*RESERVED_VARIABLES, *(TESTCONTAINERS_VARIABLES if spec.testcontainers else ()))
    conflicts = [f"env {name}" for name in env if name in reserved]
    conflicts += [f"volumes {path}" for path in mount_targets if posixpath.normpath(path) in targets]
    conflicts += [f"etc_hosts {name}" for name in etc_hosts if name == HOST_NAME]
    conflicts += [f"labels {name}" for name in labels if name.startswith(LABEL_PREFIX)]
    if conflicts:
        raise InvalidInput(
            conflicts[0],
            expected=f"to be left to transport {spec.transport}, which sets it",
            remedy="Leave it out; for a container without a wormhole use another module",
        )


def _check_port(option: str, port: int) -> None:
    if not 1 <= port <= 65535:
        raise InvalidInput(option, expected="a number from 1 to 65535", found=str(port))


def _check_plaintext(transport: str, port: Optional[int]) -> None:
    if transport == TCP and port is None:
        raise InvalidInput(
            "transport tcp",
            expected="the option insecure_plaintext_port beside it, which says what it is",
            remedy="Use transport tls, or unix; or name the port that dockerd_listener serves in plaintext",
        )
    if port is None:
        return
    if transport != TCP:
        raise InvalidInput(
            "insecure_plaintext_port",
            expected="transport tcp beside it",
            found=f"transport {transport}",
            remedy="Leave it out",
        )
    _check_port("insecure_plaintext_port", port)


def _check_discovery(discover: str, transport: str, testcontainers: bool) -> None:
    if discover not in DISCOVERIES:
        raise InvalidInput("discover", expected=" or ".join(DISCOVERIES), found=discover)
    if discover == RUNTIME and transport == UNIX:
        raise InvalidInput(
            "discover runtime",
            expected="transport tls or tcp beside it",
            found="transport unix, which has no address that could change",
            remedy="Leave discover out",
        )
    if discover == RUNTIME and testcontainers:
        raise InvalidInput(
            "testcontainers",
            expected="discover launch beside it, because it takes the host's address at launch",
            remedy="Leave one of them out",
        )


def _parse_shared(path: str, working_dir: str) -> str:
    if not path:
        return ""
    directory = _parse_directory("shared_directory", path)
    if working_dir and working_dir != directory and not working_dir.startswith(directory + "/"):
        raise InvalidInput(
            f"working_dir {working_dir}",
            expected=f"shared_directory {directory}, or a directory in it",
            remedy="Leave it out, or leave shared_directory out and name the volume yourself",
        )
    return directory


def _parse_directory(option: str, path: str) -> str:
    """A directory as the engine's volumes are compared: in the one way to write it."""
    directory = _normal(path)
    if not path.startswith("/") or ":" in path or directory == "/":
        raise InvalidInput(option, expected="an absolute path below /, without a colon", found=path)
    return directory


def _normal(path: str) -> str:
    # Two slashes at the beginning are something of their own to POSIX, and stay.
    return "/" + posixpath.normpath(path).lstrip("/")
