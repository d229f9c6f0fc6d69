#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: tls_certificates
short_description: Keys and certificates of a host, issued by an authority on the controller
version_added: 0.1.0
description:
  - Keeps the server certificate of an engine, and the client certificates of those who use it, as the task
    says; any number of them in one task.
  - Private keys are made on the host and stay there. A request travels to the controller, which signs what
    the B(task) asks for; of the request, only the public key counts. The authority's key stays on the
    controller.
  - A task that issues nothing takes one round trip to the host, otherwise two, whatever the number of
    certificates.
  - A certificate is replaced if it is missing or unreadable, does not fit its key, comes from another issuer,
    has other names or another usage than the task says, or is due for renewal. Drift of owner, mode or C(ca.pem) is mended
    without issuing anything. Each change comes with its reasons.
  - While one authority takes over from another, what the former one has issued stays as it is; playbook
    C(wormhole.docker.rotate) reissues it in an order that cuts no connection. Should it have to be issued anew for another
    reason, the task is refused until that playbook has run.
  - A new certificate is verified on the host before it is installed, by the rules that judge the one that is
    there. Each file is replaced atomically.
  - A new certificate comes with a new key, unless only names came or went, or a client is renewed in time; a client reads its
    files one after the other and at any moment, and has to find a pair that fits. To give a client another key, remove its
    C(key.pem).
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
extends_documentation_fragment:
  - wormhole.docker.attributes
  - wormhole.docker.authority
options:
  state:
    description:
      - V(present) looks after the certificates that are listed.
      - V(absent) removes every certificate that this module has made on this host, listed anywhere or not, with its private
        key, its C(ca.pem), and the directories that were made for it. It needs no authority, none of the ones listed below, and no
        Python library.
      - What is there and was not made by this module stays, also a file that somebody has changed since, and a directory that
        holds such. It is told as RV(left) and in a warning.
      - Refused as long as C(/etc/docker/daemon.json) names one of the files, because the engine would not start again. Let
        M(wormhole.docker.dockerd_listener) take its keys out first. In check mode the reason tells it, since an earlier task may have
        only said that it would.
    type: str
    choices: [present, absent]
    default: present
  directories:
    description:
      - With O(state=absent), only certificates in or below these absolute paths; by default all, wherever they are.
    type: list
    elements: str
    default: []
  certificates:
    description:
      - The certificates of this host. One that is not listed is left alone.
      - Required with O(state=present), to be left out with O(state=absent).
    type: list
    elements: dict
    suboptions:
      name:
        description:
          - How results and reasons call it; unique in the task.
        type: str
        required: true
      profile:
        description:
          - What it is for. V(server) has the extended key usage C(serverAuth), V(client) has C(clientAuth),
            and each has only that, so that a client's certificate cannot be passed off as the engine's.
        type: str
        choices: [server, client]
        required: true
      state:
        description:
          - V(absent) removes a client's three files, and its directory if nothing else is in it. A directory
            that holds a server's certificate is refused.
        type: str
        choices: [present, absent]
        default: present
      directory:
        description:
          - Absolute path of a directory on the host, one for each certificate. It will hold C(ca.pem),
            C(cert.pem) and C(key.pem), which is what the Docker CLI and SDKs expect in E(DOCKER_CERT_PATH).
            Missing parents are made.
          - Other files in it are left alone.
        type: str
        required: true
      common_name:
        description:
          - Common name of the subject, 64 characters at most; the certificate's O(certificates[].name) if not
            given. Authorization plugins of the engine know a client by it.
        type: str
      subject_alternative_names:
        description:
          - What clients compare with the address they dial. At least one for a server.
          - Each is a string such as V(IP:172.17.0.1), V(IP:fd00::1), V(DNS:host.docker.internal) or
            V(DNS:*.ci.example.com), or a dictionary of C(name), such a string, and C(origin), which says
            where it comes from and is repeated in the reasons, such as V(gateway of network ci). With C(urgent)
            set to V(false) a server need not be restarted to have this name, see RV(restart_required).
          - Order, case and the way in which an IPv6 address is written do not matter.
        type: list
        elements: raw
        default: []
      owner:
        description:
          - Owner of the directory and its files, by name or number. A number need not exist on the host; give
            the one that reads the key in the container. By default the user that the module runs as, that is
            root with C(become).
        type: str
      group:
        description:
          - Their group, by name or number. By default the owner's primary group; for a number that no user of
            the host has, the same number.
        type: str
      directory_mode:
        description: Mode of the directory, four octal digits in quotes.
        type: str
        default: "0755"
      key_mode:
        description: Mode of C(key.pem), four octal digits in quotes; nothing for others, nothing but reading
          for the group.
        type: str
        default: "0400"
      certificate_mode:
        description: Mode of C(cert.pem) and C(ca.pem), four octal digits in quotes.
        type: str
        default: "0444"
      key_type:
        description:
          - The kind of private key. Keys are made on the host; RSA keys take it seconds each.
        type: str
        choices: [ecdsa-p256, ecdsa-p384, rsa-3072, rsa-4096, ed25519]
        default: ecdsa-p256
      validity_days:
        description:
          - How many days it is valid from its issue, or until its authority expires if that is sooner. It is
            also valid for the hour before its issue, for hosts whose clocks run late.
          - The default of a year stays below the 398 days that browsers accept for public certificates and
            the 825 days that Apple's clients accept for private ones. A change of this option alone does not
            reissue.
        type: int
        default: 365
      renew_before_days:
        description:
          - How many days before its end it is replaced. By default a third of
            O(certificates[].validity_days).
        type: int
requirements:
  - Python library cryptography 38 or newer, on the host and on the controller (Debian package
    python3-cryptography)
notes:
  - What root makes is recorded on the host, as places and digests, in C(/var/lib/wormhole/certificates.json). The record goes with
    the last certificate. A certificate that is in order and has no record, for instance because the file was lost, is recorded by
    the next run. What another user makes is not recorded, so that only O(certificates[].state=absent) removes it.
  - A certificate of somebody else's that was replaced because the task names its directory is not put back by O(state=absent), nor
    are owner and mode of a directory that was there before.
  - In check mode nothing is signed and no key is made. If the authority does not exist yet, check mode
    assumes that another task is going to make it.
  - A task that is interrupted between its two round trips leaves a key in C(.NAME.pending) beside the
    directory, readable for root only. The next run removes it.
  - Nothing is issued while the clocks of host and controller are more than 30 minutes apart.
  - Tested with cryptography 38 and the newest one. What is issued is verified by C(openssl verify
    -x509_strict), in handshakes of Python's ssl module with C(VERIFY_X509_STRICT), and by Docker's CLI, Node.js, curl, GnuTLS
    and Java from inside containers, for every key type.
seealso:
  - module: wormhole.docker.certificate_authority
  - module: wormhole.docker.certificate_signature
  - module: wormhole.docker.certificate_rotation
  - module: wormhole.docker.gateway_info
  - module: wormhole.docker.dockerd_listener
"""

EXAMPLES = r"""
- name: Issue the engine's certificate and two identities
  wormhole.docker.tls_certificates:
    ca_directory: ~/.wormhole/ca
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

- name: Sign by a corporate intermediate from a vault, with its chain
  wormhole.docker.tls_certificates:
    ca_certificate_content: "{{ vault_ca_chain }}"
    ca_private_key_content: "{{ vault_ca_key }}"
    ca_passphrase: "{{ vault_ca_passphrase }}"
    certificates:
      - name: jenkins
        profile: client
        directory: /etc/wormhole/identities/jenkins
  become: true

- name: Remove an identity
  wormhole.docker.tls_certificates:
    ca_directory: ~/.wormhole/ca
    certificates:
      - name: backup
        profile: client
        directory: /etc/wormhole/identities/backup
        state: absent
  become: true

- name: Remove every identity that was ever made in its usual place, also those that no inventory names any more
  wormhole.docker.tls_certificates:
    state: absent
    directories: [/etc/wormhole/identities]
  become: true
"""

RETURN = r"""
requests:
  description:
    - Certificate signing requests in PEM form, by the certificates' names, if O(authority) is given and something has to
      be issued. The keys wait on the host. Nothing else is returned then but C(changed).
  type: dict
  returned: with O(authority), if something has to be issued and O(issued) is not given
  sample:
    dockerd: "-----BEGIN CERTIFICATE REQUEST-----\nMIHuMIGV..."
certificates:
  description: What stands on the host after the task (in check mode, before it), by the certificates' names.
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
  description:
    - Whether a server's key, certificate or C(ca.pem) was replaced. The engine reads them at its start only.
      Drift of owner or mode does not count, nor do names that are not urgent or that are no longer wanted; for
      a change of names alone the key stays the same.
  type: bool
  returned: success, with O(state=present)
  sample: true
left:
  description:
    - What stays because this module did not write it, or somebody has changed it since, by directory; names of files and
      directories. Directories that are not empty for it stay too. In check mode, what would stay.
  type: dict
  returned: success, with O(state=absent)
  sample:
    /etc/wormhole/server: ["notes.txt"]
reasons:
  description: Why something had to change; empty if nothing had.
  type: list
  elements: dict
  returned: success
  contains:
    code:
      description:
        - V(missing), V(unreadable), V(key_mismatch), V(wrong_issuer), V(wrong_common_name), V(san_missing),
          V(san_surplus), V(wrong_key_type), V(wrong_key_usage), V(not_yet_valid), V(expires_soon) and
          V(expired) made a new certificate necessary.
        - V(trust_bundle_outdated), V(owner_drift), V(mode_drift), V(leftover) and V(not_recorded) did not.
        - V(not_wanted) stands for a certificate or a directory that had to go.
      type: str
      sample: san_missing
    text:
      description: The same as a sentence.
      type: str
      sample: "SAN missing: IP 172.18.0.1 (gateway of network ci)"
    subject:
      description: The certificate's name; with O(state=absent) its directory, or the directory that goes.
      type: str
      sample: dockerd
"""

import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import (
    certificate_removal,
    certificate_store,
    x509,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_plan import (
    describe_certificate,
    plan_certificates,
    restart_required,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_removal import (
    RemovalAction,
    RemovalState,
    find_kept,
    plan_removal,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import (
    parse_certificates,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import (
    CertificateAction,
    HostState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import unpack_authority
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import (
    CERTIFICATES_ARGUMENT,
    SIGNING_ARGUMENTS,
    check_state,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import execute, run
from ansible_collections.wormhole.docker.plugins.module_utils._glue.issue import execute_issuing


def manage(module: AnsibleModule) -> dict[str, Any]:
    """Parse, observe, plan, execute; or, half-way, ask for certificates."""
    wanted = check_state(module.params)
    if module.params["state"] == "absent":
        return remove(module)
    x509.require()
    specs = [certificate_store.look_up_owner(spec) for spec in parse_certificates(wanted)]
    authority = unpack_authority(module.params["authority"] or {})
    now = datetime.datetime.now(datetime.timezone.utc)

    def describe(state: HostState, first: Plan[CertificateAction]) -> dict[str, Any]:
        facts = {
            spec.name: describe_certificate(spec, state[spec.name], first.reasons, now) for spec in specs
        }
        return {"certificates": facts, "restart_required": restart_required(first)}

    return execute_issuing(
        check_mode=module.check_mode,
        subject=", ".join(spec.name for spec in specs),
        observe=lambda: certificate_store.observe_certificates(specs, authority),
        plan=lambda state: plan_certificates(specs, state, authority, now),
        describe=describe,
        request=lambda action: certificate_store.make_request(action.spec, keep_key=action.keep_key),
        authority=authority,
        issued=module.params["issued"],
        now=now,
    )


def remove(module: AnsibleModule) -> dict[str, Any]:
    """Takes away what was made."""
    directories = [path.rstrip("/") for path in module.params["directories"]]

    seen: list[RemovalState] = []

    def observe() -> RemovalState:
        seen.append(certificate_removal.observe_removal())
        return seen[-1]

    def describe(state: RemovalState, first: Plan[RemovalAction]) -> dict[str, Any]:
        # As it was before: what stays of a certificate's files is forgotten with it.
        kept = find_kept(directories, seen[0])
        for path, names in kept.items():
            module.warn(f"{path} stays with what was not made by this module: {', '.join(names)}")
        return {"left": kept}

    return execute(
        check_mode=module.check_mode,
        subject=", ".join(directories) or "the certificates that were made on this host",
        observe=observe,
        plan=lambda state: plan_removal(directories, state),
        apply=certificate_removal.apply_removal,
        describe=describe,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={**SIGNING_ARGUMENTS, **CERTIFICATES_ARGUMENT}, supports_check_mode=True
    )
    run(module, manage)


if __name__ == "__main__":
    main()
