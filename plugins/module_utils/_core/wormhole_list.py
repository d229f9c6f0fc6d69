# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wormholes of a host, by the labels that they got when they were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    LABEL_IDENTITY,
    LABEL_TRANSPORT,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import FORMER_SUFFIX


@dataclass(frozen=True)
class FoundWormhole:
    """A wormhole as its engine lists it.

    Attributes:
        name: by which it was asked for.
        id: of its container.
        image: as its container names it.
        status: such as ``running`` or ``exited``.
        transport: ``tls`` or ``unix``; empty if its label is missing.
        identity: what the engine knows it by; empty for a unix socket.
        put_aside: whether only the container is there that an interrupted run put aside.
    """

    name: str
    id: str
    image: str = ""
    status: str = ""
    transport: str = ""
    identity: str = ""
    put_aside: bool = False


def list_wormholes(summaries: Iterable[Mapping[str, Any]]) -> tuple[FoundWormhole, ...]:
    """The wormholes among these containers, sorted by name; a container that was put aside counts where no other has its name.

    Args:
        summaries: of the containers that have the label of a wormhole, as ``GET /containers/json`` tells them.
    """
    found: dict[str, FoundWormhole] = {}
    for summary in summaries:
        wormhole = _read(summary)
        if not wormhole.put_aside or wormhole.name not in found:
            found[wormhole.name] = wormhole
    return tuple(found[name] for name in sorted(found))


def _read(summary: Mapping[str, Any]) -> FoundWormhole:
    labels = summary.get("Labels") or {}
    # A legacy link adds names below that of the container that links, such as /web/agent.
    names = [str(name).lstrip("/") for name in summary.get("Names") or ()]
    own = next((name for name in names if "/" not in name), str(summary["Id"]))
    put_aside = own.endswith(FORMER_SUFFIX)
    return FoundWormhole(
        name=own[: -len(FORMER_SUFFIX)] if put_aside else own,
        id=str(summary["Id"]),
        image=str(summary.get("Image") or ""),
        status=str(summary.get("State") or ""),
        transport=str(labels.get(LABEL_TRANSPORT, "")),
        identity=str(labels.get(LABEL_IDENTITY, "")),
        put_aside=put_aside,
    )
