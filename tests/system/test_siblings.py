# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What wormholes create through the gate: whose it is, who reaches it, and who removes it at the end."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from client_libraries import PLACE, prepare
from gates import SERVICE, Gate
from hosts import BYSTANDER, RESTART, inside
from lab import client_image
from lab.spec import RELEASES
from raw_calls import Raw, make_calls
from route_calls import (
    IMAGE,
    OBJECTS,
    ROWS,
    SLEEP,
    call_of,
    calls_that_name,
    filled,
    references_to,
    routes,
    searches_for,
    takings_of,
)

pytestmark = pytest.mark.parametrize("release", RELEASES)

SESSION = Path(__file__).parent / "clients/testcontainers_session.py"

AFTER = 4
"""Seconds after which siblings are removed here."""

SIBLINGS = f"""
docker network create NAME-net && docker volume create NAME-data
docker run -d --name NAME-web --network NAME-net -v NAME-data:/d -v /anonymous {SLEEP}
docker create --name NAME-made --restart on-failure {SLEEP}
"""


def create_siblings(host, name):
    inside(host, f"set -e; {SIBLINGS.replace('NAME', name)}", container=name)


def everything(host):
    """Names of all containers, networks and volumes, anonymous volumes as such."""
    script = "docker ps -a --format '{{.Names}}'; docker network ls --format '{{.Name}}'; docker volume ls -q"
    names = host.run(script).stdout.split()
    return sorted("anonymous" if re.fullmatch("[0-9a-f]{64}", name) else name for name in names)


def of(host, name):
    return [found for found in everything(host) if found.startswith(f"{name}-")]


def wait_until_gone(host, name, seconds=AFTER + 20):
    """Wait until a wormhole has no siblings any more."""
    deadline = time.monotonic() + seconds
    while left := of(host, name):
        assert time.monotonic() < deadline, left
        time.sleep(0.5)


def start_owner(host, gate, name, *options):
    """Start the container of a wormhole, and wait until the gate has seen it."""
    gate.open_wormhole(name, "wormhole-lab/cli:1", *options)
    inside(host, "docker ps -q", container=name)


ALL_OF = ["NAME-data", "NAME-made", "NAME-net", "NAME-web"]


def names_of(name):
    return [text.replace("NAME", name) for text in ALL_OF]


# Long because each step needs what the ones before have left.
def test_siblings_are_removed_when_their_wormhole_has_ended(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    names = ("ends", "replaced", "stays", "stopper", "revoked", "died")
    gate.install(dict.fromkeys(names, 0))
    soon = {"after": f"{AFTER}s"}
    for name in ("ends", "replaced", "revoked", "died"):
        gate.permit(name, "test", cleanup=soon)
    gate.permit("stays", "compose")
    gate.permit("stopper", "ci", cleanup={"mode": "stop", **soon})
    host.run(BYSTANDER)
    host.run("docker network create theirs; docker volume create their-data")
    # What a person has run with the label of an owner, and with another one of the collection.
    host.run(
        "docker run -d --name adopted --label wormhole.docker.owner=ends --label wormhole.docker.managed=true "
        f"{SLEEP}"
    )
    foreign = everything(host)
    for name in names:
        start_owner(host, gate, name)
        create_siblings(host, name)
    shown = "docker inspect -f '{{.Id}} {{.State.StartedAt}}' bystander adopted"
    before = host.run(shown).stdout

    # A wormhole that is removed, one that dies, one whose policy is removed, and is replaced without.
    host.run("docker rm -f ends stays stopper; docker kill died")
    gate.revoke("revoked")
    # A replacement in time.
    host.run("docker rm -f replaced")
    start_owner(host, gate, "replaced")
    for name in ("ends", "died"):
        wait_until_gone(host, name)
    host.run("timeout 20 sh -c 'until ! docker ps -q --filter name=stopper-web | grep .; do sleep 0.2; done'")
    for name in ("replaced", "stays", "stopper"):
        assert of(host, name) == names_of(name), name
    assert of(host, "revoked") == names_of("revoked"), "its container still runs"
    assert of(host, "ends") == of(host, "died") == []
    host.run("docker rm -f revoked")
    wait_until_gone(host, "revoked")
    journal = [json.loads(line) for line in gate.journal().splitlines() if line.startswith("{")]
    notes = [row["detail"] for row in journal if row["decision"] == "note" and row["identity"] == "ends"]
    assert [note.partition(" of ")[0] for note in notes[2:]] == [
        "removed: network ends-net",
        "removed: volume ends-data",
    ]
    assert sorted(note.partition(" of ")[0] for note in notes[:2]) == [
        "removed: container ends-made",
        "removed: container ends-web",
    ]
    # Anonymous volumes of what was removed are gone, too.
    left = [name for name in everything(host) if name not in foreign]
    assert left.count("anonymous") == len(("replaced", "stays", "stopper")), left
    assert set(foreign) <= set(everything(host))
    assert host.run(shown).stdout == before


# Long because each step needs what the ones before have left.
def test_siblings_of_what_ended_while_the_gate_or_the_engine_was_down(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    names = ("early", "late", "always")
    gate.install(dict.fromkeys(names, 0))
    for name in names:
        gate.permit(name, "test", cleanup={"after": f"{AFTER}s"})
    host.run(BYSTANDER)
    foreign = everything(host)
    start_owner(host, gate, "early")
    start_owner(host, gate, "late")
    start_owner(host, gate, "always", "--restart", "always")
    for name in names:
        create_siblings(host, name)
    state = "timeout 20 sh -c 'until grep -q late /var/lib/wormhole-gate/siblings.json; do sleep 0.2; done'"
    host.run(state)

    # The gate is down.
    host.run(f"systemctl stop {SERVICE}; docker rm -f early")
    host.run(f"systemctl start {SERVICE}")
    wait_until_gone(host, "early")
    assert of(host, "late") == names_of("late")
    # The gate is killed: nobody has ended.
    host.run(f"kill -9 {gate.pid()}; sleep {AFTER + 2}")
    assert of(host, "late") == names_of("late")

    # The engine is restarted. Containers without a restart policy do not come back.
    host.run(RESTART)
    wait_until_gone(host, "late")
    assert of(host, "always") == names_of("always")
    assert host.run("docker inspect -f '{{.State.Running}}' always").stdout.strip() == "true"

    # The engine is stopped. Nobody starts it but its administrator.
    host.run("systemctl stop docker.service 2>/dev/null; sleep 5")
    assert host.run("systemctl is-active docker.service", check=False).stdout.strip() != "active"
    host.run("systemctl reset-failed docker.service docker.socket; systemctl start docker.service")
    host.run(f"docker start bystander; sleep {AFTER + 2}")
    assert of(host, "always") == names_of("always")
    host.run("docker rm -f always late")
    wait_until_gone(host, "always")
    assert everything(host) == foreign
    assert "defect" not in gate.journal()


def test_containers_that_the_gate_has_not_checked_are_removed_at_its_start(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    gate.install({"ci": 0})
    gate.permit("ci", "test", images=["wormhole-lab/busybox"])
    start_owner(host, gate, "ci")
    inside(host, f"docker create --name ci-good {SLEEP}", container="ci")
    # As if the gate had been killed between the engine's answer and its check.
    label = "--label wormhole.docker.owner=ci"
    host.run(f"docker create --name ci-bad {label} wormhole-lab/cli:1")
    host.run(f"docker run -d --name ci-runs {label} wormhole-lab/cli:1 sleep 600")
    host.run(f"kill -9 {gate.pid()}")
    host.run("timeout 20 sh -c 'while docker inspect ci-bad >/dev/null 2>&1; do sleep 0.2; done'")
    assert of(host, "ci") == ["ci-good", "ci-runs"]
    assert "container ci-bad of ci, whose image is not allowed" in gate.journal()


def test_a_pinned_image_is_the_only_one_under_its_name(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    gate.install({"ci": 0})
    identifier = host.run(f"docker image inspect -f '{{{{.Id}}}}' {IMAGE}").stdout.strip()
    host.run(f"docker tag {IMAGE} pinned:1; docker tag wormhole-lab/cli:1 pinned:2")
    gate.permit("ci", "ci", images=["pinned"], pinned={"pinned:1": identifier, "pinned:2": identifier})
    start_owner(host, gate, "ci")
    inside(host, "docker run --rm pinned:1 true", container="ci")
    done = host.run("docker exec ci docker run --rm pinned:2 true", check=False)
    assert "The image pinned:2 is not the one that is pinned" in done.stderr
    assert "policy_overrides.pinned" in done.stderr
    host.run("docker tag wormhole-lab/cli:1 pinned:1")
    done = host.run("docker exec ci docker run --rm pinned:1 true", check=False)
    assert "is not the one that is pinned" in done.stderr


def test_testcontainers_leave_nothing_without_their_own_reaper(release, fresh_host, collections, lab):
    host = fresh_host(release)
    prepare(host, lab.paths)
    gate = Gate(host, collections)
    gate.install({"tests": 0})
    gate.permit("tests", "test", cleanup={"after": f"{AFTER}s"})
    host.write(f"{PLACE}/session.py", SESSION.read_text())
    foreign = everything(host)
    options = f"-v {PLACE}:{PLACE}:ro -e PYTHONPATH={PLACE}/lib -e TESTCONTAINERS_RYUK_DISABLED=true"
    gate.open_wormhole("tests", f"{client_image.IMAGE} sleep infinity", options)
    said = inside(host, f"python3 {PLACE}/session.py", container="tests").stdout.splitlines()
    assert re.fullmatch(r"0 b [0-9]+", said[0]), said
    assert said[1:] == ["0", "running"]
    left = [name for name in everything(host) if name not in (*foreign, "tests")]
    assert len(left) == 3, left
    assert "testdata" in left
    host.run("docker rm -f tests")
    deadline = time.monotonic() + AFTER + 20
    while (found := everything(host)) != foreign:
        assert time.monotonic() < deadline, found
        time.sleep(0.5)


POWERS = {
    "image.load": "own", "image.save": "own", "df": "all", "search": "all",
}  # fmt: skip


ALL_THERE_IS = "docker ps -a --format '{{.ID}} {{.Names}} {{.State}}'; docker image ls -q | sort; docker network ls -q; docker volume ls -q"


def open_for_calls(host, gate, name):
    """Open a wormhole with the objects of route_calls.py; return the IDs that name them."""
    start_owner(host, gate, name)
    inside(host, f"set -e; {OBJECTS.replace('NAME', name)}", container=name)
    host.run(f"docker tag {IMAGE} {name}/copy:1")
    script = (
        f"docker inspect -f '{{{{.Id}}}} {{{{.ExecIDs}}}}' {name}-web; "
        f"docker network inspect -f '{{{{.Id}}}}' {name}-net"
    )
    found = re.findall("[0-9a-f]{64}", host.run(script).stdout)
    return {"container": found[0], "exec": found[1], "network": found[-1]}


def decisions(gate, name):
    """The audit log of an identity: route and decision of each call."""
    rows = [json.loads(line) for line in gate.journal().splitlines() if line.startswith("{")]
    return [(row["route"], row["decision"]) for row in rows if row["identity"] == name and row["route"]]


def test_each_route_is_allowed_and_refused(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    table = routes()
    assert set(ROWS) == set(table), "a route has no call"
    names = ("full", "none", "builds", "prunes")
    gate.install(dict.fromkeys(names, 0))
    gate.permit("full", "ci", build="classic", powers=POWERS)
    gate.permit("builds", "ci", build="buildkit")
    gate.permit("prunes", "ci", powers={"prune": "all"})
    none = {route.power: "none" for route in table.values() if not route.power.startswith("build.")}
    gate.permit("none", "ci", powers=none)
    identifiers = open_for_calls(host, gate, "full")
    for name in names[1:]:
        start_owner(host, gate, name) if name != "none" else gate.open_wormhole(name)
    wrong = []
    calls = {
        name: filled(call_of(table[name], row), "full", identifiers["exec"]) for name, row in ROWS.items()
    }

    # Nobody without powers gets anything.
    before = host.run(ALL_THERE_IS).stdout
    for name, answer in zip(calls, make_calls(host, gate.socket("none"), list(calls.values())), strict=True):
        said = answer.text if calls[name].method != "HEAD" else "needs the power"
        if answer.status != 403 or "needs the power" not in said:
            wrong.append(f"none: {calls[name]}: {answer}")
    assert host.run(ALL_THERE_IS).stdout == before
    for by in ("full", "builds", "prunes"):
        mine = {name: call for name, call in calls.items() if ROWS[name].by == by}
        seen = len(decisions(gate, by))
        answers = make_calls(host, gate.socket(by), list(mine.values()))
        for name, answer in zip(mine, answers, strict=True):
            reached = answer.status >= 101 and "refuses this" not in answer.text
            if not reached or (answer.status >= 400 and not ROWS[name].reaches):
                wrong.append(f"{by}: {mine[name]}: {answer}")
        made = decisions(gate, by)[seen:]
        if made != [(name, "allow") for name in mine]:
            wrong.append(f"{by}: {[pair for pair in made if pair[1] != 'allow']}")
    assert not wrong, "\n".join(wrong)


ROOT_ONLY = (
    ("GET", "/swarm"), ("POST", "/swarm/init"), ("GET", "/nodes"), ("GET", "/services"), ("GET", "/tasks"),
    ("GET", "/secrets"), ("GET", "/configs"), ("GET", "/plugins"), ("POST", "/plugins/pull?remote=x"),
    ("GET", "/debug/vars"), ("GET", "/containers/NAME-web/checkpoints"), ("POST", "/containers/NAME-web/checkpoints"),
    ("GET", "/containers/NAME-web/attach/ws"), ("PUT", "/volumes/NAME-data"), ("GET", "/nothing"),
)  # fmt: skip


def state_of(host, name):
    """Everything that another wormhole could have changed about a wormhole's objects."""
    script = (
        "docker inspect -f '{{.Id}} {{.Name}} {{json .State}} {{json .HostConfig}} {{json .Config}} "
        f"{{{{json .NetworkSettings.Networks}}}}' {name}-web {name}-done {name}-made {name}-gone; "
        f"docker diff {name}-web; docker network inspect {name}-net; docker volume inspect {name}-data; "
        f"docker image inspect -f '{{{{.Id}}}}' {name}/copy:1; "
        "docker ps -a --no-trunc --format '{{.ID}} {{.Names}}' | sort; docker network ls -q; docker volume ls -q | sort"
    )
    return host.run(script).stdout


def attack(host, gate, me, theirs, found):
    """Call everything on what belongs to another wormhole; return the number of calls, and what was wrong.

    Args:
        found: the IDs of its objects.
    """
    references = references_to(theirs, found)
    mine = {"Container": f"{me}-web"}
    bodies = {"network.connect": mine, "network.disconnect": mine}
    calls = [
        call_of(route, ROWS[name], reference, bodies.get(name))
        for name, route in routes().items()
        if route.object in references
        for reference in references[route.object]
    ]
    calls = [filled(call, me) for call in (*calls, *calls_that_name(references), *takings_of(theirs))]
    # What is removed would only seem to be out of reach.
    calls.sort(key=lambda call: call.method == "DELETE")
    wrong = []
    for call, answer in zip(calls, make_calls(host, gate.socket(me), calls), strict=True):
        hidden = [text for text in found.values() if text[:12] not in str(call)]
        if not 400 <= answer.status < 500 or any(text[:12] in answer.text for text in hidden):
            wrong.append(f"{me}: {call}: {answer}")
    searches = searches_for(theirs, found)
    for call, answer in zip(searches, make_calls(host, gate.socket(me), searches), strict=True):
        hidden = [f"{theirs}-", *found.values()]
        if answer.status not in (200, 404) or any(text[:12] in answer.text for text in hidden):
            wrong.append(f"{me}: {call}: {answer}")
    return len(calls) + len(searches), wrong


def test_no_wormhole_reaches_the_siblings_of_another_by_any_route(release, fresh_host, collections):
    host = fresh_host(release)
    gate = Gate(host, collections)
    names = {"left": "ci", "middle": "test", "right": "compose"}
    gate.install(dict.fromkeys(names, 0))
    identifiers = {}
    for name, preset in names.items():
        gate.permit(name, preset, **({"build": "classic"} if preset == "ci" else {}))
        identifiers[name] = open_for_calls(host, gate, name)
    before = {name: state_of(host, name) for name in names}
    wrong, count = [], 0
    for me in names:
        for theirs in sorted(set(names) - {me}):
            number, found = attack(host, gate, me, theirs, identifiers[theirs])
            count, wrong = count + number, wrong + found
    wrong += [f"{name} has changed" for name, state in before.items() if state_of(host, name) != state]
    print(release, count, "calls")
    assert not wrong, "\n".join(wrong)
    assert count > 600

    # What removes everything removes its own things only.
    prunes = [Raw("POST", f"/{kind}/prune") for kind in ("containers", "networks", "volumes")]
    assert [answer.status for answer in make_calls(host, gate.socket("left"), prunes)] == [200] * 3
    assert of(host, "left") == ["left-data", "left-net", "left-web"]
    for name in ("middle", "right"):
        assert [found.partition("-")[2] for found in of(host, name)] == [
            "data",
            "done",
            "gone",
            "made",
            "net",
            "web",
        ]
    refused = [filled(Raw(method, path), "left") for method, path in ROOT_ONLY]
    for call, answer in zip(refused, make_calls(host, gate.socket("left"), refused), strict=True):
        assert (answer.status, "refuses this" in answer.text) == (403, True), f"{call}: {answer}"
