# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Strict reading of request targets and of JSON.

What two parsers could read in two ways is rejected here, before anything is decided.
"""

from __future__ import annotations

import json
import re
from typing import Dict, List, NoReturn, Sequence, Tuple
from urllib.parse import quote, unquote_to_bytes

from .call import Json
from .decision import Refusal

TARGET_LIMIT = 32 * 1024
PARAMETERS_LIMIT = 200
_TARGET = re.compile(r"/[!-~]*\Z")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH = re.compile(r"/[A-Za-z0-9._:@/-]*\Z")
"""Characters of a path after decoding. Go routes by the decoded path."""
_PLAIN = re.compile(r"[A-Za-z0-9._-]*\Z")
"""What needs no encoding in a query; most values."""
_SEGMENTS = re.compile(r"//|/\.\.?(?:/|\Z)")
"""Empty segments and dot segments, which the engine's router would answer with a redirect."""
_BAD_TEXT = re.compile("[\0\ud800-\udfff]")
_INTEGER_DIGITS = 20
_INT64 = 1 << 63


def malformed(problem: str, allowed: str = "") -> Refusal:
    """A request that does not have exactly one meaning."""
    return Refusal("malformed", problem, allowed=allowed, status=400)


def split_target(target: str) -> Tuple[str, str]:
    """Return the decoded path and the raw query of a request target in origin form.

    Raises:
        Refusal: the target has no single meaning.
    """
    if len(target) > TARGET_LIMIT:
        raise Refusal("too_large", f"The request target exceeds {TARGET_LIMIT} bytes", status=414)
    if not _TARGET.match(target) or "#" in target:
        raise malformed("The request target is not a path with an optional query in ASCII")
    raw, _mark, query = target.partition("?")
    path = raw
    if "%" in raw:
        if _ESCAPE.search(raw):
            raise malformed("The path has a percent sign without two hexadecimal digits")
        path = unquote_to_bytes(raw).decode("latin-1")
    if not _PATH.match(path):
        raise malformed("The path has a character that no route has")
    if _SEGMENTS.search(path) or (path.endswith("/") and path != "/"):
        raise malformed("The path has an empty segment or a dot segment")
    return path, query


def split_query(query: str) -> List[Tuple[str, str]]:
    """Return the decoded parameters of a query, in their order.

    Raises:
        Refusal: a character that servers read in different ways, or too many parameters.
    """
    if not query:
        return []
    if ";" in query:
        raise malformed("The query has a semicolon", "Write %3B in a value")
    if _ESCAPE.search(query):
        raise malformed("The query has a percent sign without two hexadecimal digits")
    parts = query.split("&")
    if len(parts) > PARAMETERS_LIMIT:
        raise Refusal("too_large", f"The query has more than {PARAMETERS_LIMIT} parameters", status=414)
    pairs = []
    for part in parts:
        name, _equals, value = part.partition("=")
        if part:
            pairs.append((_decode(name), _decode(value)))
    return pairs


def _decode(text: str) -> str:
    try:
        decoded = unquote_to_bytes(text.replace("+", " ")).decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("The query has bytes that are not UTF-8") from None
    return check_text(decoded, "The query")


def check_text(text: str, where: str) -> str:
    """Return a text without null characters and lone surrogates.

    Raises:
        Refusal: it has one.
    """
    if _BAD_TEXT.search(text):
        raise malformed(f"{where} has a null character or half of a character")
    return text


def join_target(path: str, pairs: Sequence[Tuple[str, str]]) -> str:
    """Return the only spelling of a target: every other character is percent-encoded."""
    query = "&".join([f"{_encode(name)}={_encode(value)}" for name, value in pairs])
    encoded = path if _PATH.match(path) else quote(path, safe="/:@-._")
    return f"{encoded}?{query}" if query else encoded


def _encode(text: str) -> str:
    return text if _PLAIN.match(text) else quote(text, safe="-._")


def load_json(text: bytes, where: str) -> Json:
    """Return a JSON document whose meaning does not depend on the parser.

    Args:
        text: the bytes of one document, in UTF-8 without a byte order mark.
        where: what it is, for the message, such as ``The body``.

    Raises:
        Refusal: malformed, duplicate keys, a fraction, a number beyond 64 bits, or too deep.
    """
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except UnicodeDecodeError:
        raise malformed(f"{where} is not UTF-8") from None
    except RecursionError:
        raise malformed(f"{where} is nested too deeply") from None
    except ValueError as error:
        raise malformed(f"{where} is not JSON with one meaning: {_reason(error)}") from None


def dump_json(value: Json) -> str:
    """Return the only spelling of a document."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def _reason(error: ValueError) -> str:
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)


def _pairs(pairs: List[Tuple[str, Json]]) -> Dict[str, Json]:
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError("a key occurs twice in one object")
    return values


def _integer(digits: str) -> int:
    if len(digits) > _INTEGER_DIGITS or not -_INT64 <= int(digits) < _INT64:
        raise ValueError("a number exceeds 64 bits")
    return int(digits)


def _no_fraction(_text: str) -> NoReturn:
    raise ValueError("a number has a fraction or an exponent")


def _no_constant(_text: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_pairs, parse_int=_integer, parse_float=_no_fraction, parse_constant=_no_constant
)
