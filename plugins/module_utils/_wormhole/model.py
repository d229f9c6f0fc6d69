# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The observed state of a wormhole, and the actions that change it.

:mod:`_wormhole.plan` plans actions, and :mod:`_wormhole.io.container` applies them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Union

from .._base.labels import LABEL_MANAGED
from .._base.plan import Plan, Reason
from .._container.attachments import Attachment
from .._container.inspection import labels_of
from .._wiring.inherited import without_inherited
from .._wiring.program import InstallProgram, ProgramState, RemoveProgram, wrap
from .._wiring.wire import WiringState


@dataclass(frozen=True)
class WormholeState:
    """The observed state.

    Attributes:
        wiring: what the wiring depends on.
        container: inspection of the container; None without one.
        previous: inspection of the previous container, which an interrupted run has left under its
            other name; None without one.
        successor: inspection of the new container, which an interrupted run has left under its
            other name; None without one.
        image: inspection of the specified image, or of the container's if the task names none; None
            if it does not exist.
        own_image: inspection of the container's image; read if that may differ from the specified
            one.
        image_outdated: whether the registry has another image of that name; read with ``pull:
            always``.
        info: ``GET /info`` of the engine.
        program: the program for ``discover: runtime``.
        api_version: API version of the engine.
        referred: IDs of the existing containers whose namespaces options refer to, by name.
        created_now, started_now: whether this run has created, or started, the container.
        interrupted: whether an interrupted run has stopped the container; set by
            :func:`_wormhole.resolve.recover`.
    """

    wiring: WiringState
    container: Optional[Mapping[str, Any]] = None
    previous: Optional[Mapping[str, Any]] = None
    successor: Optional[Mapping[str, Any]] = None
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

    @property
    def existing(self) -> tuple[Mapping[str, Any], ...]:
        """The existing containers of the wormhole; more than one after an interrupted run."""
        found = (self.container, self.previous, self.successor)
        return tuple(container for container in found if container is not None)


@dataclass(frozen=True)
class PullImage:
    """Pull an image; without a platform for the engine's own."""

    reference: str
    platform: str = ""


@dataclass(frozen=True)
class RestorePrevious:
    """Undo a replacement.

    Attributes:
        container: ID of the previous container, which gets its name back.
        name: that name.
        start: whether to start it, if possible.
        successor: ID of the new container, which is removed; empty if there is none.
    """

    container: str
    name: str
    start: bool = False
    successor: str = ""


@dataclass(frozen=True)
class RemovePrevious:
    """Verify the new container, and remove the previous one."""

    container: str


@dataclass(frozen=True)
class CreateContainer:
    """Create a container.

    Attributes:
        name: its name.
        body: of ``POST /containers/create``, see :meth:`complete_body`.
        attachments: networks to connect after its creation.
        start: whether to start and verify it.
        previous: ID of the container that it replaces; empty for none.
        discovering: whether it starts with the program for ``discover: runtime``.
        platform: platform of the image; empty for the engine's own.
    """

    name: str
    body: Mapping[str, Any]
    attachments: tuple[Attachment, ...] = ()
    start: bool = True
    previous: str = ""
    discovering: bool = False
    platform: str = ""

    def complete_body(self, image: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the body with the parts that depend on the image's ``Config``.

        The image may have to be pulled first.
        """
        body = without_inherited(self.body, image, discovering=self.discovering)
        return wrap(body, image) if self.discovering else body


@dataclass(frozen=True)
class UpdateContainer:
    """Change resources or the restart policy in place."""

    container: str
    body: Mapping[str, Any]


@dataclass(frozen=True)
class ConnectNetwork:
    """Attach a network; with ``again``, detach it first."""

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
    """Start a container, and verify it."""

    container: str


@dataclass(frozen=True)
class StopContainer:
    """Stop a container."""

    container: str


@dataclass(frozen=True)
class RestartContainer:
    """Stop a running container, start it again, and verify it."""

    container: str


@dataclass(frozen=True)
class PauseContainer:
    """Pause the processes of the running container of this name."""

    name: str


@dataclass(frozen=True)
class UnpauseContainer:
    """Let the processes of the paused container of this name continue."""

    name: str


@dataclass(frozen=True)
class RemoveContainer:
    """Stop and remove a container; ``keep_volumes`` decides about its anonymous volumes."""

    container: str


@dataclass(frozen=True)
class CleanUp:
    """Remove the container of this name, which has exited with code 0."""

    name: str


Action = Union[
    PullImage,
    RestorePrevious,
    RemovePrevious,
    CreateContainer,
    UpdateContainer,
    ConnectNetwork,
    DisconnectNetwork,
    StartContainer,
    StopContainer,
    RestartContainer,
    PauseContainer,
    UnpauseContainer,
    RemoveContainer,
    InstallProgram,
    RemoveProgram,
    CleanUp,
]


@dataclass(frozen=True)
class Steps:
    """A part of a plan, joined with ``+``. Its reasons may lead to another part's actions."""

    reasons: tuple[Reason, ...] = ()
    actions: tuple[Any, ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)

    def __add__(self, other: Steps) -> Steps:
        before, after = {**self.before, **other.before}, {**self.after, **other.after}
        return Steps(self.reasons + other.reasons, self.actions + other.actions, before, after)

    def as_plan(self) -> Plan[Any]:
        return Plan(self.before, self.after, self.reasons, self.actions)


def is_wormhole(container: Mapping[str, Any]) -> bool:
    """Report whether a container has the label of a managed wormhole."""
    return labels_of(container).get(LABEL_MANAGED) == "true"
