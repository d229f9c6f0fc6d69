# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The command of the program that removes siblings at once, with a stand-in for the engine."""

from __future__ import annotations

import io
import json
import os

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._gate.config import GateConfig, render_config
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io import sweeping
from ansible_collections.wormhole.docker.plugins.module_utils._gate.io.policies import Policies
from ansible_collections.wormhole.docker.plugins.module_utils._gate.reaping import (
    FILE_NAME,
    Memory,
    Owner,
    render_memory,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.stand_in import (
    IDENTITY,
    staged,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate.io.test_reaper import (
    CHANGES,
    ME,
    World,
    names,
)

OTHER = "other"


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(sweeping, "_PAUSE", 0.01)
    # The files of this test belong to its user.
    monkeypatch.setattr(sweeping, "Policies", lambda directory: Policies(directory, os.getuid()))


@pytest.fixture
def stage(tmp_path):
    with staged(preset="ci", overrides={"cleanup": {"after": "600s"}}) as (engine, gate):
        world = World(engine)
        world.containers.clear()
        for kind in ("volume", "network", "container"):
            world.add(kind, f"{kind}1")
            world.add(kind, f"foreign-{kind}", owner="")
            world.add(kind, f"adopted-{kind}", labels={"wormhole.docker.managed": "true"})
            world.add(kind, f"other-{kind}", owner=OTHER)
        config = tmp_path / "gate.json"
        config.write_text(render_config(GateConfig(engine=engine.path, policies=str(gate.policies))))
        yield world, gate, config


def ask(stage, capsys, **question):
    _world, _gate, config = stage
    assert sweeping.main(io.BytesIO(json.dumps(question).encode()), str(config.parent), str(config)) == 0
    return json.loads(capsys.readouterr().out)


def rows(answer):
    return [(row["identity"], row["kind"], row["name"], row["action"]) for row in answer["siblings"]]


REMOVED = [(IDENTITY, kind, f"{kind}1", "removed") for kind in ("container", "network", "volume")]


def test_what_would_happen_changes_nothing(stage, capsys):
    assert rows(ask(stage, capsys, identities=[IDENTITY], carry_out=False)) == REMOVED
    assert stage[0].changes() == []


def test_the_siblings_of_one_identity_are_removed_in_order_without_waiting(stage, capsys):
    world = stage[0]
    assert rows(ask(stage, capsys, identities=[IDENTITY], carry_out=True)) == REMOVED
    assert world.changes() == CHANGES
    assert rows(ask(stage, capsys, identities=[IDENTITY], carry_out=True)) == []


def test_without_names_all_owners_are_looked_at_and_what_stays_is_named(stage, capsys):
    answer = ask(stage, capsys, carry_out=True)
    kept = [(OTHER, kind, f"other-{kind}", "kept") for kind in ("container", "network", "volume")]
    assert sorted(rows(answer)) == sorted([*REMOVED, *kept])
    assert {row["reason"] for row in answer["siblings"] if row["identity"] == OTHER} == {
        "the policy of other does not exist any more, and no cleanup is known"
    }
    assert stage[0].changes() == CHANGES


def test_a_policy_that_is_gone_is_remembered(stage, capsys):
    _world, _gate, config = stage
    (config.parent / FILE_NAME).write_bytes(render_memory(Memory({OTHER: Owner("remove", 60, True)})))
    answer = ask(stage, capsys, identities=[OTHER], carry_out=True)
    assert [row[2:] for row in rows(answer)] == [
        ("other-container", "removed"),
        ("other-network", "removed"),
        ("other-volume", "removed"),
    ]


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ({"overrides": {"cleanup": {"mode": "none"}}}, "says cleanup: none"),
        ({"mode": "warn"}, "did not enforce"),
    ],
)
def test_what_the_policy_does_not_want_removed_stays_and_is_named(stage, capsys, policy, reason):
    stage[1].allow(IDENTITY, preset="ci", **policy)
    answer = ask(stage, capsys, identities=[IDENTITY], carry_out=True)
    assert [row["action"] for row in answer["siblings"]] == ["kept"] * 3
    assert all(reason in row["reason"] for row in answer["siblings"])
    assert stage[0].changes() == []


def test_mode_stop_stops_containers_only(stage, capsys):
    world, gate, _config = stage
    gate.allow(IDENTITY, preset="ci", overrides={"cleanup": {"mode": "stop"}})
    world.add("container", "exited", State="exited")
    answer = ask(stage, capsys, identities=[IDENTITY], carry_out=True)
    assert sorted((row["name"], row["action"]) for row in answer["siblings"]) == [
        ("container1", "stopped"),
        ("exited", "kept"),
        ("network1", "kept"),
        ("volume1", "kept"),
    ]
    assert world.changes() == [f"POST /containers/{'container1'.ljust(64, '-')}/stop"]


def test_what_is_in_use_is_named(stage, capsys):
    world = stage[0]
    world.keeps.add("network1")
    answer = ask(stage, capsys, identities=[IDENTITY], carry_out=True)
    found = {row["name"]: (row["action"], row["reason"]) for row in answer["siblings"]}
    assert found["network1"] == ("kept", "the engine answers with status 409")
    assert (found["container1"][0], found["volume1"][0]) == ("removed", "removed")


def test_what_is_in_use_for_a_moment_is_removed(stage, capsys):
    world = stage[0]
    world.keeps.add("network1")

    def release():
        # The volume goes after the network was tried.
        if "volume1" not in names(world.volumes):
            world.keeps.clear()

    world.hook = release
    answer = ask(stage, capsys, identities=[IDENTITY], carry_out=True)
    assert rows(answer) == REMOVED


def test_an_owner_that_is_back_keeps_what_it_has(stage, capsys):
    stage[0].containers.append(ME)
    answer = ask(stage, capsys, identities=[IDENTITY], carry_out=True)
    assert {row["reason"] for row in answer["siblings"]} == {"a container of ci runs"}
    assert stage[0].changes() == []


@pytest.mark.parametrize("question", [{"identities": "ci"}, {"identities": [1]}, {"all": True}])
def test_a_malformed_question_is_an_error(stage, capsys, question):
    assert "expected" in ask(stage, capsys, **question)["error"]


def test_an_engine_that_does_not_answer_is_an_error(stage, capsys):
    stage[2].write_text(render_config(GateConfig(engine="/nonexistent/docker.sock")))
    assert "cannot reach the engine" in ask(stage, capsys, carry_out=True)["error"]
