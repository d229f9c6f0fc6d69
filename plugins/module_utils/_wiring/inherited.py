# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes inherited variables that would choose another engine.

A container inherits the variables of its image. A variable that is named without ``=`` when the
container is created is removed instead: the engine keeps the bare name in the container's
configuration, and does not pass the variable to its processes.

Sources in moby: ``merge`` in daemon/commit.go, ``ReplaceOrAppendEnvValues`` in container/env.go.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from .program import OPEN_SETTINGS
from .spec import RESERVED_VARIABLES


def without_inherited(
    body: Mapping[str, Any], image: Mapping[str, Any], *, discovering: bool
) -> Mapping[str, Any]:
    """Return a body of ``POST /containers/create`` that also removes inherited variables.

    Args:
        image: the image's ``Config``.
        discovering: whether the container has ``discover: runtime``.
    """
    own = list(body.get("Env") or ())
    removed = find_inherited(image.get("Env") or (), _names(own), discovering=discovering)
    return {**body, "Env": [*own, *removed]} if removed else body


def find_inherited(variables: Iterable[Any], wired: Iterable[str], *, discovering: bool) -> tuple[str, ...]:
    """Return the names of those variables that a container must not have.

    Args:
        wired: names of the variables that the wiring sets.
        discovering: whether the container is specified with ``discover: runtime``.
    """
    names = (name for name in _names(variables) if _is_reserved(name, discovering))
    kept = set(wired)
    return tuple(name for name in names if name not in kept)


def _is_reserved(name: str, discovering: bool) -> bool:
    of_program = discovering and name.startswith("WORMHOLE_") and name not in OPEN_SETTINGS
    return of_program or name in RESERVED_VARIABLES


def _names(variables: Iterable[Any]) -> dict[str, None]:
    return dict.fromkeys(str(item).partition("=")[0] for item in variables)
