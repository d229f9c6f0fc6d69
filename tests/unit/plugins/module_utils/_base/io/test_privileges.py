# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A forked child that becomes a process of a container, here one with another root directory."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._base.io import opening, privileges
from ansible_collections.wormhole.docker.plugins.module_utils._base.io.children import call_in_child

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can change its root directory")

DAC_OVERRIDE = 1 << 1
_SETGID, _SETUID = 6, 7


@pytest.fixture
def contained(tmp_path):
    """Run a process with its own root directory; return a function that does so."""
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    for directory in (root, *list(root.parents)[:4]):
        directory.chmod(directory.stat().st_mode | 0o055)
    started = []

    def start(uid=0, kept=None):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.chroot(root)
                if kept is not None:
                    privileges.keep_capabilities(kept)
                os.setgroups([7])
                os.setgid(uid)
                os.setuid(uid)
            except OSError as error:
                print(error)
            os.write(writer, b".")
            signal.pause()
        started.append(child)
        assert os.read(reader, 1) == b"."
        return child

    yield root, start
    for child in started:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def as_process(pid, function, find_user=None):
    def call():
        privileges.become(pid, find_user)
        return function()

    return call_in_child(call, timeout=30, subject="child")


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        text = status.read()
    return dict(line.split(":", 1) for line in text.splitlines() if ":" in line)


def look_at(pid, find_user=None):
    """Return the lines of /proc/PID/status about a child that has become another process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            privileges.become(pid, find_user)
            os.write(writer, b".")
            signal.pause()
        os._exit(1)
    os.close(writer)
    try:
        assert os.read(reader, 1) == b"."
        return status_of(child)
    finally:
        os.close(reader)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("uid", [0, 4242])
def test_it_has_user_and_groups_of_the_process_and_no_capability_to_act(contained, uid):
    _root, start = contained
    found = look_at(start(uid))
    assert found["Uid"].split() == [str(uid)] * 4
    assert found["Gid"].split() == [str(uid)] * 4
    assert found["Groups"].split() == ["7"]
    held = int(found["CapEff"], 16) | int(found["CapPrm"], 16) | int(found["CapInh"], 16)
    # A process of root that may read files of others still may.
    assert held == (0b110 if uid == 0 else 0)
    assert found["NoNewPrivs"].strip() == "1"


def test_it_reads_no_files_of_others_if_the_process_cannot(contained):
    root, start = contained
    (root / "etc" / "theirs").write_text("x")
    (root / "etc" / "theirs").chmod(0o400)
    os.chown(root / "etc" / "theirs", 4242, 4242)

    def read():
        return opening.read_regular("/etc/theirs").decode()

    assert as_process(start(), read) == "x"
    with pytest.raises(VerificationFailed, match="PermissionError"):
        as_process(start(kept=(_SETGID, _SETUID)), read)


def test_another_user_is_found_before_the_capabilities_are_dropped(contained):
    root, start = contained
    (root / "etc" / "passwd").write_text("4243")

    def find(_who):
        return privileges.User(int(opening.read_regular("/etc/passwd")), 5, [6])

    found = look_at(start(), find)
    assert [found[name].split()[0] for name in ("Uid", "Gid", "Groups")] == ["4243", "5", "6"]
    assert int(found["CapPrm"], 16) == 0


@pytest.mark.parametrize("uid", [0, 4242])
def test_files_are_read_inside_although_proc_is_outside(contained, uid):
    root, start = contained
    (root / "etc" / "hosts").write_text("inside")
    assert as_process(start(uid), lambda: opening.read_regular("/etc/hosts").decode()) == "inside"


@pytest.mark.parametrize("uid", [0, 4242])
def test_a_device_of_the_container_is_not_opened(contained, uid):
    root, start = contained
    try:
        os.mknod(root / "etc" / "hosts", 0o666 | 0o020000, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this machine does not allow device files")
    (root / "etc" / "hosts").chmod(0o666)

    def read():
        opened = []
        original = os.open

        def watch(path, flags, *arguments, **options):
            if not flags & os.O_PATH:
                opened.append(str(path))
            return original(path, flags, *arguments, **options)

        os.open = watch
        try:
            opening.read_regular("/etc/hosts")
        except opening.WormholeError as error:
            return [str(error), opened]
        return ["", opened]

    assert as_process(start(uid), read) == ["/etc/hosts is a special file, not a regular file", []]


def test_processes_in_a_user_namespace_are_never_given_the_hosts_capabilities():
    user = privileges.User(100000, 100000)
    remapped = (privileges.IdRange(0, 100000, 65536),)
    who = privileges.Credentials(user, remapped, remapped, 0x3FFFFFFFFF)
    assert who.kept == ()
    whole = (privileges.IdRange(0, 0, 4294967295),)
    assert privileges.Credentials(user, whole, whole, DAC_OVERRIDE).kept == (1,)
