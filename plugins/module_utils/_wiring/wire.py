# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Computes what a container needs so that a Docker client in it finds the engine that runs it.

The result consists of options of docker_container, which are merged with the user's options.

Sources: Docker CLI reference, "Environment variables" (``DOCKER_HOST`` and its like);
``docker run`` reference, "--add-host" (``host-gateway``) and "--group-add".
"""

from __future__ import annotations

import ipaddress
import posixpath
from dataclasses import dataclass, field, replace
from typing import Any, Mapping, Optional

from .._access.spec import AccessSpec
from .._base import labels as label_names
from .._base.address import SocketAddress, bracket
from .._base.errors import InvalidInput, Refused
from .._certificates.facts import CERTIFICATE_FILE
from .._engine.security import EngineSecurity
from .._gate import units as gate_units
from .._networks.gateways import DEFAULT_BRIDGE, Topology
from .address import Choice, can_reach, choose_address, host_address, near_addresses, served_port
from .program import DIRECTORY, program_variables
from .spec import (
    CONTEXT_VARIABLE,
    HOST_NAME,
    NO_CONTEXT,
    RUNTIME,
    RYUK_DISABLED,
    SOCKET_TARGET,
    TCP,
    TESTCONTAINERS_VARIABLES,
    TLS,
    UNIX,
    WiringSpec,
)


@dataclass(frozen=True)
class EngineSocket:
    """A unix socket of the engine.

    Attributes:
        path: its path on the host.
        gid: number of its group; None if unknown.
    """

    path: str
    gid: Optional[int] = None


@dataclass(frozen=True)
class WiringState:
    """What the wiring depends on.

    Attributes:
        topology: the host's Docker networks.
        served: addresses at which dockerd, or the gate, listens for wormholes with TLS.
        socket_gid: number of the group of the engine's socket; None if unknown.
        served_plaintext: addresses at which it listens without TLS.
        own_socket: the listener's socket in its own directory; None without one.
        wired_to: ``DOCKER_HOST`` of the existing container; empty without one, or if its wiring is
            computed anew.
        security: how the engine confines containers.
        served_is_another: whether listeners serve another engine than this one.
        host_gateways: the addresses of ``host.docker.internal``; empty for docker0's.
        served_by_gate: whether the gate listens for TLS, and dockerd does not.
    """

    topology: Topology
    served: tuple[SocketAddress, ...] = ()
    socket_gid: Optional[int] = None
    served_plaintext: tuple[SocketAddress, ...] = ()
    own_socket: Optional[EngineSocket] = None
    wired_to: str = ""
    security: EngineSecurity = EngineSecurity()
    served_is_another: bool = False
    host_gateways: tuple[str, ...] = ()
    served_by_gate: bool = False


@dataclass(frozen=True)
class Wiring:
    """What the container gets.

    Attributes:
        docker_host: value of ``DOCKER_HOST``.
        address, port: its parts; empty and 0 for a unix socket.
        obstacle: why the container cannot be launched now; empty if it can. It does not prevent a
            plan, because in check mode an earlier task may be the one that removes the obstacle.
        remedy: what removes the obstacle.
        env, etc_hosts, labels: mappings of the option of that name.
        volumes, groups: items of the option of that name.
        working_dir: the option of that name; empty for the image's.
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
        """Return the values by option."""
        names = ("env", "etc_hosts", "labels", "volumes", "groups", "working_dir")
        return {name: getattr(self, name) for name in names}


def wire(spec: WiringSpec, state: WiringState) -> Wiring:
    """Compute the wiring.

    Raises:
        InvalidInput: the container's networks have no route to the engine for this transport.
        Refused: the engine confines its containers in a way that excludes this transport.
    """
    reject_unsupported(spec, state.security)
    # A container in the network namespace of another container has the /etc/hosts of that one.
    led = state.topology.default is not None or state.host_gateways
    named = led and not spec.joined[0].startswith("container:")
    etc_hosts = {HOST_NAME: "host-gateway"} if named else {}
    labels = {label_names.LABEL_MANAGED: "true", label_names.LABEL_TRANSPORT: spec.transport}
    own = Wiring("", etc_hosts=etc_hosts, labels=labels)
    wiring = _wire_socket(own, spec, state) if spec.transport == UNIX else _wire_address(own, spec, state)
    wiring = replace(wiring, env={**wiring.env, CONTEXT_VARIABLE: NO_CONTEXT})
    if not spec.shared_directory:
        return wiring
    shared = f"{spec.shared_directory}:{spec.shared_directory}"
    working_dir = "" if spec.working_dir else spec.shared_directory
    return replace(wiring, volumes=(*wiring.volumes, shared), working_dir=working_dir)


def access_of(spec: WiringSpec, state: WiringState) -> Optional[AccessSpec]:
    """Return the access through the gate that a wormhole has; None for the engine itself.

    If the gate serves TLS, it knows only identities with a policy. So one without a policy gets one
    that allows everything.
    """
    if spec.engine or spec.transport == TCP:
        return None
    if spec.policy is not None and (
        spec.policy.restricts or (spec.transport == TLS and state.served_by_gate)
    ):
        return spec.policy
    if spec.transport == TLS and state.served_by_gate:
        return AccessSpec(spec.identity, certificates=(f"{spec.identity_directory}/{CERTIFICATE_FILE}",))
    return None


def _wire_door(wiring: Wiring, spec: WiringSpec, state: WiringState) -> Wiring:
    """Wire a container to the socket that the gate has for it."""
    path = gate_units.socket_path(spec.identity)
    directory, docker_host = posixpath.dirname(path), f"unix://{path}"
    env = {"DOCKER_HOST": docker_host, **_testcontainers(spec, state, "")}
    labels = {**wiring.labels, label_names.LABEL_IDENTITY: spec.identity, label_names.LABEL_GATE: "true"}
    obstacle = "the gate serves the engine of docker.service, but docker_host names another engine"
    wiring = replace(wiring, docker_host=docker_host, env=env, labels=labels)
    wiring = replace(wiring, volumes=(f"{directory}:{directory}:ro",))
    remedy = "Remove docker_host, or set policy: unrestricted"
    return replace(wiring, obstacle=obstacle, remedy=remedy) if state.served_is_another else wiring


def _wire_socket(wiring: Wiring, spec: WiringSpec, state: WiringState) -> Wiring:
    if spec.gated:
        return _wire_door(wiring, spec, state)
    path, mount, gid = _choose_socket(spec, state)
    docker_host = f"unix://{path}"
    env = {"DOCKER_HOST": docker_host, **_testcontainers(spec, state, "")}
    groups = () if gid is None else (str(gid),)
    return replace(wiring, docker_host=docker_host, env=env, volumes=(mount,), groups=groups)


def _wire_address(wiring: Wiring, spec: WiringSpec, state: WiringState) -> Wiring:
    plaintext, port = spec.transport == TCP, served_port(spec)
    choice = _choose(spec, state, state.served_plaintext if plaintext else state.served)
    docker_host = f"tcp://{SocketAddress(choice.address, port)}"
    env = {"DOCKER_HOST": docker_host, **_testcontainers(spec, state, choice.address)}
    labels, volumes = dict(wiring.labels), []
    # The SELinux label of volumes is shared (z), because several containers may mount them.
    read_only = "ro,z" if state.security.selinux and not spec.unlabelled else "ro"
    if not plaintext:
        volumes.append(f"{spec.identity_directory}:{spec.certificate_path}:{read_only}")
        labels[label_names.LABEL_IDENTITY] = spec.identity
        if spec.identity_managed:
            # By it, later runs recognize what was created for the container.
            labels[label_names.LABEL_IDENTITY_DIRECTORY] = spec.identity_directory
        if spec.engine:
            labels[label_names.LABEL_ENGINE] = spec.engine
        if spec.identity_owner:
            labels[label_names.LABEL_IDENTITY_OWNER] = spec.identity_owner
    if spec.discover == RUNTIME:
        volumes.append(f"{DIRECTORY}:{DIRECTORY}:{read_only}")
        labels[label_names.LABEL_DISCOVER] = RUNTIME
        env = program_variables(port, plaintext=plaintext, host_network=spec.joined[0] == "host")
    if not plaintext:
        # Not set for tcp: to some clients, such as the CLI, DOCKER_TLS_VERIFY=0 means TLS.
        env.update(DOCKER_CERT_PATH=spec.certificate_path, DOCKER_TLS_VERIFY="1")
    address, obstacle, remedy = choice.address, choice.obstacle, choice.remedy
    own = Wiring(docker_host, address, port, obstacle, remedy, env=env, volumes=tuple(volumes))
    return replace(own, etc_hosts=wiring.etc_hosts, labels=labels)


def _choose(spec: WiringSpec, state: WiringState, served: tuple[SocketAddress, ...]) -> Choice:
    """Choose the address at launch; with ``discover: runtime``, one that the container can find."""
    if spec.engine:
        return Choice(spec.engine_address)
    choice = choose_address(spec, state.topology, served)
    if state.served_is_another:
        text = "the listener serves the engine of docker.service, but docker_host names another engine"
        return Choice(choice.address, text, "Use transport unix")
    if spec.discover != RUNTIME or choice.obstacle or spec.joined[0] == "host":
        return choice
    default = None if state.topology.default is None else state.topology.default.address
    near = near_addresses(spec, state.topology)
    known = {*near, *(() if state.host_gateways else (default,))}
    found = choose_address(spec, state.topology, tuple(entry for entry in served if entry[0] in known))
    if not found.obstacle:
        return found
    for address in state.host_gateways:
        # The address that works is not near, so the default route of its family leads to the host.
        if (address, served_port(spec)) in served and (":" in address) == (":" in choice.address):
            return Choice(address)
    where = bracket(choice.address)
    text = f"dockerd listens at {where}, an address that the container cannot find at run time"
    if not state.host_gateways:
        remedy = "Let it listen at the address of docker0 or at a gateway of the container's networks, "
        return Choice(choice.address, text, remedy + "or use discover launch")
    leads = ", ".join(state.host_gateways)
    text += f": host-gateway-ip in the configuration of dockerd makes {HOST_NAME} resolve to {leads}"
    remedy = f"List {leads} in the option host_addresses of the listener, if it is an address of this host, "
    remedy += "let dockerd listen at a gateway of the container's networks, or use discover launch"
    return Choice(choice.address, text, remedy)


def reject_unsupported(spec: WiringSpec, security: EngineSecurity) -> None:
    """Reject a transport or shared directory that the engine's confinement of containers excludes.

    Raises:
        Refused: with the confinement, and what works.
    """
    if security.rootless and spec.transport != UNIX and not spec.engine:
        problem = f"transport {spec.transport} requires bridges in the host's network namespace, "
        problem += "which a rootless engine does not have"
        raise Refused("the engine", problem=problem, remedy="Use transport unix")
    if security.remapped and not spec.host_users:
        if spec.transport == UNIX:
            problem = "transport unix does not work with userns-remap: "
            problem += "no user in a container is in the group of the engine's socket"
            remedy = "Use transport tls, or set userns_mode: host for this container"
            raise Refused("the engine", problem=problem, remedy=remedy)
        if spec.transport == TLS and not security.uid_maps:
            problem = "The engine uses userns-remap, and the name of its data directory "
            problem += "does not contain the IDs to which it maps root"
            raise Refused("the engine", problem=problem, remedy="Set userns_mode: host for this container")
    if not security.selinux or spec.unlabelled:
        return
    if spec.transport == UNIX or spec.shared_directory:
        subject = f"shared_directory {spec.shared_directory}"
        remedy = "Label it for containers yourself and mount it with volumes, "
        remedy += "or set security_opts: [label=disable]"
        if spec.transport == UNIX:
            subject = "transport unix"
            remedy = "Use transport tls, or set security_opts: [label=disable] for this container"
        problem = f"{subject} does not work with selinux-enabled: a confined container may not use files "
        problem += "with a label of the host, and this module does not change labels of the host"
        raise Refused(subject, problem=problem, remedy=remedy)


def _choose_socket(spec: WiringSpec, state: WiringState) -> tuple[str, str, Optional[int]]:
    """Return the socket's path in the container, its volume, and the number of its group.

    The socket in its own directory is preferred, because the mount of a directory does not go stale
    when the socket is created again. A container with the default socket keeps it, because that
    alone is no reason to replace the container.
    """
    own = state.own_socket
    if own is not None and state.wired_to != f"unix://{SOCKET_TARGET}":
        directory = posixpath.dirname(own.path)
        # Connecting works read-only, and a wormhole cannot replace the host's socket then.
        return own.path, f"{directory}:{directory}:ro", own.gid
    return SOCKET_TARGET, f"{spec.socket_path}:{SOCKET_TARGET}", state.socket_gid


def _published_address(spec: WiringSpec, state: WiringState, published: str) -> str:
    """Return the address at which the default bridge publishes ports, if the container reaches it."""
    if can_reach(spec, state.topology, published):
        return published
    subject = f"testcontainers for {', '.join(spec.joined)}"
    problem = "testcontainers requires a network from which the container reaches published ports. "
    problem += f"The default bridge publishes them at {published} (ip in the configuration of dockerd), "
    problem += f"which a container on {', '.join(spec.joined)} cannot reach"
    default = state.topology.default
    docker0 = "" if default is None else f" to {default.address}, the address of docker0, or"
    remedy = f"Set ip{docker0} to 0.0.0.0, or remove testcontainers from the task"
    raise InvalidInput(subject, problem=problem, remedy=remedy)


def _testcontainers(spec: WiringSpec, state: WiringState, address: str) -> dict[str, str]:
    if not spec.testcontainers:
        return {}
    host = address or host_address(spec, state.topology)
    published = state.topology.host_bindings.get(DEFAULT_BRIDGE, "")
    if not spec.engine and host and published and not ipaddress.ip_address(published).is_unspecified:
        host = _published_address(spec, state, published)
    if not host:
        problem = "testcontainers requires a network with a route to the host, where published ports are, "
        problem += f"and the container joins {', '.join(spec.joined)}"
        remedy = "Join a bridge network as well, or remove testcontainers from the task"
        raise InvalidInput("testcontainers", problem=problem, remedy=remedy)
    if spec.policy is not None and spec.policy.restricts:
        # Its reaper mounts the engine's socket, which the policy refuses. The gate has one of its own.
        return {TESTCONTAINERS_VARIABLES[0]: host, RYUK_DISABLED: "true"}
    return dict(zip(TESTCONTAINERS_VARIABLES, (host, spec.socket_path)))
