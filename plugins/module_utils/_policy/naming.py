# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""References to objects as they are recorded: what an object is to the identity, instead of its ID."""

from __future__ import annotations

import re
from typing import Any, Dict, Final, List, Mapping, Optional, Sequence, Tuple

from .call import Json
from .decision import CONTAINER, EXEC, IMAGE, LABEL_OWNER, VOLUME, Facts, Found, ObjectKind, Question
from .images import ImageReference, is_image_id, parse_image
from .names import has_label, looks_like_id
from .rules_images import wanted_image

OTHER: Final = "other"
"""Stands for a text that no rule allows."""
MALFORMED: Final = "!"
"""Stands for a text that is malformed with any policy."""
Relation = str
"""What an object is to the identity: one of the next five."""
OWN: Final = "own"
SELF: Final = "self"
FOREIGN: Final = "foreign"
MISSING: Final = "missing"
UNKNOWN: Final = "unknown"

MOST_OBJECTS: Final = 200
"""Objects of one call."""
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HASH = re.compile(r"[0-9a-f]{7,}")
_DIGITS = re.compile(r"[0-9]{3,}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{1,127}\Z")
_ID_LIKE = "000000000000"


def word(text: Any) -> str:
    """Return a plain word, or ``other``."""
    return text if isinstance(text, str) and _WORD.match(text) else OTHER


def is_shown(text: str) -> bool:
    """Whether a text can stand in an inventory without a meaning of its own."""
    return text.isprintable() and "{" not in text


def calm(text: str) -> str:
    """Return a text without the parts that differ from run to run: hashes, and numbers of three digits."""
    text = _UUID.sub("00000000-0000-0000-0000-000000000000", text)
    text = _HASH.sub(lambda match: "0" * len(match[0]) if re.search("[0-9]", match[0]) else match[0], text)
    return _DIGITS.sub(lambda match: "000" if match[0].strip("0") else match[0], text)


def calm_image(name: ImageReference) -> str:
    """Return the reference of an image without numbers of builds. Engines ignore a tag beside a digest."""
    return str(ImageReference(calm(name.repository), "" if name.digest else calm(name.tag), name.digest))


class TooManyObjects(Exception):
    """A call is not recorded as a whole."""


class Naming:
    """Replaces the references of one call, and notes what each is.

    Args:
        identity: whose call it is.
        facts: what the engine said about the objects.
        targets: labels that make a container a target of some policy, ``key`` or ``key=value``.

    Attributes:
        objects: by kind and new reference (``container:own-1``): ``is``, and what a decision depends
            on: ``labels`` (of the targets), ``owned`` (by another wormhole), ``names`` (of an image),
            ``container`` (of an exec instance).
        pending: questions that the facts do not answer.

    Raises:
        TooManyObjects: the call names more objects than a policy would ask about.
    """

    def __init__(self, identity: str, facts: Facts, targets: Sequence[str] = ()) -> None:
        self._identity, self._facts, self._targets = identity, facts, targets
        self._tokens: Dict[Tuple[str, str], str] = {}
        self._numbers: Dict[str, int] = {}
        self.objects: Dict[str, Dict[str, Json]] = {}
        self.pending: List[Question] = []

    def _find(self, kind: ObjectKind, reference: str) -> Tuple[Optional[Found], Relation]:
        question = Question(kind, reference)
        self._check_room()
        if question not in self._facts.answers:
            self.pending.append(question)
            return None, UNKNOWN
        found = self._facts.answers[question]
        if found is None:
            return None, MISSING
        if found.owner and found.owner == self._identity:
            return found, OWN
        if kind == CONTAINER and self._facts.me and found.id == self._facts.me:
            return found, SELF
        return found, FOREIGN

    def _check_room(self) -> None:
        if len(self.objects) + len(self.pending) > MOST_OBJECTS:
            raise TooManyObjects

    def refer(self, kind: ObjectKind, reference: str) -> str:
        """Return the new reference of a container, a network, a volume or an exec instance."""
        found, relation = self._find(kind, reference)
        if kind == EXEC and found is not None:
            container = self.refer(CONTAINER, found.container)
            relation = str(self.objects[f"{CONTAINER}:{container}"]["is"])
            return self._note(kind, found.id, EXEC, {"is": relation, "container": container})
        if found is None:
            return self._note(kind, reference, relation, {"is": relation})
        if relation == SELF:
            self.objects[f"{kind}:{SELF}"] = {"is": SELF}
            return SELF
        if relation == OWN:
            return self._note(kind, found.id, OWN, {"is": OWN})
        entry: Dict[str, Json] = {"is": FOREIGN}
        if kind == CONTAINER:
            entry["labels"] = [text for text in self._targets if has_label((text,), found.labels)]
        if found.owner:
            entry["owned"] = True
        name = found.name or reference
        name = name if is_shown(name) else OTHER
        self.objects[f"{kind}:{name}"] = entry
        return name

    def _note(self, kind: str, identifier: str, word: str, entry: Dict[str, Json]) -> str:
        """Number the objects of a call, so that two of them differ."""
        known = self._tokens.get((kind, identifier))
        if known is None:
            self._numbers[kind] = self._numbers.get(kind, 0) + 1
            known = self._tokens[kind, identifier] = f"{word}-{self._numbers[kind]}"
            self.objects[f"{kind}:{known}"] = entry
        return known

    def new(self, kind: ObjectKind, name: str) -> str:
        """Return the name of a new object. If an object has it, it is a reference."""
        question = Question(kind, name)
        self._check_room()
        if self._facts.answers.get(question) is not None:
            return self.refer(kind, name)
        if question not in self._facts.answers:
            self.pending.append(question)
        token = new_name(name)
        if token != MALFORMED:
            self.objects[f"{kind}:{token}"] = {"is": MISSING}
        return token

    def volume(self, name: str) -> str:
        """Return the name of a volume, which is created if it is missing."""
        return self.new(VOLUME, name)

    def image(self, reference: str) -> str:
        """Return the reference of an image: its name, or a number with the names that it has."""
        if not is_image_id(reference) and parse_image(reference) is None:
            return MALFORMED
        found, relation = self._find(IMAGE, reference)
        names = [calm_image(name) for name in wanted_image(reference, found) if name is not None]
        named = parse_image(reference)
        entry: Dict[str, Json] = {"is": relation}
        if named is not None and names == [calm_image(named)]:
            self.objects[f"{IMAGE}:{names[0]}"] = entry
            return names[0]
        entry["names"] = sorted(set(names))
        return self._note(IMAGE, reference, IMAGE, entry)


def new_name(name: str) -> str:
    """Return the name of a new object without what differs from run to run."""
    if not _NAME.match(name):
        return MALFORMED
    if looks_like_id(name):
        return _ID_LIKE
    calmed = calm(name)
    return name if looks_like_id(calmed) else calmed


def restore_facts(
    identity: str, objects: Mapping[str, Mapping[str, Json]]
) -> Tuple[str, Dict[Question, Optional[Found]]]:
    """Return the ID of the identity's own container, and answers, by the objects of a record."""
    answers: Dict[Question, Optional[Found]] = {}
    for key, entry in objects.items():
        kind, _colon, token = key.partition(":")
        answers[Question(kind, token)] = _restore(identity, kind, token, entry)  # type: ignore[arg-type]
        if kind == EXEC and entry.get("container"):
            container = str(entry["container"])
            about = objects.get(f"{CONTAINER}:{container}", {})
            answers[Question(CONTAINER, _id(container))] = _restore(identity, CONTAINER, container, about)
    return _id(SELF), answers


def _id(token: str) -> str:
    return f"id-of-{token}"


def _restore(identity: str, kind: str, token: str, entry: Mapping[str, Json]) -> Optional[Found]:

    relation = entry.get("is")
    names = entry.get("names")
    if kind == IMAGE and isinstance(names, list):
        return Found(IMAGE, _id(token), references=tuple(map(str, names)))
    if relation in (MISSING, UNKNOWN, None):
        return None
    if kind == IMAGE:
        return Found(IMAGE, _id(token), references=(token,))
    if kind == EXEC:
        return Found(EXEC, _id(token), container=_id(str(entry.get("container", ""))))
    labels: Dict[str, str] = {}
    for text in entry.get("labels") or ():
        key, _mark, value = str(text).partition("=")
        labels[key] = value
    if relation == OWN:
        labels[LABEL_OWNER] = identity
    elif entry.get("owned"):
        labels[LABEL_OWNER] = f"not {identity}"
    found: ObjectKind = kind  # type: ignore[assignment]
    return Found(found, token if kind == VOLUME else _id(token), token, labels)
