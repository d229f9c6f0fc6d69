# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: authority_directory
short_description: Return the directory of the authority that signs for a host
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Returns the input with O(scope=fleet), or the directory of the host's own authority below the
    input. The name of this directory is derived from the host's name, and no two hosts have the
    same one.
  - The roles of this collection use this filter. Use it in your own tasks to name the same
    authority.
positional: host, scope
options:
  _input:
    description: The value of C(certificate_authority_directory).
    type: str
    required: true
  host:
    description: Name of the host in the inventory.
    type: str
    required: true
  scope:
    description: The value of C(certificate_authority_scope).
    type: str
    choices: [host, fleet]
    default: host
seealso:
  - module: wormhole.docker.certificate_authority
"""

EXAMPLES = r"""
- name: Issue an identity by the authority of this host
  wormhole.docker.tls_certificates:
    ca_directory: "{{ '~/.wormhole/ca' | wormhole.docker.authority_directory(inventory_hostname) }}"
    certificates:
      - name: jenkins
        profile: client
        directory: /etc/wormhole/identities/jenkins
"""

RETURN = r"""
_value:
  description: The directory.
  type: str
"""

from typing import Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._certificates import scope as scopes


def authority_directory(base: str, host: str, scope: str = scopes.HOST) -> str:
    """Return the directory of the authority that signs for a host."""
    try:
        return scopes.authority_directory(base, host, scope)
    except WormholeError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return it by its name."""
        return {"authority_directory": authority_directory}
