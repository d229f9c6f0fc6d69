# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The networks that a container joins: they can be attached and detached while it runs.

Source: Docker Engine API reference, "Create a container" (``NetworkingConfig``), "Connect a container to a
network".
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import Deviation
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import DEFAULT_BRIDGE


@dataclass(frozen=True)
class Attachment:
    """A network that a container is to join.

    Attributes:
        network: its name.
        aliases: further names of the container on it.
        ipv4_address, ipv6_address: fixed addresses; empty for what the engine assigns.
    """

    network: str
    aliases: tuple[str, ...] = ()
    ipv4_address: str = ""
    ipv6_address: str = ""

    def render(self) -> dict[str, Any]:
        """The API's EndpointSettings."""
        addresses = {"IPv4Address": self.ipv4_address, "IPv6Address": self.ipv6_address}
        ipam = {key: value for key, value in addresses.items() if value}
        return {
            **({"Aliases": list(self.aliases)} if self.aliases else {}),
            **({"IPAMConfig": ipam} if ipam else {}),
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
        difference = _compare(attachment, found[name])
        if difference is not None:
            deviations.append(AttachmentDeviation(attachment, True, difference))
    return tuple(deviations)


def _compare(attachment: Attachment, endpoint: Mapping[str, Any]) -> Optional[Deviation]:
    # Up to API 1.44 the engine lists the container's short ID among the aliases.
    missing = [alias for alias in attachment.aliases if alias not in (endpoint.get("Aliases") or ())]
    if missing:
        return Deviation("networks", attachment.network, f"alias {missing[0]}", None)
    ipam = endpoint.get("IPAMConfig") or {}
    for wanted, key in ((attachment.ipv4_address, "IPv4Address"), (attachment.ipv6_address, "IPv6Address")):
        if wanted and wanted != _canonical(ipam.get(key, "")):
            return Deviation("networks", attachment.network, wanted, ipam.get(key) or None)
    return None


def _parse(item: Mapping[str, Any]) -> Attachment:
    name = item["name"]
    if not name or name != name.strip():
        raise InvalidInput("networks", expected="the name of a network", found=repr(name))
    aliases = tuple(item.get("aliases") or ())
    if aliases and name == DEFAULT_BRIDGE:
        raise InvalidInput(
            f"networks {name}",
            expected="no aliases",
            remedy="The default bridge has none; use a network of your own",
        )
    return Attachment(
        name,
        aliases,
        _parse_address(name, item.get("ipv4_address"), 4),
        _parse_address(name, item.get("ipv6_address"), 6),
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


def _canonical(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text
