#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_signature
short_description: Sign certificates for other hosts, where the authority's key is
version_added: 0.1.0
description:
  - For fleets whose authority is on a host of its own. Delegated to that host, it answers the requests of
    M(wormhole.docker.tls_certificates) and M(wormhole.docker.certificate_rotation), and tells other hosts about the authority.
    The key stays where it is. Variable C(certificate_authority_host) makes the roles of this collection do so.
  - It signs what the B(task) asks for; of a request, only the public key counts. Without O(certificates) it signs again what
    this authority, or one that it follows, has signed before.
  - It changes nothing where it runs.
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
extends_documentation_fragment:
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
options:
  directory:
    description:
      - Absolute path of the authority's directory, see M(wormhole.docker.certificate_authority).
      - One of O(directory), O(certificate_path) and O(certificate_content) is required.
    type: str
  certificate_path:
    description:
      - Path of an authority's certificate in PEM form, followed by the chain above it if it is not its own issuer.
    type: str
  certificate_content:
    description:
      - The same as text.
    type: str
  private_key_path:
    description:
      - Path of its private key in PEM form.
    type: str
  private_key_content:
    description:
      - The same as text.
    type: str
  trusted_content:
    description:
      - Certificates of further authorities, in PEM form, to trust beside the one that issues.
    type: str
  passphrase:
    description:
      - Opens the authority's private key, if it is encrypted.
    type: str
  certificates:
    description:
      - What may be signed, as O(wormhole.docker.tls_certificates#module:certificates). Needed to answer requests of that module.
    type: list
    elements: dict
    suboptions:
      name:
        description: As there.
        type: str
        required: true
      profile:
        description: As there.
        type: str
        choices: [server, client]
        required: true
      state:
        description: As there.
        type: str
        choices: [present, absent]
        default: present
      directory:
        description: As there.
        type: str
        required: true
      common_name:
        description: As there.
        type: str
      subject_alternative_names:
        description: As there.
        type: list
        elements: raw
        default: []
      owner:
        description: As there; does not matter here.
        type: str
      group:
        description: As there; does not matter here.
        type: str
      directory_mode:
        description: As there; does not matter here.
        type: str
        default: "0755"
      key_mode:
        description: As there; does not matter here.
        type: str
        default: "0400"
      certificate_mode:
        description: As there; does not matter here.
        type: str
        default: "0444"
      key_type:
        description: As there.
        type: str
        choices: [ecdsa-p256, ecdsa-p384, rsa-3072, rsa-4096, ed25519]
        default: ecdsa-p256
      validity_days:
        description: As there.
        type: int
        default: 365
      renew_before_days:
        description: As there.
        type: int
  requests:
    description:
      - What the other module has returned as C(requests). Without it, nothing is signed and RV(authority) is returned.
    type: dict
    default: {}
requirements:
  - Python library cryptography 38 or newer (Debian package python3-cryptography)
seealso:
  - module: wormhole.docker.tls_certificates
  - module: wormhole.docker.certificate_authority
"""

EXAMPLES = r"""
- name: Ask the host of the authority for its public part
  wormhole.docker.certificate_signature:
    directory: /srv/pki/ci
  delegate_to: ca.example.org
  become: true
  register: signer

- name: Find out what has to be issued
  wormhole.docker.tls_certificates:
    authority: "{{ signer.authority }}"
    certificates: "{{ identities }}"
  become: true
  register: wanted

- name: Have it signed there
  wormhole.docker.certificate_signature:
    directory: /srv/pki/ci
    certificates: "{{ identities }}"
    requests: "{{ wanted.requests }}"
  delegate_to: ca.example.org
  become: true
  register: signed
  when: wanted.requests is defined

- name: Install it
  wormhole.docker.tls_certificates:
    authority: "{{ signer.authority }}"
    certificates: "{{ identities }}"
    issued: "{{ signed.issued }}"
  become: true
  when: wanted.requests is defined
"""

RETURN = r"""
authority:
  description: The public part of the authority, for the option C(authority) of other modules. It holds no key.
  type: dict
  returned: success
  sample:
    issuing: "-----BEGIN CERTIFICATE-----\nMIIB..."
    successor: ""
    former: ""
    retired: ""
    obstacle: ""
    clock: "2026-11-24T00:40:00+00:00"
issued:
  description: The certificates in PEM form, by the names of the requests.
  type: dict
  returned: success
  sample:
    jenkins: "-----BEGIN CERTIFICATE-----\nMIIB..."
"""

import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import authority_store
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.signing import (
    sign_again,
    sign_requests,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import (
    parse_certificates,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import (
    authority_arguments,
    authority_constraints,
    load_material,
    pack_authority,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import CERTIFICATE_OPTIONS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import run


def answer(module: AnsibleModule) -> dict[str, Any]:
    """Parse, read the authority, sign."""
    certificates, requests = module.params["certificates"], module.params["requests"]
    specs = None if certificates is None else parse_certificates(certificates)
    place, material = load_material(module.params, "")
    now = datetime.datetime.now(datetime.timezone.utc)
    authority = authority_store.offer_authority(place, material, now, may_be_missing=module.check_mode)
    issued: dict[str, str] = {}
    if requests:
        if authority.obstacle or material.key is None:
            raise Refused(f"the authority cannot sign: {authority.obstacle or 'its key was not given'}")
        if specs is None:
            issued = sign_again(requests, material, now)
        else:
            issued = sign_requests(specs, requests, material, now)
    return {"changed": False, "authority": pack_authority(authority), "issued": issued}


def main() -> None:
    arguments = {
        **authority_arguments(""),
        "certificates": {"type": "list", "elements": "dict", "options": CERTIFICATE_OPTIONS},
        "requests": {"type": "dict", "default": {}},
    }
    module = AnsibleModule(argument_spec=arguments, supports_check_mode=True, **authority_constraints(""))
    run(module, answer)


if __name__ == "__main__":
    main()
