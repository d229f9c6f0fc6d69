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
      - V(unix) mounts the engine's socket. It needs no network, and gives the engine no identity to tell
        wormholes apart by.
    type: str
    choices: [tls, unix]
    default: tls
  identity:
    description:
      - The name by which the engine knows this wormhole with O(transport=tls), which is its client
        certificate's common name. By default the container's name.
    type: str
  identity_directory:
    description:
      - Directory on the host with the identity's C(ca.pem), C(cert.pem) and C(key.pem), made by
        M(wormhole.docker.tls_certificates). It is mounted read-only as a directory, so that a renewed
        certificate reaches a running container.
      - By default C(/etc/wormhole/identities/) followed by the identity.
    type: path
  certificate_path:
    description: Where the identity is mounted in the container.
    type: str
    default: /certs
  port:
    description: TCP port of the listener.
    type: int
    default: 2376
"""
