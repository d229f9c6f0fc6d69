# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's only process in the machine's own namespaces: starts the supervisor and cleans up after
it.

It ends the lab on SIGTERM, when the lab's owner ends (the owner's end of a pipe closes), or when
the supervisor ends. If the guardian is killed, the kernel still ends the supervisor and the lab.
The next `up`, `down` or `clean` then removes what is left: an empty cgroup and a directory in /run.
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
    """Entry point of `python -m lab.guardian`, which only the client runs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("subnet")
    parser.add_argument("--owner", type=int, help="read end of a pipe; the owner holds the write end")
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
    # The supervisor ends after every other process in the lab.
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait()
    clear(paths)


def adopt_orphans() -> None:
    """Become the supervisor's parent if `unshare` ends before it, to wait for it and reap it."""
    pr_set_child_subreaper = 36
    ctypes.CDLL(None, use_errno=True).prctl(pr_set_child_subreaper, 1, 0, 0, 0)


def start_supervisor(paths: LabPaths, subnet: str) -> subprocess.Popen[bytes]:
    """Start the supervisor in its own namespaces, so that it ends with this process."""
    outside = os.open("/proc/self/ns/net", os.O_RDONLY)
    return subprocess.Popen(
        [
            # `unshare` is killed with this process, and the supervisor, its child, with `unshare`.
            *("setpriv", "--pdeathsig", "KILL"),
            *("unshare", "--net", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"),
            *(sys.executable, "-m", "lab.supervisor", str(paths.root), subnet, str(outside)),
        ],
        stdin=subprocess.DEVNULL,
        pass_fds=[outside],
    )


if __name__ == "__main__":
    main()
