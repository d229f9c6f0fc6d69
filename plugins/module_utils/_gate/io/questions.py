# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answer root's questions about policies and recorded calls: JSON on standard input, JSON on standard output.

- ``report``: ``{"identity": "", "days": 7, "explain": {…}}``, all optional.
- ``replay``: ``{"policy": {…}}``: the recorded calls of its identity that this policy would refuse.

The answer to a malformed question is ``{"error": "…"}``. Neither command talks to the engine or to the
running gate, or changes anything.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, BinaryIO, Dict, List, Optional, Union

from ..._base.errors import InvalidInput
from ..._policy.explain import explain
from ..config import PATH, POLICIES, parse_config
from ..identities import parse_identity
from ..places import RECORDS, SUFFIX, is_identity
from ..report import Files, read_request, replay, report
from ..units import STATE
from .recorder import read_record

_LARGEST = 4 << 20
_EXPLAINED = ("method", "path", "body", "object")


def main(command: str, stream: BinaryIO, state: str = STATE, config: str = PATH) -> int:
    """Carries out a command; returns the exit status."""
    try:
        answer = _answer(command, stream.read(_LARGEST), os.path.join(state, RECORDS), config)
    except InvalidInput as error:
        answer = {"error": str(error)}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def _answer(command: str, content: bytes, records: str, config: str) -> Dict[str, Any]:
    now = time.time()
    if command == "replay":
        policy = read_request(content, ("policy",)).get("policy")
        name = policy.get("identity") if isinstance(policy, dict) else None
        known = isinstance(name, str) and is_identity(name)
        return replay(read_record(records, str(name)) if known else None, policy, now)
    request = read_request(content, ("identity", "days", "explain"))
    identity, days = request.get("identity") or "", request.get("days", 7)
    counted = isinstance(days, int) and not isinstance(days, bool)
    if not isinstance(identity, str) or not counted or not 0 < days <= 31:
        raise InvalidInput("standard input", expected="the name of an identity, and 1 to 31 days")
    policies = _policies(_directory(config))
    if request.get("explain") is not None:
        return _explain(policies, identity, request["explain"])
    names = {*policies, *_names(records)} if not identity else {identity}
    found = {name: read_record(records, name) for name in names if is_identity(name)}
    files = Files(policies, {name: content for name, content in found.items() if content is not None})
    return report(files, identity, days, now)


def _explain(policies: Dict[str, Union[bytes, str]], identity: str, asked: Any) -> Dict[str, Any]:
    if not isinstance(asked, dict) or set(asked) - set(_EXPLAINED):
        raise InvalidInput("explain", expected=f"an object with {', '.join(_EXPLAINED)}")
    if identity not in policies:
        problem = f"{identity} has no policy on this host" if identity else "explain needs an identity"
        raise InvalidInput("identity", problem=problem, remedy="Name an identity with a policy on this host")
    method, path = asked.get("method", "GET"), asked.get("path")
    if not isinstance(method, str) or not isinstance(path, str):
        raise InvalidInput("explain.path", expected="a method and a path such as /containers/json?all=1")
    policy = parse_identity(identity, policies[identity]).policy
    return {"explanation": explain(policy, method, path, asked.get("body"), asked.get("object", "own"))}


def _directory(path: str) -> str:
    """Where the files of the policies are. Without a configuration, where they are by default."""
    try:
        with open(path, "rb") as stream:
            return parse_config(stream.read(_LARGEST)).policies
    except (OSError, InvalidInput):
        return POLICIES


def _names(directory: str) -> List[str]:
    try:
        found = os.listdir(directory)
    except OSError:
        return []
    names = [name[: -len(SUFFIX)] for name in found if name.endswith(SUFFIX)]
    return [name for name in names if is_identity(name)]


def _policies(directory: str) -> Dict[str, Union[bytes, str]]:
    found: Dict[str, Union[bytes, str]] = {}
    for name in _names(directory):
        content: Optional[bytes] = read_record(directory, name)
        found[name] = "it cannot be read" if content is None else content
    return found
