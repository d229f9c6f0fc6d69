# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The wormholes of a host, by the labels that they got when they were made."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Iterable, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.client_settings import (
    environment_of,
    mounted_directory,
    parse_docker_host,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import DEFAULT_PORTS
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    LABEL_IDENTITY,
    LABEL_MANAGED,
    LABEL_TRANSPORT,
    TLS,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import FORMER_SUFFIX, is_running


@dataclass(frozen=True)
class FoundWormhole:
    """A wormhole as its engine lists it.

    Attributes:
        name: by which it was asked for.
        id: of its container.
        image: as its container names it.
        status: such as ``running`` or ``exited``.
        transport: ``tls``, ``unix`` or ``tcp``; empty if its label is missing.
        identity: what the engine knows it by; empty without TLS.
        put_aside: whether only the container is there that an interrupted run put aside.
        managed: whether wormhole_container has made it; others have been given its wiring.
        running: whether its main process runs.
        health: by its own health check, such as ``healthy``; empty if it has none or does not run.
        docker_host: its ``DOCKER_HOST``; empty if it has none.
        address, port: the same taken apart; empty and 0 for a unix socket.
        certificate_path: its ``DOCKER_CERT_PATH``; empty without TLS.
        identity_directory: what is mounted there; empty without TLS.
    """

    name: str
    id: str
    image: str = ""
    status: str = ""
    transport: str = ""
    identity: str = ""
    put_aside: bool = False
    managed: bool = False
    running: bool = False
    health: str = ""
    docker_host: str = ""
    address: str = ""
    port: int = 0
    certificate_path: str = ""
    identity_directory: str = ""


def list_wormholes(summaries: Iterable[Mapping[str, Any]]) -> tuple[FoundWormhole, ...]:
    """The wormholes among these containers, sorted by name; a container that was put aside counts where no other has its name.

    Args:
        summaries: of the containers that have the label of a transport, as ``GET /containers/json`` tells them.
    """
    found: dict[str, FoundWormhole] = {}
    for summary in summaries:
        wormhole = _read(summary)
        if not wormhole.put_aside or wormhole.name not in found:
            found[wormhole.name] = wormhole
    return tuple(found[name] for name in sorted(found))


def complete(wormhole: FoundWormhole, inspection: Mapping[str, Any]) -> FoundWormhole:
    """Adds what only the inspection of its container tells; that need not run for it."""
    environment = environment_of(inspection)
    docker_host = environment.get("DOCKER_HOST", "")
    address, port, directory = "", 0, ""
    path = environment.get("DOCKER_CERT_PATH", "") if wormhole.transport == TLS else ""
    try:
        if docker_host.startswith("tcp://"):
            address, port = parse_docker_host(docker_host, DEFAULT_PORTS["tls"], wormhole.name)
        if path:
            directory = mounted_directory(inspection, path, wormhole.name)
    except InvalidInput:
        # Somebody has made it so; what can be told is told.
        pass
    running = is_running(inspection)
    # An engine says "unhealthy" of a container that was stopped, and some say "none" of one without a check.
    health = str(((inspection.get("State") or {}).get("Health") or {}).get("Status") or "") if running else ""
    return replace(
        wormhole,
        running=running,
        health="" if health == "none" else health,
        docker_host=docker_host,
        address=address,
        port=port,
        certificate_path=path,
        identity_directory=directory,
    )


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
        managed=labels.get(LABEL_MANAGED) == "true",
    )
