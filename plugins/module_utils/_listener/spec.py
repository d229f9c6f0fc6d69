# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The desired listener: the options of dockerd_listener, and how they are parsed."""

from __future__ import annotations

import dataclasses
import ipaddress
from dataclasses import dataclass
from typing import Any, Literal, Mapping, Optional

from .._base.errors import InvalidInput

ENGINE_UNIT = "docker.service"
STOCK_UNIT = "docker.socket"

LIVE_RESTORE = "live-restore"
"""Key of daemon.json."""

EVERY_GATEWAY = "gateways"
"""An address that stands for the gateway of every bridge network with a route to the host."""

State = Literal["present", "absent", "planned", "recovered"]
Transport = Literal["tls", "unix"]
ServedBy = Literal["dockerd", "gate"]
ExistingListeners = Literal["refuse", "adopt"]
Firewall = Literal["open", "ignore"]
Neighbours = Literal["drop", "accept"]
RunningContainers = Literal["interrupt", "refuse"]


@dataclass(frozen=True)
class ListenerSpec:
    """The desired listener: the options of dockerd_listener, and the only place of their defaults.

    Attributes:
        state: whether the listener exists, is only planned, or only an interrupted change is undone.
        transports: how clients reach the engine.
        served_by: which program serves TLS: the engine itself, or the gate, by the policy of each client.
        addresses: where to listen by TLS, each an address or EVERY_GATEWAY; empty for the default
            bridge's gateway.
        host_addresses: further addresses of the host, for clients on other hosts.
        port: TCP port.
        directory: directory of the server's ca.pem, cert.pem and key.pem.
        unix_directory: directory of the additional unix socket ``docker.sock``.
        insecure_plaintext_port: TCP port without TLS; None for none.
        existing_listeners: whether listeners that an administrator configured are adopted.
        live_restore: whether containers survive a restart of the engine; None keeps the present
            setting.
        firewall: whether a firewall of the host is opened for containers.
        neighbours: whether packets to gateways are dropped that come neither from the host nor from
            a bridge of the engine; None for drop unless the firewall is ignored.
        material_changed: whether an earlier task of this run has replaced the server's certificate,
            or will.
        running_containers: whether a restart of the engine may stop running containers.
        wormholes_removed: names of wormholes that an earlier task of this run has removed, or will.
    """

    state: State = "present"
    transports: tuple[Transport, ...] = ("tls",)
    served_by: ServedBy = "dockerd"
    addresses: tuple[str, ...] = ()
    host_addresses: tuple[str, ...] = ()
    port: int = 2376
    directory: str = "/etc/wormhole/server"
    unix_directory: str = "/run/wormhole"
    insecure_plaintext_port: Optional[int] = None
    existing_listeners: ExistingListeners = "refuse"
    live_restore: Optional[bool] = None
    firewall: Firewall = "open"
    neighbours: Optional[Neighbours] = None
    material_changed: bool = False
    running_containers: RunningContainers = "interrupt"
    wormholes_removed: tuple[str, ...] = ()

    @property
    def present(self) -> bool:
        """Whether the listener is to exist, now or after the run that this plan is for."""
        return self.state in ("present", "planned")

    @property
    def tls(self) -> bool:
        """Whether clients reach the engine by TLS, whichever program serves it."""
        return "tls" in self.transports

    @property
    def engine_tls(self) -> bool:
        """Whether dockerd serves TLS itself."""
        return self.tls and self.served_by == "dockerd"

    @property
    def gate_tls(self) -> bool:
        """Whether the gate serves TLS; dockerd then listens on no TCP socket of the listener."""
        return self.tls and self.served_by == "gate"

    @property
    def drops_neighbours(self) -> bool:
        """Whether packets to gateways are dropped that come neither from the host nor from a bridge."""
        return self.neighbours == "drop" or (self.neighbours is None and self.firewall == "open")

    @property
    def unix_socket(self) -> str:
        """Path of the additional unix socket; empty without transport unix."""
        return f"{self.unix_directory}/docker.sock" if "unix" in self.transports else ""


def parse_spec(options: Mapping[str, Any]) -> ListenerSpec:
    """Parses the options of a task, by name. None stands for the default; others are ignored.

    Raises:
        InvalidInput: an option is malformed, or two contradict each other.
    """
    names = [field.name for field in dataclasses.fields(ListenerSpec)]
    given = {name: options[name] for name in names if options.get(name) is not None}
    for name, value in given.items():
        if name in ("addresses", "host_addresses"):
            value = [_parse_address(name, text) for text in value]
        elif name in ("directory", "unix_directory"):
            given[name] = _parse_directory(name, value)
        if isinstance(value, (list, tuple)):
            given[name] = tuple(dict.fromkeys(value))
    spec = ListenerSpec(**given)
    if not spec.transports:
        raise _invalid("transports", "is an empty list", "List tls, unix or both")
    if spec.host_addresses and not spec.tls:
        remedy = "Add tls to transports, or remove host_addresses"
        raise _invalid("host_addresses", "requires transport tls, which transports does not list", remedy)
    for text in spec.host_addresses:
        if ipaddress.ip_address(text).is_loopback:
            problem = f"lists {text!r}, which other hosts cannot reach"
            raise _invalid("host_addresses", problem, "List it in addresses instead")
    for option in ("port", "insecure_plaintext_port"):
        number = getattr(spec, option)
        if number is not None and not 1 <= number <= 65535:
            problem = f"is {number}, which is not a TCP port"
            raise _invalid(option, problem, "Set it to a number from 1 to 65535")
    _check_gate(spec)
    if spec.insecure_plaintext_port == spec.port:
        problem = f"is {spec.port}, which is the port of TLS"
        raise _invalid("insecure_plaintext_port", problem, "Set it to another port")
    return spec


def tls_keys(spec: ListenerSpec) -> dict[str, Any]:
    """The keys of daemon.json by which dockerd requires client certificates on TCP (dockerd(8))."""
    return {
        "tlsverify": True,
        "tlscacert": f"{spec.directory}/ca.pem",
        "tlscert": f"{spec.directory}/cert.pem",
        "tlskey": f"{spec.directory}/key.pem",
    }


def _check_gate(spec: ListenerSpec) -> None:
    if spec.served_by != "gate":
        return
    if not spec.tls:
        remedy = "Add tls to transports, or remove served_by"
        raise _invalid(
            "served_by", "is gate, which requires transport tls, which transports does not list", remedy
        )
    if spec.insecure_plaintext_port is not None:
        problem = "is set, but served_by is gate: clients would go around their policies"
        raise _invalid("insecure_plaintext_port", problem, "Remove the option, or set served_by to dockerd")


def _parse_directory(option: str, path: str) -> str:
    if not path.startswith("/"):
        raise _invalid(option, f"is {path!r}, which is not an absolute path", "Start it with /")
    directory = path.rstrip("/")
    if option == "unix_directory" and directory in ("", "/run", "/var/run"):
        remedy = "Set it to a directory of its own, such as /run/wormhole"
        raise _invalid(option, f"is {path!r}, but containers mount the whole directory", remedy)
    return directory


def _parse_address(option: str, text: str) -> str:
    if option == "addresses" and text == EVERY_GATEWAY:
        return text
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        word = f", or the word {EVERY_GATEWAY}" if option == "addresses" else ""
        remedy = f"List IP addresses without a port or a prefix length{word}"
        raise _invalid(option, f"lists {text!r}, which is not an IP address", remedy) from error
    # Link-local IPv4 is accepted, because docker0 can have such an address. Link-local IPv6 would
    # need a zone. Clients connect to an IPv4-mapped IPv6 address by IPv4, and certificates name it
    # so.
    six = address if isinstance(address, ipaddress.IPv6Address) else None
    unsuitable = six is not None and (six.is_link_local or six.ipv4_mapped is not None)
    if address.is_unspecified or address.is_multicast or unsuitable:
        problem = f"lists {text!r}, an unspecified, multicast, link-local or IPv4-mapped address"
        if option == "host_addresses":
            raise _invalid(option, problem, "List single addresses of this host")
        raise _invalid(option, problem, "List gateways of bridge networks, or loopback")
    return str(address)


def _invalid(option: str, problem: str, remedy: str) -> InvalidInput:
    return InvalidInput(f"option {option}", problem=f"{option} {problem}", remedy=remedy)
