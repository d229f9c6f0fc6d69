# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options that containers have: their table, and what is done with all of them.

Names and meanings are those of community.docker's docker_container. What a row is tells :mod:`_core.container_option`;
the rows are in ``_core/container_options_*.py``, by topic. Options of networks are in
:mod:`_core.container_networks`, because networks are attached and detached one by one.
"""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Body,
    ContainerOption,
    Deviation,
    compare,
    show_value,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_process import (
    PROCESS,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_storage import (
    STORAGE,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_network import (
    NETWORK,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_resources import (
    RESOURCES,
)

OPTIONS: tuple[ContainerOption, ...] = (*PROCESS, *STORAGE, *NETWORK, *RESOURCES)
_BY_NAME = {option.name: option for option in OPTIONS}


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
        for deviation in compare(option, values[option.name], option.read(container))
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
    return {name: show_value(_BY_NAME[name], value) for name, value in values.items()}


def _merge(body: Body, addition: Mapping[str, Any]) -> None:
    for key, value in addition.items():
        if isinstance(value, Mapping) and isinstance(body.get(key), dict):
            _merge(body[key], value)
        elif isinstance(value, Mapping):
            body[key] = {}
            _merge(body[key], value)
        else:
            body[key] = value
