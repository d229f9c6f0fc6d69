# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import os
import signal
import sys

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import ApplyFailed
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io.interruption import Interruption

SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


class Output:
    """Standard output whose other end may go away, as a connection's does."""

    def __init__(self, monkeypatch):
        self._reading, self._writing = os.pipe()
        self._stream = os.fdopen(self._writing, "w")
        monkeypatch.setattr(sys, "__stdout__", self._stream)

    def abandon(self):
        os.close(self._reading)
        self._reading = None

    def close(self):
        if self._reading is not None:
            os.close(self._reading)
        self._stream.close()


@pytest.fixture
def output(monkeypatch):
    output = Output(monkeypatch)
    yield output
    output.close()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_noted_and_asked_for_and_does_not_end_the_process_at_once(output, number):
    watch = Interruption()
    with watch.watched():
        watch.check()
        os.kill(os.getpid(), number)
        with pytest.raises(ApplyFailed, match=f"^This run was interrupted by {number.name}"):
            watch.check()


@pytest.mark.parametrize("number", SIGNALS)
def test_afterwards_signals_have_their_former_effect(output, number):
    received = []

    def fail():
        with Interruption().watched():
            os.kill(os.getpid(), number)
            assert received == []
            raise ValueError("defect")

    former = signal.signal(number, lambda *_arguments: received.append(number))
    try:
        with pytest.raises(ValueError, match="defect"):
            fail()
        os.kill(os.getpid(), number)
        assert received == [number]
    finally:
        signal.signal(number, former)


def test_a_connection_that_is_lost_is_noticed_although_it_sends_no_signal(output):
    watch = Interruption()
    with watch.watched():
        watch.check()
        output.abandon()
        with pytest.raises(ApplyFailed, match="lost its connection to the controller"):
            watch.check()


def test_output_that_is_not_read_yet_is_no_lost_connection(output):
    os.write(output._writing, b"x")
    Interruption().check()


def test_a_file_or_no_output_at_all_is_no_lost_connection(monkeypatch, tmp_path):
    with open(tmp_path / "out", "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "__stdout__", stream)
        Interruption().check()
    # The stream is closed now, as in a job that was detached on purpose.
    Interruption().check()
