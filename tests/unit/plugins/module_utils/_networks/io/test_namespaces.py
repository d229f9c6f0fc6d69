# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Functions in other processes' network namespaces; the integration target uses containers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    EngineUnavailable,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.io.probe import observe_endpoint
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.io.reachability import (
    observe_gateways,
)
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.model import EndpointSpec
from ansible_collections.wormhole.docker.plugins.module_utils._networks.io.namespaces import (
    call_in_network_namespace,
)


def _may_make_namespaces():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--net", "true"], check=False).returncode == 0


# Under ansible-test units this may run as anybody.
pytestmark = pytest.mark.skipif(not _may_make_namespaces(), reason="making a network namespace takes root")

SLEEPER = "import sys, time; print(flush=True); time.sleep(60)"


@pytest.fixture
def elsewhere():
    """The process id of something that lives in an empty network namespace."""
    process = subprocess.Popen(
        ["unshare", "--net", sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(autouse=True)
def nothing_is_left_behind():
    here = os.readlink("/proc/self/ns/net")
    open_before = set(os.listdir("/proc/self/fd"))
    yield
    assert os.readlink("/proc/self/ns/net") == here
    assert set(os.listdir("/proc/self/fd")) == open_before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def call(pid, function, timeout=10.0):
    return call_in_network_namespace(pid, function, timeout=timeout)


def test_the_function_runs_in_the_other_namespace(elsewhere):
    there = call(elsewhere, lambda: os.readlink("/proc/self/ns/net"))
    assert there == os.readlink(f"/proc/{elsewhere}/ns/net")
    assert there != os.readlink("/proc/self/ns/net")


def test_only_the_network_is_another(elsewhere, tmp_path):
    (tmp_path / "file").write_text("here")
    assert call(elsewhere, (tmp_path / "file").read_text) == "here"


def test_what_listens_here_is_not_there(elsewhere):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        here = observe_endpoint(EndpointSpec("127.0.0.1", port, timeout=0.2))
        there = observe_endpoint(EndpointSpec("127.0.0.1", port, timeout=0.2, container_pid=elsewhere))
    assert (here.reached.outcome, there.reached.outcome, there.reached.route, there.reached.gateways) == (
        "open",
        "unreachable",
        None,
        (),
    )
    assert observe_gateways(elsewhere, 5.0) == ()


def test_large_answers_arrive_whole():
    assert call(os.getpid(), lambda: "x" * 1_000_000) == "x" * 1_000_000


def test_errors_arrive_as_they_were():
    def fail():
        raise EngineUnavailable(
            "dockerd", expected="an answer", found="none", remedy="Start it", problem="dockerd is silent"
        )

    with pytest.raises(EngineUnavailable) as caught:
        call(os.getpid(), fail)
    assert caught.value.as_dict() == {
        "kind": "EngineUnavailable",
        "subject": "dockerd",
        "expected": "an answer",
        "found": "none",
        "remedy": "Start it",
    }
    assert str(caught.value) == "dockerd is silent. Start it"


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (lambda: 1 // 0, "ZeroDivisionError"),
        (object, "TypeError"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "the child process died"),
        (lambda: os._exit(3), "the child process died"),
    ],
)
def test_defects_are_told(function, found):
    with pytest.raises(VerificationFailed, match=found):
        call(os.getpid(), function)


def test_it_does_not_wait_for_ever():
    start = time.monotonic()
    with pytest.raises(VerificationFailed, match=r"an answer within 0\.2 s"):
        call(os.getpid(), lambda: time.sleep(60), timeout=0.2)
    assert time.monotonic() - start < 5


def test_exit_handlers_of_the_caller_do_not_run_twice(tmp_path):
    log = tmp_path / "log"
    program = (
        "import atexit, os, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        f"from {call_in_network_namespace.__module__} import call_in_network_namespace\n"
        f"atexit.register(lambda: open({str(log)!r}, 'a').write('x'))\n"
        "print('once', end='')\n"
        "call_in_network_namespace(os.getpid(), lambda: None, timeout=10)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.PIPE)
    assert (log.read_text(), done.stdout) == ("x", b"once")


def test_the_child_ends_with_its_parent(tmp_path):
    pid_file = tmp_path / "pid"
    program = (
        "import os, sys, time\n"
        f"sys.path[:0] = {sys.path!r}\n"
        f"from {call_in_network_namespace.__module__} import call_in_network_namespace\n"
        "def wait():\n"
        f"    open({str(pid_file)!r}, 'w').write(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "call_in_network_namespace(os.getpid(), wait, timeout=60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 10
    while not (pid_file.exists() and pid_file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    parent.kill()
    parent.wait()
    child = int(pid_file.read_text())
    while _lives(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _lives(child)


def _lives(pid):
    """Whether it runs; a zombie that nobody has waited for yet does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_process_that_has_ended():
    process = subprocess.Popen(["true"])
    process.wait()
    with pytest.raises(WormholeError, match="is the container still running"):
        call(process.pid, lambda: None)
