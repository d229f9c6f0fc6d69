# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Published ports, in the notation of docker_container and ``docker run --publish``.

The parsers raise InvalidInput for malformed values.

Sources: ``docker run`` reference, "--publish"; Engine API reference, ``HostConfig.PortBindings``.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterable, Mapping

from .._base.address import bracket
from .._base.errors import InvalidInput
from .inspection import host_config_of
from .values import canonical_address, is_address, malformed

ALL_PORTS = "all"
DEFAULT_ADDRESS = "0.0.0.0"
"""Default address for published ports, as in docker_container."""

PROTOCOLS = ("tcp", "udp", "sctp")
_CANONICAL = re.compile(r"(?:(\[.*\]|[^:]*\.[^:]*):(?=.*:))?(?:([\d-]*):)?([\d-]+/\w+)")
_RANGE = re.compile(r"([0-9]+)(?:-([0-9]+))?")
_LAST = 65535


def parse_ports(name: str, items: Iterable[Any]) -> tuple[str, ...]:
    """Parse published ports into single ports ``[[ip:]host:]port/protocol``, or ``all``."""
    return tuple(dict.fromkeys(port for item in items for port in _parse_item(name, str(item).strip())))


def parse_exposed(name: str, items: Iterable[Any]) -> tuple[str, ...]:
    """Parse exposed ports into single ports ``port/protocol``."""
    for item in (str(item).strip() for item in items):
        subject = f"{name} {item}"
        if item == ALL_PORTS:
            remedy = "Name the ports, or set publish_all_ports for those that the image exposes"
            raise malformed(subject, "it is not the number of a port", remedy)
        if ":" in item:
            what = "an exposed port has neither an address nor a port of the host"
            raise malformed(subject, what, "Use published_ports to publish it")
    return parse_ports(name, items)


def render_ports(value: Iterable[str]) -> dict[str, Any]:
    """Return the part of the body of a creation that publishes canonical ports."""
    bindings: Dict[str, Any] = {}
    for item in value:
        if item != ALL_PORTS:
            address, host, port = split_port(item)
            bindings.setdefault(port, []).append({"HostIp": address, "HostPort": host})
    everything = {"PublishAllPorts": True} if ALL_PORTS in value else {}
    exposed: Dict[str, Any] = {port: {} for port in bindings}
    return {"ExposedPorts": exposed, "HostConfig": {"PortBindings": bindings, **everything}}


def read_ports(container: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the published ports of a container as they were requested, in canonical notation."""
    host_config = host_config_of(container)
    ports = [
        _text(canonical_address(binding.get("HostIp", "")), binding.get("HostPort", ""), port)
        for port, bindings in (host_config.get("PortBindings") or {}).items()
        for binding in bindings or ()
    ]
    return (*ports, *((ALL_PORTS,) if host_config.get("PublishAllPorts") else ()))


def parse_default_address(name: str, text: str) -> str:
    """Parse the option default_host_ip; empty for the engine's default."""
    address = text.strip()
    address = address[1:-1] if address.startswith("[") and address.endswith("]") else address
    if address and not is_address(address):
        raise InvalidInput(name, expected="an IP address, or an empty string", found=repr(text))
    return canonical_address(address)


def with_default_address(ports: Iterable[str], address: str) -> tuple[str, ...]:
    """Return canonical ports with this address for those that have none."""
    return tuple(dict.fromkeys(_at(item, address) for item in ports))


def _at(item: str, address: str) -> str:
    own, host, port = split_port(item)
    return item if own or item == ALL_PORTS else _text(address, host, port)


def split_port(item: str) -> tuple[str, str, str]:
    """Split a canonical port into address, port of the host and port of the container."""
    found = _CANONICAL.fullmatch(item)
    if found is None:
        return "", "", item
    return (found[1] or "").strip("[]"), found[2] or "", found[3]


def _parse_item(name: str, item: str) -> Iterable[str]:
    if item == ALL_PORTS:
        return [ALL_PORTS]
    subject = f"{name} {item}" if item else f"{name} ''"
    text, separator, protocol = item.partition("/")
    if ":" in protocol:
        raise malformed(
            subject, "the protocol is not at its end", "Write /udp after the port of the container"
        )
    protocol = protocol.lower() if separator else "tcp"
    if protocol not in PROTOCOLS:
        raise malformed(subject, f"{protocol!r} is not a protocol", f"Use one of {', '.join(PROTOCOLS)}")
    address, host, port = _split_notation(subject, text)
    inside = _parse_range(subject, port, "container")
    if not host:
        return [_text(address, "", f"{number}/{protocol}") for number in inside]
    outside = _parse_range(subject, host, "host")
    if len(inside) == 1 and len(outside) > 1:
        return [_text(address, host, f"{inside[0]}/{protocol}")]
    if len(inside) != len(outside):
        what = f"{host} has {len(outside)} ports of the host, and {port} has {len(inside)} of the container"
        raise malformed(subject, what, "Make both ranges equally long")
    return [_text(address, str(number), f"{inner}/{protocol}") for number, inner in zip(outside, inside)]


def _split_notation(subject: str, text: str) -> tuple[str, str, str]:
    """Split the user's notation into address, port of the host and port of the container."""
    if text.startswith("["):
        address, bracket_end, rest = text[1:].partition("]")
        if not bracket_end:
            raise malformed(subject, "the bracket before the address is not closed", _suggest(text[1:]))
        if not rest.startswith(":"):
            raise malformed(subject, f"no colon and port follow the address {address}")
        parts = [address, *rest[1:].split(":")]
    else:
        parts = text.split(":")
        if len(parts) > 3 and _suggest(text):
            raise malformed(subject, "an IPv6 address has to be in brackets", _suggest(text))
    if len(parts) > 3:
        what = f"it has {len(parts)} parts between colons"
        raise malformed(subject, what, "Give at most an address, a port of the host and one of the container")
    if len(parts) == 2 and is_address(parts[0]):
        what = f"the port of the host is missing after the address {parts[0]}"
        remedy = f"Write {bracket(parts[0])}::{parts[1]} for a port that the engine chooses"
        raise malformed(subject, what, remedy)
    if len(parts) < 3:
        return "", parts[0] if len(parts) == 2 else "", parts[-1]
    if not is_address(parts[0]):
        what = f"{parts[0]!r} is not an IP address"
        raise malformed(subject, what, "Use the address; names of hosts are not resolved")
    return canonical_address(parts[0]), parts[1], parts[2]


def _suggest(text: str) -> str:
    """Return what to write for an IPv6 address without brackets; empty if there is none."""
    address, _colon, port = text.rpartition(":")
    outer, _colon, host = address.rpartition(":")
    if is_address(outer, 6):
        return f"Write {bracket(outer)}:{host}:{port}"
    return (
        f"Write {bracket(address)}::{port} for a port that the engine chooses"
        if is_address(address, 6)
        else ""
    )


def _parse_range(subject: str, text: str, whose: str) -> range:
    """Parse a port, or a range of ports, of the container or of the host."""
    found = _RANGE.fullmatch(text)
    if not found:
        what = f"{text!r} is not a port" if text else f"the port of the {whose} is missing"
        raise malformed(subject, what)
    first = int(found.group(1))
    last = int(found.group(2) or first)
    wrong = next((number for number in (first, last) if not 0 < number <= _LAST), None)
    if wrong is not None:
        chosen = whose == "host" and text == "0"
        remedy = "Leave the port of the host out for one that the engine chooses" if chosen else ""
        raise malformed(subject, f"{wrong} is not a port of the {whose}: ports are 1 to {_LAST}", remedy)
    if last < first:
        raise malformed(subject, f"the range {text} ends before it begins")
    return range(first, last + 1)


def _text(ip: str, host: str, port: str) -> str:
    if ip:
        return f"{bracket(ip)}:{host}:{port}"
    return f"{host}:{port}" if host else port
