# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where dockerd listens for wormholes: a systemd socket unit of our own, and the TLS keys in daemon.json.

The stock unit runs ``dockerd -H fd://``, which takes every socket that systemd hands to docker.service. A unit with
``Service=docker.service`` therefore adds a listener without touching the vendor's unit, and ``FreeBind`` lets it bind
before docker0 exists, at boot. With ``tlsverify`` in daemon.json dockerd wraps what arrives by TCP in mutual TLS and
leaves the unix socket plain.

Sources: systemd.socket(5); Docker documentation, "Configure remote access for Docker daemon" and "Protect the Docker
daemon socket".
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import Topology

UNIT = "wormhole-docker.socket"
UNIT_PATH = "/etc/systemd/system/" + UNIT
ENGINE_UNIT = "docker.service"

EVERY_GATEWAY = "gateways"
"""The word that stands for the gateway of every bridge network with a route to the host."""

SERVED_CURRENT = "current certificates"
SERVED_OUTDATED = "outdated certificates"
SERVED_TO_ANYONE = "clients without a certificate too"
SERVED_PLAINTEXT = "plaintext"
SERVED_SILENT = "a socket that the engine does not answer on"
SERVED_NOTHING = "nothing"


@dataclass(frozen=True)
class ListenerSpec:
    """What is asked for.

    Attributes:
        addresses: where to listen, each an address or EVERY_GATEWAY; empty for the default bridge's IPv4 gateway.
        port: TCP port.
        directory: of the server's ca.pem, cert.pem and key.pem.
        material_changed: whether an earlier task of this run has replaced the server's certificate, or will.
        interrupt_containers: whether containers may be stopped and started by a restart of the engine.
    """

    addresses: tuple[str, ...] = ()
    port: int = 2376
    directory: str = "/etc/wormhole/server"
    material_changed: bool = False
    interrupt_containers: bool = True


@dataclass(frozen=True)
class ListenerState:
    """What is observed.

    Attributes:
        topology: the host's Docker networks.
        after_restart: what they are once the engine has been restarted; None if that changes nothing.
        unit_text: the socket unit's file; None if there is none.
        enabled, active: the socket unit's state in systemd.
        stale: systemd has not read the present unit file yet.
        listening: where systemd holds TCP sockets that it has handed to dockerd, as (address, port).
        lingering: where dockerd alone still listens on the port: systemd closes its socket when the unit's file no
            longer names it, does not take it back, and opens no new one before the unit is started again (measured on
            systemd 252 and 257).
        absent: the addresses of these that no interface of the host has.
        engine_arguments: the running dockerd's command line.
        foreign_sockets: other socket units that hand dockerd TCP sockets.
        config_text: content of daemon.json; empty if there is none.
        served: by address, one of the SERVED constants.
        occupied: by address, who else holds the port.
        containers: names of the running containers that a restart of the engine stops.
        stranded: names of the containers that a run stopped, which was then interrupted before they ran again.
        restarted: this run has restarted the engine already.
    """

    topology: Topology
    after_restart: Optional[Topology] = None
    unit_text: Optional[str] = None
    enabled: bool = False
    active: bool = False
    stale: bool = False
    listening: tuple[tuple[str, int], ...] = ()
    lingering: tuple[tuple[str, int], ...] = ()
    absent: tuple[str, ...] = ()
    engine_arguments: str = "dockerd -H fd://"
    foreign_sockets: tuple[str, ...] = ()
    config_text: str = ""
    served: Mapping[str, str] = dataclasses.field(default_factory=dict)
    occupied: Mapping[str, str] = dataclasses.field(default_factory=dict)
    containers: tuple[str, ...] = ()
    stranded: tuple[str, ...] = ()
    restarted: bool = False


@dataclass(frozen=True)
class WriteConfig:
    """Put this text into daemon.json."""

    text: str


@dataclass(frozen=True)
class WriteUnit:
    """Put this text into the socket unit's file and let systemd read it."""

    text: str


@dataclass(frozen=True)
class EnableUnit:
    """Link the socket unit into sockets.target and docker.service, so that both pull it in."""


@dataclass(frozen=True)
class RestartEngine:
    """Restart docker.service once; systemd starts our socket between its stop and its start.

    Attributes:
        rebind: stop the socket first, because it holds other addresses.
        containers: names of the containers that this stops and that must run again afterwards.
    """

    rebind: bool
    containers: tuple[str, ...]


@dataclass(frozen=True)
class StartContainers:
    """Start the containers that an interrupted run has left stopped."""

    containers: tuple[str, ...]


Action = Union[WriteConfig, WriteUnit, EnableUnit, RestartEngine, StartContainers]


def parse_spec(
    *,
    addresses: Optional[list[str]],
    port: int,
    directory: str,
    material_changed: bool,
    running_containers: str,
) -> ListenerSpec:
    """Checks a task's options.

    Raises:
        InvalidInput: an option is malformed.
    """
    parsed = []
    for text in addresses or []:
        if text == EVERY_GATEWAY:
            parsed.append(text)
            continue
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise InvalidInput(
                "option addresses",
                expected=f"IP addresses, without a port or a prefix length, or the word {EVERY_GATEWAY}",
                found=repr(text),
            ) from error
        if address.is_unspecified or address.is_multicast or address.is_link_local:
            raise InvalidInput(
                "option addresses", expected="gateways of bridge networks, or loopback", found=repr(text)
            )
        parsed.append(str(address))
    if not 1 <= port <= 65535:
        raise InvalidInput("option port", expected="a TCP port, 1 to 65535", found=str(port))
    if not directory.startswith("/"):
        raise InvalidInput("option directory", expected="an absolute path", found=repr(directory))
    return ListenerSpec(
        addresses=tuple(dict.fromkeys(parsed)),
        port=port,
        directory=directory.rstrip("/"),
        material_changed=material_changed,
        interrupt_containers=running_containers == "interrupt",
    )


def resolve_addresses(spec: ListenerSpec, topology: Topology) -> tuple[str, ...]:
    """Where to listen on this host.

    Raises:
        Refused: an address belongs to no bridge network of this host, or there is no default bridge.
    """
    if not spec.addresses:
        if topology.default is None:
            raise Refused(
                "option addresses",
                expected="a default bridge network (docker0) to take the address from",
                found="an engine without one",
                remedy="Name the gateways to listen on: " + _known(topology),
            )
        return (topology.default.address,)
    addresses: list[str] = []
    for address in spec.addresses:
        if address == EVERY_GATEWAY:
            addresses += _every_gateway(topology)
        elif topology.find(address) is None and not ipaddress.ip_address(address).is_loopback:
            raise Refused(
                "option addresses",
                expected="gateways of bridge networks of this host, or loopback",
                found=address,
                remedy="Nothing may listen beyond the bridges; choose of: " + _known(topology),
            )
        else:
            addresses.append(address)
    return tuple(dict.fromkeys(addresses))


def candidate_addresses(
    spec: ListenerSpec, topology: Topology, after_restart: Optional[Topology]
) -> tuple[str, ...]:
    """Where to listen now, and after a restart.

    Raises:
        Refused: what is asked for is in neither.
    """
    found: list[str] = []
    refusals = []
    topologies = [topology] if after_restart is None else [topology, after_restart]
    for candidate in topologies:
        try:
            found += resolve_addresses(spec, candidate)
        except Refused as refusal:
            refusals.append(refusal)
    if len(refusals) == len(topologies):
        raise refusals[0]
    return tuple(dict.fromkeys(found))


def wanted_keys(spec: ListenerSpec) -> dict[str, Any]:
    """The keys that dockerd needs to demand client certificates on TCP (dockerd(8), daemon.json)."""
    return {
        "tlsverify": True,
        "tlscacert": f"{spec.directory}/ca.pem",
        "tlscert": f"{spec.directory}/cert.pem",
        "tlskey": f"{spec.directory}/key.pem",
    }


def render_socket_unit(endpoints: tuple[tuple[str, int], ...]) -> str:
    """The socket unit's text.

    It is wanted by docker.service too, so that one restart of the service starts the socket in the same transaction,
    at the moment at which systemd allows it: after the old engine has stopped and before the new one starts.
    """
    streams = "".join(f"ListenStream={render_endpoint(address, port)}\n" for address, port in endpoints)
    return (
        "# Managed by the Ansible module wormhole.docker.dockerd_listener, which undoes changes made here.\n"
        "[Unit]\n"
        "Description=Docker API for wormholed containers, on bridge gateways\n"
        "\n"
        "[Socket]\n"
        f"{streams}"
        "FreeBind=true\n"
        f"Service={ENGINE_UNIT}\n"
        "\n"
        "[Install]\n"
        f"WantedBy=sockets.target {ENGINE_UNIT}\n"
    )


def render_endpoint(address: str, port: int) -> str:
    """An address and a port as systemd and URLs write them: ``172.17.0.1:2376``, ``[fd00::1]:2376``."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def parse_socket_unit(text: str) -> tuple[tuple[str, int], ...]:
    """The TCP endpoints that a socket unit names."""
    streams = re.findall(r"^ListenStream=(.*)$", text, re.MULTILINE)
    return tuple(endpoint for endpoint in map(_parse_endpoint, streams) if endpoint is not None)


def parse_listen(value: str) -> tuple[tuple[str, int], ...]:
    """The TCP endpoints in the ``Listen`` property of a socket unit: ``172.17.0.1:2376 (Stream)``, one a line."""
    streams = re.findall(r"^(\S+) \(Stream\)$", value, re.MULTILINE)
    return tuple(endpoint for endpoint in map(_parse_endpoint, streams) if endpoint is not None)


def _parse_endpoint(text: str) -> Optional[tuple[str, int]]:
    match = re.fullmatch(r"\[?([0-9a-fA-F:.]+)\]?:(\d+)", text.strip())
    return (match.group(1), int(match.group(2))) if match else None


def _every_gateway(topology: Topology) -> list[str]:
    if not topology.gateways:
        raise Refused(
            "option addresses",
            expected="a bridge network with a route to the host",
            found="none on this host",
            remedy="Create one, or name an address",
        )
    return [gateway.address for gateway in topology.gateways]


def _known(topology: Topology) -> str:
    return ", ".join(f"{g.address} ({g.origin})" for g in topology.gateways) or "none"
