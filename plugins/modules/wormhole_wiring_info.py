#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: wormhole_wiring_info
short_description: What a container needs to reach the Docker engine that runs it, for whoever creates it
version_added: 0.1.0
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Works out what M(wormhole.docker.wormhole_container) would give to a container, and tells it in the words of
    community.docker's docker_container, of Compose and of C(docker run), for containers that are created by these.
  - Nothing is created, changed or traversed. M(wormhole.docker.wormhole_container_info) with
    O(wormhole.docker.wormhole_container_info#module:verify) goes through the containers that were made with it.
  - The containers get the labels by which wormholes are found, but not C(wormhole.docker.managed), by which
    M(wormhole.docker.wormhole_container) knows its own.
options:
  name:
    description: The container's or service's name. The identity has it by default.
    type: str
    required: true
  networks:
    description: Names of the networks that the container joins, by default the default bridge.
    type: list
    elements: str
    default: []
  network_mode:
    description: V(bridge), V(host), V(none) or a network's name, if the container has one.
    type: str
  userns_mode:
    description: V(host) for a container that is exempt from C(userns-remap).
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
- name: Work out the wiring of a container on network ci
  wormhole.docker.wormhole_wiring_info:
    name: agent
    networks: [ci]
  become: true
  register: wiring

- name: Create it by docker_container
  community.docker.docker_container: "{{ wiring.docker_container | combine(ours, recursive=true, list_merge='append') }}"
  vars:
    ours:
      name: agent
      image: registry.example.com/ci/agent:7
      env:
        LANG: C.UTF-8

- name: Write it beside the project's Compose file, which is then used as -f compose.yaml -f compose.wormhole.yaml
  ansible.builtin.copy:
    content: "{{ wiring.compose_yaml }}"
    dest: /srv/project/compose.wormhole.yaml
    mode: "0644"

- name: Run a command in a container that is gone afterwards
  ansible.builtin.command:
    argv: "{{ ['docker', 'run', '--rm'] + wiring.docker_run + ['docker:cli', 'docker', 'info'] }}"
"""

RETURN = r"""
ready:
  description:
    - Whether there are a listener that the container reaches, and its identity; neither is tried. A warning says what is missing.
  returned: success
  type: bool
  sample: true
obstacle:
  description: What is missing; empty if nothing is.
  returned: success
  type: str
  sample: ""
remedy:
  description: What removes the obstacle.
  returned: success
  type: str
  sample: ""
transport:
  description: The transport.
  returned: success
  type: str
  sample: tls
address:
  description: The engine's address; empty with O(transport=unix).
  returned: success
  type: str
  sample: 172.18.0.1
port:
  description: Its port; 0 with O(transport=unix).
  returned: success
  type: int
  sample: 2376
identity_directory:
  description: Where the identity has to be on the host; empty without TLS.
  returned: success
  type: str
  sample: /etc/wormhole/identities/agent
docker_container:
  description: Options of community.docker's docker_container.
  returned: success
  type: dict
  sample:
    env:
      DOCKER_HOST: tcp://172.18.0.1:2376
      DOCKER_CERT_PATH: /certs
      DOCKER_TLS_VERIFY: "1"
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
    - A Compose file with what the service needs, to be merged with the one that says the rest of it.
    - The service is on O(networks) or on the default bridge, and not on a network of the project's own.
    - Empty, with a warning, for the default bridge beside other networks, which Compose cannot join.
  returned: success
  type: dict
compose_yaml:
  description: The same as YAML.
  returned: success
  type: str
docker_run:
  description: Arguments of C(docker run) and C(docker create). Of several networks they name the first.
  returned: success
  type: list
  elements: str
docker_run_text:
  description: The same, quoted for a shell.
  returned: success
  type: str
docker_network_connect:
  description: Arguments of C(docker network connect), one list for each further network.
  returned: success
  type: list
  elements: list
"""

import shlex
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.engine import parse_socket_path
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.wiring import (
    missing_identity_file,
    observe_wiring,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_networks import (
    parse_attachments,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.container_options import parse_options
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring, wire
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_render import (
    render_compose,
    render_connect,
    render_container_options,
    render_run,
    render_yaml,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    ARGUMENTS,
    TLS,
    WiringSpec,
    parse_wiring,
    plaintext_warnings,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.connection import (
    connection_arguments,
    open_engine,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import run


def parse(params: Mapping[str, Any]) -> WiringSpec:
    """What wormhole_container would make of the same options."""
    options = parse_options({name: params[name] for name in ("network_mode", "userns_mode")})
    mode = options.get("network_mode", "")
    attachments = parse_attachments([{"name": name} for name in params["networks"]], mode)
    return parse_wiring(
        params,
        name=params["name"],
        socket_path=parse_socket_path(params["docker_host"]),
        networks=(attachment.network for attachment in attachments),
        network_mode=mode,
        host_users=options.get("userns_mode") == "host",
    )


def for_compose(service: str, spec: WiringSpec, wiring: Wiring) -> tuple[dict[str, Any], list[str]]:
    """What Compose gets, and a warning if it cannot do it, which is none of the others' concern."""
    try:
        return render_compose(service, spec, wiring), []
    except InvalidInput as error:
        return {}, [f"nothing for Compose: {error}"]


def gather(module: AnsibleModule) -> dict[str, Any]:
    params = module.params
    spec = parse(params)
    engine = open_engine(params)
    wiring = wire(spec, observe_wiring(engine, engine.info(), spec.socket_path))
    directory = spec.identity_directory if spec.transport == TLS else ""
    obstacle, remedy = wiring.obstacle, wiring.remedy
    missing = missing_identity_file(directory) if directory else ""
    if missing and not obstacle:
        obstacle, remedy = (
            f"there is no {missing} on this host",
            "Make it by wormhole.docker.tls_certificates",
        )
    compose, warnings = for_compose(params["name"], spec, wiring)
    arguments = render_run(spec, wiring)
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
        "docker_container": render_container_options(spec, wiring),
        "compose": compose,
        "compose_yaml": render_yaml(compose) if compose else "",
        "docker_run": arguments,
        "docker_run_text": shlex.join(arguments),
        "docker_network_connect": render_connect(params["name"], spec),
    }


def main() -> None:
    arguments = {
        "name": {"type": "str", "required": True},
        "networks": {"type": "list", "elements": "str", "default": []},
        "network_mode": {"type": "str"},
        "userns_mode": {"type": "str", "choices": ["host"]},
        **ARGUMENTS,
        **connection_arguments(),
    }
    run(AnsibleModule(argument_spec=arguments, supports_check_mode=True), gather)


if __name__ == "__main__":
    main()
