# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ./dev bench measures, and the state that each measurement starts from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench.figures import Row, Sample, alternate, compare, compare_cpu, scale
from bench.sites import Play, Site, Sites
from lab import Host, LabError
from system.playbooks import Task

PLAYS = Path(__file__).resolve().parent / "plays"
OURS, PEERS = Play.of(PLAYS / "host.yml"), Play.of(PLAYS / "peers.yml")
"""Everything that a host needs, and one wormhole."""
PROVISION = Play.of("provision")

PING, REFERENCE = "ping", "docker_container"
CONTAINER = {"image": "wormhole-lab/busybox:1"}
TASKS: dict[str, dict[str, Any]] = {
    PING: {"ansible.builtin.ping": {}},
    REFERENCE: {"community.docker.docker_container": {"name": "reference", **CONTAINER}},
    "wormhole_container": {"wormhole.docker.wormhole_container": {"name": "tls", **CONTAINER}},
    "wormhole_container, not verified": {
        "wormhole.docker.wormhole_container": {"name": "unproved", "verify": False, **CONTAINER}
    },
    "wormhole_container, transport unix": {
        "wormhole.docker.wormhole_container": {"name": "unix", "transport": "unix", **CONTAINER}
    },
    "wormhole_container_info": {"wormhole.docker.wormhole_container_info": {}},
    "endpoint_info": {"wormhole.docker.endpoint_info": {"container": "tls"}},
}
"""Single tasks, by their names."""

Measurement = Callable[[Sites, int], list[Row]]
"""Takes a number of rounds, and returns rows of the table."""


def unchanged(number: int, *, goal: float, cpu_goal: float | None = None) -> Measurement:
    """Measure hosts with nothing to change: the same playbook has run on them before."""

    def measure(sites: Sites, rounds: int) -> list[Row]:
        ours, peers = alternate(
            rounds, *(_again(site, play, site.hosts[:number]) for site, play in _both(sites, number))
        )
        work = f"{_hosts(number)}, nothing to change"
        return [
            compare(work, ours, peers, goal),
            compare_cpu(f"{work}: CPU of the controller", ours, peers, cpu_goal),
        ]

    return measure


def first(number: int, *, goal: float) -> Measurement:
    """Measure first runs: each on newly booted hosts with Docker, by a controller without authority."""

    def measure(sites: Sites, rounds: int) -> list[Row]:
        ours, peers = alternate(rounds, *(_first(sites, play, number) for play in (OURS, PEERS)))
        return [compare(f"{_hosts(number)}, first run with one wormhole", ours, peers, goal)]

    return measure


def wormholes(number: int, *, goal: float) -> Measurement:
    """Measure playbook launch with nothing to change, against a loop for as many containers."""

    def measure(sites: Sites, rounds: int) -> list[Row]:
        with sites.fresh(1) as ours, sites.fresh(1) as peers:
            ours.run(PROVISION, ours.hosts, changes=True)
            sides = []
            for site, play in zip((ours, peers), _lists(number), strict=True):
                site.run(play, site.hosts, changes=True)
                sides.append(_again(site, play, site.hosts))
            launched, looped = alternate(rounds, *sides)
        return [compare(f"{number} wormholes, nothing to change", launched, looped, goal)]

    return measure


def wormholes_first(number: int, *, goal: float) -> Measurement:
    """Measure the first run of playbook launch, each on a newly booted host after playbook provision.

    The peers start containers without certificates, each time on a newly booted host with Docker.
    """

    def measure(sites: Sites, rounds: int) -> list[Row]:
        launch, loop = _lists(number)
        ours, peers = alternate(rounds, _first(sites, launch, 1, PROVISION), _first(sites, loop, 1))
        return [compare(f"{number} wormholes, first run", ours, peers, goal)]

    return measure


def modules(*, goal: float) -> Measurement:
    """Measure single tasks with nothing to change, in one play.

    The first round of the play creates the containers, and is not counted.
    """

    def measure(sites: Sites, rounds: int) -> list[Row]:
        tasks = [{"name": task, **content} for task, content in TASKS.items()]
        with sites.fresh(1) as site:
            site.run(PROVISION, site.hosts, changes=True)
            # The tasks alternate, so that other load on the machine affects all of them.
            _sample, run = site.run(site.write("tasks", tasks * (rounds + 1)), site.hosts)
        taken = spans(run.tasks[len(tasks) - 1 :])
        reference = taken.pop(REFERENCE)
        goals = {"wormhole_container": goal}
        return [
            compare(f"task {task}, nothing to change", ours, reference, goals.get(task))
            for task, ours in taken.items()
        ]

    return measure


def spans(tasks: tuple[Task, ...]) -> dict[str, list[Sample]]:
    """Return the time between the reports of consecutive tasks, by name.

    Raises:
        LabError: a task changed something.
    """
    taken: dict[str, list[Sample]] = {}
    for former, task in pairwise(tasks):
        if task.changed:
            raise LabError(f"{task.name} changed something", expected="no change", found=str(task.result))
        taken.setdefault(task.name, []).append(Sample(task.at - former.at))
    return taken


def floor(number: int) -> Measurement:
    """Measure what Ansible itself needs: plays of the same shape whose only tasks are `ping`.

    One task, and as many as each side has round trips if nothing is to change.
    """

    def measure(sites: Sites, rounds: int) -> list[Row]:
        trips, sides = [], []
        for site, play in _both(sites, number):
            hosts = site.hosts[:number]
            trips.append(round(_again(site, play, hosts)().trips or 0))
            for count in (1, trips[-1]):
                pings = site.write(f"pings-{count}", [TASKS[PING]] * count)
                sides.append(_again(site, pings, hosts))
        one, ours, _one, peers = alternate(rounds, *sides)
        return [
            compare(f"{_hosts(number)}, pings: 1", one),
            compare(f"{_hosts(number)}, pings: {trips[0]} against {trips[1]}", ours, peers),
        ]

    return measure


def per_host(*numbers: int) -> Measurement:
    """Measure some numbers of hosts with nothing to change."""

    def measure(sites: Sites, rounds: int) -> list[Row]:
        site = sites.converged(OURS, max(numbers))
        taken = alternate(rounds, *(_again(site, OURS, site.hosts[:number]) for number in numbers))
        return scale("host", numbers, taken)

    return measure


def per_wormhole(*numbers: int) -> Measurement:
    """Measure playbook launch for some numbers of wormholes, each on its own host, nothing to change."""

    def measure(sites: Sites, rounds: int) -> list[Row]:
        with sites.fresh(len(numbers)) as site:
            site.run(PROVISION, site.hosts, changes=True)
            sides = []
            for number, host in zip(numbers, site.hosts, strict=True):
                launch, _loop = _lists(number)
                site.run(launch, [host], changes=True)
                sides.append(_again(site, launch, [host]))
            return scale("wormhole", numbers, alternate(rounds, *sides))

    return measure


def authorities(number: int, *, goal: float) -> Measurement:
    """Measure role `host` for many names in the inventory: an authority for each, against one for all.

    The names lead to a few hosts, whose engines serve no clients with certificates. So every name
    may run at once, and the CPU time of the controller is compared, not that of the hosts.
    """

    def measure(sites: Sites, rounds: int) -> list[Row]:
        with sites.fresh(4) as site:
            site.run(_with_authority(site, "host", 0), site.hosts)
            names = site.names(number)
            rows = []
            made: dict[str, int] = dict.fromkeys(("host", "fleet"), 0)

            def make(scope: str) -> Sample:
                made[scope] += 1
                return again(scope, changes=True)

            def again(scope: str, *, changes: bool = False) -> Sample:
                play = _with_authority(site, scope, made[scope])
                return site.run(play, names, changes=changes)[0]

            steps = {"made": make, "unchanged": again}
            taken = alternate(rounds, *(partial(step, scope) for step in steps.values() for scope in made))
            for index, work in enumerate(steps):
                own, shared = taken[2 * index : 2 * index + 2]
                rows.append(
                    compare_cpu(
                        f"authorities of {number} hosts, {work}: CPU of the controller", own, shared, goal
                    )
                )
        return rows

    return measure


MEASUREMENTS: dict[str, Measurement] = {
    "host": unchanged(1, goal=0.20, cpu_goal=0.25),
    "hosts": unchanged(3, goal=0.20),
    "first": first(1, goal=0.45),
    "first-hosts": first(3, goal=0.45),
    "wormholes": wormholes(20, goal=0.20),
    "first-wormholes": wormholes_first(20, goal=0.60),
    "modules": modules(goal=1.1),
    "floor": floor(1),
    "floor-hosts": floor(3),
    "per-wormhole": per_wormhole(1, 10, 50, 100),
    "per-host": per_host(1, 2, 4, 8),
    "authorities": authorities(50, goal=1.5),
}
"""All measurements by name, with the ratios to reach."""


def _both(sites: Sites, number: int) -> list[tuple[Site, Play]]:
    """Return converged hosts of both sides, and their playbooks."""
    return [(sites.converged(play, number), play) for play in (OURS, PEERS)]


def _again(site: Site, play: Play, hosts: list[Host]) -> Callable[[], Sample]:
    """Return a function that measures a play with nothing to change."""
    return lambda: site.run(play, hosts, changes=False)[0]


def _first(sites: Sites, play: Play, number: int, before: Play | None = None) -> Callable[[], Sample]:
    """Return a function that boots new hosts, runs a play before, and measures the other one."""

    def take() -> Sample:
        with sites.fresh(number) as site:
            if before is not None:
                site.run(before, site.hosts, changes=True)
            return site.run(play, site.hosts, changes=True)[0]

    return take


def _lists(number: int) -> tuple[Play, Play]:
    """Return the plays that start this many wormholes, and as many containers of the peers."""
    listed = [
        {
            "name": f"agent-{index:03}",
            "image": "wormhole-lab/cli:1",
            "pull": "never",
            "command": "sleep 100000",
            "stop_timeout": 0,
        }
        for index in range(number)
    ]
    ours, peers = "launch", PLAYS / "containers.yml"
    return Play.of(ours, wormholes_containers=listed), Play.of(peers, wormholes_containers=listed)


def _with_authority(site: Site, scope: str, number: int) -> Play:
    """Return the play that sets up hosts without certificates, with another directory for each number."""
    return Play.of(
        PLAYS / "host.yml",
        wormholes_containers=[],
        listener_transports=["unix"],
        certificate_authority_scope=scope,
        certificate_authority_directory=site.place(f"authorities-{scope}-{number}"),
    )


def _hosts(number: int) -> str:
    return f"{number} host{'s' if number > 1 else ''}"
