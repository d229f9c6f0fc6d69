# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's only process in the machine's own namespaces: starts the supervisor and clears up after it.

It ends the lab when it is told to (SIGTERM), when the lab's owner ends (the owner's end of a pipe closes), or when
the supervisor ends. Should it be killed itself, the kernel still ends the supervisor and the lab; what the kernel does
not clear, an empty cgroup and a folder in /run, goes at the next `up`, `down` or `clean`.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from lab.paths import LabPaths
from lab.residue import clear


def main() -> None:
    """Run as `python -m lab.guardian`, by the client only."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("subnet")
    parser.add_argument("--owner", type=int, help="read end of a pipe whose write end the owner holds")
    arguments = parser.parse_args()
    paths = LabPaths(arguments.root)

    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)

    adopt_orphans()
    supervisor = start_supervisor(paths, arguments.subnet)
    watched = [os.pidfd_open(supervisor.pid), wake_read]
    if arguments.owner is not None:
        watched.append(arguments.owner)
    select.select(watched, [], [])
    supervisor.kill()
    # The supervisor's own end comes only after that of every process in the lab.
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    clear(paths)


def adopt_orphans() -> None:
    """Become the parent of the supervisor when `unshare` ends before it, to see its end and to bury it."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def start_supervisor(paths: LabPaths, subnet: str) -> subprocess.Popen[bytes]:
    """Start the supervisor in namespaces of its own, in a way that it cannot outlive this process."""
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    return subprocess.Popen(
        [
            # `unshare` dies with this process, and its child, the supervisor, with `unshare`.
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--net", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"),
            *(sys.executable, "-m", "lab.supervisor", str(paths.root), subnet, str(outside)),
        ],
        stdin=subprocess.DEVNULL,
        pass_fds=[outside],
    )


if __name__ == "__main__":
    main()
