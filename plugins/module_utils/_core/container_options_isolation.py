# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What keeps a container apart from its host, and what lets it through."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_names import CAPABILITIES
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import ContainerOption
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_rows import (
    filled_option,
    flag_option,
    mapping_option,
    set_option,
    text_option,
    value_option,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import parse_mapping
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

_DEVICE_RULE = re.compile(r"[acb] (?:\d+|\*):(?:\d+|\*) [rwm]{1,3}")
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
    capability = str(item).strip().upper()
    capability = capability[4:] if capability.startswith("CAP_") else capability
    if capability not in CAPABILITIES:
        raise InvalidInput(f"{name} {item!r}", expected="a capability such as NET_ADMIN, or ALL")
    return capability


def _read_capability(item: str) -> str:
    return item.upper()[4:] if item.upper().startswith("CAP_") else item.upper()


def _parse_device(name: str, item: str) -> str:
    host, container, permissions = (*str(item).split(":"), "", "")[:3]
    # As for the CLI, what looks like permissions in the second place is them.
    if container and not container.startswith("/") and not permissions and set(container) <= set("rwm"):
        container, permissions = "", container
    valid = str(item).count(":") < 3 and set(permissions) <= set("rwm")
    if not valid or not host.startswith("/") or not (container or host).startswith("/"):
        raise InvalidInput(f"{name} {item}", expected="path[:path in the container[:permissions out of rwm]]")
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
        raise InvalidInput(f"{name} count", expected="a number from -1 on", found=str(item["count"]))
    parts: Dict[str, Any] = {key: item.get(key) or default for key, (_field, default) in _REQUEST.items()}
    parts["options"] = parse_mapping(f"{name} options", item.get("options") or {}, numbers=True)
    return json.dumps(parts, sort_keys=True)


def _render_request(item: str) -> Dict[str, Any]:
    parts = json.loads(item)
    return {field: parts[key] for key, (field, _default) in _REQUEST.items()}


def _read_request(found: Mapping[str, Any]) -> str:
    return _parse_request("", {key: found.get(field) for key, (field, _default) in _REQUEST.items()})


def _parse_rule(name: str, item: str) -> str:
    if not _DEVICE_RULE.fullmatch(item):
        raise InvalidInput(f"{name} {item}", expected="a rule such as 'c 42:* rmw'")
    return item


def _parse_security(name: str, item: str) -> str:
    if item.startswith("systempaths"):
        raise InvalidInput(
            f"{name} {item}",
            expected="an option of the engine",
            found="one of Docker's CLI alone",
            remedy="Use privileged, or leave it out",
        )
    if not _SECURITY.fullmatch(item):
        raise InvalidInput(
            f"{name} {item}", expected="an option such as no-new-privileges or label=type:svirt_t"
        )
    return item


def _added_security(container: Mapping[str, Any]) -> tuple[str, ...]:
    """The engine itself switches labels off where a container shares namespaces of the host."""
    host_config = container.get("HostConfig") or {}
    shares = "host" in (host_config.get("PidMode"), host_config.get("IpcMode"))
    return ("label=disable",) if shares or host_config.get("Privileged") else ()


def _one_of(*values: str, container: bool = False) -> Any:
    """A parser for the modes of a namespace; ``container:NAME`` is the namespace of another container."""
    words = [*filter(None, values), *(["container:NAME"] if container else [])]

    def parse(name: str, value: str) -> str:
        if value not in values and not (container and re.fullmatch(r"container:.+", value)):
            raise InvalidInput(name, expected=" or ".join(words), found=repr(value))
        return value

    return parse


ISOLATION: tuple[ContainerOption, ...] = (
    flag_option("privileged", "HostConfig.Privileged"),
    set_option(
        "capabilities",
        "HostConfig.CapAdd",
        item=_parse_capability,
        read_item=_read_capability,
    ),
    set_option(
        "cap_drop",
        "HostConfig.CapDrop",
        item=_parse_capability,
        read_item=_read_capability,
    ),
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
        argument={
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
        # An empty one is the engine's default, and no wish.
        parse=lambda name, value: (
            _one_of("", "none", "private", "shareable", "host", container=True)(name, value) or None
        ),
    ),
    text_option("uts", "HostConfig.UTSMode", parse=_one_of("", "host")),
    value_option("cgroupns_mode", "HostConfig.CgroupnsMode", {"type": "str", "choices": ["host", "private"]}),
    filled_option("runtime", "HostConfig.Runtime"),
)
