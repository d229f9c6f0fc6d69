# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: docker_host
short_description: Find the Docker engine that runs the container in which Ansible runs
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - For playbooks that run inside a wormhole, such as an execution environment or a CI job. Finds
    the Docker engine that runs the container, and verifies that it answers.
  - If E(DOCKER_HOST) is set, only that engine is tried, with E(DOCKER_TLS_VERIFY) and
    E(DOCKER_CERT_PATH) as for every Docker client.
  - Otherwise the sockets C(/run/wormhole/docker.sock) and C(/var/run/docker.sock) are tried. Then,
    by mutual TLS, the gateways of the default routes, C(host.docker.internal) and the first address
    of each of the container's networks.
  - Fails if no engine answers, or if the TLS endpoints that answer cannot be verified.
options:
  _terms:
    description: The lookup takes no terms.
  connection:
    description: Whether to return connection options for the modules of community.docker instead of
      the address.
    type: bool
    default: false
  certificate_path:
    description: Directory with the client's C(ca.pem), C(cert.pem) and C(key.pem). Defaults to
      E(DOCKER_CERT_PATH) if it is set, otherwise to the first of C(~/.docker) and C(/certs) that
      has these files.
    type: str
  port:
    description: TCP port to try with TLS. A wormhole that discovers its engine at each start has
      the port in E(WORMHOLE_PORT).
    type: int
    default: 2376
    env:
      - name: WORMHOLE_PORT
  insecure_plaintext_port:
    description: TCP port to try without TLS, after everything else. By default nothing is tried
      without TLS.
    type: int
  timeout:
    description: Seconds for each step of an attempt.
    type: float
    default: 3
requirements:
  - cryptography >= 38 for the Python that runs Ansible
seealso:
  - module: wormhole.docker.wormhole_container
  - module: wormhole.docker.endpoint_info
"""

EXAMPLES = r"""
- name: Show the engine that runs this playbook's container
  ansible.builtin.debug:
    msg: "{{ lookup('wormhole.docker.docker_host') }}"

- name: Start a sibling
  hosts: localhost
  module_defaults:
    group/community.docker.docker: "{{ lookup('wormhole.docker.docker_host', connection=true) }}"
  tasks:
    - name: Start a database for the tests
      community.docker.docker_container:
        name: db
        image: postgres:17
"""

RETURN = r"""
_raw:
  description: The engine's address in the form of E(DOCKER_HOST). With O(connection=true), a
    dictionary with C(docker_host) and, with TLS, C(validate_certs), C(ca_path), C(client_cert) and
    C(client_key).
  type: list
  elements: raw
"""

import os
from typing import Any, Optional

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.display import Display

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._client.io.finder import find_engine
from ansible_collections.wormhole.docker.plugins.module_utils._client.search import connection_options


class LookupModule(LookupBase):
    def run(self, terms: list[Any], variables: Optional[dict[str, Any]] = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        if terms:
            raise AnsibleLookupError(f"wormhole.docker.docker_host takes no terms. Remove {terms}.")
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
                f"{found.docker_host} is used without TLS: whoever can connect to it is root on its host"
            )
        return [connection_options(found) if self.get_option("connection") else found.docker_host]
