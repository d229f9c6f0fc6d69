# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run programs of the host."""

from __future__ import annotations

import subprocess
from typing import Mapping, Optional, Sequence


def run(
    argv: Sequence[str],
    timeout: float,
    *,
    user: Optional[int] = None,
    text: Optional[str] = None,
    environment: Optional[Mapping[str, str]] = None,
) -> subprocess.CompletedProcess[str]:
    """Runs a program and waits for it; the caller has to check its exit status.

    Args:
        timeout: seconds until it is killed.
        user: numeric user to run it as, with the present group and no supplementary groups.
        text: its standard input; None for that of this process.
        environment: its variables; None for those of this process.

    Raises:
        FileNotFoundError: the program does not exist.
        subprocess.TimeoutExpired: it took too long.
    """
    # Only _glue imports Ansible: there is no run_command of a module here.
    return subprocess.run(  # pylint: disable=ansible-bad-function
        argv,
        check=False,
        capture_output=True,
        text=True,
        errors="replace",  # a name or a comment in another encoding
        timeout=timeout,
        input=text,
        env=environment,
        user=user,
        extra_groups=None if user is None else (),
    )


def failure_of(answer: subprocess.CompletedProcess[str]) -> str:
    """What a program that failed printed; its exit status if it printed nothing."""
    return (answer.stderr or answer.stdout).strip() or f"exit status {answer.returncode}"
