# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a container is reached, and what it reaches, beside the networks that it joins."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_namespaces import CONTAINER
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    ContainerOption,
    Kind,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_ports import (
    ALL_PORTS,
    parse_exposed,
    parse_ports,
    read_ports,
    render_ports,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_rows import (
    LIST_OF_STRINGS,
    find,
    flag_option,
    given,
    list_option,
    mapping_option,
    set_option,
    value_option,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import (
    canonical_address,
    parse_mac_address,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

_LINK = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*(?::[a-zA-Z0-9][a-zA-Z0-9_.-]*)?")


def parse_link(name: str, item: str) -> str:
    """A link ``container:alias``; the alias is the container's name if it is left out.

    Raises:
        InvalidInput: it is malformed.
    """
    if not _LINK.fullmatch(item):
        raise InvalidInput(f"{name} {item}", expected="container or container:alias")
    return item if ":" in item else f"{item}:{item}"


def _parse_network_mode(name: str, value: str) -> str:
    if not value or value != value.strip():
        raise InvalidInput(name, expected="bridge, host, none or a network's name", found=repr(value))
    if value == CONTAINER:
        raise InvalidInput(name, expected="the name of a container after it", found=value)
    return _read_network_mode(value)


def _read_network_mode(value: Any) -> str:
    # Engines before Docker 26 report the default bridge as "default", later ones as "bridge".
    return "bridge" if value in (None, "", "default") else str(value)


def _check_hosts(name: str, value: Mapping[str, str]) -> None:
    for host, address in value.items():
        if address != "host-gateway" and not _is_address(address):
            raise InvalidInput(f"{name} {host}", expected="an IP address or host-gateway", found=address)


def _parse_servers(name: str, value: Iterable[str]) -> tuple[str, ...]:
    for item in value:
        if not _is_address(item):
            raise InvalidInput(f"{name} {item}", expected="an IP address")
    return _canonical_servers(value)


def _canonical_servers(value: Optional[Iterable[str]]) -> tuple[str, ...]:
    return tuple(canonical_address(item) for item in value or ())


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _read_link(value: str) -> str:
    # The engine keeps /container:/name-of-this-one/alias.
    container, _separator, alias = value.partition(":")
    return f"{container.lstrip('/')}:{alias.rpartition('/')[2]}"


def _read_mac_address(container: Mapping[str, Any]) -> str:
    # Docker 28 and later have it at the network only.
    own = find(container, "Config.MacAddress")
    networks = find(container, "NetworkSettings.Networks") or {}
    mode = _read_network_mode(find(container, "HostConfig.NetworkMode"))
    return str(own or (networks.get(mode) or {}).get("MacAddress") or "").lower()


NETWORK: tuple[ContainerOption, ...] = (
    value_option(
        "network_mode",
        "HostConfig.NetworkMode",
        {"type": "str"},
        parse=_parse_network_mode,
        read=_read_network_mode,
    ),
    ContainerOption(
        "published_ports",
        {"published_ports": {**LIST_OF_STRINGS, "aliases": ["ports"]}},
        parse=given("published_ports", parse_ports),
        render=render_ports,
        read=read_ports,
        kind=Kind.SET,
        # That all are published may be the wish of publish_all_ports.
        contributed=lambda container: (ALL_PORTS,),
    ),
    flag_option("publish_all_ports", "HostConfig.PublishAllPorts"),
    ContainerOption(
        "exposed_ports",
        {"exposed_ports": {**LIST_OF_STRINGS, "aliases": ["exposed", "expose"]}},
        parse=given("exposed_ports", parse_exposed),
        render=lambda value: {"ExposedPorts": {port: {} for port in value}},
        read=lambda container: tuple(find(container, "Config.ExposedPorts") or ()),
        kind=Kind.SET,
        contributed=lambda container: tuple(find(container, "HostConfig.PortBindings") or ()),
    ),
    mapping_option("etc_hosts", "HostConfig.ExtraHosts", separator=":", check=_check_hosts),
    list_option("dns_servers", "HostConfig.Dns", parse=_parse_servers, read=_canonical_servers),
    set_option("dns_opts", "HostConfig.DnsOptions"),
    list_option("dns_search_domains", "HostConfig.DnsSearch"),
    ContainerOption(
        "mac_address",
        {"mac_address": {"type": "str"}},
        parse=given("mac_address", parse_mac_address),
        render=lambda value: {"MacAddress": value},
        read=_read_mac_address,
    ),
    set_option("links", "HostConfig.Links", item=parse_link, read_item=_read_link),
)
