# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate on a real host: real clients in containers call its engine, each by its policy."""

from __future__ import annotations

import re

import pytest

from gates import SERVICE, TLS, Gate, said
from hosts import BYSTANDER, RESTART, configure, engine, inside
from lab.spec import RELEASES

pytestmark = pytest.mark.parametrize("release", RELEASES)

BUSYBOX = "wormhole-lab/busybox:1"
SLEEP = f"{BUSYBOX} sh -c 'trap exit TERM; while :; do sleep 0.2; done'"
UNSEEN = "No such (container|object)|not found|no such volume"
"""How the engine speaks about what does not exist."""


def check(host, container, cases):
    """Run commands in a container; return those whose end, or the text that the user sees, is not as expected."""
    wrong = []
    for command, status, pattern in cases:
        code, text = said(host, container, command)
        if (code == 0) != (status == 0) or not re.search(pattern, text, re.DOTALL):
            wrong.append(f"{container}: {command}\n    exit {code}: {text}\n    expected {pattern}")
    return wrong


COMPOSE_FILE = f"""
services:
  web:
    image: {BUSYBOX}
    pull_policy: never
    restart: unless-stopped
    volumes: [data:/data]
volumes:
  data: {{}}
"""

OBSERVES = [
    ("docker version --format '{{.Server.Version}}'", 0, r"^\d+\."),
    ("docker info --format '{{.Containers}}'", 0, r"^\d+$"),
    ("docker ps --format '{{.Names}}'", 0, r"(?m)^bystander$"),
    ("docker inspect -f '{{.Config.Env}}' bystander", 0, r"SECRET"),
    ("docker stats --no-stream bystander", 0, "bystander"),
    ("docker top bystander", 0, "UID +PID"),
    ("docker system df", 0, "Images"),
    ("docker logs bystander", 1, "needs the power logs.*The policy observe of obs refuses this.*policy_overrides.powers"),
    ("docker stop bystander", 1, "needs the power container.life"),
    ("docker exec bystander true", 1, "needs the power exec"),
    (f"docker run --rm {BUSYBOX} true", 1, "needs the power container.create"),
    ("docker cp bystander:/etc/passwd /tmp/x", 1, "needs the power files.read"),
    ("docker volume create v", 1, "needs the power volume"),
    ("docker pull busybox", 1, "needs the power pull"),
    ("docker swarm init", 1, "refuses this"),
    ("docker secret ls", 1, "refuses this"),
]

WORKS = [
    (f"docker run --rm {BUSYBOX} echo hello", 0, "(?m)^hello$"),
    (f"(sleep 1; echo late) | docker run --rm -i {BUSYBOX} cat", 0, "(?m)^late$"),
    (f"docker run --rm -t {BUSYBOX} tty", 0, "/dev/(pts/0|console)"),
    (f"docker run --rm {BUSYBOX} sh -c 'exit 7'; test $? = 7", 0, ""),
    (f"docker run -d --name own {SLEEP}", 0, "(?m)^[0-9a-f]{64}$"),
    ("docker exec own sh -c 'echo out; echo err >&2'", 0, "out.*err|err.*out"),
    ("(sleep 1; echo later) | docker exec -i own cat", 0, "^later$"),
    ("docker exec -t own tty", 0, "/dev/pts/"),
    ("docker exec own sh -c 'exit 9'; test $? = 9", 0, ""),
    ("docker exec -d own touch /detached && sleep 0.5 && docker exec own ls /detached", 0, "/detached"),
    ("head -c 3000000 /dev/zero >/tmp/big; docker cp /tmp/big own:/big", 0, ""),
    ("docker cp own:/big /tmp/back && cmp /tmp/big /tmp/back && echo same", 0, "same$"),
    (f"docker run -d --name said {BUSYBOX} echo printed; docker wait said; docker logs said", 0, "\n0\nprinted"),
    (f"docker create --name fed -i {BUSYBOX} cat && (sleep 1; echo fed) | docker start -ai fed", 0, "\nfed"),
    ("docker ps -a --format '{{.Names}}' | sort | tr '\\n' ' '", 0, "^fed own said$"),
    ("docker events --since 60s --until 0s --format '{{.Actor.Attributes.name}}' | sort -u | grep -c bystander", 1, "^0$"),
    ("docker events --since 60s --until 0s --format '{{.Action}} {{.Actor.Attributes.name}}'", 0, "create own"),
    ("docker network create of-NAME && docker network connect of-NAME own && docker network inspect of-NAME", 0, '"own"'),
    ("docker network disconnect of-NAME own && docker network rm of-NAME", 0, "of-NAME"),
    (f"docker volume create data-NAME && docker run --rm -v data-NAME:/d {BUSYBOX} touch /d/x", 0, "data-NAME"),
    ("docker volume ls -q", 0, "^data-NAME$"),
    ("docker volume rm data-NAME", 0, "data-NAME"),
    ("docker rename own renamed && docker restart -t 1 renamed && docker top renamed", 0, "UID +PID"),
    ("docker update --pids-limit 100 renamed", 0, "renamed"),
    ("docker rm -f renamed said fed", 0, "renamed"),
    ("docker ps -aq", 0, "^$"),
]

REFUSED = [
    (f"docker run --rm --privileged {BUSYBOX} true", "HostConfig.Privileged is not allowed.*The policy PRESET of NAME refuses this"),
    (f"docker run --rm -v /:/host {BUSYBOX} true", "policy_overrides.binds"),
    (f"docker run --rm --mount type=bind,src=/etc,dst=/e {BUSYBOX} true", "policy_overrides.binds"),
    (f"docker run --rm -v /run/docker.sock:/s {BUSYBOX} true", "policy_overrides.binds"),
    (f"docker run --rm --network host {BUSYBOX} true", "NetworkMode"),
    (f"docker run --rm --pid host {BUSYBOX} true", "PidMode"),
    (f"docker run --rm --ipc host {BUSYBOX} true", "IpcMode"),
    (f"docker run --rm --cap-add SYS_ADMIN {BUSYBOX} true", "SYS_ADMIN|CapAdd"),
    (f"docker run --rm --security-opt seccomp=unconfined {BUSYBOX} true", "SecurityOpt"),
    (f"docker run --rm --device /dev/null {BUSYBOX} true", "Devices"),
    (f"docker run --rm --volumes-from bystander {BUSYBOX} true", UNSEEN),
    (f"docker run --rm --network container:bystander {BUSYBOX} true", UNSEEN),
    (f"docker run --rm --label wormhole.docker.owner=other {BUSYBOX} true", "wormhole.docker"),
    ("docker stop bystander", "No such container: bystander"),
    ("docker rm bystander", "No such container: bystander"),
    ("docker exec bystander true", "No such container: bystander"),
    ("docker logs bystander", "No such container: bystander"),
    ("docker cp bystander:/etc/passwd /tmp/x", UNSEEN),
    ("docker container inspect bystander", "No such container: bystander"),
    ("docker inspect bystander", "(?i)no such object: bystander"),
    ("docker inspect nobody", "(?i)no such object: nobody"),
    ("docker network inspect theirs", "network theirs not found"),
    ("docker volume inspect their-data", "no such volume"),
    ("docker swarm init", "refuses this"),
    ("docker plugin ls", "refuses this"),
    ("docker save wormhole-lab/busybox:1 -o /tmp/x.tar", "image.save"),
]

BUILDS = "mkdir -p /tmp/b; printf 'FROM wormhole-lab/busybox:1\\nRUN echo built >/built\\n' >/tmp/b/Dockerfile; DOCKER_BUILDKIT=0 docker build -t NAME/image:1 /tmp/b"


def filled(cases, name, preset):
    fill = lambda text: text.replace("NAME", name).replace("PRESET", preset)  # noqa: E731
    return [(fill(command), status, fill(pattern)) for command, status, pattern in cases]


def foreign(host):
    """Start what no wormhole may see."""
    host.run(BYSTANDER.replace("-d", "-d -e SECRET=hidden-value", 1))
    host.run("docker network create theirs; docker volume create their-data")


def test_each_preset_allows_and_refuses_what_it_says(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    gate.install({"obs": 0, "tests": 1234, "ci": 0, "deploy": 0})
    gate.permit("obs", "observe")
    gate.permit("tests", "test")
    gate.permit("ci", "ci", build="classic")
    gate.permit("deploy", "compose")
    foreign(host)
    before = engine(host)
    for name in ("obs", "ci", "deploy"):
        gate.open_wormhole(name)
    gate.open_wormhole("tests", "wormhole-lab/nonroot:1")

    wrong = check(host, "obs", OBSERVES)
    assert "hidden-value" not in inside(host, "docker inspect bystander", container="obs").stdout
    refused = [(command, 1, pattern) for command, pattern in REFUSED]
    for name, preset in (("tests", "test"), ("ci", "ci")):
        wrong += check(host, name, filled(WORKS, name, preset))
        wrong += check(host, name, filled(refused, name, preset))
    builds = [(BUILDS, 0, "Successfully tagged NAME/image:1"), ("docker run --rm NAME/image:1 cat /built", 0, "(?m)^built$")]
    wrong += check(host, "ci", filled(builds, "ci", "ci"))
    wrong += check(host, "tests", filled([(BUILDS, 1, "policy_overrides.build")], "tests", "test"))

    inside(host, f"mkdir /tmp/project; cat >/tmp/project/compose.yaml <<'EOF'\n{COMPOSE_FILE}\nEOF", container="deploy")
    compose = "cd /tmp/project && docker compose"
    wrong += check(
        host,
        "deploy",
        [
            (f"{compose} up -d", 0, "Started"),
            (f"{compose} ps --format '{{{{.Name}}}} {{{{.State}}}}'", 0, "project-web-1 running"),
            (f"{compose} exec -T web sh -c 'echo kept >/data/x; cat /data/x'", 0, "kept"),
            (f"{compose} up -d --force-recreate && {compose} exec -T web cat /data/x", 0, "kept"),
            (f"{compose} down -v -t 1 && docker ps -aq && docker volume ls -q", 0, "Removed"),
        ],
    )
    assert not wrong, "\n".join(wrong)
    after = engine(host)
    assert (after.pid, after.started) == (before.pid, before.started)
    assert [row for row in before.containers if row in after.containers] == list(before.containers)
