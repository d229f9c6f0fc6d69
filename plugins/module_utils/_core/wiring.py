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

import posixpath
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import (
    DIRECTORY,
    program_variables,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_security import EngineSecurity
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_address import (
    Choice,
    bracketed,
    choose_address,
    host_address,
    near_addresses,
    served_port,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    HOST_NAME,
    LABEL_DISCOVER,
    LABEL_IDENTITY,
    LABEL_IDENTITY_DIRECTORY,
    LABEL_MANAGED,
    LABEL_TRANSPORT,
    RUNTIME,
    SOCKET_TARGET,
    TCP,
    TESTCONTAINERS_VARIABLES,
    TLS,
    UNIX,
    WiringSpec,
)


@dataclass(frozen=True)
class EngineSocket:
    """A unix socket of the engine's.

    Attributes:
        path: on the host.
        gid: number of its group; None if it cannot be told.
    """

    path: str
    gid: Optional[int] = None


@dataclass(frozen=True)
class WiringState:
    """What the wiring depends on.

    Attributes:
        topology: the host's Docker networks.
        served: addresses and ports at which dockerd listens for wormholes by TLS.
        socket_gid: group of the engine's socket; None if it cannot be told.
        served_plaintext: where it is served without TLS.
        own_socket: the engine's socket in a directory of its own; None if there is none.
        wired_to: ``DOCKER_HOST`` of the container as it is; empty if there is none, or if it is to be wired anew.
        security: how the engine confines containers.
        served_is_another: whether this is not the engine that listeners are for.
    """

    topology: Topology
    served: tuple[tuple[str, int], ...] = ()
    socket_gid: Optional[int] = None
    served_plaintext: tuple[tuple[str, int], ...] = ()
    own_socket: Optional[EngineSocket] = None
    wired_to: str = ""
    security: EngineSecurity = EngineSecurity()
    served_is_another: bool = False


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
        working_dir: the option of that name; empty for what the image says.
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
    working_dir: str = ""

    def options(self) -> dict[str, Any]:
        """The contributions by option name."""
        return {
            "env": self.env,
            "etc_hosts": self.etc_hosts,
            "labels": self.labels,
            "volumes": self.volumes,
            "groups": self.groups,
            "working_dir": self.working_dir,
        }


def wire(spec: WiringSpec, state: WiringState) -> Wiring:
    """Works out the wiring.

    Raises:
        InvalidInput: with that transport there is no way from the container's networks to the engine.
        Refused: the engine confines its containers in a way that leaves this transport none.
    """
    refuse_engine(spec, state.security)
    # A container in another's network namespace has that one's /etc/hosts.
    named = state.topology.default is not None and not spec.joined[0].startswith("container:")
    etc_hosts = {HOST_NAME: "host-gateway"} if named else {}
    labels = {LABEL_MANAGED: "true", LABEL_TRANSPORT: spec.transport}
    shared = (f"{spec.shared_directory}:{spec.shared_directory}",) if spec.shared_directory else ()
    working_dir = spec.shared_directory if not spec.working_dir else ""
    if spec.transport == UNIX:
        path, mount, gid = _choose_socket(spec, state)
        docker_host = f"unix://{path}"
        return Wiring(
            docker_host=docker_host,
            env={"DOCKER_HOST": docker_host, **_testcontainers(spec, state, "")},
            etc_hosts=etc_hosts,
            labels=labels,
            volumes=(mount, *shared),
            groups=() if gid is None else (str(gid),),
            working_dir=working_dir,
        )
    served = state.served_plaintext if spec.transport == TCP else state.served
    choice = _choose(spec, state, served)
    docker_host = f"tcp://{bracketed(choice.address)}:{served_port(spec)}"
    env = {"DOCKER_HOST": docker_host, **_testcontainers(spec, state, choice.address)}
    volumes: tuple[str, ...] = ()
    if spec.discover == RUNTIME:
        env = program_variables(
            served_port(spec), plaintext=spec.transport == TCP, host_network=spec.joined[0] == "host"
        )
        labels[LABEL_DISCOVER] = RUNTIME
        volumes = (f"{DIRECTORY}:{DIRECTORY}:{_read_only(spec, state)}",)
    if spec.transport == TLS:
        # Without TLS, they have to be left out: to clients, DOCKER_TLS_VERIFY=0 means "verify" as any value does.
        env.update(DOCKER_CERT_PATH=spec.certificate_path, DOCKER_TLS_VERIFY="1")
        labels.update(_identity_labels(spec))
        identity = f"{spec.identity_directory}:{spec.certificate_path}:{_read_only(spec, state)}"
        volumes = (identity, *volumes)
    return Wiring(
        docker_host=docker_host,
        address=choice.address,
        port=served_port(spec),
        obstacle=choice.obstacle,
        remedy=choice.remedy,
        env=env,
        etc_hosts=etc_hosts,
        labels=labels,
        volumes=(*volumes, *shared),
        working_dir=working_dir,
    )


def _identity_labels(spec: WiringSpec) -> dict[str, str]:
    """By the directory, whoever removes the container knows what was made for it."""
    made = {LABEL_IDENTITY_DIRECTORY: spec.identity_directory} if spec.identity_managed else {}
    return {LABEL_IDENTITY: spec.identity, **made}


def _choose(spec: WiringSpec, state: WiringState, served: tuple[tuple[str, int], ...]) -> Choice:
    """The address at launch. For one that is looked up later, it tells whether there is one to be found."""
    choice = choose_address(spec, state.topology, served)
    if state.served_is_another:
        text = "listeners for wormholes serve the engine of docker.service, and docker_host names another one"
        return Choice(choice.address, text, "Use transport unix")
    if spec.discover != RUNTIME or choice.obstacle or spec.joined[0] == "host":
        return choice
    default = None if state.topology.default is None else state.topology.default.address
    findable = tuple(
        entry for entry in served if entry[0] in {*near_addresses(spec, state.topology), default}
    )
    found = choose_address(spec, state.topology, findable)
    if not found.obstacle:
        return found
    return Choice(
        choice.address,
        f"dockerd listens at {bracketed(choice.address)}, and nothing in the container tells it that address",
        "Let it listen at docker0's address, or at a gateway of the container's networks, or use discover launch",
    )


def _read_only(spec: WiringSpec, state: WiringState) -> str:
    """The options of a read-only volume.

    Shared by containers, not private to one: an identity may have several, such as one and its successor.
    """
    return "ro,z" if state.security.selinux and not spec.unlabelled else "ro"


def refuse_engine(spec: WiringSpec, security: EngineSecurity) -> None:
    """Refuses what an engine's confinement leaves no way for.

    Raises:
        Refused: names the confinement, and what works.
    """
    if security.rootless and spec.transport != UNIX:
        raise Refused(
            "the engine",
            expected=f"bridges in the host's network namespace, for transport {spec.transport}",
            found="a rootless engine",
            remedy="Use transport unix",
        )
    if security.remapped and not spec.host_users:
        if spec.transport == UNIX:
            raise Refused(
                "the engine",
                expected="groups in containers to be groups of the host, for transport unix",
                found="userns-remap: in no container is anybody in the group of the engine's socket",
                remedy="Use transport tls, or set userns_mode: host for this container",
            )
        if spec.transport == TLS and not security.uid_maps:
            raise Refused(
                "the engine",
                expected="its data directory to be named by the numbers to which it remaps root",
                found="userns-remap, and another directory",
                remedy="Set userns_mode: host for this container",
            )
    if not security.selinux or spec.unlabelled:
        return
    if spec.transport == UNIX or spec.shared_directory:
        raise Refused(
            "transport unix" if spec.transport == UNIX else f"shared_directory {spec.shared_directory}",
            expected="an engine that does not confine containers by SELinux",
            found="selinux-enabled: a confined container may not use what is labelled for the host, and labelling "
            "it for containers would change the host",
            remedy="Use transport tls, or set security_opts: [label=disable] for this container"
            if spec.transport == UNIX
            else "Label it for containers yourself and name it in volumes, or set security_opts: [label=disable]",
        )


def _choose_socket(spec: WiringSpec, state: WiringState) -> tuple[str, str, Optional[int]]:
    """The socket's path in the container, the volume that brings it there, and the number of its group.

    A socket in a directory of its own comes first, because a mounted directory does not go stale when the socket is made
    anew. A container that has the stock socket keeps it: that there is a better one is no reason to replace it.
    """
    own = state.own_socket
    if own is not None and state.wired_to != f"unix://{SOCKET_TARGET}":
        directory = posixpath.dirname(own.path)
        # Connecting writes nothing to the file system, and so a wormhole cannot replace the host's socket.
        return own.path, f"{directory}:{directory}:ro", own.gid
    return SOCKET_TARGET, f"{spec.socket_path}:{SOCKET_TARGET}", state.socket_gid


def _testcontainers(spec: WiringSpec, state: WiringState, address: str) -> dict[str, str]:
    if not spec.testcontainers:
        return {}
    host = address or host_address(spec, state.topology)
    if not host:
        raise InvalidInput(
            "testcontainers",
            expected="a network with a route to the host, at which published ports are",
            found=", ".join(spec.joined),
            remedy="Join a bridge network as well, or leave testcontainers out",
        )
    return dict(zip(TESTCONTAINERS_VARIABLES, (host, spec.socket_path)))
