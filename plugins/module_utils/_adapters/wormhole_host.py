# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Observing and changing the wormholes of a host, through its engine and its files."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import discovery
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.identity_host import NoIdentity
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.wiring import observe_wiring
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_namespaces import (
    CONTAINER,
    named_containers,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_networks import (
    endpoint_settings,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import Comparison
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options import IMAGE
from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import (
    InstallProgram,
    ProgramState,
    RemoveProgram,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    ApplyFailed,
    CommandFailed,
    MissingRequirement,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import remedy_for_missing
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._core.systemd_units import UNIT_DIRECTORY
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring, WiringState
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import RUNTIME, WiringSpec
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole import (
    ABSENT,
    ALWAYS,
    HEALTHY,
    NEVER,
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
    is_alive,
    is_leaving,
    is_running,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_found import (
    read_wiring,
    read_wiring_spec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_plan import (
    wiring_of,
    wiring_spec_of,
)

Prove = Callable[[str, WiringSpec, Wiring, bool], None]
AwaitHealth = Callable[[str, float], None]


@dataclass(frozen=True)
class Ended:
    """How a container ended: its exit code, and all that it has written."""

    status: int
    output: str


class WormholeHost:
    """One wormhole on its host.

    Args:
        spec: the wormhole that is wanted.
        engine: the engine that is to run it.
        prove: called with a container's ID, what it is wired by and whether it was just started; raises
            VerificationFailed.
        identity: what it proves itself by.
        await_health: called with a container's ID and the seconds that it may take; raises VerificationFailed.
        unit_directory: of the listener's socket units.

    Attributes:
        ended: how the container ended that this run has waited for; None if it has waited for none.
        has_created: whether this run has created the container, and has not removed it again.
    """

    def __init__(
        self,
        spec: WormholeSpec,
        engine: EnginePort,
        prove: Prove,
        identity: NoIdentity,
        *,
        await_health: AwaitHealth,
        unit_directory: str = UNIT_DIRECTORY,
    ) -> None:
        self._spec = spec
        self._engine = engine
        self._prove = prove
        self._identity = identity
        self._unit_directory = unit_directory
        self.has_created = False
        self._started = False
        self._await_health = await_health
        self._proved = ""
        self.ended: Optional[Ended] = None
        self._state: Optional[WormholeState] = None

    def observe(self) -> WormholeState:
        """Reads everything that the plan depends on.

        Raises:
            EngineUnavailable: the engine, or with ``pull: always`` the registry, does not answer.
        """
        spec, engine = self._spec, self._engine
        info = engine.info()
        wiring = observe_wiring(engine, info, spec.wiring.socket_path, self._unit_directory)
        names = (spec.name, spec.former_name)
        container, former = (self._find(name) for name in names)
        # Without one, the container's own image tells what of the container's options comes from it.
        reference = spec.image or str((container or former or {}).get("Image") or "")
        image = engine.find_image(reference) if reference and spec.state != ABSENT else None
        self._state = WormholeState(
            wiring=wiring,
            container=container,
            former=former,
            image=image,
            own_image=self._find_own_image(container or former, image),
            image_outdated=self._is_outdated(image),
            info=info,
            program=self._observe_program(wiring, names),
            referred=self._find_referred(),
            api_version=tuple(int(part) for part in engine.version()["ApiVersion"].split(".")),
            created_now=self.has_created,
            started_now=self._started,
        )
        return self._state

    def _observe_program(self, wiring: WiringState, names: tuple[str, ...]) -> ProgramState:
        # Another engine knows nothing of the containers that start with it, and has none itself.
        if wiring.served_is_another:
            return ProgramState()
        return discovery.observe_program(self._engine, self._spec.wiring, names, wiring.served)

    def _find(self, name: str) -> Optional[Mapping[str, Any]]:
        """A container that counts; one that is being removed does so only where it has to go."""
        found = self._engine.find_container(name)
        return None if found and is_leaving(found) and self._spec.state != ABSENT else found

    def _find_own_image(
        self, container: Optional[Mapping[str, Any]], image: Optional[Mapping[str, Any]]
    ) -> Optional[Mapping[str, Any]]:
        """The image of a container that keeps it although another one is asked for."""
        if container is None or self._spec.comparisons.get(IMAGE) is not Comparison.IGNORE:
            return None
        own = str(container.get("Image") or "")
        return image if image is not None and image["Id"] == own else self._engine.find_image(own)

    def _find_referred(self) -> dict[str, str]:
        names = set(named_containers(self._spec.options).values()) if self._spec.state != ABSENT else set()
        found = {name: self._engine.find_container(name) for name in names}
        return {name: str(container["Id"]) for name, container in found.items() if container is not None}

    def require(self, plan: Plan[Action]) -> None:
        """Checks what has to be there before a plan can be carried out, and changes nothing.

        Raises:
            MissingRequirement: something of it is missing.
        """
        if any(isinstance(action, (CreateContainer, ConnectNetwork)) for action in plan.actions):
            self._require_networks()
        if any(isinstance(action, CreateContainer) for action in plan.actions):
            self._require_containers()
            self._require_listener()
            self._identity.require()
            self._require_shared_directory()
            if not any(isinstance(action, PullImage) for action in plan.actions):
                self._require_image()

    def apply(self, plan: Plan[Action]) -> None:
        """Carries out a plan.

        Raises:
            MissingRequirement: see :meth:`require`; nothing has been changed.
            WormholeError: a step failed; a container that was to be replaced is back.
        """
        self.require(plan)
        self.carry_out(plan)

    def carry_out(self, plan: Plan[Action]) -> None:
        """Carries out a plan for which everything is there.

        Raises:
            WormholeError: a step failed; a container that was to be replaced is back.
        """
        former = (self._state or self.observe()).program
        try:
            for action in plan.actions:
                self._apply_action(action)
        except BaseException:
            self._drop_new_program(former)
            raise

    def prove_running(self, container: Optional[Mapping[str, Any]]) -> bool:
        """Proves the wormhole of a container that runs, unless that is done; tells whether it is proved."""
        if self._spec.detach and self._spec.state == HEALTHY and is_alive(container):
            self._prove_health(str((container or {})["Id"]))
        if not self._spec.detach or not self._spec.verify or not self._spec.runs or not is_alive(container):
            return False
        identifier = str((container or {})["Id"])
        if self._proved != identifier:
            self._traverse(identifier, just_started=False)
        return True

    def _prove_successor(self) -> None:
        """Proves a container whose former is there still, by its own wiring: the task may want another by now."""
        spec, container = self._spec, self._engine.find_container(self._spec.name)
        if container is None or not spec.detach or not spec.runs or not is_alive(container):
            return
        identifier = str(container["Id"])
        if spec.state == HEALTHY:
            self._prove_health(identifier)
        if spec.verify:
            self._prove(identifier, read_wiring_spec(spec.wiring, container), read_wiring(container), False)

    def settled(self, container: Optional[Mapping[str, Any]], wiring: Wiring) -> Wiring:
        """The wiring with the address that a running container has looked up itself; as it is for any other."""
        spec = wiring_spec_of(self._spec, self._state or self.observe())
        if spec.discover != RUNTIME or not is_running(container):
            return wiring
        with contextlib.suppress(WormholeError):
            return discovery.settle(int((container or {})["State"]["Pid"]), wiring)
        return wiring

    def _is_outdated(self, image: Optional[Mapping[str, Any]]) -> bool:
        if self._spec.pull != ALWAYS or image is None or not self._spec.image or not self._spec.pulls:
            return False
        digest = self._engine.registry_digest(self._spec.image)
        return not any(known.endswith(f"@{digest}") for known in image.get("RepoDigests") or ())

    def _apply_action(self, action: Action) -> None:
        engine = self._engine
        if isinstance(action, PullImage):
            engine.pull_image(action.reference, platform=action.platform)
        elif isinstance(action, CreateContainer):
            self._create(action)
        elif isinstance(action, UpdateContainer):
            engine.update_container(action.container, action.body)
        elif isinstance(action, ConnectNetwork):
            self._connect(action)
        elif isinstance(action, DisconnectNetwork):
            engine.disconnect_network(action.network, action.container)
        elif isinstance(action, RestoreFormer):
            self._restore(action)
        elif isinstance(action, InstallProgram):
            discovery.install_program(action)
        elif isinstance(action, RemoveProgram):
            discovery.remove_program()
        else:
            self._apply_to_life(action)

    def _apply_to_life(self, action: Action) -> None:
        """Starts, stops or removes a container."""
        if isinstance(action, StartContainer):
            self._start(action.container)
        elif isinstance(action, StopContainer):
            self._stop(action.container)
        elif isinstance(action, CleanUp):
            self._engine.remove_container(action.name, volumes=not self._spec.keep_volumes)
        elif isinstance(action, RemoveFormer):
            self._remove_former(action.container)
        elif isinstance(action, RemoveContainer):
            self._remove(action.container)

    def _remove_former(self, former: str) -> None:
        name = self._spec.name
        try:
            self._prove_successor()
        except WormholeError as error:
            told = f"What it has replaced is kept as {self._spec.former_name}. Remove {name} to have that back by the next run"
            error.remedy = f"{error.remedy}. {told}" if error.remedy else told
            raise
        self._remove(former)

    def _drop_new_program(self, former: ProgramState) -> None:
        """Removes the program that was installed for a container which could not be created after all."""
        with contextlib.suppress(WormholeError):
            now = discovery.observe_program(self._engine, self._spec.wiring, (), ())
            if former.program is None and former.names is None and not now.users:
                discovery.remove_program()

    def _remove(self, container: str) -> None:
        """Stops a container as its processes expect it, then removes it; volumes stay unless it is said otherwise."""
        self._stop(container)
        self._engine.remove_container(container, volumes=not self._spec.keep_volumes)

    def _stop(self, container: str) -> None:
        """Stops a container, by a signal of the user's choice first; it has ended then in any case."""
        if self._spec.kill and is_running(self._engine.find_container(container)):
            self._engine.kill_container(container, self._spec.kill)
            if self._engine.find_container(container) is None:
                return
        self._engine.stop_container(container, timeout=self._spec.stop_timeout)

    def _start(self, container: str) -> None:
        """Starts a container, and proves it or waits for its end."""
        # By its name, which is what an error has to tell.
        self._engine.start_container(self._spec.name)
        self._started = True
        if self._spec.detach:
            self._prove_started(container)
            return
        status = self._engine.wait_container(container)
        self.ended = Ended(status, self._engine.container_logs(container, tail=None))
        if status:
            raise CommandFailed(f"container {self._spec.name}", status=status, output=self.ended.output)

    def _prove_health(self, container: str) -> None:
        self._await_health(container, self._spec.healthy_wait_timeout)

    def _connect(self, action: ConnectNetwork) -> None:
        name, attachment = self._spec.name, action.attachment
        former = None
        if action.again:
            container = self._engine.find_container(action.container) or {}
            former = endpoint_settings(container, attachment.network)
            self._engine.disconnect_network(attachment.network, name)
        try:
            self._engine.connect_network(attachment.network, name, attachment.render())
        except WormholeError as error:
            if former is not None:
                self._reconnect(attachment.network, former, error)
                told = f"The container is attached to {attachment.network} as before"
                error.remedy = f"{error.remedy}. {told}" if error.remedy else told
            raise
        except BaseException as error:
            if former is not None:
                self._reconnect(attachment.network, former, error)
            raise

    def _reconnect(self, network: str, former: Mapping[str, Any], error: BaseException) -> None:
        """Attaches the container to a network as it was, when it cannot be attached as it should be."""
        try:
            self._engine.connect_network(network, self._spec.name, former)
        except WormholeError as second:
            raise ApplyFailed(
                f"{error}",
                found=f"that the container could not be attached to {network} as before either: {second}",
                remedy="Mend the option networks and run the task again",
            ) from error

    def _prove_started(self, container: str) -> None:
        if self._spec.verify:
            self._traverse(container, just_started=True)
        if self._spec.state == HEALTHY:
            self._prove_health(container)

    def _traverse(self, container: str, *, just_started: bool) -> None:
        state = self._state or self.observe()
        self._prove(container, wiring_spec_of(self._spec, state), wiring_of(self._spec, state), just_started)
        self._proved = container

    def _create(self, action: CreateContainer) -> None:
        """Creates a container; one that it replaces is put aside first, and removed last or put back."""
        engine, former = self._engine, action.former
        image = engine.find_image(self._spec.image) or {}
        body = action.complete_body(image.get("Config") or {})
        self._make_room(action.name)
        former_runs = is_alive(engine.find_container(former)) if former else False
        created = ""
        if former:
            self._put_aside(former, former_runs)
        try:
            created = engine.create_container(action.name, body, platform=action.platform)
            self.has_created = True
            for attachment in action.attachments:
                engine.connect_network(attachment.network, action.name, attachment.render())
            self._identity.prepare(action.name)
            if former_runs:
                self._stop(former)
            self._identity.hand_over()
            if action.start:
                self._start(created)
        except WormholeError as error:
            told = self._undo(action, created, former_runs, error)
            error.remedy = f"{error.remedy}. {told}" if error.remedy else told
            raise
        except BaseException as error:
            self._undo(action, created, former_runs, error)
            raise
        if former:
            engine.remove_container(former, volumes=not self._spec.keep_volumes)

    def _put_aside(self, former: str, former_runs: bool) -> None:
        try:
            self._rename(former, self._spec.former_name)
        except BaseException:
            if former_runs:
                with contextlib.suppress(WormholeError):
                    self._engine.start_container(former)
            raise

    def _restore(self, action: RestoreFormer) -> None:
        """Gives a container its name back. Whether it has to run is decided by what comes next, which tells if it does not."""
        alive = is_alive(self._engine.find_container(action.container))
        self._rename(action.container, action.name)
        stopped = alive and not is_alive(self._engine.find_container(action.container))
        if action.start or stopped:
            with contextlib.suppress(WormholeError):
                self._engine.start_container(action.container)

    def _rename(self, container: str, name: str) -> None:
        """Renames a container; one that the engine is about to start again is stopped, since it cannot be renamed (Docker 26.1)."""
        self._make_room(name)
        found = self._engine.find_container(container)
        if is_alive(found) and not is_running(found):
            self._stop(container)
        self._engine.rename_container(container, name)

    def _make_room(self, name: str) -> None:
        """Waits until a container has gone that is being removed."""
        found = self._engine.find_container(name)
        if found and is_leaving(found):
            self._engine.remove_container(str(found["Id"]))

    def _undo(self, action: CreateContainer, created: str, former_runs: bool, error: BaseException) -> str:
        """Removes what was created, with the anonymous volumes that are its own, and puts the former back."""
        try:
            if created:
                self._engine.remove_container(created, force=True, volumes=True)
                self.has_created = False
            if action.former:
                self._rename(action.former, action.name)
            self._identity.take_back()
            # One that was not stopped yet may be paused, and cannot be started then.
            if former_runs and not is_alive(self._engine.find_container(action.former)):
                self._engine.start_container(action.former)
        except WormholeError as second:
            raise ApplyFailed(
                f"{error}",
                found=f"that the former state could not be put back either: {second}",
                remedy=f"The former container is kept as {self._spec.former_name}; the next run puts it back"
                if action.former
                else "Remove the container and run the task again",
            ) from error
        if not action.former:
            return "The new container is removed"
        return "The former container runs as before" if former_runs else "The former container is back"

    def _require_image(self) -> None:
        if self._engine.find_image(self._spec.image) is None:
            remedy = (
                "Set pull: missing, or load the image first"
                if self._spec.pull == NEVER
                else "Load the image first"
            )
            raise MissingRequirement(
                f"image {self._spec.image}", found="that it is not on this host", remedy=remedy
            )

    def _require_networks(self) -> None:
        networks = self._engine.networks()
        there = {network["Name"] for network in networks}
        mode = str(self._spec.options.get("network_mode", "bridge"))
        modes = (
            () if mode.startswith(CONTAINER) or mode in {network["Id"] for network in networks} else (mode,)
        )
        for name in (*modes, *(attachment.network for attachment in self._spec.attachments)):
            if name not in there:
                raise MissingRequirement(
                    f"wormhole {self._spec.name}",
                    found=f"there is no network {name} on this host",
                    remedy=remedy_for_missing(name, (self._state or self.observe()).wiring.topology),
                )

    def _require_containers(self) -> None:
        there = (self._state or self.observe()).referred
        for option, name in named_containers(self._spec.options).items():
            if name not in there:
                raise MissingRequirement(
                    f"wormhole {self._spec.name}",
                    found=f"there is no container {name} on this host, whose namespace is its {option}",
                    remedy="Create that container first; it is found by its name or its whole ID",
                )

    def _require_listener(self) -> None:
        wiring = wiring_of(self._spec, self._state or self.observe())
        if wiring.obstacle:
            raise MissingRequirement(
                f"wormhole {self._spec.name}", found=wiring.obstacle, remedy=wiring.remedy
            )

    def _require_shared_directory(self) -> None:
        """A directory that is not there would be made by the engine, for root and empty; it is rather a slip."""
        directory = self._spec.wiring.shared_directory
        if directory and not os.path.isdir(directory):
            raise MissingRequirement(
                f"shared_directory {directory}",
                found="no such directory on this host",
                remedy="Make it first",
            )
