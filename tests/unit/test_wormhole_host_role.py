# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role host passes the variables of the single roles on, with their defaults."""

from __future__ import annotations

import re
from pathlib import Path

import jinja2
import pytest
import yaml

from ansible_collections.wormhole.docker.plugins.module_utils._glue import certificates
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority_options import (
    authority_arguments,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.connection import connection_arguments
from ansible_collections.wormhole.docker.plugins.module_utils._glue.ensure_authority import CREATION_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.host_options import (
    GATE_ARGUMENTS,
    HOST_ARGUMENTS,
    LISTENER_ARGUMENTS,
)
from ansible_collections.wormhole.docker.plugins.modules import wormhole_host

ROLES = Path(wormhole_host.__file__).parents[2] / "roles"
LATER = {"listener_material_changed", "listener_wormholes_removed"}
"""Variables of role listener for tasks that follow others."""


def read(role, path):
    return yaml.safe_load((ROLES / role / path).read_text())


VARIABLES = read("host", "vars/main.yml")
(TASK,) = read("host", "tasks/run.yml")


def test_every_variable_of_the_listener_is_passed_on():
    passed = VARIABLES["__host_listener"]
    assert set(passed) == set(LISTENER_ARGUMENTS)
    for name, value in passed.items():
        assert value.startswith(f"{{{{ listener_{name} | default("), value
    assert {f"listener_{name}" for name in passed} >= set(read("listener", "defaults/main.yml")) - LATER


def test_the_defaults_of_the_listener_are_those_of_its_role():
    defaults = {
        name: value for name, value in read("listener", "defaults/main.yml").items() if name not in LATER
    }
    for name, value in defaults.items():
        expected = LISTENER_ARGUMENTS[name.partition("_")[2]].get("default")
        assert (value or None) == (expected or None), name


def test_the_defaults_of_the_authority_are_those_of_its_role():
    defaults = read("certificate_authority", "defaults/main.yml")
    passed = VARIABLES["__host_authority"]
    # During a rotation, the role runs the single roles.
    assert set(passed) == set(CREATION_ARGUMENTS) - {"rotation", "rotation_waits_for"}
    for name, value in passed.items():
        default = defaults[f"certificate_authority_{name}"]
        assert f"certificate_authority_{name} | default(" in value
        assert CREATION_ARGUMENTS[name]["default"] == default or f"default('{default}')" in value


def test_the_task_has_all_options():
    options = set(TASK["wormhole.docker.wormhole_host"])
    # The engine of a host that is set up is that of its docker.service. A module default may say otherwise.
    expected = {*HOST_ARGUMENTS, *authority_arguments(), *certificates.HOST_ARGUMENTS}
    assert options == expected - set(connection_arguments())


def test_the_variables_of_the_gate_are_passed_on():
    passed = VARIABLES["__host_gate"]
    assert set(passed) == set(GATE_ARGUMENTS)
    defaults = read("gate", "defaults/main.yml")
    for name in set(passed) - {"state"}:
        assert passed[name] == f"{{{{ gate_{name} | default(omit) }}}}"
        assert defaults[f"gate_{name}"] == GATE_ARGUMENTS[name]["default"]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, False),
        ({"gate_state": "present"}, True),
        ({"gate_state": "absent"}, False),
        ({"listener_served_by": "gate"}, True),
        ({"wormholes_containers": [{"name": "a"}]}, False),
        ({"wormholes_containers": [{"name": "a", "policy": "unrestricted"}, {"policy": ""}]}, False),
        ({"wormholes_containers": [{"name": "a"}, {"name": "b", "policy": "ci"}]}, True),
    ],
)
def test_the_playbook_provision_installs_the_gate_that_launch_will_need(variables, expected):
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters["bool"] = lambda value: str(value).strip().lower() in ("true", "yes", "1")
    limited = environment.from_string(VARIABLES["__host_limited"]).render(variables)
    found = environment.from_string(VARIABLES["__host_has_gate"]).render(
        {**variables, "__host_limited": limited}
    )
    assert found.strip() == str(expected)


def test_the_engines_variable_is_passed_on():
    assert read("engine", "defaults/main.yml") == {
        "engine_install": HOST_ARGUMENTS["engine_install"]["default"]
    }


def test_the_sections_are_documented_and_known_to_the_scenarios():
    root = ROLES.parent
    code = (root / "plugins/module_utils/_glue/host.py").read_text(encoding="utf-8")
    controller = (root / "plugins/action/wormhole_host.py").read_text(encoding="utf-8")
    names = {
        *re.findall(r'_report\(\s*"(\w+)"', code),
        *re.findall(r'"section": "(\w+)"', controller),
    }
    assert {"engine", "authority"} <= names
    described = yaml.safe_load(wormhole_host.RETURN)["sections"]["contains"]["section"]["description"]
    assert set(re.findall(r"C\((\w+)\)", described)) == names
    scenarios = (root / "tests/system/playbooks.py").read_text(encoding="utf-8")
    (table,) = re.findall(r"^SECTIONS = \{(.*?)^\}", scenarios, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r'"(\w+)": ', table)) == names
    page = " ".join((root / "roles/host/README.md").read_text(encoding="utf-8").split())
    (listed,) = re.findall(r"one section for each part: ([^.]*)\.", page)
    assert set(re.split(r", | and ", listed)) == names
