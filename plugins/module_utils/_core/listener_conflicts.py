# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What stands on the host already and belongs to somebody else: refused, or adopted where that is asked for."""

from __future__ import annotations

import posixpath
import re
from typing import Any, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json, engine_command
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    ENGINE_UNIT,
    ListenerSpec,
    ListenerState,
    render_endpoint,
    wanted_keys,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_units import (
    is_insecure,
    is_tls_unit,
    parse_socket_unit,
)

_STOCK_SOCKETS = ("unix:///var/run/docker.sock", "unix:///run/docker.sock", "unix://", "unix:")
_CHOICE = "set existing_listeners to adopt, and this module serves them from now on, by its own socket units"
_TLS_PORT, _PLAINTEXT_PORT = 2376, 2375


def refuse_conflicts(
    spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any], endpoints: Iterable[tuple[str, int]]
) -> None:
    """Makes sure that nothing of somebody else's is lost.

    Args:
        spec, state: what is asked for, and what is there.
        config: what daemon.json says.
        endpoints: where dockerd is to listen by TLS.

    Raises:
        Refused: it would be.
    """
    _refuse_foreign_hosts(spec, state, config, set(endpoints))
    if spec.tls:
        if not is_installed(state):
            _refuse_foreign_sockets(state)
        _refuse_foreign_keys(spec, state, config)
    else:
        refuse_plaintext(
            state, None, any(config.get(key) == value for key, value in wanted_keys(spec).items())
        )
    _refuse_unassigned(state)
    _refuse_occupied(state)
    _refuse_live_restore(spec, state, config)


def is_installed(state: ListenerState) -> bool:
    """Whether the listener has been there: whatever TCP socket dockerd gets besides it was slipped in since then."""
    recorded = [path for path, entry in state.origin.files.items() if entry.written is not None]
    named = any(
        unit.text and parse_socket_unit(unit.text)
        for name, unit in state.units.items()
        if not is_insecure(name)
    )
    return named or any(is_tls_unit(posixpath.basename(path)) for path in recorded)


def refuse_plaintext(state: ListenerState, former: Optional[str], config_differs: bool) -> None:
    """Makes sure that going away leaves no listener of somebody else's open to everybody.

    Args:
        state: what is there.
        former: what daemon.json is going to be; None if there will be none, or none of our keys in it.
        config_differs: whether it is something else now.

    Raises:
        Refused: it would.
    """
    tls = daemon_json.parse_config(former or "").get("tlsverify")
    lost = config_differs and daemon_json.parse_config(state.config_text).get("tlsverify")
    closed = any(socket.is_closed for socket in state.foreign_sockets.values())
    if not tls and (closed or (lost and state.foreign_endpoints)):
        raise Refused(
            daemon_json.PATH,
            expected="no TCP listener of somebody else's, which would be plaintext without our TLS keys",
            found=_render_sockets(state),
            remedy="Remove it, see systemctl cat of these units",
        )


def refuse_live_restore_in_swarm(state: ListenerState, config: Mapping[str, Any]) -> None:
    """Makes sure that an engine in Swarm mode, which refuses to start with live-restore, would start again.

    Args:
        state: what is there.
        config: what daemon.json says, or is going to say.

    Raises:
        Refused: it would not.
    """
    if state.swarm and config.get("live-restore"):
        raise Refused(
            f"{daemon_json.PATH}: live-restore",
            expected="no such key in Swarm mode, with which dockerd does not start then",
            found="true",
            remedy="Remove it, or set option live_restore to false",
        )


def former_hosts(state: ListenerState, config: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What dockerd is made to listen on, besides what systemd hands it, by the place that says so."""
    found = {}
    if "hosts" in config:
        value = config["hosts"]
        hosts = [str(host) for host in value] if isinstance(value, list) else [str(value)]
        found[f"{daemon_json.PATH}: hosts"] = tuple(host for host in hosts if not host.startswith("fd://"))
    otherwise = engine_command.listens_otherwise(state.command.configured)
    if otherwise:
        found[state.command.source] = otherwise
    return found


def needs_override(state: ListenerState) -> bool:
    """Whether the configured command line does not take our sockets, or listens elsewhere too."""
    command = state.command.configured
    return not engine_command.takes_systemd_sockets(command) or bool(
        engine_command.listens_otherwise(command)
    )


def _refuse_foreign_hosts(
    spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any], endpoints: set[tuple[str, int]]
) -> None:
    former = former_hosts(state, config)
    if "hosts" in config and not spec.adopt:
        raise Refused(
            f"{daemon_json.PATH}: hosts",
            expected="no such key: it contradicts -H fd:// of docker.service, and dockerd will not start again",
            found=repr(config["hosts"]),
            remedy=f"Remove the key; this module listens by socket units instead. Or {_CHOICE}",
        )
    if needs_override(state) and not spec.adopt:
        raise Refused(
            state.command.source or ENGINE_UNIT,
            expected="dockerd to be started with -H fd:// and no other, as the vendors' units do, so that it takes our "
            "sockets and our TLS keys change nobody else's",
            found=state.command.configured or "no ExecStart",
            remedy=f"Remove what overrides ExecStart, see systemctl cat {ENGINE_UNIT}. Or {_CHOICE}",
        )
    for place, hosts in former.items():
        lost = [host for host in hosts if not _is_covered(host, spec, endpoints)]
        if lost:
            raise Refused(
                place,
                expected="only listeners that this task goes on to serve",
                found=", ".join(lost),
                remedy="Name their addresses in addresses or host_addresses with their port, or remove them there",
            )
    _refuse_other_sources(state)


def _refuse_other_sources(state: ListenerState) -> None:
    """Listeners of the running engine that no unit file names: by a variable, or in a file that has changed since."""
    running = set(engine_command.listens_otherwise(state.command.running))
    unknown = running - set(engine_command.listens_otherwise(state.command.configured))
    if unknown:
        raise Refused(
            ENGINE_UNIT,
            expected="no listeners that its unit files do not name",
            found=", ".join(f"-H {host}" for host in sorted(unknown)),
            remedy="Remove them from where the environment of the unit comes from, such as /etc/default/docker",
        )
    options = engine_command.tls_options_of(f"{state.command.running} {state.command.configured}")
    if options:
        raise Refused(
            ENGINE_UNIT,
            expected=f"no TLS options on dockerd's command line, which {daemon_json.PATH} may not contradict",
            found=", ".join(dict.fromkeys(options)),
            remedy=f"Remove them, see systemctl cat {ENGINE_UNIT}",
        )


def _is_covered(host: str, spec: ListenerSpec, endpoints: set[tuple[str, int]]) -> bool:
    if host in _STOCK_SOCKETS:
        return True
    if host in (f"unix://{spec.unix_socket}", f"unix:{spec.unix_socket}") and spec.unix_socket:
        return True
    match = re.fullmatch(r"(?:tcp://)?\[?([^\]/]*?)\]?(?::(\d+))?/?", host)
    if match is None or host.startswith(("unix:", "fd:", "npipe:")):
        return False
    ports = {int(match.group(2))} if match.group(2) else {_TLS_PORT, _PLAINTEXT_PORT}
    if match.group(1) in ("", "0.0.0.0", "::"):
        # All addresses of the host: that others can reach it has been thought of if one is named for them.
        return spec.port in ports and bool(spec.host_addresses)
    return any((match.group(1), port) in endpoints for port in ports)


def _refuse_foreign_sockets(state: ListenerState) -> None:
    if state.foreign_endpoints:
        raise Refused(
            ENGINE_UNIT,
            expected="no TCP listener of somebody else's, which our TLS keys would change",
            found=_render_sockets(state),
            remedy="Move its clients to a wormhole and remove it, see systemctl cat of these units",
        )


def _render_sockets(state: ListenerState) -> str:
    return ", ".join(
        f"{unit} ({', '.join(render_endpoint(*endpoint) for endpoint in socket.endpoints) or 'closed by us'})"
        for unit, socket in sorted(state.foreign_sockets.items())
        if socket.endpoints or socket.is_closed
    )


def _refuse_foreign_keys(spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any]) -> None:
    for key, value in wanted_keys(spec).items():
        if key in config and config[key] != value:
            raise Refused(
                f"{daemon_json.PATH}: {key}",
                expected=f"nothing, or {value!r}",
                found=repr(config[key]),
                remedy="Somebody else configured TLS here; remove the key, or pass its directory as option directory",
            )


def _refuse_unassigned(state: ListenerState) -> None:
    if state.unassigned:
        raise Refused(
            "option host_addresses",
            expected="addresses that an interface of this host has",
            found=", ".join(state.unassigned),
            remedy="See ip address for those that there are",
        )


def _refuse_occupied(state: ListenerState) -> None:
    for endpoint, holder in state.occupied.items():
        raise Refused(
            f"port {render_endpoint(*endpoint)}",
            expected="to be free",
            found=holder,
            remedy="Stop that process, or choose another port",
        )


def _refuse_live_restore(spec: ListenerSpec, state: ListenerState, config: Mapping[str, Any]) -> None:
    if spec.live_restore is None:
        refuse_live_restore_in_swarm(state, config)
        return
    if spec.live_restore and state.swarm:
        raise Refused(
            "option live_restore",
            expected="an engine that is not part of a swarm",
            found="Swarm mode, with which dockerd does not start if live-restore is set",
            remedy="Leave the option out; drain the node before a restart instead",
        )
    if engine_command.has_option(f"{state.command.running} {state.command.configured}", "--live-restore"):
        raise Refused(
            "option live_restore",
            expected=f"{daemon_json.PATH} to decide",
            found="--live-restore on dockerd's command line, which the file may not contradict",
            remedy=f"Remove it there, see systemctl cat {ENGINE_UNIT}, or leave the option out",
        )
