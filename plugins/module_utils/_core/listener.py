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
from datetime import datetime
from typing import Any, Collection, Mapping, Optional, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import CertificateFacts

UNIT = "wormhole-docker.socket"
UNIT_PATH = "/etc/systemd/system/" + UNIT
ENGINE_UNIT = "docker.service"

SERVED_CURRENT = "current certificates"
SERVED_OUTDATED = "outdated certificates"
SERVED_TO_ANYONE = "clients without a certificate too"
SERVED_PLAINTEXT = "plaintext"
SERVED_SILENT = "a socket that the engine does not answer on"
SERVED_NOTHING = "nothing"

_RENEWAL_FRACTION = 3
"""A certificate is due for renewal in the last third of its validity, as tls_certificates has it by default."""


@dataclass(frozen=True)
class ListenerSpec:
    """What is asked for.

    Attributes:
        addresses: where to listen; empty for the default bridge's IPv4 gateway.
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
        unit_text: the socket unit's file; None if there is none.
        enabled, active: the socket unit's state in systemd.
        stale: systemd has not read the present unit file yet.
        listening: where systemd holds TCP sockets that it has handed to dockerd, as (address, port).
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
    unit_text: Optional[str] = None
    enabled: bool = False
    active: bool = False
    stale: bool = False
    listening: tuple[tuple[str, int], ...] = ()
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
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise InvalidInput(
                "option addresses",
                expected="IP addresses, without a port or a prefix length",
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
    for address in spec.addresses:
        if topology.find(address) is None and not ipaddress.ip_address(address).is_loopback:
            raise Refused(
                "option addresses",
                expected="gateways of bridge networks of this host, or loopback",
                found=address,
                remedy="Nothing may listen beyond the bridges; choose of: " + _known(topology),
            )
    return spec.addresses


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


def plan_listener(spec: ListenerSpec, state: ListenerState) -> Plan[Action]:
    """Decides what brings the listener about.

    Raises:
        Refused: what stands on the host contradicts it and belongs to somebody else.
    """
    addresses = resolve_addresses(spec, state.topology)
    endpoints = tuple((address, spec.port) for address in addresses)
    _refuse_foreign_listeners(state)
    _refuse_foreign_keys(spec, state)
    _refuse_occupied(spec, state, addresses)

    reasons: list[Reason] = []
    actions: list[Action] = []
    config = daemon_json.parse_config(state.config_text)
    missing = {key: value for key, value in wanted_keys(spec).items() if key not in config}
    if missing:
        reasons += [
            Reason("config_key_missing", f"daemon.json lacks {key}", daemon_json.PATH) for key in missing
        ]
        actions.append(WriteConfig(daemon_json.add_keys(state.config_text, missing)))
    unit_text = render_socket_unit(endpoints)
    if state.unit_text != unit_text:
        code, text = (
            ("unit_missing", "is missing") if state.unit_text is None else ("unit_changed", "differs")
        )
        reasons.append(Reason(code, f"socket unit {UNIT} {text}", UNIT))
    elif state.stale:
        reasons.append(Reason("unit_stale", f"systemd has not read the present {UNIT}", UNIT))
    if state.unit_text != unit_text or state.stale:
        actions.append(WriteUnit(unit_text))
    if not state.enabled:
        reasons.append(
            Reason("unit_disabled", f"{UNIT} is not enabled: it would be gone after a reboot", UNIT)
        )
        actions.append(EnableUnit())
    restart = _restart_reasons(spec, state, endpoints)
    if restart:
        reasons += restart
        if state.containers and not spec.interrupt_containers:
            raise Refused(
                ENGINE_UNIT,
                expected="no running container that a restart would stop",
                found=", ".join(state.containers),
                remedy="Stop them, set live-restore in daemon.json, or set running_containers to interrupt",
            )
        rebind = state.active and set(state.listening) != set(endpoints)
        actions.append(RestartEngine(rebind=rebind, containers=(*state.containers, *state.stranded)))
    if state.stranded:
        names = ", ".join(state.stranded)
        reasons.append(
            Reason("containers_stranded", f"an interrupted run left stopped: {names}", ENGINE_UNIT)
        )
        if not restart:
            actions.append(StartContainers(state.stranded))
    before, after = _diff(spec, state, config, unit_text, addresses, bool(restart))
    return Plan(before=before, after=after, reasons=tuple(reasons), actions=tuple(actions))


def simulate_listener(state: ListenerState, plan: Plan[Action]) -> ListenerState:
    """The state that the plan's actions lead to, where nothing interferes."""
    for action in plan.actions:
        if isinstance(action, WriteConfig):
            state = dataclasses.replace(state, config_text=action.text)
        elif isinstance(action, WriteUnit):
            state = dataclasses.replace(state, unit_text=action.text, stale=False)
        elif isinstance(action, EnableUnit):
            state = dataclasses.replace(state, enabled=True)
        elif isinstance(action, RestartEngine):
            endpoints = parse_socket_unit(state.unit_text or "")
            state = dataclasses.replace(
                state,
                active=True,
                listening=endpoints,
                served={address: SERVED_CURRENT for address, port in endpoints},
                stranded=(),
                restarted=True,
            )
        elif isinstance(action, StartContainers):
            state = dataclasses.replace(state, stranded=())
    return state


def _restart_reasons(
    spec: ListenerSpec, state: ListenerState, endpoints: tuple[tuple[str, int], ...]
) -> list[Reason]:
    reasons = []
    if not state.active:
        reasons.append(Reason("unit_inactive", f"{UNIT} is not active", UNIT))
    elif set(state.listening) != set(endpoints):
        held = ", ".join(render_endpoint(*endpoint) for endpoint in state.listening) or "nothing"
        reasons.append(Reason("listening_elsewhere", f"{UNIT} holds {held}", UNIT))
    for address, port in endpoints:
        served = _served(spec, state, address)
        if served != SERVED_CURRENT:
            endpoint = render_endpoint(address, port)
            reasons.append(Reason("served_differs", f"{endpoint} serves {served}", endpoint))
    return reasons


def is_adequate(
    served: CertificateFacts,
    installed: CertificateFacts,
    addresses: Collection[str],
    topology: Topology,
    now: datetime,
) -> bool:
    """Whether the engine may go on with the certificate that it has in memory, although another one is installed.

    It may while nothing is new but names, and none of these is an address that it listens on: a network that somebody
    adds is no reason to stop every container of the host, since its containers reach docker0's address.

    Args:
        served: what the engine has in memory.
        installed: what it would read if it were restarted.
        addresses: where it listens.
        topology: the host's Docker networks.
        now: the host's clock.
    """
    if (served.public_key_sha256, served.authority_key_identifier, served.common_name) != (
        installed.public_key_sha256,
        installed.authority_key_identifier,
        installed.common_name,
    ):
        return False
    if served.not_after - now <= (served.not_after - served.not_before) / _RENEWAL_FRACTION:
        return False
    can_wait = {g.address for g in topology.gateways} - set(addresses)
    missing = set(installed.subject_alternative_names) - set(served.subject_alternative_names)
    return all(name.kind == "IP" and name.value in can_wait for name in missing)


def _served(spec: ListenerSpec, state: ListenerState, address: str) -> str:
    """What an address serves once the certificate is there that this run has issued, or in check mode would have."""
    served = state.served.get(address, SERVED_NOTHING)
    if served == SERVED_CURRENT and spec.material_changed and not state.restarted:
        return SERVED_OUTDATED
    return served


def _refuse_foreign_listeners(state: ListenerState) -> None:
    hosts = re.findall(r"(?:-H|--host)[ =]?(\S+)", state.engine_arguments)
    if not any(host.startswith("fd://") for host in hosts):
        raise Refused(
            ENGINE_UNIT,
            expected="dockerd to be started with -H fd://, as the vendors' units do, so that it takes our socket",
            found=state.engine_arguments or "no command line",
            remedy="Remove the drop-in that overrides ExecStart, see systemctl cat docker.service",
        )
    foreign = [f"-H {host}" for host in hosts if host.startswith("tcp://")] + list(state.foreign_sockets)
    if foreign:
        raise Refused(
            ENGINE_UNIT,
            expected="no TCP listener of somebody else's, which our TLS keys would change",
            found=", ".join(foreign),
            remedy="Move its clients to a wormhole and remove it, see systemctl cat docker.service",
        )


def _refuse_foreign_keys(spec: ListenerSpec, state: ListenerState) -> None:
    config = daemon_json.parse_config(state.config_text)
    if "hosts" in config:
        raise Refused(
            f"{daemon_json.PATH}: hosts",
            expected="no such key: it contradicts -H fd:// of docker.service, and dockerd will not start again",
            found=repr(config["hosts"]),
            remedy="Remove the key; this module listens by a socket unit instead",
        )
    wanted = wanted_keys(spec)
    for key, value in wanted.items():
        if key in config and config[key] != value:
            raise Refused(
                f"{daemon_json.PATH}: {key}",
                expected=f"nothing, or {value!r}",
                found=repr(config[key]),
                remedy="Somebody else configured TLS here; remove the key, or pass its directory as option directory",
            )


def _refuse_occupied(spec: ListenerSpec, state: ListenerState, addresses: tuple[str, ...]) -> None:
    for address in addresses:
        holder = state.occupied.get(address)
        if holder:
            raise Refused(
                f"port {render_endpoint(address, spec.port)}",
                expected="to be free",
                found=holder,
                remedy="Stop that process, or choose another port",
            )


def _diff(
    spec: ListenerSpec,
    state: ListenerState,
    config: Mapping[str, Any],
    unit_text: str,
    addresses: tuple[str, ...],
    restart: bool,
) -> tuple[dict[str, Any], dict[str, Any]]:
    wanted = wanted_keys(spec)
    before = {
        UNIT_PATH: (state.unit_text or "").splitlines(),
        "enabled": state.enabled,
        daemon_json.PATH: {key: config[key] for key in wanted if key in config},
        "serves": {
            render_endpoint(address, spec.port): _served(spec, state, address) for address in addresses
        },
        "restart": {},
        "left stopped": list(state.stranded),
    }
    after = {
        UNIT_PATH: unit_text.splitlines(),
        "enabled": True,
        daemon_json.PATH: wanted,
        "serves": {render_endpoint(address, spec.port): SERVED_CURRENT for address in addresses},
        "restart": {ENGINE_UNIT: {"interrupts": list(state.containers)}} if restart else {},
        "left stopped": [],
    }
    return before, after


def _parse_endpoint(text: str) -> Optional[tuple[str, int]]:
    match = re.fullmatch(r"\[?([0-9a-fA-F:.]+)\]?:(\d+)", text.strip())
    return (match.group(1), int(match.group(2))) if match else None


def _known(topology: Topology) -> str:
    return ", ".join(f"{g.address} ({g.origin})" for g in topology.gateways) or "none"
