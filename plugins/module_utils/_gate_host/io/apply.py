# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes the gate of this host. A change that fails is undone."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import subprocess
from typing import Callable, ContextManager, Iterator, Mapping, Optional

from ..._base.errors import ApplyFailed, WormholeError
from ..._base.io import files, systemd
from ..._base.io.commands import failure_of, run
from ..._base.plan import Plan
from ..._gate import config, units
from ..._gate.ending import Ending
from ..._gate.io import consulting
from .. import desired, model

_LOCK = "/run/wormhole-docker-gate.lock"
_TIMEOUT = 60.0
_PARENTS = (os.path.dirname(config.PATH), os.path.dirname(units.SOCKETS))
"""Directories that others may use, too. They are removed once they are empty."""


def reserved() -> ContextManager[None]:
    """Waits until no other run changes the gate, and keeps others from doing so."""
    return files.locked(_LOCK)


class GateHost:
    """Carries out plans.

    Args:
        program: the program; None if the controller has not sent it.

    Attributes:
        endings: what has happened to what wormholes had created; None if nothing was done.
    """

    def __init__(self, program: Optional[bytes]) -> None:
        self._program = program
        self.endings: Optional[tuple[Ending, ...]] = None

    def apply(self, plan: Plan[model.Action]) -> None:
        """Carries out a plan.

        Raises:
            ApplyFailed: an action failed; the message says whether the previous state is restored.
        """
        with self._undone_on_failure(plan):
            for action in plan.actions:
                self._carry_out(action)

    def _carry_out(self, action: model.Action) -> None:
        kind = type(action)
        if isinstance(action, model.MakeDirectory):
            owner, group = numbers(action.directory)
            files.make_directory(action.path, mode=action.directory.mode, uid=owner, gid=group)
        elif isinstance(action, model.InstallProgram):
            if self._program is None:
                raise ApplyFailed(action.path, problem="The program was not sent with the task")
            _write(action.path, action.file, self._program)
            _compile(action.path)
        elif isinstance(action, model.WriteFile):
            _write(action.path, action.file, action.file.content.encode())
        elif isinstance(action, model.RemoveFiles):
            for path in action.paths:
                files.remove_file(path)
        elif isinstance(action, model.EnableUnits):
            systemd.enable(*action.names)
        elif isinstance(action, model.StartUnits):
            systemd.restart_units(*action.names)
        elif isinstance(action, model.EndSiblings):
            self.endings = consulting.clean_up(None, carry_out=True)
        elif isinstance(action, model.RemoveUnits):
            remove_units(action.names)
        elif isinstance(action, model.RemoveDirectories):
            remove_directories(action.paths)
        else:
            _PLAIN[kind]()

    @contextlib.contextmanager
    def _undone_on_failure(self, plan: Plan[model.Action]) -> Iterator[None]:
        """Restores what a plan of an installation has written, if a part of it fails.

        A removal is not undone: the next run continues it.
        """
        saved = {
            action.path: files.read_file(action.path)
            for action in plan.actions
            if isinstance(action, (model.InstallProgram, model.WriteFile))
        }
        made = {
            action.path: files.read_directory(action.path)
            for action in plan.actions
            if isinstance(action, model.MakeDirectory)
        }
        had_user = not any(isinstance(action, model.CreateUser) for action in plan.actions)
        try:
            yield
        except WormholeError as error:
            if not saved and not made and had_user:
                raise
            raise _undo(error, saved, made, had_user) from error


def _undo(
    error: WormholeError,
    saved: Mapping[str, Optional[files.FileState]],
    made: Mapping[str, Optional[files.DirectoryState]],
    had_user: bool,
) -> ApplyFailed:
    """Restores files, directories and the service; returns the error to raise."""
    service = units.unit_path(units.SERVICE)
    is_new = service in saved and saved[service] is None
    try:
        if is_new:
            remove_units([name for name in desired.UNITS if saved.get(units.unit_path(name), error) is None])
        for path, state in saved.items():
            if state is None:
                files.remove_file(path)
            else:
                files.write_file(path, state.content, mode=state.mode, uid=state.uid, gid=state.gid)
        systemd.daemon_reload()
        if not is_new:
            systemd.restart(units.SERVICE)
        remove_directories([path for path, state in made.items() if state is None])
        if not had_user:
            remove_user()
    except WormholeError as further:
        text = f"{error}. The previous state could not be restored: {further}"
        return ApplyFailed(error.subject, found=error.found, problem=text)
    restored = "Nothing of the gate was kept" if is_new else "The previous gate was restored"
    problem = str(error).rstrip(".")
    return ApplyFailed(error.subject, found=error.found, problem=problem, remedy=restored)


def numbers(wanted: model.File | model.Directory) -> tuple[int, int]:
    """The numbers of an owner and a group, which exist when this is called."""
    return pwd.getpwnam(wanted.owner).pw_uid, grp.getgrnam(wanted.group).gr_gid


def _write(path: str, wanted: model.File, content: bytes) -> None:
    owner, group = numbers(wanted)
    files.ensure_directory(os.path.dirname(path))
    files.write_file(path, content, mode=wanted.mode, uid=owner, gid=group)


def _compile(program: str) -> None:
    """Has the program compiled while the previous one still runs. The service would do it when it starts."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        run([*units.COMMAND, program, "compile"], _TIMEOUT)


def create_user() -> None:
    """Creates the user and its group.

    Raises:
        ApplyFailed: it cannot be created.
    """
    named = ["--gid", units.USER] if _has_group() else ["--user-group"]
    options = ["--system", *named, "--no-create-home", "--home-dir", "/nonexistent"]
    _run("useradd", *options, "--shell", "/usr/sbin/nologin", units.USER)


def remove_user() -> None:
    """Removes the user and its group.

    Raises:
        ApplyFailed: it cannot be removed.
    """
    with contextlib.suppress(KeyError):
        pwd.getpwnam(units.USER)
        _run("userdel", units.USER)
    if _has_group():
        _run("groupdel", units.USER)


def _has_group() -> bool:
    with contextlib.suppress(KeyError):
        grp.getgrnam(units.USER)
        return True
    return False


def _run(program: str, *arguments: str) -> None:
    try:
        answer = run([program, *arguments], _TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ApplyFailed(program, found=str(error), problem=f"{program} failed: {error}") from error
    if answer.returncode:
        found = failure_of(answer)
        raise ApplyFailed(program, found=found, problem=f"{program} failed: {found}")


def remove_units(names: list[str] | tuple[str, ...]) -> None:
    """Stops units, and removes their files and the links to them."""
    # What starts others comes first: a client could otherwise start the service again.
    ordered = sorted(names, key=lambda name: (not name.endswith((".socket", ".path")), name))
    systemd.stop(*ordered)
    for name in ordered:
        for path in (*units.wants_links(name), units.unit_path(name)):
            files.remove_file(path)
    # systemctl has created them for the first link.
    for directory in sorted({os.path.dirname(link) for name in ordered for link in units.wants_links(name)}):
        if os.path.isdir(directory):
            files.remove_directory(directory)
    systemd.daemon_reload()
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        # A unit that has failed would stay in the list of units.
        run(["systemctl", "reset-failed", f"{units.USER}*"], _TIMEOUT)


def remove_directories(paths: list[str] | tuple[str, ...]) -> None:
    """Removes directories with their content, and the directories above them that are then empty."""
    for path in paths:
        try:
            shutil.rmtree(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise files.failure("remove", path, error) from error
    for path in _PARENTS:
        if os.path.isdir(path):
            files.remove_directory(path)


def _restart() -> None:
    systemd.restart(units.SERVICE)


_PLAIN: Mapping[type, Callable[[], None]] = {
    model.CreateUser: create_user,
    model.RemoveUser: remove_user,
    model.ReloadUnits: systemd.daemon_reload,
    model.RestartGate: _restart,
}
