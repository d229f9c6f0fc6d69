# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Detects configurations of the host that conflict with the listener."""

from __future__ import annotations

import posixpath
from typing import Any, Iterable, Iterator, Mapping, Optional

from .._base.address import SocketAddress
from .._base.errors import Refused
from .._engine import daemon_json, options
from . import command_conflicts
from .model import ListenerState
from .spec import ENGINE_UNIT, LIVE_RESTORE, ListenerSpec, tls_keys
from .units import is_engine_unit, is_tls_unit, parse_socket_unit

_SWARM = "but the engine is in Swarm mode and does not start with it"


_ADOPT_FILES = (
    "Set existing_listeners to adopt: the listener then replaces the key until it is removed, and the files stay as they are. "
    "Clients of the present authority can connect only if the authority of this task trusts it"
)


def refuse_conflicts(
    spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any], endpoints: Iterable[SocketAddress]
) -> None:
    """Raises Refused if the listener breaks a configuration that this collection does not manage.

    The error names all obstacles at once.

    Args:
        config: the parsed daemon.json.
        endpoints: where dockerd listens by TLS after the run.
    """
    obstacles = [
        *command_conflicts.find_failing_start(state),
        *(command_conflicts.find_unclear_start(state) if state.command.configured else ()),
    ]
    unclear = bool(obstacles)
    # What a wrapper makes of its options is unknown.
    if state.command.starts_dockerd or not unclear:
        obstacles += command_conflicts.find_host_obstacles(spec, state, config, set(endpoints))
    if not unclear:
        obstacles += command_conflicts.find_unknown_options(state)
    if spec.engine_tls:
        obstacles += command_conflicts.find_tls_options(state)
        obstacles += [] if is_installed(state) else _find_unmanaged_sockets(state)
        obstacles += _find_other_keys(spec, state, config)
        obstacles += _find_policed(state)
    else:
        lost = any(config.get(key) == value for key, value in tls_keys(spec).items())
        obstacles += _find_plaintext(state, None, lost)
    obstacles += [*_find_unassigned(state), *_find_occupied(state), *_find_live_restore(spec, state, config)]
    obstacles += _find_missing_nft(spec, state)
    command_conflicts.raise_all(obstacles)


def is_installed(state: ListenerState) -> bool:
    """Whether dockerd has served TLS before this run. Unmanaged TCP sockets came later then."""
    written = [path for path, entry in state.origin.files.items() if entry.written is not None]
    texts = [unit.text or "" for name, unit in state.units.items() if is_engine_unit(name)]
    return any(map(parse_socket_unit, texts)) or any(map(is_tls_unit, map(posixpath.basename, written)))


def refuse_plaintext(state: ListenerState, original: Optional[str], config_differs: bool) -> None:
    """Raises Refused if the removal of the TLS keys turns an unmanaged TCP socket into plaintext.

    Args:
        original: daemon.json after the run; None for no file, or for one without our keys.
        config_differs: whether the run changes daemon.json.
    """
    command_conflicts.raise_all(list(_find_plaintext(state, original, config_differs)))


def _find_plaintext(state: ListenerState, original: Optional[str], config_differs: bool) -> Iterator[Refused]:
    tls = daemon_json.parse_config(original or "").get("tlsverify")
    lost = config_differs and daemon_json.parse_config(state.config_text).get("tlsverify")
    closed = any(socket.is_closed for socket in state.unmanaged_sockets.values())
    if not tls and (closed or (lost and state.unmanaged_endpoints)):
        yield Refused(
            state.config_file,
            problem=f"Without the TLS keys in {state.config_file}, dockerd would serve plaintext on the "
            f"sockets of units that this collection does not manage: {_render_sockets(state)}",
            remedy="Remove these units or their ListenStream first, see systemctl cat",
        )


def refuse_live_restore_in_swarm(state: ListenerState, config: Mapping[str, Any]) -> None:
    """Raises Refused if an engine in Swarm mode has live-restore, with which it does not start."""
    command_conflicts.raise_all(list(_find_live_restore_in_swarm(state, config)))


def refuse_interruption(spec: ListenerSpec, state: ListenerState, interrupted: tuple[str, ...]) -> None:
    """Raises Refused if a restart stops these containers and the task does not allow it."""
    if interrupted and spec.running_containers == "refuse":
        problem = f"The restart of {ENGINE_UNIT} would stop running containers: {', '.join(interrupted)}"
        removed = [name for name in interrupted if name in state.ephemeral]
        if removed:
            problem += f". It would remove those that were created with --rm: {', '.join(removed)}"
        remedy = "Stop them, set option live_restore, or set running_containers to interrupt"
        raise Refused(ENGINE_UNIT, problem=problem, remedy=remedy)


def _find_unmanaged_sockets(state: ListenerState) -> Iterator[Refused]:
    if state.unmanaged_endpoints:
        yield Refused(
            ENGINE_UNIT,
            problem="Socket units that this collection does not manage hand TCP sockets to dockerd, "
            f"which the TLS keys would change: {_render_sockets(state)}",
            remedy="Let their clients use wormholes, then remove the units or their ListenStream=, see systemctl cat",
        )


def _render_sockets(state: ListenerState) -> str:
    return ", ".join(
        f"{unit} ({', '.join(map(str, socket.endpoints)) or 'closed by a drop-in'})"
        for unit, socket in sorted(state.unmanaged_sockets.items())
        if socket.endpoints or socket.is_closed
    )


def _find_other_keys(
    spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any]
) -> Iterator[Refused]:
    for key, value in tls_keys(spec).items():
        is_path = key != "tlsverify"
        # A removal of the listener restores keys that were adopted.
        adopted = is_path and spec.existing_listeners == "adopt"
        if key in config and config[key] != value and not adopted:
            found = f"{state.config_file} already sets {key} to {config[key]!r}"
            problem = f"{found}, but the listener needs {value!r}"
            remedy = _ADOPT_FILES if is_path else "Remove the key"
            yield Refused(f"{state.config_file}: {key}", problem=problem, remedy=remedy)


def _find_unassigned(state: ListenerState) -> Iterator[Refused]:
    if state.unassigned:
        addresses = ", ".join(state.unassigned)
        problem = f"host_addresses lists addresses that no interface of this host has: {addresses}"
        remedy = "Show the addresses of this host with ip address"
        yield Refused("option host_addresses", problem=problem, remedy=remedy)


def _find_missing_nft(spec: ListenerSpec, state: ListenerState) -> Iterator[Refused]:
    """Without the option, the run only warns."""
    if spec.tls and spec.neighbours == "drop" and not state.firewall.restricts:
        problem = "neighbours is drop, which needs the program nft, and it is not installed"
        yield Refused("option neighbours", problem=problem, remedy="Install the package nftables")


def _find_occupied(state: ListenerState) -> Iterator[Refused]:
    for endpoint, holder in state.occupied.items():
        problem = f"Port {endpoint} is already in use by {holder}"
        yield Refused(f"port {endpoint}", problem=problem, remedy="Stop that process, or choose another port")


def _find_policed(state: ListenerState) -> Iterator[Refused]:
    """dockerd accepts each certificate of its authorities, and knows no policies."""
    if state.policed:
        names = ", ".join(state.policed)
        yield Refused(
            f"the policies of {names}",
            problem=f"dockerd would accept the certificates of {names}, and their policies would not hold",
            remedy="Keep served_by: gate, or first give these wormholes transport unix or policy unrestricted, "
            "or remove them",
        )


def _find_live_restore_in_swarm(state: ListenerState, config: Mapping[str, Any]) -> Iterator[Refused]:
    if state.swarm and config.get(LIVE_RESTORE):
        problem = f"{state.config_file} sets {LIVE_RESTORE}, {_SWARM}"
        remedy = "Remove the key, or set option live_restore to false"
        yield Refused(f"{state.config_file}: {LIVE_RESTORE}", problem=problem, remedy=remedy)


def _find_live_restore(
    spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any]
) -> Iterator[Refused]:
    if spec.live_restore is None:
        yield from _find_live_restore_in_swarm(state, config)
        return
    if spec.live_restore and state.swarm:
        remedy = "Remove the option; drain the node before a restart instead"
        yield Refused("option live_restore", problem=f"live_restore is true, {_SWARM}", remedy=remedy)
    if LIVE_RESTORE in {**state.command.config_keys, **options.config_keys(state.command.running_words)}:
        yield Refused(
            "option live_restore",
            problem="live_restore is set, but dockerd's command line has --live-restore, which "
            f"{state.config_file} cannot override",
            remedy=f"Remove --live-restore there ({command_conflicts.SHOW}), or remove the option",
        )
