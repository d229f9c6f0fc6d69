# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An engine that answers each question once, until something is changed through it.

A task with many containers observes them all before it changes any. With a snapshot, that takes
one list of containers, and one inspection of each container and image.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Optional, TypeVar

from ..._container.inspection import names_of
from ..port import EnginePort, Json

ValueT = TypeVar("ValueT")

CHANGES = frozenset(
    {
        "pull_image",
        "create_container",
        "update_container",
        "start_container",
        "stop_container",
        "restart_container",
        "pause_container",
        "unpause_container",
        "rename_container",
        "remove_container",
        "connect_network",
        "disconnect_network",
        "kill_container",
        "wait_container",
    }
)
"""The methods of an engine after which its answers may differ; all others are methods of a snapshot."""


class Snapshot:
    """An engine whose answers are remembered; see :class:`_engine.port.EnginePort`.

    The first request that changes something ends the snapshot: from then on, every question is
    passed to the engine. A container that is not in the list of all containers is not inspected.

    Args:
        connect: opens the engine; called when the first question has to be passed on.
    """

    def __init__(self, connect: Callable[[], EnginePort]) -> None:
        self._connect = connect
        self._opened: Optional[EnginePort] = None
        self._answers: Optional[dict[object, Any]] = {}

    def reconnect(self) -> None:
        """Open another connection for the next question: two processes cannot share one."""
        self._opened = None

    def live(self) -> Snapshot:
        """Return an engine over the same connection that remembers nothing, for waiting."""
        live = Snapshot(lambda: self._engine)
        live._answers = None
        return live

    def remember(self, question: object, answer: Callable[[], ValueT]) -> ValueT:
        """Return an answer that depends on the engine's state, while the snapshot lasts.

        Args:
            question: identifies the answer; hashable.
            answer: called at the first time, and always once the snapshot has ended.
        """
        if self._answers is None:
            return answer()
        if question not in self._answers:
            self._answers[question] = answer()
        found: ValueT = self._answers[question]
        return found

    def info(self) -> Json:
        return self.remember("info", self._engine.info)

    def version(self) -> Json:
        return self.remember("version", self._engine.version)

    def networks(self) -> list[Json]:
        return self.remember("networks", self._engine.networks)

    def containers(self, *, labels: Mapping[str, Optional[str]], running_only: bool = False) -> list[Json]:
        question = ("containers", tuple(sorted(labels.items())), running_only)
        return self.remember(
            question, lambda: self._engine.containers(labels=labels, running_only=running_only)
        )

    def find_container(self, container: str) -> Optional[Json]:
        if self._answers is not None and container not in self._known():
            return None
        found = self.remember(("container", container), lambda: self._engine.find_container(container))
        if found is not None and self._answers is not None:
            # It may be asked for by its name and by its ID.
            for name in (found["Id"], found["Name"].lstrip("/")):
                self._answers.setdefault(("container", name), found)
        return found

    def find_image(self, reference: str) -> Optional[Json]:
        return self.remember(("image", reference), lambda: self._engine.find_image(reference))

    def registry_digest(self, reference: str) -> str:
        return self.remember(("digest", reference), lambda: self._engine.registry_digest(reference))

    def read_container_file(self, container: str, path: str) -> Optional[bytes]:
        return self.remember(
            ("file", container, path), lambda: self._engine.read_container_file(container, path)
        )

    def container_logs(self, container: str, *, tail: Optional[int]) -> str:
        return self._engine.container_logs(container, tail=tail)

    def __getattr__(self, name: str) -> Any:
        """Return a method that changes something, and end the snapshot when it is called."""
        if name not in CHANGES:
            raise AttributeError(f"{name} is neither a method of Snapshot nor one of CHANGES")
        method = getattr(self._engine, name)

        def change(*arguments: Any, **options: Any) -> Any:
            self._answers = None
            return method(*arguments, **options)

        return change

    @property
    def _engine(self) -> EnginePort:
        if self._opened is None:
            self._opened = self._connect()
        return self._opened

    def _known(self) -> frozenset[str]:
        """Return the names and IDs of all containers."""
        return self.remember("names", lambda: _names(self.containers(labels={})))


def _names(containers: list[Json]) -> frozenset[str]:
    names = {name for container in containers for name in names_of(container)}
    return frozenset({*names, *(str(container["Id"]) for container in containers)})
