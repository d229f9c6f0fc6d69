#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_revocation
short_description: Mark certificates of an authority as revoked
version_added: 0.1.0
description:
  - Marks an identity, all certificates of a host, or everything that an authority has signed, as
    revoked. The mark is in the record of the authority in O(directory).
  - A revoked certificate is not signed again. That of an identity never is. Those of a host or of an
    authority are replaced by certificates for new keys, in the step V(replace) of
    M(wormhole.docker.certificate_rotation).
  - Engines read no revocation lists. They accept a revoked certificate until its authority has been
    replaced, see RV(replacement_required). The playbook C(wormhole.docker.revoke) runs this module,
    and replaces the authority.
  - Run this module where certificates are signed. This is usually the controller, with
    C(delegate_to) V(localhost). An authority that is passed by path or by content has no record.
author: Contributors to the wormhole.docker project (@wormhole-docker)
extends_documentation_fragment:
  - wormhole.docker.attributes
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
  identity:
    description: Common name of the identity to revoke. One of O(identity), O(host) and O(authority)
      is required.
    type: str
  host:
    description: Name of the host in the inventory whose certificates to revoke. With O(identity),
      only the identity of this host is revoked.
    type: str
  authority:
    description: Common name of the authority to revoke, such as V(wormhole CA ci1). Everything that
      it has signed is revoked, also what nobody has recorded.
    type: str
  reason:
    description: Why it is revoked. The record holds this text.
    type: str
    default: unspecified
requirements:
  - Python library cryptography 38 or newer (Debian package python3-cryptography)
notes:
  - As long as RV(replacement_required) is true, the same task does not revoke what was issued since
    the first one. Afterwards, the same task is a new revocation.
  - The module fails if the record does not hold everything that the authority has issued. Run the
    playbook C(wormhole.docker.rotate) first.
seealso:
  - module: wormhole.docker.certificate_authority_info
  - module: wormhole.docker.certificate_rotation
"""

EXAMPLES = r"""
- name: Mark an identity as revoked
  wormhole.docker.certificate_revocation:
    directory: "{{ '~/.wormhole/ca' | wormhole.docker.authority_directory(inventory_hostname, 'host') }}"
    identity: jenkins
    reason: found in a public repository
  delegate_to: localhost
"""

RETURN = r"""
directory:
  description: Absolute path of the directory.
  type: str
  returned: success
  sample: /home/ci/.wormhole/ca/hosts/ci1
known:
  description: Whether the record holds what the task names, revoked or not.
  type: bool
  returned: success
hosts:
  description: Hosts with certificates of the authority that are valid and not revoked. They need new
    ones if the authority is replaced.
  type: list
  elements: str
  returned: success
  sample: [ci1]
removed_identities:
  description: With O(identity), SHA-256 fingerprints of the revoked certificates. Remove them from
    their hosts.
  type: list
  elements: str
  returned: success
replacement_required:
  description: Whether engines still accept something that is revoked, because its authority has not
    been replaced.
  type: bool
  returned: success
drop_required:
  description: Whether the rotation in progress has to be ended first, because the authority that
    issues now has to be replaced as well.
  type: bool
  returned: success
reasons:
  description: Reasons for the changes. Empty if nothing changes.
  type: list
  elements: dict
  returned: success
  contains:
    code:
      description: V(not_revoked).
      type: str
    text:
      description: The reason as a sentence.
      type: str
      sample: client CN=jenkins of ci1, serial 6F1A is valid
    subject:
      description: Path of the directory.
      type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue.issued import REVOCATION_ARGUMENTS, revoke
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def mark(module: AnsibleModule) -> dict[str, Any]:
    return revoke(module.params, check_mode=module.check_mode)


def main() -> None:
    run(mark, REVOCATION_ARGUMENTS, required_one_of=[["identity", "host", "authority"]])


if __name__ == "__main__":
    main()
