# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides which actions bring a wormhole to its specified state.

A container is never lost when it is replaced. The new one, its *successor*, is created under
another name. Then the existing one is stopped, and kept under another name as the *previous
container*, while the successor gets the name of the wormhole, is started and verified. Only then
the previous one is removed. If anything fails before that, the previous container gets its name
back and runs again. A run that is killed leaves both; the next one finishes or undoes the
replacement, see :func:`_wormhole.resolve.recover`. No running container is renamed, because dockerd
cannot do so on every network (moby issue 42351). A container without the label of a wormhole is
unmanaged.
"""

from __future__ import annotations

from typing import Any, Mapping, Optional

from .._base.errors import InvalidInput
from .._base.plan import Plan, Reason
from .._container.inspection import is_alive, is_paused, name_of, status_of
from .._container.options import merge_options, render_body, show_values
from .._networks.gateways import DEFAULT_BRIDGE
from .._wiring.option_conflicts import reject_conflicts
from .._wiring.program import plan_program
from .._wiring.spec import RUNTIME
from . import model, rejections
from .differences import Differences, find_differences, fits_platform
from .found import read_settings
from .model import Action, CreateContainer, Steps, WormholeState
from .resolve import recover, resolve_spec, wiring_of, wiring_spec_of
from .spec import ABSENT, ALWAYS, PRESENT, STOPPED, WormholeSpec

_MAC_ADDRESS_OF_A_NETWORK = (1, 44)
"""The first API where a MAC address belongs to a network; from 1.52 (Docker 29) on, always."""

_STATUS_AFTER: Mapping[type, str] = {
    model.CleanUp: ABSENT,
    model.StartContainer: "running",
    model.StopContainer: "exited",
    model.RestartContainer: "running",
    model.PauseContainer: "paused",
    model.UnpauseContainer: "running",
}


def plan_wormhole(spec: WormholeSpec, state: WormholeState) -> Plan[Action]:
    """Decide what brings the container to its specified state.

    Raises:
        InvalidInput: the specification is impossible on this host.
        Refused: the container is unmanaged, or the engine's configuration is not supported.
    """
    for container in state.existing:
        rejections.reject_unmanaged(spec, container)
    if spec.state == ABSENT:
        return _with_program(spec, state, _plan_absent(spec, state))
    spec = resolve_spec(spec, state)
    rejections.reject_unsupported(spec, state)
    recovery, recovered = recover(spec, state)
    if spec.image:
        reject_conflicts(spec.wiring, wiring_of(spec, recovered), spec.options)
    elif recovered.container is not None:
        reject_conflicts(wiring_spec_of(spec, recovered), read_settings(recovered.container), spec.options)
    steps = recovery + _plan_present(spec, recovered)
    sides = {"state": _status(state.container)}, {"state": _expected_status(recovered, steps)}
    plan = (Steps((), (), *sides) + steps).as_plan() if steps.actions else Plan()
    # A container that keeps its image keeps its wiring, to which the program belongs.
    return _with_program(spec, state, plan) if spec.image else plan


def _with_program(spec: WormholeSpec, state: WormholeState, plan: Plan[Action]) -> Plan[Action]:
    """Add the installation or the removal of the program for ``discover: runtime``."""
    wanted = spec.state != ABSENT and spec.wiring.discover == RUNTIME
    if wanted and not spec.program:
        expected = "the program's text, which the action plugin sets"
        raise InvalidInput("discover runtime", expected=expected)
    part = plan_program(wanted, spec.program, spec.name, state.program)
    actions = (*part.actions, *plan.actions) if wanted else (*plan.actions, *part.actions)
    before, after = {**plan.before, **part.before}, {**plan.after, **part.after}
    return Plan(before, after, (*plan.reasons, *part.reasons), actions)


def _plan_absent(spec: WormholeSpec, state: WormholeState) -> Plan[Action]:
    existing = state.existing
    reasons = [Reason("not_absent", f"the container {name_of(item)} exists", spec.name) for item in existing]
    before = {"state": _status(state.container), "former": [name_of(item) for item in existing[1:]]}
    after = {"state": ABSENT, "former": []}
    actions = tuple(model.RemoveContainer(item["Id"]) for item in existing)
    return Plan(before, after, tuple(reasons), actions) if existing else Plan()


def _plan_present(spec: WormholeSpec, state: WormholeState) -> Steps:
    if state.container is None and state.started_now and (spec.cleanup or spec.options.get("auto_remove")):
        # It has exited, and was removed as specified.
        return Steps()
    rejections.reject_missing_image(spec, state)
    rejections.reject_image_labels(spec, state.image)
    added = wiring_of(spec, state).options()
    values = merge_options(spec.options, added)
    container = state.container
    if container is None:
        reason = Reason("missing", f"the container {spec.name} does not exist", spec.name)
        return Steps((reason,), _plan_creation(spec, state, values), {}, _shown(spec, values))
    differences = find_differences(spec, state, container, added)
    steps = differences.describe(spec.name)
    if differences.require_new_container:
        rejections.reject_replacement(spec, container, steps.reasons)
        sides = {"container": container["Id"][:12]}, {"container": "a new one"}
        return steps + Steps((), _plan_creation(spec, state, values), *sides)
    return steps + Steps((), _plan_changes(container["Id"], differences)) + _plan_running(spec, state)


def _plan_changes(container: str, differences: Differences) -> tuple[Action, ...]:
    """Plan the changes of a container that stays."""
    update = (model.UpdateContainer(container, differences.update),) if differences.update else ()
    attachments = differences.attachments
    connect = (model.ConnectNetwork(container, item.attachment, again=item.attached) for item in attachments)
    disconnect = (model.DisconnectNetwork(container, network) for network in differences.surplus)
    return (*update, *connect, *disconnect)


def _plan_creation(spec: WormholeSpec, state: WormholeState, values: Mapping[str, Any]) -> tuple[Action, ...]:
    """Plan a new container, which replaces the existing one."""
    ran = state.interrupted or is_alive(state.container)
    platform = str(spec.platform or "")
    create = CreateContainer(
        spec.name,
        _render_creation(spec, state, values),
        tuple(item for item in spec.attachments if item.network != spec.network_mode),
        spec.runs or (spec.state == PRESENT and ran),
        "" if state.container is None else str(state.container["Id"]),
        discovering=spec.wiring.discover == RUNTIME,
        platform=platform,
    )
    outdated = spec.pull == ALWAYS and state.image_outdated
    missing = state.image is None or outdated or not fits_platform(spec, state)
    pull = (model.PullImage(spec.image, platform),) if spec.pulls and missing else ()
    pause = (model.PauseContainer(spec.name),) if spec.runs and spec.paused else ()
    return (*pull, create, *pause, *_clean_up(spec))


def _render_creation(spec: WormholeSpec, state: WormholeState, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of ``POST /containers/create``, with the first network only."""
    body = {"Image": spec.image, **render_body(values)}
    mode = spec.network_mode
    first = next((item for item in spec.attachments if item.network == mode), None)
    endpoint = {} if first is None else first.render()
    own_address = "MacAddress" in body and "MacAddress" not in endpoint
    if own_address and state.api_version >= _MAC_ADDRESS_OF_A_NETWORK:
        mode, endpoint = mode or DEFAULT_BRIDGE, {**endpoint, "MacAddress": body.pop("MacAddress")}
    if mode:
        body["HostConfig"] = {**body.get("HostConfig", {}), "NetworkMode": mode}
    if endpoint or first is not None:
        body["NetworkingConfig"] = {"EndpointsConfig": {mode: endpoint}}
    return body


def _plan_running(spec: WormholeSpec, state: WormholeState) -> Steps:
    """Plan to start or stop a container that stays."""
    container = state.container or {}
    running = is_alive(container)
    wanted = spec.runs or (spec.state == PRESENT and state.interrupted)
    steps, paused = Steps(), is_paused(container)
    if wanted and not running and not state.started_now:
        reason = Reason("not_running", f"the container is {_status(container)}", spec.name)
        steps = Steps((reason,), (model.StartContainer(container["Id"]), *_clean_up(spec)))
    elif spec.state == STOPPED and running:
        rejections.reject_stop(container)
        reason = Reason("running", "the container is running", spec.name)
        steps = Steps((reason,), (model.StopContainer(container["Id"]),))
    elif spec.runs and spec.restart and running and not state.started_now:
        reason = Reason("restart", "restart: requested", spec.name)
        sides = {"restarted": False}, {"restarted": True}
        steps, paused = Steps((reason,), (model.RestartContainer(container["Id"]),), *sides), False
    return steps + _plan_pause(spec, paused=paused) if running or steps.actions else steps


def _plan_pause(spec: WormholeSpec, *, paused: bool) -> Steps:
    """Plan to pause a running container or to let it continue."""
    if not spec.runs or spec.paused in (None, paused):
        return Steps()
    action = model.PauseContainer(spec.name) if spec.paused else model.UnpauseContainer(spec.name)
    reason = Reason("paused", f"the container is {'paused' if paused else 'not paused'}", spec.name)
    return Steps((reason,), (action,))


def _clean_up(spec: WormholeSpec) -> tuple[Action, ...]:
    return (model.CleanUp(spec.name),) if spec.cleanup else ()


def _status(container: Optional[Mapping[str, Any]]) -> str:
    return ABSENT if container is None else status_of(container)


def _expected_status(state: WormholeState, steps: Steps) -> str:
    """Return the status of the container after the last action that changes it."""
    for action in reversed(steps.actions):
        if isinstance(action, CreateContainer):
            return "running" if action.start else "created"
        if type(action) in _STATUS_AFTER:
            return _STATUS_AFTER[type(action)]
    return _status(state.container)


def _shown(spec: WormholeSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    networks = {attachment.network: "attached" for attachment in spec.attachments}
    return {"image": spec.image, **show_values(values), **({"networks": networks} if networks else {})}
