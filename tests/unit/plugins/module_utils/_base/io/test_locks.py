# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A run waits for another one's lock, but not forever, and then says whose it is."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import ApplyFailed
from ansible_collections.wormhole.docker.plugins.module_utils._base.io import files, locks
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import authority, record

HOLD = """
import fcntl, os, sys, time
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX)
print(flush=True)
time.sleep(float(sys.argv[2]))
"""


@contextlib.contextmanager
def held(path, *arguments, seconds=60):
    """Another process that holds a lock, with a short command line; yields it."""
    argv = ["python3", "-c", HOLD, path.name, str(seconds), *arguments]
    with subprocess.Popen(
        argv, executable=sys.executable, cwd=path.parent, stdout=subprocess.PIPE
    ) as process:
        try:
            process.stdout.readline()
            yield process
        finally:
            process.kill()


@pytest.fixture
def lock(tmp_path):
    path = tmp_path / "run.lock"
    path.touch()
    return path


def test_the_holder_of_a_lock_is_named_with_its_command(lock):
    begin = time.monotonic()
    with held(lock, "site.yml") as process:
        with pytest.raises(ApplyFailed) as caught, files.locked(str(lock), 0.3):
            pytest.fail("locked")
        assert 0.3 <= time.monotonic() - begin < 20
        text = str(caught.value)
    assert text.startswith(f"{lock} is still locked after 0.3 seconds, by process {process.pid} (python3 ")
    assert "site.yml)" in text
    assert "end its process, then run the task again" in text


def test_values_on_the_command_line_of_the_holder_are_not_shown(lock):
    secrets = ["-e", "passphrase=hunter2", '{"passphrase":"hunter2"}', "passphrase: hunter2"]
    with held(lock, *secrets), pytest.raises(ApplyFailed) as caught, files.locked(str(lock), 0):
        pytest.fail("locked")
    assert "-e … … …" in str(caught.value)
    assert "hunter2" not in str(caught.value.as_dict()) + str(caught.value)


def test_a_lock_that_is_released_in_time_is_taken(lock):
    with held(lock, seconds=0.5), files.locked(str(lock), 60):
        pass


def test_the_default_is_ten_minutes(lock, monkeypatch):
    moments = iter([0.0, 599.0, 600.0])
    monkeypatch.setattr(locks.time, "monotonic", lambda: next(moments))
    monkeypatch.setattr(locks.time, "sleep", lambda _seconds: None)
    with held(lock), pytest.raises(ApplyFailed, match="after 10 minutes, by process"), files.locked(
        str(lock)
    ):
        pytest.fail("locked")


def test_a_holder_that_left_its_lock_to_a_child(lock):
    handle = os.open(lock, os.O_RDONLY)
    holder = [sys.executable, "-c", f"import fcntl; fcntl.flock({handle}, fcntl.LOCK_EX)"]
    process = subprocess.Popen(holder, pass_fds=[handle])
    process.wait()
    with pytest.raises(ApplyFailed, match=f"by process {process.pid}, which has ended"), files.locked(
        str(lock), 0
    ):
        pytest.fail("locked")
    os.close(handle)
    with files.locked(str(lock), 0):
        pass


def test_no_handle_is_left(lock):
    before = sorted(os.listdir("/proc/self/fd"))
    with held(lock), pytest.raises(ApplyFailed), files.locked(str(lock), 0):
        pytest.fail("locked")
    assert len(os.listdir("/proc/self/fd")) == len(before)


@pytest.fixture
def hurried(monkeypatch):
    """Nothing waits longer than a moment."""
    monkeypatch.setattr(locks.take, "__kwdefaults__", {"shared": False, "patience": 0.2})
    monkeypatch.setattr(locks.locked.__wrapped__, "__kwdefaults__", {"shared": False, "patience": 0.2})


@pytest.mark.usefixtures("hurried")
def test_the_authority_and_the_record_name_their_holders_too(tmp_path, monkeypatch):
    (tmp_path / "ca").mkdir(mode=0o700)
    (tmp_path / "ca" / ".lock").touch()
    with held(tmp_path / "ca" / ".lock") as process, pytest.raises(
        ApplyFailed, match=f"process {process.pid} "
    ):
        authority.read_material(str(tmp_path / "ca"), None)
    (tmp_path / "record").mkdir()
    monkeypatch.setattr(record, "directory", lambda: str(tmp_path / "record"))
    monkeypatch.setattr(record, "is_kept", lambda: True)
    with held(tmp_path / "record") as process, pytest.raises(ApplyFailed, match=f"process {process.pid} "):
        record.note({"/etc/wormhole/agent": {"cert.pem": b"x"}})
