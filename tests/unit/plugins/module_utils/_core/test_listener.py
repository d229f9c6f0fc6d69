# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._core.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._core.foreign_sockets import ForeignSocket
from ansible_collections.wormhole.docker.plugins.module_utils._core.listener import (
    EVERY_GATEWAY,
    ListenerSpec,
    ListenerState,
    UnitState,
    parse_spec,
    render_endpoint,
    wanted_keys,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._core.listener_facts import TOPOLOGY


@pytest.mark.parametrize(
    "options, message",
    [
        ({"addresses": ["172.17.0.1:2376"]}, "option addresses.*without a port.*or the word gateways"),
        ({"addresses": ["172.17.0.0/16"]}, "without a port"),
        ({"addresses": ["0.0.0.0"]}, "gateways of bridge networks, or loopback, found '0.0.0.0'"),
        ({"addresses": ["::"]}, "'::'"),
        ({"addresses": ["224.0.0.1"]}, "224.0.0.1"),
        ({"addresses": ["fe80::1"]}, "fe80::1"),
        ({"host_addresses": ["fe80::1"]}, "fe80::1"),
        ({"host_addresses": ["::ffff:192.0.2.1"]}, "single addresses of this host, found '::ffff:192.0.2.1'"),
        ({"host_addresses": ["gateways"]}, "option host_addresses: expected IP addresses"),
        ({"host_addresses": ["0.0.0.0"]}, "single addresses of this host, found '0.0.0.0'"),
        ({"host_addresses": ["127.0.0.1"]}, "that other hosts can reach, found '127.0.0.1'"),
        (
            {"host_addresses": ["192.0.2.1"], "transports": ["unix"]},
            "expected transport tls.*found transports unix",
        ),
        ({"transports": []}, "expected tls, unix or both, found an empty list"),
        ({"port": 0}, "option port: expected a TCP port, 1 to 65535, found 0"),
        ({"port": 65536}, "1 to 65535"),
        ({"insecure_plaintext_port": 0}, "option insecure_plaintext_port.*1 to 65535"),
        ({"insecure_plaintext_port": 65536}, "1 to 65535"),
        ({"insecure_plaintext_port": 2376}, "another port than that of TLS"),
        ({"directory": "etc/wormhole"}, "option directory: expected an absolute path"),
        ({"unix_directory": "run/wormhole"}, "option unix_directory: expected an absolute path"),
        ({"unix_directory": "/run/"}, "a directory of its own"),
        ({"unix_directory": "/var/run"}, "a directory of its own"),
        ({"unix_directory": "/"}, "a directory of its own"),
    ],
)
def test_bad_options_are_refused(options, message):
    assert parse_spec() == ListenerSpec()
    with pytest.raises(InvalidInput, match=message):
        parse_spec(**options)


def test_options_are_taken_over_canonically_and_once():
    assert parse_spec(
        state="absent",
        transports=["unix", "tls", "unix"],
        addresses=["FD00:0::1", "gateways", "fd00::1", "169.254.33.1"],
        host_addresses=["192.0.2.1", "192.0.2.1"],
        port=12376,
        directory="/srv/tls/",
        unix_directory="/srv/run/",
        insecure_plaintext_port=2375,
        existing_listeners="adopt",
        live_restore=False,
        firewall="ignore",
        material_changed=True,
        running_containers="refuse",
    ) == ListenerSpec(
        present=False,
        transports=("unix", "tls"),
        addresses=("fd00::1", EVERY_GATEWAY, "169.254.33.1"),
        host_addresses=("192.0.2.1",),
        port=12376,
        directory="/srv/tls",
        unix_directory="/srv/run",
        insecure_plaintext_port=2375,
        adopt=True,
        live_restore=False,
        open_firewall=False,
        material_changed=True,
        interrupt_containers=False,
    )


def test_there_is_an_additional_unix_socket_only_where_that_transport_is_asked_for():
    assert ListenerSpec().unix_socket == ""
    assert ListenerSpec(transports=("tls", "unix")).unix_socket == "/run/wormhole/docker.sock"
    assert [ListenerSpec(transports=which).tls for which in (("tls",), ("unix",), ("unix", "tls"))] == [
        True,
        False,
        True,
    ]


def test_the_keys_name_the_files_of_the_directory_that_was_given():
    assert wanted_keys(ListenerSpec(directory="/srv/tls")) == {
        "tlsverify": True,
        "tlscacert": "/srv/tls/ca.pem",
        "tlscert": "/srv/tls/cert.pem",
        "tlskey": "/srv/tls/key.pem",
    }


def test_endpoints_are_written_as_systemd_and_urls_write_them():
    assert render_endpoint("172.17.0.1", 2376) == "172.17.0.1:2376"
    assert render_endpoint("fd00::1", 2376) == "[fd00::1]:2376"


def test_a_unit_that_has_no_file_has_no_text():
    state = ListenerState(
        TOPOLOGY,
        foreign_sockets={
            "a.socket": ForeignSocket((("::", 1),), (("::", 2),)),
            "b.socket": ForeignSocket((("::", 3),)),
        },
    )
    assert state.unit("x.socket") == UnitState()
    assert state.foreign_endpoints == {("::", 1), ("::", 2), ("::", 3)}
