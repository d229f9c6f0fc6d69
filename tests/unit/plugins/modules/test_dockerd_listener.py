# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of dockerd_listener are those of ListenerSpec, with its defaults."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path

import yaml

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import ApplyFailed, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.model import MANAGERS
from ansible_collections.wormhole.docker.plugins.module_utils._glue import listener
from ansible_collections.wormhole.docker.plugins.module_utils._glue.listener_options import ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec, parse_spec
from ansible_collections.wormhole.docker.plugins.modules import dockerd_listener
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import VIRGIN
from ansible_collections.wormhole.docker.tests.unit.plugins.modules.running import run_module


def test_every_option_is_one_of_the_specs_fields():
    assert list(ARGUMENTS) == [field.name for field in dataclasses.fields(ListenerSpec)]


def test_the_defaults_are_those_of_the_spec():
    defaults = {name: argument.get("default") for name, argument in ARGUMENTS.items()}
    assert parse_spec(defaults) == ListenerSpec()
    # Without a default of the module, the spec's stands for "not set".
    assert {name for name, value in defaults.items() if value is None} == {
        "addresses",
        "insecure_plaintext_port",
        "live_restore",
        "neighbours",
    }


def test_every_manager_of_a_firewall_is_documented():
    returned = yaml.safe_load(dockerd_listener.RETURN)["firewall"]["contains"]["manager"]["description"]
    page = Path(__file__).resolve().parents[4] / "docs/firewalls.md"
    (rows,) = (part for part in page.read_text(encoding="utf-8").split("\n\n") if part.startswith("| tool |"))
    for manager in MANAGERS:
        assert f"V({manager})" in returned
        assert f"\n| {manager} " in rows


class InterruptedHost:
    """A host that an interrupted run has left, in place of ListenerHost."""

    lost = ()
    refusal = None

    def __init__(self, _spec, _connect):
        self.undone = False

    def reserved(self):
        return contextlib.nullcontext()

    def prepare(self):
        self.undone = True

    def observe(self):
        if self.refusal:
            raise self.refusal
        return VIRGIN

    def apply(self, plan):
        raise AssertionError(f"carried out {plan}")

    def give_up(self, error):
        return ApplyFailed(error.subject, problem=error.problem, remedy="The previous state is restored")


def plan_on(monkeypatch, refusal=None, **arguments):
    monkeypatch.setattr(InterruptedHost, "refusal", refusal)
    monkeypatch.setattr(listener, "ListenerHost", InterruptedHost)
    return run_module(dockerd_listener, {"state": "planned"}, **arguments)


def test_a_plan_undoes_an_interrupted_run_and_nothing_else(monkeypatch):
    result = plan_on(monkeypatch)
    assert result["changed"] is True
    assert result["restarted"] is True
    # The task that carries out the plan reports its reasons and its diff.
    unchanged = plan_on(monkeypatch, check_mode=True)
    assert unchanged["changed"] is False
    assert not {"reasons", "diff", "restarted"} & set(unchanged)


def test_a_rejected_plan_undoes_an_interrupted_run(monkeypatch):
    refusal = Refused("docker.service", problem="It is rejected")
    assert "The previous state is restored" in plan_on(monkeypatch, refusal)["msg"]
    assert "restored" not in plan_on(monkeypatch, refusal, check_mode=True)["msg"]
