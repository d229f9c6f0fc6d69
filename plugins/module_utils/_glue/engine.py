# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Report the engine of a host, and what the collection lacks there."""

from __future__ import annotations

import dataclasses
from typing import Any

from .._engine.io.requirements import observe_host, simulate_installation
from .._engine.other_engines import ENGINE_UNIT
from .._engine.requirements import find_obstacles, missing_packages


def describe_engine() -> dict[str, Any]:
    """Return the result of engine_info.

    Raises:
        MissingRequirement: this host does not run systemd.
    """
    state = observe_host()
    missing = missing_packages(state)
    obstacles = list(find_obstacles(state))
    if missing and "debian" in state.distribution:
        conflict = simulate_installation(missing)
        obstacles += [conflict] if conflict else []
    others = [engine for engine in state.engines if engine.unit != ENGINE_UNIT]
    return {
        "changed": False,
        "dockerd": state.dockerd,
        "running": state.running,
        "python": state.python.path,
        "libraries": dict(state.libraries),
        "missing_packages": list(missing),
        "obstacles": [f"{error}." for error in obstacles],
        "other_engines": [dataclasses.asdict(engine) for engine in others],
    }
