# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Unit files of the gate."""

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.address import SocketAddress
from ansible_collections.wormhole.docker.plugins.module_utils._base.systemd_units import (
    assignments,
    parse_stream,
)
from ansible_collections.wormhole.docker.plugins.module_utils._gate import units
from ansible_collections.wormhole.docker.plugins.module_utils._gate.config import GateConfig
from ansible_collections.wormhole.docker.plugins.module_utils._gate.identities import identity_of_listener


def test_the_socket_of_an_identity_names_it_to_the_program():
    text = units.render_unix("ci.main-1", 4242)
    values = dict(assignments(text, "Socket"))
    path = values["ListenStream"]
    assert path == "/run/wormhole/gate/ci.main-1/docker.sock"
    assert identity_of_listener(values["FileDescriptorName"], path) == "ci.main-1"
    assert values["SocketMode"] == "0600"
    assert values["ExecStartPost"] == f"/bin/chown 4242:0 {path}"
    assert values["Service"] == units.SERVICE


def test_the_group_of_a_socket():
    assert "/bin/chown 1000:1001 " in units.render_unix("ci", 1000, 1001)


@pytest.mark.parametrize("host", ["172.17.0.1", "fd00::1"])
def test_the_socket_of_a_gateway(host):
    address = SocketAddress(host, 2378)
    values = dict(assignments(units.render_tls(address), "Socket"))
    assert parse_stream(values["ListenStream"]) == address
    assert (values["FileDescriptorName"], values["FreeBind"]) == ("tls", "true")
    assert units.tls_unit(address) == f"wormhole-gate-tls-{host}:2378.socket"


def test_the_service_is_confined():
    values = assignments(units.render_service(GateConfig()), "Service")
    keys = dict(values)
    for key in (
        "NoNewPrivileges",
        "PrivateNetwork",
        "PrivateDevices",
        "PrivateTmp",
        "MemoryDenyWriteExecute",
    ):
        assert keys[key] == "yes", key
    assert keys["ProtectSystem"] == "strict"
    assert keys["CapabilityBoundingSet"] == ""
    assert keys["RestrictAddressFamilies"] == "AF_UNIX"
    assert (keys["User"], keys["SupplementaryGroups"]) == ("wormhole-gate", "docker")
    assert {"MemoryMax", "TasksMax", "LimitNOFILE", "WatchdogSec"} <= set(keys)
    assert [value for key, value in values if key == "SystemCallFilter"] == [
        "@system-service",
        "~@privileged @resources",
    ]
    assert int(keys["TimeoutStopSec"]) > GateConfig().limits.drain_seconds


def test_sockets_are_started_before_the_service_that_gets_them():
    name = units.unix_unit("ci")
    assert name == "wormhole-gate-unix-ci.socket"
    assert units.wants_links(name) == (
        f"/etc/systemd/system/sockets.target.wants/{name}",
        f"/etc/systemd/system/wormhole-gate.service.wants/{name}",
    )
    assert units.wants_links(units.SERVICE) == (
        "/etc/systemd/system/multi-user.target.wants/wormhole-gate.service",
    )


def test_the_program_is_made_of_its_slices_only():
    names = ["_base/errors.py", "_policy/decide.py", "_gate/io/program.py", "_glue/run.py", "_gate/notes.txt"]
    assert units.program_files(names) == {
        "_base/errors.py": "/usr/lib/wormhole-gate/wormhole_gate/_base/errors.py",
        "_policy/decide.py": "/usr/lib/wormhole-gate/wormhole_gate/_policy/decide.py",
        "_gate/io/program.py": "/usr/lib/wormhole-gate/wormhole_gate/_gate/io/program.py",
    }
