# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The program that finds the engine: its files, and what it settled on, told by real processes."""

from __future__ import annotations

import contextlib
import subprocess
import time
from datetime import datetime, timezone

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import discovery
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.wormhole_survey import survey
from ansible_collections.wormhole.docker.plugins.module_utils._core.discovery_program import (
    InstallProgram,
    ProgramState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._core.routes import parse_ipv4_routes
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import WiringSpec
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._core.test_routes import IPV4

WIRING = Wiring("tcp://192.0.2.1:2376", "192.0.2.1", 2376)
RUNTIME = WiringSpec(discover="runtime")


@contextlib.contextmanager
def running(*command, **environment):
    process = subprocess.Popen(command, env={"PATH": "/usr/bin:/bin", **environment})
    try:
        time.sleep(0.3)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def test_what_a_process_has_is_what_it_settled_on():
    with running("sleep", "30", DOCKER_HOST="tcp://[fd00::1]:2377") as pid:
        found = discovery.settle(pid, WIRING)
    assert (found.docker_host, found.address, found.port) == ("tcp://[fd00::1]:2377", "fd00::1", 2377)


def test_behind_an_init_process_it_is_the_childs():
    with running("sh", "-c", "DOCKER_HOST=tcp://10.0.0.1:2376 sleep 2 & wait") as pid:
        assert discovery.settle(pid, WIRING).address == "10.0.0.1"


def test_as_long_as_it_searches_there_is_nothing(monkeypatch):
    monkeypatch.setattr(discovery, "WRAPPER", ("sleep", "30"))
    # What an image says of DOCKER_HOST is not what the program has found.
    with running("sleep", "30", DOCKER_HOST="tcp://image:2375") as pid, pytest.raises(
        VerificationFailed
    ) as error:
        discovery.settle(pid, WIRING)
    assert "still searching" in str(error.value)


@pytest.fixture
def elsewhere(monkeypatch):
    """A container whose process has overwritten its environment."""
    monkeypatch.setattr(discovery, "call_in_network_namespace", lambda pid, function, timeout: function())
    monkeypatch.setattr(discovery, "read_routes", lambda: parse_ipv4_routes(IPV4, "little"))
    monkeypatch.setattr(discovery, "read_container_hosts", lambda pid: "10.0.0.9 host.docker.internal\n")
    with running("sleep", "30") as pid:
        yield pid


def test_where_a_process_does_not_tell_the_first_that_works_is_it(elsewhere):
    tried = []

    def attempt(wiring):
        tried.append(wiring.docker_host)
        if wiring.address != "10.0.0.9":
            raise VerificationFailed(wiring.docker_host, found="nothing")

    assert discovery.settle(elsewhere, WIRING, attempt).address == "10.0.0.9"
    assert tried == ["tcp://172.17.0.1:2376", "tcp://10.0.0.9:2376"]


def test_what_it_tries_is_what_its_own_settings_say(elsewhere):
    assert discovery.candidates(elsewhere)[:2] == ("172.17.0.1", "10.0.0.9")
    with running("sleep", "30", WORMHOLE_CANDIDATES="127.0.0.1 host-gateway") as pid:
        assert discovery.candidates(pid) == ("127.0.0.1", "10.0.0.9")


def test_where_nothing_works_it_says_so(elsewhere):
    def attempt(wiring):
        raise VerificationFailed(wiring.docker_host, found=f"nothing at {wiring.address}")

    with pytest.raises(VerificationFailed) as error:
        discovery.settle(elsewhere, WIRING, attempt)
    assert "nothing at 172.17.0.1" in str(error.value)
    assert "nothing at 10.0.0.9" in str(error.value)


class Containers:
    """An engine that has one container."""

    def __init__(self, pid=0, *names):
        self.labels = {"wormhole.docker.discover": "runtime", "wormhole.docker.transport": "tls"}
        self.names = [f"/{name}" for name in names]
        self.pid = pid

    def containers(self, *, labels, running_only=False):
        del running_only
        asked = all(value in (None, self.labels.get(key)) for key, value in labels.items())
        return [{"Id": "1", "Names": self.names, "Labels": self.labels}] if self.names and asked else []

    def find_container(self, _name):
        config = {"Labels": self.labels, "Env": ["WORMHOLE_PORT=2376"]}
        return {"Id": "1", "Config": config, "State": {"Running": True, "Pid": self.pid}}


def test_the_list_of_wormholes_tells_what_a_container_has_looked_up():
    with running("sleep", "30", DOCKER_HOST="tcp://10.0.0.1:2376") as pid:
        (found,) = survey(
            Containers(pid, "agent"), lambda *arguments: None, datetime.now(timezone.utc), verify=True
        )
    assert (found["docker_host"], found["address"], found["port"]) == (
        "tcp://10.0.0.1:2376",
        "10.0.0.1",
        2376,
    )
    assert found["proved"] is True


@pytest.fixture
def directory(monkeypatch, tmp_path):
    path = tmp_path / "wormhole-docker"
    monkeypatch.setattr(discovery, "DIRECTORY", str(path))
    monkeypatch.setattr(discovery, "PROGRAM", str(path / "program"))
    monkeypatch.setattr(discovery, "NAMES", str(path / "names"))
    return path


def test_installed_observed_and_removed_without_a_trace(directory):
    engine = Containers(0, "agent", "other")
    assert discovery.observe_program(engine, WiringSpec(), ("agent",), ()) == ProgramState()
    discovery.install_program(InstallProgram("text", ("IP:10.0.0.1", "DNS:localhost")))
    assert (directory / "program").stat().st_mode & 0o777 == 0o755
    expected = ProgramState("text", ("IP:10.0.0.1", "DNS:localhost"), users=("other",))
    assert discovery.observe_program(engine, RUNTIME, ("agent",), ()) == expected
    discovery.install_program(InstallProgram(None, ("IP:10.0.0.2",)))
    assert discovery.observe_program(engine, RUNTIME, ("agent",), ()).program == "text"
    discovery.remove_program()
    assert not directory.exists()


def test_what_is_not_ours_in_the_directory_stays(directory):
    discovery.install_program(InstallProgram("text", None))
    (directory / "mine").touch()
    discovery.remove_program()
    assert [path.name for path in directory.iterdir()] == ["mine"]
