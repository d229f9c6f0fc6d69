# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How a container's main process runs: what, as whom, with what around it."""

from __future__ import annotations

import posixpath
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Comparison,
    ContainerOption,
    find,
    flag_option,
    mapping_option,
    set_option,
    value_option,
    words_option,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    InvalidInput,
)


def _parse_path(name: str, value: str) -> str:
    if not value.startswith("/"):
        raise InvalidInput(name, expected="an absolute path", found=value)
    return posixpath.normpath(value)



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



PROCESS: tuple[ContainerOption, ...] = (
    words_option("command", "Config.Cmd", {"type": "raw"}),
    words_option("entrypoint", "Config.Entrypoint", {"type": "list", "elements": "str"}),
    mapping_option(
        "env", "Config.Env", separator="=", shown=("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")
    ),
    value_option("user", "Config.User", {"type": "str"}),
    set_option("groups", "HostConfig.GroupAdd", {"type": "list", "elements": "str"}),
    value_option(
        "working_dir",
        "Config.WorkingDir",
        {"type": "str"},
        parse=_parse_path,
        read=lambda value: posixpath.normpath(value) if value else "",
    ),
    value_option("hostname", "Config.Hostname", {"type": "str"}),
    mapping_option("labels", "Config.Labels"),
    ContainerOption(
        "restart_policy",
        {
            "restart_policy": {"type": "str", "choices": ["no", "on-failure", "always", "unless-stopped"]},
            "restart_retries": {"type": "int"},
        },
        parse=_parse_restart,
        render=lambda value: {"HostConfig": {"RestartPolicy": dict(value)}},
        read=_read_restart,
        comparison=Comparison.CONTAINS,
        update=lambda value: {"RestartPolicy": dict(value)},
    ),
    flag_option("init", "HostConfig.Init"),
    flag_option("privileged", "HostConfig.Privileged"),
)
