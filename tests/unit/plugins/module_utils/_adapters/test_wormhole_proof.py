# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a wormhole counts as proved. The traversal itself needs a container: see tests/integration."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.wormhole_proof import WormholeProver
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import WiringSpec
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._adapters.fake_engine import (
    IMAGE,
    FakeEngine,
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
