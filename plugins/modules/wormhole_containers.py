#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wormhole_containers
short_description: Run containers with access to their Docker engine
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Runs a list of containers as M(wormhole.docker.wormhole_container) runs one, with the same
    number of round trips.
  - The whole list is checked first. The task fails before anything is changed if an option is
    malformed, if a name is listed twice, if two containers share an identity but have different
    options for it, or if two containers publish the same port of the host.
  - Then, all containers are inspected and planned. Several are changed and verified at the same
    time. A container that refers to another one of the list, or shares its identity, is changed
    after the others, in the order of the list.
  - If a container fails, the others are changed nevertheless. The task then fails, and names each
    container that failed.
  - A task takes one round trip to the host, or two if it issues certificates or pulls images. The
    task prints the names of these images before the pull begins.
options:
  wormholes:
    description:
      - Containers, each with the options of M(wormhole.docker.wormhole_container), except those
        that name the authority. A container without C(docker_host) or C(timeout) has O(docker_host)
        or O(timeout) of the task.
    type: list
    elements: dict
    required: true
  announced:
    description: Internal. The action plugin sets it after it has printed the names of the images to
      pull.
    type: bool
extends_documentation_fragment:
  - wormhole.docker.authority
  - wormhole.docker.authority.replace
  - wormhole.docker.docker
  - wormhole.docker.wormholes
  - wormhole.docker.attributes
seealso:
  - module: wormhole.docker.wormhole_container
  - module: wormhole.docker.wormhole_container_info
"""

EXAMPLES = r"""
- name: Run two agents, each with an identity of its own
  wormhole.docker.wormhole_containers:
    wormholes:
      - name: agent-1
        image: registry.example.com/ci/agent:7
      - name: agent-2
        image: registry.example.com/ci/agent:7

- name: Remove the second agent and its identity
  wormhole.docker.wormhole_containers:
    wormholes:
      - name: agent-1
        image: registry.example.com/ci/agent:7
      - name: agent-2
        state: absent
"""

RETURN = r"""
reasons:
  description: Reasons for each change, of all containers.
  returned: success
  type: list
  elements: dict
  sample:
    - code: image_differs
      subject: agent-1
      text: "image: expected registry.example.com/ci/agent:7, found registry.example.com/ci/agent:6"
wormholes:
  description: The result of each container. The containers that O(unlisted) removes come first,
    then those in O(wormholes), in this order. The further keys are the return values of
    M(wormhole.docker.wormhole_container).
  returned: unless RV(requests) are returned
  type: list
  elements: dict
  contains:
    name:
      description: Name of the container.
      type: str
      sample: agent-1
    changed:
      description: Whether the container or its identity was changed.
      type: bool
    failed:
      description: Whether the container failed. RV(ignore:msg) then says why.
      type: bool
    reasons:
      description: Reasons for each change.
      type: list
      elements: dict
    diff:
      description: What was changed.
      type: dict
requests:
  description: Certificate signing requests in PEM form, by the directory of the identity. The
    private keys stay on the host. The result then only contains C(changed) and RV(certificates).
  returned: with O(authority), if a certificate has to be issued and O(issued) is not set
  type: dict
  sample:
    /etc/wormhole/identities/agent-1: "-----BEGIN CERTIFICATE REQUEST-----\nMIHuMIGV..."
certificates:
  description: Certificates to sign for RV(requests), in the form of
    O(wormhole.docker.certificate_signature#module:certificates). They are derived from the task on
    the controller, not from the host's answer.
  returned: with RV(requests)
  type: list
  elements: dict
  sample:
    - name: /etc/wormhole/identities/agent-1
      common_name: agent-1
      profile: client
      directory: /etc/wormhole/identities/agent-1
      key_type: ecdsa-p256
      validity_days: 365
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue import wormhole
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import SIGNING_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.launch import Signing
from ansible_collections.wormhole.docker.plugins.module_utils._glue.launch_list import launch_list
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run
from ansible_collections.wormhole.docker.plugins.module_utils._glue.unlisted import with_unlisted


def ensure(module: AnsibleModule) -> dict[str, Any]:
    program = {"discover_program": module.params["discover_program"]}
    connection = wormhole.connection_of(module.params)
    listed = wormhole.validate_list(module.params["wormholes"], connection)
    wanted = with_unlisted(listed, module.params["unlisted"], connection)
    return launch_list(
        [{**params, **program} for params in wanted],
        Signing.of(module.params),
        check_mode=module.check_mode,
        announced=bool(module.params["announced"]),
        log=module.log,
    )


def main() -> None:
    internal = {"discover_program": {"type": "str"}, "announced": {"type": "bool"}}
    run(ensure, {**SIGNING_ARGUMENTS, **wormhole.LIST_ARGUMENTS, **internal}, hide=wormhole.without_internal)


if __name__ == "__main__":
    main()
