# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the state will be once a plan is carried out; the other half of the planner's law (see
:mod:`_core.plan`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_networks import (
    ADDRESSES_UNKNOWN,
    hides_mac_addresses,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import (
    InstallProgram,
    RemoveProgram,
    simulate_program,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import (
    Action,
    CleanUp,
    ConnectNetwork,
    CreateContainer,
    DisconnectNetwork,
    PullImage,
    RemoveContainer,
    RemoveFormer,
    RestoreFormer,
    StartContainer,
    StopContainer,
    UpdateContainer,
    WormholeState,
)

_NEW_ID = "simulated"
_STATUS = {True: {"Running": True, "Status": "running"}, False: {"Running": False, "Status": "exited"}}


def simulate_wormhole(state: WormholeState, plan: Plan[Action]) -> WormholeState:
    """The state after a plan, if every step succeeds."""
    for action in plan.actions:
        state = _simulate(state, action)
    return state


def _simulate(state: WormholeState, action: Action) -> WormholeState:
    container = state.container
    if isinstance(action, (InstallProgram, RemoveProgram)):
        return replace(state, program=simulate_program(state.program, action))
    if isinstance(action, PullImage):
        pulled = {"Id": f"sha256:{_NEW_ID}", "Config": {"Cmd": [_NEW_ID]}}
        return replace(state, image=pulled, image_outdated=False)
    if isinstance(action, CreateContainer):
        created = _inspect(action, state.image or {})
        return replace(state, container=created, created_now=True, started_now=action.start)
    if isinstance(action, CleanUp):
        return replace(state, container=None)
    if isinstance(action, RemoveFormer):
        return replace(state, former=None)
    if isinstance(action, RestoreFormer):
        return replace(state, container={**(state.former or {}), "Name": f"/{action.name}"}, former=None)
    if isinstance(action, RemoveContainer):
        if container is not None and action.container == container["Id"]:
            return replace(state, container=None)
        return replace(state, former=None)
    started = state.started_now or isinstance(action, StartContainer)
    return replace(state, container=_change(dict(container or {}), action), started_now=started)


def _change(container: dict[str, Any], action: Action) -> dict[str, Any]:
    if isinstance(action, UpdateContainer):
        container["HostConfig"] = {**container.get("HostConfig", {}), **action.body}
    elif isinstance(action, ConnectNetwork):
        networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
        attached = {**networks, action.attachment.network: action.attachment.render()}
        container["NetworkSettings"] = {"Networks": attached}
    elif isinstance(action, DisconnectNetwork):
        networks = (container.get("NetworkSettings") or {}).get("Networks") or {}
        left = {name: endpoint for name, endpoint in networks.items() if name != action.network}
        container["NetworkSettings"] = {"Networks": left}
    elif isinstance(action, (StartContainer, StopContainer)):
        unknown = {ADDRESSES_UNKNOWN: hides_mac_addresses(container)}
        container["State"] = {**_STATUS[isinstance(action, StartContainer)], **unknown}
    return container


def _inspect(action: CreateContainer, image: Mapping[str, Any]) -> dict[str, Any]:
    """The inspection of a container that was just created: what the body says over what the image says."""
    body = dict(action.complete_body(image.get("Config") or {}))
    host_config = {"NetworkMode": "default", **body.pop("HostConfig", {})}
    mode = host_config["NetworkMode"]
    endpoints = body.pop("NetworkingConfig", {}).get("EndpointsConfig", {})
    networks = {"bridge" if mode == "default" else mode: {}, **endpoints}
    networks.update({attachment.network: attachment.render() for attachment in action.attachments})
    return {
        "Id": _NEW_ID,
        "Name": f"/{action.name}",
        "Image": image.get("Id"),
        "Config": merge_image_config(body, image.get("Config")),
        "HostConfig": host_config,
        "NetworkSettings": {"Networks": networks},
        "State": dict(_STATUS[True]) if action.start else {"Running": False, "Status": "created"},
    }


def merge_image_config(body: Mapping[str, Any], image_config: Optional[Mapping[str, Any]]) -> dict[str, Any]:
    """A container's Config as the engine makes it of the body of a creation and its image's Config (moby's
    ``runconfig.Merge``): mappings are merged, single values and lists are taken from the image where not
    given."""
    config = {**(image_config or {}), **body}
    for key in ("Labels", "Volumes", "ExposedPorts"):
        config[key] = {**((image_config or {}).get(key) or {}), **(body.get(key) or {})}
    own = body.get("Env") or []
    named = {item.partition("=")[0] for item in own}
    inherited = [
        item for item in (image_config or {}).get("Env") or [] if item.partition("=")[0] not in named
    ]
    config["Env"] = [*own, *inherited]
    if body.get("Entrypoint") and not body.get("Cmd"):
        config["Cmd"] = None
    return config
