# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a wormhole counts as proved. The traversal of a container is in tests/integration, that of a process with files of its own
here."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.wormhole_proof import (
    WormholeProver,
    traverse,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import WiringSpec
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._adapters.fake_engine import (
    IMAGE,
    FakeEngine,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._adapters.test_probe import (
    LOOPBACK,
    Authority,
    Lab,
    write_identity,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._adapters.test_probe import (
    engine as serving,
)

REFUSED = VerificationFailed("tcp://172.17.0.1:2376 (port)", found="connection refused", remedy="Mend it")


class Traversal:
    """Fails as often as it is told to, and remembers what it was asked."""

    def __init__(self, failures=0):
        self.failures = failures
        self.pids = []

    def __call__(self, pid, spec, wiring):
        self.pids.append(pid)
        if len(self.pids) <= self.failures:
            raise REFUSED


@pytest.fixture
def engine():
    return FakeEngine()


def prove(engine, traversal, *, just_started, command=("sleep",), patience=0.5, **host_config):
    identifier = engine.create_container(
        "agent", {"Image": IMAGE, "Cmd": list(command), "HostConfig": host_config}
    )
    engine.start_container(identifier)
    prover = WormholeProver(engine, traverse=traversal, patience=patience, settling=0.01, pause=0.001)
    prover.prove(identifier, WiringSpec(), Wiring("tcp://172.17.0.1:2376"), just_started)


def test_a_running_container_is_traversed_once(engine):
    traversal = Traversal()
    prove(engine, traversal, just_started=False)
    assert traversal.pids == [4242]


def test_a_container_that_was_just_started_gets_a_moment(engine):
    traversal = Traversal(failures=3)
    prove(engine, traversal, just_started=True)
    assert len(traversal.pids) == 4


def test_the_moment_ends(engine):
    with pytest.raises(
        VerificationFailed, match="container agent: tcp://.*found connection refused. Mend it"
    ):
        prove(engine, Traversal(failures=10**9), just_started=True, patience=0.05)


def test_a_container_that_ran_before_gets_none(engine):
    traversal = Traversal(failures=1)
    with pytest.raises(VerificationFailed, match="connection refused"):
        prove(engine, traversal, just_started=False)
    assert len(traversal.pids) == 1


@pytest.mark.parametrize("host_config", [{}, {"RestartPolicy": {"Name": "always"}}])
def test_a_container_that_ends_is_told_with_its_log(engine, host_config):
    engine.log = "one\ntwo\n"
    with pytest.raises(
        VerificationFailed, match="keep running, found that it ended with exit code 1; .*one\ntwo"
    ):
        prove(engine, Traversal(), just_started=True, command=["false"], **host_config)


def test_a_container_that_ends_after_it_was_traversed_is_not_proved(engine):
    def end(pid, spec, wiring):
        engine.stop_container("agent")

    with pytest.raises(VerificationFailed, match="ended with exit code 137; its log is empty"):
        prove(engine, end, just_started=True)


def test_a_container_that_was_restarted_meanwhile_is_not_proved(engine):
    def restart(pid, spec, wiring):
        engine._search("agent")["RestartCount"] = 1

    with pytest.raises(VerificationFailed, match="keep running"):
        prove(engine, restart, just_started=True)


# --- the traversal ------------------------------------------------------------------------------------------------

SLEEPER = "import os, sys, time; os.chroot(sys.argv[1]); print(flush=True); time.sleep(60)"


@pytest.fixture
def contained(tmp_path):
    """The root directory of a process of its own, and its process id."""
    root = tmp_path / "root"
    (root / "run").mkdir(parents=True)
    process = subprocess.Popen(
        [sys.executable, "-c", SLEEPER, str(root)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        process.stdout.readline()
        yield root, process.pid
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="entering the namespaces of a process takes root")
@pytest.mark.parametrize("theirs_holds", [True, False])
@pytest.mark.parametrize("path", ["/run/certs", "/var/run/certs"])
def test_it_is_the_containers_own_certificate_that_proves_it(contained, tmp_path, theirs_holds, path):
    """The host's directory of that name may be another one than the container's, and so may be what a link leads to."""
    root, pid = contained
    (root / "var").mkdir()
    (root / "var" / "run").symlink_to("/run")
    lab, stranger = Lab(tmp_path), Authority("stranger")
    good, bad = (lab.authority, lab.authority.client()), (stranger, stranger.client())
    theirs, ours = (good, bad) if theirs_holds else (bad, good)
    write_identity(root / "run" / "certs", *theirs)
    host = write_identity(tmp_path / "host", *ours)
    spec = WiringSpec(identity_directory=host, certificate_path=path)
    with serving(lab.context()) as port:
        wiring = Wiring(f"tcp://{LOOPBACK}:{port}", LOOPBACK, port)
        if theirs_holds:
            traverse(pid, spec, wiring)
            return
        with pytest.raises(VerificationFailed, match=rf"not in {path}/ca.pem.* recreate the container"):
            traverse(pid, spec, wiring)
