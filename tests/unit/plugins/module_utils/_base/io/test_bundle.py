# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modules are imported from a mapping."""

from __future__ import annotations

import inspect
import json
import sys
import traceback

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.io.bundle import run_bundled

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
    for name in [name for name in sys.modules if name.partition(".")[0] in {"bundled_top", "json"}]:
        if name.startswith("bundled_top"):
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
        run_bundled("bundled_top.modules.first", files())
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
        )


def test_other_modules_are_not_affected():
    with pytest.raises(ValueError, match="on purpose"):
        run_bundled("bundled_top.modules.first", files())
    assert json.loads("1") == 1
    with pytest.raises(ModuleNotFoundError):
        __import__("bundled_top.absent")
