#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: dockerd_listener
short_description: Make dockerd listen for wormholes on bridge gateways, by mutual TLS
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Adds systemd socket units that hand listening sockets to dockerd, on the gateways of Docker's
    bridge networks. Adds the keys to C(/etc/docker/daemon.json) that make dockerd require client
    certificates on these sockets.
  - The vendor's units, Docker's default unix socket and all other keys of C(daemon.json) stay as
    they are.
  - Installs a guard, a drop-in of docker.service that runs before each start of dockerd. It closes
    the listener unless dockerd is going to require client certificates, so that the API is never
    served in plaintext if another tool rewrites C(daemon.json). The engine itself starts in any
    case.
  - Plans all changes first, then applies them as one transaction. If a step fails, or if the new
    listener does not pass its verification, files and service are restored. The error names the
    failure and says whether the previous state is restored. SIGTERM and a lost SSH connection count
    as failures.
  - Records the data for a rollback in C(/var/lib/wormhole/listener) before it changes anything.
    After a run was killed, the next run completes its change. It undoes the change instead if the
    engine does not run, or if the next run fails.
  - Restarts dockerd at most once, and only if it has to listen on other sockets or to load other
    certificates, which it reads only when it starts. The diff names the containers that the restart
    stops. The module starts containers that no restart policy starts again, except those that were
    created with C(--rm). With C(live-restore), the restart stops no container.
options:
  state:
    description:
      - Whether the listener exists.
      - V(present) makes dockerd listen as the other options describe.
      - V(absent) removes the listener and restores the host. C(daemon.json) gets the content,
        owner, mode and modification time that it had before this module first changed it. If others
        have changed it since, their changes stay, and only the changes of this module are removed.
      - V(absent) fails while wormholes that use TLS are running.
      - V(recovered) undoes the change of an interrupted run if the engine does not answer, and does
        nothing otherwise. V(present) and V(absent) do this as well. Use V(recovered) first if
        tasks before V(present) or V(absent) need a running engine.
      - V(planned) makes the checks that V(present) makes before its first change. It fails if one
        of them fails, and changes nothing otherwise. Use it before tasks that are only useful if
        V(present) succeeds, such as issuing the certificate. It does not require the certificate to
        exist. Like V(present), it undoes the change of an interrupted run, except in check mode. If
        there is none to undo, it returns only C(changed).
    type: str
    choices: [present, absent, planned, recovered]
    default: present
  transports:
    description:
      - How clients reach the engine.
      - V(tls) listens on O(addresses) by mutual TLS.
      - V(unix) adds a unix socket C(docker.sock) in O(unix_directory), with the group and the mode
        of Docker's default socket. Containers mount the B(directory). A container that mounts a
        socket as a file loses the engine when the socket is created again.
    type: list
    elements: str
    choices: [tls, unix]
    default: [tls]
  served_by:
    description:
      - Which program serves TLS on O(addresses) and O(host_addresses).
      - V(dockerd) makes the engine serve it. Each client with a certificate of the authority is root
        on the host.
      - V(gate) makes the gate serve it, which applies the policy of each client and rejects clients
        without a policy on this host. The role C(wormhole.docker.gate) installs it. dockerd is
        neither configured nor restarted. The module fails if the gate is missing.
      - Changing it restarts dockerd once, because dockerd keeps a socket until it stops. Clients are
        rejected during the restart. The addresses, the port and the certificates stay the same.
      - The socket of transport V(unix) is dockerd's in either case.
    type: str
    choices: [dockerd, gate]
    default: dockerd
  addresses:
    description:
      - Addresses on which dockerd listens for containers of this host. Each is the gateway of a
        bridge network, a loopback address, or V(gateways).
      - The default is the IPv4 gateway of the default bridge (docker0). Containers on all bridge
        networks with a route to the host can reach it, so a new network requires no restart.
      - V(gateways) stands for the gateways of all bridge networks with a route to the host, IPv4
        and IPv6. The next run after a network was added restarts the engine once. A removed network
        requires no restart.
      - If a restart changes the address of docker0, because C(bip) or C(default-address-pools) of
        C(daemon.json) have changed, the engine listens on the new address after that restart.
    type: list
    elements: str
  host_addresses:
    description: Further addresses of this host on which dockerd listens by TLS, for clients on
      other hosts. The server certificate has to name them. No firewall is opened for them.
    type: list
    elements: str
    default: []
  port:
    description: TCP port on which dockerd listens by TLS.
    type: int
    default: 2376
  directory:
    description: Directory of the server's C(ca.pem), C(cert.pem) and C(key.pem), which
      M(wormhole.docker.tls_certificates) creates.
    type: path
    default: /etc/wormhole/server
  unix_directory:
    description: Directory of the unix socket of transport V(unix). It must not be used for anything
      else, because containers mount it.
    type: path
    default: /run/wormhole
  insecure_plaintext_port:
    description:
      - TCP port on which the engine is served without TLS, on O(addresses) only. B(Whoever reaches
        it is root on this host.) It cannot be set with O(served_by=gate).
      - Every run with this option warns. The next run without it closes the port.
      - Each socket is bound to the interface of its bridge. Containers on other bridges and other
        hosts cannot reach it. C(socat) forwards connections to Docker's default socket, and has to
        be installed. The engine is not restarted.
    type: int
  existing_listeners:
    description:
      - What to do if an administrator has configured listeners, by C(hosts) in C(daemon.json) or by
        C(-H) in a drop-in of docker.service.
      - V(refuse) fails and names the configuration.
      - V(adopt) serves the same addresses by units of this module. It removes C(hosts) from
        C(daemon.json). It adds a drop-in that starts dockerd with the existing command line, but
        with one C(-H fd://) instead of all TCP listeners. The existing drop-in stays as it is.
        dockerd keeps its own unix sockets, so that this also works on a host without docker.socket.
        Keys such as C(tlscacert) that name other files are replaced in C(daemon.json). These files
        stay as they are, and O(state=absent) restores the keys.
      - V(adopt) fails unless this task covers all of the existing listeners. O(state=absent)
        restores them.
    type: str
    choices: [refuse, adopt]
    default: refuse
  live_restore:
    description:
      - Whether containers keep running while the engine restarts. Sets C(live-restore) in
        C(daemon.json), which dockerd reads without a restart. It takes effect before the same run
        restarts dockerd.
      - If not set, the current setting stays.
      - V(true) fails in Swarm mode, because dockerd does not start with C(live-restore) there.
    type: bool
  firewall:
    description:
      - Whether the host's firewall is opened for containers (nftables, iptables, ufw or firewalld).
      - V(open) accepts connections from the bridges to O(addresses) and O(port) if the firewall
        drops them, and nothing else. It uses the tool that manages the firewall. The openings
        survive a reboot.
      - V(ignore) opens nothing, and removes all openings of earlier runs.
    type: str
    choices: [open, ignore]
    default: open
  neighbours:
    description:
      - What to do with packets to O(addresses) and O(port) that come neither from the host itself nor
        from a bridge of the engine. Linux accepts packets for each of its addresses on every interface,
        so that another host with a route to a bridge's address could reach the listener.
      - V(drop) drops them, by a table of nftables that the service C(wormhole-docker-neighbours.service)
        loads. O(host_addresses) are not restricted. Bridges that no network of the engine uses when
        the module runs count as neighbours. The engine is not restarted.
      - V(accept) drops nothing, and removes the table and the service of earlier runs.
      - If not set, V(drop), but V(accept) if O(firewall=ignore).
      - V(drop) fails if the program C(nft) is not installed. If the option is not set, the module
        only warns.
    type: str
    choices: [drop, accept]
  material_changed:
    description: Whether an earlier task of this run has replaced the server certificate or, in
      check mode, would have. Check mode needs this to predict the restart. Set it to
      RV(wormhole.docker.tls_certificates#module:restart_required).
    type: bool
    default: false
  running_containers:
    description:
      - What to do if a required restart of the engine would stop running containers.
      - V(interrupt) restarts the engine. The containers run again afterwards, except for those that
        were created with C(docker run --rm), which the engine removes when they stop.
      - V(refuse) fails and changes nothing.
    type: str
    choices: [interrupt, refuse]
    default: interrupt
  wormholes_removed:
    description: Names of wormholes that an earlier task of this run has removed or, in check mode,
      would have. Check mode needs them to predict O(state=absent).
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - wormhole.docker.docker
  - wormhole.docker.attributes
requirements:
  - cryptography >= 38 (Debian package python3-cryptography) on the managed node
  - nft (Debian package nftables) on the managed node, for O(neighbours=drop)
  - socat (Debian package socat) on the managed node, for O(insecure_plaintext_port)
  - systemd on the managed node, with a docker.service that starts dockerd with C(-H fd://), as the
    vendors' units do
notes:
  - C(daemon.json) stands for the file that dockerd reads. If docker.service or one of its variables
    sets C(--config-file), the module changes that file.
  - The host cannot connect to an IPv6 gateway while no container is attached to its network. The
    module then verifies another address on which the engine listens.
  - Tested with Docker 20.10 and systemd 252, Docker 26.1 and systemd 257, and Docker 28.5 and
    systemd 262.
seealso:
  - module: wormhole.docker.tls_certificates
  - module: wormhole.docker.gateway_info
  - module: wormhole.docker.endpoint_info
"""

EXAMPLES = r"""
- name: Listen on docker0
  wormhole.docker.dockerd_listener:

- name: Listen on another port, unless that would stop running containers
  wormhole.docker.dockerd_listener:
    port: 12376
    running_containers: refuse

- name: Listen on the gateway of every bridge network
  wormhole.docker.dockerd_listener:
    addresses: [gateways]

- name: Have the gate serve wormholes by their policies, and leave dockerd alone
  wormhole.docker.dockerd_listener:
    served_by: gate

- name: Add a unix socket for containers without a route to the host
  wormhole.docker.dockerd_listener:
    transports: [tls, unix]

- name: Adopt the listeners of an administrator, without stopping containers
  wormhole.docker.dockerd_listener:
    existing_listeners: adopt
    host_addresses: [192.0.2.7]
    live_restore: true

- name: Remove the listener and restore the host
  wormhole.docker.dockerd_listener:
    state: absent
"""

RETURN = r"""
reasons:
  description: Reasons for the changes. In check mode, reasons for the changes that a run would
    make.
  returned: success, unless O(state=planned)
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
      description: The object that the reason is about.
      type: str
      sample: 172.17.0.1:2376
served_by:
  description: Which program serves TLS, V(dockerd) or V(gate); empty without transport V(tls).
  returned: success, unless O(state=recovered) or O(state=planned)
  type: str
  sample: dockerd
endpoints:
  description: Addresses and ports on which dockerd or the gate listens by TLS.
  returned: success, unless O(state=recovered) or O(state=planned)
  type: list
  elements: str
  sample: ["172.17.0.1:2376"]
unix_socket:
  description: Path of the additional unix socket; empty without transport V(unix).
  returned: success, unless O(state=recovered) or O(state=planned)
  type: str
  sample: /run/wormhole/docker.sock
insecure_endpoints:
  description: Addresses and ports on which the engine is served without TLS.
  returned: success, unless O(state=recovered) or O(state=planned)
  type: list
  elements: str
unreachable_networks:
  description: Networks whose containers have no route to the host.
  returned: success, unless O(state=recovered) or O(state=planned)
  type: list
  elements: dict
  contains:
    network:
      description: The network's name.
      type: str
      sample: backend
    reason:
      description: Why its containers have no route to the host.
      type: str
      sample: "macvlan: the kernel keeps the host unreachable from its containers"
    instead:
      description: An alternative.
      type: str
      sample: transport unix
firewall:
  description: The host's firewall.
  returned: success, unless O(state=recovered) or O(state=planned)
  type: dict
  contains:
    manager:
      description: The tool that manages it, V(nftables), V(iptables), V(ufw) or V(firewalld). Empty
        if nothing filters input.
      type: str
    openings:
      description: The openings for containers, as bridge and endpoint; in check mode, the planned
        openings.
      type: list
      elements: str
      sample: ["docker0 to 172.17.0.1:2376"]
    drops:
      description: What cannot reach the listener, with its endpoint; in check mode, what could not.
        Empty with O(neighbours=accept).
      type: list
      elements: str
      sample: ["interfaces that are no bridge to 172.17.0.1:2376"]
reloaded:
  description: Whether the engine reloaded its configuration; in check mode, whether it would.
  returned: success, unless O(state=recovered) or O(state=planned)
  type: bool
gate_reloaded:
  description: Whether the gate has read the server certificate again; in check mode, whether it
    would. No connection ends.
  returned: success, unless O(state=recovered) or O(state=planned)
  type: bool
restarted:
  description: Whether the engine was restarted; in check mode, whether it would be.
  returned: success, unless O(state=recovered) or O(state=planned)
  type: bool
interrupted:
  description: Names of the containers that a restart of the engine stopped, or would stop in check
    mode. With C(live-restore), only containers that exited with an error during the restart. The
    module starts them again and warns.
  returned: success, unless O(state=recovered) or O(state=planned)
  type: list
  elements: str
  sample: ["jenkins"]
removed:
  description: Names of the containers that the restart removed, or would remove in check mode,
    because they were created with C(docker run --rm). They do not run again.
  returned: success, unless O(state=recovered) or O(state=planned)
  type: list
  elements: str
  sample: ["build-7"]
"""

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._glue import connection
from ansible_collections.wormhole.docker.plugins.module_utils._glue.listener import ensure_listener
from ansible_collections.wormhole.docker.plugins.module_utils._glue.listener_options import ARGUMENTS
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def ensure(module: AnsibleModule) -> dict[str, Any]:
    return ensure_listener(module.params, check_mode=module.check_mode)


def main() -> None:
    run(ensure, {**ARGUMENTS, **connection.connection_arguments()})


if __name__ == "__main__":
    main()
