# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The shapes of JSON documents: which fields exist, what they hold, which rule decides them.

``read(value, where)`` checks a document and returns it in the engine's own spelling, without nulls. Go
matches the keys of a struct without regard to case, so a key in another case is the same field, and two
spellings of one field are rejected.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, Final, Mapping, Protocol, Tuple

from .call import Json
from .decision import Refusal
from .text import check_text, malformed

FREE: Final = "free"
"""The rule of a field without power over anything but the new object itself."""
NEVER: Final = "never"
"""The rule of a field that only ``unrestricted`` allows."""
STRUCT: Final = "struct"
"""The rule of a document whose fields have rules of their own."""
DROPPED: Final = "dropped"
"""The rule of a field that the engine ignores, or fills itself. It is not forwarded."""


class AnyShape(Protocol):
    """What a value may be."""

    def read(self, value: Json, where: str) -> Json:
        """Return the value in its only spelling.

        Raises:
            Refusal: it is something else. ``where`` names it.
        """


class Text:
    """A string."""

    def read(self, value: Json, where: str) -> Json:
        if not isinstance(value, str):
            raise wrong(where, "a string")
        return check_text(value, where)


class Number:
    """An integer of 64 bits."""

    def read(self, value: Json, where: str) -> Json:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong(where, "an integer")
        return value


class Flag:
    """True or false."""

    def read(self, value: Json, where: str) -> Json:
        if not isinstance(value, bool):
            raise wrong(where, "true or false")
        return value


class Nothing:
    """An empty object, as in ``{"80/tcp": {}}``."""

    def read(self, value: Json, where: str) -> Json:
        if value not in ({}, None) or isinstance(value, (bool, int)):
            raise wrong(where, "an empty object")
        return {}


class Words:
    """A list of strings, or one string for a list of one (Go: ``strslice.StrSlice``)."""

    def read(self, value: Json, where: str) -> Json:
        return TEXTS.read([value] if isinstance(value, str) else value, where)


@dataclass(frozen=True)
class ListOf:
    """A list. Nulls in it are rejected."""

    item: AnyShape

    def read(self, value: Json, where: str) -> Json:
        if not isinstance(value, list):
            raise wrong(where, "a list")
        return [self.item.read(item, f"{where}[{number}]") for number, item in enumerate(value)]


@dataclass(frozen=True)
class MapOf:
    """An object with any keys, whose case matters. Values that are null are kept as ``null_as``."""

    item: AnyShape
    null_as: Json = None

    def read(self, value: Json, where: str) -> Json:
        if not isinstance(value, dict):
            raise wrong(where, "an object")
        return {
            check_text(key, where): self._read(item, f"{where}[{key}]") for key, item in sorted(value.items())
        }

    def _read(self, item: Json, where: str) -> Json:
        return self.item.read(self.null_as if item is None else item, where)


@dataclass(frozen=True)
class Field:
    """A row of a table: one field of a document.

    Attributes:
        name: the engine's spelling.
        shape: what it holds.
        rule: name of the rule that decides it, a key of ``rules.RULES``.
        defaults: values that count as not set, in addition to the zero value. Clients that recreate a
            container send what they have inspected, which names every default.
        zero_is_set: whether the zero value (0, false, "", [], {}) differs from an absent field.
        always: whether the rule also decides an absent field, as None: it may fill or demand it.
    """

    name: str
    shape: AnyShape
    rule: str = FREE
    defaults: Tuple[Json, ...] = ()
    zero_is_set: bool = False
    always: bool = False

    def is_unset(self, value: Json) -> bool:
        """Whether a value asks for nothing."""
        if value is None or any(
            type(value) is type(default) and value == default for default in self.defaults
        ):
            return True
        return not value and not self.zero_is_set


@dataclass(frozen=True)
class Struct:
    """An object with known fields."""

    fields: Tuple[Field, ...]
    by_name: Mapping[str, Field] = field(init=False, compare=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        names = {row.name.lower(): row for row in self.fields}
        if len(names) != len(self.fields):
            raise ValueError("two fields differ in case only")
        object.__setattr__(self, "by_name", {**names, **{row.name: row for row in self.fields}})

    def read(self, value: Json, where: str) -> Json:
        if not isinstance(value, dict):
            raise wrong(where, "an object")
        found: Dict[str, Json] = {}
        for key, item in value.items():
            row = self.by_name.get(key) or (self.by_name.get(key.lower()) if key.isascii() else None)
            if row is None:
                if not is_empty(item):
                    raise unknown_field(where, key)
            elif row.name in found:
                raise malformed(f"{_join(where, row.name)} occurs in two spellings")
            else:
                # A null is remembered until the end, so that the other spelling is found.
                found[row.name] = None if item is None else row.shape.read(item, _join(where, row.name))
        return {
            name: item
            for name, item in found.items()
            if item is not None and self.by_name[name].rule != DROPPED
        }


TEXT, NUMBER, FLAG, NOTHING, WORDS = Text(), Number(), Flag(), Nothing(), Words()
TEXTS = ListOf(TEXT)
TEXT_BY_NAME = MapOf(TEXT, null_as="")


def is_empty(value: Json) -> bool:
    """Whether a value asks for nothing: null or the zero value of a type."""
    return not value


def wrong(where: str, wanted: str) -> Refusal:
    """A value of another type."""
    return malformed(f"{where} is not {wanted}")


def unknown_field(where: str, key: str) -> Refusal:
    """A field that no table has. Its name is quoted up to a length, since it is the client's text."""
    name = key if key.isascii() and key.isprintable() and len(key) <= 64 else "with an unusual name"
    return Refusal(
        "unknown_field",
        f"The field {_join(where, name)} is not known to this gate",
        allowed="Leave it out",
    )


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where != BODY else name


BODY: Final = "The body"
"""The place of a whole body in a message. Its fields are named without it."""
