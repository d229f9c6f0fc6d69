# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""It wires like wormhole_container; _wiring/test_wire.py and test_render.py test the results."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._networks.gateways import Gateway, Topology
from ansible_collections.wormhole.docker.plugins.module_utils._wiring.wire import WiringState
from ansible_collections.wormhole.docker.plugins.module_utils._wormhole.spec import parse_spec
from ansible_collections.wormhole.docker.plugins.modules import wormhole_wiring_info
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._wormhole.test_plan import (
    DEFAULTS as CONTAINER_DEFAULTS,
)

SOCKET = "/var/run/docker.sock"
GATEWAYS = (
    Gateway("172.17.0.1", 4, "bridge", "docker0", "172.17.0.0/16"),
    Gateway("172.18.0.1", 4, "ci", "br-1", "172.18.0.0/16"),
)
DEFAULTS = {
    "name": "agent",
    "networks": [],
    "network_mode": None,
    "userns_mode": None,
    "transport": "tls",
    "identity": None,
    "identity_directory": None,
    "certificate_path": "/certs",
    "port": 2376,
    "insecure_plaintext_port": None,
    "testcontainers": False,
    "shared_directory": None,
    "docker_host": f"unix://{SOCKET}",
    "timeout": 60,
}


def params(**given):
    return {**DEFAULTS, **given}


def of_container(found):
    """Return the wiring of wormhole_container for the same options."""
    networks = [{"name": name} for name in found["networks"]]
    return parse_spec({**CONTAINER_DEFAULTS, **found, "networks": networks}, SOCKET).wiring


PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "networks": st.lists(st.sampled_from(["ci", "db", "bridge", "none", ""]), max_size=3),
        "network_mode": st.sampled_from(["bridge", "default", "ci", "host", "none", "container:db", " ", ""]),
        "userns_mode": st.just("host"),
        "transport": st.sampled_from(["tls", "unix"]),
        "identity": st.sampled_from(["ci", "a/b"]),
        "certificate_path": st.sampled_from(["/certs", "certs", "/c/"]),
        "shared_directory": st.sampled_from(["/srv", "srv"]),
    },
)


def outcome(parse):
    try:
        return parse()
    except InvalidInput as error:
        return str(error)


@given(PARAMS)
def test_the_wiring_is_that_of_wormhole_container(given):
    found = params(**given)
    wanted = outcome(lambda: of_container(found))
    assert outcome(lambda: wormhole_wiring_info.parse(found)) == wanted


@pytest.fixture
def gather(monkeypatch):
    state = WiringState(Topology(GATEWAYS, ()), served=(("172.17.0.1", 2376),), socket_gid=998)
    monkeypatch.setattr(
        wormhole_wiring_info.connection, "open_engine", lambda _params: SimpleNamespace(info=dict)
    )
    monkeypatch.setattr(wormhole_wiring_info.state, "observe_wiring", lambda *_arguments: state)
    return lambda **given: wormhole_wiring_info.gather(SimpleNamespace(params=params(**given)))


def test_a_wiring_that_compose_does_not_support_works_for_others(gather):
    found = gather(transport="unix", networks=["bridge", "ci"])
    assert (found["compose"], found["compose_yaml"], found["ready"]) == ({}, "", True)
    assert [warning for warning in found["warnings"] if "networks bridge: " in warning]
    assert found["docker_container"]["networks"] == [{"name": "bridge"}, {"name": "ci"}]
    assert found["docker_run"][-2:] == ["--network", "bridge"]
    assert found["docker_network_connect"] == [["ci", "agent"]]
