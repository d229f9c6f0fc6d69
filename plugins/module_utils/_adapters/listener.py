# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The listener on a real host, as it is."""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import os
from typing import Any, Callable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files, interfaces, systemd
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.daemon_config import (
    read_config_text,
    read_network_config,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.firewall import observe_firewall
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.listener_checks import (
    engine_command_line,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.listener_containers import (
    running_containers,
    stranded_containers,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.listener_probe import ListenerProbe
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.reachability import read_routes
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.transaction import Transaction
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.unit_files import (
    listener_unit_files,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core import (
    daemon_json,
    engine_command,
    foreign_sockets,
    listener,
    systemd_units,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    EngineUnavailable,
    MissingRequirement,
    Refused,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import Opening
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_addresses import (
    candidate_addresses,
    insecure_endpoints,
    wanted_openings,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_units import (
    PROXY,
    is_listener_unit,
    is_template,
    unit_path,
    wants_links,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.network_config import (
    NetworkConfig,
    promised_names,
    topology_after_restart,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    LABEL_TRANSPORT,
)

_DROP_INS = (systemd_units.UNIT_DIRECTORY, "/run/systemd/system")
_API_PORTS = (2375, 2376)
"""Of the Docker API (IANA, Service Name and Transport Protocol Port Number Registry): what dockerd holds there is none of its
other sockets, such as Swarm's."""
_PROPERTIES = [
    "ActiveState",
    "LoadState",
    "NeedDaemonReload",
    "DropInPaths",
    "FragmentPath",
    "MainPID",
    "TriggeredBy",
    "Listen",
    "SocketMode",
    "SocketUser",
    "SocketGroup",
]


def observe_listener(
    spec: listener.ListenerSpec, connect: Callable[[], EnginePort], restarted: bool, probe: ListenerProbe
) -> listener.ListenerState:
    """Reads what is there; changes nothing.

    Args:
        spec: what is asked for.
        connect: opens the engine.
        restarted: this run has restarted the engine already.
        probe: looks at what is served.

    Raises:
        WormholeError: the engine or systemd does not answer, or an address is not of this host.
    """
    if spec.present and spec.insecure_plaintext_port is not None and not os.access(PROXY, os.X_OK):
        raise MissingRequirement(
            PROXY,
            expected="socat, for option insecure_plaintext_port",
            found="no such program",
            remedy="Install the package socat",
        )
    engine = connect()
    info = engine.info()
    topology = interfaces.observe_topology(engine.networks())
    network_config = read_network_config(info)
    probe.promised = promised_names(network_config)
    after_restart = _after_restart(spec, topology, network_config, info)
    shown, units, foreign = _units()
    pid = int(shown[listener.ENGINE_UNIT].get("MainPID") or 0)
    listening = interfaces.shared_listeners(1, pid)
    plaintext = interfaces.sole_listeners(1, pid)
    theirs = {endpoint for socket in foreign.values() for endpoint in socket.endpoints}
    ports = {spec.port, *(_API_PORTS if spec.tls else ())}
    lingering = tuple(e for e in interfaces.sole_listeners(pid, 1) if e[1] in ports or e in theirs)
    candidates = candidate_addresses(spec, topology, after_restart) if spec.present else ()
    ours = [address for address, port in listening if port == spec.port]
    stock = shown[listener.STOCK_UNIT]
    config = files.read_file(os.path.realpath(daemon_json.PATH))
    return listener.ListenerState(
        topology=topology,
        after_restart=after_restart,
        units=units,
        stock=listener.SocketAccess(
            mode=stock.get("SocketMode", "0660"),
            user=stock.get("SocketUser", "root"),
            group=stock.get("SocketGroup", "docker"),
        ),
        listening=listening,
        lingering=lingering,
        absent=tuple(address for address, port in (*listening, *lingering) if not _is_assigned(address)),
        unassigned=tuple(address for address in spec.host_addresses if not interfaces.is_assigned(address)),
        plaintext=plaintext,
        unix_sockets=_unix_sockets(spec, units, interfaces.shared_unix_listeners(1, pid)),
        lingering_unix_sockets=_unix_sockets(spec, units, interfaces.sole_unix_listeners(pid, 1)),
        command=engine_command.parse_files(
            _unit_files(listener.ENGINE_UNIT, shown[listener.ENGINE_UNIT]),
            engine_command_line(pid),
            shown[listener.ENGINE_UNIT].get("NeedDaemonReload") == "yes",
        ),
        foreign_sockets=foreign,
        config_text=read_config_text(),
        config_missing=config is None,
        config_path=os.path.realpath(daemon_json.PATH),
        served={address: probe.served(address, ours, topology) for address in candidates if address in ours},
        occupied=_occupied(spec, topology, after_restart, candidates, listening, plaintext, pid, units),
        containers=running_containers(engine),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        swarm=(info.get("Swarm") or {}).get("LocalNodeState", "inactive") not in ("inactive", ""),
        stranded=stranded_containers(engine),
        wormholes=running_containers(engine, {LABEL_TRANSPORT: "tls"}),
        firewall=observe_firewall(_openings(spec, topology, after_restart)),
        interrupted=Transaction().open() is not None,
        origin=Transaction().origin(),
        restarted=restarted,
    )


def _units() -> tuple[
    dict[str, dict[str, str]],
    dict[str, listener.UnitState],
    dict[str, foreign_sockets.ForeignSocket],
]:
    """Properties of the vendor's units, the units of ours, and other people's socket units that concern TCP."""
    on_disk = listener_unit_files()
    templates = {name: listener.UnitState(text=_unit_text(name)) for name in on_disk if is_template(name)}
    names = [listener.ENGINE_UNIT, listener.STOCK_UNIT, *(name for name in on_disk if name not in templates)]
    shown = systemd.show_units(names, _PROPERTIES)
    if not shown[listener.ENGINE_UNIT].get("MainPID", "0").strip("0"):
        raise EngineUnavailable(
            listener.ENGINE_UNIT,
            expected="a dockerd that this unit has started",
            found="none",
            remedy="See systemctl status docker.service; an engine that is started otherwise is not supported",
        )
    refuse_masked(shown)
    triggers = shown[listener.ENGINE_UNIT].get("TriggeredBy", "").split()
    shown.update(systemd.show_units([unit for unit in triggers if unit not in shown], _PROPERTIES))
    # A unit of ours whose file was removed is still in systemd's memory, and so is its socket.
    ours = {name for name in shown if is_listener_unit(name)}
    units = {**{name: _unit_state(name, shown[name]) for name in sorted(ours)}, **templates}
    foreign = {}
    for name in triggers:
        if name in ours:
            continue
        active = shown[name].get("ActiveState") == "active"
        held = systemd_units.parse_listen(shown[name].get("Listen", "")) if active else ()
        socket = foreign_sockets.parse_files(_unit_files(name, shown[name]), held)
        if socket.endpoints or socket.override_path:
            foreign[name] = socket
    return shown, units, {**foreign, **_closed_sockets({*foreign, *ours})}


def _closed_sockets(known: set[str]) -> dict[str, foreign_sockets.ForeignSocket]:
    """Units that our drop-ins close, and that systemd therefore does not count among those of the engine any more."""
    paths = glob.glob(f"{systemd_units.UNIT_DIRECTORY}/*.socket.d/*.conf")
    names = {systemd_units.overridden_unit(path) for path in paths} - known - {""}
    found = {}
    for name, shown in systemd.show_units(sorted(names), _PROPERTIES).items():
        unit_files = _unit_files(name, shown)
        socket = foreign_sockets.parse_files(unit_files, ())
        has_file = any(not path.endswith(".conf") for path, _content in unit_files)
        if not has_file or not foreign_sockets.serves(name, unit_files, listener.ENGINE_UNIT):
            # The unit has gone, or has nothing to do with the engine: there is nothing to close.
            socket = dataclasses.replace(socket, configured=(), unclear=False)
        found[name] = socket
    return found


def _unit_files(name: str, shown: Mapping[str, str]) -> list[tuple[str, str]]:
    """Paths and contents of a unit's file and its drop-ins, in the order in which they count.

    Drop-ins that systemd has not read yet are among them: it will have when a change is carried out.
    """
    known = [shown.get("FragmentPath", ""), *shown.get("DropInPaths", "").split()]
    new = [path for directory in _DROP_INS for path in glob.glob(f"{directory}/{glob.escape(name)}.d/*.conf")]
    found = []
    for path in systemd_units.in_order(filter(None, [*known, *new])):
        # A link to there takes the place of a file of the same name elsewhere, and says nothing (systemd.unit(5)).
        content = None if os.path.realpath(path) == os.devnull else files.read_file(path)
        if content is not None:
            found.append((path, content.content.decode(errors="replace")))
    return found


def refuse_masked(shown: Mapping[str, Mapping[str, str]]) -> None:
    """Makes sure that systemd would start the engine again.

    Args:
        shown: properties by unit; LoadState among them.

    Raises:
        Refused: the engine still runs, but its unit, or the socket that this needs, is masked.
    """
    masked = [
        unit
        for unit in (listener.ENGINE_UNIT, listener.STOCK_UNIT)
        if shown.get(unit, {}).get("LoadState") == "masked"
    ]
    if masked:
        raise Refused(
            ", ".join(masked),
            expected="units that systemd may start",
            found="masked",
            remedy=f"Run systemctl unmask {' '.join(masked)}: dockerd would not start again, now or after a reboot",
        )


def _unit_state(name: str, shown: Mapping[str, str]) -> listener.UnitState:
    return listener.UnitState(
        text=_unit_text(name),
        enabled=all(os.path.islink(path) for path in wants_links(name)),
        active=shown.get("ActiveState") == "active",
        stale=shown.get("NeedDaemonReload") == "yes",
        drop_ins=tuple(
            path
            for path in sorted(
                {*shown.get("DropInPaths", "").split(), *glob.glob(f"{unit_path(name)}.d/*.conf")}
            )
            if os.path.lexists(path)
        ),
    )


def _unit_text(name: str) -> Optional[str]:
    found = files.read_file(unit_path(name))
    return None if found is None else found.content.decode(errors="replace")


def _is_assigned(address: str) -> bool:
    return address in ("0.0.0.0", "::") or interfaces.is_assigned(address)


def _unix_sockets(
    spec: listener.ListenerSpec, units: Mapping[str, listener.UnitState], paths: tuple[str, ...]
) -> tuple[str, ...]:
    """Of the sockets that somebody listens on, those that are ours."""
    ours = {f"{spec.unix_directory}/docker.sock"}
    for unit in units.values():
        ours |= {
            line.partition("=")[2]
            for line in (unit.text or "").splitlines()
            if line.startswith("ListenStream=/")
        }
    # dockerd holds a socket whose file is gone just as well; nobody can reach that one.
    return tuple(path for path in paths if path in ours and os.path.exists(path))


def _occupied(
    spec: listener.ListenerSpec,
    topology: Topology,
    after_restart: Optional[Topology],
    candidates: tuple[str, ...],
    listening: tuple[tuple[str, int], ...],
    plaintext: tuple[tuple[str, int], ...],
    pid: int,
    units: Mapping[str, listener.UnitState],
) -> dict[tuple[str, int], str]:
    """By endpoint, who else holds it.

    What dockerd holds, or systemd for a unit of ours, is ours, bound otherwise than it should be.
    """
    if not spec.present:
        return {}
    wanted = [(address, spec.port) for address in candidates]
    wanted += insecure_endpoints(spec, topology)
    active = any(unit.active for unit in units.values())
    friends = (f"(pid {pid})", "(pid 1)" if active else f"(pid {pid})")
    found = {}
    for address, port in wanted:
        if (address, port) in (*listening, *plaintext) or interfaces.can_listen(address, port):
            continue
        holder = interfaces.port_holder(port) or "another process"
        if not holder.endswith(friends):
            found[(address, port)] = holder
    return found


def _openings(
    spec: listener.ListenerSpec, topology: Topology, after_restart: Optional[Topology]
) -> tuple[Opening, ...]:
    if not spec.present:
        return ()
    openings: set[Opening] = set()
    for candidate in (topology, after_restart):
        if candidate is not None:
            with contextlib.suppress(Refused):
                openings.update(wanted_openings(spec, candidate))
    return tuple(sorted(openings))


def _after_restart(
    spec: listener.ListenerSpec, topology: Topology, config: NetworkConfig, info: Mapping[str, Any]
) -> Optional[Topology]:
    """The networks as a restart leaves them; None if it leaves them as they are.

    With live-restore, dockerd does not touch docker0 while a container uses its networks.
    """
    live_restore = info.get("LiveRestoreEnabled") if spec.live_restore is None else spec.live_restore
    if topology.default is None or (live_restore and info.get("ContainersRunning")):
        return None
    taken = [
        route.destination
        for route in read_routes()
        if not route.is_default and route.interface != topology.default.interface
    ]
    expected = topology_after_restart(topology, config, taken)
    return None if expected == topology else expected
