# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Computes the result of a run: whether the engine restarts, where it listens, and its files.

The first two depend on each other. Another address to listen on requires a restart, and a restart
can move docker0 to another address, because dockerd reads the configuration of its networks only
when it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional

from .._base import systemd_units
from .._base.address import SocketAddress
from .._base.errors import Refused
from .._base.plan import Reason
from .._engine import command as engine_command
from .._engine import daemon_json, options
from .._firewall.model import Opening, Restriction
from .._gate import units as gate_units
from .._networks.gateways import DEFAULT_BRIDGE, Topology
from . import guard
from .addresses import insecure_endpoints, required_openings, required_restriction, resolve_addresses
from .adoption import kept_hosts, needs_override, replaced_hosts
from .model import SERVED_CURRENT, SERVED_NOTHING, SERVED_OUTDATED, ListenerState, Served
from .spec import ENGINE_UNIT, LIVE_RESTORE, ListenerSpec, tls_keys
from .units import UNIX_UNIT, render_units, tls_unit, unit_path
from .unmanaged_sockets import render_override


@dataclass(frozen=True)
class Outlook:
    """The result of a run that makes the listener present.

    Attributes:
        topology: the Docker networks after the run.
        endpoints: where dockerd, or the gate, listens by TLS after the run.
        insecure_endpoints: where plaintext is served after the run.
        openings: the openings that the host's firewall needs for these endpoints.
        restriction: what keeps neighbours from these endpoints; None for nothing.
        served: what each of the endpoints serves before the run.
        restart_reasons: why the engine has to be restarted; empty if it keeps running.
        gate_reasons: why the gate has to read the server's certificate again; empty if it need not.
        live_restore: whether containers survive a restart of the engine.
        interrupted: names of the running containers that the restart stops.
    """

    topology: Topology
    endpoints: tuple[SocketAddress, ...]
    insecure_endpoints: tuple[SocketAddress, ...]
    openings: tuple[Opening, ...]
    restriction: Optional[Restriction]
    served: Mapping[SocketAddress, Served]
    restart_reasons: tuple[Reason, ...]
    gate_reasons: tuple[Reason, ...]
    live_restore: bool
    interrupted: tuple[str, ...]

    @property
    def restarts(self) -> bool:
        """Whether the engine is restarted."""
        return bool(self.restart_reasons)


@dataclass(frozen=True)
class DesiredFiles:
    """The desired files.

    Attributes:
        set_keys: the keys of daemon.json to set.
        removed_keys: the keys of daemon.json to remove.
        config_text: content of daemon.json.
        units: contents of the listener's units, by name.
        override: path and content of the drop-in of docker.service; both empty for no drop-in.
        guard: path and content of the guard's drop-in; both empty for no guard.
        guard_program: content of the guard's program; None for no guard.
        socket_overrides: paths and contents of the drop-ins that close TCP sockets, by unit.
    """

    set_keys: Mapping[str, Any]
    removed_keys: tuple[str, ...]
    config_text: str
    units: Mapping[str, str]
    override: tuple[str, str]
    guard: tuple[str, str]
    guard_program: Optional[str]
    socket_overrides: Mapping[str, tuple[str, str]]

    @property
    def unit_files(self) -> dict[str, str]:
        """The contents of all units and drop-ins, by path."""
        units = {unit_path(name): text for name, text in self.units.items()}
        return {**units, **dict(filter(any, (self.override, self.guard, *self.socket_overrides.values())))}


def compute_outlook(spec: ListenerSpec, state: ListenerState) -> Outlook:
    """Computes the result of a run that makes the listener present.

    Raises:
        Refused: a requested address is not a gateway of this host, or not any more after the
            restart.
    """
    topology, after_restart = state.topology, state.after_restart
    try:
        endpoints = _endpoints(spec, topology)
    except Refused:
        if after_restart is None:
            raise
        topology = after_restart
        endpoints = _endpoints(spec, topology)
    restart_reasons = _restart_reasons(spec, state, endpoints)
    if restart_reasons and after_restart is not None and topology is not after_restart:
        topology = after_restart
        endpoints = _endpoints_after_restart(spec, topology, state.config_file)
    live_restore = state.live_restore if spec.live_restore is None else spec.live_restore
    required = required_openings(spec, topology) if spec.firewall == "open" else ()
    restriction = required_restriction(spec, topology, state.other_bridges)
    return Outlook(
        topology=topology,
        endpoints=endpoints,
        insecure_endpoints=insecure_endpoints(spec, topology),
        openings=tuple(opening for opening in required if opening in state.firewall.needed),
        restriction=restriction if state.firewall.restricts else None,
        served={endpoint: _served(spec, state, endpoint.host) for endpoint in endpoints},
        restart_reasons=tuple(restart_reasons),
        gate_reasons=tuple(_served_reasons(spec, state, endpoints)) if spec.gate_tls else (),
        live_restore=live_restore,
        interrupted=state.containers if restart_reasons and not live_restore else (),
    )


def compute_files(
    spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any], outlook: Outlook
) -> DesiredFiles:
    """Computes the desired files; config is the parsed daemon.json."""
    set_keys, removed_keys = _key_changes(spec, state, config)
    override, command = ("", ""), state.command
    if spec.existing_listeners == "adopt" and needs_override(spec, state, config):
        text = engine_command.render_override(command, kept_hosts(spec, state, config))
        override = engine_command.override_path(command), text
    return DesiredFiles(
        set_keys=set_keys,
        removed_keys=removed_keys,
        config_text=daemon_json.edit_keys(state.config_text, set_keys, removed_keys),
        units=render_units(
            spec, outlook.endpoints, outlook.insecure_endpoints, outlook.topology, state.stock
        ),
        override=override,
        guard=guard.drop_in(spec, command),
        guard_program=state.guard_shipped if spec.engine_tls else None,
        socket_overrides={
            unit: (systemd_units.override_path(unit, socket.drop_ins), render_override(socket))
            for unit, socket in state.unmanaged_sockets.items()
            if spec.engine_tls and (socket.configured or socket.is_closed)
        },
    )


def _key_changes(
    spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The keys of daemon.json to set, and the keys to remove."""
    ours = tls_keys(spec)
    set_keys = {key: value for key, value in ours.items() if spec.engine_tls and config.get(key) != value}
    removed = [key for key, value in ours.items() if not spec.engine_tls and config.get(key) == value]
    if spec.live_restore is not None:
        # A reload reads only keys that are present (moby, daemon/reload.go, reloadLiveRestore).
        # Switching live-restore off therefore sets the key to false, although that is its default.
        present = bool(config.get(LIVE_RESTORE, state.live_restore and not spec.live_restore))
        if present != spec.live_restore:
            set_keys[LIVE_RESTORE] = spec.live_restore
    return set_keys, (*removed, *(["hosts"] if "hosts" in config else []))


def _endpoints(spec: ListenerSpec, topology: Topology) -> tuple[SocketAddress, ...]:
    return tuple(SocketAddress(address, spec.port) for address in resolve_addresses(spec, topology))


def _endpoints_after_restart(spec: ListenerSpec, topology: Topology, path: str) -> tuple[SocketAddress, ...]:
    try:
        return _endpoints(spec, topology)
    except Refused as refusal:
        after = f"after the required restart of the engine, because {path} changes its gateways"
        problem = f"{refusal.problem} {after}"
        raise Refused(refusal.subject, problem=problem, remedy=refusal.remedy) from refusal


def _served(spec: ListenerSpec, state: ListenerState, address: str) -> Served:
    """What an address serves, compared with the certificate that this run issues."""
    served = state.served.get(address, SERVED_NOTHING)
    loaded = state.gate_reloaded if spec.gate_tls else state.restarted
    if served == SERVED_CURRENT and spec.material_changed and not loaded:
        return SERVED_OUTDATED
    return served


def _restart_reasons(
    spec: ListenerSpec, state: ListenerState, endpoints: tuple[SocketAddress, ...]
) -> list[Reason]:
    reasons = [
        *_surplus_endpoint_reasons(spec, state, endpoints),
        *_unix_socket_reasons(spec, state),
        *_command_reasons(spec, state),
        *(_served_reasons(spec, state, endpoints) if spec.engine_tls else ()),
    ]
    return [*reasons, *_moved_gateway_reasons(state)] if reasons else []


def _surplus_endpoint_reasons(
    spec: ListenerSpec, state: ListenerState, endpoints: tuple[SocketAddress, ...]
) -> Iterator[Reason]:
    """Reasons for the TCP endpoints on which dockerd listens and should not.

    Three kinds of endpoints do not count:

    - addresses that no interface has: nobody reaches them, so they can wait for another restart;
    - unless dockerd serves TLS, endpoints of unmanaged socket units: no TLS key of ours changes them;
    - endpoints that dockerd opens because of its option -H: _command_reasons() reports the option.
    """
    surplus = {*state.listening, *state.lingering} - set(endpoints if spec.engine_tls else ())
    if not spec.engine_tls:
        surplus -= state.unmanaged_endpoints
    if options.listens_otherwise(state.command.running_words):
        surplus -= set(state.lingering)
    for endpoint in sorted(surplus):
        if endpoint.host not in state.absent:
            instead = "where the gate is to listen" if endpoint in endpoints else "which is not requested"
            yield Reason("listening_elsewhere", f"dockerd listens on {endpoint}, {instead}", ENGINE_UNIT)


def _unix_socket_reasons(spec: ListenerSpec, state: ListenerState) -> Iterator[Reason]:
    desired = {spec.unix_socket} - {""}
    held = set(state.unix_sockets) if state.unit(UNIX_UNIT).active else set()
    for path in sorted(desired - held):
        yield Reason("not_listening", f"dockerd does not listen on {path}", UNIX_UNIT)
    for path in sorted({*state.unix_sockets, *state.lingering_unix_sockets} - desired):
        text = f"dockerd listens on {path}, which is not requested"
        yield Reason("listening_elsewhere", text, UNIX_UNIT)


def _command_reasons(spec: ListenerSpec, state: ListenerState) -> Iterator[Reason]:
    for host in replaced_hosts(spec, state, daemon_json.parse_config(state.config_text)):
        yield Reason("listening_elsewhere", f"dockerd runs with -H {host}", ENGINE_UNIT)
    if not options.takes_systemd_sockets(state.command.running_words):
        yield Reason("command_differs", "dockerd runs without -H fd://", ENGINE_UNIT)


def _served_reasons(
    spec: ListenerSpec, state: ListenerState, endpoints: tuple[SocketAddress, ...]
) -> Iterator[Reason]:
    for endpoint in endpoints:
        place, served = _describe(endpoint, state), _served(spec, state, endpoint.host)
        if spec.engine_tls and state.unit(gate_units.tls_unit(endpoint)).active:
            yield Reason("held_otherwise", f"the gate listens on {place}", tls_unit(*endpoint))
        elif served != SERVED_CURRENT:
            yield Reason("served_differs", f"{place} serves {served}", str(endpoint))
        elif spec.engine_tls and not state.unit(tls_unit(*endpoint)).active:
            # An earlier version's unit holds the socket. Ours can bind only once dockerd has closed
            # it.
            text = f"a unit other than {tls_unit(*endpoint)} holds the socket of {place}"
            yield Reason("held_otherwise", text, tls_unit(*endpoint))


def _moved_gateway_reasons(state: ListenerState) -> Iterator[Reason]:
    """Reasons for the addresses that the restart itself changes."""
    for gateway in state.after_restart.gateways if state.after_restart else ():
        if state.topology.find(gateway.address) is None:
            place = f"{gateway.interface} the address {gateway.address}"
            text = f"the restart gives {place}, as {state.config_file} configures"
            yield Reason("gateway_moves", text, gateway.interface)


def _describe(endpoint: SocketAddress, state: ListenerState) -> str:
    """An endpoint, with its network unless that is the default bridge."""
    gateway = state.topology.find(endpoint.host)
    if gateway is None or gateway.network == DEFAULT_BRIDGE:
        return str(endpoint)
    return f"{endpoint} ({gateway.origin})"
