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

from ansible_collections.wormhole.docker.plugins.module_utils._core.container_checks import (
    refuse_contradictions,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_names import refuse_nul
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_option import (
    Body,
    Comparison,
    ContainerOption,
    Deviation,
    Kind,
    compare,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_isolation import (
    ISOLATION,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_network import NETWORK
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_process import PROCESS
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_resources import (
    RESOURCES,
    limits_processors_otherwise,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options_storage import STORAGE
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput

OPTIONS: tuple[ContainerOption, ...] = (*PROCESS, *STORAGE, *NETWORK, *RESOURCES, *ISOLATION)
IMAGE, NETWORKS, PLATFORM = BESIDE = ("image", "networks", "platform")
"""What comparisons may name beside the options of the table."""

_BY_NAME = {option.name: option for option in OPTIONS}
_BY_ARGUMENT = {
    known: option
    for option in OPTIONS
    for argument, entry in option.arguments.items()
    for known in (argument, *entry.get("aliases", ()))
}
_WILDCARD = "*"


def arguments() -> dict[str, Any]:
    """Entries of the argument_spec for all options of the table."""
    return {name: dict(entry) for option in OPTIONS for name, entry in option.arguments.items()}


def parse_options(params: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical values of the options that are set, by name.

    Raises:
        InvalidInput: a value is malformed, or some contradict each other.
    """
    for argument in arguments():
        refuse_nul(argument, params.get(argument))
    parsed = {option.name: option.parse(params) for option in OPTIONS}
    values = {name: value for name, value in parsed.items() if value is not None}
    refuse_contradictions(values)
    return values


def parse_comparisons(given: Optional[Mapping[str, Any]]) -> dict[str, Comparison]:
    """The option comparisons: how options are compared, by their names in the table.

    Raises:
        InvalidInput: there is no such option or no such comparison, or the option has nothing to be more of.
    """
    found: dict[str, Comparison] = {}
    for name, text in sorted((given or {}).items(), key=lambda entry: entry[0] != _WILDCARD):
        subject = f"comparisons {name}"
        comparison = next((item for item in Comparison if item.value == text), None)
        if comparison is None:
            words = ", ".join(item.value for item in Comparison)
            raise InvalidInput(subject, expected=f"one of {words}", found=repr(text))
        if name == _WILDCARD:
            if comparison is Comparison.ALLOW_MORE_PRESENT:
                raise InvalidInput(subject, expected="strict or ignore", found=text)
            found = dict.fromkeys((*_BY_NAME, *BESIDE), comparison)
            continue
        option = _BY_ARGUMENT.get(name)
        if option is None and name not in BESIDE:
            raise InvalidInput(subject, expected="an option of a container")
        single = name in (IMAGE, PLATFORM) or (option is not None and option.kind is Kind.VALUE)
        if single and comparison is Comparison.ALLOW_MORE_PRESENT:
            raise InvalidInput(subject, expected="strict or ignore, since it is one value", found=text)
        found[option.name if option else name] = comparison
    return found


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
    """Names of the options that this host's kernel cannot fulfil, so that the engine would ignore or refuse them.

    Args:
        values: canonical values.
        info: ``GET /info``.
    """
    return tuple(o.name for o in OPTIONS if o.name in values and o.lacking(values[o.name], info))


def find_too_new(values: Mapping[str, Any], api_version: tuple[int, ...]) -> dict[str, tuple[int, int]]:
    """Parts of options that the engine's API does not know yet, with the version that brought them."""
    return {
        f"{option.name} {part}": version
        for option in OPTIONS
        if option.name in values
        for part, version in option.needs(values[option.name]).items()
        if api_version < version
    }


def render_body(values: Mapping[str, Any]) -> Body:
    """The body of ``POST /containers/create`` for canonical values, without image and networks."""
    body: Body = {}
    for option in OPTIONS:
        if option.name in values:
            _merge(body, option.render(values[option.name]))
    return body


def find_deviations(
    values: Mapping[str, Any],
    container: Mapping[str, Any],
    *,
    added: Optional[Mapping[str, Any]] = None,
    comparisons: Optional[Mapping[str, Comparison]] = None,
    image_config: Optional[Mapping[str, Any]] = None,
) -> tuple[Deviation, ...]:
    """Where a container differs from the values expected, in the order of the table.

    Args:
        values: canonical values that the user has set.
        container: the inspection of the container.
        added: items of mappings and lists that have to be there beside them, however values are compared.
        comparisons: how options are compared that are not compared as the table says.
        image_config: ``Config`` of the container's image.
    """
    added, comparisons = added or {}, comparisons or {}
    expected = merge_options(values, added)
    deviations: list[Deviation] = []
    for option in OPTIONS:
        if option.name not in expected:
            continue
        comparison = Comparison.ALLOW_MORE_PRESENT
        wanted = expected[option.name]
        if option.name in values:
            comparison = comparisons.get(option.name, option.comparison)
        if comparison is Comparison.IGNORE and added.get(option.name):
            comparison, wanted = Comparison.ALLOW_MORE_PRESENT, added[option.name]
        deviations += compare(option, wanted, container, comparison, image_config or {})
    return tuple(deviations)


def render_update(
    names: Iterable[str], values: Mapping[str, Any], container: Optional[Mapping[str, Any]] = None
) -> Optional[Body]:
    """The body of ``POST /containers/{id}/update`` that sets these options; None if one of them cannot be updated, or not in this
    container."""
    body: Body = {}
    for name in dict.fromkeys(names):
        option = _BY_NAME[name]
        update = option.update(values[name], values) if option.update else None
        if update is None:
            return None
        _merge(body, update)
    return None if limits_processors_otherwise(body, container or {}) else body


def show_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Canonical values as they may appear in a diff."""
    return {name: _BY_NAME[name].show_value(value) for name, value in values.items()}


def _merge(body: Body, addition: Mapping[str, Any]) -> None:
    for key, value in addition.items():
        if isinstance(value, Mapping) and isinstance(body.get(key), dict):
            _merge(body[key], value)
        elif isinstance(value, Mapping):
            body[key] = {}
            _merge(body[key], value)
        else:
            body[key] = value
