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
    name, its key type or its validity. If what is there cannot issue certificates (there is no certificate, the key is
    another one's or cannot be read, the certificate has expired or is not an authority's, its chain does not end in a root),
    the module fails and says what to do. If the key alone is missing, it warns, since what was issued is good as before.
  - An authority of your own, such as a corporate intermediate, is used as it is. Put its key and its certificate with the
    chain above it into O(directory), or name them by path or by content; then they are checked, and nothing is written.
  - Lets another authority take over, in the three stages of O(rotation).
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
      - It gets mode V(0700), and holds C(ca.key) with mode V(0400) and C(ca.pem) with mode V(0444). During a rotation
        there are C(next.key) and C(next.pem), then C(former.key) and C(former.pem) beside them; C(retired.pem) keeps the
        certificates of those that are trusted no more.
      - Back it up. Without C(ca.key), nothing can be issued to replace a certificate that expires.
      - One of O(directory), O(certificate_path) and O(certificate_content) is required.
    type: str
  certificate_path:
    description:
      - Path of the certificate of an authority of your own, in PEM form. One that is not its own issuer is followed by its
        chain, the issuer of each certificate after it, up to the root, which the clients of OpenSSL need.
      - Engines trust the issuing certificate only, not what is above it, so that nothing else that a corporate root has
        issued opens them.
    type: str
  certificate_content:
    description:
      - The same as text, from a vault or a lookup.
    type: str
  private_key_path:
    description:
      - Path of its private key in PEM form.
    type: str
  private_key_content:
    description:
      - The same as text.
    type: str
  trusted_content:
    description:
      - Certificates of further authorities, in PEM form, to trust beside it, while one takes over from the other.
    type: str
  common_name:
    description:
      - Common name of the subject, 64 characters at most.
      - Does not change an authority that is there. Its successor is called like it, with V(G2), V(G3) and so on appended.
    type: str
    default: wormhole.docker CA
  key_type:
    description:
      - The kind of private key. Does not change an authority that is there, but is what its successor gets.
    type: str
    choices: [ecdsa-p256, ecdsa-p384, rsa-3072, rsa-4096, ed25519]
    default: ecdsa-p256
  validity_days:
    description:
      - How many days the authority is valid from now. No certificate outlives its authority.
      - Does not change an authority that is there, but is what its successor gets.
    type: int
    default: 3650
  passphrase:
    description:
      - Encrypts the private key (PKCS#8). Give the same to
        O(wormhole.docker.tls_certificates#module:ca_passphrase).
      - Has to fit an authority that is there; the module does not change it.
    type: str
  rotation:
    description:
      - The stage that the authority's rotation has to have reached; without it, a rotation stays where it is. For authorities
        in a O(directory). Playbook C(wormhole.docker.rotate) goes through all stages with all hosts.
      - V(trust) makes a successor, unless there is one or it issues already. It is trusted, and issues nothing. Where the
        authority is not its own issuer, put the successor there yourself, as C(next.key) and C(next.pem).
      - V(reissue) lets the successor issue, if there is one. The former authority is trusted still.
      - V(drop) ends the rotation. The former authority is trusted no more, and its key is removed.
    type: str
    choices: [trust, reissue, drop]
  rotation_waits_for:
    description:
      - Names of hosts that have not been through the stage before. As long as there are any, O(rotation=drop) does
        nothing but warn, so that the rotation goes on when they can be reached.
    type: list
    elements: str
    default: []
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

- name: Check a corporate intermediate that comes from a vault
  wormhole.docker.certificate_authority:
    certificate_content: "{{ vault_ca_chain }}"
    private_key_content: "{{ vault_ca_key }}"
    passphrase: "{{ vault_ca_passphrase }}"
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
  description: The issuing certificate and the chain above it, which are public. Not there as long as the authority is
    not, in check mode.
  type: str
  returned: if there is an authority
  sample: |
    -----BEGIN CERTIFICATE-----
    MIIBxDCCAWugAwIBAgIUPzJ...
    -----END CERTIFICATE-----
directory:
  description: Absolute path of the directory, or what the certificate was read from.
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
rotation:
  description: Where a rotation stands.
  type: dict
  returned: if there is an authority
  contains:
    stage:
      description: V(none), V(trust) or V(reissue).
      type: str
      sample: trust
    issuing:
      description: Who issues, as a distinguished name.
      type: str
      sample: CN=wormhole.docker CA
    successor:
      description: Who is going to; empty if nobody is.
      type: str
      sample: CN=wormhole.docker CA G2
    former:
      description: Who did before and is trusted still; empty if nobody is.
      type: str
      sample: ""
trust_bundle:
  description: What clients have to trust, in PEM form.
  type: str
  returned: if there is an authority
  sample: |
    -----BEGIN CERTIFICATE-----
    MIIBxDCCAWugAwIBAgIUPzJ...
    -----END CERTIFICATE-----
waiting:
  description: Why a former authority is not dropped although that was asked for; empty if that is not so.
  type: str
  returned: with O(directory)
  sample: ""
obstacle:
  description: Why it cannot issue anything although it is there, which is that its key is lost; empty if it can. Nothing fails
    for that before something has to be issued.
  type: str
  returned: with O(directory)
  sample: ""
reasons:
  description: Why something had to change; empty if nothing had.
  type: list
  elements: dict
  returned: success
  contains:
    code:
      description: V(missing), V(mode_drift), V(no_successor), V(not_issuing), V(former_trusted) or
        V(rotation_unfinished).
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

from ansible_collections.wormhole.docker.plugins.module_utils._adapters import authority_store
from ansible_collections.wormhole.docker.plugins.module_utils._core.authority import (
    DROP,
    REISSUE,
    TRUST,
    check_authority,
    parse_authority,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.authority_plan import (
    describe_authority,
    lost_key_text,
    plan_authority,
    waiting_text,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.certificate_specs import CLIENT
from ansible_collections.wormhole.docker.plugins.module_utils._core.x509 import KEY_TYPES
from ansible_collections.wormhole.docker.plugins.module_utils._glue.authority import (
    authority_arguments,
    authority_constraints,
    load_material,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import execute, run


def describe(place: str, material: authority_store.Material, now: datetime.datetime) -> dict[str, Any]:
    facts: dict[str, Any] = describe_authority(place, material.state, now)
    if material.trust.issuing:
        facts["certificate"] = "".join(anchor.pem for anchor in material.trust.issuing)
        facts["trust_bundle"] = material.trust.renewed(CLIENT, None).text
    return facts


def check(module: AnsibleModule, now: datetime.datetime) -> dict[str, Any]:
    """An authority that somebody brings along is used as it is; nothing of it is written anywhere."""
    place, material = load_material(module.params, "")
    check_authority(place, material.state, now)
    return {"changed": False, "reasons": [], **describe(place, material, now)}


def manage(module: AnsibleModule) -> dict[str, Any]:
    """Parse, observe, plan, execute."""
    now = datetime.datetime.now(datetime.timezone.utc)
    if module.params["directory"] is None:
        return check(module, now)
    place, _material = load_material(module.params, "")
    passphrase = module.params["passphrase"]
    spec = parse_authority(
        directory=place,
        common_name=module.params["common_name"],
        key_type=module.params["key_type"],
        validity_days=module.params["validity_days"],
        stage=module.params["rotation"],
        waits_for=tuple(module.params["rotation_waits_for"]),
    )
    result = execute(
        check_mode=module.check_mode,
        subject=spec.directory,
        observe=lambda: authority_store.read_material(spec.directory, passphrase),
        plan=lambda material: plan_authority(spec, material.state, now),
        apply=lambda plan: authority_store.apply_authority(spec, plan, passphrase, now),
        describe=lambda material, plan: {
            **describe(place, material, now),
            "waiting": waiting_text(spec, material.state),
            "obstacle": lost_key_text(spec, material.state),
        },
    )
    for text in (result["waiting"], result["obstacle"]):
        if text:
            module.warn(text)
    return result


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **authority_arguments(""),
            "common_name": {"type": "str", "default": "wormhole.docker CA"},
            "key_type": {"type": "str", "default": "ecdsa-p256", "choices": list(KEY_TYPES), "no_log": False},
            "validity_days": {"type": "int", "default": 3650},
            "rotation": {"type": "str", "choices": [TRUST, REISSUE, DROP]},
            "rotation_waits_for": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
        **authority_constraints(""),
    )
    run(module, manage)


if __name__ == "__main__":
    main()
