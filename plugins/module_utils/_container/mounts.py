# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mounts, in the notation of docker_container's option ``mounts``.

Source: Docker Engine API reference, ``HostConfig.Mounts``.
"""

from __future__ import annotations

import posixpath
from typing import Any, Callable, Dict, Iterable, Mapping, NamedTuple

from .._base.errors import InvalidInput
from .rows import find
from .values import CONSISTENCY, PROPAGATION, parse_bytes, parse_mapping

TYPES = ("bind", "tmpfs", "volume", "cluster", "image")
_TYPE_SINCE = {"cluster": (1, 42), "image": (1, 48)}
_OLDEST = (1, 41)


def _parse_mode(subject: str, text: Any) -> int:
    try:
        mode = int(str(text), 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise InvalidInput(subject, expected="an octal mode such as 1777", found=str(text))
    return mode


def _parse_strings(subject: str, value: Mapping[str, Any]) -> Dict[str, str]:
    # For these options, docker_container also accepts numbers and booleans.
    return parse_mapping(subject, value, numbers=True, booleans=True)


def _parse_tmpfs_option(subject: str, item: Mapping[str, Any]) -> str:
    """Return one option as ``name=value``, or as a name alone."""
    ((name, value),) = item.items() if len(item) == 1 else (("", None),)
    if not isinstance(name, str) or not name or "=" in name or not isinstance(value, (str, type(None))):
        expected = "mappings of one name to a string or null"
        raise InvalidInput(subject, expected=expected, found=str(dict(item)))
    return name if value is None else f"{name}={value}"


def _normal_source(source: str) -> str:
    return posixpath.normpath(source) if source.startswith("/") else source


class _Part(NamedTuple):
    """One part of a mount.

    Attributes:
        path: of its value in the API's object.
        argument: the entry of the argument_spec; empty if the user cannot set it by this name.
        types: of the mounts that have it.
        since: the API version that introduced it.
        parse: subject of messages and user's value -> canonical value.
        render: canonical value -> API value.
        read: API value, None if it is missing -> canonical value.
    """

    path: str
    argument: Mapping[str, Any] = {}
    types: tuple[str, ...] = TYPES
    since: tuple[int, int] = _OLDEST
    parse: Callable[[str, Any], Any] = lambda subject, value: value
    render: Callable[[Any], Any] = lambda value: value
    read: Callable[[Any], Any] = lambda found: found or ""


def _flag(path: str, types: tuple[str, ...], since: tuple[int, int] = _OLDEST) -> _Part:
    return _Part(path, {"type": "bool"}, types, since, read=bool)


def _text(path: str, types: tuple[str, ...], since: tuple[int, int] = _OLDEST) -> _Part:
    return _Part(path, {"type": "str"}, types, since)


def _strings(path: str) -> _Part:
    return _Part(
        path,
        {"type": "dict"},
        ("volume",),
        parse=_parse_strings,
        render=dict,
        read=lambda found: dict(found or {}),
    )


def _tmpfs_number(path: str, parse: Callable[[str, Any], int]) -> _Part:
    return _Part(path, {"type": "str"}, ("tmpfs",), parse=parse, read=lambda found: found or 0)


_PARTS: Mapping[str, _Part] = {
    "type": _Part("Type", {"type": "str", "choices": list(TYPES), "default": "volume"}),
    "source": _Part(
        "Source",
        {"type": "str"},
        ("bind", "volume", "cluster", "image"),
        parse=lambda subject, value: _normal_source(value),
        read=lambda found: _normal_source(found or ""),
    ),
    "read_only": _flag("ReadOnly", TYPES),
    "consistency": _Part("Consistency", {"type": "str", "choices": [*CONSISTENCY, "default"]}),
    "propagation": _Part("BindOptions.Propagation", {"type": "str", "choices": list(PROPAGATION)}, ("bind",)),
    "create_mountpoint": _flag("BindOptions.CreateMountpoint", ("bind",), (1, 42)),
    "non_recursive": _flag("BindOptions.NonRecursive", ("bind",)),
    "read_only_non_recursive": _flag("BindOptions.ReadOnlyNonRecursive", ("bind",), (1, 44)),
    "read_only_force_recursive": _flag("BindOptions.ReadOnlyForceRecursive", ("bind",), (1, 44)),
    "no_copy": _flag("VolumeOptions.NoCopy", ("volume",)),
    "labels": _strings("VolumeOptions.Labels"),
    "volume_driver": _text("VolumeOptions.DriverConfig.Name", ("volume",)),
    "volume_options": _strings("VolumeOptions.DriverConfig.Options"),
    "subpath": _text("VolumeOptions.Subpath", ("volume",), (1, 45)),
    # The user's subpath, for mounts of type image.
    "image_subpath": _Part("ImageOptions.Subpath", {}, ("image",), (1, 48)),
    "tmpfs_size": _tmpfs_number("TmpfsOptions.SizeBytes", parse_bytes),
    "tmpfs_mode": _tmpfs_number("TmpfsOptions.Mode", _parse_mode),
    "tmpfs_options": _Part(
        "TmpfsOptions.Options",
        {"type": "list", "elements": "dict"},
        ("tmpfs",),
        (1, 46),
        parse=lambda subject, items: tuple(_parse_tmpfs_option(subject, item) for item in items),
        render=lambda value: [option.split("=", 1) for option in value],
        read=lambda found: tuple("=".join(option) for option in found or ()),
    ),
}

ARGUMENT: Mapping[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "target": {"type": "str", "required": True},
        **{name: part.argument for name, part in _PARTS.items() if part.argument},
    },
}


def parse_mounts(name: str, items: Iterable[Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """Parse mounts into a mapping of their targets to the parts that are set."""
    parsed: Dict[str, Dict[str, Any]] = {}
    for item in items:
        target = str(item["target"])
        if not target.startswith("/"):
            raise InvalidInput(f"{name} {target}", expected="an absolute target")
        target = posixpath.normpath(target)
        if target in parsed:
            raise InvalidInput(f"{name} {target}", problem=f"{name} {target}: mounted twice")
        parsed[target] = _parse_mount(f"{name} {target}", item)
    return parsed


def _parse_mount(subject: str, item: Mapping[str, Any]) -> Dict[str, Any]:
    kind = item.get("type") or "volume"
    parts = {key: value for key, value in item.items() if value is not None and key != "target"}
    if "subpath" in parts and kind == "image":
        parts["image_subpath"] = parts.pop("subpath")
    for key in parts:
        if kind not in _PARTS[key].types:
            # The value is not quoted: it may be a secret.
            problem = f"{subject}: {key} is not available for type {kind}"
            raise InvalidInput(f"{subject}: {key}", problem=problem, remedy="Leave it out")
    source = parts.get("source", "")
    if kind == "bind" and not source.startswith("/"):
        expected = "an absolute path on the host"
        raise InvalidInput(f"{subject}: source", expected=expected, found=source or "nothing")
    if kind in ("cluster", "image") and not source:
        raise InvalidInput(f"{subject}: source", expected=f"a source for type {kind}", found="nothing")
    if kind == "volume" and "/" in source:
        problem = f"{subject}: source: expected the name of a volume, found {source}"
        raise InvalidInput(f"{subject}: source", problem=problem, remedy="Set type: bind for a path")
    subpath = parts.get("subpath", parts.get("image_subpath", ""))
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise InvalidInput(f"{subject}: subpath", expected="a relative path without ..", found=subpath)
    return {
        "type": kind,
        **{key: _PARTS[key].parse(f"{subject}: {key}", value) for key, value in parts.items()},
    }


def needs_of_mounts(value: Mapping[str, Mapping[str, Any]]) -> Dict[str, tuple[int, int]]:
    """Return the parts that only newer APIs have, with the version that introduced each."""
    found: Dict[str, tuple[int, int]] = {}
    for target, mount in value.items():
        found.update({f"{target} {key}": _PARTS[key].since for key in mount if _PARTS[key].since > _OLDEST})
        if mount["type"] in _TYPE_SINCE:
            found[f"{target} type {mount['type']}"] = _TYPE_SINCE[mount["type"]]
    return found


def render_mounts(value: Mapping[str, Mapping[str, Any]]) -> list[Dict[str, Any]]:
    """Return the API's objects."""
    rendered = []
    for target in sorted(value):
        mount: Dict[str, Any] = {"Target": target}
        for key, part in value[target].items():
            place = mount
            *outer, last = _PARTS[key].path.split(".")
            for step in outer:
                place = place.setdefault(step, {})
            place[last] = _PARTS[key].render(part)
        rendered.append(mount)
    return rendered


def read_mounts(found: Iterable[Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """Return canonical mounts of the API's objects; parts that are not set are false or empty."""
    return {
        posixpath.normpath(mount["Target"]): {
            key: part.read(find(mount, part.path)) for key, part in _PARTS.items()
        }
        for mount in found
    }
