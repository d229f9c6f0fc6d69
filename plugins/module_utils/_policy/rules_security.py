# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rules of a container's isolation: users, capabilities, namespaces, profiles.

What a rule is: :mod:`_policy.rules`.
"""

from __future__ import annotations

import re
from typing import Collection, List

from .bodies import MASKED_PATHS, MASKED_PATHS_SINCE_20_10, READONLY_PATHS
from .call import Json
from .decision import Refusal
from .scope import DROP, RuleResult, Scope, refuse_field

DEFAULT_CAPABILITIES = (
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "NET_RAW",
    "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
)  # fmt: skip
"""What a container has that asks for nothing."""
RESTRICTED_CAPABILITIES = ("NET_BIND_SERVICE",)
SAFE_SYSCTLS = (
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_fin_timeout",
)  # fmt: skip
"""The safe list of the Pod Security Standards."""
LOG_DRIVERS = ("", "json-file", "local", "none")
LOG_OPTIONS = (
    "max-size", "max-file", "compress", "labels", "labels-regex", "env", "env-regex", "tag", "mode", "max-buffer-size",
)  # fmt: skip
NO_NEW_PRIVILEGES = "no-new-privileges"
SAFE_PROFILES = ("seccomp=builtin", "apparmor=docker-default")
_USER = re.compile(r"[1-9][0-9]{0,9}(?::[1-9][0-9]{0,9})?\Z")
_GROUP = re.compile(r"[0-9]{1,10}\Z")
_THERMAL = re.compile(r"/sys/devices/system/cpu/cpu[0-9]+/thermal_throttle\Z")
_LARGEST_ID = 1 << 31
DEFAULT_MASKS = {
    "MaskedPaths": (MASKED_PATHS_SINCE_20_10, MASKED_PATHS),
    "ReadonlyPaths": (READONLY_PATHS, READONLY_PATHS),
}
"""What every engine has in these lists, and what some of them have."""
CGROUP_VERSION = 41
"""The minor version of the API from which on a container has a cgroup namespace of its own by default."""
RETRIES = 10
"""Of a container that may not restart forever; filled in if a client sets none."""


def user(scope: Scope, value: Json, where: str) -> RuleResult:
    if scope.policy.restricted and not (value and is_other_user(value)):
        raise Refusal(
            "value", f"{where or 'User'} is not a number other than 0",
            allowed="A user such as 1000 or 1000:1000", setting="level",
        )  # fmt: skip
    return DROP if value is None else value


def exec_user(scope: Scope, value: Json, where: str) -> RuleResult:
    # Without a user, a process in a container gets the container's, which was checked.
    return DROP if value is None else user(scope, value, where)


def is_other_user(text: str) -> bool:
    """Whether a user is a number other than 0."""
    return bool(_USER.match(text)) and all(int(part) < _LARGEST_ID for part in text.split(":"))


def capability(name: str) -> str:
    """Return the name of a capability as the tables have it."""
    upper = name.upper()
    return upper[4:] if upper.startswith("CAP_") else upper


def capabilities(scope: Scope, value: Json, where: str) -> RuleResult:
    allowed = RESTRICTED_CAPABILITIES if scope.policy.restricted else DEFAULT_CAPABILITIES
    for name in value:
        if capability(name) not in allowed:
            raise Refusal(
                "capability", f"{where} has a capability that is not allowed", allowed=", ".join(allowed)
            )
    return value


def dropped_capabilities(scope: Scope, value: Json, where: str) -> RuleResult:
    if scope.policy.restricted and "ALL" not in map(capability, value or []):
        raise Refusal("capability", f"{where} does not contain ALL", allowed="ALL", setting="level")
    return DROP if value is None else value


def security_options(scope: Scope, value: Json, where: str) -> RuleResult:
    kept: List[str] = []
    for text in value or []:
        # Engines take both separators.
        option = text.replace(":", "=", 1) if "=" not in text else text
        if option in (NO_NEW_PRIVILEGES, f"{NO_NEW_PRIVILEGES}=true"):
            kept.append(NO_NEW_PRIVILEGES)
        elif option in SAFE_PROFILES:
            kept.append(option)
        else:
            raise Refusal(
                "value", f"{where} has an option that is not allowed",
                allowed=", ".join((NO_NEW_PRIVILEGES, *SAFE_PROFILES)),
            )  # fmt: skip
    if scope.policy.restricted and scope.filling:
        kept.append(NO_NEW_PRIVILEGES)
    return list(dict.fromkeys(kept)) or DROP


def is_default_mask(name: str, value: Collection[str]) -> bool:
    """Whether a list of hidden (or read-only) paths is one that engines have by default."""
    required, known = DEFAULT_MASKS[name]
    return set(required) <= set(value) and all(path in known or _THERMAL.match(path) for path in value)


def _masks(name: str, value: Json, where: str) -> RuleResult:
    """An explicit list replaces the engine's. One that is the engine's own is left to it."""
    required, known = DEFAULT_MASKS[name]
    if not set(required) <= set(value):
        raise Refusal("value", f"{where} lacks paths that engines hide by default", allowed="Leave it out")
    return DROP if is_default_mask(name, value) else sorted({*value, *known})


def masked_paths(scope: Scope, value: Json, where: str) -> RuleResult:
    return _masks("MaskedPaths", value, where)


def readonly_paths(scope: Scope, value: Json, where: str) -> RuleResult:
    return _masks("ReadonlyPaths", value, where)


def host_namespace(scope: Scope, value: Json, where: str) -> RuleResult:
    raise Refusal(
        "namespace", f"{where} does not leave the container a namespace of its own", allowed="Leave it out"
    )


def cgroup_namespace(scope: Scope, value: Json, where: str) -> RuleResult:
    if value is not None:
        return host_namespace(scope, value, where)
    # With cgroups v1, engines give the host's namespace to clients of older versions that name none.
    minor = int(scope.call.version.rpartition(".")[2] or CGROUP_VERSION)
    return "private" if minor < CGROUP_VERSION else DROP


def joined_namespace(scope: Scope, value: Json, where: str) -> RuleResult:
    kind, mark, reference = value.partition(":")
    if kind != "container" or not mark or scope.policy.restricted:
        raise Refusal(
            "namespace", f"{where} is not a namespace that may be joined",
            allowed="Leave it out" if scope.policy.restricted else "container:NAME of a container of this identity",
        )  # fmt: skip
    return f"container:{scope.own_container(reference).id}"


def ipc_mode(scope: Scope, value: Json, where: str) -> RuleResult:
    return value if value in ("none", "shareable") else joined_namespace(scope, value, where)


def groups(scope: Scope, value: Json, where: str) -> RuleResult:
    host = scope.resources
    binds = [text for text in host.get("Binds", ()) if text.startswith("/") and ":" in text]
    binds += [mount for mount in host.get("Mounts", ()) if mount.get("Type") == "bind"]
    if binds:
        raise Refusal(
            "value", f"{where} is not allowed together with directories of the host", setting="binds"
        )
    if not all(_GROUP.match(text) for text in value):
        raise Refusal("value", f"{where} is not a list of numbers", allowed="Numbers of groups")
    return value


def sysctls(scope: Scope, value: Json, where: str) -> RuleResult:
    shared = str(scope.resources.get("NetworkMode", "")).startswith("container:")
    for name in value:
        if scope.policy.restricted or name not in SAFE_SYSCTLS or (shared and name.startswith("net.")):
            allowed = "Leave it out" if scope.policy.restricted or shared else ", ".join(SAFE_SYSCTLS)
            raise Refusal("value", f"{where} has a setting that is not allowed", allowed=allowed)
    return value


def log_config(scope: Scope, value: Json, where: str) -> RuleResult:
    if value.get("Type", "") not in LOG_DRIVERS:
        raise Refusal("value", f"{where}.Type is not allowed", allowed="json-file, local or none")
    for name in value.get("Config", {}):
        if name not in LOG_OPTIONS:
            raise Refusal(
                "value", f"{where}.Config has an option that is not allowed", allowed=", ".join(LOG_OPTIONS)
            )
    return value


def device_requests(scope: Scope, value: Json, where: str) -> RuleResult:
    for row in value:
        driver, names = row.get("Driver", ""), row.get("DeviceIDs", [])
        gpu = any("gpu" in words for words in row.get("Capabilities", []))
        wanted = names if driver == "cdi" else [driver or ("nvidia" if gpu else "")]
        if not wanted or any(name not in scope.policy.devices for name in wanted) or row.get("Options"):
            raise Refusal("value", f"{where} asks for a device that is not allowed",
                          allowed=", ".join(scope.policy.devices) or "None", setting="devices")  # fmt: skip
    return value


def restart_policy(scope: Scope, value: Json, where: str) -> RuleResult:
    name, count = value.get("Name", ""), value.get("MaximumRetryCount", 0)
    if not name and not count:
        return DROP
    allowed = ("no",) if scope.policy.restricted else scope.policy.restart
    endless = name == "on-failure" and "always" not in allowed and not 0 <= count <= RETRIES
    if name not in allowed or endless:
        shown = ", ".join(
            f"{text} with up to {RETRIES} tries" if text == "on-failure" else text for text in allowed
        )
        raise Refusal("restart", f"{where} is not allowed", allowed=shown, setting="restart")
    if name == "on-failure" and not count and "always" not in allowed:
        return {**value, "MaximumRetryCount": RETRIES}
    return value


def never(scope: Scope, value: Json, where: str) -> RuleResult:
    raise refuse_field(where)
