# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Divide a value of a unit file into words, and expand specifiers and environment variables.

Sources: systemd.syntax(7), "Quoting"; systemd.service(5), "Command lines"; systemd.unit(5),
"Specifiers"; systemd.exec(5), "EnvironmentFile=".
"""

from __future__ import annotations

import posixpath
import re
from typing import Mapping, NamedTuple, Optional, Sequence

_WORD = re.compile(r"""(?:[^\s"'\\]|\\.|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')+""", re.DOTALL)
_PIECE = re.compile(r"""(?P<escape>\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.))|["']""")
_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "s": " "}
_LITERAL = "\\\"'"
_ONE_VARIABLE = re.compile(r"\$([^{$].*)", re.DOTALL)
_VARIABLES = re.compile(r"\$(?:\{([a-zA-Z_][a-zA-Z0-9_]*)\}|(\$))")
_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_DIRECTORIES = {
    "C": "/var/cache",
    "E": "/etc",
    "L": "/var/log",
    "S": "/var/lib",
    "T": "/tmp",
    "V": "/var/tmp",
    "t": "/run",
}
_ROOT = {"h": "/root", "u": "root", "U": "0", "g": "root", "G": "0"}


class Word(NamedTuple):
    """A word of a value.

    Attributes:
        raw: as it is written.
        text: without quotes and escapes.
    """

    raw: str
    text: str


def split(value: str) -> Optional[list[Word]]:
    """Divides a value into words; None if a quote is open, with which systemd loads no unit."""
    words, position = [], 0
    while position < len(value):
        if value[position].isspace():
            position += 1
            continue
        found = _WORD.match(value, position)
        if found is None:
            return None
        words.append(Word(found.group(), _unquote(found.group())))
        position = found.end()
    return words


def quote(text: str) -> str:
    """A word as split() reads it."""
    if text and not re.search(r"""[\s"'\\]""", text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def escape(text: str) -> str:
    """A word of a command line that systemd leaves as it is, also ``%`` and ``$``."""
    return quote(text.replace("%", "%%").replace("$", "$$"))


def expand_specifiers(text: str, unit: str) -> str:
    """Expands the specifiers of a system service; those that only the host knows stay."""
    prefix = unit.rpartition(".")[0]
    known = {
        "%": "%",
        "i": "",
        "I": "",
        "n": unit,
        "N": prefix,
        "p": prefix,
        "P": prefix,
        **_DIRECTORIES,
        **_ROOT,
    }
    return re.sub(r"%(.)", lambda found: known.get(found.group(1), found.group()), text, flags=re.DOTALL)


def has_specifiers(text: str) -> bool:
    """Whether a text that was expanded still has a specifier."""
    return bool(re.search("%[a-zA-Z]", text))


def expand_variables(word: str, environment: Mapping[str, str]) -> list[str]:
    """Expands the variables of a word: ``$NAME`` to any number of words, ``${NAME}`` to text.

    A missing variable is empty. A variable without braces counts only if it is the whole word.
    """
    whole = _ONE_VARIABLE.fullmatch(word)
    if whole:
        value = environment.get(whole.group(1), "")
        # Here an open quote is closed at the end, and a backslash only protects the next character.
        words = next(filter(None, map(split, (value, value + "'", value + '"'))), [])
        return [_unquote(inner.raw, escapes=False) for inner in words]
    return [
        _VARIABLES.sub(lambda found: "$" if found.group(2) else environment.get(found.group(1), ""), word)
    ]


def parse_environment(value: str, unit: str) -> dict[str, str]:
    """The variables in a value of ``Environment=``."""
    texts = [expand_specifiers(word.text, unit) for word in split(value) or []]
    pairs = [text.partition("=") for text in texts]
    return {name: content for name, equals, content in pairs if equals and _NAME.fullmatch(name)}


def parse_environment_file(text: str) -> dict[str, str]:
    """The variables in a file that ``EnvironmentFile=`` names."""
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        line = re.compile(r"[ \t\r]*([^\n=#;]*?)[ \t]*=|[^\n]*\n?").match(text, position)
        if line is None:
            break
        position = line.end()
        if line.group(1) is not None:
            value, position = _environment_value(text, position)
            if _NAME.fullmatch(line.group(1)):
                found[line.group(1)] = value
    return found


def resolve(path: str) -> str:
    """A path as a program resolves it that systemd starts in the root directory."""
    return posixpath.normpath(posixpath.join("/", path))


def render(words: Sequence[str]) -> str:
    """Joins words to a text that split() divides again."""
    return " ".join(map(quote, words))


def _environment_value(text: str, position: int) -> tuple[str, int]:
    """Reads the value at a position of an environment file, up to the end of its last line."""
    value, kept, quoting, start = "", 0, "", True
    while position < len(text):
        character, following = text[position], text[position + 1 : position + 2]
        position += 1
        if quoting:
            if character == quoting:
                quoting, start = "", True
            elif character == "\\" and quoting == '"' and following:
                position += 1
                value += {"\n": ""}.get(following, following if following in '"\\`$' else "\\" + following)
            else:
                value += character
            kept = len(value)
        elif character == "\n":
            break
        elif start and character in "\"'":
            quoting = character
        elif character == "\\":
            position += 1
            value += "" if following == "\n" else following
            kept, start = len(value), False
        elif not (start and character.isspace()):
            value, start = value + character, False
            kept = kept if character.isspace() else len(value)
    return value[:kept], position


def _unquote(raw: str, *, escapes: bool = True) -> str:
    text, quoting, position = "", "", 0
    for piece in _PIECE.finditer(raw):
        text += raw[position : piece.start()]
        position = piece.end()
        escape = piece.group("escape")
        if escape is None:
            character = piece.group()
            if quoting and character != quoting:
                text += character
            else:
                quoting = "" if quoting else character
            continue
        code = escape[1:]
        if not escapes:
            text += code
        elif len(code) > 1:
            text += chr(int(code.lstrip("xuU"), 8 if code.isdigit() and len(code) == 3 else 16))
        else:
            # systemd leaves an unknown escape as it is.
            text += _ESCAPES.get(code, code if code in _LITERAL else escape)
    return text + raw[position:]
