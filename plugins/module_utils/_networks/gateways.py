# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a container reaches its engine: the gateways of Docker networks, and why some have none.

A container on a bridge network reaches every local address of the host through its default route.
One listener on docker0's address therefore serves all bridges with a route (measured on Docker
20.10 to 28.5). A network without a route to the host is reported with the reason and with the
transport to use instead.

Sources: Docker documentation, "Bridge network driver", "Host network driver", "Macvlan", "IPvlan";
the Engine API's ``NetworkInspect``.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional, Sequence, Union

from .._base.errors import WormholeError

DEFAULT_BRIDGE = "bridge"
SWARM_BRIDGE = "docker_gwbridge"
"""The bridge to which an engine in Swarm mode attaches containers that have no other way out
(Docker documentation, "Overlay network driver")."""

DEFAULT_GATEWAY = "DefaultGatewayIPv"
"""The name, with the family appended, of the auxiliary address that is the next hop of a network's
containers; by default, that is the bridge's address (moby, ``bridge_linux.go``)."""

_ISOLATED_MODE = "isolated"
_OPTION = "com.docker.network.bridge."
_HOST_BINDING = _OPTION + "host_binding_ipv4"


@dataclass(frozen=True)
class Gateway:
    """An address of the host on a bridge network.

    Attributes:
        address: canonical IPv4 or IPv6 text, such as ``172.17.0.1``.
        family: 4 or 6.
        network: the Docker network's name.
        interface: the bridge interface on the host, such as ``docker0``.
        subnet: the network's subnet in CIDR notation.
    """

    address: str
    family: int
    network: str
    interface: str
    subnet: str

    @property
    def origin(self) -> str:
        """The address in words: ``gateway of network ci``."""
        return f"gateway of network {self.network}"


@dataclass(frozen=True)
class Unreachable:
    """A network whose containers have no route to the host.

    Attributes:
        network: its name.
        driver: its driver.
        reason: why there is no route.
        instead: the address or transport to use.
        through: another network, to which the engine attaches its containers and through which they
            reach the host; empty if there is none.
    """

    network: str
    driver: str
    reason: str
    instead: str
    through: str = ""


@dataclass(frozen=True)
class Topology:
    """All Docker networks of a host, with and without a gateway.

    Attributes:
        gateways: the default bridge's first, then by network name; IPv4 before IPv6.
        unreachable: the networks without a route to the host, by name.
        host_bindings: by network name, the host address at which a bridge publishes ports.
        elsewhere: by network name, the address families whose default route does not lead to the
            host.
        ids: by network name, the IDs of all networks of that name.
    """

    gateways: tuple[Gateway, ...]
    unreachable: tuple[Unreachable, ...]
    host_bindings: Mapping[str, str] = field(default_factory=dict, hash=False)
    elsewhere: Mapping[str, frozenset[int]] = field(default_factory=dict, hash=False)
    ids: Mapping[str, frozenset[str]] = field(default_factory=dict, hash=False)

    @property
    def default(self) -> Optional[Gateway]:
        """The default bridge's IPv4 gateway; None if the engine has no default bridge."""
        return next((g for g in self.gateways if g.network == DEFAULT_BRIDGE and g.family == 4), None)

    def find(self, address: str) -> Optional[Gateway]:
        """The gateway with this address; None if there is none."""
        return next((gateway for gateway in self.gateways if gateway.address == address), None)


@dataclass(frozen=True)
class NamedAddress:
    """A subject alternative name that a server certificate should have, and why.

    Attributes:
        name: in the form ``IP:172.17.0.1`` or ``DNS:localhost``.
        origin: what the name refers to, for messages.
        urgent: False if the server need not be restarted for it, because its clients can use
            another address that is served and named. This holds for gateways of networks other than
            the default bridge, and of networks to come.
    """

    name: str
    origin: str
    urgent: bool = True


def parse_networks(
    networks: Iterable[Mapping[str, Any]], interfaces: Optional[Mapping[str, Iterable[str]]] = None
) -> Topology:
    """Sorts the engine's networks into those with a gateway and those without.

    Args:
        networks: as the Engine API lists them (``GET /networks``).
        interfaces: addresses without prefix length by interface name; used if IPAM names no
            gateway.

    Raises:
        WormholeError: the engine's answer has a malformed address or subnet.
    """
    gateways: list[Gateway] = []
    unreachable: list[Unreachable] = []
    elsewhere: dict[str, frozenset[int]] = {}
    ids: dict[str, frozenset[str]] = {}
    networks = tuple(networks)
    for network in networks:
        name = str(network.get("Name", ""))
        ids[name] = ids.get(name, frozenset()) | {str(network.get("Id", ""))}
        obstacle = _obstacle(network)
        own = () if obstacle else tuple(_gateways_of(network, interfaces or {}))
        away = _families_elsewhere(network, own)
        if away:
            elsewhere[name] = away
        if obstacle is None and not own:
            obstacle = Unreachable(name, "bridge", "it has no gateway", "transport unix")
        if obstacle is not None:
            unreachable.append(obstacle)
        gateways.extend(own)
    gateways.sort(
        key=lambda g: (g.network != DEFAULT_BRIDGE, g.network, g.family, int(ipaddress.ip_address(g.address)))
    )
    unreachable.sort(key=lambda u: u.network)
    return Topology(tuple(gateways), tuple(unreachable), _host_bindings(networks), elsewhere, ids)


def _host_bindings(networks: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    bridges = (network for network in networks if network.get("Driver") == "bridge")
    found = {str(bridge["Name"]): (bridge.get("Options") or {}).get(_HOST_BINDING) for bridge in bridges}
    return {name: str(address) for name, address in found.items() if address}


def server_names(topology: Topology, promised: Iterable[NamedAddress] = ()) -> tuple[NamedAddress, ...]:
    """Every name by which a container may address its engine, for the server certificate.

    The addresses of networks to come are from :func:`_engine.network_config.promised_names`.
    """
    names = [
        NamedAddress(
            f"IP:{gateway.address}",
            gateway.origin,
            urgent=topology.default is None or gateway.network == DEFAULT_BRIDGE,
        )
        for gateway in topology.gateways
    ]
    names += [
        NamedAddress("DNS:host.docker.internal", "the host's name inside containers"),
        NamedAddress("DNS:localhost", "loopback"),
        NamedAddress("IP:127.0.0.1", "loopback"),
        NamedAddress("IP:::1", "loopback"),
        *promised,
    ]
    first: dict[str, NamedAddress] = {}
    for entry in names:
        first.setdefault(entry.name, entry)
    return tuple(first.values())


def remedy_for_missing(network: str, topology: Topology) -> str:
    """What to do if no network has this name."""
    if network == DEFAULT_BRIDGE:
        return "This engine has no default bridge: name another network in networks, or use network_mode"
    found = (name for name, ids in topology.ids.items() if any(one.startswith(network) for one in ids))
    named = next(found, "")
    return f"It is the ID of network {named}: use that name" if named else "Create the network first"


def subnets_of(network: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """The ``IPAM.Config`` of a network: an entry for each subnet."""
    found: Sequence[Mapping[str, Any]] = (network.get("IPAM") or {}).get("Config") or ()
    return found


def parse_subnet(text: str) -> Union[ipaddress.IPv4Network, ipaddress.IPv6Network]:
    """A subnet of a Docker network; may have host bits, such as ``10.1.5.0/16`` (Docker 20.10).

    Raises:
        ValueError: it is malformed.
    """
    return ipaddress.ip_network(text, strict=False)


def bridge_interface(network: Mapping[str, Any]) -> str:
    """The host's interface of a bridge network (moby: ``br-`` and 12 digits of its ID)."""
    options = network.get("Options") or {}
    return str(options.get(_OPTION + "name") or "br-" + str(network.get("Id", ""))[:12])


def _obstacle(network: Mapping[str, Any]) -> Optional[Unreachable]:
    """Why containers on a network have no route to the host; None if they have one."""
    name, driver = str(network.get("Name", "")), str(network.get("Driver", ""))
    if not driver and network.get("Scope") == "swarm":
        # Docker 20.10 lists an unused overlay network without a driver.
        driver = "overlay"
    if network.get("ConfigOnly"):
        reason = "config-only: it is a template for other networks, and no container can join it"
        return Unreachable(name, driver, reason, "a network that was created from it (--config-from)")
    if network.get("Internal"):
        reason = f"{driver} gives its containers no route to the host"
        if driver == "bridge":
            reason = "newer engines give its containers no default route"
        return Unreachable(name, driver, f"internal network: {reason}", "transport unix")
    if driver == "bridge":
        without = [_without_address(network, family) for family in (4, 6)]
        return Unreachable(name, driver, without[0], "transport unix") if all(without) else None
    known = {
        "host": ("no gateway: its containers share the host's own addresses", "127.0.0.1, or transport unix"),
        "null": ("no network at all", "transport unix"),
        "macvlan": ("macvlan: the kernel keeps the host unreachable from its containers", "transport unix"),
        "ipvlan": ("ipvlan: the kernel keeps the host unreachable from its containers", "transport unix"),
        "overlay": (
            f"overlay: its containers reach the host through network {SWARM_BRIDGE}",
            f"the gateway of {SWARM_BRIDGE}",
        ),
    }
    reason, instead = known.get(driver, (f"driver {driver} is not known to have a gateway", "transport unix"))
    return Unreachable(name, driver, reason, instead, through=SWARM_BRIDGE if driver == "overlay" else "")


def _without_address(network: Mapping[str, Any], family: int) -> str:
    """Why the bridge has no address of this family; empty if it has one."""
    options = network.get("Options") or {}
    if not _is_enabled(network, family):
        return f"IPv{family} is not enabled"
    if options.get(f"{_OPTION}gateway_mode_ipv{family}") == _ISOLATED_MODE:
        return "gateway mode isolated: the bridge has no address"
    if family == 4 and _is_inhibited(options):
        return "inhibit_ipv4: the bridge has no address"
    return ""


def _is_enabled(network: Mapping[str, Any], family: int) -> bool:
    # Engines before Docker 28 have no EnableIPv4; IPv4 is always enabled.
    return bool(network.get("EnableIPv6") if family == 6 else network.get("EnableIPv4", True))


def _is_inhibited(options: Mapping[str, Any]) -> bool:
    # The engine reads this with Go's strconv.ParseBool.
    return str(options.get(_OPTION + "inhibit_ipv4", "")).lower() in ("1", "t", "true")


def _families_elsewhere(network: Mapping[str, Any], gateways: Iterable[Gateway]) -> frozenset[int]:
    """The address families whose default route on a network does not lead to the host."""
    driver = network.get("Driver") or "overlay"
    if network.get("Internal") or driver in ("host", "null", "overlay"):
        return frozenset()
    enabled = frozenset(family for family in (4, 6) if _is_enabled(network, family))
    if driver != "bridge":
        return enabled
    own = {gateway.address for gateway in gateways}
    routers: dict[str, str] = {}
    for config in subnets_of(network):
        routers.update(config.get("AuxiliaryAddresses") or {})
    inhibited = {4} if _is_inhibited(network.get("Options") or {}) else set()
    return enabled & inhibited | {
        family for family in enabled if routers.get(f"{DEFAULT_GATEWAY}{family}", "") not in {"", *own}
    }


def _gateways_of(network: Mapping[str, Any], interfaces: Mapping[str, Iterable[str]]) -> Iterable[Gateway]:
    name = str(network.get("Name", ""))
    interface = bridge_interface(network)
    for config in subnets_of(network):
        if not config.get("Subnet"):
            continue
        subnet = _parse(parse_subnet, config["Subnet"], f"network {name}", "a subnet")
        # An IPv6 link-local address needs a zone, which differs in every container; IPv4 has no
        # zones.
        link_local = subnet.version == 6 and subnet.is_link_local
        if link_local or _without_address(network, subnet.version):
            continue
        address = _gateway_address(config, subnet, interfaces.get(interface, ()), name)
        yield Gateway(address, subnet.version, name, interface, str(subnet))


def _gateway_address(config: Mapping[str, Any], subnet: Any, on_interface: Iterable[str], name: str) -> str:
    if config.get("Gateway"):
        # Old engines report an IPv6 gateway with its prefix length.
        text = str(config["Gateway"]).split("/", maxsplit=1)[0]
        return str(_parse(ipaddress.ip_address, text, f"network {name}", "a gateway address"))
    for candidate in on_interface:
        address = _parse(ipaddress.ip_address, candidate, f"network {name}", "an interface address")
        if address in subnet:
            return str(address)
    return str(subnet.network_address + 1)


def _parse(parser: Any, text: str, subject: str, expected: str) -> Any:
    try:
        return parser(text)
    except ValueError as error:
        raise WormholeError(subject, expected=expected, found=repr(text)) from error
