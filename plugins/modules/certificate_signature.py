#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_signature
short_description: Sign certificates on the host that keeps the authority's key
version_added: 0.1.0
description:
  - Signs the requests of M(wormhole.docker.tls_certificates) and
    M(wormhole.docker.certificate_rotation), and returns the public part of the authority. Delegate
    the task to the host that keeps the authority's key. The key stays there. With the variable
    C(certificate_authority_host), the roles of this collection run this module.
  - With O(certificates), the task determines what the signed certificates contain. Only the public
    key is taken from a request. Without O(certificates), the module reissues certificates of this
    authority and of authorities that it has replaced.
  - If the authority is in O(directory), the module records each signed certificate there, in
    C(issued.jsonl), before it returns it. It changes nothing else on the host where it runs.
author: Contributors to the wormhole.docker project (@wormhole-docker)
extends_documentation_fragment:
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
  - wormhole.docker.authority.local
  - wormhole.docker.certificates
options:
  directory:
    description:
      - Absolute path of the authority's directory, see M(wormhole.docker.certificate_authority).
      - One of O(directory), O(certificate_path) and O(certificate_content) is required.
    type: str
  host:
    description: Name of the host in the inventory that the certificates are for. The record holds it,
      and a key of a recorded certificate is replaced only for the host that it was issued to.
    type: str
    default: ""
  new_keys:
    description: Whether certificates of clients may be reissued for other keys, as
      M(wormhole.docker.certificate_rotation) requests with V(replace) as its step. The record must
      hold them, as issued to O(host).
    type: bool
    default: false
  passphrase:
    description: Passphrase of the authority's private key.
    type: str
  previous_directory:
    description: Directory of an authority that this one replaces. Its certificates are known to
      RV(authority), and are reissued. Set it during a rotation only. The directory is only read.
    type: str
  requests:
    description: Requests to sign, as returned in C(requests) by M(wormhole.docker.tls_certificates)
      or M(wormhole.docker.certificate_rotation). If it is empty, nothing is signed.
    type: dict
    default: {}
  rotation_reason:
    description: See the option of the same name of M(wormhole.docker.certificate_rotation).
    type: str
    choices: [regular, compromised]
    default: regular
requirements:
  - Python library cryptography 38 or newer (Debian package python3-cryptography)
seealso:
  - module: wormhole.docker.tls_certificates
  - module: wormhole.docker.certificate_authority
"""

EXAMPLES = r"""
- name: Read the public part of the authority
  wormhole.docker.certificate_signature:
    directory: /srv/pki/ci
  delegate_to: ca.example.org
  become: true
  register: signer

- name: Create keys and requests for missing certificates
  wormhole.docker.tls_certificates:
    authority: "{{ signer.authority }}"
    certificates: "{{ identities }}"
  become: true
  register: pending

- name: Sign the requests
  wormhole.docker.certificate_signature:
    directory: /srv/pki/ci
    certificates: "{{ identities }}"
    requests: "{{ pending.requests }}"
    host: "{{ inventory_hostname }}"
  delegate_to: ca.example.org
  become: true
  register: signed
  when: pending.requests is defined

- name: Install the signed certificates
  wormhole.docker.tls_certificates:
    authority: "{{ signer.authority }}"
    certificates: "{{ identities }}"
    issued: "{{ signed.issued }}"
  become: true
  when: pending.requests is defined
"""

RETURN = r"""
authority:
  description: Public part of the authority, for option C(authority) of other modules. It does not
    hold the key.
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
  description: Signed certificates in PEM form. The dictionary has the same keys as O(requests).
  type: dict
  returned: success
  sample:
    jenkins: "-----BEGIN CERTIFICATE-----\nMIIB..."
"""

import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import authority as store
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import issued as record
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import signing
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.spec import parse_certificates
from ansible_collections.wormhole.docker.plugins.module_utils._glue import authority_options
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import pack_authority
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import CERTIFICATE_OPTIONS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.material import load_material
from ansible_collections.wormhole.docker.plugins.module_utils._glue.rotation import COMPROMISED, REASON_ARGUMENT
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def answer(module: AnsibleModule) -> dict[str, Any]:
    """Parse, read the authority, sign."""
    certificates, requests = module.params["certificates"], module.params["requests"]
    specs = None if certificates is None else parse_certificates(certificates)
    place, material = load_material(module.params, "")
    now = datetime.datetime.now(datetime.timezone.utc)
    authority = store.offer_authority(place, material, now, may_be_missing=module.check_mode)
    issued: dict[str, str] = {}
    warnings: tuple[str, ...] = ()
    # A host asks for signatures only to change something.
    if requests and not module.check_mode:
        if authority.obstacle or material.key is None:
            obstacle = authority.obstacle or "its key is missing"
            raise Refused("authority", problem=f"the authority cannot sign: {obstacle}")
        host = module.params["host"]
        if material.directory and host:
            record.see(material.directory, host)
        if specs is None:
            is_compromised = module.params["rotation_reason"] == COMPROMISED
            order = signing.Order(material, now, host, module.params["new_keys"], is_compromised)
            issued, warnings = signing.sign_again(requests, order)
        else:
            issued = signing.sign_requests(specs, requests, signing.Order(material, now, host))
    return {"changed": False, "authority": pack_authority(authority), "issued": issued, "warnings": warnings}


def main() -> None:
    arguments = {
        **authority_options.authority_arguments(""),
        **authority_options.previous_argument(""),
        "certificates": {"type": "list", "elements": "dict", "options": CERTIFICATE_OPTIONS},
        "requests": {"type": "dict", "default": {}},
        "host": {"type": "str", "default": ""},
        "new_keys": {"type": "bool", "default": False, "no_log": False},
        **REASON_ARGUMENT,
    }
    run(answer, arguments, **authority_options.authority_constraints(""))


if __name__ == "__main__":
    main()
