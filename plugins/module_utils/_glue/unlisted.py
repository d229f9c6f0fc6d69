# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the wormholes of a host that a list does not name, to remove them."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from .._base.labels import LABEL_TRANSPORT
from .._wormhole.found import list_wormholes
from .._wormhole.spec import ABSENT
from .connection import open_engine
from .wormhole import KEEP, validate_wormhole


def with_unlisted(
    wormholes: Sequence[Mapping[str, Any]], unlisted: str, connection: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """Return the list, with the removal of all other managed wormholes before it if requested.

    They are searched on the engine of the task and on those of the list. A wormhole is listed if an
    element has its name and its engine. If the list names one engine in two spellings, either will
    do.

    Args:
        wormholes: the options of each, with defaults.
        unlisted: value of the option.
        connection: connection of the task.

    Raises:
        WormholeError: an engine does not answer.
    """
    if unlisted == KEEP:
        return list(wormholes)
    listed = {(params["docker_host"], params["name"]) for params in wormholes}
    engines = dict.fromkeys([connection["docker_host"], *(params["docker_host"] for params in wormholes)])
    found: dict[str, Mapping[str, Any]] = {}
    kept = set()
    for docker_host in engines:
        engine = open_engine({**connection, "docker_host": docker_host})
        for wormhole in list_wormholes(engine.containers(labels={LABEL_TRANSPORT: None})):
            if (docker_host, wormhole.name) in listed:
                kept.add(wormhole.id)
            elif wormhole.managed and wormhole.id not in found:
                identity = {"identity": wormhole.identity} if wormhole.identity else {}
                options = {"name": wormhole.name, "state": ABSENT, **identity}
                found[wormhole.id] = validate_wormhole({**connection, **options, "docker_host": docker_host})
    return [*(params for identifier, params in found.items() if identifier not in kept), *wormholes]
