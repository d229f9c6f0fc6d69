# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Transports, addresses and restarts of the listener, with clients on this and other hosts."""

from __future__ import annotations

import json

import pytest

from continuous import ContinuousClient
from hosts import BYSTANDER, GATEWAY, RESTART, engine, inside, launch_arguments, listening
from lab.spec import RELEASES
from packages import install

IDENTITY = "/etc/wormhole/identities/agent"


def options(**variables):
    """Return arguments that set these variables of role listener."""
    return ["-e", json.dumps({f"listener_{name}": value for name, value in variables.items()})]


def listener_result(run):
    """Return the result of the module that configures dockerd."""
    return next(task.result for task in run.parts if "interrupted" in task.result)


def process(host, container):
    """Return the main process of a container, which changes with a restart."""
    return host.run(f"docker inspect -f '{{{{.State.Pid}}}}' {container}").stdout.strip()


def connects(host, address, port):
    """Return whether a TCP connection from this host succeeds."""
    return host.run(f"timeout 3 bash -c '</dev/tcp/{address}/{port}'", check=False).returncode == 0


@pytest.mark.parametrize("release", RELEASES)
def test_with_live_restore_added_and_removed_addresses_do_not_interrupt_clients(
    release, fresh_host, playbook
):
    host = fresh_host(release)
    host.run(BYSTANDER)
    bystander = process(host, "bystander")
    predicted = playbook("provision", host, *options(live_restore=True), "--check")
    done = playbook("provision", host, *options(live_restore=True))
    assert listener_result(predicted)["reasons"] == listener_result(done)["reasons"]
    # The engine reads it before its restart, so that the first restart stops no container.
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


@pytest.mark.parametrize("release", RELEASES)
def test_live_restore_is_rejected_in_swarm_mode(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(f"docker swarm init --advertise-addr {host.address}")
    before = engine(host)
    failed = playbook("provision", host, *options(live_restore=True), check=False)
    assert failed.failures == 1
    assert "Swarm mode" in failed.message
    assert engine(host) == before
    assert host.run("ls /etc/docker/daemon.json /var/lib/wormhole/listener", check=False).stdout == ""


# Long because it is the story of one host: each step starts from the state that the last one left.
@pytest.mark.parametrize("release", RELEASES)
def test_a_socket_in_a_directory_stays_valid_and_plaintext_is_reported_and_closed(
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
    # Every run warns, even if nothing changes.
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
    # Data after the request and its end arrive, and so does the response to them.
    piped = f'echo one-two | docker run --rm -i {plain} docker run --rm -i wormhole-lab/busybox:1 sh -c "cat; sleep 2; echo three"'
    assert host.run(f"timeout 60 sh -c '{piped}'").stdout == "one-two\nthree\n"
    assert (
        host.run(f"docker run --rm --network ci {plain} timeout 5 docker version", check=False).returncode
        != 0
    )
    # Any address of a host can be reached through any of its interfaces, except for this port.
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
    # The engine creates a missing directory that a container mounts.
    host.run("docker rm -f agent")
    playbook("provision", host)
    assert host.run("ls -d /run/wormhole", check=False).stdout == ""


@pytest.mark.parametrize("release", RELEASES)
def test_dockerd_listens_on_bridges_and_requested_addresses_only(release, fresh_hosts, playbook):
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


CONFIG = "/etc/docker/daemon.json"
SOCKET = f"wormhole-docker-{GATEWAY}:2376.socket"
CRASH = """
    systemctl reset-failed docker.service docker.socket
    before=$(systemctl show -P MainPID docker.service); kill -9 $before
    for i in $(seq 300); do
        now=$(systemctl show -P MainPID docker.service)
        test $now != 0 -a $now != $before && systemctl is-active -q docker.service && exit 0
        sleep 0.1
    done
    exit 1
"""
"""Kills dockerd and waits until systemd has started it again."""
REST_OF_CONFIG = """python3 -c "
import json
config = json.load(open('/etc/docker/daemon.json'))
del config['tlsverify']
json.dump(config, open('/etc/docker/daemon.json', 'w'))
" """
OTHER_CONFIG = r"""
    echo '{}' >/etc/docker/engine.json
    line=$(systemctl cat docker.service | grep ^ExecStart= | tail -n 1)
    printf '[Service]\nExecStart=\n%s --config-file=/etc/docker/engine.json\n' "$line" \
        >/etc/systemd/system/docker.service.d/other.conf
    systemctl daemon-reload
"""
RESTORE = f"""
    cp -a /root/daemon.json {CONFIG}; cp -a /root/guard /var/lib/wormhole/guard
    rm -f /etc/systemd/system/docker.service.d/other.conf; systemctl daemon-reload; {RESTART}
"""


def plaintext(host):
    """Return what the engine's TCP port answers to plaintext; empty if nothing listens."""
    return host.run(f"curl -s -m 5 http://{GATEWAY}:2376/_ping", check=False).stdout


@pytest.mark.parametrize("release", RELEASES)
def test_the_listener_is_closed_where_dockerd_would_serve_plaintext(release, fresh_host, playbook):
    host = fresh_host(release)
    playbook("provision", host)
    host.run(f"cp -a {CONFIG} /var/lib/wormhole/guard /root/")
    answer = "Client sent an HTTP request to an HTTPS server.\n"
    assert plaintext(host) == answer
    # dockerd does not read TLS keys again.
    host.run(f"echo '{{}}' >{CONFIG}; systemctl reload docker.service; sleep 1")
    assert plaintext(host) == answer

    for change, start, reason in (
        (f"echo '{{}}' >{CONFIG}", RESTART, f"{CONFIG} does not set tlsverify to true"),
        (REST_OF_CONFIG, CRASH, f"{CONFIG} does not set tlsverify to true"),
        (f"rm {CONFIG}", CRASH, f"{CONFIG} does not exist"),
        (OTHER_CONFIG, RESTART, "/etc/docker/engine.json does not set tlsverify to true"),
        ("rm /var/lib/wormhole/guard", RESTART, "/var/lib/wormhole/guard"),
    ):
        host.run(change)
        host.run(start)
        assert plaintext(host) == "", change
        assert f"{GATEWAY}:2376" not in listening(host)
        host.run("docker ps")
        log = host.run("journalctl --sync; journalctl -q -o cat -u docker.service -n 200").stdout
        assert reason in log
        # An ordinary restart opens it again, once the configuration is right.
        host.run(RESTORE)
        assert plaintext(host) == answer, change

    host.run(f"echo '{{}}' >{CONFIG}")
    host.reboot()
    assert plaintext(host) == ""
    host.run("docker ps")
    predicted = playbook("provision", host, "--check")
    because = f"{SOCKET} is not active: {CONFIG} does not set tlsverify to true"
    assert because in [reason["text"] for reason in listener_result(predicted)["reasons"]]
    done = playbook("provision", host)
    assert listener_result(done)["reasons"] == listener_result(predicted)["reasons"]
    assert plaintext(host) == answer
    assert playbook("provision", host).changed == 0

    # Without its drop-in, the socket does not start at a boot.
    host.run(f"rm /etc/systemd/system/docker.service.d/*; echo '{{}}' >{CONFIG}")
    host.reboot()
    assert plaintext(host) == ""
    assert f"{GATEWAY}:2376" not in listening(host)
    host.run("docker ps")
    playbook("provision", host)
    assert plaintext(host) == answer


@pytest.mark.parametrize("release", RELEASES)
def test_a_listener_of_an_older_version_gets_its_guard_without_a_restart(release, fresh_host, playbook):
    host = fresh_host(release)
    playbook("provision", host)
    host.run(
        "rm -r /etc/systemd/system/docker.service.d /var/lib/wormhole/guard; "
        f"sed -i /^Condition/d /etc/systemd/system/{SOCKET}; systemctl daemon-reload"
    )
    before = engine(host)
    done = listener_result(playbook("provision", host))
    assert {reason["code"] for reason in done["reasons"]} == {"guard_missing", "unit_changed"}
    assert engine(host) == before
    assert playbook("provision", host).changed == 0

    # dockerd itself does not start without a file that its configuration names.
    host.run("mv /etc/wormhole/server/key.pem /root/")
    host.run(RESTART, check=False)
    assert f"{GATEWAY}:2376" not in listening(host)
    log = host.run("journalctl --sync; journalctl -q -o cat -u docker.service -n 200").stdout
    assert "/etc/wormhole/server/key.pem, which /etc/docker/daemon.json names, does not exist" in log
    playbook("provision", host)
    assert f"{GATEWAY}:2376" in listening(host)
    host.run("docker ps")
