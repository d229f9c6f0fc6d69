# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.wormhole.docker.plugins.module_utils._engine import command as engine_command
from ansible_collections.wormhole.docker.plugins.module_utils._engine import options
from ansible_collections.wormhole.docker.plugins.module_utils._engine.command import EngineCommand

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


VARIABLES = (
    "/etc/systemd/system/docker.service.d/variables.conf",
    "[Service]\nEnvironment=DOCKER_OPTS=--debug LEVEL=warn\nEnvironmentFile=-/etc/default/%p\n"
    "ExecStart=\nExecStart=/usr/sbin/dockerd -H fd:// --log-level=${LEVEL} $DOCKER_OPTS $UNKNOWN\n",
)


def parse(*unit_files, environment=""):
    asked = []

    def read(file):
        asked.append(file)
        return [("/etc/default/docker", environment)] if environment else []

    return engine_command.parse_files(unit_files, "", False, read), asked


def test_variables_of_the_command_line_are_expanded():
    command, asked = parse(VENDOR, VARIABLES)
    assert command.words == ("/usr/sbin/dockerd", "-H", "fd://", "--log-level=warn", "--debug")
    assert set(asked) == {engine_command.EnvironmentFile("/etc/default/docker", True)}
    assert command.missing == ()


def test_an_environment_file_beats_the_units_own_variables():
    text = "DOCKER_OPTS='--config-file /etc/docker/engine.json --tlsverify'\n"
    command, _asked = parse(VENDOR, VARIABLES, environment=text)
    assert command.config_file == "/etc/docker/engine.json"
    assert command.config_keys["tlsverify"] is True
    assert command.variable_sources == {"DOCKER_OPTS": "/etc/default/docker", "LEVEL": VARIABLES[0]}
    assert command.written_words[-2:] == ("-", "-")


def test_an_empty_value_discards_earlier_files_and_variables():
    reset = (
        "/etc/systemd/system/docker.service.d/z.conf",
        "[Service]\nEnvironment=\nEnvironmentFile=\nEnvironmentFile=/etc/other\n",
    )
    command, asked = parse(VENDOR, VARIABLES, reset)
    assert command.environment == {}
    assert {file.pattern for file in asked} == {"/etc/other"}
    assert command.missing == ("/etc/other",)


@pytest.mark.parametrize(
    "added",
    [
        "ExecStart=/usr/sbin/dockerd -D\n",
        "ExecStart=\n",
        'ExecStart=\nExecStart=/x "\n',
        "ExecStart=\nExecStart=/x ; /y\n",
    ],
)
def test_a_unit_that_systemd_does_not_load_has_no_command(added):
    drop_in = ("/etc/systemd/system/docker.service.d/x.conf", f"[Service]\n{added}")
    assert engine_command.parse_files([VENDOR, drop_in], "").configured == ""


@pytest.mark.parametrize(
    "line, words, dockerd",
    [
        ("-/usr/sbin/dockerd -D", ("/usr/sbin/dockerd", "-D"), True),
        ("@/usr/sbin/dockerd engine -D", ("/usr/sbin/dockerd", "engine", "-D"), True),
        ("!!/opt/docker/dockerd", ("/opt/docker/dockerd",), True),
        (":/usr/sbin/dockerd $X", ("/usr/sbin/dockerd", "$X"), True),
        ("/bin/sh -c 'exec dockerd'", ("/bin/sh", "-c", "exec dockerd"), False),
        ("/usr/local/bin/start-dockerd", ("/usr/local/bin/start-dockerd",), False),
    ],
)
def test_the_program_is_read_without_its_prefix(line, words, dockerd):
    command = EngineCommand(configured=line, environment={"X": "--debug"})
    assert command.words == words
    assert command.starts_dockerd is dockerd


def test_behind_another_program_the_running_dockerd_counts():
    command = EngineCommand("dockerd --config-file /x.json", "/usr/local/bin/start-dockerd")
    assert (command.config_file, command.running_config_file) == ("/x.json", "/x.json")


def test_our_drop_in_keeps_the_prefix_variables_and_quotes():
    line = '@/usr/sbin/dockerd engine --label="a b" -DH tcp://0.0.0.0:2376 $OPTS'
    text = engine_command.render_override(EngineCommand(configured=line), ["unix:///run/my docker.sock"])
    expected = '@/usr/sbin/dockerd engine -H fd:// -H "unix:///run/my docker.sock" --label="a b" -D $OPTS'
    assert text.endswith(f"ExecStart={expected}\n")
    command = EngineCommand(configured=line, override_path=OURS, override_text=text)
    assert engine_command.hosts_of_override(command) == ("unix:///run/my docker.sock",)


def test_our_drop_in_names_sockets_with_any_character():
    line = "/usr/sbin/dockerd -H unix:///srv/100%%b/$$x.sock"
    (host,) = options.listens_otherwise(EngineCommand(configured=line).words)
    assert host == "unix:///srv/100%b/$x.sock"
    text = engine_command.render_override(EngineCommand(configured=line), [host])
    assert "-H unix:///srv/100%%b/$$x.sock" in text
    command = EngineCommand(configured=line, override_path=OURS, override_text=text)
    assert engine_command.hosts_of_override(command) == (host,)
