# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: check_reported_names
short_description: Check the names that a host reports for its server certificate
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Returns RV(wormhole.docker.gateway_info#module:subject_alternative_names) as they are, or fails if
    one of them is neither local nor listed in O(allowed). A managed host reports these names. If it
    could choose them freely, it would get a server certificate for the name of another host.
  - Local are private addresses (RFC 1918), loopback and link-local addresses, unique local IPv6
    addresses, C(host.docker.internal) and C(localhost).
  - The role C(listener) and M(wormhole.docker.wormhole_host) do the same.
positional: allowed
options:
  _input:
    description: Names that a host has reported.
    type: list
    elements: dict
    required: true
  allowed:
    description: Further names that the host may report, in the form C(IP:address) or C(DNS:name).
    type: list
    elements: str
    default: []
seealso:
  - module: wormhole.docker.gateway_info
"""

EXAMPLES = r"""
- name: List the gateways
  wormhole.docker.gateway_info:
  register: gateways

- name: Issue a server certificate that is valid for all gateways
  wormhole.docker.tls_certificates:
    ca_directory: "{{ '~/.wormhole/ca' | wormhole.docker.authority_directory(inventory_hostname) }}"
    certificates:
      - name: dockerd
        profile: server
        directory: /etc/wormhole/server
        subject_alternative_names: "{{ gateways.subject_alternative_names
          | wormhole.docker.check_reported_names(['IP:100.64.0.1']) }}"
"""

RETURN = r"""
_value:
  description: The names, unchanged.
  type: list
  elements: dict
"""

from typing import Any, Callable, Sequence

from ansible.errors import AnsibleFilterError

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._certificates import names


def check_reported_names(reported: Sequence[Any], allowed: Sequence[str] = ()) -> list[Any]:
    """Return names that a host has reported, once they are checked."""
    try:
        names.check_reported_names(reported, allowed)
    except WormholeError as error:
        raise AnsibleFilterError(str(error)) from error
    return list(reported)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"check_reported_names": check_reported_names}
