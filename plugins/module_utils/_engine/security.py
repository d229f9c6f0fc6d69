# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How an engine confines its containers, as far as it matters for their mounts.

Sources: Engine API, ``GET /info`` (``SecurityOptions``, ``DockerRootDir``); dockerd reference,
"Daemon user namespace options": the data of an engine that remaps users is in a directory that the
remapped root's numbers name, such as ``/var/lib/docker/100000.100000``; ``docker run`` reference,
"--volume" (``:z``), "--userns", "--security-opt".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from .._container.users import IdMap

_RANGE = 65536
"""The size of a subordinate ID range, as useradd(8) assigns them and dockerd uses them."""


@dataclass(frozen=True)
class EngineSecurity:
    """What an engine reports about its confinement.

    Attributes:
        selinux: whether it confines containers by SELinux (``selinux-enabled``). On a host with
            SELinux, an engine without this option confines no container.
        rootless: whether it runs without root, in a network namespace of its own.
        remapped: whether it maps users of containers to other users of the host (``userns-remap``).
        uid_maps, gid_maps: the mapping; empty if there is none, or if the engine does not report
            it.
    """

    selinux: bool = False
    rootless: bool = False
    remapped: bool = False
    uid_maps: tuple[IdMap, ...] = ()
    gid_maps: tuple[IdMap, ...] = ()


def parse_security(info: Mapping[str, Any]) -> EngineSecurity:
    """Reads the answer to ``GET /info``."""
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
    """Whether SELinux does not confine a container: it has ``label=disable``, or is privileged."""
    return privileged or any(re.fullmatch(r"label[:=]disable", item) for item in security_opts)
