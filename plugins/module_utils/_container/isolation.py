# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows for privileges, devices and namespaces.

To add an option, follow the six steps in docs/development.md.
"""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Mapping

from .._base.errors import InvalidInput
from .inspection import host_config_of
from .names import CAPABILITIES
from .option import ContainerOption
from .rows import filled_option, flag_option, mapping_option, set_option, text_option, value_option
from .values import malformed, parse_mapping

_DEVICE_RULE = tuple(map(re.compile, (r"[acb]", r"(?:\d+|\*):(?:\d+|\*)", r"[rwm]{1,3}")))
_SECURITY = re.compile(
    r"no-new-privileges|(?:label|apparmor|seccomp|no-new-privileges|writable-cgroups)[=:].+", re.DOTALL
)
_REQUEST = {
    "driver": ("Driver", ""),
    "count": ("Count", 0),
    "device_ids": ("DeviceIDs", []),
    "capabilities": ("Capabilities", []),
    "options": ("Options", {}),
}


def _parse_capability(name: str, item: str) -> str:
    capability = _read_capability(str(item).strip())
    if capability not in CAPABILITIES:
        raise InvalidInput(f"{name} {item!r}", expected="a capability such as NET_ADMIN, or ALL")
    return capability


def _read_capability(item: str) -> str:
    return item.upper().removeprefix("CAP_")


def _parse_device(name: str, item: str) -> str:
    parts = str(item).split(":")
    host, container, permissions = (*parts, "", "")[:3]
    # Like the CLI, read permissions in the second place as such.
    if container and not container.startswith("/") and not permissions and set(container) <= set("rwm"):
        container, permissions = "", container
    subject = f"{name} {item}"
    if len(parts) > 3:
        remedy = "Give at most a device, a path in the container, and permissions"
        raise malformed(subject, f"it has {len(parts)} parts between colons", remedy)
    if not host.startswith("/"):
        raise malformed(subject, f"the path of the device, {host!r}, is not absolute")
    if not (container or host).startswith("/"):
        raise malformed(subject, f"the path in the container, {container!r}, is not absolute")
    unknown = next((letter for letter in permissions if letter not in "rwm"), "")
    if unknown:
        raise malformed(subject, f"{unknown!r} is not a permission", "Use r, w and m")
    return f"{host}:{container or host}:{''.join(p for p in 'rwm' if p in permissions) or 'rwm'}"


def _render_device(item: str) -> Dict[str, str]:
    host, container, permissions = item.split(":")
    return {"PathOnHost": host, "PathInContainer": container, "CgroupPermissions": permissions}


def _read_device(found: Mapping[str, str]) -> str:
    return _parse_device(
        "devices", ":".join(found[key] for key in ("PathOnHost", "PathInContainer", "CgroupPermissions"))
    )


def _parse_request(name: str, item: Mapping[str, Any]) -> str:
    if item.get("count") and item.get("device_ids"):
        raise InvalidInput(name, expected="count or device_ids", found="both")
    if (item.get("count") or 0) < -1:
        raise InvalidInput(f"{name} count", expected="a number of at least -1", found=str(item["count"]))
    parts: Dict[str, Any] = {key: item.get(key) or default for key, (_field, default) in _REQUEST.items()}
    parts["options"] = parse_mapping(f"{name} options", item.get("options") or {}, numbers=True)
    return json.dumps(parts, sort_keys=True)


def _render_request(item: str) -> Dict[str, Any]:
    parts = json.loads(item)
    return {field: parts[key] for key, (field, _default) in _REQUEST.items()}


def _read_request(found: Mapping[str, Any]) -> str:
    return _parse_request("", {key: found.get(field) for key, (field, _default) in _REQUEST.items()})


def _parse_rule(name: str, item: str) -> str:
    subject, words = f"{name} {item}", item.split(" ")
    if len(words) != 3:
        what = f"it has {len(words)} words instead of 3"
        raise malformed(subject, what, "Give a type, major:minor, and permissions")
    for pattern, word, what in zip(_DEVICE_RULE, words, ("a type (a, b or c)", "major:minor", "permissions")):
        if not pattern.fullmatch(word):
            raise malformed(subject, f"{word!r} is not {what}")
    return item


def _parse_security(name: str, item: str) -> str:
    if item.startswith("systempaths"):
        problem = f"{name} {item} is an option of Docker's CLI, which the engine does not have"
        raise InvalidInput(f"{name} {item}", problem=problem, remedy="Use privileged, or leave it out")
    if not _SECURITY.fullmatch(item):
        expected = "an option such as no-new-privileges or label=type:svirt_t"
        raise InvalidInput(f"{name} {item}", expected=expected)
    return item


def _added_security(container: Mapping[str, Any]) -> tuple[str, ...]:
    """The engine disables labels for a container that shares namespaces of the host."""
    host_config = host_config_of(container)
    shares = "host" in (host_config.get("PidMode"), host_config.get("IpcMode"))
    return ("label=disable",) if shares or host_config.get("Privileged") else ()


def _one_of(*values: str, container: bool = False) -> Any:
    """Return a parser for modes of a namespace; ``container:NAME`` is that of another container."""
    words = [*filter(None, values), *(["container:NAME"] if container else [])]

    def parse(name: str, value: str) -> str:
        if value not in values and not (container and re.fullmatch(r"container:.+", value)):
            raise InvalidInput(name, expected=" or ".join(words), found=repr(value))
        return value

    return parse


ISOLATION: tuple[ContainerOption, ...] = (
    flag_option("privileged", "HostConfig.Privileged"),
    set_option("capabilities", "HostConfig.CapAdd", item=_parse_capability, read_item=_read_capability),
    set_option("cap_drop", "HostConfig.CapDrop", item=_parse_capability, read_item=_read_capability),
    set_option("security_opts", "HostConfig.SecurityOpt", item=_parse_security, contributed=_added_security),
    set_option(
        "devices",
        "HostConfig.Devices",
        item=_parse_device,
        render_item=_render_device,
        read_item=_read_device,
    ),
    set_option(
        "device_requests",
        "HostConfig.DeviceRequests",
        {
            "type": "list",
            "elements": "dict",
            "options": {
                "capabilities": {"type": "list", "elements": "list"},
                "count": {"type": "int"},
                "device_ids": {"type": "list", "elements": "str"},
                "driver": {"type": "str"},
                "options": {"type": "dict"},
            },
        },
        item=_parse_request,
        render_item=_render_request,
        read_item=_read_request,
    ),
    set_option("device_cgroup_rules", "HostConfig.DeviceCgroupRules", item=_parse_rule),
    mapping_option("sysctls", "HostConfig.Sysctls", numbers=True),
    text_option("userns_mode", "HostConfig.UsernsMode", parse=_one_of("", "host")),
    text_option("pid_mode", "HostConfig.PidMode", parse=_one_of("", "host", container=True)),
    value_option(
        "ipc_mode",
        "HostConfig.IpcMode",
        {"type": "str"},
        # An empty mode means "not set".
        parse=lambda name, value: (
            _one_of("", "none", "private", "shareable", "host", container=True)(name, value) or None
        ),
    ),
    text_option("uts", "HostConfig.UTSMode", parse=_one_of("", "host")),
    value_option("cgroupns_mode", "HostConfig.CgroupnsMode", {"type": "str", "choices": ["host", "private"]}),
    filled_option("runtime", "HostConfig.Runtime"),
)
