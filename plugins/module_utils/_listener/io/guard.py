# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard's program, its verdict on the present configuration, and why it closed the listener."""

from __future__ import annotations

import inspect
import os

from ..._base.errors import MissingRequirement, VerificationFailed
from ..._base.io import files, systemd
from ..._base.io.commands import failure_of, run
from .. import guard
from ..spec import ENGINE_UNIT, ListenerSpec
from . import guard_program

_TIMEOUT = 60.0


def shipped_program() -> str:
    """The program of this version of the collection."""
    return inspect.getsource(guard_program)


def require_interpreter() -> None:
    """Raises MissingRequirement if this host cannot run the program."""
    if not os.access(guard.INTERPRETER, os.X_OK):
        problem = f"The guard of the listener needs {guard.INTERPRETER}, which is not installed"
        raise MissingRequirement(guard.INTERPRETER, problem=problem, remedy="Install the package python3")


def read_reason() -> str:
    """Why the guard keeps the listener's sockets closed; empty if it does not."""
    return (files.read_text(guard.REASON) or "").strip()


def verify_guard(spec: ListenerSpec) -> None:
    """Raises VerificationFailed if the guard would close the sockets at the next start of dockerd."""
    shown = systemd.show(ENGINE_UNIT, ["ExecStart", "MainPID"])
    argv = [guard.INTERPRETER, "-IS", guard.PROGRAM, "-", *guard.arguments(spec)]
    answer = run(argv, _TIMEOUT, text=shown.get("ExecStart", ""), environment=_environment(shown["MainPID"]))
    if answer.returncode:
        found = failure_of(answer)
        problem = f"The next start of {ENGINE_UNIT} would close the listener: {found}"
        raise VerificationFailed(ENGINE_UNIT, problem=problem)


def _environment(pid: str) -> dict[str, str]:
    """The variables of dockerd, which systemd has put into its command line."""
    with open(f"/proc/{pid}/environ", "rb") as stream:
        pairs = stream.read().decode(errors="replace").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)
