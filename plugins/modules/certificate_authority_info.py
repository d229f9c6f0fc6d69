#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_authority_info
short_description: List what a certificate authority has issued
version_added: 0.1.0
description:
  - Returns the certificates that the authority in O(directory) has issued, from the record in this
    directory (C(issued.jsonl)), with their states. It also returns when each host last answered.
  - Run this module where certificates are signed. This is usually the controller, with
    C(delegate_to) V(localhost). An authority that is passed by path or by content has no record.
author: Contributors to the wormhole.docker project (@wormhole-docker)
extends_documentation_fragment:
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
options:
  directory:
    description: Absolute path of the authority's directory, see
      M(wormhole.docker.certificate_authority). C(~) is the home directory of the user who runs the
      task.
    type: str
    required: true
  passphrase:
    description: Passphrase of the authority's private key.
    type: str
  expires_within_days:
    description: How many days before its end a certificate is listed in RV(expiring).
    type: int
    default: 30
requirements:
  - Python library cryptography 38 or newer (Debian package python3-cryptography)
seealso:
  - module: wormhole.docker.certificate_authority
  - module: wormhole.docker.certificate_revocation
"""

EXAMPLES = r"""
- name: List what the authority of this host has issued
  wormhole.docker.certificate_authority_info:
    directory: "{{ '~/.wormhole/ca' | wormhole.docker.authority_directory(inventory_hostname, 'host') }}"
  delegate_to: localhost
  register: issued

- name: Fail if a certificate expires within a week
  ansible.builtin.assert:
    that: issued.certificates | selectattr('state', 'in', ['alive', 'expiring']) | selectattr('days_left', 'lt', 7) | length == 0
"""

RETURN = r"""
directory:
  description: Absolute path of the directory.
  type: str
  returned: success
  sample: /home/ci/.wormhole/ca/hosts/ci1
subject:
  description: Distinguished name of the issuing authority (RFC 4514).
  type: str
  returned: success
  sample: CN=wormhole CA ci1
not_after:
  description: End of the validity of the issuing authority, in UTC.
  type: str
  returned: success
  sample: "2036-11-20T21:19:27Z"
days_left:
  description: Whole days until the issuing authority expires.
  type: int
  returned: success
record:
  description: The record.
  type: dict
  returned: success
  contains:
    path:
      description: Path of its file.
      type: str
      sample: /home/ci/.wormhole/ca/hosts/ci1/issued.jsonl
    complete:
      description: Whether it holds everything that the issuing authority has signed. It does if this
        collection created the authority.
      type: bool
    begun:
      description: When the record of the issuing authority began, in UTC. Empty if it has not.
      type: str
      sample: "2026-11-22T21:19:27Z"
certificates:
  description: The certificates, by host, directory and time.
  type: list
  elements: dict
  returned: success
  contains:
    state:
      description:
        - V(alive), or V(expiring) if it expires within O(expires_within_days).
        - V(superseded) if the host has a newer one in the same directory.
        - V(untrusted) if its authority is no longer trusted.
        - V(expired) or V(revoked).
      type: str
    days_left:
      description: Whole days until it expires. Negative if it has expired.
      type: int
    revoked:
      description: When and why it was revoked, and what was revoked with it (V(identity), V(host) or
        V(authority)), in C(time), C(reason) and C(target). None if it is not revoked.
      type: dict
    time:
      description: When it was signed, in UTC.
      type: str
    serial:
      description: Serial number in hexadecimal digits, as C(openssl x509 -serial) prints it.
      type: str
    fingerprint_sha256:
      description: SHA-256 of the certificate in DER form, in hexadecimal digits.
      type: str
    spki_sha256:
      description: SHA-256 of its public key (subjectPublicKeyInfo), in hexadecimal digits.
      type: str
    common_name:
      description: Common name of the subject.
      type: str
    names:
      description: Subject alternative names.
      type: list
      elements: str
    profile:
      description: V(server) or V(client).
      type: str
    host:
      description: Name of the host in the inventory. Empty if it was not given.
      type: str
    directory:
      description: Where the host keeps it.
      type: str
    not_before:
      description: Start of the validity, in UTC.
      type: str
    not_after:
      description: End of the validity, in UTC.
      type: str
    issuer:
      description: Distinguished name of the authority that signed it.
      type: str
    issuer_spki_sha256:
      description: SHA-256 of the public key of this authority.
      type: str
expiring:
  description: Those of RV(certificates) with the state V(expiring).
  type: list
  elements: dict
  returned: success
revoked:
  description: Those of RV(certificates) with the state V(revoked).
  type: list
  elements: dict
  returned: success
hosts:
  description: The hosts for which the authority has signed, or that have answered.
  type: list
  elements: dict
  returned: success
  contains:
    host:
      description: Name of the host in the inventory.
      type: str
      sample: ci1
    alive:
      description: Number of its certificates with the state V(alive) or V(expiring).
      type: int
    last_seen:
      description: When it last answered a task that reads the authority, in UTC, outside of check
        mode. If the authority is kept on another host than the controller, when something was last
        signed for it. Empty if unknown.
      type: str
      sample: "2026-11-24T00:40:00Z"
    days_since_seen:
      description: Whole days since then. None if unknown.
      type: int
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue.issued import INFO_ARGUMENTS, list_issued
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def inform(module: AnsibleModule) -> dict[str, Any]:
    return list_issued(module.params)


def main() -> None:
    run(inform, INFO_ARGUMENTS)


if __name__ == "__main__":
    main()
