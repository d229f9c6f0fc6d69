# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Stop or remove the siblings of identities at once, as the reaper would do it later.

Root runs this as a command of the program (``cleanup``), before it removes a wormhole's policy, or the
gate. JSON on standard input: ``{"identities": ["ci"], "carry_out": true}``; without ``identities``, all
owners are looked at. The answer is ``{"siblings": […]}``, the rows of :mod:`_gate.ending`. Without
``carry_out``, nothing is changed, and the answer says what would be.

The running gate may do the same at the same time. What counts is what is left afterwards.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import BinaryIO, Collection, Dict, Mapping, Optional, Tuple

from ..._base.errors import InvalidInput
from ..._policy.decision import CONTAINER
from ..config import PATH, GateConfig, parse_config
from ..ending import KEPT, REMOVED, STOPPED, Ending
from ..reaping import (
    FILE_NAME,
    KINDS,
    Kind,
    Owner,
    Sibling,
    owners_path,
    parse_alive,
    parse_owners,
    parse_siblings,
    remember,
    removal_path,
    siblings_path,
    stop_path,
)
from ..report import read_request
from ..units import STATE
from .engine import Engine, EngineDown, render_request
from .policies import Policies
from .reaper import read_memory

_LARGEST = 1 << 20
_PATIENCE = 120.0
"""Seconds for a container that is stopped or removed."""
_ROUNDS = 5
_PAUSE = 1.0
"""Seconds between two rounds: the engine, or the running gate, may still be removing something."""

_Key = Tuple[str, str]


class Sweep:
    """The siblings of some identities.

    Args:
        engine: the engine.
        owners: what is known of all identities.
        names: the identities; None for all owners.
    """

    def __init__(self, engine: Engine, owners: Mapping[str, Owner], names: Optional[Collection[str]]) -> None:
        self._engine, self._owners, self._names = engine, owners, names
        self._alive: Collection[str] = ()

    def find(self) -> Dict[_Key, Ending]:
        """What is to happen to each, in the order of its removal.

        Raises:
            EngineDown: the engine does not answer.
        """
        found: Dict[_Key, Ending] = {}
        for kind in KINDS:
            document = self._engine.ask_json(siblings_path(kind, ""))
            for name in sorted(parse_owners(kind, document)):
                if self._names is None or name in self._names:
                    for sibling in parse_siblings(kind, document, name):
                        found[kind, sibling.id] = self._foretell(name, sibling)
        return found

    def carry_out(self) -> Tuple[Ending, ...]:
        """Stops and removes them; returns what has happened to each.

        Raises:
            EngineDown: the engine does not answer.
        """
        seen: Dict[_Key, Ending] = {}
        problems: Dict[_Key, str] = {}
        for _number in range(_ROUNDS):
            due = self._look(seen)
            if not due:
                break
            problems = {
                key: problem for key, ending in due.items() for problem in [self._end(ending)] if problem
            }
            if problems:
                time.sleep(_PAUSE)
        else:
            due = self._look(seen)
        left = {key: problems.get(key, "it is in use") for key in due}
        return tuple(
            ending._replace(action=KEPT, reason=left[key]) if key in left else ending
            for key, ending in seen.items()
        )

    def _look(self, seen: Dict[_Key, Ending]) -> Dict[_Key, Ending]:
        """Notes all siblings, and returns those that are to be stopped or removed."""
        # An owner that has come back keeps what it has.
        self._alive = parse_alive(self._engine.ask_json(owners_path()))
        found = self.find()
        for key, ending in found.items():
            seen.setdefault(key, ending)
        return {key: ending for key, ending in found.items() if ending.action != KEPT}

    def _foretell(self, identity: str, sibling: Sibling) -> Ending:
        owner = self._owners.get(identity)
        action, reason = KEPT, ""
        if identity in self._alive:
            reason = f"a container of {identity} runs"
        elif owner is None:
            reason = f"the policy of {identity} does not exist any more, and no cleanup is known"
        elif owner.mode == "remove":
            action = REMOVED
        elif owner.mode == "stop":
            action = STOPPED if sibling.kind == CONTAINER and sibling.running else KEPT
            reason = f"the policy of {identity} says cleanup: stop"
        else:
            reason = f"the policy of {identity} says cleanup: none, or did not enforce"
        return Ending(identity, sibling.kind, sibling.id, sibling.name, action, reason)

    def _end(self, ending: Ending) -> str:
        """Stops or removes one; returns why that was not possible, or an empty text."""
        sibling = Sibling(_KIND_OF[ending.kind], ending.id, ending.name)
        stops = ending.action == STOPPED
        method, target = ("POST", stop_path(sibling)) if stops else ("DELETE", removal_path(sibling))
        request = render_request(method, target, (), "Content-Length: 0")
        wire, head = self._engine.call(method, request, _PATIENCE)
        self._engine.read_body(wire, head, _LARGEST, _PATIENCE)
        return (
            "" if head.status < 400 or head.status == 404 else f"the engine answers with status {head.status}"
        )


_KIND_OF: Mapping[str, Kind] = {kind: kind for kind in KINDS}


def main(stream: BinaryIO, state: str = STATE, config: str = PATH) -> int:
    """Carries out the command; returns the exit status."""
    try:
        answer = {"siblings": [ending._asdict() for ending in _answer(stream.read(_LARGEST), state, config)]}
    except (InvalidInput, EngineDown) as error:
        sys.stdout.write(json.dumps({"error": str(error)}) + "\n")
    else:
        sys.stdout.write(json.dumps(answer) + "\n")
    return 0


def _answer(content: bytes, state: str, config: str) -> Tuple[Ending, ...]:
    request = read_request(content, ("identities", "carry_out"))
    names = request.get("identities")
    listed = isinstance(names, list) and all(isinstance(name, str) for name in names)
    if names is not None and not listed:
        raise InvalidInput("standard input", expected="a list of identities")
    settings = _settings(config)
    memory = read_memory(os.path.join(state, FILE_NAME))
    owners = remember(memory.owners, Policies(settings.policies).current(), ())
    sweep = Sweep(Engine(settings.engine, settings.limits), owners, names)
    if request.get("carry_out") is True:
        return sweep.carry_out()
    return tuple(sweep.find().values())


def _settings(path: str) -> GateConfig:
    """The configuration of the gate; without a file, as it is by default."""
    try:
        with open(path, "rb") as stream:
            return parse_config(stream.read(_LARGEST))
    except OSError:
        return GateConfig()
