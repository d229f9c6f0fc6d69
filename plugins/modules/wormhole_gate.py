#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wormhole_gate
short_description: Install the gate, through which wormholes with a policy use their engine
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - The gate is a service of systemd. It reads each call of a wormhole that has a policy, and passes
    it on to the engine, or rejects it. The engine is neither configured nor restarted.
  - The gate runs as the system user C(wormhole-gate), with the group of the engine's socket. The
    module creates the user, and installs the program, C(/etc/wormhole/gate.json), the units, and the
    directory C(/etc/wormhole/policies). The policies themselves come with each wormhole.
  - A changed program or setting restarts the gate. The gate ends running calls before, for up to 20
    seconds. New connections wait for the new gate, because systemd keeps their sockets open. A
    stream that is still open then, such as that of C(docker logs -f), is closed.
  - If the new program does not start, the previous one is installed again. What a run has left that
    was killed is completed by the next one.
  - The controller sends the program only to a host that has another version of it.
options:
  state:
    description:
      - Whether the gate exists.
      - V(absent) removes the service, all sockets of the gate, all policies, the program, its
        settings and its user, and before what wormholes have created, as far as their policies say
        C(cleanup). It fails while running containers use the gate. Remove these wormholes first.
    type: str
    choices: [present, absent]
    default: present
  connections:
    description: Connections that one wormhole may have open at the same time, at most 4096. The
      gate closes further ones.
    type: int
    default: 64
  memory:
    description: Memory that the gate may use, such as V(512M) or V(2G), and at least V(64M). If it
      needs more, the kernel ends it, and systemd starts it again.
    type: str
    default: 512M
  tls_directory:
    description: Directory of the C(ca.pem), C(cert.pem) and C(key.pem) of the host's server
      certificate, if the gate serves TLS in place of dockerd. If empty, the gate serves unix sockets
      only.
    type: str
    default: ""
  wormholes_removed:
    description: Names of wormholes that an earlier task of this run has removed or, in check mode,
      would have. Check mode needs them to predict O(state=absent).
    type: list
    elements: str
    default: []
  program:
    description: Internal. The action plugin sets it to the hash of the program.
    type: str
  program_content:
    description: Internal. The action plugin sets it to the program, if the host asks for it.
    type: str
extends_documentation_fragment:
  - wormhole.docker.docker
  - wormhole.docker.attributes
requirements:
  - Python 3.9 or later as C(/usr/bin/python3) on the managed node
  - systemd on the managed node
  - useradd and userdel (Debian package passwd) on the managed node
seealso:
  - module: wormhole.docker.wormhole_container
  - module: wormhole.docker.dockerd_listener
"""

EXAMPLES = r"""
- name: Install the gate
  wormhole.docker.wormhole_gate:

- name: Let each wormhole have more connections
  wormhole.docker.wormhole_gate:
    connections: 256
    memory: 1G

- name: Remove the gate
  wormhole.docker.wormhole_gate:
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
      sample: gate_program_differs
    text:
      description: A sentence.
      type: str
      sample: "/usr/local/lib/wormhole-gate/wormhole-gate.pyz: another version is installed"
    subject:
      description: The object that the reason is about.
      type: str
      sample: /usr/local/lib/wormhole-gate/wormhole-gate.pyz
program_sha256:
  description: SHA-256 of the program. Empty with O(state=absent).
  returned: success
  type: str
identities:
  description: Identities that have a policy on this host.
  returned: success
  type: list
  elements: str
  sample: ["ci"]
siblings_removed:
  description: What wormholes with policies have created, and was removed with it because its policy says so. In
    check mode, what would be removed.
  returned: with O(state=absent)
  type: list
  elements: dict
  contains:
    identity:
      description: The identity that has created it.
      type: str
      sample: ci
    kind:
      description: V(container), V(network) or V(volume).
      type: str
      sample: container
    id:
      description: Full ID. Of a volume its name.
      type: str
    name:
      description: Its name.
      type: str
      sample: web
siblings_kept:
  description: What wormholes with policies have created, and still exists, with the keys of
    RV(siblings_removed).
  returned: with O(state=absent)
  type: list
  elements: dict
  contains:
    action:
      description: V(stopped) if a container was stopped, otherwise V(kept).
      type: str
      sample: kept
    reason:
      description: Why it was not removed.
      type: str
      sample: "the policy of ci says cleanup: none, or did not enforce"
restarted:
  description: Whether the gate was started or restarted; in check mode, whether it would be.
  returned: success
  type: bool
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue import connection
from ansible_collections.wormhole.docker.plugins.module_utils._glue.gate import ensure_gate
from ansible_collections.wormhole.docker.plugins.module_utils._glue.gate_options import ARGUMENTS, INTERNAL
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def ensure(module: AnsibleModule) -> dict[str, Any]:
    return ensure_gate(module.params, check_mode=module.check_mode)


def without_program(params: Mapping[str, Any]) -> dict[str, Any]:
    """The options without the program, which is no use in the host's log."""
    return {name: value for name, value in params.items() if name != "program_content"}


def main() -> None:
    run(ensure, {**ARGUMENTS, **INTERNAL, **connection.connection_arguments()}, hide=without_program)


if __name__ == "__main__":
    main()
