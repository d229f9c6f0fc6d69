# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observe the listener on this host: units, configuration, sockets, and what they serve."""

from __future__ import annotations

import contextlib
import itertools
import os
from typing import Any, Callable, Iterable, Mapping, Optional

from ..._base.address import SocketAddress
from ..._base.errors import MissingRequirement, Refused
from ..._base.io import files
from ..._base.labels import LABEL_TRANSPORT
from ..._engine import daemon_json
from ..._engine import network_config as engine_networks
from ..._engine.io.daemon_config import read_config_text
from ..._engine.port import EnginePort
from ..._firewall.io.openings import observe_firewall
from ..._firewall.model import Opening
from ..._firewall.neighbours import other_bridges
from ..._networks.gateways import Topology
from ..._networks.io import interfaces
from ..._networks.io.namespaces import read_routes
from .. import guard
from .. import model as listener
from .. import spec as listener_spec
from ..addresses import candidate_addresses, insecure_endpoints, required_openings
from ..original_config import is_former_config
from ..units import PROXY, parse_unix_paths
from .admission import find_policed, find_unadmitted
from .containers import running_containers, stranded_containers
from .guard import read_reason, require_interpreter, shipped_program
from .probe import ListenerProbe
from .transaction import Transaction
from .units import ObservedUnits, observe_units

_API_PORTS = (2375, 2376)
"""The ports of the Docker API (IANA, Service Name and Transport Protocol Port Number Registry).
dockerd has sockets on other ports too, such as those of Swarm."""


# Long because it is one table: a line for each field of the state.
def observe_listener(
    spec: listener_spec.ListenerSpec,
    connect: Callable[[], EnginePort],
    probe: ListenerProbe,
    *,
    restarted: bool = False,
    gate_reloaded: bool = False,
) -> listener.ListenerState:
    """Reads the present state; changes nothing.

    Raises:
        WormholeError: the engine or systemd does not answer, or this host does not have an address.
    """
    if spec.present and spec.insecure_plaintext_port is not None and not os.access(PROXY, os.X_OK):
        problem = f"Option insecure_plaintext_port needs the program {PROXY}, which is not installed"
        raise MissingRequirement(PROXY, problem=problem, remedy="Install the package socat")
    if spec.present and spec.engine_tls:
        require_interpreter()
    engine = connect()
    info = engine.info()
    # Before the networks: a network that is created meanwhile does not make its bridge another one.
    bridges = interfaces.bridges()
    networks = engine.networks()
    topology = interfaces.observe_topology(networks)
    units = observe_units()
    config_file, pools = units.command.config_file or daemon_json.PATH, info.get("DefaultAddressPools") or ()
    config_text = read_config_text(config_file)
    keys = {**daemon_json.parse_config(config_text, config_file), **units.command.config_keys}
    network_config = engine_networks.parse_network_config(keys, pools, config_file)
    probe.promised = engine_networks.promised_names(network_config, config_file)
    after_restart = _after_restart(spec, topology, network_config, info)
    systemd, dockerd = interfaces.sockets_of(1), interfaces.sockets_of(units.pid)
    listening, passive, remaining = interfaces.tcp_listeners(
        systemd & dockerd, systemd - dockerd, dockerd - systemd
    )
    lingering = _lingering(spec, units, remaining)
    candidates = candidate_addresses(spec, topology, after_restart) if spec.present else ()
    serving = passive if spec.gate_tls else listening
    ours = [address for address, port in serving if port == spec.port]
    desired = [SocketAddress(address, spec.port) for address in candidates]
    desired += insecure_endpoints(spec, topology) if spec.present else ()
    config_path, origin = os.path.realpath(config_file), Transaction().origin()
    former = {
        path: files.read_text(path) for path in origin.files if is_former_config(path, origin, config_path)
    }
    return listener.ListenerState(
        topology=topology,
        after_restart=after_restart,
        units=units.managed,
        stock=units.stock,
        listening=listening,
        lingering=lingering,
        absent=_unassigned(e.host for e in (*listening, *lingering) if e.host not in ("0.0.0.0", "::")),
        unassigned=_unassigned(spec.host_addresses),
        passive=passive,
        unix_sockets=_unix_sockets(spec, units, interfaces.unix_listeners(systemd & dockerd)),
        lingering_unix_sockets=_unix_sockets(spec, units, interfaces.unix_listeners(dockerd - systemd)),
        command=units.command,
        guard_program=files.read_text(guard.PROGRAM),
        guard_shipped=shipped_program(),
        closed=read_reason(),
        unmanaged_sockets=units.unmanaged,
        config_text=config_text,
        config_missing=files.read_file(config_path) is None,
        config_path=config_path,
        former_configs={path: text for path, text in former.items() if text is not None},
        served={address: probe.served(address, ours, topology) for address in candidates if address in ours},
        occupied=_occupied(desired, {*listening, *passive}, units),
        containers=running_containers(engine),
        live_restore=bool(info.get("LiveRestoreEnabled")),
        swarm=(info.get("Swarm") or {}).get("LocalNodeState", "inactive") not in ("inactive", ""),
        stranded=stranded_containers(engine),
        wormholes=running_containers(engine, {LABEL_TRANSPORT: "tls"}),
        unadmitted=find_unadmitted(engine) if spec.present and spec.gate_tls else (),
        policed=find_policed() if spec.present and spec.engine_tls else (),
        firewall=observe_firewall(_openings(spec, topology, after_restart)),
        other_bridges=other_bridges(bridges, interfaces.bridges_of(networks)),
        interrupted=Transaction().open() is not None,
        origin=origin,
        restarted=restarted,
        gate_reloaded=gate_reloaded,
    )


def _lingering(
    spec: listener_spec.ListenerSpec, units: ObservedUnits, held: tuple[SocketAddress, ...]
) -> tuple[SocketAddress, ...]:
    """Of the endpoints that dockerd holds alone, those whose socket systemd has closed."""
    unmanaged = {endpoint for socket in units.unmanaged.values() for endpoint in socket.endpoints}
    ports = {spec.port, *(_API_PORTS if spec.tls else ())}
    return tuple(e for e in held if e.port in ports or e in unmanaged)


def _unassigned(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(itertools.filterfalse(interfaces.is_assigned, addresses))


def _unix_sockets(
    spec: listener_spec.ListenerSpec, units: ObservedUnits, paths: tuple[str, ...]
) -> tuple[str, ...]:
    """Of the unix sockets on which a process listens, those of the listener."""
    ours = {path for unit in units.managed.values() for path in parse_unix_paths(unit.text or "")}
    ours.add(f"{spec.unix_directory}/docker.sock")
    # dockerd may hold a socket whose file was removed, which no client can reach.
    return tuple(path for path in paths if path in ours and os.path.exists(path))


def _occupied(
    desired: list[SocketAddress], held: set[SocketAddress], units: ObservedUnits
) -> dict[SocketAddress, str]:
    """The other processes that hold desired endpoints, by endpoint.

    A socket of dockerd, or of systemd for a unit of the listener, belongs to the listener even if
    it is bound to another address than it should be.
    """
    active = any(unit.active for unit in units.managed.values())
    own = (f"(pid {units.pid})", *(("(pid 1)",) if active else ()))
    found = {}
    for endpoint in desired:
        if endpoint in held or interfaces.can_listen(*endpoint):
            continue
        holder = interfaces.port_holder(endpoint.port) or "another process"
        if not holder.endswith(own):
            found[endpoint] = holder
    return found


def _openings(
    spec: listener_spec.ListenerSpec, topology: Topology, after_restart: Optional[Topology]
) -> tuple[Opening, ...]:
    openings: set[Opening] = set()
    for candidate in filter(None, (topology, after_restart) if spec.present else ()):
        with contextlib.suppress(Refused):
            openings.update(required_openings(spec, candidate))
    return tuple(sorted(openings))


def _after_restart(
    spec: listener_spec.ListenerSpec,
    topology: Topology,
    config: engine_networks.NetworkConfig,
    info: Mapping[str, Any],
) -> Optional[Topology]:
    """The networks after a restart of the engine; None if it does not change them.

    With live-restore, dockerd does not change docker0 while a container is running.
    """
    live_restore = info.get("LiveRestoreEnabled") if spec.live_restore is None else spec.live_restore
    if topology.default is None or (live_restore and info.get("ContainersRunning")):
        return None
    taken = [
        route.destination
        for route in read_routes()
        if not route.is_default and route.interface != topology.default.interface
    ]
    expected = engine_networks.topology_after_restart(topology, config, taken)
    return None if expected == topology else expected
