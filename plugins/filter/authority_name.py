# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: authority_name
short_description: Return the common name of the authority that signs for a host
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Returns the input with O(scope=fleet), or the input followed by the name of the host, cut to 64
    characters.
  - The roles of this collection use this filter.
positional: host, scope
options:
  _input:
    description: The value of C(certificate_authority_common_name).
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
- name: Create an authority for each host
  wormhole.docker.certificate_authority:
    directory: "{{ '~/.wormhole/ca' | wormhole.docker.authority_directory(inventory_hostname) }}"
    common_name: "{{ 'wormhole CA' | wormhole.docker.authority_name(inventory_hostname) }}"
  delegate_to: localhost
"""

RETURN = r"""
_value:
  description: The common name.
  type: str
"""

from typing import Callable

from ansible.errors import AnsibleFilterError

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._certificates import scope as scopes


def authority_name(base: str, host: str, scope: str = scopes.HOST) -> str:
    """Return the common name of the authority that signs for a host."""
    try:
        return scopes.authority_name(base, host, scope)
    except WormholeError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filter of this file."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Return it by its name."""
        return {"authority_name": authority_name}
