# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The networks of a container, which can be connected and disconnected while it runs.

Source: Docker Engine API reference, "Create a container" (``NetworkingConfig``), "Connect a
container to a network".
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any, Collection, Iterable, Mapping, Optional

from .._base.errors import InvalidInput
from .._networks.gateways import DEFAULT_BRIDGE
from .inspection import config_of, host_config_of, networks_of, state_of, status_of
from .names import parse_plain_name, reject_nul
from .network import parse_link
from .option import Deviation
from .values import canonical_address, is_address, parse_mac_address, parse_mapping

_PREDEFINED = (DEFAULT_BRIDGE, "default", "host", "none")

ADDRESSES_UNKNOWN = "AddressesUnknown"
"""Key in a simulated ``State``: the real container would report its MAC addresses."""


@dataclass(frozen=True)
class Attachment:
    """A network to connect a container to.

    Attributes:
        network: its name.
        aliases: additional names of the container on it.
        ipv4_address, ipv6_address: fixed addresses; empty if the engine assigns them.
        links: other containers by alias, as ``container:alias``.
        mac_address: a fixed MAC address; empty if the engine assigns one.
        driver_opts: options for the network's driver.
        gw_priority: priority for the default route, highest first; None lets the engine choose.
    """

    network: str
    aliases: tuple[str, ...] = ()
    ipv4_address: str = ""
    ipv6_address: str = ""
    links: tuple[str, ...] = ()
    mac_address: str = ""
    driver_opts: Mapping[str, str] = field(default_factory=dict)
    gw_priority: Optional[int] = None

    def render(self) -> dict[str, Any]:
        """Return the API's EndpointSettings."""
        addresses = {"IPv4Address": self.ipv4_address, "IPv6Address": self.ipv6_address}
        settings = {
            "Aliases": list(self.aliases),
            "IPAMConfig": {key: value for key, value in addresses.items() if value},
            "Links": list(self.links),
            "MacAddress": self.mac_address,
            "DriverOpts": dict(self.driver_opts),
            "GwPriority": self.gw_priority,
        }
        return {key: value for key, value in settings.items() if value not in (None, "", [], {})}

    def needs(self) -> dict[str, tuple[int, int]]:
        """Return the parts that only newer APIs have, with the version that introduced each."""
        return {
            **({f"networks {self.network} mac_address": (1, 44)} if self.mac_address else {}),
            **({} if self.gw_priority is None else {f"networks {self.network} gw_priority": (1, 48)}),
        }


@dataclass(frozen=True)
class AttachmentDeviation:
    """A network that is missing or connected differently.

    Attributes:
        attachment: the desired connection.
        attached: whether the container is on that network at all.
        deviation: the difference.
    """

    attachment: Attachment
    attached: bool
    deviation: Deviation


ARGUMENTS: Mapping[str, Any] = {
    "networks": {
        "type": "list",
        "elements": "dict",
        "options": {
            "name": {"type": "str", "required": True},
            "aliases": {"type": "list", "elements": "str"},
            "ipv4_address": {"type": "str"},
            "ipv6_address": {"type": "str"},
            "links": {"type": "list", "elements": "str"},
            "mac_address": {"type": "str"},
            "driver_opts": {"type": "dict"},
            "gw_priority": {"type": "int"},
        },
    }
}


def split_network_mode(
    items: Optional[Iterable[Mapping[str, Any]]], network_mode: Optional[str]
) -> tuple[Optional[list[Mapping[str, Any]]], Optional[str]]:
    """Return networks and network mode, with ``host`` or ``none`` as a mode.

    Like ``docker run --network``, docker_container also accepts them as the only network.
    """
    networks = None if items is None else list(items)
    names = [item["name"] for item in networks or ()]
    if names in (["host"], ["none"]) and network_mode in (None, "", *names):
        return None, names[0]
    return networks, network_mode


def parse_attachments(
    items: Optional[Iterable[Mapping[str, Any]]], network_mode: str
) -> tuple[Attachment, ...]:
    """Parse the option networks.

    Raises:
        InvalidInput: an address is malformed, a network is named twice, or the network mode does
            not allow networks.
    """
    attachments = tuple(_parse(item) for item in items or ())
    names = [attachment.network for attachment in attachments]
    for name in names:
        if names.count(name) > 1:
            problem = f"networks names {name} {names.count(name)} times"
            raise InvalidInput(f"networks {name}", problem=problem, remedy="Name it once")
        if name in ("host", "none"):
            problem = f"networks names {name}, which a container cannot be connected to"
            raise InvalidInput(f"networks {name}", problem=problem, remedy=f"Set network_mode: {name}")
    if names and (network_mode in ("host", "none") or network_mode.startswith("container:")):
        problem = f"network_mode {network_mode} contradicts networks ({', '.join(names)})"
        raise InvalidInput(f"network_mode {network_mode}", problem=problem, remedy="Leave one of them out")
    return attachments


def endpoint_settings(container: Mapping[str, Any], network: str) -> Optional[dict[str, Any]]:
    """Return the EndpointSettings that would connect a container as it is connected now.

    Values that the engine has chosen are left out. None if the container is not on that network.
    """
    found = networks_of(container).get(network)
    if found is None:
        return None
    settings = {
        key: found[key] for key in ("IPAMConfig", "Links", "DriverOpts", "GwPriority") if found.get(key)
    }
    # Up to API 1.44 the engine adds the container's short ID.
    aliases = [alias for alias in found.get("Aliases") or () if alias != container["Id"][:12]]
    if aliases:
        settings["Aliases"] = aliases
    mac_address = (found.get("MacAddress") or "").lower()
    if mac_address and mac_address != _derived_mac_address(found.get("IPAddress") or ""):
        settings["MacAddress"] = mac_address
    return settings


def _derived_mac_address(address: str) -> str:
    """Return the MAC address that engines up to release 27 derive from an IPv4 address.

    It must not be requested: it would clash once another container has the IPv4 address.
    """
    try:
        return "02:42:" + ipaddress.IPv4Address(address).packed.hex(":")
    except ValueError:
        return ""


def find_attachment_deviations(
    attachments: Iterable[Attachment], container: Mapping[str, Any]
) -> tuple[AttachmentDeviation, ...]:
    """Return the networks that are missing or connected differently; ignore additional networks."""
    found = networks_of(container)
    deviations = []
    for attachment in attachments:
        name = attachment.network
        difference: Optional[Deviation] = Deviation("networks", name, "attached", None)
        if name in found:
            difference = _compare(attachment, _with_known_address(attachment, found[name], container))
        if difference is not None:
            deviations.append(AttachmentDeviation(attachment, name in found, difference))
    return tuple(deviations)


def find_outlived_networks(
    attachments: Iterable[Attachment], container: Mapping[str, Any], ids: Mapping[str, Collection[str]]
) -> tuple[AttachmentDeviation, ...]:
    """Return the networks that were recreated since, so that the container cannot be started.

    A container refers to a network by ID, not by name (moby, ``getNetworkID``; measured with Docker
    20.10). It refers to the engine's predefined networks by name.

    Args:
        attachments: the desired connections; other networks are connected as before.
        ids: of the engine's networks, by name.
    """
    found = networks_of(container)
    desired = {attachment.network: attachment for attachment in attachments}
    return tuple(
        AttachmentDeviation(
            desired.get(name) or _kept(name, container),
            True,
            Deviation("networks", name, "attached", "attached to a removed network of that name"),
        )
        for name, endpoint in found.items()
        if name not in _PREDEFINED
        and endpoint.get("NetworkID")
        and endpoint["NetworkID"] not in ids.get(name, (endpoint["NetworkID"],))
    )


def _kept(network: str, container: Mapping[str, Any]) -> Attachment:
    """Return the present connection, without the MAC address, which the engine would reject."""
    settings = endpoint_settings(container, network) or {}
    ipam = settings.get("IPAMConfig") or {}
    return Attachment(
        network,
        aliases=tuple(settings.get("Aliases") or ()),
        ipv4_address=ipam.get("IPv4Address") or "",
        ipv6_address=ipam.get("IPv6Address") or "",
        links=tuple(settings.get("Links") or ()),
        driver_opts=settings.get("DriverOpts") or {},
        gw_priority=settings.get("GwPriority"),
    )


def hides_mac_addresses(container: Mapping[str, Any]) -> bool:
    """Report whether the engine hides the MAC addresses, as Docker 26.1 does after the exit."""
    return status_of(container) == "exited" or bool(state_of(container).get(ADDRESSES_UNKNOWN))


def _with_known_address(
    attachment: Attachment, endpoint: Mapping[str, Any], container: Mapping[str, Any]
) -> Mapping[str, Any]:
    if endpoint.get("MacAddress") or not hides_mac_addresses(container):
        return endpoint
    mode = host_config_of(container).get("NetworkMode")
    # Up to API 1.51, the address on the first network is in Config.
    own = config_of(container).get("MacAddress") if mode == attachment.network else ""
    return {**endpoint, "MacAddress": own or attachment.mac_address}


def find_surplus_networks(
    attachments: Iterable[Attachment], network_mode: str, container: Mapping[str, Any]
) -> tuple[str, ...]:
    """Return the names of additional networks of the container, sorted."""
    desired = {attachment.network for attachment in attachments} | {network_mode}
    found = networks_of(container)
    return tuple(sorted(name for name in found if name not in desired))


def _compare(attachment: Attachment, endpoint: Mapping[str, Any]) -> Optional[Deviation]:
    # Up to API 1.44 the engine lists the container's short ID among the aliases.
    name = attachment.network
    for kind, desired, present in (
        ("alias", attachment.aliases, endpoint.get("Aliases") or ()),
        ("link", attachment.links, endpoint.get("Links") or ()),
    ):
        missing = [item for item in desired if item not in present]
        if missing:
            return Deviation("networks", name, f"{kind} {missing[0]}", None)
    ipam, driver_opts = endpoint.get("IPAMConfig") or {}, endpoint.get("DriverOpts") or {}
    for desired_value, found in (
        (attachment.ipv4_address, canonical_address(ipam.get("IPv4Address") or "")),
        (attachment.ipv6_address, canonical_address(ipam.get("IPv6Address") or "")),
        (attachment.mac_address, (endpoint.get("MacAddress") or "").lower()),
    ):
        if desired_value and desired_value != found:
            return Deviation("networks", name, desired_value, found or None)
    for key, option in sorted(attachment.driver_opts.items()):
        if option != driver_opts.get(key):
            return Deviation("networks", name, f"{key}={option}", driver_opts.get(key))
    priority = attachment.gw_priority
    if priority is not None and priority != (endpoint.get("GwPriority") or 0):
        return Deviation("networks", name, f"gw_priority {priority}", endpoint.get("GwPriority") or 0)
    return None


def _parse(item: Mapping[str, Any]) -> Attachment:
    name = item["name"]
    reject_nul(f"networks {name!r}", item)
    if not name or name != name.strip():
        raise InvalidInput("networks", expected="the name of a network", found=repr(name))
    aliases = tuple(
        parse_plain_name(f"networks {name}: aliases", alias) for alias in item.get("aliases") or ()
    )
    fixed = item.get("ipv4_address") or item.get("ipv6_address")
    if name == DEFAULT_BRIDGE and (aliases or fixed):
        problem = f"networks {name}: the default bridge has no {'aliases' if aliases else 'fixed addresses'}"
        raise InvalidInput(f"networks {name}", problem=problem, remedy="Connect to a user-defined network")
    return Attachment(
        name,
        aliases,
        _parse_address(name, item.get("ipv4_address"), 4),
        _parse_address(name, item.get("ipv6_address"), 6),
        tuple(parse_link(f"networks {name}: links", link) for link in item.get("links") or ()),
        parse_mac_address(f"networks {name}: mac_address", item["mac_address"])
        if item.get("mac_address")
        else "",
        parse_mapping(f"networks {name}: driver_opts", item.get("driver_opts") or {}, numbers=True),
        item.get("gw_priority"),
    )


def _parse_address(name: str, text: Optional[str], family: int) -> str:
    if not text:
        return ""
    if not is_address(text, family):
        raise InvalidInput(f"networks {name}", expected=f"an IPv{family} address", found=text)
    return canonical_address(text)
