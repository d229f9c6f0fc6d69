# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a container may use up."""

from __future__ import annotations

from typing import Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Body,
    ContainerOption,
    value_option,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import (
    parse_bytes,
)


def _memory_update(value: int) -> Optional[Body]:
    # The swap is what the engine chooses at creation; to an update, 0 means "as before", not "no limit".
    return {"Memory": value, "MemorySwap": 2 * value} if value else None



RESOURCES: tuple[ContainerOption, ...] = (
    value_option(
        "memory",
        "HostConfig.Memory",
        {"type": "str"},
        parse=parse_bytes,
        update=_memory_update,
        requires="MemoryLimit",
    ),
)
