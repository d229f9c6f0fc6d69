# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Use of a wormhole: builds, Compose, siblings, terminals, streams of all lengths.

Failing replacements of a wormhole.
"""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from client_libraries import (
    CASES,
    CLIENT,
    EXPECTED,
    PLACE,
    prepare,
    recognized,
    run_clients,
    spoil_certificates,
)
from conftest import print_state
from hosts import WORMHOLE, inside, launch_arguments
from lab import Host, HostSpec, Lab
from lab.spec import RELEASES, Release
from playbooks import Controller
from terminal import Terminal

pytestmark = pytest.mark.parametrize("release", RELEASES, scope="module")

PLAY = Path(__file__).parent / "plays/client_variables.yml"
WORK = "/srv/work"
SHARED = {**WORMHOLE, "shared_directory": WORK}
WORMHOLES = {"tls": {**SHARED, "name": "tls"}, "unix": {**SHARED, "name": "unix", "transport": "unix"}}
FORMER = {**WORMHOLE, "image": "wormhole-lab/nonroot:1", "restart_policy": "no"}
FAILING = {
    "exits": (
        {"command": ["sh", "-c", "echo I am broken; exit 3"]},
        "exit code 3; its log ends with: I am broken",
    ),
    "port": ({"published_ports": ["28099:80"]}, "port is already allocated"),
    # The identity belongs to another user from then on.
    "reader": ({"user": "4321:4321", "command": ["sh", "-c", "exit 3"]}, "exit code 3"),
    "nobody": ({"user": "nobody-here"}, "nobody-here"),
    "image": ({"image": "wormhole-lab/nowhere:1"}, "wormhole-lab/nowhere:1"),
}
"""For each wormhole, a replacement that fails, and its message."""

BUSYBOX = "wormhole-lab/busybox:1"
GIBIBYTE = 2**30

both_transports = pytest.mark.parametrize("transport", list(WORMHOLES))

DOCKERFILE = f"""
FROM {BUSYBOX}
COPY page /www/page
RUN echo built > /www/built
CMD ["httpd", "-f", "-p", "8080", "-h", "/www"]
"""
WITH_SECRET = f"""
FROM {BUSYBOX}
RUN --mount=type=secret,id=token sha256sum < /run/secrets/token > /token
"""
COMPOSE = f"""
services:
  web:
    build: .
    image: through-compose-web
    ports: ["28080:8080"]
    stop_signal: KILL
    healthcheck:
      test: [CMD, wget, -q, -O, /dev/null, "http://127.0.0.1:8080/built"]
      interval: 1s
  client:
    image: {BUSYBOX}
    depends_on: {{web: {{condition: service_healthy}}}}
    command: [sh, -c, "wget -q -O /out/page http://web:8080/page && exec sleep 1000"]
    volumes: ["./out:/out"]
    stop_signal: KILL
"""
IMAGE_OF_A_GIBIBYTE = f"""
# The header of a file of this size in a tar archive; then the file, which does not compress; then
# the archive's end.
{{
    truncate -s {GIBIBYTE} data && tar -c data | head -c 512
    openssl enc -aes-128-ctr -K $(openssl rand -hex 16) -iv 00 -in /dev/zero 2>/dev/null | head -c {GIBIBYTE}
    head -c 10240 /dev/zero
}} | docker import - through-large
"""


@pytest.fixture(scope="module")
def controller(lab: Lab, collections: Path, tmp_path_factory: pytest.TempPathFactory) -> Controller:
    return Controller(lab, tmp_path_factory.mktemp("controller"), collections)


@pytest.fixture(scope="module")
def host(release: Release, lab: Lab, controller: Controller) -> Iterator[Host]:
    """Return a host with a wormhole of each transport, which share a working directory with it."""
    host = lab.fresh_host(HostSpec(release))
    try:
        host.write(f"{WORK}/Dockerfile", DOCKERFILE)
        host.write(f"{WORK}/compose.yaml", COMPOSE)
        controller.playbook("provision", host)
        formers = [{**FORMER, "name": name} for name in FAILING]
        controller.playbook("launch", host, *launch_arguments(*WORMHOLES.values(), *formers))
        through(host, "head -c 1000000 /dev/urandom > page")
        yield host
    except BaseException:
        print_state(host)
        raise
    finally:
        host.destroy()


def through(host: Host, script: str, transport: str = "tls") -> str:
    """Run a shell script in the wormhole and return its output; its failure fails the test."""
    return str(inside(host, f"set -e; {script}", container=transport).stdout).strip()


def terminal(host: Host, command: str, transport: str) -> Terminal:
    """Run a command in the wormhole in a terminal."""
    # Disable the detach keys, so that they reach the command.
    line = f"docker exec -it --detach-keys ctrl-_,ctrl-_ {transport} {command}"
    ssh, *rest = host.ssh_argv(line)
    # Without the lab's shared connection, whose master does not get the signal for a resize.
    return Terminal([ssh, "-tt", "-oControlPath=none", *rest])


@pytest.mark.parametrize("buildkit", [0, 1])
def test_build(release, host, buildkit):
    image = f"through-build-{buildkit}"
    through(host, f"DOCKER_BUILDKIT={buildkit} docker build --quiet --no-cache --tag {image} .")
    built, sent = through(host, f"docker run --rm {image} sha256sum /www/page; sha256sum page").splitlines()
    assert built.split()[0] == sent.split()[0]
    assert through(host, f"docker run --rm {image} cat /www/built") == "built"


def test_a_build_reads_a_secret(release, host):
    host.write(f"{WORK}/secret/Dockerfile", WITH_SECRET)
    told = through(
        host,
        "openssl rand 100000 > token; docker build --quiet --secret id=token,src=token --tag through-secret secret;"
        "docker run --rm through-secret cat /token; sha256sum < token",
    ).splitlines()
    assert told[-2] == told[-1]


def test_compose(release, host):
    before = host.run("docker ps -aq; docker network ls -q").stdout
    through(host, "mkdir -p out; docker compose up --build --detach --wait")
    # Two services that reach each other by name, a path relative to the shared directory, a
    # published port.
    fetched, sent = through(
        host, "until sha256sum out/page 2>&-; do sleep 0.1; done; sha256sum page"
    ).splitlines()
    assert fetched.split()[0] == sent.split()[0]
    assert through(host, "curl -sS http://host.docker.internal:28080/built") == "built"
    assert through(host, "docker compose exec -T client wget -q -O - http://web:8080/built") == "built"
    through(host, "docker compose down")
    assert host.run("docker ps -aq; docker network ls -q").stdout == before


@both_transports
def test_a_terminal_in_a_sibling(release, host, transport):
    sibling = f"terminal-{transport}"
    through(host, f"docker run -d --rm --name {sibling} {BUSYBOX}", transport)
    with terminal(host, f"docker exec -it {sibling} sh", transport) as shell:
        shell.press("tty; test -t 0 && test -t 1 && echo on a terminal\r")
        shell.expect(r"^/dev/pts/\d+\r\non a terminal\r$")
        for rows, columns in ((24, 80), (50, 132)):
            shell.resize(rows, columns)
            shell.press(f"until stty size | grep -x '{rows} {columns}'; do sleep 0.1; done\r")
            shell.expect(rf"^{rows} {columns}\r$")
        # Press the key once a program has the terminal. Before that, it would only discard the
        # input.
        shell.press("sh -c 'echo sleeping; exec sleep 1000'\r")
        shell.expect(r"^sleeping\r$")
        shell.press("\x03")
        shell.press("echo $((100 + $?))\r")
        shell.expect(r"^230\r$")
        shell.press("exit 7\r")
        assert shell.wait() == 7
    through(host, f"docker kill {sibling}", transport)


@both_transports
def test_attach_and_detach(release, host, transport):
    sibling = f"attached-{transport}"
    through(host, f"docker run -dit --name {sibling} {BUSYBOX} sh", transport)
    with terminal(host, f"docker attach {sibling}", transport) as shell:
        shell.press("kept=$((6 * 7)); echo is $kept\r")
        shell.expect(r"^is 42\r$")
        shell.press("\x10\x11")
        shell.expect("read escape sequence")
        shell.wait()
    with terminal(host, f"docker attach {sibling}", transport) as shell:
        shell.press("echo still $kept; exit 3\r")
        shell.expect(r"^still 42\r$")
        assert shell.wait() == 3
    through(host, f"docker rm {sibling}", transport)


def test_attach_without_a_terminal(release, host):
    # Keep it running until its output has arrived: Docker may lose the last output of an attached
    # container.
    program = 'read line; echo "got $line"; echo complaint >&2; read line; exit 5'
    through(host, f"docker run -di --name plain {BUSYBOX} sh -c {shlex.quote(program)}")
    script = (
        "mkfifo keys; docker attach plain < keys > output 2> errors & exec 3> keys; echo something >&3;"
        "until grep -q got output && grep -q complaint errors; do sleep 0.1; done; echo more >&3;"
        "wait $! || echo status $?; cat output errors; docker rm plain >&2"
    )
    assert through(host, script).splitlines() == ["status 5", "got something", "complaint"]


@both_transports
def test_a_half_closed_connection_stays_open(release, host, transport):
    """The response follows the end of the input, so it needs a half-closed connection."""
    run, executed, sent = through(
        host,
        f"docker run -d --rm --name half {BUSYBOX} >&2; head -c 20000000 /dev/urandom > input;"
        f"docker run --rm -i {BUSYBOX} sha256sum < input; docker exec -i half sha256sum < input; sha256sum < input;"
        "docker kill half >&2",
        transport,
    ).splitlines()
    assert run == executed == sent


def test_logs_and_events_are_streamed(release, host):
    program = "echo first; until [ -e seen ]; do sleep 0.1; done; echo second"
    mounted = "-v $PWD:$PWD -w $PWD"
    told = through(
        host,
        "docker events --since $(date +%s) --filter container=speaker --format '{{.Action}}' > events & listener=$!;"
        f"docker run -d --name speaker {mounted} {BUSYBOX} sh -c {shlex.quote(program)} >&2;"
        # The second line is only printed after the first one has arrived.
        "docker logs -f speaker > said & until grep -q first said; do sleep 0.1; done; touch seen; wait $!; cat said;"
        "docker rm speaker >&2; until grep -q destroy events; do sleep 0.1; done; kill $listener; cat events",
    ).splitlines()
    assert told == ["first", "second", "create", "start", "die", "destroy"]


def test_a_gibibyte_saved_and_loaded_while_a_connection_idles(release, host):
    line = f"docker exec -i tls docker run --rm -i {BUSYBOX} cat"
    with subprocess.Popen(
        host.ssh_argv(line), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as idle:
        assert idle.stdin is not None
        assert idle.stdout is not None
        idle.stdin.write("before\n")
        assert idle.stdout.readline() == "before\n"

        image = through(host, IMAGE_OF_A_GIBIBYTE)
        layer = through(host, "docker image inspect --format '{{index .RootFS.Layers 0}}' through-large")
        # Without the layer, the engine reads it from the stream, and rejects one with another
        # digest.
        told = through(
            host,
            "docker save through-large | { cat > large.tar; docker rmi through-large; docker load < large.tar; };"
            "stat -c %s large.tar; docker image inspect --format '{{.Id}}' through-large",
        ).splitlines()
        assert f"Deleted: {layer}" in told
        assert int(told[-2]) > GIBIBYTE
        assert told[-1] == image

        idle.stdin.write("after\n")
        assert idle.stdout.readline() == "after\n"
        idle.stdin.close()
        assert idle.wait(30) == 0


def previous_containers(host: Host) -> list[str]:
    """Return identity, name, state, networks and key owners of the wormholes to replace."""
    names = " ".join(FAILING)
    inspected = "{{.Id}} {{.Name}} {{.State.Running}} {{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}"
    shown = host.run(
        f"docker inspect --format {shlex.quote(inspected)} {names};"
        f"cd /etc/wormhole/identities; stat --format '%n %u %a %i' $(printf '%s/key.pem ' {names});"
        "docker ps -a --format '{{.Names}}' | sort"
    )
    return list(shown.stdout.splitlines())


def test_a_failed_replacement_restores_the_previous_container(release, host, controller):
    host.run(f"docker run -d --rm --name taken -p 28099:80 {BUSYBOX}")
    before = previous_containers(host)
    bad = [{**FORMER, "name": name, **change} for name, (change, _reason) in FAILING.items()]
    run = controller.playbook("launch", host, *launch_arguments(*bad), check=False)
    said = {item["name"]: item for task in run.tasks for item in task.items if item.get("failed")}
    assert set(said) == set(FAILING)
    for name, (_change, reason) in FAILING.items():
        assert reason in said[name]["msg"]
    assert previous_containers(host) == before
    for name in FAILING:
        assert inside(host, "docker info --format '{{.Name}}'", container=name).stdout.strip() == host.name

    host.run("docker kill taken")
    good = [{**FORMER, "name": name, "env": {"A": "new"}} for name in FAILING]
    controller.playbook("launch", host, *launch_arguments(*good))
    for name in FAILING:
        told = inside(host, "echo $A; docker info --format '{{.Name}}'", container=name).stdout.split()
        assert told == ["new", host.name]


def test_siblings_share_host_paths_and_outlive_the_wormhole(release, host, controller):
    program = "pwd; cat page | sha256sum > answer; exec sleep 1000"
    through(
        host,
        f"docker run -d --name sibling -v $PWD:$PWD -w $PWD {BUSYBOX} sh -c {shlex.quote(program)};"
        "until [ -s answer ]; do sleep 0.1; done",
    )
    assert through(host, "cat answer; docker logs sibling") == f"{through(host, 'sha256sum < page')}\n{WORK}"
    names = "docker ps --format '{{.ID}} {{.Names}}'"
    assert through(host, names) == host.run(names).stdout.strip()
    gone = [{"name": name, "state": "absent"} for name in (*WORMHOLES, *FAILING)]
    controller.playbook("launch", host, *launch_arguments(*gone))
    left = host.run("docker ps -a --format '{{.Names}} {{.State}}'").stdout.splitlines()
    assert "sibling running" in left
    assert not [name for name in (*WORMHOLES, *FAILING) if any(line.startswith(f"{name} ") for line in left)]


INTERFERING = {
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "all_proxy": "http://127.0.0.1:9",
    "NO_PROXY": "172.17.0.1:2376",
    "CURL_CA_BUNDLE": "/etc/ssl/certs/ca-certificates.crt",
    "NODE_TLS_REJECT_UNAUTHORIZED": "0",
}
"""Variables, each of which keeps some client from its engine, or from verifying it."""


def test_variables_that_interfere_with_clients_are_reported(release, host, controller, lab):
    prepare(host, lab.paths)
    wormholes = [{**CLIENT, "name": "clients"}, {**CLIENT, "name": "interfered", "env": INTERFERING}]
    run = controller.playbook("launch", host, *launch_arguments(*wormholes))
    words = (
        "HTTPS_PROXY sends the Docker SDK for Python to a proxy instead of 172.17.0.1",
        "with all_proxy, Docker's CLI and Compose reject every engine",
        "verify the engine by CURL_CA_BUNDLE",
        "with NODE_TLS_REJECT_UNAUTHORIZED=0",
    )
    said = " ".join(run.stdout.split())
    for text in words:
        assert text in said
    assert "container clients:" not in said

    spoil_certificates(host, "/etc/wormhole/identities/clients")
    places = [
        {"container": "clients"},
        {"container": "interfered"},
        {"container": "clients", "directory": f"{PLACE}/no-key"},
    ]
    diagnosed = controller.playbook(str(PLAY), host, "-e", json.dumps({"places": places}))
    own, interfered, keyless = diagnosed.tasks[0].items
    assert [own["ok"], own["layers"][-1]["name"], own["layers"][-1]["remedy"]] == [True, "environment", ""]
    assert [interfered["ok"], interfered["layers"][-1]["ok"]] == [True, True]
    for text in words:
        assert text in interfered["layers"][-1]["text"]
    (failing,) = [layer for layer in keyless["layers"] if layer["ok"] is False]
    assert (failing["name"], f"{PLACE}/no-key/key.pem is missing" in failing["text"]) == ("client_auth", True)


@pytest.mark.parametrize("case", CASES)
def test_what_the_libraries_make_of_a_variable(release, host, libraries, case):
    assert libraries[case] == EXPECTED[case]


@pytest.fixture(scope="module")
def libraries(host: Host) -> dict[str, dict[str, str]]:
    """Return what the clients that fail print, by case; see client_libraries."""
    return recognized(run_clients(host, "clients"))


def test_a_proxy_that_clients_would_use_is_reported(release, host, controller):
    proxy = {"HTTPS_PROXY": "http://127.0.0.1:9"}
    behind = {
        exceptions: {**WORMHOLE, "name": f"proxy-{number}", "env": {**proxy, "NO_PROXY": exceptions}}
        for number, exceptions in enumerate(["localhost", "localhost,172.16.0.0/12"])
    }
    run = controller.playbook("launch", host, *launch_arguments(*behind.values()))
    told = [f"container proxy-{number}: HTTPS_PROXY sends" in run.stdout for number in (0, 1)]
    assert told == [True, False]
    went = [inside(host, "docker version", container=f"proxy-{n}", check=False) for n in (0, 1)]
    assert [done.returncode == 0 for done in went] == [False, True]
