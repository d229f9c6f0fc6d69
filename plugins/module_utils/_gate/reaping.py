# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which siblings are removed after their wormhole has ended, and when.

A *sibling* is a container, a network or a volume that a wormhole has created. It has the label of its
owner, which is an identity. The owner lives

- as long as a container with the label of the identity runs, is paused, or is being restarted;
- if no such container has ever been seen, as long as the identity has a policy. This is so for
  containers that others have created without the label.

When the owner has ended for as long as ``cleanup.after`` of the policy says, its siblings are stopped or
removed. A replacement that starts within this time keeps them. The time begins anew when the gate or
the engine has started: a container that starts with its host is not late. Only a policy that enforces
cleans up. After the policy was removed, what it said last holds.

What is never touched: a container without exactly the label of this owner; one that has another label of
this collection, which no wormhole can set; a network or a volume that the engine says is in use.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Collection, Literal, Mapping, Optional, Tuple
from urllib.parse import quote, urlencode

from .._base.labels import LABEL_IDENTITY, LABEL_PREFIX
from .._policy.decision import CONTAINER, LABEL_OWNER, NETWORK, VOLUME
from .._policy.policy import CLEANUPS, ENFORCE, CleanupMode
from .identities import Registry
from .places import is_identity

FILE_NAME = "siblings.json"
"""The file with what is remembered, in the StateDirectory= of the service."""

Kind = Literal["container", "network", "volume"]
KINDS: Tuple[Kind, ...] = (CONTAINER, NETWORK, VOLUME)
"""In the order in which they are removed: a network or a volume that is in use cannot be."""

_ALIVE = ("running", "paused", "restarting")
_KEPT = 100
_LONGEST = 200
_LISTS: Mapping[str, str] = {
    CONTAINER: "/containers/json",
    NETWORK: "/networks",
    VOLUME: "/volumes",
}
_PLACES: Mapping[str, str] = {
    CONTAINER: "/containers/{}?force=1&v=1",
    NETWORK: "/networks/{}",
    VOLUME: "/volumes/{}",
}


@dataclass(frozen=True)
class Owner:
    """What is remembered of an identity.

    Attributes:
        mode, after: what its policy says, or said last, about its siblings; seconds.
        seen: whether a container with its label has been seen alive.
    """

    mode: CleanupMode = "none"
    after: int = 60
    seen: bool = False


@dataclass(frozen=True)
class Sibling:
    """An object that a wormhole has created.

    Attributes:
        kind: what it is.
        id: full ID; of a volume its name.
        name: its name.
        running: of a container, whether it runs.
        image: of a container, the ID of its image.
    """

    kind: Kind
    id: str
    name: str
    running: bool = False
    image: str = ""


@dataclass(frozen=True)
class Removed:
    """What was done to a sibling.

    Attributes:
        identity: its owner.
        kind, id, name: the sibling.
        action: ``removed`` or ``stopped``.
        time: seconds since the epoch.
    """

    identity: str
    kind: str
    id: str
    name: str
    action: str
    time: int


@dataclass(frozen=True)
class Memory:
    """What is remembered across a restart of the gate.

    Attributes:
        owners: by identity.
        removed: the last siblings that were removed, the newest last.
    """

    owners: Mapping[str, Owner] = field(default_factory=dict)
    removed: Tuple[Removed, ...] = ()


def remember(owners: Mapping[str, Owner], registry: Registry, alive: Collection[str]) -> dict[str, Owner]:
    """What is known of all identities now.

    Args:
        owners: what was known before.
        registry: the identities that have a policy.
        alive: the identities that have a living container.
    """
    found = {name: replace(owner, seen=owner.seen or name in alive) for name, owner in owners.items()}
    for name, identity in registry.identities.items():
        policy = identity.policy
        mode = policy.cleanup.mode if policy.mode == ENFORCE else "none"
        seen = name in alive or (name in owners and owners[name].seen)
        found[name] = Owner(mode, policy.cleanup.after, seen)
    return found


def find_ended(owners: Mapping[str, Owner], registry: Registry, alive: Collection[str]) -> frozenset[str]:
    """The identities that have ended."""
    open_ones = registry.identities.keys() | registry.problems.keys()
    return frozenset(
        name for name, owner in owners.items() if name not in alive and (owner.seen or name not in open_ones)
    )


def find_forgotten(owners: Mapping[str, Owner], registry: Registry, ended: Collection[str]) -> frozenset[str]:
    """The identities of which nothing has to be remembered: ended, without a policy, and no cleanup."""
    open_ones = registry.identities.keys() | registry.problems.keys()
    return frozenset(name for name in ended if name not in open_ones and owners[name].mode == "none")


def due_times(
    owners: Mapping[str, Owner], since: Mapping[str, float], cleaned: Mapping[str, float], again: float
) -> dict[str, float]:
    """When the siblings of each identity that has ended are to be removed.

    Args:
        owners: all identities.
        since: when each that has ended was found to have.
        cleaned: when its siblings were removed the last time since then.
        again: seconds after which that is done again: something may have been in use.
    """
    return {
        name: max(moment + owners[name].after, cleaned[name] + again if name in cleaned else 0.0)
        for name, moment in since.items()
        if owners[name].mode != "none"
    }


# --- what the engine says --------------------------------------------------------------------------


def owners_path() -> str:
    """The path that lists the containers of all identities."""
    return f"/containers/json?{urlencode({'all': '1', 'filters': _filters(LABEL_IDENTITY)})}"


def events_path() -> str:
    """The path that streams when one of these starts or ends."""
    filters = {
        "type": [CONTAINER],
        "event": ["start", "die", "destroy", "pause", "unpause"],
        "label": [LABEL_IDENTITY],
    }
    return f"/events?{urlencode({'filters': json.dumps(filters)})}"


def siblings_path(kind: Kind, identity: str, status: str = "") -> str:
    """The path that lists the siblings of one kind.

    Args:
        kind: the kind.
        identity: their owner; empty for those of all owners.
        status: of containers, the only status to list.
    """
    more = {"all": "1"} if kind == CONTAINER else {}
    filters = _filters(f"{LABEL_OWNER}={identity}" if identity else LABEL_OWNER, status)
    return f"{_LISTS[kind]}?{urlencode({**more, 'filters': filters})}"


def removal_path(sibling: Sibling) -> str:
    """The path that removes a sibling, by DELETE."""
    return _PLACES[sibling.kind].format(quote(sibling.id, safe=""))


def stop_path(sibling: Sibling) -> str:
    """The path that stops a container, by POST."""
    return f"/containers/{quote(sibling.id, safe='')}/stop"


def parse_alive(document: Any) -> frozenset[str]:
    """The identities that have a living container."""
    found = set()
    for row in _rows(document):
        labels = _labels(row)
        # A sibling that pretends: no wormhole can set the label of an identity, an image can have it.
        if LABEL_OWNER not in labels and row.get("State") in _ALIVE:
            found.add(labels.get(LABEL_IDENTITY, ""))
    return frozenset(found - {""})


def parse_owners(kind: Kind, document: Any) -> frozenset[str]:
    """The owners of the siblings in a list of the engine."""
    return frozenset(_labels(row).get(LABEL_OWNER, "") for row in _listed(kind, document)) - {""}


def parse_siblings(kind: Kind, document: Any, identity: str) -> tuple[Sibling, ...]:
    """The siblings in a list of the engine that may be touched."""
    found = []
    for row in _listed(kind, document):
        labels = {name: text for name, text in _labels(row).items() if name.startswith(LABEL_PREFIX)}
        identifier = _text(row, "Name" if kind == VOLUME else "Id")
        if labels != {LABEL_OWNER: identity} or not identity or not identifier:
            continue
        names = row.get("Names")
        name = _text(row, "Name") or (str(names[0]) if isinstance(names, list) and names else "")
        running = row.get("State") in _ALIVE
        found.append(Sibling(kind, identifier, name.lstrip("/"), running, _text(row, "ImageID")))
    return tuple(found)


# --- the file --------------------------------------------------------------------------------------


def parse_memory(content: bytes) -> Memory:
    """Parses the file. What is malformed is left out: nothing is removed because of it."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return Memory()
    if not isinstance(document, dict):
        return Memory()
    owners = document.get("owners")
    found = {
        name: owner
        for name, row in (owners.items() if isinstance(owners, dict) else ())
        for owner in [_parse_owner(row)]
        if is_identity(name) and owner is not None
    }
    removed = [_parse_removed(row) for row in _rows(document.get("removed"))[-_KEPT:]]
    return Memory(found, tuple(row for row in removed if row is not None))


def render_memory(memory: Memory) -> bytes:
    """Renders the file. parse_memory() returns the same, with the last rows of ``removed``."""
    owners = {name: asdict(owner) for name, owner in memory.owners.items()}
    removed = [asdict(row) for row in memory.removed[-_KEPT:]]
    return json.dumps({"owners": owners, "removed": removed}, sort_keys=True).encode() + b"\n"


def with_removed(memory: Memory, row: Removed) -> Memory:
    """Adds one row, and drops the oldest."""
    return replace(memory, removed=(*memory.removed, row)[-_KEPT:])


def _parse_owner(row: Any) -> Optional[Owner]:
    if not isinstance(row, dict):
        return None
    mode, after, seen = row.get("mode"), row.get("after"), row.get("seen")
    if mode not in CLEANUPS or not isinstance(after, int) or not isinstance(seen, bool) or after < 0:
        return None
    return Owner(mode, after, seen)


def _parse_removed(row: Mapping[str, Any]) -> Optional[Removed]:
    texts = {name: row.get(name) for name in ("identity", "kind", "id", "name", "action")}
    time = row.get("time")
    if not isinstance(time, int) or not all(
        isinstance(text, str) and text.isprintable() and len(text) <= _LONGEST for text in texts.values()
    ):
        return None
    return Removed(**texts, time=time)  # type: ignore[arg-type]


def _filters(label: str, status: str = "") -> str:
    return json.dumps({"label": [label], **({"status": [status]} if status else {})})


def _listed(kind: Kind, document: Any) -> list[Mapping[str, Any]]:
    return _rows(document.get("Volumes") if kind == VOLUME and isinstance(document, dict) else document)


def _labels(row: Mapping[str, Any]) -> Mapping[str, str]:
    labels = row.get("Labels")
    found = labels.items() if isinstance(labels, dict) else ()
    return {name: text for name, text in found if isinstance(text, str)}


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


def _text(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return value if isinstance(value, str) else ""
