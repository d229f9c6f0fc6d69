# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run files/wormhole-discover under every installed shell.

The clients that would connect to an engine are fakes; the system tests use real ones.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

from ansible_collections.wormhole.docker.tests.unit.files.discover import (
    HEADING,
    PROGRAM,
    SHELLS,
    Container,
    ipv4_line,
    ipv6_line,
)

ROUTES = (
    HEADING
    + ipv4_line("0.0.0.0", "0.0.0.0", "10.1.2.1", flags=3)
    + ipv4_line("10.1.2.0", "255.255.255.0")
    + ipv4_line("10.1.3.0", "255.255.255.0", interface="eth1")
)
HOSTS = "172.17.0.1 host.docker.internal\n"
SETTLED = ["10.1.2.1", "172.17.0.1", "10.1.3.1"]
REFUSED = "error during connect: connection refused"
# Docker's client, with an engine at this address.
DOCKER = 'echo "$DOCKER_HOST" >>{log}; case $DOCKER_HOST in *://{address}:*) echo 26.1;; *) echo "{refused}" >&2; exit 1;; esac'
ENV = shutil.which("env")
SHELL = "/bin/sh"


@pytest.fixture(params=sorted(SHELLS))
def container(request, tmp_path):
    return Container(tmp_path, SHELLS[request.param], ipv4=ROUTES, hosts=HOSTS)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "log"


@pytest.fixture
def engine_at(container, log):
    """Put an engine at an address, and a Docker client into the container."""

    def put(address):
        container.tools["docker"] = DOCKER.format(log=log, address=address, refused=REFUSED)

    return put


def environment(done):
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("number", range(3))
def test_the_first_engine_that_answers_is_taken(container, engine_at, log, number):
    engine_at(SETTLED[number])
    container.settings["WORMHOLE_ATTEMPT_TIMEOUT"] = "20"
    begin = time.monotonic()
    found = environment(container.run(ENV))
    # The time limit of an attempt does not delay one that succeeds.
    assert time.monotonic() - begin < 10
    assert found["DOCKER_HOST"] == f"tcp://{SETTLED[number]}:2376"
    assert found["DOCKER_CERT_PATH"] == str(container.root / "certs")
    assert found["DOCKER_TLS_VERIFY"] == "1"
    assert log.read_text().split() == [f"tcp://{address}:2376" for address in SETTLED[: number + 1]]


def test_the_program_gets_its_environment_unchanged(container, engine_at):
    engine_at("10.1.2.1")
    # Names that a script is likely to use, and variables that must not contradict the address.
    given = {name: f"given {name}" for name in ("port", "line", "address", "IFACE", "status", "name", "x")}
    container.settings.update(given, DOCKER_CONTEXT="other", DOCKER_TLS="1", DOCKER_HOST="tcp://elsewhere:1")
    before = container.prepare()
    after = environment(container.run("--", ENV))
    added = {
        "DOCKER_HOST": "tcp://10.1.2.1:2376",
        "DOCKER_CERT_PATH": str(container.root / "certs"),
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CONTEXT": "default",
    }
    kept = {name: value for name, value in before.items() if name != "DOCKER_TLS"}
    of_the_shell = ("PWD", "OLDPWD", "SHLVL", "_")
    assert {name: value for name, value in after.items() if name not in of_the_shell} == {**kept, **added}


def as_first_process():
    """Let the caller adopt orphans, as the first process of a container does (prctl(2))."""
    ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)


def test_the_program_replaces_the_search(container, engine_at):
    """It has the same process ID, signals, standard input and exit code, and no other process."""
    engine_at("10.1.3.1")
    script = 'echo "$$ $#:$1"; cat; ps -o pid= --ppid $$ | wc -l; trap "exit 7" TERM; kill $$; sleep 5'
    process = subprocess.Popen(
        [*container.shell, str(PROGRAM), SHELL, "-c", f"PATH={os.environ['PATH']}; {script}", "x", "a  b*"],
        env=container.prepare(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=as_first_process,
    )
    said, _none = process.communicate("input\n", timeout=30)
    # ps itself and wc are the only children.
    assert said.split("\n")[:3] == [f"{process.pid} 1:a  b*", "input", "2"]
    assert process.returncode == 7


@pytest.mark.parametrize("code", [0, 3, 69])
def test_its_exit_code_is_kept(container, engine_at, code):
    engine_at("10.1.2.1")
    assert container.run(SHELL, "-c", f"exit {code}").returncode == code


def test_a_missing_program(container, engine_at):
    engine_at("10.1.2.1")
    assert container.run("/no/such/program").returncode == 127


def test_without_an_engine_one_message_lists_the_attempts_and_the_program_is_not_run(container, engine_at):
    engine_at("nowhere")
    done = container.run(SHELL, "-c", "echo ran")
    assert (done.returncode, done.stdout) == (69, "")
    assert done.stderr.count("wormhole-discover: ") == 1
    assert [line.strip() for line in done.stderr.splitlines()[1:4]] == [
        f"10.1.2.1 (default gateway of eth0): docker version: {REFUSED}",
        f"172.17.0.1 (host.docker.internal in /etc/hosts): docker version: {REFUSED}",
        f"10.1.3.1 (first address of the network of eth1): docker version: {REFUSED}",
    ]
    assert "Tried for 0 s at port 2376, in this order:\n" in done.stderr
    assert "wormhole.docker.listener" in done.stderr


def test_without_candidates(container):
    container.ipv4, container.hosts = HEADING, ""
    done = container.run(ENV)
    assert (done.returncode, done.stdout) == (69, "")
    assert (
        "no candidates: the container has no address of the kinds gateways host-gateway networks"
        in done.stderr
    )


def test_a_link_local_gateway_is_reported_and_not_tried(container, engine_at, log):
    engine_at("nowhere")
    container.ipv4, container.hosts = HEADING, ""
    container.ipv6 = ipv6_line("0" * 32, 0, "fe80" + "0" * 27 + "1", flags=3)
    done = container.run(ENV)
    assert done.returncode == 69
    assert (
        "fe80::1 (default gateway of eth0): a link-local address, which a certificate cannot name"
        in done.stderr
    )
    assert not log.exists()


def test_an_ipv6_address_is_in_brackets(container, engine_at):
    container.ipv4, container.hosts = HEADING, ""
    container.ipv6 = ipv6_line("0" * 32, 0, "fd00" + "0" * 27 + "1", flags=3)
    engine_at("[[]fd00::1[]]")
    assert environment(container.run(ENV))["DOCKER_HOST"] == "tcp://[fd00::1]:2376"


def test_an_address_that_only_looks_link_local_is_tried(container, engine_at):
    container.ipv4, container.hosts = HEADING, ""
    container.ipv6 = ipv6_line("0" * 32, 0, "0fe8" + "0" * 27 + "1", flags=3)
    engine_at("[[]fe8::1[]]")
    assert environment(container.run(ENV))["DOCKER_HOST"] == "tcp://[fe8::1]:2376"


def test_an_engine_that_starts_later(container, log):
    container.tools["docker"] = f"echo x >>{log}; [ $({shutil.which('wc')} -l <{log}) -ge 4 ]"
    assert container.run(ENV).returncode == 69
    log.unlink()
    container.settings["WORMHOLE_TIMEOUT"] = "10"
    assert environment(container.run(ENV))["DOCKER_HOST"] == "tcp://10.1.2.1:2376"


def test_without_a_clock_rounds_are_counted(container, log):
    container.tools["docker"] = f"echo x >>{log}; exit 1"
    container.ipv4, container.hosts = HEADING + ipv4_line("0.0.0.0", "0.0.0.0", "10.1.2.1", flags=3), ""
    container.settings["WORMHOLE_TIMEOUT"] = "2"
    container.clock = False
    assert container.run(ENV).returncode == 69
    assert len(log.read_text().split()) == 2


def test_routes_are_read_again_in_every_round(container, log):
    container.tools["docker"] = (
        f"echo $DOCKER_HOST >>{log}; echo '10.7.7.7 host.docker.internal' >{container.root}/hosts;"
        "case $DOCKER_HOST in *10.7.7.7*) exit 0;; esac; exit 1"
    )
    container.ipv4, container.hosts = HEADING + ipv4_line("0.0.0.0", "0.0.0.0", "10.1.2.1", flags=3), ""
    container.settings["WORMHOLE_TIMEOUT"] = "10"
    assert environment(container.run(ENV))["DOCKER_HOST"] == "tcp://10.7.7.7:2376"


def test_a_client_that_hangs_is_killed_and_reaped(container):
    # Another test run on this machine may have a client of the same kind.
    client = f"sleep 30.{os.getpid()}"
    container.tools["docker"] = f"exec {client}"
    container.settings["WORMHOLE_ATTEMPT_TIMEOUT"] = "1"
    container.ipv4, container.hosts = HEADING + ipv4_line("0.0.0.0", "0.0.0.0", "10.1.2.1", flags=3), ""
    begin = time.monotonic()
    done = container.run(ENV)
    assert time.monotonic() - begin < 5
    assert "docker version: no answer within 1 s" in done.stderr
    still = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=True).stdout
    assert client not in [line.strip() for line in still.splitlines()]


def test_signals_end_the_search(container, engine_at):
    engine_at("nowhere")
    container.settings["WORMHOLE_TIMEOUT"] = "60"
    process = subprocess.Popen(
        [*container.shell, str(PROGRAM), ENV], env=container.prepare(), stdout=subprocess.PIPE, text=True
    )
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    assert process.communicate(timeout=30)[0] == ""
    assert process.returncode == 143
    assert time.monotonic() - begin < 3


# -- how a candidate is verified -------------------------------------------------------------------

RECORD = 'echo "$0 $* ${{DOCKER_TLS_VERIFY-}}${{DOCKER_CERT_PATH-}}" >>{log}; '


def _replaceable_nc(container):
    """BusyBox prefers its own nc; the system tests run that one against a real engine."""
    if "busybox" in container.shell[0]:
        pytest.skip("BusyBox has an nc of its own")


@pytest.mark.parametrize("method", ["docker", "curl", "openssl", "nc"])
def test_only_the_best_tool_of_the_image_is_used(container, log, method):
    if method == "nc":
        _replaceable_nc(container)
    tools = ("docker", "curl", "openssl", "nc")
    for tool in tools[tools.index(method) :]:
        container.tools[tool] = RECORD.format(log=log) + (
            "echo HTTP/1.0 200 OK" if tool == method else "exit 1"
        )
    (container.root / "certs").mkdir()
    (container.root / "certs/server-names").write_text("DNS:localhost\nIP:10.1.2.1\n")
    assert environment(container.run(ENV))["DOCKER_HOST"] == "tcp://10.1.2.1:2376"
    asked = log.read_text()
    assert [os.path.basename(line.split()[0]) for line in asked.splitlines()] == [method]
    certs = container.root / "certs"
    if method == "docker":
        assert asked.endswith(f" 1{certs}\n")
    if method == "curl":
        # Neither a proxy nor the CAs that the system trusts are used.
        assert (
            f"--noproxy * --max-time 3 --capath {certs} --cacert {certs}/ca.pem --cert {certs}/cert.pem --key {certs}/key.pem https://10.1.2.1:2376/"
            in asked
        )
    if method == "openssl":
        assert (
            f"-verify_return_error -verify_ip 10.1.2.1 -connect 10.1.2.1:2376 -no-CApath -CAfile {certs}/ca.pem"
            in asked
        )


def test_a_host_name_is_verified_as_one(container, log):
    container.tools["openssl"] = RECORD.format(log=log) + "echo HTTP/1.0 200 OK"
    container.settings["WORMHOLE_CANDIDATES"] = "engine.example.org"
    assert environment(container.run(ENV))["DOCKER_HOST"] == "tcp://engine.example.org:2376"
    assert "-verify_hostname engine.example.org " in log.read_text()


@pytest.mark.parametrize(
    "script",
    [
        "echo HTTP/1.0 200 OK; exit 1",
        "echo 'depth=0 CN = HTTP'; exit 0",
        "exit 0",
    ],
)
def test_openssl_must_verify_and_get_an_answer(container, script):
    container.tools["openssl"] = script
    assert container.run(ENV).returncode == 69


def test_openssl_sends_a_request(container):
    container.tools["openssl"] = (
        "read -r said && case $said in 'GET /_ping HTTP/1.0'*) echo HTTP/1.0 200 OK;; esac"
    )
    assert container.run(ENV).returncode == 0


def test_an_engine_that_denies_its_version_is_accepted(container):
    container.tools["docker"] = (
        "echo 'Error response from daemon: authorization denied by plugin x' >&2; exit 1"
    )
    assert container.run(ENV).returncode == 0


def test_a_certificate_error_that_mentions_a_daemon_is_an_error(container):
    container.tools["docker"] = (
        "echo 'x509: certificate is valid for Error response from daemon: x, not 10.1.2.1' >&2; exit 1"
    )
    assert container.run(ENV).returncode == 69


@pytest.fixture
def without_tls(container, log):
    """An image without TLS tools, and the launcher's file with the names of the certificate."""
    _replaceable_nc(container)
    container.tools["nc"] = RECORD.format(log=log) + 'case "$*" in *"10.1.2.1 2376"*) exit 1;; esac'

    def names(text):
        path = container.root / "names"
        path.write_text(text)
        container.settings["WORMHOLE_NAMES_FILE"] = str(path)

    return names


def test_without_tls_the_names_file_is_required(container, without_tls, log):
    container.settings["WORMHOLE_TIMEOUT"] = "60"
    begin = time.monotonic()
    done = container.run(ENV)
    assert time.monotonic() - begin < 5
    assert (done.returncode, log.exists()) == (69, False)
    assert "the image has no docker, curl or openssl to verify a certificate, and " in done.stderr


@pytest.mark.parametrize(
    "name", ["DNS:172.17.0.1", "IP:172.17.0.10", "IP:172.17.0", "IP:*", "", "172.17.0.1"]
)
def test_without_tls_an_address_that_is_not_named_is_not_even_tried(container, without_tls, log, name):
    without_tls(f"{name}\n")
    done = container.run(ENV)
    assert (done.returncode, log.exists()) == (69, False)
    assert (
        "172.17.0.1 (host.docker.internal in /etc/hosts): the engine's certificate does not name it"
        in done.stderr
    )


def test_without_tls_a_named_address_must_listen(container, without_tls):
    without_tls("IP:10.1.2.1")
    assert "10.1.2.1 (default gateway of eth0): nc: nothing listens there" in container.run(ENV).stderr
    without_tls("IP:10.1.2.1\nIP:172.17.0.1\nDNS:localhost")
    assert environment(container.run(ENV))["DOCKER_HOST"] == "tcp://172.17.0.1:2376"


def test_without_anything_that_connects(container, without_tls):
    del container.tools["nc"]
    without_tls("IP:10.1.2.1\n")
    assert "the image has no docker, curl, openssl, nc or bash to connect with" in container.run(ENV).stderr


def test_unverified_only_if_set_and_with_a_warning(container, without_tls):
    container.settings["WORMHOLE_INSECURE_UNVERIFIED"] = "true"
    done = container.run(ENV)
    assert environment(done)["DOCKER_HOST"] == "tcp://172.17.0.1:2376"
    assert environment(done)["DOCKER_TLS_VERIFY"] == "1"
    assert "WARNING: WORMHOLE_INSECURE_UNVERIFIED" in done.stderr


def test_unverified_does_not_override_known_names(container, without_tls):
    without_tls("IP:172.17.0.10\n")
    container.settings["WORMHOLE_INSECURE_UNVERIFIED"] = "true"
    assert container.run(ENV).returncode == 69


def test_unverified_does_not_replace_verification(container, engine_at):
    engine_at("nowhere")
    container.settings["WORMHOLE_INSECURE_UNVERIFIED"] = "true"
    assert container.run(ENV).returncode == 69


def test_plaintext_only_if_set_and_with_a_warning(container, engine_at):
    engine_at("10.1.2.1")
    container.settings.update(
        WORMHOLE_INSECURE_PLAINTEXT="true", DOCKER_TLS_VERIFY="1", DOCKER_CERT_PATH="/certs"
    )
    done = container.run(ENV)
    found = environment(done)
    assert found["DOCKER_HOST"] == "tcp://10.1.2.1:2375"
    assert not {"DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"} & set(found)
    assert "WARNING: plaintext" in done.stderr


def test_the_unix_socket_if_requested(container, engine_at, tmp_path):
    engine_at("nowhere")
    path = f"/tmp/wormhole-{os.getpid()}.sock"
    try:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            assert container.run(ENV).returncode == 69
            container.settings["WORMHOLE_FALLBACK_SOCKET"] = path
            found = environment(container.run(ENV))
    finally:
        os.unlink(path)
    assert found["DOCKER_HOST"] == f"unix://{path}"
    assert not {"DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"} & set(found)
    container.settings["WORMHOLE_FALLBACK_SOCKET"] = str(tmp_path / "file")
    for _there in range(2):
        done = container.run(ENV)
        assert done.returncode == 69
        assert f"{tmp_path}/file (WORMHOLE_FALLBACK_SOCKET): not a socket" in done.stderr
        (tmp_path / "file").touch()


# -- use -------------------------------------------------------------------------------------------


def test_missing_certificates(container, engine_at):
    engine_at("10.1.2.1")
    container.settings["WORMHOLE_CERT_PATH"] = str(container.root / "other")
    done = container.run(ENV)
    assert (done.returncode, done.stdout) == (78, "")
    assert f"this container's user cannot read {container.root}/other/ca.pem" in done.stderr


@pytest.mark.parametrize(
    "name, value",
    [
        ("WORMHOLE_PORT", "0"),
        ("WORMHOLE_PORT", "65536"),
        ("WORMHOLE_PORT", "https"),
        ("WORMHOLE_PORT", "-1"),
        ("WORMHOLE_PORT", "02376"),
        ("WORMHOLE_TIMEOUT", "soon"),
        ("WORMHOLE_TIMEOUT", "08"),
        ("WORMHOLE_ATTEMPT_TIMEOUT", "0"),
        ("WORMHOLE_CERT_PATH", "certs"),
        ("WORMHOLE_CERT_PATH", "/it's"),
        ("WORMHOLE_FALLBACK_SOCKET", "docker.sock"),
        ("WORMHOLE_CANDIDATES", "10.0.0.1;reboot"),
        ("WORMHOLE_CANDIDATES", "tcp://10.0.0.1"),
        ("WORMHOLE_CANDIDATES", "-x"),
        ("WORMHOLE_INSECURE_PLAINTEXT", "yes"),
        ("WORMHOLE_INSECURE_UNVERIFIED", "1"),
    ],
)
def test_invalid_settings(container, engine_at, name, value):
    engine_at("10.1.2.1")
    container.settings[name] = value
    done = container.run(ENV)
    assert (done.returncode, done.stdout) == (64, "")
    assert name in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("arguments", [[], ["--"], ["--prnt"], ["--print", "x"]])
def test_invalid_arguments(container, arguments):
    assert container.run(*arguments).returncode == 64


def test_the_variables_can_be_printed_for_a_shell(container, engine_at):
    engine_at("172.17.0.1")
    script = f'eval "$({" ".join(container.shell)} {PROGRAM} --print)"; echo "$DOCKER_HOST $DOCKER_TLS_VERIFY ${{DOCKER_CONTEXT-}}"'
    container.settings["DOCKER_CONTEXT"] = "other"
    done = subprocess.run(
        [SHELL, "-c", script], env=container.prepare(), capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "tcp://172.17.0.1:2376 1 default\n"
    assert container.run("--print").stdout.splitlines()[0] == (
        "# 172.17.0.1 (host.docker.internal in /etc/hosts), checked with docker"
    )


def test_help_lists_every_setting(container):
    read = set(re.findall(r"\$\{(WORMHOLE_[A-Z_]+)", PROGRAM.read_text(encoding="utf-8")))
    told = container.run("--help")
    assert told.returncode == 0
    assert set(re.findall(r"WORMHOLE_[A-Z_]+", told.stdout)) == read
    documented = (PROGRAM.parents[1] / "docs/run-time-discovery.md").read_text(encoding="utf-8")
    assert {name for name in read if name not in ("WORMHOLE_PROC", "WORMHOLE_HOSTS_FILE")} <= set(
        re.findall(r"WORMHOLE_[A-Z_]+", documented)
    )


def test_no_variable_of_its_own_can_be_one_of_the_environment():
    text = "\n".join(
        line for line in PROGRAM.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")
    )
    assigned = set(re.findall(r"(?:^|[\s;&({])([A-Za-z_][A-Za-z0-9_]*)=", text))
    assert {name for name in assigned if not name.startswith(("wd_", "WD_"))} <= {
        "DOCKER_HOST",
        "DOCKER_TLS_VERIFY",
        "DOCKER_CERT_PATH",
        "DOCKER_CONTEXT",
        "IFS",
    }
