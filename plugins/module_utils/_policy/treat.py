# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an identity gets of the engine's answers.

The decision says with ``Allow.treatment`` whether an answer is treated at all: where the engine itself was
made to answer about the identity's own objects only, it is passed on as it is.
"""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, List, Mapping, Tuple

from .decision import (
    ALL,
    CONTAINER,
    CREATED_VOLUME,
    EVENTS,
    IMAGE,
    INSPECT,
    LABEL_OWNER,
    LIST,
    NETWORK,
    TARGETS,
    VOLUME,
    Sight,
    Treatment,
)
from .images import any_matches, parse_image
from .names import has_label, match_name

_ID = re.compile(rb"\b[0-9a-f]{64}\b")
_CONFLICT, _BAD_GATEWAY = 409, 502
PREDEFINED_NETWORKS = ("none",)
"""Networks that every identity sees, because every one may use them."""


def treat(treatment: Treatment, status: int, content: bytes) -> Tuple[int, bytes]:
    """Return the status and the content of an answer as the client gets it.

    Args:
        treatment: what the decision said. ``events`` is not for this function.
        status: the engine's status.
        content: the engine's whole answer.
    """
    if status >= 300:
        return status, treat_error(treatment, content)
    if treatment.kind not in (LIST, INSPECT, CREATED_VOLUME):
        return status, content
    try:
        document = json.loads(content)
        return _treat(treatment, status, document)
    except (ValueError, TypeError, AttributeError, KeyError):
        # What cannot be read cannot be filtered.
        return _BAD_GATEWAY, message("The answer of the engine could not be read")


def message(text: str) -> bytes:
    """Return an error as the engine writes it."""
    return json.dumps({"message": text}).encode()


def treat_error(treatment: Treatment, content: bytes) -> bytes:
    """Remove IDs from the text of an error, such as that of a name that another container has."""
    return content if treatment.sight.reach == ALL else _ID.sub(b"(another)", content)


def _treat(treatment: Treatment, status: int, document: Any) -> Tuple[int, bytes]:
    sight = treatment.sight
    if treatment.kind == CREATED_VOLUME:
        if _labels(document).get(LABEL_OWNER, "") != sight.identity:
            return _CONFLICT, message(f"The name {document['Name']} of the new volume cannot be used")
        return status, _dump(document)
    if treatment.kind == LIST:
        return status, _dump(_LISTS[treatment.of](sight, document))
    return status, _dump(_INSPECTS[treatment.of](sight, document))


def treat_line(treatment: Treatment, line: bytes) -> bytes:
    """Return one line of a stream of events, or nothing if the identity may not see it."""
    if treatment.kind != EVENTS or treatment.sight.reach == ALL:
        return line
    try:
        event = json.loads(line)
        attributes: Mapping[str, str] = event["Actor"]["Attributes"]
        seen = event["Type"] == CONTAINER and _sees(
            treatment.sight, event["Actor"]["ID"], attributes.get("name", ""), attributes
        )
    except (ValueError, TypeError, AttributeError, KeyError):
        return b""
    return line if seen else b""


def _dump(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def _labels(document: Mapping[str, Any]) -> Mapping[str, str]:
    return document.get("Labels") or {}


def _sees(sight: Sight, identifier: str, name: str, labels: Mapping[str, str]) -> bool:
    """Whether a container may be seen."""
    if (
        sight.reach == ALL
        or labels.get(LABEL_OWNER) == sight.identity
        or (sight.me and identifier == sight.me)
    ):
        return True
    return sight.reach == TARGETS and (match_name(sight.names, name) or has_label(sight.labels, labels))


def _containers(sight: Sight, rows: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    return [
        row
        for row in rows
        if any(_sees(sight, row["Id"], name.lstrip("/"), _labels(row)) for name in row.get("Names") or [""])
    ]


def _images(sight: Sight, rows: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    return [
        row for row in (_image_names(sight, row) for row in rows) if row["RepoTags"] or row["RepoDigests"]
    ]


def _image_names(sight: Sight, row: Dict[str, Any]) -> Dict[str, Any]:
    """An image with the names that may be seen."""
    if sight.reach == ALL:
        return row
    names = {
        key: [text for text in row.get(key) or [] if any_matches(sight.images, parse_image(text))]
        for key in ("RepoTags", "RepoDigests")
    }
    return {**row, **names}


def _networks(sight: Sight, rows: List[Dict[str, Any]]) -> List[Dict[str, Any]]:
    listed = (*sight.networks, *PREDEFINED_NETWORKS)
    return [
        _network(sight, row)
        for row in rows
        if sight.reach == ALL or _labels(row).get(LABEL_OWNER) == sight.identity or row["Name"] in listed
    ]


def _network(sight: Sight, row: Dict[str, Any]) -> Dict[str, Any]:
    """A network; of one that is shared with others, without its containers."""
    if sight.reach == ALL or _labels(row).get(LABEL_OWNER) == sight.identity:
        return row
    hidden: Dict[str, Any] = {
        key: {} for key in ("Containers", "Peers", "Services", "Status") if row.get(key)
    }
    return {**row, **hidden}


def _volumes(sight: Sight, document: Dict[str, Any]) -> Dict[str, Any]:
    rows = [
        row
        for row in document.get("Volumes") or []
        if sight.reach == ALL
        or _labels(row).get(LABEL_OWNER) == sight.identity
        or row["Name"] in sight.volumes
    ]
    return {**document, "Volumes": rows, "Warnings": None}


def _container(sight: Sight, document: Dict[str, Any]) -> Dict[str, Any]:
    config = document.get("Config") or {}
    own = _labels(config).get(LABEL_OWNER) == sight.identity or (sight.me and document["Id"] == sight.me)
    if sight.environment or own:
        return document
    return {**document, "Config": _without_values(config)}


def _without_values(config: Dict[str, Any]) -> Dict[str, Any]:
    """Names of variables stay, with the equals sign that clients expect."""
    return {**config, "Env": [text.partition("=")[0] + "=" for text in config.get("Env") or []]}


def _image(sight: Sight, document: Any) -> Any:
    """An inspected image, or the list of its history."""
    if isinstance(document, list):
        return [{**row, "CreatedBy": ""} for row in document] if _hides(sight) else document
    document = _image_names(sight, document)
    if _hides(sight):
        for key in ("Config", "ContainerConfig"):
            if document.get(key):
                document = {**document, key: _without_values(document[key])}
    return document


def _hides(sight: Sight) -> bool:
    return sight.reach == ALL and not sight.environment


_LISTS: Mapping[str, Callable[[Sight, Any], Any]] = {
    CONTAINER: _containers,
    IMAGE: _images,
    NETWORK: _networks,
    VOLUME: _volumes,
}
_INSPECTS: Mapping[str, Callable[[Sight, Any], Any]] = {
    CONTAINER: _container,
    IMAGE: _image,
    NETWORK: _network,
    VOLUME: lambda _sight, document: document,
}
