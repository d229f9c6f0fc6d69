# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container sees of the host's files."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Body,
    Comparison,
    ContainerOption,
    find,
    flag_option,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import (
    parse_binds,
    split_bind,
)


def _render_volumes(value: Iterable[str]) -> Body:
    binds = [item for item in value if split_bind(item)[0]]
    anonymous: Body = {item: {} for item in value if not split_bind(item)[0]}
    return {**({"Volumes": anonymous} if anonymous else {}), "HostConfig": {"Binds": binds}}



def _read_volumes(container: Mapping[str, Any]) -> tuple[str, ...]:
    return parse_binds(
        "volumes",
        [*(find(container, "HostConfig.Binds") or ()), *(find(container, "Config.Volumes") or ())],
    )



STORAGE: tuple[ContainerOption, ...] = (
    ContainerOption(
        "volumes",
        {"volumes": {"type": "list", "elements": "str"}},
        parse=lambda params: (
            None if params.get("volumes") is None else parse_binds("volumes", params["volumes"])
        ),
        render=_render_volumes,
        read=_read_volumes,
        comparison=Comparison.CONTAINS,
    ),
    flag_option("read_only", "HostConfig.ReadonlyRootfs"),
)
