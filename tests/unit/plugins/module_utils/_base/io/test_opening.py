# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What others put in place of a file is not opened: links, named pipes, devices, endless files."""

from __future__ import annotations

import contextlib
import os
import stat

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._base.io import files, opening
from ansible_collections.wormhole.docker.plugins.module_utils._base.io.children import call_in_child

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def opened(monkeypatch):
    """The kinds of what is opened for reading, and not just named."""
    kinds = []
    original = os.open

    def watch(path, flags, *arguments, **options):
        descriptor = original(path, flags, *arguments, **options)
        if not flags & os.O_PATH:
            kinds.append(stat.S_IFMT(os.fstat(descriptor).st_mode))
        return descriptor

    monkeypatch.setattr(os, "open", watch)
    return kinds


@pytest.fixture
def secret(tmp_path):
    path = tmp_path / "secret"
    path.write_text("secret")
    return path


def test_a_file_is_read_through_links_of_this_user(tmp_path, secret):
    (tmp_path / "below").mkdir()
    (tmp_path / "directory").symlink_to(tmp_path)
    (tmp_path / "below" / "link").symlink_to("../directory/./secret")
    assert files.read_file(str(tmp_path / "below" / "link")).content == b"secret"


def test_a_relative_path_is_that_of_this_process(tmp_path, secret, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert opening.read_regular("secret") == b"secret"


@as_root
@pytest.mark.parametrize("where", ["file", "directory"])
def test_root_follows_no_link_of_another_user(tmp_path, secret, where, opened):
    planted = tmp_path / "planted"
    planted.symlink_to(secret if where == "file" else tmp_path)
    os.lchown(planted, NOBODY, NOBODY)
    path = str(planted if where == "file" else planted / "secret")
    with pytest.raises(WormholeError, match="planted in this path is a symbolic link of user 65534, who"):
        files.read_file(path)
    assert opened == []
    # The operator's own paths may be linked by anybody.
    assert files.read_file(path, any_link=True).content == b"secret"


@as_root
def test_another_user_follows_links_with_his_own_rights(tmp_path, secret):
    planted = tmp_path / "planted"
    planted.symlink_to(secret)
    os.lchown(planted, 4242, 4242)
    secret.chmod(0o644)
    for directory in (tmp_path, *list(tmp_path.parents)[:3]):
        directory.chmod(directory.stat().st_mode | 0o011)

    def read():
        os.setuid(NOBODY)
        return opening.read_regular(str(planted)).decode()

    assert call_in_child(read, timeout=10, subject="child") == "secret"


def test_a_named_pipe_is_neither_opened_nor_awaited(tmp_path, opened):
    os.mkfifo(tmp_path / "pipe")
    for any_link in (False, True):
        with pytest.raises(WormholeError, match="pipe is a named pipe, not a regular file$"):
            files.read_file(str(tmp_path / "pipe"), any_link=any_link)
    assert opened == []


def test_a_device_is_not_opened(opened):
    for any_link in (False, True):
        with pytest.raises(WormholeError, match="^/dev/zero is a special file, not a regular file$"):
            files.read_file("/dev/zero", any_link=any_link)
    assert opened == []


def test_what_was_checked_is_opened_even_if_it_is_replaced(tmp_path, secret, monkeypatch):
    path = tmp_path / "f"
    path.write_text("checked")
    check = opening._check

    def replace_afterwards(*arguments):
        check(*arguments)
        path.unlink(missing_ok=True)
        path.symlink_to(secret)
        monkeypatch.setattr(opening, "_check", check)

    monkeypatch.setattr(opening, "_check", replace_afterwards)
    assert opening.read_regular(str(path)) == b"checked"


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "f"
    path.write_bytes(b"")
    os.truncate(path, opening.LARGEST + 1)
    with monkeypatch.context() as patch:
        patch.setattr(os, "read", lambda *_arguments: pytest.fail("it was read"))
        with pytest.raises(WormholeError, match="f is larger than 16 MiB, and is not read"):
            files.read_file(str(path))
    path.write_bytes(b"12345")
    assert opening.read_regular(str(path), limit=5) == b"12345"
    with pytest.raises(WormholeError, match="f is larger than 4 bytes"):
        opening.read_regular(str(path), limit=4)


def test_a_file_that_grows_while_it_is_read_is_bounded(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"12")
    descriptor = opening.open_regular(str(path), limit=4)
    path.write_bytes(b"12345")
    with pytest.raises(WormholeError, match="f is larger than 4 bytes"):
        opening.read_limited(descriptor, str(path), 4)
    os.close(descriptor)


def test_a_circle_of_links_ends(tmp_path):
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("one")
    with pytest.raises(WormholeError, match="^Cannot read .*one: Too many levels of symbolic links$"):
        files.read_file(str(tmp_path / "one"))


@pytest.mark.parametrize("target", ["/etc/hosts", "../../../../../../../../../etc/hosts", "/../etc/./hosts"])
@pytest.mark.parametrize("linked", ["etc", "f"])
def test_no_link_leads_out_of_another_root_directory(tmp_path, target, linked):
    root = tmp_path / "root"
    (root / "real" / "etc").mkdir(parents=True)
    if linked == "f":
        (root / "etc").symlink_to("/real/etc")
        (root / "f").symlink_to(target)
        path = "/f"
    else:
        (root / "real" / "etc").rmdir()
        (root / "real").rmdir()
        (root / "etc").symlink_to(target.rpartition("/")[0])
        path = "/etc/hosts"
    with pytest.raises((FileNotFoundError, OSError)):
        opening.read_regular(path, root=str(root))
    if linked == "f":
        (root / "real" / "etc" / "hosts").write_text("inside")
        assert opening.read_regular(path, root=str(root)) == b"inside"


def test_no_descriptor_is_left_open(tmp_path, secret):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/../" + str(secret))
    before = len(os.listdir("/proc/self/fd"))
    for name in ("secret", "link", "pipe", "absent", "."):
        for any_link in (False, True):
            with contextlib.suppress(OSError, WormholeError):
                opening.read_regular(str(tmp_path / name), any_link=any_link)
    assert len(os.listdir("/proc/self/fd")) == before
