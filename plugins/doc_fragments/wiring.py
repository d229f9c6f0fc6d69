# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Document the options of the engine access; see _wiring/options.py for the arguments."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  transport:
    description:
      - How the container reaches its engine.
      - V(tls) uses mutual TLS at the gateway of a bridge network, where
        M(wormhole.docker.dockerd_listener) makes dockerd listen.
      - V(unix) mounts the engine's socket and adds the group of the socket by ID. It works without
        a network. The engine cannot distinguish wormholes. If M(wormhole.docker.dockerd_listener)
        has created a socket in a directory of its own, the directory is mounted, so that a
        recreated socket is visible in the container. An existing container with the default socket
        keeps it until it is recreated. With O(policy), the container gets a socket of its own
        instead, which belongs to its user and leads to the gate.
      - V(tcp) is plaintext. B(Everyone who reaches the port is root on the host.) It requires
        O(insecure_plaintext_port), and every run warns about it.
    type: str
    choices: [tls, unix, tcp]
    default: tls
  identity:
    description: Common name of the client certificate. The engine identifies the wormhole by it
      with O(transport=tls). By default the name of the container. It must not begin with a dot.
    type: str
  engine:
    description:
      - Name of another host in the inventory, whose engine the container uses instead of the engine
        that runs it. The authority of that host issues the identity.
      - That engine has to serve clients on other hosts, see
        O(wormhole.docker.dockerd_listener#module:host_addresses).
      - Requires O(transport=tls), and the address is determined when the container is launched. Not supported in lists of wormholes, such as
        in role P(wormhole.docker.wormholes#role).
    type: str
  engine_address:
    description: IP address or host name at which the engine of the host in O(engine) serves the
      container. The certificate of that engine must contain it. By default
      M(wormhole.docker.wormhole_container) uses the first element of C(listener_host_addresses) of
      that host. Other modules require it with O(engine).
    type: str
  identity_directory:
    description: Directory on the host with the files C(ca.pem), C(cert.pem) and C(key.pem) of the
      identity. It is mounted read-only as a directory, so that a renewed certificate is visible in
      a running container. By default C(/etc/wormhole/identities/) followed by the identity, and with
      O(engine) by C(@) and the name of that host.
    type: path
  certificate_path:
    description: Path in the container at which the identity is mounted.
    type: str
    default: /certs
  port:
    description: TCP port of the listener, with O(transport=tls).
    type: int
    default: 2376
  insecure_plaintext_port:
    description:
      - TCP port of the listener without TLS. See
        O(wormhole.docker.dockerd_listener#module:insecure_plaintext_port).
      - Required with O(transport=tcp), and rejected otherwise.
      - Such a listener only accepts connections from its own bridge. It must listen on the gateway
        of one of the container's networks, or on loopback for O(network_mode=host).
    type: int
  testcontainers:
    description:
      - Whether to set E(TESTCONTAINERS_HOST_OVERRIDE) and E(TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE).
        Testcontainers for Java, Go, Node.js and Python use them to find published ports, and the
        socket that their reaper mounts. With O(policy) other than V(unrestricted), it sets
        E(TESTCONTAINERS_RYUK_DISABLED) instead of the latter, because the policy does not allow the
        reaper to mount a socket.
      - Requires a network with a route to the host. If the key C(ip) of dockerd's configuration
        sets the address at which the default bridge publishes ports, the container must be able to
        reach that address.
    type: bool
    default: false
  shared_directory:
    description: Directory on the host that is mounted at the same path in the container, and is its
      working directory, like C(-v $PWD:$PWD -w $PWD). Containers that are created through the
      wormhole can bind-mount its files by the same path. It must exist.
    type: path
  policy:
    description:
      - Preset of calls of the Engine API that the wormhole may make. The gate on the host refuses all
        others. The role P(wormhole.docker.gate#role) installs it.
      - V(discover) reads the state of the containers with a label, C(traefik.enable=true) by default.
        V(observe) reads the state of everything, without values of environment variables. V(tend)
        also restarts the containers with a label, C(autoheal=true) by default. V(test) creates
        containers, networks and volumes of its own. V(ci) also tags and pushes images of its own, and
        builds them if C(build) in O(policy_overrides) says so. V(compose) deploys projects that stay.
        V(update) replaces any container by a copy with another image. The guide C(docs/policies.md)
        lists what each still allows.
      - V(unrestricted) allows everything. B(The wormhole is root on the host.) So is one without a
        policy, about which every run warns.
      - With O(transport=unix), the container gets a socket of the gate. A change between this and
        the engine's socket recreates the container. With O(transport=tls), the gate has to serve TLS
        on the host (C(listener_served_by=gate)). Not supported with O(transport=tcp) and O(engine).
      - A change of the policy, its mode and its overrides applies to the next call. It neither
        recreates nor restarts the container.
    type: str
    choices: [observe, discover, tend, test, ci, compose, update, unrestricted]
  policy_mode:
    description:
      - What the gate does with calls that O(policy) does not allow.
      - V(enforce) refuses them.
      - V(warn) allows them, and logs that they would be refused.
      - V(learn) allows and records all calls, so that a policy can be derived from them.
    type: str
    choices: [learn, warn, enforce]
    default: enforce
  policy_overrides:
    description: Sections that replace those of the preset in O(policy), such as C(images), C(binds) and
      C(networks), or whose keys replace those of the preset, such as C(ports), C(limits) and
      C(cleanup). They are checked on the controller before anything is changed.
    type: dict
  policy_until:
    description: Time at which O(policy_mode=learn) becomes V(warn) by itself, with its zone, such
      as V(2026-12-24T18:00:00+01:00). Requires O(policy_mode=learn).
    type: str
"""
