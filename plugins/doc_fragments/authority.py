# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Options that name a certificate authority; their arguments are in _glue/authority.py."""

from __future__ import annotations


class ModuleDocFragment:
    # For modules that manage certificates of the host: the authority is read on the controller.
    DOCUMENTATION = r"""
options:
  ca_directory:
    description:
      - Absolute path of the authority's directory B(on the controller). C(~) is the home directory
        of the user who runs Ansible there. See M(wormhole.docker.certificate_authority).
      - One of O(ca_directory), O(ca_certificate_path), O(ca_certificate_content) and O(authority)
        is required.
    type: str
  ca_certificate_path:
    description:
      - Path of the authority's certificate on the controller, in PEM form. The certificate of an
        intermediate authority must be followed by the certificates of its issuers, up to the root.
    type: str
  ca_certificate_content:
    description: The authority's certificate and chain as text, for example from a vault. Replaces
      O(ca_certificate_path).
    type: str
  ca_private_key_path:
    description: Path of the authority's private key on the controller, in PEM form. Without a key,
      the task fails if it has to issue a certificate. Everything else works. If other users can read
      or write the file, the task warns.
    type: str
  ca_private_key_content:
    description: The authority's private key as text. Replaces O(ca_private_key_path). The key stays
      on the controller.
    type: str
  ca_trusted_content:
    description: Certificates of further authorities to trust, in PEM form, while one authority
      replaces another. Not allowed with O(ca_directory), which records them itself.
    type: str
  ca_passphrase:
    description: Passphrase of the authority's private key. It stays on the controller.
    type: str
  authority:
    description: Public part of an authority whose key is not on the controller, as returned in
      RV(wormhole.docker.certificate_signature#module:authority). If a certificate has to be issued,
      the task returns C(requests). Sign them with M(wormhole.docker.certificate_signature) and pass
      the result to a second task as O(issued).
    type: dict
  issued:
    description: Certificates for the C(requests) of an earlier task, as returned in
      RV(wormhole.docker.certificate_signature#module:issued). They are verified before they are
      installed. Requires O(authority).
    type: dict
requirements:
  - Python library cryptography 38 or newer, on the host and on the controller (Debian package
    python3-cryptography)
"""

    # For modules that issue certificates whose previous ones another authority may have issued.
    REPLACE = r"""
options:
  ca_replace:
    description:
      - Whether to replace certificates of another authority that are still valid. Clients with such
        certificates cannot connect until they have new ones. The result has the reason
        V(authority_replaced) and a warning.
      - By default, the task fails before anything is changed. This protects a host that another
        controller manages. Certificates of an authority that has expired, and damaged files, are
        replaced in any case.
      - To change the authority without interruption, use the playbook C(wormhole.docker.rotate).
    type: bool
    default: false
"""

    # For modules that run where the authority is.
    LOCAL = r"""
options:
  certificate_path:
    description: Path of the authority's certificate, in PEM form. The certificate of an
      intermediate authority must be followed by the certificates of its issuers, up to the root.
    type: str
  certificate_content:
    description: The authority's certificate and chain as text, for example from a vault. Replaces
      O(certificate_path).
    type: str
  private_key_path:
    description: Path of the authority's private key, in PEM form. If other users can read or write
      the file, the task warns.
    type: str
  private_key_content:
    description: The authority's private key as text. Replaces O(private_key_path).
    type: str
  trusted_content:
    description: Certificates of further authorities to trust, in PEM form, while one authority
      replaces another. Not allowed with O(directory), which records them itself.
    type: str
requirements:
  - Python library cryptography 38 or newer (Debian package python3-cryptography)
"""
