# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that containers have, one row each: what they are called, where they stand, how they are
compared.

Names and meanings are those of community.docker's docker_container. A row turns the user's value into a
*canonical* one, which is a string, number, boolean, tuple of strings or mapping of strings; renders it into
the body of ``POST /containers/create``; and reads it, in the same canonical form, from ``GET
/containers/{id}/json``. Only what the user has set is compared, so what images and engines fill in never
counts.

An option more is a row more. Options of networks are in :mod:`_core.container_networks`, because networks are
attached and detached one by one.

Source: Docker Engine API reference, "Create a container", "Inspect a container", "Update a container".
"""

from __future__ import annotations

import enum
import posixpath
import shlex
from dataclasses import dataclass
from typing import Any, Callable, Dict, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_ports import (
    parse_ports,
    read_ports,
    render_ports,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_values import (
    parse_binds,
    parse_bytes,
    parse_mapping,
    split_bind,
)
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


def arguments() -> dict[str, Any]:
    """Entries of the argument_spec for all options of the table."""
    return {name: dict(entry) for option in OPTIONS for name, entry in option.arguments.items()}


def parse_options(params: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical values of the options that are set, by name.

    Raises:
        InvalidInput: a value that is malformed.
    """
    parsed = {option.name: option.parse(params) for option in OPTIONS}
    return {name: value for name, value in parsed.items() if value is not None}


def merge_options(own: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Adds items of mappings and lists to options that may be set already, and single values to those that are not."""
    merged = dict(own)
    for name, value in added.items():
        if not value:
            continue
        if isinstance(value, Mapping):
            merged[name] = {**own.get(name, {}), **value}
        elif isinstance(value, str):
            merged[name] = value
        else:
            merged[name] = tuple(dict.fromkeys((*own.get(name, ()), *value)))
    return merged


def find_unsupported(values: Mapping[str, Any], info: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of the options that this engine would ignore.

    Args:
        values: canonical values.
        info: ``GET /info``.
    """
    return tuple(o.name for o in OPTIONS if o.name in values and o.requires and info.get(o.requires) is False)


def render_body(values: Mapping[str, Any]) -> Body:
    """The body of ``POST /containers/create`` for canonical values, without image and networks."""
    body: Body = {}
    for option in OPTIONS:
        if option.name in values:
            _merge(body, option.render(values[option.name]))
    return body


def find_deviations(values: Mapping[str, Any], container: Mapping[str, Any]) -> tuple[Deviation, ...]:
    """Where a container differs from the values expected, in the order of the table."""
    return tuple(
        deviation
        for option in OPTIONS
        if option.name in values
        for deviation in _compare(option, values[option.name], option.read(container))
    )


def render_update(names: Iterable[str], values: Mapping[str, Any]) -> Optional[Body]:
    """The body of ``POST /containers/{id}/update`` that sets these options; None if one of them cannot be
    updated."""
    body: Body = {}
    for name in dict.fromkeys(names):
        option = _BY_NAME[name]
        update = option.update(values[name]) if option.update else None
        if update is None:
            return None
        _merge(body, update)
    return body


def show_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical values as they may appear in a diff."""
    return {name: _show(_BY_NAME[name], value) for name, value in values.items()}


def _show(option: ContainerOption, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {item: option.show(item, value[item]) for item in sorted(value)}
    return list(value) if isinstance(value, tuple) else value


def _compare(option: ContainerOption, expected: Any, found: Any) -> Iterable[Deviation]:
    if option.comparison is Comparison.EQUAL:
        if expected != found:
            yield Deviation(option.name, "", _show(option, expected), _show(option, found))
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


def _merge(body: Body, addition: Mapping[str, Any]) -> None:
    for key, value in addition.items():
        if isinstance(value, Mapping) and isinstance(body.get(key), dict):
            _merge(body[key], value)
        elif isinstance(value, Mapping):
            body[key] = {}
            _merge(body[key], value)
        else:
            body[key] = value


def _text(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value)


# -- how rows are made ------------------------------------------------------------------------------
# ------------------------------------------------------------------------------------------


def _place(path: str, value: Any) -> Body:
    section, key = path.split(".")
    # The API's body of a creation holds the fields of Config at its top level.
    return {key: value} if section == "Config" else {section: {key: value}}


def _find(container: Mapping[str, Any], path: str) -> Any:
    section, key = path.split(".")
    return (container.get(section) or {}).get(key)


def _value(
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
        render=lambda value: _place(path, list(value) if isinstance(value, tuple) else value),
        read=lambda container: read(_find(container, path)),
        update=update,
        requires=requires,
    )


def _flag(name: str, path: str) -> ContainerOption:
    return _value(name, path, {"type": "bool"}, read=bool)


def _words(name: str, path: str, argument: Mapping[str, Any]) -> ContainerOption:
    """An ordered list. An empty one means *not set*, because the engine then takes the image's."""
    return _value(name, path, argument, parse=_parse_words, read=lambda value: tuple(value or ()))


def _set(name: str, path: str, argument: Mapping[str, Any]) -> ContainerOption:
    return ContainerOption(
        name,
        {name: argument},
        parse=lambda params: None if params.get(name) is None else tuple(str(item) for item in params[name]),
        render=lambda value: _place(path, list(value)),
        read=lambda container: tuple(str(item) for item in _find(container, path) or ()),
        comparison=Comparison.CONTAINS,
    )


def _mapping(
    name: str,
    path: str,
    *,
    separator: str = "",
    shown: Optional[tuple[str, ...]] = None,
) -> ContainerOption:
    """A mapping of strings, which the API holds as an object, or as a list of ``key<separator>value``."""

    def render(value: Mapping[str, str]) -> Body:
        if not separator:
            return _place(path, dict(value))
        return _place(path, [f"{key}{separator}{value[key]}" for key in sorted(value)])

    def read(container: Mapping[str, Any]) -> dict[str, str]:
        found = _find(container, path) or {}
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


def _parse_path(name: str, value: str) -> str:
    if not value.startswith("/"):
        raise InvalidInput(name, expected="an absolute path", found=value)
    return posixpath.normpath(value)


def _parse_network_mode(name: str, value: str) -> str:
    if not value or value != value.strip():
        raise InvalidInput(name, expected="bridge, host, none or a network's name", found=repr(value))
    if value.startswith("container:"):
        remedy = "Join the networks of that container"
        raise InvalidInput(name, expected="networks of the wormhole's own", found=value, remedy=remedy)
    return _read_network_mode(value)


def _read_network_mode(value: Any) -> str:
    # Engines before Docker 26 report the default bridge as "default", later ones as "bridge".
    return "bridge" if value in (None, "", "default") else str(value)


def _memory_update(value: int) -> Optional[Body]:
    # The swap is what the engine chooses at creation; to an update, 0 means "as before", not "no limit".
    return {"Memory": value, "MemorySwap": 2 * value} if value else None


def _parse_restart(params: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    name, retries = params.get("restart_policy"), params.get("restart_retries")
    if retries is not None and name != "on-failure":
        raise InvalidInput(
            "restart_retries",
            expected="restart_policy on-failure beside it",
            found=str(name or "no restart_policy"),
        )
    if retries is not None and retries < 0:
        raise InvalidInput("restart_retries", expected="a number from 0 on", found=str(retries))
    if name is None:
        return None
    return {"Name": name, **({} if retries is None else {"MaximumRetryCount": retries})}


def _read_restart(container: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(_find(container, "HostConfig.RestartPolicy") or {})
    return {**found, "Name": found.get("Name") or "no"}


def _render_volumes(value: Iterable[str]) -> Body:
    binds = [item for item in value if split_bind(item)[0]]
    anonymous: Body = {item: {} for item in value if not split_bind(item)[0]}
    return {**({"Volumes": anonymous} if anonymous else {}), "HostConfig": {"Binds": binds}}


def _read_volumes(container: Mapping[str, Any]) -> tuple[str, ...]:
    return parse_binds(
        "volumes",
        [*(_find(container, "HostConfig.Binds") or ()), *(_find(container, "Config.Volumes") or ())],
    )


OPTIONS: tuple[ContainerOption, ...] = (
    _words("command", "Config.Cmd", {"type": "raw"}),
    _words("entrypoint", "Config.Entrypoint", {"type": "list", "elements": "str"}),
    _mapping(
        "env", "Config.Env", separator="=", shown=("DOCKER_HOST", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY")
    ),
    ContainerOption(
        "volumes",
        {"volumes": {"type": "list", "elements": "str"}},
        parse=lambda params: (
            None if params.get("volumes") is None else parse_binds("volumes", params["volumes"])
        ),
        render=_render_volumes,
        read=_read_volumes,
        comparison=Comparison.CONTAINS,
    ),
    _value(
        "network_mode",
        "HostConfig.NetworkMode",
        {"type": "str"},
        parse=_parse_network_mode,
        read=_read_network_mode,
    ),
    _value("user", "Config.User", {"type": "str"}),
    _set("groups", "HostConfig.GroupAdd", {"type": "list", "elements": "str"}),
    _value(
        "working_dir",
        "Config.WorkingDir",
        {"type": "str"},
        parse=_parse_path,
        read=lambda value: posixpath.normpath(value) if value else "",
    ),
    _value("hostname", "Config.Hostname", {"type": "str"}),
    _mapping("labels", "Config.Labels"),
    ContainerOption(
        "restart_policy",
        {
            "restart_policy": {"type": "str", "choices": ["no", "on-failure", "always", "unless-stopped"]},
            "restart_retries": {"type": "int"},
        },
        parse=_parse_restart,
        render=lambda value: {"HostConfig": {"RestartPolicy": dict(value)}},
        read=_read_restart,
        comparison=Comparison.CONTAINS,
        update=lambda value: {"RestartPolicy": dict(value)},
    ),
    _value(
        "memory",
        "HostConfig.Memory",
        {"type": "str"},
        parse=parse_bytes,
        update=_memory_update,
        requires="MemoryLimit",
    ),
    ContainerOption(
        "published_ports",
        {"published_ports": {"type": "list", "elements": "str", "aliases": ["ports"]}},
        parse=lambda params: (
            None
            if params.get("published_ports") is None
            else parse_ports("published_ports", params["published_ports"])
        ),
        render=render_ports,
        read=read_ports,
        comparison=Comparison.CONTAINS,
    ),
    _mapping("etc_hosts", "HostConfig.ExtraHosts", separator=":"),
    _flag("read_only", "HostConfig.ReadonlyRootfs"),
    _flag("init", "HostConfig.Init"),
    _flag("privileged", "HostConfig.Privileged"),
)

_BY_NAME = {option.name: option for option in OPTIONS}
