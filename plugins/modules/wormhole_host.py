#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wormhole_host
short_description: Set up a host and its wormholes
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Sets up a host in one task, up to a verified connection from each wormhole. It does what
    M(wormhole.docker.engine_info), M(wormhole.docker.gateway_info),
    M(wormhole.docker.certificate_authority), M(wormhole.docker.tls_certificates),
    M(wormhole.docker.wormhole_gate), M(wormhole.docker.dockerd_listener) and
    M(wormhole.docker.wormhole_containers) do one after the other. The role
    P(wormhole.docker.host#role) uses it.
  - Missing packages are installed first, because the checks need them. Before any other change, the
    task checks the engine, the authority, the certificates, the listener and the options of the
    wormholes. If it rejects one of them, the host and the authority stay as they are. If one
    wormhole fails later, the rest of the host is set up nevertheless.
  - If a task fails after it has changed something, the message names the parts that were changed,
    and RV(sections) contains their results.
  - A task takes one round trip to the host if nothing changes, two if it issues certificates, pulls
    images or sends the program of the gate, and one more if it installs packages. The task prints the names of packages and
    images before it installs or pulls them.
  - If the engine is installed but does not run, the task changes nothing else and returns
    RV(engine_stopped). The role P(wormhole.docker.engine#role) repairs and starts it.
options:
  engine_install:
    description: Whether to install the Docker engine and the Python libraries that are missing. If
      V(false), the task fails if something is missing.
    type: bool
    default: true
  listener:
    description:
      - Options of M(wormhole.docker.dockerd_listener) for the listener, except C(state),
        C(material_changed) and C(wormholes_removed).
      - C(subject_alternative_names) adds names to the server's certificate, in addition to the
        gateways and C(host_addresses). C(key_type) is the type of its key. The task fails if a
        gateway is neither private nor named by C(subject_alternative_names), C(addresses) or
        C(host_addresses).
    type: dict
    default: {}
  gate:
    description:
      - Options C(connections) and C(memory) of M(wormhole.docker.wormhole_gate).
      - C(state) is V(needed) or V(present). With V(needed), the default, the gate is installed if a
        wormhole has a policy other than V(unrestricted), or if the gate serves the listener. A task
        never removes the gate.
    type: dict
    default: {}
  wormholes:
    description: Wormholes, as in O(wormhole.docker.wormhole_containers#module:wormholes).
    type: list
    elements: dict
    default: []
  certificate_authority:
    description: Options of M(wormhole.docker.certificate_authority) for an authority in
      O(ca_directory) that does not exist yet. It is created on the controller, after the host has
      been checked.
    type: dict
  identities:
    description: Internal. The action plugin sets it to the identities of the wormholes.
    type: list
    elements: dict
    default: []
  announced:
    description: Internal. The action plugin sets it to C(packages) and C(pulls) after it has
      printed their names.
    type: list
    elements: str
    default: []
  gate_program:
    description: Internal. The action plugin sets it to the hash of the gate's program.
    type: str
  gate_program_content:
    description: Internal. The action plugin sets it to the gate's program, if the host asks for it.
    type: str
extends_documentation_fragment:
  - wormhole.docker.authority
  - wormhole.docker.authority.replace
  - wormhole.docker.docker
  - wormhole.docker.wormholes
  - wormhole.docker.attributes
seealso:
  - module: wormhole.docker.wormhole_containers
  - module: wormhole.docker.dockerd_listener
"""

EXAMPLES = r"""
- name: Set up a host with one agent
  wormhole.docker.wormhole_host:
    ca_directory: "{{ '~/.wormhole/ca' | wormhole.docker.authority_directory(inventory_hostname) }}"
    certificate_authority:
      common_name: wormhole CA
    listener:
      port: 2376
    wormholes:
      - name: agent
        image: registry.example.com/ci/agent:7
"""

RETURN = r"""
reasons:
  description: Reasons for each change, of all sections.
  returned: success
  type: list
  elements: dict
  sample:
    - code: san_missing
      subject: dockerd
      text: "SAN missing: IP 172.18.0.1 (gateway of network ci)"
sections:
  description: The result of each part of the run, in order. The further keys are the return values
    of the module that does the same for this part only.
  returned: success, or failure after a change
  type: list
  elements: dict
  contains:
    section:
      description: Name of the part, one of C(engine), C(authority), C(certificates), C(gate),
        C(listener) and C(wormholes). Parts that were not necessary are omitted. The section
        C(engine) is always present. It contains the return values of
        M(wormhole.docker.engine_info).
      type: str
      sample: listener
    changed:
      description: Whether the part was changed.
      type: bool
engine_stopped:
  description: Whether the engine is installed but does not run. In this case, only the section
    C(engine) is present.
  returned: if the engine does not run
  type: bool
requests:
  description: Certificate signing requests in PEM form, by their names. The private keys stay on
    the host. The result then also contains RV(certificates). The other keys describe only what the
    task has already changed, namely missing packages that it has installed.
  returned: with O(authority), if a certificate has to be issued and O(issued) is not set
  type: dict
  sample:
    dockerd: "-----BEGIN CERTIFICATE REQUEST-----\nMIHuMIGV..."
certificates:
  description: Certificates to sign for RV(requests), in the form of
    O(wormhole.docker.certificate_signature#module:certificates). Except for the names of the
    gateways, they are derived from the task on the controller, not from the host's answer.
  returned: with RV(requests)
  type: list
  elements: dict
  sample:
    - name: dockerd
      profile: server
      directory: /etc/wormhole/server
      key_type: ecdsa-p256
      subject_alternative_names: ["IP:172.17.0.1"]
"""

from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue import wormhole
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import SIGNING_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.host import set_up_host
from ansible_collections.wormhole.docker.plugins.module_utils._glue.host_options import (
    GATE_ARGUMENTS,
    GATE_CONTENT,
    GATE_PROGRAM,
    HOST_ARGUMENTS,
    LISTENER_ARGUMENTS,
    validate_part,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run

INTERNAL: dict[str, Any] = {
    "discover_program": {"type": "str"},
    "identities": {"type": "list", "elements": "dict", "default": []},
    "announced": {"type": "list", "elements": "str", "default": []},
    GATE_PROGRAM: {"type": "str"},
    GATE_CONTENT: {"type": "str"},
}


def ensure(module: AnsibleModule) -> dict[str, Any]:
    program = {"discover_program": module.params["discover_program"]}
    listed = wormhole.validate_list(module.params["wormholes"], wormhole.connection_of(module.params))
    params = {
        **module.params,
        "listener": validate_part("listener", LISTENER_ARGUMENTS, module.params["listener"]),
        "gate": validate_part("gate", GATE_ARGUMENTS, module.params["gate"]),
        "wormholes": [{**params, **program} for params in listed],
    }
    return set_up_host(params, check_mode=module.check_mode, log=module.log)


def without_programs(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return options for the log of the host: without secrets, and without programs."""
    shown = wormhole.without_internal(params)
    return {name: value for name, value in shown.items() if name != GATE_CONTENT}


def main() -> None:
    run(ensure, {**SIGNING_ARGUMENTS, **HOST_ARGUMENTS, **INTERNAL}, hide=without_programs)


if __name__ == "__main__":
    main()
