# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Paths in options that this host completes: relative ones, and those below a home directory."""

from __future__ import annotations

import os
from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput


def with_host_paths(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with the absolute sources of ``volumes``, as docker_container completes them.

    Raises:
        InvalidInput: a home directory is nobody's here.
    """
    if not params.get("volumes"):
        return dict(params)
    return {**params, "volumes": [_completed(str(item)) for item in params["volumes"]]}


def _completed(item: str) -> str:
    source, separator, rest = item.partition(":")
    if not separator or not source.startswith((".", "~")):
        return item
    path = os.path.expanduser(source)
    if path.startswith("~"):
        raise InvalidInput(f"volumes {item}", expected="the home directory of a user of this host first")
    return f"{os.path.abspath(path)}:{rest}"
