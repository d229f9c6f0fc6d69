# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What ./dev bench gate measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from bench.gate import calls
from bench.gate.figures import GateRow, Goal
from bench.gate.stage import ARCHIVE, CONTAINERS, IMAGE, LARGE, SIZE, Stage, crowd_names, socket_path

CROWD = 50
"""Identities in the row ``memory``."""
MEBI = 1 << 20
CALLS, BLOCK, CYCLES, CLIENTS, SECONDS = 1000, 50, 10, 10, 3.0
Measurement = Callable[[Stage, int], list[GateRow]]
"""Takes a number of rounds, and returns rows of the table."""


def taken(
    rounds: int, take: Callable[[], Mapping[str, float]], factor: float
) -> dict[str, tuple[float, ...]]:
    """Return the values of each side in all rounds, times a factor."""
    found = [take() for _round in range(rounds)]
    return {side: tuple(values[side] * factor for values in found) for side in found[0]}


def latency(*, tls: bool, added: float) -> Measurement:
    """Measure calls on a kept connection."""

    def measure(stage: Stage, rounds: int) -> list[GateRow]:
        identifier = stage.container()
        targets = {
            "GET /_ping": "/_ping",
            f"GET /containers/json, {CONTAINERS} containers": f"/{calls.VERSION}/containers/json",
            "GET /containers/ID/json": f"/{calls.VERSION}/containers/{identifier}/json",
        }
        sides = stage.tls() if tls else stage.unix()
        rows = []
        for work, target in targets.items():
            values = taken(
                rounds,
                partial(stage.measure, "latency", sides=sides, target=target, calls=CALLS, block=BLOCK),
                1000,
            )
            rows.append(_compare(f"{work}, p50", "ms", values, Goal("added", added), no_slower=True))
        return rows

    return measure


def cycle(stage: Stage, rounds: int) -> list[GateRow]:
    """Measure the life of a container."""
    values = taken(
        rounds, lambda: stage.measure("cycle", sides=stage.unix(), image=IMAGE, cycles=CYCLES), 1000
    )
    return [_compare("create, start, wait, remove a container", "ms", values, Goal("most", 1.10))]


def crowd(stage: Stage, rounds: int) -> list[GateRow]:
    """Measure ten clients at once."""
    rows = []
    for work, target in (("/_ping", "/_ping"), ("/containers/json", f"/{calls.VERSION}/containers/json")):
        for way, sides in (("unix", stage.unix()), ("TLS", stage.tls())):
            values = taken(
                rounds,
                partial(stage.measure, "crowd", sides=sides, target=target, clients=CLIENTS, seconds=SECONDS),
                1,
            )
            goal = Goal("least", 0.5)
            rows.append(_compare(f"ten clients, GET {work}, {way}", "calls/s", values, goal))
    return rows


def throughput(stage: Stage, rounds: int) -> list[GateRow]:
    """Measure streams of one GiB, and the memory of the gate."""
    stage.make_large_image()
    before = stage.measure("memory", process=int(stage.gate.pid()))
    rows = []
    tasks: dict[str, dict[str, Any]] = {
        "save": {"image": LARGE},
        "load": {"archive": ARCHIVE},
        "attach": {"image": IMAGE, "size": SIZE},
    }
    for task, arguments in tasks.items():
        for way, sides in (("unix", stage.unix()), ("TLS", stage.tls())):
            values = taken(
                rounds,
                partial(stage.measure, task, sides=sides, **arguments),
                1 / MEBI,
            )
            rows.append(_compare(f"{task} of 1 GiB, {way}", "MiB/s", values, Goal("least", 0.7)))
    after = stage.measure("memory", process=int(stage.gate.pid()))
    grown = (after["highest"] - before["resident"]) / MEBI
    rows.append(GateRow("memory that the gate needed more for these streams", "MiB", (grown,)))
    return rows


def memory(stage: Stage, rounds: int) -> list[GateRow]:
    """Measure the resident memory of the gate with many wormholes."""
    sides = {name: {"unix": socket_path(name)} for name in crowd_names(CROWD)}
    stage.host.run("systemctl restart wormhole-gate.service")
    values = taken(
        rounds,
        lambda: stage.measure(
            "hold", sides=sides, target=f"/{calls.VERSION}/containers/json", process=int(stage.gate.pid())
        ),
        1 / MEBI,
    )
    work = f"resident memory, {CROWD} wormholes with a kept connection each"
    return [GateRow(work, "MiB", values["resident"], goal=Goal("limit", 80))]


def _compare(
    work: str, unit: str, values: Mapping[str, tuple[float, ...]], goal: Goal, *, no_slower: bool = False
) -> GateRow:
    return GateRow(work, unit, values["gate"], values["engine"], values["peer"], goal, no_slower)


MEASUREMENTS: dict[str, Measurement] = {
    "unix": latency(tls=False, added=0.20),
    "tls": latency(tls=True, added=0.25),
    "cycle": cycle,
    "crowd": crowd,
    "throughput": throughput,
    "memory": memory,
}
"""All measurements by name, in an order in which none disturbs the next."""
