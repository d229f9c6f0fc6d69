# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option env_file: a file on this host, read before the options are looked at."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import parse_env_file
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput


def with_env_file(params: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters with the variables of ``env_file`` in ``env``, where they are not set already.

    Raises:
        InvalidInput: the file cannot be read, or holds something else.
    """
    path = params.get("env_file")
    if not path:
        return dict(params)
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        found = getattr(error, "strerror", None) or "something that is not UTF-8"
        raise InvalidInput(f"env_file {path}", expected="a file that can be read", found=found) from error
    return {**params, "env": {**parse_env_file(path, text), **(params.get("env") or {})}}
