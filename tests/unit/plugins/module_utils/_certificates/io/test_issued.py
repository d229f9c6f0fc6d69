# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The files of an authority's record."""

from __future__ import annotations

import datetime
import os
import stat

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import ApplyFailed, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._certificates import issued as record
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import issued as store

NOW = datetime.datetime(2026, 11, 24, 12, 0, tzinfo=datetime.timezone.utc)
ONE = record.Begin(NOW, True, "CN=CA", "1")
TWO = record.Begin(NOW, True, "CN=CA G2", "2")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "issued.jsonl"


def test_events_are_appended_with_one_flush(tmp_path, path, monkeypatch):
    flushed = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: flushed.append(os.fstat(handle).st_mode) or fsync(handle))
    store.append(str(tmp_path), [ONE, TWO])
    # A new file, and its name in the directory.
    assert [stat.S_ISREG(mode) for mode in flushed] == [True, False]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.append(str(tmp_path), [TWO])
    assert [stat.S_ISREG(mode) for mode in flushed] == [True, False, True]
    store.append(str(tmp_path), [])
    assert store.read(str(tmp_path)).events == (ONE, TWO, TWO)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3


@pytest.mark.parametrize("damage", [b'{"event": "iss', b"\0" * 40, b"\0\n"])
def test_a_damaged_last_line_is_replaced(tmp_path, path, damage):
    store.append(str(tmp_path), [ONE])
    with path.open("ab") as stream:
        stream.write(damage)
    assert store.read(str(tmp_path)).events == (ONE,)
    store.append(str(tmp_path), [TWO])
    assert store.read(str(tmp_path)).events == (ONE, TWO)


def test_nothing_is_added_to_a_damaged_record(tmp_path, path):
    store.append(str(tmp_path), [ONE, TWO])
    damaged = path.read_bytes().replace(b"begin", b"bogus", 1)
    path.write_bytes(damaged)
    with pytest.raises(Refused, match="line 1"):
        store.append(str(tmp_path), [ONE])
    assert path.read_bytes() == damaged


def test_a_link_is_not_followed(tmp_path, path):
    other = tmp_path / "other"
    other.write_bytes(b"")
    path.symlink_to(other)
    with pytest.raises((ApplyFailed, Exception), match="issued.jsonl"):
        store.append(str(tmp_path), [ONE])
    assert other.read_bytes() == b""


@pytest.mark.parametrize("host", ["ci1", "..", "a/b", "Ci1", "ci1 \N{SNOWMAN}", "x" * 300])
def test_a_host_is_seen(tmp_path, host):
    assert store.read_seen(str(tmp_path)) == {}
    store.see(str(tmp_path), host)
    (found,) = (tmp_path / "seen").iterdir()
    os.utime(found, (1_000_000, 1_000_000))
    assert store.read_seen(str(tmp_path)) == {
        host: datetime.datetime.fromtimestamp(1_000_000, datetime.timezone.utc)
    }
    store.see(str(tmp_path), host)
    assert store.read_seen(str(tmp_path))[host] > NOW - datetime.timedelta(days=3650)
    assert len(list((tmp_path / "seen").iterdir())) == 1


def test_a_directory_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "seen").write_text("in the way")
    store.see(str(tmp_path), "ci1")
    store.see(str(tmp_path / "missing"), "ci1")
