# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.facts import CLOCK_TOLERANCE
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.diagnosis import (
    client_renewal,
    diagnose_validity,
    unusable_dates,
)
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.layers import Layer
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.model import EndpointState
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.served import (
    describe_certificate,
    describe_endpoint,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.facts import (
    DAY,
    NOW,
    make_facts,
)

FRESH, DUE = make_facts(age=10), make_facts(age=60)
EXPIRED, FUTURE = make_facts(age=91), make_facts(age=-1)
AGREES = NOW + CLOCK_TOLERANCE
FAR = timedelta(seconds=1) + CLOCK_TOLERANCE


# The server's certificate and clock, whether it holds, words of the text and of the remedy.
@pytest.mark.parametrize(
    ("served", "server_time", "ok", "text", "remedy"),
    [
        (None, NOW, None, "no certificate was seen", ""),
        # dates that hold
        (FRESH, None, True, "until 2027-02-11T21:00:00Z, 80 days left; due for renewal on 2027-01-12", ""),
        (FRESH, AGREES, True, "80 days left; due for renewal on 2027-01-12T21:00:00Z", ""),
        (
            DUE,
            None,
            True,
            "30 days left; due for renewal since 2026-11-23T21:00:00Z",
            "wormhole.docker.listener",
        ),
        (DUE, AGREES, True, "due for renewal since", "wormhole.docker.provision"),
        # clocks that differ, while the dates hold by ours
        (
            FRESH,
            NOW + FAR,
            True,
            "this host's clock says 2026-11-23T21:00:00Z, the server's 2026-11-23T21:30:01Z",
            "Set",
        ),
        (FRESH, NOW - FAR, True, "but this host's clock", "timedatectl"),
        (DUE, NOW + 9 * DAY, True, "due for renewal since", "Set the clock that is wrong"),
        # past its end
        (
            EXPIRED,
            None,
            False,
            "expired on 2026-11-22T21:00:00Z, and this host's clock says 2026-11-23T21:00",
            "issue",
        ),
        (
            EXPIRED,
            NOW,
            False,
            "says 2026-11-23T21:00:00Z, as does the server's",
            "tls_certificates issue the server's",
        ),
        (EXPIRED, NOW + 9 * DAY, False, "the server's 2026-12-02", "tls_certificates issue the server's"),
        (
            EXPIRED,
            NOW - 9 * DAY,
            False,
            "the server's 2026-11-14",
            "by the server's clock the certificate is valid",
        ),
        # before its start
        (
            FUTURE,
            None,
            False,
            "valid from 2026-11-24T21:00:00Z on, and this host's clock says 2026",
            "CA's clock was",
        ),
        (FUTURE, NOW, False, "as does the server's", "CA's clock was ahead"),
        (
            FUTURE,
            NOW + 9 * DAY,
            False,
            "the server's 2026-12-02",
            "by the server's clock the certificate is valid",
        ),
    ],
)
def test_the_servers_dates_by_both_clocks(served, server_time, ok, text, remedy):
    layer = Layer("validity", *diagnose_validity(EndpointState(served=served, server_time=server_time), NOW))
    assert (layer.name, layer.ok) == ("validity", ok)
    assert text in layer.text
    assert remedy in layer.remedy
    assert bool(layer.remedy) == bool(remedy)


def test_only_due_renewals_and_different_clocks_warn():
    assert not Layer("validity", *diagnose_validity(EndpointState(served=FRESH, server_time=NOW), NOW)).warns
    assert Layer("validity", *diagnose_validity(EndpointState(served=DUE, server_time=NOW), NOW)).warns
    assert Layer(
        "validity", *diagnose_validity(EndpointState(served=FRESH, server_time=NOW + FAR), NOW)
    ).warns


@pytest.mark.parametrize(
    ("presented", "text", "remedy"),
    [
        (None, "", ""),
        (FRESH, "", ""),
        (
            DUE,
            " (it expires on 2026-12-23T21:00:00Z, and is due for renewal since 2026-11-23",
            "wormhole.docker.launch",
        ),
    ],
)
def test_an_accepted_client_certificate_that_is_due_warns(presented, text, remedy):
    found = client_renewal(presented, NOW)
    assert found[0].startswith(text)
    assert remedy in found[1]
    assert (bool(found[0]), bool(found[1])) == (bool(text), bool(remedy))


@pytest.mark.parametrize(
    ("presented", "text", "remedy"),
    [
        (None, "", ""),
        (FRESH, "", ""),
        (DUE, "", ""),
        (EXPIRED, "it expired on 2026-11-22T21:00:00Z", "renew the client's certificate"),
        (
            FUTURE,
            "valid from 2026-11-24T21:00:00Z on, and this host's clock says 2026-11-23",
            "Set the clock of the server",
        ),
    ],
)
def test_a_client_certificate_with_invalid_dates(presented, text, remedy):
    found = unusable_dates(presented, NOW)
    assert text in found[0]
    assert remedy in found[1]
    assert (bool(found[0]), bool(found[1])) == (bool(text), bool(remedy))


@pytest.mark.parametrize("edge", ["not_before", "not_after"])
def test_a_client_certificate_is_valid_at_both_ends(edge):
    assert unusable_dates(replace(FRESH, **{edge: NOW}), NOW) == ("", "")


@pytest.mark.parametrize(("served", "due"), [(FRESH, False), (DUE, True), (EXPIRED, True), (FUTURE, False)])
def test_renewal_as_data(served, due):
    described = describe_certificate(served, NOW)
    assert described["renewal_due"] is due
    assert described["renewal_time"] < described["not_after"]


@pytest.mark.parametrize(
    ("server_time", "difference"),
    [(None, None), (NOW, 0), (NOW + 9 * DAY, 777600), (NOW - timedelta(seconds=90), -90)],
)
def test_the_difference_of_the_clocks_is_returned(server_time, difference):
    assert describe_endpoint(EndpointState(server_time=server_time), NOW)["clock_difference"] == difference
