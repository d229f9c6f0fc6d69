# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Decide which certificates of a host to remove, by the host's record of what was created.

A file is removed if it still has the content that was written. A directory is removed if it was
created for a certificate and is empty. Other files and directories stay and are reported.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import Any, Iterable, Mapping, Sequence, Union

from .._base.errors import Refused
from .._base.plan import Plan, Reason
from .facts import FILES
from .record import Record


@dataclass(frozen=True)
class Place:
    """The observed directory of a recorded certificate.

    Attributes:
        digests: SHA-256 of its regular files by name.
        leftovers: paths of files and directories that an interrupted run left behind, in the order
            of removal.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    leftovers: tuple[str, ...] = ()


@dataclass(frozen=True)
class RemovalState:
    """What exists of the recorded certificates.

    Attributes:
        record: the host's record.
        places: recorded certificates by directory.
        contents: sorted names of all entries of the recorded directories that exist.
        in_use: what prevents the removal of a file, such as a key of daemon.json, by the file's
            path.
        read_only: directories of file systems that are mounted read-only.
    """

    record: Record = Record()
    places: Mapping[str, Place] = field(default_factory=dict)
    contents: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    in_use: Mapping[str, str] = field(default_factory=dict)
    read_only: tuple[str, ...] = ()


@dataclass(frozen=True)
class RemoveFiles:
    """Remove a certificate's files, what an interrupted run left behind, and its record.

    Attributes:
        directory: directory of the certificate.
        names: names of the files to remove, the key first.
        leftovers: paths of what an interrupted run left behind.
        in_use: what prevents the removal; empty if nothing does.
    """

    directory: str
    names: tuple[str, ...] = ()
    leftovers: tuple[str, ...] = ()
    in_use: str = ""

    @property
    def paths(self) -> tuple[str, ...]:
        return (*(f"{self.directory}/{name}" for name in self.names), *self.leftovers)

    def forget(self, record: Record) -> Record:
        return record.without_certificate(self.directory)


@dataclass(frozen=True)
class RemoveDirectory:
    """Remove an empty directory if it still exists, and its record."""

    path: str

    @property
    def paths(self) -> tuple[str, ...]:
        return (self.path,)

    def forget(self, record: Record) -> Record:
        return record.without_directories([self.path])


RemovalAction = Union[RemoveFiles, RemoveDirectory]
"""An action has the ``paths`` to remove, and can ``forget`` them in the record."""


def plan_removal(directories: Sequence[str], state: RemovalState) -> Plan[RemovalAction]:
    """Decide which certificate files to remove in or below these directories; empty for all.

    Raises:
        Refused: something to remove is on a file system that is mounted read-only.
    """
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    reasons: list[Reason] = []
    actions: list[RemovalAction] = []
    removed: set[str] = set()
    for directory in sorted(state.record.certificates):
        if _is_below(directory, directories):
            action = _plan_files(directory, state)
            reasons.append(Reason("not_wanted", _describe(action), directory))
            actions.append(action)
            removed |= set(action.paths)
            before[directory], after[directory] = [*action.names, *action.leftovers], []
    staying = {place for place in state.record.certificates if not _is_below(place, directories)}
    # The longest path first: a directory may be empty only without those in it.
    for path in sorted(state.record.directories, key=len, reverse=True):
        left = {f"{path}/{name}" for name in state.contents.get(path, ())} - removed
        if left or any(_is_below(place, [path]) for place in staying):
            continue
        text = "will be empty" if path in state.contents else "no longer exists"
        reasons.append(Reason("not_wanted", f"directory {path} {text}", path))
        actions.append(RemoveDirectory(path))
        removed.add(path)
        before.setdefault("directories", []).append(path)
        after["directories"] = []
    _refuse_read_only(state, actions)
    return Plan(before, after, tuple(reasons), tuple(actions))


def _refuse_read_only(state: RemovalState, actions: Sequence[RemovalAction]) -> None:
    existing = [
        path
        for action in actions
        for path in action.paths
        if isinstance(action, RemoveFiles) or path in state.contents
    ]
    for path in existing:
        directory = posixpath.dirname(path)
        if directory in state.read_only:
            problem = f"Cannot remove {path}: the file system of {directory} is mounted read-only"
            raise Refused(path, problem=problem, remedy="Mount it read-write, then run the task again")


def find_kept(directories: Sequence[str], state: RemovalState) -> dict[str, list[str]]:
    """The files and directories that are not removed with their certificates: names by directory.

    The arguments are those of :func:`plan_removal`; the state may also be that after the removal.
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
        # Other directories may hold anything: there, only the names of a certificate's files count.
        names = [
            name
            for name in after.contents[path]
            if (path in after.record.directories or name in FILES)
            and not any(_is_below(place, [f"{path}/{name}"]) for place in ours)
        ]
        if names:
            kept[path] = names
    return kept


def kept_warnings(kept: Mapping[str, Sequence[str]]) -> list[str]:
    """Warnings about the result of :func:`find_kept`."""
    return [
        f"{path} is kept, because it contains files that this collection did not create: {', '.join(names)}"
        for path, names in kept.items()
    ]


def simulate_removal(state: RemovalState, plan: Plan[RemovalAction]) -> RemovalState:
    """The state that a plan leads to."""
    record, removed = state.record, {path for action in plan.actions for path in action.paths}
    for action in plan.actions:
        record = action.forget(record)
    contents = {
        path: tuple(name for name in names if f"{path}/{name}" not in removed)
        for path, names in state.contents.items()
        if path not in removed
    }
    places = {place: found for place, found in state.places.items() if place in record.certificates}
    return replace(state, record=record, places=places, contents=contents)


def _plan_files(directory: str, state: RemovalState) -> RemoveFiles:
    place = state.places.get(directory, Place())
    # The key first: the other files are useless without it.
    names = tuple(
        name
        for name in reversed(FILES)
        if name in place.digests and state.record.knows(directory, name, place.digests[name])
    )
    named = [state.in_use[f"{directory}/{name}"] for name in names if f"{directory}/{name}" in state.in_use]
    return RemoveFiles(directory, names, place.leftovers, ", ".join(named))


def _describe(action: RemoveFiles) -> str:
    parts = []
    if action.names:
        parts.append(f"{action.directory} holds {', '.join(action.names)}")
    if action.leftovers:
        parts.append(f"left by an interrupted run: {', '.join(action.leftovers)}")
    if not parts:
        parts.append(f"{action.directory} holds no file of its certificate any more")
    if action.in_use:
        parts.append(f"still named in {action.in_use}")
    return "; ".join(parts)


def _is_below(path: str, directories: Iterable[str]) -> bool:
    """Whether a path is one of these or below one; no directories mean any."""
    limits = list(directories)
    return not limits or any(path == limit or path.startswith(f"{limit}/") for limit in limits)
