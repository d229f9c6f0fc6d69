# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an option of a container is: where it stands, how it is written and read, how it is compared.

A row of the table (:mod:`_core.container_options`) turns the user's value into a *canonical* one, which is a string,
number, boolean, tuple of strings or mapping of strings; renders it into the body of ``POST /containers/create``; and
reads it, in the same canonical form, from ``GET /containers/{id}/json``. Only what the user has set is compared, so
what images and engines fill in never counts.

Source: Docker Engine API reference, "Create a container", "Inspect a container", "Update a container".
"""

from __future__ import annotations

import enum
import shlex
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import parse_mapping
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

Body = Dict[str, Any]
HIDDEN = "(hidden)"
HIDDEN_OTHER = "another value (hidden)"


class Comparison(enum.Enum):
    """How an option's expected value is compared with the one found.

    EQUAL: both are the same. CONTAINS: every item expected is there; more may be there, from the image or
        the engine.
    """

    EQUAL = "equal"
    CONTAINS = "contains"


@dataclass(frozen=True)
class ContainerOption:
    """One option.

    Attributes:
        name: the option's name; also the key of its canonical value.
        arguments: entries of the module's argument_spec, more than one if several parameters make one value.
        parse: all parameters -> canonical value, or None if the user has not set it; raises InvalidInput.
        render: canonical value -> what it adds to the body of a creation.
        read: inspection -> canonical value.
        comparison: see :class:`Comparison`.
        update: canonical value -> body of ``POST /containers/{id}/update``; None, or a value that is None,
            where the container has to be replaced.
        requires: the field of ``GET /info`` without which the engine ignores the option; empty if there is
            none.
        shown: items whose values may be shown; by default all. Others may be secrets, and only their names
            are.
    """

    name: str
    arguments: Mapping[str, Mapping[str, Any]]
    parse: Callable[[Mapping[str, Any]], Any]
    render: Callable[[Any], Body]
    read: Callable[[Mapping[str, Any]], Any]
    comparison: Comparison = Comparison.EQUAL
    update: Optional[Callable[[Any], Optional[Body]]] = None
    requires: str = ""
    shown: Optional[tuple[str, ...]] = None

    def show(self, item: str, value: Any) -> Any:
        """A value as it may appear in a reason or a diff."""
        return value if value is None or self.shown is None or item in self.shown else HIDDEN


@dataclass(frozen=True)
class Deviation:
    """One difference between what is expected and what is found.

    Attributes:
        option: the option's name.
        item: the name of the item concerned, such as a variable's or a label's; empty if it has none.
        expected, found: values that may be shown; None for nothing.
        is_item: whether they are single items of a list.
    """

    option: str
    item: str
    expected: Any = None
    found: Any = None
    is_item: bool = False

    @property
    def text(self) -> str:
        subject = f"{self.option} {self.item}".rstrip()
        return f"{subject}: expected {_text(self.expected)}, found {_text(self.found)}"


def show_value(option: ContainerOption, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {item: option.show(item, value[item]) for item in sorted(value)}
    return list(value) if isinstance(value, tuple) else value


def compare(option: ContainerOption, expected: Any, found: Any) -> Iterable[Deviation]:
    if option.comparison is Comparison.EQUAL:
        if expected != found:
            yield Deviation(option.name, "", show_value(option, expected), show_value(option, found))
    elif isinstance(expected, Mapping):
        for item in sorted(expected):
            if expected[item] != found.get(item):
                shown = option.show(item, expected[item]), option.show(item, found.get(item))
                changed = HIDDEN_OTHER if shown == (HIDDEN, HIDDEN) else shown[0]
                yield Deviation(option.name, item, changed, shown[1])
    else:
        for item in expected:
            if item not in found:
                yield Deviation(option.name, "", item, None, is_item=True)


def _text(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value)


# -- how rows are made ------------------------------------------------------------------------------


def place(path: str, value: Any) -> Body:
    section, key = path.split(".")
    # The API's body of a creation holds the fields of Config at its top level.
    return {key: value} if section == "Config" else {section: {key: value}}


def find(container: Mapping[str, Any], path: str) -> Any:
    section, key = path.split(".")
    return (container.get(section) or {}).get(key)


def value_option(
    name: str,
    path: str,
    argument: Mapping[str, Any],
    *,
    parse: Callable[[str, Any], Any] = lambda name, value: value,
    read: Callable[[Any], Any] = lambda value: value,
    update: Optional[Callable[[Any], Optional[Body]]] = None,
    requires: str = "",
) -> ContainerOption:
    """An option that is one value at one place."""
    return ContainerOption(
        name,
        {name: argument},
        parse=lambda params: None if params.get(name) is None else parse(name, params[name]),
        render=lambda value: place(path, list(value) if isinstance(value, tuple) else value),
        read=lambda container: read(find(container, path)),
        update=update,
        requires=requires,
    )


def flag_option(name: str, path: str) -> ContainerOption:
    return value_option(name, path, {"type": "bool"}, read=bool)


def words_option(name: str, path: str, argument: Mapping[str, Any]) -> ContainerOption:
    """An ordered list. An empty one means *not set*, because the engine then takes the image's."""
    return value_option(name, path, argument, parse=_parse_words, read=lambda value: tuple(value or ()))


def set_option(name: str, path: str, argument: Mapping[str, Any]) -> ContainerOption:
    return ContainerOption(
        name,
        {name: argument},
        parse=lambda params: None if params.get(name) is None else tuple(str(item) for item in params[name]),
        render=lambda value: place(path, list(value)),
        read=lambda container: tuple(str(item) for item in find(container, path) or ()),
        comparison=Comparison.CONTAINS,
    )


def mapping_option(
    name: str,
    path: str,
    *,
    separator: str = "",
    shown: Optional[tuple[str, ...]] = None,
) -> ContainerOption:
    """A mapping of strings, which the API holds as an object, or as a list of ``key<separator>value``."""

    def render(value: Mapping[str, str]) -> Body:
        if not separator:
            return place(path, dict(value))
        return place(path, [f"{key}{separator}{value[key]}" for key in sorted(value)])

    def read(container: Mapping[str, Any]) -> dict[str, str]:
        found = find(container, path) or {}
        if not separator:
            return dict(found)
        return {key: value for key, _separator, value in (item.partition(separator) for item in found)}

    return ContainerOption(
        name,
        {name: {"type": "dict"}},
        parse=lambda params: None if params.get(name) is None else parse_mapping(name, params[name]),
        render=render,
        read=read,
        comparison=Comparison.CONTAINS,
        shown=shown,
    )


def _parse_words(name: str, value: Any) -> Optional[tuple[str, ...]]:
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
