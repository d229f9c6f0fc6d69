#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_certificates
short_description: Issue, renew and remove the TLS keys and certificates of a host
version_added: 0.1.0
description:
  - Issues the server certificate of an engine and the client certificates of its users, any number
    of them in one task.
  - Private keys are generated on the host and stay there. Certificate signing requests are sent to
    the controller, which signs them. The B(task) determines what a certificate contains. Only the
    public key is taken from the request. The authority's key stays on the controller.
  - A task that issues no certificate needs one round trip to the host. Otherwise it needs two,
    whatever the number of certificates.
  - A certificate is replaced if it is missing or unreadable, does not match its key, has another
    issuer, name or usage than requested, or is due for renewal. A different owner, mode or
    C(ca.pem) is corrected without issuing a certificate.
  - If several hosts can share the authority, a new certificate also has the subject alternative name
    C(URI:wormhole:HOST/NAME) with the name of the host in the inventory and the common name, or
    C(URI:wormhole:HOST) for a server. This is so unless the authority is in a directory
    C(hosts/NAME), like those of the role certificate_authority, or limits URIs by name constraints.
    A certificate without this name, or with another one of this form, is not replaced for it.
  - A new certificate usually has a new key. The key is kept if only names have changed, or if the
    certificate is renewed before it expires. A client that reads its files at that moment thus
    finds a matching pair. To replace a key, remove C(key.pem).
  - During a rotation, certificates of the previous authority are not changed. The playbook
    C(wormhole.docker.rotate) reissues them. If such a certificate has to be issued for another
    reason, the task fails until that playbook has run.
  - A new certificate is verified on the host before it is installed. Each file is replaced
    atomically.
  - Files that this collection did not create are never replaced or removed. A valid certificate
    that the authority of the task has issued is adopted. If the directory holds other files, the
    task fails before anything is changed.
  - Valid certificates of another authority are not replaced, unless O(ca_replace) is set. The task
    fails before anything is changed.
author: Contributors to the wormhole.docker project (@wormhole-docker)
extends_documentation_fragment:
  - wormhole.docker.attributes
  - wormhole.docker.authority
  - wormhole.docker.authority.replace
  - wormhole.docker.certificates
options:
  state:
    description:
      - Whether the certificates of the host exist.
      - V(present) issues, renews or removes the certificates in O(certificates), which is required.
      - V(absent) removes every certificate that this module has created on the host, with its
        private key, its C(ca.pem) and the directories that were created for it. It requires no
        authority and no Python library. O(certificates) must not be set.
      - V(absent) keeps other files, files that were changed since they were created, and
        directories that hold such files. They are returned in RV(left) and named in a warning.
      - V(absent) fails if dockerd's configuration names one of the files, because the engine would
        not start again. Remove the listener first with M(wormhole.docker.dockerd_listener).
        Check mode does not fail, and reports this as a reason.
    type: str
    choices: [present, absent]
    default: present
  directories:
    description: With O(state=absent), removes only certificates in or below these absolute paths.
      By default all certificates are removed.
    type: list
    elements: str
    default: []
notes:
  - Certificates that root creates are recorded on the host in
    C(/var/lib/wormhole/certificates.json), as paths and digests. The file is removed with the last
    certificate. If a valid certificate is not in the record, the next run adds it. Certificates
    that another user creates are not recorded, and only O(certificates[].state=absent) removes
    them.
  - O(state=absent) restores neither certificates that this module has replaced nor the owner and
    mode of directories that existed before.
  - Check mode signs nothing and generates no key. If the authority does not exist yet, check mode
    assumes that an earlier task creates it.
  - A task that is interrupted between its two round trips leaves a key in C(.NAME.pending) next to
    the directory, readable only for root. The next run removes it.
  - The task fails if it has to issue a certificate while the clocks of host and controller differ
    by more than 30 minutes.
  - Tested with cryptography 38 and the newest version. For every key type, certificates are
    verified with C(openssl verify -x509_strict), in handshakes of Python's ssl module with
    C(VERIFY_X509_STRICT), and by Docker's CLI, Node.js, curl, GnuTLS and Java inside containers.
seealso:
  - module: wormhole.docker.certificate_authority
  - module: wormhole.docker.certificate_signature
  - module: wormhole.docker.certificate_rotation
  - module: wormhole.docker.gateway_info
  - module: wormhole.docker.dockerd_listener
"""

EXAMPLES = r"""
- name: Issue the server certificate and two client certificates
  wormhole.docker.tls_certificates:
    ca_directory: "{{ '~/.wormhole/ca' | wormhole.docker.authority_directory(inventory_hostname) }}"
    certificates:
      - name: dockerd
        profile: server
        directory: /etc/wormhole/server
        subject_alternative_names:
          - IP:172.17.0.1
          - name: IP:172.18.0.1
            origin: gateway of network ci
          - DNS:host.docker.internal
      - name: jenkins
        profile: client
        directory: /etc/wormhole/identities/jenkins
        owner: "1000"
      - name: backup
        profile: client
        directory: /etc/wormhole/identities/backup
  become: true

- name: Issue a certificate with a corporate intermediate from a vault
  wormhole.docker.tls_certificates:
    ca_certificate_content: "{{ vault_ca_chain }}"
    ca_private_key_content: "{{ vault_ca_key }}"
    ca_passphrase: "{{ vault_ca_passphrase }}"
    certificates:
      - name: jenkins
        profile: client
        directory: /etc/wormhole/identities/jenkins
  become: true

- name: Remove a client certificate
  wormhole.docker.tls_certificates:
    ca_directory: "{{ '~/.wormhole/ca' | wormhole.docker.authority_directory(inventory_hostname) }}"
    certificates:
      - name: backup
        profile: client
        directory: /etc/wormhole/identities/backup
        state: absent
  become: true

- name: Remove all client certificates, also those that are no longer in the inventory
  wormhole.docker.tls_certificates:
    state: absent
    directories: [/etc/wormhole/identities]
  become: true
"""

RETURN = r"""
requests:
  description: Certificate signing requests in PEM form, by the certificates' names. The keys are
    kept on the host until the certificates are installed. If this is returned, the only other value
    is C(changed).
  type: dict
  returned: with O(authority), if a certificate has to be issued and O(issued) is not set
  sample:
    dockerd: "-----BEGIN CERTIFICATE REQUEST-----\nMIHuMIGV..."
certificates:
  description: Certificates on the host after the task, by name. In check mode, before the task.
  type: dict
  returned: success, with O(state=present)
  sample:
    dockerd:
      directory: /etc/wormhole/server
      profile: server
      subject: CN=dockerd
      common_name: dockerd
      subject_alternative_names: ["DNS:host.docker.internal", "IP:172.17.0.1", "IP:172.18.0.1"]
      serial: 5DF1A3B3977E9B2F94FCC1346E94CEB88222B2A0
      fingerprint_sha256: 56dbcacd0f8c9020511b72ff2302c8f7fed36167fff56593ae63e51d8c3d172e
      issuer: CN=wormhole.docker CA
      not_before: "2026-11-23T20:19:27Z"
      not_after: "2027-11-23T21:19:27Z"
      days_left: 364
      reasons: []
restart_required:
  description: Whether the engine has to be restarted because a server's key, certificate or
    C(ca.pem) was replaced. The engine reads them only at start. Changes of owner or mode, names
    with C(urgent=false), and names that are no longer requested do not require a restart.
  type: bool
  returned: success, with O(state=present)
left:
  description: Files and directories that were not removed, by directory, because this module did
    not create them or they were changed since. In check mode, those that would not be removed.
  type: dict
  returned: success, with O(state=absent)
  sample:
    /etc/wormhole/server: ["notes.txt"]
reasons:
  description: Reasons for the changes. Empty if nothing changes.
  type: list
  elements: dict
  returned: success
  contains:
    code:
      description:
        - V(missing), V(unreadable), V(key_mismatch), V(wrong_issuer), V(wrong_common_name),
          V(san_missing), V(san_surplus), V(wrong_key_type), V(wrong_key_usage), V(not_yet_valid),
          V(expires_soon) and V(expired) require a new certificate.
        - V(authority_replaced) says that the replaced certificates were of another authority and
          still valid, see O(ca_replace).
        - V(trust_bundle_outdated), V(owner_drift), V(mode_drift), V(leftover) and V(not_recorded)
          require no new certificate.
        - V(not_wanted) says that a certificate or a directory is removed.
      type: str
    text:
      description: The reason as a sentence.
      type: str
      sample: "SAN missing: IP 172.18.0.1 (gateway of network ci)"
    subject:
      description: Name of the certificate. With O(state=absent), path of the directory.
      type: str
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue import certificates
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run
from ansible_collections.wormhole.docker.plugins.module_utils._glue.tls_certificates import (
    manage_certificates,
)


def manage(module: AnsibleModule) -> dict[str, Any]:
    return manage_certificates(module.params, check_mode=module.check_mode)


def main() -> None:
    run(manage, {**certificates.SIGNING_ARGUMENTS, **certificates.CERTIFICATES_ARGUMENT})


if __name__ == "__main__":
    main()
