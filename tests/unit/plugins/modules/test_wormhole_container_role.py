# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role wormholes hands every option of the module on, and none that the module lacks."""

from __future__ import annotations

from pathlib import Path

import yaml

from ansible_collections.wormhole.docker.plugins.modules import wormhole_container

ROLE = Path(wormhole_container.__file__).parents[2] / "roles" / "wormholes"


def test_the_role_knows_every_option_of_the_module():
    (task,) = yaml.safe_load((ROLE / "tasks" / "main.yml").read_text())
    handed_on = task["wormhole.docker.wormhole_container"]
    assert set(handed_on) == set(wormhole_container.ARGUMENTS)
    for name, value in handed_on.items():
        assert value in (f"{{{{ item.{name} | default(omit) }}}}", f"{{{{ item.{name} }}}}")
