# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Reading the host's networks and files, with real sockets and files."""

from __future__ import annotations

import json
import socket

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    EngineUnavailable,
    InvalidInput,
    MissingRequirement,
    Refused,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io.decoding import (
    read_certificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.io.served import (
    HostQuestions,
    observe_engine_host,
)
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.model import (
    EndpointSpec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._engine.command import EngineCommand
from ansible_collections.wormhole.docker.plugins.module_utils._engine.io import daemon_config
from ansible_collections.wormhole.docker.plugins.module_utils._gate import config as gate_config
from ansible_collections.wormhole.docker.plugins.module_utils._gate import units as gate_units
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.facts import make_facts
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._endpoint.io.test_probe import (
    Authority,
    write_identity,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._endpoint.states import make_state
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import FakeEngine

ROOT = "/var/lib/docker"
LOOPBACK = "127.0.0.1"
ELSEWHERE = "198.51.100.1"
SERVED = make_facts("IP:127.0.0.1")


class Engine(FakeEngine):
    """An engine with an identity, which counts how often it was opened."""

    opened = 0

    def __call__(self):
        self.opened += 1
        return self

    def info(self):
        return {**super().info(), "ID": "this engine", "DockerRootDir": ROOT}


def unavailable():
    raise MissingRequirement("Python module docker", remedy="Install python3-docker")


@pytest.fixture
def config(tmp_path, monkeypatch):
    """The path of the file that dockerd reads, which does not exist."""
    path = tmp_path / "daemon.json"
    words = f"dockerd -H fd:// --config-file {path}"
    monkeypatch.setattr(daemon_config, "observe_command", lambda: EngineCommand(words, f"/usr/sbin/{words}"))
    return path


@pytest.fixture
def look(config):
    """Observe an endpoint from the host, by default its own."""

    def call(
        connect=None,
        *,
        address=LOOPBACK,
        container=0,
        engine_id="",
        engine_root=ROOT,
        served=SERVED,
        port=2376,
        **questions,
    ):
        spec = EndpointSpec(address, port, container_pid=container)
        state = make_state(peer=address, served=served, engine_id=engine_id, engine_root=engine_root)
        asked = HostQuestions(**questions)
        return observe_engine_host(spec, state, asked, connect or Engine())

    return call


@pytest.fixture
def server(tmp_path):
    """The directory of a server's certificate."""
    authority = Authority()
    return write_identity(tmp_path / "server", authority, authority.issue("dockerd", [LOOPBACK]))


def names(host):
    return {name.name for name in host.names}


@pytest.mark.parametrize("wanted", [None, True])
@pytest.mark.parametrize("engine_id", ["", "this engine"])
def test_the_hosts_own_endpoint_is_compared_with_its_networks(look, config, wanted, engine_id):
    host = look(networks=wanted, engine_id=engine_id)
    assert {"IP:172.17.0.1", "DNS:localhost"} <= names(host)
    assert host.topology.default.address == "172.17.0.1"
    assert host.not_compared == ""


# The endpoint; the reason if the networks were not requested; the error if they were.
@pytest.mark.parametrize(
    ("values", "reason", "error"),
    [
        ({"address": ELSEWHERE}, "198.51.100.1 is not an address of this host", InvalidInput),
        ({"container": 1}, "observed from a container", None),
        ({"container": 1, "address": ELSEWHERE}, "198.51.100.1 is not an address of this host", InvalidInput),
        ({"engine_id": "another engine"}, "another one", InvalidInput),
        (
            {"engine_id": "this engine", "engine_root": "/srv/docker"},
            "whose data is in /srv/docker",
            InvalidInput,
        ),
        ({"connect": unavailable}, "python3-docker", MissingRequirement),
    ],
)
def test_networks_that_cannot_be_compared(look, config, server, values, reason, error):
    config.write_text(json.dumps({"tlscert": f"{server}/cert.pem"}))
    host = look(**values)
    assert (host.topology, host.names) == (None, ())
    assert reason in host.not_compared
    # daemon.json belongs to the host's own engine, even if that engine does not answer.
    assert (host.installed is None) == ("connect" not in values)
    if error is None:
        assert names(look(**values, networks=True))
    else:
        with pytest.raises(error, match=reason):
            look(**values, networks=True)


def test_the_engine_is_opened_only_if_needed(look, config):
    engine = Engine()
    for values in ({"address": ELSEWHERE}, {"container": 1}, {"networks": False}, {"served": None}):
        assert look(engine, **values).topology is None
    assert engine.opened == 0
    look(engine)
    assert engine.opened == 1


def test_names_include_promised_networks(look, config):
    config.write_text(json.dumps({"default-address-pools": [{"base": "10.1.0.0/23", "size": 24}]}))
    host = look()
    assert {(n.name, n.urgent) for n in host.names} >= {("IP:10.1.0.1", False), ("IP:10.1.1.1", False)}


def test_networks_that_are_not_requested(look, config, server):
    config.write_text(json.dumps({"tlscert": f"{server}/cert.pem"}))
    host = look(networks=False)
    assert (host.topology, host.not_compared) == (None, "not requested")
    assert host.installed.common_name == "dockerd"


def test_the_installed_certificate_is_the_tlscert_of_daemon_json(look, config, server):
    config.write_text(json.dumps({"tlscert": f"{server}/cert.pem"}))
    host = look()
    with open(f"{server}/cert.pem", "rb") as stream:
        assert host.installed == read_certificate(stream.read())
    assert (host.installed_path, host.not_installed) == (f"{server}/cert.pem", "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "names no tlscert"),
        ("{}", "names no tlscert"),
        (
            '{"tlscert": "/nonexistent/cert.pem"}',
            "/nonexistent/cert.pem: expected the server's certificate, found no",
        ),
        ('{"tlscert": "/"}', "/"),
    ],
)
def test_without_an_installed_certificate(look, config, text, reason):
    if text is not None:
        config.write_text(text)
    host = look()
    assert host.installed is None
    assert reason in host.not_installed
    # The networks do not depend on it.
    assert names(host)


def test_the_daemon_json_of_another_engine_is_not_read(look, config, server):
    config.write_text(json.dumps({"tlscert": f"{server}/cert.pem"}))
    host = look(own_config=False)
    assert host.installed is None
    assert "another engine's" in host.not_installed


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """Directories of units and of the gate's configuration."""
    monkeypatch.setattr(gate_units, "UNIT_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(gate_config, "PATH", str(tmp_path / "gate.json"))
    return tmp_path


def test_the_socket_unit_tells_who_serves_and_the_gates_certificate_is_its_own(look, config, server, gate):
    config.write_text("{}")
    assert look().served_by == "dockerd"
    assert look(address=ELSEWHERE).served_by == ""
    (gate / "wormhole-gate-tls-127.0.0.1:2376.socket").touch()
    assert look(port=2377).served_by == "dockerd"
    host = look()
    assert (host.served_by, host.installed) == ("gate", None)
    assert host.not_installed == f"{gate}/gate.json names no certificate"
    (gate / "gate.json").write_text(json.dumps({"tls": server}))
    host = look()
    assert (host.installed.common_name, host.installed_path) == ("dockerd", f"{server}/cert.pem")


def test_a_broken_daemon_json_is_reported(look, config):
    config.write_text("{")
    host = look()
    assert (host.topology, host.installed) == (None, None)
    assert "broken JSON" in host.not_compared
    assert "broken JSON" in host.not_installed
    with pytest.raises(Refused, match="broken JSON"):
        look(networks=True)


@pytest.mark.parametrize("values", [{}, {"container": 1}, {"own_config": False}, {"connect": unavailable}])
def test_a_server_directory_is_read(look, config, server, values):
    host = look(**values, server_directory=server)
    assert host.installed.common_name == "dockerd"
    assert host.installed_path == f"{server}/cert.pem"


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"address": ELSEWHERE}, InvalidInput, "option server_directory requires an endpoint of this host"),
        ({"server_directory": "/nonexistent"}, WormholeError, "found no file"),
        ({"content": "no certificate"}, VerificationFailed, "cert.pem: not an X.509 certificate"),
    ],
)
def test_a_server_directory_that_cannot_be_read(look, config, server, values, error, words):
    values = {"server_directory": server, **values}
    if "content" in values:
        with open(f"{server}/cert.pem", "w", encoding="utf-8") as stream:
            stream.write(values.pop("content"))
    with pytest.raises(error, match=words):
        look(**values)


def test_listening_addresses(look, config):
    with socket.create_server((LOOPBACK, 0)) as listener:
        assert look(port=listener.getsockname()[1]).listening == (LOOPBACK,)


class SpeechlessEngine(FakeEngine):
    """An engine that can be opened but does not answer."""

    def networks(self):
        raise EngineUnavailable("GET /networks", found="timed out")


def test_an_engine_that_does_not_answer_fails_only_if_requested(look):
    assert look(SpeechlessEngine).not_compared == "GET /networks: found timed out"
    with pytest.raises(EngineUnavailable):
        look(SpeechlessEngine, networks=True)
