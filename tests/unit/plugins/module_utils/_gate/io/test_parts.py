# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of the program that touch the host: policies, log, systemd, threads."""

from __future__ import annotations

import json
import os
import socket
import threading
import time

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.audit import Record
from ansible_collections.wormhole.docker.plugins.module_utils._gate.identities import render_identity
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io import journal as journals
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.journal import Journal
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.policies import Policies
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.systemd import Notifier, take_listeners
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.workers import Workers


def write(directory, name, preset="observe"):
    new = directory / ".new"
    new.write_text(render_identity({"identity": name, "preset": preset}))
    new.chmod(0o640)
    new.replace(directory / f"{name}.json")


def test_policies_are_read_again_when_they_change(tmp_path):
    policies = Policies(str(tmp_path), os.getuid())
    assert policies.current().identities == {}
    for preset in ("observe", "ci", "observe", "ci"):
        # Faster than the clock of the file system.
        write(tmp_path, "ci", preset)
        assert policies.current().identities["ci"].policy.preset == preset
    (tmp_path / "ci.json").unlink()
    assert policies.current().identities == {}


def test_a_change_within_one_tick_of_the_clock_is_read(tmp_path, monkeypatch):
    stamp = (1, time.time_ns())
    monkeypatch.setattr(Policies, "_look", lambda self: stamp)
    policies = Policies(str(tmp_path), os.getuid())
    write(tmp_path, "ci")
    assert set(policies.current().identities) == {"ci"}


def test_policies_that_have_not_changed_are_not_read(tmp_path):
    write(tmp_path, "ci")
    time.sleep(0.1)
    policies = Policies(str(tmp_path), os.getuid())
    before = policies.current()
    assert policies.current() is before
    assert policies.reload() is not before


def test_without_a_directory_nobody_has_access(tmp_path):
    assert Policies(str(tmp_path / "absent"), os.getuid()).current().identities == {}


@pytest.mark.parametrize("mode", [0o660, 0o606, 0o666])
def test_a_policy_that_others_can_write_is_not_used(tmp_path, mode):
    write(tmp_path, "ci")
    (tmp_path / "ci.json").chmod(mode)
    assert "can write it" in Policies(str(tmp_path), os.getuid()).current().problems["ci"]


def test_a_policy_of_another_user_is_not_used(tmp_path):
    write(tmp_path, "ci")
    assert "can write it" in Policies(str(tmp_path), os.getuid() + 1).current().problems["ci"]


def test_a_policy_that_is_no_file_is_not_used(tmp_path):
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "directory.json").mkdir()
    write(tmp_path, "ci")
    write(tmp_path, "link")
    (tmp_path / "link.json").rename(tmp_path / "target")
    (tmp_path / "link.json").symlink_to(tmp_path / "target")
    registry = Policies(str(tmp_path), os.getuid()).current()
    assert set(registry.problems) == {"pipe", "directory", "link"}
    assert set(registry.identities) == {"ci"}


def test_a_log_that_nobody_reads_loses_records_and_says_so(monkeypatch):
    monkeypatch.setattr(journals, "_PATIENCE", 1)
    monkeypatch.setattr(journals, "_SHORT_PATIENCE", 1)
    reader, writer = os.pipe()
    journal = Journal(writer)
    for _number in range(500):
        journal.write(Record(detail="x" * 200))
    assert journal._lost > 0
    text = os.read(reader, 1 << 20)
    journal.write(Record(identity="ci"))
    text += os.read(reader, 1 << 20)
    last = json.loads(text.splitlines()[-1])
    assert (last["identity"], last["lost"] > 0) == ("ci", True)
    for line in text.splitlines():
        json.loads(line)
    os.close(reader)
    os.close(writer)


def test_a_record_that_is_written_in_part_is_completed_later(monkeypatch):
    monkeypatch.setattr(journals, "_PATIENCE", 1)
    reader, writer = socket.socketpair()
    writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    journal = Journal(writer.fileno())
    for _number in range(300):
        journal.write(Record(route="x" * 20000))
    assert journal._tail
    text = b""
    reader.settimeout(0.2)
    for _number in range(3):
        try:
            while True:
                text += reader.recv(1 << 20)
        except socket.timeout:
            journal.write(Record(route="last"))
    routes = [json.loads(line)["route"] for line in text.splitlines()]
    assert routes[-1] == "last"
    assert set(routes) == {"x" * 20000, "last"}
    reader.close()
    writer.close()


def test_sockets_of_another_process_are_not_taken():
    assert take_listeners({"LISTEN_PID": "1", "LISTEN_FDS": "1"}, os.getpid()) == []
    assert take_listeners({}, os.getpid()) == []


@pytest.mark.parametrize("abstract", [False, True])
def test_states_are_reported(tmp_path, abstract):
    name = f"@gate-test-{os.getpid()}" if abstract else str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if abstract else name)
        receiver.settimeout(5)
        notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000"})
        notifier.send("READY=1")
        assert receiver.recv(100) == b"READY=1"
        assert notifier.watchdog == 30.0


def test_without_systemd_nothing_is_reported():
    notifier = Notifier({})
    notifier.send("READY=1")
    assert notifier.watchdog is None


def test_idle_threads_are_used_again_and_busy_ones_do_not_hold_up_others():
    workers, found = Workers(), []
    before = threading.active_count()
    blocked = threading.Event()
    for _number in range(3):
        workers.submit(blocked.wait)
    workers.submit(lambda: found.append(1))
    assert _soon(lambda: found == [1])
    blocked.set()
    assert _soon(lambda: workers._idle == 4)
    for number in range(50):
        workers.submit(lambda: found.append(1))
        assert _soon(lambda number=number: len(found) == number + 2)
    assert threading.active_count() <= before + 5


def test_threads_end_when_they_are_not_needed(monkeypatch):
    monkeypatch.setattr(
        "ansible_collections.wormhole.docker.plugins.module_utils._gate.io.workers._IDLE_SECONDS", 0.05
    )
    workers, done = Workers(), []
    for _number in range(5):
        workers.submit(lambda: done.append(threading.current_thread()))
    assert _soon(lambda: len(done) == 5 and workers._idle == 0)
    assert _soon(lambda: not any(thread.is_alive() for thread in done))
    workers.submit(lambda: done.append(threading.current_thread()))
    assert _soon(lambda: len(done) == 6)


def _soon(condition):
    for _attempt in range(500):
        if condition():
            return True
        time.sleep(0.01)
    return False
