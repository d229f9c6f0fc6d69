# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of what ./dev bench computes from its samples."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import figures, rows
from bench.figures import Row, Sample, Spread
from lab import LabError
from runner import cli
from system.playbooks import Task


def samples(*seconds: float) -> list[Sample]:
    return [Sample(value, cpu=value / 2, trips=5) for value in seconds]


def test_a_spread_has_the_median_and_the_extremes() -> None:
    assert Spread.of([3, 1, 10]) == Spread(3, 1, 10)
    assert str(Spread.of([1, 2])) == "1.50 (1.00–2.00)"


def test_sides_alternate() -> None:
    order: list[str] = []

    def side(name: str) -> Sample:
        order.append(name)
        return Sample(len(order))

    ours, peers = figures.alternate(2, lambda: side("ours"), lambda: side("peers"))
    assert order == ["ours", "peers", "ours", "peers"]
    assert ([sample.seconds for sample in ours], [sample.seconds for sample in peers]) == ([1, 3], [2, 4])


def test_ratios_are_those_within_a_round() -> None:
    # In the second round, the machine was ten times slower. The ratio of the medians would be 0.5.
    row = figures.compare("work", samples(1, 20, 2), samples(4, 80, 4))
    assert row.ratio == Spread(0.25, 0.25, 0.5)


def test_a_row_without_peers_has_no_ratio() -> None:
    assert figures.compare("work", samples(1, 2)).ratio is None


def test_the_cpu_is_compared_apart_from_the_wall_clock() -> None:
    row = figures.compare_cpu("CPU", samples(1, 2), samples(8, 8), 0.25)
    assert (row.ours, row.peers, row.goal, row.trips) == ((0.5, 1), (4, 4), 0.25, ())


def test_the_cost_of_each_further_one_is_the_slope_of_each_round() -> None:
    *numbers, further = figures.scale("host", (1, 2, 4), [samples(3, 5), samples(4, 7), samples(6, 11)])
    assert [row.work for row in numbers] == [
        "1 host, nothing to change",
        "2 hosts, nothing to change",
        "4 hosts, nothing to change",
    ]
    assert further.work == "each further host"
    assert further.ours == pytest.approx((1, 2))


def test_the_table_says_whether_a_goal_is_reached() -> None:
    results = {
        "host": [Row("reached", (1.0,), (5.0,), 0.2, ((1,), (44,)))],
        "hosts": [Row("missed", (1.1,), (5.0,), 0.2), Row("alone", (1.0, 3.0))],
    }
    assert figures.table(results).splitlines() == [
        "| row   | work    | ours, s          | peers, s         | ratio            | goal         | round trips |",
        "| ----- | ------- | ---------------- | ---------------- | ---------------- | ------------ | ----------- |",
        "| host  | reached | 1.00 (1.00–1.00) | 5.00 (5.00–5.00) | 0.20 (0.20–0.20) | 0.20 reached | 1 : 44      |",
        "| hosts | missed  | 1.10 (1.10–1.10) | 5.00 (5.00–5.00) | 0.22 (0.22–0.22) | 0.20 missed  |             |",
        "| hosts | alone   | 2.00 (1.00–3.00) |                  |                  |              |             |",
    ]


def test_the_data_has_the_rows_of_the_table_with_all_values() -> None:
    results = {"host": [figures.compare("work", samples(1, 3), samples(4, 4), 0.2)]}
    assert json.loads(json.dumps(figures.as_data(results))) == [
        {
            "row": "host",
            "work": "work",
            "ours": [1, 3],
            "peers": [4, 4],
            "goal": 0.2,
            "trips": [[5, 5], [5, 5]],
            "medians": {
                "ours": {"median": 2, "low": 1, "high": 3},
                "peers": {"median": 4, "low": 4, "high": 4},
                "ratio": {"median": 0.5, "low": 0.25, "high": 0.75},
            },
        }
    ]


TASK = Task("host", "ping", "ping", "ok", False, False, 10.0, {})


def test_a_task_takes_from_the_report_of_the_previous_one_to_its_own() -> None:
    tasks = (TASK, replace(TASK, name="other", at=12.0), replace(TASK, at=13.0), replace(TASK, at=17.0))
    assert rows.spans(tasks) == {"other": [Sample(2)], "ping": [Sample(1), Sample(4)]}


def test_a_task_that_changes_something_is_not_counted() -> None:
    with pytest.raises(LabError, match="ping changed something"):
        rows.spans((TASK, replace(TASK, at=12.0, result={"changed": True})))


def test_unknown_rows_are_rejected_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--rows", "host,hots"]) == 1
    assert "no such rows: hots" in capsys.readouterr().err


@pytest.mark.parametrize("rounds", ["0", "-1", "many"])
def test_the_number_of_rounds_is_positive(rounds: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["bench", "--rounds", rounds])


def test_the_plays_of_both_sides_exist() -> None:
    for play in (rows.OURS, rows.PEERS):
        assert Path(play.name).is_file()
