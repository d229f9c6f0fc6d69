# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import CertificateFacts
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.names import (
    SubjectAlternativeName,
)
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.diagnosis import diagnose
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.layers import (
    Layer,
    first_failure,
    render_layers,
)
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.model import (
    EndpointSpec,
    EndpointState,
)
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.served import describe_endpoint
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import Unreachable
from ansible_collections.wormhole.docker.plugins.module_utils._networks.guests import Guest, GuestAddress
from ansible_collections.wormhole.docker.plugins.module_utils._networks.routes import Route
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._endpoint.states import (
    changed,
    make_state,
)

NAMES = ("route", "port", "tls", "chain", "name", "validity", "client_auth", "api")
NOW = datetime(2026, 11, 23, 21, 0, tzinfo=timezone.utc)
DAY = timedelta(days=1)


def certificate(name="dockerd", usage="serverAuth", not_before=NOW - DAY, not_after=NOW + 30 * DAY):
    return CertificateFacts(
        subject=f"CN={name}",
        common_name=name,
        issuer="CN=wormhole CA",
        subject_alternative_names=(SubjectAlternativeName("IP", "172.17.0.1"),),
        serial="2A",
        fingerprint_sha256="ab" * 32,
        public_key_sha256="cd" * 32,
        key_type="ecdsa-p256",
        not_before=not_before,
        not_after=not_after,
        is_ca=False,
        path_length=None,
        key_usage=("digitalSignature",),
        extended_key_usage=(usage,),
        critical_extensions=("basicConstraints", "keyUsage"),
        subject_key_identifier="01",
        authority_key_identifier="02",
    )


SPEC = EndpointSpec("172.17.0.1", directory="/certs", container_pid=42)
GOOD = make_state(
    gateways=("172.17.0.1",),
    route=Route("0.0.0.0/0", "172.17.0.1", "eth0", 0),
    source="172.17.0.2",
    peer="172.17.0.1",
    tcp="open",
    protocol="tls",
    tls_version="TLSv1.3",
    served=certificate(),
    trusted=True,
    trust_code=0,
    matched_san="IP:172.17.0.1",
    anonymous="refused",
    anonymous_detail="certificate required",
    client="accepted",
    presented=certificate("ci", "clientAuth"),
    api="answered",
    api_version="1.45",
    engine_version="26.1.5",
    server_time=NOW,
)
UNREACHED = EndpointState(replace(GOOD.reached, outcome="not_tried"))
UNTRUSTED = changed(GOOD, trusted=False, trust_code=-1, client="not_tried", api="not_tried")
REFUSED = changed(GOOD, client="refused", client_detail="bad certificate", api="not_tried")


def verdicts(spec, state):
    marks = {True: "+", False: "!", None: "."}
    return "".join("w" if layer.warns else marks[layer.ok] for layer in diagnose(spec, state, NOW))


# By layer, in the order of NAMES: + holds, w holds with a warning, ! fails, . unreached or unknown.
@pytest.mark.parametrize(
    ("state", "expected", "words"),
    [
        (GOOD, "++++++++", "Docker 26.1.5 answers, API 1.45"),
        (EndpointState(), "........", "not observed"),
        # route and port
        (make_state(tcp="unresolvable", tcp_detail="Name or service not known"), "!.......", "extra host"),
        (make_state(tcp="unreachable", peer="172.17.0.1"), "!.......", "transport unix"),
        (
            changed(UNREACHED, tcp="unreachable", route=None),
            "!.......",
            "Use the default gateway, 172.17.0.1",
        ),
        (
            changed(UNREACHED, tcp="unreachable", tcp_detail="No route to host"),
            "+!......",
            "rejects the packets",
        ),
        (changed(UNREACHED, tcp="timeout"), "+!......", "drops the packets"),
        (changed(UNREACHED, tcp="refused"), "+!......", "nothing listens on 172.17.0.1:2376"),
        (changed(UNREACHED, tcp="refused", listened=False), "+!......", "nothing listens on 172.17.0.1:2376"),
        (
            changed(
                UNREACHED, tcp="refused", listened=False, closed="/etc/docker/daemon.json does not exist"
            ),
            "+!......",
            "started without the listener, because /etc/docker/daemon.json does not exist",
        ),
        (
            changed(UNREACHED, tcp="refused", listened=True),
            "+!......",
            "though something listens there: the host's firewall rejects the packets",
        ),
        (changed(UNREACHED, tcp="timeout"), "+!......", "or no host has this address"),
        (
            changed(UNREACHED, tcp="timeout", listened=True),
            "+!......",
            "within 5 s, though something listens there: the host's firewall drops the packets",
        ),
        (
            changed(UNREACHED, tcp="timeout", listened=False),
            "+!......",
            "the host's firewall drops the packets, and nothing listens there either",
        ),
        (
            changed(UNREACHED, tcp="unreachable", listened=True),
            "+!......",
            "the host's firewall rejects the packets",
        ),
        # tls
        (changed(UNREACHED, tcp="open", protocol="silent"), "++!.....", "dockerd is stopped"),
        (changed(UNREACHED, tcp="open", protocol="unknown"), "++!.....", "neither TLS nor HTTP"),
        (changed(UNREACHED, tcp="open", protocol="plaintext", api="answered"), "++!.....", "plaintext HTTP"),
        # chain
        (changed(UNTRUSTED, trust_code=20), "+++!+++.", "no CA in /certs/ca.pem issued it"),
        (changed(UNTRUSTED, trust_code=18), "+++!+++.", "self-signed"),
        (changed(UNTRUSTED, trust_code=19), "+++!+++.", "self-signed"),
        (changed(UNTRUSTED, trust_code=7), "+++!+++.", "another key"),
        (changed(UNTRUSTED, trust_code=26), "+++!+++.", "extendedKeyUsage"),
        (
            changed(UNTRUSTED, trust_code=85, trust_error="Missing Authority Key Identifier"),
            "+++!+++.",
            "Missing Auth",
        ),
        (changed(UNTRUSTED, trust_code=10), "+++!+++.", "a CA certificate of the chain"),
        (changed(UNTRUSTED, trust_error="/certs/ca.pem: No such file"), "+++!+++.", "cannot verify anything"),
        (changed(GOOD, trusted=None, client="not_tried", api="failed"), "+++.+++!", "cut short"),
        # name
        (
            changed(UNTRUSTED, trusted=True, trust_code=64, matched_san=""),
            "++++!++.",
            "only for IP:172.17.0.1",
        ),
        (
            changed(UNTRUSTED, trust_code=62, matched_san="", served=None),
            "+++!!.+.",
            "only for no name at all",
        ),
        # validity
        (
            changed(UNTRUSTED, trust_code=10, served=certificate(not_after=NOW - DAY)),
            "+++++!+.",
            "2026-11-22T21:00:00Z",
        ),
        (
            changed(UNTRUSTED, trust_code=9, served=certificate(not_before=NOW + DAY)),
            "+++++!+.",
            "Set the clock",
        ),
        # client_auth
        (changed(GOOD, anonymous="accepted"), "++++++!+", "tlsverify"),
        (changed(GOOD, anonymous="unknown"), "++++++++", "is not known"),
        (
            changed(REFUSED, client="unusable", client_detail="/certs/key.pem: No such file"),
            "++++++!.",
            "key.pem",
        ),
        (REFUSED, "++++++!.", "dockerd probably does not trust its CA"),
        (changed(REFUSED, presented=None), "++++++!.", "tlscacert"),
        (changed(REFUSED, presented=certificate(usage="serverAuth")), "++++++!.", "profile client"),
        (
            changed(REFUSED, presented=certificate(not_after=NOW - DAY)),
            "++++++!.",
            "it expired on 2026-11-22",
        ),
        (
            changed(REFUSED, presented=certificate(not_before=NOW + DAY)),
            "++++++!.",
            "it is valid from 2026-11-24",
        ),
        # warnings
        (
            changed(GOOD, served=certificate(not_before=NOW - 60 * DAY)),
            "+++++w++",
            "due for renewal since 2026",
        ),
        (
            changed(GOOD, presented=certificate(not_before=NOW - 60 * DAY)),
            "++++++w+",
            "wormhole.docker.launch",
        ),
        (changed(GOOD, server_time=NOW + DAY), "+++++w++", "Set the clock that is wrong"),
        # api
        (changed(GOOD, api="denied", api_detail="GET /_ping: no"), "+++++++!", "authorization plugin"),
        (changed(GOOD, api="failed", api_detail="timed out"), "+++++++!", "timed out"),
        # a TLS 1.2 server that rejected the client before its certificate was seen
        (changed(REFUSED, served=None, matched_san=""), "+++++.!.", "rejects the client"),
    ],
)
def test_with_a_clients_certificate(state, expected, words):
    assert verdicts(SPEC, state) == expected
    assert words in render_layers(diagnose(SPEC, state, NOW))


def test_from_a_network():
    """The remedy names the bridge; without a path to the host nothing is observed."""
    address = GuestAddress(("172.17.255.254",), 16, "172.17.0.1", "172.17.0.1")
    spec = EndpointSpec("172.17.0.1", guest=Guest("bridge", "docker0", (address,)))
    port = diagnose(spec, changed(UNREACHED, tcp="timeout", listened=True), NOW)[1]
    assert "accept TCP port 2376 from interface docker0" in port.remedy
    assert "container's bridge" in diagnose(SPEC, changed(UNREACHED, tcp="timeout"), NOW)[1].remedy

    spec = EndpointSpec("172.17.0.1", obstacle=Unreachable("lan", "macvlan", "the kernel", "transport unix"))
    assert verdicts(spec, EndpointState()) == "!......."
    route = diagnose(spec, EndpointState(), NOW)[0]
    assert route.text == "containers of network lan have no path to the host: the kernel"
    assert route.remedy.startswith("Use transport unix")


def test_only_one_place_can_be_observed_from():
    with pytest.raises(InvalidInput, match="expected one"):
        replace(SPEC, obstacle=Unreachable("lan", "macvlan", "the kernel", "transport unix"))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (changed(GOOD, trusted=None, client="not_tried", api="not_tried"), "+++.+++."),
        (changed(GOOD, trusted=None, client="not_tried", api="not_tried", anonymous="unknown"), "+++.++.."),
        (changed(GOOD, trusted=None, client="not_tried", api="not_tried", anonymous="accepted"), "+++.++!."),
    ],
)
def test_without_a_certificate(state, expected):
    assert verdicts(EndpointSpec("172.17.0.1"), state) == expected


def test_the_guard_closes_no_plaintext():
    state = changed(UNREACHED, tcp="refused", listened=False, closed="/etc/docker/daemon.json does not exist")
    port = diagnose(EndpointSpec("172.17.0.1", 2375, transport="tcp"), state, NOW)[1]
    assert (port.ok, "daemon.json" in port.text) == (False, False)


@pytest.mark.parametrize(
    ("protocol", "api", "expected"),
    [
        ("plaintext", "answered", "++.....+"),
        ("plaintext", "failed", "++.....!"),
        ("tls", "not_tried", "++!....."),
    ],
)
def test_with_transport_tcp(protocol, api, expected):
    spec = EndpointSpec("172.17.0.1", 2375, transport="tcp")
    assert verdicts(spec, changed(UNREACHED, tcp="open", protocol=protocol, api=api)) == expected


@pytest.mark.parametrize("edge", ["not_before", "not_after"])
def test_the_validity_includes_both_ends(edge):
    state = changed(GOOD, served=certificate(**{edge: NOW}))
    assert verdicts(SPEC, state) == ("++++++++" if edge == "not_before" else "+++++w++")
    beyond = NOW + timedelta(seconds=-1 if edge == "not_before" else 1)
    assert diagnose(SPEC, state, beyond)[5].ok is False


def test_text():
    text = render_layers(
        diagnose(SPEC, changed(UNREACHED, tcp="refused", tcp_detail="Connection refused"), NOW)
    )
    lines = text.splitlines()
    assert lines[0] == "route       ok     172.17.0.1 is the default gateway, reached by eth0"
    assert lines[1].startswith("port        FAILED nothing listens on 172.17.0.1:2376: Connection refused")
    assert lines[-1].startswith("What to do: Let wormhole.docker.dockerd_listener")
    assert len(lines) == 9
    assert len(render_layers(diagnose(SPEC, GOOD, NOW)).splitlines()) == 8


def test_warnings_are_rendered_with_their_remedies():
    layers = (
        Layer("validity", True, "30 days left", "Renew it"),
        Layer("client_auth", False, "refused", "Issue another one"),
        Layer("api", None, "not asked"),
        Layer("networks", True, "a name is missing", "Renew it"),
    )
    assert render_layers(layers).splitlines() == [
        "validity    warns  30 days left",
        "client_auth FAILED refused",
        "api         -      not asked",
        "networks    warns  a name is missing",
        "What to do: Issue another one.",
        "What to do soon: Renew it.",
    ]
    assert first_failure(layers) == layers[1]
    assert first_failure((layers[0], layers[2])) is None


certificates = st.none() | st.builds(
    certificate,
    usage=st.sampled_from(["serverAuth", "clientAuth"]),
    not_before=st.sampled_from([NOW - 9 * DAY, NOW - DAY, NOW + DAY]),
    not_after=st.sampled_from([NOW - DAY, NOW + DAY]),
)
states = st.builds(
    make_state,
    gateways=st.sampled_from([(), ("172.17.0.1",)]),
    route=st.sampled_from([None, GOOD.reached.route]),
    source=st.sampled_from(["", "172.17.0.1", "172.17.0.2"]),
    peer=st.sampled_from(["", "172.17.0.1"]),
    tcp=st.sampled_from(["open", "refused", "timeout", "unreachable", "unresolvable", "not_tried"]),
    listened=st.sampled_from([None, True, False]),
    protocol=st.sampled_from(["tls", "plaintext", "silent", "unknown", ""]),
    served=certificates,
    trusted=st.sampled_from([True, False, None]),
    trust_code=st.sampled_from([-1, 0, 2, 7, 9, 10, 18, 19, 20, 26, 62, 64, 85]),
    matched_san=st.sampled_from(["", "IP:172.17.0.1"]),
    anonymous=st.sampled_from(["refused", "accepted", "unknown"]),
    client=st.sampled_from(["accepted", "refused", "unusable", "not_tried"]),
    presented=certificates,
    api=st.sampled_from(["answered", "denied", "failed", "not_tried"]),
    server_time=st.sampled_from([None, NOW, NOW + DAY]),
)
specs = st.sampled_from([SPEC, EndpointSpec("172.17.0.1"), EndpointSpec("172.17.0.1", transport="tcp")])


@given(specs, states)
def test_every_state_has_all_layers_and_every_failure_a_remedy(spec, state):
    layers = diagnose(spec, state, NOW)
    assert tuple(layer.name for layer in layers) == NAMES
    for layer in layers:
        assert layer.text
        assert layer.remedy or layer.ok is not False
        assert not layer.remedy or layer.ok is not None
        assert layer.warns == (layer.ok is True and bool(layer.remedy))
    render_layers(layers)
    describe_endpoint(state, NOW)


@given(specs, states)
def test_layers_above_a_failure_are_unknown(spec, state):
    layers = diagnose(spec, state, NOW)
    for reached in range(3):
        if layers[reached].ok is False or (layers[reached].ok is None and spec.transport == "tls"):
            assert {layer.ok for layer in layers[reached + 1 :]} == {None}


@given(specs, states)
def test_layer_api_holds_only_if_the_engine_answered(spec, state):
    layers = diagnose(spec, state, NOW)
    if layers[-1].ok:
        assert (state.reached.outcome, state.api.outcome) == ("open", "answered")
        assert state.anonymous.protocol == ("tls" if spec.transport == "tls" else "plaintext")
    failure = first_failure(layers)
    assert (failure is None) == all(layer.ok is not False for layer in layers)
