# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Transports, addresses and restarts of the listener, as clients inside and outside meet them."""

from __future__ import annotations

import json

import pytest

from continuous import ContinuousClient
from hosts import BYSTANDER, GATEWAY, engine, inside, launch_arguments, listening
from packages import install

IDENTITY = "/etc/wormhole/identities/agent"


def options(**variables):
    """Arguments that give the role listener these variables."""
    return ["-e", json.dumps({f"listener_{name}": value for name, value in variables.items()})]


def listener_result(run):
    """What the module that configures dockerd returned."""
    return next(task.result for task in run.tasks if "interrupted" in task.result)


def process(host, container):
    """The main process of a container: another one if it was restarted."""
    return host.run(f"docker inspect -f '{{{{.State.Pid}}}}' {container}").stdout.strip()


def connects(host, address, port):
    """Whether something takes a TCP connection from this host."""
    return host.run(f"timeout 3 bash -c '</dev/tcp/{address}/{port}'", check=False).returncode == 0


@pytest.mark.parametrize("release", [12, 13])
def test_with_live_restore_nobody_notices_that_addresses_come_and_go(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(BYSTANDER)
    bystander = process(host, "bystander")
    predicted = playbook("provision", host, *options(live_restore=True), "--check")
    done = playbook("provision", host, *options(live_restore=True))
    assert listener_result(predicted)["reasons"] == listener_result(done)["reasons"]
    # The engine reads it before it is restarted, so that the very first restart stops nobody.
    assert (listener_result(done)["reloaded"], listener_result(done)["restarted"]) == (True, True)
    assert listener_result(done)["interrupted"] == []
    assert process(host, "bystander") == bystander

    playbook("launch", host, *launch_arguments())
    agent = process(host, "agent")
    host.run("docker network create --subnet 10.77.2.0/24 ci")
    client = ContinuousClient(host)
    more = options(addresses=["gateways"], transports=["tls", "unix"])
    assert listener_result(playbook("provision", host, *more))["restarted"]
    assert "10.77.2.1:2376" in listening(host)
    assert playbook("provision", host, *more).changed == 0
    assert listener_result(playbook("provision", host))["restarted"]
    assert "10.77.2.1:2376" not in listening(host)
    client.stop().check(cuts=2)
    assert (process(host, "bystander"), process(host, "agent")) == (bystander, agent)

    off = playbook("provision", host, *options(live_restore=False))
    assert (listener_result(off)["reloaded"], listener_result(off)["restarted"]) == (True, False)
    assert host.run("docker info --format '{{.LiveRestoreEnabled}}'").stdout.strip() == "false"


@pytest.mark.parametrize("release", [12, 13])
def test_a_swarm_gets_no_live_restore(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(f"docker swarm init --advertise-addr {host.address}")
    before = engine(host)
    failed = playbook("provision", host, *options(live_restore=True), check=False)
    assert failed.failures == 1
    assert "Swarm mode" in failed.message
    assert engine(host) == before
    assert host.run("ls /etc/docker/daemon.json /var/lib/wormhole/listener", check=False).stdout == ""


@pytest.mark.parametrize("release", [12, 13])
def test_a_socket_in_a_directory_never_goes_stale_and_plaintext_is_named_and_closed(
    release, lab, fresh_hosts, playbook
):
    host, other = fresh_hosts(release, release)
    host.run("docker network create --subnet 10.77.2.0/24 ci")
    failed = playbook("provision", host, *options(insecure_plaintext_port=2375), check=False)
    assert "Install the package socat" in failed.message
    for package in ("libwrap0", "socat"):
        install(lab, host, package)
    both = options(transports=["tls", "unix"], insecure_plaintext_port=2375)
    done = listener_result(playbook("provision", host, *both))
    assert done["unix_socket"] == "/run/wormhole/docker.sock"
    assert done["insecure_endpoints"] == [f"{GATEWAY}:2375"]
    again = playbook("provision", host, *both)
    assert again.changed == 0
    # Whoever runs this is told every time, also if nothing changes.
    assert f"without TLS on {GATEWAY}:2375" in listener_result(again)["warnings"][0]

    stock = host.run("stat -c '%a %U %G' /run/docker.sock").stdout
    assert host.run("stat -c '%a %U %G' /run/wormhole/docker.sock").stdout == stock
    host.run(
        "docker run -d --name agent --restart always -v /run/wormhole:/run/wormhole "
        "-e DOCKER_HOST=unix:///run/wormhole/docker.sock wormhole-lab/cli:1 sleep 600"
    )
    inode = host.run("stat -c %i /run/wormhole/docker.sock").stdout
    host.run(
        "systemctl reset-failed docker.service; systemctl stop wormhole-docker-unix.socket; "
        "systemctl restart docker.service"
    )
    assert host.run("stat -c %i /run/wormhole/docker.sock").stdout != inode
    host.run("for i in $(seq 100); do docker exec agent true && exit 0; sleep 0.1; done; exit 1")
    assert inside(host, "docker info --format '{{.Name}}'").stdout.strip() == host.name

    plain = f"-e DOCKER_HOST=tcp://{GATEWAY}:2375 wormhole-lab/cli:1"
    assert (
        host.run(f"docker run --rm {plain} docker info --format '{{{{.Name}}}}'").stdout.strip() == host.name
    )
    # What is sent after the request, and its end, arrive as well, and so does what comes after that.
    piped = f'echo one-two | docker run --rm -i {plain} docker run --rm -i wormhole-lab/busybox:1 sh -c "cat; sleep 2; echo three"'
    assert host.run(f"timeout 60 sh -c '{piped}'").stdout == "one-two\nthree\n"
    assert (
        host.run(f"docker run --rm --network ci {plain} timeout 5 docker version", check=False).returncode
        != 0
    )
    # Any address of a host can be reached by way of any of its interfaces; not this port.
    other.run(
        "systemctl stop docker.socket docker.service; ip link delete docker0; "
        f"ip route add 172.17.0.0/16 via {host.address}"
    )
    assert connects(other, GATEWAY, 22)
    assert not connects(other, GATEWAY, 2375)

    before = engine(host)
    host.reboot()
    assert (
        host.run(f"docker run --rm {plain} docker info --format '{{{{.Name}}}}'").stdout.strip() == host.name
    )
    before = engine(host)
    closed = listener_result(playbook("provision", host, *options(transports=["tls", "unix"])))
    assert not closed["restarted"]
    assert f"{GATEWAY}:2375" not in listening(host)
    assert host.run("ls /etc/systemd/system | grep insecure", check=False).stdout == ""
    assert engine(host) == before
    # The engine makes a directory anew that a container of its mounts.
    host.run("docker rm -f agent")
    playbook("provision", host)
    assert host.run("ls -d /run/wormhole", check=False).stdout == ""


@pytest.mark.parametrize("release", [12, 13])
def test_nothing_listens_beyond_the_bridges_but_where_it_was_named(release, fresh_hosts, playbook):
    host, other = fresh_hosts(release, release)
    before = set(listening(host))
    playbook("provision", host)
    assert set(listening(host)) - before == {f"{GATEWAY}:2376"}
    assert not connects(other, host.address, 2376)
    assert connects(other, host.address, 22)
    host.reboot()
    assert {line for line in listening(host) if line.endswith(":2376")} == {f"{GATEWAY}:2376"}
    assert not connects(other, host.address, 2376)

    refused = playbook("provision", host, *options(host_addresses=["192.0.2.7"]), check=False)
    assert "192.0.2.7" in refused.message
    named = options(host_addresses=[host.address])
    playbook("provision", host, *named)
    assert playbook("provision", host, *named).changed == 0
    playbook("launch", host, *launch_arguments())
    for name in ("ca.pem", "cert.pem", "key.pem"):
        other.write(f"/root/{name}", host.run(f"cat {IDENTITY}/{name}").stdout, 0o600)
    client = f"DOCKER_HOST=tcp://{host.address}:2376 DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH=/root"
    asked = f"{client} docker info --format '{{{{.Name}}}}'"
    assert other.run(asked).stdout.strip() == host.name
    stranger = other.run(f"DOCKER_TLS_VERIFY= curl -sk https://{host.address}:2376/_ping", check=False)
    assert stranger.returncode != 0
    playbook("provision", host)
    assert not connects(other, host.address, 2376)
