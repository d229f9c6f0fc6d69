#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wormhole_policy
short_description: Give a container that others manage access to its engine by a policy
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Creates the policy of an identity, and the socket of the gate at which the policy applies, for a
    container that Compose, Portainer or another tool manages. M(wormhole.docker.wormhole_container)
    does the same for the containers that it runs.
  - The container has to mount the directory of the socket, and to set E(DOCKER_HOST). The module
    returns both, for Compose and for C(docker run).
  - The gate has to be installed on the host. The role P(wormhole.docker.gate#role) installs it.
  - A change of the policy applies to the next call. It does not disturb open connections.
options:
  identity:
    description: Name of the identity. It consists of letters, digits, C(_), C(.) and C(-). A container
      has it if its label C(wormhole.docker.identity) says so.
    type: str
    required: true
  state:
    description:
      - Whether the identity has access.
      - V(absent) removes its policy and its socket. Containers that use it lose their access with the
        next call.
    type: str
    choices: [present, absent]
    default: present
  policy:
    description: Preset of calls that the identity may make, as in
      O(wormhole.docker.wormhole_container#module:policy). Required with O(state=present).
    type: str
    choices: [observe, discover, tend, test, ci, compose, update, unrestricted]
  policy_mode:
    description: What the gate does with other calls, as in
      O(wormhole.docker.wormhole_container#module:policy_mode).
    type: str
    choices: [learn, warn, enforce]
    default: enforce
  policy_overrides:
    description: Sections that replace those of the preset, as in
      O(wormhole.docker.wormhole_container#module:policy_overrides).
    type: dict
  policy_until:
    description: Time at which the mode V(learn) becomes V(warn) by itself, as in
      O(wormhole.docker.wormhole_container#module:policy_until).
    type: str
  transport:
    description:
      - How the container reaches the gate.
      - V(unix) creates a unix socket for the identity.
      - V(tls) admits the certificates in O(certificate_paths). It requires that the gate serves TLS on
        the host (C(listener_served_by=gate)).
    type: str
    choices: [unix, tls]
    default: unix
  user:
    description: Number of the user on the host that the container's process runs as. The socket
      belongs to it, and nobody else but root can connect. Only used with O(transport=unix).
    type: int
    default: 0
  certificate_paths:
    description: Paths of the client certificates on the host that have the identity, in PEM form.
      Certificates that M(wormhole.docker.tls_certificates) replaces later are replaced in the policy,
      too. Required with O(transport=tls), and rejected otherwise.
    type: list
    elements: path
extends_documentation_fragment:
  - wormhole.docker.attributes
notes:
  - The user that runs the module has to be root.
seealso:
  - module: wormhole.docker.wormhole_container
  - module: wormhole.docker.wormhole_gate
"""

EXAMPLES = r"""
- name: Let Traefik, which Compose runs, read the containers of the host
  wormhole.docker.wormhole_policy:
    identity: traefik
    policy: observe
  register: traefik

- name: Show what its service in the Compose file needs
  ansible.builtin.debug:
    var: traefik.compose

- name: Let an agent with a certificate of its own build images
  wormhole.docker.wormhole_policy:
    identity: builder
    policy: ci
    transport: tls
    certificate_paths: [/etc/wormhole/identities/builder/cert.pem]

- name: Take the access again
  wormhole.docker.wormhole_policy:
    identity: traefik
    state: absent
"""

RETURN = r"""
reasons:
  description: Reasons for the changes. In check mode, reasons for the changes that a run would
    make.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: A stable identifier.
      type: str
      sample: policy_differs
    text:
      description: A sentence.
      type: str
      sample: "policy: expected preset ci, found observe"
    subject:
      description: Name of the identity.
      type: str
policy:
  description: The policy, as in its file.
  returned: success, with O(state=present)
  type: dict
  sample: {identity: traefik, mode: enforce, overrides: {}, preset: observe}
docker_host:
  description: Value for E(DOCKER_HOST) in the container. Empty with O(transport=tls).
  returned: success, with O(state=present)
  type: str
  sample: unix:///run/wormhole/gate/traefik/docker.sock
directory:
  description: Directory of the socket. Mount it at the same path. Empty with O(transport=tls).
  returned: success, with O(state=present)
  type: str
  sample: /run/wormhole/gate/traefik
compose:
  description: A Compose file with what the container needs, to be merged with its own. Empty with
    O(transport=tls).
  returned: success, with O(state=present)
  type: dict
docker_run:
  description: The same as arguments of C(docker run).
  returned: success, with O(state=present)
  type: list
  elements: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue.policy import ARGUMENTS, ensure_policy
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def ensure(module: AnsibleModule) -> dict[str, Any]:
    return ensure_policy(module.params, check_mode=module.check_mode)


def main() -> None:
    run(ensure, ARGUMENTS)


if __name__ == "__main__":
    main()
