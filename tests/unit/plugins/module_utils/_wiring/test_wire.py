# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._engine.security import EngineSecurity
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import (
    Gateway,
    Topology,
    Unreachable,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.spec import (
    RUNTIME,
    TCP,
    TLS,
    UNIX,
    WiringSpec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.wire import (
    EngineSocket,
    WiringState,
    wire,
)

DOCKER0 = Gateway("172.17.0.1", 4, "bridge", "docker0", "172.17.0.0/16")
CI = Gateway("172.18.0.1", 4, "ci", "br-1", "172.18.0.0/16")
CI6 = Gateway("fd00::1", 6, "ci", "br-1", "fd00::/64")
ONLY6 = Gateway("fd01::1", 6, "only6", "br-2", "fd01::/64")
INTERNAL = Unreachable("internal", "bridge", "no default route", "transport unix")
HOST = Unreachable("host", "host", "shares the host's addresses", "127.0.0.1")
NONE = Unreachable("none", "null", "no network at all", "transport unix")
V4 = Gateway("172.19.0.1", 4, "v4", "br-3", "172.19.0.0/16")
SWARM = Gateway("172.20.0.1", 4, "docker_gwbridge", "docker_gwbridge", "172.20.0.0/16")
OVERLAY = Unreachable("overlay", "overlay", "its way", "docker_gwbridge", through="docker_gwbridge")
MACVLAN = Unreachable("a-macvlan", "macvlan", "kept apart", "transport unix")
TOPOLOGY = Topology(
    (DOCKER0, CI, CI6, SWARM, ONLY6, V4),
    (MACVLAN, HOST, INTERNAL, NONE, OVERLAY),
    elsewhere={"a-macvlan": frozenset({4})},
)


def spec(*networks, mode="", transport=TLS, port=2376, **more):
    return WiringSpec(
        transport=transport,
        identity="agent",
        identity_directory="/etc/wormhole/identities/agent",
        port=port,
        networks=networks,
        network_mode=mode,
        insecure_plaintext_port=2375 if transport == TCP else None,
        **more,
    )


def state(*served, topology=TOPOLOGY, socket_gid=998, plaintext=(), **more):
    return WiringState(
        topology,
        tuple((address, 2376) for address in served),
        socket_gid,
        served_plaintext=tuple((address, 2375) for address in plaintext),
        **more,
    )


def test_tls_sets_exactly_what_a_client_needs():
    wiring = wire(spec(), state("172.17.0.1"))
    assert wiring.options() == {
        "env": {
            "DOCKER_HOST": "tcp://172.17.0.1:2376",
            "DOCKER_CERT_PATH": "/certs",
            "DOCKER_TLS_VERIFY": "1",
            "DOCKER_CONTEXT": "default",
        },
        "volumes": ("/etc/wormhole/identities/agent:/certs:ro",),
        "groups": (),
        "etc_hosts": {"host.docker.internal": "host-gateway"},
        "labels": {
            "wormhole.docker.managed": "true",
            "wormhole.docker.transport": "tls",
            "wormhole.docker.identity": "agent",
        },
        "working_dir": "",
    }
    assert wiring.obstacle == ""


def test_unix_leaves_the_variables_of_tls_out():
    wiring = wire(spec(transport=UNIX), state())
    assert wiring.options() == {
        "env": {"DOCKER_HOST": "unix:///var/run/docker.sock", "DOCKER_CONTEXT": "default"},
        "volumes": ("/var/run/docker.sock:/var/run/docker.sock",),
        "groups": ("998",),
        "etc_hosts": {"host.docker.internal": "host-gateway"},
        "labels": {"wormhole.docker.managed": "true", "wormhole.docker.transport": "unix"},
        "working_dir": "",
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
        (spec("v4", mode="bridge"), ["172.19.0.1", "172.17.0.1"], "172.17.0.1"),
        (spec("only6"), ["172.17.0.1", "fd00::1"], "fd00::1"),
        (spec("only6"), ["fd01::1", "fd00::1"], "fd01::1"),
        (spec("overlay"), ["172.17.0.1", "172.20.0.1"], "172.20.0.1"),
        (spec("overlay"), ["172.17.0.1"], "172.17.0.1"),
        # With a bridge and an overlay, the default route is the bridge's, not docker_gwbridge's.
        (spec("overlay", "ci"), ["172.20.0.1", "172.18.0.1"], "172.18.0.1"),
        (spec("a-macvlan", "v4"), ["172.17.0.1", "172.19.0.1"], "172.19.0.1"),
        (spec("v4", "a-macvlan", gateway_priorities={"v4": 1}), ["172.17.0.1"], "172.17.0.1"),
        # Both families first, then the name, unless a priority says otherwise.
        (spec("bridge", "ci"), ["172.17.0.1", "172.18.0.1"], "172.18.0.1"),
        (spec("v4", "bridge"), ["172.17.0.1", "172.19.0.1"], "172.17.0.1"),
        (spec("v4", "bridge", gateway_priorities={"v4": 1}), ["172.17.0.1", "172.19.0.1"], "172.19.0.1"),
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
    assert wiring.obstacle.startswith(("dockerd listens at ", "dockerd does not listen "))
    assert "role wormhole.docker.listener" in wiring.remedy


def test_an_address_behind_a_default_route_that_leads_elsewhere_is_none():
    wiring = wire(spec("a-macvlan", "v4"), state("172.17.0.1"))
    assert "the container can reach only 172.19.0.1: the default route" in wiring.obstacle
    assert "through network a-macvlan" in wiring.obstacle


@pytest.mark.parametrize(
    "networks, priorities, elsewhere, served, works",
    [
        # A bridge with another next hop: its own gateway is a neighbour, and docker0 is not.
        (["v4"], {}, {"v4": {4}}, ["172.19.0.1"], True),
        (["v4"], {}, {"v4": {4}}, ["172.17.0.1"], False),
        (["ci"], {}, {"ci": {4}}, ["172.17.0.1"], False),
        (["ci"], {}, {"ci": {4}}, ["fd01::1"], True),
        (["ci"], {}, {"ci": {6}}, ["fd01::1"], False),
        (["ci"], {}, {"ci": {6}}, ["172.17.0.1"], True),
        # moby, selectGatewayEndpoint: both families go before any priority.
        (["ci", "a-macvlan"], {"a-macvlan": 9}, {"a-macvlan": {4}}, ["172.17.0.1"], True),
        (["v4", "a-macvlan"], {"v4": 9}, {"a-macvlan": {4, 6}}, ["172.17.0.1"], False),
        (["v4", "a-macvlan"], {"v4": 9}, {"a-macvlan": {4}}, ["172.17.0.1"], True),
        # Without one that has both, each family goes by itself.
        (["v4", "a-macvlan"], {}, {"a-macvlan": {6}}, ["172.17.0.1"], True),
        (["only6", "v4"], {}, {}, ["172.17.0.1"], True),
    ],
)
def test_each_family_goes_by_its_own_default_route(networks, priorities, elsewhere, served, works):
    away = {name: frozenset(families) for name, families in elsewhere.items()}
    wiring = wire(
        spec(*networks, gateway_priorities=priorities),
        state(*served, topology=replace(TOPOLOGY, elsewhere=away)),
    )
    assert (not wiring.obstacle) == works, wiring.obstacle
    assert works or f"through network {next(iter(elsewhere))}" in wiring.obstacle


def test_another_port_of_the_listener_is_reported():
    """Such as after the listener has moved to another one."""
    assert (
        "dockerd does not listen for wormholes on port 2377, but on 2376. The container can reach"
        in wire(spec(port=2377), state("172.17.0.1")).obstacle
    )
    assert "but on" not in wire(spec("v4", "a-macvlan", port=2376), state("172.17.0.1")).obstacle


def test_plaintext_sets_the_address_and_nothing_of_tls():
    wiring = wire(spec(transport=TCP), state("172.17.0.1", plaintext=["172.17.0.1"]))
    assert wiring.env == {"DOCKER_HOST": "tcp://172.17.0.1:2375", "DOCKER_CONTEXT": "default"}
    assert wiring.volumes == ()
    assert wiring.labels == {"wormhole.docker.managed": "true", "wormhole.docker.transport": "tcp"}


@pytest.mark.parametrize(
    "wormhole, plaintext, address, obstacle",
    [
        (spec("v4", transport=TCP), ["172.17.0.1", "172.19.0.1"], "172.19.0.1", ""),
        (
            spec("v4", transport=TCP),
            ["172.17.0.1"],
            "172.19.0.1",
            "accepts connections from its own bridge only",
        ),
        (
            spec("v4", transport=TCP),
            [],
            "172.19.0.1",
            "does not listen for wormholes in plaintext on port 2375",
        ),
        (
            spec(mode="host", transport=TCP),
            ["172.17.0.1"],
            "127.0.0.1",
            "no connections from the host itself",
        ),
        (spec(mode="host", transport=TCP), ["172.17.0.1", "::1"], "::1", ""),
        (spec("overlay", transport=TCP), ["172.20.0.1"], "172.20.0.1", ""),
        # Beside a bridge, an overlay network brings no docker_gwbridge.
        (spec("overlay", "v4", transport=TCP), ["172.20.0.1"], "172.19.0.1", "its own bridge"),
    ],
)
def test_plaintext_is_reached_on_the_containers_own_bridges_only(wormhole, plaintext, address, obstacle):
    wiring = wire(wormhole, state("172.17.0.1", plaintext=plaintext))
    assert (wiring.address, bool(wiring.obstacle)) == (address, bool(obstacle))
    assert obstacle in wiring.obstacle


OWN = EngineSocket("/run/wormhole/docker.sock", 997)


@pytest.mark.parametrize("wired_to", ["", "tcp://172.17.0.1:2376", "unix:///run/wormhole/docker.sock"])
def test_a_socket_in_a_directory_of_its_own_is_mounted_as_a_directory(wired_to):
    wiring = wire(spec(transport=UNIX), state(own_socket=OWN, wired_to=wired_to))
    assert wiring.env == {"DOCKER_HOST": "unix:///run/wormhole/docker.sock", "DOCKER_CONTEXT": "default"}
    assert (wiring.volumes, wiring.groups) == (("/run/wormhole:/run/wormhole:ro",), ("997",))


def test_who_has_the_stock_socket_keeps_it():
    stock = spec(transport=UNIX)
    wired = wire(stock, state(own_socket=OWN, wired_to="unix:///var/run/docker.sock"))
    assert wired == wire(stock, state())


@pytest.mark.parametrize(
    "wormhole, host",
    [
        (spec(testcontainers=True), "172.17.0.1"),
        (spec("v4", transport=UNIX, testcontainers=True), "172.19.0.1"),
        (spec(mode="host", transport=UNIX, testcontainers=True), "127.0.0.1"),
    ],
)
def test_testcontainers_finds_published_ports_and_the_socket(wormhole, host):
    env = wire(wormhole, state("172.17.0.1", own_socket=OWN)).env
    assert env["TESTCONTAINERS_HOST_OVERRIDE"] == host
    assert env["TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE"] == "/var/run/docker.sock"


@pytest.mark.parametrize("wormhole", [spec("internal", transport=UNIX), spec(mode="none", transport=UNIX)])
def test_testcontainers_needs_a_way_to_published_ports(wormhole):
    wire(wormhole, state())
    with pytest.raises(InvalidInput, match="testcontainers requires a network with a route"):
        wire(replace(wormhole, testcontainers=True), state())


BOUND = {
    address: replace(TOPOLOGY, host_bindings={"bridge": address})
    for address in ("0.0.0.0", "127.0.0.1", "172.17.0.1", "192.0.2.7")
}


@pytest.mark.parametrize(
    "published, networks, mode, host",
    [
        ("0.0.0.0", (), "", "172.17.0.1"),
        ("0.0.0.0", ("v4",), "", "172.17.0.1"),
        ("172.17.0.1", ("v4",), "", "172.17.0.1"),
        ("192.0.2.7", ("v4",), "", "192.0.2.7"),
        ("127.0.0.1", (), "host", "127.0.0.1"),
        ("192.0.2.7", (), "host", "192.0.2.7"),
        ("127.0.0.1", (), "", None),
        ("127.0.0.1", ("v4",), "", None),
        # The default route does not lead to the host.
        ("192.0.2.7", ("a-macvlan", "v4"), "", None),
    ],
)
@pytest.mark.parametrize("transport", [TLS, UNIX])
def test_testcontainers_goes_where_the_default_bridge_publishes_ports(
    published, networks, mode, host, transport
):
    wormhole = spec(*networks, mode=mode, transport=transport, testcontainers=True)
    found = state("172.17.0.1", "127.0.0.1", "172.18.0.1", topology=BOUND[published])
    if host is None:
        with pytest.raises(
            InvalidInput, match=f"publishes them at {published} .*cannot reach. Set ip to 172.17.0.1"
        ):
            wire(wormhole, found)
        wire(replace(wormhole, testcontainers=False), found)
    elif transport == UNIX and published == "0.0.0.0":
        assert wire(wormhole, found).env["TESTCONTAINERS_HOST_OVERRIDE"] == (
            "172.19.0.1" if networks else host
        )
    else:
        assert wire(wormhole, found).env["TESTCONTAINERS_HOST_OVERRIDE"] == host


@pytest.mark.parametrize(
    "served, networks, address",
    [
        # Where host.docker.internal leads, dockerd listens.
        (["172.17.0.1", "192.0.2.7"], ("v4",), "192.0.2.7"),
        # Its own gateway is near.
        (["172.17.0.1"], (), "172.17.0.1"),
        (["172.19.0.1"], ("v4",), "172.19.0.1"),
        (["172.17.0.1"], ("v4",), None),
        # Another family's default route is not known to lead there.
        (["fd00::1"], ("only6",), None),
    ],
)
def test_a_program_finds_the_engine_where_host_gateway_ip_leads(served, networks, address):
    found = state(*served, host_gateways=("192.0.2.7",))
    wiring = wire(spec(*networks, discover=RUNTIME), found)
    assert (wiring.obstacle, wiring.address) == ("", address) or address is None
    if address is None:
        assert (
            "host-gateway-ip in the configuration of dockerd makes host.docker.internal resolve to 192.0.2.7"
            in wiring.obstacle
        )
        assert "List 192.0.2.7 in the option host_addresses" in wiring.remedy
    assert not wire(spec(*networks), found).obstacle


def test_without_a_default_bridge_host_gateway_ip_still_leads_somewhere():
    topology = Topology((CI,), ())
    found = state("172.18.0.1", topology=topology, host_gateways=("172.18.0.1",))
    assert wire(spec("ci"), found).etc_hosts == {"host.docker.internal": "host-gateway"}


def test_a_confined_container_may_read_its_identity():
    confined = EngineSecurity(selinux=True)
    assert wire(spec(), state("172.17.0.1", security=confined)).volumes[0].endswith(":/certs:ro,z")
    exempt = wire(spec(unlabelled=True), state("172.17.0.1", security=confined))
    assert exempt.volumes[0].endswith(":/certs:ro")


def test_a_swarm_whose_bridge_is_not_there_yet_leads_to_docker0():
    topology = Topology((DOCKER0,), (OVERLAY,))
    assert wire(spec("overlay"), state("172.17.0.1", topology=topology)).obstacle == ""
    with pytest.raises(InvalidInput, match="network overlay: .*docker_gwbridge.*no such network yet"):
        wire(spec("overlay", transport=TCP), state(topology=topology, plaintext=["172.17.0.1"]))


def test_an_unknown_network_is_an_obstacle():
    wiring = wire(spec("later"), state("172.17.0.1"))
    assert wiring.address == "172.17.0.1"
    assert wiring.obstacle == "there is no network later on this host"
    assert wiring.remedy == "Create the network first"


@pytest.mark.parametrize(
    "wormhole, remedy",
    [
        (spec(), "has no default bridge: name another network"),
        (spec("1f0c3a"), "It is the ID of network ci: use that name"),
        (spec(mode="1f0c3a5e7b9d"), "It is the ID of network ci: use that name"),
    ],
)
def test_what_to_do_about_a_network_that_is_not_there_depends(wormhole, remedy):
    topology = Topology((CI,), (), ids={"ci": frozenset({"1f0c3a5e7b9d2244"})})
    assert remedy in wire(wormhole, state("172.18.0.1", topology=topology)).remedy


@pytest.mark.parametrize(
    "wormhole, reason",
    [
        (spec("internal"), "network internal: .*no default route. Use transport unix"),
        (spec("internal", transport=TCP), "transport tcp requires: .*no default route. Use transport unix"),
        (spec("a-macvlan"), "network a-macvlan: .*kept apart. Use transport unix"),
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
    ("networks", "works"),
    [
        (("overlay",), True),
        # With a bridge and an overlay, the default route is the bridge's, not docker_gwbridge's.
        (("overlay", "v4"), False),
    ],
)
def test_a_program_on_an_overlay_finds_the_gateway_of_the_swarms_bridge(networks, works):
    served = state("172.20.0.1")
    assert not wire(spec(*networks), served).obstacle
    assert (not wire(spec(*networks, discover=RUNTIME), served).obstacle) == works
