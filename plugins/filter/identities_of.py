# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: identities_of
short_description: The client certificates that a list of wormholes needs
version_added: 0.1.0
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Turns a list of wormholes into the list of client certificates that they need.
  - The directory of each belongs to the user that runs in the container, taken from C(identity_owner) or from the number
    in C(user). A user that is a name has a meaning only inside the image; give C(identity_owner) for it.
options:
  _input:
    description:
      - The wormholes, with the options of M(wormhole.docker.wormhole_container) and, if needed, C(identity_owner).
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Issue what the wormholes need
  wormhole.docker.tls_certificates:
    ca_directory: ~/.wormhole/ca
    certificates: "{{ wormholes | wormhole.docker.identities_of }}"
  vars:
    wormholes:
      - name: jenkins
        image: jenkins/jenkins:lts
        user: "1000"
"""

RETURN = r"""
_value:
  description:
    - What O(wormhole.docker.tls_certificates#module:certificates) takes.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.wormhole.docker.plugins.module_utils._core import identities
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import WormholeError


def identities_of(wormholes: Any) -> list[dict[str, Any]]:
    if not isinstance(wormholes, list) or not all(isinstance(wormhole, dict) for wormhole in wormholes):
        raise AnsibleFilterError(
            "wormhole.docker.identities_of: expected a list of wormholes, found something else"
        )
    try:
        return identities.identities_of(wormholes)
    except WormholeError as error:
        raise AnsibleFilterError(f"wormhole.docker.identities_of: {error}") from error


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"identities_of": identities_of}
