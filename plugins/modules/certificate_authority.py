#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_authority
short_description: Create, check or rotate a certificate authority
version_added: 0.1.0
description:
  - Creates a certificate authority in O(directory) if there is none. An existing authority is never
    overwritten. The options for its name, key type and validity do not change it.
  - Checks an existing authority and fails if it cannot issue certificates. This is so if its
    certificate is missing, has expired or is not that of an authority, if its key is unreadable or
    belongs to another certificate, or if its chain does not end in a root. If only the key is
    missing, the module warns.
  - Also checks an authority of your own, such as a corporate intermediate. Put its key and its
    certificate with the chain into O(directory), or pass them by path or by content. The module
    does not write to these.
  - Replaces the authority with a successor in the three stages of O(rotation).
  - Run this module where certificates are signed. This is usually the controller, with
    C(delegate_to) V(localhost) and C(run_once). The private key stays in O(directory).
author: Contributors to the wormhole.docker project (@wormhole-docker)
extends_documentation_fragment:
  - wormhole.docker.attributes
  - wormhole.docker.authority.local
options:
  directory:
    description:
      - Absolute path of a directory that holds only the authority. C(~) is the home directory of
        the user who runs the task.
      - The directory has mode V(0700). It holds C(ca.key) with mode V(0400) and C(ca.pem) with mode
        V(0444). A rotation adds C(next.key) and C(next.pem), then C(former.key) and C(former.pem).
        C(retired.pem) holds the certificates of authorities that are no longer trusted.
      - C(issued.jsonl), with mode V(0600), is the record of what was signed, see
        M(wormhole.docker.certificate_authority_info). C(seen) has a file for each host, whose time
        is that of the host's last answer. An authority that is passed by path or by content has no
        record.
      - Back it up. Without C(ca.key), expired certificates cannot be replaced.
      - One of O(directory), O(certificate_path) and O(certificate_content) is required.
    type: str
  common_name:
    description: Common name of the subject, at most 64 characters. Does not change an existing
      authority. A successor has the name of the authority that it replaces, followed by V(G2),
      V(G3) and so on.
    type: str
    default: wormhole.docker CA
  key_type:
    description: Type of the private key. Does not change an existing authority. A successor is
      created with this type.
    type: str
    choices: [ecdsa-p256, ecdsa-p384, rsa-3072, rsa-4096, ed25519]
    default: ecdsa-p256
  validity_days:
    description: Validity of the authority in days from now. A certificate never outlives the
      authority that issued it. Does not change an existing authority. A successor is created with
      this validity.
    type: int
    default: 3650
  passphrase:
    description:
      - Passphrase that encrypts the private key. Set the same value as
        O(wormhole.docker.tls_certificates#module:ca_passphrase). It must match an existing
        authority. The module does not change it.
      - The key is written in PKCS#8 form with AES-256-CBC, and with PBKDF2 (HMAC-SHA-256, 2048
        iterations), the strongest that the library cryptography offers. This does not protect a
        passphrase that a person can remember. Use a random one, or encrypt the key again with
        C(openssl pkcs8 -topk8 -v2 aes-256-cbc -iter 600000). The module reads such keys, too.
    type: str
  rotation:
    description:
      - Stage that the rotation of the authority in O(directory) has to reach. If it is not set, the
        stage does not change. The playbook C(wormhole.docker.rotate) runs all stages on all hosts.
      - V(trust) creates a successor, unless a successor exists or already issues certificates. The
        successor is trusted, but does not issue certificates yet. If the authority is not
        self-signed, provide the successor yourself as C(next.key) and C(next.pem).
      - V(reissue) makes the successor the issuing authority. The previous authority is still
        trusted.
      - V(drop) ends the rotation. The previous authority is no longer trusted, and its key is
        removed.
    type: str
    choices: [trust, reissue, drop]
  rotation_waits_for:
    description: Names of hosts that have not completed the previous stage. If the list is not
      empty, O(rotation=drop) changes nothing and warns.
    type: list
    elements: str
    default: []
  previous_directory:
    description: Directory of an authority that this one replaces. If it contains an authority,
      O(rotation=trust) also creates a missing authority in O(directory). The module does not write
      to it.
    type: str
notes:
  - Several processes can run this module for the same directory at once. They create only one
    authority, because they lock a file in the directory (flock). On a network file system, this
    depends on the locks of that file system.
  - Tested with cryptography 38 and the newest version. The results are verified with the C(openssl)
    command line tool.
seealso:
  - module: wormhole.docker.tls_certificates
  - module: wormhole.docker.certificate_authority_info
  - module: wormhole.docker.certificate_revocation
"""

EXAMPLES = r"""
- name: Create the certificate authority on the controller
  wormhole.docker.certificate_authority:
    directory: ~/.wormhole/ca
  delegate_to: localhost
  run_once: true

- name: Check a corporate intermediate from a vault
  wormhole.docker.certificate_authority:
    certificate_content: "{{ vault_ca_chain }}"
    private_key_content: "{{ vault_ca_key }}"
    passphrase: "{{ vault_ca_passphrase }}"
  delegate_to: localhost
  run_once: true

- name: Create an authority with an encrypted key
  wormhole.docker.certificate_authority:
    directory: /srv/pki/ci
    common_name: CI engines
    key_type: ecdsa-p384
    passphrase: "{{ ci_ca_passphrase }}"
  delegate_to: localhost
  run_once: true
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
certificate:
  description: Certificate of the issuing authority and its chain, in PEM form.
  type: str
  returned: if the authority exists
  sample: |
    -----BEGIN CERTIFICATE-----
    MIIBxDCCAWugAwIBAgIUPzJ...
    -----END CERTIFICATE-----
directory:
  description: Absolute path of the directory, or the path or option that the certificate was read
    from.
  type: str
  returned: always
  sample: /home/ci/.wormhole/ca
subject:
  description: Distinguished name of the issuing authority (RFC 4514).
  type: str
  returned: if the authority exists
  sample: CN=wormhole.docker CA
fingerprint_sha256:
  description: SHA-256 of the certificate in DER form, in hexadecimal digits.
  type: str
  returned: if the authority exists
  sample: 56dbcacd0f8c9020511b72ff2302c8f7fed36167fff56593ae63e51d8c3d172e
not_before:
  description: Start of the validity, in UTC.
  type: str
  returned: if the authority exists
  sample: "2026-11-22T21:19:27Z"
not_after:
  description: End of the validity, in UTC.
  type: str
  returned: if the authority exists
  sample: "2036-11-20T21:19:27Z"
days_left:
  description: Whole days until the end of the validity.
  type: int
  returned: if the authority exists
key_type:
  description: Type of the private key.
  type: str
  returned: if the authority exists
rotation:
  description: State of the rotation.
  type: dict
  returned: if the authority exists
  contains:
    stage:
      description: V(none), V(trust) or V(reissue).
      type: str
    issuing:
      description: Distinguished name of the issuing authority.
      type: str
      sample: CN=wormhole.docker CA
    successor:
      description: Distinguished name of the successor. Empty if there is none.
      type: str
      sample: CN=wormhole.docker CA G2
    former:
      description: Distinguished name of the previous authority, which is still trusted. Empty if
        there is none.
      type: str
trust_bundle:
  description: Certificates that clients have to trust, in PEM form.
  type: str
  returned: if the authority exists
  sample: |
    -----BEGIN CERTIFICATE-----
    MIIBxDCCAWugAwIBAgIUPzJ...
    -----END CERTIFICATE-----
waiting:
  description: Why O(rotation=drop) has not dropped the previous authority. Empty if this does not
    apply.
  type: str
  returned: with O(directory)
obstacle:
  description: What keeps an existing authority from issuing certificates, namely a missing key.
    Empty if nothing does. Tasks fail for this reason only when they have to issue a certificate.
  type: str
  returned: with O(directory)
reasons:
  description: Reasons for the changes. Empty if nothing changes.
  type: list
  elements: dict
  returned: success
  contains:
    code:
      description: V(missing), V(mode_drift), V(no_successor), V(not_issuing), V(former_trusted) or
        V(rotation_unfinished).
      type: str
    text:
      description: The reason as a sentence.
      type: str
      sample: no certificate authority in /home/ci/.wormhole/ca
    subject:
      description: Path of the directory or file.
      type: str
      sample: /home/ci/.wormhole/ca
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority_options import (
    authority_arguments,
    authority_constraints,
    previous_argument,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.ensure_authority import (
    CREATION_ARGUMENTS,
    ensure_authority,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def manage(module: AnsibleModule) -> dict[str, Any]:
    return ensure_authority(module.params, check_mode=module.check_mode)


def main() -> None:
    run(
        manage,
        {**authority_arguments(""), **previous_argument(""), **CREATION_ARGUMENTS},
        **authority_constraints(""),
    )


if __name__ == "__main__":
    main()
