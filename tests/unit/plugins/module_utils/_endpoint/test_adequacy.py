# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.host_uri import host_uri
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.names import parse_san
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.adequacy import is_adequate
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import NamedAddress
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.facts import NOW
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._certificates.facts import (
    make_facts as certificate,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import TOPOLOGY

HOST = host_uri("ci1", "server", "dockerd")


@pytest.mark.parametrize(
    "served, installed, addresses, expected",
    [
        pytest.param(
            certificate("IP:172.17.0.1"), certificate("IP:172.17.0.1"), ["172.17.0.1"], True, id="the same"
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", "IP:172.18.0.1", "IP:fd00::1"),
            ["172.17.0.1"],
            True,
            id="a network came",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", "IP:172.18.0.1"),
            ["172.17.0.1", "172.18.0.1"],
            False,
            id="a network came, whose gateway is listened on",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate(subject_alternative_names=(parse_san("IP:172.17.0.1"), HOST)),
            ["172.17.0.1"],
            True,
            id="the name of the host in the inventory came",
        ),
        pytest.param(
            certificate("IP:172.17.0.1", "IP:172.18.0.1"),
            certificate("IP:172.17.0.1"),
            ["172.17.0.1"],
            True,
            id="a network went",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", "IP:192.0.2.1"),
            ["172.17.0.1"],
            False,
            id="an address came that is no gateway",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", "DNS:ci.example.com"),
            ["172.17.0.1"],
            False,
            id="a name came",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", public_key_sha256="23" * 32),
            ["172.17.0.1"],
            False,
            id="another key",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", authority_key_identifier="05"),
            ["172.17.0.1"],
            False,
            id="another authority",
        ),
        pytest.param(
            certificate("IP:172.17.0.1"),
            certificate("IP:172.17.0.1", common_name="other"),
            ["172.17.0.1"],
            False,
            id="another common name",
        ),
        pytest.param(
            certificate("IP:172.17.0.1", age=59),
            certificate("IP:172.17.0.1"),
            ["172.17.0.1"],
            True,
            id="not yet due",
        ),
        pytest.param(
            certificate("IP:172.17.0.1", age=60),
            certificate("IP:172.17.0.1"),
            ["172.17.0.1"],
            False,
            id="due",
        ),
    ],
)
def test_a_served_certificate_is_adequate_until_renewal_or_urgent_names(
    served, installed, addresses, expected
):
    reissued = dataclasses.replace(installed, fingerprint_sha256="12" * 32)
    assert is_adequate(served, reissued, addresses, TOPOLOGY, NOW) is expected


@pytest.mark.parametrize("age", [10, 60, 89, 91])
def test_the_installed_certificate_itself_is_adequate(age):
    same = certificate("IP:172.17.0.1", age=age)
    assert is_adequate(same, same, ["172.17.0.1"], TOPOLOGY, NOW)


def test_a_promised_name_can_wait_unless_it_is_urgent_or_listened_on():
    served, installed = certificate("IP:172.17.0.1"), certificate("IP:172.17.0.1", "IP:10.1.0.1")
    reissued = dataclasses.replace(installed, fingerprint_sha256="12" * 32)

    def adequate(addresses, *promised):
        return is_adequate(served, reissued, addresses, TOPOLOGY, NOW, promised)

    later, urgent = NamedAddress("IP:10.1.0.1", "to come", False), NamedAddress("IP:10.1.0.1", "to come")
    assert adequate(["172.17.0.1"], later)
    assert not adequate(["172.17.0.1"])
    assert not adequate(["172.17.0.1"], urgent)
    assert not adequate(["172.17.0.1", "10.1.0.1"], later)
