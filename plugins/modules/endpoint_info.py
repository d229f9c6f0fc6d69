#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: endpoint_info
short_description: Diagnose a connection to a Docker engine layer by layer
version_added: 0.1.0
author: Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Connects to a Docker engine's TCP endpoint as a client does, and checks each layer of the
    connection - route, port, TLS, the chain, name and dates of the server's certificate, client
    authentication, and the engine's API. For the first layer that fails, returns the likely cause
    and a remedy.
  - On the engine's host, also returns which Docker networks the served certificate does not name,
    and whether the engine has loaded the installed certificate. This works without a controller, as
    the examples show.
  - With O(container), also returns which variables of the container redirect some of its Docker
    clients, such as a proxy, or change what they trust.
  - A layer that works but needs attention soon (a renewal is due, a network is not named yet, the
    clocks differ) causes a warning with a remedy. So does a variable that interferes with clients.
  - Connects from the managed node, from a running container with that container's certificates, or
    from a Docker network as a container there would. This requires no program in the container, and
    for a Docker network neither a container nor an image.
  - Verifies the server as strictly as Python 3.13 does (RFC 5280). Without O(directory) and
    O(ca_file), connects as a client without a certificate, which cannot verify the server.
  - The client's private key is loaded by OpenSSL on the managed node and does not leave it.
options:
  address:
    description:
      - IP address or name to connect to, without scheme and port.
      - With O(container), defaults to the address in the container's C(DOCKER_HOST), or to its
        default gateway if that is not set. If the container discovers its engine at each start,
        defaults to the discovered address, or to the first candidate while the search is not
        finished.
      - With O(network), defaults to the network's gateway, preferably the IPv4 one, and to
        V(127.0.0.1) for the host's own network.
      - Required without O(container) and O(network).
      - A name is resolved by the container's C(/etc/hosts), then by the managed node. Names that
        only Docker's own DNS knows cannot be resolved.
    type: str
  port:
    description: TCP port to connect to. Defaults to the port in the container's C(DOCKER_HOST) if
      the address comes from there, otherwise to V(2376), or V(2375) with O(transport=tcp). If the
      container discovers its engine at each start, defaults to its C(WORMHOLE_PORT).
    type: int
  transport:
    description:
      - Protocol that the endpoint should speak, V(tls) or V(tcp) for plaintext.
      - If the address comes from the container's C(DOCKER_HOST), defaults to the protocol that its
        C(DOCKER_TLS_VERIFY) and C(DOCKER_TLS) select, otherwise to V(tls). If the container
        discovers its engine at each start, defaults to V(tcp) with
        C(WORMHOLE_INSECURE_PLAINTEXT=true).
    type: str
    choices: [tls, tcp]
  directory:
    description: Absolute path, on the managed node, of a directory with the client's C(ca.pem),
      C(cert.pem) and C(key.pem). With O(container), defaults to the directory that is mounted at
      the container's C(DOCKER_CERT_PATH).
    type: path
  ca_file:
    description: Path of the CA certificates to verify the server with. Defaults to C(ca.pem) in
      O(directory).
    type: path
  server_name:
    description:
      - IP address or name that the server's certificate must be valid for. Defaults to the address.
    type: str
  container:
    description:
      - Name or full ID of a running container of the managed node to connect from. Requires root.
    type: str
  network:
    description:
      - Name or full ID of a Docker network of the managed node to connect from, even if no
        container is on it. Requires root and the program C(ip) (Debian package iproute2).
      - Attaches a temporary network namespace to the network's bridge, with a free address of the
        network and the default route of its containers. The host's firewall treats the namespace as
        a container. The namespace is removed at the end, even if the task is killed.
      - The engine does not know that the address is in use. If it gives the same address to a
        container during the task, one of the two is unreachable until the task ends. The module
        therefore uses an address that the engine allocates last.
      - If containers of the network cannot reach the host, layer V(route) fails with the reason and
        an alternative. With the host's own network (C(host)), the managed node itself connects.
    type: str
  networks:
    description:
      - Whether to compare the names in the served certificate with those that
        M(wormhole.docker.gateway_info) returns for the Docker networks of the managed node.
      - By default, they are compared if the managed node itself connects to one of its own
        addresses, and if the engine at O(docker_host) is the one that answers there. Otherwise
        layer V(networks) states the reason.
      - With V(true), the module fails if they cannot be compared. With O(container) or O(network),
        V(true) is required to compare them.
    type: bool
  server_directory:
    description:
      - Absolute path of the directory with the server's installed C(cert.pem), to compare it with
        the served certificate.
      - Defaults to the C(tlscert) in C(/etc/docker/daemon.json), or in the file that
        C(--config-file) of docker.service names, under the same conditions as O(networks) and
        unless O(docker_host) is another engine's socket.
      - If set, the module fails if that certificate does not exist, or if the address does not
        belong to the managed node.
    type: path
  step_timeout:
    description: Seconds for each step (resolving the name, connecting, the handshake, each answer).
    type: float
    default: 5.0
  require:
    description: Whether to fail if a layer fails, with the layer's text and remedy as the message.
    type: bool
    default: false
extends_documentation_fragment:
  - wormhole.docker.docker
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
requirements:
  - cryptography >= 38 (Debian package python3-cryptography) on the managed node
notes:
  - O(docker_host), O(timeout) and the Python library C(docker) are used only with O(container),
    with O(network), and to compare the networks. Without the library, the networks are not
    compared, and O(networks=true) fails.
  - The module assumes that the engine at O(docker_host) is the one at the address. It verifies this
    only with a client certificate that the endpoint accepts.
  - A renewal is due in the last third of a certificate's validity. The module does not know a
    different renewal window of M(wormhole.docker.tls_certificates).
  - Each run opens up to four connections, one of them without a certificate. dockerd logs those
    that it rejects.
seealso:
  - module: wormhole.docker.gateway_info
  - module: wormhole.docker.dockerd_listener
  - module: wormhole.docker.tls_certificates
"""

EXAMPLES = r"""
- name: Diagnose the connection of a container
  wormhole.docker.endpoint_info:
    container: ci-runner
  register: endpoint

- name: Show the layers
  ansible.builtin.debug:
    msg: "{{ endpoint.text.splitlines() }}"

- name: Diagnose the listener as a client without a certificate
  wormhole.docker.endpoint_info:
    address: 172.17.0.1
  register: listener

- name: Diagnose the connection of a future container on a network
  wormhole.docker.endpoint_info:
    network: ci
    directory: /etc/wormhole/identities/ci-runner
    require: true

- name: Fail if a client cannot connect, or if the served certificate lacks an address that containers use
  wormhole.docker.endpoint_info:
    address: 172.17.0.1
    directory: /etc/wormhole/identities/ci-runner
    networks: true
    require: true

# The same on the host itself, without a controller. It exits with 0 if no layer fails, otherwise 2.
#
#   ansible localhost --connection local --module-name wormhole.docker.endpoint_info \
#       --args 'address=172.17.0.1 require=true'

- name: Install a daily check, on a host with ansible-core and this collection
  ansible.builtin.copy:
    dest: /etc/systemd/system/wormhole-check.{{ item.type }}
    content: "{{ item.content }}"
    mode: "0644"
  loop:
    - type: service
      content: |
        [Unit]
        Description=Check what the Docker engine serves to containers

        [Service]
        Type=oneshot
        ExecStart=ansible localhost --connection local --module-name wormhole.docker.endpoint_info \
            --args "address=172.17.0.1 require=true"
    - type: timer
      content: |
        [Unit]
        Description=Check every day what the Docker engine serves to containers

        [Timer]
        OnCalendar=daily
        Persistent=true

        [Install]
        WantedBy=timers.target

- name: Start the timer, so that systemctl --failed lists the service once a layer fails
  ansible.builtin.systemd_service:
    name: wormhole-check.timer
    enabled: true
    state: started
    daemon_reload: true
"""

RETURN = r"""
ok:
  description: Whether no layer fails.
  returned: success
  type: bool
text:
  description: The layers, one per line, and the remedies of the first failure and of all warnings.
  returned: success
  type: str
  sample: |-
    route       ok     172.17.0.1 is the default gateway, reached by eth0
    port        ok     172.17.0.1:2376 accepts connections
layers:
  description: The layers in the order in which a client passes them.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: V(route), V(port), V(tls), V(chain), V(name), V(validity), V(client_auth),
        V(api), V(networks) or V(installed); with O(container), also V(environment).
      type: str
    ok:
      description: Whether the layer works; null if it was not reached or does not apply.
      type: bool
    text:
      description: The observation.
      type: str
      sample: >-
        the server's certificate, issued by CN=wormhole CA, is trusted by
        /etc/wormhole/identities/ci/ca.pem
    remedy:
      description: What to do; empty unless the layer fails or causes a warning.
      type: str
endpoint:
  description: The diagnosed endpoint.
  returned: success
  type: dict
  contains:
    address:
      description: The address.
      type: str
      sample: 172.17.0.1
    port:
      description: The TCP port.
      type: int
    transport:
      description: V(tls) or V(tcp).
      type: str
    directory:
      description: Directory of the client's certificates; empty if none were used.
      type: str
      sample: /etc/wormhole/identities/ci-runner
    server_name:
      description: Address or name that the server's certificate must be valid for.
      type: str
      sample: 172.17.0.1
    network:
      description: The Docker network of the connection; empty without O(network).
      type: str
gateways:
  description: Next hops of the client's default routes, IPv4 first.
  returned: success
  type: list
  elements: str
  sample: ["172.17.0.1"]
source:
  description: The client's IP address; empty if there is no route.
  returned: success
  type: str
  sample: 172.17.0.2
peer:
  description: The server's IP address; empty if the name has none.
  returned: success
  type: str
  sample: 172.17.0.1
protocol:
  description: V(tls), V(plaintext), V(silent) if the server did not answer in time, V(unknown) if
    it speaks neither TLS nor HTTP, or empty if it was not reached.
  returned: success
  type: str
tls_version:
  description: The negotiated version of TLS; empty without TLS.
  returned: success
  type: str
  sample: TLSv1.3
matched_name:
  description: The subject alternative name of the server's certificate that matches; empty if none
    does.
  returned: success
  type: str
  sample: IP:172.17.0.1
certificate:
  description: The served certificate; empty if none was seen.
  returned: success
  type: dict
  contains: &certificate
    subject:
      description: Distinguished name.
      type: str
      sample: CN=dockerd
    subject_alternative_names:
      description: Names and addresses that the certificate is valid for.
      type: list
      elements: str
      sample: ["DNS:host.docker.internal", "IP:172.17.0.1"]
    issuer:
      description: Distinguished name of the issuer.
      type: str
      sample: CN=wormhole CA
    serial:
      description: Serial number in hexadecimal digits.
      type: str
    fingerprint_sha256:
      description: SHA-256 of the DER form in hexadecimal digits.
      type: str
      sample: 8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4
    not_before:
      description: Start of the validity, ISO 8601 in UTC.
      type: str
      sample: "2026-11-23T21:00:00Z"
    not_after:
      description: End of the validity, ISO 8601 in UTC.
      type: str
      sample: "2027-11-23T21:00:00Z"
    days_left:
      description: Whole days until the end, by the managed node's clock; negative once it has
        passed.
      type: int
    renewal_time:
      description: Start of the last third of the validity, when a renewal is due, ISO 8601 in UTC.
      type: str
      sample: "2027-07-25T05:00:00Z"
    renewal_due:
      description: Whether a renewal is due, by the managed node's clock.
      type: bool
client_certificate:
  description: The client's certificate; empty if there is none.
  returned: success
  type: dict
  contains: *certificate
anonymous:
  description:
    - How the server treats a client without a certificate, V(refused), V(accepted) or V(unknown).
  returned: success
  type: str
client:
  description: How the server treats the client's certificate, V(accepted), V(refused), V(unusable)
    if its files cannot be used, or V(not_tried).
  returned: success
  type: str
api_version:
  description: The engine's API version; empty if it is not known.
  returned: success
  type: str
  sample: "1.45"
engine_version:
  description: The engine's version; empty if it is not known.
  returned: success
  type: str
  sample: 26.1.5
engine_id:
  description: The engine's ID; empty if it is not known.
  returned: success
  type: str
  sample: 6a4e9f0c-0b0f-4b7e-9d3a-0c2b3a4d5e6f
engine_name:
  description: The host name of the engine; empty if it is not known.
  returned: success
  type: str
server_time:
  description: The server's clock, ISO 8601 in UTC; empty if it is not known.
  returned: success
  type: str
  sample: "2026-11-23T21:00:00Z"
clock_difference:
  description: Seconds by which the server's clock is ahead of the managed node's; null if it is not
    known.
  returned: success
  type: int
served_by:
  description: The program that serves the endpoint, V(dockerd) or V(gate), by the socket units of the
    managed node; empty if the endpoint is not one of its engine's.
  returned: success
  type: str
  sample: dockerd
missing_names:
  description: The names that the Docker networks of the managed node need and that the served
    certificate lacks, urgent names first; null if they were not compared.
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
      description: Whether containers may need the name now, because
        RV(wormhole.docker.gateway_info#module:subject_alternative_names) marks it as urgent or
        because something listens on that address. Only urgent names cause a failure.
      type: bool
installed_certificate:
  description:
    - The installed certificate, which the engine reads at its next start, or the gate when it is
      reloaded; empty if it is not known.
  returned: success
  type: dict
  contains: *certificate
loaded:
  description: Whether the engine or the gate serves the installed certificate; null if either certificate is
    not known.
  returned: success
  type: bool
"""

from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any, Mapping

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import VerificationFailed
from ansible_collections.wormhole.docker.plugins.module_utils._client.io import place as places
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint import layers, model, served
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.diagnosis import diagnose
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.io import served as engine_host
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.io.probe import observe_endpoint
from ansible_collections.wormhole.docker.plugins.module_utils._engine.io.sdk import DEFAULT_DOCKER_HOST
from ansible_collections.wormhole.docker.plugins.module_utils._glue import connection
from ansible_collections.wormhole.docker.plugins.module_utils._glue.run import run


def find_place(params: Mapping[str, Any]) -> places.Place:
    if params["container"]:
        return places.container_place(
            connection.open_engine(params),
            params["container"],
            address=params["address"] or "",
            directory=params["directory"] or "",
            timeout=params["step_timeout"],
        )
    if params["network"]:
        return places.network_place(connection.open_engine(params), params["network"])
    return places.Place()


def make_spec(params: Mapping[str, Any], place: places.Place) -> model.EndpointSpec:
    transport = params["transport"] or place.client.transport
    port = params["port"]
    return model.EndpointSpec(
        address=params["address"] or place.client.address,
        port=place.client.port or model.DEFAULT_PORTS[transport] if port is None else port,
        directory=params["directory"] or ("" if transport == model.TCP else place.client.directory),
        server_name=params["server_name"] or "",
        timeout=params["step_timeout"],
        container_pid=place.pid,
        transport=transport,
        ca_file=params["ca_file"] or "",
        guest=place.guest,
        obstacle=place.obstacle,
    )


def make_questions(params: Mapping[str, Any]) -> engine_host.HostQuestions:
    networks = params["networks"]
    return engine_host.HostQuestions(
        # The result for one network does not depend on what the host's other networks need.
        networks=False if networks is None and params["network"] else networks,
        server_directory=params["server_directory"] or "",
        own_config=params["docker_host"] == DEFAULT_DOCKER_HOST,
    )


def gather(module: AnsibleModule) -> dict[str, Any]:
    place = find_place(module.params)
    spec, questions = make_spec(module.params, place), make_questions(module.params)
    state = observe_endpoint(spec)
    host = engine_host.observe_engine_host(
        spec, state, questions, lambda: connection.open_engine(module.params)
    )
    now = datetime.now(timezone.utc)
    diagnosed = (*diagnose(spec, state, now), *served.diagnose_host(state.served, host, now))
    diagnosed += () if place.environment is None else (place.environment,)
    failure = layers.first_failure(diagnosed)
    for layer in diagnosed:
        if layer.warns:
            module.warn(f"{spec.text}, layer {layer.name}: {layer.text}. {layer.remedy}")
    if failure and module.params["require"]:
        raise VerificationFailed(
            f"{spec.text}, layer {failure.name}",
            found=failure.text,
            problem=f"{spec.text}, layer {failure.name}: {failure.text}",
            remedy=failure.remedy,
        )
    return {
        "changed": False,
        "ok": failure is None,
        "text": layers.render_layers(diagnosed),
        "layers": [asdict(layer) for layer in diagnosed],
        "endpoint": {
            "address": spec.address,
            "port": spec.port,
            "transport": spec.transport,
            "directory": spec.directory,
            "server_name": spec.verified_name,
            "network": module.params["network"] or "",
        },
        **served.describe_endpoint(state, now),
        **served.describe_host(state.served, host, now),
    }


def main() -> None:
    arguments = {
        **connection.connection_arguments(),
        "address": {"type": "str"},
        "port": {"type": "int"},
        "transport": {"type": "str", "choices": [model.TLS, model.TCP]},
        "directory": {"type": "path"},
        "ca_file": {"type": "path"},
        "server_name": {"type": "str"},
        "container": {"type": "str"},
        "network": {"type": "str"},
        "networks": {"type": "bool"},
        "server_directory": {"type": "path"},
        "step_timeout": {"type": "float", "default": 5.0},
        "require": {"type": "bool", "default": False},
    }
    run(
        gather,
        arguments,
        required_one_of=[("address", "container", "network")],
        mutually_exclusive=[("container", "network")],
    )


if __name__ == "__main__":
    main()
