# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""dockerd's configuration file as text: keys are set and removed, every other byte stays.

Source: Docker documentation, "Daemon configuration file".
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Collection, Mapping, Sequence

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused

PATH = "/etc/docker/daemon.json"

_BYTE_ORDER_MARK = "\ufeff"
_MEND = "Mend the file (dockerd reads it at its next start and would not come up), then run again"


def parse_config(text: str, path: str = PATH) -> dict[str, Any]:
    """Reads the configuration; a missing or blank file is an empty one, as dockerd has it.

    Raises:
        Refused: the text is no JSON object, or names a key twice.
    """
    if not text.strip():
        return {}
    if text.startswith(_BYTE_ORDER_MARK):
        remedy = "Save the file without it (not every dockerd starts with it), then run again"
        raise Refused(path, expected="a JSON object", found="a byte order mark before it", remedy=remedy)
    try:
        config = json.loads(text, object_pairs_hook=_unique)
    except _Twice as error:
        raise Refused(path, expected="every key once", found=f"{error} twice", remedy=_MEND) from error
    except ValueError as error:
        raise Refused(path, expected="a JSON object", found=f"broken JSON ({error})", remedy=_MEND) from error
    if not isinstance(config, dict):
        raise Refused(path, expected="a JSON object", found=f"a JSON {type(config).__name__}", remedy=_MEND)
    return config


@dataclass(frozen=True)
class _Member:
    """A member of the outermost object: text[start:end] from the quote of its key to the end of its value."""

    key: str
    value: Any
    start: int
    value_start: int
    end: int


def edit_keys(text: str, set_keys: Mapping[str, Any], remove: Collection[str] = ()) -> str:
    """Sets and removes keys in the text; every byte that is not concerned stays.

    A key with an equal value is left as it is, and one with another value gets the new one in its place. Missing keys
    are appended in the file's own indentation and line ending. A removed key goes with its comma and its line.

    Appending keys and removing them again gives back the same bytes, if the text is one of these:

    * a line break stands anywhere between ``{`` and the end of the last value;
    * everything is on one line, with the same white space after ``{`` as before ``}``;
    * the object is ``{}``.

    Otherwise white space before ``}`` may differ then: a missing file becomes ``{}``, for example.

    Args:
        text: the present content; blank is an empty object.
        set_keys: keys and values as they are to be. Values are compared as JSON: 1 is not true.
        remove: keys to be gone; those that are in set_keys too are set.

    Raises:
        Refused: the text is no JSON object, or names a key twice.
    """
    config = parse_config(text)
    removed = {key for key in remove if key in config and key not in set_keys}
    changed = {key for key, value in set_keys.items() if key in config and not _same(config[key], value)}
    missing = [key for key in set_keys if key not in config]
    if not (removed or changed or missing):
        return text
    newline = "\r\n" if re.match(r"[^\n]*\r\n", text) else "\n"
    if not text.strip():
        text = "{}" + newline
    members, opening, closing = _scan(text)
    values = {key: json.dumps(set_keys[key]) for key in changed}
    kept = [
        (_before(text, members, position), _member_text(text, member, values))
        for position, member in enumerate(members)
        if member.key not in removed
    ]
    indent = newline + _indentation(text, members)
    added = [f"{indent}{json.dumps(key)}: {json.dumps(set_keys[key])}" for key in missing]
    if not kept:
        body = ",".join(added) + (newline if added else "")
        return text[: opening + 1] + body + text[closing:]
    between = [text[opening + 1 : members[0].start], *(separator for separator, member in kept[1:])]
    body = "".join(separator + member for separator, (before, member) in zip(between, kept))
    tail = text[members[-1].end : closing]
    if "\n" not in body:
        # On one line so far: it ends as it begins, and what is appended gets lines of its own.
        if removed and "\n" in tail:
            tail = between[0]
        if added and "\n" not in tail:
            tail = newline
    return text[: opening + 1] + "".join([body, *("," + line for line in added)]) + tail + text[closing:]


def add_keys(text: str, keys: Mapping[str, Any]) -> str:
    """Appends the keys that are missing; those that are present already are left as they are."""
    present = parse_config(text)
    return edit_keys(text, {key: value for key, value in keys.items() if key not in present})


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON, whatever the order of keys in them; Python takes 1 for true."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _scan(text: str) -> tuple[list[_Member], int, int]:
    """The members of the outermost object, and where its braces are; the text has been parsed before."""
    decoder = json.JSONDecoder()
    members: list[_Member] = []
    position = opening = _skip(text, 0)
    while True:
        position = _skip(text, position + 1)
        if text[position] == "}":
            return members, opening, position
        start = position
        key, position = decoder.raw_decode(text, start)
        value_start = _skip(text, _skip(text, position) + 1)
        value, end = decoder.raw_decode(text, value_start)
        members.append(_Member(key, value, start, value_start, end))
        position = _skip(text, end)
        if text[position] == "}":
            return members, opening, position


def _before(text: str, members: Sequence[_Member], position: int) -> str:
    """What separates a member from the one before it: a comma and white space."""
    return text[members[position - 1].end : members[position].start] if position else ""


def _member_text(text: str, member: _Member, values: Mapping[str, str]) -> str:
    value = values.get(member.key, text[member.value_start : member.end])
    return text[member.start : member.value_start] + value


def _skip(text: str, position: int) -> int:
    """The next character that is no white space, as JSON (RFC 8259, section 2) defines it."""
    while text[position] in " \t\r\n":
        position += 1
    return position


def _indentation(text: str, members: Sequence[_Member]) -> str:
    """The white space before the first member that starts a line."""
    for member in members:
        line = text[text.rfind("\n", 0, member.start) + 1 : member.start]
        if not line.strip():
            return line
    return "  "


class _Twice(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in pairs:
        if key in result:
            raise _Twice(repr(key))
        result[key] = value
    return result
