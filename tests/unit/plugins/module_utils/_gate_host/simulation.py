# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a plan of the gate leads to, on a host where nothing else happens."""

from __future__ import annotations

import dataclasses

from ansible_collections.wormhole.docker.plugins.module_utils._gate import config, units
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host import desired, model
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.model import Directory, Unit, User

PROGRAM = "a" * 64
SERVED = "/etc/wormhole/server"


def simulate(state, plan):
    """Return the state after all actions of a plan."""
    for action in plan.actions:
        state = _STEPS[type(action)](state, action)
    return state


def _files(state, **changes):
    files = {**state.files, **changes}
    return dataclasses.replace(state, files={path: file for path, file in files.items() if file is not None})


def _units(state, names, **changes):
    known = {name: state.units.get(name, Unit()) for name in names}
    changed = {name: dataclasses.replace(unit, **changes) for name, unit in known.items()}
    return dataclasses.replace(state, units={**state.units, **changed})


def _write(state, action):
    after = _files(state, **{action.path: action.file})
    name = action.path.rpartition("/")[2]
    # systemd has read the previous file, or reads the first one when it is asked for the unit.
    is_read = name in state.units and action.path in state.files
    return _units(after, [name], stale=True) if is_read else after


def _make_directory(state, action):
    return dataclasses.replace(state, directories={**state.directories, action.path: action.directory})


def _remove_files(state, action):
    after = _files(state, **dict.fromkeys(action.paths))
    left = tuple(path for path in state.leftovers if path not in action.paths)
    return dataclasses.replace(after, leftovers=left)


def _restart(state, action):
    text = state.files[units.unit_path(units.SERVICE)].content
    assert f"Environment={desired.VERSION}={action.version}\n" in text
    # systemd has made its directories.
    made = {path: Directory(0o700, units.USER, units.USER) for path in desired.MADE_WHEN_RUNNING[:2]}
    after = _units(state, [units.SERVICE], active=True)
    return dataclasses.replace(after, running=action.version, directories={**state.directories, **made})


def _remove_units(state, action):
    after = _files(state, **{units.unit_path(name): None for name in action.names})
    gone = {**state.units, **{name: Unit() for name in action.names if name in desired.UNITS}}
    doors = tuple(name for name in state.doors if name not in action.names)
    running = "" if units.SERVICE in action.names else state.running
    return dataclasses.replace(after, units=gone, doors=doors, running=running)


def _remove_directories(state, action):
    left = {path: found for path, found in state.directories.items() if path not in action.paths}
    policies = () if config.POLICIES in action.paths else state.policies
    return dataclasses.replace(state, directories=left, policies=policies)


def _reload(state, _action):
    return _units(state, state.units, stale=False)


_STEPS = {
    model.CreateUser: lambda state, _action: dataclasses.replace(state, user=User(998, units.USER)),
    model.MakeDirectory: _make_directory,
    model.InstallProgram: lambda state, action: _files(state, **{action.path: action.file}),
    model.WriteFile: _write,
    model.RemoveFiles: _remove_files,
    model.ReloadUnits: _reload,
    model.EnableUnits: lambda state, action: _units(state, action.names, enabled=True),
    model.StartUnits: lambda state, action: _units(state, action.names, active=True),
    model.RestartGate: _restart,
    model.EndSiblings: lambda state, _action: dataclasses.replace(state, siblings=()),
    model.RemoveUnits: _remove_units,
    model.RemoveDirectories: _remove_directories,
    model.RemoveUser: lambda state, _action: dataclasses.replace(state, user=None),
}


def changed_file(state, path, **changes):
    """Return the state with other values of a file, or without it."""
    file = dataclasses.replace(state.files[path], **changes) if changes else None
    return _files(state, **{path: file})


def changed_unit(state, name, **changes):
    """Return the state with other values of a unit."""
    return _units(state, [name], **changes)
