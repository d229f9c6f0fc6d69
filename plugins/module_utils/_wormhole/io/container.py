# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observes and changes the container of a wormhole."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from ..._base.errors import ApplyFailed, CommandFailed, WormholeError
from ..._base.plan import Plan
from ..._client.io import discovery
from ..._container.attachments import endpoint_settings
from ..._container.inspection import (
    Inspection,
    config_of,
    host_config_of,
    is_alive,
    is_leaving,
    is_paused,
    is_running,
    name_of,
    pid_of,
)
from ..._engine.port import EnginePort
from ..._wiring.io import program as program_host
from ..._wiring.io.state import ObserveWiring
from ..._wiring.program import InstallProgram, ProgramState, RemoveProgram
from ..._wiring.spec import RUNTIME, WiringSpec
from ..._wiring.wire import Wiring
from .. import model, rejections
from ..found import read_wiring, read_wiring_spec
from ..model import Action, ConnectNetwork, CreateContainer, RestorePrevious, WormholeState
from ..resolve import wiring_of, wiring_spec_of
from ..spec import HEALTHY, WormholeSpec
from .identity import Identity
from .observation import observe_wormhole, require

Verify = Callable[[str, WiringSpec, Wiring, bool], None]
AwaitHealth = Callable[[str, float], None]

_AGAIN = "Remove the container, and run the task again"


@dataclass(frozen=True)
class Ended:
    """How a container exited: its exit code, and everything that it wrote."""

    status: int
    output: str


class WormholeHost:
    """The container of one wormhole on its host.

    Args:
        spec: the specified wormhole.
        engine: the engine that runs it.
        verify: called with a container's ID, the specification of its wiring, its wiring, and
            whether it was just started. Raises VerificationFailed.
        identity: its identity.
        await_health: called with a container's ID and a timeout in seconds. Raises
            VerificationFailed.
        look: see :func:`_wormhole.io.observation.observe_wormhole`.

    Attributes:
        ended: how the container exited that this run waited for; None if it waited for none.
        has_created: whether this run has created the container, and has not removed it again.
    """

    def __init__(
        self,
        spec: WormholeSpec,
        engine: EnginePort,
        verify: Verify,
        identity: Identity,
        *,
        await_health: AwaitHealth,
        look: ObserveWiring,
    ) -> None:
        self._spec = spec
        self._engine = engine
        self._verify = verify
        self._identity = identity
        self._await_health = await_health
        self._look = look
        self._started = False
        self._verified = ""
        self._last: Optional[WormholeState] = None
        self.has_created = False
        self.ended: Optional[Ended] = None
        self._appliers: Mapping[type, Callable[[Any], None]] = {
            model.PullImage: lambda action: engine.pull_image(action.reference, platform=action.platform),
            CreateContainer: self._create,
            model.UpdateContainer: lambda action: engine.update_container(action.container, action.body),
            ConnectNetwork: self._connect,
            model.DisconnectNetwork: lambda action: engine.disconnect_network(
                action.network, action.container
            ),
            model.StartContainer: lambda action: self._start(action.container),
            model.StopContainer: lambda action: self._stop(action.container),
            model.RestartContainer: lambda action: self._restart(action.container),
            model.PauseContainer: lambda action: engine.pause_container(action.name),
            model.UnpauseContainer: lambda action: engine.unpause_container(action.name),
            model.RemoveContainer: lambda action: self._stop_and_remove(action.container),
            model.CleanUp: lambda action: self._remove(action.name),
            RestorePrevious: self._restore,
            model.RemovePrevious: lambda action: self._remove_previous(action.container),
            InstallProgram: program_host.install_program,
            RemoveProgram: lambda action: program_host.remove_program(),
        }

    def observe(self) -> WormholeState:
        """Read everything that the plan depends on.

        Raises:
            EngineUnavailable: the engine does not answer, or with ``pull: always`` the registry.
        """
        now = {"created_now": self.has_created, "started_now": self._started}
        self._last = observe_wormhole(self._spec, self._engine, self._look, **now)
        return self._last

    @property
    def _state(self) -> WormholeState:
        return self._last or self.observe()

    def require(self, plan: Plan[Action], *, listener_comes: bool = False) -> None:
        """Check what a plan requires, without changing anything.

        Args:
            listener_comes: whether the listener may be missing, because the run creates it first.

        Raises:
            MissingRequirement: something does not exist.
        """
        require(plan, self._spec, self._state, self._engine, self._identity, listener_comes=listener_comes)

    def carry_out(self, plan: Plan[Action]) -> None:
        """Carry out a plan whose requirements are met.

        Raises:
            WormholeError: a step failed; the previous container is restored.
        """
        program = self._state.program
        try:
            for action in plan.actions:
                self._appliers[type(action)](action)
        except BaseException:
            self._drop_new_program(program)
            raise

    def verify_running(self, container: Optional[Mapping[str, Any]]) -> bool:
        """Verify a running container, unless this run has done so; return whether it is verified.

        Raises:
            VerificationFailed: the container is not healthy, or its client cannot use the engine.
        """
        identifier = self._await_ready(container)
        if identifier and self._spec.verify and self._verified != identifier:
            self._verify_wiring(identifier, just_started=False)
        return bool(identifier) and self._spec.verify

    def resolved_wiring(self, container: Optional[Mapping[str, Any]], wiring: Wiring) -> Wiring:
        """Return the wiring with the address that a running container has found by itself."""
        if wiring_spec_of(self._spec, self._state).discover == RUNTIME and is_running(container):
            with contextlib.suppress(WormholeError):
                return discovery.find_wiring(pid_of(container), wiring)
        return wiring

    def _await_ready(self, container: Optional[Mapping[str, Any]]) -> str:
        """Wait for a container's specified health; return its ID, or "" if it need not run."""
        if container is None or not (self._spec.detach and self._spec.runs and is_alive(container)):
            return ""
        if self._spec.state == HEALTHY:
            self._await_health(str(container["Id"]), self._spec.healthy_wait_timeout)
        return str(container["Id"])

    def _verify_wiring(self, container: str, *, just_started: bool) -> None:
        spec, state = self._spec, self._state
        self._verify(container, wiring_spec_of(spec, state), wiring_of(spec, state), just_started)
        self._verified = container

    def _start(self, container: str) -> None:
        """Start a container, and verify it or wait until it exits."""
        # By its name, which error messages quote.
        self._engine.start_container(self._spec.name)
        self._started = True
        if self._spec.detach:
            self._verify_started(container)
            return
        status = self._engine.wait_container(container)
        self.ended = Ended(status, self._engine.container_logs(container, tail=None))
        if status and self._spec.remove_failed:
            self._remove(container)
        if status:
            raise CommandFailed(f"container {self._spec.name}", status=status, output=self.ended.output)

    def _restart(self, container: str) -> None:
        self._engine.restart_container(self._spec.name, timeout=self._spec.stop_timeout)
        self._started = True
        self._verify_started(container)

    def _verify_started(self, container: str) -> None:
        if self._spec.verify:
            self._verify_wiring(container, just_started=True)
        if self._spec.state == HEALTHY:
            self._await_health(container, self._spec.healthy_wait_timeout)

    def _drop_new_program(self, previous: ProgramState) -> None:
        """Remove the program that was installed for a container which could not be created."""
        with contextlib.suppress(WormholeError):
            now = program_host.observe_program(self._engine, self._spec.wiring, (), ())
            if previous.program is None and previous.names is None and not now.users:
                program_host.remove_program()

    # -- networks --

    def _connect(self, action: ConnectNetwork) -> None:
        name, attachment = self._spec.name, action.attachment
        previous = None
        if action.again:
            found = self._engine.find_container(action.container) or {}
            previous = endpoint_settings(found, attachment.network)
            self._engine.disconnect_network(attachment.network, name)
        try:
            self._engine.connect_network(attachment.network, name, attachment.render())
        except BaseException as error:
            if previous is not None:
                self._reconnect(attachment.network, previous, error)
                _add_remedy(error, f"The container is attached to {attachment.network} as before")
            raise

    def _reconnect(self, network: str, previous: Mapping[str, Any], error: BaseException) -> None:
        """Attach the container to a network as before, if the specified attachment failed."""
        try:
            self._engine.connect_network(network, self._spec.name, previous)
        except WormholeError as second:
            found = f"the container could not be attached to {network} as before either: {second}"
            remedy = "Correct the option networks, and run the task again"
            raise ApplyFailed(f"{error}", problem=f"{error}. In addition, {found}", remedy=remedy) from error

    # -- replacement --

    def _create(self, action: CreateContainer) -> None:
        """Create a container; the one that it replaces is removed at last, or restored."""
        engine, previous = self._engine, action.previous
        image = engine.find_image(self._spec.image)
        # The image may have been pulled since the plan was made.
        rejections.reject_image_labels(self._spec, image)
        body = action.complete_body(config_of(image))
        name = self._spec.successor_name if previous else action.name
        self._make_room(name)
        before = engine.find_container(previous) if previous else None
        created = ""
        try:
            created = engine.create_container(name, body, platform=action.platform)
            self.has_created = True
            for attachment in action.attachments:
                engine.connect_network(attachment.network, name, attachment.render())
            self._identity.prepare(name)
            if is_alive(before):
                self._stop(previous)
            if previous:
                self._rename(previous, self._spec.previous_name)
                self._rename(created, action.name)
            self._identity.hand_over()
            if action.start:
                self._start(created)
        except BaseException as error:
            _add_remedy(error, self._undo(action, created, before, error))
            raise
        if previous:
            self._remove(previous)

    def _resume(self, before: Inspection) -> None:
        """Let a container run again as it did before, unless it still runs."""
        identifier = str((before or {}).get("Id") or "")
        if is_alive(before) and not is_alive(self._engine.find_container(identifier)):
            self._engine.start_container(identifier)
            if is_paused(before):
                self._engine.pause_container(identifier)

    def _undo(self, action: CreateContainer, created: str, before: Inspection, error: BaseException) -> str:
        """Remove the new container, restore the previous one, and return a sentence about that."""
        try:
            if action.previous:
                self._yield_name(created)
            self._identity.take_back()
            if action.previous:
                self._rename(action.previous, action.name)
            self._resume(before)
            if created:
                # Last: its time of creation tells a later run that the other was stopped for it.
                self._engine.remove_container(created, force=True, volumes=True)
                self.has_created = False
        except WormholeError as second:
            found = f"the previous state could not be restored either: {second}"
            kept = f"The previous container is kept as {action.name} or {self._spec.previous_name}"
            remedy = f"{kept}; the next run restores it" if action.previous else _AGAIN
            raise ApplyFailed(f"{error}", problem=f"{error}. In addition, {found}", remedy=remedy) from error
        if not action.previous:
            return "The new container is removed"
        return f"The previous container {'runs as before' if is_alive(before) else 'is restored'}"

    def _restore(self, action: RestorePrevious) -> None:
        """Restore the previous container. Ignore a failed start: the next plan shows it."""
        found = self._engine.find_container(action.container)
        self._yield_name(action.successor)
        # First, because the next run no longer recognizes the container after it is renamed.
        self._identity.give_back(found or {})
        self._rename(action.container, action.name)
        with contextlib.suppress(WormholeError):
            self._resume(found)
            if action.start:
                self._engine.start_container(action.container)
        if action.successor:
            self._engine.remove_container(action.successor, force=True, volumes=not self._spec.keep_volumes)

    def _yield_name(self, successor: str) -> None:
        """Stop and rename a new container that has the name of the wormhole already."""
        found = self._engine.find_container(successor) if successor else None
        if found is None or name_of(found) != self._spec.name:
            return
        if host_config_of(found).get("AutoRemove"):
            self._engine.remove_container(successor, force=True, volumes=True)
            return
        self._engine.stop_container(successor, timeout=0)
        self._rename(successor, self._spec.successor_name)

    def _remove_previous(self, previous: str) -> None:
        """Verify the container that has replaced the previous one, and remove the latter."""
        spec = self._spec
        try:
            container = self._engine.find_container(spec.name)
            identifier = self._await_ready(container)
            if container is not None and identifier and spec.verify:
                # By its own wiring: the task may specify another one by now.
                wiring_spec, wiring = read_wiring_spec(spec.wiring, container), read_wiring(container)
                self._verify(identifier, wiring_spec, wiring, False)
        except WormholeError as error:
            kept = f"The previous container is kept as {spec.previous_name}"
            _add_remedy(error, f"{kept}. Remove {spec.name}, and the next run restores it")
            raise
        self._stop_and_remove(previous)

    # -- one container --

    def _stop(self, container: str) -> None:
        """Stop a container. The signal of ``kill_signal`` is sent first, if there is one."""
        if self._spec.kill and is_running(self._engine.find_container(container)):
            self._engine.kill_container(container, self._spec.kill)
            if self._engine.find_container(container) is None:
                return
        self._engine.stop_container(container, timeout=self._spec.stop_timeout)

    def _stop_and_remove(self, container: str) -> None:
        self._stop(container)
        self._remove(container)

    def _remove(self, container: str) -> None:
        """Remove an exited container, and its anonymous volumes unless ``keep_volumes`` is set."""
        self._engine.remove_container(container, volumes=not self._spec.keep_volumes)

    def _rename(self, container: str, name: str) -> None:
        """Rename a container; stop one that waits for its restart, as Docker 26.1 requires."""
        found = self._engine.find_container(container)
        if name_of(found) == name:
            return
        self._make_room(name)
        if is_alive(found) and not is_running(found):
            self._stop(container)
        self._engine.rename_container(container, name)

    def _make_room(self, name: str) -> None:
        """Wait until a container of this name that is being removed is gone."""
        found = self._engine.find_container(name)
        if found and is_leaving(found):
            self._engine.remove_container(str(found["Id"]))


def _add_remedy(error: BaseException, sentence: str) -> None:
    if isinstance(error, WormholeError):
        error.remedy = f"{error.remedy}. {sentence}" if error.remedy else sentence
