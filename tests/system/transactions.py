# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Interrupts runs, and observes what they leave."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from pathlib import Path
from typing import Any

from hosts import footprint
from playbooks import Controller

UNITS = "/etc/systemd/system"
STATE = "/var/lib/wormhole"


def everything(host: Any) -> set[str]:
    """Return everything that a change of the listener could modify, even below a mount.

    The times of links, of directories and of the unit that keeps neighbours out are left out,
    because a rollback writes these again, and so is the engine's own data on containers.
    """
    script = rf"""
        find /etc/docker {UNITS} {STATE} -not -name filler -printf '%p %y %m %U %G %s %T@ %l\n' 2>/dev/null |
            sed 's/^\([^ ]* d [^ ]* [^ ]* [^ ]*\) .*/\1/'
        stat -c %i /etc/docker/daemon.json
    """
    found = (footprint(host) + host.run(script).stdout).splitlines()
    return {
        re.sub(r"^(\S+ l .*|\S+/wormhole-docker-neighbours.service .*) [0-9.]+ (\S*)$", r"\1 \2", line)
        for line in found
        if not line.startswith("/var/lib/docker/")
    }


def leftovers(host: Any) -> list[str]:
    """Return the files that exist only during a transaction."""
    names = " -o ".join(f"-name '{name}'" for name in ("*.wormhole-former", ".*.new", "journal.json"))
    command = f"find /etc {STATE} /run -xdev '(' {names} -o -name wormhole-docker.interrupted ')' 2>/dev/null"
    found: str = host.run(command, check=False).stdout
    return found.splitlines()


def signal_module(host: Any, name: str, patience: float = 0.0) -> None:
    """Send a signal to the module's process on the host, which is Python with Ansible's payload on
    standard input.

    Args:
        host: where it runs.
        name: name of the signal, such as TERM.
        patience: seconds to wait for the process.
    """
    attempts = 1 + round(patience * 20)
    kill = f"pkill -{name} -x 'python3[0-9.]*' && exit 0"
    host.run(f"for i in $(seq {attempts}); do {kill}; sleep 0.05; done; exit 1", check=not patience)


def lose_connection(controller: Controller) -> None:
    """Kill the SSH clients of a controller, as the loss of its network would end them."""
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            mine = f"HOME={controller.home}".encode() in (process / "environ").read_bytes().split(b"\0")
            if mine and (process / "comm").read_text().strip() == "ssh":
                os.kill(int(process.name), signal.SIGKILL)


def wait_for_module(host: Any) -> None:
    """Wait until the module has ended, by its lock. It may outlive its controller."""
    host.run("flock -w 120 /run/wormhole-docker.lock true")
