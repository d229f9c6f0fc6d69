# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the gate records of calls to a stand-in for the engine, and what it answers about it."""

from __future__ import annotations

import io
import json
import time

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.io import consulting, questions
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.inquiry import Inquiry
from ansible_collections.wormhole.docker.plugins.module_utils._policy.until import render_time
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.stand_in import (
    IDENTITY,
    Client,
    answer,
    soon,
    staged,
)

OWN, ME, WEB = "1" * 64, "2" * 64, "3" * 64
OWNER = "wormhole.docker.owner"
CREATE = json.dumps(
    {
        "Image": "alpine",
        "Env": ["TOKEN=s3cret"],
        "HostConfig": {"Binds": ["/srv/data:/data:ro"], "Privileged": False},
    }
).encode()


def container(identifier, name, **labels):
    return answer({"Id": identifier, "Name": f"/{name}", "Config": {"Labels": labels}})


@pytest.fixture
def stage():
    with staged(preset="observe", mode="learn") as (engine, gate):
        engine.answers |= {
            "GET /version": answer({}),
            "POST /containers/create": answer({"Id": OWN}, "201 Created"),
            f"GET /containers/{OWN}/json": container(OWN, "new", **{OWNER: IDENTITY}),
            f"POST /containers/{OWN}/start": answer(b"", "204 No Content"),
            "GET /containers/web/json": container(WEB, "web", autoheal="true"),
            f"GET /containers/{WEB}/json": container(WEB, "web"),
            "POST /containers/web/restart": answer(b"", "204 No Content"),
            "GET /images/alpine/json": answer({"Id": "sha256:" + "a" * 64, "RepoTags": ["alpine:latest"]}),
        }
        yield engine, gate


@pytest.fixture
def client(stage):
    found = Client(stage[1].path)
    yield found
    found.close()


def rows(gate, wanted=1):
    """The recorded calls by route, as soon as there are so many kinds."""
    path = gate.learned / f"{IDENTITY}.json"
    assert soon(lambda: path.exists() and len(json.loads(path.read_text())["calls"]) >= wanted), path
    return {row["call"].get("route", ""): row for row in json.loads(path.read_text())["calls"]}


def answered(gate, command, question, capsys):
    config = gate.directory / "gate.json"
    config.write_text(json.dumps({"policies": str(gate.policies)}))
    stream = io.BytesIO(json.dumps(question).encode())
    assert questions.main(command, stream, str(gate.directory), str(config)) == 0
    return json.loads(capsys.readouterr().out)


def test_everything_is_forwarded_and_recorded(stage, client):
    _engine, gate = stage
    assert client.call("GET /version")[0] == 200
    assert client.call("GET /version")[0] == 200
    assert client.call("POST /v1.44/containers/create?name=new", body=CREATE)[0] == 201
    assert client.call(f"POST /v1.44/containers/{OWN}/start")[0] == 204
    assert soon(lambda: rows(gate, 3)["version"]["count"] == 2)
    found = rows(gate, 3)
    assert found["version"]["decision"] == "allow"
    create = found["container.create"]
    assert (create["decision"], create["code"], create["mode"]) == ("would_deny", "power", "learn")
    assert create["call"]["body"] == {
        "Image": "docker.io/library/alpine:latest",
        "HostConfig": {"Binds": ["/srv/data:/x:ro"]},
    }
    start = found["container.start"]["call"]
    assert start["objects"] == {"container:own-1": {"is": "own"}}
    assert "s3cret" not in (gate.learned / f"{IDENTITY}.json").read_text()


def test_what_is_created_while_learning_has_an_owner(stage, client):
    engine, _gate = stage
    client.call("POST /v1.44/containers/create?name=new", body=CREATE)
    (body,) = [body for head, body in engine.requests if b"/create" in head]
    assert json.loads(body) == {**json.loads(CREATE), "Labels": {OWNER: IDENTITY}}


@pytest.mark.parametrize("preset", ["unrestricted", "observe"])
def test_an_owner_cannot_be_forged_while_learning(stage, client, preset):
    engine, gate = stage
    gate.allow(IDENTITY, preset=preset, mode="learn")
    body = json.dumps({"Image": "alpine", "Labels": {OWNER: "other"}}).encode()
    client.call("POST /v1.44/containers/create", body=body)
    (content,) = [body for head, body in engine.requests if b"/create" in head]
    assert json.loads(content)["Labels"] == {OWNER: IDENTITY}


def test_containers_of_others_are_recorded_by_name(stage, client):
    _engine, gate = stage
    client.call("POST /v1.44/containers/web/restart")
    assert rows(gate)["container.restart"]["call"]["objects"] == {
        "container:web": {"is": "foreign", "labels": ["autoheal=true"]}
    }


def test_an_update_is_recognised(stage, client):
    engine, gate = stage
    web = {
        "Id": WEB, "Name": "/web", "Config": {"Image": "alpine", "Labels": {}}, "HostConfig": {"NetworkMode": "bridge"},
        "NetworkSettings": {"Networks": {"bridge": {}}},
    }  # fmt: skip
    engine.answers |= {"GET /containers/web/json": answer(web), f"GET /containers/{WEB}/json": answer(web)}
    engine.answers["DELETE /containers/web"] = answer(b"", "204 No Content")
    assert client.call("DELETE /v1.44/containers/web")[0] == 204
    del engine.answers["GET /containers/web/json"], engine.answers[f"GET /containers/{WEB}/json"]
    body = json.dumps({"Image": "alpine", "HostConfig": {"NetworkMode": "bridge"}}).encode()
    client.call("POST /v1.44/containers/create?name=web", body=body)
    other = json.dumps({"Image": "alpine", "HostConfig": {"Binds": ["/srv:/x"]}}).encode()
    client.call("POST /v1.44/containers/create?name=web", body=other)
    assert rows(gate, 3)["container.delete"]["call"]["objects"]["container:web"]["is"] == "foreign"
    path = gate.learned / f"{IDENTITY}.json"
    creates = [row["call"] for row in json.loads(path.read_text())["calls"] if "body" in row["call"]]
    assert [call.get("copy", False) for call in creates] == [True, False]


def test_calls_that_cannot_be_read_are_recorded_without_their_content(stage, client):
    _engine, gate = stage
    client.call("POST /v1.44/swarm/init", body=b'{"AdvertiseAddr": "s3cret"}')
    client.call("GET /v1.44/secret-s3cret?token=s3cret")
    assert rows(gate, 2)[""]["decision"] == "would_deny"
    assert "s3cret" not in (gate.learned / f"{IDENTITY}.json").read_text()


def test_enforce_records_refusals_only_and_asks_nothing(stage, client):
    engine, gate = stage
    gate.allow(IDENTITY, preset="observe", mode="enforce")
    before = len(engine.lines())
    assert client.call("GET /version")[0] == 200
    assert client.call("POST /v1.44/containers/web/restart")[0] == 403
    found = rows(gate)
    assert list(found) == ["container.restart"]
    assert found["container.restart"]["decision"] == "deny"
    assert found["container.restart"]["call"]["objects"] == {"container:unknown-1": {"is": "unknown"}}
    assert engine.lines()[before:] == ["GET /version HTTP/1.1"] or len(engine.lines()) == before + 1


def test_learning_ends_by_itself(stage, client, capsys):
    _engine, gate = stage
    gate.allow(IDENTITY, preset="observe", mode="learn", until=render_time(time.time() - 5))
    assert client.call("POST /v1.44/containers/web/restart")[0] == 204, "warn refuses nothing"
    assert gate.records()[-1]["mode"] == "warn"
    (found,) = answered(gate, "report", {}, capsys)["identities"]
    assert (found["policy"]["mode"], found["policy"]["configured_mode"]) == ("warn", "learn")
    gate.allow(IDENTITY, preset="observe", mode="learn", until=render_time(time.time() + 500))
    client.call("POST /v1.44/containers/web/restart")
    assert gate.records()[-1]["mode"] == "learn"


def test_a_malformed_end_closes_the_identity(stage, client):
    _engine, gate = stage
    gate.allow(IDENTITY, preset="observe", mode="learn", until="tomorrow")
    status, content = client.call("GET /version")
    assert (status, b"cannot be read" in content) == (403, True)


def test_an_engine_that_does_not_answer_stops_no_call(stage, client, monkeypatch):
    _engine, gate = stage
    from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.engine import EngineDown

    def down(self, question, identity):
        raise EngineDown(502, "down")

    monkeypatch.setattr(Inquiry, "answer", down)
    assert client.call("POST /v1.44/containers/web/restart")[0] == 204
    assert rows(gate)["container.restart"]["call"]["objects"] == {"container:unknown-1": {"is": "unknown"}}


def test_a_report_suggests_a_policy(stage, client, capsys):
    _engine, gate = stage
    client.call("POST /v1.44/containers/create?name=new", body=CREATE)
    client.call(f"POST /v1.44/containers/{OWN}/start")
    rows(gate, 2)
    report = answered(gate, "report", {"identity": IDENTITY, "days": 1}, capsys)
    (found,) = report["identities"]
    assert found["refused"] == {"days": 1, "calls": 2, "kinds": 2}
    assert found["learned"]["calls"] == 2
    assert found["learned"]["dropped"] == 0
    assert found["suggestion"]["policy"] == "test"
    assert found["suggestion"]["policy_overrides"] == {
        "binds": [{"path": "/srv/data", "read_only": True}], "images": ["alpine"]
    }  # fmt: skip
    assert "policy: test\n" in found["suggestion"]["yaml"]
    call = next(row for row in found["calls"] if row["path"].endswith("/start"))
    assert (call["allowed"], call["code"], call["setting"]) == (False, "power", "powers")
    assert call["title"] == "POST /containers/{container}/start (its own container)"
    assert "policy_overrides.powers" in call["sentence"]
    # With the suggestion, nothing is refused.
    policy = {"identity": IDENTITY, "preset": "test", "overrides": found["suggestion"]["policy_overrides"]}
    assert answered(gate, "replay", {"policy": policy}, capsys) == {"calls": 2, "kinds": 2, "refused": []}
    gate.allow(IDENTITY, **{key: value for key, value in policy.items() if key != "identity"})
    (found,) = answered(gate, "report", {"days": 7}, capsys)["identities"]
    assert found["refused"] == {"days": 7, "calls": 0, "kinds": 0}


def test_a_replay_names_what_a_change_would_refuse(stage, client, capsys):
    _engine, gate = stage
    client.call("POST /v1.44/containers/create?name=new", body=CREATE)
    rows(gate)
    policy = {"identity": IDENTITY, "preset": "test", "overrides": {"images": ["busybox"]}}
    found = answered(gate, "replay", {"policy": policy}, capsys)["refused"]
    assert [(row["count"], row["code"], row["setting"]) for row in found] == [(1, "image", "images")]
    assert consulting.describe_replay(found) == (
        "This change would have refused 1 call: POST /containers/create "
        "(image docker.io/library/alpine:latest) (1 call)"
    )
    assert consulting.describe_replay([]) == ""


@pytest.mark.parametrize(
    "asked, allowed, code",
    [
        ({"path": "/containers/json"}, True, ""),
        ({"method": "POST", "path": "/containers/web/restart"}, False, "power"),
        ({"method": "GET", "path": "/swarm"}, False, "root_only"),
        ({"method": "GET", "path": "/containers/json?x=1"}, False, "unknown_parameter"),
    ],
)
def test_one_call_is_explained_without_the_engine(stage, capsys, asked, allowed, code):
    engine, gate = stage
    found = answered(gate, "report", {"identity": IDENTITY, "explain": asked}, capsys)["explanation"]
    assert (found["allowed"], found["code"]) == (allowed, code)
    assert found["sentence"].endswith(".")
    assert engine.lines() == []


@pytest.mark.parametrize(
    "command, question, text",
    [
        ("report", [], "expected a JSON object"),
        ("report", {"x": 1}, "expected a JSON object with"),
        ("report", {"days": 0}, "1 to 31 days"),
        ("report", {"days": True}, "1 to 31 days"),
        ("report", {"identity": "nobody", "explain": {"path": "/"}}, "nobody has no policy"),
        ("report", {"explain": {"path": "/"}}, "explain needs an identity"),
        ("report", {"identity": IDENTITY, "explain": {"x": 1}}, "expected an object with"),
        ("report", {"identity": IDENTITY, "explain": {"path": 1}}, "expected a method and a path"),
        (
            "report",
            {"identity": IDENTITY, "explain": {"path": "/info", "object": "x"}},
            "expected one of own",
        ),
        ("replay", {}, "policy"),
        ("replay", {"policy": {"identity": "../x", "preset": "test"}}, "the name of an identity"),
        ("replay", {"policy": {"identity": "ci", "preset": "none"}}, "policy.preset"),
    ],
)
def test_a_malformed_question_gets_an_error(stage, capsys, command, question, text):
    assert text in answered(stage[1], command, question, capsys)["error"]


def test_reports_of_an_identity_whose_policy_is_broken_or_gone(stage, client, capsys):
    _engine, gate = stage
    client.call("GET /version")
    rows(gate)
    gate.allow(IDENTITY, preset="nothing")
    (found,) = answered(gate, "report", {}, capsys)["identities"]
    assert "policy.preset" in found["problem"]
    assert found["policy"] is None
    assert [call["allowed"] for call in found["calls"]] == [None]
    (gate.policies / f"{IDENTITY}.json").unlink()
    (found,) = answered(gate, "report", {}, capsys)["identities"]
    assert "has no policy any more" in found["problem"]
