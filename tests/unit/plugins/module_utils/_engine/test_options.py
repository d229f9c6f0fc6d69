# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._base.systemd_words import split
from ansible_collections.wormhole.docker.plugins.module_utils._engine import options


def words(line):
    return [word.text for word in split(line)]


@pytest.mark.parametrize(
    "line, expected",
    [
        ("dockerd", ()),
        ("/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock", ("fd://",)),
        ("dockerd -Hfd://", ("fd://",)),
        ("dockerd -H=fd://", ("fd://",)),
        ("dockerd --host fd://", ("fd://",)),
        ("dockerd --host=tcp://0.0.0.0:2375 --host=fd://", ("tcp://0.0.0.0:2375", "fd://")),
        ("dockerd -H \"tcp://[::]:2375\" -H 'fd://'", ("tcp://[::]:2375", "fd://")),
        ("dockerd --host-gateway-ip=10.0.0.1 -H fd://", ("fd://",)),
        ("dockerd --host-gateway-ip 10.0.0.1 -H fd://", ("fd://",)),
        ("dockerd --data-root=/srv/x-H -H fd://", ("fd://",)),
        ("dockerd -DH tcp://0.0.0.0:2375 -H fd://", ("tcp://0.0.0.0:2375", "fd://")),
        ("dockerd -DHfd:// -l warn", ("fd://",)),
        ("dockerd -lwarn -H fd:// -- -H tcp://x", ("fd://",)),
        ("dockerd -D=true --label -H fd://", ("fd://",)),
    ],
)
def test_what_dockerd_listens_on_is_read_from_its_options(line, expected):
    assert options.hosts_of(words(line)) == expected
    assert options.takes_systemd_sockets(words(line)) is ("fd://" in expected)
    assert options.listens_otherwise(words(line)) == tuple(host for host in expected if host != "fd://")


@pytest.mark.parametrize(
    "line, expected",
    [
        ("dockerd -H fd://", ()),
        ("dockerd --tls --tlsverify=true --tlscert /x", ("--tls", "--tlsverify=true", "--tlscert=/x")),
        ("dockerd --label=--tls", ()),
    ],
)
def test_options_about_tls_are_found(line, expected):
    assert options.tls_options_of(words(line)) == expected


@pytest.mark.parametrize(
    "line, path",
    [
        ("dockerd", "/etc/docker/daemon.json"),
        ("dockerd --config-file=/etc/docker/engine.json", "/etc/docker/engine.json"),
        ("dockerd --config-file /a.json -D --config-file /b.json", "/b.json"),
        ("dockerd --config-file srv/../engine.json", "/engine.json"),
        ("dockerd --config-file=", ""),
        ("dockerd --config-file-x=/y", "/etc/docker/daemon.json"),
    ],
)
def test_the_configuration_file_is_that_of_the_last_option(line, path):
    assert options.config_file(words(line)) == path


@pytest.mark.parametrize(
    "line, keys",
    [
        ("dockerd", {}),
        ("dockerd -H fd:// --host tcp://x", {"hosts": ["fd://", "tcp://x"]}),
        ("dockerd --live-restore", {"live-restore": True}),
        ("dockerd --live-restore=false -D", {"live-restore": False, "debug": True}),
        ("dockerd --live-restore-x", {"live-restore-x": True}),
        ("dockerd --tls=F --tlsverify=True", {"tls": False, "tlsverify": True}),
        (
            "dockerd --bip 10.1.0.1/24 -b br0 -g /srv",
            {"bip": "10.1.0.1/24", "bridge": "br0", "data-root": "/srv"},
        ),
        ("dockerd --config-file /x", {}),
    ],
)
def test_options_stand_for_keys_of_the_configuration(line, keys):
    assert options.config_keys(words(line)) == keys


@pytest.mark.parametrize(
    "line, left",
    [
        ("dockerd -H fd:// -D", ["dockerd", "-D"]),
        ("dockerd -DH x -l warn", ["dockerd", "-D", "-l", "warn"]),
        ("dockerd --host=x", ["dockerd"]),
    ],
)
def test_an_option_is_removed(line, left):
    assert options.without_options(words(line), words(line), "host") == left
