# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How rows of the table of container options are made: one function for each shape that the Engine API has."""

from __future__ import annotations

import shlex
from types import MappingProxyType
from typing import Any, Callable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Body,
    ContainerOption,
    Kind,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import parse_mapping
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

LIST_OF_STRINGS: Mapping[str, Any] = MappingProxyType({"type": "list", "elements": "str"})
NO_LIMIT = 2**62

Parse = Callable[[str, Any], Any]
Read = Callable[[Any], Any]


def place(path: str, value: Any) -> Body:
    """What a value adds to the body of a creation; the path is that of the inspection."""
    keys = path.split(".")
    # The API's body of a creation holds the fields of Config at its top level.
    for key in reversed(keys[1:] if keys[0] == "Config" else keys):
        value = {key: value}
    return dict(value)


def find(container: Mapping[str, Any], path: str) -> Any:
    """What an inspection holds at a path; None if there is nothing."""
    found: Any = container
    for key in path.split("."):
        found = (found or {}).get(key)
    return found


def given(name: str, parse: Parse) -> Callable[[Mapping[str, Any]], Any]:
    """A row's ``parse`` that looks at one parameter, if it is set."""
    return lambda params: None if params.get(name) is None else parse(name, params[name])


def value_option(
    name: str,
    path: str,
    argument: Mapping[str, Any],
    *,
    parse: Parse = lambda name, value: value,
    read: Read = lambda value: value,
    **further: Any,
) -> ContainerOption:
    """An option that is one value at one place; further are fields of the row."""
    return ContainerOption(
        name,
        {name: argument},
        parse=given(name, parse),
        render=lambda value: place(path, list(value) if isinstance(value, tuple) else value),
        read=lambda container: read(find(container, path)),
        **further,
    )


def text_option(name: str, path: str, **further: Any) -> ContainerOption:
    """A string, which an engine may leave out where it is empty."""
    return value_option(name, path, {"type": "str"}, read=lambda value: value or "", **further)


def filled_option(
    name: str, path: str, *, parse: Parse = lambda name, value: value, **further: Any
) -> ContainerOption:
    """A string that image or engine fill in where it is empty, so that an empty one means *not set*."""
    return text_option(name, path, parse=lambda name, value: parse(name, value) or None, **further)


def number_option(
    name: str, path: str, lowest: int, highest: int, *others: int, **further: Any
) -> ContainerOption:
    """A whole number within limits, or one of others; an engine may leave 0 out."""
    limits = f"{lowest} to {highest}" if highest < NO_LIMIT else f"{lowest} on"
    also = "".join(f", or {other}" for other in others)

    def parse(name: str, value: int) -> int:
        if not lowest <= value <= highest and value not in others:
            raise InvalidInput(name, expected=f"a number from {limits}{also}", found=str(value))
        return value

    return value_option(
        name, path, {"type": "int"}, parse=parse, **{"read": lambda value: value or 0, **further}
    )


def flag_option(name: str, path: str, **further: Any) -> ContainerOption:
    """A boolean, which an engine may leave out where it is false."""
    return value_option(name, path, {"type": "bool"}, read=bool, **further)


def words_option(name: str, path: str, argument: Mapping[str, Any]) -> ContainerOption:
    """A command line. An empty one means *not set*, because the engine then takes the image's."""
    return value_option(
        name, path, argument, parse=parse_words, read=lambda value: tuple(value or ()), kind=Kind.LIST
    )


def list_option(name: str, path: str, **further: Any) -> ContainerOption:
    """A list of strings whose order counts."""
    return value_option(
        name,
        path,
        LIST_OF_STRINGS,
        kind=Kind.LIST,
        **{
            "parse": lambda name, value: tuple(value),
            "read": lambda value: tuple(value or ()),
            **further,
        },
    )


def set_option(
    name: str,
    path: str,
    *,
    item: Parse = lambda name, value: str(value),
    argument: Mapping[str, Any] = LIST_OF_STRINGS,
    render_item: Callable[[str], Any] = lambda item: item,
    read_item: Callable[[Any], str] = str,
    **further: Any,
) -> ContainerOption:
    """A list of strings whose order does not count; item turns the user's into canonical ones."""
    return ContainerOption(
        name,
        {name: argument},
        parse=given(name, lambda name, value: tuple(dict.fromkeys(item(name, one) for one in value))),
        render=lambda value: place(path, [render_item(one) for one in value]),
        read=lambda container: tuple(read_item(one) for one in find(container, path) or ()),
        kind=Kind.SET,
        **further,
    )


def mapping_option(
    name: str,
    path: str,
    *,
    separator: str = "",
    numbers: bool = False,
    check: Callable[[str, Mapping[str, str]], None] = lambda name, value: None,
    **further: Any,
) -> ContainerOption:
    """A mapping of strings, which the API holds as an object, or as a list of ``key<separator>value``."""

    def parse(name: str, value: Mapping[str, Any]) -> dict[str, str]:
        parsed = parse_mapping(name, value, numbers=numbers)
        check(name, parsed)
        return parsed

    def render(value: Mapping[str, str]) -> Body:
        if not separator:
            return place(path, dict(value))
        return place(path, [f"{key}{separator}{value[key]}" for key in sorted(value)])

    def read(container: Mapping[str, Any]) -> dict[str, str]:
        found = find(container, path) or {}
        if not separator:
            return dict(found)
        # A variable that is named without a separator is one that was removed.
        parts = (item.partition(separator) for item in found)
        return {key: value for key, separated, value in parts if separated}

    return ContainerOption(
        name,
        **{"arguments": {name: {"type": "dict"}}, **further},
        parse=given(name, parse),
        render=render,
        read=read,
        kind=Kind.MAPPING,
    )


def parse_words(name: str, value: Any) -> Optional[tuple[str, ...]]:
    """A command line as a list, or as a string that is split as a shell does; None if it is empty.

    Raises:
        InvalidInput: it is neither.
    """
    if isinstance(value, str):
        try:
            return tuple(shlex.split(value)) or None
        except ValueError as error:
            raise InvalidInput(name, expected="words as a shell splits them", found=str(error)) from error
    if not isinstance(value, (list, tuple)):
        raise InvalidInput(name, expected="a list of strings or a string", found=type(value).__name__)
    if any(isinstance(word, (dict, list, bool)) or word is None for word in value):
        raise InvalidInput(name, expected="strings only", remedy="Put quotes around each")
    return tuple(str(word) for word in value) or None


def lacks(field: str) -> Callable[[Any, Mapping[str, Any]], bool]:
    """A row's ``lacking``: ``GET /info`` says that the kernel cannot do it."""
    return lambda value, info: info.get(field) is False


def warns(*texts: str) -> Callable[[Any, Mapping[str, Any]], bool]:
    """A row's ``lacking``: ``GET /info`` warns of it; its other fields do not tell."""
    return lambda value, info: any(
        f"No {text}" in warning for warning in info.get("Warnings") or () for text in texts
    )
