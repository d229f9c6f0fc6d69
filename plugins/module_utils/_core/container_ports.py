# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Published ports, in the notation that docker_container and ``docker run --publish`` take.

Sources: ``docker run`` reference, "--publish"; Engine API reference, ``HostConfig.PortBindings``.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Dict, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import canonical_address
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

ALL_PORTS = "all"
DEFAULT_ADDRESS = "0.0.0.0"
"""Where ports are published for which no address is named, as by docker_container."""

_EXPECTED = "port, host:port, ip:host:port or ip::port, each with /udp or /sctp if need be, or all"
_PUBLISHED = re.compile(
    r"(?:(?P<ip>\[[^\]]*\]|[^:]*\.[^:]*):(?=.*:))?(?:(?P<host>[\d-]*):)?(?P<port>[\d-]+)(?:/(?P<protocol>tcp|udp|sctp))?"
)
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")


def parse_ports(name: str, items: Iterable[Any]) -> tuple[str, ...]:
    """Published ports in canonical notation: one port each, ``[[ip:]host:]port/protocol``, or ``all``.

    Raises:
        InvalidInput: an item is malformed.
    """
    return tuple(dict.fromkeys(port for item in items for port in _parse_item(name, str(item).strip())))


def parse_exposed(name: str, items: Iterable[Any]) -> tuple[str, ...]:
    """Exposed ports in canonical notation: one port each, ``port/protocol``.

    Raises:
        InvalidInput: an item is malformed, or names a port of the host.
    """
    ports = tuple(port for item in items for port in _parse_exposed_item(name, str(item).strip()))
    return tuple(dict.fromkeys(ports))


def render_ports(value: Iterable[str]) -> dict[str, Any]:
    """What published ports add to the body of a creation."""
    bindings: Dict[str, Any] = {}
    for item in value:
        found = _PUBLISHED.fullmatch(item)
        if found:
            binding = {"HostIp": (found["ip"] or "").strip("[]"), "HostPort": found["host"] or ""}
            bindings.setdefault(f"{found['port']}/{found['protocol']}", []).append(binding)
    everything = {"PublishAllPorts": True} if ALL_PORTS in value else {}
    exposed: Dict[str, Any] = {port: {} for port in bindings}
    return {"ExposedPorts": exposed, "HostConfig": {"PortBindings": bindings, **everything}}


def read_ports(container: Mapping[str, Any]) -> tuple[str, ...]:
    """The published ports of an inspected container, in canonical notation, as they were asked for."""
    host_config = container.get("HostConfig") or {}
    ports = [
        _text(canonical_address(binding.get("HostIp", "")), binding.get("HostPort", ""), port)
        for port, bindings in (host_config.get("PortBindings") or {}).items()
        for binding in bindings or ()
    ]
    return (*ports, *((ALL_PORTS,) if host_config.get("PublishAllPorts") else ()))


def parse_default_address(name: str, text: str) -> str:
    """The option default_host_ip; empty for the engine's own default.

    Raises:
        InvalidInput: it is no address.
    """
    address = text.strip()
    address = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if address and not _is_address(address):
        raise InvalidInput(name, expected="an IP address, or an empty string", found=repr(text))
    return canonical_address(address)


def with_default_address(ports: Iterable[str], address: str) -> tuple[str, ...]:
    """Canonical ports, published at an address where they name none."""
    return tuple(dict.fromkeys(_at(item, address) for item in ports))


def as_bound(ports: Iterable[str], container: Mapping[str, Any]) -> tuple[str, ...]:
    """Canonical ports, without their address where the container was asked for none and is bound to just that one.

    An engine that is asked for no address takes all of IPv4 and, where the host has it, of IPv6; which of them can be seen while the
    container runs.
    """
    there, bound = set(read_ports(container)), (container.get("NetworkSettings") or {}).get("Ports") or {}
    found = []
    for item in ports:
        address, host, port = _split(item)
        bare = _text("", host, port)
        alike = bare in there and {binding.get("HostIp") for binding in bound.get(port) or ()} == {address}
        found.append(bare if address and alike else item)
    return tuple(found)


def _at(item: str, address: str) -> str:
    own, host, port = _split(item)
    return item if own or item == ALL_PORTS else _text(address, host, port)


def _split(item: str) -> tuple[str, str, str]:
    """Address, port of the host and port of the container of a canonical port."""
    found = _PUBLISHED.fullmatch(item)
    if found is None:
        return "", "", item
    return (found["ip"] or "").strip("[]"), found["host"] or "", f"{found['port']}/{found['protocol']}"


def _parse_item(name: str, item: str) -> Iterable[str]:
    if item == ALL_PORTS:
        return [ALL_PORTS]
    found = _PUBLISHED.fullmatch(item)
    inside = _parse_range(found["port"]) if found else None
    if found is None or inside is None:
        raise InvalidInput(f"{name} {item}", expected=_EXPECTED)
    ip, protocol = canonical_address((found["ip"] or "").strip("[]")), found["protocol"] or "tcp"
    outside = _parse_range(found["host"]) if found["host"] else None
    if (found["host"] and outside is None) or (found["ip"] is not None and not _is_address(ip)):
        raise InvalidInput(f"{name} {item}", expected=_EXPECTED)
    if outside is None:
        return [_text(ip, "", f"{port}/{protocol}") for port in inside]
    if len(inside) == 1 and len(outside) > 1:
        return [_text(ip, found["host"], f"{inside[0]}/{protocol}")]
    if len(inside) != len(outside):
        raise InvalidInput(f"{name} {item}", expected="ranges of the same length")
    return [_text(ip, str(host), f"{port}/{protocol}") for host, port in zip(outside, inside)]


def _parse_exposed_item(name: str, item: str) -> Iterable[str]:
    if item == ALL_PORTS or ":" in item:
        raise InvalidInput(
            f"{name} {item}", expected="a port or a range of ports, with /udp or /sctp if need be"
        )
    return _parse_item(name, item)


def _parse_range(text: str) -> Optional[range]:
    found = _RANGE.fullmatch(text)
    if not found:
        return None
    first = int(found.group(1))
    last = int(found.group(2) or first)
    return range(first, last + 1) if 0 < first <= last <= 65535 else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _text(ip: str, host: str, port: str) -> str:
    if ip:
        return f"[{ip}]:{host}:{port}" if ":" in ip else f"{ip}:{host}:{port}"
    return f"{host}:{port}" if host else port
