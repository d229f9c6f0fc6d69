# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Running the collection's playbooks as a user does, and what came of it as data."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab import Host, Lab, netns

PLUGINS = Path(__file__).resolve().parent / "plugins"
TIMEOUT = 600.0
"""Seconds that a playbook may take."""


@dataclass(frozen=True)
class Task:
    """What a task reported for the host.

    Attributes:
        name: as in the playbook, with its role.
        action: full name of the module or action plugin.
        status: ok, failed, skipped or unreachable.
        delegated: whether it ran elsewhere, such as on the controller.
        result: all that it returned.
    """

    name: str
    action: str
    status: str
    delegated: bool
    ignored: bool
    result: Mapping[str, Any]

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed"))

    @property
    def items(self) -> list[Mapping[str, Any]]:
        """The results of a loop."""
        items = self.result.get("results")
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    @property
    def diff(self) -> Any:
        """The diff; one for each item of a loop."""
        return [item.get("diff") for item in self.items] or self.result.get("diff")


@dataclass(frozen=True)
class Run:
    """One run of ansible-playbook against one host.

    Attributes:
        returncode: 0, or what tells of a failure.
        stdout: what a user sees, both streams.
        tasks: results in order.
        stats: the host's line of the recap: ok, changed, unreachable, failures, skipped, rescued, ignored.
        round_trips: how often a program was started to reach the host by SSH: each is one round trip at least. With
            pipelining (as here) a module needs one.
    """

    returncode: int
    stdout: str
    tasks: tuple[Task, ...]
    stats: Mapping[str, int]
    round_trips: int

    @property
    def changed(self) -> int:
        return self.stats["changed"]

    @property
    def failures(self) -> int:
        return self.stats["failures"] + self.stats["unreachable"]

    @property
    def message(self) -> str:
        """What the failed tasks said; of a loop, each item that failed."""
        failed = [task for task in self.tasks if task.status in ("failed", "unreachable")]
        said = []
        for task in failed:
            if not task.ignored:
                said += [task.result.get("msg", "")]
                said += [item["msg"] for item in task.items if "msg" in item]
        return "\n".join(map(str, said))


class Controller:
    """A controller with a home directory of its own, and so with a CA of its own.

    Args:
        lab: whose network it is in.
        home: an empty directory.
        collections: the directory that holds ``ansible_collections``.
    """

    def __init__(self, lab: Lab, home: Path, collections: Path) -> None:
        self._lab = lab
        self._collections = collections
        self.home = home
        self._runs = 0

    def playbook(self, name: str, host: Host, *arguments: str, check: bool = True) -> Run:
        """Run ``wormhole.docker.NAME`` against one host.

        Args:
            name: of the playbook in the collection, or the path of another one.
            host: the only one in the inventory.
            arguments: more of them for ansible-playbook.
            check: whether a failure fails the test.
        """
        command, record, trips = self._prepare(name, host, arguments)
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self._environment(record),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=TIMEOUT,
            check=False,
        )
        print(f"$ ansible-playbook {name} {host.name} {' '.join(arguments)}\n{done.stdout}")
        run = read_run(done.returncode, done.stdout, record, host.name, len(trips.read_text().splitlines()))
        if check:
            assert run.returncode == 0, f"{name} on {host.name}: {run.message or done.stdout[-2000:]}"
        return run

    def start(self, name: str, host: Host, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a playbook as :meth:`playbook` does, and leave it to the caller how it ends."""
        command, record, _trips = self._prepare(name, host, arguments)
        return subprocess.Popen(
            command,
            cwd=self.home,
            env=self._environment(record),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _prepare(self, name: str, host: Host, arguments: tuple[str, ...]) -> tuple[list[str], Path, Path]:
        """The command line of a run, and where it leaves its record and its count of round trips."""
        self._runs += 1
        place = self.home / f"run-{self._runs}"
        place.mkdir(parents=True)
        record, trips = place / "record.jsonl", place / "round-trips"
        trips.touch()
        command = [
            *netns.enter_argv(self._lab),
            str(ansible_directory() / "ansible-playbook"),
            *("-i", str(self._inventory(host, place, trips))),
            name if "/" in name else f"wormhole.docker.{name}",
            *arguments,
        ]
        return command, record, trips

    def _environment(self, record: Path) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ANSIBLE_", "DOCKER_", "PYTHON"))
        }
        return {
            **kept,
            "HOME": str(self.home),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANSIBLE_COLLECTIONS_PATH": str(self._collections),
            "ANSIBLE_CALLBACK_PLUGINS": str(PLUGINS / "callback"),
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_NOCOLOR": "1",
            "WORMHOLE_RECORD": str(record),
        }

    def _inventory(self, host: Host, place: Path, trips: Path) -> Path:
        """An inventory of this host, as the lab describes it, whose SSH programs leave a mark for each start."""
        variables = host_variables(self._lab, host.name)
        for program in ("ssh", "sftp", "scp"):
            counted = place / f"counted-{program}"
            counted.write_text(f'#!/bin/sh\necho {program} >>"{trips}"\nexec {shutil.which(program)} "$@"\n')
            counted.chmod(0o755)
            variables[f"ansible_{program}_executable"] = str(counted)
        path = place / "inventory.json"
        path.write_text(json.dumps({"all": {"hosts": {host.name: variables}}}))
        return path


def ansible_directory() -> Path:
    """Where ansible-playbook is: the test runner says which one, else beside the Python that runs us."""
    return Path(os.environ.get("WORMHOLE_ANSIBLE", Path(sys.executable).parent))


def host_variables(lab: Lab, name: str) -> dict[str, Any]:
    """A host's variables in the lab's inventory."""
    inventory = yaml.safe_load(lab.inventory_path.read_text())
    for group in inventory["all"]["children"].values():
        if name in group.get("hosts", {}):
            return dict(group["hosts"][name])
    raise LookupError(f"{name} is not in {lab.inventory_path}")


def read_run(returncode: int, stdout: str, record: Path, host: str, round_trips: int) -> Run:
    """Make a run from what the callback plugin wrote."""
    tasks = []
    stats = dict.fromkeys(("ok", "changed", "unreachable", "failures", "skipped", "rescued", "ignored"), 0)
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    for entry in map(json.loads, lines):
        if entry["kind"] == "stats":
            stats.update(entry["hosts"].get(host, {}))
        elif entry["host"] == host:
            fields = ("action", "status", "delegated", "ignored", "result")
            tasks.append(Task(name=entry["task"], **{field: entry[field] for field in fields}))
    return Run(returncode, stdout, tuple(tasks), stats, round_trips)
