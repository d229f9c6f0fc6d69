# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wormholes with a policy: launched, used, changed, adopted, and removed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hosts import BYSTANDER, engine, footprint, inside, launch_arguments
from lab.spec import RELEASES

PLAY = str(Path(__file__).parent / "plays" / "host.yml")
POLICED = {
    "name": "agent",
    "image": "wormhole-lab/cli:1",
    "pull": "never",
    "restart_policy": "always",
    "command": "sleep 100000",
    "stop_timeout": 0,
    "transport": "unix",
    "policy": "ci",
    "policy_overrides": {"images": ["wormhole-lab/*"]},
}
FREE = {name: value for name, value in POLICED.items() if not name.startswith("policy")}
POLICY = "/etc/wormhole/policies/agent.json"
DOOR = "/run/wormhole/gate/agent/docker.sock"
UNIT = "/etc/systemd/system/wormhole-gate-unix-agent.socket"
NUMBER = 100 if os.environ.get("WORMHOLE_THOROUGH") else 16
STREAM = "docker run -d --name stream wormhole-lab/busybox:1 sh -c 'while :; do date; sleep 0.2; done'"


def identifier(host, name="agent"):
    return host.run(f"docker inspect -f '{{{{.Id}}}} {{{{.State.StartedAt}}}}' {name}").stdout


def wormhole_of(run, name="agent"):
    (*_requests, task) = [part for part in run.parts if part.items]
    return next(item for item in task.items if item["name"] == name)


def warnings_of(run):
    return [
        text for task in run.tasks for text in task.result.get("warnings", ()) if "root on its host" in text
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_a_wormhole_with_a_policy_does_what_it_may_and_no_more(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(BYSTANDER)
    listed = launch_arguments(POLICED)

    # Without a gate, nothing is touched.
    before = footprint(host)
    refused = playbook("launch", host, *listed, check=False)
    assert "the gate is not installed on this host" in refused.message
    assert "wormhole.docker.provision" in refused.message
    assert footprint(host) == before

    first = playbook(PLAY, host, "--diff", *listed)
    found = wormhole_of(first)
    assert found["wormhole"]["docker_host"] == f"unix://{DOOR}"
    assert (found["wormhole"]["policy"], found["wormhole"]["policy_mode"]) == ("ci", "enforce")
    assert found["wormhole"]["proved"]
    assert found["diff"]["after"]["policy"]["preset"] == "ci"
    assert warnings_of(first) == []
    assert host.run(f"stat -c '%a %U:%G' {POLICY}").stdout == "640 root:wormhole-gate\n"
    assert host.run(f"stat -c '%a %u' {DOOR}").stdout == "600 0\n"

    # What it may do, and what it may not, with the text that the user reads.
    run = "docker run --rm wormhole-lab/busybox:1 echo from a sibling"
    assert inside(host, run).stdout == "from a sibling\n"
    for command, code in (
        ("docker run --rm --privileged wormhole-lab/busybox:1 true", "Privileged"),
        ("docker run --rm -v /:/host wormhole-lab/busybox:1 true", "/"),
        ("docker swarm init", "reserved for the host's administrator"),
    ):
        answer = inside(host, command, check=False)
        assert answer.returncode != 0, command
        assert "The policy ci of agent refuses this" in answer.stderr, answer.stderr
        assert code in answer.stderr
    assert "bystander" not in inside(host, "docker ps --format '{{.Names}}'").stdout
    # To the wormhole, it does not exist.
    assert "No such container: bystander" in inside(host, "docker rm -f bystander", check=False).stderr
    assert any(line.endswith(" bystander") for line in engine(host).containers)

    # Nothing to do: one round trip, nothing changes.
    before, same = footprint(host), identifier(host)
    for name in (PLAY, "launch"):
        again = playbook(name, host, *listed)
        assert (again.changed, again.round_trips) == (0, 1)
        assert wormhole_of(again)["wormhole"]["proved"]
    assert (footprint(host), identifier(host)) == (before, same)


@pytest.mark.parametrize("release", RELEASES)
def test_a_change_of_the_policy_disturbs_no_container_and_no_stream(release, fresh_host, playbook):
    host = fresh_host(release)
    playbook(PLAY, host, *launch_arguments(POLICED))
    inside(host, STREAM)
    host.run("docker exec -d agent sh -c 'docker logs -f stream >/tmp/stream; echo $? >/tmp/ended'")
    same, lines = identifier(host), "wc -l </tmp/stream"

    # Check mode shows the change, and makes none.
    narrower = {
        **POLICED,
        "policy_overrides": {"images": ["wormhole-lab/busybox:1"], "limits": {"containers": 1}},
    }
    predicted = playbook("launch", host, "--check", "--diff", *launch_arguments(narrower))
    overrides = wormhole_of(predicted)["diff"]["after"]["policy"]["overrides"]
    assert overrides["limits"] == {"containers": 1}
    assert json.loads(host.read(POLICY))["policy"]["overrides"] == POLICED["policy_overrides"]

    changed = playbook("launch", host, "--diff", *launch_arguments(narrower))
    assert wormhole_of(changed)["diff"] == wormhole_of(predicted)["diff"]
    assert [reason["code"] for reason in wormhole_of(changed)["reasons"]] == ["policy_differs"]
    assert (changed.changed, changed.round_trips) == (1, 1)
    assert identifier(host) == same
    refused = inside(host, "docker run --rm wormhole-lab/busybox:1 true", check=False)
    assert "The policy ci of agent refuses this" in refused.stderr
    first = int(inside(host, lines).stdout)
    host.run("sleep 1")
    assert int(inside(host, lines).stdout) > first
    assert inside(host, "cat /tmp/ended", check=False).returncode != 0

    # A malformed policy is rejected on the controller.
    before = footprint(host)
    wrong = {**POLICED, "policy_overrides": {"imagse": []}}
    rejected = playbook("launch", host, *launch_arguments(wrong), check=False)
    assert "policy_overrides has no key 'imagse'" in rejected.message
    assert rejected.round_trips == 0
    other = {**POLICED, "name": "second", "identity": "agent", "policy": "observe", "policy_overrides": {}}
    rejected = playbook("launch", host, *launch_arguments(POLICED, other), check=False)
    assert "agent and second set different policies for the identity agent" in rejected.message
    assert footprint(host) == before


@pytest.mark.parametrize("release", RELEASES)
def test_wormholes_are_switched_to_a_policy_one_by_one_and_back(release, fresh_host, playbook):
    host = fresh_host(release)
    free = [{**FREE, "name": name} for name in ("agent", "builder")]
    first = playbook(PLAY, host, *launch_arguments(*free))
    assert len(warnings_of(first)) == 1
    assert "agent, builder are wormholes without a policy" in warnings_of(first)[0]
    meant = [{**one, "policy": "unrestricted"} for one in free]
    assert warnings_of(playbook("launch", host, *launch_arguments(*meant))) == []
    other = identifier(host, "builder")

    switched = [POLICED, free[1]]
    run = playbook(PLAY, host, *launch_arguments(*switched))
    assert "builder is a wormhole without a policy, and root on its host" in warnings_of(run)[0]
    assert identifier(host, "builder") == other
    assert inside(host, "docker swarm init", check=False).returncode != 0
    assert inside(host, "docker ps", container="builder").returncode == 0

    # One that can do more than its policy allows is not reported as started.
    host.run("systemctl stop wormhole-gate-unix-agent.socket; chmod 600 /run/docker.sock")
    host.run(f"ln /run/docker.sock {DOOR}")
    wider = playbook("launch", host, *launch_arguments(*switched), check=False)
    assert "wider than the policy" in wider.message, wider.message
    host.run(f"rm {DOOR}; chmod 660 /run/docker.sock")
    playbook("launch", host, *launch_arguments(*switched))

    # Going back, and away.
    back = playbook("launch", host, *launch_arguments(*free))
    assert inside(host, "docker ps --format '{{.Names}}'").stdout.split() == ["agent", "builder"]
    assert identifier(host, "builder") == other
    assert "policy_surplus" in [reason["code"] for reason in wormhole_of(back)["reasons"]]
    gone = f"test ! -e {POLICY} -a ! -e {UNIT} -a ! -e {Path(DOOR).parent}"
    host.run(gone)
    playbook("launch", host, *launch_arguments(*switched))
    host.run(f"test -e {POLICY} -a -S {DOOR}")
    playbook("launch", host, *launch_arguments(*({**one, "state": "absent"} for one in switched)))
    host.run(gone)
    assert engine(host).containers == ()
    assert (
        playbook("launch", host, *launch_arguments(*({**one, "state": "absent"} for one in switched))).changed
        == 0
    )


@pytest.mark.parametrize("release", RELEASES)
def test_a_policy_by_tls_follows_the_certificate(release, fresh_host, playbook):
    host = fresh_host(release)
    tls = {**POLICED, "transport": "tls"}
    by_gate = ["-e", "listener_served_by=gate"]
    before = footprint(host)
    rejected = playbook(PLAY, host, *launch_arguments(tls), check=False)
    assert "would let the certificate of agent go around the policy" in rejected.message
    assert footprint(host) == before

    free = {**FREE, "name": "builder", "transport": "tls"}
    listed = [*launch_arguments(tls, free), *by_gate]
    first = playbook(PLAY, host, *listed)
    assert wormhole_of(first)["wormhole"]["proved"]
    assert wormhole_of(first, "builder")["wormhole"]["policy"] == "unrestricted"
    answer = inside(host, "docker swarm init", check=False)
    assert "The policy ci of agent refuses this" in answer.stderr
    assert inside(host, "docker ps --format '{{.Names}}'", container="builder").stdout.split() != []
    for name in (PLAY, "launch"):
        again = playbook(name, host, *listed)
        assert (again.changed, again.round_trips) == (0, 1)

    # A certificate that is replaced has no access any more, and its successor has.
    same, directory = identifier(host), "/etc/wormhole/identities/agent"
    host.run(f"cp -a {directory} /root/previous; rm {directory}/cert.pem")
    playbook(PLAY, host, *listed)
    assert identifier(host) == same
    assert inside(host, "docker ps").returncode == 0
    call = "docker -H tcp://172.17.0.1:2376 --tlsverify --tlscacert {0}/ca.pem --tlscert {0}/cert.pem --tlskey {0}/key.pem ps"
    assert host.run(call.format(directory), check=False).returncode == 0
    assert host.run(call.format("/root/previous"), check=False).returncode != 0


@pytest.mark.parametrize("release", RELEASES)
def test_many_policies_take_one_round_trip(release, fresh_host, playbook):
    host = fresh_host(release)
    listed = launch_arguments(*({**POLICED, "name": f"agent-{number:03}"} for number in range(NUMBER)))
    playbook(PLAY, host, *listed)
    before = footprint(host)
    for name in (PLAY, "launch"):
        again = playbook(name, host, *listed)
        assert (again.changed, again.round_trips) == (0, 1)
        assert wormhole_of(again, f"agent-{NUMBER - 1:03}")["wormhole"]["proved"]
    assert footprint(host) == before
    playbook("launch", host, *launch_arguments(FREE), "-e", "wormholes_unlisted=remove")
    assert host.run("ls /etc/wormhole/policies /run/wormhole/gate").stdout.split() == [
        "/etc/wormhole/policies:",
        "/run/wormhole/gate:",
    ]
