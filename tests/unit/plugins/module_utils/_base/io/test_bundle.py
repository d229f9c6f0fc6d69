# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules are imported from a mapping."""

from __future__ import annotations

import errno
import gc
import inspect
import json
import os
import sys
import traceback

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.io import bundle
from ansible_collections.wormhole.docker.plugins.module_utils._base.io.bundle import (
    keep_code,
    run_bundled,
    spare_exit,
)

MAIN = """
from .. import other
from ..deep.inside import fail

def main():
    seen.append(other.VALUE)
    fail()

seen = other.SEEN
"""
FAILING = """
def fail():
    raise ValueError("on purpose")
"""


@pytest.fixture(autouse=True)
def restored():
    finders = list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
    gc.unfreeze()
    forget()


def forget():
    for name in [name for name in sys.modules if name.startswith("bundled_top")]:
        del sys.modules[name]


def files(**more):
    return {
        "bundled_top.modules.first": MAIN,
        "bundled_top.other": "VALUE = 7\nSEEN = []\n",
        "bundled_top.deep.inside": FAILING,
        **more,
    }


def test_main_runs_with_what_it_imports():
    with pytest.raises(ValueError, match="on purpose") as raised:
        run_bundled("bundled_top.modules.first", files(), "")
    assert sys.modules["bundled_top.modules.first"].seen == [7]
    frames = traceback.extract_tb(raised.value.__traceback__)
    assert frames[-1].filename == "bundled_top/deep/inside.py"
    assert frames[-1].line == 'raise ValueError("on purpose")'
    # The guard of the listener is made of the text of a module.
    assert inspect.getsource(sys.modules["bundled_top.deep.inside"]) == FAILING


def test_what_is_missing_is_an_error_that_names_it():
    with pytest.raises(ModuleNotFoundError, match=r"bundled_top\.deep"):
        run_bundled(
            "bundled_top.modules.first",
            {name: text for name, text in files().items() if "deep" not in name},
            "",
        )


def test_other_modules_are_not_affected():
    with pytest.raises(ValueError, match="on purpose"):
        run_bundled("bundled_top.modules.first", files(), "")
    assert json.loads("1") == 1
    with pytest.raises(ModuleNotFoundError):
        __import__("bundled_top.absent")


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host with a wormhole, on which the tests are root."""
    monkeypatch.setattr(bundle, "CODE", str(tmp_path / "code"))
    monkeypatch.setattr(bundle, "_MANAGED", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    real = os.lstat
    monkeypatch.setattr(os, "lstat", lambda path: os.stat_result([*real(path)[:4], 0, *real(path)[5:]]))
    monkeypatch.setattr(bundle._Running, "bundle", None)
    monkeypatch.setattr(bundle._Running, "file", "")
    return tmp_path / "code"


QUIET = {"bundled_top.modules.quiet": "from .. import other\n\ndef main():\n    other.SEEN.append(1)\n"}

ALL = 4
"""Two modules, and the packages that they are in."""


def run(digest="1", **more):
    """Run a module as a new process would; return how many texts it compiles."""
    forget()
    run_bundled("bundled_top.modules.quiet", files(**QUIET, **more), digest)
    assert sys.modules["bundled_top.other"].SEEN
    return len(bundle._Running.bundle.codes) - len(bundle._Running.bundle.kept)


def test_the_next_task_compiles_nothing(host):
    assert run() == ALL
    keep_code()
    assert run() == 0
    kept = {path.name: path.stat().st_ino for path in host.iterdir()}
    keep_code()
    assert {path.name: path.stat().st_ino for path in host.iterdir()} == kept
    assert host.stat().st_mode & 0o777 == 0o700
    assert [path.stat().st_mode & 0o777 for path in host.iterdir()] == [0o600]


def test_other_files_have_other_code(host):
    run()
    keep_code()
    (host / "other-0").touch()
    assert run("2", **{"bundled_top.other": "VALUE = 7\nSEEN = [0]\n"}) == ALL
    assert sys.modules["bundled_top.other"].SEEN == [0, 1]
    keep_code()
    # The previous version is removed, and other modules are not.
    assert len(list(host.glob("quiet-*"))) == 1
    assert len(list(host.iterdir())) == 2


@pytest.mark.parametrize("content", [b"", b"no code", b"\xe9\xff\xff"])
def test_code_that_cannot_be_read_is_compiled_again(host, content):
    run()
    keep_code()
    [file] = host.iterdir()
    file.write_bytes(content)
    assert run() == ALL
    keep_code()
    assert run() == 0


def test_a_directory_of_others_is_not_used(host, monkeypatch):
    run()
    keep_code()
    host.chmod(0o770)
    assert run() == ALL
    keep_code()
    host.chmod(0o700)
    assert run() == 0
    theirs = os.lstat
    monkeypatch.setattr(
        os, "lstat", lambda path: os.stat_result([*theirs(path)[:4], 1000, *theirs(path)[5:]])
    )
    assert run() == ALL


@pytest.mark.parametrize("how", ["other user", "no digest", "no wormhole"])
def test_nothing_is_kept_elsewhere(host, monkeypatch, how):
    if how == "other user":
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
    if how == "no wormhole":
        monkeypatch.setattr(bundle, "_MANAGED", str(host / "absent"))
    run("" if how == "no digest" else "1")
    keep_code()
    assert not host.exists()


def test_a_full_disk_is_no_failure(host, monkeypatch):
    def replace(*_paths):
        raise OSError(errno.ENOSPC, "No space left on device")

    run()
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace)
        keep_code()
    assert run() == ALL
    keep_code()
    assert len(list(host.iterdir())) == 1


def test_garbage_is_looked_for_in_new_objects_only(host):
    spare_exit()
    assert gc.get_freeze_count() == 0
    run()
    assert gc.isenabled()
    imported = gc.get_freeze_count()
    assert imported > 0
    later = [[]]
    spare_exit()
    assert gc.get_freeze_count() > imported
    assert later
