# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The list of the wormholes of an engine. Real containers are in tests/system."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._gate.reaping import (
    Memory,
    Removed,
    render_memory,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.io import survey as wormhole_survey
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.io.survey import survey
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import (
    IMAGE,
    FakeEngine,
)

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=timezone.utc)


@pytest.fixture
def engine():
    return FakeEngine()


def create(engine, name, transport="tls", *, directory="", running=True, managed=True):
    labels = {
        "wormhole.docker.transport": transport,
        **({"wormhole.docker.managed": "true"} if managed else {}),
    }
    env = ["DOCKER_HOST=tcp://172.17.0.1:2376", "DOCKER_CERT_PATH=/certs"]
    body = {"Image": IMAGE, "Cmd": ["sleep"], "Labels": labels, "Env": env}
    identifier = engine.create_container(name, body)
    engine._search(name)["Mounts"] = [{"Source": directory or "/nowhere", "Destination": "/certs"}]
    if running:
        engine.start_container(identifier)


def look(engine, connect=None, verify=False, now=NOW):
    return {found["name"]: found for found in survey(engine, connect, now, verify=verify)}


def test_nothing_is_verified_unless_requested(engine):
    create(engine, "agent")
    found = look(engine)["agent"]
    assert (found["proved"], found["problem"], found["running"]) == (None, "", True)
    assert (found["certificate_days_left"], found["certificate_not_after"]) == (None, "")


def test_running_wormholes_are_verified_one_by_one(engine):
    create(engine, "agent", directory="/a")
    create(engine, "broken", directory="/b", managed=False)
    create(engine, "stopped", running=False)

    def connect(pid, spec, wiring):
        assert (spec.certificate_path, wiring.address, wiring.port) == ("/certs", "172.17.0.1", 2376)
        if spec.identity_directory == "/b":
            raise VerificationFailed("tcp://172.17.0.1:2376", found="connection refused")

    found = look(engine, connect, verify=True)
    assert {name: wormhole["proved"] for name, wormhole in found.items()} == {
        "agent": True,
        "broken": False,
        "stopped": None,
    }
    assert found["broken"]["problem"] == "tcp://172.17.0.1:2376: found connection refused"
    assert [found[name]["managed"] for name in ("agent", "broken")] == [True, False]


def test_what_still_looks_for_its_engine_is_said_to(engine, monkeypatch):
    create(engine, "agent")
    engine._search("agent")["Config"]["Labels"]["wormhole.docker.discover"] = "runtime"
    engine._search("agent")["Config"]["Env"] = ["DOCKER_CERT_PATH=/certs", "WORMHOLE_PORT=2377"]

    def search(_pid, _wiring):
        raise VerificationFailed("the container", found="that it is still searching")

    def connect(pid, spec, wiring):
        assert (spec.discover, wiring.port) == ("runtime", 2377)
        search(pid, wiring)

    monkeypatch.setattr(wormhole_survey, "find_wiring", search)
    found = look(engine, connect, verify=True)["agent"]
    assert (found["proved"], found["docker_host"]) == (False, "")
    assert found["problem"] == "the container: found that it is still searching"


@pytest.mark.parametrize(
    "left, days",
    [
        (timedelta(days=3), 3),
        (timedelta(days=3, seconds=-1), 2),
        (timedelta(seconds=1), 0),
        (timedelta(seconds=-1), -1),
    ],
)
def test_days_are_whole_days(engine, tmp_path, monkeypatch, left, days):
    """The certificate is the host's: that of the container's creation may have been renewed."""

    class Certificate:
        not_after = NOW + left

    monkeypatch.setattr(
        "ansible_collections.wormhole.docker.plugins.module_utils._wormhole.io.survey.read_certificate",
        lambda content: Certificate,
    )
    (tmp_path / "cert.pem").write_bytes(b"pem")
    create(engine, "agent", directory=str(tmp_path), running=False)
    found = look(engine)["agent"]
    assert found["certificate_days_left"] == days
    assert found["certificate_not_after"].startswith("2026-11-2")


def test_siblings_are_listed_by_their_owner(engine, tmp_path, monkeypatch):
    for name, identity in (("agent", "agent"), ("other", "other"), ("plain", "")):
        create(engine, name)
        if identity:
            engine._search(name)["Config"]["Labels"]["wormhole.docker.identity"] = identity
    for name, owner in (("web", "agent"), ("db", "agent"), ("theirs", "other"), ("odd", "")):
        engine.create_container(
            name, {"Image": IMAGE, "Cmd": ["sleep"], "Labels": {"wormhole.docker.owner": owner}}
        )
    engine.start_container("web")
    rows = [
        Removed(name, "volume", "v1", "v1", "removed", 1796119200 + number)
        for number, name in enumerate(("agent", "gone"))
    ]
    (tmp_path / "siblings.json").write_bytes(render_memory(Memory(removed=tuple(rows))))
    monkeypatch.setattr(wormhole_survey, "STATE", str(tmp_path))
    found = look(engine)
    assert [(row["name"], row["state"]) for row in found["agent"]["siblings"]] == [
        ("db", "created"),
        ("web", "running"),
    ]
    assert found["agent"]["siblings_used"] == {"containers": 2, "running": 1, "networks": 0}
    assert found["agent"]["siblings_removed"] == [
        {"kind": "volume", "id": "v1", "name": "v1", "action": "removed", "time": "2026-12-01T10:00:00Z"}
    ]
    assert [row["name"] for row in found["other"]["siblings"]] == ["theirs"]
    assert found["plain"]["siblings"] == found["plain"]["siblings_removed"] == []


def test_without_a_gate_there_are_no_siblings(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(wormhole_survey, "STATE", str(tmp_path))
    create(engine, "agent")
    assert look(engine)["agent"]["siblings"] == look(engine)["agent"]["siblings_removed"] == []
    (tmp_path / "siblings.json").write_text("[")
    assert look(engine)["agent"]["siblings_removed"] == []
