# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import dataclasses

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._core.gateways import NamedAddress
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener_material import is_adequate
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._core.certificate_facts import (
    NOW,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._core.certificate_facts import (
    make_facts as certificate,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._core.listener_facts import TOPOLOGY


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
def test_the_engine_goes_on_with_what_it_has_while_that_is_good_enough(
    served, installed, addresses, expected
):
    reissued = dataclasses.replace(installed, fingerprint_sha256="12" * 32)
    assert is_adequate(served, reissued, addresses, TOPOLOGY, NOW) is expected


@pytest.mark.parametrize("age", [10, 60, 89, 91])
def test_a_restart_that_would_serve_the_same_certificate_is_never_asked_for(age):
    same = certificate("IP:172.17.0.1", age=age)
    assert is_adequate(same, same, ["172.17.0.1"], TOPOLOGY, NOW)


def test_a_network_to_come_can_wait_unless_its_address_is_listened_on_or_its_name_is_urgent():
    served, installed = certificate("IP:172.17.0.1"), certificate("IP:172.17.0.1", "IP:10.1.0.1")
    reissued = dataclasses.replace(installed, fingerprint_sha256="12" * 32)

    def adequate(addresses, *promised):
        return is_adequate(served, reissued, addresses, TOPOLOGY, NOW, promised)

    later, urgent = NamedAddress("IP:10.1.0.1", "to come", False), NamedAddress("IP:10.1.0.1", "to come")
    assert adequate(["172.17.0.1"], later)
    assert not adequate(["172.17.0.1"])
    assert not adequate(["172.17.0.1"], urgent)
    assert not adequate(["172.17.0.1", "10.1.0.1"], later)
