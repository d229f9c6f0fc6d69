# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import (
    Gateway,
    Topology,
    Unreachable,
)
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring import WiringState, wire
from ansible_collections.wormhole.docker.plugins.module_utils._core.wiring_spec import (
    TLS,
    UNIX,
    WiringSpec,
    refuse_conflicts,
)

DOCKER0 = Gateway("172.17.0.1", 4, "bridge", "docker0", "172.17.0.0/16")
CI = Gateway("172.18.0.1", 4, "ci", "br-1", "172.18.0.0/16")
CI6 = Gateway("fd00::1", 6, "ci", "br-1", "fd00::/64")
ONLY6 = Gateway("fd01::1", 6, "only6", "br-2", "fd01::/64")
INTERNAL = Unreachable("internal", "bridge", "no default route", "transport unix")
HOST = Unreachable("host", "host", "shares the host's addresses", "127.0.0.1")
NONE = Unreachable("none", "null", "no network at all", "transport unix")
TOPOLOGY = Topology((DOCKER0, CI, CI6, ONLY6), (HOST, INTERNAL, NONE))


def spec(*networks, mode="", transport=TLS, port=2376):
    return WiringSpec(
        transport=transport,
        identity="agent",
        identity_directory="/etc/wormhole/identities/agent",
        port=port,
        networks=networks,
        network_mode=mode,
    )


def state(*served, topology=TOPOLOGY, socket_gid=998):
    return WiringState(topology, tuple((address, 2376) for address in served), socket_gid)


def test_tls_sets_exactly_what_a_client_needs():
    wiring = wire(spec(), state("172.17.0.1"))
    assert wiring.options() == {
        "env": {
            "DOCKER_HOST": "tcp://172.17.0.1:2376",
            "DOCKER_CERT_PATH": "/certs",
            "DOCKER_TLS_VERIFY": "1",
        },
        "volumes": ("/etc/wormhole/identities/agent:/certs:ro",),
        "groups": (),
        "etc_hosts": {"host.docker.internal": "host-gateway"},
        "labels": {
            "wormhole.docker.managed": "true",
            "wormhole.docker.transport": "tls",
            "wormhole.docker.identity": "agent",
        },
    }
    assert wiring.obstacle == ""


def test_unix_leaves_the_variables_of_tls_out():
    wiring = wire(spec(transport=UNIX), state())
    assert wiring.options() == {
        "env": {"DOCKER_HOST": "unix:///var/run/docker.sock"},
        "volumes": ("/var/run/docker.sock:/var/run/docker.sock",),
        "groups": ("998",),
        "etc_hosts": {"host.docker.internal": "host-gateway"},
        "labels": {"wormhole.docker.managed": "true", "wormhole.docker.transport": "unix"},
    }


def test_without_a_default_bridge_there_is_no_host_gateway():
    # dockerd refuses host-gateway then: "unable to derive the IP value for host-gateway".
    topology = Topology((CI,), ())
    assert wire(spec("ci"), state("172.18.0.1", topology=topology)).etc_hosts == {}


@pytest.mark.parametrize(
    "wormhole, served, address",
    [
        (spec(), ["172.17.0.1"], "172.17.0.1"),
        (spec(mode="default"), ["172.17.0.1"], "172.17.0.1"),
        (spec("ci"), ["172.17.0.1"], "172.17.0.1"),
        (spec("ci"), ["172.17.0.1", "172.18.0.1"], "172.18.0.1"),
        (spec("ci"), ["fd00::1"], "fd00::1"),
        (spec(mode="ci"), ["172.18.0.1"], "172.18.0.1"),
        (spec("internal", "ci"), ["172.17.0.1"], "172.17.0.1"),
        (spec("ci", mode="bridge"), ["172.18.0.1", "172.17.0.1"], "172.17.0.1"),
        (spec("only6"), ["172.17.0.1", "fd00::1"], "fd00::1"),
        (spec(mode="host"), ["127.0.0.1", "172.17.0.1"], "127.0.0.1"),
        (spec(mode="host"), ["172.17.0.1"], "172.17.0.1"),
    ],
)
def test_the_nearest_address_that_is_served_is_taken(wormhole, served, address):
    wiring = wire(wormhole, state(*served))
    assert (wiring.address, wiring.obstacle) == (address, "")
    bracketed = f"[{address}]" if ":" in address else address
    assert wiring.docker_host == f"tcp://{bracketed}:2376"


@pytest.mark.parametrize(
    "wormhole, served, predicted",
    [
        (spec(), [], "172.17.0.1"),
        (spec("ci"), [], "172.17.0.1"),
        (spec("only6"), ["172.17.0.1"], "fd00::1"),
        (spec(mode="host"), [], "172.17.0.1"),
        (spec(port=2377), ["172.17.0.1"], "172.17.0.1"),
        (spec("ci"), ["192.0.2.1"], "172.17.0.1"),
    ],
)
def test_what_is_not_served_is_predicted_and_is_an_obstacle(wormhole, served, predicted):
    wiring = wire(wormhole, state(*served))
    assert wiring.address == predicted
    assert "dockerd listens" in wiring.obstacle
    assert "role wormhole.docker.listener" in wiring.remedy


def test_an_unknown_network_is_an_obstacle():
    wiring = wire(spec("later"), state("172.17.0.1"))
    assert wiring.address == "172.17.0.1"
    assert wiring.obstacle == "there is no network later on this host"


@pytest.mark.parametrize(
    "wormhole, reason",
    [
        (spec("internal"), "network internal: .*no default route. Use transport unix"),
        (spec(mode="none"), "network none: .*no network at all. Use transport unix"),
        (spec(mode="container:other"), "network_mode container:other: .*use transport unix"),
    ],
)
def test_where_tls_has_no_way_the_transport_that_has_is_named(wormhole, reason):
    with pytest.raises(InvalidInput, match=reason):
        wire(wormhole, state("172.17.0.1"))
    unix = spec(*wormhole.networks, mode=wormhole.network_mode, transport=UNIX)
    assert wire(unix, state()).obstacle == ""


@pytest.mark.parametrize(
    "transport, conflict, subject",
    [
        (TLS, {"env": ["A", "DOCKER_HOST"]}, "env DOCKER_HOST"),
        (UNIX, {"env": ["DOCKER_TLS_VERIFY"]}, "env DOCKER_TLS_VERIFY"),
        (TLS, {"mount_targets": ["/certs/"]}, "volumes /certs/"),
        (UNIX, {"mount_targets": ["/var/run//docker.sock"]}, "volumes /var/run//docker.sock"),
        (TLS, {"etc_hosts": ["host.docker.internal"]}, "etc_hosts host.docker.internal"),
        (TLS, {"labels": ["wormhole.docker.managed"]}, "labels wormhole.docker.managed"),
    ],
)
def test_what_the_wiring_sets_cannot_be_set_beside_it(transport, conflict, subject):
    with pytest.raises(InvalidInput, match=f"^{subject}: expected to be left to transport {transport}"):
        refuse_conflicts(spec(transport=transport), **conflict)


def test_what_the_wiring_does_not_set_is_free():
    refuse_conflicts(spec(transport=UNIX), env=["DOCKER_API_VERSION"], mount_targets=["/certs"], labels=["a"])
    refuse_conflicts(spec(), mount_targets=["/var/run/docker.sock"], etc_hosts=["a"])
