# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an option of a container is: where it stands, how it is written and read, how it is compared.

A row of the table (:mod:`_core.container_options`) turns the user's value into a *canonical* one, which is a string,
number, boolean, tuple of strings, mapping of such values, or mapping of mappings; renders it into the body of ``POST
/containers/create``; and reads it, in the same canonical form, from ``GET /containers/{id}/json``. Only what the
user has set is compared, so what images and engines fill in never counts.

Source: Docker Engine API reference, "Create a container", "Inspect a container", "Update a container".
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, Mapping, Optional

Body = Dict[str, Any]
HIDDEN = "(hidden)"
HIDDEN_OTHER = "another value (hidden)"


class Comparison(enum.Enum):
    """How an option's expected value is compared with the one found, as docker_container's comparisons name it.

    STRICT: both are the same; of sets and mappings, nothing more may be there than what the image brings.
    ALLOW_MORE_PRESENT: every item expected is there; more may be there, from the image or the engine.
    IGNORE: not at all.
    """

    STRICT = "strict"
    ALLOW_MORE_PRESENT = "allow_more_present"
    IGNORE = "ignore"


class Kind(enum.Enum):
    """What an option's value is: one value, a list whose order counts, a set, or a mapping."""

    VALUE = "value"
    LIST = "list"
    SET = "set"
    MAPPING = "mapping"


@dataclass(frozen=True)
class ContainerOption:
    """One option.

    Attributes:
        name: the option's name; also the key of its canonical value.
        arguments: entries of the module's argument_spec, more than one if several parameters make one value.
        parse: all parameters -> canonical value, or None if the user has not set it; raises InvalidInput.
        render: canonical value -> what it adds to the body of a creation.
        read: inspection -> canonical value.
        kind: see :class:`Kind`.
        compared: how it is compared unless the user says otherwise; by default as its kind suggests.
        update: canonical value, those of all options, and the container's ``HostConfig`` -> body of ``POST
            /containers/{id}/update``; None, or a result that is None, where the container has to be replaced.
        lacking: canonical value and ``GET /info`` -> whether this host's kernel lacks what the option needs, so that
            the engine would ignore or refuse it.
        needs: canonical value -> parts of it that an engine's API knows only from a version on, with that version.
        contributed: inspection -> items that others have added to the option in this container; they are nothing
            that a strict comparison would find too much.
        shown: items whose values may be shown; by default all. Others may be secrets, and only their names are.
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
        """How it is compared unless the user says otherwise."""
        if self.compared is not None:
            return self.compared
        ordered = self.kind in (Kind.VALUE, Kind.LIST)
        return Comparison.STRICT if ordered else Comparison.ALLOW_MORE_PRESENT

    def show(self, item: str, value: Any) -> Any:
        """A value as it may appear in a reason or a diff."""
        if value is not None and self.shown is not None and item not in self.shown:
            return HIDDEN
        if value and item in self.secrets:
            return HIDDEN
        if isinstance(value, Mapping):
            return {part: self.show(part, value[part]) for part in sorted(value)}
        return _plain(value)

    def show_change(self, item: str, expected: Any, found: Any) -> tuple[Any, Any]:
        """Two values that differ, as they may appear in a reason or a diff."""
        shown = self.show(item, expected), self.show(item, found)
        return (HIDDEN_OTHER, HIDDEN) if shown == (HIDDEN, HIDDEN) else shown

    def show_value(self, value: Any) -> Any:
        """The whole value as it may appear in a diff."""
        if isinstance(value, Mapping):
            return {item: self.show(item, value[item]) for item in sorted(value)}
        return _plain(value)


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


def compare(
    option: ContainerOption,
    expected: Any,
    container: Mapping[str, Any],
    comparison: Comparison,
    image_config: Mapping[str, Any],
) -> Iterable[Deviation]:
    """Where a container differs from the canonical value that an option is expected to have.

    Args:
        option: the option.
        expected: its canonical value.
        container: the inspection of a container.
        comparison: how to compare.
        image_config: ``Config`` of the container's image; what it brings is never too much.
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
        brought = {*option.read({"Config": image_config}), *option.contributed(container)}
        yield from _find_surplus(option, [item for item in found if item not in brought], expected, found)


def _compare_items(
    option: ContainerOption, expected: Mapping[str, Any], found: Mapping[str, Any]
) -> Iterable[Deviation]:
    for item in sorted(expected):
        wanted, there = expected[item], found.get(item)
        if isinstance(wanted, Mapping) and isinstance(there, Mapping):
            for part in sorted(wanted):
                if wanted[part] != there.get(part):
                    shown = option.show_change(part, wanted[part], there.get(part))
                    yield Deviation(option.name, f"{item} {part}", *shown)
        elif wanted != there:
            yield Deviation(option.name, item, *option.show_change(item, wanted, there))


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
    """A canonical value in the types of JSON."""
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
