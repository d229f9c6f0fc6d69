# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A policy that is learned from real clients allows them what they did, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gates import SERVICE, Gate, all_said
from hosts import inside
from lab.spec import RELEASES

pytestmark = pytest.mark.parametrize("release", RELEASES)

PLAYS = Path(__file__).parent / "plays"
BUSYBOX = "wormhole-lab/busybox:1"
RECORD = "/var/lib/wormhole-gate/learned/ci.json"
SOCKET = "/run/wormhole/docker.sock"
SECRET = "hunter2-s3cret"

COMPOSE_FILE = f"""
services:
  web:
    image: {BUSYBOX}
    pull_policy: never
    command: sleep 1000
    environment: {{DATABASE_PASSWORD: {SECRET}}}
    labels: {{com.example.token: {SECRET}}}
    ports: ["127.0.0.1:8081:80"]
    volumes: [data:/data]
volumes:
  data: {{}}
"""

COMMANDS = [
    f"docker run --rm -e TOKEN={SECRET} -v /srv/data:/data:ro {BUSYBOX} echo {SECRET}",
    f"docker run -d --name job-4711 --label com.example.key={SECRET} {BUSYBOX} sleep 1000",
    f"docker exec -e PASSWORD={SECRET} job-4711 echo {SECRET}",
    "docker logs job-4711",
    f"docker ps -a --filter label=com.example.key={SECRET}",
    "docker rm -f job-4711",
    "cd /tmp/project && docker compose up -d",
    "cd /tmp/project && docker compose exec -T web true",
    "cd /tmp/project && docker compose down -v -t 1",
    "docker top shared",
    "docker restart -t 1 shared",
]
"""What the wormhole does while it learns, and afterwards again."""

CREDENTIALS = f"""
auth=$(printf '{{"username": "u", "password": "{SECRET}"}}' | base64 -w0)
curl -sS --unix-socket {SOCKET} -X POST -H "X-Registry-Auth: $auth" \
    'http://docker/images/create?fromImage=registry.invalid/ci/base&tag=1'
curl -sS --unix-socket {SOCKET} -X POST -H 'Content-Type: application/json' \
    -d '{{"username": "u", "password": "{SECRET}", "serveraddress": "registry.invalid"}}' http://docker/auth
"""

PYTHON = f"""
import docker
client = docker.DockerClient(base_url="unix:///run/wormhole/gate/ci/docker.sock")
one = client.containers.create({BUSYBOX!r}, "sleep 1000", environment={{"A": {SECRET!r}}}, mem_limit="64m")
one.start()
assert one.exec_run("true").exit_code == 0
one.remove(force=True)
net = client.networks.create("python-net")
net.remove()
print("done")
"""

REFUSED = [
    f"docker run --rm --privileged {BUSYBOX} true",
    f"docker run --rm -v /srv/data:/data {BUSYBOX} true",
    f"docker run --rm -v /etc:/data:ro {BUSYBOX} true",
    f"docker run --rm -p 127.0.0.1:9999:80 {BUSYBOX} true",
    "docker restart -t 1 other",
    "docker exec shared true",
]


def permit(gate: Gate, host: Any, preset: str, mode: str, overrides: dict[str, Any], **more: Any) -> None:
    """Write the policy, with a mode, as the module does."""
    policy = {"identity": "ci", "preset": preset, "mode": mode, "overrides": overrides, **more}
    host.write("/etc/wormhole/policies/ci.json.new", json.dumps({"policy": policy, "certificates": []}))
    host.run("mv /etc/wormhole/policies/ci.json.new /etc/wormhole/policies/ci.json")


def asked(host: Any, command: str, question: dict[str, Any]) -> dict[str, Any]:
    """Ask the program."""
    program = "/usr/bin/python3 -I -S -B /usr/local/lib/wormhole-gate/wormhole-gate.pyz"
    found: dict[str, Any] = json.loads(host.run(f"{program} {command}", input=json.dumps(question)).stdout)
    return found


def counts(host: Any) -> dict[str, int]:
    """How often each kind of call was recorded. The record is written every two seconds."""
    host.run("sleep 3")
    rows = json.loads(host.run(f"cat {RECORD}").stdout)["calls"]
    return {json.dumps(row["call"], sort_keys=True): row["count"] for row in rows}


def succeed(host: Any) -> None:
    """Run everything that the wormhole does."""
    wrong = [
        f"{command}: {text}"
        for command, (code, text) in zip(COMMANDS, all_said(host, "ci", COMMANDS), strict=True)
        if code
    ]
    assert not wrong, "\n".join(wrong)
    assert host.run(["python3", "-c", PYTHON]).stdout == "done\n"


# Long because each step learns from what the one before it has recorded.
def test_a_policy_is_learned(release, fresh_host, collections, playbook):
    host = fresh_host(release)
    gate = Gate(host, collections)
    gate.install({"ci": 0})
    permit(gate, host, "observe", "learn", {})
    host.run(f"mkdir -p /srv/data; docker run -d --name shared {BUSYBOX} sleep 1000")
    host.run(f"docker run -d --name other {BUSYBOX} sleep 1000")
    gate.open_wormhole("ci")
    inside(
        host,
        f"mkdir /tmp/project; cat >/tmp/project/compose.yaml <<'EOF'\n{COMPOSE_FILE}\nEOF",
        container="ci",
    )

    # While it learns, everything works, and what it creates is its own.
    succeed(host)
    inside(host, CREDENTIALS, container="ci")
    learned = counts(host)
    assert host.run(f"stat -c '%a %U' {RECORD}").stdout == "600 wormhole-gate\n"
    assert SECRET not in host.run(f"cat {RECORD}").stdout
    assert "PASSWORD" not in host.run(f"cat {RECORD}").stdout

    # A restart and a kill keep the record.
    host.run(f"systemctl restart {SERVICE}")
    inside(host, "docker ps", container="ci")
    host.run(f"kill -9 {gate.pid()}; sleep 1")
    inside(host, "docker ps", container="ci")
    after = counts(host)
    assert {key: after[key] >= count for key, count in learned.items()} == dict.fromkeys(learned, True)
    assert sum(after.values()) > sum(learned.values())

    run = playbook(str(PLAYS / "policies.yml"), host, "-e", json.dumps({"identity": "ci"}))
    (task,) = [task for task in run.tasks if task.action == "wormhole.docker.wormhole_policy_info"]
    (found,) = task.result["identities"]
    assert not task.result["changed"]
    assert SECRET not in json.dumps(task.result)
    suggestion = found["suggestion"]
    print(suggestion["yaml"])
    print(json.dumps(suggestion["refused"], indent=1))
    assert suggestion["policy"] == "test"
    overrides = suggestion["policy_overrides"]
    assert overrides["binds"] == [{"path": "/srv/data", "read_only": True}]
    assert overrides["ports"]["ranges"] == ["8081"]
    assert overrides["targets"] == {"names": ["shared"]}
    assert sorted(overrides["images"]) == ["registry.invalid/ci/base", "wormhole-lab/busybox"]
    assert suggestion["refused"] == []
    assert found["refused"]["calls"] > 0
    assert found["learned"]["dropped"] == 0

    # A replay names what a change would refuse.
    policy = {"identity": "ci", "preset": "test", "overrides": {**overrides, "binds": []}}
    replayed = asked(host, "replay", {"policy": policy})["refused"]
    assert [(row["code"], row["setting"]) for row in replayed] == [("bind", "binds")]
    assert "/srv/data" in replayed[0]["sentence"]
    assert asked(host, "replay", {"policy": {**policy, "overrides": overrides}})["refused"] == []

    # Enforced, it allows the same calls, and refuses others.
    permit(gate, host, suggestion["policy"], "enforce", overrides)
    succeed(host)
    answers = all_said(host, "ci", REFUSED)
    assert [command for command, (code, _text) in zip(REFUSED, answers, strict=True) if code == 0] == []
    report = asked(host, "report", {"identity": "ci"})["identities"][0]
    assert report["policy"]["mode"] == "enforce"
    counts(host)
    report = asked(host, "report", {"identity": "ci"})["identities"][0]
    assert {row["code"] for row in report["calls"] if row["recorded"] == "deny"} >= {"field", "bind", "port"}
    explained = asked(
        host, "report", {"identity": "ci", "explain": {"method": "POST", "path": "/containers/create",
                         "body": {"Image": BUSYBOX, "HostConfig": {"Privileged": True}}}}
    )["explanation"]  # fmt: skip
    assert (explained["allowed"], explained["code"]) == (False, "field")
