# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Preset ``update``: a new container asks for what the previous one of its name had, and for no more.

Updaters inspect a container, remove it, and create one of the same name with what they have inspected and a
newer image. Compared is what the engine reports about the previous container.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Optional, Tuple

from .bodies import CONFIG, ENDPOINT, HOST_CONFIG
from .call import Json
from .decision import IMAGE, TEMPLATE, Refusal
from .images import any_matches, is_image_id, parse_image
from .rules_images import check_pin, references_of, wanted_image
from .rules_labels import COLLECTION
from .rules_security import DEFAULT_MASKS, is_default_mask
from .scope import Scope
from .shapes import DROPPED, Field
from .text import malformed

_BY_IMAGE = ("Image", "Labels")
"""Compared by their own rules."""
_PARTS = ("Env", "Volumes", "ExposedPorts", "Aliases", "Links")
"""A new container may have some of these; the newer image adds its own."""
_SAME_MODES = {"": "default", "bridge": "default"}


def recreate(scope: Scope, name: str) -> Dict[str, Json]:
    """Return the body of a create call if it is a copy of the previous container of this name.

    Raises:
        Pending: the engine has not been asked about the previous container.
        Refusal: there is none, or a field differs.
    """
    found = scope.find(TEMPLATE, name) if name else None
    if found is None or not isinstance(found.config, dict):
        raise Refusal(
            "recreate", "This identity only recreates containers, and none had the name of the new one",
            allowed="The name of an existing container", setting="recreate",
        )  # fmt: skip
    config, host = found.config.get("Config") or {}, found.config.get("HostConfig") or {}
    networks = (found.config.get("NetworkSettings") or {}).get("Networks") or {}
    body, new_host = dict(scope.body), scope.body.get("HostConfig") or {}
    for where in (*_config_differences(body, config, networks), *_host_differences(new_host, host)):
        raise _differs(where)
    endpoints = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    for key, endpoint in endpoints.items():
        for where in endpoint_differences(key, endpoint, networks):
            raise _differs(f"NetworkingConfig.EndpointsConfig[{key}]{where}")
    _check_image(scope, str(body.get("Image") or ""), str(config.get("Image") or ""))
    return {**body, "Labels": _labels(body.get("Labels") or {}, config.get("Labels") or {})}


def _differs(where: str) -> Refusal:
    return Refusal(
        "recreate", f"{where} differs from the previous container of this name",
        allowed="What it had, with a newer image", setting="recreate",
    )  # fmt: skip


def _normal(row: Field, value: Json) -> Json:
    """A value as a client would send it; None if it asks for nothing."""
    if row.name in DEFAULT_MASKS and value and is_default_mask(row.name, value):
        return None
    if row.name == "NetworkMode":
        return _SAME_MODES.get(value or "", value)
    if row.is_unset(value):
        return None
    try:
        return row.shape.read(value, row.name)
    except Refusal:
        return value


def _is_part(new: Json, old: Json) -> bool:
    if isinstance(new, dict) and isinstance(old, dict):
        return all(key in old and old[key] == value for key, value in new.items())
    return isinstance(old, list) and isinstance(new, list) and all(item in old for item in new)


def _is_same(row: Field, new: Json, old: Json) -> bool:
    new, old = _normal(row, new), _normal(row, old)
    return bool(new == old or (row.name in _PARTS and _is_part(new, old)))


def _config_differences(
    new: Mapping[str, Any], old: Mapping[str, Any], networks: Mapping[str, Any]
) -> Iterator[str]:
    addresses = [row.get("MacAddress") for row in networks.values()]
    for row in CONFIG:
        # Where a client asks for nothing, what the image says holds.
        by_image = row.name in _BY_IMAGE or _normal(row, new.get(row.name)) is None
        same = by_image or _is_same(row, new.get(row.name), old.get(row.name))
        if row.name == "MacAddress":
            same = not new.get("MacAddress") or same or new["MacAddress"] in addresses
        if not same:
            yield row.name


def _host_differences(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[str]:
    for row in HOST_CONFIG.fields:
        if row.rule != DROPPED and not _is_same(row, new.get(row.name), old.get(row.name)):
            yield f"HostConfig.{row.name}"


def endpoint_differences(key: str, new: Mapping[str, Any], networks: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields of an endpoint that the previous container did not have.

    Args:
        key: name or ID of the network.
        new: the endpoint that is asked for.
        networks: ``NetworkSettings.Networks`` of the previous container.
    """
    old = _endpoint_of(key, networks)
    if old is None:
        yield ""
        return
    for row in ENDPOINT.fields:
        value = _normal(row, new.get(row.name))
        if value is not None and not _is_same(row, value, old.get(row.name)):
            yield f".{row.name}"


def _endpoint_of(key: str, networks: Mapping[str, Any]) -> Optional[Mapping[str, Any]]:
    name = "bridge" if key == "default" else key
    for network, row in networks.items():
        if name in (network, row.get("NetworkID")):
            return row if isinstance(row, dict) else None
    return None


def _labels(new: Mapping[str, str], old: Mapping[str, str]) -> Dict[str, str]:
    """The labels of the new container: some of the previous one's, and all of this collection's."""
    if not _is_part(new, old):
        raise _differs("Labels")
    return {**new, **{name: text for name, text in old.items() if name.lower().startswith(COLLECTION)}}


def _check_image(scope: Scope, new: str, old: str) -> None:
    """The image has the previous one's repository, or a pattern selects it."""
    wanted, previous = None if is_image_id(new) else parse_image(new), parse_image(old)
    if wanted is None and not is_image_id(new):
        raise malformed("Image is not a reference to an image")
    found = scope.find(IMAGE, new)
    names = [wanted] if found is None else [name for name in references_of(found) if name]
    if found is not None:
        scope.image = found.id
    check_pin(scope, new, wanted_image(new, found), found)
    for name in names:
        if any_matches(scope.policy.images, name) or (
            previous and name and name.repository == previous.repository
        ):
            return
    if new == old:
        return
    raise _differs("The repository of Image")


def check_connection(scope: Scope, name: str, network: Tuple[str, str], endpoint: Mapping[str, Json]) -> None:
    """Check that a container joins a network that the previous one of its name had joined.

    Args:
        name: the container's name.
        network: name and ID of the network.
        endpoint: the endpoint that is asked for.

    Raises:
        Pending: the engine has not been asked about the previous container.
        Refusal: it had not joined it, or in another way.
    """
    found = scope.find(TEMPLATE, name)
    config = found.config if found is not None and isinstance(found.config, dict) else {}
    networks = (config.get("NetworkSettings") or {}).get("Networks") or {}
    key = network[0] if network[0] in networks else network[1]
    for where in endpoint_differences(key, endpoint, networks):
        raise _differs(f"EndpointConfig{where}")
