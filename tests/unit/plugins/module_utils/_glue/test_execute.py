# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import (
    ApplyFailed,
    EngineUnavailable,
    InvalidInput,
    NotConverged,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._base.plan import Plan, Reason
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import execute
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import finish

REASON = Reason("light_off", "the light is off", "lamp")


class Lamp:
    """An object to switch on, which may be broken."""

    def __init__(self, on=False, broken=False):
        self.on = on
        self.broken = broken
        self.applied = 0

    def plan(self, on):
        return Plan({"on": on}, {"on": True}, *(((), ()) if on else ((REASON,), ("switch",))))

    def apply(self, plan):
        self.applied += 1
        self.on = not self.broken

    def execute(self, check_mode=False):
        return execute(
            check_mode=check_mode,
            subject="lamp",
            observe=lambda: self.on,
            plan=self.plan,
            apply=self.apply,
            describe=lambda state, plan: {"on": state},
        )


def test_a_correct_state_is_not_changed():
    lamp = Lamp(on=True)
    assert lamp.execute() == {
        "changed": False,
        "reasons": [],
        "diff": {"before": {"on": True}, "after": {"on": True}},
        "on": True,
    }
    assert lamp.applied == 0


def test_check_mode_returns_the_same_result_and_changes_nothing():
    lamp = Lamp()
    predicted = lamp.execute(check_mode=True)
    assert (lamp.applied, lamp.on) == (0, False)
    done = lamp.execute()
    assert (lamp.applied, lamp.on) == (1, True)
    assert {**predicted, "on": True} == done
    assert done["reasons"] == [{"code": "light_off", "text": "the light is off", "subject": "lamp"}]


def test_a_state_that_still_differs_is_a_failure_with_the_reasons():
    with pytest.raises(NotConverged, match="lamp still differs after the change: the light is off"):
        Lamp(broken=True).execute()


class Host:
    """The remains of an interrupted run, with a record of the calls."""

    def __init__(self, **failures):
        self.failures = failures
        self.events = []

    def _do(self, event):
        self.events.append(event)
        if event in self.failures:
            raise self.failures[event]

    def observe(self):
        self._do("observe")
        return "apply" in self.events

    def plan(self, done):
        self._do("plan")
        return Plan({}, {}, *(((), ()) if done else ((REASON,), ("switch",))))

    def give_up(self, error):
        self._do("give_up")
        return self.failures.get("otherwise", error)

    def execute(self, check_mode=False, **arguments):
        return execute(
            **arguments,
            check_mode=check_mode,
            subject="host",
            observe=self.observe,
            plan=self.plan,
            apply=lambda plan: self._do("apply"),
            describe=lambda state, plan: {},
            prepare=lambda: self._do("prepare"),
            give_up=self.give_up,
        )


def test_prepare_runs_first_and_not_in_check_mode():
    host = Host()
    host.execute()
    assert host.events == ["prepare", "observe", "plan", "apply", "observe", "plan"]
    host = Host()
    host.execute(check_mode=True)
    assert host.events == ["observe", "plan"]


def test_a_plan_before_a_change_starts_like_the_change():
    host = Host()
    assert host.execute(plans_only=True)["reasons"] == [REASON.as_dict()]
    assert host.events == ["prepare", "observe", "plan"]
    host = Host()
    host.execute(check_mode=True, plans_only=True)
    assert host.events == ["observe", "plan"]
    error, restored = EngineUnavailable("engine"), ApplyFailed("engine", remedy="The former state is back")
    host = Host(plan=error, otherwise=restored)
    with pytest.raises(ApplyFailed) as caught:
        host.execute(plans_only=True)
    assert caught.value is restored


@pytest.mark.parametrize("where", ["prepare", "observe", "plan"])
def test_a_failed_run_cleans_up_and_raises_its_own_error(where):
    error = EngineUnavailable("engine", found="silence")
    host = Host(**{where: error})
    with pytest.raises(EngineUnavailable) as caught:
        host.execute()
    assert caught.value is error
    assert host.events[-2:] == [where, "give_up"]
    assert "apply" not in host.events


def test_give_up_may_replace_the_error():
    error, otherwise = EngineUnavailable("engine"), ApplyFailed("engine", remedy="The former state is back")
    host = Host(plan=error, otherwise=otherwise)
    with pytest.raises(ApplyFailed) as caught:
        host.execute()
    assert caught.value is otherwise
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("where", ["observe", "plan"])
def test_check_mode_cleans_up_nothing(where):
    host = Host(**{where: EngineUnavailable("engine"), "otherwise": ApplyFailed("engine")})
    with pytest.raises(EngineUnavailable):
        host.execute(check_mode=True)
    assert "give_up" not in host.events


def test_a_failed_change_is_not_cleaned_up():
    host = Host(apply=ApplyFailed("host"))
    with pytest.raises(ApplyFailed):
        host.execute()
    assert host.events[-1] == "apply"


def test_other_exceptions_are_not_cleaned_up():
    host = Host(observe=KeyError("defect"))
    with pytest.raises(KeyError):
        host.execute()
    assert "give_up" not in host.events


def test_a_plan_has_reasons_exactly_if_it_has_actions():
    with pytest.raises(ValueError, match="reasons exactly if it has actions"):
        Plan(actions=("switch",))
    with pytest.raises(ValueError, match="reasons exactly if it has actions"):
        Plan(reasons=(REASON,))


class Module:
    """The two exits of a module."""

    check_mode = False

    def __init__(self):
        self.ended = None

    def exit_json(self, **result):
        self.ended = ("exit", result)

    def fail_json(self, **result):
        self.ended = ("fail", result)


def test_a_result_exits_the_module():
    module = Module()
    finish(module, lambda module: {"changed": False})
    assert module.ended == ("exit", {"changed": False})


def test_an_error_fails_the_module_with_its_message_and_data():
    def fail(_module):
        raise InvalidInput("option port", expected="a number", found="'x'", remedy="Give a number")

    module = Module()
    finish(module, fail)
    how, result = module.ended
    assert how == "fail"
    assert result["msg"] == "option port: expected a number, found 'x'. Give a number"
    assert result["error"] == {
        "kind": "InvalidInput",
        "subject": "option port",
        "expected": "a number",
        "found": "'x'",
        "remedy": "Give a number",
    }


def test_other_exceptions_are_not_hidden():
    def fail(_module):
        raise KeyError("defect")

    with pytest.raises(KeyError):
        finish(Module(), fail)


@pytest.mark.parametrize(
    "parts, text",
    [
        ({}, "thing"),
        ({"expected": "a"}, "thing: expected a"),
        ({"found": "b"}, "thing: found b"),
        ({"expected": "a", "found": "b", "remedy": "Do c"}, "thing: expected a, found b. Do c"),
        ({"remedy": "Do c"}, "thing. Do c"),
    ],
)
def test_errors_read_as_one_sentence(parts, text):
    assert str(WormholeError("thing", **parts)) == text
