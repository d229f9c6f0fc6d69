#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wormhole_container_info
short_description: List the wormholes of a host
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Lists the wormholes of a host, running or not. A wormhole is a container with access to the
    engine that runs it.
  - The module finds them by the labels that M(wormhole.docker.wormhole_container) sets and that
    M(wormhole.docker.wormhole_wiring_info) returns. Containers that access the engine in another
    way are not listed.
options:
  verify:
    description: Whether to connect to the engine from inside each running wormhole, as its user.
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
- name: List the wormholes of a host
  wormhole.docker.wormhole_container_info:
  become: true
  register: found

- name: Fail if a running wormhole cannot connect to its engine
  wormhole.docker.wormhole_container_info:
    verify: true
  become: true
  register: verified
  failed_when: verified.wormholes | selectattr('proved', 'eq', false) | length > 0

- name: Show the wormholes whose certificate expires within a month
  ansible.builtin.debug:
    msg: "{{ found.wormholes | rejectattr('certificate_days_left', 'none') | selectattr('certificate_days_left', 'lt', 30) }}"

- name: Show the wormholes that the inventory does not list
  ansible.builtin.debug:
    msg: "{{ found.wormholes | map(attribute='name') | difference(wormholes_containers | map(attribute='name')) }}"
"""

RETURN = r"""
wormholes:
  description: Wormholes, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name of the container, as in O(wormhole.docker.wormhole_container#module:name).
      type: str
    id:
      description: ID of the container.
      type: str
      sample: 8dfafdbc3a40be3c0f1a2f5d9a7f3e8e2e5a6e0c1c9d4e7f8a9b0c1d2e3f4a5b
    image:
      description: Image, as the container refers to it.
      type: str
      sample: jenkins/jenkins:lts
    status:
      description: Status of the container, such as V(running), V(exited) or V(created).
      type: str
    transport:
      description: Transport to the engine, V(tls), V(unix) or V(tcp).
      type: str
    identity:
      description: Common name of the client certificate. Empty without TLS.
      type: str
    put_aside:
      description: Whether the container was left by an interrupted run of
        M(wormhole.docker.wormhole_container), and no container has the name of the wormhole. The
        next run for this wormhole completes or undoes the replacement.
      type: bool
    managed:
      description: Whether M(wormhole.docker.wormhole_container) has created the container. Others
        were created with the settings of M(wormhole.docker.wormhole_wiring_info).
      type: bool
    running:
      description: Whether the main process runs.
      type: bool
    health:
      description: Result of the healthcheck, such as V(healthy). Empty if the container has none or
        does not run.
      type: str
    docker_host:
      description: Value of E(DOCKER_HOST) in the container.
      type: str
      sample: tcp://172.17.0.1:2376
    address:
      description: Address of the engine. Empty for V(unix).
      type: str
      sample: 172.17.0.1
    port:
      description: Port of the engine; 0 for V(unix).
      type: int
    certificate_path:
      description: Directory of the identity in the container. Empty without TLS.
      type: str
      sample: /certs
    identity_directory:
      description: Directory of the identity on the host. Empty without TLS.
      type: str
      sample: /etc/wormhole/identities/agent
    policy:
      description: Preset of the policy by which the gate decides about the wormhole's calls. Empty
        without a policy, or if the module may not read it.
      type: str
      sample: ci
    policy_mode:
      description: Mode of the policy, such as V(enforce). Empty without a policy.
      type: str
      sample: enforce
    policy_version:
      description: Version of the policy, as in the log of the gate. It changes with the preset, the
        mode and the overrides. Empty without a policy.
      type: str
      sample: 0a1b2c3d4e5f
    certificate_not_after:
      description: Expiry of the certificate on the host, in UTC. Empty without TLS, or if the
        certificate cannot be read.
      type: str
      sample: "2027-02-21T10:00:00Z"
    certificate_days_left:
      description: Number of whole days until the expiry, negative afterwards. Null if
        RV(wormholes[].certificate_not_after) is empty.
      type: int
    proved:
      description: Whether the container could connect to the engine. Null without O(verify=true),
        and for containers that do not run.
      type: bool
    problem:
      description: Why the container could not connect. Empty if it could, or if that was not tried.
      type: str
    siblings:
      description: Containers that the wormhole has created through the gate, sorted by name. Without
        a policy, nothing is recorded, and the list is empty.
      type: list
      elements: dict
      contains:
        name:
          description: Name of the container.
          type: str
        id:
          description: ID of the container.
          type: str
        state:
          description: State of the container, such as V(running), V(exited) or V(created).
          type: str
        created:
          description: When it was created, in UTC.
          type: str
          sample: "2026-12-01T10:00:00Z"
    siblings_used:
      description: How many objects count against the limits of the policy.
      type: dict
      contains:
        containers:
          description: Number of containers.
          type: int
        running:
          description: Number of containers that run.
          type: int
        networks:
          description: Number of networks.
          type: int
    siblings_removed:
      description: What the gate has stopped or removed last, after the wormhole had ended. The
        newest is the last one. The gate keeps 100 entries for the whole host.
      type: list
      elements: dict
      contains:
        kind:
          description: What it was, V(container), V(network) or V(volume).
          type: str
        id:
          description: Its ID; of a volume its name.
          type: str
        name:
          description: Its name.
          type: str
        action:
          description: V(removed) or V(stopped).
          type: str
        time:
          description: When it was done, in UTC.
          type: str
          sample: "2026-12-01T10:00:00Z"
"""

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue import connection
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.io import survey, verification


def gather(module: AnsibleModule) -> dict[str, Any]:
    now = datetime.now(timezone.utc)
    engine = connection.open_engine(module.params)
    return {
        "changed": False,
        "wormholes": survey.survey(
            engine, verification.connect_from_inside, now, verify=module.params["verify"]
        ),
    }


def main() -> None:
    run(gather, {"verify": {"type": "bool", "default": False}, **connection.connection_arguments()})


if __name__ == "__main__":
    main()
