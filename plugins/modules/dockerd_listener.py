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
  - Adds systemd socket units that hand dockerd listening sockets on the gateways of Docker bridge networks, and the
    keys to C(/etc/docker/daemon.json) that make dockerd demand client certificates there.
  - The vendor's units and every foreign key of C(daemon.json) stay as they are. The stock unix socket stays as it is.
  - Everything is planned first, and applied as one transaction. If any step fails, or if what is served afterwards is
    not what was asked for, files and service are put back, and the error says both what failed and that the former state
    is back. The same holds if the process is told to end (SIGTERM), or if the SSH connection is lost.
  - Before anything is touched, what putting it back takes is written to C(/var/lib/wormhole/listener). A run that is killed is
    finished by the next one from there, or undone if the engine does not run or the next one cannot go on.
  - dockerd reads certificates only when it starts, so it is restarted when it serves something else than what is
    installed; once, and only then. The containers that a restart stops (none with C(live-restore)) are named in the
    diff, and those that no restart policy brings back are started again, except for those created with C(--rm), which
    the engine removes when they stop.
options:
  state:
    description:
      - V(present) makes dockerd listen as the other options say.
      - V(absent) gives back the host as it was found. C(daemon.json) gets the very bytes, the owner, the mode and the date
        that it had before this module first changed it. Where somebody else has changed it since, it keeps that change and
        loses only what this module has put there.
      - V(absent) is refused as long as wormholes run that reach the engine by TLS.
      - V(recovered) undoes a change that an earlier run has not ended, if the engine does not run for it, and does nothing
        otherwise. V(present) and V(absent) do that, too. It is for what has to come before them and needs an engine.
    type: str
    choices: [present, absent, recovered]
    default: present
  transports:
    description:
      - V(tls) listens on O(addresses), by mutual TLS.
      - V(unix) adds a unix socket C(docker.sock) in O(unix_directory), with group and mode of the stock one. A container
        that mounts the B(directory) reaches the engine also after the socket was made anew; a socket that is mounted as a
        file goes stale then.
    type: list
    elements: str
    choices: [tls, unix]
    default: [tls]
  addresses:
    description:
      - Where to listen for containers of this host. Each must be the gateway of a bridge network of this host, or loopback,
        or the word V(gateways).
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
  host_addresses:
    description:
      - Further addresses of this host to listen on by TLS, for clients on other hosts. The server's certificate has to name
        them. No firewall is opened for them.
    type: list
    elements: str
    default: []
  port:
    description: TCP port to listen on by TLS.
    type: int
    default: 2376
  directory:
    description:
      - Directory with the C(ca.pem), C(cert.pem) and C(key.pem) of the server, made by
        M(wormhole.docker.tls_certificates).
    type: path
    default: /etc/wormhole/server
  unix_directory:
    description: Directory of its own for the socket of transport V(unix).
    type: path
    default: /run/wormhole
  insecure_plaintext_port:
    description:
      - TCP port to serve without TLS, on O(addresses) only. B(Whoever reaches it is root on this host.)
      - Every run warns of it. It is closed by the next run without this option.
      - Each is bound to the interface of its own bridge, so that containers on other bridges and other hosts do not reach it.
        socat, which has to be installed, passes connections on to the stock unix socket. The engine is not restarted for it.
    type: int
  existing_listeners:
    description:
      - What to do where an administrator makes dockerd listen by C(hosts) in C(daemon.json), or by C(-H) in a drop-in of
        docker.service.
      - V(refuse) fails, and tells where they are.
      - V(adopt) goes on to serve them by socket units. The key C(hosts) is taken out of C(daemon.json), and a drop-in of ours,
        read after theirs, starts dockerd with their command line and C(-H fd://) only; their own file stays. Refused as long
        as one of their listeners is not among what this task asks for. V(absent) gives everything back.
    type: str
    choices: [refuse, adopt]
    default: refuse
  live_restore:
    description:
      - Whether containers are to survive a restart of the engine, by the key C(live-restore) of C(daemon.json). dockerd reads
        it without a restart, so that it spares the containers from the restart in the same run already.
      - If left out, it stays as it is.
      - V(true) is refused in Swarm mode, with which dockerd does not start then.
    type: bool
  firewall:
    description:
      - V(open) lets containers through where the host drops what comes in (nftables, iptables, ufw, firewalld). Exactly the
        port is opened, to exactly the address, from exactly the bridges, by the tool that manages the host, so that it is
        there after a reboot.
      - V(ignore) opens nothing, and closes what an earlier run has opened.
    type: str
    choices: [open, ignore]
    default: open
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
  wormholes_removed:
    description:
      - Names of wormholes that an earlier task of this run removed, or would have in check mode.
      - Lets check mode predict O(state=absent).
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - wormhole.docker.docker
  - wormhole.docker.attributes
requirements:
  - cryptography >= 38 (Debian package python3-cryptography) on the managed node
  - socat (Debian package socat) on the managed node, for O(insecure_plaintext_port)
  - systemd on the managed node, with a docker.service that starts dockerd by C(-H fd://), as the vendors' do
notes:
  - An IPv6 gateway cannot be dialled while no container is attached to its network. What the engine serves there is then
    judged by another address on which it listens.
  - Tested with Docker 20.10 and systemd 252, and with Docker 26.1 and systemd 257.
  - Linux answers for each of its addresses on every interface. That nothing listens beyond the bridges keeps out whoever does not
    set a route to a bridge's address by way of this host. What keeps out the others is mutual TLS, and a firewall.
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

- name: Let a container in a network of its own, without a route to the host, reach the engine by a directory it mounts
  wormhole.docker.dockerd_listener:
    transports: [tls, unix]

- name: Take over what an administrator has configured, and spare the containers
  wormhole.docker.dockerd_listener:
    existing_listeners: adopt
    host_addresses: [192.0.2.7]
    live_restore: true

- name: Give back the host as it was found
  wormhole.docker.dockerd_listener:
    state: absent
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
  returned: success, unless O(state=recovered)
  type: list
  elements: str
  sample: ["172.17.0.1:2376"]
unix_socket:
  description: The additional unix socket; empty if none is asked for.
  returned: success, unless O(state=recovered)
  type: str
  sample: /run/wormhole/docker.sock
insecure_endpoints:
  description: Where plaintext is served.
  returned: success, unless O(state=recovered)
  type: list
  elements: str
  sample: []
unreachable_networks:
  description: The networks whose containers have no way to the host, with the reason and what to use instead.
  returned: success, unless O(state=recovered)
  type: list
  elements: dict
  contains:
    network:
      description: The network's name.
      type: str
      sample: backend
    reason:
      description: Why there is no way.
      type: str
      sample: "macvlan: the kernel keeps the host unreachable from its containers"
    instead:
      description: What to use.
      type: str
      sample: transport unix
firewall:
  description: What was found in the way of containers.
  returned: success, unless O(state=recovered)
  type: dict
  contains:
    manager:
      description: V(nftables), V(iptables), V(ufw), V(firewalld), or empty where nothing is.
      type: str
      sample: ufw
    openings:
      description: What is let through for containers; in check mode, what is going to be.
      type: list
      elements: str
      sample: ["docker0 to 172.17.0.1:2376"]
reloaded:
  description: Whether the engine was told to read its configuration again; in check mode, whether it would be.
  returned: success, unless O(state=recovered)
  type: bool
restarted:
  description: Whether the engine was restarted; in check mode, whether it would be.
  returned: success, unless O(state=recovered)
  type: bool
interrupted:
  description:
    - The containers that a restart stopped, or in check mode would stop.
    - With C(live-restore) none, but for those that ended with a failure during the restart; these are started again, and a warning
      names them.
  returned: success, unless O(state=recovered)
  type: list
  elements: str
  sample: ["jenkins"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.listener_host import ListenerHost
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    ListenerSpec,
    ListenerState,
    ReloadEngine,
    RestartEngine,
    parse_spec,
    render_endpoint,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_plan import (
    plan_endpoints,
    plan_insecure_endpoints,
    plan_listener,
    plan_openings,
    render_opening,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_recovery import plan_recovery
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_removal import plan_removal
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
    plan = plan_listener if spec.present else plan_removal

    with host.reserved():
        if module.params["state"] == "recovered":
            return execute(
                check_mode=module.check_mode,
                subject="an interrupted change",
                observe=host.observe_recovery,
                plan=plan_recovery,
                apply=host.recover,
            )
        return execute(
            check_mode=module.check_mode,
            subject="dockerd's listener",
            observe=host.observe,
            plan=lambda state: plan(spec, state),
            apply=host.apply,
            describe=lambda state, first: _describe(spec, state, first, host.lost),
            prepare=host.prepare,
            give_up=host.give_up,
        )


def _describe(
    spec: ListenerSpec, state: ListenerState, plan: Plan[Any], lost: tuple[str, ...]
) -> dict[str, Any]:
    restarts = [action for action in plan.actions if isinstance(action, RestartEngine)]
    endpoints = plan_endpoints(spec, state) if spec.present else ()
    insecure = plan_insecure_endpoints(spec, state) if spec.present else ()
    openings = plan_openings(spec, state) if spec.present else ()
    served = [render_endpoint(*endpoint) for endpoint in insecure]
    result: dict[str, Any] = {
        "endpoints": [render_endpoint(*endpoint) for endpoint in endpoints],
        "unix_socket": spec.unix_socket if spec.present else "",
        "insecure_endpoints": served,
        "unreachable_networks": [
            {"network": network.network, "reason": network.reason, "instead": network.instead}
            for network in state.topology.unreachable
        ],
        "firewall": {
            "manager": state.firewall.manager,
            "openings": [render_opening(opening) for opening in openings],
        },
        "reloaded": any(isinstance(action, ReloadEngine) for action in plan.actions),
        "restarted": bool(restarts),
        "interrupted": [name for action in restarts for name in (*action.containers, *lost)],
    }
    warnings = []
    if insecure:
        warnings.append(
            f"insecure_plaintext_port: the engine is served without TLS on {', '.join(served)}; whoever reaches it is root on this host"
        )
    if lost:
        warnings.append(
            f"live-restore: containers that did not survive the restart were started again: {', '.join(lost)}"
        )
    return {**result, "warnings": warnings} if warnings else result


def main() -> None:
    arguments = {
        "state": {"type": "str", "choices": ["present", "absent", "recovered"], "default": "present"},
        "transports": {"type": "list", "elements": "str", "choices": ["tls", "unix"], "default": ["tls"]},
        "addresses": {"type": "list", "elements": "str"},
        "host_addresses": {"type": "list", "elements": "str", "default": []},
        "port": {"type": "int", "default": 2376},
        "directory": {"type": "path", "default": "/etc/wormhole/server"},
        "unix_directory": {"type": "path", "default": "/run/wormhole"},
        "insecure_plaintext_port": {"type": "int"},
        "existing_listeners": {"type": "str", "choices": ["refuse", "adopt"], "default": "refuse"},
        "live_restore": {"type": "bool"},
        "firewall": {"type": "str", "choices": ["open", "ignore"], "default": "open"},
        "material_changed": {"type": "bool", "default": False},
        "running_containers": {"type": "str", "choices": ["interrupt", "refuse"], "default": "interrupt"},
        "wormholes_removed": {"type": "list", "elements": "str", "default": []},
    }
    run(
        AnsibleModule(argument_spec={**arguments, **connection_arguments()}, supports_check_mode=True), ensure
    )


if __name__ == "__main__":
    main()
