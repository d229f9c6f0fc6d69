# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role wormholes passes every option of the module on."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.wormhole.docker.plugins.doc_fragments import authority, container, wiring
from ansible_collections.wormhole.docker.plugins.modules import wormhole_container

ROLE = Path(wormhole_container.__file__).parents[2] / "roles" / "wormholes"
OPTIONS = {
    **{
        name: option
        for name, option in yaml.safe_load(wormhole_container.DOCUMENTATION)["options"].items()
        if name != "ca_directory"
    },
    **yaml.safe_load(container.ModuleDocFragment.DOCUMENTATION)["options"],
    **yaml.safe_load(wiring.ModuleDocFragment.DOCUMENTATION)["options"],
}
# The action plugin sets it.
del OPTIONS["discover_program"]
CONNECTION = {"docker_host", "timeout"}
AUTHORITY = {
    name
    for text in (authority.ModuleDocFragment.DOCUMENTATION, authority.ModuleDocFragment.REPLACE)
    for name in yaml.safe_load(text)["options"]
}
"""Options for the authority, which the role sets once for all wormholes."""


def specified(entry_point):
    specs = yaml.safe_load((ROLE / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    return specs[entry_point]["options"]["wormholes_containers"]["options"]


def shape(options):
    return {
        name: {
            **{key: option[key] for key in ("type", "elements", "choices", "required") if key in option},
            "options": shape(option.get("options") or option.get("suboptions") or {}),
        }
        for name, option in options.items()
    }


def test_the_task_passes_the_list_and_the_authority_on():
    (task,) = yaml.safe_load((ROLE / "tasks" / "launch.yml").read_text())
    handed_on = task["wormhole.docker.wormhole_containers"]
    assert set(handed_on) == {"wormholes", "unlisted", *AUTHORITY}
    assert handed_on["wormholes"] == "{{ wormholes_containers }}"


@pytest.mark.parametrize("entry_point", ["main", "validate"])
def test_the_specification_is_that_of_the_module(entry_point):
    options = shape(specified(entry_point))
    assert set(options) - set(OPTIONS) == CONNECTION
    assert {name: options[name] for name in OPTIONS} == shape(OPTIONS)
