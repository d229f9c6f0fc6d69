# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Answer the questions of a policy by the engine."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import replace
from typing import Optional, Tuple

from ..._policy.decision import CONTAINER, COUNT, EXEC, TEMPLATE, Found, Question
from ..found import FULL_ID, own_container_path, parse_found, parse_own_container, question_path
from .engine import Engine

_FRESH = 5.0
"""Seconds for which the ID of an identity's own container is believed, and the answer to a full ID.

IDs are never used twice, and labels do not change: an answer that is too old can only be about an
object that has been removed since."""
_KEPT = 4096
_TEMPLATES = 64

Key = Tuple[str, str, str]


class Inquiry:
    """What the engine says about objects.

    Answers are kept by full ID only, and only about the identity's own objects: names of others can
    change at any time, and a policy may decide by them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._kept: OrderedDict[Key, Tuple[float, Found]] = OrderedDict()
        self._own: dict[str, Tuple[float, str]] = {}
        self._templates: dict[str, OrderedDict[str, Found]] = {}
        self._quotas: dict[str, threading.RLock] = {}

    def answer(self, question: Question, identity: str) -> Optional[Found]:
        """The answer to a question; None if there is no such object.

        Raises:
            EngineDown: the engine does not answer.
        """
        key = (identity, question.kind, question.reference)
        if FULL_ID.fullmatch(question.reference):
            kept = self._kept.get(key)
            if kept is not None and kept[0] > time.monotonic():
                return kept[1]
        if question.kind == TEMPLATE:
            template = self._template(identity, question.reference)
            if template is not None:
                return template
        path = question_path(question, identity)
        document = self._engine.ask_json(path) if path is not None else None
        found = parse_found(question, document) if document is not None else None
        if found is not None and FULL_ID.fullmatch(question.reference) and _may_be_kept(found, identity):
            self._keep(key, found)
        return found

    def _keep(self, key: Key, found: Found) -> None:
        with self._lock:
            self._kept[key] = (time.monotonic() + _FRESH, replace(found, config=None))
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def forget(self, identity: str) -> None:
        """Forgets the identity's objects, after a call that changes some."""
        with self._lock:
            for key in [key for key in self._kept if key[0] == identity]:
                del self._kept[key]

    def own_container(self, identity: str) -> str:
        """Full ID of the container that uses this identity; empty if it is not exactly one.

        Raises:
            EngineDown: the engine does not answer.
        """
        kept = self._own.get(identity)
        if kept is not None and kept[0] > time.monotonic():
            return kept[1]
        container = parse_own_container(self._engine.ask_json(own_container_path(identity)))
        self._own[identity] = (time.monotonic() + _FRESH, container)
        return container

    def version(self) -> str:
        """The engine's newest version of the API.

        Raises:
            EngineDown: the engine does not answer.
        """
        if not self._engine.version:
            self._engine.ask("GET", "/_ping")
        return self._engine.version

    def remember(self, identity: str, container: str) -> None:
        """Keeps the configuration of a container that is about to be removed or renamed.

        Raises:
            EngineDown: the engine does not answer.
        """
        path = question_path(Question(CONTAINER, container), identity)
        document = self._engine.ask_json(path) if path is not None else None
        found = parse_found(Question(TEMPLATE, container), document) if document is not None else None
        if found is None or not found.name:
            return
        with self._lock:
            templates = self._templates.setdefault(identity, OrderedDict())
            templates[found.name] = found
            templates.move_to_end(found.name)
            while len(templates) > _TEMPLATES:
                templates.popitem(last=False)

    def _template(self, identity: str, reference: str) -> Optional[Found]:
        with self._lock:
            return self._templates.get(identity, OrderedDict()).get(reference.lstrip("/"))

    def quota(self, identity: str) -> threading.RLock:
        """The lock that is held between a count and the answer to the call that it permits."""
        with self._lock:
            return self._quotas.setdefault(identity, threading.RLock())


def _may_be_kept(found: Found, identity: str) -> bool:
    return found.kind == EXEC or (found.kind != COUNT and found.owner == identity)
