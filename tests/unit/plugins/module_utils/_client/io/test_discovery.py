# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the address that wormhole-discover chose from real processes."""

from __future__ import annotations

import contextlib
import subprocess
import time
from datetime import datetime, timezone

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._client.io import discovery
from ansible_collections.wormhole.docker.plugins.module_utils._networks.routes import parse_ipv4_routes
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.spec import WiringSpec
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.wire import Wiring
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.io.survey import survey
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._networks.test_routes import IPV4

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


def test_the_environment_of_the_process_has_the_address():
    with running("sleep", "30", DOCKER_HOST="tcp://[fd00::1]:2377") as pid:
        found = discovery.find_wiring(pid, WIRING)
    assert (found.docker_host, found.address, found.port) == ("tcp://[fd00::1]:2377", "fd00::1", 2377)


def test_an_init_process_has_the_command_as_a_child():
    with running("sh", "-c", "DOCKER_HOST=tcp://10.0.0.1:2376 sleep 2 & wait") as pid:
        assert discovery.find_wiring(pid, WIRING).address == "10.0.0.1"


def test_a_search_in_progress_is_an_error(monkeypatch):
    monkeypatch.setattr(discovery, "WRAPPER", ("sleep", "30"))
    # DOCKER_HOST of the image is not the address that the program found.
    with running("sleep", "30", DOCKER_HOST="tcp://image:2375") as pid, pytest.raises(
        VerificationFailed
    ) as error:
        discovery.find_wiring(pid, WIRING)
    assert "still searching" in str(error.value)


@pytest.fixture
def elsewhere(monkeypatch):
    """A container whose process has overwritten its environment."""
    monkeypatch.setattr(discovery, "call_in_network_namespace", lambda pid, function, timeout: function())
    monkeypatch.setattr(discovery, "read_routes", lambda: parse_ipv4_routes(IPV4, "little"))
    monkeypatch.setattr(discovery, "read_container_hosts", lambda pid: "10.0.0.9 host.docker.internal\n")
    with running("sleep", "30") as pid:
        yield pid


def test_without_an_environment_the_first_working_address_is_taken(elsewhere):
    tried = []

    def attempt(wiring):
        tried.append(wiring.docker_host)
        if wiring.address != "10.0.0.9":
            raise VerificationFailed(wiring.docker_host, found="nothing")

    assert discovery.find_wiring(elsewhere, WIRING, attempt).address == "10.0.0.9"
    assert tried == ["tcp://172.17.0.1:2376", "tcp://10.0.0.9:2376"]


def test_candidates_follow_the_containers_settings(elsewhere):
    assert discovery.candidates(elsewhere)[:2] == ("172.17.0.1", "10.0.0.9")
    with running("sleep", "30", WORMHOLE_CANDIDATES="127.0.0.1 host-gateway") as pid:
        assert discovery.candidates(pid) == ("127.0.0.1", "10.0.0.9")


def test_if_nothing_works_the_error_lists_the_attempts(elsewhere):
    def attempt(wiring):
        raise VerificationFailed(wiring.docker_host, found=f"nothing at {wiring.address}")

    with pytest.raises(VerificationFailed) as error:
        discovery.find_wiring(elsewhere, WIRING, attempt)
    assert "nothing at 172.17.0.1" in str(error.value)
    assert "nothing at 10.0.0.9" in str(error.value)


class Containers:
    """An engine with one container."""

    def __init__(self, pid=0, *names):
        self.labels = {"wormhole.docker.discover": "runtime", "wormhole.docker.transport": "tls"}
        self.names = [f"/{name}" for name in names]
        self.pid = pid

    def containers(self, *, labels, running_only=False):
        del running_only
        asked = all(value in (None, self.labels.get(key)) for key, value in labels.items())
        return [{"Id": "1", "Names": self.names, "Labels": self.labels}] if self.names and asked else []

    def networks(self):
        return []

    def find_container(self, _name):
        config = {"Labels": self.labels, "Env": ["WORMHOLE_PORT=2376"]}
        return {"Id": "1", "Config": config, "State": {"Running": True, "Pid": self.pid}}


def test_the_list_of_wormholes_has_the_discovered_address():
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
