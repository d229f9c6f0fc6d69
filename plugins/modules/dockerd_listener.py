#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dockerd_listener
short_description: Let dockerd listen for wormholed containers, by mutual TLS on bridge gateways
version_added: 0.1.0
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Adds a systemd socket unit that hands dockerd a listening socket on the gateway of a Docker bridge network, and the
    keys to C(/etc/docker/daemon.json) that make dockerd demand client certificates there.
  - The vendor's units and every foreign key of C(daemon.json) stay as they are. The unix socket stays as it is.
  - Everything is planned first. If any step fails, or if what is served afterwards is not what was asked for, files and
    service are put back, and the error says both what failed and that the former state is back.
  - dockerd reads certificates only when it starts, so it is restarted when it serves something else than what is
    installed; once, and only then. The containers that a restart stops (none with C(live-restore)) are named in the
    diff, and those that no restart policy brings back are started again, except for those created with C(--rm), which
    the engine removes when they stop.
options:
  addresses:
    description:
      - Where to listen. Each must be the gateway of a bridge network of this host, or loopback, or the word
        V(gateways).
      - By default the IPv4 gateway of the default bridge (docker0), which containers on every bridge network with a
        route to the host can reach. Then a network that somebody adds is no reason to restart the engine.
      - V(gateways) stands for the gateway of every bridge network with a route to the host, IPv4 and IPv6. A network that
        is added is then listened on after the next run, which restarts the engine once for it. A network that was
        removed costs no restart. Until there is one for another reason, dockerd keeps a socket that is bound to an
        address which the host has no longer.
      - When an engine that has to be restarted will have another address for docker0 afterwards, because C(bip) or
        C(default-address-pools) of C(daemon.json) say so, it listens on that one, in the same restart.
    type: list
    elements: str
  port:
    description: TCP port to listen on.
    type: int
    default: 2376
  directory:
    description:
      - Directory with the C(ca.pem), C(cert.pem) and C(key.pem) of the server, made by
        M(wormhole.docker.tls_certificates).
    type: path
    default: /etc/wormhole/server
  material_changed:
    description:
      - Whether an earlier task of this run replaced the server's certificate, or would have done so in check mode.
      - Lets check mode predict the restart; pass on RV(wormhole.docker.tls_certificates#module:restart_required).
    type: bool
    default: false
  running_containers:
    description:
      - What to do when a restart of the engine is needed and would stop running containers.
      - V(interrupt) restarts it; the containers run again afterwards. V(refuse) fails, before anything is touched.
    type: str
    choices: [interrupt, refuse]
    default: interrupt
extends_documentation_fragment:
  - wormhole.docker.docker
  - wormhole.docker.attributes
requirements:
  - cryptography >= 38 (Debian package python3-cryptography) on the managed node
  - systemd on the managed node, with a docker.service that starts dockerd by C(-H fd://), as the vendors' do
notes:
  - An IPv6 gateway cannot be dialled while no container is attached to its network. What the engine serves there is then
    judged by another address on which it listens.
  - Tested with Docker 20.10 and systemd 252, and with Docker 26.1 and systemd 257.
seealso:
  - module: wormhole.docker.tls_certificates
  - module: wormhole.docker.gateway_info
  - module: wormhole.docker.endpoint_info
"""

EXAMPLES = r"""
- name: Listen on docker0
  wormhole.docker.dockerd_listener:

- name: Listen on another port, and only if no container has to stop for it
  wormhole.docker.dockerd_listener:
    port: 12376
    running_containers: refuse

- name: Listen on the gateway of every network, as containers on it see their host
  wormhole.docker.dockerd_listener:
    addresses: [gateways]
"""

RETURN = r"""
reasons:
  description: Why something had to change.
  returned: success
  type: list
  elements: dict
  contains:
    code:
      description: A stable identifier.
      type: str
      sample: served_differs
    text:
      description: A sentence.
      type: str
      sample: 172.17.0.1:2376 serves outdated certificates
    subject:
      description: The object concerned.
      type: str
      sample: 172.17.0.1:2376
endpoints:
  description: Where dockerd listens for wormholes.
  returned: success
  type: list
  elements: str
  sample: ["172.17.0.1:2376"]
restarted:
  description: Whether the engine was restarted; in check mode, whether it would be.
  returned: success
  type: bool
interrupted:
  description: The containers that a restart stopped, or in check mode would stop.
  returned: success
  type: list
  elements: str
  sample: ["jenkins"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.listener import ListenerHost
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    ListenerState,
    RestartEngine,
    parse_spec,
    render_endpoint,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_plan import (
    plan_endpoints,
    plan_listener,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.plan import Plan
from ansible_collections.wormhole.docker.plugins.module_utils._glue.connection import (
    connection_arguments,
    open_engine,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import execute, run


def ensure(module: AnsibleModule) -> dict[str, Any]:
    options = {key: value for key, value in module.params.items() if key not in connection_arguments()}
    spec = parse_spec(**options)
    host = ListenerHost(spec, lambda: open_engine(module.params))

    def describe(state: ListenerState, plan: Plan[Any]) -> dict[str, Any]:
        restarts = [action for action in plan.actions if isinstance(action, RestartEngine)]
        return {
            "endpoints": [render_endpoint(*endpoint) for endpoint in plan_endpoints(spec, state)],
            "restarted": bool(restarts),
            "interrupted": [name for action in restarts for name in action.containers],
        }

    return execute(
        check_mode=module.check_mode,
        subject="dockerd's listener",
        observe=host.observe,
        plan=lambda state: plan_listener(spec, state),
        apply=host.apply,
        describe=describe,
    )


def main() -> None:
    arguments = {
        "addresses": {"type": "list", "elements": "str"},
        "port": {"type": "int", "default": 2376},
        "directory": {"type": "path", "default": "/etc/wormhole/server"},
        "material_changed": {"type": "bool", "default": False},
        "running_containers": {"type": "str", "choices": ["interrupt", "refuse"], "default": "interrupt"},
    }
    run(
        AnsibleModule(argument_spec={**arguments, **connection_arguments()}, supports_check_mode=True), ensure
    )


if __name__ == "__main__":
    main()
