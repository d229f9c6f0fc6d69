# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts playbook rotate waits for and which block a stage, by the playbook's expressions."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

ROOT = Path(__file__).resolve().parents[2]
PLAYS = {
    play["tags"][0]: play
    for play in yaml.safe_load((ROOT / "playbooks/rotate.yml").read_text(encoding="utf-8"))
}
ROLE = yaml.safe_load((ROOT / "roles/rotation/vars/main.yml").read_text(encoding="utf-8"))
HELD_UP = "__rotation_held_up"


WAITS_FOR = "__rotation_waits_for"
FLEET = {"certificate_authority_scope": "fleet"}


def judge(stage, hostvars, reached, pattern=None, scope=None):
    """Return the hosts that a stage waits for, and whether it is blocked."""
    variables = {
        "groups": {"all": list(hostvars), "ungrouped": list(hostvars)},
        "hostvars": {name: {"inventory_hostname": name, **found} for name, found in hostvars.items()},
        "inventory_hostname": next(iter(hostvars)),
        "ansible_play_hosts": reached,
        **(FLEET if scope is None else scope),
        **({"wormhole_hosts": pattern} if pattern else {}),
    }
    ours = ("__rotation_is_shared", "__rotation_clients", WAITS_FOR, HELD_UP)
    names = {**PLAYS[stage]["tasks"][0]["vars"], **{name: ROLE[name] for name in ours}}
    for name, expression in names.items():
        variables[name] = Templar(DataLoader(), variables).template(trust_as_template(expression))
    return variables[WAITS_FOR], variables[HELD_UP]


SERVES, SILENT, EMPTY = {"listener_host_addresses": ["192.0.2.1"]}, {}, {"listener_host_addresses": []}


@pytest.mark.parametrize("stage", ["reissue", "drop"])
@pytest.mark.parametrize(
    ("hostvars", "reached", "expected"),
    [
        ({"a": SILENT, "b": SILENT}, ["a", "b"], ([], False)),
        ({"a": SILENT, "b": EMPTY}, ["a"], (["b"], False)),
        ({"a": SERVES, "b": SILENT}, ["a", "b"], ([], False)),
        ({"a": SERVES, "b": SILENT}, ["a"], (["b"], True)),
        # The same if the host that was not reached serves clients on other hosts.
        ({"a": SILENT, "b": SERVES}, ["a"], (["b"], True)),
        ({"a": EMPTY, "b": SERVES, "c": SILENT}, ["b"], (["a", "c"], True)),
    ],
)
def test_the_hosts_that_a_stage_waits_for(stage, hostvars, reached, expected):
    assert judge(stage, hostvars, reached) == expected


@pytest.mark.parametrize("stage", ["reissue", "drop"])
@pytest.mark.parametrize(
    ("scope", "waits"),
    [
        ({}, []),
        ({"certificate_authority_scope": "host"}, []),
        # One authority of the user's own signs for all.
        ({"certificate_authority_certificate_path": "/srv/ca.pem"}, ["b"]),
        ({"certificate_authority_certificate_content": "PEM"}, ["b"]),
    ],
)
def test_an_authority_of_the_host_alone_waits_for_no_other_host(stage, scope, waits):
    assert judge(stage, {"a": SERVES, "b": SILENT}, ["a"], scope=scope) == (waits, bool(waits))


@pytest.mark.parametrize("stage", ["reissue", "drop"])
def test_an_engine_waits_for_the_hosts_of_its_clients(stage):
    hosts = {"a": SILENT, "b": {"rotation_engines": ["a"]}, "c": {"rotation_engines": ["d"]}, "d": SILENT}
    assert judge(stage, hosts, ["a"], scope={}) == (["b"], True)
    assert judge(stage, hosts, ["a", "b"], scope={}) == ([], False)


def test_a_host_outside_the_pattern_is_not_waited_for():
    assert judge("drop", {"a": SERVES, "b": SILENT, "old": SERVES}, ["a", "b"], "all:!old") == ([], False)


def test_all_hosts_run_a_task_of_a_stage_before_the_next_one():
    """Otherwise a client could get its certificate before another host's server accepts it."""
    assert [play.get("strategy") for play in PLAYS.values()] == [None, *["ansible.builtin.linear"] * 2]


@pytest.mark.parametrize("stage", ["reissue", "drop"])
def test_no_task_of_a_blocked_stage_changes_anything(stage):
    tasks = yaml.safe_load((ROOT / f"roles/rotation/tasks/{stage}.yml").read_text(encoding="utf-8"))
    assert len(tasks) >= 5
    for task in tasks:
        arguments = task.get("vars", {})
        harmless = (
            "ansible.builtin.import_tasks" in task  # checked below
            # By the authorities of other hosts, which only these hosts advance.
            or task.get("ansible.builtin.include_tasks") == "engines.yml"
            or arguments.get("certificates_rotation_step") == "trust"
            or "certificate_authority_waits_for" in arguments
        )
        assert harmless or f"not {HELD_UP}" in task["when"], task["name"]
    [restart] = yaml.safe_load((ROOT / "roles/rotation/tasks/restart.yml").read_text(encoding="utf-8"))
    assert f"not {HELD_UP}" in restart["when"]
