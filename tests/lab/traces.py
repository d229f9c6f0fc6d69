# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finds traces of a lab on the machine, for tests that check that nothing is left."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from lab import cgroups
from lab.paths import LabPaths
from lab.process import run


def traces(paths: LabPaths) -> dict[str, list[str]]:
    """Return all traces of a clone's lab by kind, without empty kinds."""
    found = {
        "interface": [line for line in run(["ip", "-oneline", "link"]).splitlines() if paths.link in line],
        "route": [
            line for line in run(["ip", "route", "show", "table", "all"]).splitlines() if paths.link in line
        ],
        "mount": _mounts(paths),
        "process": _processes(paths),
        "cgroup": _cgroups(paths),
        "socket folder": [str(paths.run)] if paths.run.exists() else [],
        "host data": [str(paths.hosts)] if paths.hosts.exists() else [],
    }
    return {kind: entries for kind, entries in found.items() if entries}


def packet_filter() -> dict[str, str]:
    """Return the rules of this namespace, as printed by each installed tool."""
    tools = {
        "iptables": ["iptables-save"],
        "ip6tables": ["ip6tables-save"],
        "nftables": ["nft", "list", "ruleset"],
    }
    return {
        name: "\n".join(line for line in run(argv).splitlines() if not line.startswith("#"))
        for name, argv in tools.items()
        if shutil.which(argv[0])
    }


def _mounts(paths: LabPaths) -> list[str]:
    ours = (str(paths.lab), str(paths.run))
    return [
        line
        for line in Path("/proc/self/mounts").read_text().splitlines()
        if line.split()[1].startswith(ours)
    ]


def _cgroups(paths: LabPaths) -> list[str]:
    return [str(cgroup) for cgroup in cgroups.lab_cgroups(paths.run.name)]


def _processes(paths: LabPaths) -> list[str]:
    """Return the processes in the lab's cgroup, and its processes outside: guardian, ssh."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            cgroup = (folder / "cgroup").read_text()
            state = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # the process has just ended
        if state[:2] == ["Z", "1"]:
            continue  # it has ended, its parent was killed before it, and init will reap it
        of_guardian = "lab.guardian" in command and str(paths.root) in command
        of_ssh = command.startswith("ssh") and str(paths.run) in command
        if f"/{paths.run.name}/" in cgroup or of_guardian or of_ssh:
            found.append(f"{folder.name} {command}")
    return found
