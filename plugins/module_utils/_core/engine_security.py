# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an engine confines its containers, as far as that decides what a mount is worth to them.

Sources: Engine API, ``GET /info`` (``SecurityOptions``, ``DockerRootDir``); dockerd reference, "Daemon user namespace
options": the data of an engine that remaps users is in a directory that the remapped root's numbers name, such as
``/var/lib/docker/100000.100000``; ``docker run`` reference, "--volume" (``:z``), "--userns", "--security-opt".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_users import IdMap

_RANGE = 65536
"""How many numbers a subordinate range has, as useradd(8) gives them out and as dockerd asks for them."""


@dataclass(frozen=True)
class EngineSecurity:
    """What an engine says of itself.

    Attributes:
        selinux: whether it confines containers by SELinux (``selinux-enabled``). A host with SELinux whose engine does
            not use it confines no container.
        rootless: whether it runs without root, in a network namespace of its own.
        remapped: whether it maps users of containers to others of the host (``userns-remap``).
        uid_maps, gid_maps: how; empty if it does not, or if it does not tell.
    """

    selinux: bool = False
    rootless: bool = False
    remapped: bool = False
    uid_maps: tuple[IdMap, ...] = ()
    gid_maps: tuple[IdMap, ...] = ()


def parse_security(info: Mapping[str, Any]) -> EngineSecurity:
    """What ``GET /info`` tells of it."""
    names = {str(item).partition("name=")[2].split(",")[0] for item in info.get("SecurityOptions") or ()}
    remapped = "userns" in names
    uids: tuple[IdMap, ...] = ()
    gids: tuple[IdMap, ...] = ()
    root = re.search(r"/(\d+)\.(\d+)/?$", str(info.get("DockerRootDir") or ""))
    if remapped and root:
        uids = (IdMap(0, int(root.group(1)), _RANGE),)
        gids = (IdMap(0, int(root.group(2)), _RANGE),)
    return EngineSecurity("selinux" in names, "rootless" in names, remapped, uids, gids)


def is_unlabelled(security_opts: Iterable[str], *, privileged: bool) -> bool:
    """Whether a container is exempt from confinement by SELinux: by ``label=disable``, or because it is privileged."""
    return privileged or any(re.fullmatch(r"label[:=]disable", item) for item in security_opts)
