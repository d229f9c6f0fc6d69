#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wormhole_container_info
short_description: The wormholes of a host
version_added: 0.1.0
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Lists the wormholes of a host, running or not, whether or not an inventory names them. They are told by the labels that
    M(wormhole.docker.wormhole_container) gives to its containers.
  - Containers that reach the engine in another way are not listed.
extends_documentation_fragment:
  - wormhole.docker.docker
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
seealso:
  - module: wormhole.docker.wormhole_container
"""

EXAMPLES = r"""
- name: Find the wormholes of a host
  wormhole.docker.wormhole_container_info:
  become: true
  register: found

- name: Show those that nobody has asked for
  ansible.builtin.debug:
    msg: "{{ found.wormholes | map(attribute='name') | difference(wormholes_containers | map(attribute='name')) }}"
"""

RETURN = r"""
wormholes:
  description: The wormholes, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the wormhole, as in option O(wormhole.docker.wormhole_container#module:name).
      type: str
      sample: agent
    id:
      description: ID of its container.
      type: str
      sample: 8dfafdbc3a40be3c0f1a2f5d9a7f3e8e2e5a6e0c1c9d4e7f8a9b0c1d2e3f4a5b
    image:
      description: The image as the container names it.
      type: str
      sample: jenkins/jenkins:lts
    status:
      description: State of the container as the engine has it, such as V(running), V(exited) or V(created).
      type: str
      sample: running
    transport:
      description: How it reaches its engine, V(tls) or V(unix).
      type: str
      sample: tls
    identity:
      description: Common name of its certificate, which is what the engine knows it by; empty for V(unix).
      type: str
      sample: agent
    put_aside:
      description:
        - Whether an interrupted run of M(wormhole.docker.wormhole_container) has put the container aside and nothing in its
          place. The next run for that wormhole puts it back.
      type: bool
      sample: false
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import LABEL_MANAGED
from ansible_collections.wormhole.docker.plugins.module_utils._core.wormhole_list import list_wormholes
from ansible_collections.wormhole.docker.plugins.module_utils._glue.connection import (
    connection_arguments,
    open_engine,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import run


def gather(module: AnsibleModule) -> dict[str, Any]:
    summaries = open_engine(module.params).containers(labels={LABEL_MANAGED: "true"})
    return {"changed": False, "wormholes": [asdict(wormhole) for wormhole in list_wormholes(summaries)]}


def main() -> None:
    run(AnsibleModule(argument_spec=connection_arguments(), supports_check_mode=True), gather)


if __name__ == "__main__":
    main()
