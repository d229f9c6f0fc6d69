# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._core import engine_command
from ansible_collections.wormhole.docker.plugins.module_utils._core.engine_command import EngineCommand

VENDOR = (
    "/usr/lib/systemd/system/docker.service",
    "[Service]\nExecStart=/usr/sbin/dockerd -H fd:// $DOCKER_OPTS\n",
)
ADMIN = (
    "/etc/systemd/system/docker.service.d/admin.conf",
    "[Unit]\nExecStart=no\n[Service]\nExecStart=\nExecStart=/usr/sbin/dockerd \\\n  -H tcp://0.0.0.0:2376 \\\n  --debug\n",
)
LIMITS = ("/etc/systemd/system/docker.service.d/limits.conf", "[Service]\nLimitNOFILE=1\n")
OURS = "/etc/systemd/system/docker.service.d/zz-wormhole-docker.conf"


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
    ],
)
def test_what_dockerd_listens_on_is_read_from_its_options(line, expected):
    assert engine_command.hosts_of(line) == expected
    assert engine_command.takes_systemd_sockets(line) is ("fd://" in expected)
    assert engine_command.listens_otherwise(line) == tuple(host for host in expected if host != "fd://")


@pytest.mark.parametrize(
    "line, expected",
    [
        ("dockerd -H fd://", ()),
        ("dockerd --tls --tlsverify=true --tlscert /x", ("--tls", "--tlsverify", "--tlscert")),
        ("dockerd --label=--tls", ()),
    ],
)
def test_options_about_tls_are_found(line, expected):
    assert engine_command.tls_options_of(line) == expected


@pytest.mark.parametrize(
    "line, found",
    [
        ("dockerd --live-restore", True),
        ("dockerd --live-restore=false -D", True),
        ("dockerd -D --live-restore -H fd://", True),
        ("dockerd --live-restore-x", False),
        ("dockerd --x--live-restore", False),
    ],
)
def test_an_option_is_found_with_and_without_a_value(line, found):
    assert engine_command.has_option(line, "--live-restore") is found


def test_the_last_line_counts_and_continued_lines_are_one():
    command = engine_command.parse_files([VENDOR, ADMIN, LIMITS], "dockerd --debug")
    assert command.configured.split() == ["/usr/sbin/dockerd", "-H", "tcp://0.0.0.0:2376", "--debug"]
    assert (command.source, command.drop_ins, command.running) == (
        ADMIN[0],
        (ADMIN[0], LIMITS[0]),
        "dockerd --debug",
    )
    assert (command.override_path, command.override_text) == ("", "")
    assert engine_command.parse_files([VENDOR, LIMITS], "").source == VENDOR[0]


def test_our_drop_in_does_not_count_as_how_dockerd_is_configured():
    without = engine_command.parse_files([VENDOR, ADMIN], "dockerd")
    text = engine_command.render_override(without)
    command = engine_command.parse_files([VENDOR, ADMIN, (OURS, text)], "dockerd")
    assert (command.override_path, command.override_text) == (OURS, text)
    assert (command.configured, command.source, command.drop_ins) == (
        without.configured,
        without.source,
        without.drop_ins,
    )


@pytest.mark.parametrize(
    "path, ours",
    [
        (OURS, True),
        ("/etc/systemd/system/docker.service.d/zzzz-wormhole-docker.conf", True),
        ("/run/systemd/system/docker.service.d/zz-wormhole-docker.conf", False),
        ("/etc/systemd/system/docker.service.d/az-wormhole-docker.conf", False),
        ("/etc/systemd/system/docker.service.d/wormhole-docker.conf", False),
    ],
)
def test_our_drop_in_is_known_by_its_name(path, ours):
    assert engine_command.is_override(path) is ours


@pytest.mark.parametrize(
    "configured, expected",
    [
        ("/usr/sbin/dockerd -H tcp://0.0.0.0:2376 --debug", "/usr/sbin/dockerd -H fd:// --debug"),
        ("/usr/sbin/dockerd --host=tcp://[::]:2376 -H fd:// $OPTS", "/usr/sbin/dockerd -H fd:// $OPTS"),
        ('/usr/sbin/dockerd --debug -H "unix:///x y"', "/usr/sbin/dockerd -H fd:// --debug"),
        ("/usr/sbin/dockerd", "/usr/sbin/dockerd -H fd://"),
        (
            "/usr/sbin/dockerd --host-gateway-ip 10.0.0.1 -H tcp://10.0.0.1:2376",
            "/usr/sbin/dockerd -H fd:// --host-gateway-ip 10.0.0.1",
        ),
    ],
)
def test_our_drop_in_keeps_every_option_but_hosts(configured, expected):
    text = engine_command.render_override(EngineCommand(configured=configured, source=ADMIN[0]))
    lines = text.splitlines()
    assert lines[lines.index("[Service]") :] == ["[Service]", "ExecStart=", f"ExecStart={expected}"]
    assert ADMIN[0] in lines[1]


words = st.text("abcxyzABCZ019._-", min_size=1, max_size=8)


@given(
    st.lists(st.tuples(st.sampled_from(["/etc", "/run", "/usr/lib"]), words | words.map(lambda w: "zzz" + w)))
)
def test_our_drop_in_is_read_last(drop_ins):
    paths = tuple(f"{root}/systemd/system/docker.service.d/{name}.conf" for root, name in drop_ins)
    ours = engine_command.override_path(EngineCommand(drop_ins=paths))
    assert engine_command.is_override(ours)
    names = [path.rpartition("/")[2] for path in (*paths, ours)]
    assert max(names) == names[-1]
    assert names.count(names[-1]) == 1
