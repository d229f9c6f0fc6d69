# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A wormhole, a container with access to the engine that runs it: what is wanted, what is there, what can be
done.

:mod:`_core.wormhole_plan` decides; :mod:`_adapters.wormhole_host` observes and acts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_checks import mount_targets
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_names import (
    is_image_id,
    parse_image,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_networks import (
    Attachment,
    parse_attachments,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import Comparison
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options import (
    NETWORKS,
    parse_comparisons,
    parse_options,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_process import (
    parse_signal,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_platform import (
    Platform,
    parse_platform,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_ports import (
    parse_default_address,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import (
    InstallProgram,
    ProgramState,
    RemoveProgram,
    wrap,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_security import is_unlabelled
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.inherited_variables import (
    without_inherited,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import WiringState
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    LABEL_MANAGED,
    WiringSpec,
    parse_wiring,
    refuse_conflicts,
)

ABSENT, PRESENT, STOPPED, STARTED, HEALTHY = STATES = ("absent", "present", "stopped", "started", "healthy")
MISSING, ALWAYS, NEVER = "missing", "always", "never"
PULLS = (NEVER, MISSING, ALWAYS, True, False)

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
FORMER_SUFFIX = ".wormhole-former"


@dataclass(frozen=True)
class WormholeSpec:
    """The wormhole that is wanted.

    Attributes:
        name: the container's name.
        state: ``absent``, ``present``, ``stopped``, ``started`` or ``healthy``.
        image: reference or ID of the image; empty if the container that is there keeps its own.
        pull: ``missing``, ``always`` or ``never``.
        options: canonical values of the container options that the user has set; see
            :mod:`_core.container_options`.
        attachments: the networks to join.
        isolated: whether it has to be on no network at all, because ``networks`` is empty and compared strictly.
        wiring: how it reaches its engine.
        recreate: replace the container even if it is right.
        adopt: replace or remove a container of that name that is no wormhole.
        stop_timeout: seconds that a container gets to stop; None for what it was created with.
        verify: whether it has to be traversed before it counts as started.
        program: text of the program that finds the engine, for a wiring that looks it up at run time.
        platform: that the image has to be for; None for the engine's own.
        comparisons: how options are compared that are not compared as usual.
        healthy_wait_timeout: seconds until a container that is not healthy is given up; 0 for never.
        detach: whether it goes on by itself once it runs; else its end is waited for.
        cleanup: whether it is removed once it has ended well.
        kill: signal by which it is ended; empty if it is asked to stop.
        keep_volumes: whether its anonymous volumes stay when it is removed.
        default_host_ip: where ports are published that name no address, empty for the engine's choice; None for what the
            networks say.
    """

    name: str
    state: str = STARTED
    image: str = ""
    pull: str = MISSING
    options: Mapping[str, Any] = field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()
    isolated: bool = False
    wiring: WiringSpec = WiringSpec()
    recreate: bool = False
    adopt: bool = False
    stop_timeout: Optional[int] = None
    verify: bool = True
    program: str = ""
    platform: Optional[Platform] = None
    comparisons: Mapping[str, Comparison] = field(default_factory=dict)
    healthy_wait_timeout: float = 0.0
    detach: bool = True
    cleanup: bool = False
    kill: str = ""
    keep_volumes: bool = True
    default_host_ip: Optional[str] = None

    @property
    def runs(self) -> bool:
        """Whether the container is to run."""
        return self.state in (STARTED, HEALTHY)

    @property
    def pulls(self) -> bool:
        """Whether the image may be pulled."""
        return self.pull != NEVER and not is_image_id(self.image)

    @property
    def network_mode(self) -> str:
        """The network that it is created on; empty for the default bridge."""
        otherwise = "none" if self.isolated else next((a.network for a in self.attachments), "")
        return str(self.options.get("network_mode") or otherwise)

    @property
    def former_name(self) -> str:
        """The name that the former container has while its successor is not proved."""
        return self.name + FORMER_SUFFIX


@dataclass(frozen=True)
class WormholeState:
    """What is there.

    Attributes:
        wiring: what the wiring depends on.
        container: inspection of the container of that name; None if there is none.
        former: inspection of a container that an earlier run put aside; None if there is none.
        image: inspection of the image on this host; None if it is not there. Where none is asked for, the container's.
        own_image: inspection of the container's image; looked up where that may be another than the one asked for.
        image_outdated: the registry has another image by that reference; looked up for ``pull: always`` only.
        info: ``GET /info``: what the engine says of itself.
        program: what there is of the program that finds the engine at run time.
        api_version: of the engine.
        referred: IDs of the containers by whose names options mean their namespaces, as far as these are there.
        created_now, started_now: whether this run has created, or started, the container.
        interrupted: whether a run that died has stopped the container; known where what it has left is put in order.
    """

    wiring: WiringState
    container: Optional[Mapping[str, Any]] = None
    former: Optional[Mapping[str, Any]] = None
    image: Optional[Mapping[str, Any]] = None
    own_image: Optional[Mapping[str, Any]] = None
    image_outdated: bool = False
    info: Mapping[str, Any] = field(default_factory=dict)
    program: ProgramState = ProgramState()
    api_version: tuple[int, ...] = (1, 41)
    referred: Mapping[str, str] = field(default_factory=dict)
    created_now: bool = False
    started_now: bool = False
    interrupted: bool = False


@dataclass(frozen=True)
class PullImage:
    """Pull an image, for a platform if it is not empty."""

    reference: str
    platform: str = ""


@dataclass(frozen=True)
class RestoreFormer:
    """Give a container that was put aside its name back, and start it again if that can be done."""

    container: str
    name: str
    start: bool = False


@dataclass(frozen=True)
class RemoveFormer:
    """Remove a container that was put aside, once its successor is proved."""

    container: str


@dataclass(frozen=True)
class CreateContainer:
    """Create a container, connect its further networks, and start it if it is to run.

    Attributes:
        name: its name.
        body: of ``POST /containers/create``.
        attachments: networks to connect after its creation.
        start: whether to start and prove it.
        former: ID of the container that it replaces; empty if there is none.
        discovering: whether the program that finds the engine stands before what the image would start.
        platform: of the image; empty for the engine's own.
    """

    name: str
    body: Mapping[str, Any]
    attachments: tuple[Attachment, ...] = ()
    start: bool = True
    former: str = ""
    discovering: bool = False

    def complete_body(self, image: Mapping[str, Any]) -> Mapping[str, Any]:
        """The body once the image's ``Config`` is known, which may have to be pulled first."""
        body = without_inherited(self.body, image, discovering=self.discovering)
        return wrap(body, image) if self.discovering else body

    platform: str = ""


@dataclass(frozen=True)
class UpdateContainer:
    """Change resources or the restart policy while it is there; body of ``POST /containers/{id}/update``."""

    container: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class ConnectNetwork:
    """Attach a network; detach it first if it is attached otherwise."""

    container: str
    attachment: Attachment
    again: bool = False


@dataclass(frozen=True)
class DisconnectNetwork:
    """Detach a network."""

    container: str
    network: str


@dataclass(frozen=True)
class StartContainer:
    """Start a container, and prove it."""

    container: str


@dataclass(frozen=True)
class StopContainer:
    """Stop a container."""

    container: str


@dataclass(frozen=True)
class RemoveContainer:
    """Stop and remove a container; its volumes stay unless the specification says otherwise."""

    container: str


@dataclass(frozen=True)
class CleanUp:
    """Remove the container of this name, which has ended well."""

    name: str


Action = Union[
    PullImage,
    RestoreFormer,
    RemoveFormer,
    CreateContainer,
    UpdateContainer,
    ConnectNetwork,
    DisconnectNetwork,
    StartContainer,
    StopContainer,
    RemoveContainer,
    InstallProgram,
    RemoveProgram,
    CleanUp,
]


def parse_spec(params: Mapping[str, Any], socket_path: str) -> WormholeSpec:
    """The specification that a module's parameters make.

    Args:
        params: of the module wormhole_container.
        socket_path: the engine's socket on the host.

    Raises:
        InvalidInput: a parameter is malformed, or some contradict each other.
    """
    name = params["name"]
    if not _NAME.fullmatch(name):
        raise InvalidInput(f"name {name!r}", expected="letters, digits, and after the first also _ . and -")
    options = parse_options(params)
    attachments = parse_attachments(params.get("networks"), options.get("network_mode", ""))
    comparisons = parse_comparisons(params.get("comparisons"))
    strictly = comparisons.get(NETWORKS) is Comparison.STRICT
    isolated = strictly and params.get("networks") == [] and "network_mode" not in options
    wiring = parse_wiring(
        params,
        name=name,
        socket_path=socket_path,
        networks=(attachment.network for attachment in attachments),
        network_mode="none" if isolated else options.get("network_mode", ""),
        gateway_priorities={
            attachment.network: attachment.gw_priority for attachment in attachments if attachment.gw_priority
        },
        working_dir=options.get("working_dir", ""),
        host_users=options.get("userns_mode") == "host",
        unlabelled=is_unlabelled(
            options.get("security_opts", ()), privileged=bool(options.get("privileged"))
        ),
    )
    refuse_conflicts(
        wiring,
        env=options.get("env", ()),
        mount_targets=mount_targets(options),
        etc_hosts=options.get("etc_hosts", ()),
        labels=options.get("labels", ()),
    )
    _refuse_contradictions(params, options)
    return WormholeSpec(
        name=name,
        state=params["state"],
        image=parse_image("image", params["image"]) if params.get("image") else "",
        pull=_parse_pull(params.get("pull")),
        options=options,
        attachments=attachments,
        isolated=isolated,
        wiring=wiring,
        recreate=params["recreate"],
        adopt=params["adopt"],
        stop_timeout=params.get("stop_timeout"),
        verify=params["verify"],
        program=params.get("discover_program") or "",
        platform=parse_platform("platform", params["platform"]) if params.get("platform") else None,
        comparisons=comparisons,
        healthy_wait_timeout=max(params.get("healthy_wait_timeout") or 0.0, 0.0),
        detach=params.get("detach") is not False,
        cleanup=bool(params.get("cleanup")),
        kill=_parse_kill(params),
        keep_volumes=params.get("keep_volumes") is not False,
        default_host_ip=_parse_default_host_ip(params.get("default_host_ip")),
    )


def _parse_pull(value: Any) -> str:
    if value not in PULLS and value is not None:
        raise InvalidInput("pull", expected="never, missing, always, true or false", found=repr(value))
    if value in (True, False):
        # 1 and 0 are among the choices, too: to Python, they are these.
        return ALWAYS if value else MISSING
    return str(value or MISSING)


def _parse_default_host_ip(value: Optional[str]) -> Optional[str]:
    return None if value is None else parse_default_address("default_host_ip", value)


def _parse_kill(params: Mapping[str, Any]) -> str:
    signal = params.get("kill_signal")
    if signal and not params.get("force_kill"):
        raise InvalidInput("kill_signal", expected="force_kill beside it", found="no force_kill")
    return parse_signal("kill_signal", signal or "SIGKILL") if params.get("force_kill") else ""


def _refuse_contradictions(params: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Refuses options of the table that contradict those which are none."""
    detach, state = params.get("detach") is not False, params["state"]
    if params.get("cleanup") and detach:
        raise InvalidInput("cleanup", expected="detach: false beside it", found="detach: true")
    if not detach and state not in (ABSENT, STARTED):
        raise InvalidInput("detach", expected="state started beside detach: false", found=state)
    if options.get("auto_remove") and not detach:
        remedy = "Set cleanup: true instead, so that its output can be read"
        raise InvalidInput(
            "auto_remove", expected="detach: true beside it", found="detach: false", remedy=remedy
        )
    if options.get("auto_remove") and state == STOPPED:
        raise InvalidInput("auto_remove", expected="another state than stopped, in which it would be gone")
    if state == HEALTHY and options.get("healthcheck", {}).get("test") == ("NONE",):
        raise InvalidInput("state healthy", expected="a healthcheck", found="one that is switched off")


def is_running(container: Optional[Mapping[str, Any]]) -> bool:
    """Whether a container's main process runs; one that is paused does, one that waits for its restart does
    not."""
    state = (container or {}).get("State") or {}
    return bool(state.get("Running")) and not state.get("Restarting")


def is_alive(container: Optional[Mapping[str, Any]]) -> bool:
    """Whether a container's main process runs, or is going to be started again by the engine."""
    return bool(((container or {}).get("State") or {}).get("Running"))


def is_leaving(container: Mapping[str, Any]) -> bool:
    """Whether a container is about to be removed, or was so in part: it only takes room, and can never be started."""
    return (container.get("State") or {}).get("Status") in ("removing", "dead")


def is_wormhole(container: Mapping[str, Any]) -> bool:
    """Whether a container carries the label of a wormhole."""
    labels = (container.get("Config") or {}).get("Labels") or {}
    return labels.get(LABEL_MANAGED) == "true"


def docker_host_of(container: Optional[Mapping[str, Any]]) -> str:
    """``DOCKER_HOST`` of a container; empty if it has none, or if there is none."""
    variables = ((container or {}).get("Config") or {}).get("Env") or ()
    prefix = "DOCKER_HOST="
    return next((str(item)[len(prefix) :] for item in variables if str(item).startswith(prefix)), "")
