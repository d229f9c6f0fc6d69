# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tests of what ./dev bench gate computes, and of how it reads answers."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Sequence

import pytest

from bench.figures import Spread
from bench.gate import calls, figures, peer
from bench.gate.figures import GateRow, Goal
from runner import cli


def test_what_is_added_is_the_difference_within_a_round() -> None:
    # In the second round, the machine was ten times slower.
    row = GateRow("ping", "ms", (0.5, 5, 0.75), (0.25, 2.5, 0.25), goal=Goal("added", 0.2))
    assert row.compared == Spread(0.5, 0.25, 2.5)


def test_ratios_are_those_within_a_round() -> None:
    row = GateRow("save", "MiB/s", (80, 8), (100, 10), (40, 16), Goal("least", 0.7))
    assert row.compared == Spread(0.8, 0.8, 0.8)
    assert row.beside_peer == Spread(1.25, 0.5, 2)


@pytest.mark.parametrize(
    "goal, value, reached",
    [
        (Goal("least", 0.5), 0.5, True),
        (Goal("least", 0.5), 0.49, False),
        (Goal("most", 1.1), 1.1, True),
        (Goal("most", 1.1), 1.11, False),
        (Goal("added", 0.2), 0.21, False),
        (Goal("limit", 80), 81, False),
    ],
)
def test_goals(goal: Goal, value: float, reached: bool) -> None:
    assert goal.is_reached(value) == reached


def test_the_table_says_what_is_reached() -> None:
    results = {
        "unix": [
            GateRow("ping", "ms", (0.2, 0.3), (0.1, 0.2), (0.2, 0.25), Goal("added", 0.2), no_slower=True)
        ],
        "memory": [
            GateRow("resident", "MiB", (81.0,), goal=Goal("limit", 80)),
            GateRow("more", "MiB", (1234.5,)),
        ],
    }
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in figures.table(results).splitlines()]
    assert lines[0] == list(figures.HEAD)
    assert lines[2:] == [
        [
            "unix", "ping", "ms", "0.15 (0.1–0.2)", "0.25 (0.2–0.3)", "0.225 (0.2–0.25)", "+0.1 (0.1–0.1)",
            "≤ +0.2 reached", "1.1 (1–1.2) missed",
        ],
        ["memory", "resident", "MiB", "", "81 (81–81)", "", "", "≤ 80 missed", ""],
        ["memory", "more", "MiB", "", "1234 (1234–1234)", "", "", "", ""],
    ]  # fmt: skip
    (unix, *_others) = json.loads(json.dumps(figures.as_data(results)))
    assert (unix["row"], unix["gate"], unix["reached"]) == ("unix", [0.2, 0.3], True)


def answering(*pieces: bytes) -> tuple[socket.socket, threading.Thread]:
    """Return a connection whose other end answers a request with these pieces, and closes it."""
    ours, theirs = socket.socketpair()

    def answer() -> None:
        with theirs:
            if pieces:
                theirs.recv(4096)
            for piece in pieces:
                theirs.sendall(piece)

    thread = threading.Thread(target=answer)
    thread.start()
    return ours, thread


@pytest.mark.parametrize(
    "pieces, status, body",
    [
        ((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO", b"K"), 200, b"OK"),
        (
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\n[]\r\n", b"0\r\n\r\n"),
            200,
            b"2\r\n[]\r\n0\r\n\r\n",
        ),
        ((b"HTTP/1.1 204 No Content\r\n\r\n",), 204, b""),
    ],
)
def test_answers_are_read_to_their_end(pieces: Sequence[bytes], status: int, body: bytes) -> None:
    ours, thread = answering(*pieces)
    with ours:
        assert calls.exchange(ours, b"GET / HTTP/1.1\r\n\r\n") == (status, body)
    thread.join()


def test_a_closed_connection_is_not_an_answer() -> None:
    ours, thread = answering()
    thread.join()
    with ours, pytest.raises(calls.Closed):
        calls.exchange(ours, b"x")
    ours, thread = answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO")
    with ours, pytest.raises(SystemExit, match="incomplete"):
        calls.exchange(ours, b"x")
    thread.join()


def test_the_peer_asks_about_every_section_that_is_measured() -> None:
    text = peer.render("172.17.0.1:2379", "/srv/gate/ca.pem")
    for name in ("_ping", "containers", "images"):
        assert f"/{name} }} {{ env(ALLOW) -m bool }}" in text
    assert text.count("http-request allow") == len(peer.VERBS) + len(peer.SECTIONS)


def test_unknown_rows_are_rejected_before_anything_starts(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "gate", "--rows", "unix,host"]) == 1
    assert "no such rows: host" in capsys.readouterr().err
