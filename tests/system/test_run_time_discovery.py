# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Wormholes that find their engine at each start: created by the module, and by hand."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hosts import GATEWAY, RESTART, configure, inside, launch_arguments
from lab.spec import RELEASES
from packages import install

PROGRAM = Path(__file__).resolve().parents[2] / "files/wormhole-discover"
INSTALLED = "/usr/local/lib/wormhole-docker/wormhole-discover"
ENDPOINTS = Path(__file__).parent / "plays/endpoints.yml"
EVERY = ["-e", json.dumps({"listener_addresses": ["gateways"]})]
TLS_PORT, TCP_PORT = 12376, 12375
OTHER_PORTS = {
    "listener_addresses": ["gateways"],
    "listener_port": TLS_PORT,
    "listener_insecure_plaintext_port": TCP_PORT,
}
LATE = "docker network create --subnet 10.77.8.0/24 late"
"""A network whose gateway the listener does not serve. Its containers find docker0's address."""
CI, OTHER = "10.77.2.1", "10.77.3.1"
NETWORKS = (
    "docker network create --subnet 10.77.2.0/24 ci; docker network create --subnet 10.77.3.0/24 other; "
    "docker network create --ipv6 --subnet fd00:aa::/64 --subnet 10.77.4.0/24 six"
)
RUN_TIME = {
    "image": "wormhole-lab/cli:1",
    "pull": "never",
    "restart_policy": "always",
    "identity": "agent",
    "discover": "runtime",
}
BUSYBOX = {**RUN_TIME, "image": "wormhole-lab/busybox:1"}
TLS = {**RUN_TIME, "port": TLS_PORT}
TCP = {
    **{name: value for name, value in RUN_TIME.items() if name != "identity"},
    "transport": "tcp",
    "insecure_plaintext_port": TCP_PORT,
}


def settled(host, container):
    """Wait for the container's first process with a DOCKER_HOST; return its environment."""
    said = host.run(
        f"for i in $(seq 60); do pid=$(docker inspect -f '{{{{.State.Pid}}}}' {container}); "
        # With an init process, the container's process is its child.
        "for p in $pid $(cat /proc/$pid/task/$pid/children); do "
        "tr '\\0' '\\n' </proc/$p/environ | sed -n 's/^DOCKER_HOST=//p' | grep . && exit 0; done; "
        "sleep 0.5; done; exit 1"
    )
    return said.stdout.split()[0]


def wormholes(run):
    """Return the module's result for each wormhole, by name."""
    items = [item for task in run.tasks for item in task.items if item.get("wormhole")]
    return {item["name"]: item["wormhole"] for item in items}


def endpoints(playbook, host, containers):
    """Return each container's endpoint from endpoint_info, and check that all layers pass."""
    run = playbook(str(ENDPOINTS), host, "-e", json.dumps({"containers": list(containers)}))
    return {item["item"]: item["endpoint"] for task in run.tasks for item in task.items}


# Long because it is the story of one host: its containers run through all changes of addresses.
@pytest.mark.parametrize("release", RELEASES)
def test_every_kind_of_container_finds_its_engine_after_its_address_changes(
    release, fresh_host, playbook, lab
):
    host = fresh_host(release)
    for package in ("libwrap0", "socat"):
        install(lab, host, package)
    host.run(NETWORKS)
    listening = ["-e", json.dumps(OTHER_PORTS)]
    playbook("provision", host, *listening)
    host.run(LATE)
    listed = [
        {**TLS, "name": "agent"},
        {**TLS, "name": "mover", "networks": [{"name": "ci"}], "read_only": True, "init": True},
        {**TLS, "name": "two", "networks": [{"name": "other"}, {"name": "ci"}]},
        {**TLS, "name": "late", "networks": [{"name": "late"}]},
        {**TLS, "name": "in-host", "network_mode": "host"},
        {**TLS, "name": "small", "image": BUSYBOX["image"], "networks": [{"name": "ci"}]},
        {**TLS, "name": "user", "identity": "user", "image": "wormhole-lab/nonroot:1", "user": "1234:1234"},
        {**TCP, "name": "plain"},
        {**TCP, "name": "plain-small", "image": BUSYBOX["image"], "networks": [{"name": "ci"}]},
    ]
    arguments = launch_arguments(*listed)
    found = wormholes(playbook("launch", host, *arguments))
    assert all(wormhole["proved"] for wormhole in found.values())
    addresses = {name: wormhole["address"] for name, wormhole in found.items()}
    assert addresses == {
        "agent": GATEWAY,
        "mover": CI,
        "two": CI,
        "late": GATEWAY,
        "in-host": GATEWAY,
        "small": CI,
        "user": GATEWAY,
        "plain": GATEWAY,
        "plain-small": CI,
    }
    # The module reports what the container's environment contains and its client uses.
    for name, address in addresses.items():
        port = TCP_PORT if name.startswith("plain") else TLS_PORT
        assert settled(host, name) == f"tcp://{address}:{port}"
    asked = inside(host, f"id -u; sh {INSTALLED} docker info --format '{{{{.Name}}}}'", container="user")
    assert asked.stdout.split() == ["1234", host.name]
    assert inside(
        host, f"sh {INSTALLED} docker info --format '{{{{.Name}}}}'", container="plain"
    ).stdout.split() == [host.name]
    seen = endpoints(playbook, host, addresses)
    assert {name: (end["address"], end["transport"], end["port"]) for name, end in seen.items()} == {
        name: (address, *(("tcp", TCP_PORT) if name.startswith("plain") else ("tls", TLS_PORT)))
        for name, address in addresses.items()
    }
    assert playbook("launch", host, *arguments).changed == 0

    for name in ("mover", "small", "plain-small"):
        host.run(f"docker network disconnect ci {name} && docker network connect other {name}")
    host.run("docker restart -t 1 mover small plain-small")
    assert [settled(host, name) for name in ("mover", "small", "plain-small")] == [
        *[f"tcp://{OTHER}:{TLS_PORT}"] * 2,
        f"tcp://{OTHER}:{TCP_PORT}",
    ]

    # The engine does not serve clients yet when it starts these containers.
    host.run(RESTART)
    assert settled(host, "agent") == f"tcp://{GATEWAY}:{TLS_PORT}"
    host.reboot(power_cut=True)
    assert settled(host, "mover") == f"tcp://{OTHER}:{TLS_PORT}"
    assert settled(host, "plain") == f"tcp://{GATEWAY}:{TCP_PORT}"

    # docker0 gets another address. The engine starts the containers, without another launch.
    configure_bridge(host)
    playbook("provision", host, *listening)
    host.run("docker restart -t 1 agent")
    assert settled(host, "agent") == f"tcp://10.201.0.1:{TLS_PORT}"


def configure_bridge(host):
    text = json.loads(host.run("cat /etc/docker/daemon.json").stdout)
    configure(host, json.dumps({**text, "bip": "10.201.0.1/24"}))


def by_hand(host, arguments, script, *, image="cli", check=True):
    """Run a shell script in a container with only the program and an identity."""
    return host.run(
        f"docker run --rm -v /root/wormhole-discover:/discover:ro -v /etc/wormhole/identities/agent:/certs:ro "
        f"-e WORMHOLE_TIMEOUT=2 {arguments} wormhole-lab/{image}:1 sh -c '{script}'",
        check=check,
    )


IMPOSTOR = (
    "docker run -d --network host --name impostor -v /root/impostor:/impostor:ro wormhole-lab/cli:1 "
    "openssl s_server -accept {address}:2376 -cert /impostor/{name}.pem -key /impostor/{name}.key -www"
)
CERTIFICATES = (
    "mkdir -p /root/impostor; cd /root/impostor; openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=impostor "
    "-addext subjectAltName=IP:10.77.5.1 -keyout own.key -out own.pem 2>/dev/null; "
    "cp /etc/wormhole/server/cert.pem stolen.pem; cp /etc/wormhole/server/key.pem stolen.key"
)
TOOLS = ("docker", "curl", "openssl")


@pytest.mark.parametrize("release", RELEASES)
def test_by_hand_unverified_engines_are_rejected(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run(NETWORKS)
    playbook("provision", host, *EVERY)
    playbook("launch", host, *launch_arguments({**RUN_TIME, "name": "agent", "discover": "launch"}))
    host.write("/root/wormhole-discover", PROGRAM.read_text(), 0o755)
    # In a network that the certificate does not name, another program listens on the engine's port.
    host.run(f"docker network create --subnet 10.77.5.0/24 evil; {CERTIFICATES}")
    for name, told in (
        ("own", ("self-signed certificate", "unable to get local issuer", "unknown authority")),
        ("stolen", ("10.77.5.1", "IP address mismatch")),
    ):
        host.run(IMPOSTOR.format(address="10.77.5.1", name=name))
        for number, tool in enumerate(TOOLS):
            without = f"rm -f {' '.join(f'/usr/bin/{other}' for other in TOOLS[:number])} /nothing; sh /discover --print"
            refused = by_hand(host, "--network evil", without, check=False)
            assert refused.returncode == 69, (name, tool)
            assert any(words in refused.stderr for words in told), (name, tool, refused.stderr)
            # The engine's address is found nevertheless.
            hosts = "--network evil --add-host host.docker.internal:host-gateway"
            assert f"tcp://{GATEWAY}:2376" in by_hand(host, hosts, without).stdout
        host.run("docker rm -f impostor")

    # An image without a TLS client relies on the declared names of the certificate, and fails
    # without them.
    small = {"image": "busybox", "check": False}
    assert by_hand(host, "", "sh /discover --print", **small).returncode == 69
    named = f"echo IP:{GATEWAY} >/tmp/names; WORMHOLE_NAMES_FILE=/tmp/names sh /discover"
    assert f"tcp://{GATEWAY}:2376" in by_hand(host, "", f"{named} --print", **small).stdout
    assert by_hand(host, "--network ci", f"{named} --print", **small).returncode == 69

    # IPv6 only; no default route; no network.
    six = "ip route del default; ip -4 addr flush dev eth0; for i in 1 2 3; do ping -6 -c 1 -W 1 fd00:aa::1 >/dev/null && break; done; sh /discover --print"
    assert "tcp://[fd00:aa::1]:2376" in by_hand(host, "--network six --cap-add NET_ADMIN", six).stdout
    routeless = by_hand(
        host, "--network ci --cap-add NET_ADMIN", "ip route del default; sh /discover --print"
    )
    assert f"{CI} (first address of the network of eth0), checked with docker" in routeless.stdout
    nowhere = by_hand(host, "--network none", "sh /discover echo ran", check=False)
    assert (nowhere.returncode, nowhere.stdout) == (69, "")
    assert "no candidates" in nowhere.stderr


DOCUMENTATION = (PROGRAM.parents[1] / "docs/run-time-discovery.md").read_text()


def example(language, **replaced):
    """Return an example of the documentation, adapted to the lab."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENTATION, re.MULTILINE | re.DOTALL)
    (text,) = [one for one in found if all(words in one for words in replaced)]
    for words, words_here in replaced.items():
        text = text.replace(words, words_here)
    return text


@pytest.mark.parametrize("release", RELEASES)
def test_the_documented_image_and_compose_file(release, fresh_host, playbook):
    host = fresh_host(release)
    host.run("docker network create --subnet 10.77.2.0/24 ci")
    playbook("provision", host)
    playbook("launch", host, *launch_arguments({**RUN_TIME, "name": "agent", "discover": "launch"}))
    host.run("mkdir /srv/own")
    host.write("/srv/own/wormhole-discover", PROGRAM.read_text(), 0o755)

    # The lab's images only search programs in /usr/bin.
    dockerfile = example(
        "dockerfile",
        **{
            "docker:cli": "wormhole-lab/cli:1",
            "/usr/local/bin/": "/usr/bin/",
            ', "docker-entrypoint.sh"': "",
            '"ps"': '"ps", "-q"',
        },
    )
    host.write("/srv/own/Dockerfile", dockerfile)
    host.run("DOCKER_BUILDKIT=0 docker build -t my-image /srv/own")
    (line,) = [line for line in DOCUMENTATION.splitlines() if line.startswith("$ docker run ")]
    running = host.run("docker ps -q").stdout.split()
    for network in ("bridge", "ci"):
        # It lists itself, because its engine is the one that runs it.
        listed = host.run(line[2:].replace("--rm", f"--rm --network {network}")).stdout.split()
        assert len(listed) == len(running) + 1, network
        assert set(running) < set(listed)

    compose = example(
        "yaml",
        **{
            "registry.example.org/agent:1\n    entrypoint": "wormhole-lab/cli:1\n    entrypoint",
            '"/agent"': '"sh"',
            '["--verbose"]': """["-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]""",
        },
    )
    host.write("/srv/own/compose.yaml", compose)
    host.run(
        "docker run --rm -v /var/run/docker.sock:/var/run/docker.sock -v /srv/own:/srv/own:ro wormhole-lab/cli:1 "
        "docker compose --project-name own --file /srv/own/compose.yaml up --detach"
    )
    (container,) = host.run("docker ps -q --filter label=com.docker.compose.project=own").stdout.split()
    assert settled(host, container) == f"tcp://{GATEWAY}:2376"
    # Another shell prints the variables, as documented.
    asked = inside(
        host,
        'eval "$(/bin/sh /usr/local/bin/wormhole-discover --print)"; docker info --format "{{.Name}}"',
        container=container,
    )
    assert asked.stdout.split() == [host.name]
