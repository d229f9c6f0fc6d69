# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Programs of the host."""

from __future__ import annotations

import subprocess
from typing import Optional, Sequence


def run(
    argv: Sequence[str], timeout: float, *, user: Optional[int] = None
) -> subprocess.CompletedProcess[str]:
    """Runs a program and waits for it; its exit status is the caller's to judge.

    Args:
        argv: the program, found by PATH, and its arguments; no shell is involved.
        timeout: seconds until it is killed.
        user: numeric user to become, without any supplementary group; the group stays. Without it, nothing changes.

    Raises:
        FileNotFoundError: there is no such program.
        subprocess.TimeoutExpired: it took too long.
    """
    # Adapters know no Ansible, and so have no module whose run_command they could call.
    return subprocess.run(  # pylint: disable=ansible-bad-function
        argv,
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
        user=user,
        extra_groups=None if user is None else (),
    )
