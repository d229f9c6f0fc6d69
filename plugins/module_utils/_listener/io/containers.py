# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The containers that a restart of the engine stops, and that have to be started again."""

from __future__ import annotations

import json
from typing import Mapping, Optional

from ..._base.errors import ApplyFailed, EngineUnavailable, VerificationFailed
from ..._base.io import files
from ..._container.inspection import host_config_of, is_alive, names_of, state_of
from ..._engine.port import EnginePort

_INTERRUPTED = "/run/wormhole-docker.interrupted"
"""The names of the containers that a restart stops, as JSON, until they are started again.

In /run: after a reboot, a container without a restart policy is not expected to run.
"""

_SUBJECT = "containers that ran before the restart"


def running_containers(
    engine: EnginePort, labels: Optional[Mapping[str, Optional[str]]] = None
) -> tuple[str, ...]:
    """The names of the running containers with all these labels."""
    running = engine.containers(labels=labels or {}, running_only=True)
    return tuple(sorted(names_of(container)[0] for container in running))


def ephemeral_containers(engine: EnginePort, names: tuple[str, ...]) -> tuple[str, ...]:
    """Of these containers, those that the engine removes when they stop."""
    found = {name: engine.find_container(name) for name in names}
    return tuple(name for name, container in found.items() if host_config_of(container).get("AutoRemove"))


def stranded_containers(engine: EnginePort) -> tuple[str, ...]:
    """The names of the stopped containers that an interrupted run has not started again."""
    journal = files.read_file(_INTERRUPTED)
    if journal is None:
        return ()
    found = {name: engine.find_container(name) for name in json.loads(journal.content)}
    return tuple(name for name, container in found.items() if container and not is_alive(container))


def lost_containers(engine: EnginePort, names: tuple[str, ...]) -> tuple[str, ...]:
    """Of the containers that live-restore should have kept running, those that failed.

    A container with exit status 0 has finished its work in the meantime.
    """
    found = {name: engine.find_container(name) for name in names}
    return tuple(
        name
        for name, container in found.items()
        if container is not None
        and not is_alive(container)
        and not state_of(container).get("Restarting")
        and state_of(container).get("ExitCode")
    )


def remember_containers(names: tuple[str, ...]) -> None:
    """Records which containers to start again, for a later run if this process is killed."""
    files.write_file(_INTERRUPTED, json.dumps(names).encode(), mode=0o600)


def start_again(engine: EnginePort, names: tuple[str, ...]) -> None:
    """Starts the containers that a restart stopped and that no restart policy has started.

    Raises ApplyFailed if some do not start; the others are running then.
    """
    failures = []
    for name in names:
        found = engine.find_container(name)
        if found is None:
            # It was created with --rm: the engine removes it whenever it stops.
            continue
        if not is_alive(found) and not state_of(found).get("Restarting"):
            try:
                engine.start_container(name)
            except EngineUnavailable as error:
                failures.append(f"{name} ({error.found})")
    if failures:
        problem = f"Containers that ran before the restart do not start again: {', '.join(failures)}"
        raise ApplyFailed(_SUBJECT, problem=problem)
    forget_containers()


def verify_containers(engine: EnginePort, names: tuple[str, ...]) -> None:
    """Raises VerificationFailed if containers that were started again have failed.

    One with exit status 0 has finished its work; one that no longer exists was created with --rm.
    """
    down = {name: engine.find_container(name) for name in lost_containers(engine, names)}
    if down:
        text = ", ".join(
            f"{name} (exit status {state_of(found).get('ExitCode')})" for name, found in down.items() if found
        )
        problem = f"Containers that ran before the restart failed after it: {text}"
        raise VerificationFailed(_SUBJECT, problem=problem, remedy=f"See docker logs {next(iter(down))}")


def forget_containers() -> None:
    """Removes the record of remember_containers."""
    files.remove_file(_INTERRUPTED)
