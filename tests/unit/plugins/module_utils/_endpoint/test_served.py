# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.served import (
    EngineHost,
    describe_host,
    diagnose_host,
    missing_names,
)
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import (
    NamedAddress,
    parse_networks,
    server_names,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.facts import (
    NOW,
    make_facts,
)


def bridge(name, subnet, gateway):
    return {
        "Name": name,
        "Driver": "bridge",
        "Id": name * 8,
        "IPAM": {"Config": [{"Subnet": subnet, "Gateway": gateway}]},
    }


DOCKER0 = bridge("bridge", "172.17.0.0/16", "172.17.0.1")
CI = bridge("ci", "172.18.0.0/16", "172.18.0.1")
LOOPBACK = ("DNS:host.docker.internal", "DNS:localhost", "IP:127.0.0.1", "IP:::1")
ONE, BOTH = ("IP:172.17.0.1", *LOOPBACK), ("IP:172.17.0.1", "IP:172.18.0.1", *LOOPBACK)
PATH = "/etc/wormhole/server/cert.pem"


def host(*networks, listening=("172.17.0.1",), installed=None):
    topology = parse_networks(networks)
    return EngineHost(
        topology=topology,
        names=server_names(topology),
        listening=listening,
        installed=installed,
        installed_path=PATH,
        not_installed="" if installed else "daemon.json names no tlscert",
    )


UNASKED = EngineHost(not_compared="the docker SDK is missing", not_installed="no file")


def another(*names, **values):
    """A certificate that differs from the one of make_facts()."""
    return make_facts(*names, fingerprint_sha256="12" * 32, **values)


# Names of the certificate, listening addresses, whether layer networks holds, missing names,
# words of text and remedy. The host has docker0 and the network ci.
@pytest.mark.parametrize(
    ("names", "listening", "ok", "missing", "text", "remedy"),
    [
        pytest.param(BOTH, ("172.17.0.1",), True, [], "names all 6 addresses and names", "", id="all"),
        pytest.param(
            ONE,
            ("172.17.0.1",),
            True,
            [("IP:172.18.0.1", False)],
            "lacks IP:172.18.0.1 (gateway of network ci); meanwhile their containers reach the engine at 172.17.0.1",
            "wormhole.docker.provision",
            id="a network was added",
        ),
        pytest.param(
            ONE,
            ("0.0.0.0",),
            True,
            [("IP:172.18.0.1", False)],
            "reach the engine at 172.17.0.1",
            "wormhole.docker.listener",
            id="a network was added, listening everywhere",
        ),
        pytest.param(
            ONE,
            ("127.0.0.1",),
            True,
            [("IP:172.18.0.1", False)],
            "lacks IP:172.18.0.1 (gateway of network ci)",
            "wormhole.docker.listener",
            id="a network was added, listening on no gateway",
        ),
        pytest.param(
            ONE,
            ("172.17.0.1", "172.18.0.1"),
            False,
            [("IP:172.18.0.1", True)],
            "lacks IP:172.18.0.1 (gateway of network ci)",
            "wormhole.docker.listener",
            id="a network was added, and the engine listens on it",
        ),
        pytest.param(
            ("IP:172.18.0.1", *LOOPBACK),
            ("172.17.0.1",),
            False,
            [("IP:172.17.0.1", True)],
            "lacks IP:172.17.0.1 (gateway of network bridge)",
            "wormhole.docker.listener",
            id="docker0",
        ),
        pytest.param(
            BOTH[:1] + LOOPBACK[1:],
            ("172.17.0.1",),
            False,
            [("DNS:host.docker.internal", True), ("IP:172.18.0.1", False)],
            "lacks DNS:host.docker.internal (the host's name inside containers), IP:172.18.0.1 (gateway of network ci)",
            "wormhole.docker.listener",
            id="the urgent first",
        ),
        pytest.param(
            ("IP:172.17.0.1", "IP:172.18.0.1", "DNS:*.docker.internal", *LOOPBACK[1:]),
            (),
            True,
            [],
            "all",
            "",
            id="a wildcard",
        ),
    ],
)
def test_networks(names, listening, ok, missing, text, remedy):
    served, here = make_facts(*names), host(DOCKER0, CI, listening=listening)
    layer = diagnose_host(served, here, NOW)[0]
    assert (layer.name, layer.ok) == ("networks", ok)
    assert text in layer.text
    assert remedy in layer.remedy
    assert bool(layer.remedy) == bool(remedy)
    assert ("meanwhile" in layer.text) == ("reach the engine at" in text)
    assert [(name.name, name.urgent) for name in missing_names(served, here)] == missing
    described = describe_host(served, here, NOW)["missing_names"]
    assert [(entry["name"], entry["urgent"]) for entry in described] == missing
    assert all(entry["origin"] for entry in described)


def test_many_missing_names_are_shortened_in_the_text_only():
    networks = [bridge(f"n{i}", f"172.{20 + i}.0.0/16", f"172.{20 + i}.0.1") for i in range(7)]
    here = host(DOCKER0, *networks)
    layer = diagnose_host(make_facts(*ONE), here, NOW)[0]
    assert "IP:172.23.0.1 (gateway of network n3) and 3 more; meanwhile" in layer.text
    assert len(describe_host(make_facts(*ONE), here, NOW)["missing_names"]) == 7


def test_names_of_removed_networks_are_ignored():
    assert diagnose_host(make_facts(*BOTH), host(DOCKER0), NOW)[0].ok
    assert missing_names(make_facts(*BOTH), host(DOCKER0)) == ()


@pytest.mark.parametrize(
    ("listening", "ok", "remedy"),
    [(("172.17.0.1",), True, ""), (("172.17.0.1", "172.18.0.1"), False, "restarts the engine once")],
)
def test_names_of_the_installed_certificate_need_only_a_restart(listening, ok, remedy):
    here = host(DOCKER0, CI, listening=listening, installed=another(*BOTH))
    networks, installed = diagnose_host(make_facts(*ONE), here, NOW)
    assert networks.ok is ok
    assert f"the one in {PATH} names all, and the engine reads it at its next start" in networks.text
    assert remedy in networks.remedy
    assert bool(remedy) == bool(networks.remedy)
    # Both layers predict the same for the next run of dockerd_listener.
    assert (installed.ok, bool(installed.remedy)) == (True, bool(remedy))


def test_the_gate_reads_another_certificate_without_a_restart():
    here = replace(host(DOCKER0, CI, installed=another(*BOTH)), served_by="gate")
    networks, installed = diagnose_host(make_facts(*ONE), here, NOW)
    assert f"the one in {PATH} names all, and the gate reads it when it is reloaded" in networks.text
    assert installed.text.startswith("the gate serves a certificate that ends on")
    assert "sufficient" not in installed.text
    assert "makes the gate read it" in installed.remedy
    assert describe_host(make_facts(*ONE), here, NOW)["served_by"] == "gate"


def test_a_promised_address_causes_no_restart():
    """As in dockerd_listener, the addresses of future networks can wait."""
    promise = NamedAddress(
        "IP:10.200.0.1", "first address of 10.200.0.0/24, of default-address-pools", urgent=False
    )
    served = make_facts(*ONE)
    wider = replace(
        make_facts(*ONE, promise.name),
        fingerprint_sha256="5e" * 32,
        public_key_sha256=served.public_key_sha256,
        authority_key_identifier=served.authority_key_identifier,
    )
    known = replace(host(DOCKER0, installed=wider), names=(*server_names(parse_networks([DOCKER0])), promise))
    for each, remedied in ((known, False), (replace(known, names=known.names[:-1]), True)):
        _networks, installed = diagnose_host(served, each, NOW)
        assert bool(installed.remedy) == remedied


def test_names_that_both_certificates_lack_need_a_new_one():
    here = host(DOCKER0, CI, installed=another(*ONE))
    networks, _installed = diagnose_host(make_facts(*ONE), here, NOW)
    assert networks.warns
    assert "wormhole.docker.provision" in networks.remedy
    assert PATH not in networks.text


# Served and installed certificate, whether it is loaded and the layer warns, words of its text.
@pytest.mark.parametrize(
    ("served", "installed", "loaded", "warns", "text"),
    [
        pytest.param(
            make_facts(*ONE), make_facts(*ONE), True, False, f"serves the certificate in {PATH}", id="same"
        ),
        pytest.param(
            make_facts(*ONE, age=91),
            make_facts(*ONE, age=91),
            True,
            False,
            f"serves the certificate in {PATH}",
            id="same, expired",
        ),
        pytest.param(
            make_facts(*ONE, age=59),
            another(*ONE, age=0),
            False,
            False,
            f"ends on 2026-12-24T21:00:00Z, not the one in {PATH}, which ends on 2027-02-21T21:00:00Z and which it reads "
            "at its next start; until then, the served one is sufficient",
            id="renewed before it was due",
        ),
        pytest.param(
            make_facts(*ONE, age=60), another(*ONE, age=0), False, True, "not the one in", id="renewed"
        ),
        pytest.param(
            make_facts(*ONE, age=91), another(*ONE, age=0), False, True, "not the one in", id="expired"
        ),
        pytest.param(
            make_facts(*ONE),
            another(*ONE, authority_key_identifier="99"),
            False,
            True,
            "not the one",
            id="another CA",
        ),
        pytest.param(
            make_facts(*ONE), another(*ONE, "DNS:ci.example.com"), False, True, "not the one in", id="a name"
        ),
        pytest.param(make_facts(*ONE), another(*BOTH), False, False, "is sufficient", id="a network's name"),
    ],
)
def test_installed(served, installed, loaded, warns, text):
    here = host(DOCKER0, CI, installed=installed)
    layer = diagnose_host(served, here, NOW)[1]
    assert (layer.name, layer.ok, layer.warns) == ("installed", True, warns)
    assert text in layer.text
    assert ("listener" in layer.remedy) == warns
    described = describe_host(served, here, NOW)
    assert described["loaded"] is loaded
    assert described["installed_certificate"]["fingerprint_sha256"] == installed.fingerprint_sha256


def test_without_the_networks_names_are_not_compared():
    here = replace(UNASKED, installed=another(*BOTH), installed_path=PATH)
    assert not diagnose_host(make_facts(*ONE), here, NOW)[1].warns
    assert diagnose_host(make_facts(*ONE, age=60), here, NOW)[1].warns


def test_layers_have_the_reason_why_nothing_was_compared():
    layers = diagnose_host(make_facts(*ONE), UNASKED, NOW)
    assert [(layer.ok, layer.text) for layer in layers] == [
        (None, "not compared: the docker SDK is missing"),
        (None, "not compared: no file"),
    ]
    assert describe_host(make_facts(*ONE), UNASKED, NOW) == {
        "served_by": "",
        "missing_names": None,
        "installed_certificate": {},
        "loaded": None,
    }


def test_without_a_served_certificate_nothing_is_compared():
    here = host(DOCKER0, installed=another(*ONE))
    assert [(layer.ok, layer.text) for layer in diagnose_host(None, here, NOW)] == [
        (None, "not compared: no certificate was seen")
    ] * 2
    described = describe_host(None, here, NOW)
    assert (described["missing_names"], described["loaded"]) == (None, None)
    assert described["installed_certificate"]


certificates = st.builds(
    make_facts,
    *[st.sampled_from(BOTH)] * 4,
    age=st.sampled_from([-1, 10, 59, 60, 91]),
    fingerprint_sha256=st.sampled_from(["ab" * 32, "12" * 32]),
)
hosts = st.builds(
    host,
    st.just(DOCKER0),
    st.just(CI),
    listening=st.sampled_from([(), ("172.17.0.1",), ("172.18.0.1",), ("172.17.0.1", "172.18.0.1"), ("::",)]),
    installed=st.none() | certificates,
)


@given(st.none() | certificates, hosts | st.just(UNASKED))
def test_a_failure_has_a_remedy_and_urgent_names(served, here):
    networks, installed = diagnose_host(served, here, NOW)
    missing = describe_host(served, here, NOW)["missing_names"]
    assert (networks.ok is False) == any(name["urgent"] for name in missing or [])
    assert (networks.ok is None) == (missing is None)
    assert networks.remedy or networks.ok is not False
    assert not networks.remedy or missing
    # An installed certificate alone never causes a failure.
    assert installed.ok is not False
    assert all(layer.text for layer in (networks, installed))


@given(certificates, hosts)
def test_adding_the_missing_names_completes_a_certificate(served, here):
    names = [*map(str, served.subject_alternative_names), *(n.name for n in missing_names(served, here))]
    assert missing_names(make_facts(*names), here) == ()
