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
    authority and of authorities that it has replaced, as O(step) allows.
  - In check mode, the module signs nothing.
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
      and the key of a recorded certificate is replaced only for the host that it was issued to. If
      several hosts can share the authority, the certificates name it, see
      M(wormhole.docker.tls_certificates).
    type: str
    default: ""
  passphrase:
    description: Passphrase of the authority's private key.
    type: str
  previous_directory:
    description: Directory of an authority that this one replaces. The certificates of that
      authority are reissued. Set this option only during a rotation. The module does not write to
      the directory.
    type: str
  requests:
    description: Requests to sign, as returned in C(requests) by M(wormhole.docker.tls_certificates)
      or M(wormhole.docker.certificate_rotation). If it is empty, nothing is signed.
    type: dict
    default: {}
  step:
    description:
      - Step of the rotation whose requests are signed, see M(wormhole.docker.certificate_rotation).
        Required with O(requests) and without O(certificates).
      - V(servers) and V(clients) only reissue certificates that another authority than the issuing
        one has signed, and only for the key that they have. V(repair) reissues server certificates
        for another key.
      - V(replace) reissues what the record holds, as issued to O(host), for another key.
    type: str
    choices: [servers, clients, replace, repair]
  directories:
    description: Absolute paths of directories. Certificates that are not in or below them are not
      reissued. Set it to the same value as in the task that returned O(requests).
    type: list
    elements: str
    default: [/etc/wormhole]
  subject_alternative_names:
    description: With O(step=repair), names that a certificate may have in addition to private and
      loopback addresses, see M(wormhole.docker.certificate_rotation).
    type: list
    elements: str
    default: []
  rotation_reason:
    description: See the option of the same name of M(wormhole.docker.certificate_rotation).
    type: str
    choices: [regular, compromised]
    default: regular
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
    names_hosts: "true"
    host: ""
issued:
  description: Signed certificates in PEM form. The dictionary has the same keys as O(requests). It is empty in check
    mode.
  type: dict
  returned: success
  sample:
    jenkins: "-----BEGIN CERTIFICATE-----\nMIIB..."
"""

import datetime
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, Refused
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import authority as store
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import issued as record
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import signing
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.spec import parse_certificates
from ansible_collections.wormhole.docker.plugins.module_utils._glue import authority_options
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import pack_authority
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import CERTIFICATE_OPTIONS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import collect
from ansible_collections.wormhole.docker.plugins.module_utils._glue.material import load_material
from ansible_collections.wormhole.docker.plugins.module_utils._glue.reissue import parse_reissue
from ansible_collections.wormhole.docker.plugins.module_utils._glue.rotation import SIGNATURE_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def answer(module: AnsibleModule) -> dict[str, Any]:
    """Parse, read the authority, sign."""
    certificates, requests = module.params["certificates"], module.params["requests"]
    specs = None if certificates is None else parse_certificates(certificates)
    place, material = load_material(module.params, "")
    now = datetime.datetime.now(datetime.timezone.utc)
    authority = store.offer_authority(place, material, now, may_be_missing=module.check_mode)

    warnings = [material.warning] if material.warning else []

    def sign() -> dict[str, str]:
        if not requests:
            return {}
        if authority.obstacle or material.key is None:
            obstacle = authority.obstacle or "its key is missing"
            raise Refused("authority", problem=f"the authority cannot sign: {obstacle}")
        host = module.params["host"]
        if material.directory and host:
            record.see(material.directory, host)
        order = signing.Order(material, now, host)
        if specs is not None:
            return signing.sign_requests(specs, _parse_requests(requests), order)
        signed, added = signing.sign_again(_parse_pairs(requests), order, _parse_allowed(module.params))
        warnings.extend(added)
        return signed

    issued = collect(module.check_mode, sign)
    return {"changed": False, "authority": pack_authority(authority), "issued": issued, "warnings": warnings}


def _parse_allowed(params: Mapping[str, Any]) -> signing.Reissue:
    if params["step"] is None:
        problem = "step is required with requests and without certificates"
        raise InvalidInput("step", problem=problem, remedy="Set it to the step of the rotation")
    return parse_reissue(params)


def _parse_pairs(requests: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    for name, pair in requests.items():
        if not isinstance(pair, dict) or set(pair) != {"certificate", "request"}:
            raise InvalidInput("requests", expected="certificate and request for each", found=repr(name))
        _parse_requests(pair)
    return requests


def _parse_requests(requests: Mapping[str, Any]) -> Mapping[str, str]:
    for name, request in requests.items():
        if not isinstance(request, str) or not request.isascii():
            raise InvalidInput("requests", expected="texts in PEM form", found=repr(name))
    return requests


def main() -> None:
    arguments = {
        **authority_options.authority_arguments(""),
        **authority_options.previous_argument(""),
        "certificates": {"type": "list", "elements": "dict", "options": CERTIFICATE_OPTIONS},
        "requests": {"type": "dict", "default": {}},
        "host": {"type": "str", "default": ""},
        **SIGNATURE_ARGUMENTS,
    }
    run(answer, arguments, **authority_options.authority_constraints(""))


if __name__ == "__main__":
    main()
