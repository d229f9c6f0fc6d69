# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._gate import units as gate_units
from ansible_collections.wormhole.docker.plugins.module_utils._listener.io.endpoints import (
    is_served_by_gate,
    listener_unit_files,
    read_endpoints,
    read_plaintext_endpoints,
    read_unix_socket,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import ListenerSpec
from ansible_collections.wormhole.docker.plugins.module_utils._listener.units import (
    SocketAccess,
    render_units,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import TOPOLOGY

ENDPOINTS = (SocketAddress("172.17.0.1", 2376), SocketAddress("fd00::1", 2376))


@pytest.fixture
def write(tmp_path):
    """Writes the units of a spec."""

    def call(**options):
        spec = ListenerSpec(**options)
        units = render_units(
            spec, ENDPOINTS, ((("172.17.0.1", 2375),) if spec.engine_tls else ()), TOPOLOGY, SocketAccess()
        )
        for name, text in units.items():
            (tmp_path / name).write_text(text)

    return call


def test_who_serves_the_addresses_is_read_from_the_units(write, tmp_path):
    directory = str(tmp_path)
    assert not is_served_by_gate(directory)
    (tmp_path / gate_units.unix_unit("agent")).write_text(gate_units.render_unix("agent", 0))
    assert (read_endpoints(directory), is_served_by_gate(directory)) == ((), False)
    write(served_by="gate", transports=("tls", "unix"))
    assert (read_endpoints(directory), is_served_by_gate(directory)) == (ENDPOINTS, True)
    assert read_unix_socket(directory) == "/run/wormhole/docker.sock"
    assert read_plaintext_endpoints(directory) == ()
    assert gate_units.unix_unit("agent") not in listener_unit_files(directory)


def test_a_socket_of_dockerds_beside_those_of_the_gate_goes_around_policies(write, tmp_path):
    write(served_by="gate")
    write()
    assert not is_served_by_gate(str(tmp_path))
    assert set(read_endpoints(str(tmp_path))) == set(ENDPOINTS)
    assert read_plaintext_endpoints(str(tmp_path)) == (SocketAddress("172.17.0.1", 2375),)
