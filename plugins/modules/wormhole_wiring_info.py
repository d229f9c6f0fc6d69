#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wormhole_wiring_info
short_description: Return the settings that give a container access to its Docker engine
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Returns the settings that M(wormhole.docker.wormhole_container) would give to a container, as
    options of M(community.docker.docker_container), as a Compose file, and as arguments of C(docker
    run). Use them for containers that are created in these ways.
  - The module does not create or change anything, and does not verify the access. Use
    O(wormhole.docker.wormhole_container_info#module:verify) for that, after the container has been
    created.
  - The settings include the labels by which M(wormhole.docker.wormhole_container_info) finds
    wormholes, but not C(wormhole.docker.managed). M(wormhole.docker.wormhole_container) does not
    change such containers.
options:
  name:
    description: Name of the container or the Compose service. It is the default for O(identity).
    type: str
    required: true
  networks:
    description: Names of the networks to connect the container to, by default the default bridge.
    type: list
    elements: str
    default: []
  network_mode:
    description: Network mode of the container, which is V(bridge), V(host), V(none) or the name of
      a network. By default not set.
    type: str
  userns_mode:
    description: User namespace mode. V(host) uses the host's users on an engine that remaps users.
    type: str
    choices: [host]
extends_documentation_fragment:
  - wormhole.docker.wiring
  - wormhole.docker.docker
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
seealso:
  - module: wormhole.docker.wormhole_container
  - module: wormhole.docker.wormhole_container_info
  - module: wormhole.docker.tls_certificates
"""

EXAMPLES = r"""
- name: Get the settings for a container on network ci
  wormhole.docker.wormhole_wiring_info:
    name: agent
    networks: [ci]
  become: true
  register: wiring

- name: Create the container with docker_container
  community.docker.docker_container: "{{ wiring.docker_container | combine(ours, recursive=true, list_merge='append') }}"
  vars:
    ours:
      name: agent
      image: registry.example.com/ci/agent:7
      env:
        LANG: C.UTF-8

- name: Write a second Compose file, for -f compose.yaml -f compose.wormhole.yaml
  ansible.builtin.copy:
    content: "{{ wiring.compose_yaml }}"
    dest: /srv/project/compose.wormhole.yaml
    mode: "0644"

- name: Run a command in a temporary container
  ansible.builtin.command:
    argv: "{{ ['docker', 'run', '--rm'] + wiring.docker_run + ['docker:cli', 'docker', 'info'] }}"
"""

RETURN = r"""
ready:
  description: Whether the container's identity and a listener that it can reach exist. The
    connection is not tried. If either is missing, the task warns.
  returned: success
  type: bool
obstacle:
  description: What is missing. Empty if nothing is.
  returned: success
  type: str
remedy:
  description: How to remove the obstacle.
  returned: success
  type: str
transport:
  description: Transport.
  returned: success
  type: str
  sample: tls
address:
  description: Address of the engine. Empty with O(transport=unix).
  returned: success
  type: str
  sample: 172.18.0.1
port:
  description: Port of the engine; 0 with O(transport=unix).
  returned: success
  type: int
identity_directory:
  description: Directory on the host in which the identity must be. Empty without TLS.
  returned: success
  type: str
  sample: /etc/wormhole/identities/agent
docker_container:
  description: Options of M(community.docker.docker_container).
  returned: success
  type: dict
  sample:
    env:
      DOCKER_HOST: tcp://172.18.0.1:2376
      DOCKER_CERT_PATH: /certs
      DOCKER_TLS_VERIFY: "1"
      DOCKER_CONTEXT: default
    etc_hosts:
      host.docker.internal: host-gateway
    labels:
      wormhole.docker.transport: tls
      wormhole.docker.identity: agent
    volumes:
      - /etc/wormhole/identities/agent:/certs:ro
    networks:
      - name: ci
compose:
  description:
    - Compose file to merge with the one that defines the service.
    - The service is connected to O(networks) or to the default bridge, and not to a network of the
      project.
    - Compose does not support the default bridge in addition to other networks. In this case, the
      file is empty and the task warns.
  returned: success
  type: dict
compose_yaml:
  description: RV(compose) as YAML.
  returned: success
  type: str
docker_run:
  description: Arguments of C(docker run) and C(docker create). They contain only the first of
    several networks.
  returned: success
  type: list
  elements: str
docker_run_text:
  description: RV(docker_run) as one string, quoted for a shell.
  returned: success
  type: str
docker_network_connect:
  description: Arguments of C(docker network connect), one list for each additional network.
  returned: success
  type: list
  elements: list
"""

import shlex
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._access.io.state import observe_access
from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._container.attachments import (
    parse_attachments,
    split_network_mode,
)
from ansible_collections.wormhole.docker.plugins.module_utils._container.options import parse_options
from ansible_collections.wormhole.docker.plugins.module_utils._engine.io.sdk import parse_socket_path
from ansible_collections.wormhole.docker.plugins.module_utils._glue import connection
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run
from ansible_collections.wormhole.docker.plugins.module_utils._wiring import render
from ansible_collections.wormhole.docker.plugins.module_utils._wiring import spec as wiring_spec
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.io import state
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.options import ARGUMENTS, parse_wiring
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.warnings import plaintext_warnings
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.wire import Wiring, wire


def parse(params: Mapping[str, Any]) -> wiring_spec.WiringSpec:
    """Parse the options as wormhole_container does."""
    networks, network_mode = split_network_mode(
        [{"name": name} for name in params["networks"]], params["network_mode"]
    )
    options = parse_options({"network_mode": network_mode, "userns_mode": params["userns_mode"]})
    attachments = parse_attachments(networks, options.get("network_mode", ""))
    return parse_wiring(params, parse_socket_path(params["docker_host"]), options, attachments)


def for_compose(
    service: str, spec: wiring_spec.WiringSpec, wiring: Wiring
) -> tuple[dict[str, Any], list[str]]:
    """Return the Compose file, empty with a warning if Compose does not support the wiring."""
    try:
        return render.render_compose(service, spec, wiring), []
    except InvalidInput as error:
        return {}, [f"compose is empty: {error}"]


def gather(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    spec = parse(params)
    engine = connection.open_engine(params)
    wiring = wire(spec, state.observe_wiring(engine, engine.info(), spec.socket_path))
    directory = spec.identity_directory if spec.transport == wiring_spec.TLS else ""
    obstacle, remedy = wiring.obstacle, wiring.remedy
    if spec.gated and not obstacle and not observe_access(spec.identity).has_door:
        obstacle = f"{spec.identity} has no socket of the gate on this host"
        remedy = "Create it with wormhole.docker.wormhole_policy"
    missing = state.missing_identity_file(directory) if directory else ""
    if missing and not obstacle:
        obstacle = f"{missing} does not exist on this host"
        remedy = "Issue the identity with wormhole.docker.tls_certificates"
    compose, warnings = for_compose(params["name"], spec, wiring)
    arguments = render.render_run(spec, wiring)
    return {
        "changed": False,
        "ready": not obstacle,
        "obstacle": obstacle,
        "remedy": remedy,
        "warnings": plaintext_warnings(spec) + warnings + ([f"{obstacle}. {remedy}"] if obstacle else []),
        "transport": spec.transport,
        "address": wiring.address,
        "port": wiring.port,
        "identity_directory": directory,
        "docker_container": render.render_container_options(spec, wiring),
        "compose": compose,
        "compose_yaml": render.render_yaml(compose) if compose else "",
        "docker_run": arguments,
        "docker_run_text": shlex.join(arguments),
        "docker_network_connect": render.render_connect(params["name"], spec),
    }


def main() -> None:
    arguments = {
        "name": {"type": "str", "required": True},
        "networks": {"type": "list", "elements": "str", "default": []},
        "network_mode": {"type": "str"},
        "userns_mode": {"type": "str", "choices": ["host"]},
        **ARGUMENTS,
        **connection.connection_arguments(),
    }
    run(gather, arguments)


if __name__ == "__main__":
    main()
