# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read dockerd's configuration file, and edit its text: set and remove keys, keep every other byte.

Source: Docker documentation, "Daemon configuration file".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Any, Collection, Mapping, Sequence

from .._base.errors import Refused

PATH = "/etc/docker/daemon.json"

_BYTE_ORDER_MARK = "\ufeff"
_REPAIR = "Repair the file, then run the task again: dockerd would not start with it"


def parse_config(text: str, path: str = PATH) -> dict[str, Any]:
    """Reads the configuration; like dockerd, takes a missing or blank file for an empty object.

    Raises:
        Refused: the text is not a JSON object, or has a key twice.
    """
    if not text.strip():
        return {}
    if text.startswith(_BYTE_ORDER_MARK):
        remedy = (
            "Save the file without it, then run the task again: some versions of dockerd do not start with it"
        )
        raise _broken(path, "starts with a byte order mark", remedy)
    try:
        config = json.loads(text, object_pairs_hook=_unique)
    except _Twice as error:
        raise _broken(path, f"has the key {error} twice") from error
    except ValueError as error:
        raise _broken(path, f"holds broken JSON ({error})") from error
    if not isinstance(config, dict):
        raise _broken(path, f"holds a JSON {type(config).__name__}, not an object")
    return config


def _broken(path: str, fault: str, remedy: str = _REPAIR) -> Refused:
    return Refused(path, problem=f"{path} {fault}", remedy=remedy)


def edit_keys(text: str, set_keys: Mapping[str, Any], remove: Collection[str] = ()) -> str:
    """Sets and removes keys in the text; every other byte stays.

    For example, ``edit_keys(text, {"debug": False, "tls": True}, ["hosts"])`` turns the left text
    into the right one::

        {                                    {
            "hosts": ["fd://"],                  "debug": false,
            "debug": true,                       "data-root": "/srv",
            "data-root": "/srv"                  "tls": true
        }                                    }

    A key whose value is equal keeps its text; another value replaces the old one in its place
    (``debug``). A removed key is removed with its comma and its line (``hosts``). A missing key is
    appended with the indentation and line ending of the file (``tls``).

    Appending keys and removing them again gives back the same bytes if the text is one of these:

    * it has a line break anywhere between ``{`` and the end of the last value;
    * it is on one line, with the same white space after ``{`` as before ``}``;
    * the object is ``{}``.

    Otherwise the white space before ``}`` may differ: a missing file becomes ``{}``, for example.

    Args:
        text: the present content; a blank text is an empty object.
        set_keys: the desired values. Values are compared as JSON: 1 is not true.
        remove: keys to remove, except those that are in set_keys too.

    Raises:
        Refused: the text is not a JSON object, or has a key twice.
    """
    config = parse_config(text)
    removed = {key for key in remove if key in config and key not in set_keys}
    changed = {key for key, value in set_keys.items() if key in config and not _same(config[key], value)}
    missing = [key for key in set_keys if key not in config]
    if not (removed or changed or missing):
        return text
    newline = "\r\n" if re.match(r"[^\n]*\r\n", text) else "\n"
    found = _parse_parts(text if text.strip() else "{}" + newline)
    kept = [
        replace(member, value=json.dumps(set_keys[member.key])) if member.key in changed else member
        for member in found.members
        if member.key not in removed
    ]
    if kept:
        kept[0] = replace(kept[0], separator=found.members[0].separator)
    indent = newline + _indentation(found.members)
    added = [_Member(key, "," + indent, json.dumps(key) + ": ", json.dumps(set_keys[key])) for key in missing]
    if added and not kept:
        added[0] = replace(added[0], separator=indent)
    tail = _tail(found, kept, appends=bool(added), newline=newline)
    return _Parts(found.before, (*kept, *added), tail, found.after).text


@dataclass(frozen=True)
class _Member:
    """A key and value of the outermost object, as they are written.

    Attributes:
        key: the key as JSON means it.
        separator: the comma and white space before it; only white space before the first member.
        label: the text from the quote of the key to the value, such as ``"debug": ``.
        value: the text of the value.
    """

    key: str
    separator: str
    label: str
    value: str

    @property
    def text(self) -> str:
        return self.separator + self.label + self.value


@dataclass(frozen=True)
class _Parts:
    """A text that holds a JSON object, divided into parts.

    Attributes:
        before: the text up to ``{``, included.
        members: the keys and values.
        tail: the white space between the last value and ``}``.
        after: ``}`` and the rest of the text.
    """

    before: str
    members: Sequence[_Member]
    tail: str
    after: str

    @property
    def text(self) -> str:
        return self.before + "".join(member.text for member in self.members) + self.tail + self.after


def _parse_parts(text: str) -> _Parts:
    """Divides a text that parse_config has accepted."""
    decoder = json.JSONDecoder()
    members: list[_Member] = []
    end = opening = _skip(text, 0) + 1
    start = _skip(text, opening)
    while text[start] != "}":
        key, label_end = decoder.raw_decode(text, start)
        value_start = _skip(text, _skip(text, label_end) + 1)
        separator = text[end:start]
        _value, end = decoder.raw_decode(text, value_start)
        members.append(_Member(key, separator, text[start:value_start], text[value_start:end]))
        closing = _skip(text, end)
        start = _skip(text, closing + 1) if text[closing] == "," else closing
    return _Parts(text[:opening], members, text[end:start], text[start:])


def _tail(found: _Parts, kept: Sequence[_Member], *, appends: bool, newline: str) -> str:
    """The white space before ``}`` after an edit that keeps these members and may append more."""
    if not kept:
        return newline if appends else ""
    if any("\n" in member.text for member in kept):
        return found.tail
    # The rest is on one line: it ends as it begins. Appended members have lines of their own.
    tail = found.tail
    if len(kept) < len(found.members) and "\n" in tail:
        tail = kept[0].separator
    return newline if appends and "\n" not in tail else tail


def _indentation(members: Sequence[_Member]) -> str:
    """The white space before the first member that starts a line; two spaces if none does."""
    for member in members:
        _before, line_break, indentation = member.separator.rpartition("\n")
        if line_break and not indentation.strip():
            return indentation
    return "  "


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON, in any order of keys; for Python, 1 equals true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _skip(text: str, position: int) -> int:
    """The position of the next character that is not white space of JSON (RFC 8259, section 2)."""
    while text[position] in " \t\r\n":
        position += 1
    return position


class _Twice(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _Twice(repr(key))
        result[key] = value
    return result
