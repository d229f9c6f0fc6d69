# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import jinja2
import jinja2.filters
import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible.plugins.filter.core import FilterModule as CoreFilters

from ansible_collections.wormhole.docker.plugins.filter.check_reported_names import FilterModule

check_reported_names = FilterModule().filters()["check_reported_names"]
ROLE = Path(__file__).resolve().parents[4] / "roles/listener"
REPORTED = [{"name": "IP:172.17.0.1", "origin": "gateway of network bridge", "urgent": True}]
SHARED = {"name": "IP:100.64.0.1", "origin": "gateway of network ci"}


@jinja2.pass_context
def list_map(context, *arguments, **options):
    """Return a list, as in Ansible."""
    return list(jinja2.filters.sync_do_map(context, *arguments, **options))


def test_names_are_returned_as_they_are():
    assert check_reported_names(REPORTED) == REPORTED
    assert check_reported_names([*REPORTED, SHARED], ["IP:100.64.0.1"]) == [*REPORTED, SHARED]


@pytest.mark.parametrize(
    ("reported", "said"),
    [
        ([SHARED], "neither private nor loopback: IP:100.64.0.1 (gateway of network ci)"),
        (["IP:10.0.0.1"], "dictionaries with a text as name"),
        ([{"name": 7}], "dictionaries with a text as name"),
        ([{"name": "nonsense"}], "IP:<address> or DNS:<name>"),
    ],
)
def test_other_names_are_rejected(reported, said):
    with pytest.raises(AnsibleFilterError) as rejected:
        check_reported_names(reported, ["IP:10.0.0.1"])
    assert said in str(rejected.value)


@pytest.mark.parametrize(
    ("variables", "is_accepted"),
    [
        ({}, False),
        ({"listener_addresses": ["gateways"]}, False),
        ({"listener_addresses": ["100.64.0.1"]}, True),
        ({"listener_host_addresses": "192.0.2.1,100.64.0.1"}, True),
        ({"listener_subject_alternative_names": ["DNS:a", "IP:100.64.0.1"]}, True),
    ],
)
def test_role_listener_accepts_what_its_variables_name(variables, is_accepted):
    core = CoreFilters().filters()
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    environment.filters.update(
        {
            "map": list_map,
            "split": lambda text, separator: text.split(separator),
            "flatten": core["flatten"],
            "regex_replace": core["regex_replace"],
            "wormhole.docker.check_reported_names": check_reported_names,
        }
    )
    texts = yaml.safe_load((ROLE / "vars/main.yml").read_text(encoding="utf-8"))
    values = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    values.update(variables, __listener_gateways={"subject_alternative_names": [*REPORTED, SHARED]})

    def evaluate(text):
        expression = text.strip().removeprefix("{{").removesuffix("}}")
        return environment.compile_expression(expression, undefined_to_none=False)(**values)

    values["__listener_named"] = evaluate(texts["__listener_named"])
    template = texts["__listener_certificates"][0]["subject_alternative_names"]
    if is_accepted:
        assert evaluate(template)[:2] == [*REPORTED, SHARED]
    else:
        with pytest.raises(AnsibleFilterError, match="IP:100.64.0.1"):
            evaluate(template)
