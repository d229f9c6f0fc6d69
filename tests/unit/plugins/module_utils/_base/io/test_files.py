# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import multiprocessing
import os
import stat
import time

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import ApplyFailed, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._base.io import files, opening

ME = {"uid": os.geteuid(), "gid": os.getegid()}


def test_a_written_file_reads_back_with_its_metadata(tmp_path):
    path = str(tmp_path / "f")
    files.write_file(path, b"content", mode=0o440, **ME)
    state = files.read_file(path)
    assert (state.content, state.mode, state.uid, state.gid) == (b"content", 0o440, ME["uid"], ME["gid"])


@pytest.mark.parametrize("name", ["absent", "absent/deeper"])
def test_nothing_there_reads_as_none(tmp_path, name):
    assert files.read_file(str(tmp_path / name)) is None
    assert files.read_directory(str(tmp_path / name)) is None


def test_what_is_no_regular_file_is_named(tmp_path):
    with pytest.raises(WormholeError, match="^Cannot read .*: Is a directory$"):
        files.read_file(str(tmp_path))
    (tmp_path / "f").write_text("")
    with pytest.raises(WormholeError, match="is a regular file, not a directory$"):
        files.read_directory(str(tmp_path / "f"))


def test_the_mode_is_final_before_the_first_byte_is_written(tmp_path, monkeypatch):
    seen = []
    fsync = os.fsync

    def watch(handle):
        info = os.fstat(handle)
        if stat.S_ISREG(info.st_mode):
            seen.append(stat.S_IMODE(info.st_mode))
        fsync(handle)

    modes_at_write = []
    fdopen = os.fdopen

    def watched_fdopen(handle, mode):
        stream = fdopen(handle, mode, buffering=0)
        write = stream.write

        class Watched:
            def __enter__(self):
                return self

            def __exit__(self, *_error):
                stream.close()

            def __getattr__(self, name):
                return getattr(stream, name)

            def write(self, content):
                modes_at_write.append(stat.S_IMODE(os.fstat(stream.fileno()).st_mode))
                return write(content)

        return Watched()

    monkeypatch.setattr(os, "fsync", watch)
    monkeypatch.setattr(os, "fdopen", watched_fdopen)
    files.write_file(str(tmp_path / "key"), b"secret", mode=0o400, **ME)
    assert modes_at_write == [0o400]
    assert seen == [0o400]


def test_a_failed_write_leaves_the_former_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"former")

    def fail(_source, _target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ApplyFailed, match="No space left on device. Free some space"):
        files.write_file(str(path), b"new", mode=0o400, **ME)
    assert path.read_bytes() == b"former"
    assert os.listdir(tmp_path) == ["f"]


def test_a_directory_is_made_with_its_parents_or_given_its_mode(tmp_path):
    path = str(tmp_path / "a" / "b")
    files.make_directory(path, mode=0o500, **ME)
    assert files.read_directory(path) == files.DirectoryState(0o500, ME["uid"], ME["gid"])
    assert files.read_directory(str(tmp_path / "a")).mode == 0o755
    files.make_directory(path, mode=0o700, **ME)
    assert files.read_directory(path).mode == 0o700


def test_a_link_in_place_of_the_directory_is_not_followed(tmp_path):
    (tmp_path / "real").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(ApplyFailed, match="^Cannot create the directory "):
        files.make_directory(str(tmp_path / "link"), mode=0o700, **ME)
    assert stat.S_IMODE(os.stat(tmp_path / "real").st_mode) == 0o755


def test_removing_twice_is_no_error(tmp_path):
    path = tmp_path / "f"
    path.write_text("x")
    files.remove_file(str(path))
    files.remove_file(str(path))
    assert not path.exists()


def test_a_former_time_is_given_back(tmp_path):
    path = str(tmp_path / "f")
    files.write_file(path, b"x", mode=0o600, mtime_ns=1_111_111_111_123_456_789, **ME)
    assert files.read_file(path).mtime_ns == 1_111_111_111_123_456_789
    assert files.read_file(path).mtime == pytest.approx(1_111_111_111.123457)
    files.set_metadata(path, mode=0o640, mtime_ns=5, **ME)
    assert files.read_file(path) == files.FileState(b"x", 0o640, ME["uid"], ME["gid"], 5)


def test_metadata_is_not_set_through_a_link(tmp_path):
    (tmp_path / "f").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "f")
    with pytest.raises(ApplyFailed, match="^Cannot set owner, mode and time of "):
        files.set_metadata(str(tmp_path / "link"), mode=0o777, mtime_ns=5, **ME)
    assert files.read_file(str(tmp_path / "f")).mtime_ns != 5


def test_what_a_killed_write_leaves_is_found_and_nothing_else(tmp_path, monkeypatch):
    directory = tmp_path / "[a]*"
    directory.mkdir()
    path = str(directory / "f[1]")
    left = []

    class Killed(BaseException):
        pass

    def die(source, _target):
        left.append(source)
        monkeypatch.setattr(os, "unlink", lambda _path: None)
        raise Killed

    monkeypatch.setattr(os, "replace", die)
    with pytest.raises(Killed):
        files.write_file(path, b"x", mode=0o600, **ME)
    for name in ("f[1]", ".f1.abc.new", ".f[1].abc", ".other.abc.new"):
        (directory / name).write_text("")
    assert files.leftovers(path) == left[:1]


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV])
def test_a_file_system_without_links_is_no_error(tmp_path, monkeypatch, number):
    (tmp_path / "f").write_text("x")
    assert files.link_file(str(tmp_path / "f"), str(tmp_path / "g")) is True
    assert os.path.samefile(tmp_path / "f", tmp_path / "g")

    def fail(*_paths):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", fail)
    assert files.link_file(str(tmp_path / "f"), str(tmp_path / "h")) is False


def test_a_link_that_finds_no_space_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "f").write_text("x")

    def fail(*_paths):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(
        ApplyFailed, match="Read-only file system. The file system of .* is mounted read-only"
    ):
        files.link_file(str(tmp_path / "f"), str(tmp_path / "g"))


def test_on_a_read_only_file_system_only_what_is_there_cannot_be_removed(tmp_path, monkeypatch):
    """Linux refuses before it looks whether there is anything."""
    (tmp_path / "f").write_text("x")
    (tmp_path / "d").mkdir()

    def fail(_path):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "unlink", fail)
    monkeypatch.setattr(os, "rmdir", fail)
    files.remove_file(str(tmp_path / "absent"))
    files.remove_directory(str(tmp_path / "absent"))
    with pytest.raises(ApplyFailed, match="^Cannot remove .*f: Read-only file system"):
        files.remove_file(str(tmp_path / "f"))
    with pytest.raises(ApplyFailed, match="^Cannot remove .*d: Read-only file system"):
        files.remove_directory(str(tmp_path / "d"))


def test_a_directory_with_something_in_it_stays(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_text("x")
    files.remove_directory(str(tmp_path / "d"))
    assert (tmp_path / "d" / "f").exists()
    files.remove_file(str(tmp_path / "d" / "f"))
    files.remove_directory(str(tmp_path / "d"))
    assert not (tmp_path / "d").exists()
    files.remove_directory(str(tmp_path / "d"))


def _hold(lock, log, name):
    with files.locked(lock), open(log, "a", encoding="utf-8") as stream:
        stream.write(f"{name} in\n")
        stream.flush()
        time.sleep(0.1)
        stream.write(f"{name} out\n")


def test_a_lock_lets_one_process_in_at_a_time(tmp_path):
    lock, log = str(tmp_path / "lock"), tmp_path / "log"
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_hold, args=(lock, str(log), name)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    lines = log.read_text().split("\n")[:-1]
    assert len(lines) == 6
    assert all(lines[i].split()[0] == lines[i + 1].split()[0] for i in range(0, 6, 2))


def test_a_lock_that_cannot_be_taken_is_reported_with_what_to_do(tmp_path, monkeypatch):
    def refuse(path, *_arguments):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    monkeypatch.setattr(files.os, "open", refuse)
    said = "Cannot lock .*/lock: Permission denied. Run the task with become"
    with pytest.raises(ApplyFailed, match=said), files.locked(str(tmp_path / "lock")):
        pass


def test_a_file_that_is_too_large_is_not_read(tmp_path):
    path = tmp_path / "f"
    with open(path, "wb") as stream:
        stream.truncate(opening.LARGEST)
    assert len(files.read_file(str(path)).content) == opening.LARGEST
    with open(path, "wb") as stream:
        # Sparse: as large as all the memory.
        stream.truncate(1 << 40)
    with pytest.raises(WormholeError, match="f is larger than 16 MiB, and is not read"):
        files.read_file(str(path))
