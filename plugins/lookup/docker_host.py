# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: docker_host
short_description: The engine that runs the container in which Ansible runs
version_added: 0.1.0
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - For a playbook that itself runs inside a wormhole, such as in an execution environment or a job of a CI agent. It finds
    the Docker engine that runs its container, and makes sure that it answers.
  - If E(DOCKER_HOST) is set, that is what counts, with E(DOCKER_TLS_VERIFY) and E(DOCKER_CERT_PATH) as for every Docker
    client, and nothing else is tried.
  - Otherwise the sockets C(/run/wormhole/docker.sock) and C(/var/run/docker.sock) are tried. Then, by mutual TLS, the gateways of
    the default routes, C(host.docker.internal) and the first address of each network that the container is on.
  - An endpoint that speaks TLS counts only if it verifies.
options:
  _terms:
    description: None are taken.
  connection:
    description:
      - Whether to return options for the modules of community.docker instead of the address alone.
    type: bool
    default: false
  certificate_path:
    description:
      - Directory with C(ca.pem), C(cert.pem) and C(key.pem). By default E(DOCKER_CERT_PATH) if that is set, else
        C(~/.docker) or C(/certs), whichever has them.
    type: str
  port:
    description:
      - Where to try TLS. A wormhole that looks its engine up at each start has the port in E(WORMHOLE_PORT).
    type: int
    default: 2376
    env:
      - name: WORMHOLE_PORT
  insecure_plaintext_port:
    description: Where to try without TLS, after all that is safe. By default nowhere.
    type: int
  timeout:
    description: Seconds that each step of a try may take.
    type: float
    default: 3
requirements:
  - cryptography >= 38 for the Python that runs Ansible
seealso:
  - module: wormhole.docker.wormhole_container
  - module: wormhole.docker.endpoint_info
"""

EXAMPLES = r"""
- name: Show which engine runs this
  ansible.builtin.debug:
    msg: "{{ lookup('wormhole.docker.docker_host') }}"

- name: Start a sibling
  hosts: localhost
  module_defaults:
    group/community.docker.docker: "{{ lookup('wormhole.docker.docker_host', connection=true) }}"
  tasks:
    - name: A database for the tests
      community.docker.docker_container:
        name: db
        image: postgres:17
"""

RETURN = r"""
_raw:
  description:
    - The engine's address in the form of E(DOCKER_HOST).
    - With O(connection=true), a dictionary with C(docker_host) and, for TLS, C(validate_certs), C(ca_path), C(client_cert) and
      C(client_key).
  type: list
  elements: raw
"""

import os
from typing import Any, Optional

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.engine_finder import find_engine
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_search import connection_options
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import WormholeError


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            raise AnsibleLookupError(f"wormhole.docker.docker_host: expected no terms, found {terms}")
        try:
            found = find_engine(
                os.environ,
                certificate_path=self.get_option("certificate_path") or "",
                port=self.get_option("port"),
                insecure_plaintext_port=self.get_option("insecure_plaintext_port"),
                timeout=self.get_option("timeout"),
            )
        except WormholeError as error:
            raise AnsibleLookupError(f"wormhole.docker.docker_host: {error}") from error
        if found.transport == "tcp":
            Display().warning(
                f"{found.docker_host} is spoken to without TLS; whoever reaches it is root on its host"
            )
        return [connection_options(found) if self.get_option("connection") else found.docker_host]
