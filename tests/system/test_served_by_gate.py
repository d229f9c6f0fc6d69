# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate serves TLS on the gateways: dockerd is left alone, and a switch restarts it once."""

from __future__ import annotations

import json
import random
import re

import pytest

from certificates import SERVER
from continuous import LIVE_RESTORE, ContinuousClient
from hosts import (
    BYSTANDER,
    GATEWAY,
    WORMHOLE,
    configure,
    engine,
    footprint,
    inside,
    launch_arguments,
    listening,
)
from lab.spec import RELEASES
from test_gate import KEPT
from test_killed_runs import kill_module

pytestmark = pytest.mark.parametrize("release", RELEASES)

GATE = ("-e", "listener_served_by=gate")
DOOR = f"wormhole-gate-tls-{GATEWAY}:2376.socket"
ENDPOINT = f"{GATEWAY}:2376"
OWNER = "docker inspect -f '{{json .Config.Env}}' agent"
DROP_ALL = """\
#!/usr/sbin/nft -f
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state vmap { established : accept, related : accept, invalid : drop }
        iifname "lo" accept
        tcp dport 22 accept
    }
}
"""


def listener(run):
    """Return the listener's part of a run's result."""
    return next(part.result for part in run.parts if part.action.endswith("dockerd_listener"))


def dockerd(host):
    """Return everything that tells whether dockerd was touched."""
    files = "cat /etc/docker/daemon.json; ls -A /etc/systemd/system/docker.service.d /var/lib/wormhole/guard"
    shown = "systemctl show docker.service -p MainPID,ExecMainStartTimestampMonotonic,NeedDaemonReload"
    return host.run(f"{files}; {shown}", check=False).stdout


def starts(host, unit="docker.service"):
    """Return how often a service was started."""
    return int(host.run(f"journalctl -q -o cat -u {unit} | grep -c '^Started {unit}'", check=False).stdout)


def reloads(host):
    return int(
        host.run("journalctl -q -o cat -u wormhole-gate.service | grep -c '^Reloaded '", check=False).stdout
    )


def engine_seen(host, container="agent"):
    """Return the engine's operating system, as a wormhole sees it."""
    return inside(host, "docker version --format '{{.Server.Os}}'", container=container).stdout.strip()


# Long because each step continues on the host of the one before.
def test_a_fresh_host_is_served_by_the_gate_and_dockerd_notices_nothing(release, fresh_host, playbook):
    host = fresh_host(release)
    host.write("/etc/nftables.conf", DROP_ALL, 0o755)
    host.run("systemctl enable nftables.service")
    # What a boot changes is then the same before and after.
    host.reboot()
    host.run("timeout 60 sh -c 'until docker version >/dev/null 2>&1; do sleep 0.5; done'")
    host.run(BYSTANDER)
    before, untouched = footprint(host), dockerd(host)
    running = engine(host)

    predicted = playbook("provision", host, *GATE, "--check", "--diff")
    assert footprint(host) == before
    done = playbook("provision", host, *GATE, "--diff")
    assert [task.changed for task in predicted.tasks] == [task.changed for task in done.tasks]
    found = listener(done)
    assert (found["served_by"], found["endpoints"], found["restarted"]) == ("gate", [ENDPOINT], False)
    assert listener(predicted)["diff"] == found["diff"]
    assert found["firewall"]["openings"] == [f"docker0 to {ENDPOINT}"]
    assert (dockerd(host), engine(host)) == (untouched, running)
    assert ENDPOINT in listening(host)
    assert f"ip daddr {GATEWAY} tcp dport 2376 drop" in host.run("nft list table inet wormhole-docker").stdout

    # Its identity is verified from inside, through the firewall.
    assert playbook("launch", host, *launch_arguments()).changed
    assert engine_seen(host) == "linux"
    address = f"tcp://{ENDPOINT}"
    assert f"DOCKER_HOST={address}" in host.run(OWNER).stdout
    assert [
        playbook(*run).changed for run in (("provision", host, *GATE), ("launch", host, *launch_arguments()))
    ] == [0, 0]
    assert dockerd(host) == untouched
    log = host.run("journalctl -q -o cat -u wormhole-gate.service").stdout
    assert '"identity": "agent"' in log or '"identity":"agent"' in log

    # Nobody without a policy is let in, by whatever certificate of the authority.
    host.run("cp -a /etc/wormhole/identities/agent /root/copy; mv /etc/wormhole/policies/agent.json /root/")
    assert inside(host, "docker version", check=False).returncode != 0
    host.run("mv /root/agent.json /etc/wormhole/policies/agent.json; rm -r /root/copy")
    assert engine_seen(host) == "linux"

    host.reboot(power_cut=True)
    host.run("timeout 60 sh -c 'until docker exec agent docker version >/dev/null 2>&1; do sleep 0.5; done'")
    assert playbook("provision", host, *GATE).changed == 0

    playbook("teardown", host, *launch_arguments())
    host.run("docker start bystander")
    assert "wormhole" not in host.run("nft list ruleset").stdout
    assert without_times(footprint(host)) == without_times(before)


def without_times(text):
    """Return a footprint without what a reboot changes, and the dates of the lists of users and groups."""
    users = re.compile(r"(/etc/(?:passwd|group|shadow|gshadow)) (.*) [0-9.]+ ")
    # A boot of the lab writes the names of a host, and its SSH server and containerd listen elsewhere.
    booted = r"/var/lib/docker/|/etc/[a-z]+- |/etc/(?:hostname|hosts|resolv\.conf) |\S+:22$|127.0.0.1:\d{5}$"
    lines = [line for line in text.splitlines() if not re.match(booted, line)]
    return [users.sub(r"\1 \2", line) for line in lines]


def test_a_certificate_is_renewed_and_an_identity_revoked_with_no_restart(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(BYSTANDER)
    playbook("provision", host, *GATE)
    other = {**WORMHOLE, "name": "other"}
    playbook("launch", host, *launch_arguments(WORMHOLE, other))
    untouched, gate = dockerd(host), starts(host, "wormhole-gate.service")

    client = ContinuousClient(host)
    serial = f"openssl x509 -noout -serial -in {SERVER}/cert.pem"
    present = host.run(serial).stdout
    named = ("-e", json.dumps({"listener_subject_alternative_names": ["DNS:renewed.example"]}))
    predicted = playbook("provision", host, *GATE, *named, "--check")
    renewed = playbook("provision", host, *GATE, *named)
    assert host.run(serial).stdout != present
    for run in (predicted, renewed):
        assert (listener(run)["gate_reloaded"], listener(run)["restarted"]) == (True, False)
    shown = f"openssl s_client -connect {ENDPOINT} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName"
    assert "renewed.example" in host.run(shown, check=False).stdout
    playbook("rotate", host, *GATE, *named)
    client.stop().check(cuts=0)
    assert (dockerd(host), starts(host, "wormhole-gate.service")) == (untouched, gate)

    # The connection that the identity has kept is refused with the next call.
    secure = (
        "--cacert $DOCKER_CERT_PATH/ca.pem --cert $DOCKER_CERT_PATH/cert.pem --key $DOCKER_CERT_PATH/key.pem"
    )
    urls = " ".join(f"-o /dev/null https://{ENDPOINT}/_ping" for _number in range(60))
    inside(host, f"({KEPT} {secure} {urls} >/tmp/kept 2>&1; touch /tmp/kept.ended) &")
    inside(host, "timeout 30 sh -c 'until grep -q 200 /tmp/kept; do sleep 0.1; done'")
    playbook("revoke", host, *GATE, *named, "-e", "identity=agent")
    ended = "timeout 130 sh -c 'until grep -qv ^200 /tmp/kept; do sleep 0.2; done'; cat /tmp/kept"
    results = inside(host, ended).stdout.splitlines()
    assert results[0] == "200 1"
    refused = next(result for result in results if not result.startswith("200"))
    # On the kept connection; or on a new one, if the gate has ended that for the new certificate.
    assert refused in ("403 0", "403 1"), results
    assert not any(result.startswith("200") for result in results[results.index(refused) :])
    assert inside(host, "docker version", check=False).returncode != 0
    # The other one has a new key of a new authority.
    assert engine_seen(host, "other") == "linux"
    assert (dockerd(host), starts(host, "wormhole-gate.service")) == (untouched, gate)
    playbook("launch", host, *launch_arguments(WORMHOLE, other))
    assert engine_seen(host) == "linux"


# Long because each switch continues on the host of the one before.
def test_a_live_host_is_switched_both_ways_with_one_restart_each(
    release, fresh_host, playbook, start_playbook, controller
):
    host = fresh_host(release)
    configure(host, LIVE_RESTORE)
    original = host.read("/etc/docker/daemon.json")
    host.run(BYSTANDER)
    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    environment, started = host.run(OWNER).stdout, starts(host)
    survivors = host.run("docker inspect -f '{{.State.Pid}}' agent bystander").stdout

    to_gate = playbook("provision", host, *GATE, "--diff")
    assert listener(to_gate)["restarted"]
    assert starts(host) == started + 1
    assert host.read("/etc/docker/daemon.json") == original
    assert host.run(f"systemctl is-active '{DOOR}'").stdout.strip() == "active"
    # The wormhole runs on, and reaches its engine at the same address.
    assert engine_seen(host) == "linux"
    playbook("launch", host, *launch_arguments())
    assert playbook("provision", host, *GATE).changed == 0
    assert host.run(OWNER).stdout == environment

    back = playbook("provision", host)
    assert listener(back)["restarted"]
    assert starts(host) == started + 2
    assert host.run("ls /etc/systemd/system/ | grep -c wormhole-gate-tls", check=False).stdout.strip() == "0"
    assert engine_seen(host) == "linux"
    playbook("launch", host, *launch_arguments())
    assert host.run(OWNER).stdout == environment

    # Killed at any moment, the next run completes the switch, and at most one restart more.
    chance = random.Random(release)
    for number in range(4):
        target = GATE if number % 2 == 0 else ()
        count = starts(host)
        run = start_playbook("provision", host, *target)
        host.run(
            "timeout 110 sh -c 'until [ -e /var/lib/wormhole/listener/journal.json ]; do sleep 0.02; done'"
        )
        host.run(f"sleep {chance.uniform(0, 2):.2f}")
        kill_module(run, host, controller)
        playbook("provision", host, *target)
        assert starts(host) <= count + 2
        assert playbook("provision", host, *target).changed == 0
        playbook("launch", host, *launch_arguments())
        assert engine_seen(host) == "linux"
    assert host.run("docker inspect -f '{{.State.Pid}}' agent bystander").stdout == survivors
    assert host.run(OWNER).stdout == environment
