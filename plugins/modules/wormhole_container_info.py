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
    M(wormhole.docker.wormhole_container) gives to its containers, and that are part of what
    M(wormhole.docker.wormhole_wiring_info) hands out.
  - Containers that reach the engine in another way are not listed.
options:
  verify:
    description:
      - Whether to go through each wormhole that runs once, from inside its container and as its user.
    type: bool
    default: false
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

- name: Go through all that run
  wormhole.docker.wormhole_container_info:
    verify: true
  become: true
  register: verified
  failed_when: verified.wormholes | selectattr('proved', 'eq', false) | length > 0

- name: Name those whose certificate ends within a month
  ansible.builtin.debug:
    msg: "{{ found.wormholes | rejectattr('certificate_days_left', 'none') | selectattr('certificate_days_left', 'lt', 30) }}"

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
      description: How it reaches its engine, V(tls), V(unix) or V(tcp).
      type: str
      sample: tls
    identity:
      description: Common name of its certificate, which is what the engine knows it by; empty without TLS.
      type: str
      sample: agent
    put_aside:
      description:
        - Whether an interrupted run of M(wormhole.docker.wormhole_container) has put the container aside and nothing in its
          place. The next run for that wormhole puts it back.
      type: bool
      sample: false
    managed:
      description:
        - Whether M(wormhole.docker.wormhole_container) has made it. Other containers have been given the wiring that
          M(wormhole.docker.wormhole_wiring_info) hands out.
      type: bool
      sample: true
    running:
      description: Whether its main process runs.
      type: bool
      sample: true
    health:
      description: What its own health check says, such as V(healthy); empty if it has none or does not run.
      type: str
      sample: healthy
    docker_host:
      description: Its E(DOCKER_HOST).
      type: str
      sample: tcp://172.17.0.1:2376
    address:
      description: The address in it; empty for V(unix).
      type: str
      sample: 172.17.0.1
    port:
      description: The port in it; 0 for V(unix).
      type: int
      sample: 2376
    certificate_path:
      description: Where its identity is in the container; empty without TLS.
      type: str
      sample: /certs
    identity_directory:
      description: Where its identity is on the host; empty without TLS.
      type: str
      sample: /etc/wormhole/identities/agent
    certificate_not_after:
      description:
        - Until when its certificate is valid, in UTC, as the host has it now. Empty without TLS, and if it cannot be read.
      type: str
      sample: "2027-02-21T10:00:00Z"
    certificate_days_left:
      description: Whole days until then, negative afterwards; none where RV(wormholes[].certificate_not_after) is empty.
      type: int
      sample: 88
    proved:
      description:
        - Whether it was gone through; none without O(verify=true), and for those that do not run.
      type: bool
      sample: true
    problem:
      description: Why it could not be gone through; empty if it could, or was not tried.
      type: str
      sample: ""
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.wormhole_proof import traverse
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.wormhole_survey import survey
from ansible_collections.wormhole.docker.plugins.module_utils._glue.connection import (
    connection_arguments,
    open_engine,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import run


def gather(module: AnsibleModule) -> dict[str, Any]:
    now = datetime.now(timezone.utc)
    engine = open_engine(module.params)
    return {"changed": False, "wormholes": survey(engine, traverse, now, verify=module.params["verify"])}


def main() -> None:
    arguments = {"verify": {"type": "bool", "default": False}, **connection_arguments()}
    run(AnsibleModule(argument_spec=arguments, supports_check_mode=True), gather)


if __name__ == "__main__":
    main()
