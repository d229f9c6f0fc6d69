# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Query parameters: read into values, and written again in one spelling only."""

from __future__ import annotations

import re
from typing import Dict, List, Mapping, Tuple

from .bodies import ULIMITS
from .call import Json, Value
from .decision import Refusal
from .routes import Parameter, Route
from .shapes import TEXT, TEXT_BY_NAME, TEXTS, AnyShape, Field, Struct
from .text import dump_json, load_json, malformed

_FLAGS = {
    "": False, "0": False, "false": False, "no": False, "none": False, "f": None, "n": None, "off": None,
    "1": True, "true": True, "yes": True, "t": True, "y": True, "on": True,
}  # fmt: skip
"""The engine takes everything but the first five as true, so the spellings of "no" that it does not know
are rejected: their author meant something else."""
_NUMBER = re.compile(r"-?[0-9]{1,19}\Z")
_PLATFORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_./()-]{0,127}\Z")
PLATFORM = Struct(
    (
        Field("architecture", TEXT),
        Field("os", TEXT),
        Field("os.version", TEXT),
        Field("os.features", TEXTS),
        Field("variant", TEXT),
    )
)
MAX_FILTER_VALUES = 200


def read_query(route: Route, pairs: List[Tuple[str, str]]) -> Dict[str, Value]:
    """Return the parameters of a route by name, in the order of the table.

    Raises:
        Refusal: an unknown or repeated parameter, or a value of another kind.
    """
    given: Dict[str, List[str]] = {}
    for name, value in pairs:
        given.setdefault(name, []).append(value)
    known = {row.name: row for row in route.parameters}
    for name in given:
        # dockerode repeats the fields of a body as parameters, which engines do not read.
        if name not in known and not (route.document and name in route.document.by_name):
            shown = name if re.match(r"[A-Za-z0-9_-]{1,40}\Z", name) else "with an unusual name"
            raise Refusal(
                "unknown_parameter",
                f"The parameter {shown} of {route.method} {route.path} is not known to this gate",
                allowed="Leave it out",
            )
    return {name: _read(row, given[name]) for name, row in known.items() if name in given}


def _read(row: Parameter, values: List[str]) -> Value:
    if row.kind == "texts":
        return tuple(values)
    if row.kind == "platforms":
        return tuple(_platform(value, row.name) for value in values)
    if len(values) > 1:
        raise malformed(f"The parameter {row.name} occurs {len(values)} times")
    return _read_one(row, values[0])


def _read_one(row: Parameter, text: str) -> Value:
    where = f"The parameter {row.name}"
    if row.kind == "flag":
        flag = _FLAGS.get(text.lower())
        if flag is None:
            raise malformed(f"{where} is neither true nor false", "Write 1 or 0")
        return flag
    if row.kind == "number":
        if not _NUMBER.match(text or "0") or not -(1 << 63) <= int(text or "0") < 1 << 63:
            raise malformed(f"{where} is not an integer")
        return int(text or "0")
    if row.kind == "filters":
        return _filters(row, text)
    if row.kind == "platform":
        return _platform(text, row.name)
    if row.kind in _DOCUMENTS:
        empty, shape = _DOCUMENTS[row.kind]
        return shape.read(load_json(text.encode(), where), where) if text and text != "null" else empty
    if row.values and text not in row.values:
        raise Refusal(
            "value", f"{where} has a value that this gate does not know", allowed=_any_of(row.values)
        )
    return text


_DOCUMENTS: Mapping[str, Tuple[Json, AnyShape]] = {
    "map": ({}, TEXT_BY_NAME),
    "list": ([], TEXTS),
    "ulimits": ([], ULIMITS),
}


def _any_of(values: Tuple[str, ...]) -> str:
    return "Known values: " + ", ".join(value or '""' for value in values)


def _filters(row: Parameter, text: str) -> Mapping[str, Tuple[str, ...]]:
    """Filters are ``{"name": ["value"]}`` or, since API 1.22, ``{"name": {"value": true}}``."""
    document = load_json(text.encode(), "The parameter filters") if text else {}
    if not isinstance(document, dict):
        raise malformed("The parameter filters is not a JSON object")
    found: Dict[str, Tuple[str, ...]] = {}
    for name, values in sorted(document.items()):
        if name not in row.values:
            raise Refusal(
                "unknown_parameter", "The parameter filters has a filter that this gate does not know",
                allowed=_any_of(row.values),
            )  # fmt: skip
        found[name] = _filter_values(values)
    return found


def _filter_values(values: Json) -> Tuple[str, ...]:
    if isinstance(values, dict):
        if not all(value is True for value in values.values()):
            raise malformed("The parameter filters has a value that is not true")
        values = list(values)
    texts: List[str] = TEXTS.read([] if values is None else values, "The parameter filters")
    if len(texts) > MAX_FILTER_VALUES:
        raise Refusal("too_large", f"A filter has more than {MAX_FILTER_VALUES} values", status=400)
    return tuple(sorted(set(texts)))


def _platform(text: str, name: str) -> str:
    """``linux/arm64``, or its JSON form, which newer routes take."""
    if text.startswith("{"):
        where = f"The parameter {name}"
        return dump_json(PLATFORM.read(load_json(text.encode(), where), where))
    if text and not _PLATFORM.match(text):
        raise malformed(f"The parameter {name} is not a platform")
    return text


def write_query(route: Route, query: Mapping[str, Value]) -> List[Tuple[str, str]]:
    """Return the parameters in the order of the table, in the only spelling that is forwarded."""
    pairs: List[Tuple[str, str]] = []
    for row in route.parameters:
        if row.name in query:
            value = query[row.name]
            many = value if isinstance(value, tuple) else (value,)
            pairs += [(row.name, _write(row, one)) for one in many]
    return pairs


def _write(row: Parameter, value: Json) -> str:
    if row.kind == "flag":
        return "1" if value else "0"
    if row.kind == "filters":
        return dump_json({name: dict.fromkeys(values, True) for name, values in value.items()})
    if row.kind in _DOCUMENTS:
        return dump_json(value)
    return str(value)
