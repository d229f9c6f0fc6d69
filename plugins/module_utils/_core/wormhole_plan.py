# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides what makes a wormhole what it should be.

Replacing a container never costs the one that is there. It is renamed (*put aside*), the new one is created,
started and proved, and only then the former is removed; if anything fails before that, the former gets its
name back and runs again. A run that dies half-way leaves both: the next one removes the former if its
successor runs and is proved, and else puts the former back, running if it was stopped after its successor was
created. Containers without the label of a wormhole are
somebody else's.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_networks import (
    Attachment,
    AttachmentDeviation,
    find_attachment_deviations,
    find_outlived_networks,
    find_surplus_networks,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Comparison,
    Deviation,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options import (
    IMAGE,
    NETWORKS,
    PLATFORM,
    find_deviations,
    merge_options,
    render_body,
    render_update,
    show_values,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import (
    plan_program,
    unwrap,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import DEFAULT_BRIDGE
from ansible_collections.wormhole.docker.plugins.module_utils._core.inherited_variables import find_inherited
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring, wire
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import RUNTIME, WiringSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import (
    ABSENT,
    ALWAYS,
    PRESENT,
    STOPPED,
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
    WormholeSpec,
    WormholeState,
    docker_host_of,
    is_alive,
    is_running,
    is_wormhole,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_found import (
    read_wiring,
    read_wiring_spec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_refusals import (
    refuse_engine,
    refuse_foreign,
    refuse_replacement,
    refuse_stop,
    refuse_without_image,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_settle import (
    in_words_of,
    settle_spec,
)

_REPLACES = "; takes a new container"
_MAC_ADDRESS_OF_A_NETWORK = (1, 44)
"""The API from which on a MAC address belongs to a network; from 1.52 on, containers have none of their own (Docker 29)."""


def wiring_of(spec: WormholeSpec, state: WormholeState) -> Wiring:
    """The wiring that the container gets, see :func:`_core.wiring.wire`; or keeps, where no image is asked for."""
    kept = _keeping(spec, state)
    if kept is not None:
        if spec.isolated:
            # It refuses a container that would lose its way.
            wire(read_wiring_spec(spec.wiring, kept), state.wiring)
        return read_wiring(kept)
    anew = spec.recreate and not state.created_now
    wired_to = "" if anew else docker_host_of(state.container or state.former)
    return wire(spec.wiring, replace(state.wiring, wired_to=wired_to))


def wiring_spec_of(spec: WormholeSpec, state: WormholeState) -> WiringSpec:
    """What goes with :func:`wiring_of`."""
    kept = _keeping(spec, state)
    return spec.wiring if kept is None else read_wiring_spec(spec.wiring, kept)


def _keeping(spec: WormholeSpec, state: WormholeState) -> Optional[Mapping[str, Any]]:
    """The container that keeps its image and its wiring, because the task names no image; None if there is none."""
    return None if spec.image else settle_container(spec, state)


def settle_container(spec: WormholeSpec, state: WormholeState) -> Optional[Mapping[str, Any]]:
    """The container that counts as the one that is there, once what a run that died has left is put in order."""
    return _recover(spec, state)[1].container


def plan_wormhole(spec: WormholeSpec, state: WormholeState) -> Plan[Action]:
    """Decides what brings the container to the state that is wanted.

    Raises:
        InvalidInput: the transport has no way to the engine from the container's networks.
        Refused: the engine maps users in a way that is not supported, or the container is somebody else's.
    """
    for container in (state.container, state.former):
        refuse_foreign(spec, container)
    if spec.state == ABSENT:
        return _with_program(spec, state, _plan_absent(spec, state))
    spec = settle_spec(spec, state)
    refuse_engine(spec, state)
    recovery, recovered = _recover(spec, state)
    steps = recovery.followed_by(_plan_present(spec, recovered))
    if not spec.image:
        # The program that a container finds its engine by belongs to its wiring.
        return _complete(recovered, state, steps)
    return _with_program(spec, state, _complete(recovered, state, steps))


def _complete(recovered: WormholeState, state: WormholeState, steps: _Steps) -> Plan[Action]:
    if not steps.actions:
        return Plan()
    before = {"state": _status(state.container), **steps.before}
    after = {"state": _expected_status(recovered, steps), **steps.after}
    return Plan(before, after, tuple(steps.reasons), tuple(steps.actions))


def _with_program(spec: WormholeSpec, state: WormholeState, plan: Plan[Action]) -> Plan[Action]:
    """Adds the program that finds the engine at run time: it is there before a container needs it, and goes last."""
    wanted = spec.state != ABSENT and spec.wiring.discover == RUNTIME
    if wanted and not spec.program:
        raise InvalidInput(
            "discover runtime", expected="the program's text, which the action plugin hands over"
        )
    steps = plan_program(wanted, spec.program, spec.name, state.program)
    if not steps.reasons:
        return plan
    before, after = steps.sides(state.program)
    install = () if steps.install is None else (steps.install,)
    remove = () if steps.remove is None else (steps.remove,)
    return Plan(
        {**plan.before, **before},
        {**plan.after, **after},
        (*plan.reasons, *steps.reasons),
        (*install, *plan.actions, *remove),
    )


@dataclass
class _Steps:
    """A plan in the making."""

    reasons: list[Reason] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    def note(self, spec: WormholeSpec, deviation: Deviation, *, replaces: bool = False) -> None:
        """Adds a deviation as a reason, which may be one to replace the container, and both its sides to the diff."""
        text = deviation.text + (_REPLACES if replaces else "")
        self.reasons.append(Reason(f"{deviation.option}_differs", text, spec.name))
        _put(self.before, deviation, deviation.found)
        _put(self.after, deviation, deviation.expected)

    def followed_by(self, other: _Steps) -> _Steps:
        return _Steps(
            self.reasons + other.reasons,
            self.actions + other.actions,
            {**self.before, **other.before},
            {**self.after, **other.after},
        )


def _plan_absent(spec: WormholeSpec, state: WormholeState) -> Plan[Action]:
    there = [container for container in (state.container, state.former) if container is not None]
    reasons = [
        Reason("not_absent", f"the container {item['Name'].lstrip('/')} is there", spec.name)
        for item in there
    ]
    before = {"state": _status(state.container), "former": [item["Name"].lstrip("/") for item in there[1:]]}
    after = {"state": ABSENT, "former": []}
    actions = tuple(RemoveContainer(item["Id"]) for item in there)
    return Plan(before, after, tuple(reasons), actions) if there else Plan()


def _plan_present(spec: WormholeSpec, state: WormholeState) -> _Steps:
    if state.container is None and state.started_now and (spec.cleanup or spec.options.get("auto_remove")):
        # It has ended, and is gone as it should be.
        return _Steps()
    refuse_without_image(spec, state)
    added = wiring_of(spec, state).options()
    values = merge_options(spec.options, added)
    if state.container is None:
        text = f"there is no container {spec.name}"
        return _create(spec, state, values, [Reason("missing", text, spec.name)], {}, _shown(spec, values))
    container = state.container
    steps = _replacement_reasons(spec, state)
    deviations = find_deviations(
        in_words_of(container, spec.options, state.api_version),
        unwrap(container),
        added=_with_removed_variables(spec, added, container),
        comparisons=spec.comparisons,
        image_config=_own_image_config(state, container),
    )
    update = render_update((deviation.option for deviation in deviations), values, container)
    surplus = _surplus_networks(spec, container)
    attachments = _attachment_deviations(spec, state, container, surplus)
    joining = bool(attachments) or bool(surplus)
    joins = _may_join(container)
    fixed = [item for item in attachments if not joins or item.attachment.mac_address]
    replacing = bool(steps.reasons) or update is None or bool(fixed) or (joining and not joins)
    for deviation in deviations:
        steps.note(spec, deviation, replaces=render_update([deviation.option], values, container) is None)
    for item in attachments:
        # Docker 26.1 takes no MAC address when it attaches a container that is there (measured).
        steps.note(spec, item.deviation, replaces=item in fixed)
    for network in surplus:
        steps.note(spec, Deviation("networks", network, None, "attached"), replaces=not joins)
    if replacing:
        refuse_replacement(spec, container, steps.reasons)
        steps.before["container"], steps.after["container"] = container["Id"][:12], "a new one"
        return _create(spec, state, values, steps.reasons, steps.before, steps.after)
    if update:
        steps.actions.append(UpdateContainer(container["Id"], update))
    for item in attachments:
        steps.actions.append(ConnectNetwork(container["Id"], item.attachment, again=item.attached))
    for network in surplus:
        steps.actions.append(DisconnectNetwork(container["Id"], network))
    return steps.followed_by(_plan_running(spec, state))


def _own_image_config(state: WormholeState, container: Mapping[str, Any]) -> Optional[Mapping[str, Any]]:
    """``Config`` of the image that a container was made of; None if that is not known."""
    images = (image for image in (state.image, state.own_image) if image is not None)
    return next((image.get("Config") for image in images if image["Id"] == container.get("Image")), None)


def _with_removed_variables(
    spec: WormholeSpec, added: Mapping[str, Any], container: Mapping[str, Any]
) -> dict[str, Any]:
    """What is compared beside the user's options: the wiring, and that nothing else chooses the engine."""
    if not spec.image:
        # The container keeps its wiring, and with it these variables.
        return dict(added)
    surplus = find_inherited(container, added["env"], discovering=spec.wiring.discover == RUNTIME)
    return {**added, "env": {**added["env"], **dict.fromkeys(surplus)}}


def _compared_attachments(spec: WormholeSpec) -> tuple[Attachment, ...]:
    return () if spec.comparisons.get(NETWORKS) is Comparison.IGNORE else spec.attachments


def _attachment_deviations(
    spec: WormholeSpec, state: WormholeState, container: Mapping[str, Any], surplus: tuple[str, ...]
) -> tuple[AttachmentDeviation, ...]:
    compared = _compared_attachments(spec)
    found = find_attachment_deviations(compared, container)
    told = {*surplus, *(item.attachment.network for item in found)}
    outlived = find_outlived_networks(compared, container, state.wiring.topology.ids)
    return (*found, *(item for item in outlived if item.attachment.network not in told))


def _surplus_networks(spec: WormholeSpec, container: Mapping[str, Any]) -> tuple[str, ...]:
    """Networks to leave, which a container does if networks are compared strictly, as with docker_container."""
    if not spec.isolated and not (spec.attachments and spec.comparisons.get(NETWORKS) is Comparison.STRICT):
        return ()
    return find_surplus_networks(spec.attachments, spec.network_mode, container)


def _replacement_reasons(spec: WormholeSpec, state: WormholeState) -> _Steps:
    """Reasons to replace the container that no option has."""
    container = state.container or {}
    reasons: list[Reason] = []
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    found = container.get("Image", "")
    named = (container.get("Config") or {}).get("Image", "")
    if not spec.image or spec.comparisons.get(IMAGE) is Comparison.IGNORE:
        pass
    elif not _fits(spec, state) and spec.comparisons.get(PLATFORM) is not Comparison.IGNORE:
        text = f"platform: expected {spec.platform}, found an image for another"
        reasons.append(Reason("platform_differs", text, spec.name))
        before["platform"], after["platform"] = "another", str(spec.platform)
    elif spec.pull == ALWAYS and state.image_outdated:
        reasons.append(Reason("image_differs", f"image: the registry has a newer {spec.image}", spec.name))
        before["image"], after["image"] = named, f"{spec.image} from the registry"
    elif state.image is not None and state.image["Id"] != found:
        text = f"image: expected {state.image['Id']} ({spec.image}), found {found} ({named})"
        reasons.append(Reason("image_differs", text, spec.name))
        before["image"], after["image"] = f"{named} {found}", f"{spec.image} {state.image['Id']}"
    elif state.image is None and named != spec.image:
        reasons.append(Reason("image_differs", f"image: expected {spec.image}, found {named}", spec.name))
        before["image"], after["image"] = named, spec.image
    if spec.recreate and not state.created_now:
        reasons.append(Reason("recreate", "recreate: asked for", spec.name))
        before["recreate"], after["recreate"] = False, True
    if not is_wormhole(container):
        reasons.append(Reason("adopted", "adopt: the container is no wormhole yet", spec.name))
    told = [replace(reason, text=reason.text + _REPLACES) for reason in reasons]
    return _Steps(told, [], before, after)


def _create(
    spec: WormholeSpec,
    state: WormholeState,
    values: Mapping[str, Any],
    reasons: list[Reason],
    before: dict[str, Any],
    after: dict[str, Any],
) -> _Steps:
    former = "" if state.container is None else str(state.container["Id"])
    mode = spec.network_mode
    first = [attachment for attachment in spec.attachments if attachment.network == mode]
    body = {"Image": spec.image, **render_body(values)}
    endpoint = first[0].render() if first else {}
    if (
        "MacAddress" in body
        and "MacAddress" not in endpoint
        and state.api_version >= _MAC_ADDRESS_OF_A_NETWORK
    ):
        mode, endpoint = mode or DEFAULT_BRIDGE, {**endpoint, "MacAddress": body.pop("MacAddress")}
    if mode:
        body["HostConfig"] = {**body.get("HostConfig", {}), "NetworkMode": mode}
    if endpoint or first:
        body["NetworkingConfig"] = {"EndpointsConfig": {mode: endpoint}}
    ran = state.interrupted or is_alive(state.container)
    start = spec.runs or (spec.state == PRESENT and ran)
    rest = tuple(attachment for attachment in spec.attachments if attachment not in first)
    discovering = spec.wiring.discover == RUNTIME
    platform = str(spec.platform or "")
    actions: list[Action] = [
        CreateContainer(spec.name, body, rest, start, former, discovering=discovering, platform=platform)
    ]
    outdated = spec.pull == ALWAYS and state.image_outdated
    if spec.pulls and (state.image is None or outdated or not _fits(spec, state)):
        actions.insert(0, PullImage(spec.image, platform))
    if spec.cleanup:
        actions.append(CleanUp(spec.name))
    return _Steps(list(reasons), actions, before, after)


def _fits(spec: WormholeSpec, state: WormholeState) -> bool:
    """Whether the image on this host is for the platform that is asked for, if there is one."""
    return spec.platform is None or state.image is None or spec.platform.fits(state.image)


def _may_join(container: Mapping[str, Any]) -> bool:
    """Whether networks can be attached: the engine refuses it in network modes that leave no room for
    them."""
    mode = str((container.get("HostConfig") or {}).get("NetworkMode", ""))
    return mode not in ("host", "none") and not mode.startswith("container:")


def _plan_running(spec: WormholeSpec, state: WormholeState) -> _Steps:
    container = state.container or {}
    running = is_alive(container)
    wanted = spec.runs or (spec.state == PRESENT and state.interrupted)
    if wanted and not running and not state.started_now:
        reason = Reason("not_running", f"the container is {_status(container)}", spec.name)
        last: list[Action] = [CleanUp(spec.name)] if spec.cleanup else []
        return _Steps([reason], [StartContainer(container["Id"]), *last])
    if spec.state == STOPPED and running:
        refuse_stop(container)
        return _Steps([Reason("running", "the container runs", spec.name)], [StopContainer(container["Id"])])
    return _Steps()


def _recover(spec: WormholeSpec, state: WormholeState) -> tuple[_Steps, WormholeState]:
    """What an earlier run that died half-way has left to do, and the state after it."""
    if state.former is None:
        return _Steps(), state
    former = str(state.former["Id"])
    if is_running(state.container):
        text = f"an earlier run stopped half-way: {spec.former_name} is left over"
        return _Steps([Reason("left_over", text, spec.name)], [RemoveFormer(former)]), replace(
            state, former=None
        )
    interrupted = _was_interrupted(state)
    # One that is waited for is started later, and once.
    restart = interrupted and spec.state != STOPPED and spec.detach
    actions: list[Action] = [RestoreFormer(former, spec.name, restart)]
    if state.container is not None:
        actions.insert(0, RemoveContainer(state.container["Id"]))
    text = f"an earlier run stopped half-way: the container is put back from {spec.former_name}"
    container = {**state.former, "Name": f"/{spec.name}"}
    restored = replace(state, container=container, former=None, interrupted=interrupted)
    return _Steps([Reason("interrupted", text, spec.name)], actions), restored


def _was_interrupted(state: WormholeState) -> bool:
    """Whether the container that was put aside ran until its successor was there."""
    created = str((state.container or {}).get("Created") or "")
    finished = str(((state.former or {}).get("State") or {}).get("FinishedAt") or "")
    # RFC 3339 in UTC, with as many digits of a second as there are but zeros.
    return bool(created) and not is_alive(state.former) and finished.rstrip("Z") >= created.rstrip("Z")


def _status(container: Optional[Mapping[str, Any]]) -> str:
    if container is None:
        return ABSENT
    return str((container.get("State") or {}).get("Status", ""))


def _expected_status(state: WormholeState, steps: _Steps) -> str:
    for action in reversed(steps.actions):
        if isinstance(action, CleanUp):
            return ABSENT
        if isinstance(action, StartContainer):
            return "running"
        if isinstance(action, StopContainer):
            return "exited"
        if isinstance(action, CreateContainer):
            return "running" if action.start else "created"
    return _status(state.container)


def _shown(spec: WormholeSpec, values: Mapping[str, Any]) -> dict[str, Any]:
    networks = {attachment.network: "attached" for attachment in spec.attachments}
    return {"image": spec.image, **show_values(values), **({"networks": networks} if networks else {})}


def _put(side: dict[str, Any], deviation: Deviation, value: Any) -> None:
    if deviation.item:
        side.setdefault(deviation.option, {})[deviation.item] = value
    elif deviation.is_item:
        side.setdefault(deviation.option, []).extend([] if value is None else [value])
    else:
        side[deviation.option] = value
