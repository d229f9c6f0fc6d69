#!/usr/bin/python
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: endpoint_info
short_description: What a Docker client meets at an endpoint, layer by layer
version_added: 0.1.0
author:
  - Contributors to the wormhole.docker project (@wormhole-docker)
description:
  - Connects to a Docker engine's TCP endpoint as a client does and tells, layer by layer, what holds and what does not -
    route, port, TLS, chain of the server's certificate, its names, its dates, whether clients need a certificate, and
    whether the engine answers. The first layer that fails comes with its likely cause and what to do about it.
  - On the engine's own host it tells in addition what no client can see, and what comes about between two runs of a
    playbook - Docker networks that the served certificate does not name, and a certificate that is installed and that
    the engine has not loaded. It needs no controller for that, see the examples.
  - What holds for now only (renewal is due, a network is not named yet, the clocks differ) does not fail; it comes with
    what to do about it, and as a warning.
  - Looks from the managed node; or from inside the network of a running container, with that container's own
    certificates; or from a Docker network, as a container on it would. No program is needed in the container, and
    for a Docker network neither a container nor an image.
  - The server is always verified, as strictly as Python 3.13 does (RFC 5280). Without O(directory) and O(ca_file) it
    looks as a client without a certificate, which cannot verify anything.
  - A client's private key is given to OpenSSL on the managed node and to nothing else.
options:
  address:
    description:
      - IP address or name to connect to, without scheme and port.
      - If left out with O(container), the address in the container's C(DOCKER_HOST); if that is not set either, the
        container's default gateway.
      - A container that looks its engine up at each start has no such C(DOCKER_HOST). If left out there, the address that it
        has settled on; while it has not, the first one that it tries.
      - If left out with O(network), the network's gateway, the IPv4 one if there are two; V(127.0.0.1) for the host's own
        network.
      - Required without O(container) and O(network).
      - A name is looked up in the container's C(/etc/hosts), then by the resolver of the managed node. Names that only
        Docker's own DNS knows cannot be looked up.
    type: str
  port:
    description:
      - TCP port.
      - If left out, and the address comes from the container's C(DOCKER_HOST), the port in there. Else V(2376), or
        V(2375) with O(transport=tcp).
      - With a container that looks its engine up at each start, the port that its C(WORMHOLE_PORT) names.
    type: int
  transport:
    description:
      - V(tls) if the endpoint is meant to speak TLS, V(tcp) if it is meant to speak plaintext.
      - If left out, and the address comes from the container's C(DOCKER_HOST), what its C(DOCKER_TLS_VERIFY) and
        C(DOCKER_TLS) say. Else V(tls).
      - With a container that looks its engine up at each start, V(tcp) if it has C(WORMHOLE_INSECURE_PLAINTEXT=true).
    type: str
    choices: [tls, tcp]
  directory:
    description:
      - Absolute path, on the managed node, of a directory with the client's C(ca.pem), C(cert.pem) and C(key.pem).
      - If left out with O(container), the directory that is mounted at the container's C(DOCKER_CERT_PATH).
    type: path
  ca_file:
    description:
      - CA certificates to verify the server by, if not the C(ca.pem) in O(directory).
    type: path
  server_name:
    description:
      - IP address or name that the server's certificate has to be valid for. By default the address connected to.
    type: str
  container:
    description:
      - Name or full ID of a running container of the managed node to look from. Needs root.
    type: str
  network:
    description:
      - Name or full ID of a Docker network of the managed node to look from, whether or not a container is on it. Needs
        root, and the program C(ip) (Debian package iproute2).
      - For as long as the look takes, a network namespace of its own is on the network's bridge, with an address of the
        network and the default route of its containers. The host's firewall takes it for a container. Nothing of it is
        left behind, also if the task is killed.
      - The address is one that no container has and nobody answers for, outside of the network's C(ip_range) or, without
        one, from the top of its subnet, where the engine comes to last. The engine does not know that it is in use - if
        it gave the same address to a new container in these seconds, or somebody else took it, one of both would not be
        reached by then.
      - A network whose containers have no path to the host fails at layer V(route), with the reason and with what to use
        instead. From the host's own network (C(host)), the managed node itself looks.
    type: str
  networks:
    description:
      - Whether to compare the names in the served certificate with what M(wormhole.docker.gateway_info) says that it
        should name now, for the Docker networks of the managed node.
      - If left out, they are compared when the managed node looks itself, not from O(container) or O(network), at an address
        of its own, and the engine at O(docker_host) can be asked and is the one that answers there. Else layer V(networks)
        tells why they are not.
      - V(true) fails where they cannot be compared. With O(container) or O(network), they are compared with V(true) only.
    type: bool
  server_directory:
    description:
      - Absolute path of the directory with the server's C(cert.pem), to tell whether the engine serves what is
        installed.
      - If left out, and under the same conditions as with O(networks), the file that C(tlscert) in
        C(/etc/docker/daemon.json) names, unless O(docker_host) is another engine's socket.
      - Fails where it is given and there is no certificate, or where the address is not one of the managed node's own.
    type: path
  step_timeout:
    description:
      - How long each step may take (resolving, connecting, the handshake, each answer), in seconds.
    type: float
    default: 5.0
  require:
    description:
      - Whether to fail if a layer fails, with the layer's text and remedy as the message.
    type: bool
    default: false
extends_documentation_fragment:
  - wormhole.docker.docker
  - wormhole.docker.attributes
  - wormhole.docker.attributes.info_module
requirements:
  - cryptography >= 38 (Debian package python3-cryptography) on the managed node
notes:
  - The options O(docker_host) and O(timeout), and the Python library C(docker), are used with O(container), with
    O(network) and for O(networks) only. Without the library, the networks are not compared unless O(networks=true) asks for it.
  - Whether the engine at O(docker_host) is the one that answers at the address is known only where that one tells who it
    is, to a client whose certificate it accepts. Without such a certificate, it is taken for granted.
  - Renewal is due in the last third of a certificate's validity. That M(wormhole.docker.tls_certificates) was told
    another time is not known here.
  - Each run opens up to four connections, one of them without a certificate. dockerd logs the ones that it refuses.
seealso:
  - module: wormhole.docker.gateway_info
  - module: wormhole.docker.dockerd_listener
  - module: wormhole.docker.tls_certificates
"""

EXAMPLES = r"""
- name: See what a container meets, with its own address and certificates
  wormhole.docker.endpoint_info:
    container: ci-runner
  register: endpoint

- name: Show it
  ansible.builtin.debug:
    msg: "{{ endpoint.text.splitlines() }}"

- name: See what the listener serves, as a client without a certificate
  wormhole.docker.endpoint_info:
    address: 172.17.0.1
  register: listener

- name: See what a container on a network would meet, with the certificates of a client, before there is such a container
  wormhole.docker.endpoint_info:
    network: ci
    directory: /etc/wormhole/identities/ci-runner
    require: true

- name: Fail if a client does not get through, or an address that containers use is not in the served certificate
  wormhole.docker.endpoint_info:
    address: 172.17.0.1
    directory: /etc/wormhole/identities/ci-runner
    networks: true
    require: true

# On the host itself, between two runs, without a controller. The exit code is 0 if every layer holds, else 2.
#
#   ansible localhost --connection local --module-name wormhole.docker.endpoint_info \
#       --args 'address=172.17.0.1 require=true'

- name: Let systemd do that every day, on a host with ansible-core and this collection
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

- name: Start the timer; systemctl --failed names the service once a layer fails
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
  description:
    - The layers, one a line, and what to do, about the first that fails and about all that hold for now only.
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
      description:
        - V(route), V(port), V(tls), V(chain), V(name), V(validity), V(client_auth), V(api), V(networks) or
          V(installed).
      type: str
      sample: chain
    ok:
      description: Whether it holds; null if it was not reached or does not apply.
      type: bool
    text:
      description: What was seen.
      type: str
      sample: the server's certificate, issued by CN=wormhole CA, is trusted by /etc/wormhole/identities/ci/ca.pem
    remedy:
      description: What to do; empty unless the layer fails, or holds for now only.
      type: str
      sample: ""
endpoint:
  description: What was looked at.
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
      sample: 2376
    transport:
      description: V(tls) or V(tcp).
      type: str
      sample: tls
    directory:
      description: The client's certificates; empty if none were used.
      type: str
      sample: /etc/wormhole/identities/ci-runner
    server_name:
      description: What the server's certificate has to be valid for.
      type: str
      sample: 172.17.0.1
    network:
      description: The Docker network that was looked from; empty without O(network).
      type: str
      sample: ci
gateways:
  description: Next hops of the default routes where it was looked from, IPv4 first.
  returned: success
  type: list
  elements: str
  sample: ["172.17.0.1"]
source:
  description: The IP address that was connected from; empty if there is no route.
  returned: success
  type: str
  sample: 172.17.0.2
peer:
  description: The IP address that was connected to; empty if the name has none.
  returned: success
  type: str
  sample: 172.17.0.1
protocol:
  description:
    - V(tls), V(plaintext), V(silent) if nothing answered in time, V(unknown) if it is neither TLS nor HTTP, or empty if
      it was not reached.
  returned: success
  type: str
  sample: tls
tls_version:
  description: The version of TLS that was agreed on.
  returned: success
  type: str
  sample: TLSv1.3
matched_name:
  description: The subject alternative name of the server's certificate that matches; empty if none does.
  returned: success
  type: str
  sample: IP:172.17.0.1
certificate:
  description: The certificate that the server serves; empty if none was seen.
  returned: success
  type: dict
  contains: &certificate
    subject:
      description: Distinguished name.
      type: str
      sample: CN=dockerd
    subject_alternative_names:
      description: The names and addresses that it is valid for.
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
      sample: 5F0C1A
    fingerprint_sha256:
      description: SHA-256 of its DER form in hexadecimal digits.
      type: str
      sample: 8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4
    not_before:
      description: Start of its validity, ISO 8601 in UTC.
      type: str
      sample: "2026-11-23T21:00:00Z"
    not_after:
      description: End of its validity, ISO 8601 in UTC.
      type: str
      sample: "2027-11-23T21:00:00Z"
    days_left:
      description: Whole days until then by the managed node's clock; negative once it has expired.
      type: int
      sample: 364
    renewal_time:
      description: From when on it is due for renewal, ISO 8601 in UTC; the last third of its validity.
      type: str
      sample: "2027-07-25T05:00:00Z"
    renewal_due:
      description: Whether that is past, by the managed node's clock.
      type: bool
      sample: false
client_certificate:
  description: The client's certificate that was presented; empty if there is none.
  returned: success
  type: dict
  contains: *certificate
anonymous:
  description: What a client without a certificate gets, V(refused), V(accepted) or V(unknown).
  returned: success
  type: str
  sample: refused
client:
  description:
    - What the client's certificate gets, V(accepted), V(refused), V(unusable) if its files cannot be used, or
      V(not_tried).
  returned: success
  type: str
  sample: accepted
api_version:
  description: The engine's API version; empty if it was not asked.
  returned: success
  type: str
  sample: "1.45"
engine_version:
  description: The engine's version; empty if it was not asked.
  returned: success
  type: str
  sample: 26.1.5
engine_id:
  description: The engine's own ID; empty if it was not asked or does not tell.
  returned: success
  type: str
  sample: 6a4e9f0c-0b0f-4b7e-9d3a-0c2b3a4d5e6f
engine_name:
  description: The host name of the engine; empty if it was not asked or does not tell.
  returned: success
  type: str
  sample: host1
server_time:
  description: The server's clock, ISO 8601 in UTC; empty if it did not tell.
  returned: success
  type: str
  sample: "2026-11-23T21:00:00Z"
clock_difference:
  description: Seconds by which the server's clock is ahead of the managed node's; null if it did not tell.
  returned: success
  type: int
  sample: 0
missing_names:
  description:
    - What the served certificate should name for the Docker networks of the managed node and does not, the urgent
      first; null if that was not compared.
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
        - Whether containers may need it now, because it is what RV(wormhole.docker.gateway_info#module:subject_alternative_names)
          calls urgent, or something listens on that address. What is not urgent does not fail.
      type: bool
      sample: false
installed_certificate:
  description:
    - The certificate that is installed for the server, which the engine reads at its next start; empty if it was not
      looked for or is not there.
  returned: success
  type: dict
  contains: *certificate
loaded:
  description: Whether the engine serves the installed certificate; null if either is not known.
  returned: success
  type: bool
  sample: true
"""

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Mapping, Optional

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.wormhole.docker.plugins.module_utils._adapters.discovery import candidates, settle
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.engine import DEFAULT_DOCKER_HOST
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.engine_host import (
    HostQuestions,
    observe_engine_host,
)
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.interfaces import observe_topology
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.probe import observe_endpoint
from ansible_collections.wormhole.docker.plugins.module_utils._adapters.reachability import observe_gateways
from ansible_collections.wormhole.docker.plugins.module_utils._core.client_settings import (
    ClientSettings,
    parse_client_settings,
    running_pid,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.diagnosis import diagnose
from ansible_collections.wormhole.docker.plugins.module_utils._core.endpoint import (
    DEFAULT_PORTS,
    TCP,
    TLS,
    EndpointSpec,
    describe_endpoint,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import (
    InvalidInput,
    VerificationFailed,
    WormholeError,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import Unreachable
from ansible_collections.wormhole.docker.plugins.module_utils._core.guests import (
    HOST_DRIVER,
    Guest,
    find_network,
    find_obstacle,
    plan_guest,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.layers import (
    first_failure,
    render_layers,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.served_certificate import (
    describe_host,
    diagnose_host,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import Wiring
from ansible_collections.wormhole.docker.plugins.module_utils._glue.connection import (
    connection_arguments,
    open_engine,
)
from ansible_collections.wormhole.docker.plugins.module_utils._glue.execute import run


@dataclass(frozen=True)
class Place:
    """Where it is looked from, and what a client there uses unless it is told otherwise.

    Attributes:
        client: the client's settings; empty where there are none.
        pid: a process in the network to look from; 0 for where we are.
        guest: what looks from a Docker network; None for elsewhere.
        obstacle: why there is nothing to look at from a Docker network; None if there is.
    """

    client: ClientSettings = ClientSettings("", 0, TLS, "")
    pid: int = 0
    guest: Optional[Guest] = None
    obstacle: Optional[Unreachable] = None


def find_place(params: Mapping[str, Any]) -> Place:
    if params["container"]:
        return in_container(params)
    return on_network(params) if params["network"] else Place()


def in_container(params: Mapping[str, Any]) -> Place:
    inspection = open_engine(params).find_container(params["container"])
    if inspection is None:
        raise InvalidInput(
            f"container {params['container']}",
            expected="to exist",
            remedy="Give its whole name, or its full ID",
        )
    pid = running_pid(inspection)
    client = parse_client_settings(
        inspection, address=params["address"] or "", directory=params["directory"] or ""
    )
    if not client.address and client.discovers:
        client = find_discovered(params["container"], pid, client)
    elif not client.address:
        client = replace(client, address=find_gateway(params["container"], pid, params["step_timeout"]))
    return Place(client, pid=pid)


def on_network(params: Mapping[str, Any]) -> Place:
    engine = open_engine(params)
    networks = engine.networks()
    topology, network = observe_topology(networks), find_network(networks, params["network"])
    if network["Driver"] == HOST_DRIVER:
        return Place(ClientSettings("127.0.0.1", 0, TLS, ""))
    obstacle = find_obstacle(topology, network)
    if obstacle:
        # What its containers would be told to use, could they.
        address = topology.default.address if topology.default else "host.docker.internal"
        return Place(ClientSettings(address, 0, TLS, ""), obstacle=obstacle)
    guest = plan_guest(topology, network, engine.containers(labels={}))
    return Place(ClientSettings(guest.addresses[0].gateway, 0, TLS, ""), guest=guest)


def make_spec(params: Mapping[str, Any]) -> EndpointSpec:
    place = find_place(params)
    transport = params["transport"] or place.client.transport
    port = params["port"]
    if port is None:
        port = place.client.port or DEFAULT_PORTS[transport]
    return EndpointSpec(
        address=params["address"] or place.client.address,
        port=port,
        directory=params["directory"] or ("" if transport == TCP else place.client.directory),
        server_name=params["server_name"] or "",
        timeout=params["step_timeout"],
        container_pid=place.pid,
        transport=transport,
        ca_file=params["ca_file"] or "",
        guest=place.guest,
        obstacle=place.obstacle,
    )


def make_questions(params: Mapping[str, Any]) -> HostQuestions:
    networks = params["networks"]
    return HostQuestions(
        # From a network, what a container meets is asked for, and not what the host's other networks need.
        networks=False if networks is None and params["network"] else networks,
        server_directory=params["server_directory"] or "",
        own_config=params["docker_host"] == DEFAULT_DOCKER_HOST,
    )


def find_discovered(container: str, pid: int, client: ClientSettings) -> ClientSettings:
    """With what the container's program has settled on; while it has not, with what it tries first."""
    try:
        found = settle(pid, Wiring("", port=client.port))
    except VerificationFailed as error:
        tried = candidates(pid)
        if not tried:
            raise WormholeError(
                f"container {container}",
                expected=error.expected,
                found="no network by which there is a way to one",
                remedy="Attach it to a bridge network, or give an address",
            ) from error
        return replace(client, address=tried[0])
    return replace(client, address=found.address, port=found.port)


def find_gateway(container: str, pid: int, timeout: float) -> str:
    gateways = observe_gateways(pid, timeout)
    if not gateways:
        raise WormholeError(
            f"container {container}",
            expected="a default gateway",
            found="no default route: it is on an internal network, or on none",
            remedy="Attach it to a bridge network that is not internal, or give an address",
        )
    return gateways[0]


def gather(module: AnsibleModule) -> dict[str, Any]:
    spec, questions = make_spec(module.params), make_questions(module.params)
    state = observe_endpoint(spec)
    host = observe_engine_host(spec, state, questions, lambda: open_engine(module.params))
    now = datetime.now(timezone.utc)
    layers = (*diagnose(spec, state, now), *diagnose_host(state.served, host, now))
    failure = first_failure(layers)
    for layer in layers:
        if layer.warns:
            module.warn(f"{spec.text}, layer {layer.name}: {layer.text}. {layer.remedy}")
    if failure and module.params["require"]:
        raise VerificationFailed(
            f"{spec.text}, layer {failure.name}", found=failure.text, remedy=failure.remedy
        )
    return {
        "changed": False,
        "ok": failure is None,
        "text": render_layers(layers),
        "layers": [layer.as_dict() for layer in layers],
        "endpoint": {
            "address": spec.address,
            "port": spec.port,
            "transport": spec.transport,
            "directory": spec.directory,
            "server_name": spec.verified_name,
            "network": module.params["network"] or "",
        },
        **describe_endpoint(state, now),
        **describe_host(state.served, host, now),
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **connection_arguments(),
            "address": {"type": "str"},
            "port": {"type": "int"},
            "transport": {"type": "str", "choices": [TLS, TCP]},
            "directory": {"type": "path"},
            "ca_file": {"type": "path"},
            "server_name": {"type": "str"},
            "container": {"type": "str"},
            "network": {"type": "str"},
            "networks": {"type": "bool"},
            "server_directory": {"type": "path"},
            "step_timeout": {"type": "float", "default": 5.0},
            "require": {"type": "bool", "default": False},
        },
        required_one_of=[("address", "container", "network")],
        mutually_exclusive=[("container", "network")],
        supports_check_mode=True,
    )
    run(module, gather)


if __name__ == "__main__":
    main()
