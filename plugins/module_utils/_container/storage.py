# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows for volumes, mounts and the root file system.

To add an option, follow the six steps in docs/development.md.
"""

from __future__ import annotations

import posixpath
import re
from typing import Any, Dict, Iterable, Mapping

from .._base.errors import InvalidInput
from . import rows
from .mounts import ARGUMENT as MOUNTS
from .mounts import needs_of_mounts, parse_mounts, read_mounts, render_mounts
from .names import parse_tmpfs_options
from .option import Body, ContainerOption, Kind
from .values import malformed, parse_binds, parse_bytes, read_binds, split_bind

_CONTAINER = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")


def _render_volumes(value: Iterable[str]) -> Body:
    binds = [item for item in value if split_bind(item)[0]]
    anonymous: Body = {item: {} for item in value if not split_bind(item)[0]}
    return {**({"Volumes": anonymous} if anonymous else {}), "HostConfig": {"Binds": binds}}


def _read_volumes(container: Mapping[str, Any]) -> tuple[str, ...]:
    binds, anonymous = rows.find(container, "HostConfig.Binds"), rows.find(container, "Config.Volumes")
    # A colon in the path of an anonymous volume belongs to the path.
    return tuple(dict.fromkeys((*read_binds(binds or ()), *map(posixpath.normpath, anonymous or ()))))


def _parse_tmpfs(name: str, items: Iterable[str]) -> Dict[str, str]:
    parsed: Dict[str, str] = {}
    for item in items:
        target, _separator, options = item.partition(":")
        if not target.startswith("/"):
            raise malformed(f"{name} {item}", f"the path {target!r} is not absolute")
        target = posixpath.normpath(target)
        if target in parsed:
            raise InvalidInput(f"{name} {target}", problem=f"{name} {target}: mounted twice")
        parsed[target] = parse_tmpfs_options(f"{name} {target}", options)
    return parsed


def _sorted_options(options: str) -> str:
    return ",".join(sorted(option for option in options.split(",") if option))


def _parse_volumes_from(name: str, item: str) -> str:
    container, separator, mode = item.partition(":")
    if not _CONTAINER.fullmatch(container):
        raise malformed(f"{name} {item}", f"{container!r} is not the name or ID of a container")
    unknown = next((flag for flag in mode.split(",") if flag not in ("ro", "rw", "z", "Z")), None)
    if separator and unknown is not None:
        raise malformed(f"{name} {item}", f"{unknown!r} is not a mode of a volume")
    return item


def _parse_shm_size(name: str, value: str) -> int:
    size = parse_bytes(name, value)
    if not size:
        raise InvalidInput(name, expected="a size above 0", found=value)
    return size


STORAGE: tuple[ContainerOption, ...] = (
    ContainerOption(
        "volumes",
        {"volumes": rows.LIST_OF_STRINGS},
        parse=rows.given("volumes", parse_binds),
        render=_render_volumes,
        read=_read_volumes,
        kind=Kind.SET,
    ),
    rows.value_option(
        "mounts",
        "HostConfig.Mounts",
        MOUNTS,
        parse=parse_mounts,
        render=render_mounts,
        read=lambda found: read_mounts(found or ()),
        kind=Kind.MAPPING,
        needs=needs_of_mounts,
        # They may contain the password of a network share.
        secrets=("volume_options",),
    ),
    rows.value_option(
        "tmpfs",
        "HostConfig.Tmpfs",
        rows.LIST_OF_STRINGS,
        parse=_parse_tmpfs,
        render=dict,
        read=lambda found: {
            posixpath.normpath(path): _sorted_options(options) for path, options in (found or {}).items()
        },
        kind=Kind.MAPPING,
    ),
    rows.set_option("volumes_from", "HostConfig.VolumesFrom", item=_parse_volumes_from),
    rows.text_option("volume_driver", "HostConfig.VolumeDriver"),
    rows.mapping_option("storage_opts", "HostConfig.StorageOpt", numbers=True),
    rows.flag_option("read_only", "HostConfig.ReadonlyRootfs"),
    rows.value_option(
        "shm_size",
        "HostConfig.ShmSize",
        {"type": "str"},
        parse=_parse_shm_size,
        read=lambda value: value or 0,
    ),
)
