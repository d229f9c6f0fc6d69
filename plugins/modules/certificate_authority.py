#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_authority
short_description: Make the certificate authority that wormholes trust
version_added: 0.1.0
description:
  - Makes a certificate authority in a directory, once. Its certificate follows RFC 5280 as the strictest
    clients want it.
  - An authority that is there already is used, and never overwritten, whatever the options say about its
    name, its key type or its validity. If what is there cannot issue certificates (one of the two files is
    missing, they do not belong together, the key cannot be read, the certificate has expired or is not an
    authority's), the module fails and says what to do.
  - The private key never leaves the directory. Run this module where certificates are signed, that is on the
    controller, with C(delegate_to) V(localhost) and C(run_once).
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
extends_documentation_fragment:
  - wormhole.docker.attributes
options:
  directory:
    description:
      - Absolute path of a directory of the authority's own; C(~) is the home directory of the user who runs
        the task.
      - It gets mode V(0700), and holds C(ca.key) with mode V(0400) and C(ca.pem) with mode V(0444).
      - Back it up. Without C(ca.key), nothing can be issued to replace a certificate that expires.
    type: path
    required: true
  common_name:
    description:
      - Common name of the subject, 64 characters at most.
      - Does not change an authority that is there.
    type: str
    default: wormhole.docker CA
  key_type:
    description:
      - The kind of private key. Does not change an authority that is there.
    type: str
    choices: [ecdsa-p256, ecdsa-p384, rsa-3072, rsa-4096, ed25519]
    default: ecdsa-p256
  validity_days:
    description:
      - How many days the authority is valid from now. No certificate outlives its authority.
      - Does not change an authority that is there.
    type: int
    default: 3650
  passphrase:
    description:
      - Encrypts the private key (PKCS#8). Give the same to
        O(wormhole.docker.tls_certificates#module:ca_passphrase).
      - Has to fit an authority that is there; the module does not change it.
    type: str
requirements:
  - Python library cryptography 38 or newer (Debian package python3-cryptography)
notes:
  - Any number of processes can run this module for the same directory at once; a lock file in it makes them
    end with one authority. The lock is advisory (flock); on a network file system it is as good as that file
    system's locks.
  - Tested with cryptography 38 and the newest one, verified by the C(openssl) command line tool.
seealso:
  - module: wormhole.docker.tls_certificates
"""

EXAMPLES = r"""
- name: Make the certificate authority, on the controller
  wormhole.docker.certificate_authority:
    directory: ~/.wormhole/ca
  delegate_to: localhost
  run_once: true

- name: Make one for a department, with an encrypted key
  wormhole.docker.certificate_authority:
    directory: /srv/pki/ci
    common_name: CI engines
    key_type: ecdsa-p384
    passphrase: "{{ ci_ca_passphrase }}"
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
certificate:
  description: The content of C(ca.pem), which is public. Not there as long as the authority is not, in check
    mode.
  type: str
  returned: if there is an authority
  sample: |
    -----BEGIN CERTIFICATE-----
    MIIBxDCCAWugAwIBAgIUPzJ...
    -----END CERTIFICATE-----
directory:
  description: Absolute path of the directory.
  type: str
  returned: always
  sample: /home/ci/.wormhole/ca
subject:
  description: The distinguished name (RFC 4514).
  type: str
  returned: if there is an authority
  sample: CN=wormhole.docker CA
fingerprint_sha256:
  description: SHA-256 of the certificate's DER form, in hexadecimal digits.
  type: str
  returned: if there is an authority
  sample: 56dbcacd0f8c9020511b72ff2302c8f7fed36167fff56593ae63e51d8c3d172e
not_before:
  description: The start of its validity, in UTC.
  type: str
  returned: if there is an authority
  sample: "2026-11-22T21:19:27Z"
not_after:
  description: The end of its validity, in UTC.
  type: str
  returned: if there is an authority
  sample: "2036-11-20T21:19:27Z"
days_left:
  description: Whole days until then.
  type: int
  returned: if there is an authority
  sample: 3649
key_type:
  description: The kind of its key.
  type: str
  returned: if there is an authority
  sample: ecdsa-p256
reasons:
  description: Why something had to change; empty if nothing had.
  type: list
  elements: dict
  returned: success
  contains:
    code:
      description: V(missing) or V(mode_drift).
      type: str
      sample: missing
    text:
      description: The same as a sentence.
      type: str
      sample: no certificate authority in /home/ci/.wormhole/ca
    subject:
      description: The path concerned.
      type: str
      sample: /home/ci/.wormhole/ca
"""

import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import authority_store, x509
from ansible_collections.wormhole.docker.plugins.module_utils._core.authority import (
    describe_authority,
    parse_authority,
    plan_authority,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import KEY_TYPES
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import execute, run


def manage(module: AnsibleModule) -> dict[str, Any]:
    """Parse, observe, plan, execute."""
    x509.require()
    passphrase = module.params["passphrase"]
    if passphrase == "":
        raise InvalidInput(
            "passphrase", expected="at least one character", found="none", remedy="Leave it out instead"
        )
    spec = parse_authority(
        directory=module.params["directory"],
        common_name=module.params["common_name"],
        key_type=module.params["key_type"],
        validity_days=module.params["validity_days"],
    )
    now = datetime.datetime.now(datetime.timezone.utc)

    def describe(material: authority_store.Material, _plan: Plan[Any]) -> dict[str, Any]:
        facts: dict[str, Any] = describe_authority(spec, material.state, now)
        if material.certificate_pem:
            facts["certificate"] = material.certificate_pem.decode("utf-8", "replace")
        return facts

    return execute(
        check_mode=module.check_mode,
        subject=spec.directory,
        observe=lambda: authority_store.read_material(spec.directory, passphrase),
        plan=lambda material: plan_authority(spec, material.state, now),
        apply=lambda plan: authority_store.apply_authority(spec, plan, passphrase, now),
        describe=describe,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "common_name": {"type": "str", "default": "wormhole.docker CA"},
            "key_type": {"type": "str", "default": "ecdsa-p256", "choices": list(KEY_TYPES), "no_log": False},
            "validity_days": {"type": "int", "default": 3650},
            "passphrase": {"type": "str", "no_log": True},
        },
        supports_check_mode=True,
    )
    run(module, manage)


if __name__ == "__main__":
    main()
