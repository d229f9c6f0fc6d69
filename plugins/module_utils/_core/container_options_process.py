# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a container's main process runs: what, as whom, and how it ends."""

from __future__ import annotations

import posixpath
import re
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_names import (
    parse_host_name,
    parse_plain_name,
    parse_user,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Body,
    Comparison,
    ContainerOption,
    Kind,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_rows import (
    LIST_OF_STRINGS,
    filled_option,
    find,
    flag_option,
    given,
    mapping_option,
    number_option,
    parse_words,
    place,
    set_option,
    text_option,
    value_option,
    words_option,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import parse_duration
from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import NO_ENTRYPOINT
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

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
    """A signal by its number, or by its name with ``SIG`` before it.

    Raises:
        InvalidInput: it is neither.
    """
    found = _SIGNAL.fullmatch(value)
    if not found:
        raise InvalidInput(name, expected="a signal such as SIGTERM", found=repr(value))
    return found.group(2) or f"SIG{found.group(1).upper()}"


def _parse_entrypoint(name: str, value: Any) -> Optional[tuple[str, ...]]:
    words = parse_words(name, value)
    return () if words == NO_ENTRYPOINT else words


def _read_entrypoint(container: Mapping[str, Any]) -> tuple[str, ...]:
    found = tuple(find(container, "Config.Entrypoint") or ())
    return () if found == NO_ENTRYPOINT else found


def _parse_path(name: str, value: str) -> str:
    if not value.startswith("/"):
        raise InvalidInput(name, expected="an absolute path", found=value)
    return posixpath.normpath(value)


def _read_signal(value: Optional[str]) -> str:
    return parse_signal("stop_signal", value) if value else ""


def _parse_restart(params: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    name, retries = params.get("restart_policy"), params.get("restart_retries")
    if retries is not None and name != "on-failure":
        raise InvalidInput(
            "restart_retries",
            expected="restart_policy on-failure beside it",
            found=str(name or "no restart_policy"),
        )
    if retries is not None and retries < 0:
        raise InvalidInput("restart_retries", expected="a number from 0 on", found=str(retries))
    if name is None:
        return None
    return {"Name": name, **({} if retries is None else {"MaximumRetryCount": retries})}


def _read_restart(container: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(find(container, "HostConfig.RestartPolicy") or {})
    return {**found, "Name": found.get("Name") or "no"}


def _update_restart(
    value: Mapping[str, Any], values: Mapping[str, Any], host_config: Mapping[str, Any]
) -> Optional[Body]:
    # The engine gives none to a container that it removes when it has ended.
    refused = value["Name"] != "no" and host_config.get("AutoRemove")
    return None if refused else {"RestartPolicy": dict(value)}


def _parse_healthcheck(name: str, value: Mapping[str, Any]) -> dict[str, Any]:
    parsed: dict[str, Any] = {}
    for key in _DURATIONS:
        if value.get(key) is not None:
            parsed[key] = parse_duration(f"{name} {key}", value[key])
    if value.get("retries") is not None:
        if value["retries"] < 0:
            raise InvalidInput(f"{name} retries", expected="a number from 0 on", found=str(value["retries"]))
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
    return place("Config.Healthcheck", body)


def _read_healthcheck(container: Mapping[str, Any]) -> dict[str, Any]:
    found = find(container, "Config.Healthcheck")
    if not found:
        return {**dict.fromkeys((*_DURATIONS, "retries"), 0), **_NO_HEALTHCHECK}
    read = {key: found.get(field) or 0 for key, field in _DURATIONS.items()}
    return {**read, "retries": found.get("Retries") or 0, "test": tuple(found.get("Test") or ())}


def with_image_healthcheck(value: Mapping[str, Any], image_config: Mapping[str, Any]) -> dict[str, Any]:
    """A canonical healthcheck as the engine takes it: where it says 0, it is the image's (moby: ``runconfig.Merge``)."""
    own = _read_healthcheck({"Config": image_config})
    return {key: part or own[key] for key, part in value.items()}


PROCESS: tuple[ContainerOption, ...] = (
    words_option("command", "Config.Cmd", {"type": "raw"}),
    ContainerOption(
        "entrypoint",
        {"entrypoint": LIST_OF_STRINGS},
        parse=given("entrypoint", _parse_entrypoint),
        render=lambda value: place("Config.Entrypoint", list(value) or list(NO_ENTRYPOINT)),
        read=_read_entrypoint,
        kind=Kind.LIST,
    ),
    mapping_option(
        "env",
        "Config.Env",
        separator="=",
        arguments={"env": {"type": "dict"}, "env_file": {"type": "path"}},
        shown=("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CONTEXT"),
    ),
    filled_option("user", "Config.User", parse=parse_user),
    set_option("groups", "HostConfig.GroupAdd", item=lambda name, one: parse_plain_name(name, str(one))),
    value_option(
        "working_dir",
        "Config.WorkingDir",
        {"type": "str"},
        parse=_parse_path,
        read=lambda value: posixpath.normpath(value) if value else "",
    ),
    filled_option("hostname", "Config.Hostname", parse=parse_host_name),
    text_option("domainname", "Config.Domainname", parse=parse_host_name),
    mapping_option("labels", "Config.Labels"),
    flag_option("tty", "Config.Tty"),
    flag_option("interactive", "Config.OpenStdin"),
    flag_option("init", "HostConfig.Init"),
    value_option("stop_signal", "Config.StopSignal", {"type": "str"}, parse=parse_signal, read=_read_signal),
    number_option(
        "stop_timeout",
        "Config.StopTimeout",
        -1,
        2**31,
        read=lambda value: value,
        compared=Comparison.IGNORE,
    ),
    ContainerOption(
        "healthcheck",
        {
            "healthcheck": {
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
            }
        },
        parse=given("healthcheck", _parse_healthcheck),
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
        render=lambda value: {"HostConfig": {"RestartPolicy": dict(value)}},
        read=_read_restart,
        kind=Kind.MAPPING,
        update=_update_restart,
        contributed=lambda container: ("MaximumRetryCount",),
    ),
    flag_option("auto_remove", "HostConfig.AutoRemove"),
    filled_option("log_driver", "HostConfig.LogConfig.Type"),
    mapping_option(
        "log_options",
        "HostConfig.LogConfig.Config",
        numbers=True,
        arguments={"log_options": {"type": "dict", "aliases": ["log_opt"]}},
        secrets=("splunk-token", "logentries-token"),
    ),
)
