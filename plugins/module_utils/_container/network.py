# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows for ports, names and addresses. The option networks is in :mod:`_container.attachments`.

To add an option, follow the six steps in docs/development.md.
"""

from __future__ import annotations

import re
from typing import Any, Iterable, Mapping, Optional

from .._base.errors import InvalidInput
from . import rows
from .checks import CONTAINER
from .option import ContainerOption, Kind
from .ports import ALL_PORTS, parse_exposed, parse_ports, read_ports, render_ports
from .values import canonical_address, is_address, malformed, parse_mac_address

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


def parse_link(name: str, item: str) -> str:
    """Return a link as ``container:alias``; the default alias is the container's name."""
    subject, parts = f"{name} {item}", item.split(":")
    if len(parts) > 2:
        what = f"it has {len(parts)} parts between colons"
        raise malformed(subject, what, "Give at most a container and an alias")
    if not _NAME.fullmatch(parts[0]):
        raise malformed(subject, f"{parts[0]!r} is not the name or ID of a container")
    if not _NAME.fullmatch(parts[-1]):
        raise malformed(subject, f"{parts[-1]!r} is not an alias")
    return f"{parts[0]}:{parts[-1]}"


def _parse_network_mode(name: str, value: str) -> Optional[str]:
    if not value:
        return None
    if value != value.strip():
        raise InvalidInput(name, expected="bridge, host, none or a network's name", found=repr(value))
    if value == CONTAINER:
        raise InvalidInput(name, expected="container:NAME", found=value)
    return _read_network_mode(value)


def _read_network_mode(value: Any) -> str:
    # Engines before Docker 26 report the default bridge as "default", later ones as "bridge".
    return "bridge" if value in (None, "", "default") else str(value)


def _check_hosts(name: str, value: Mapping[str, str]) -> None:
    for host, address in value.items():
        if address != "host-gateway" and not is_address(address):
            raise InvalidInput(f"{name} {host}", expected="an IP address or host-gateway", found=address)


def _parse_servers(name: str, value: Iterable[str]) -> tuple[str, ...]:
    for item in value:
        if not is_address(item):
            raise InvalidInput(f"{name} {item}", expected="an IP address")
    return _canonical_servers(value)


def _canonical_servers(value: Optional[Iterable[str]]) -> tuple[str, ...]:
    return tuple(canonical_address(item) for item in value or ())


def _read_link(value: str) -> str:
    # The engine reports /container:/name-of-this-container/alias.
    container, _separator, alias = value.partition(":")
    return f"{container.lstrip('/')}:{alias.rpartition('/')[2]}"


def _read_mac_address(container: Mapping[str, Any]) -> str:
    # Docker 28 and later report it in the network only.
    own = rows.find(container, "Config.MacAddress")
    networks = rows.find(container, "NetworkSettings.Networks") or {}
    mode = _read_network_mode(rows.find(container, "HostConfig.NetworkMode"))
    return str(own or (networks.get(mode) or {}).get("MacAddress") or "").lower()


NETWORK: tuple[ContainerOption, ...] = (
    rows.value_option(
        "network_mode",
        "HostConfig.NetworkMode",
        {"type": "str"},
        parse=_parse_network_mode,
        read=_read_network_mode,
    ),
    ContainerOption(
        "published_ports",
        {"published_ports": {**rows.LIST_OF_STRINGS, "aliases": ["ports"]}},
        parse=rows.given("published_ports", parse_ports),
        render=render_ports,
        read=read_ports,
        kind=Kind.SET,
        # The option publish_all_ports may have added it.
        contributed=lambda container: (ALL_PORTS,),
    ),
    rows.flag_option("publish_all_ports", "HostConfig.PublishAllPorts"),
    rows.value_option(
        "exposed_ports",
        "Config.ExposedPorts",
        {**rows.LIST_OF_STRINGS, "aliases": ["exposed", "expose"]},
        parse=parse_exposed,
        render=lambda value: {port: {} for port in value},
        read=lambda found: tuple(found or ()),
        kind=Kind.SET,
        contributed=lambda container: tuple(rows.find(container, "HostConfig.PortBindings") or ()),
    ),
    rows.mapping_option("etc_hosts", "HostConfig.ExtraHosts", separator=":", check=_check_hosts),
    rows.list_option("dns_servers", "HostConfig.Dns", parse=_parse_servers, read=_canonical_servers),
    rows.set_option("dns_opts", "HostConfig.DnsOptions"),
    rows.list_option("dns_search_domains", "HostConfig.DnsSearch"),
    ContainerOption(
        "mac_address",
        {"mac_address": {"type": "str"}},
        parse=rows.given(
            "mac_address", lambda name, value: parse_mac_address(name, value) if value else None
        ),
        render=lambda value: {"MacAddress": value},
        read=_read_mac_address,
    ),
    rows.set_option("links", "HostConfig.Links", item=parse_link, read_item=_read_link),
)
