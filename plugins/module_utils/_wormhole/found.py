# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads existing wormholes from the labels and the configuration of their containers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Iterable, Mapping, Optional

from .._base.errors import InvalidInput
from .._base.labels import (
    LABEL_DISCOVER,
    LABEL_ENGINE,
    LABEL_GATE,
    LABEL_IDENTITY,
    LABEL_IDENTITY_OWNER,
    LABEL_MANAGED,
    LABEL_TRANSPORT,
)
from .._client.settings import mounted_directory, parse_docker_host
from .._container.inspection import (
    environment_of,
    health_of,
    host_config_of,
    is_running,
    labels_of,
    name_of,
    names_of,
)
from .._endpoint.model import DEFAULT_PORTS
from .._wiring.spec import LAUNCH, RUNTIME, TLS, TRANSPORTS, WiringSpec
from .._wiring.wire import Wiring
from .spec import PREVIOUS_SUFFIX, SUCCESSOR_SUFFIX


@dataclass(frozen=True)
class FoundWormhole:
    """An existing wormhole.

    The fields are return values of wormhole_container_info, whose documentation describes them.
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
    gated: bool = False


def list_wormholes(summaries: Iterable[Mapping[str, Any]]) -> tuple[FoundWormhole, ...]:
    """Return wormholes by name. Of containers in a replacement, only one counts.

    Args:
        summaries: the containers with the label of a transport, from ``GET /containers/json``.
    """
    found: dict[str, FoundWormhole] = {}
    suffixes = ("", PREVIOUS_SUFFIX, SUCCESSOR_SUFFIX)
    for summary in sorted(summaries, key=lambda one: suffixes.index(_split_name(_container_name(one))[1])):
        wormhole = _read_summary(summary)
        found.setdefault(wormhole.name, wormhole)
    return tuple(found[name] for name in sorted(found))


def wormhole_name(container: str) -> str:
    """Return the name of a wormhole whose container may have another name during a replacement."""
    return _split_name(container)[0]


def complete(wormhole: FoundWormhole, inspection: Mapping[str, Any]) -> FoundWormhole:
    """Add what only the inspection of the container contains."""
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
        # The user has changed it. The rest is still reported.
        pass
    running = is_running(inspection)
    # Engines report "unhealthy" for a stopped container, some "none" for one without a healthcheck.
    health = str(health_of(inspection).get("Status") or "") if running else ""
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


def _read_summary(summary: Mapping[str, Any]) -> FoundWormhole:
    labels = summary.get("Labels") or {}
    name, suffix = _split_name(_container_name(summary))
    return FoundWormhole(
        name=name,
        id=str(summary["Id"]),
        image=str(summary.get("Image") or ""),
        status=str(summary.get("State") or ""),
        transport=str(labels.get(LABEL_TRANSPORT, "")),
        identity=str(labels.get(LABEL_IDENTITY, "")),
        put_aside=bool(suffix),
        managed=labels.get(LABEL_MANAGED) == "true",
        gated=labels.get(LABEL_GATE) == "true",
    )


def _container_name(summary: Mapping[str, Any]) -> str:
    # A legacy link adds names below that of the linking container, such as /web/agent.
    return next((name for name in names_of(summary) if "/" not in name), str(summary["Id"]))


def _split_name(container: str) -> tuple[str, str]:
    """Return the name of a container without and its suffix during a replacement."""
    for suffix in (PREVIOUS_SUFFIX, SUCCESSOR_SUFFIX):
        if container.endswith(suffix):
            return container[: -len(suffix)], suffix
    return container, ""


def read_wiring_spec(spec: WiringSpec, container: Mapping[str, Any]) -> WiringSpec:
    """Return the wiring specification that a container was created with."""
    found, labels = _read_inspection(container), labels_of(container)
    engine = str(labels.get(LABEL_ENGINE) or "")
    return replace(
        spec,
        transport=next((known for known in TRANSPORTS if known == found.transport), spec.transport),
        identity=found.identity,
        identity_directory=found.identity_directory,
        identity_owner=identity_owner(container),
        certificate_path=found.certificate_path,
        discover=RUNTIME if labels.get(LABEL_DISCOVER) == RUNTIME else LAUNCH,
        engine=engine,
        engine_address=found.address if engine else "",
        # Its file has it, and the task may specify another one by now.
        policy=None,
    )


def identity_owner(container: Optional[Mapping[str, Any]]) -> str:
    """Return the option ``identity_owner`` of a container; empty without it."""
    return str(labels_of(container).get(LABEL_IDENTITY_OWNER) or "")


def read_wiring(container: Mapping[str, Any]) -> Wiring:
    """Return the wiring of a container, without the options that it sets."""
    found = _read_inspection(container)
    port = environment_of(container).get("WORMHOLE_PORT", "")
    return Wiring(found.docker_host, found.address, found.port or (int(port) if port.isdigit() else 0))


def read_settings(container: Mapping[str, Any]) -> Wiring:
    """Return what the wiring of a container may have set, together with what its user has."""
    hosts = (str(item).partition(":") for item in host_config_of(container).get("ExtraHosts") or ())
    return replace(
        read_wiring(container),
        env=environment_of(container),
        etc_hosts={name: address for name, _colon, address in hosts},
        labels={str(name): str(value) for name, value in labels_of(container).items()},
        volumes=tuple(map(str, host_config_of(container).get("Binds") or ())),
    )


def _read_inspection(container: Mapping[str, Any]) -> FoundWormhole:
    labels = labels_of(container)
    transport, identity = str(labels.get(LABEL_TRANSPORT, "")), str(labels.get(LABEL_IDENTITY, ""))
    found = FoundWormhole(name_of(container), container["Id"], transport=transport, identity=identity)
    return complete(found, container)
