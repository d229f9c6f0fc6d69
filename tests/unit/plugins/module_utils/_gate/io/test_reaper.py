# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The thread that removes siblings, with a stand-in for the engine."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from urllib.parse import parse_qs, urlsplit

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.io import reaper as reapers
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.engine import EngineDown
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.wire import Ended
from ansible_collections.wormhole.docker.plugins.module_utils._gate.reaping import parse_memory
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.stand_in import (
    IDENTITY,
    answer,
    soon,
    staged,
)

OWNER, USES = "wormhole.docker.owner", "wormhole.docker.identity"
ME = {"Id": "e" * 64, "Names": ["/ci"], "State": "running", "Labels": {USES: IDENTITY}}
NOW = {"cleanup": {"after": "0s"}}
CHANGES = [
    f"DELETE /containers/{'container1'.ljust(64, '-')}?force=1&v=1",
    f"DELETE /networks/{'network1'.ljust(64, '-')}",
    "DELETE /volumes/volume1",
]


@pytest.fixture(autouse=True)
def engine_runs(tmp_path, monkeypatch):
    """The file that dockerd writes."""
    path = tmp_path / "docker.pid"
    path.write_text("1")
    monkeypatch.setattr(reapers, "_ENGINE_RUNS", str(path))
    return path


class World:
    """The engine's objects, and what happens to them."""

    def __init__(self, engine):
        self.engine = engine
        self.containers = [ME]
        self.networks, self.volumes, self.images = [], [], {}
        self.keeps = set()
        self.hook = None
        self.streams = []
        engine.answers["GET /containers/json"] = self._list
        engine.answers["GET /networks"] = self._list
        engine.answers["GET /volumes"] = self._list
        engine.answers["GET /events"] = self._stream

    def add(self, kind, name, owner=IDENTITY, **more):
        labels = {OWNER: owner, **more.pop("labels", {})} if owner else {}
        row = {"Id": name.ljust(64, "-"), "Name": name, "State": "running", "Labels": labels, **more}
        if kind == "container":
            row["Names"] = [f"/{row.pop('Name')}"]
        rows, place = {
            "container": (self.containers, f"containers/{row['Id']}"),
            "network": (self.networks, f"networks/{row['Id']}"),
            "volume": (self.volumes, f"volumes/{name}"),
        }[kind]
        rows.append(row)

        def change(connection, verb):
            if name in self.keeps:
                connection.sendall(answer({"message": "in use"}, "409 Conflict"))
                return True
            if verb == "delete":
                rows.remove(row)
            else:
                row["State"] = "exited"
            if self.hook is not None:
                self.hook()
            connection.sendall(answer(b"", "204 No Content"))
            return True

        self.engine.answers[f"DELETE /{place}"] = lambda connection: change(connection, "delete")
        self.engine.answers[f"POST /{place}/stop"] = lambda connection: change(connection, "stop")

    def _list(self, connection):
        line = self.engine.requests[-1][0].split(b"\r\n")[0].decode().split(" ")[1]
        parts = urlsplit(line)
        filters = json.loads(parse_qs(parts.query)["filters"][0])
        key, _mark, value = filters["label"][0].partition("=")
        rows = {"/containers/json": self.containers, "/networks": self.networks, "/volumes": self.volumes}
        found = [
            row
            for row in rows[parts.path]
            if key in row["Labels"]
            and (not value or row["Labels"][key] == value)
            and ("status" not in filters or row["State"] in filters["status"])
        ]
        connection.sendall(answer({"Volumes": found} if parts.path == "/volumes" else found))
        return True

    def _stream(self, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        self.streams.append(connection)
        with contextlib.suppress(OSError):
            while connection.recv(1):
                pass
        return False

    def tell(self):
        """An event."""
        self.streams[-1].sendall(b"3\r\n{}\n\r\n")

    def end(self, tell=True):
        """The wormhole's container ends."""
        self.containers.remove(ME)
        if tell:
            self.tell()

    def changes(self):
        """What was stopped and removed, in order."""
        calls = [line.split(" ")[:2] for line in self.engine.lines()]
        return [f"{method} {target}" for method, target in calls if method in ("DELETE", "POST")]


@contextlib.contextmanager
def stage(tmp_path, start=True, **policy):
    with staged(**{"preset": "ci", "overrides": NOW, **policy}) as (engine, gate):
        world = World(engine)
        path = str(tmp_path / "siblings.json")
        reaper = reapers.Reaper(
            reapers.Line(engine.path, gate.limits), gate.parts.policies, gate.parts.journal, path
        )
        if start:
            reaper.start()
            assert soon((tmp_path / "siblings.json").exists)
        try:
            yield world, gate, reaper
        finally:
            reaper.stop()


def notes(gate):
    return [record["detail"] for record in gate.records() if record["decision"] == "note"]


def names(rows):
    return [row.get("Name") or row["Names"][0] for row in rows]


def test_the_siblings_of_a_wormhole_that_ends_are_removed_in_order(tmp_path):
    with stage(tmp_path) as (world, gate, _reaper):
        for kind in ("volume", "network", "container"):
            world.add(kind, f"{kind}1")
            world.add(kind, f"foreign-{kind}", owner="")
            world.add(kind, f"other-{kind}", owner="other")
        assert world.changes() == []
        world.end()
        assert soon(lambda: len(world.volumes) == 2)
        assert world.changes() == CHANGES
        assert names(world.containers) == ["/foreign-container", "/other-container"]
        assert names(world.networks) == ["foreign-network", "other-network"]
        assert soon(lambda: len(notes(gate)) == 3)
        assert notes(gate)[0] == "removed: container container1 of ci, which has ended"
        assert soon(lambda: len(parse_memory((tmp_path / "siblings.json").read_bytes()).removed) == 3)


def test_they_are_removed_after_the_time_that_the_policy_says(tmp_path):
    with stage(tmp_path, overrides={"cleanup": {"after": "1s"}}) as (world, _gate, _reaper):
        world.add("volume", "data")
        started = time.monotonic()
        world.end()
        assert soon(lambda: not world.volumes)
        assert 1.0 <= time.monotonic() - started < 3.0


def test_a_replacement_within_that_time_keeps_them(tmp_path):
    with stage(tmp_path, overrides={"cleanup": {"after": "1s"}}) as (world, _gate, _reaper):
        world.add("volume", "data")
        world.end()
        time.sleep(0.5)
        world.containers.append({**ME, "Id": "f" * 64})
        world.tell()
        time.sleep(1.2)
        assert names(world.volumes) == ["data"]


def test_a_replacement_in_the_middle_keeps_the_rest(tmp_path):
    with stage(tmp_path) as (world, _gate, _reaper):
        for number in range(4):
            world.add("container", f"c{number}")
        world.hook = lambda: world.containers.append({**ME, "Id": "f" * 64})
        world.end()
        assert soon(lambda: len(world.changes()) == 1)
        time.sleep(0.5)
        assert len(world.changes()) == 1


def test_mode_stop_stops_containers_and_removes_nothing(tmp_path):
    with stage(tmp_path, overrides={"cleanup": {"mode": "stop", "after": "0s"}}) as (world, gate, _reaper):
        world.add("container", "running")
        world.add("container", "stopped", State="exited")
        world.add("volume", "data")
        world.end()
        assert soon(lambda: notes(gate))
        time.sleep(0.2)
        assert world.changes() == [f"POST /containers/{'running'.ljust(64, '-')}/stop"]
        assert len(world.containers) == 2
        assert notes(gate) == ["stopped: container running of ci, which has ended"]


@pytest.mark.parametrize(
    "policy", [{"overrides": {"cleanup": {"mode": "none"}}}, {"mode": "learn"}, {"mode": "warn"}]
)
def test_nothing_is_removed_unless_the_policy_says_so_and_enforces(tmp_path, policy):
    with stage(tmp_path, **policy) as (world, _gate, _reaper):
        world.add("volume", "data")
        world.end()
        time.sleep(0.6)
        assert world.changes() == []


def test_what_cannot_be_removed_is_said_once_and_does_not_stop_the_rest(tmp_path, monkeypatch):
    monkeypatch.setattr(reapers, "_LOOK", 0.3)
    with stage(tmp_path) as (world, gate, _reaper):
        world.add("network", "used")
        world.add("volume", "data")
        world.keeps.add("used")
        world.end()
        assert soon(lambda: len([line for line in world.changes() if "networks" in line]) > 1)
        assert names(world.volumes) == []
        assert [note for note in notes(gate) if note.startswith("not ")] == [
            "not removed: network used of ci: the engine says 409"
        ]
        world.keeps.clear()
        assert soon(lambda: not world.networks)


def test_a_wormhole_that_ended_while_the_gate_was_down(tmp_path):
    with stage(tmp_path, start=False) as (world, gate, first):
        world.add("volume", "data")
        assert first.look() > 0
        world.end(tell=False)
        # One that has not been seen by anybody is not known to have had a container.
        gate.allow("unseen", preset="ci", overrides=NOW)
        world.add("volume", "theirs", owner="unseen")
        path = str(tmp_path / "siblings.json")
        again = reapers.Reaper(
            reapers.Line(world.engine.path, gate.limits), gate.parts.policies, gate.parts.journal, path
        )
        again.look()
        assert names(world.volumes) == ["theirs"]


def test_time_begins_anew_when_the_engine_was_away(tmp_path, monkeypatch, engine_runs):
    monkeypatch.setattr(reapers, "_AGAIN", 0.05)
    with stage(tmp_path, overrides={"cleanup": {"after": "1s"}}) as (world, _gate, _reaper):
        world.add("volume", "data")
        world.end()
        time.sleep(0.7)
        count = len(world.streams)
        world.engine.drop()
        engine_runs.write_text("another process")
        assert soon(lambda: len(world.streams) > count)
        restarted = time.monotonic()
        assert soon(lambda: not world.volumes)
        assert time.monotonic() - restarted >= 0.9


def test_after_its_policy_is_gone_what_it_said_last_holds(tmp_path, monkeypatch):
    monkeypatch.setattr(reapers, "_LOOK", 0.1)
    with stage(tmp_path) as (world, gate, _reaper):
        world.add("volume", "data")
        (gate.policies / f"{IDENTITY}.json").unlink()
        time.sleep(0.4)
        assert names(world.volumes) == ["data"], "its container still runs"
        world.end()
        assert soon(lambda: not world.volumes)
        assert soon(lambda: not parse_memory((tmp_path / "siblings.json").read_bytes()).owners)


def test_without_the_directory_of_the_policies_nobody_has_ended(tmp_path):
    with stage(tmp_path, start=False) as (world, gate, reaper):
        world.containers.clear()
        reaper.look()
        world.add("volume", "data")
        gate.policies.rename(gate.policies.with_name("away"))
        reaper.look()
        assert world.changes() == []
        gate.policies.with_name("away").rename(gate.policies)
        (gate.policies / f"{IDENTITY}.json").unlink()
        reaper.look()
        assert world.volumes == []


def test_containers_that_were_left_unchecked_are_removed(tmp_path):
    images = {"good": ["python:3"], "bad": ["secret:1"], "nameless": []}
    with stage(tmp_path, start=False, overrides={"images": ["python"], **NOW}) as (world, gate, reaper):
        for name, tags in images.items():
            document = {"Id": f"sha256:{name}", "RepoTags": tags, "Config": {}}
            world.engine.answers[f"GET /images/sha256:{name}/json"] = answer(document)
            for state in ("created", "running"):
                world.add("container", f"{name}-{state}", State=state, ImageID=f"sha256:{name}")
        reaper.look()
        left = names(world.containers)
        assert "/bad-created" not in left
        assert len(left) == 1 + 5
        assert notes(gate) == ["removed: container bad-created of ci, whose image is not allowed"]
        world.add("container", "bad-created", State="created", ImageID="sha256:bad")
        reaper.look()
        assert "/bad-created" in names(world.containers), "only at the start"


def test_containers_are_checked_again_after_the_engine_was_away(tmp_path, monkeypatch, engine_runs):
    monkeypatch.setattr(reapers, "_AGAIN", 0.05)
    document = {"Id": "sha256:bad", "RepoTags": ["secret:1"], "Config": {}}
    with stage(tmp_path, start=False, overrides={"images": ["python"], **NOW}) as (world, _gate, reaper):
        world.engine.answers["GET /images/sha256:bad/json"] = answer(document)
        world.add("container", "first", State="created", ImageID="sha256:bad")
        reaper.start()
        assert soon(lambda: names(world.containers) == ["/ci"])
        # The engine ends before it answers the gate's question about what it has created.
        world.add("container", "second", State="created", ImageID="sha256:bad")
        world.engine.drop()
        engine_runs.write_text("another process")
        assert soon(lambda: names(world.containers) == ["/ci"])


def test_it_goes_on_although_its_file_cannot_be_written(tmp_path):
    with stage(tmp_path / "missing", start=False) as (world, gate, reaper):
        world.add("volume", "data")
        reaper.look()
        world.end(tell=False)
        reaper.look()
        assert world.volumes == []
        assert len([note for note in notes(gate) if "cannot be written" in note]) == 1


def test_it_ends(tmp_path):
    with stage(tmp_path) as (_world, _gate, reaper):
        assert any(thread.name == "reaper" for thread in threading.enumerate())
        reaper.stop()
        assert soon(lambda: not any(thread.name == "reaper" for thread in threading.enumerate()))


def test_who_becomes_due_while_others_are_removed_is_not_forgotten(tmp_path):
    with stage(tmp_path, overrides={"cleanup": {"after": "1s"}}) as (world, gate, _reaper):
        gate.allow("other", preset="ci", overrides={"cleanup": {"after": "1s"}})
        world.containers.append({**ME, "Id": "f" * 64, "Labels": {USES: "other"}})
        world.tell()
        assert soon(lambda: b"other" in (tmp_path / "siblings.json").read_bytes())
        world.add("volume", "data")
        world.add("volume", "theirs", owner="other")
        world.hook = lambda: time.sleep(1.2)
        world.end()
        time.sleep(0.6)
        world.containers.clear()
        world.tell()
        assert soon(lambda: not world.volumes)


def test_an_engine_that_was_stopped_is_not_started_by_a_connection(tmp_path, monkeypatch, engine_runs):
    monkeypatch.setattr(reapers, "_AGAIN", 0.05)
    with stage(tmp_path) as (world, _gate, _reaper):
        time.sleep(0.3)
        count = world.engine.connections
        # It stops its containers after it has closed its connections, and its file is still there.
        world.engine.drop()
        time.sleep(0.5)
        assert world.engine.connections == count
        engine_runs.write_text("2")
        assert soon(lambda: world.engine.connections > count)
        monkeypatch.setattr(reapers, "_LOOK", 0.2)
        time.sleep(0.5)
        count = world.engine.connections
        engine_runs.unlink()
        world.engine.drop()
        time.sleep(0.8)
        assert world.engine.connections == count
        engine_runs.write_text("3")
        assert soon(lambda: world.engine.connections > count)


def test_an_engine_whose_file_is_elsewhere_is_connected_to_nevertheless(tmp_path, monkeypatch, engine_runs):
    monkeypatch.setattr(reapers, "_AGAIN", 0.05)
    monkeypatch.setattr(reapers, "_LOOK", 0.2)
    engine_runs.unlink()
    with stage(tmp_path) as (world, _gate, _reaper):
        count = world.engine.connections
        world.engine.drop()
        assert soon(lambda: world.engine.connections > count)


def test_an_engine_that_stops_is_left_at_once(tmp_path):
    with stage(tmp_path) as (world, _gate, _reaper):
        time.sleep(0.3)
        (stream,) = world.streams
        count = world.engine.connections
        # It closes what is idle, waits for its streams, and reports its containers meanwhile.
        for connection in world.engine.open:
            if connection is not stream:
                connection.shutdown(socket.SHUT_RDWR)
        # The stand-in closes its side, too.
        assert soon(lambda: stream.fileno() < 0), "the engine would wait for it"
        with contextlib.suppress(OSError):
            world.end()
        time.sleep(0.5)
        assert world.engine.connections == count


def test_events_that_end_are_followed_again(tmp_path, monkeypatch, engine_runs):
    monkeypatch.setattr(reapers, "_AGAIN", 0.05)
    with stage(tmp_path) as (world, _gate, _reaper):
        engine_runs.write_text("another process")
        world.streams[-1].shutdown(socket.SHUT_RDWR)
        assert soon(lambda: len(world.streams) > 1)


def test_a_sealed_line_makes_no_connection_and_notices_the_end():
    with staged() as (engine, gate):
        line = reapers.Line(engine.path, gate.limits)
        stream = line.connect()
        line.open()
        assert line.ask("GET", "/_ping")[0] == 200
        with pytest.raises(EngineDown, match="stops"):
            line.connect()
        assert line.wait(stream, 0.01) is False
        engine.open[-1].shutdown(socket.SHUT_RDWR)
        with pytest.raises(Ended):
            line.wait(stream, 5)
        line.end()
        line.connect().close()
        stream.close()
