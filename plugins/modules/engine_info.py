#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: engine_info
short_description: Whether a host has a Docker engine and what the other modules need
version_added: 0.1.0
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Looks for a Docker engine of any origin, and for the Python libraries C(docker) and C(cryptography), without needing
    any of them; names the packages that bring what is missing.
  - Made for the role P(wormhole.docker.engine#role).
options: {}
extends_documentation_fragment:
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
"""

EXAMPLES = r"""
- name: Look for an engine
  wormhole.docker.engine_info:
  register: engine
"""

RETURN = r"""
dockerd:
  description: Path of the engine's program; empty if there is none.
  returned: success
  type: str
  sample: /usr/sbin/dockerd
running:
  description: Whether C(docker.service) runs.
  returned: success
  type: bool
python:
  description: Path of the interpreter that modules run with.
  returned: success
  type: str
  sample: /usr/bin/python3
libraries:
  description: Versions of the Python libraries that were found.
  returned: success
  type: dict
  sample: {"cryptography": "43.0.0", "docker": "7.1.0"}
missing_packages:
  description: What to install.
  returned: success
  type: list
  elements: str
  sample: ["python3-docker"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.requirements import observe_host
from ansible_collections.wormhole.docker.plugins.module_utils._core.requirements import missing_packages
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import run


def gather(module: AnsibleModule) -> dict[str, Any]:
    state = observe_host()
    return {
        "changed": False,
        "dockerd": state.dockerd,
        "running": state.running,
        "python": state.python,
        "libraries": dict(state.libraries),
        "missing_packages": list(missing_packages(state)),
    }


def main() -> None:
    run(AnsibleModule(argument_spec={}, supports_check_mode=True), gather)


if __name__ == "__main__":
    main()
