#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_rotation
short_description: Move a host's certificates from one authority to the next, without a failed verification
version_added: 0.1.0
description:
  - Takes one step of a rotation on a host, for every certificate that it finds there. Playbook C(wormhole.docker.rotate) runs
    the steps in their order, for a whole fleet.
  - A certificate is reissued as it is, with its names, its usage, its validity and its B(key), so that a client that reads
    its files in this very moment finds a pair that fits. The authority signs again only what it, or one that it follows, has
    signed before.
  - Certificates that have expired, or whose key is missing, are left alone. M(wormhole.docker.tls_certificates) replaces them.
  - Each step can be repeated; where it has been taken nothing changes.
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
extends_documentation_fragment:
  - wormhole.docker.attributes
  - wormhole.docker.authority
options:
  step:
    description:
      - V(trust) adds the authorities that issue now, or are going to, to every C(ca.pem).
      - V(servers) does the same, and reissues the servers' certificates. The engine has to be restarted afterwards.
      - V(clients) reissues the clients' certificates. Refused as long as a server of this host has a certificate of another
        authority than the one that issues now.
      - V(drop) takes every other authority out of every C(ca.pem). Refused as long as a certificate of another one is in use.
        The engine has to be restarted afterwards.
      - V(repair) has nothing to do with a rotation. It gives a server whose key or C(ca.pem) cannot be used, so that the engine
        does not start, a new one. The names are those of the certificate that is there, because only an engine that runs can
        tell its networks.
    type: str
    choices: [trust, servers, clients, drop, repair]
    required: true
  directories:
    description:
      - Absolute paths. Every directory in or below them that holds a C(cert.pem) of an authority that takes part, or a
        C(ca.pem) that trusts one, is looked after. Hidden directories and symbolic links are not followed.
    type: list
    elements: str
    default: [/etc/wormhole]
requirements:
  - Python library cryptography 38 or newer, on the host and on the controller (Debian package python3-cryptography)
notes:
  - A client that reads its files only once, when it starts, has to be restarted between the steps V(trust) and V(servers).
seealso:
  - module: wormhole.docker.certificate_authority
  - module: wormhole.docker.tls_certificates
"""

EXAMPLES = r"""
- name: Reissue the server's certificate by the authority that has taken over
  wormhole.docker.certificate_rotation:
    ca_directory: ~/.wormhole/ca
    step: servers
  become: true
  register: servers

- name: Let the engine read it
  wormhole.docker.dockerd_listener:
    material_changed: "{{ servers.restart_required }}"
  become: true
"""

RETURN = r"""
certificates:
  description:
    - What was found, by directory; after the step, in check mode before it. The same facts as
      RV(wormhole.docker.tls_certificates#module:certificates).
  type: dict
  returned: success
  sample:
    /etc/wormhole/identities/jenkins:
      directory: /etc/wormhole/identities/jenkins
      profile: client
      subject: CN=jenkins
      common_name: jenkins
      subject_alternative_names: []
      serial: 5DF1A3B3977E9B2F94FCC1346E94CEB88222B2A0
      fingerprint_sha256: 56dbcacd0f8c9020511b72ff2302c8f7fed36167fff56593ae63e51d8c3d172e
      issuer: CN=wormhole.docker CA G2
      not_before: "2026-11-23T20:19:27Z"
      not_after: "2027-11-23T21:19:27Z"
      days_left: 364
      reasons: []
left_alone:
  description: Directories below O(directories) that hold a C(cert.pem) and are not part of the rotation.
  type: list
  elements: str
  returned: success
  sample: []
has_server:
  description: Whether a server's certificate is among them.
  type: bool
  returned: success
  sample: true
restart_required:
  description: Whether the engine has to be restarted for the step to have an effect.
  type: bool
  returned: success
  sample: true
reasons:
  description: Why something had to change; empty if nothing had.
  type: list
  elements: dict
  returned: success
  contains:
    code:
      description: V(trust_bundle_outdated), V(wrong_issuer), V(former_trusted) or V(unreadable).
      type: str
      sample: wrong_issuer
    text:
      description: The same as a sentence.
      type: str
      sample: issued by CN=wormhole.docker CA, which hands over to another authority
    subject:
      description: The directory.
      type: str
      sample: /etc/wormhole/server
requests:
  description:
    - By directory, the certificate that is there and a request for the same again, if O(authority) is given and something
      has to be issued. Nothing else is returned then but C(changed).
  type: dict
  returned: with O(authority), if something has to be issued and O(issued) is not given
  sample:
    /etc/wormhole/server:
      certificate: "-----BEGIN CERTIFICATE-----\nMIIB..."
      request: "-----BEGIN CERTIFICATE REQUEST-----\nMIHu..."
"""

import datetime
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import certificate_store, x509
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_plan import (
    describe_certificate,
    restart_required,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import SERVER
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificates import (
    CertificateAction,
    HostState,
    IssueCertificate,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._core.rotation_plan import (
    plan_rotation,
    select_certificates,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import unpack_authority
from ansible_collections.wormhole.docker.plugins.module_utils._glue.certificates import (
    ROTATION_ARGUMENTS,
    SIGNING_ARGUMENTS,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import run
from ansible_collections.wormhole.docker.plugins.module_utils._glue.issue import execute_issuing


def rotate(module: AnsibleModule) -> dict[str, Any]:
    """Parse, observe, plan, execute; or, half-way, ask for certificates."""
    x509.require()
    step, roots = module.params["step"], module.params["directories"]
    authority = unpack_authority(module.params["authority"] or {})
    now = datetime.datetime.now(datetime.timezone.utc)

    def describe(state: HostState, first: Plan[CertificateAction]) -> dict[str, Any]:
        specs = select_certificates(state, authority, now)
        facts = {
            name: describe_certificate(spec, state[name], first.reasons, now) for name, spec in specs.items()
        }
        return {
            "certificates": facts,
            "left_alone": sorted(set(state) - set(specs)),
            "has_server": any(spec.profile == SERVER for spec in specs.values()),
            "restart_required": restart_required(first),
        }

    def request(action: IssueCertificate) -> dict[str, str]:
        return {
            "certificate": certificate_store.read_certificate_text(action.spec.directory),
            "request": certificate_store.make_request(action.spec, keep_key=action.keep_key),
        }

    return execute_issuing(
        check_mode=module.check_mode,
        subject=", ".join(roots),
        observe=lambda: certificate_store.find_certificates(roots, authority),
        plan=lambda state: plan_rotation(step, state, authority, now),
        describe=describe,
        request=request,
        authority=authority,
        issued=module.params["issued"],
        now=now,
    )


def main() -> None:
    module = AnsibleModule(
        argument_spec={**SIGNING_ARGUMENTS, **ROTATION_ARGUMENTS}, supports_check_mode=True
    )
    run(module, rotate)


if __name__ == "__main__":
    main()
