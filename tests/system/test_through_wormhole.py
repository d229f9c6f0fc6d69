# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What people do in a wormhole: builds, Compose, siblings, terminals, streams of all lengths; and to a wormhole:
replacements that fail."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import tell_state
from hosts import WORMHOLE, inside, launch_arguments
from lab import Host, HostSpec, Lab
from lab.spec import Release
from playbooks import Controller
from terminal import Terminal

pytestmark = pytest.mark.parametrize("release", [12, 13], scope="module")

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
    # The identity is to be read by another user from then on.
    "reader": ({"user": "4321:4321", "command": ["sh", "-c", "exit 3"]}, "exit code 3"),
    "nobody": ({"user": "nobody-here"}, "nobody-here"),
    "image": ({"image": "wormhole-lab/nowhere:1"}, "wormhole-lab/nowhere:1"),
}
"""For a wormhole each, what is to replace it and cannot, and what is said of it."""

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
# The header of a file of this size in a tar archive; then the file, which does not compress; then the archive's end.
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
    """A host with a wormhole of each transport that shares a working directory with it."""
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
        tell_state(host)
        raise
    finally:
        host.destroy()


def through(host: Host, script: str, transport: str = "tls") -> str:
    """What a shell script prints in the wormhole; what fails in it, fails here."""
    return str(inside(host, f"set -e; {script}", container=transport).stdout).strip()


def terminal(host: Host, command: str, transport: str) -> Terminal:
    """A terminal in front of a command in the wormhole."""
    # The terminal's own keys for leaving are to reach the command.
    line = f"docker exec -it --detach-keys ctrl-_,ctrl-_ {transport} {command}"
    ssh, *rest = host.ssh_argv(line)
    # Not by the lab's shared connection: its master is out of reach for the signal that a window was resized.
    return Terminal([ssh, "-tt", "-oControlPath=none", *rest])


@pytest.mark.parametrize("buildkit", [0, 1])
def test_build(release, host, buildkit):
    image = f"through-build-{buildkit}"
    through(host, f"DOCKER_BUILDKIT={buildkit} docker build --quiet --no-cache --tag {image} .")
    built, sent = through(host, f"docker run --rm {image} sha256sum /www/page; sha256sum page").splitlines()
    assert built.split()[0] == sent.split()[0]
    assert through(host, f"docker run --rm {image} cat /www/built") == "built"


def test_a_build_asks_back_for_a_secret(release, host):
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
    # Two services, which know each other by name; a path that is relative to the shared directory; a published port.
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
        # The key comes once a program has the terminal: before, it would only clear what was typed.
        shell.press("sh -c 'echo sleeping; exec sleep 1000'\r")
        shell.expect(r"^sleeping\r$")
        shell.press("\x03")
        shell.press("echo $((100 + $?))\r")
        shell.expect(r"^230\r$")
        shell.press("exit 7\r")
        assert shell.wait() == 7
    through(host, f"docker kill {sibling}", transport)


@both_transports
def test_attach_and_leave(release, host, transport):
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
    # It lives until what it said has come: Docker does not promise an attachment the last words of a container.
    program = 'read line; echo "got $line"; echo complaint >&2; read line; exit 5'
    through(host, f"docker run -di --name plain {BUSYBOX} sh -c {shlex.quote(program)}")
    script = (
        "mkfifo keys; docker attach plain < keys > output 2> errors & exec 3> keys; echo something >&3;"
        "until grep -q got output && grep -q complaint errors; do sleep 0.1; done; echo more >&3;"
        "wait $! || echo status $?; cat output errors; docker rm plain >&2"
    )
    assert through(host, script).splitlines() == ["status 5", "got something", "complaint"]


@both_transports
def test_a_half_that_is_closed_closes_no_more(release, host, transport):
    """The answer comes after the end of the input: it needs the other half of the connection."""
    run, executed, sent = through(
        host,
        f"docker run -d --rm --name half {BUSYBOX} >&2; head -c 20000000 /dev/urandom > input;"
        f"docker run --rm -i {BUSYBOX} sha256sum < input; docker exec -i half sha256sum < input; sha256sum < input;"
        "docker kill half >&2",
        transport,
    ).splitlines()
    assert run == executed == sent


def test_logs_and_events_as_they_come(release, host):
    program = "echo first; until [ -e seen ]; do sleep 0.1; done; echo second"
    mounted = "-v $PWD:$PWD -w $PWD"
    told = through(
        host,
        "docker events --since $(date +%s) --filter container=speaker --format '{{.Action}}' > events & listener=$!;"
        f"docker run -d --name speaker {mounted} {BUSYBOX} sh -c {shlex.quote(program)} >&2;"
        # The second line is only said once the first one has come.
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
        # Once the layer is gone, the engine takes it from the stream only, and takes none with another digest.
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


def formers_of(host: Host) -> list[str]:
    """Identity, name, state and networks of the wormholes that are to be replaced, and who may read their keys."""
    names = " ".join(FAILING)
    inspected = "{{.Id}} {{.Name}} {{.State.Running}} {{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}"
    shown = host.run(
        f"docker inspect --format {shlex.quote(inspected)} {names};"
        f"cd /etc/wormhole/identities; stat --format '%n %u %a %i' $(printf '%s/key.pem ' {names});"
        "docker ps -a --format '{{.Names}}' | sort"
    )
    return list(shown.stdout.splitlines())


def test_a_replacement_that_fails_leaves_the_former_one_as_it_was(release, host, controller):
    host.run(f"docker run -d --rm --name taken -p 28099:80 {BUSYBOX}")
    before = formers_of(host)
    bad = [{**FORMER, "name": name, **change} for name, (change, _reason) in FAILING.items()]
    run = controller.playbook("launch", host, *launch_arguments(*bad), check=False)
    said = {item["item"]["name"]: item for task in run.tasks for item in task.items if "error" in item}
    assert set(said) == set(FAILING)
    for name, (_change, reason) in FAILING.items():
        assert reason in said[name]["msg"]
    assert formers_of(host) == before
    for name in FAILING:
        assert inside(host, "docker info --format '{{.Name}}'", container=name).stdout.strip() == host.name

    host.run("docker kill taken")
    good = [{**FORMER, "name": name, "env": {"A": "new"}} for name in FAILING]
    controller.playbook("launch", host, *launch_arguments(*good))
    for name in FAILING:
        told = inside(host, "echo $A; docker info --format '{{.Name}}'", container=name).stdout.split()
        assert told == ["new", host.name]


def test_siblings_share_what_the_host_has_and_stay(release, host, controller):
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


def test_a_proxy_that_clients_would_take_is_told(release, host, controller):
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
