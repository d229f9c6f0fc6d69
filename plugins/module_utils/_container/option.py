# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of the table of container options (:mod:`_container.options`), and their comparison.

A row parses the user's value into a *canonical* value: a string, number, boolean, tuple of strings,
mapping of these, or mapping of mappings. It renders that value into the body of ``POST
/containers/create``, and reads it from ``GET /containers/{id}/json``. Only options that the user
has set are compared, so that values from the image or the engine are never differences.

Source: Docker Engine API reference, "Create a container", "Inspect a container", "Update a
container".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, Mapping, Optional

Body = Dict[str, Any]
HIDDEN = "(hidden)"
HIDDEN_OTHER = "another value (hidden)"


class Comparison(enum.Enum):
    """How the expected value is compared with the one found, by the names of docker_container.

    STRICT: the values are equal; sets and mappings may also contain what the image contributes.
    ALLOW_MORE_PRESENT: all expected items are present; others may be present too.
    IGNORE: the option is not compared.
    """

    STRICT = "strict"
    ALLOW_MORE_PRESENT = "allow_more_present"
    IGNORE = "ignore"


class Kind(enum.Enum):
    """The kind of a canonical value: a single value, an ordered list, a set, or a mapping."""

    VALUE = "value"
    LIST = "list"
    SET = "set"
    MAPPING = "mapping"


@dataclass(frozen=True)
class ContainerOption:
    """One option.

    Attributes:
        name: name of the option, and key of its canonical value.
        arguments: entries of the argument_spec; more than one if several parameters form one value.
        parse: all parameters -> canonical value, or None if the option is not set; raises
            InvalidInput.
        render: canonical value -> its part of the body of a creation.
        read: inspection -> canonical value.
        kind: see :class:`Kind`.
        compared: the default comparison; None for that of the kind.
        update: canonical value, values of all options, and the container's ``HostConfig`` -> body
            of ``POST /containers/{id}/update``. If it is None or returns None, the container has to
            be recreated.
        lacking: canonical value and ``GET /info`` -> whether the host's kernel does not support the
            option, so that the engine would ignore or reject it.
        needs: canonical value -> its parts that only newer APIs have, with the version that
            introduced each.
        contributed: inspection -> items that the engine or another option has added; a strict
            comparison accepts them.
        shown: items whose values may be shown; None for all. The others may be secrets.
        secrets: names of items, and of parts of items, whose values may be secrets.
    """

    name: str
    arguments: Mapping[str, Mapping[str, Any]]
    parse: Callable[[Mapping[str, Any]], Any]
    render: Callable[[Any], Body]
    read: Callable[[Mapping[str, Any]], Any]
    kind: Kind = Kind.VALUE
    compared: Optional[Comparison] = None
    update: Optional[Callable[[Any, Mapping[str, Any], Mapping[str, Any]], Optional[Body]]] = None
    lacking: Callable[[Any, Mapping[str, Any]], bool] = lambda value, info: False
    needs: Callable[[Any], Mapping[str, tuple[int, int]]] = lambda value: {}
    contributed: Callable[[Mapping[str, Any]], Iterable[str]] = lambda container: ()
    shown: Optional[tuple[str, ...]] = None
    secrets: tuple[str, ...] = ()

    @property
    def comparison(self) -> Comparison:
        """The default comparison."""
        if self.compared is not None:
            return self.compared
        ordered = self.kind in (Kind.VALUE, Kind.LIST)
        return Comparison.STRICT if ordered else Comparison.ALLOW_MORE_PRESENT

    def show(self, item: str, value: Any) -> Any:
        """Return the value of an item for a reason or a diff, with secrets hidden."""
        if value is not None and self.shown is not None and item not in self.shown:
            return HIDDEN
        if value and item in self.secrets:
            return HIDDEN
        if isinstance(value, Mapping):
            return {part: self.show(part, value[part]) for part in sorted(value)}
        return _plain(value)

    def show_change(self, item: str, expected: Any, found: Any) -> tuple[Any, Any]:
        """Return two different values of an item for a reason or a diff, with secrets hidden."""
        shown = self.show(item, expected), self.show(item, found)
        return (HIDDEN_OTHER, HIDDEN) if shown == (HIDDEN, HIDDEN) else shown

    def show_value(self, value: Any) -> Any:
        """Return the whole value for a diff, with secrets hidden."""
        if isinstance(value, Mapping):
            return {item: self.show(item, value[item]) for item in sorted(value)}
        return _plain(value)


@dataclass(frozen=True)
class Deviation:
    """One difference between an expected value and the one found.

    Attributes:
        option: name of the option.
        item: name of the item that differs, such as a variable; empty for the option itself.
        expected, found: the values, without secrets; None for nothing.
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


def compare(
    option: ContainerOption,
    expected: Any,
    container: Mapping[str, Any],
    comparison: Comparison,
    image_config: Mapping[str, Any],
) -> Iterable[Deviation]:
    """Yield the differences between the expected canonical value of an option and a container.

    Args:
        expected: its canonical value.
        container: the inspection of the container.
        image_config: ``Config`` of the container's image; a strict comparison accepts its items.
    """
    if comparison is Comparison.IGNORE:
        return
    found = option.read(container)
    if option.kind is Kind.MAPPING:
        yield from _compare_items(option, expected, found)
    elif option.kind is Kind.SET or comparison is Comparison.ALLOW_MORE_PRESENT:
        for item in expected:
            if item not in found:
                yield Deviation(option.name, "", item, None, is_item=True)
    elif expected != found:
        yield Deviation(option.name, "", option.show_value(expected), option.show_value(found))
    if comparison is Comparison.STRICT and option.kind in (Kind.SET, Kind.MAPPING):
        accepted = {*option.read({"Config": image_config}), *option.contributed(container)}
        yield from _find_surplus(option, [item for item in found if item not in accepted], expected, found)


def _compare_items(
    option: ContainerOption, expected: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterable[Deviation]:
    for item in sorted(expected):
        desired, present = expected[item], found.get(item)
        if isinstance(desired, Mapping) and isinstance(present, Mapping):
            for part in sorted(desired):
                if desired[part] != present.get(part):
                    shown = option.show_change(part, desired[part], present.get(part))
                    yield Deviation(option.name, f"{item} {part}", *shown)
        elif desired != present:
            yield Deviation(option.name, item, *option.show_change(item, desired, present))


def _find_surplus(
    option: ContainerOption, items: Iterable[str], expected: Any, found: Any
) -> Iterable[Deviation]:
    for item in items:
        if item in expected:
            continue
        if option.kind is Kind.MAPPING:
            yield Deviation(option.name, item, None, option.show(item, found[item]))
        else:
            yield Deviation(option.name, "", None, item, is_item=True)


def _plain(value: Any) -> Any:
    """Return a canonical value in the types of JSON."""
    if isinstance(value, Mapping):
        return {item: _plain(value[item]) for item in sorted(value)}
    return list(value) if isinstance(value, tuple) else value


def _text(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    if isinstance(value, dict):
        return ", ".join(f"{item}={_text(part)}" for item, part in value.items())
    return str(value)
