#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: gateway_info
short_description: List the addresses at which containers reach their Docker engine
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Lists the gateways of a host's bridge networks, at which containers reach the host.
  - Lists the networks whose containers have no route to the host, with the reason and an
    alternative.
  - Returns the subject alternative names that the engine's server certificate needs, so that
    clients can verify it at each of these addresses.
  - The names include addresses that C(/etc/docker/daemon.json), or the file that C(--config-file)
    of docker.service names, configures for future networks, even if the engine has not been
    restarted since. For docker0, these are the address in C(bip) and, with C(ipv6), C(bip6) or the
    first address of C(fixed-cidr-v6). For other networks, these are the first addresses of the
    subnets of C(default-address-pools), because the engine uses them as gateways.
    Pools that are not private are left out.
  - At most 64 addresses of pools are included, in the order in which the engine allocates them. The
    gateway of a network outside these subnets is included once the network exists.
notes:
  - With C(default-address-pools) and without C(bip), the engine gives docker0 the first free subnet
    of the pools whenever it starts, so docker0's address can change after a network was removed.
    Set C(bip) to keep its address.
  - This allocation was observed with Docker 20.10 and 26.1. C(bip6) requires a later version.
  - A host can report whatever it likes. Before a certificate is issued for these names, check them
    with the filter P(wormhole.docker.check_reported_names#filter).
extends_documentation_fragment:
  - wormhole.docker.docker
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
seealso:
  - module: wormhole.docker.tls_certificates
  - module: wormhole.docker.dockerd_listener
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
        subject_alternative_names: "{{ gateways.subject_alternative_names | wormhole.docker.check_reported_names }}"
"""

RETURN = r"""
default_gateway:
  description: IPv4 address of the default bridge (docker0); empty if the engine has none.
  returned: success
  type: str
  sample: 172.17.0.1
gateways:
  description: The gateways of all bridge networks with a route to the host, the default bridge
    first.
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
    network:
      description: Name of the Docker network.
      type: str
    interface:
      description: Name of the bridge interface on the host.
      type: str
      sample: br-1f0c3a5e7b9d
    subnet:
      description: Subnet of the gateway.
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
      description: Driver of the network.
      type: str
      sample: bridge
    reason:
      description: Reason why there is no route.
      type: str
      sample: "ipvlan: the kernel keeps the host unreachable from its containers"
    instead:
      description: Alternative to use.
      type: str
      sample: transport unix
subject_alternative_names:
  description: The names that a server certificate needs, in the form of
    O(wormhole.docker.tls_certificates#module:certificates[].subject_alternative_names).
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: Name or address, with its kind.
      type: str
      sample: IP:172.18.0.1
    origin:
      description: Origin of the name.
      type: str
      sample: gateway of network ci
    urgent:
      description: Whether a server must be restarted to load a certificate with this name. V(false)
        for addresses of pools and for gateways other than the default bridge's, because the
        containers there also reach the engine at docker0's address.
      type: bool
"""

from ansible_collections.wormhole.docker.plugins.module_utils._glue import connection
from ansible_collections.wormhole.docker.plugins.module_utils._glue.gateways import describe_gateways
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def main() -> None:
    run(lambda module: describe_gateways(module.params), connection.connection_arguments())


if __name__ == "__main__":
    main()
