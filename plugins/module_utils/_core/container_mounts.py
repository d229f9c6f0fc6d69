# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Mounts, in the notation of docker_container's option ``mounts``.

Source: Docker Engine API reference, ``HostConfig.Mounts``.
"""

from __future__ import annotations

import posixpath
from typing import Any, Dict, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import (
    CONSISTENCY,
    PROPAGATION,
    parse_bytes,
    parse_mapping,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

TYPES = ("bind", "tmpfs", "volume", "cluster", "image")

ARGUMENT: Mapping[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "target": {"type": "str", "required": True},
        "source": {"type": "str"},
        "type": {"type": "str", "choices": list(TYPES), "default": "volume"},
        "read_only": {"type": "bool"},
        "consistency": {"type": "str", "choices": [*CONSISTENCY, "default"]},
        "propagation": {"type": "str", "choices": list(PROPAGATION)},
        "create_mountpoint": {"type": "bool"},
        "non_recursive": {"type": "bool"},
        "read_only_non_recursive": {"type": "bool"},
        "read_only_force_recursive": {"type": "bool"},
        "no_copy": {"type": "bool"},
        "labels": {"type": "dict"},
        "volume_driver": {"type": "str"},
        "volume_options": {"type": "dict"},
        "subpath": {"type": "str"},
        "tmpfs_size": {"type": "str"},
        "tmpfs_mode": {"type": "str"},
        "tmpfs_options": {"type": "list", "elements": "dict"},
    },
}

# Where each part of a mount is in the API's object, the types that have it, and the API version that brought it.
_PLACES: Mapping[str, tuple[str, tuple[str, ...], tuple[int, int]]] = {
    "type": ("Type", TYPES, (1, 41)),
    "source": ("Source", ("bind", "volume", "cluster", "image"), (1, 41)),
    "read_only": ("ReadOnly", TYPES, (1, 41)),
    "consistency": ("Consistency", TYPES, (1, 41)),
    "propagation": ("BindOptions.Propagation", ("bind",), (1, 41)),
    "create_mountpoint": ("BindOptions.CreateMountpoint", ("bind",), (1, 42)),
    "non_recursive": ("BindOptions.NonRecursive", ("bind",), (1, 41)),
    "read_only_non_recursive": ("BindOptions.ReadOnlyNonRecursive", ("bind",), (1, 44)),
    "read_only_force_recursive": ("BindOptions.ReadOnlyForceRecursive", ("bind",), (1, 44)),
    "no_copy": ("VolumeOptions.NoCopy", ("volume",), (1, 41)),
    "labels": ("VolumeOptions.Labels", ("volume",), (1, 41)),
    "volume_driver": ("VolumeOptions.DriverConfig.Name", ("volume",), (1, 41)),
    "volume_options": ("VolumeOptions.DriverConfig.Options", ("volume",), (1, 41)),
    "subpath": ("VolumeOptions.Subpath", ("volume",), (1, 45)),
    "image_subpath": ("ImageOptions.Subpath", ("image",), (1, 48)),
    "tmpfs_size": ("TmpfsOptions.SizeBytes", ("tmpfs",), (1, 41)),
    "tmpfs_mode": ("TmpfsOptions.Mode", ("tmpfs",), (1, 41)),
    "tmpfs_options": ("TmpfsOptions.Options", ("tmpfs",), (1, 46)),
}
_TYPE_SINCE = {"cluster": (1, 42), "image": (1, 48)}


def parse_mounts(name: str, items: Iterable[Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """Canonical mounts: by target, the parts that are set.

    Raises:
        InvalidInput: a mount is malformed, has a part that its type has not, or its target is used twice.
    """
    parsed: Dict[str, Dict[str, Any]] = {}
    for item in items:
        target = str(item["target"])
        if not target.startswith("/"):
            raise InvalidInput(f"{name} {target}", expected="an absolute target")
        target = posixpath.normpath(target)
        if target in parsed:
            raise InvalidInput(f"{name} {target}", expected="to be mounted once", found="twice")
        parsed[target] = _parse_mount(f"{name} {target}", item)
    return parsed


def _parse_mount(subject: str, item: Mapping[str, Any]) -> Dict[str, Any]:
    kind = item.get("type") or "volume"
    parts = {key: value for key, value in item.items() if value is not None and key != "target"}
    if "subpath" in parts and kind == "image":
        parts["image_subpath"] = parts.pop("subpath")
    for key in parts:
        if kind not in _PLACES[key][1]:
            raise InvalidInput(
                f"{subject}: {key}", expected=f"no such part for type {kind}", found=_shown(parts[key])
            )
    source = parts.get("source", "")
    if kind == "bind" and not source.startswith("/"):
        raise InvalidInput(
            f"{subject}: source", expected="an absolute path on the host", found=source or "nothing"
        )
    if kind in ("cluster", "image") and not source:
        raise InvalidInput(f"{subject}: source", expected=f"a source for type {kind}", found="nothing")
    if kind == "volume" and "/" in source:
        raise InvalidInput(
            f"{subject}: source",
            expected="the name of a volume",
            found=source,
            remedy="Set type: bind for a path",
        )
    subpath = parts.get("subpath", parts.get("image_subpath", ""))
    if subpath.startswith("/") or ".." in subpath.split("/"):
        raise InvalidInput(f"{subject}: subpath", expected="a relative path without ..", found=subpath)
    return {
        "type": kind,
        **{key: _parse_part(f"{subject}: {key}", key, value) for key, value in parts.items()},
    }


def _parse_part(subject: str, key: str, value: Any) -> Any:
    if key == "tmpfs_size":
        return parse_bytes(subject, value)
    if key == "tmpfs_mode":
        try:
            mode = int(str(value), 8)
        except ValueError:
            mode = -1
        if not 0 <= mode <= 0o7777:
            raise InvalidInput(subject, expected="an octal mode such as 1777", found=str(value))
        return mode
    if key == "source":
        return _normal_source(value)
    if key in ("labels", "volume_options"):
        # Here docker_container converts, other than elsewhere.
        return parse_mapping(subject, value, numbers=True, booleans=True)
    if key == "tmpfs_options":
        return tuple(_parse_tmpfs_option(subject, item) for item in value)
    return value


def _shown(part: Any) -> str:
    # A mapping may hold secrets.
    return "one" if isinstance(part, Mapping) else str(part)


def _normal_source(source: str) -> str:
    return posixpath.normpath(source) if source.startswith("/") else source


def _parse_tmpfs_option(subject: str, item: Mapping[str, Any]) -> str:
    """One option as ``name=value``, or as a name alone."""
    ((name, value),) = item.items() if len(item) == 1 else (("", None),)
    if not isinstance(name, str) or not name or "=" in name or not isinstance(value, (str, type(None))):
        raise InvalidInput(
            subject, expected="mappings of one name to a string or null", found=str(dict(item))
        )
    return name if value is None else f"{name}={value}"


def needs_of_mounts(value: Mapping[str, Mapping[str, Any]]) -> Dict[str, tuple[int, int]]:
    """Parts that only newer APIs know, with the version that brought them."""
    found: Dict[str, tuple[int, int]] = {}
    for target, mount in value.items():
        for key in mount:
            if _PLACES[key][2] > (1, 41):
                found[f"{target} {key}"] = _PLACES[key][2]
        if mount["type"] in _TYPE_SINCE:
            found[f"{target} type {mount['type']}"] = _TYPE_SINCE[mount["type"]]
    return found


def render_mounts(value: Mapping[str, Mapping[str, Any]]) -> list[Dict[str, Any]]:
    """The API's objects."""
    rendered = []
    for target in sorted(value):
        mount: Dict[str, Any] = {"Target": target}
        for key, part in value[target].items():
            place = mount
            *outer, last = _PLACES[key][0].split(".")
            for step in outer:
                place = place.setdefault(step, {})
            place[last] = _render_part(part)
        rendered.append(mount)
    return rendered


def _render_part(part: Any) -> Any:
    if isinstance(part, tuple):
        return [option.split("=", 1) for option in part]
    return dict(part) if isinstance(part, Mapping) else part


def read_mounts(found: Iterable[Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    """Canonical mounts of the API's objects, with every part that can be compared; what is not set is false or empty."""
    return {
        posixpath.normpath(mount["Target"]): {key: _read_part(mount, key) for key in _PLACES}
        for mount in found
    }


def _read_part(mount: Mapping[str, Any], key: str) -> Any:
    found: Any = mount
    for step in _PLACES[key][0].split("."):
        found = (found or {}).get(step)
    if key == "tmpfs_options":
        return tuple("=".join(option) for option in found or ())
    if key == "source":
        return _normal_source(found or "")
    if found is not None:
        return dict(found) if isinstance(found, Mapping) else found
    argument = ARGUMENT["options"].get(key, {"type": "str"})
    if key in ("tmpfs_size", "tmpfs_mode"):
        return 0
    return {"bool": False, "dict": {}}.get(argument["type"], "")
