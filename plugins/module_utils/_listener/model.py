# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The observed listener, and the actions that change it.

The stock unit runs ``dockerd -H fd://``: dockerd listens on every socket that systemd hands to
docker.service. A socket unit with ``Service=docker.service`` therefore adds a listener without a
change of the vendor's unit. Each address has a unit of its own, so that adding one does not
interrupt the others. ``FreeBind`` binds a unit at boot, before docker0 exists. With ``tlsverify``
in daemon.json, dockerd requires mutual TLS on TCP sockets and leaves unix sockets plain.

Sources: systemd.socket(5); Docker documentation, "Configure remote access for Docker daemon" and
"Protect the Docker daemon socket".
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, Literal, Mapping, Optional

from .._base.address import SocketAddress
from .._engine import daemon_json
from .._engine.command import EngineCommand
from .._firewall.model import FirewallState, Opening, Restriction
from .._networks.gateways import Topology
from .journal import Origin
from .units import SocketAccess
from .unmanaged_sockets import UnmanagedSocket

Served = Literal[
    "current certificates",
    "outdated certificates",
    "clients without a certificate too",
    "plaintext",
    "connections that get no answer",
    "nothing",
]
"""What an endpoint serves."""

SERVED_CURRENT: Final = "current certificates"
SERVED_OUTDATED: Final = "outdated certificates"
SERVED_TO_ANYONE: Final = "clients without a certificate too"
SERVED_PLAINTEXT: Final = "plaintext"
SERVED_SILENT: Final = "connections that get no answer"
SERVED_NOTHING: Final = "nothing"


@dataclass(frozen=True)
class UnitState:
    """A systemd unit of the listener.

    Attributes:
        text: content of its file; None if there is no file.
        enabled: whether all links of its [Install] section exist.
        active: whether it is active: systemd holds the sockets that it names.
        stale: systemd has not read the present file yet.
        drop_ins: paths of its drop-ins, none of which is ours.
    """

    text: Optional[str] = None
    enabled: bool = False
    active: bool = False
    stale: bool = False
    drop_ins: tuple[str, ...] = ()


@dataclass(frozen=True)
class Admission:
    """An identity to which the gate has to give the access that it has by dockerd.

    Attributes:
        identity: its name.
        certificates: paths of its certificates.
    """

    identity: str
    certificates: tuple[str, ...]


@dataclass(frozen=True)
class ListenerState:
    """The observed listener.

    Attributes:
        topology: the host's Docker networks.
        after_restart: the networks after a restart of the engine; None if a restart does not change
            them.
        units: the listener's units on the host, by name.
        stock: access to the stock unix socket.
        listening: TCP sockets that systemd has handed to dockerd.
        lingering: TCP sockets on which only dockerd still listens. systemd closes its own copy of a
            socket once the unit's file does not name it any more, and opens new ones only when the
            unit is started again (measured with systemd 252 and 257).
        absent: addresses of these sockets that no interface has.
        unassigned: addresses of the option host_addresses that no interface has.
        passive: TCP sockets that systemd holds and dockerd does not: those of the gate, of the plaintext
            proxies, and of other services.
        unix_sockets: paths of the additional unix sockets that systemd has handed to dockerd.
        lingering_unix_sockets: paths of the additional unix sockets on which only dockerd still
            listens.
        command: how dockerd is started.
        guard_program: content of the guard's program on the host; None if there is none.
        guard_shipped: content of the guard's program in this version of the collection.
        closed: why the guard keeps the listener's TCP sockets closed; empty if it does not.
        unmanaged_sockets: socket units that this collection does not manage and that hand TCP
            sockets to dockerd, or would without our drop-ins, by name.
        config_text: content of daemon.json, or of the file that dockerd reads instead; empty if there
            is no file.
        config_missing: whether there is no such file.
        config_path: real path of the file, which may be a symbolic link.
        former_configs: contents, by real path, of the configuration files that an earlier run has
            changed, and that dockerd no longer reads.
        served: what the engine serves, or the gate if it is to serve TLS, by address.
        occupied: the other process that holds an endpoint, by endpoint.
        containers: names of the running containers.
        ephemeral: names of those that the engine removes when they stop, such as with ``docker run
            --rm``; empty if no restart stops them.
        live_restore: whether the running engine keeps containers running when it restarts.
        swarm: whether the engine takes part in a swarm.
        stranded: names of the containers that an interrupted run stopped and did not start again.
        wormholes: names of the running containers that reach the engine by TLS.
        unadmitted: identities of wormholes that use this engine by TLS, and have no policy; empty unless
            the gate is to serve TLS.
        policed: identities whose policies limit clients with certificates; empty unless dockerd is to
            serve TLS.
        firewall: the host's firewall.
        other_bridges: the host's bridges that are none of the engine's.
        interrupted: whether an earlier run was interrupted before it ended its change.
        origin: the record of the original files.
        restarted: whether this run has restarted the engine already.
        gate_reloaded: whether this run has reloaded the gate already.
    """

    topology: Topology
    after_restart: Optional[Topology] = None
    units: Mapping[str, UnitState] = dataclasses.field(default_factory=dict)
    stock: SocketAccess = SocketAccess()
    listening: tuple[SocketAddress, ...] = ()
    lingering: tuple[SocketAddress, ...] = ()
    absent: tuple[str, ...] = ()
    unassigned: tuple[str, ...] = ()
    passive: tuple[SocketAddress, ...] = ()
    unix_sockets: tuple[str, ...] = ()
    lingering_unix_sockets: tuple[str, ...] = ()
    command: EngineCommand = EngineCommand()
    guard_program: Optional[str] = None
    guard_shipped: str = ""
    closed: str = ""
    unmanaged_sockets: Mapping[str, UnmanagedSocket] = dataclasses.field(default_factory=dict)
    config_text: str = ""
    config_missing: bool = False
    config_path: str = daemon_json.PATH
    former_configs: Mapping[str, str] = dataclasses.field(default_factory=dict)
    served: Mapping[str, Served] = dataclasses.field(default_factory=dict)
    occupied: Mapping[SocketAddress, str] = dataclasses.field(default_factory=dict)
    containers: tuple[str, ...] = ()
    ephemeral: tuple[str, ...] = ()
    live_restore: bool = False
    swarm: bool = False
    stranded: tuple[str, ...] = ()
    wormholes: tuple[str, ...] = ()
    unadmitted: tuple[Admission, ...] = ()
    policed: tuple[str, ...] = ()
    firewall: FirewallState = FirewallState()
    other_bridges: tuple[str, ...] = ()
    interrupted: bool = False
    origin: Origin = Origin()
    restarted: bool = False
    gate_reloaded: bool = False

    def unit(self, name: str) -> UnitState:
        """The state of a unit of the listener, which need not exist."""
        return self.units.get(name, UnitState())

    @property
    def config_file(self) -> str:
        """The configuration file that dockerd reads, as it is named: for messages."""
        return self.command.config_file or daemon_json.PATH

    @property
    def unmanaged_endpoints(self) -> set[SocketAddress]:
        """The TCP endpoints of all unmanaged socket units."""
        return {endpoint for socket in self.unmanaged_sockets.values() for endpoint in socket.endpoints}


class Action:
    """A step of a plan."""


@dataclass(frozen=True)
class WriteConfig(Action):
    """Write daemon.json.

    Attributes:
        text: its content; None removes the file.
        exact: whether owner, mode and date of the original file are restored as well.
        path: real path of a file that dockerd no longer reads; empty for the one that it reads.
    """

    text: Optional[str]
    exact: bool = False
    path: str = ""


@dataclass(frozen=True)
class WriteUnits(Action):
    """Write unit files, by path and text (None removes a file), and make systemd read them."""

    files: tuple[tuple[str, Optional[str]], ...] = ()


@dataclass(frozen=True)
class RemoveUnits(Action):
    """Stop units, remove their links and files, and make systemd read the rest."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class EnableUnits(Action):
    """Enable units."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class ReloadEngine(Action):
    """Make dockerd read daemon.json again (dockerd(8), "Daemon configuration file": SIGHUP)."""


@dataclass(frozen=True)
class RestartEngine(Action):
    """Restart docker.service once. systemd starts the sockets between its stop and its start.

    Attributes:
        stop: units to stop before, because they may hold other sockets than their files name.
        containers: names of the containers to start afterwards.
        removed: names of the containers that it removes because they stop.
    """

    stop: tuple[str, ...]
    containers: tuple[str, ...]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True)
class AdmitWormholes(Action):
    """Give identities a policy that allows everything."""

    admissions: tuple[Admission, ...]


@dataclass(frozen=True)
class ReloadGate(Action):
    """Make the gate read the server's certificate again, or start it. No connection ends."""


@dataclass(frozen=True)
class RestartUnits(Action):
    """Restart units that do not concern the engine."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class SetFirewall(Action):
    """Open exactly these in the host's firewall, and close all other openings of ours.

    Attributes:
        restriction: what keeps neighbours from the listener; None for nothing.
    """

    openings: tuple[Opening, ...]
    restriction: Optional[Restriction] = None


@dataclass(frozen=True)
class StartContainers(Action):
    """Start the containers that an interrupted run stopped."""

    containers: tuple[str, ...]


@dataclass(frozen=True)
class EndTransaction(Action):
    """End the transaction of an interrupted run: the host is verified, and nothing else changes."""
