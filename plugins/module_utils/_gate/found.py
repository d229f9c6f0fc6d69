# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Questions of the policy as calls to the engine, and the engine's documents as answers."""

from __future__ import annotations

import json
import re
from typing import Any, Mapping, Optional
from urllib.parse import quote, urlencode

from .._base.labels import LABEL_IDENTITY
from .._policy.decision import (
    CONTAINER,
    COUNT,
    EXEC,
    IMAGE,
    LABEL_OWNER,
    NETWORK,
    TEMPLATE,
    VOLUME,
    Found,
    Question,
)

_PATHS: Mapping[str, str] = {
    CONTAINER: "/containers/{}/json",
    TEMPLATE: "/containers/{}/json",
    EXEC: "/exec/{}/json",
    NETWORK: "/networks/{}",
    VOLUME: "/volumes/{}",
    IMAGE: "/images/{}/json",
}
_COUNTED: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "containers": ("/containers/json", {"all": "1"}),
    "running": ("/containers/json", {}),
    "networks": ("/networks", {}),
    "volumes": ("/volumes", {}),
}
_SEGMENT = re.compile(r"[^\x00-\x1f\x7f/]{1,255}")
FULL_ID = re.compile(r"[0-9a-f]{64}")


def question_path(question: Question, identity: str) -> Optional[str]:
    """The path that answers a question by GET; None if no object can have such a reference."""
    if question.kind == COUNT:
        if question.reference not in _COUNTED:
            return None
        path, query = _COUNTED[question.reference]
        filters = json.dumps({"label": [f"{LABEL_OWNER}={identity}"]})
        return f"{path}?{urlencode({**query, 'filters': filters})}"
    segments = question.reference.split("/") if question.kind == IMAGE else [question.reference]
    if any(segment in (".", "..") or not _SEGMENT.fullmatch(segment) for segment in segments):
        return None
    return _PATHS[question.kind].format("/".join(quote(segment, safe=":@") for segment in segments))


def own_container_path(identity: str) -> str:
    """The path that lists the containers that use an identity."""
    filters = json.dumps({"label": [f"{LABEL_IDENTITY}={identity}"]})
    return f"/containers/json?{urlencode({'all': '1', 'filters': filters})}"


def parse_own_container(document: Any) -> str:
    """The full ID of the container that uses an identity; empty unless there is exactly one.

    While a container is replaced, the previous one still exists: the one that runs counts. One that
    a wormhole has created does not count: it would be a sibling that pretends.
    """
    rows = [row for row in _items(document) if LABEL_OWNER not in _labels(row.get("Labels"))]
    running = [row for row in rows if row.get("State") == "running"]
    found = running or rows
    return _text(found[0], "Id") if len(found) == 1 else ""


def parse_found(question: Question, document: Any) -> Optional[Found]:
    """The answer to a question; None if the document is none of such an object."""
    kind = question.kind
    if kind == COUNT:
        rows = document.get("Volumes") if isinstance(document, dict) else document
        return Found(kind, count=len(_items(rows)))
    if not isinstance(document, dict):
        return None
    if kind == EXEC:
        return _if_complete(Found(kind, id=_text(document, "ID"), container=_text(document, "ContainerID")))
    if kind == VOLUME:
        name = _text(document, "Name")
        return _if_complete(Found(kind, id=name, name=name, labels=_labels(document.get("Labels"))))
    if kind == NETWORK:
        labels = _labels(document.get("Labels"))
        return _if_complete(Found(kind, _text(document, "Id"), _text(document, "Name"), labels))
    labels = _labels(_object(document.get("Config")).get("Labels"))
    if kind == IMAGE:
        references = (*_texts(document.get("RepoTags")), *_texts(document.get("RepoDigests")))
        return _if_complete(Found(kind, _text(document, "Id"), labels=labels, references=references))
    networks = _object(_object(document.get("NetworkSettings")).get("Networks"))
    return _if_complete(
        Found(
            kind,
            id=_text(document, "Id"),
            name=_text(document, "Name").lstrip("/"),
            labels=labels,
            networks=tuple(sorted(networks)),
            config=document if kind == TEMPLATE else None,
        )
    )


def parse_image_of(document: Any) -> str:
    """The ID of the image of an inspected container."""
    return _text(_object(document), "Image")


def _if_complete(found: Found) -> Optional[Found]:
    return found if found.id else None


def _text(document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _labels(value: Any) -> Mapping[str, str]:
    return {name: text for name, text in _object(value).items() if isinstance(text, str)}
