# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role wormholes knows the options of the module, each and every one."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.wormhole.docker.plugins.doc_fragments import authority, wiring
from ansible_collections.wormhole.docker.plugins.modules import wormhole_container

ROLE = Path(wormhole_container.__file__).parents[2] / "roles" / "wormholes"
OPTIONS = {
    **{
        name: option
        for name, option in yaml.safe_load(wormhole_container.DOCUMENTATION)["options"].items()
        if name != "ca_directory"
    },
    **yaml.safe_load(wiring.ModuleDocFragment.DOCUMENTATION)["options"],
}
# What the action plugin hands over is not for tasks.
del OPTIONS["discover_program"]
CONNECTION = {"docker_host", "timeout"}
AUTHORITY = set(yaml.safe_load(authority.ModuleDocFragment.DOCUMENTATION)["options"])
"""By these the role tells of the authority, once for all wormholes."""


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


def test_the_task_hands_every_option_on():
    (task,) = yaml.safe_load((ROLE / "tasks" / "launch.yml").read_text())
    handed_on = task["wormhole.docker.wormhole_container"]
    assert set(handed_on) >= AUTHORITY
    handed_on = {name: value for name, value in handed_on.items() if name not in AUTHORITY}
    assert set(handed_on) == set(OPTIONS) | CONNECTION
    for name, value in handed_on.items():
        assert value in (f"{{{{ item.{name} | default(omit) }}}}", f"{{{{ item.{name} }}}}")


@pytest.mark.parametrize("entry_point", ["main", "validate"])
def test_the_specification_is_the_modules(entry_point):
    options = shape(specified(entry_point))
    assert set(options) - set(OPTIONS) == CONNECTION
    assert {name: options[name] for name in OPTIONS} == shape(OPTIONS)
