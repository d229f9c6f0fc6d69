# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs commands, with errors that say what failed."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence

from lab.errors import LabError


def run(
    argv: Sequence[str],
    *,
    input: str | bytes | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
    remedy: str = "",
) -> str:
    """Run a command and return its output; on failure, raise `LabError` with the output's end."""
    done = subprocess.run(
        argv,
        input=input.encode() if isinstance(input, str) else input,
        stdin=subprocess.DEVNULL if input is None else None,
        capture_output=True,
        env=env,
        pass_fds=pass_fds,
        check=False,
    )
    if done.returncode:
        words = (done.stderr or done.stdout).decode(errors="replace").strip()
        raise LabError(
            f"command failed: {shlex.join(argv)}",
            found=f"exit {done.returncode}: {words[-2000:]}",
            remedy=remedy,
        )
    return done.stdout.decode(errors="replace")


def ip_batch(lines: Sequence[str], *, namespace: str | None = None, pass_fds: Sequence[int] = ()) -> None:
    """Run `ip` commands in one process, in the network namespace at the given path."""
    enter = ["nsenter", f"--net={namespace}"] if namespace else []
    run([*enter, "ip", "-batch", "-"], input="\n".join(lines) + "\n", pass_fds=pass_fds)
