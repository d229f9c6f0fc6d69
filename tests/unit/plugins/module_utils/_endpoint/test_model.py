# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.names import (
    SubjectAlternativeName,
)
from ansible_collections.wormhole.docker.plugins.module_utils._endpoint.model import (
    EndpointSpec,
    as_san,
    find_in_hosts,
    match_san,
)

HOSTS = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
172.17.0.1\thost.docker.internal gateway.docker.internal  # added by Docker
#172.17.0.9 commented
not-an-address broken
"""


def sans(*texts):
    return tuple(SubjectAlternativeName(*text.split(":", 1)) for text in texts)


@pytest.mark.parametrize(
    ("names", "wanted", "expected"),
    [
        (["IP:172.17.0.1"], "172.17.0.1", "IP:172.17.0.1"),
        (["IP:172.17.0.1"], "172.17.0.10", None),
        (["IP:fd00::1"], "fd00:0:0::1", "IP:fd00::1"),
        (["IP:fe80::1"], "fe80::1%eth0", "IP:fe80::1"),
        # A client with an address ignores dNSName entries (docker SDK >= 7, Go, OpenSSL).
        (["DNS:172.17.0.1"], "172.17.0.1", None),
        (["DNS:localhost", "IP:127.0.0.1"], "LOCALHOST.", "DNS:localhost"),
        (["DNS:*.ci.example.com"], "a.ci.example.com", "DNS:*.ci.example.com"),
        (["DNS:*.ci.example.com"], "a.b.ci.example.com", None),
        (["DNS:*.ci.example.com"], "ci.example.com", None),
        (["DNS:*.com"], "example.com", None),
        (["DNS:a*.example.com"], "ab.example.com", None),
        (["URI:172.17.0.1"], "172.17.0.1", None),
        ([], "localhost", None),
    ],
)
def test_match_san(names, wanted, expected):
    found = match_san(sans(*names), wanted)
    assert (str(found) if found else None) == expected


@given(st.ip_addresses().map(str))
def test_as_san_returns_a_name_that_matches(address):
    assert match_san([as_san(address)], address) == as_san(address)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("host.docker.internal", ["172.17.0.1"]),
        ("HOST.docker.internal", ["172.17.0.1"]),
        ("localhost", ["127.0.0.1", "::1"]),
        ("commented", []),
        ("broken", []),
        ("172.17.0.1", []),
    ],
)
def test_find_in_hosts(name, expected):
    assert find_in_hosts(HOSTS, name) == expected


@pytest.mark.parametrize(
    "values",
    [
        {"address": ""},
        {"address": "tcp://172.17.0.1"},
        {"address": "172.17.0.1:2376"},
        {"address": "[fd00::1]"},
        {"address": "172.17.0.300"},
        {"address": "172.17.0"},
        {"address": "host name"},
        {"address": "-host"},
        {"address": "a" * 64},
        {"address": "172.17.0.1\r\nX: y"},
        {"server_name": "*.example.com"},
        {"port": 0},
        {"port": 65536},
        {"timeout": 0},
        {"timeout": float("nan")},
        {"timeout": 601},
        {"transport": "unix"},
        {"container_pid": -1},
        {"transport": "tcp", "directory": "/certs"},
    ],
)
def test_malformed_values_are_rejected(values):
    with pytest.raises(InvalidInput):
        EndpointSpec(**{"address": "172.17.0.1", **values})


@pytest.mark.parametrize(
    "address", ["172.17.0.1", "fd00::1", "fe80::1%eth0", "localhost", "host.docker.internal", "a_b"]
)
def test_addresses_and_names_are_accepted(address):
    assert EndpointSpec(address).verified_name == address


def test_texts_and_paths():
    assert EndpointSpec("fd00::1").text == "[fd00::1]:2376"
    assert EndpointSpec("host1", 1).text == "host1:1"
    assert EndpointSpec("host1", directory="/certs/").authority == "/certs/ca.pem"
    assert EndpointSpec("host1", directory="/certs", ca_file="/ca.pem").authority == "/ca.pem"
    assert EndpointSpec("host1").authority == ""
    assert EndpointSpec("host1", server_name="host2").verified_name == "host2"
