# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decides what goes when the certificates of a host go: what was made for them, and nothing else.

A file goes if it still is what was written there. A directory goes if it was made for a certificate and nothing is left in
it. Whatever stays in such a directory is named.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Mapping, Sequence, Union

from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_record import Record
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import FILES
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan, Reason


@dataclass(frozen=True)
class Place:
    """What stands where a certificate of the record belongs.

    Attributes:
        digests: SHA-256 of those of its files that are there and regular, by name.
        leftovers: paths of files and directories that an interrupted run left behind, in the order of their removal.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()


@dataclass(frozen=True)
class RemovalState:
    """What a host has of the certificates that were made on it.

    Attributes:
        record: what was made.
        places: what stands in the directories of its certificates.
        contents: what is in those directories, made by us or not, as far as they are there: sorted names.
        in_use: what names a file so that it cannot go, such as a key of daemon.json, by path.
    """

    record: Record = Record()
    places: Mapping[str, Place] = field(default_factory=dict)
    contents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    in_use: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class RemoveFiles:
    """Remove a certificate's files, its key first, and what an interrupted run left behind; then forget it.

    Attributes:
        directory: of the certificate.
        names: of the files in it.
        leftovers: paths.
        in_use: what still names one of them; empty if nothing does.
    """

    directory: str
    names: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    in_use: str = ""


@dataclass(frozen=True)
class RemoveDirectory:
    """Remove a directory that is empty by then, unless it is gone already; then forget it."""

    path: str


RemovalAction = Union[RemoveFiles, RemoveDirectory]


def plan_removal(directories: Sequence[str], state: RemovalState) -> Plan[RemovalAction]:
    """Decides what goes.

    Args:
        directories: only certificates in or below these; empty for all.
        state: what is there.
    """
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    reasons: list[Reason] = []
    actions: list[RemovalAction] = []
    contents = {path: set(names) for path, names in state.contents.items()}
    for directory in sorted(state.record.certificates):
        if not _is_below(directory, directories):
            continue
        action = _plan_files(directory, state)
        reasons.append(Reason("not_wanted", _tell(action), directory))
        actions.append(action)
        before[directory] = [*action.names, *action.leftovers]
        after[directory] = []
        for path in (*(f"{directory}/{name}" for name in action.names), *action.leftovers):
            contents.get(posixpath.dirname(path), set()).discard(posixpath.basename(path))
    staying = {place for place in state.record.certificates if not _is_below(place, directories)}
    # The longest path first: a directory is empty once those in it are gone.
    for path in sorted(state.record.directories, key=len, reverse=True):
        if contents.get(path) or path in staying or any(_is_below(place, [path]) for place in staying):
            continue
        contents.get(posixpath.dirname(path), set()).discard(posixpath.basename(path))
        text = f"directory {path} is empty then" if path in contents else f"directory {path} is gone already"
        reasons.append(Reason("not_wanted", text, path))
        actions.append(RemoveDirectory(path))
        before.setdefault("directories", []).append(path)
        after.setdefault("directories", [])
    return Plan(before, after, tuple(reasons), tuple(actions))


def find_kept(directories: Sequence[str], state: RemovalState) -> dict[str, list[str]]:
    """What stays although the certificates go, or have gone: by directory, the names in it that are not ours.

    Args:
        directories: only what is in or below these; empty for all.
        state: what is there, before or after.
    """
    plan = plan_removal(directories, state)
    after = simulate_removal(state, plan)
    ours = {*after.record.certificates, *after.record.directories}
    concerned = {
        *(action.directory for action in plan.actions if isinstance(action, RemoveFiles)),
        *(path for path in after.record.directories if _is_below(path, directories)),
    }
    kept = {}
    for path in sorted((concerned - set(after.record.certificates)) & set(after.contents)):
        # Of a directory that was there before, only the certificate's own names are our business.
        names = [
            name
            for name in after.contents[path]
            if (path in after.record.directories or name in FILES)
            and not any(_is_below(place, [f"{path}/{name}"]) for place in ours)
        ]
        if names:
            kept[path] = names
    return kept


def simulate_removal(state: RemovalState, plan: Plan[RemovalAction]) -> RemovalState:
    """The state that a plan leads to."""
    record, places = state.record, dict(state.places)
    contents = {path: set(names) for path, names in state.contents.items()}
    for action in plan.actions:
        if isinstance(action, RemoveFiles):
            record = record.without_certificate(action.directory)
            places.pop(action.directory, None)
            gone = [*(f"{action.directory}/{name}" for name in action.names), *action.leftovers]
        else:
            record = record.without_directories([action.path])
            contents.pop(action.path, None)
            gone = [action.path]
        for path in gone:
            contents.get(posixpath.dirname(path), set()).discard(posixpath.basename(path))
    return replace(
        state,
        record=record,
        places=places,
        contents={path: tuple(sorted(names)) for path, names in contents.items()},
    )


def _plan_files(directory: str, state: RemovalState) -> RemoveFiles:
    place = state.places.get(directory, Place())
    # The key first: without it the rest is of no use to anybody.
    names = tuple(
        name
        for name in reversed(FILES)
        if name in place.digests and state.record.knows(directory, name, place.digests[name])
    )
    named = [state.in_use[f"{directory}/{name}"] for name in names if f"{directory}/{name}" in state.in_use]
    return RemoveFiles(directory, names, place.leftovers, ", ".join(named))


def _tell(action: RemoveFiles) -> str:
    parts = []
    if action.names:
        parts.append(f"{action.directory} holds {', '.join(action.names)}")
    if action.leftovers:
        parts.append(f"left by an interrupted run: {', '.join(action.leftovers)}")
    if not parts:
        parts.append(f"of the certificate in {action.directory} nothing is left but its record")
    if action.in_use:
        parts.append(f"named still by {action.in_use}")
    return "; ".join(parts)


def _is_below(path: str, directories: Iterable[str]) -> bool:
    """Whether a path is one of these or below one; no directories mean any."""
    limits = list(directories)
    return not limits or any(path == limit or path.startswith(f"{limit}/") for limit in limits)
