# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Option values that the managed node completes: relative paths, home directories, ``env_file``."""

from __future__ import annotations

import os
from typing import Any, Mapping

from ..._base.errors import InvalidInput, WormholeError
from ..._base.io.opening import read_regular
from ..values import parse_env_file


def with_host_paths(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with absolute paths in ``volumes``, completed as in docker_container.

    Raises:
        InvalidInput: a home directory belongs to no user of this host.
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
        problem = f"volumes {item}: this host has no user {source.partition('/')[0][1:]}"
        raise InvalidInput(f"volumes {item}", problem=problem, remedy="Use an absolute path")
    return f"{os.path.abspath(path)}:{rest}"


def with_env_file(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters with the variables of ``env_file`` added to ``env``.

    Raises:
        InvalidInput: the file cannot be read or is malformed.
    """
    path = params.get("env_file")
    if not path:
        return dict(params)
    try:
        text = read_regular(path, any_link=True).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or "it is not UTF-8"
        raise InvalidInput(f"env_file {path}", problem=f"env_file {path} cannot be read: {found}") from error
    except WormholeError as error:
        raise InvalidInput(f"env_file {path}", problem=f"env_file {error.problem}") from error
    return {**params, "env": {**parse_env_file(path, text), **(params.get("env") or {})}}
