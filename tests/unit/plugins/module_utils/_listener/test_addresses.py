# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import Refused
from ansible_collections.wormhole.docker.plugins.module_utils._firewall.model import Opening
from ansible_collections.wormhole.docker.plugins.module_utils._listener.addresses import (
    candidate_addresses,
    insecure_endpoints,
    required_openings,
    resolve_addresses,
    resolve_gateways,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import (
    EVERY_GATEWAY,
    ListenerSpec,
)
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import Gateway, Topology
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import (
    CI,
    CI_6,
    DOCKER0,
    NEW,
    NO_NETWORKS,
    TOPOLOGY,
)


@pytest.mark.parametrize(
    "asked, expected",
    [
        ((), ("172.17.0.1",)),
        (("172.18.0.1", "fd00::1"), ("172.18.0.1", "fd00::1")),
        (("127.0.0.1", "::1"), ("127.0.0.1", "::1")),
        ((EVERY_GATEWAY,), ("172.17.0.1", "172.18.0.1", "fd00::1")),
        (("fd00::1", EVERY_GATEWAY), ("fd00::1", "172.17.0.1", "172.18.0.1")),
    ],
)
def test_addresses_are_gateways_or_loopback(asked, expected):
    assert resolve_gateways(ListenerSpec(addresses=asked), TOPOLOGY) == expected


@pytest.mark.parametrize(
    "asked, topology, message",
    [
        (
            ("192.0.2.1",),
            TOPOLOGY,
            "another address of the host.*172.17.0.1 .gateway of network bridge.*172.18.0.1 .gateway",
        ),
        (
            ("fd00::2",),
            TOPOLOGY,
            "list it in host_addresses.*gateways of this host are: fd00::1 .gateway of network ci.$",
        ),
        (("fd00::2",), Topology((DOCKER0,), ()), "gateways of this host are: 172.17.0.1"),
        ((), NO_NETWORKS, r"no default bridge.*Create a bridge network .* addresses to \[gateways\], or set"),
        (("192.0.2.1",), NO_NETWORKS, "another address of the host.*host_addresses.*Create a bridge network"),
        ((), Topology((CI,), ()), "no default bridge.*172.18.0.1"),
        (
            (EVERY_GATEWAY,),
            NO_NETWORKS,
            "no bridge network of this host has a gateway.*docker network create",
        ),
    ],
)
def test_other_addresses_are_rejected_with_the_gateways_to_choose_from(asked, topology, message):
    with pytest.raises(Refused, match=message):
        resolve_gateways(ListenerSpec(addresses=asked), topology)


def test_host_addresses_are_added_and_never_served_in_plaintext():
    spec = ListenerSpec(host_addresses=("192.0.2.7",), insecure_plaintext_port=2375)
    assert resolve_addresses(spec, TOPOLOGY) == ("172.17.0.1", "192.0.2.7")
    assert insecure_endpoints(spec, TOPOLOGY) == (("172.17.0.1", 2375),)
    assert insecure_endpoints(ListenerSpec(), TOPOLOGY) == ()
    gateway_too = ListenerSpec(host_addresses=("172.17.0.1",))
    assert resolve_addresses(gateway_too, TOPOLOGY) == ("172.17.0.1",)


def test_without_transport_tls_no_address_is_needed():
    spec = ListenerSpec(transports=("unix",))
    assert resolve_addresses(spec, NO_NETWORKS) == ()
    assert required_openings(spec, NO_NETWORKS) == ()
    assert candidate_addresses(spec, NO_NETWORKS, None) == ()
    plaintext = dataclasses.replace(spec, insecure_plaintext_port=2375)
    assert insecure_endpoints(plaintext, TOPOLOGY) == (("172.17.0.1", 2375),)
    assert required_openings(plaintext, TOPOLOGY) == (Opening("docker0", "172.17.0.1", 2375),)


def test_candidates_are_the_addresses_before_and_after_a_restart():
    moved = Topology((dataclasses.replace(DOCKER0, address="10.1.0.1"), CI), ())
    assert candidate_addresses(ListenerSpec(), TOPOLOGY, None) == ("172.17.0.1",)
    assert candidate_addresses(ListenerSpec(), TOPOLOGY, moved) == ("172.17.0.1", "10.1.0.1")
    assert candidate_addresses(ListenerSpec(addresses=("10.1.0.1",)), TOPOLOGY, moved) == ("10.1.0.1",)
    with pytest.raises(Refused, match="192.0.2.1.*172.17.0.1"):
        candidate_addresses(ListenerSpec(addresses=("192.0.2.1",)), TOPOLOGY, moved)


DOCKER0_6 = Gateway("fd17::1", 6, "bridge", "docker0", "fd17::/64")


@pytest.mark.parametrize(
    "spec, expected",
    [
        pytest.param(
            ListenerSpec(),
            (Opening("br-1", "172.17.0.1", 2376), Opening("docker0", "172.17.0.1", 2376)),
            id="docker0: from every bridge of its family",
        ),
        pytest.param(
            ListenerSpec(addresses=("172.18.0.1",), port=12376),
            (Opening("br-1", "172.18.0.1", 12376),),
            id="another gateway: from its own bridge",
        ),
        pytest.param(ListenerSpec(addresses=("fd00::1",)), (Opening("br-1", "fd00::1", 2376),), id="IPv6"),
        pytest.param(ListenerSpec(addresses=("127.0.0.1",)), (), id="loopback: nothing"),
        pytest.param(
            ListenerSpec(addresses=("127.0.0.1",), host_addresses=("192.0.2.7",)),
            (),
            id="other hosts: nothing",
        ),
        pytest.param(
            ListenerSpec(addresses=("172.18.0.1", "127.0.0.1"), insecure_plaintext_port=2375),
            (Opening("br-1", "172.18.0.1", 2375), Opening("br-1", "172.18.0.1", 2376)),
            id="plaintext: from its own bridge",
        ),
        pytest.param(
            ListenerSpec(transports=("unix",), insecure_plaintext_port=2375),
            (Opening("docker0", "172.17.0.1", 2375),),
            id="plaintext on docker0: not from other bridges",
        ),
    ],
)
def test_the_required_openings_are_those_of_clients_of_an_address(spec, expected):
    assert required_openings(spec, TOPOLOGY) == expected


def test_ipv6_of_the_default_bridge_is_opened_to_every_bridge_with_ipv6():
    topology = Topology((DOCKER0, DOCKER0_6, CI, CI_6, NEW), ())
    spec = ListenerSpec(addresses=("fd17::1",))
    assert required_openings(spec, topology) == (
        Opening("br-1", "fd17::1", 2376),
        Opening("docker0", "fd17::1", 2376),
    )
