# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The guard finds every way in which dockerd's TCP sockets would not demand our client certificates."""

from __future__ import annotations

import io
import json
import os
import sys

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._listener.io import guard_program

STOCK = "/usr/sbin/dockerd -H fd:// --containerd=/run/containerd/containerd.sock $DOCKER_OPTS"
SHOWN = "{{ path=/usr/sbin/dockerd ; argv[]={} ; ignore_errors=no ; start_time=[n/a] ; stop_time=[n/a] ; pid=0 }}\n"


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Return a directory with daemon.json and the files that it names."""
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("x")
    monkeypatch.setattr(guard_program, "DEFAULT_CONFIG", str(tmp_path / "daemon.json"))
    (tmp_path / "daemon.json").write_text(json.dumps(keys(tmp_path)))
    return tmp_path


def paths(host):
    return tuple(str(host / name) for name in ("ca.pem", "cert.pem", "key.pem"))


def keys(host):
    return {"tlsverify": True, **dict(zip(guard_program.FILES, paths(host)))}


def problem(host, command=STOCK, **environment):
    return guard_program.find_problem(command, environment, paths(host))


def test_a_configuration_with_our_keys_is_safe(host):
    assert problem(host) == ""
    assert problem(host, DOCKER_OPTS="--debug") == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "tlsverify"),
        ("{}", "tlsverify"),
        ("[]", "not a JSON object"),
        ("{,", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        ('{"tlsverify": false}', "tlsverify"),
        ('{"tlsverify": "true"}', "tlsverify"),
        ('{"tlsverify": true}', "tlscacert"),
        ('{"tlsverify": true, "tlsverify": false}', "twice"),
        ('{"tlsverify": true, "TLSVerify": false}', "twice"),
    ],
)
def test_a_configuration_without_our_keys_is_not(host, text, words):
    (host / "daemon.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in problem(host)


@pytest.mark.parametrize("key", guard_program.FILES)
def test_each_key_must_name_our_file(host, key):
    config = keys(host)
    for changed in ({**config, key: "/etc/theirs.pem"}, {k: v for k, v in config.items() if k != key}):
        (host / "daemon.json").write_text(json.dumps(changed))
        assert f"does not set {key} to {config[key]}" in problem(host)


@pytest.mark.parametrize("name", ["ca.pem", "cert.pem", "key.pem", "daemon.json"])
def test_each_file_must_exist(host, name):
    (host / name).unlink()
    assert f"{host / name}" in problem(host)
    assert "not exist" in problem(host)
    (host / name).mkdir()
    assert "not exist" in problem(host)


@pytest.mark.parametrize(
    ("command", "environment"),
    [
        ("dockerd -H fd:// --config-file {}", {}),
        ("dockerd --config-file={} -H fd://", {}),
        ('dockerd --config-file="{}"', {}),
        ("dockerd --config-file=/etc/docker/first.json --config-file {}", {}),
        ("dockerd $OPTIONS", {"OPTIONS": "--config-file {}"}),
        ("dockerd --config-file=${{CONFIG}}", {"CONFIG": "{}"}),
    ],
)
def test_the_file_that_the_command_line_names_counts(host, command, environment):
    other = host / "engine.json"
    environment = {name: value.format(other) for name, value in environment.items()}
    assert str(other) in problem(host, command.format(other), **environment)
    other.write_text("{}")
    assert f"{other} does not set tlsverify" in problem(host, command.format(other), **environment)
    (host / "daemon.json").rename(other)
    assert problem(host, command.format(other), **environment) == ""


def test_tls_options_on_the_command_line_are_not_safe(host):
    assert "--tlsverify=false" in problem(host, "dockerd -H fd:// --tlsverify=false")
    assert "--tls=false" in problem(host, STOCK, DOCKER_OPTS="--tls=false")


@pytest.mark.parametrize(
    "label", ["a=b", "a=b ; ignore_errors=no", "x ; ignore_errors=no ; start_time=[n/a] --debug"]
)
def test_the_whole_command_line_is_read(label):
    command = f"dockerd --label {label} --config-file=/etc/other.json"
    assert guard_program.parse_command(SHOWN.format(command)) == command


def test_the_exit_status_and_the_record_tell_the_reason(host, monkeypatch, capsys):
    record = host / "closed"

    def run(shown, *arguments):
        monkeypatch.setattr(sys, "stdin", io.StringIO(shown))
        return guard_program.main([*arguments, *paths(host)])

    assert run(SHOWN.format(STOCK), str(record)) == 0
    assert not record.exists()
    (host / "daemon.json").write_text("{}")
    assert run(SHOWN.format(STOCK), str(record)) == 1
    assert "does not set tlsverify to true" in record.read_text()
    assert "provision" in capsys.readouterr().out
    (host / "daemon.json").write_text(json.dumps(keys(host)))
    assert run(SHOWN.format(STOCK), "-") == 0
    assert record.exists()
    assert run(SHOWN.format(STOCK), str(record)) == 0
    assert not record.exists()
    # Nothing is known about the command.
    for shown in ("", "\n", SHOWN.format(STOCK) * 2):
        assert run(shown, str(record)) == 1
        assert "cannot be checked" in record.read_text()


def test_what_is_no_regular_file_is_neither_awaited_nor_read_without_end(host, monkeypatch):
    path = host / "daemon.json"
    path.write_text(json.dumps(keys(host)))
    assert problem(host) == ""
    os.truncate(path, guard_program.LARGEST + 1)
    assert "daemon.json cannot be read: it is larger than 16777216 bytes" in problem(host)
    path.unlink()
    os.mkfifo(path)
    # As if it had been replaced after the first look.
    monkeypatch.setattr(guard_program.os.path, "isfile", lambda _path: True)
    assert "daemon.json cannot be read: it is not a regular file" in problem(host)


def test_only_a_real_start_completes_a_replacement(host, monkeypatch):
    done = []
    monkeypatch.setattr(guard_program, "complete", lambda *files: done.append(files))
    for record in ("-", str(host / "closed")):
        monkeypatch.setattr(sys, "stdin", io.StringIO(SHOWN.format(STOCK)))
        assert guard_program.main([record, *paths(host)]) == 0
    assert done == [(str(host / "cert.pem"), str(host / "key.pem"))]
