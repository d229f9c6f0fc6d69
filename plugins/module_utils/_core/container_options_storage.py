# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container sees of the host's files, and what it has of its own."""

from __future__ import annotations

import posixpath
import re
from typing import Any, Dict, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_mounts import (
    ARGUMENT as MOUNTS,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_mounts import (
    needs_of_mounts,
    parse_mounts,
    read_mounts,
    render_mounts,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_names import parse_tmpfs_options
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Body,
    ContainerOption,
    Kind,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_rows import (
    LIST_OF_STRINGS,
    find,
    flag_option,
    given,
    mapping_option,
    set_option,
    text_option,
    value_option,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import (
    parse_binds,
    parse_bytes,
    read_binds,
    split_bind,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

_VOLUMES_FROM = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*(?::(?:ro|rw|z|Z)(?:,(?:ro|rw|z|Z))*)?")


def _render_volumes(value: Iterable[str]) -> Body:
    binds = [item for item in value if split_bind(item)[0]]
    anonymous: Body = {item: {} for item in value if not split_bind(item)[0]}
    return {**({"Volumes": anonymous} if anonymous else {}), "HostConfig": {"Binds": binds}}


def _read_volumes(container: Mapping[str, Any]) -> tuple[str, ...]:
    return read_binds(
        [*(find(container, "HostConfig.Binds") or ()), *(find(container, "Config.Volumes") or ())]
    )


def _parse_tmpfs(name: str, items: Iterable[str]) -> Dict[str, str]:
    parsed: Dict[str, str] = {}
    for item in items:
        target, _separator, options = item.partition(":")
        if not target.startswith("/"):
            raise InvalidInput(f"{name} {item}", expected="an absolute path, then options after a colon")
        target = posixpath.normpath(target)
        if target in parsed:
            raise InvalidInput(f"{name} {target}", expected="to be mounted once", found="twice")
        parsed[target] = parse_tmpfs_options(f"{name} {target}", options)
    return parsed


def _sorted_options(options: str) -> str:
    return ",".join(sorted(option for option in options.split(",") if option))


def _parse_volumes_from(name: str, item: str) -> str:
    if not _VOLUMES_FROM.fullmatch(item):
        raise InvalidInput(f"{name} {item}", expected="a container, then ro or rw after a colon")
    return item


def _parse_shm_size(name: str, value: str) -> int:
    size = parse_bytes(name, value)
    if not size:
        raise InvalidInput(name, expected="more than nothing", found=value)
    return size


STORAGE: tuple[ContainerOption, ...] = (
    ContainerOption(
        "volumes",
        {"volumes": LIST_OF_STRINGS},
        parse=given("volumes", parse_binds),
        render=_render_volumes,
        read=_read_volumes,
        kind=Kind.SET,
    ),
    ContainerOption(
        "mounts",
        {"mounts": MOUNTS},
        parse=given("mounts", parse_mounts),
        render=lambda value: {"HostConfig": {"Mounts": render_mounts(value)}},
        read=lambda container: read_mounts(find(container, "HostConfig.Mounts") or ()),
        kind=Kind.MAPPING,
        needs=needs_of_mounts,
        # Such as the password for a share of another host.
        secrets=("volume_options",),
    ),
    ContainerOption(
        "tmpfs",
        {"tmpfs": LIST_OF_STRINGS},
        parse=given("tmpfs", _parse_tmpfs),
        render=lambda value: {"HostConfig": {"Tmpfs": dict(value)}},
        read=lambda container: {
            posixpath.normpath(path): _sorted_options(options)
            for path, options in (find(container, "HostConfig.Tmpfs") or {}).items()
        },
        kind=Kind.MAPPING,
    ),
    set_option("volumes_from", "HostConfig.VolumesFrom", item=_parse_volumes_from),
    text_option("volume_driver", "HostConfig.VolumeDriver"),
    mapping_option("storage_opts", "HostConfig.StorageOpt", numbers=True),
    flag_option("read_only", "HostConfig.ReadonlyRootfs"),
    value_option(
        "shm_size",
        "HostConfig.ShmSize",
        {"type": "str"},
        parse=_parse_shm_size,
        read=lambda value: value or 0,
    ),
)
