#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wormhole_policy_info
short_description: Report the policies of wormholes, and suggest one from recorded calls
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Reports the policies of the wormholes of a host, as the gate applies them, and the calls that the
    gate has recorded. From the calls, it suggests the smallest preset that fits, with the overrides
    that it needs, as YAML for the inventory.
  - The gate records every kind of call in the modes V(learn) and V(warn), and refused calls in the
    mode V(enforce). A record holds the route, what the objects are to the wormhole, and the values on
    which policies decide, such as images, directories and ports. It never holds command lines, values
    of environment variables, values of labels, or credentials.
  - The module asks the program of the gate, which has to be installed. It changes nothing, and does not
    connect to the engine.
options:
  identity:
    description:
      - The only identity to report. By default, all identities of the host are reported.
      - Required with O(explain).
    type: str
  days:
    description: The number of days, up to 31, for which RV(identities[].refused) counts calls.
    type: int
    default: 7
  explain:
    description:
      - A call to explain. The module returns RV(explanation) instead of RV(identities).
      - The engine is not asked. Images exist under the name that the call uses, networks and volumes that
        the policy lists exist, and the wormhole has nothing yet that counts against a limit.
    type: dict
    suboptions:
      method:
        description: HTTP method of the call.
        type: str
        default: GET
      path:
        description: Path of the call with its query, such as V(/containers/json?all=1).
        type: str
        required: true
      body:
        description: JSON body of the call.
        type: dict
      object:
        description:
          - What the other containers, networks and volumes of the call are to the wormhole.
          - V(own) means created by the wormhole, V(foreign) means not created by any wormhole, V(self) means
            the wormhole's own container, and V(missing) means that there is none of this name.
        type: str
        choices: [own, foreign, self, missing]
        default: own
extends_documentation_fragment:
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
seealso:
  - module: wormhole.docker.wormhole_container
  - module: wormhole.docker.wormhole_container_info
"""

EXAMPLES = r"""
- name: Read what the wormhole ci has called
  wormhole.docker.wormhole_policy_info:
    identity: ci
  become: true
  register: policies

- name: Show the suggested policy for the inventory
  ansible.builtin.debug:
    msg: "{{ policies.identities[0].suggestion.yaml }}"

- name: Fail if a policy would have refused calls in the last week
  wormhole.docker.wormhole_policy_info:
    days: 7
  become: true
  register: policies
  failed_when: policies.identities | map(attribute='refused.calls') | sum > 0

- name: Explain why the wormhole ci cannot mount a directory
  wormhole.docker.wormhole_policy_info:
    identity: ci
    explain:
      method: POST
      path: /containers/create
      body:
        Image: alpine
        HostConfig:
          Binds: ["/srv/data:/data"]
  become: true
  register: explained

- name: Show the explanation
  ansible.builtin.debug:
    msg: "{{ explained.explanation.sentence }}"
"""

RETURN = r"""
installed:
  description: Whether the gate is installed on this host. If it is not, RV(identities) is empty.
  returned: success
  type: bool
identities:
  description: The identities that have a policy or recorded calls, sorted by name.
  returned: without O(explain)
  type: list
  elements: dict
  contains:
    identity:
      description: Name of the identity.
      type: str
    problem:
      description: Why the identity has no access. Empty if its policy is valid.
      type: str
    certificates:
      description: Number of certificates that may use the policy by TLS.
      type: int
    policy:
      description: The policy in force. Null if there is none that is valid.
      type: dict
      contains:
        preset:
          description: The preset.
          type: str
          sample: ci
        mode:
          description: The mode now, V(learn), V(warn) or V(enforce).
          type: str
        configured_mode:
          description: The mode in the policy file. It differs if V(learn) has ended by itself.
          type: str
        until:
          description: When the mode V(learn) ends by itself, in UTC. Empty if it does not.
          type: str
          sample: "2027-01-31T18:00:00Z"
        version:
          description: Version of the policy, as in the audit log.
          type: str
          sample: 3f2a1b4c5d6e
        overrides:
          description: The overrides.
          type: dict
        sections:
          description: All sections of the policy, after its overrides.
          type: dict
          sample: {"images": ["python"], "networks": ["bridge"], "ports": {"addresses": ["*"], "random": true}}
    learned:
      description: What was recorded. Null if nothing was.
      type: dict
      contains:
        since:
          description: Start of the record, in UTC.
          type: str
        last:
          description: Time of the last call, in UTC.
          type: str
        calls:
          description: Number of calls.
          type: int
        kinds:
          description: Number of kinds of calls.
          type: int
        dropped:
          description: Number of calls that were not recorded, because the record was full.
          type: int
    calls:
      description: The recorded kinds of calls, the last one first.
      type: list
      elements: dict
      contains:
        title:
          description: The call in one line.
          type: str
          sample: POST /containers/{container}/start (its own container)
        method:
          description: HTTP method.
          type: str
        path:
          description: Path without the names of objects.
          type: str
          sample: /containers/{container}/start
        power:
          description: The power that the call needs.
          type: str
          sample: container.life
        objects:
          description: The objects of the call, and what they are to the wormhole.
          type: list
          elements: str
          sample: ["its own container"]
        asks:
          description: The parameters and fields on which policies decide.
          type: dict
          sample: {"body": {"Image": "docker.io/library/alpine:latest"}}
        count:
          description: Number of calls of this kind.
          type: int
        first:
          description: Time of the first one, in UTC.
          type: str
        last:
          description: Time of the last one, in UTC.
          type: str
        recorded:
          description: What happened to the last one, V(allow), V(deny), or V(would_deny) in modes that do
            not enforce.
          type: str
        allowed:
          description: Whether the present policy allows the call. Null without a valid policy.
          type: bool
        code:
          description: Reason code of the refusal. Empty if the call is allowed.
          type: str
          sample: power
        sentence:
          description: Why the call is refused. Empty if it is allowed.
          type: str
        setting:
          description: The section of the overrides that decides this. Empty if none does.
          type: str
          sample: powers
    refused:
      description: The calls of the last days that the present policy refuses, or would refuse if its mode
        were V(enforce).
      type: dict
      contains:
        days:
          description: The number of days, as in O(days).
          type: int
        calls:
          description: Number of calls.
          type: int
        kinds:
          description: Number of kinds of calls.
          type: int
    suggestion:
      description: The smallest policy that allows the recorded calls, as far as a policy can. Null if
        nothing was recorded that was carried out.
      type: dict
      contains:
        policy:
          description: The preset.
          type: str
          sample: test
        policy_overrides:
          description: The overrides.
          type: dict
          sample: {"images": ["alpine"], "binds": ["/srv/data"]}
        yaml:
          description: The policy for the inventory, with comments that say why.
          type: str
        reasons:
          description: Why each section of the overrides is there.
          type: list
          elements: dict
          contains:
            section:
              description: Name of the section.
              type: str
            why:
              description: The reason.
              type: str
            calls:
              description: Number of calls that need it.
              type: int
        refused:
          description: The calls that stay refused. They need the policy V(unrestricted), which is root on
            the host, or an override that you choose yourself.
          type: list
          elements: dict
          contains:
            title:
              description: The call in one line.
              type: str
            count:
              description: Number of calls.
              type: int
            code:
              description: Reason code.
              type: str
            problem:
              description: What is refused.
              type: str
explanation:
  description: The decision about the call in O(explain), as the mode V(enforce) answers it.
  returned: with O(explain)
  type: dict
  contains:
    allowed:
      description: Whether the policy allows the call.
      type: bool
    code:
      description: Reason code. Empty if it is allowed.
      type: str
      sample: bind
    sentence:
      description: The reason, as the client of the wormhole reads it.
      type: str
    setting:
      description: The option that decides this. Empty if none does.
      type: str
      sample: policy_overrides.binds
    status:
      description: HTTP status of the answer; 0 if the call is allowed.
      type: int
      sample: 403
    power:
      description: The power that the call needs.
      type: str
    route:
      description: Method and path of the route. Empty if it is unknown.
      type: str
      sample: POST /containers/create
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue.policies import describe_policies
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def gather(module: AnsibleModule) -> dict[str, Any]:
    return describe_policies(module.params)


def main() -> None:
    explained = {
        "method": {"type": "str", "default": "GET"},
        "path": {"type": "str", "required": True},
        "body": {"type": "dict"},
        "object": {"type": "str", "choices": ["own", "foreign", "self", "missing"], "default": "own"},
    }
    arguments = {
        "identity": {"type": "str"},
        "days": {"type": "int", "default": 7},
        "explain": {"type": "dict", "options": explained},
    }
    run(gather, arguments, required_by={"explain": ("identity",)})


if __name__ == "__main__":
    main()
