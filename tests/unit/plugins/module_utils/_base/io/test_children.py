# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Functions in forked children, side by side. Those with a time limit: test_namespaces."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    EngineUnavailable,
    VerificationFailed,
)
from ansible_collections.wormhole.docker.plugins.module_utils._base.io.children import call_side_by_side


def together(*functions, limit=4):
    return call_side_by_side(functions, limit=limit, subject="the child")


@pytest.mark.parametrize("limit", [1, 2, 9])
def test_results_come_in_the_order_of_the_functions(limit):
    functions = [lambda number=number: (time.sleep(0.02 * (5 - number)), number)[1] for number in range(6)]
    assert together(*functions, limit=limit) == list(range(6))
    assert together() == []


def test_large_results_arrive_whole():
    assert together(*[lambda: "x" * 1_000_000] * 3) == ["x" * 1_000_000] * 3


def test_a_failure_leaves_the_others_alone():
    def fail():
        raise EngineUnavailable("dockerd", problem="dockerd is silent", remedy="Start it")

    first, failed, died, defect, last = together(
        lambda: 1, fail, lambda: os.kill(os.getpid(), signal.SIGKILL), lambda: 1 // 0, lambda: 2
    )
    assert (first, last) == (1, 2)
    assert (type(failed), str(failed)) == (EngineUnavailable, "dockerd is silent. Start it")
    assert (type(died), died.found) == (VerificationFailed, "the child process died")
    assert "ZeroDivisionError" in defect.found


def test_no_more_than_the_limit_run_at_the_same_time(tmp_path):
    def count():
        path = tmp_path / str(os.getpid())
        path.touch()
        time.sleep(0.4)  # for a machine that is busy
        found = len(list(tmp_path.iterdir()))
        path.unlink()
        return found

    assert max(together(*[count] * 6, limit=2)) == 2
    assert max(together(*[count] * 4, limit=1)) == 1


def test_all_children_end_with_their_parent(tmp_path):
    program = (
        "import os, sys, time\n"
        f"sys.path[:0] = {sys.path!r}\n"
        f"from {call_side_by_side.__module__} import call_side_by_side\n"
        "def wait():\n"
        f"    open({str(tmp_path)!r} + f'/{{os.getpid()}}', 'w').close()\n"
        "    time.sleep(60)\n"
        "call_side_by_side([wait] * 3, limit=3, subject='x')\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 30
    while len(list(tmp_path.iterdir())) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    children = [int(path.name) for path in tmp_path.iterdir()]
    while any(map(_lives, children)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [child for child in children if _lives(child)] == []
    assert len(children) == 3


def _lives(pid):
    """Whether it runs; a zombie that nobody has waited for yet does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
