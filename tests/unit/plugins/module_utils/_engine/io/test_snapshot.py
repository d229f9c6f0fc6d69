# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a snapshot asks an engine, and when it ends."""

from __future__ import annotations

import inspect

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._engine.io.snapshot import CHANGES, Snapshot
from ansible_collections.wormhole.docker.plugins.module_utils._engine.port import EnginePort
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._engine.io.fake import (
    IMAGE,
    FakeEngine,
)


class Counting:
    """Counts the calls of an engine's methods by name."""

    def __init__(self, engine):
        self.engine = engine
        self.calls = []

    def __getattr__(self, name):
        def call(*arguments, **options):
            self.calls.append(name)
            return getattr(self.engine, name)(*arguments, **options)

        return call


@pytest.fixture
def engine():
    fake = FakeEngine()
    fake.create_container("agent", {"Image": IMAGE})
    return Counting(fake)


def test_nothing_is_asked_before_the_first_question(engine):
    opened = []
    snapshot = Snapshot(lambda: opened.append(1) or engine)
    assert opened == []
    snapshot.info()
    snapshot.networks()
    assert opened == [1]


def test_each_question_is_asked_once(engine):
    snapshot = Snapshot(lambda: engine)
    identifier = snapshot.find_container("agent")["Id"]
    for _round in range(2):
        assert snapshot.find_container("agent")["Id"] == identifier
        assert snapshot.find_container(identifier)["Name"] == "/agent"
        assert snapshot.find_container("other") is None
        assert snapshot.find_image(IMAGE) == engine.engine.find_image(IMAGE)
        assert snapshot.find_image("absent") is None
        assert [item["Id"] for item in snapshot.containers(labels={})] == [identifier]
        assert snapshot.containers(labels={"x": "y"}) == []
        assert (snapshot.info(), snapshot.networks()) == (engine.engine.info(), engine.engine.networks())
    # A container that does not exist is not inspected.
    asked = ["containers", "containers", "find_container", "find_image", "find_image", "info", "networks"]
    assert sorted(engine.calls) == asked


def test_the_first_change_ends_it(engine):
    snapshot = Snapshot(lambda: engine)
    assert snapshot.find_container("second") is None
    snapshot.create_container("second", {"Image": IMAGE})
    assert snapshot.find_container("second") is not None
    snapshot.remove_container("second")
    assert snapshot.find_container("second") is None
    answers = iter([1, 2])
    assert [snapshot.remember("question", lambda: next(answers)) for _round in range(2)] == [1, 2]


def test_a_child_opens_a_connection_of_its_own_and_keeps_the_answers(engine):
    opened = []
    snapshot = Snapshot(lambda: opened.append(1) or engine)
    assert snapshot.find_container("second") is None
    snapshot.reconnect()
    assert snapshot.find_container("second") is None
    assert opened == [1]
    snapshot.info()
    assert opened == [1, 1]


def test_a_live_engine_remembers_nothing(engine):
    snapshot = Snapshot(lambda: engine)
    assert snapshot.find_container("second") is None
    engine.create_container("second", {"Image": IMAGE})
    assert snapshot.find_container("second") is None
    assert snapshot.live().find_container("second") is not None


@pytest.mark.parametrize("name", [name for name in vars(EnginePort) if not name.startswith("_")])
def test_each_method_of_an_engine_is_a_question_or_a_change(name):
    is_question = "``GET " in inspect.getdoc(getattr(EnginePort, name))
    assert (hasattr(Snapshot, name), name in CHANGES) == (is_question, not is_question)


def test_only_changes_of_an_engine_end_a_snapshot(engine):
    assert [name for name in CHANGES if not hasattr(EnginePort, name)] == []
    snapshot = Snapshot(lambda: engine)
    snapshot.info()
    with pytest.raises(AttributeError, match="list_volumes is neither"):
        snapshot.list_volumes()
    snapshot.info()
    assert engine.calls == ["info"]
