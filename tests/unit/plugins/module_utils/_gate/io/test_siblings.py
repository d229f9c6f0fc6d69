# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Calls by preset ci: owners, foreign objects, images, volumes, limits and events."""

from __future__ import annotations

import json
import threading
import time

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.chunks import LAST, encode
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.stand_in import (
    IDENTITY,
    Client,
    answer,
    soon,
    staged,
)

OWN, FOREIGN, ME = "a" * 64, "b" * 64, "c" * 64
IMAGE = "sha256:" + "d" * 64
OWNER = "wormhole.docker.owner"


def container(identifier, name, owner="", **more):
    labels = {OWNER: owner} if owner else {}
    return {
        "Id": identifier,
        "Name": f"/{name}",
        "Image": IMAGE,
        "Config": {"Labels": labels, "Env": ["A=secret"]},
        **more,
    }


@pytest.fixture
def stage():
    with staged(overrides={"images": ["**"]}) as (engine, gate):
        for found in (container(OWN, "mine", IDENTITY), container(FOREIGN, "theirs")):
            for reference in (found["Id"], found["Name"][1:]):
                engine.answers[f"GET /containers/{reference}/json"] = answer(found)
        engine.answers["GET /images/alpine:3/json"] = answer(
            {"Id": IMAGE, "RepoTags": ["alpine:3"], "Config": {}}
        )
        engine.answers["POST /containers/create"] = answer({"Id": OWN, "Warnings": []}, "201 Created")
        yield engine, gate


def created(engine):
    return [json.loads(body) for head, body in engine.requests if b"/containers/create" in head]


def test_an_own_container_is_named_by_its_full_id(engine, client):
    engine.answers[f"POST /containers/{OWN}/stop"] = answer(b"", "204 No Content")
    assert client.call("POST /v1.44/containers/mine/stop?t=1")[0] == 204
    assert engine.lines()[-1] == f"POST /v1.44/containers/{OWN}/stop?t=1 HTTP/1.1"


@pytest.mark.parametrize("reference", ["theirs", FOREIGN, "absent"])
def test_a_foreign_container_is_as_absent_as_one_that_is(engine, client, reference):
    before = client.call("GET /v1.44/containers/nobody/json")
    status, content = client.call(f"GET /v1.44/containers/{reference}/json")
    assert status == 404
    assert content.replace(reference.encode(), b"nobody") == before[1]
    assert all(" /containers/" in line for line in engine.lines()), "only the gate's own questions"


def test_a_reference_leads_nowhere_else(stage):
    engine, gate = stage
    for reference in ("..", "%2e%2e", "a%2fb", "a%3fb", "%2e%2e%2fimages"):
        assert Client(gate.path).call(f"POST /v1.44/containers/{reference}/stop")[0] in (400, 403, 404)
    assert not any("stop" in line for line in engine.lines())


def test_an_inspection_by_full_id_asks_once(engine, client):
    for _number in range(3):
        assert client.call(f"GET /v1.44/containers/{OWN}/json")[0] == 200
    assert len([line for line in engine.lines() if line.startswith(f"GET /containers/{OWN}")]) == 1


def test_a_container_that_was_taken_away_is_not_reached(engine, client):
    assert client.call("GET /v1.44/containers/mine/json")[0] == 200
    engine.answers["GET /containers/mine/json"] = answer(container(FOREIGN, "mine"))
    assert client.call("GET /v1.44/containers/mine/json")[0] == 404


def test_a_target_that_is_renamed_is_none_any_more(stage):
    engine, gate = stage
    overrides = {"targets": {"names": ["theirs"]}, "powers": {"inspect": "targets"}}
    gate.allow(IDENTITY, preset="tend", overrides=overrides)
    client = Client(gate.path)
    assert client.call(f"GET /v1.44/containers/{FOREIGN}/json")[0] == 200
    engine.answers[f"GET /containers/{FOREIGN}/json"] = answer(container(FOREIGN, "db"))
    assert client.call(f"GET /v1.44/containers/{FOREIGN}/json")[0] in (403, 404)


def test_what_is_remembered_is_of_one_identity_and_one_policy(stage):
    engine, gate = stage
    gate.allow("other", preset="ci")
    rows = [{"Id": name, "Name": name, "Labels": {OWNER: name}} for name in (IDENTITY, "other")]
    engine.answers["GET /networks"] = answer(rows)

    def seen(name):
        content = Client(gate.path.replace(IDENTITY, name)).call("GET /v1.44/networks")[1]
        return [row["Name"] for row in json.loads(content)]

    for _number in range(2):
        assert [seen(name) for name in (IDENTITY, "other")] == [[IDENTITY], ["other"]]
    gate.allow("other", preset="observe")
    assert seen("other") == [IDENTITY, "other"]
    gate.allow("other", preset="ci")
    assert seen("other") == ["other"]


def test_lists_are_narrowed(engine, client):
    engine.answers["GET /networks"] = answer(
        [
            {"Id": "1", "Name": "mine", "Labels": {OWNER: IDENTITY}},
            {"Id": "2", "Name": "theirs", "Labels": {}},
        ]
    )
    _status, content = client.call("GET /v1.44/networks")
    assert [row["Name"] for row in json.loads(content)] == ["mine"]
    client.call("GET /v1.44/containers/json?all=1")
    assert f"{OWNER}%3D{IDENTITY}" in engine.lines(ours=True)[-1]


def test_a_container_gets_its_owner(engine, client):
    body = json.dumps({"Image": "alpine:3", "Cmd": ["id"]}).encode()
    assert client.call("POST /v1.44/containers/create?name=ci-a", body=body)[0] == 201
    assert created(engine)[0]["Labels"][OWNER] == IDENTITY


def test_a_privileged_container_is_refused(engine, client):
    body = json.dumps({"Image": "alpine:3", "HostConfig": {"Privileged": True}}).encode()
    status, content = client.call("POST /v1.44/containers/create?name=ci-a", body=body)
    assert status == 403
    assert "Privileged" in json.loads(content)["message"]
    assert created(engine) == []


def test_a_tag_that_moves_while_a_container_is_created(engine, client):
    engine.answers[f"GET /containers/{OWN}/json"] = answer(
        {**container(OWN, "mine", IDENTITY), "Image": "sha256:other"}
    )
    engine.answers[f"DELETE /containers/{OWN}"] = answer(b"", "204 No Content")
    body = json.dumps({"Image": "alpine:3"}).encode()
    status, content = client.call("POST /v1.44/containers/create?name=ci-a", body=body)
    assert (status, "tag was moved" in json.loads(content)["message"]) == (403, True)
    assert any(line.startswith(f"DELETE /containers/{OWN}?") for line in engine.lines())


def test_a_container_with_another_image_that_cannot_be_removed_is_reported(stage, client):
    engine, gate = stage
    engine.answers[f"GET /containers/{OWN}/json"] = answer(
        {**container(OWN, "mine", IDENTITY), "Image": "sha256:other"}
    )
    body = json.dumps({"Image": "alpine:3"}).encode()

    def hang_up(connection):
        return False

    full = answer({"message": "no space left on device"}, "500 Internal Server Error")
    for end, problem in ((full, "the engine says 500"), (hang_up, "The engine closed the connection")):
        engine.answers[f"DELETE /containers/{OWN}"] = end
        status, content = client.call("POST /v1.44/containers/create?name=ci-a", body=body)
        assert (status, "tag was moved" in json.loads(content)["message"]) == (403, True)
        note = [record for record in gate.records() if record["decision"] == "note"][-1]
        assert (note["object"], problem in note["detail"]) == (OWN, True), note


def test_a_new_container_is_checked_although_its_client_has_left(engine, client):
    def slow(connection):
        time.sleep(2.5)
        connection.sendall(answer({"Id": OWN}, "201 Created"))
        return True

    engine.answers["POST /containers/create"] = slow
    engine.answers[f"GET /containers/{OWN}/json"] = answer(
        {"message": "overloaded"}, "500 Internal Server Error"
    )
    engine.answers[f"DELETE /containers/{OWN}"] = answer(b"", "204 No Content")
    client.send("POST /v1.44/containers/create?name=ci-a", body=json.dumps({"Image": "alpine:3"}).encode())
    assert soon(lambda: created(engine))
    client.close()
    assert soon(lambda: any(line.startswith(f"DELETE /containers/{OWN}?") for line in engine.lines()))


def test_an_error_does_not_name_a_foreign_object(engine, client):
    text = f"Conflict. The container name is already in use by container {FOREIGN}."
    engine.answers["POST /containers/create"] = answer({"message": text}, "409 Conflict")
    body = json.dumps({"Image": "alpine:3"}).encode()
    status, content = client.call("POST /v1.44/containers/create?name=ci-a", body=body)
    assert status == 409
    assert FOREIGN.encode() not in content


def test_a_volume_of_a_container_gets_its_owner_first(engine, client):
    engine.answers["POST /volumes/create"] = answer(
        {"Name": "ci-data", "Labels": {OWNER: IDENTITY}}, "201 Created"
    )
    body = json.dumps({"Image": "alpine:3", "HostConfig": {"Binds": ["ci-data:/data"]}}).encode()
    assert client.call("POST /v1.44/containers/create?name=ci-a", body=body)[0] == 201
    lines = [line for line in engine.lines() if line.startswith("POST")]
    assert ["volumes/create" in line for line in lines] == [True, False]
    [volume] = [json.loads(body) for head, body in engine.requests if b"/volumes/create" in head]
    assert volume["Labels"] == {OWNER: IDENTITY}


def test_a_volume_that_another_created_meanwhile_is_refused(engine, client):
    engine.answers["POST /volumes/create"] = answer({"Name": "ci-data", "Labels": {}}, "201 Created")
    body = json.dumps({"Image": "alpine:3", "HostConfig": {"Binds": ["ci-data:/data"]}}).encode()
    assert client.call("POST /v1.44/containers/create?name=ci-a", body=body)[0] == 403
    assert created(engine) == []


def test_creations_are_counted_one_after_the_other(stage):
    engine, gate = stage
    gate.allow(IDENTITY, preset="ci", overrides={"images": ["**"], "limits": {"containers": 1}})
    rows, inside, most = [], [], []

    def counted(connection):
        connection.sendall(answer(rows))
        return True

    def create(connection):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.2)
        rows.append({"Id": OWN})
        inside.pop()
        connection.sendall(answer({"Id": OWN}, "201 Created"))
        return True

    engine.answers["GET /containers/json"] = counted
    engine.answers["POST /containers/create"] = create
    body = json.dumps({"Image": "alpine:3"}).encode()
    found = []

    def run(number):
        found.append(Client(gate.path).call(f"POST /v1.44/containers/create?name=ci-{number}", body=body)[0])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [201, 403, 403, 403]
    assert max(most) == 1


def test_events_are_filtered_line_by_line(stage):
    engine, gate = stage
    overrides = {"targets": {"names": ["web-*"]}, "powers": {"events": "targets"}}
    gate.allow(IDENTITY, preset="tend", overrides=overrides)

    def event(identifier, name, **labels):
        actor = {"ID": identifier, "Attributes": {"name": name, **labels}}
        return json.dumps({"Type": "container", "Action": "start", "Actor": actor}).encode() + b"\n"

    def events(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        for text in (event(FOREIGN, "db"), event(OWN, "web-1"), event(FOREIGN, "x", **{OWNER: IDENTITY})):
            for half in (text[:20], text[20:]):
                connection.sendall(b"".join(encode([half])))
        connection.sendall(LAST)
        return True

    engine.answers["GET /events"] = events
    status, content = Client(gate.path).call("GET /v1.44/events")
    assert status == 200
    names = [json.loads(line)["Actor"]["Attributes"]["name"] for line in content.splitlines()]
    assert names == ["web-1", "x"]


def test_the_own_container_is_found_by_its_label(stage):
    engine, gate = stage
    rows = [{"Id": ME, "Labels": {"wormhole.docker.identity": IDENTITY}}]
    engine.answers["GET /containers/json"] = answer(rows)
    engine.answers[f"GET /containers/{ME}/json"] = answer(container(ME, "agent"))
    assert Client(gate.path).call(f"GET /v1.44/containers/{ME}/json")[0] == 200
    rows.append({"Id": FOREIGN, "Labels": {}})
    engine.answers["GET /containers/json"] = answer(rows)
    gate.parts.inquiry._own.clear()
    assert Client(gate.path).call(f"GET /v1.44/containers/{ME}/json")[0] == 404


def test_two_identities_do_not_share_what_is_remembered(stage):
    _engine, gate = stage
    gate.allow("other", preset="ci")
    assert Client(gate.path).call(f"GET /v1.44/containers/{OWN}/json")[0] == 200
    assert Client(gate.path.replace(IDENTITY, "other")).call(f"GET /v1.44/containers/{OWN}/json")[0] == 404
    assert Client(gate.path).call(f"GET /v1.44/containers/{OWN}/json")[0] == 200


def test_an_updater_recreates_what_it_has_removed(stage):
    engine, gate = stage
    gate.allow(IDENTITY, preset="update")
    engine.answers[f"DELETE /containers/{FOREIGN}"] = answer(b"", "204 No Content")
    client = Client(gate.path)
    assert client.call("DELETE /v1.44/containers/theirs")[0] == 204
    engine.answers["GET /containers/theirs/json"] = answer({"message": "gone"}, "404 Not Found")
    template = gate.parts.inquiry._template(IDENTITY, "theirs")
    assert template.config["Image"] == IMAGE
    assert soon(lambda: any("DELETE" in line for line in engine.lines()))
