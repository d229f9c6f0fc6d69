# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput
from ansible_collections.wormhole.docker.plugins.module_utils._client.search import (
    Candidate,
    certificate_directories,
    connection_options,
    from_environment,
    from_surroundings,
)


@pytest.mark.parametrize(
    "environment, docker_host, transport",
    [
        ({"DOCKER_HOST": "unix:///run/x.sock"}, "unix:///run/x.sock", "unix"),
        ({"DOCKER_HOST": "tcp://10.0.0.1:1", "DOCKER_TLS_VERIFY": "1"}, "tcp://10.0.0.1:1", "tls"),
        # To clients, any value means "verify".
        ({"DOCKER_HOST": "tcp://10.0.0.1", "DOCKER_TLS_VERIFY": "0"}, "tcp://10.0.0.1:2376", "tls"),
        ({"DOCKER_HOST": "tcp://[fd00::1]", "DOCKER_TLS": "1"}, "tcp://[fd00::1]:2376", "tls"),
        ({"DOCKER_HOST": "tcp://10.0.0.1", "DOCKER_TLS_VERIFY": ""}, "tcp://10.0.0.1:2375", "tcp"),
    ],
)
def test_the_environment_means_the_same_as_for_clients(environment, docker_host, transport):
    found = from_environment(environment, "/certs")
    assert (found.docker_host, found.transport) == (docker_host, transport)


def test_an_environment_without_address_names_nothing():
    assert from_environment({"DOCKER_TLS_VERIFY": "1"}, "/certs") is None


@pytest.mark.parametrize("docker_host", ["ssh://host", "unix://relative", "unix://", "tcp://", "nonsense"])
def test_unsupported_docker_hosts_are_rejected(docker_host):
    message = f"DOCKER_HOST={docker_host} is not of the form tcp://host:port or unix:///path"
    with pytest.raises(InvalidInput, match=message):
        from_environment({"DOCKER_HOST": docker_host}, "/certs")


def test_tls_requires_certificates():
    environment = {"DOCKER_HOST": "tcp://10.0.0.1", "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": "/nowhere"}
    with pytest.raises(InvalidInput, match="no ca.pem, cert.pem and key.pem are readable in /nowhere[.]"):
        from_environment(environment, "", ("/nowhere",))


@pytest.mark.parametrize(
    "environment, wanted, places",
    [
        ({"HOME": "/root"}, "", ("/root/.docker", "/certs")),
        ({}, "", ("/certs",)),
        ({"HOME": "/root", "DOCKER_CERT_PATH": "/c"}, "", ("/c",)),
        ({"HOME": "/root", "DOCKER_CERT_PATH": "/c"}, "/mine", ("/mine",)),
    ],
)
def test_certificates_are_where_they_are_said_to_be_or_looked_for(environment, wanted, places):
    assert certificate_directories(environment, wanted) == places


def test_sockets_come_first_and_plaintext_last_and_only_if_named():
    def order(directory, plaintext):
        found = from_surroundings(["/a", "/b"], ["10.0.0.1", "fd00::1"], directory, 2376, plaintext)
        return [candidate.docker_host for candidate in found]

    sockets, tls = ["unix:///a", "unix:///b"], ["tcp://10.0.0.1:2376", "tcp://[fd00::1]:2376"]
    assert order("", None) == sockets
    assert order("/certs", None) == sockets + tls
    assert order("/certs", 2375) == [*sockets, *tls, "tcp://10.0.0.1:2375", "tcp://[fd00::1]:2375"]


def test_modules_of_community_docker_get_their_options():
    assert connection_options(Candidate("", socket="/a")) == {"docker_host": "unix:///a"}
    assert connection_options(Candidate("", address="10.0.0.1", port=1, directory="/certs")) == {
        "docker_host": "tcp://10.0.0.1:1",
        "validate_certs": True,
        "ca_path": "/certs/ca.pem",
        "client_cert": "/certs/cert.pem",
        "client_key": "/certs/key.pem",
    }
