# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container needs so that a Docker client in it finds the engine that runs it.

:func:`wire` works it out from what the user asks for and what is observed of the host, and says it in the
terms of docker_container's options, so that whoever creates the container merges it like any other option.

Sources: Docker CLI reference, "Environment variables" (``DOCKER_HOST`` and its like);
``docker run`` reference, "--add-host" (``host-gateway``) and "--group-add".
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    HOST_NAME,
    LABEL_IDENTITY,
    LABEL_MANAGED,
    LABEL_TRANSPORT,
    SOCKET_TARGET,
    UNIX,
    WiringSpec,
)


@dataclass(frozen=True)
class WiringState:
    """What the wiring depends on.

    Attributes:
        topology: the host's Docker networks.
        served: addresses and ports at which dockerd listens for wormholes.
        socket_gid: group of the engine's socket; None if it cannot be told.
    """

    topology: Topology
    served: tuple[tuple[str, int], ...] = ()
    socket_gid: Optional[int] = None


@dataclass(frozen=True)
class Wiring:
    """What the container gets, by option of docker_container.

    Attributes:
        docker_host: the address in the form of ``DOCKER_HOST``.
        address, port: the same taken apart; empty and 0 for a unix socket.
        obstacle: why the container cannot be launched as things are; empty if it can. Plans are made
            nevertheless, because in check mode it may be an earlier task that would have removed the
            obstacle.
        remedy: what removes it.
        env, etc_hosts, labels: mappings of the option of that name.
        volumes, groups: items of the option of that name.
    """

    docker_host: str
    address: str = ""
    port: int = 0
    obstacle: str = ""
    remedy: str = ""
    env: Mapping[str, str] = field(default_factory=dict)
    etc_hosts: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    def options(self) -> dict[str, object]:
        """The contributions by option name."""
        return {
            "env": self.env,
            "etc_hosts": self.etc_hosts,
            "labels": self.labels,
            "volumes": self.volumes,
            "groups": self.groups,
        }


@dataclass(frozen=True)
class _Choice:
    address: str
    obstacle: str = ""
    remedy: str = ""


def wire(spec: WiringSpec, state: WiringState) -> Wiring:
    """Works out the wiring.

    Raises:
        InvalidInput: with that transport there is no way from the container's networks to the engine.
    """
    etc_hosts = {HOST_NAME: "host-gateway"} if state.topology.default else {}
    labels = {LABEL_MANAGED: "true", LABEL_TRANSPORT: spec.transport}
    if spec.transport == UNIX:
        return Wiring(
            docker_host=f"unix://{SOCKET_TARGET}",
            env={"DOCKER_HOST": f"unix://{SOCKET_TARGET}"},
            etc_hosts=etc_hosts,
            labels=labels,
            volumes=(f"{spec.socket_path}:{SOCKET_TARGET}",),
            groups=() if state.socket_gid is None else (str(state.socket_gid),),
        )
    choice = _choose_address(spec, state)
    docker_host = f"tcp://{_bracketed(choice.address)}:{spec.port}"
    return Wiring(
        docker_host=docker_host,
        address=choice.address,
        port=spec.port,
        obstacle=choice.obstacle,
        remedy=choice.remedy,
        env={
            "DOCKER_HOST": docker_host,
            "DOCKER_CERT_PATH": spec.certificate_path,
            "DOCKER_TLS_VERIFY": "1",
        },
        etc_hosts=etc_hosts,
        labels={**labels, LABEL_IDENTITY: spec.identity},
        volumes=(f"{spec.identity_directory}:{spec.certificate_path}:ro",),
    )


def _choose_address(spec: WiringSpec, state: WiringState) -> _Choice:
    """The first address that is served, of those that the container can reach, its own gateways first.

    Which of several networks carries the default route is decided by name (moby sorts them), and does not
    matter
    for reaching an address of the host: every routable bridge leads to all of them.
    """
    served = tuple(address for address, port in state.served if port == spec.port)
    if spec.joined[0] == "host":
        own = [gateway.address for gateway in state.topology.gateways]
        return _pick(("127.0.0.1", "::1", *own), served, next(iter(own), "127.0.0.1"), spec.port)
    if spec.joined[0].startswith("container:"):
        raise InvalidInput(
            f"network_mode {spec.joined[0]}",
            expected="networks whose gateway is known, for transport tls",
            remedy="Name the networks, or use transport unix",
        )
    gateways = sorted(
        (gateway for gateway in state.topology.gateways if gateway.network in spec.joined),
        key=lambda gateway: gateway.network,
    )
    if not gateways:
        return _unknown_or_refused(spec, state, served)
    families = {gateway.family for gateway in gateways}
    near = [gateway.address for gateway in gateways]
    far = [gateway.address for gateway in state.topology.gateways if gateway.family in families]
    predicted = next(iter(far), near[0])
    return _pick((*near, *far), served, predicted, spec.port)


def _unknown_or_refused(spec: WiringSpec, state: WiringState, served: tuple[str, ...]) -> _Choice:
    for network in state.topology.unreachable:
        if network.network in spec.joined:
            raise InvalidInput(
                f"network {network.network}",
                expected="a network with a route to the host, for transport tls",
                found=network.reason,
                remedy=f"Use {network.instead}, or join a bridge network as well",
            )
    fallback = [gateway.address for gateway in state.topology.gateways]
    choice = _pick(tuple(fallback), served, next(iter(fallback), ""), spec.port)
    missing = ", ".join(spec.joined)
    return _Choice(choice.address, f"there is no network {missing} on this host", "Create the network first")


def _pick(candidates: tuple[str, ...], served: tuple[str, ...], predicted: str, port: int) -> _Choice:
    for candidate in candidates:
        if candidate in served:
            return _Choice(candidate)
    where = ", ".join(_bracketed(address) for address in served) or "nowhere"
    return _Choice(
        predicted,
        f"dockerd listens {f'at {where}' if served else where} for wormholes on port {port}, "
        f"and the container can reach {', '.join(dict.fromkeys(candidates)) or 'no gateway'}",
        "Run the role wormhole.docker.listener for such an address and port first, or use transport unix",
    )


def _bracketed(address: str) -> str:
    try:
        return f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    except ValueError:
        return address
