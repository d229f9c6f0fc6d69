# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import errno
import os
import stat
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    ApplyFailed,
    Refused,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._base.io import files
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io import transaction
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io.transaction import (
    Transaction,
    backup_path,
    read_saved,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.journal import Journal

OURS = b"+ours"
CALLS = (
    "chmod", "chown", "fchmod", "fchown", "fsync", "link", "mkdir", "open", "remove", "rename", "replace", "rmdir",
    "unlink", "utime", "write",
)  # fmt: skip
"""Calls by which files.py and the transaction change things; mkstemp and streams have own hooks."""


def strip(_path, content):
    return None if content == OURS else content.replace(OURS, b"")


def former_of(path, current, origin):
    """What an undo writes: the original, or the content without our part if written since."""
    entry = origin.files.get(path)
    if entry is not None and entry.written == (None if current is None else current.content):
        return entry.original
    content = None if current is None else strip(path, current.content)
    return None if content is None else replace(current, content=content)


class Place:
    """The transaction on a host: edited, removed and new files, and one below new directories."""

    def __init__(self, root):
        self.root = Path(root)
        self.etc = self.root / "etc"
        self.etc.mkdir()
        self.state = self.root / "lib" / "wormhole" / "listener"
        (self.root / "lib").mkdir()
        self.edited = self.etc / "daemon.json"
        self.removed = self.etc / "old.socket"
        self.new = self.etc / "new.socket"
        self.below = self.etc / "docker.service.d" / "deeper" / "x.conf"
        self.edited.write_bytes(b"theirs")
        self.edited.chmod(0o640)
        self.removed.write_bytes(b"removed")
        for path, mtime in ((self.edited, 1_111_111_111_123_456_789), (self.removed, 987_654_321)):
            os.utime(path, ns=(mtime, mtime))

    @property
    def paths(self):
        return [str(path) for path in (self.edited, self.removed, self.new, self.below)]

    def transaction(self):
        return Transaction(str(self.state))

    def tree(self):
        """Everything below the root: content and metadata of files, names of directories."""
        return {
            str(path.relative_to(self.root)): read_saved(str(path)) if path.is_file() else None
            for path in sorted(self.root.rglob("*"))
        }

    def write(self, text=b""):
        def put(path, content):
            files.write_file(str(path), content, mode=0o644, uid=os.geteuid(), gid=os.getegid())

        put(self.edited, b"theirs" + text + OURS)
        files.remove_file(str(self.removed))
        put(self.new, text + OURS)
        files.make_directory(str(self.below.parent), mode=0o755, uid=os.geteuid(), gid=os.getegid())
        put(self.below, OURS)

    def is_written(self, text=b""):
        return (
            self.edited.read_bytes() == b"theirs" + text + OURS
            and not self.removed.exists()
            and self.new.read_bytes() == text + OURS
            and self.below.read_bytes() == OURS
        )

    def undo(self):
        """As the undo of the listener does it."""
        transaction = self.transaction()
        origin = transaction.origin()
        transaction.begin([path for path in self.paths if os.path.exists(path) or path in origin.files], {})
        for path in self.paths:
            former = former_of(path, read_saved(path), origin)
            if former is None:
                files.remove_file(path)
            elif former != read_saved(path):
                files.write_file(
                    path,
                    former.content,
                    mode=former.mode,
                    uid=former.uid,
                    gid=former.gid,
                    mtime_ns=former.mtime_ns,
                )
        transaction.forget()


@pytest.fixture(autouse=True, scope="module")
def no_waiting_for_the_disk():
    """Processes die here, not machines: what is not flushed is there all the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _handle: None)
        yield


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def full(monkeypatch, where=""):
    """Whatever needs space below a directory fails from now on, as on a full disk."""
    mkstemp, mkdir, link = tempfile.mkstemp, os.mkdir, os.link

    def deny(path):
        if str(path).startswith(str(where)):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    def make(*args, **kwargs):
        deny(kwargs["dir"])
        return mkstemp(*args, **kwargs)

    def make_directory(path, *args, **kwargs):
        deny(path)
        return mkdir(path, *args, **kwargs)

    def make_link(source, target, **kwargs):
        deny(target)
        return link(source, target, **kwargs)

    monkeypatch.setattr(tempfile, "mkstemp", make)
    monkeypatch.setattr(os, "mkdir", make_directory)
    monkeypatch.setattr(os, "link", make_link)


def no_links(monkeypatch, number=errno.EPERM):
    def link(source, _target, **_kwargs):
        raise OSError(number, os.strerror(number), source)

    monkeypatch.setattr(os, "link", link)


# --- begin


@pytest.mark.parametrize("directory", ["etc", "etc/docker.service.d"])
def test_a_new_file_on_a_read_only_file_system_is_reported_before_anything_is_written(
    place, directory, monkeypatch
):
    access = os.access
    place.below.parent.parent.mkdir()
    before = place.tree()
    closed = str(place.root / directory)
    monkeypatch.setattr(os, "access", lambda path, mode: path != closed and access(path, mode))
    with pytest.raises(ApplyFailed, match=f"The file system of {closed}.* is mounted read-only"):
        place.transaction().begin([str(place.new), str(place.below)], {})
    assert place.tree() == before


def test_nothing_is_open_at_first(place):
    before = place.tree()
    assert place.transaction().open() is None
    assert place.transaction().origin().files == {}
    assert place.tree() == before


def test_a_beginning_secures_what_is_there_for_the_eyes_of_root_only(place):
    before = {path: read_saved(path) for path in place.paths}
    journal = place.transaction().begin(place.paths, {"containers": ["a"]})
    assert journal.files == before
    assert journal.notes == {"containers": ["a"]}
    assert place.transaction().open() == journal
    assert stat.S_IMODE(place.state.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in place.state.iterdir()] == [0o600]
    assert os.path.samefile(backup_path(str(place.edited)), place.edited)
    assert not os.path.exists(backup_path(str(place.new)))
    assert {path: read_saved(path) for path in place.paths} == before


def test_an_open_journal_has_the_last_good_state_and_takes_what_is_new(place):
    first = place.transaction().begin([str(place.edited)], {"containers": ["a"]})
    place.edited.write_bytes(b"half")
    journal = place.transaction().begin(place.paths, {"containers": [], "restarted": True})
    assert journal.files[str(place.edited)] == first.files[str(place.edited)]
    assert journal.files[str(place.removed)].content == b"removed"
    assert journal.notes == {"containers": ["a"], "restarted": True}
    assert place.transaction().open() == journal
    place.transaction().restore_files()
    assert place.edited.read_bytes() == b"theirs"


def test_notes_are_added(place):
    place.transaction().begin([], {"a": 1, "b": 2})
    place.transaction().note(b=3, c=[4])
    assert place.transaction().open().notes == {"a": 1, "b": 3, "c": [4]}
    place.transaction().abandon()
    with pytest.raises(ApplyFailed, match="^No transaction is open"):
        place.transaction().note(a=1)


@pytest.mark.parametrize("where", ["lib", "etc"])
def test_a_beginning_on_a_full_disk_touches_nothing_and_leaves_nothing(place, monkeypatch, where):
    before = place.tree()
    full(monkeypatch, place.root / where)
    with pytest.raises(
        ApplyFailed, match="No space left on device. Free some space on the file system of"
    ) as caught:
        place.transaction().begin(place.paths, {})
    assert str(place.root / where) in caught.value.remedy
    assert place.tree() == before


def test_a_beginning_that_fails_leaves_the_journal_that_was_open(place, monkeypatch):
    journal = place.transaction().begin([str(place.edited)], {"a": 1})
    before = place.tree()
    full(monkeypatch, place.etc)
    with pytest.raises(ApplyFailed, match="No space left"):
        place.transaction().begin(place.paths, {"b": 2})
    assert place.transaction().open() == journal
    after = place.tree()
    record = "lib/wormhole/listener/journal.json"
    assert after.pop(record).content == before.pop(record).content
    assert after == before


def test_what_is_no_regular_file_is_named_and_nothing_is_touched(place):
    place.new.mkdir()
    (place.etc / "link").symlink_to(place.edited)
    before = place.tree()
    with pytest.raises(WormholeError, match="^Cannot read .*new.socket: Is a directory"):
        place.transaction().begin(place.paths, {})
    with pytest.raises(WormholeError, match="link is a link to .*daemon.json, not a real path"):
        place.transaction().begin([str(place.etc / "link")], {})
    assert place.tree() == before


def test_a_record_that_cannot_be_read_stops_a_beginning(place):
    place.state.mkdir(parents=True)
    (place.state / "origin.json").write_text('{"version": 2}')
    before = place.tree()
    with pytest.raises(Refused, match="a record of version 2"):
        place.transaction().begin(place.paths, {})
    (place.state / "origin.json").unlink()
    (place.state / "journal.json").write_bytes(b"\xff")
    with pytest.raises(Refused, match="is damaged"):
        place.transaction().begin(place.paths, {})
    assert {*before, "lib/wormhole/listener/journal.json"} - {*place.tree()} == {
        "lib/wormhole/listener/origin.json"
    }


# --- restore


def test_a_restored_file_is_the_very_same_one_and_nothing_else_stays(place):
    before, inode = place.tree(), place.edited.stat().st_ino
    place.transaction().begin(place.paths, {})
    place.write()
    place.transaction().restore_files()
    place.transaction().restore_files()
    place.transaction().abandon()
    assert place.tree() == before
    assert place.edited.stat().st_ino == inode


@pytest.mark.parametrize("links", [True, False])
def test_metadata_alone_comes_back_too(place, monkeypatch, links):
    if not links:
        no_links(monkeypatch)
    before = place.tree()
    place.transaction().begin(place.paths, {})
    place.edited.chmod(0o600)
    os.utime(place.edited, ns=(1, 1))
    place.transaction().restore_files()
    place.transaction().abandon()
    assert place.tree() == before


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP, errno.EXDEV])
def test_without_links_the_journal_has_the_content(place, monkeypatch, number):
    no_links(monkeypatch, number)
    before = place.tree()
    place.transaction().begin(place.paths, {})
    assert not os.path.exists(backup_path(str(place.edited)))
    place.write()
    place.transaction().restore_files()
    place.transaction().abandon()
    assert place.tree() == before


def test_a_link_that_somebody_wrote_through_is_not_believed(place):
    before = place.tree()
    place.transaction().begin(place.paths, {})
    with open(place.edited, "ab") as stream:
        stream.write(b"more")
    place.transaction().restore_files()
    place.transaction().abandon()
    assert place.tree() == before


def test_a_full_disk_does_not_keep_anything_from_being_put_back(place, monkeypatch):
    before = place.tree()
    place.transaction().begin(place.paths, {})
    place.write()
    full(monkeypatch)
    place.transaction().restore_files()
    place.transaction().abandon()
    assert place.tree() == before


def test_what_cannot_be_put_back_is_told_and_the_rest_is_put_back(place, monkeypatch):
    before = place.tree()
    place.transaction().begin(place.paths, {})
    place.write()
    os.unlink(backup_path(str(place.edited)))
    with monkeypatch.context() as patch:
        full(patch)
        with pytest.raises(
            ApplyFailed, match="^Cannot restore .*daemon.json.*: No space left on device. Free some space"
        ):
            place.transaction().restore_files()
    assert place.removed.read_bytes() == b"removed"
    assert not place.new.exists()
    assert place.transaction().open() is not None
    place.transaction().restore_files()
    place.transaction().abandon()
    assert place.tree() == before


def test_a_directory_with_something_of_theirs_stays(place):
    place.transaction().begin(place.paths, {})
    place.write()
    (place.below.parent.parent / "theirs.conf").write_text("x")
    place.transaction().restore_files()
    assert os.listdir(place.below.parent.parent) == ["theirs.conf"]


def test_what_a_killed_write_left_goes_with_the_transaction(place):
    before = place.tree()
    place.transaction().begin(place.paths, {})
    for path in (*place.paths[:3], str(place.state / "journal.json")):
        directory, name = os.path.split(path)
        with open(f"{directory}/.{name}.abcdefgh.new", "wb") as stream:
            stream.write(b"half")
    (place.etc / ".other.abcdefgh.new").write_text("theirs")
    place.transaction().restore_files()
    place.transaction().abandon()
    left = place.tree()
    assert left.pop("etc/.other.abcdefgh.new").content == b"theirs"
    assert left == before


# --- commit, undo


def test_a_commit_records_the_origin_and_the_undo_gives_it_back(place):
    before = place.tree()
    for text in (b"", b"2", b"3"):
        place.transaction().begin(place.paths, {})
        place.write(text)
        place.transaction().commit(strip)
        assert place.transaction().open() is None
        assert place.is_written(text)
        assert os.listdir(place.state) == ["origin.json"]
        assert not list(place.etc.rglob("*former"))
    assert stat.S_IMODE((place.state / "origin.json").stat().st_mode) == 0o600
    place.undo()
    assert place.tree() == before


def test_a_file_that_was_moved_and_replaced_by_a_link_keeps_its_origin(place):
    place.transaction().begin(place.paths, {})
    place.write()
    place.transaction().commit(strip)
    entry = place.transaction().origin().files[str(place.edited)]
    moved = place.root / "daemon.json"
    place.edited.rename(moved)
    place.edited.symlink_to(moved)
    recorded = place.transaction().origin().files
    assert recorded[str(moved)] == entry
    # A path that is a link cannot be written, see begin.
    assert str(place.edited) not in recorded


def test_a_commit_of_nothing_records_nothing(place):
    before = place.tree()
    place.transaction().begin(place.paths, {})
    place.transaction().commit(strip)
    place.transaction().commit(strip)
    assert place.tree() == before


def test_a_commit_that_cannot_be_recorded_leaves_the_journal(place, monkeypatch):
    before = place.tree()
    journal = place.transaction().begin(place.paths, {})
    place.write()
    with monkeypatch.context() as patch:
        full(patch)
        with pytest.raises(ApplyFailed, match="origin.json: .*No space left"):
            place.transaction().commit(strip)
        assert place.transaction().open() == journal
        place.transaction().restore_files()
        place.transaction().abandon()
    assert place.tree() == before


def test_to_abandon_leaves_the_origin(place):
    place.transaction().begin(place.paths, {})
    place.write()
    place.transaction().commit(strip)
    before, origin = place.tree(), place.transaction().origin()
    place.transaction().begin(place.paths, {})
    place.write(b"2")
    place.transaction().restore_files()
    place.transaction().abandon()
    assert place.tree() == before
    assert place.transaction().origin() == origin


def test_to_forget_without_anything_is_no_error(place):
    before = place.tree()
    place.transaction().forget()
    assert place.tree() == before


# --- killed


class Death:
    """Ends this process without clean-up, at the n-th call that changes the disk."""

    def __init__(self, number):
        self._left = number

    def hook(self, call):
        def hooked(*args, **kwargs):
            if self._left == 0:
                os._exit(9)
            self._left -= 1
            return call(*args, **kwargs)

        return hooked

    def install(self):
        fdopen = os.fdopen

        def opened(*args, **kwargs):
            stream = fdopen(*args, **{**kwargs, "buffering": 0})

            class Stream:
                write = staticmethod(
                    self.hook(lambda content: stream.write(content[:3]) + stream.write(content[3:]))
                )

                def __enter__(self):
                    return self

                def __exit__(self, *_error):
                    stream.close()

                def __getattr__(self, name):
                    return getattr(stream, name)

            return Stream()

        for name in CALLS:
            if name != "open":
                setattr(os, name, self.hook(getattr(os, name)))
        tempfile.mkstemp = self.hook(tempfile.mkstemp)
        os.fdopen = opened


def killed(number, action):
    """Runs an action in a child that dies at its n-th change; whether it died before the end."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            Death(number).install()
            action()
            status = 0
        finally:
            os._exit(status)
    status = os.WEXITSTATUS(os.waitpid(child, 0)[1])
    assert status in (0, 9), "the action failed"
    return status == 9


def whole_run(place, text=b""):
    def run():
        transaction = place.transaction()
        transaction.begin(place.paths, {})
        place.write(text)
        transaction.note(restarted=True)
        transaction.commit(strip)

    return run


def go_back(place):
    def run():
        transaction = place.transaction()
        if transaction.open() is not None:
            transaction.restore_files()
            transaction.abandon()

    return run


def installed(root, first):
    """A place, virgin or with a first installation, and its state before any."""
    os.mkdir(root)
    place = Place(root)
    virgin = place.tree()
    if first:
        whole_run(place, b"1")()
    return place, virgin


@pytest.mark.parametrize("first", [False, True])
def test_wherever_a_run_is_killed_the_next_one_can_go_back(tmp_path, first):
    number = 0
    while True:
        place, virgin = installed(tmp_path / str(number), first)
        before = place.tree()
        died = killed(number, whole_run(place))
        was_open = place.transaction().open()
        go_back(place)()
        if was_open is None and place.is_written():
            break
        # Killed in the beginning, it may leave its own directory, which the next one makes use of.
        after = {
            name: file
            for name, file in place.tree().items()
            if name in before or was_open or name.startswith("etc")
        }
        assert after == before, number
        whole_run(place)()
        assert place.is_written()
        place.undo()
        assert place.tree() == virgin, number
        assert died
        number += 1
    assert number > 40


@pytest.mark.parametrize("first", [False, True])
def test_wherever_a_run_is_killed_the_next_one_can_finish(tmp_path, first):
    number, died = 0, True
    while died:
        place, virgin = installed(tmp_path / str(number), first)
        died = killed(number, whole_run(place))
        whole_run(place)()
        assert place.is_written()
        assert place.transaction().open() is None
        assert os.listdir(place.state) == ["origin.json"], number
        assert [name for name in place.tree() if "/." in name] == [], number
        place.undo()
        assert place.tree() == virgin, number
        number += 1
    assert number > 40


def test_wherever_a_run_is_killed_one_that_writes_what_was_there_before_loses_no_origin(tmp_path):
    number, died = 0, True
    while died:
        place, virgin = installed(tmp_path / str(number), False)
        whole_run(place, b"1")()
        died = killed(number, whole_run(place, b"2"))
        whole_run(place, b"1")()
        assert sorted(os.listdir(place.state)) == ["origin.json"], number
        whole_run(place, b"2")()
        place.undo()
        assert place.tree() == virgin, number
        number += 1
    assert number > 40


def test_wherever_a_restoration_is_killed_the_next_one_completes_it(tmp_path):
    number, died = 0, True
    while died:
        place, _virgin = installed(tmp_path / str(number), True)
        before = place.tree()
        place.transaction().begin(place.paths, {})
        place.write(b"2")
        died = killed(number, go_back(place))
        go_back(place)()
        assert place.tree() == before, number
        number += 1
    assert number > 10


def test_wherever_a_commit_is_killed_the_next_one_completes_it(tmp_path):
    number, died = 0, True
    while died:
        place, virgin = installed(tmp_path / str(number), True)
        place.transaction().begin(place.paths, {})
        place.write(b"2")
        died = killed(number, lambda place=place: place.transaction().commit(strip))
        place.transaction().commit(strip)
        assert place.is_written(b"2")
        assert os.listdir(place.state) == ["origin.json"], number
        place.undo()
        assert place.tree() == virgin, number
        number += 1
    assert number > 10


def test_wherever_an_undo_is_killed_the_next_one_completes_it(tmp_path):
    number, died = 0, True
    while died:
        place, virgin = installed(tmp_path / str(number), True)
        died = killed(number, place.undo)
        place.undo()
        assert place.tree() == virgin, number
        number += 1
    assert number > 20


@given(
    st.lists(st.tuples(st.sampled_from(["run", "back", "commit"]), st.integers(0, 90)), max_size=4),
    st.booleans(),
)
@example([("run", 36), ("back", 5), ("commit", 6)], False)
def test_after_any_deaths_in_a_row_one_run_is_right_and_the_undo_gives_back_everything(deaths, first):
    with tempfile.TemporaryDirectory() as directory:
        place, virgin = installed(Path(directory) / "host", first)
        for action, number in deaths:
            if action == "run":
                killed(number, whole_run(place, b"%d" % number))
            elif action == "back":
                killed(number, go_back(place))
            elif place.transaction().open() is not None:
                killed(number, lambda: place.transaction().commit(strip))
        whole_run(place)()
        assert place.is_written()
        assert [name for name in place.tree() if "/." in name] == []
        place.undo()
        assert place.tree() == virgin


def test_no_change_goes_by_unhooked():
    """What the deaths above rely on: the two files change anything only in these ways."""
    used = set()
    for module in (files, transaction):
        text = Path(module.__file__).read_text(encoding="utf-8")
        used |= {word.split("(")[0] for word in text.replace("\n", " ").split("os.")[1:] if "(" in word[:20]}
    reading = {
        "path",
        "fstat",
        "stat",
        "fdopen",
        "close",
        "readlink",
        "geteuid",
        "getegid",
        "access",
        "strerror",
    }
    assert {name for name in used if name.isidentifier() and name not in reading} <= {*CALLS}


def test_a_journal_is_a_value():
    assert Journal({}) == Journal({}, {}, (), None)
