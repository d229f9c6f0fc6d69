# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate on a real host: real clients in containers call its engine, each by its policy."""

from __future__ import annotations

import re

import pytest

from gates import SERVICE, TLS, Gate, all_said, said
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
    answers = all_said(host, container, [command for command, _status, _pattern in cases])
    for (command, status, pattern), (code, text) in zip(cases, answers, strict=True):
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
    (
        "docker logs bystander",
        1,
        "needs the power logs.*The policy observe of obs refuses this.*policy_overrides.powers",
    ),
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
    (
        f"docker run -d --name said {BUSYBOX} echo printed; docker wait said; docker logs said",
        0,
        "\n0\nprinted",
    ),
    (f"docker create --name fed -i {BUSYBOX} cat && (sleep 1; echo fed) | docker start -ai fed", 0, "\nfed"),
    ("docker ps -a --format '{{.Names}}' | sort | tr '\\n' ' '", 0, "^fed own said$"),
    (
        "docker events --since 60s --until 0s --format '{{.Actor.Attributes.name}}' | sort -u | grep -c bystander",
        1,
        "^0$",
    ),
    (
        "docker events --since 60s --until 0s --format '{{.Action}} {{.Actor.Attributes.name}}'",
        0,
        "create own",
    ),
    (
        "docker network create of-NAME && docker network connect of-NAME own && docker network inspect of-NAME",
        0,
        '"own"',
    ),
    ("docker network disconnect of-NAME own && docker network rm of-NAME", 0, "of-NAME"),
    (
        f"docker volume create data-NAME && docker run --rm -v data-NAME:/d {BUSYBOX} touch /d/x",
        0,
        "data-NAME",
    ),
    ("docker volume ls -q", 0, "^data-NAME$"),
    ("docker volume rm data-NAME", 0, "data-NAME"),
    ("docker rename own renamed && docker restart -t 1 renamed && docker top renamed", 0, "UID +PID"),
    ("docker update --pids-limit 100 renamed", 0, "renamed"),
    ("docker rm -f renamed said fed", 0, "renamed"),
    ("docker ps -aq", 0, "^$"),
]

REFUSED = [
    (
        f"docker run --rm --privileged {BUSYBOX} true",
        "HostConfig.Privileged is not allowed.*The policy PRESET of NAME refuses this",
    ),
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

BUILDS = (
    "mkdir -p /tmp/b; printf 'FROM wormhole-lab/busybox:1\\nRUN echo built >/built\\n' >/tmp/b/Dockerfile; "
    "DOCKER_BUILDKIT=0 docker build -t NAME/image:1 /tmp/b"
)


def filled(cases, name, preset):
    def fill(text):
        return text.replace("NAME", name).replace("PRESET", preset)

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
    wrong += check(host, "tests", filled(WORKS, "tests", "test"))
    for name, preset in (("tests", "test"), ("ci", "ci")):
        wrong += check(host, name, filled(refused, name, preset))
    builds = [
        (BUILDS, 0, "Successfully tagged NAME/image:1"),
        ("docker run --rm NAME/image:1 cat /built", 0, "(?m)^built$"),
    ]
    wrong += check(host, "ci", filled(builds, "ci", "ci"))
    wrong += check(host, "tests", filled([(BUILDS, 1, "policy_overrides.build")], "tests", "test"))

    inside(
        host,
        f"mkdir /tmp/project; cat >/tmp/project/compose.yaml <<'EOF'\n{COMPOSE_FILE}\nEOF",
        container="deploy",
    )
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


def calls_on(theirs, theirs_id, exec_id):
    """Calls on what belongs to another wormhole, and the text that their user sees."""
    curl = "curl -sS --unix-socket /run/wormhole/docker.sock"
    container, network, volume = f"{theirs}-web", f"{theirs}-net", f"{theirs}-data"
    verbs = (
        "stop",
        "kill",
        "restart",
        "pause",
        "unpause",
        "start",
        "rm",
        "logs",
        "top",
        "port",
        "wait",
        "diff",
        "stats --no-stream",
    )
    on_container = [f"docker {verb} REFERENCE" for verb in verbs] + [
        "docker inspect REFERENCE", "docker exec REFERENCE true", "docker attach --no-stdin REFERENCE", "docker rename REFERENCE x-y",
        "docker update --pids-limit 9 REFERENCE", "docker cp REFERENCE:/etc/passwd /tmp/x", "docker cp /etc/passwd REFERENCE:/x",
        "docker export -o /tmp/x REFERENCE", "docker commit REFERENCE NAME/x", "docker network connect NAME-net REFERENCE",
        f"docker run --rm --volumes-from REFERENCE {BUSYBOX} true", f"docker run --rm --network container:REFERENCE {BUSYBOX} true",
        f"docker run --rm --pid container:REFERENCE {BUSYBOX} true", "docker ps --filter before=REFERENCE",
    ]  # fmt: skip
    references = (container, theirs_id, theirs_id[:12])
    # Each command by name, and in turn by the full ID and its beginning.
    cases = [(command.replace("REFERENCE", container), 1, UNSEEN) for command in on_container]
    cases += [
        (command.replace("REFERENCE", references[1 + number % 2]), 1, UNSEEN)
        for number, command in enumerate(on_container)
    ]
    cases += [
        (command.format(network), 1, UNSEEN)
        for command in (
            "docker network inspect {}", "docker network rm {}", "docker network connect {} NAME-web",
            "docker network disconnect {} NAME-web", f"docker run --rm --network {{}} {BUSYBOX} true",
        )
    ]  # fmt: skip
    cases += [
        (command.format(volume), 1, f"{UNSEEN}|not allowed|refuses this")
        for command in (
            "docker volume inspect {}", "docker volume rm {}", f"docker run --rm -v {{}}:/d {BUSYBOX} true", "docker volume create {}",
        )
    ]  # fmt: skip
    cases += [
        (f"{curl} http://d/v1.41/exec/{exec_id}/json", 0, "No such exec instance"),
        (
            f"{curl} -H 'Content-Type: application/json' -d '{{}}' http://d/v1.41/exec/{exec_id}/start",
            0,
            "No such exec instance",
        ),
    ]
    return cases


LISTS = (
    "docker ps -a --no-trunc", "docker ps -a --filter name=web", f"docker ps -a --filter ancestor={BUSYBOX}", "docker network ls",
    "docker network ls --filter type=custom", "docker volume ls", "docker events --since 120s --until 0s",
    "docker ps -a --filter network=THEIRS-net", "docker ps -a --filter volume=THEIRS-data", "docker network inspect bridge",
)  # fmt: skip


def test_two_wormholes_do_not_see_each_others_siblings(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    names = ("left", "right")
    gate.install(dict.fromkeys(names, 0))
    identifiers, execs = {}, {}
    for name in names:
        gate.permit(name, "test")
        gate.open_wormhole(name)
        inside(host, f"docker network create {name}-net && docker volume create {name}-data", container=name)
        inside(
            host,
            f"docker run -d --name {name}-web --network {name}-net -v {name}-data:/d {SLEEP}",
            container=name,
        )
        inside(host, f"docker exec -d {name}-web sleep 600", container=name)
        shown = host.run(f"docker inspect -f '{{{{.Id}}}} {{{{.ExecIDs}}}}' {name}-web").stdout
        identifiers[name], execs[name] = re.findall("[0-9a-f]{64}", shown)[:2]
    everything = "docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}' | sort; docker network ls -q; docker volume ls -q"
    before = host.run(everything).stdout
    for name, theirs in (names, names[::-1]):
        cases = calls_on(theirs, identifiers[theirs], execs[theirs])
        wrong = check(
            host,
            name,
            [(command.replace("NAME", name), status, pattern) for command, status, pattern in cases],
        )
        assert not wrong, "\n".join(wrong)
        for command in LISTS:
            _code, text = said(host, name, command.replace("THEIRS", theirs))
            hidden = (theirs, identifiers[theirs][:12])
            assert not [word for word in hidden if word in text], f"{name}: {command}: {text}"
        for command in LISTS[:1] + LISTS[3:6]:
            assert name in said(host, name, command)[1], command
        # Names are taken, but by whom is not said.
        for command in (
            f"docker create --name {theirs}-web {BUSYBOX}",
            f"docker rename {name}-web {theirs}-web",
        ):
            code, text = said(host, name, command)
            assert code != 0
            assert identifiers[theirs][:12] not in text, f"{name}: {command}: {text}"
    assert host.run(everything).stdout == before
    # What removes everything that is not used removes the own things only.
    for name in names:
        inside(host, f"docker rm -f {name}-web", container=name)
    for command in ("container prune -f", "network prune -f", "volume prune -f"):
        inside(host, f"docker {command}", container="left")
    left = host.run("docker network ls --format '{{.Name}}'; docker volume ls -q").stdout.split()
    assert {"right-net", "right-data"} <= set(left)
    assert "left-net" not in left


KEPT = "curl -sS -o /dev/null -w '%{stderr}%{http_code} %{num_connects}\\n' --rate 30/m"
"""Makes its calls on one connection, one every two seconds."""


def kept_calls(host, container, options, url):
    """Start a client that makes seven calls on one connection, and writes status and new connections."""
    urls = " ".join(f"-o /dev/null {url}" for _number in range(7))
    inside(
        host,
        f"rm -f /tmp/kept; ({KEPT} {options} {urls} >/tmp/kept 2>&1; touch /tmp/kept.ended) &",
        container=container,
    )


def results_of_kept(host, container):
    wait = "timeout 30 sh -c 'until [ -e /tmp/kept.ended ]; do sleep 0.2; done'; cat /tmp/kept"
    return inside(host, wait, container=container).stdout.split("\n")[:-1]


# Long because each step continues on the connections of the one before.
def test_a_revoked_identity_loses_access_with_its_next_call(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    gate.install({"local": 0, "other": 0}, tls=True)
    prints = {name: gate.certificate(name) for name in ("first", "second", "stranger")}
    gate.permit("local", "test")
    gate.permit("other", "test")
    # Two certificates of one identity, as while one is renewed.
    gate.permit("remote", "test", prints["first"], prints["second"])
    gate.open_wormhole("local")
    gate.open_wormhole("other")
    for name in prints:
        gate.open_tls_wormhole(name, "remote")
    before = engine(host)
    process = gate.pid()

    for name in ("local", "other", "first", "second"):
        assert said(host, name, f"docker run --rm {BUSYBOX} echo hello")[1].endswith("hello")
    code, text = said(host, "stranger", "docker ps")
    assert code != 0
    assert "This certificate is not, or no longer, known to this host" in text
    anonymous = f"curl -sS --cacert /certs/ca.pem https://{TLS}/_ping"
    code, text = said(host, "first", anonymous)
    assert code != 0
    assert "certificate required" in text or "alert" in text or "reset" in text, text

    secure = "--cacert /certs/ca.pem --cert /certs/cert.pem --key /certs/key.pem"
    for name in ("local", "first", "second"):
        follow = "docker events >/tmp/events 2>&1; touch /tmp/events.ended"
        inside(host, f"({follow}) &", container=name)
    kept_calls(host, "local", "--unix-socket /run/wormhole/docker.sock", "http://d/_ping")
    kept_calls(host, "first", secure, f"https://{TLS}/_ping")
    host.run(
        "for name in local first; do until docker exec $name grep -q 200 /tmp/kept; do sleep 0.1; done; done"
    )
    gate.revoke("local")
    gate.permit("remote", "test", prints["second"])
    code, text = said(host, "local", "docker ps")
    assert (code, "local has no access to this engine" in text) == (1, True), text
    code, text = said(host, "first", "docker ps")
    assert (code, "no longer, known to this host" in text) == (1, True), text
    for name in ("local", "first"):
        results = results_of_kept(host, name)
        print(release, name, results)
        assert results[0] == "200 1"
        # The connection is the same one, until a refusal ends it, or the gate does so before the next call.
        refused = next(number for number, result in enumerate(results) if not result.startswith("200"))
        assert set(results[1:refused]) <= {"200 0"}
        assert results[refused] in ("403 0", "403 1")
        assert {result.partition(" ")[0] for result in results[refused:]} == {"403"}
    # Streams that run end too, at the latest when the gate looks at its connections.
    ended = "timeout 15 sh -c 'until [ -e /tmp/events.ended ]; do sleep 0.2; done'"
    for name in ("local", "first"):
        inside(host, ended, container=name)
    assert said(host, "second", "test ! -e /tmp/events.ended; docker ps -q") == (0, "")
    assert said(host, "other", "docker ps -q") == (0, "")
    assert said(host, "second", "ls /tmp/events.ended")[0] != 0
    gate.permit("local", "observe")
    assert said(host, "local", "docker ps -q")[0] == 0
    assert "needs the power exec" in said(host, "local", "docker exec other true")[1]
    after = engine(host)
    assert after == before
    assert gate.pid() == process


CLIENT = r"""
set -f
while [ ! -e /tmp/load.stop ]; do
    case $1 in
        list) text=$(timeout 60 docker ps -a --format '{{.Names}}' 2>&1) ;;
        foreign) text=$(timeout 60 docker container inspect -f '{{.Id}}' bystander 2>&1) ;;
        refused) text=$(timeout 60 docker run --rm --privileged wormhole-lab/busybox:1 true 2>&1) ;;
        ping) text=$(curl -sS --fail-with-body --max-time 60 --unix-socket /run/wormhole/docker.sock http://d/_ping 2>&1) ;;
        exec) text=$(timeout 60 docker exec mine echo from-inside 2>&1) ;;
    esac
    echo $? $text >>/tmp/load.$1
    case $1 in ping) ;; *) sleep 0.1 ;; esac
done
touch /tmp/load.ended.$1
"""
RIGHT = {
    "list": r"0 mine",
    "foreign": r"1 .*No such container: bystander",
    "refused": r"12[56] .*HostConfig.Privileged is not allowed.*",
    "ping": r"0 OK",
    "exec": r"0 from-inside",
}
"""Status and text of each client's right answer."""
_CUT = (
    r"EOF|reset by peer|broken pipe|Empty reply|closed connection|transfer closed|client version \S+ is too new"
    r"|Cannot connect to the Docker daemon|error during connect|^126$"
)
"""What the clients say about a connection that ended. 126 is what the engine reports for an exec whose client left."""
_DOWN = (
    r"No such exec instance|The gate cannot reach the engine|The engine (closed|does not)|answer is incomplete|"
    + _CUT
)
"""While the engine restarts, it ends connections, and forgets instances of exec."""


class Load:
    """Clients in a wormhole that call without a pause."""

    def __init__(self, host, container):
        self.host, self.container = host, container
        self.seen = {}
        host.run(f"docker exec -i {container} sh -c 'rm -f /tmp/load*; cat >/tmp/load'", input=CLIENT)
        for name in RIGHT:
            host.run(f"docker exec -d {container} sh /tmp/load {name}")
        self.wait()

    def wait(self, number=3):
        """Wait until each client has had this number of further answers."""
        script = "".join(
            f"f=/tmp/load.{name}; touch $f; n=$(($(wc -l <$f) + {number})); until [ $(wc -l <$f) -ge $n ]; do sleep 0.1; done; "
            for name in RIGHT
        )
        inside(self.host, f"timeout 90 sh -c '{script}'", container=self.container)

    def take(self):
        """Return the answers that were not right, by client, and the number of those that were; begin anew."""
        self.wait()
        odd, right = {}, 0
        for name, pattern in RIGHT.items():
            lines = inside(self.host, f"cat /tmp/load.{name}", container=self.container).stdout.splitlines()
            new = lines[self.seen.get(name, 0) :]
            self.seen[name] = len(lines)
            odd[name] = [line for line in new if not re.fullmatch(pattern, line)]
            right += len(new) - len(odd[name])
        return odd, right


def stop(load):
    ended = " && ".join(f"[ -e /tmp/load.ended.{name} ]" for name in RIGHT)
    inside(
        load.host,
        f"touch /tmp/load.stop; timeout 70 sh -c 'until {ended}; do sleep 0.1; done'",
        container=load.container,
    )


# Long because each step continues on the connections of the one before.
def test_the_gate_is_killed_and_restarted_under_load(release, fresh_host, collections):
    host = fresh_host(release)
    configure(host, '{"live-restore": true}')
    gate = Gate(host, collections)
    gate.install({"ci": 0})
    gate.permit("ci", "ci")
    foreign(host)
    gate.open_wormhole("ci")
    inside(host, f"docker run -d --name mine {SLEEP}", container="ci")
    roots = (
        "while [ ! -e /tmp/root.stop ]; do docker ps -q --no-trunc >/dev/null 2>>/tmp/root.said || "
        "echo failed >>/tmp/root.said; echo >>/tmp/root.done; sleep 0.1; done"
    )
    host.run(f"rm -f /tmp/root.*; nohup sh -c '{roots}' >/dev/null 2>&1 &")
    load = Load(host, "ci")
    odd, right = load.take()
    assert not any(odd.values()), odd
    assert right >= 15

    before = engine(host)
    for _number in range(2):
        process = gate.pid()
        host.run(f"systemctl restart {SERVICE}")
        assert gate.pid() != process
        load.wait()
    odd, right = load.take()
    print(release, "two restarts:", right, odd)
    assert not any(odd.values()), odd

    kills = 4
    for _number in range(kills):
        process = gate.pid()
        host.run(
            f"kill -9 {process}; until [ $(systemctl show {SERVICE} -p MainPID --value) -gt 0 ]; do sleep 0.05; done"
        )
        assert gate.pid() != process
        load.wait(2)
    odd, right = load.take()
    print(release, f"{kills} kills:", right, odd)
    assert all(len(lines) <= kills for lines in odd.values()), odd
    # An exec's stream on a unix socket has no end of its own: if it is cut, the Docker CLI takes what the
    # engine says about the exec, which may have succeeded meanwhile.
    lost = [line for line in odd["exec"] if line == "0"]
    unclear = [line for lines in odd.values() for line in lines if not re.search(_CUT, line)]
    assert unclear == lost, odd
    assert engine(host) == before
    assert host.run("cat /tmp/root.said; wc -l </tmp/root.done").stdout.split()[:-1] == []

    host.run("touch /tmp/root.stop")
    process = gate.pid()
    for _number in range(2):
        host.run(RESTART)
        load.wait(2)
    odd, right = load.take()
    print(release, "two restarts of the engine:", right, odd)
    assert all(len(lines) <= 4 for lines in odd.values()), odd
    unclear = [line for lines in odd.values() for line in lines if not re.search(_DOWN, line)]
    assert not unclear, odd
    assert gate.pid() == process
    load.wait()
    odd, right = load.take()
    assert not any(odd.values()), odd
    stop(load)
    assert "defect" not in gate.journal()
