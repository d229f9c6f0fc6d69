# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rows of the gate's benchmark: the engine, the gate and its peer side by side. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bench.figures import Spread

Kind = Literal["added", "most", "least", "limit"]
"""What a goal limits: the difference from the engine (at most), the ratio to it (at most, at least), or
the gate's value itself (at most)."""


@dataclass(frozen=True)
class Goal:
    """What the gate is to reach beside the engine."""

    kind: Kind
    number: float

    def is_reached(self, value: float) -> bool:
        """Whether the median of the compared value is good enough."""
        return value >= self.number if self.kind == "least" else value <= self.number


@dataclass(frozen=True)
class GateRow:
    """A row of the table. Value number N of each side is from round N.

    Attributes:
        work: what was measured.
        unit: of all values.
        gate: by the gate.
        engine: directly; empty if there is nothing to compare with.
        peer: by HAProxy; may be empty.
        goal: beside the engine, if there is one.
        no_slower: whether the gate is to be no slower than the peer.
        detail: what else was seen.
    """

    work: str
    unit: str
    gate: tuple[float, ...]
    engine: tuple[float, ...] = ()
    peer: tuple[float, ...] = ()
    goal: Goal | None = None
    no_slower: bool = False
    detail: str = ""

    @property
    def compared(self) -> Spread | None:
        """What the goal is about, each within a round: all sides had the same load then."""
        if self.goal is not None and self.goal.kind == "limit":
            return Spread.of(self.gate)
        if not self.engine:
            return None
        pairs = zip(self.gate, self.engine, strict=True)
        if self.goal is not None and self.goal.kind == "added":
            return Spread.of([gate - engine for gate, engine in pairs])
        return Spread.of([gate / engine for gate, engine in pairs])

    @property
    def beside_peer(self) -> Spread | None:
        """The ratios of the gate to the peer."""
        if not self.peer:
            return None
        return Spread.of([gate / peer for gate, peer in zip(self.gate, self.peer, strict=True)])


HEAD = ("row", "work", "unit", "engine", "gate", "HAProxy", "gate beside engine", "goal", "gate : HAProxy")


def table(results: Mapping[str, Sequence[GateRow]]) -> str:
    """Return a Markdown table with aligned columns.

    Args:
        results: the rows of each measurement, by its name.
    """
    lines = [HEAD, *((name, *_cells(row)) for name, rows in results.items() for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = tuple("-" * width for width in widths)
    return "\n".join(
        f"| {' | '.join(text.ljust(width) for text, width in zip(line, widths, strict=True))} |"
        for line in (HEAD, rule, *lines[1:])
    )


def _cells(row: GateRow) -> tuple[str, ...]:
    compared, goal = row.compared, ""
    if compared is not None and row.goal is not None:
        goal = f"{_BEFORE[row.goal.kind]}{row.goal.number:g} {_said(row.goal.is_reached(compared.median))}"
    beside, peer = row.beside_peer, ""
    if beside is not None:
        peer = shown(beside) + (f" {_said(beside.median <= 1)}" if row.no_slower else "")
    return (
        row.work + (f"; {row.detail}" if row.detail else ""),
        row.unit,
        shown(Spread.of(row.engine)) if row.engine else "",
        shown(Spread.of(row.gate)),
        shown(Spread.of(row.peer)) if row.peer else "",
        _difference(row, compared),
        goal,
        peer,
    )


_BEFORE: Mapping[Kind, str] = {"added": "≤ +", "most": "≤ ", "least": "≥ ", "limit": "≤ "}


def _said(reached: bool) -> str:
    return "reached" if reached else "missed"


def _difference(row: GateRow, compared: Spread | None) -> str:
    if compared is None or (row.goal is not None and row.goal.kind == "limit"):
        return ""
    return ("+" if row.goal is not None and row.goal.kind == "added" else "") + shown(compared)


def shown(spread: Spread) -> str:
    """Return a median with its spread, each with three significant digits."""
    return f"{_number(spread.median)} ({_number(spread.low)}–{_number(spread.high)})"


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_data(results: Mapping[str, Sequence[GateRow]]) -> list[dict[str, Any]]:
    """Return the rows as data for JSON: those of the table, with the values of each round."""
    return [
        {
            **asdict(row),
            "row": name,
            "compared": asdict(row.compared) if row.compared else None,
            "beside_peer": asdict(row.beside_peer) if row.beside_peer else None,
            "reached": None if not (row.goal and row.compared) else row.goal.is_reached(row.compared.median),
        }
        for name, rows in results.items()
        for row in rows
    ]
