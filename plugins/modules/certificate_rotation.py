#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_rotation
short_description: Move the certificates of a host to a new certificate authority
version_added: 0.1.0
description:
  - Runs one step of a rotation for all certificates of a host. The playbook
    C(wormhole.docker.rotate) runs the steps in order on all hosts. Connections are verified
    throughout.
  - A reissued certificate has the same names, usage, length of validity and B(key) as before, except
    in step V(replace). An authority reissues only its own certificates and those of authorities that
    it has replaced, if its record holds them and they are not revoked.
  - Certificates that have expired or whose key is missing are not changed.
    M(wormhole.docker.tls_certificates) replaces them.
  - Steps can be repeated.
author: Contributors to the wormhole.docker project (@wormhole-docker)
extends_documentation_fragment:
  - wormhole.docker.attributes
  - wormhole.docker.authority
options:
  step:
    description:
      - Step to run.
      - V(trust) adds the issuing authority and its successor to every C(ca.pem).
      - V(servers) does the same and reissues server certificates. Restart the engine afterwards.
      - V(clients) reissues client certificates. It fails if a server certificate of this host is
        not from the issuing authority.
      - V(drop) removes all authorities but the issuing one from every C(ca.pem). It fails if a
        certificate of another authority is in use. Restart the engine afterwards.
      - V(replace) takes the place of the last three steps if a key was stolen. It reissues all
        certificates that are not from the issuing authority, for B(new keys), and removes all other
        authorities from every C(ca.pem) at once. Restart the engine afterwards. Clients cannot connect
        until then. The authority's record must hold the certificates of clients, as issued to this
        host.
      - V(repair) is not part of a rotation. If the engine cannot start because a server's key or
        C(ca.pem) is unusable, this step issues a new certificate with the names of the existing
        one, or rewrites C(ca.pem).
    type: str
    choices: [trust, servers, clients, drop, replace, repair]
    required: true
  directories:
    description: Absolute paths of directories to search for certificates. The rotation covers every
      directory in or below them with a C(cert.pem) that an authority of the rotation has issued, or
      with a C(ca.pem) that trusts one. Hidden directories and symbolic links are not searched.
    type: list
    elements: str
    default: [/etc/wormhole]
  rotation_reason:
    description:
      - Why the authority is replaced. It determines which certificates are reissued.
      - With V(regular), it reissues what its record holds. If it existed before the record began, the
        signature of an authority of this rotation is accepted as proof, with a warning.
      - With V(compromised), the signature of an authority proves nothing. Only certificates that the
        record holds, as issued to this host, are reissued.
      - Revoked certificates are not reissued, see M(wormhole.docker.certificate_revocation).
    type: str
    choices: [regular, compromised]
    default: regular
  ca_previous_directory:
    description: Directory B(on the controller) of an authority that the one in O(ca_directory)
      replaces. The rotation also covers the certificates of that authority. The module does not
      write to the directory.
    type: str
  subject_alternative_names:
    description:
      - With O(step=repair), names that the certificate of a server may have in addition to private
        addresses (RFC 1918), loopback and link-local addresses, unique local IPv6 addresses,
        C(host.docker.internal) and C(localhost), in the form C(IP:address) or C(DNS:name).
      - The step fails if the existing certificate has others. The new certificate has another key,
        so without this limit a host could present the certificate of another one.
    type: list
    elements: str
    default: []
notes:
  - Between the steps V(trust) and V(servers), restart the clients that read their files only at
    start.
seealso:
  - module: wormhole.docker.certificate_authority
  - module: wormhole.docker.tls_certificates
"""

EXAMPLES = r"""
- name: Reissue the server certificate
  wormhole.docker.certificate_rotation:
    ca_directory: "{{ '~/.wormhole/ca' | wormhole.docker.authority_directory(inventory_hostname) }}"
    step: servers
  become: true
  register: servers

- name: Restart the engine if it has to read the new certificate
  wormhole.docker.dockerd_listener:
    material_changed: "{{ servers.restart_required }}"
  become: true
"""

RETURN = r"""
certificates:
  description:
    - Certificates that the rotation covers, by directory, after the step. In check mode, before the
      step. The fields are those of RV(wormhole.docker.tls_certificates#module:certificates).
  type: dict
  returned: success
left_alone:
  description: Directories below O(directories) with a C(cert.pem) that the rotation does not cover.
  type: list
  elements: str
  returned: success
has_server:
  description: Whether RV(certificates) contains a server certificate.
  type: bool
  returned: success
restart_required:
  description: Whether the engine has to be restarted for the step to take effect.
  type: bool
  returned: success
reasons:
  description: Reasons for the changes. Empty if nothing changes.
  type: list
  elements: dict
  returned: success
  contains:
    code:
      description: V(trust_bundle_outdated), V(wrong_issuer), V(former_trusted), V(key_replaced) or
        V(unreadable).
      type: str
    text:
      description: The reason as a sentence.
      type: str
      sample: issued by CN=wormhole.docker CA, which is not the issuing authority
    subject:
      description: The directory.
      type: str
      sample: /etc/wormhole/server
requests:
  description: Certificates to reissue, by directory, each with a certificate signing request. If
    this is returned, the only other value is C(changed).
  type: dict
  returned: with O(authority), if a certificate has to be issued and O(issued) is not set
  sample:
    /etc/wormhole/server:
      certificate: "-----BEGIN CERTIFICATE-----\nMIIB..."
      request: "-----BEGIN CERTIFICATE REQUEST-----\nMIHu..."
"""

import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._base.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._certificates import model, plan, rotation
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import SERVER
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import decoding, store
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import unpack_authority
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import SIGNING_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.issue import execute_issuing
from ansible_collections.wormhole.docker.plugins.module_utils._glue.rotation import ROTATION_ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def rotate(module: AnsibleModule) -> dict[str, Any]:
    """Parse, observe, plan, execute, or return requests for certificates."""
    decoding.require()
    step, roots = module.params["step"], module.params["directories"]
    authority = unpack_authority(module.params["authority"] or {})
    now = datetime.datetime.now(datetime.timezone.utc)

    def describe(state: model.HostState, first: Plan[model.CertificateAction]) -> dict[str, Any]:
        specs = rotation.select_certificates(state, authority, now)
        facts = {
            name: plan.describe_certificate(spec, state[name], first.reasons, now)
            for name, spec in specs.items()
        }
        return {
            "certificates": facts,
            "left_alone": sorted(set(state) - set(specs)),
            "has_server": any(spec.profile == SERVER for spec in specs.values()),
            "restart_required": plan.restart_required(first),
        }

    def request(action: model.IssueCertificate) -> dict[str, str]:
        return {
            "certificate": store.read_certificate_text(action.spec.directory),
            "request": store.make_request(action.spec, keep_key=action.keep_key),
        }

    return execute_issuing(
        module.params["issued"],
        check_mode=module.check_mode,
        subject=", ".join(roots),
        observe=lambda: store.find_certificates(roots, authority),
        plan=lambda state: rotation.plan_rotation(step, state, authority, now),
        describe=describe,
        request=request,
        authority=authority,
        now=now,
        adopts=False,
    )


def main() -> None:
    run(rotate, {**SIGNING_ARGUMENTS, **ROTATION_ARGUMENTS})


if __name__ == "__main__":
    main()
