# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._client.interference import (
    diagnose_environment,
    find_interference,
    interference_warnings,
)

IPV4, IPV6, LOOPBACK = "tcp://172.17.0.1:2376", "tcp://[fd00::1]:2376", "tcp://127.0.0.1:2376"
UNIX, NAME = "unix:///var/run/docker.sock", "tcp://host.docker.internal:2376"
PROXY = "HTTPS_PROXY=http://user:s3cret@proxy.example.org:3128"
SOCKS = "ALL_PROXY=socks5://proxy.example.org:1080"
ALL, NODE = "ALL_PROXY=http://proxy.example.org:3128", "NODE_USE_ENV_PROXY=1"
CLI, SDK, JS = "Docker's CLI and Compose", "the Docker SDK for Python", "Docker clients of Node.js"


@pytest.mark.parametrize(
    "variables, docker_host, tls, clients",
    [
        ([PROXY], IPV4, True, [CLI, SDK]),
        (["https_proxy=x"], IPV4, True, [CLI, SDK]),
        (["HTTP_PROXY=x"], IPV4, False, [CLI, SDK]),
        ([PROXY], IPV6, True, [CLI, SDK]),
        ([PROXY, "NO_PROXY="], IPV4, True, [CLI, SDK]),
        ([PROXY, "NO_PROXY=localhost,127.0.0.1,.example.org"], IPV4, True, [CLI, SDK]),
        ([PROXY, "NO_PROXY=172.17.0.2, 172.18.0.0/16"], IPV4, True, [CLI, SDK]),
        ([PROXY, "NO_PROXY=172.17.0.10"], IPV4, True, [CLI, SDK]),
        ([PROXY, "NO_PROXY=]fd00::2,[,fd00::1:2376"], IPV6, True, [CLI, SDK]),
        # The first one that is set counts.
        ([PROXY, "NO_PROXY=x", "no_proxy=*"], IPV4, True, [CLI, SDK]),
        ([PROXY, "NO_PROXY=[fd00::1]"], IPV6, True, [CLI, SDK]),
        # Only Go reads a port, and a range of IPv6; it never uses a proxy for loopback.
        ([PROXY, "NO_PROXY=172.17.0.1:2376"], IPV4, True, [SDK]),
        ([PROXY, "NO_PROXY=[fd00::1]:2376"], IPV6, True, [SDK]),
        ([PROXY, "NO_PROXY=fd00::/8"], IPV6, True, [SDK]),
        ([PROXY], LOOPBACK, True, [SDK]),
        # Only requests reads ALL_PROXY as one of its proxies.
        ([SOCKS], IPV4, True, [SDK]),
        ([SOCKS.lower()], IPV4, False, [SDK]),
        ([PROXY, NODE], IPV4, True, [CLI, SDK, JS]),
        ([PROXY, NODE, "NO_PROXY=172.16.0.0/12"], IPV4, True, [JS]),
        ([PROXY, NODE, "NO_PROXY=127.0.0.0/8"], LOOPBACK, True, [JS]),
    ],
)
def test_a_proxy_is_reported_with_the_clients_that_use_it(variables, docker_host, tls, clients):
    (found,) = find_interference(variables, docker_host, tls=tls)
    name, address = variables[0].partition("=")[0], docker_host[6:].rpartition(":")[0].strip("[]")
    assert found.problem == f"{name} sends {' and '.join(clients)} to a proxy instead of {address}"
    assert found.remedy == f"Add {address} to NO_PROXY in env"


@pytest.mark.parametrize(
    "variables, docker_host, tls",
    [
        ([], IPV4, True),
        (["HTTPS_PROXY="], IPV4, True),
        (["HTTPS_PROXY"], IPV4, True),
        (["HTTP_PROXY=x"], IPV4, True),
        ([PROXY], IPV4, False),
        ([PROXY], "", True),
        ([PROXY, "NO_PROXY=a, 172.17.0.1"], IPV4, True),
        ([PROXY, "no_proxy=172.16.0.0/12"], IPV4, True),
        ([PROXY, "NO_PROXY=*"], IPV4, True),
        ([PROXY, "NO_PROXY=fd00::1"], IPV6, True),
        ([PROXY, "NO_PROXY=127.0.0.1"], LOOPBACK, True),
        ([PROXY], NAME, True),
        ([SOCKS, "NO_PROXY=172.17.0.1"], IPV4, True),
        ([PROXY, NODE, "NO_PROXY=172.16.0.0/12,172.17.0.1"], IPV4, True),
        ([PROXY, "NODE_USE_ENV_PROXY=0", "NO_PROXY=172.16.0.0/12"], IPV4, True),
        (["ALL_PROXY="], IPV4, True),
        (["REQUESTS_CA_BUNDLE=", "CURL_CA_BUNDLE", "NODE_TLS_REJECT_UNAUTHORIZED=1"], IPV4, True),
        (["REQUESTS_CA_BUNDLE=/certs/ca.pem", "DOCKER_CERT_PATH=/certs"], IPV4, True),
        # Plaintext verifies nothing, and a socket needs neither a proxy nor trust.
        (["REQUESTS_CA_BUNDLE=/ca.pem", "NODE_TLS_REJECT_UNAUTHORIZED=0"], IPV4, False),
        ([ALL, PROXY, "REQUESTS_CA_BUNDLE=/ca.pem", "NODE_TLS_REJECT_UNAUTHORIZED=0"], UNIX, False),
    ],
)
def test_direct_and_verified_connections_cause_no_warning(variables, docker_host, tls):
    assert find_interference(variables, docker_host, tls=tls) == ()
    assert diagnose_environment(variables, docker_host, tls=tls).remedy == ""


@pytest.mark.parametrize("name", ["ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("docker_host, tls", [(IPV4, True), (IPV6, False), (NAME, True), (LOOPBACK, True)])
@pytest.mark.parametrize("value", ["http://proxy.example.org:3128", "https://p", "proxy.example.org"])
def test_all_proxy_stops_the_cli_whatever_the_exceptions(name, docker_host, tls, value):
    (text,) = interference_warnings("agent", [f"{name}={value}", "NO_PROXY=*"], docker_host, tls=tls)
    assert text.startswith(f"container agent: with {name}, Docker's CLI and Compose reject every engine")
    assert f"Set {name} to an empty string in env" in text


@pytest.mark.parametrize(
    "variable, clients",
    [
        ("REQUESTS_CA_BUNDLE", "SDK for Python"),
        ("CURL_CA_BUNDLE", "SDK for Python"),
        ("NODE_TLS_REJECT_UNAUTHORIZED", "Node.js"),
    ],
)
def test_a_variable_that_replaces_the_trust_is_reported(variable, clients):
    value = "0" if variable.startswith("NODE") else "/etc/ssl/certs/ca-certificates.crt"
    (text,) = interference_warnings("agent", [f"{variable}={value}"], IPV4, tls=True)
    assert text.startswith("container agent: ")
    assert variable in text
    assert clients in text


def test_the_layer_has_all_problems_and_remedies_and_no_secret():
    layer = diagnose_environment([PROXY, ALL, "CURL_CA_BUNDLE=/ca"], IPV4, tls=True)
    assert (layer.name, layer.ok, layer.warns) == ("environment", True, True)
    for word in ("HTTPS_PROXY sends", "with ALL_PROXY", "by CURL_CA_BUNDLE"):
        assert word in layer.text
    assert layer.remedy.count("in env") == 2
    assert "s3cret" not in layer.text + layer.remedy
