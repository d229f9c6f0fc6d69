# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The networks that a container joins: they can be attached and detached while it runs.

Source: Docker Engine API reference, "Create a container" (``NetworkingConfig``), "Connect a container to a
network".
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import Any, Collection, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_names import (
    parse_plain_name,
    refuse_nul,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import Deviation
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_network import (
    parse_link,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import (
    canonical_address,
    parse_mac_address,
    parse_mapping,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import DEFAULT_BRIDGE

_PREDEFINED = (DEFAULT_BRIDGE, "default", "host", "none")

ADDRESSES_UNKNOWN = "AddressesUnknown"
"""In the simulated state of a container that is started: it will tell what it has hidden until then."""


@dataclass(frozen=True)
class Attachment:
    """A network that a container is to join.

    Attributes:
        network: its name.
        aliases: further names of the container on it.
        ipv4_address, ipv6_address: fixed addresses; empty for what the engine assigns.
        links: other containers by alias, as ``container:alias``.
        mac_address: a fixed MAC address; empty for what the engine assigns.
        driver_opts: options for the network's driver.
        gw_priority: of the networks, the one with the highest has the default route; None for the engine's choice.
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
        """The API's EndpointSettings."""
        addresses = {"IPv4Address": self.ipv4_address, "IPv6Address": self.ipv6_address}
        ipam = {key: value for key, value in addresses.items() if value}
        return {
            **({"Aliases": list(self.aliases)} if self.aliases else {}),
            **({"IPAMConfig": ipam} if ipam else {}),
            **({"Links": list(self.links)} if self.links else {}),
            **({"MacAddress": self.mac_address} if self.mac_address else {}),
            **({"DriverOpts": dict(self.driver_opts)} if self.driver_opts else {}),
            **({} if self.gw_priority is None else {"GwPriority": self.gw_priority}),
        }

    def needs(self) -> dict[str, tuple[int, int]]:
        """Parts that only newer APIs know, with the version that brought them."""
        return {
            **({f"networks {self.network} mac_address": (1, 44)} if self.mac_address else {}),
            **({} if self.gw_priority is None else {f"networks {self.network} gw_priority": (1, 48)}),
        }


@dataclass(frozen=True)
class AttachmentDeviation:
    """A network that is not attached as it should be.

    Attributes:
        attachment: what is wanted.
        attached: whether the container is on that network at all.
        deviation: the difference in words.
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
    },
}


def parse_attachments(
    items: Optional[Iterable[Mapping[str, Any]]], network_mode: str
) -> tuple[Attachment, ...]:
    """The option networks.

    Raises:
        InvalidInput: an address is none, a network is named twice, or the network mode leaves no room for
            networks.
    """
    attachments = tuple(_parse(item) for item in items or ())
    names = [attachment.network for attachment in attachments]
    for name in names:
        if names.count(name) > 1:
            raise InvalidInput(
                f"networks {name}", expected="to be named once", found=f"{names.count(name)} times"
            )
        if name in ("host", "none"):
            raise InvalidInput(
                f"networks {name}", expected="a network that can be joined", remedy="Use network_mode"
            )
    if names and (network_mode in ("host", "none") or network_mode.startswith("container:")):
        raise InvalidInput(
            f"network_mode {network_mode}", expected="no networks beside it", found=", ".join(names)
        )
    return attachments


def endpoint_settings(container: Mapping[str, Any], network: str) -> Optional[dict[str, Any]]:
    """What attaches a container to a network as it is attached now: the API's EndpointSettings, without what the engine has chosen.

    Args:
        container: its inspection.
        network: its name.

    Returns:
        None if it is not on that network.
    """
    found = ((container.get("NetworkSettings") or {}).get("Networks") or {}).get(network)
    if found is None:
        return None
    settings = {
        key: found[key] for key in ("IPAMConfig", "Links", "DriverOpts", "GwPriority") if found.get(key)
    }
    # Up to API 1.44 the engine lists the container's short ID, which it adds by itself.
    aliases = [alias for alias in found.get("Aliases") or () if alias != container["Id"][:12]]
    if aliases:
        settings["Aliases"] = aliases
    mac_address = (found.get("MacAddress") or "").lower()
    if mac_address and mac_address != _derived_mac_address(found.get("IPAddress") or ""):
        settings["MacAddress"] = mac_address
    return settings


def _derived_mac_address(address: str) -> str:
    """The one that engines up to release 27 make of an IPv4 address; fixed, it would clash once another container has the address."""
    try:
        return "02:42:" + ipaddress.IPv4Address(address).packed.hex(":")
    except ValueError:
        return ""


def find_attachment_deviations(
    attachments: Iterable[Attachment], container: Mapping[str, Any]
) -> tuple[AttachmentDeviation, ...]:
    """Which networks are missing or attached otherwise. Networks that nobody asked for are left alone."""
    found = (container.get("NetworkSettings") or {}).get("Networks") or {}
    deviations = []
    for attachment in attachments:
        name = attachment.network
        if name not in found:
            deviations.append(
                AttachmentDeviation(attachment, False, Deviation("networks", name, "attached", None))
            )
            continue
        difference = _compare(attachment, _with_known_address(attachment, found[name], container))
        if difference is not None:
            deviations.append(AttachmentDeviation(attachment, True, difference))
    return tuple(deviations)


def find_outlived_networks(
    attachments: Iterable[Attachment], container: Mapping[str, Any], ids: Mapping[str, Collection[str]]
) -> tuple[AttachmentDeviation, ...]:
    """Networks that were made anew since the container was attached to them: it cannot be started with these.

    A container means a network by its ID, and not by the name that the next one has (moby, ``getNetworkID``; Docker 20.10,
    measured). The engine's own networks it means by their names.

    Args:
        attachments: what is asked for; on other networks, the container is attached as it was.
        container: its inspection.
        ids: of the engine's networks, by name.
    """
    found = (container.get("NetworkSettings") or {}).get("Networks") or {}
    wanted = {attachment.network: attachment for attachment in attachments}
    return tuple(
        AttachmentDeviation(
            wanted.get(name) or _kept(name, container),
            True,
            Deviation("networks", name, "attached", "attached to a former network of that name"),
        )
        for name, endpoint in found.items()
        if name not in _PREDEFINED
        and endpoint.get("NetworkID")
        and endpoint["NetworkID"] not in ids.get(name, (endpoint["NetworkID"],))
    )


def _kept(network: str, container: Mapping[str, Any]) -> Attachment:
    """A network as a container is attached to it, without a MAC address, which a container that is there does not take."""
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
    """Whether a container does not tell the MAC addresses that it was given: one that has ended does not (Docker 26.1, measured)."""
    state = container.get("State") or {}
    return state.get("Status") == "exited" or bool(state.get(ADDRESSES_UNKNOWN))


def _with_known_address(
    attachment: Attachment, endpoint: Mapping[str, Any], container: Mapping[str, Any]
) -> Mapping[str, Any]:
    if endpoint.get("MacAddress") or not hides_mac_addresses(container):
        return endpoint
    mode = (container.get("HostConfig") or {}).get("NetworkMode")
    # Up to API 1.51, the address on the first network is told elsewhere.
    own = (container.get("Config") or {}).get("MacAddress") if mode == attachment.network else ""
    return {**endpoint, "MacAddress": own or attachment.mac_address}


def find_surplus_networks(
    attachments: Iterable[Attachment], network_mode: str, container: Mapping[str, Any]
) -> tuple[str, ...]:
    """Networks that a container is on although nobody asked for them; their names, sorted."""
    wanted = {attachment.network for attachment in attachments} | {network_mode}
    found = (container.get("NetworkSettings") or {}).get("Networks") or {}
    return tuple(sorted(name for name in found if name not in wanted))


def _compare(attachment: Attachment, endpoint: Mapping[str, Any]) -> Optional[Deviation]:
    # Up to API 1.44 the engine lists the container's short ID among the aliases.
    name = attachment.network
    for kind, wanted, there in (
        ("alias", attachment.aliases, endpoint.get("Aliases") or ()),
        ("link", attachment.links, endpoint.get("Links") or ()),
    ):
        missing = [item for item in wanted if item not in there]
        if missing:
            return Deviation("networks", name, f"{kind} {missing[0]}", None)
    ipam, driver_opts = endpoint.get("IPAMConfig") or {}, endpoint.get("DriverOpts") or {}
    for wanted_value, found in (
        (attachment.ipv4_address, canonical_address(ipam.get("IPv4Address") or "")),
        (attachment.ipv6_address, canonical_address(ipam.get("IPv6Address") or "")),
        (attachment.mac_address, (endpoint.get("MacAddress") or "").lower()),
    ):
        if wanted_value and wanted_value != found:
            return Deviation("networks", name, wanted_value, found or None)
    for key, option in sorted(attachment.driver_opts.items()):
        if option != driver_opts.get(key):
            return Deviation("networks", name, f"{key}={option}", driver_opts.get(key))
    priority = attachment.gw_priority
    if priority is not None and priority != (endpoint.get("GwPriority") or 0):
        return Deviation("networks", name, f"gw_priority {priority}", endpoint.get("GwPriority") or 0)
    return None


def _parse(item: Mapping[str, Any]) -> Attachment:
    name = item["name"]
    refuse_nul(f"networks {name!r}", item)
    if not name or name != name.strip():
        raise InvalidInput("networks", expected="the name of a network", found=repr(name))
    aliases = tuple(
        parse_plain_name(f"networks {name}: aliases", alias) for alias in item.get("aliases") or ()
    )
    fixed = item.get("ipv4_address") or item.get("ipv6_address")
    if name == DEFAULT_BRIDGE and (aliases or fixed):
        raise InvalidInput(
            f"networks {name}",
            expected="no aliases" if aliases else "no fixed address",
            remedy="The default bridge has none; use a network of your own",
        )
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
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        address = None
    if address is None or address.version != family:
        raise InvalidInput(f"networks {name}", expected=f"an IPv{family} address", found=text)
    return str(address)
