# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.errors import InvalidInput, WormholeError
from ansible_collections.wormhole.docker.plugins.module_utils._base.labels import LABEL_DISCOVER
from ansible_collections.wormhole.docker.plugins.module_utils._client.settings import (
    ClientSettings,
    parse_client_settings,
)
from ansible_collections.wormhole.docker.plugins.module_utils._container.inspection import running_pid

TLS_ENV = ("DOCKER_HOST=tcp://172.17.0.1:2376", "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=/certs")
CERTS = {"Type": "bind", "Source": "/etc/wormhole/clients/ci", "Destination": "/certs"}


def container(*env, mounts=(), **state):
    return {
        "Name": "/ci",
        "Config": {"Env": list(env)},
        "Mounts": list(mounts),
        "State": {"Running": True, "Pid": 42, "Status": "running", **state},
    }


@pytest.mark.parametrize(
    ("inspection", "expected"),
    [
        (
            container(*TLS_ENV, mounts=[CERTS]),
            ClientSettings("172.17.0.1", 2376, "tls", "/etc/wormhole/clients/ci"),
        ),
        (container("DOCKER_HOST=tcp://172.17.0.1:2375"), ClientSettings("172.17.0.1", 2375, "tcp", "")),
        (container("DOCKER_HOST=tcp://172.17.0.1"), ClientSettings("172.17.0.1", 2375, "tcp", "")),
        (container("DOCKER_HOST=tcp://h", "DOCKER_TLS_VERIFY=0"), ClientSettings("h", 2376, "tls", "")),
        (container("DOCKER_HOST=tcp://h", "DOCKER_TLS=1"), ClientSettings("h", 2376, "tls", "")),
        (container("DOCKER_HOST=tcp://h:1", "DOCKER_TLS_VERIFY="), ClientSettings("h", 1, "tcp", "")),
        (container("DOCKER_HOST=tcp://[fd00::1]:2376/"), ClientSettings("fd00::1", 2376, "tcp", "")),
        (container("DOCKER_HOST=tcp://[fd00::1]"), ClientSettings("fd00::1", 2375, "tcp", "")),
        # A certificate path alone is not used by clients.
        (container("DOCKER_HOST=tcp://h", "DOCKER_CERT_PATH=/certs"), ClientSettings("h", 2375, "tcp", "")),
        (container(), ClientSettings("", 0, "tls", "")),
        ({}, ClientSettings("", 0, "tls", "")),
    ],
)
def test_settings(inspection, expected):
    assert parse_client_settings(inspection) == expected


@pytest.mark.parametrize(
    ("path", "mounts", "expected"),
    [
        ("/certs/", [CERTS], "/etc/wormhole/clients/ci"),
        ("/certs/inner", [CERTS], "/etc/wormhole/clients/ci/inner"),
        ("/certs/../certs", [CERTS], "/etc/wormhole/clients/ci"),
        ("/certs", [{**CERTS, "Destination": "/"}, CERTS], "/etc/wormhole/clients/ci"),
        ("/certs", [CERTS, {**CERTS, "Destination": "/"}], "/etc/wormhole/clients/ci"),
        ("/certs", [{**CERTS, "Destination": "/", "Source": "/root"}], "/root/certs"),
        ("/certs", [], None),
        ("/certs2", [CERTS], None),
        ("/certs", [{"Type": "tmpfs", "Source": "", "Destination": "/certs"}], None),
        # The nearest mount hides those above it.
        ("/certs/a", [CERTS, {"Type": "tmpfs", "Source": "", "Destination": "/certs/a"}], None),
    ],
)
def test_directory_behind_the_certificate_path(path, mounts, expected):
    inspection = container(*TLS_ENV[:2], f"DOCKER_CERT_PATH={path}", mounts=mounts)
    if expected is None:
        with pytest.raises(InvalidInput, match="DOCKER_CERT_PATH"):
            parse_client_settings(inspection)
    else:
        assert parse_client_settings(inspection).directory == expected


def test_given_settings_take_precedence():
    inspection = container(
        "DOCKER_HOST=unix:///var/run/docker.sock", "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=/certs"
    )
    assert parse_client_settings(inspection, address="172.17.0.1", directory="/d") == ClientSettings(
        "172.17.0.1", 0, "tls", "/d"
    )


@pytest.mark.parametrize(
    "docker_host",
    [
        "unix:///var/run/docker.sock",
        "ssh://host",
        "tcp://",
        "tcp://:2376",
        "tcp://h:x",
        "tcp://[fd00::1]x",
        "npipe:////./pipe",
    ],
)
def test_docker_hosts_that_are_no_tcp_endpoint(docker_host):
    with pytest.raises(InvalidInput, match="container ci"):
        parse_client_settings(container(f"DOCKER_HOST={docker_host}"))


PROGRAM = ("/bin/sh", "/usr/local/lib/wormhole-docker/wormhole-discover", "--", "sleep")
AT_START = ("WORMHOLE_PORT=12376", "DOCKER_TLS_VERIFY=1", "DOCKER_CERT_PATH=/certs")


def discovering(*env, entrypoint=PROGRAM, labels=None, **more):
    found = container(*env, **more)
    found["Config"].update(Entrypoint=list(entrypoint), Labels=labels)
    return found


@pytest.mark.parametrize(
    ("inspection", "expected"),
    [
        (discovering(*AT_START, mounts=[CERTS]), (12376, "tls", CERTS["Source"])),
        (discovering("WORMHOLE_PORT=12375", "WORMHOLE_INSECURE_PLAINTEXT=true"), (12375, "tcp", "")),
        (discovering("WORMHOLE_INSECURE_PLAINTEXT=true"), (2375, "tcp", "")),
        (discovering("WORMHOLE_INSECURE_PLAINTEXT=false", mounts=[CERTS]), (2376, "tls", CERTS["Source"])),
        # The program's defaults in a user's own image, whose DOCKER_HOST it replaces.
        (
            discovering("DOCKER_HOST=tcp://image:1", entrypoint=["wormhole-discover"], mounts=[CERTS]),
            (2376, "tls", CERTS["Source"]),
        ),
        (
            discovering("WORMHOLE_CERT_PATH=/certs/own", *AT_START, mounts=[CERTS]),
            (12376, "tls", f"{CERTS['Source']}/own"),
        ),
        # Another tool has installed the program at another path.
        (
            discovering(*AT_START, mounts=[CERTS], entrypoint=(), labels={LABEL_DISCOVER: "runtime"}),
            (12376, "tls", CERTS["Source"]),
        ),
    ],
)
def test_settings_of_a_container_that_discovers_its_engine(inspection, expected):
    assert parse_client_settings(inspection) == ClientSettings("", *expected, discovers=True)


def test_given_settings_take_precedence_over_discovered_ones():
    found = parse_client_settings(discovering(*AT_START), address="172.17.0.1", directory="/d")
    assert found == ClientSettings("172.17.0.1", 12376, "tls", "/d", discovers=True)


def test_missing_certificates_are_an_error():
    with pytest.raises(InvalidInput, match="DOCKER_CERT_PATH=/certs"):
        parse_client_settings(discovering("WORMHOLE_PORT=2376"))


def test_pid():
    assert running_pid(container()) == 42


@pytest.mark.parametrize(
    "state", [{"Running": False, "Pid": 0, "Status": "exited"}, {"Pid": 0, "Status": "created"}]
)
def test_no_pid_of_a_container_that_does_not_run(state):
    with pytest.raises(WormholeError, match=state["Status"]):
        running_pid(container(**state))
