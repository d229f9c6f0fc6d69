#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_info
short_description: Every address at which a container can find its Docker engine, and why
version_added: 0.1.0
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Lists the gateways of the bridge networks of a host, which are the addresses under which containers reach the host.
  - Names the networks whose containers have no route to the host, with the reason and with what to use instead.
  - Puts together the subject alternative names that the engine's server certificate needs, so that a client verifies
    whichever of these addresses it uses.
  - These include addresses that are configured in C(/etc/docker/daemon.json) and that no network has yet, also if the
    engine has not been restarted for them. C(bip) and, with C(ipv6), C(bip6) or the first address of C(fixed-cidr-v6)
    are where docker0 will be. Each network that the engine makes from C(default-address-pools) gets a subnet of them,
    and its gateway is the first address there, so that such a network needs no new certificate.
  - At most 64 addresses of pools are named, the first ones in the order in which the engine takes them, because every
    handshake carries the certificate. Beyond that, and without pools, a network is named once it exists, by the next run.
  - The engine was found to do so in Docker 20.10 and 26.1, except for C(bip6), which only newer ones know.
notes:
  - With C(default-address-pools) and without C(bip), the engine gives docker0 the first free subnet of the pools whenever
    it starts, so that docker0 can move when a network has been removed. Set C(bip) to keep it where it is.
extends_documentation_fragment:
  - wormhole.docker.docker
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
seealso:
  - module: wormhole.docker.tls_certificates
  - module: wormhole.docker.dockerd_listener
"""

EXAMPLES = r"""
- name: Find the gateways
  wormhole.docker.gateway_info:
  register: gateways

- name: Issue a server certificate that names them all
  wormhole.docker.tls_certificates:
    ca_directory: ~/.wormhole/ca
    certificates:
      - name: dockerd
        profile: server
        directory: /etc/wormhole/server
        subject_alternative_names: "{{ gateways.subject_alternative_names }}"
"""

RETURN = r"""
default_gateway:
  description: IPv4 address of the default bridge (docker0); empty where the engine runs without one.
  returned: success
  type: str
  sample: 172.17.0.1
gateways:
  description: The gateways of all bridge networks with a route to the host, the default bridge's first.
  returned: success
  type: list
  elements: dict
  contains:
    address:
      description: IPv4 or IPv6 address.
      type: str
      sample: 172.18.0.1
    family:
      description: V(4) or V(6).
      type: int
      sample: 4
    network:
      description: Name of the Docker network.
      type: str
      sample: ci
    interface:
      description: Name of the bridge interface on the host.
      type: str
      sample: br-1f0c3a5e7b9d
    subnet:
      description: Subnet of the network.
      type: str
      sample: 172.18.0.0/16
without_gateway:
  description: The networks whose containers have no route to the host.
  returned: success
  type: list
  elements: dict
  contains:
    network:
      description: Name of the Docker network.
      type: str
      sample: backend
    driver:
      description: Its driver.
      type: str
      sample: bridge
    reason:
      description: Why there is no route.
      type: str
      sample: "ipvlan: the kernel keeps the host unreachable from its containers"
    instead:
      description: What to use.
      type: str
      sample: transport unix
subject_alternative_names:
  description:
    - What a server certificate has to name, in the form that O(wormhole.docker.tls_certificates#module:certificates[].subject_alternative_names)
      takes.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name or address.
      type: str
      sample: IP:172.18.0.1
    origin:
      description: Where it comes from.
      type: str
      sample: gateway of network ci
    urgent:
      description:
        - Whether a server has to be restarted to have this name. V(false) for the gateways of all networks but the
          default bridge, whose containers reach the engine at docker0's address, and for the pools.
      type: bool
      sample: false
"""

from dataclasses import asdict
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.server_names import (
    observe_server_names,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.connection import (
    connection_arguments,
    open_engine,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import run


def gather(module: AnsibleModule) -> dict[str, Any]:
    topology, names = observe_server_names(open_engine(module.params))
    return {
        "changed": False,
        "default_gateway": topology.default.address if topology.default else "",
        "gateways": [asdict(gateway) for gateway in topology.gateways],
        # Not "unreachable": Ansible takes a result with that key for a host that cannot be reached.
        "without_gateway": [
            {name: getattr(network, name) for name in ("network", "driver", "reason", "instead")}
            for network in topology.unreachable
        ],
        "subject_alternative_names": [asdict(name) for name in names],
    }


def main() -> None:
    run(AnsibleModule(argument_spec=connection_arguments(), supports_check_mode=True), gather)


if __name__ == "__main__":
    main()
