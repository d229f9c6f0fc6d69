# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runs playbooks on hosts of the lab, and measures them."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.figures import Sample
from lab import Host, HostSpec, Lab, LabError
from lab.spec import Release
from system.playbooks import TIMEOUT, Alias, Controller, Run, Started

FORKS = 20
"""Forks of all runs: more than any of them has hosts, apart from those with many names."""


@dataclass(frozen=True)
class Play:
    """A playbook with its variables.

    Attributes:
        name: name of a playbook in the collection, or the path of another one.
        variables: extra variables, as JSON.
    """

    name: str
    variables: str = "{}"

    @classmethod
    def of(cls, name: str | Path, **variables: Any) -> Play:
        return cls(str(name), json.dumps(variables))


class Site:
    """Hosts, and the controller that manages them, with its own home directory and authority."""

    def __init__(self, lab: Lab, release: Release, controller: Controller, exits: ExitStack) -> None:
        self._lab, self._release, self._exits = lab, release, exits
        self._controller = controller
        self.hosts: list[Host] = []

    def boot(self, number: int) -> Sequence[Host]:
        """Boot further hosts, and return them."""
        booted = self._lab.add_hosts([HostSpec(self._release)] * number)
        for host in booted:
            self._exits.callback(host.destroy)
        self.hosts += booted
        return booted

    def write(self, name: str, tasks: Sequence[dict[str, Any]]) -> Play:
        """Write a playbook with these tasks, in the shape of the other ones."""
        path = self._controller.home / f"{name}.json"
        path.write_text(
            json.dumps([{"hosts": "all", "gather_facts": False, "become": True, "tasks": list(tasks)}])
        )
        return Play.of(path)

    def names(self, number: int) -> Sequence[Host]:
        """Return this many names in the inventory, which lead to the hosts in turn."""
        hosts = (self.hosts[index % len(self.hosts)] for index in range(number))
        return [Alias(host, f"name-{index:03}") for index, host in enumerate(hosts)]

    def place(self, name: str) -> str:
        """Return a path in the home directory of the controller."""
        return str(self._controller.home / name)

    def run(self, play: Play, hosts: Sequence[Host], *, changes: bool | None = None) -> tuple[Sample, Run]:
        """Run a playbook, and measure it.

        Args:
            play: the playbook.
            hosts: its hosts.
            changes: whether it has to change something, or nothing. None for either.

        Raises:
            LabError: it failed, or changed something else than expected.
        """
        before = _cpu_of_children()
        started = self._controller.start(
            play.name, hosts, "--forks", str(FORKS), "--extra-vars", play.variables
        )
        ended = _wait(started)
        cpu = _cpu_of_children() - before
        run = started.finish(check=False)
        if run.returncode:
            raise LabError(f"the playbook {play.name} failed", found=run.message or run.stdout[-2000:])
        if changes is not None and bool(run.changed) != changes:
            changed = [f"{task.name} on {task.host}" for task in run.tasks if task.changed]
            raise LabError(
                f"the playbook {play.name} did not do what is measured",
                expected="a change" if changes else "no change",
                found=", ".join(changed) or "no change",
            )
        return Sample(ended - started.began, cpu, run.round_trips / len(hosts)), run


class Sites:
    """The sites of a benchmark.

    Args:
        lab: runs the hosts.
        release: their Debian release.
        collections: the search path of collections, with this one and those of the peers.
        exits: removes the hosts at the end.
    """

    def __init__(self, lab: Lab, release: Release, collections: str, exits: ExitStack) -> None:
        self._lab, self._release, self._collections, self._exits = lab, release, collections, exits
        self._converged: dict[Play, Site] = {}

    @contextmanager
    def fresh(self, number: int) -> Iterator[Site]:
        """Boot new hosts with a new controller, and remove them at the end."""
        with ExitStack() as exits:
            site = self._make(exits)
            site.boot(number)
            yield site

    def converged(self, play: Play, number: int) -> Site:
        """Return hosts on which a playbook has run, at least as many as required.

        They are kept for further measurements.
        """
        if play not in self._converged:
            self._converged[play] = self._make(self._exits)
        site = self._converged[play]
        missing = number - len(site.hosts)
        if missing > 0:
            site.run(play, site.boot(missing), changes=True)
        return site

    def _make(self, exits: ExitStack) -> Site:
        home = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        return Site(self._lab, self._release, Controller(self._lab, home, Path(self._collections)), exits)


def _cpu_of_children() -> float:
    """Return the CPU seconds of all children that have ended, with those of their children."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _wait(started: Started) -> float:
    """Wait until a run has ended; return the time. `Popen.wait` with a timeout polls, 50 ms apart."""
    descriptor = os.pidfd_open(started.pid)
    try:
        select.select([descriptor], [], [], TIMEOUT)
        ended = time.monotonic()
        started.wait(1)
    except BaseException:
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(0)  # kills it
        raise
    finally:
        os.close(descriptor)
    return ended
