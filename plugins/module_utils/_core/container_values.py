# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsers for the values of container options, in the notations that docker_container and ``docker run``
take.

Sources: ``docker run`` reference, "--volume", "--memory", "--env-file"; Go's
``time.ParseDuration``; Engine API reference, ``HostConfig``.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import Any, Dict, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_BYTES = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
CONSISTENCY = ("consistent", "cached", "delegated")
PROPAGATION = ("shared", "rshared", "slave", "rslave", "private", "rprivate")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?(?:(\d+)us)?")
_MILLISECOND = 10**6
_MOST = 2**63 - 1
"""Numbers of the API have 64 bits."""
_NANOSECONDS = (3600 * 10**9, 60 * 10**9, 10**9, _MILLISECOND, 10**3)
_MAC_ADDRESS = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_EITHER = (("ro", "rw"), ("z", "Z"), CONSISTENCY, PROPAGATION)
"""Of each of these, a volume can have one mode."""
_BIND_FLAGS = frozenset(("ro", "rw", "z", "Z", "nocopy", *CONSISTENCY, *PROPAGATION))


def parse_bytes(name: str, text: str) -> int:
    """A size such as ``512m`` or ``1.5G`` as a number of bytes; units are powers of 1024.

    Raises:
        InvalidInput: it is no such size.
    """
    found = _BYTES.fullmatch(str(text).strip())
    if not found:
        raise InvalidInput(name, expected="a size such as 512m or 2G", found=repr(text))
    size = int(float(found.group(1)) * _UNITS[found.group(2).lower()])
    if size > _MOST:
        raise InvalidInput(name, expected="a size that an engine can take", found=repr(text))
    return size


def parse_mapping(
    name: str, value: Mapping[str, Any], *, numbers: bool = False, booleans: bool = False
) -> dict[str, str]:
    """A mapping of strings. Other values are refused, as docker_container does: YAML turns an unquoted
    ``yes`` into a boolean, and what the container then gets is anybody's guess.

    Args:
        name: of the option.
        value: what the user has given.
        numbers: whether whole numbers are taken too, which cannot be misunderstood.
        booleans: whether booleans are, as ``true`` and ``false``.

    Raises:
        InvalidInput: a value is not a string, or a key is empty or holds ``=``.
    """
    parsed: Dict[str, str] = {}
    for key, item in value.items():
        number = numbers and isinstance(item, int) and not isinstance(item, bool)
        if booleans and isinstance(item, bool):
            item = str(item).lower()
        if not isinstance(item, str) and not number:
            raise InvalidInput(
                f"{name} {key}",
                expected="a string",
                found=type(item).__name__,
                remedy="Put quotes around the value",
            )
        if not key or not isinstance(key, str) or (name == "env" and re.search(r"[\s=]", key)):
            raise InvalidInput(f"{name} {key!r}", expected="a name")
        parsed[key] = str(item)
    return parsed


def parse_env_file(path: str, text: str) -> dict[str, str]:
    """The variables of an ``env_file``: ``NAME=value`` a line; blanks around it, empty lines and comments do not count.

    Args:
        path: of the file, for messages.
        text: its content.

    Raises:
        InvalidInput: a line is none of these. The message does not quote it: it may hold a secret.
    """
    variables: Dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, separator, value = stripped.partition("=")
        if not separator or not name or name != name.strip():
            raise InvalidInput(
                f"env_file {path}", expected="NAME=value", found=f"something else in line {number}"
            )
        variables[name] = value
    return variables


def parse_duration(name: str, text: Any) -> int:
    """A duration such as ``1m30s`` as a number of nanoseconds.

    Raises:
        InvalidInput: it is no such duration, or shorter than the millisecond that the engine takes at least.
    """
    found = _DURATION.fullmatch(str(text).strip())
    if not found or not any(found.groups()):
        raise InvalidInput(name, expected="a duration such as 1m30s", found=repr(text))
    total = sum(int(part) * unit for part, unit in zip(found.groups(default="0"), _NANOSECONDS))
    if 0 < total < _MILLISECOND:
        raise InvalidInput(name, expected="a millisecond at least", found=repr(text))
    if total > _MOST:
        raise InvalidInput(name, expected="a duration that an engine can take", found=repr(text))
    return total


def parse_mac_address(name: str, text: str) -> str:
    """A MAC address in lower case with colons.

    Raises:
        InvalidInput: it is none.
    """
    canonical = text.strip().lower().replace("-", ":")
    if not _MAC_ADDRESS.fullmatch(canonical):
        raise InvalidInput(name, expected="a MAC address such as 92:d0:c6:0a:29:33", found=repr(text))
    return canonical


def canonical_address(text: str) -> str:
    """An IP address in its shortest form, as newer engines write it; what is none stays as it is."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return text


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


def read_binds(items: Iterable[str]) -> tuple[str, ...]:
    """Volumes of a container that is there, in canonical notation.

    What an image declares a volume stays in the container's configuration when something else is mounted over it, so two may have the
    same target; and what somebody else has made may be written in ways that are not taken here.
    """
    return tuple(dict.fromkeys(_read_bind(str(item)) for item in items))


def _read_bind(item: str) -> str:
    try:
        return _parse_bind("volumes", item)
    except InvalidInput:
        return item


def _parse_bind(name: str, item: str) -> str:
    source, target, mode = split_bind(item)
    if item.count(":") > 2 or not target.startswith("/"):
        raise InvalidInput(f"{name} {item}", expected="source:target[:mode] with an absolute target")
    target = posixpath.normpath(target)
    if ":" not in item:
        return target
    if source.startswith("/"):
        source = posixpath.normpath(source)
    # What is relative, or below a home directory, is completed on the managed node; see _adapters/host_paths.py.
    elif not source.startswith((".", "~")) and not _VOLUME_NAME.fullmatch(source):
        raise InvalidInput(
            f"{name} {item}", expected="an absolute path on the host or the name of a volume first"
        )
    modes = {flag for flag in mode.split(",") if flag}
    for alternatives in _EITHER:
        chosen = [flag for flag in alternatives if flag in modes]
        if len(chosen) > 1:
            raise InvalidInput(
                f"{name} {item}", expected=f"one of {', '.join(alternatives)}", found=" and ".join(chosen)
            )
    flags = sorted(modes - {"rw"})
    unknown = [flag for flag in flags if flag not in _BIND_FLAGS]
    if unknown:
        raise InvalidInput(
            f"{name} {item}", expected=f"modes out of {', '.join(sorted(_BIND_FLAGS))}", found=unknown[0]
        )
    return ":".join((source, target, ",".join(flags)) if flags else (source, target))
