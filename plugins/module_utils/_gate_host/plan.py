# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Plans how a host gets its gate.

What a running service has read is compared by its version, so that a run that was killed between
the replacement of a file and the restart is completed by the next one.
"""

from __future__ import annotations

import posixpath
from typing import Any, Union

from .._base.errors import Refused
from .._base.plan import Plan, Reason
from .._base.systemd_units import UNIT_DIRECTORY
from .._gate import config, units
from . import desired, model
from .model import Action, Directory, File, GateHostState
from .spec import GateHostSpec


def plan_gate(spec: GateHostSpec, state: GateHostState) -> Plan[Action]:
    """Plans the gate with its user, program, configuration and units.

    Raises:
        Refused: the user's name or the engine's socket cannot be used.
    """
    _refuse_user(state)
    _refuse_socket_group(state)
    surplus, files = _plan_surplus(spec, state), _plan_files(spec, state)
    return _combine(
        [
            _plan_user(state),
            _plan_directories(state),
            surplus,
            files,
            _plan_leftovers(state),
            _plan_units(spec, state, files),
        ]
    )


class Part:
    """A part of a plan.

    Attributes:
        reasons, actions: as in a plan.
        before, after: entries of its diff.
        units: whether it writes files of units.
        restarts: whether it changes what the running service may have read.
    """

    def __init__(self) -> None:
        self.reasons: list[Reason] = []
        self.actions: list[Action] = []
        self.before: dict[str, Any] = {}
        self.after: dict[str, Any] = {}
        self.units = self.restarts = False

    def add(self, code: str, text: str, subject: str, before: Any, after: Any) -> None:
        """Add a reason, with the entries of the diff for its subject."""
        self.reasons.append(Reason(code, text, subject))
        self.before[subject], self.after[subject] = before, after


def _combine(parts: list[Part]) -> Plan[Action]:
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    for part in parts:
        before.update(part.before)
        after.update(part.after)
    reasons = tuple(reason for part in parts for reason in part.reasons)
    return Plan(before, after, reasons, tuple(action for part in parts for action in part.actions))


def _refuse_user(state: GateHostState) -> None:
    user = state.user
    if user is not None and not user.is_system_user:
        raise Refused(
            f"user {units.USER}",
            problem=f"The user {units.USER} has the number {user.number}, which is not one of a system user",
            remedy="Rename or remove this user. The gate needs a user of its own with this name",
        )
    if user is not None and user.group != desired.GROUP:
        raise Refused(
            f"user {units.USER}",
            problem=f"The primary group of the user {units.USER} is {user.group}",
            remedy=f"Remove this user, or make {desired.GROUP} its primary group",
        )


def _refuse_socket_group(state: GateHostState) -> None:
    if state.socket_group == model.ROOT:
        raise Refused(
            "the engine's socket",
            problem="The socket of the engine belongs to the group root, so only root can use it",
            remedy="Set group in daemon.json, or SocketGroup= of docker.socket, to a group such as docker",
        )


def _plan_user(state: GateHostState) -> Part:
    part = Part()
    if state.user is None:
        subject = f"user {units.USER}"
        part.add(
            "gate_user_missing", f"the user {units.USER} does not exist", subject, "missing", "system user"
        )
        part.actions.append(model.CreateUser())
    return part


def _plan_directories(state: GateHostState) -> Part:
    part = Part()
    for path, wanted in desired.DIRECTORIES.items():
        found = state.directories.get(path)
        if found == wanted:
            continue
        code = "gate_directory_missing" if found is None else "gate_directory_differs"
        text = f"{path}: expected {_describe(wanted)}, found {_describe(found) if found else 'nothing'}"
        part.add(code, text, path, _describe(found) if found else "", _describe(wanted))
        part.actions.append(model.MakeDirectory(path, wanted))
    return part


def _plan_files(spec: GateHostSpec, state: GateHostState) -> Part:
    part = Part()
    version = Part()
    for path, wanted in desired.desired_files(spec, state.socket_group).items():
        found = state.files.get(path)
        if found == wanted:
            continue
        is_program, is_unit = path == units.PROGRAM, posixpath.dirname(path) == UNIT_DIRECTORY
        kind = "program" if is_program else "unit" if is_unit else "config"
        part.actions.append((model.InstallProgram if is_program else model.WriteFile)(path, wanted))
        part.units |= is_unit
        part.restarts |= path in _READ and (found is None or _differs(found, wanted))
        # A version differs because of another file, whose reason says more.
        target = version if found is not None and _same_but_version(found, wanted) else part
        code, text = f"gate_{kind}_missing", f"{path} does not exist"
        if found is not None:
            code, text = f"gate_{kind}_differs", f"{path}: {_difference(kind, found, wanted)}"
        elif is_program and not state.files:
            code, text = "gate_missing", "the gate is not installed"
        target.add(code, text, path, _show(kind, found), _show(kind, wanted))
    if not part.reasons:
        version.actions, version.units, version.restarts = part.actions, part.units, part.restarts
    return part if part.reasons else version


def _unit(state: GateHostState, name: str) -> model.Unit:
    return state.units.get(name, model.Unit())


def _plan_surplus(spec: GateHostSpec, state: GateHostState) -> Part:
    """Removes the units that a gate without TLS does not have."""
    part = Part()
    wanted = desired.desired_files(spec, state.socket_group)
    known = [name for name in desired.UNITS if units.unit_path(name) not in wanted]
    names = tuple(name for name in known if units.unit_path(name) in state.files or _unit(state, name).active)
    for name in names:
        part.add("gate_unit_surplus", f"unit {name} exists, but the gate serves no TLS", name, "exists", "")
    if names:
        part.actions.append(model.RemoveUnits(names))
    return part


_READ = (units.PROGRAM, config.PATH, units.unit_path(units.SERVICE))
"""What the service reads when it starts. Somebody may have started it with other content."""


def _differs(found: File, wanted: File) -> bool:
    """Whether two files differ in more than the version, their owners and modes."""
    return desired.without_version(found.content) != desired.without_version(wanted.content)


def _same_but_version(found: File, wanted: File) -> bool:
    return not _differs(found, wanted) and _describe(found) == _describe(wanted)


def _difference(kind: str, found: File, wanted: File) -> str:
    if found.content != wanted.content:
        return f"another {'version' if kind == 'program' else 'content'} is installed"
    return f"expected {_describe(wanted)}, found {_describe(found)}"


def _show(kind: str, file: Union[File, None]) -> Any:
    if file is None:
        return ""
    content = f"SHA-256 {file.content}" if kind == "program" else file.content
    return {"content": content, "permissions": _describe(file)}


def _describe(found: Union[File, Directory]) -> str:
    return f"{found.mode:04o} {found.owner}:{found.group}"


def _plan_leftovers(state: GateHostState) -> Part:
    part = Part()
    for path in state.leftovers:
        part.add("gate_leftover", f"{path} was left by an interrupted run", path, "exists", "")
    if state.leftovers:
        part.actions.append(model.RemoveFiles(state.leftovers))
    return part


def _plan_units(spec: GateHostSpec, state: GateHostState, files: Part) -> Part:
    """Has systemd read the files, starts the units at boot and now, and restarts what is outdated."""
    part = Part()
    shown = {name: _unit(state, name) for name in desired.UNITS}
    started = desired.started_units(spec)
    stale = [name for name in desired.UNITS if shown[name].stale]
    for name in () if files.units else stale:
        text = f"systemd has not read the present file of {name}"
        part.add("gate_unit_stale", text, name, "outdated", "current")
    if files.units or stale:
        part.actions.append(model.ReloadUnits())
    disabled = tuple(name for name in started if not shown[name].enabled)
    for name in disabled:
        part.add(
            "gate_not_enabled", f"{name} does not start at boot", f"{name} at boot", "disabled", "enabled"
        )
    if disabled:
        part.actions.append(model.EnableUnits(disabled))
    _start(part, spec, state, files.restarts)
    return part


def _start(part: Part, spec: GateHostSpec, state: GateHostState, restarts: bool) -> None:
    version = desired.version_of(spec, state.socket_group)
    subject = f"running {units.SERVICE}"
    if not _unit(state, units.SERVICE).active:
        part.add("gate_stopped", f"{units.SERVICE} does not run", subject, "", version)
    elif state.running != version:
        text = f"{units.SERVICE} was started with other files than those of this version"
        part.add("gate_outdated", text, subject, state.running, version)
    if restarts or not _unit(state, units.SERVICE).active or state.running != version:
        part.actions.append(model.RestartGate(version))
    others = [n for n in desired.started_units(spec) if n != units.SERVICE and not _unit(state, n).active]
    for name in others:
        part.add("gate_stopped", f"{name} does not run", f"running {name}", "", "active")
    if others:
        part.actions.append(model.StartUnits(tuple(others)))
