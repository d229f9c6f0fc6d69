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
    assert values["Service"] == units.door_unit(units.unix_unit("ci.main-1"))


def test_the_group_of_a_socket():
    assert "/bin/chown 1000:1001 " in units.render_unix("ci", 1000, 1001)


@pytest.mark.parametrize("host", ["172.17.0.1", "fd00::1"])
def test_the_socket_of_a_gateway(host):
    address = SocketAddress(host, 2378)
    values = dict(assignments(units.render_tls(address), "Socket"))
    assert parse_stream(values["ListenStream"]) == address
    assert (values["FileDescriptorName"], values["FreeBind"]) == ("tls", "true")
    assert units.tls_unit(address) == f"wormhole-gate-tls-{host}:2378.socket"
    assert values["Service"] == f"wormhole-gate-door@tls-{host}:2378.service"


@pytest.mark.parametrize("text", [units.render_unix("ci", 0), units.render_tls(SocketAddress("10.0.0.1", 1))])
def test_a_socket_does_not_fail_because_it_is_used_often(text):
    assert dict(assignments(text, "Socket"))["TriggerLimitIntervalSec"] == "0"


def test_a_door_belongs_to_its_socket_and_waits_for_the_gate():
    text = units.render_door()
    unit, service = (dict(assignments(text, section)) for section in ("Unit", "Service"))
    assert units.door_unit("wormhole-gate-unix-ci.socket") == "wormhole-gate-door@unix-ci.service"
    assert unit["BindsTo"] == "wormhole-gate-%i.socket"
    assert set(unit["After"].split()) == {unit["BindsTo"], units.SERVICE}
    # A gate that cannot start must not keep its doors from waiting for it.
    assert (unit["Wants"], "Requires" in unit) == (units.SERVICE, False)
    assert unit["StartLimitIntervalSec"] == "0"
    assert (service["Type"], service["RemainAfterExit"]) == ("oneshot", "yes")
    assert service["ExecStart"].endswith(f"{units.PROGRAM} door add %i")
    assert service["ExecStop"].endswith("""door remove "$$0"' %i""")
    assert (service["User"], service["NoNewPrivileges"]) == (units.USER, "yes")


def test_no_door_is_left_when_the_gate_starts():
    values = assignments(units.render_service(GateConfig()), "Service")
    before = [value for key, value in values if key == "ExecStartPre"]
    assert before[0].startswith("+/bin/systemctl stop ")
    assert before[0].endswith(" wormhole-gate-door@*.service")
    # It only makes the start faster, so its failure does not matter.
    assert before[1].startswith("-+")
    assert before[1].endswith(f"{units.PROGRAM} compile")
    assert before[2].startswith("+")
    assert before[2].endswith(f"{units.PROGRAM} certificate /etc/wormhole/gate.json")


def test_a_new_certificate_reloads_the_gate():
    text = units.render_certificate_path("/etc/wormhole/server")
    values = assignments(text, "Path")
    assert {value for key, value in values if key == "PathChanged"} == {
        f"/etc/wormhole/server/{name}" for name in ("ca.pem", "cert.pem", "key.pem")
    }
    assert dict(values)["Unit"] == units.CERTIFICATE_SERVICE
    reload = dict(assignments(units.render_certificate_service(), "Service"))["ExecStart"]
    assert reload.endswith(f" {units.SERVICE}")
    keys = dict(assignments(units.render_service(GateConfig()), "Service"))
    assert keys["ExecReload"].startswith("+")
    assert (keys["RuntimeDirectory"], keys["RuntimeDirectoryMode"]) == ("wormhole-gate", "0700")


@pytest.mark.parametrize(
    "name, ours",
    [
        ("wormhole-gate-unix-ci.main-1.socket", True),
        ("wormhole-gate-tls-172.17.0.1:2376.socket", True),
        ("wormhole-gate-tls-fd00::1:2376.socket", True),
        ("wormhole-gate-unix-.socket", False),
        ("wormhole-gate-unix-ci.service", False),
        ("wormhole-gate-tls-x.socket", False),
        ("wormhole-gate.socket", False),
        ("wormhole-docker-172.17.0.1:2376.socket", False),
    ],
)
def test_socket_units_of_the_gate_are_recognised(name, ours):
    assert units.is_socket_unit(name) == ours


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


def test_which_units_are_started_with_the_host():
    name = units.unix_unit("ci")
    assert name == "wormhole-gate-unix-ci.socket"
    assert units.wants_links(name) == (f"/etc/systemd/system/sockets.target.wants/{name}",)
    assert units.wants_links(units.SERVICE) == (
        "/etc/systemd/system/multi-user.target.wants/wormhole-gate.service",
    )
    path = units.CERTIFICATE_PATH
    assert units.wants_links(path) == (f"/etc/systemd/system/paths.target.wants/{path}",)
    assert units.wants_links(units.DOOR) == units.wants_links(units.CERTIFICATE_SERVICE) == ()
