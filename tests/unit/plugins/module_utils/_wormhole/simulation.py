# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the state will be once a plan is carried out; the other half of the planner's law (see
:mod:`_base.plan`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._base.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._container.attachments import (
    ADDRESSES_UNKNOWN,
    hides_mac_addresses,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.program import (
    InstallProgram,
    RemoveProgram,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.model import (
    Action,
    CleanUp,
    ConnectNetwork,
    CreateContainer,
    DisconnectNetwork,
    PauseContainer,
    PullImage,
    RemoveContainer,
    RemovePrevious,
    RestartContainer,
    RestorePrevious,
    StartContainer,
    StopContainer,
    UnpauseContainer,
    UpdateContainer,
    WormholeState,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wiring.simulation import (
    simulate_program,
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
    if isinstance(action, RemovePrevious):
        return replace(state, previous=None)
    if isinstance(action, RestorePrevious):
        kept = state.previous or container or {}
        restored = {**kept, "Name": f"/{action.name}"}
        return replace(state, container=restored, previous=None, successor=None)
    if isinstance(action, RemoveContainer):
        parts = ("container", "previous", "successor")
        gone = {part for part in parts if (getattr(state, part) or {}).get("Id") == action.container}
        return replace(state, **dict.fromkeys(gone))
    started = state.started_now or isinstance(action, (StartContainer, RestartContainer))
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
    elif isinstance(action, (StartContainer, StopContainer, RestartContainer)):
        unknown = {ADDRESSES_UNKNOWN: hides_mac_addresses(container)}
        container["State"] = {**_STATUS[not isinstance(action, StopContainer)], **unknown}
    elif isinstance(action, (PauseContainer, UnpauseContainer)):
        paused = isinstance(action, PauseContainer)
        status = {"Status": "paused" if paused else "running", "Paused": paused}
        container["State"] = {**container["State"], **status}
    return container


def _inspect(action: CreateContainer, image: Mapping[str, Any]) -> dict[str, Any]:
    """The inspection of a just created container: the body overrides the image."""
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
    """Merge a creation body and its image's Config as the engine does (moby: ``runconfig.Merge``).

    Mappings are merged; single values and lists come from the image where not given.
    """
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
