# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where dockerd listens for wormholes: what is asked for, what is observed, and what can be done.

The stock unit runs ``dockerd -H fd://``, which takes every socket that systemd hands to docker.service. A unit with
``Service=docker.service`` therefore adds a listener without touching the vendor's unit, and ``FreeBind`` lets it bind
before docker0 exists, at boot. With ``tlsverify`` in daemon.json dockerd wraps what arrives by TCP in mutual TLS and
leaves unix sockets plain. Each address has a unit of its own, so that one can be added while the others go on to
listen.

Sources: systemd.socket(5); Docker documentation, "Configure remote access for Docker daemon" and "Protect the Docker
daemon socket".
"""

from __future__ import annotations

import dataclasses
import ipaddress
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core import daemon_json
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_command import EngineCommand
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.firewall import FirewallState, Opening
from ansible_collections.wormhole.docker.plugins.module_utils._core.foreign_sockets import ForeignSocket
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import Topology
from ansible_collections.wormhole.docker.plugins.module_utils._core.transaction import Origin

ENGINE_UNIT = "docker.service"
STOCK_UNIT = "docker.socket"

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
        present: False to give back the host as it was found.
        transports: ``tls``, ``unix`` or both.
        addresses: where to listen by TLS, each an address or EVERY_GATEWAY; empty for the default bridge's gateway.
        host_addresses: further addresses of the host, for clients on other hosts.
        port: TCP port.
        directory: of the server's ca.pem, cert.pem and key.pem.
        unix_directory: that the additional unix socket ``docker.sock`` is in.
        insecure_plaintext_port: TCP port without TLS; None for none.
        adopt: whether listeners that an administrator has configured may be taken over.
        live_restore: whether containers survive a restart of the engine; None to leave that as it is.
        open_firewall: whether to let containers through a firewall of the host.
        material_changed: whether an earlier task of this run has replaced the server's certificate, or will.
        interrupt_containers: whether containers may be stopped and started by a restart of the engine.
        wormholes_removed: names of wormholes that an earlier task of this run has removed, or will.
    """

    present: bool = True
    transports: tuple[str, ...] = ("tls",)
    addresses: tuple[str, ...] = ()
    host_addresses: tuple[str, ...] = ()
    port: int = 2376
    directory: str = "/etc/wormhole/server"
    unix_directory: str = "/run/wormhole"
    insecure_plaintext_port: Optional[int] = None
    adopt: bool = False
    live_restore: Optional[bool] = None
    open_firewall: bool = True
    material_changed: bool = False
    interrupt_containers: bool = True
    wormholes_removed: tuple[str, ...] = ()

    @property
    def tls(self) -> bool:
        return "tls" in self.transports

    @property
    def unix_socket(self) -> str:
        """Path of the additional unix socket; empty if none is asked for."""
        return f"{self.unix_directory}/docker.sock" if "unix" in self.transports else ""


@dataclass(frozen=True)
class UnitState:
    """A unit file of ours.

    Attributes:
        text: its content; None if there is none.
        enabled: whether the units that are to pull it in do.
        active: whether systemd holds what it names.
        stale: systemd has not read the present file yet.
        drop_ins: paths of files that change it.
    """

    text: Optional[str] = None
    enabled: bool = False
    active: bool = False
    stale: bool = False
    drop_ins: tuple[str, ...] = ()


@dataclass(frozen=True)
class SocketAccess:
    """Who may use the stock unix socket, as systemd has it (systemd.socket(5))."""

    mode: str = "0660"
    user: str = "root"
    group: str = "docker"


@dataclass(frozen=True)
class ListenerState:
    """What is observed.

    Attributes:
        topology: the host's Docker networks.
        after_restart: what they are once the engine has been restarted; None if that changes nothing.
        units: by name, the units of ours that have a file on the host.
        stock: access to the stock unix socket.
        listening: where systemd holds TCP sockets that it has handed to dockerd, as (address, port).
        lingering: where dockerd alone still listens on the port: systemd closes its socket when the unit's file no
            longer names it, does not take it back, and opens no new one before the unit is started again (measured on
            systemd 252 and 257).
        absent: the addresses of these that no interface of the host has.
        unassigned: of the addresses for other hosts, those that no interface has.
        plaintext: where systemd holds TCP sockets that dockerd has nothing to do with, as (address, port).
        unix_sockets: paths of the additional unix sockets on which systemd and dockerd listen.
        lingering_unix_sockets: paths of those on which dockerd alone does.
        command: how dockerd is started.
        foreign_sockets: by name, socket units of other people's that hand dockerd TCP sockets, or would without us.
        config_text: content of daemon.json; empty if there is none.
        config_missing: there is no such file.
        config_path: where the file really is, should a symbolic link lead there.
        served: by address, one of the SERVED constants.
        occupied: by endpoint, who else holds it.
        containers: names of the running containers.
        live_restore: whether the running engine leaves them alone when it is restarted.
        swarm: whether the engine takes part in a swarm.
        stranded: names of the containers that a run stopped, which was then interrupted before they ran again.
        wormholes: names of the running containers that reach the engine by TLS.
        firewall: what lies in the way of containers.
        interrupted: an earlier run has begun a change and not ended it.
        origin: what the files were before.
        restarted: this run has restarted the engine already.
    """

    topology: Topology
    after_restart: Optional[Topology] = None
    units: Mapping[str, UnitState] = dataclasses.field(default_factory=dict)
    stock: SocketAccess = SocketAccess()
    listening: tuple[tuple[str, int], ...] = ()
    lingering: tuple[tuple[str, int], ...] = ()
    absent: tuple[str, ...] = ()
    unassigned: tuple[str, ...] = ()
    plaintext: tuple[tuple[str, int], ...] = ()
    unix_sockets: tuple[str, ...] = ()
    lingering_unix_sockets: tuple[str, ...] = ()
    command: EngineCommand = EngineCommand()
    foreign_sockets: Mapping[str, ForeignSocket] = dataclasses.field(default_factory=dict)
    config_text: str = ""
    config_missing: bool = False
    config_path: str = daemon_json.PATH
    served: Mapping[str, str] = dataclasses.field(default_factory=dict)
    occupied: Mapping[tuple[str, int], str] = dataclasses.field(default_factory=dict)
    containers: tuple[str, ...] = ()
    live_restore: bool = False
    swarm: bool = False
    stranded: tuple[str, ...] = ()
    wormholes: tuple[str, ...] = ()
    firewall: FirewallState = FirewallState()
    interrupted: bool = False
    origin: Origin = Origin()
    restarted: bool = False

    def unit(self, name: str) -> UnitState:
        """A unit of ours; one without a text if it has no file."""
        return self.units.get(name, UnitState())

    @property
    def foreign_endpoints(self) -> set[tuple[str, int]]:
        """Where dockerd listens for somebody else, or would without us."""
        return {endpoint for socket in self.foreign_sockets.values() for endpoint in socket.endpoints}


@dataclass(frozen=True)
class WriteConfig:
    """Put this text into daemon.json; None removes the file.

    Attributes:
        exact: owner, mode and date of the file are those that it had before we came, too.
    """

    text: Optional[str]
    exact: bool = False


@dataclass(frozen=True)
class WriteUnits:
    """Put texts into unit files (None removes one), by path, and let systemd read them."""

    files: tuple[tuple[str, Optional[str]], ...] = ()


@dataclass(frozen=True)
class RemoveUnits:
    """Stop these units, take away their links and files, and let systemd know."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class EnableUnits:
    """Link these units into those that pull them in."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class ReloadEngine:
    """Let dockerd read what it reads without a restart (dockerd(8), "Daemon configuration file": SIGHUP)."""


@dataclass(frozen=True)
class RestartEngine:
    """Restart docker.service once; systemd starts our sockets between its stop and its start.

    Attributes:
        stop: units to stop first, because they hold something else than their files say.
        containers: names of the containers that this stops and that must run again afterwards.
    """

    stop: tuple[str, ...]
    containers: tuple[str, ...]


@dataclass(frozen=True)
class RestartUnits:
    """Restart units of ours that the engine has nothing to do with."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class SetFirewall:
    """Let containers through to these, and to nothing else of ours."""

    openings: tuple[Opening, ...]


@dataclass(frozen=True)
class StartContainers:
    """Start the containers that an interrupted run has left stopped."""

    containers: tuple[str, ...]


@dataclass(frozen=True)
class EndTransaction:
    """Nothing but to prove what is there and to end what an interrupted run has begun."""


Action = Union[
    WriteConfig,
    WriteUnits,
    RemoveUnits,
    EnableUnits,
    ReloadEngine,
    RestartEngine,
    RestartUnits,
    SetFirewall,
    StartContainers,
    EndTransaction,
]


def parse_spec(
    *,
    state: str = "present",
    transports: Sequence[str] = ("tls",),
    addresses: Optional[Sequence[str]] = None,
    host_addresses: Optional[Sequence[str]] = None,
    port: int = 2376,
    directory: str = "/etc/wormhole/server",
    unix_directory: str = "/run/wormhole",
    insecure_plaintext_port: Optional[int] = None,
    existing_listeners: str = "refuse",
    live_restore: Optional[bool] = None,
    firewall: str = "open",
    material_changed: bool = False,
    running_containers: str = "interrupt",
    wormholes_removed: Sequence[str] = (),
) -> ListenerSpec:
    """Checks a task's options.

    Raises:
        InvalidInput: an option is malformed, or two contradict each other.
    """
    if not transports:
        raise InvalidInput("option transports", expected="tls, unix or both", found="an empty list")
    gateways = [
        text if text == EVERY_GATEWAY else _parse_address("addresses", text) for text in addresses or ()
    ]
    others = [_parse_address("host_addresses", text) for text in host_addresses or ()]
    if others and "tls" not in transports:
        raise InvalidInput(
            "option host_addresses",
            expected="transport tls, because others than this host's containers are to reach them",
            found="transports " + ", ".join(transports),
        )
    for text in others:
        if ipaddress.ip_address(text).is_loopback:
            raise InvalidInput(
                "option host_addresses", expected="addresses that other hosts can reach", found=repr(text)
            )
    ports = {"port": port}
    if insecure_plaintext_port is not None:
        ports["insecure_plaintext_port"] = insecure_plaintext_port
    for option, number in ports.items():
        if not 1 <= number <= 65535:
            raise InvalidInput(f"option {option}", expected="a TCP port, 1 to 65535", found=str(number))
    if insecure_plaintext_port == port:
        raise InvalidInput(
            "option insecure_plaintext_port", expected="another port than that of TLS", found=str(port)
        )
    for option, path in (("directory", directory), ("unix_directory", unix_directory)):
        if not path.startswith("/"):
            raise InvalidInput(f"option {option}", expected="an absolute path", found=repr(path))
    if not unix_directory.rstrip("/") or unix_directory.rstrip("/") in ("/run", "/var/run"):
        raise InvalidInput(
            "option unix_directory",
            expected="a directory of its own, because a container gets the whole of it",
            found=repr(unix_directory),
        )
    return ListenerSpec(
        present=state == "present",
        transports=tuple(dict.fromkeys(transports)),
        addresses=tuple(dict.fromkeys(gateways)),
        host_addresses=tuple(dict.fromkeys(others)),
        port=port,
        directory=directory.rstrip("/"),
        unix_directory=unix_directory.rstrip("/"),
        insecure_plaintext_port=insecure_plaintext_port,
        adopt=existing_listeners == "adopt",
        live_restore=live_restore,
        open_firewall=firewall == "open",
        material_changed=material_changed,
        interrupt_containers=running_containers == "interrupt",
        wormholes_removed=tuple(wormholes_removed),
    )


def wanted_keys(spec: ListenerSpec) -> dict[str, Any]:
    """The keys that dockerd needs to demand client certificates on TCP (dockerd(8), daemon.json)."""
    return {
        "tlsverify": True,
        "tlscacert": f"{spec.directory}/ca.pem",
        "tlscert": f"{spec.directory}/cert.pem",
        "tlskey": f"{spec.directory}/key.pem",
    }


def render_endpoint(address: str, port: int) -> str:
    """An address and a port as systemd and URLs write them: ``172.17.0.1:2376``, ``[fd00::1]:2376``."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _parse_address(option: str, text: str) -> str:
    word = f", or the word {EVERY_GATEWAY}" if option == "addresses" else ""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidInput(
            f"option {option}",
            expected=f"IP addresses, without a port or a prefix length{word}",
            found=repr(text),
        ) from error
    # IPv4 of the link is as good as any: a docker0 may have it. IPv6 takes a zone, and an IPv4 address in the dress of IPv6 is dialled,
    # and named by certificates, as what it is.
    six = address if isinstance(address, ipaddress.IPv6Address) else None
    undialled = six is not None and (six.is_link_local or six.ipv4_mapped is not None)
    if address.is_unspecified or address.is_multicast or undialled:
        expected = "gateways of bridge networks, or loopback" if word else "single addresses of this host"
        raise InvalidInput(f"option {option}", expected=expected, found=repr(text))
    return str(address)
