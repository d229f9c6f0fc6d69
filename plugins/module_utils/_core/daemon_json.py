# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dockerd's configuration file as text: keys are added and removed, every other byte stays.

Source: Docker documentation, "Daemon configuration file".
"""

from __future__ import annotations

import json
import re
from typing import Any, Mapping

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused

PATH = "/etc/docker/daemon.json"

_MEND = "Mend the file (dockerd reads it at its next start and would not come up), then run again"


def parse_config(text: str, path: str = PATH) -> dict[str, Any]:
    """Reads the configuration; a missing or blank file is an empty one, as dockerd has it.

    Raises:
        Refused: the text is no JSON object, or names a key twice.
    """
    if not text.strip():
        return {}
    try:
        config = json.loads(text, object_pairs_hook=_unique)
    except _Twice as error:
        raise Refused(path, expected="every key once", found=f"{error} twice", remedy=_MEND) from error
    except ValueError as error:
        raise Refused(path, expected="a JSON object", found=f"broken JSON ({error})", remedy=_MEND) from error
    if not isinstance(config, dict):
        raise Refused(path, expected="a JSON object", found=f"a JSON {type(config).__name__}", remedy=_MEND)
    return config


def add_keys(text: str, keys: Mapping[str, Any]) -> str:
    """Appends the keys that are missing, in the file's own indentation.

    Args:
        text: the present content.
        keys: what to add; those that are present already are left as they are.
    """
    present = parse_config(text)
    missing = {key: value for key, value in keys.items() if key not in present}
    if not missing:
        return text
    indent = _indentation(text)
    lines = [f"{indent}{json.dumps(key)}: {json.dumps(value)}" for key, value in missing.items()]
    body = text.rstrip()[:-1].rstrip() if present else "{"
    separator = ",\n" if present else "\n"
    ending = text[len(text.rstrip()) :] if text.strip() else "\n"
    return body + separator + ",\n".join(lines) + "\n}" + ending


class _Twice(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _Twice(repr(key))
        result[key] = value
    return result


def _indentation(text: str) -> str:
    match = re.search(r'^([ \t]+)"', text, re.MULTILINE)
    return match.group(1) if match else "  "
