# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The containers that a restart of the engine stops, and that run again afterwards."""

from __future__ import annotations

import json
from typing import Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import files
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_port import EnginePort
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    ApplyFailed,
    EngineUnavailable,
    VerificationFailed,
)

_INTERRUPTED = "/run/wormhole-docker.interrupted"
"""Names of the containers that a restart stops, as JSON, for as long as they have not been started again.

In /run, because after a reboot nobody expects a container to run that has no restart policy.
"""


def running_containers(
    engine: EnginePort, labels: Optional[Mapping[str, Optional[str]]] = None
) -> tuple[str, ...]:
    """Names of the running containers that carry all these labels."""
    running = engine.containers(labels=labels or {}, running_only=True)
    return tuple(sorted(str(container["Names"][0]).lstrip("/") for container in running))


def stranded_containers(engine: EnginePort) -> tuple[str, ...]:
    """Names of the containers that a run stopped, which was then interrupted before they ran again."""
    journal = files.read_file(_INTERRUPTED)
    if journal is None:
        return ()
    found = {name: engine.find_container(name) for name in json.loads(journal.content)}
    return tuple(name for name, container in found.items() if container and not container["State"]["Running"])


def lost_containers(engine: EnginePort, names: tuple[str, ...]) -> tuple[str, ...]:
    """Of the containers that were to survive a restart, those that did not.

    One that has ended with exit status 0 was through with what it had to do, and has only ended meanwhile.
    """
    found = {name: engine.find_container(name) for name in names}
    states = {name: container["State"] for name, container in found.items() if container is not None}
    return tuple(
        name
        for name, state in states.items()
        if not state["Running"] and not state["Restarting"] and state.get("ExitCode")
    )


def remember_containers(names: tuple[str, ...]) -> None:
    """Keeps in mind which containers have to run again, should this process die."""
    files.write_file(_INTERRUPTED, json.dumps(names).encode(), mode=0o600)


def start_again(engine: EnginePort, names: tuple[str, ...]) -> None:
    """Starts the containers that a restart of the engine stopped and that no restart policy brought back.

    Raises:
        ApplyFailed: some do not start; the others run.
    """
    failures = []
    for name in names:
        found = engine.find_container(name)
        if found is None:
            # It was created with --rm: the engine removed it when it stopped, as it would have at any other stop.
            continue
        if not found["State"]["Running"] and not found["State"]["Restarting"]:
            try:
                engine.start_container(name)
            except EngineUnavailable as error:
                failures.append(f"{name} ({error.found})")
    if failures:
        raise ApplyFailed(
            "containers that ran before the restart", expected="to run again", found=", ".join(failures)
        )
    forget_containers()


def prove_containers(engine: EnginePort, names: tuple[str, ...]) -> None:
    """Makes sure that containers that were started again run.

    One that has ended with exit status 0 was through with what it had to do, and one that is gone was created with --rm.

    Raises:
        VerificationFailed: some do not.
    """
    down = {name: engine.find_container(name) for name in lost_containers(engine, names)}
    if down:
        raise VerificationFailed(
            "containers that ran before the restart",
            expected="to run again",
            found=", ".join(
                f"{name} (exit status {found['State']['ExitCode']})" for name, found in down.items() if found
            ),
            remedy=f"See docker logs {next(iter(down))}",
        )


def forget_containers() -> None:
    """Ends the memory of containers that have to run again: all of them do."""
    files.remove_file(_INTERRUPTED)
