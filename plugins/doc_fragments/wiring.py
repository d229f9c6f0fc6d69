# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options by which a wormhole reaches its engine; their arguments are in _core/wiring_spec.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  transport:
    description:
      - How the container reaches its engine.
      - V(tls) is mutual TLS on a bridge's gateway, where M(wormhole.docker.dockerd_listener) lets dockerd
        listen.
      - V(unix) mounts the engine's socket, and adds its group by number. It needs no network, and gives the engine no
        identity to tell wormholes apart by. Where M(wormhole.docker.dockerd_listener) has made a socket in a directory of
        its own, that directory is mounted, which does not go stale when the socket is made anew. A container that has the
        stock socket keeps it until it is made anew.
      - V(tcp) is plaintext. B(Whoever reaches that port is root on the host.) It takes O(insecure_plaintext_port), and
        every run warns of it.
    type: str
    choices: [tls, unix, tcp]
    default: tls
  identity:
    description:
      - The name by which the engine knows this wormhole with O(transport=tls), which is its client
        certificate's common name. By default the container's name.
    type: str
  identity_directory:
    description:
      - Directory on the host with the identity's C(ca.pem), C(cert.pem) and C(key.pem). It is mounted read-only as a directory,
        so that a renewed certificate reaches a running container.
      - By default C(/etc/wormhole/identities/) followed by the identity.
    type: path
  certificate_path:
    description: Where the identity is mounted in the container.
    type: str
    default: /certs
  port:
    description: TCP port of the listener, with O(transport=tls).
    type: int
    default: 2376
  insecure_plaintext_port:
    description:
      - The port that O(wormhole.docker.dockerd_listener#module:insecure_plaintext_port) serves without TLS. Required with
        O(transport=tcp), and refused without.
      - Such a listener takes only what comes from its own bridge, so it has to be on the gateway of a network of the
        container's, or on loopback for O(network_mode=host).
    type: int
  testcontainers:
    description:
      - Whether to set E(TESTCONTAINERS_HOST_OVERRIDE) and E(TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE), by which Testcontainers
        for Java, Go, Node.js and Python find the ports of the containers that they start, and the socket that their
        reaper mounts.
      - Needs a network with a route to the host.
    type: bool
    default: false
  shared_directory:
    description:
      - A directory on the host that the container gets at the same path and works in, as C(-v $PWD:$PWD -w $PWD) does.
        What the container starts through its wormhole can then bind-mount what is in it by the path that both see,
        because the engine looks for bind mounts on the host.
      - It has to be there.
    type: path
"""
