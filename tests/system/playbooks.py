# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs the collection's playbooks as a user does, and returns the results as data."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from lab import Host, Lab, netns

PLUGINS = Path(__file__).resolve().parent / "plugins"
TIMEOUT = 600.0
"""Timeout of a playbook in seconds."""
SECTIONS = {
    "engine": "wormhole.docker.engine_info",
    "authority": "wormhole.docker.certificate_authority",
    "certificates": "wormhole.docker.tls_certificates",
    "gate": "wormhole.docker.wormhole_gate",
    "listener": "wormhole.docker.dockerd_listener",
    "wormholes": "wormhole.docker.wormhole_containers",
}
"""For each section in the result of wormhole_host, the module that does the same."""
NOTHING = dict.fromkeys(("ok", "changed", "unreachable", "failures", "skipped", "rescued", "ignored"), 0)
"""The recap of a host without any task."""


@dataclass(frozen=True)
class Task:
    """The result of a task for a host.

    Attributes:
        host: name of the host in the inventory.
        name: name of the task in the playbook, with its role.
        action: full name of the module or action plugin.
        status: ok, failed, skipped or unreachable.
        delegated: whether it ran on another host, such as the controller.
        ignored: whether a failure was ignored.
        at: time of the report in seconds. Only differences within a run are meaningful.
        result: the complete result.
    """

    host: str
    name: str
    action: str
    status: str
    delegated: bool
    ignored: bool
    at: float
    result: Mapping[str, Any]

    @property
    def changed(self) -> bool:
        return bool(self.result.get("changed"))

    @property
    def items(self) -> list[Mapping[str, Any]]:
        """The results of a loop, or of each wormhole of a list."""
        listed = self.action == "wormhole.docker.wormhole_containers"
        items = self.result.get("wormholes" if listed else "results")
        return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []

    @property
    def diff(self) -> Any:
        """The diff, or the list of diffs of a loop or of a list of wormholes."""
        return [item.get("diff") for item in self.items] or self.result.get("diff")


@dataclass(frozen=True)
class Run:
    """A run of ansible-playbook on one or several hosts.

    Attributes:
        returncode: exit status: 0 for success, 4 if a host was unreachable and nothing worse
            happened.
        stdout: standard output and standard error.
        tasks: results of all hosts, in order.
        recap: for each host, the numbers of tasks: ok, changed, unreachable, failures, skipped,
            rescued, ignored.
        trips: for each host, the number of started SSH programs. Each is at least one round trip.
            With pipelining, as here, a module needs one.
    """

    returncode: int
    stdout: str
    tasks: tuple[Task, ...]
    recap: Mapping[str, Mapping[str, int]]
    trips: Mapping[str, int]

    def of(self, host: Host) -> Run:
        """Return the results of one host, with the exit status and output of the whole run."""
        name = host.name
        return replace(
            self,
            tasks=tuple(task for task in self.tasks if task.host == name),
            recap={name: self.recap[name]},
            trips={name: self.trips[name]},
        )

    @property
    def stats(self) -> Mapping[str, int]:
        """The sums of the recap over all hosts."""
        return {kind: sum(line[kind] for line in self.recap.values()) for kind in NOTHING}

    @property
    def changed(self) -> int:
        return self.stats["changed"]

    @property
    def failures(self) -> int:
        return self.stats["failures"] + self.stats["unreachable"]

    @property
    def unreachable(self) -> list[str]:
        """Names of the unreachable hosts."""
        return [name for name, line in self.recap.items() if line["unreachable"]]

    @property
    def parts(self) -> list[Task]:
        """The tasks, with a task for each section of wormhole_host in place of the task itself."""
        return [part for task in self.tasks for part in parts_of(task)]

    @property
    def round_trips(self) -> int:
        return sum(self.trips.values())

    @property
    def message(self) -> str:
        """The messages of the failed tasks, and of each failed item of a loop."""
        failed = [task for task in self.tasks if task.status in ("failed", "unreachable")]
        said = []
        for task in failed:
            if not task.ignored:
                said += [task.result.get("msg", "")]
                said += [item["msg"] for item in task.items if "msg" in item]
        return "\n".join(map(str, said))


def parts_of(task: Task) -> list[Task]:
    """Return the sections of wormhole_host as tasks of their modules; of all others, the task itself.

    The warnings of the whole task are those of each section.
    """
    sections = task.result.get("sections")
    if task.action != "wormhole.docker.wormhole_host" or not sections:
        return [task]
    warnings = {name: task.result[name] for name in ("warnings",) if name in task.result}
    return [
        replace(
            task,
            action=SECTIONS.get(section["section"], task.action),
            delegated=section["section"] == "authority",
            result={**section, **warnings},
        )
        for section in sections
    ]


class Started:
    """A run of ansible-playbook that may not have ended yet.

    Attributes:
        began: when it was started, as :func:`time.monotonic` gives it.
    """

    def __init__(
        self, title: str, began: float, process: subprocess.Popen[bytes], place: Path, hosts: Sequence[Host]
    ) -> None:
        self.began = began
        self._title = title
        self._process = process
        self._place = place
        self._hosts = hosts

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def wait(self, timeout: float = TIMEOUT) -> int:
        """Wait until it has ended, successfully or not; kill it after the timeout."""
        try:
            return self._process.wait(timeout)
        except BaseException:
            self._process.kill()
            self._process.wait()
            raise

    def finish(self, *, check: bool = True) -> Run:
        """Wait until it has ended, and return the run.

        Args:
            check: whether a failure on any host fails the test.
        """
        returncode = self.wait()
        stdout = (self._place / "output").read_text(encoding="utf-8")
        print(f"$ ansible-playbook {self._title}\n{stdout}")
        run = read_run(returncode, stdout, self._place, self._hosts)
        if check:
            assert run.returncode == 0, f"{self._title}: {run.message or stdout[-2000:]}"
        return run


class Alias(Host):
    """A host by a further name, which stands for it in inventories.

    Attributes:
        named: the name of the host in the lab.
    """

    def __init__(self, host: Host, name: str) -> None:
        super().__init__(host._paths, host._state)
        self.named, self._alias = host.name, name

    @property
    def name(self) -> str:
        return self._alias


class Controller:
    """A controller with its own home directory, and so with its own CA.

    Several controllers may share a home directory, like two terminals of one user. Controllers with
    different home directories share a CA with ``-e certificate_authority_directory=PATH``.

    Args:
        lab: the lab whose network it is in.
        home: home directory.
        collections: directory with ``ansible_collections``.

    Attributes:
        variables: further variables of hosts in the inventory, by their names.
    """

    def __init__(self, lab: Lab, home: Path, collections: Path) -> None:
        self._lab = lab
        self._collections = collections
        self.home = home
        self.variables: dict[str, Mapping[str, Any]] = {}

    def playbook(self, name: str, hosts: Host | Sequence[Host], *arguments: str, check: bool = True) -> Run:
        """Run ``wormhole.docker.NAME`` on one or several hosts.

        Args:
            name: name of a playbook in the collection, or the path of another one.
            hosts: all hosts of the inventory, in this order.
            arguments: additional arguments of ansible-playbook, such as ``--limit``.
            check: whether a failure on any host fails the test.
        """
        return self.start(name, hosts, *arguments).finish(check=check)

    def start(self, name: str, hosts: Host | Sequence[Host], *arguments: str) -> Started:
        """Start a playbook as :meth:`playbook` does, without waiting for its end."""
        hosts = [hosts] if isinstance(hosts, Host) else list(hosts)
        place = Path(tempfile.mkdtemp(prefix="run-", dir=self.home))
        command = [
            *netns.enter_argv(self._lab),
            str(ansible_directory() / "ansible-playbook"),
            *("-i", str(self._inventory(hosts, place))),
            name if "/" in name else f"wormhole.docker.{name}",
            *arguments,
        ]
        environment = self._environment(place)
        with (place / "output").open("wb") as output:
            began = time.monotonic()
            process = subprocess.Popen(
                command,
                cwd=self.home,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        title = " ".join([name, *(host.name for host in hosts), *arguments])
        return Started(title, began, process, place, hosts)

    def _environment(self, place: Path) -> dict[str, str]:
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
            "WORMHOLE_RECORD": str(place / "record.jsonl"),
        }

    def _inventory(self, hosts: Sequence[Host], place: Path) -> Path:
        """Write an inventory with the lab's variables for these hosts.

        Its SSH programs count their starts.
        """
        described = {}
        for host in hosts:
            name = host.named if isinstance(host, Alias) else host.name
            variables = {**host_variables(self._lab, name), **self.variables.get(host.name, {})}
            trips = trips_of(place, host)
            trips.touch()
            for program in ("ssh", "sftp", "scp"):
                counted = place / f"counted-{program}-{host.name}"
                counted.write_text(
                    f'#!/bin/sh\necho {program} >>"{trips}"\nexec {shutil.which(program)} "$@"\n'
                )
                counted.chmod(0o755)
                variables[f"ansible_{program}_executable"] = str(counted)
            described[host.name] = variables
        path = place / "inventory.json"
        path.write_text(json.dumps({"all": {"hosts": described}}))
        return path


def trips_of(place: Path, host: Host) -> Path:
    """Return the file with a run's round trips to a host, one in each line."""
    return place / f"round-trips-{host.name}"


def ansible_directory() -> Path:
    """Return the directory of ansible-playbook: set by the test runner, or that of this Python."""
    return Path(os.environ.get("WORMHOLE_ANSIBLE", Path(sys.executable).parent))


def host_variables(lab: Lab, name: str) -> dict[str, Any]:
    """Return a host's variables in the lab's inventory."""
    inventory = yaml.safe_load(lab.inventory_path.read_text())
    for group in inventory["all"]["children"].values():
        if name in group.get("hosts", {}):
            return dict(group["hosts"][name])
    raise LookupError(f"{name} is not in {lab.inventory_path}")


def read_run(returncode: int, stdout: str, place: Path, hosts: Sequence[Host]) -> Run:
    """Create a run from the output of the callback plugin and the counting programs."""
    tasks = []
    recap: dict[str, Mapping[str, int]] = {host.name: NOTHING for host in hosts}
    record = place / "record.jsonl"
    lines = record.read_text(encoding="utf-8").splitlines() if record.exists() else []
    for entry in map(json.loads, lines):
        if entry["kind"] == "stats":
            recap.update({name: entry["hosts"][name] for name in recap if name in entry["hosts"]})
        elif entry["host"] in recap:
            fields = ("host", "action", "status", "delegated", "ignored", "at", "result")
            tasks.append(Task(name=entry["task"], **{field: entry[field] for field in fields}))
    trips = {host.name: len(trips_of(place, host).read_text().splitlines()) for host in hosts}
    return Run(returncode, stdout, tuple(tasks), recap, trips)
