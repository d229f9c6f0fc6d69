# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsers for the values of container options, in the notations that docker_container and ``docker run``
take.

Sources: ``docker run`` reference, "--volume", "--publish", "--memory"; Engine API reference, ``HostConfig``.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import Any, Dict, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

ALL_PORTS = "all"

_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_CONSISTENCY = ("consistent", "cached", "delegated")
_PROPAGATION = ("shared", "rshared", "slave", "rslave", "private", "rprivate")
_BIND_FLAGS = frozenset(("ro", "rw", "z", "Z", "nocopy", *_CONSISTENCY, *_PROPAGATION))
_RANGE = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
_PORT = re.compile(
    r"(?:(?P<ip>\[[^\]]*\]|[^:]*\.[^:]*):)?(?:(?P<host>[\d-]*):)?(?P<port>[\d-]+)(?:/(?P<protocol>\w+))?"
)


def parse_bytes(name: str, text: str) -> int:
    """A size such as ``512m`` or ``1.5G`` as a number of bytes; units are powers of 1024.

    Raises:
        InvalidInput: it is no such size.
    """
    found = _BYTES.fullmatch(str(text).strip())
    if not found:
        raise InvalidInput(name, expected="a size such as 512m or 2G", found=repr(text))
    return int(float(found.group(1)) * _UNITS[found.group(2).lower()])


def parse_mapping(name: str, value: Mapping[str, Any]) -> dict[str, str]:
    """A mapping of strings. Other values are refused, as docker_container does: YAML turns an unquoted
    ``yes`` into a boolean, and what the container then gets is anybody's guess.

    Raises:
        InvalidInput: a value is not a string, or a key is empty or holds ``=``.
    """
    for key, item in value.items():
        if not isinstance(item, str):
            raise InvalidInput(
                f"{name} {key}",
                expected="a string",
                found=type(item).__name__,
                remedy="Put quotes around the value",
            )
        if not key or (name == "env" and "=" in key):
            raise InvalidInput(f"{name} {key!r}", expected="a name")
    return dict(value)


def split_bind(item: str) -> tuple[str, str, str]:
    """Source, target and mode of a volume in canonical notation; the source of an anonymous volume is
    empty."""
    parts = item.split(":")
    if len(parts) == 1:
        return "", parts[0], ""
    return parts[0], parts[1], parts[2] if len(parts) > 2 else ""


def parse_binds(name: str, items: Iterable[str]) -> tuple[str, ...]:
    """Volumes in canonical notation: ``source:target[:mode]`` or ``target``, paths normalised, ``rw`` left
    out.

    Raises:
        InvalidInput: a volume is malformed, or two of them have the same target.
    """
    targets: Dict[str, str] = {}
    for item in items:
        canonical = _parse_bind(name, str(item))
        target = split_bind(canonical)[1]
        if targets.setdefault(target, canonical) != canonical:
            raise InvalidInput(f"{name} {item}", expected="one volume for each target", found=targets[target])
    return tuple(targets.values())


def _parse_bind(name: str, item: str) -> str:
    source, target, mode = split_bind(item)
    if item.count(":") > 2 or not target.startswith("/"):
        raise InvalidInput(f"{name} {item}", expected="source:target[:mode] with an absolute target")
    target = posixpath.normpath(target)
    if ":" not in item:
        return target
    if source.startswith("/"):
        source = posixpath.normpath(source)
    elif not _VOLUME_NAME.fullmatch(source):
        raise InvalidInput(
            f"{name} {item}", expected="an absolute path on the host or the name of a volume first"
        )
    flags = sorted({flag for flag in mode.split(",") if flag and flag != "rw"})
    unknown = [flag for flag in flags if flag not in _BIND_FLAGS]
    if unknown:
        raise InvalidInput(
            f"{name} {item}", expected=f"modes out of {', '.join(sorted(_BIND_FLAGS))}", found=unknown[0]
        )
    return ":".join((source, target, ",".join(flags)) if flags else (source, target))


def parse_ports(name: str, items: Iterable[Any]) -> tuple[str, ...]:
    """Published ports in canonical notation: ``ip:host:port/protocol``, ip and host empty where not given,
    or ``all``.

    Raises:
        InvalidInput: an item is malformed.
    """
    ports = [port for item in items for port in _parse_port(name, str(item).strip())]
    return tuple(dict.fromkeys(ports))


def _parse_port(name: str, item: str) -> Iterable[str]:
    if item == ALL_PORTS:
        return [ALL_PORTS]
    found = _PORT.fullmatch(item)
    protocol = (found.group("protocol") or "tcp").lower() if found else ""
    inside = _parse_range(found.group("port")) if found else None
    text = found.group("host") if found else None
    outside = _parse_range(text) if text else None
    ip = (found.group("ip") or "").strip("[]") if found else ""
    malformed = (
        inside is None
        or protocol not in ("tcp", "udp", "sctp")
        or (bool(text) and outside is None)
        or (bool(ip) and not _is_address(ip))
        or (bool(ip) and text is None)
    )
    if malformed or inside is None:
        raise InvalidInput(
            f"{name} {item}",
            expected="port, host:port, ip:host:port or ip::port, each with /udp if need be, or all",
        )
    host = f"[{ip}]" if ":" in ip else ip
    if outside is not None and len(outside) != len(inside):
        if len(inside) != 1:
            raise InvalidInput(f"{name} {item}", expected="ranges of the same length")
        return [f"{host}:{text}:{inside[0]}/{protocol}"]
    return [
        f"{host}:{outside[index] if outside else ''}:{port}/{protocol}" for index, port in enumerate(inside)
    ]


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


def render_ports(value: Iterable[str]) -> dict[str, Any]:
    """What published ports add to the body of a creation."""
    bindings: Dict[str, Any] = {}
    for item in value:
        if item != ALL_PORTS:
            ip, host, port = item.rsplit(":", 2)
            bindings.setdefault(port, []).append({"HostIp": ip.strip("[]"), "HostPort": host})
    everything = {"PublishAllPorts": True} if ALL_PORTS in value else {}
    return {
        "ExposedPorts": {port: {} for port in bindings},
        "HostConfig": {"PortBindings": bindings, **everything},
    }


def read_ports(container: Mapping[str, Any]) -> tuple[str, ...]:
    """The published ports of an inspected container, in canonical notation, as they were asked for at its
    creation."""
    host_config = container.get("HostConfig") or {}
    ports = [
        f"{_bracketed(binding.get('HostIp', ''))}:{binding.get('HostPort', '')}:{port}"
        for port, bindings in (host_config.get("PortBindings") or {}).items()
        for binding in bindings or ()
    ]
    return (*ports, *((ALL_PORTS,) if host_config.get("PublishAllPorts") else ()))


def _bracketed(ip: str) -> str:
    return f"[{ip}]" if ":" in ip else ip
