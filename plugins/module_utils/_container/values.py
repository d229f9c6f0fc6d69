# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parsers for values of container options, in the notations of docker_container and ``docker run``.

They raise InvalidInput for malformed values.

Sources: ``docker run`` reference, "--volume", "--memory", "--env-file"; Go's
``time.ParseDuration``; Engine API reference, ``HostConfig``.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from typing import Any, Dict, Iterable, Mapping

from .._base.errors import InvalidInput

_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40, "p": 2**50}
_BYTES = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([kmgtp]?)(?:i?b)?", re.IGNORECASE)
_VOLUME_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
CONSISTENCY = ("consistent", "cached", "delegated")
PROPAGATION = ("shared", "rshared", "slave", "rslave", "private", "rprivate")
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+)s)?(?:(\d+)ms)?(?:(\d+)us)?")
_MILLISECOND = 10**6
_MOST = 2**63 - 1
"""The API has signed numbers of 64 bits."""
_NANOSECONDS = (3600 * 10**9, 60 * 10**9, 10**9, _MILLISECOND, 10**3)
_MAC_ADDRESS = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_EITHER = (("ro", "rw"), ("z", "Z"), CONSISTENCY, PROPAGATION)
"""A volume can have one mode of each group."""
_BIND_FLAGS = frozenset(("ro", "rw", "z", "Z", "nocopy", *CONSISTENCY, *PROPAGATION))


def parse_bytes(name: str, text: str) -> int:
    """Parse a size such as ``512m`` or ``1.5G`` into bytes; units are powers of 1024."""
    found = _BYTES.fullmatch(str(text).strip())
    if not found:
        raise InvalidInput(name, expected="a size such as 512m or 2G", found=repr(text))
    size = int(float(found.group(1)) * _UNITS[found.group(2).lower()])
    if size > _MOST:
        raise InvalidInput(name, expected="a size below 2^63 bytes", found=repr(text))
    return size


def parse_mapping(
    name: str, value: Mapping[str, Any], *, numbers: bool = False, booleans: bool = False
) -> dict[str, str]:
    """Parse a mapping of strings. Others are rejected: YAML reads an unquoted ``yes`` as a boolean.

    Args:
        numbers: whether to accept integers, as strings.
        booleans: whether to accept booleans, as ``true`` and ``false``.

    Raises:
        InvalidInput: a value is not a string, or a key is empty or contains ``=``.
    """
    parsed: Dict[str, str] = {}
    for key, item in value.items():
        number = numbers and isinstance(item, int) and not isinstance(item, bool)
        if booleans and isinstance(item, bool):
            item = str(item).lower()
        if not isinstance(item, str) and not number:
            problem = f"{name} {key}: expected a string, found {type(item).__name__}"
            raise InvalidInput(f"{name} {key}", problem=problem, remedy="Put quotes around the value")
        if not key or not isinstance(key, str) or (name == "env" and re.search(r"[\s=]", key)):
            raise InvalidInput(f"{name} {key!r}", expected="a name")
        parsed[key] = str(item)
    return parsed


def parse_env_file(path: str, text: str) -> dict[str, str]:
    """Parse the variables of an ``env_file``: one ``NAME=value`` per line.

    Whitespace around a line, empty lines and comments are ignored.

    Args:
        path: of the file, for messages.

    Raises:
        InvalidInput: a line is malformed. The message does not quote it: it may be a secret.
    """
    variables: Dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        name, separator, value = stripped.partition("=")
        if not separator or not name or name != name.strip():
            problem = f"env_file {path}: line {number} is not NAME=value"
            raise InvalidInput(f"env_file {path}", problem=problem)
        variables[name] = value
    return variables


def parse_duration(name: str, text: Any) -> int:
    """Parse a duration such as ``1m30s`` into a number of nanoseconds."""
    found = _DURATION.fullmatch(str(text).strip())
    if not found or not any(found.groups()):
        raise InvalidInput(name, expected="a duration such as 1m30s", found=repr(text))
    total = sum(int(part) * unit for part, unit in zip(found.groups(default="0"), _NANOSECONDS))
    if 0 < total < _MILLISECOND:
        raise InvalidInput(name, expected="at least a millisecond", found=repr(text))
    if total > _MOST:
        raise InvalidInput(name, expected="a duration below 2^63 nanoseconds", found=repr(text))
    return total


def parse_mac_address(name: str, text: str) -> str:
    """Return a MAC address in lower case with colons."""
    canonical = text.strip().lower().replace("-", ":")
    if not _MAC_ADDRESS.fullmatch(canonical):
        raise InvalidInput(name, expected="a MAC address such as 92:d0:c6:0a:29:33", found=repr(text))
    return canonical


def is_address(text: str, family: int = 0) -> bool:
    """Report whether a text is an IP address, of version 4 or 6 if one is given."""
    try:
        return ipaddress.ip_address(text).version == family or not family
    except ValueError:
        return False


def canonical_address(text: str) -> str:
    """Return an IP address in its shortest form, like newer engines; other texts unchanged."""
    return str(ipaddress.ip_address(text)) if is_address(text) else text


def split_bind(item: str) -> tuple[str, str, str]:
    """Split a canonical volume into source (empty if anonymous), target and mode."""
    parts = item.split(":")
    return ("", item, "") if len(parts) == 1 else (parts[0], parts[1], parts[2] if len(parts) > 2 else "")


def parse_binds(name: str, items: Iterable[str]) -> tuple[str, ...]:
    """Parse volumes ``source:target[:mode]`` or ``target``; normalise paths, and omit ``rw``."""
    targets: Dict[str, str] = {}
    for item in items:
        canonical = _parse_bind(name, str(item))
        target = split_bind(canonical)[1]
        if targets.setdefault(target, canonical) != canonical:
            problem = f"{name} {item}: {targets[target]} has the same target"
            raise InvalidInput(f"{name} {item}", problem=problem, remedy="Leave one of them out")
    return tuple(targets.values())


def read_binds(items: Iterable[str]) -> tuple[str, ...]:
    """Return the volumes of an existing container in canonical notation.

    Two may have the same target: a volume that the image declares stays in the container's
    configuration when something else is mounted there. A notation that the parser rejects is
    returned unchanged.
    """
    return tuple(dict.fromkeys(_read_bind(str(item)) for item in items))


def _read_bind(item: str) -> str:
    try:
        return _parse_bind("volumes", item)
    except InvalidInput:
        return item


def _parse_bind(name: str, item: str) -> str:
    subject = f"{name} {item}"
    parts = item.split(":")
    if len(parts) > 3:
        remedy = "Give at most a source, a path in the container, and a mode"
        raise malformed(subject, f"it has {len(parts)} parts between colons", remedy)
    if (
        len(parts) == 2
        and parts[0].startswith("/")
        and parts[1]
        and _BIND_FLAGS.issuperset(parts[1].split(","))
    ):
        return _parse_anonymous(subject, *parts)
    source, target, mode = split_bind(item)
    if not target.startswith("/"):
        what = (
            f"the path in the container, {target}, is not absolute" if target else "no path in the container"
        )
        raise malformed(subject, what)
    target = posixpath.normpath(target)
    if ":" not in item:
        return target
    if source.startswith("/"):
        source = posixpath.normpath(source)
    # Paths relative to . and ~ are completed on the managed node; see _container/io/host_values.py.
    elif not source.startswith((".", "~")) and not _VOLUME_NAME.fullmatch(source):
        what = f"{source!r} is neither an absolute path nor the name of a volume"
        if re.fullmatch("[a-zA-Z0-9]", source):
            what = f"{source!r} is too short for the name of a volume, which needs two characters"
        remedy = f"Write ./{source} for a relative path" if "/" in source else ""
        raise malformed(subject, what if source else "the source before the colon is empty", remedy)
    flags = _parse_flags(subject, mode)
    return ":".join((source, target, ",".join(flags)) if flags else (source, target))


def _parse_anonymous(subject: str, target: str, mode: str) -> str:
    """Parse an anonymous volume with a mode, which can only be that it is writable."""
    flags = _parse_flags(subject, mode)
    if flags:
        what = f"an anonymous volume has no mode {flags[0]}"
        raise malformed(subject, what, "Use mounts, or give the volume a name")
    return posixpath.normpath(target)


def _parse_flags(subject: str, mode: str) -> list[str]:
    """Parse the mode of a volume into its parts, sorted and without ``rw``."""
    flags = {flag for flag in mode.split(",") if flag}
    unknown = sorted(flags - _BIND_FLAGS)
    if unknown:
        raise malformed(subject, f"{unknown[0]!r} is not a mode of a volume")
    for alternatives in _EITHER:
        chosen = [flag for flag in alternatives if flag in flags]
        if len(chosen) > 1:
            raise malformed(subject, f"the modes {' and '.join(chosen)} exclude each other")
    return sorted(flags - {"rw"})


def malformed(subject: str, what: str, remedy: str = "") -> InvalidInput:
    """Return an error that says what is wrong with an option's value."""
    return InvalidInput(subject, problem=f"{subject}: {what}", remedy=remedy)
