# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._listener.model import ListenerState, UnitState
from ansible_collections.wormhole.docker.plugins.module_utils._listener.spec import (
    EVERY_GATEWAY,
    ListenerSpec,
    parse_spec,
    tls_keys,
)
from ansible_collections.wormhole.docker.plugins.module_utils._listener.unmanaged_sockets import (
    UnmanagedSocket,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.module_utils._listener.facts import TOPOLOGY


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"addresses": ["172.17.0.1:2376"]},
            "addresses lists '172.17.0.1:2376'.*without a port.*or the word gateways",
        ),
        ({"addresses": ["172.17.0.0/16"]}, "without a port"),
        ({"addresses": ["0.0.0.0"]}, "addresses lists '0.0.0.0'.*gateways of bridge networks, or loopback"),
        ({"addresses": ["::"]}, "'::'"),
        ({"addresses": ["224.0.0.1"]}, "224.0.0.1"),
        ({"addresses": ["fe80::1"]}, "fe80::1"),
        ({"host_addresses": ["fe80::1"]}, "fe80::1"),
        ({"host_addresses": ["::ffff:192.0.2.1"]}, "lists '::ffff:192.0.2.1'.*single addresses of this host"),
        ({"host_addresses": ["gateways"]}, "host_addresses lists 'gateways', which is not an IP address"),
        ({"host_addresses": ["0.0.0.0"]}, "host_addresses lists '0.0.0.0'.*single addresses of this host"),
        ({"host_addresses": ["127.0.0.1"]}, "lists '127.0.0.1', which other hosts cannot reach"),
        (
            {"host_addresses": ["192.0.2.1"], "transports": ["unix"]},
            "host_addresses requires transport tls",
        ),
        ({"transports": []}, "transports is an empty list. List tls, unix or both"),
        ({"port": 0}, "port is 0, which is not a TCP port.*1 to 65535"),
        ({"port": 65536}, "from 1 to 65535"),
        ({"insecure_plaintext_port": 0}, "insecure_plaintext_port is 0.*1 to 65535"),
        ({"insecure_plaintext_port": 65536}, "from 1 to 65535"),
        ({"insecure_plaintext_port": 2376}, "2376, which is the port of TLS"),
        ({"directory": "etc/wormhole"}, "directory is 'etc/wormhole', which is not an absolute path"),
        (
            {"unix_directory": "run/wormhole"},
            "unix_directory is 'run/wormhole', which is not an absolute path",
        ),
        ({"unix_directory": "/run/"}, "a directory of its own"),
        ({"unix_directory": "/var/run"}, "a directory of its own"),
        ({"unix_directory": "/"}, "a directory of its own"),
        (
            {"served_by": "gate", "transports": ["unix"]},
            "served_by is gate, which requires transport tls.*Add tls to transports, or remove served_by",
        ),
        (
            {"served_by": "gate", "insecure_plaintext_port": 2375},
            "insecure_plaintext_port is set, but served_by is gate.*around their policies",
        ),
    ],
)
def test_malformed_options_are_rejected(options, message):
    assert parse_spec({}) == ListenerSpec()
    with pytest.raises(InvalidInput, match=message):
        parse_spec(options)


def test_options_are_normalized_and_deduplicated():
    assert parse_spec(
        {
            "state": "absent",
            "transports": ["unix", "tls", "unix"],
            "addresses": ["FD00:0::1", "gateways", "fd00::1", "169.254.33.1"],
            "host_addresses": ["192.0.2.1", "192.0.2.1"],
            "port": 12376,
            "directory": "/srv/tls/",
            "unix_directory": "/srv/run/",
            "insecure_plaintext_port": 2375,
            "existing_listeners": "adopt",
            "live_restore": False,
            "firewall": "ignore",
            "material_changed": True,
            "running_containers": "refuse",
        }
    ) == ListenerSpec(
        state="absent",
        transports=("unix", "tls"),
        addresses=("fd00::1", EVERY_GATEWAY, "169.254.33.1"),
        host_addresses=("192.0.2.1",),
        port=12376,
        directory="/srv/tls",
        unix_directory="/srv/run",
        insecure_plaintext_port=2375,
        existing_listeners="adopt",
        live_restore=False,
        firewall="ignore",
        material_changed=True,
        running_containers="refuse",
    )


def test_the_additional_unix_socket_needs_its_transport():
    assert ListenerSpec().unix_socket == ""
    assert ListenerSpec(transports=("tls", "unix")).unix_socket == "/run/wormhole/docker.sock"
    assert [ListenerSpec(transports=which).tls for which in (("tls",), ("unix",), ("unix", "tls"))] == [
        True,
        False,
        True,
    ]


def test_the_tls_keys_name_the_files_of_the_directory():
    assert tls_keys(ListenerSpec(directory="/srv/tls")) == {
        "tlsverify": True,
        "tlscacert": "/srv/tls/ca.pem",
        "tlscert": "/srv/tls/cert.pem",
        "tlskey": "/srv/tls/key.pem",
    }


def test_a_unit_without_a_file_has_no_text():
    state = ListenerState(
        TOPOLOGY,
        unmanaged_sockets={
            "a.socket": UnmanagedSocket((("::", 1),), (("::", 2),)),
            "b.socket": UnmanagedSocket((("::", 3),)),
        },
    )
    assert state.unit("x.socket") == UnitState()
    assert state.unmanaged_endpoints == {("::", 1), ("::", 2), ("::", 3)}
