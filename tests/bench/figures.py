# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of the benchmark: medians, spreads and ratios, as a Markdown table and as JSON. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Sample:
    """What one run of a playbook, or one task, took.

    Attributes:
        seconds: wall-clock time.
        cpu: user and system seconds of ansible-playbook and its children on the controller. None for
            a single task.
        trips: started SSH programs per host. None for a single task.
    """

    seconds: float
    cpu: float | None = None
    trips: float | None = None


@dataclass(frozen=True)
class Spread:
    """The median of some values, with the lowest and the highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}–{self.high:.2f})"


@dataclass(frozen=True)
class Row:
    """A row of the table. Value number N of each side is from round N.

    Attributes:
        work: what was measured.
        ours: seconds of this collection.
        peers: seconds of the other collections; empty if there is nothing to compare with.
        goal: the highest ratio to reach, if there is one.
        trips: SSH programs started per host, by ours and by the peers; empty if not counted.
    """

    work: str
    ours: tuple[float, ...]
    peers: tuple[float, ...] = ()
    goal: float | None = None
    trips: tuple[tuple[float, ...], ...] = ()

    @property
    def ratio(self) -> Spread | None:
        """The ratios of ours to the peers, each within a round: both had the same load then."""
        if not self.peers:
            return None
        return Spread.of([ours / peers for ours, peers in zip(self.ours, self.peers, strict=True)])


def alternate(rounds: int, *sides: Callable[[], Sample]) -> list[list[Sample]]:
    """Call all sides in turn, as often as there are rounds, and return the samples of each side.

    The sides alternate, so that other load on the machine affects all of them.
    """
    taken: list[list[Sample]] = [[] for _side in sides]
    for _round in range(rounds):
        for samples, take in zip(taken, sides, strict=True):
            samples.append(take())
    return taken


def compare(
    work: str, ours: Sequence[Sample], peers: Sequence[Sample] = (), goal: float | None = None
) -> Row:
    """Make the row that compares the wall-clock time of both sides."""
    return Row(
        work,
        _known("seconds", ours),
        _known("seconds", peers),
        goal,
        (_known("trips", ours), _known("trips", peers)),
    )


def compare_cpu(work: str, ours: Sequence[Sample], peers: Sequence[Sample], goal: float | None = None) -> Row:
    """Make the row that compares the controller's CPU time of both sides."""
    return Row(work, _known("cpu", ours), _known("cpu", peers), goal)


def _known(attribute: str, samples: Sequence[Sample]) -> tuple[float, ...]:
    """Return an attribute of all samples that have it."""
    values = (getattr(sample, attribute) for sample in samples)
    return tuple(value for value in values if value is not None)


def scale(unit: str, numbers: Sequence[int], taken: Sequence[Sequence[Sample]]) -> list[Row]:
    """Make a row for each number of a unit, such as host, and one for the cost of each further one.

    The last row is, for each round, the slope of the line that fits its points best.
    """
    rows = [
        compare(f"{number} {unit}{'s' if number > 1 else ''}, nothing to change", samples)
        for number, samples in zip(numbers, taken, strict=True)
    ]
    rounds = zip(*(row.ours for row in rows), strict=True)
    slopes = tuple(statistics.linear_regression(numbers, points).slope for points in rounds)
    return [*rows, Row(f"each further {unit}", slopes)]


def table(results: Mapping[str, Sequence[Row]]) -> str:
    """Return a Markdown table with aligned columns.

    Args:
        results: the rows of each measurement, by its name.
    """
    head = ("row", "work", "ours, s", "peers, s", "ratio", "goal", "round trips")
    lines = [head, *((name, *_cells(row)) for name, rows in results.items() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        f"| {' | '.join(text.ljust(width) for text, width in zip(line, widths, strict=True))} |"
        for line in (head, rule, *lines[1:])
    )


def _cells(row: Row) -> tuple[str, ...]:
    ratio, goal = row.ratio, ""
    if ratio is not None and row.goal is not None:
        goal = f"{row.goal:.2f} {'reached' if ratio.median <= row.goal else 'missed'}"
    return (
        row.work,
        str(Spread.of(row.ours)),
        str(Spread.of(row.peers)) if row.peers else "",
        "" if ratio is None else str(ratio),
        goal,
        " : ".join(f"{statistics.median(trips):g}" for trips in row.trips if trips),
    )


def as_data(results: Mapping[str, Sequence[Row]]) -> list[dict[str, Any]]:
    """Return the rows as data for JSON: those of the table, with the values of each round."""
    return [
        {
            **asdict(row),
            "row": name,
            "medians": {
                "ours": asdict(Spread.of(row.ours)),
                "peers": asdict(Spread.of(row.peers)) if row.peers else None,
                "ratio": asdict(row.ratio) if row.ratio else None,
            },
        }
        for name, rows in results.items()
        for row in rows
    ]
