# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows for the main process: its command, user, environment, healthcheck, restart and logs.

To add an option, follow the six steps in docs/development.md.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any, Iterable, Mapping, Optional

from .._base.errors import InvalidInput
from . import rows
from .inspection import NO_ENTRYPOINT
from .names import parse_host_name, parse_plain_name, parse_user
from .option import Body, Comparison, ContainerOption, Kind
from .values import parse_duration

RESTART_POLICIES = ("no", "on-failure", "always", "unless-stopped")

_SIGNAL = re.compile(r"(?:SIG)?([A-Z][A-Z0-9]*(?:[+-]\d+)?)|(\d{1,2})", re.IGNORECASE)
_DURATIONS = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start_period": "StartPeriod",
    "start_interval": "StartInterval",
}
_NO_HEALTHCHECK = {"test": ("NONE",)}


def parse_signal(name: str, value: str) -> str:
    """Return a signal as a number, or as a name with the prefix ``SIG``."""
    found = _SIGNAL.fullmatch(value)
    if not found:
        raise InvalidInput(name, expected="a signal such as SIGTERM", found=repr(value))
    return found.group(2) or f"SIG{found.group(1).upper()}"


def _parse_entrypoint(name: str, value: Any) -> Optional[tuple[str, ...]]:
    words = rows.parse_words(name, value)
    return () if words == NO_ENTRYPOINT else words


def _read_entrypoint(found: Optional[Iterable[str]]) -> tuple[str, ...]:
    words = tuple(found or ())
    return () if words == NO_ENTRYPOINT else words


def _parse_path(name: str, value: str) -> Optional[str]:
    if not value:
        return None
    if not value.startswith("/"):
        raise InvalidInput(name, expected="an absolute path", found=value)
    return posixpath.normpath(value)


def _read_signal(value: Optional[str]) -> str:
    return parse_signal("stop_signal", value) if value else ""


def _parse_restart(params: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    name, retries = params.get("restart_policy"), params.get("restart_retries")
    if retries is not None and name != "on-failure":
        problem = f"restart_retries is set, but restart_policy is {name or 'not set'}"
        raise InvalidInput("restart_retries", problem=problem, remedy="Set restart_policy: on-failure")
    if retries is not None and retries < 0:
        raise InvalidInput("restart_retries", expected="a number of at least 0", found=str(retries))
    if name is None:
        return None
    return {"Name": name, **({} if retries is None else {"MaximumRetryCount": retries})}


def _read_restart(container: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(rows.find(container, "HostConfig.RestartPolicy") or {})
    return {**found, "Name": found.get("Name") or "no"}


def _update_restart(
    value: Mapping[str, Any], values: Mapping[str, Any], host_config: Mapping[str, Any]
) -> Optional[Body]:
    # The engine rejects a restart policy for a container with AutoRemove.
    rejected = value["Name"] != "no" and host_config.get("AutoRemove")
    return None if rejected else {"RestartPolicy": dict(value)}


def _parse_healthcheck(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for key in _DURATIONS:
        if value.get(key) is not None:
            parsed[key] = parse_duration(f"{name} {key}", value[key])
    if value.get("retries") is not None:
        if value["retries"] < 0:
            found = str(value["retries"])
            raise InvalidInput(f"{name} retries", expected="a number of at least 0", found=found)
        parsed["retries"] = value["retries"]
    test = _parse_test(f"{name} test", value.get("test"))
    if test == ("NONE",) or (not test and not value.get("test_cli_compatible")):
        return dict(_NO_HEALTHCHECK)
    return {**parsed, **({"test": test} if test else {})}


def _parse_test(name: str, value: Any) -> tuple[str, ...]:
    if value is None or value in ("", []):
        return ()
    if isinstance(value, str):
        return ("CMD-SHELL", value)
    words = value if isinstance(value, (list, tuple)) else [None]
    if any(isinstance(word, bool) or not isinstance(word, (str, int, float)) for word in words):
        raise InvalidInput(name, expected="a string or a list of strings", found=repr(value))
    value = tuple(str(word) for word in words)
    if value[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise InvalidInput(name, expected="a list that begins with NONE, CMD or CMD-SHELL", found=value[0])
    if value[0] != "NONE" and len(value) < 2:
        raise InvalidInput(name, expected=f"a command after {value[0]}", found="nothing")
    return ("NONE",) if value[0] == "NONE" else tuple(value)


def _render_healthcheck(value: Mapping[str, Any]) -> Body:
    body: Body = {_DURATIONS[key]: value[key] for key in value if key in _DURATIONS}
    if "test" in value:
        body["Test"] = list(value["test"])
    if "retries" in value:
        body["Retries"] = value["retries"]
    return body


def _read_healthcheck(found: Optional[Mapping[str, Any]]) -> dict[str, Any]:
    if not found:
        return {**dict.fromkeys((*_DURATIONS, "retries"), 0), **_NO_HEALTHCHECK}
    read = {key: found.get(field) or 0 for key, field in _DURATIONS.items()}
    return {**read, "retries": found.get("Retries") or 0, "test": tuple(found.get("Test") or ())}


def with_image_healthcheck(value: Mapping[str, Any], image_config: Mapping[str, Any]) -> dict[str, Any]:
    """Replace 0 in a healthcheck by the image's value, like moby's ``runconfig.Merge``."""
    own = _read_healthcheck(image_config.get("Healthcheck"))
    return {key: part or own[key] for key, part in value.items()}


PROCESS: tuple[ContainerOption, ...] = (
    # An empty command means "not set": the engine then uses the image's.
    rows.list_option("command", "Config.Cmd", {"type": "raw"}, parse=rows.parse_words),
    rows.list_option(
        "entrypoint",
        "Config.Entrypoint",
        parse=_parse_entrypoint,
        render=lambda value: list(value or NO_ENTRYPOINT),
        read=_read_entrypoint,
    ),
    rows.mapping_option(
        "env",
        "Config.Env",
        separator="=",
        arguments={"env": {"type": "dict"}, "env_file": {"type": "path"}},
        shown=("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CONTEXT"),
    ),
    rows.filled_option("user", "Config.User", parse=parse_user),
    rows.set_option("groups", "HostConfig.GroupAdd", item=lambda name, one: parse_plain_name(name, str(one))),
    rows.value_option(
        "working_dir",
        "Config.WorkingDir",
        {"type": "str"},
        parse=_parse_path,
        read=lambda value: posixpath.normpath(value) if value else "",
    ),
    rows.filled_option("hostname", "Config.Hostname", parse=parse_host_name),
    rows.text_option("domainname", "Config.Domainname", parse=parse_host_name),
    rows.mapping_option("labels", "Config.Labels"),
    rows.flag_option("tty", "Config.Tty"),
    rows.flag_option("interactive", "Config.OpenStdin"),
    rows.flag_option("init", "HostConfig.Init"),
    rows.value_option(
        "stop_signal",
        "Config.StopSignal",
        {"type": "str"},
        parse=lambda name, value: parse_signal(name, value) if value else None,
        read=_read_signal,
    ),
    rows.number_option(
        "stop_timeout",
        "Config.StopTimeout",
        (-1, 2**31),
        read=lambda found: found,
        compared=Comparison.IGNORE,
    ),
    rows.value_option(
        "healthcheck",
        "Config.Healthcheck",
        {
            "type": "dict",
            "options": {
                "test": {"type": "raw"},
                "test_cli_compatible": {"type": "bool", "default": False},
                "interval": {"type": "str"},
                "timeout": {"type": "str"},
                "start_period": {"type": "str"},
                "start_interval": {"type": "str"},
                "retries": {"type": "int"},
            },
        },
        parse=_parse_healthcheck,
        render=_render_healthcheck,
        read=_read_healthcheck,
        kind=Kind.MAPPING,
        needs=lambda value: {"start_interval": (1, 44)} if "start_interval" in value else {},
        contributed=lambda container: (*_DURATIONS, "retries", "test"),
    ),
    ContainerOption(
        "restart_policy",
        {
            "restart_policy": {"type": "str", "choices": list(RESTART_POLICIES)},
            "restart_retries": {"type": "int"},
        },
        parse=_parse_restart,
        render=lambda value: rows.place("HostConfig.RestartPolicy", dict(value)),
        read=_read_restart,
        kind=Kind.MAPPING,
        update=_update_restart,
        contributed=lambda container: ("MaximumRetryCount",),
    ),
    rows.flag_option("auto_remove", "HostConfig.AutoRemove"),
    rows.filled_option("log_driver", "HostConfig.LogConfig.Type"),
    rows.mapping_option(
        "log_options",
        "HostConfig.LogConfig.Config",
        {"type": "dict", "aliases": ["log_opt"]},
        numbers=True,
        secrets=("splunk-token", "logentries-token"),
    ),
)
