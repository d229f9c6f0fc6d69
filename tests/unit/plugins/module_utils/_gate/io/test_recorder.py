# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The recorder keeps what it has counted, whatever happens to its files."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from typing import Any, List

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.recorder import Recorder, read_record
from ansible_collections.wormhole.docker.plugins.module_utils._gate.learned import Outcome
from ansible_collections.wormhole.docker.plugins.module_utils._policy.learned_call import LearnedCall

ALLOWED = Outcome("allow", "ping", "v1", "learn")
PING = LearnedCall("ping")


def started(directory: Any, said: List[str], period: float = 0.05) -> Recorder:
    recorder = Recorder(str(directory), said.append, period)
    recorder.start()
    return recorder


def count(directory: Any, identity: str = "ci") -> int:
    content = read_record(str(directory), identity)
    return sum(row["count"] for row in json.loads(content)["calls"]) if content else 0


def wait_for(directory: Any, wanted: int, identity: str = "ci") -> None:
    deadline = time.monotonic() + 20
    while count(directory, identity) != wanted:
        assert time.monotonic() < deadline, count(directory, identity)
        time.sleep(0.02)


def test_records_are_written_by_themselves(tmp_path):
    recorder = started(tmp_path / "learned", [])
    recorder.note("ci", PING, ALLOWED)
    recorder.note("other", PING, ALLOWED)
    wait_for(tmp_path / "learned", 1)
    wait_for(tmp_path / "learned", 1, "other")
    path = tmp_path / "learned" / "ci.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert sorted(os.listdir(path.parent)) == ["ci.json", "other.json"], "nothing is left behind"
    recorder.stop()


def test_an_end_writes_what_waits(tmp_path):
    recorder = started(tmp_path, [], period=600)
    for _number in range(100):
        recorder.note("ci", PING, ALLOWED)
    recorder._period = 1  # It waits for the thread no longer than this.
    recorder.stop()
    assert count(tmp_path) == 100


def test_a_restart_goes_on_counting(tmp_path):
    for total in (1, 2, 3):
        recorder = started(tmp_path, [])
        recorder.note("ci", PING, ALLOWED)
        recorder.stop()
        assert count(tmp_path) == total


def test_what_a_kill_has_left_is_replaced(tmp_path):
    (tmp_path / ".ci.new").write_text("half of a record")
    recorder = started(tmp_path, [])
    recorder.note("ci", PING, ALLOWED)
    recorder.stop()
    assert count(tmp_path) == 1
    assert os.listdir(tmp_path) == ["ci.json"]


def test_a_file_that_is_no_record_is_replaced(tmp_path):
    (tmp_path / "ci.json").write_text("{")
    recorder = started(tmp_path, [])
    recorder.note("ci", PING, ALLOWED)
    recorder.stop()
    assert count(tmp_path) == 1


def test_a_removed_file_begins_anew(tmp_path):
    recorder = started(tmp_path, [])
    recorder.note("ci", PING, ALLOWED)
    wait_for(tmp_path, 1)
    (tmp_path / "ci.json").unlink()
    recorder.note("ci", LearnedCall("info"), ALLOWED)
    deadline = time.monotonic() + 20
    while not (tmp_path / "ci.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    recorder.note("ci", LearnedCall("info"), ALLOWED)
    recorder.stop()
    rows = json.loads((tmp_path / "ci.json").read_text())["calls"]
    assert [row["call"]["route"] for row in rows] == ["info"]


def test_without_room_calls_go_on_and_nothing_is_lost(tmp_path, monkeypatch):
    said: List[str] = []
    full = threading.Event()
    full.set()
    real = os.rename

    def rename(*names: Any) -> None:
        if full.is_set():
            raise OSError(28, "No space left on device")
        real(*names)

    monkeypatch.setattr(os, "rename", rename)
    recorder = started(tmp_path, said)
    recorder.note("ci", PING, ALLOWED)
    deadline = time.monotonic() + 20
    while not said:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    recorder.note("ci", PING, ALLOWED)
    full.clear()
    recorder.stop()
    assert said == [f"The recorded calls cannot be written to {tmp_path}: No space left on device."]
    assert count(tmp_path) == 2


def test_without_a_directory_it_says_so_once(tmp_path):
    said: List[str] = []
    recorder = started(tmp_path / "missing" / "learned", said)
    recorder.note("ci", PING, ALLOWED)
    recorder.stop()
    assert len(said) == 1


def test_a_call_never_waits(tmp_path):
    recorder = Recorder(str(tmp_path), lambda _sentence: None)
    started_at = time.monotonic()
    for _number in range(10_000):
        recorder.note("ci", PING, ALLOWED)
    assert time.monotonic() - started_at < 5
    recorder.start()
    recorder.note("ci", PING, ALLOWED)
    recorder.stop()
    document = json.loads((tmp_path / "ci.json").read_text())
    assert document["dropped"] + count(tmp_path) >= 10_000


@pytest.mark.parametrize("kind", ["link", "fifo", "large", "missing"])
def test_what_is_no_plain_file_is_not_read(tmp_path, kind):
    path = tmp_path / "ci.json"
    if kind == "link":
        (tmp_path / "other").write_text("{}")
        path.symlink_to(tmp_path / "other")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "large":
        path.write_bytes(b" " * ((2 << 20) + 1))
    assert read_record(str(tmp_path), "ci") is None


def test_the_record_of_an_identity_without_a_policy_is_not_written_again(tmp_path):
    names = {"ci", "other"}
    recorder = Recorder(str(tmp_path), lambda _sentence: None, 0.05, lambda: names)
    recorder.start()
    for name in ("ci", "other"):
        recorder.note(name, PING, ALLOWED)
        wait_for(tmp_path, 1, name)
    names.remove("ci")
    (tmp_path / "ci.json").unlink()
    # Calls that were still waiting to be counted.
    recorder.note("ci", PING, ALLOWED)
    recorder.note("other", PING, ALLOWED)
    wait_for(tmp_path, 2, "other")
    recorder.stop()
    assert sorted(os.listdir(tmp_path)) == ["other.json"]


def test_a_record_that_was_written_while_the_policy_was_removed_is_removed(tmp_path):
    answers = [{"ci"}, set()]
    recorder = Recorder(str(tmp_path), lambda _sentence: None, 600, lambda: answers.pop(0))
    recorder.start()
    recorder.note("ci", PING, ALLOWED)
    recorder.stop()
    assert (os.listdir(tmp_path), answers) == ([], [])


def test_a_new_policy_begins_a_new_record(tmp_path):
    names = {"ci"}
    recorder = Recorder(str(tmp_path), lambda _sentence: None, 0.05, lambda: names)
    recorder.start()
    for _number in range(3):
        recorder.note("ci", PING, ALLOWED)
    wait_for(tmp_path, 3)
    names.clear()
    recorder.note("ci", PING, ALLOWED)
    wait_for(tmp_path, 0)
    names.add("ci")
    recorder.note("ci", PING, ALLOWED)
    wait_for(tmp_path, 1)
    recorder.stop()
