# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  ca_directory:
    description:
      - Absolute path of the authority's directory B(on the controller); C(~) is the home directory of the user who runs
        Ansible there. See M(wormhole.docker.certificate_authority).
      - One of O(ca_directory), O(ca_certificate_path), O(ca_certificate_content) and O(authority) is required.
    type: str
  ca_certificate_path:
    description:
      - Path of an authority's certificate on the controller, in PEM form. An authority that is not its own issuer is
        followed by its chain, the issuer of each certificate after it, up to the root.
    type: str
  ca_certificate_content:
    description:
      - The same as text, from a vault or a lookup, for controllers that keep no disk.
    type: str
  ca_private_key_path:
    description:
      - Path of its private key on the controller, in PEM form. Without a key nothing can be issued; what is there is
        looked after all the same.
    type: str
  ca_private_key_content:
    description:
      - The same as text. It stays on the controller.
    type: str
  ca_trusted_content:
    description:
      - Certificates of further authorities, in PEM form, to trust beside the one that issues, while one takes over from
        another. For O(ca_directory), the directory knows.
    type: str
  ca_passphrase:
    description:
      - Opens the authority's private key, if it is encrypted. Does not travel to the host.
    type: str
  authority:
    description:
      - The public part of an authority whose key is elsewhere, as RV(wormhole.docker.certificate_signature#module:authority).
        What has to be issued is then returned as C(requests), to be signed by a task of its own and handed to a second
        task as O(issued).
    type: dict
  issued:
    description:
      - The answers to the requests of an earlier task, as RV(wormhole.docker.certificate_signature#module:issued). They are
        verified as everything else is. With O(authority) only.
    type: dict
"""
