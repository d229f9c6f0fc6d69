# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reads what the plan for a wormhole depends on, and checks what a plan requires."""

from __future__ import annotations

import os

from ..._base.errors import MissingRequirement
from ..._base.plan import Plan
from ..._container.checks import CONTAINER, named_containers
from ..._container.inspection import Inspection, is_leaving
from ..._container.option import Comparison
from ..._container.options import IMAGE
from ..._engine.port import EnginePort
from ..._networks.gateways import remedy_for_missing
from ..._wiring.io import program as program_host
from ..._wiring.io.state import ObserveWiring
from ..._wiring.program import ProgramState
from ..model import (
    Action,
    ConnectNetwork,
    CreateContainer,
    DisconnectNetwork,
    PullImage,
    WormholeState,
)
from ..resolve import wiring_of
from ..spec import ABSENT, ALWAYS, NEVER, WormholeSpec
from .identity import Identity


def observe_wormhole(
    spec: WormholeSpec,
    engine: EnginePort,
    look: ObserveWiring,
    *,
    created_now: bool,
    started_now: bool,
) -> WormholeState:
    """Read everything that the plan for a wormhole depends on.

    Args:
        look: :func:`_wiring.io.state.observe_wiring`, or a function that remembers its result.

    Raises:
        EngineUnavailable: the engine does not answer, or with ``pull: always`` the registry.
    """
    info = engine.info()
    wiring = look(engine, info, spec.wiring.socket_path)
    names = (spec.name, spec.previous_name, spec.successor_name)
    container, previous, successor = (_find(spec, engine, name) for name in names)
    # If the task names no image, the container's own one shows which options come from the image.
    reference = spec.image or str((container or previous or {}).get("Image") or "")
    image = engine.find_image(reference) if reference and spec.state != ABSENT else None
    return WormholeState(
        wiring=wiring,
        container=container,
        previous=previous,
        successor=successor,
        image=image,
        own_image=_find_own_image(spec, engine, container or previous, image),
        image_outdated=_is_outdated(spec, engine, image),
        info=info,
        # Another engine has no containers that start with the program, and knows none.
        program=ProgramState()
        if wiring.served_is_another
        else program_host.observe_program(engine, spec.wiring, names, wiring.served),
        referred=_find_referred(spec, engine),
        api_version=tuple(int(part) for part in engine.version()["ApiVersion"].split(".")),
        created_now=created_now,
        started_now=started_now,
    )


def _find(spec: WormholeSpec, engine: EnginePort, name: str) -> Inspection:
    """Return a container; one that is being removed only if the wormhole is to be absent."""
    found = engine.find_container(name)
    return None if found and is_leaving(found) and spec.state != ABSENT else found


def _find_own_image(
    spec: WormholeSpec, engine: EnginePort, container: Inspection, image: Inspection
) -> Inspection:
    """Return the image of a container that keeps it although the task names another one."""
    if container is None or spec.comparisons.get(IMAGE) is not Comparison.IGNORE:
        return None
    own = str(container.get("Image") or "")
    return image if image is not None and image["Id"] == own else engine.find_image(own)


def _find_referred(spec: WormholeSpec, engine: EnginePort) -> dict[str, str]:
    names = set(named_containers(spec.options).values()) if spec.state != ABSENT else set()
    found = {name: engine.find_container(name) for name in names}
    return {name: str(container["Id"]) for name, container in found.items() if container is not None}


def _is_outdated(spec: WormholeSpec, engine: EnginePort, image: Inspection) -> bool:
    if spec.pull != ALWAYS or image is None or not spec.image or not spec.pulls:
        return False
    digest = engine.registry_digest(spec.image)
    return not any(known.endswith(f"@{digest}") for known in image.get("RepoDigests") or ())


def require(
    plan: Plan[Action],
    spec: WormholeSpec,
    state: WormholeState,
    engine: EnginePort,
    identity: Identity,
    *,
    listener_comes: bool = False,
) -> None:
    """Check what a plan requires.

    Args:
        listener_comes: whether the listener may be missing, because the run creates it first.

    Raises:
        MissingRequirement: the first thing that does not exist.
    """
    kinds = {type(action) for action in plan.actions}
    if kinds & {CreateContainer, ConnectNetwork}:
        _require_networks(spec, state, engine)
    wiring = wiring_of(spec, state)
    if (
        wiring.obstacle
        and not listener_comes
        and kinds & {CreateContainer, ConnectNetwork, DisconnectNetwork}
    ):
        # Another network may move the default route, also that of a running container.
        raise _missing(spec, wiring.obstacle, wiring.remedy)
    if CreateContainer not in kinds:
        return
    for option, name in named_containers(spec.options).items():
        if name not in state.referred:
            found = f"{option} refers to the container {name}, which does not exist on this host"
            raise _missing(spec, found, "Create it first. It is found by its name or its full ID")
    identity.require()
    directory = spec.wiring.shared_directory
    # The engine would create an empty one for root.
    if directory and not os.path.isdir(directory):
        subject = f"shared_directory {directory}"
        problem = f"The {subject} does not exist on this host"
        raise MissingRequirement(subject, problem=problem, remedy="Create it first")
    if PullImage not in kinds and engine.find_image(spec.image) is None:
        subject = f"image {spec.image}"
        remedy = ("Set pull: missing, or load" if spec.pull == NEVER else "Load") + " the image first"
        raise MissingRequirement(subject, problem=f"The {subject} is not on this host", remedy=remedy)


def _require_networks(spec: WormholeSpec, state: WormholeState, engine: EnginePort) -> None:
    networks = engine.networks()
    existing = {network["Name"] for network in networks if not network.get("ConfigOnly")}
    templates = {network["Name"] for network in networks} - existing
    mode = str(spec.options.get("network_mode", "bridge"))
    by_id = mode.startswith(CONTAINER) or mode in {network["Id"] for network in networks}
    for name in (*(() if by_id else (mode,)), *(attachment.network for attachment in spec.attachments)):
        if name in templates:
            found = f"network {name} is config-only, a template for others: no container can join it"
            raise _missing(
                spec, found, f"Create a network from it: docker network create --config-from {name}"
            )
        if name not in existing:
            found = f"there is no network {name} on this host"
            raise _missing(spec, found, remedy_for_missing(name, state.wiring.topology))


def _missing(spec: WormholeSpec, found: str, remedy: str) -> MissingRequirement:
    subject = f"wormhole {spec.name}"
    return MissingRequirement(subject, found=found, problem=f"{subject}: {found}", remedy=remedy)
