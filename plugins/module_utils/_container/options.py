# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of container options, and functions that work on all of them.

Names and meanings are those of community.docker's docker_container. :mod:`_container.option`
defines a row. The option networks is in :mod:`_container.attachments`, because networks are
connected one by one.

To add an option, follow the six steps in docs/development.md.
"""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, Optional

from .._base.errors import InvalidInput
from .checks import reject_contradictions
from .inspection import host_config_of
from .isolation import ISOLATION
from .names import reject_nul
from .network import NETWORK
from .option import HIDDEN, Body, Comparison, ContainerOption, Deviation, Kind, compare
from .process import PROCESS
from .resources import RESOURCES
from .storage import STORAGE

OPTIONS: tuple[ContainerOption, ...] = (*PROCESS, *STORAGE, *NETWORK, *RESOURCES, *ISOLATION)
IMAGE, NETWORKS, PLATFORM = OTHERS = ("image", "networks", "platform")
"""Options outside of the table that comparisons may name."""

_BY_NAME = {option.name: option for option in OPTIONS}
_BY_ARGUMENT = {
    known: option
    for option in OPTIONS
    for argument, entry in option.arguments.items()
    for known in (argument, *entry.get("aliases", ()))
}
_WILDCARD = "*"
_MERGE: Mapping[Kind, Callable[[Any, Any], Any]] = {
    Kind.VALUE: lambda own, added: added,
    Kind.LIST: lambda own, added: tuple(dict.fromkeys((*(own or ()), *added))),
    Kind.SET: lambda own, added: tuple(dict.fromkeys((*(own or ()), *added))),
    Kind.MAPPING: lambda own, added: {**(own or {}), **added},
}


def arguments() -> dict[str, Any]:
    """Return the argument_spec of all options of the table."""
    return {name: dict(entry) for option in OPTIONS for name, entry in option.arguments.items()}


def parse_options(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the canonical values of the options that are set, by name.

    Raises:
        InvalidInput: a value is malformed, or two contradict each other.
    """
    for argument in arguments():
        reject_nul(argument, params.get(argument))
    parsed = {option.name: option.parse(params) for option in OPTIONS}
    values = {name: value for name, value in parsed.items() if value is not None}
    reject_contradictions(values)
    return values


def parse_comparisons(given: Optional[Mapping[str, Any]]) -> dict[str, Comparison]:
    """Parse the option comparisons into comparisons by the names of the table.

    Raises:
        InvalidInput: an option or a comparison does not exist, or they do not match.
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
            found = dict.fromkeys((*_BY_NAME, *OTHERS), comparison)
            continue
        option = _BY_ARGUMENT.get(name)
        if option is None and name not in OTHERS:
            raise InvalidInput(subject, expected="an option of a container")
        single = name in (IMAGE, PLATFORM) or (option is not None and option.kind is Kind.VALUE)
        if single and comparison is Comparison.ALLOW_MORE_PRESENT:
            raise InvalidInput(subject, expected="strict or ignore, because it is a single value", found=text)
        found[option.name if option else name] = comparison
    return found


def merge_options(own: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with further items of mappings and lists, and further single values."""
    merged = dict(own)
    for name, value in added.items():
        if value:
            merged[name] = _MERGE[_BY_NAME[name].kind](own.get(name), value)
    return merged


def find_unsupported(values: Mapping[str, Any], info: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the options that the kernel does not support, according to ``GET /info``.

    The engine would ignore or reject them.
    """
    return tuple(o.name for o in OPTIONS if o.name in values and o.lacking(values[o.name], info))


def find_too_new(values: Mapping[str, Any], api_version: tuple[int, ...]) -> dict[str, tuple[int, int]]:
    """Return the parts of options that require a newer API, with that version."""
    return {
        f"{option.name} {part}": version
        for option in OPTIONS
        if option.name in values
        for part, version in option.needs(values[option.name]).items()
        if api_version < version
    }


def render_body(values: Mapping[str, Any]) -> Body:
    """Return the body of ``POST /containers/create``, without image and networks."""
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
    """Return the differences between a container and the values, in the order of the table.

    Args:
        values: canonical values that the user has set.
        container: the inspection of the container.
        added: additional items that are always required, however the values are compared.
        comparisons: the user's comparisons, which override those of the table.
        image_config: ``Config`` of the container's image.
    """
    added, comparisons = added or {}, comparisons or {}
    expected = merge_options(values, added)
    deviations: list[Deviation] = []
    for option in OPTIONS:
        if option.name not in expected:
            continue
        comparison = Comparison.ALLOW_MORE_PRESENT
        value = expected[option.name]
        if option.name in values:
            comparison = comparisons.get(option.name, option.comparison)
        if comparison is Comparison.IGNORE and added.get(option.name):
            comparison, value = Comparison.ALLOW_MORE_PRESENT, added[option.name]
        deviations += compare(option, value, container, comparison, image_config or {})
    return tuple(deviations)


def render_update(
    names: Iterable[str], values: Mapping[str, Any], container: Mapping[str, Any]
) -> Optional[Body]:
    """Return the body of ``POST /containers/{id}/update`` that sets these options.

    It is None if the container has to be recreated, because one of them cannot be updated.
    """
    body: Body = {}
    host_config = host_config_of(container)
    for name in dict.fromkeys(names):
        option = _BY_NAME[name]
        update = option.update(values[name], values, host_config) if option.update else None
        if update is None:
            return None
        _merge(body, update)
    return body


def show_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return canonical values for a diff, with secrets hidden."""
    return {name: _BY_NAME[name].show_value(value) for name, value in values.items()}


def hide_values(container: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inspection of a container with the values hidden that may be secrets.

    These are the values of its variables, and those of options of log and volume drivers. Reasons
    and diffs hide the same ones.
    """
    hidden = dict(container)
    config, host_config = container.get("Config") or {}, container.get("HostConfig") or {}
    log = host_config.get("LogConfig") or {}
    if config.get("Env"):
        variables = [str(variable).partition("=") for variable in config["Env"]]
        shown = [
            f"{name}{sign}{_show('env', name, value) if sign else ''}" for name, sign, value in variables
        ]
        hidden["Config"] = {**config, "Env": shown}
    changed: dict[str, Any] = {}
    if log.get("Config"):
        options = {name: _show("log_options", name, value) for name, value in log["Config"].items()}
        changed["LogConfig"] = {**log, "Config": options}
    if host_config.get("Mounts"):
        changed["Mounts"] = [_hide_driver(mount) for mount in host_config["Mounts"]]
    if changed:
        hidden["HostConfig"] = {**host_config, **changed}
    return hidden


def _hide_driver(mount: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a mount of the API without the values of its volume driver's options."""
    volume = mount.get("VolumeOptions") or {}
    driver = volume.get("DriverConfig") or {}
    if not driver.get("Options"):
        return mount
    options = dict.fromkeys(driver["Options"], HIDDEN)
    return {**mount, "VolumeOptions": {**volume, "DriverConfig": {**driver, "Options": options}}}


def hide_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of a wormhole as its task has set them, with the same values hidden."""
    hidden = dict(arguments)
    for option in ("env", "log_options"):
        if isinstance(hidden.get(option), Mapping):
            hidden[option] = {name: _show(option, name, value) for name, value in hidden[option].items()}
    if isinstance(hidden.get("log_opt"), Mapping):
        hidden["log_opt"] = {k: _show("log_options", k, value) for k, value in hidden["log_opt"].items()}
    if isinstance(hidden.get("mounts"), list):
        secret = {"volume_options": HIDDEN}
        hidden["mounts"] = [
            {**mount, **secret} if isinstance(mount, Mapping) and mount.get("volume_options") else mount
            for mount in hidden["mounts"]
        ]
    return hidden


def _show(option: str, item: str, value: Any) -> Any:
    return _BY_NAME[option].show(item, value)


def _merge(body: Body, addition: Mapping[str, Any]) -> None:
    for key, value in addition.items():
        if isinstance(value, Mapping):
            _merge(body.setdefault(key, {}), value)
        else:
            body[key] = value
