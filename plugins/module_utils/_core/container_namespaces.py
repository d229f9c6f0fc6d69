# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Namespaces that belong to another container, as options name them: ``container:NAME``.

A name may be given to another container later, so the engine is handed the ID, as docker_container does it.
"""

from __future__ import annotations

from typing import Any, Mapping

CONTAINER = "container:"
NAMESPACES = ("network_mode", "pid_mode", "ipc_mode")


def named_containers(values: Mapping[str, Any]) -> dict[str, str]:
    """By option, the container whose namespace is meant.

    Args:
        values: canonical values of options.
    """
    given = {option: str(values.get(option) or "") for option in NAMESPACES}
    return {option: text[len(CONTAINER) :] for option, text in given.items() if text.startswith(CONTAINER)}


def with_identifiers(values: Mapping[str, Any], identifiers: Mapping[str, str]) -> dict[str, Any]:
    """Canonical values with the containers' IDs, where they are known by name."""
    named = named_containers(values)
    return {**values, **{option: CONTAINER + identifiers.get(name, name) for option, name in named.items()}}
