# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Variables that an image brings and a wormhole must not have, because they choose its engine.

A container inherits its image's variables. One that is named without ``=`` at its creation is removed instead: the engine
keeps the bare name in the container's configuration, and gives its processes no such variable.

Sources in moby: ``merge`` in daemon/commit.go, ``ReplaceOrAppendEnvValues`` in container/env.go.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import OPEN_SETTINGS
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import RESERVED_VARIABLES

_PROGRAM_PREFIX = "WORMHOLE_"


def without_inherited(
    body: Mapping[str, Any], image: Mapping[str, Any], *, discovering: bool
) -> Mapping[str, Any]:
    """The body of a creation that removes what the image says of the engine and the wiring does not.

    Args:
        body: of ``POST /containers/create``.
        image: the image's ``Config``.
        discovering: whether the container starts with the program that finds the engine.
    """
    own = list(body.get("Env") or ())
    removed = _surplus(image.get("Env") or (), _names(own), discovering)
    return {**body, "Env": [*own, *removed]} if removed else body


def find_inherited(
    container: Optional[Mapping[str, Any]], wired: Iterable[str], *, discovering: bool
) -> tuple[str, ...]:
    """Names of the variables that a container has and must not have.

    Args:
        container: its inspection.
        wired: names of the variables that the wiring sets.
        discovering: whether it is to start with the program that finds the engine.
    """
    variables = ((container or {}).get("Config") or {}).get("Env") or ()
    return _surplus((item for item in variables if "=" in str(item)), wired, discovering)


def _surplus(variables: Iterable[Any], wired: Iterable[str], discovering: bool) -> tuple[str, ...]:
    kept = set(wired)
    names = (name for name in _names(variables) if name not in kept and _is_reserved(name, discovering))
    return tuple(dict.fromkeys(names))


def _is_reserved(name: str, discovering: bool) -> bool:
    if discovering and name.startswith(_PROGRAM_PREFIX) and name not in OPEN_SETTINGS:
        return True
    return name in RESERVED_VARIABLES


def _names(variables: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(item).partition("=")[0] for item in variables)
