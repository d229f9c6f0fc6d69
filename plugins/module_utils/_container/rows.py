# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Builders for rows of the table of container options, by the shape of the API's value."""

from __future__ import annotations

import shlex
from types import MappingProxyType
from typing import Any, Callable, Mapping, Optional

from .._base.errors import InvalidInput
from .option import Body, ContainerOption, Kind
from .values import parse_mapping

LIST_OF_STRINGS: Mapping[str, Any] = MappingProxyType({"type": "list", "elements": "str"})
MAPPING: Mapping[str, Any] = MappingProxyType({"type": "dict"})
NO_LIMIT = 2**62

Parse = Callable[[str, Any], Any]
Convert = Callable[[Any], Any]


def place(path: str, value: Any) -> Body:
    """Return the part of the body of a creation that sets the value at a path of the inspection."""
    keys = path.split(".")
    # The body of a creation has the fields of Config at its top level.
    for key in reversed(keys[1:] if keys[0] == "Config" else keys):
        value = {key: value}
    return dict(value)


def find(container: Mapping[str, Any], path: str) -> Any:
    """Return the value at a path of an inspection; None if it is missing."""
    found: Any = container
    for key in path.split("."):
        found = (found or {}).get(key)
    return found


def given(name: str, parse: Parse) -> Callable[[Mapping[str, Any]], Any]:
    """Return a row's ``parse`` that reads one parameter, if it is set."""
    return lambda params: None if params.get(name) is None else parse(name, params[name])


def value_option(
    name: str,
    path: str,
    argument: Mapping[str, Any],
    *,
    parse: Parse = lambda name, value: value,
    render: Convert = lambda value: value,
    read: Convert = lambda found: found,
    in_place: bool = False,
    **fields: Any,
) -> ContainerOption:
    """A row for a value at one place of the API.

    Args:
        path: of the value in the inspection.
        argument: the entry of the argument_spec.
        parse: option name and user's value -> canonical value, or None if it counts as not set.
        render: canonical value -> API value.
        read: API value, None if it is missing -> canonical value.
        in_place: whether an update can set the value; 0 and empty values would have no effect.
        fields: further fields of the row.
    """
    key = path.rpartition(".")[2]
    update = (lambda value, values, host_config: {key: value} if value else None) if in_place else None
    return ContainerOption(
        name,
        **{"arguments": {name: argument}, "update": update, **fields},
        parse=given(name, parse),
        render=lambda value: place(path, render(value)),
        read=lambda container: read(find(container, path)),
    )


def text_option(name: str, path: str, **fields: Any) -> ContainerOption:
    """A row for a string, which an engine may leave out if it is empty."""
    return value_option(name, path, {"type": "str"}, read=lambda found: found or "", **fields)


def filled_option(
    name: str, path: str, *, parse: Parse = lambda name, value: value, **fields: Any
) -> ContainerOption:
    """A row for a string whose default comes from image or engine: empty means *not set*."""
    return text_option(name, path, parse=lambda name, value: parse(name, value) or None, **fields)


def number_option(
    name: str,
    path: str,
    limits: tuple[int, int],
    *others: int,
    convert: Callable[[int], int] = lambda value: value,
    **fields: Any,
) -> ContainerOption:
    """A row for a whole number within limits, or one of others; an engine may leave 0 out.

    Args:
        name, path, fields: see value_option.
        limits, others: the accepted numbers.
        convert: the user's number -> canonical value.
    """
    lowest, highest = limits
    numbers = f"from {lowest} to {highest}" if highest < NO_LIMIT else f"of at least {lowest}"
    also = "".join(f", or {other}" for other in others)

    def parse(name: str, value: int) -> int:
        if not lowest <= value <= highest and value not in others:
            raise InvalidInput(name, expected=f"a number {numbers}{also}", found=str(value))
        return convert(value)

    return value_option(
        name, path, {"type": "int"}, parse=parse, **{"read": lambda found: found or 0, **fields}
    )


def flag_option(name: str, path: str, **fields: Any) -> ContainerOption:
    """A row for a boolean, which an engine may leave out if it is false."""
    return value_option(name, path, {"type": "bool"}, read=bool, **fields)


def list_option(
    name: str,
    path: str,
    argument: Mapping[str, Any] = LIST_OF_STRINGS,
    *,
    parse: Parse = lambda name, value: tuple(value),
    read: Convert = lambda found: tuple(found or ()),
    render: Convert = list,
) -> ContainerOption:
    """A row for a list of strings whose order counts."""
    return value_option(name, path, argument, kind=Kind.LIST, parse=parse, render=render, read=read)


def set_option(
    name: str,
    path: str,
    argument: Mapping[str, Any] = LIST_OF_STRINGS,
    *,
    item: Parse = lambda name, value: str(value),
    render_item: Callable[[str], Any] = lambda item: item,
    read_item: Callable[[Any], str] = str,
    **fields: Any,
) -> ContainerOption:
    """A row for a list of strings whose order does not count.

    Args:
        path, argument, fields: see value_option.
        item: parses one item of the user's.
        render_item, read_item: convert one item to and from the API.
    """
    return value_option(
        name,
        path,
        argument,
        parse=lambda name, value: tuple(dict.fromkeys(item(name, one) for one in value)),
        render=lambda value: [render_item(one) for one in value],
        read=lambda found: tuple(read_item(one) for one in found or ()),
        kind=Kind.SET,
        **fields,
    )


def mapping_option(
    name: str,
    path: str,
    argument: Mapping[str, Any] = MAPPING,
    *,
    separator: str = "",
    numbers: bool = False,
    check: Callable[[str, Mapping[str, str]], None] = lambda name, value: None,
    **fields: Any,
) -> ContainerOption:
    """A row for a mapping of strings.

    Args:
        path, argument, fields: see value_option.
        separator: of ``key<separator>value`` in the API's list; empty if it has an object.
        numbers: whether numbers are accepted as values.
        check: raises InvalidInput for a parsed value that is malformed.
    """

    def parse(name: str, value: Mapping[str, Any]) -> dict[str, str]:
        parsed = parse_mapping(name, value, numbers=numbers)
        check(name, parsed)
        return parsed

    def render(value: Mapping[str, str]) -> Any:
        return [f"{key}{separator}{value[key]}" for key in sorted(value)] if separator else dict(value)

    def read(found: Any) -> dict[str, str]:
        if not separator:
            return dict(found or {})
        # A variable without a separator is one that was removed.
        parts = (item.partition(separator) for item in found or ())
        return {key: value for key, separated, value in parts if separated}

    return value_option(
        name, path, argument, parse=parse, render=render, read=read, kind=Kind.MAPPING, **fields
    )


def parse_words(name: str, value: Any) -> Optional[tuple[str, ...]]:
    """Parse a command line: a list, or a string to split like a shell does; None if empty."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (str(value),)
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value)) or None
        except ValueError as error:
            raise InvalidInput(name, problem=f"{name} cannot be split into words: {error}") from error
    if not isinstance(value, (list, tuple)):
        raise InvalidInput(name, expected="a list of strings or a string", found=type(value).__name__)
    if any(isinstance(word, (dict, list, bool)) or word is None for word in value):
        raise InvalidInput(name, expected="strings only", remedy="Put quotes around each value")
    return tuple(str(word) for word in value) or None


def lacks(field: str) -> Callable[[Any, Mapping[str, Any]], bool]:
    """Return a row's ``lacking`` that reads a boolean of ``GET /info``."""
    return lambda value, info: info.get(field) is False


def warns(*texts: str) -> Callable[[Any, Mapping[str, Any]], bool]:
    """Return a row's ``lacking`` that searches the warnings of ``GET /info``."""
    return lambda value, info: any(
        f"No {text}" in warning for warning in info.get("Warnings") or () for text in texts
    )
