# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each reason of the plans of the gate, and what the plan does about it."""

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._base.systemd_units import (
    assignments,
)
from ansible_collections.wormhole.docker.plugins.module_utils._gate import config, units
from ansible_collections.wormhole.docker.plugins.module_utils._gate.ending import KEPT, REMOVED, Ending
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host import desired
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.model import (
    Directory,
    EndSiblings,
    GateHostState,
    Unit,
    User,
)
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.plan import plan_gate
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.removal import plan_removal
from ansible_collections.wormhole.docker.plugins.module_utils._gate_host.spec import (
    GateHostSpec,
    parse_spec,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._gate_host.simulation import (
    PROGRAM,
    SERVED,
    changed_file,
    changed_unit,
    simulate,
)

SPEC = GateHostSpec(program=PROGRAM)
TLS = GateHostSpec(program=PROGRAM, tls_directory=SERVED)
BARE = GateHostState(socket_group="docker", units={name: Unit() for name in desired.UNITS})
INSTALLED = simulate(BARE, plan_gate(SPEC, BARE))
SERVING = simulate(BARE, plan_gate(TLS, BARE))
SERVICE, DOOR = map(units.unit_path, (units.SERVICE, units.DOOR))


def codes(plan):
    return [reason.code for reason in plan.reasons]


def kinds(plan):
    return [type(action).__name__ for action in plan.actions]


def test_a_host_without_a_gate():
    plan = plan_gate(SPEC, BARE)
    assert codes(plan) == [
        "gate_user_missing",
        "gate_directory_missing",
        "gate_directory_missing",
        "gate_missing",
        "gate_config_missing",
        "gate_unit_missing",
        "gate_unit_missing",
        "gate_not_enabled",
        "gate_stopped",
    ]
    # The files belong to the user's group; systemd reads the units before it starts them.
    assert kinds(plan) == [
        "CreateUser",
        "MakeDirectory",
        "MakeDirectory",
        "InstallProgram",
        "WriteFile",
        "WriteFile",
        "WriteFile",
        "ReloadUnits",
        "EnableUnits",
        "RestartGate",
    ]
    assert plan.after[units.PROGRAM] == {"content": f"SHA-256 {PROGRAM}", "permissions": "0755 root:root"}
    assert plan_gate(SPEC, INSTALLED).is_empty


def test_a_gate_that_serves_tls_watches_its_certificate():
    assert plan_gate(TLS, SERVING).is_empty
    added = plan_gate(TLS, INSTALLED)
    assert codes(added) == [
        "gate_config_differs",
        "gate_unit_missing",
        "gate_unit_missing",
        "gate_not_enabled",
        "gate_outdated",
        "gate_stopped",
    ]
    assert kinds(added)[-2:] == ["RestartGate", "StartUnits"]
    removed = plan_gate(SPEC, SERVING)
    assert codes(removed) == [
        "gate_unit_surplus",
        "gate_unit_surplus",
        "gate_config_differs",
        "gate_outdated",
    ]
    assert kinds(removed)[0] == "RemoveUnits"


@pytest.mark.parametrize(
    ("state", "expected", "actions"),
    [
        pytest.param(
            dataclasses.replace(INSTALLED, user=None), ["gate_user_missing"], ["CreateUser"], id="user"
        ),
        pytest.param(
            dataclasses.replace(
                INSTALLED,
                directories={**INSTALLED.directories, config.POLICIES: Directory(0o755, "root", "root")},
            ),
            ["gate_directory_differs"],
            ["MakeDirectory"],
            id="policies readable by all",
        ),
        pytest.param(
            changed_file(INSTALLED, units.PROGRAM),
            ["gate_program_missing"],
            ["InstallProgram", "RestartGate"],
            id="program removed",
        ),
        pytest.param(
            changed_file(INSTALLED, units.PROGRAM, content="b" * 64),
            ["gate_program_differs"],
            ["InstallProgram", "RestartGate"],
            id="program changed by somebody",
        ),
        pytest.param(
            changed_file(INSTALLED, units.PROGRAM, owner="mallory"),
            ["gate_program_differs"],
            ["InstallProgram"],
            id="program of another user",
        ),
        pytest.param(
            changed_file(INSTALLED, config.PATH, mode=0o666),
            ["gate_config_differs"],
            ["WriteFile"],
            id="settings",
        ),
        pytest.param(
            changed_file(INSTALLED, config.PATH, content="{}"),
            ["gate_config_differs"],
            ["WriteFile", "RestartGate"],
            id="settings that the service may have been started with",
        ),
        pytest.param(
            changed_file(INSTALLED, DOOR, content="[Unit]"),
            ["gate_unit_differs"],
            ["WriteFile", "ReloadUnits"],
            id="unit",
        ),
        pytest.param(
            changed_unit(INSTALLED, units.DOOR, stale=True),
            ["gate_unit_stale"],
            ["ReloadUnits"],
            id="not read",
        ),
        pytest.param(
            changed_unit(INSTALLED, units.SERVICE, enabled=False),
            ["gate_not_enabled"],
            ["EnableUnits"],
            id="not at boot",
        ),
        pytest.param(
            changed_unit(INSTALLED, units.SERVICE, active=False),
            ["gate_stopped"],
            ["RestartGate"],
            id="stopped",
        ),
        pytest.param(
            dataclasses.replace(INSTALLED, running="x"),
            ["gate_outdated"],
            ["RestartGate"],
            id="not restarted",
        ),
        pytest.param(
            dataclasses.replace(INSTALLED, leftovers=("/etc/wormhole/.gate.json.q.new",)),
            ["gate_leftover"],
            ["RemoveFiles"],
            id="left by a killed run",
        ),
        pytest.param(
            changed_file(
                INSTALLED,
                SERVICE,
                content=INSTALLED.files[SERVICE].content.replace(INSTALLED.running, "c" * 64),
            ),
            ["gate_unit_differs"],
            ["WriteFile", "ReloadUnits"],
            id="the unit names another version",
        ),
    ],
)
def test_one_difference_has_one_reason(state, expected, actions):
    plan = plan_gate(SPEC, state)
    assert (codes(plan), kinds(plan)) == (expected, actions)
    assert plan_gate(SPEC, simulate(state, plan)).is_empty


def test_an_update_restarts_the_gate_and_names_the_program_only():
    update = dataclasses.replace(SPEC, program="b" * 64)
    plan = plan_gate(update, INSTALLED)
    assert codes(plan) == ["gate_program_differs", "gate_outdated"]
    assert kinds(plan) == ["InstallProgram", "WriteFile", "ReloadUnits", "RestartGate"]
    # A door is the same in both versions, and stays.
    assert DOOR not in plan.after


@pytest.mark.parametrize("changes", [{"connections": 65}, {"memory": "1G"}, {"engine": "/run/other.sock"}])
def test_a_setting_restarts_the_gate(changes):
    plan = plan_gate(dataclasses.replace(SPEC, **changes), INSTALLED)
    assert codes(plan)[-1] == "gate_outdated"
    assert kinds(plan)[-1] == "RestartGate"


def test_the_service_has_the_group_of_the_engines_socket():
    state = dataclasses.replace(BARE, socket_group="engine")
    text = simulate(state, plan_gate(SPEC, state)).files[SERVICE].content
    values = dict(assignments(text, "Service"))
    assert values["SupplementaryGroups"] == "engine"
    # A socket that does not exist yet says nothing.
    unknown = dataclasses.replace(INSTALLED, socket_group="")
    assert plan_gate(SPEC, unknown).is_empty


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"user": User(1000, units.USER)}, "has the number 1000, which is not one of a system user"),
        ({"user": User(0, units.USER)}, "has the number 0"),
        ({"user": User(998, "docker")}, "The primary group of the user wormhole-gate is docker"),
        ({"socket_group": "root"}, "belongs to the group root"),
    ],
)
def test_what_cannot_be_used_is_rejected(changes, said):
    with pytest.raises(Refused, match=said):
        plan_gate(SPEC, dataclasses.replace(BARE, **changes))


# -- removal --

ABSENT = GateHostSpec(state="absent")
USED = dataclasses.replace(
    INSTALLED,
    doors=(units.unix_unit("ci"),),
    policies=("ci",),
    directories={**INSTALLED.directories, units.SOCKETS: Directory(0o755)},
)


def test_a_removal_names_all_that_it_removes():
    plan = plan_removal(ABSENT, USED)
    assert set(codes(plan)) == {"gate_surplus"}
    assert {reason.subject for reason in plan.reasons} == {
        units.SERVICE,
        units.DOOR,
        units.unix_unit("ci"),
        "/etc/wormhole/policies/ci.json",
        units.PROGRAM,
        config.PATH,
        *USED.directories,
        "user wormhole-gate",
    }
    # The user goes last: until then, files belong to it.
    assert kinds(plan) == ["RemoveUnits", "RemoveFiles", "RemoveDirectories", "RemoveUser"]
    assert plan_removal(ABSENT, BARE).is_empty


def test_siblings_are_removed_while_the_program_exists():
    siblings = (
        Ending("ci", "container", "a" * 64, "web", REMOVED),
        Ending("ci", "volume", "data", "data", KEPT, "cleanup: none"),
    )
    plan = plan_removal(ABSENT, dataclasses.replace(USED, siblings=siblings))
    assert plan.actions[0] == EndSiblings(siblings)
    assert kinds(plan)[1] == "RemoveUnits"
    texts = [reason.text for reason in plan.reasons if "created" in reason.text]
    assert texts == ["ci has created it, and its policy wants it removed"]
    assert plan.before["container web"] == "exists"
    assert "volume data" not in plan.before


def test_running_containers_keep_the_gate():
    used = dataclasses.replace(USED, users=("agent", "web"))
    with pytest.raises(Refused, match=r"through the gate: agent, web\. "):
        plan_removal(ABSENT, used)
    with pytest.raises(Refused, match=r"through the gate: web\. "):
        plan_removal(dataclasses.replace(ABSENT, wormholes_removed=("agent",)), used)
    assert plan_removal(ABSENT, dataclasses.replace(BARE, users=("web",))).is_empty


def test_a_user_that_is_not_ours_stays():
    theirs = dataclasses.replace(BARE, user=User(1000, "people"))
    assert plan_removal(ABSENT, theirs).is_empty


# -- options --


def test_the_engine_of_the_task_is_that_of_the_gate():
    assert parse_spec({"program": PROGRAM, "docker_host": "unix:///var/run/docker.sock"}) == SPEC
    assert parse_spec({"program": PROGRAM, "docker_host": "unix:///srv/d.sock"}).engine == "/srv/d.sock"
    assert parse_spec({"state": "absent"}) == ABSENT


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"connections": 0}, "connections is 0"),
        ({"connections": 4097}, "connections is 4097"),
        ({"memory": "much"}, "memory is 'much'"),
        ({"memory": "63M"}, "at least 64M"),
        ({"memory": "512M\nUser=root"}, "memory is"),
        ({"tls_directory": "server"}, "tls_directory is 'server'"),
        ({"tls_directory": "/etc/a b"}, "tls_directory is"),
        ({"tls_directory": "/etc/%h"}, "tls_directory is"),
        ({"tls_directory": "/etc/x\n"}, "tls_directory is"),
        ({"docker_host": "tcp://192.0.2.1:2376"}, "docker_host is 'tcp"),
        ({"docker_host": "unix://docker.sock"}, "docker_host is"),
        ({"program": None}, "The hash of the program is missing"),
        ({"program": "x"}, "The hash of the program is missing"),
    ],
)
def test_a_malformed_option_is_rejected(options, said):
    with pytest.raises(InvalidInput, match=said):
        parse_spec({"program": PROGRAM, **options})


def test_the_version_of_a_process_is_in_its_environment():
    environment = b"HOME=/\0WORMHOLE_GATE_VERSION=abc\0X=WORMHOLE_GATE_VERSION=y\0"
    assert desired.read_version(environment) == "abc"
    assert desired.read_version(b"") == ""
