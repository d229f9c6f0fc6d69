# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every transport from every kind of network, for every kind of user. Networks without a route are
rejected with the reason.

One host of each release has every kind of network. Each wormhole is verified twice: by the module,
from inside the container and as its user, and by a client in its image. Users and images are spread
over the networks, so that each is used with each transport.
"""

from __future__ import annotations

import base64
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import print_state
from hosts import GATEWAY, inside
from lab import Host, HostSpec, Lab
from lab.spec import RELEASES, Release
from packages import install
from playbooks import Controller, Run, ansible_directory
from reference import reference_collections
from runner.turns import SHARING

pytestmark = pytest.mark.parametrize("release", RELEASES, scope="module")

PLAY = Path(__file__).parent / "plays/traversal.yml"
OTHER_TOOLS = PLAY.with_name("other_tools.yml")
ENDPOINTS = PLAY.with_name("endpoints.yml")
PORT = 2375
SIX = "fd00:bb::1"
DISCOVER = "/usr/local/lib/wormhole-docker/wormhole-discover"
WARNING = f"transport tcp: the wormhole reaches its engine without TLS, at port {PORT}"

NETWORKS = f"""
    set -e
    docker network create --subnet 10.77.2.0/24 ci
    docker network create --subnet 10.77.9.0/24 db
    docker network create --ipv6 --subnet 10.77.3.0/24 --subnet fd00:bb::/64 --gateway 10.77.3.1 --gateway {SIX} \\
        -o com.docker.network.bridge.inhibit_ipv4=true six
    docker network create --internal inner
    docker network create -d macvlan --subnet 10.77.4.0/24 -o parent=eth0 a-macvlan
    docker swarm init --advertise-addr "$(hostname -I | cut -d' ' -f1)"
    docker network create -d overlay --attachable --subnet 10.77.5.0/24 over
    for i in $(seq 50); do docker network inspect docker_gwbridge >/dev/null 2>&1 && break; sleep 0.2; done
"""
"""One network of each kind.

In network six, the bridge has no IPv4 address: engines before 28 have no networks without IPv4.
"""

LATER = """
    docker network create --subnet 10.77.8.0/24 late
    docker network create --subnet 10.77.10.0/24 Zed
"""
"""Networks that no listener serves: their containers reach docker0's address by default route.

Of several networks, the first has the default route. Their names sort by bytes: upper case first.
"""

CLI, BUSYBOX, NONROOT = ({"image": f"wormhole-lab/{name}:1"} for name in ("cli", "busybox", "nonroot"))
ROOT, NUMBER, NAMED = {"user": "root"}, {"user": "4242"}, {"user": "ci"}
KINDS: tuple[dict[str, Any], ...] = (
    {},
    {**BUSYBOX, **NUMBER},
    {**NONROOT, **NAMED},
    {**CLI, **NUMBER},
    {**BUSYBOX, **NAMED},
    {**NONROOT, **ROOT},
    BUSYBOX,
    {**NONROOT, **NUMBER},
)
"""Images and users.

Images: a client without users except root, BusyBox only, and one with another user. Users: root, an
ID without a name, a name.
"""

NETWORKS_OF = {
    "tls": ("bridge", "ci", "ci+db", "six", "over", "late", "a-macvlan+ci", "Zed+a-macvlan", "host"),
    "unix": ("bridge", "ci", "ci+db", "six", "over", "late", "inner", "a-macvlan", "none", "host"),
    "tcp": ("bridge", "ci", "inner+db", "six", "over", "host"),
}
"""The networks that a wormhole may join, by transport."""

SEED = int(os.environ.get("WORMHOLE_SEED", "0"))
WAYS = {
    (transport, where): KINDS[(number + SEED // (SHARING * len(RELEASES))) % len(KINDS)]
    for number, (transport, where) in enumerate(
        (transport, where) for transport, places in NETWORKS_OF.items() for where in places
    )
}
"""Images and users, selected by seed.

Eight turns of this file on a release cover each network and transport with each.
"""

NO_WAY = {
    "inner": "network inner: .*internal network.*Use transport unix",
    "a-macvlan": "network a-macvlan: .*macvlan: the kernel keeps the host unreachable.*Use transport unix",
    "none": "network none: .*no network at all.*Use transport unix",
}
REFUSED = {
    **{(transport, network): text for transport in ("tls", "tcp") for network, text in NO_WAY.items()},
    # The network whose name sorts first has the default route, which does not lead to the host.
    ("tls", "a-macvlan+late"): "can reach only 10.77.8.1: the default route .* through network a-macvlan",
    (
        "tcp",
        "late",
    ): "can reach only 10.77.8.1: a plaintext listener accepts connections from its own bridge only",
    ("unix", "none+testcontainers"): "testcontainers requires a network with a route to the host",
}
"""Networks without a route to the engine, and the reason."""

EXPECTED = {
    "tls-bridge": f"tcp://{GATEWAY}:2376",
    "tls-six": f"tcp://[{SIX}]:2376",
    "tls-late": f"tcp://{GATEWAY}:2376",
    "tls-Zed-a-macvlan": f"tcp://{GATEWAY}:2376",
    "tls-a-macvlan-ci": "tcp://10.77.2.1:2376",
    "tls-host": "tcp://127.0.0.1:2376",
    "unix-bridge": "unix:///run/wormhole/docker.sock",
    "tcp-inner-db": f"tcp://10.77.9.1:{PORT}",
    "tcp-host": f"tcp://127.0.0.1:{PORT}",
    "tcp-host-at-start": f"tcp://127.0.0.1:{PORT}",
}


def wormhole(transport: str, where: str, **more: Any) -> dict[str, Any]:
    """Return the options of a wormhole on these networks, whose names are joined by ``+``."""
    names = where.split("+")
    place: dict[str, Any] = (
        {"network_mode": where} if where in ("host", "none") else {"networks": [{"name": n} for n in names]}
    )
    return {
        "name": f"{transport}-{where}".replace("+", "-"),
        "image": "wormhole-lab/cli:1",
        "pull": "never",
        "transport": transport,
        "stop_timeout": 1,
        **({} if where == "bridge" else place),
        **({"insecure_plaintext_port": PORT} if transport == "tcp" else {}),
        **more,
    }


AT_START = [
    wormhole(transport, where, name=f"{transport}-{where}-at-start", discover="runtime", **how)
    for transport, where, how in (
        ("tls", "over", CLI),
        ("tcp", "over", BUSYBOX),
        ("tcp", "host", NUMBER),
    )
]
"""Wormholes with run-time discovery, in cases that test_run_time_discovery.py does not cover."""

FOR_TESTCONTAINERS = [
    wormhole(transport, "bridge", name=f"{transport}-testcontainers", testcontainers=True, **how)
    for transport, how in (("tls", {**NONROOT, **NAMED}), ("unix", {**NONROOT, **NAMED}), ("tcp", NUMBER))
]

DROPPING = {
    name: wormhole(
        "tls",
        "bridge",
        name=name,
        user="root",
        identity_owner=owner,
        entrypoint=["/bin/sh", "-c"],
        command=[f"su {user} -s /bin/sh -c 'docker info >/tmp/said 2>&1; sleep 86400'; true"],
        **how,
    )
    for name, owner, user, how in (
        ("tls-dropping", "ci", "ci", CLI),
        ("tls-dropping-number", "1234:1234", "ci", NONROOT),
    )
}
"""Wormholes that start as root and drop their privileges."""

WORMHOLES = [
    *(wormhole(transport, where, **how) for (transport, where), how in WAYS.items()),
    *AT_START,
    *FOR_TESTCONTAINERS,
    *DROPPING.values(),
]


@dataclass
class Ground:
    """A host with all wormholes, and the results of the runs that created them."""

    host: Host
    controller: Controller
    launched: Run

    def play(self, *tags: str, **variables: Any) -> Run:
        """Run the tasks of the play with a tag."""
        return self.controller.playbook(
            str(PLAY), self.host, "--tags", ",".join(tags), "-e", json.dumps(variables)
        )


@pytest.fixture(scope="module")
def ground(
    release: Release, lab: Lab, collections: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    host = lab.fresh_host(HostSpec(release))
    controller = Controller(lab, tmp_path_factory.mktemp("controller"), collections)
    listener = {
        "listener_addresses": ["gateways", "127.0.0.1"],
        "listener_transports": ["tls", "unix"],
        "listener_insecure_plaintext_port": PORT,
    }
    try:
        for package in ("libwrap0", "socat"):
            install(lab, host, package)
        host.run(NETWORKS)
        controller.playbook("provision", host, "-e", json.dumps(listener))
        host.run(LATER)
        launched = controller.playbook("launch", host, "-e", json.dumps({"wormholes_containers": WORMHOLES}))
    except Exception:
        print_state(host)
        host.destroy()
        raise
    yield Ground(host, controller, launched)
    host.destroy()


def launches(run: Run) -> dict[str, dict[str, Any]]:
    """Return the module's result for each wormhole."""
    tasks = [task for task in run.tasks if task.action == "wormhole.docker.wormhole_containers"]
    return {item["name"]: dict(item) for task in tasks for item in task.items}


def listed(run: Run) -> dict[str, dict[str, Any]]:
    """Return the results of wormhole_container_info, by name."""
    (task,) = [task for task in run.tasks if task.action == "wormhole.docker.wormhole_container_info"]
    return {wormhole["name"]: wormhole for wormhole in task.result["wormholes"]}


def test_every_wormhole_is_verified_from_inside(ground):
    results = launches(ground.launched)
    assert {name: result["wormhole"]["proved"] for name, result in results.items()} == {
        wanted["name"]: True for wanted in WORMHOLES
    }
    addresses = {name: result["wormhole"]["docker_host"] for name, result in results.items()}
    assert {name: addresses[name] for name in EXPECTED} == EXPECTED


def test_a_client_in_the_image_agrees(ground):
    version = ground.host.run("docker version --format '{{.Server.Version}}'").stdout.strip()
    for wanted in WORMHOLES:
        name, transport = wanted["name"], wanted["transport"]
        found = f'eval "$(sh {DISCOVER} --print)"; ' if wanted in AT_START else ""
        if "busybox" not in wanted["image"]:
            seen = inside(
                ground.host, f"{found}docker version --format '{{{{.Server.Version}}}}'", container=name
            )
            assert seen.stdout.strip() == version, name
        elif transport == "tcp":
            url = "http${DOCKER_HOST#tcp}/_ping"
            assert inside(ground.host, f'{found}wget -q -O - "{url}"', container=name).stdout == "OK", name


@pytest.mark.parametrize("name", DROPPING)
def test_a_program_that_drops_its_privileges_reads_its_identity(ground, name):
    main = ground.host.run(f"docker exec {name} cat /proc/1/status").stdout
    assert "Uid:\t0\t" in main, "the main process is still root"
    # The program may have been started a moment ago.
    answered = "for i in $(seq 200); do grep -qs Name: /tmp/said && break; sleep 0.1; done; cat /tmp/said"
    assert f"Name: {ground.host.name}" in inside(ground.host, answered, container=name).stdout
    key = f"/etc/wormhole/identities/{name}/key.pem"
    assert ground.host.run(f"stat -c '%u %a' {key}").stdout.split() == ["1234", "400"]
    # Without the option, the identity belongs to root.
    wanted = {key: value for key, value in DROPPING[name].items() if key != "identity_owner"}
    ground.controller.playbook("launch", ground.host, "-e", json.dumps({"wormholes_containers": [wanted]}))
    refused = ground.host.run(f"docker exec -u ci {name} docker version", check=False)
    assert "permission denied" in refused.stderr + refused.stdout
    ground.controller.playbook(
        "launch", ground.host, "-e", json.dumps({"wormholes_containers": [DROPPING[name]]})
    )
    assert "Server" in ground.host.run(f"docker exec -u ci {name} docker version").stdout


def test_endpoint_info_probes_what_run_time_discovery_finds(ground):
    names = [wanted["name"] for wanted in AT_START]
    run = ground.controller.playbook(str(ENDPOINTS), ground.host, "-e", json.dumps({"containers": names}))
    seen = {item["item"]: item["endpoint"] for task in run.tasks for item in task.items}
    found = {name: f"tcp://{seen[name]['address']}:{seen[name]['port']}" for name in names}
    assert found == {
        name: one["docker_host"] for name, one in listed(ground.play("info")).items() if name in names
    }
    assert [seen[name]["transport"] for name in names] == [wanted["transport"] for wanted in AT_START]


SIBLING = """
    set -eu
    sibling=$(docker run -d --rm -p 80 wormhole-lab/busybox:1 httpd -f -p 80 -h /etc)
    port=$(docker port "$sibling" 80 | sed -n '1s/.*://p')
    curl -fsS --retry 5 --retry-connrefused "http://$TESTCONTAINERS_HOST_OVERRIDE:$port/hostname"
    docker run --rm -v "$TESTCONTAINERS_DOCKER_SOCKET_OVERRIDE:/var/run/docker.sock" wormhole-lab/cli:1 \\
        docker -H unix:///var/run/docker.sock inspect -f '{{.Config.Hostname}}' "$sibling"
    docker rm -f "$sibling" >/dev/null
"""
"""Do as Testcontainers: use a started container's port, and give the reaper the engine's socket."""


@pytest.mark.parametrize("transport", NETWORKS_OF)
def test_testcontainers_works(ground, transport):
    said = inside(ground.host, SIBLING, container=f"{transport}-testcontainers").stdout.split()
    assert len(said) == 2
    assert len(set(said)) == 1


def test_networks_without_a_route_are_rejected_with_the_reason(ground):
    refusals = [
        wormhole(
            transport,
            where.removesuffix("+testcontainers"),
            name=f"refused-{index}",
            testcontainers=where.endswith("+testcontainers"),
            identity="tls-over-at-start",
        )
        for index, (transport, where) in enumerate(REFUSED)
    ]
    asked = [
        {"options": options, "message": text}
        for options, text in zip(refusals, REFUSED.values(), strict=True)
    ]
    ground.play("refusals", refusals=asked)
    assert ground.host.run("docker ps -aq --filter name=refused-").stdout == ""


def test_the_default_route_follows_networks_and_priorities(ground):
    """A running wormhole joins no network that would move its default route away from the host."""

    def launch(*networks, check=True):
        wanted = wormhole("tls", "late", name="mover", identity="tls-over-at-start", networks=list(networks))
        return ground.controller.playbook(
            "launch", ground.host, "-e", json.dumps({"wormholes_containers": [wanted]}), check=check
        )

    late, macvlan = {"name": "late"}, {"name": "a-macvlan"}
    assert launches(launch(late))["mover"]["wormhole"]["proved"]
    said = " ".join(launch(late, macvlan, check=False).stdout.split())
    assert "the default route of the container leads through network a-macvlan" in said
    assert launches(launch(late))["mover"]["wormhole"]["proved"]
    api = ground.host.run("docker version --format '{{.Server.APIVersion}}'").stdout
    if tuple(map(int, api.split("."))) >= (1, 48):
        first = {**late, "gw_priority": 5}
        assert launches(launch(first, macvlan))["mover"]["wormhole"]["proved"]
        # The engine forgets the priority; an internal network has none.
        ground.host.run("docker network disconnect late mover && docker network connect late mover")
        again = launches(launch(first, macvlan))["mover"]
        assert [reason["code"] for reason in again["reasons"]] == ["networks_differs"]
        assert again["wormhole"]["proved"]
        ground.host.run("docker rm -f mover")
        inner = {"name": "inner", "gw_priority": 9}
        assert launches(launch(inner, late))["mover"]["wormhole"]["proved"]
    ground.host.run("docker rm -f mover")


def test_a_second_run_changes_nothing_and_verifies_everything(ground):
    again = ground.controller.playbook(
        "launch", ground.host, "-e", json.dumps({"wormholes_containers": WORMHOLES})
    )
    assert {name: result["reasons"] for name, result in launches(again).items() if result["changed"]} == {}
    assert all(result["wormhole"]["proved"] for result in launches(again).values())
    # Every run warns of plaintext, even if nothing changes.
    assert WARNING in " ".join(again.stdout.split())


ONE_EACH = list(
    {where: wormhole(transport, where, **how) for (transport, where), how in WAYS.items()}.values()
)
"""One wormhole on each network."""
NAMES = " ".join(wanted["name"] for wanted in ONE_EACH)


def test_a_wormhole_on_any_network_is_replaced_running_and_stopped(ground):
    """Without losing it: a running container on an attachable overlay network cannot be renamed."""

    def launch(check=True, **more):
        wanted = [{**one, **more} for one in ONE_EACH]
        run = ground.controller.playbook(
            "launch", ground.host, "-e", json.dumps({"wormholes_containers": wanted}), check=check
        )
        return launches(run) if check else {}

    def identifiers():
        shown = ground.host.run(
            f"docker inspect -f '{{{{.Id}}}} {{{{.State.Running}}}}' {NAMES}"
        ).stdout.split()
        return set(shown[::2]), set(shown[1::2])

    first, running = identifiers()
    assert running == {"true"}
    results = launch(env={"ROUND": "2"})
    second, running = identifiers()
    assert running == {"true"}
    assert not first & second
    assert all(result["wormhole"]["proved"] for result in results.values())
    # Its name is still known on its network.
    seek = "docker run --rm --network over wormhole-lab/busybox:1 nslookup"
    name = next(one["name"] for one in ONE_EACH if one["name"].endswith("-over"))
    found = ground.host.run(f"{seek} {name}").stdout
    assert "10.77.5." in found

    # A replacement that fails: the program does not exist.
    launch(check=False, entrypoint=["/nosuch"], discover="launch")
    assert identifiers() == (second, {"true"})
    assert ground.host.run("docker ps -a --format '{{.Names}}' | grep -c 'wormhole-' || true").stdout == "0\n"

    ground.host.run(f"docker stop -t 0 {NAMES}")
    launch(env={"ROUND": "3"}, state="present")
    third, running = identifiers()
    assert running == {"false"}
    assert not second & third
    assert all(result["wormhole"]["proved"] for result in launch().values())
    assert identifiers() == (third, {"true"})


def test_all_wormholes_are_listed_with_their_state(ground):
    ground.host.run("docker stop -t 0 tls-ci unix-none")
    found = listed(ground.play("info"))
    stopped = {"tls-ci", "unix-none"}
    assert set(found) == {wanted["name"] for wanted in WORMHOLES}
    assert {name for name, one in found.items() if one["proved"] is None} == stopped
    assert {name: one["problem"] for name, one in found.items() if one["proved"] is False} == {}
    days = {name: one["certificate_days_left"] for name, one in found.items()}
    assert {name for name, left in days.items() if left is not None} == {
        wanted["name"] for wanted in WORMHOLES if wanted["transport"] == "tls"
    }
    assert found["tls-ci"]["certificate_days_left"] > 30
    assert found["tls-ci"]["identity_directory"] == "/etc/wormhole/identities/tls-ci"
    assert (found["tls-six"]["address"], found["tls-six"]["port"]) == (SIX, 2376)


def test_a_wormhole_that_fails_verification_is_reported(ground):
    """Its identity is that of another wormhole, as after a mistake."""
    identity = "/etc/wormhole/identities/tls-testcontainers"
    ground.host.run(f"chown -R 7:7 {identity}")
    found = listed(ground.play("info"))
    ground.host.run(f"chown -R 1234:0 {identity}")
    told = {name: one["problem"] for name, one in found.items() if one["proved"] is False}
    assert list(told) == ["tls-testcontainers"]
    assert "readable for user 1234" in told["tls-testcontainers"]


def test_a_container_of_another_tool_is_a_wormhole(ground, lab, collections):
    """The same wiring with docker run, Compose and docker_container, used by the image's client."""
    wirings = [
        {"name": "other-tls", "networks": ["ci", "db"], "identity": "tls-over-at-start"},
        {"name": "other-unix", "transport": "unix", "network_mode": "none", "shared_directory": "/srv"},
        {"name": "other-tcp", "transport": "tcp", "insecure_plaintext_port": PORT, "testcontainers": True},
    ]
    reference = reference_collections(Path(__file__).resolve().parents[2] / ".dev/cache/reference")
    controller = Controller(lab, ground.controller.home, Path(f"{collections}:{reference}"))
    controller.playbook(str(OTHER_TOOLS), ground.host, "-e", json.dumps({"wirings": wirings}))
    others = {name: one for name, one in listed(ground.play("info")).items() if name.startswith("other-")}
    assert {name: (one["proved"], one["managed"]) for name, one in others.items()} == {
        f"other-{transport}{tool}": (True, False)
        for transport in ("tls", "unix", "tcp")
        for tool in ("", "-compose", "-module")
    }


LOOK_UP = (
    "python3 -m ansible.cli.adhoc localhost -c local -m debug "
    "-a \"msg={{ lookup('wormhole.docker.docker_host', connection=%s) }}\""
)
WITHOUT_VARIABLES = "env -u DOCKER_HOST -u DOCKER_TLS_VERIFY -u DOCKER_CERT_PATH "


def test_a_playbook_inside_a_wormhole_finds_its_engine(ground, collections):
    """With the wiring's variables, and without them, by the default route and the certificates, or
    by the socket.

    The execution environment consists of the controller's Ansible and the host's Python, mounted.
    """
    host, place = ground.host, "/opt/ansible"
    (packages,) = ansible_directory().parent.glob("lib/python3*/site-packages")
    copy(host, packages, place, *needed_by_ansible(packages))
    copy(host, collections, place, "ansible_collections/wormhole")
    environment = {
        "image": "wormhole-lab/cli:1",
        "pull": "never",
        "volumes": ["/usr:/usr:ro", f"{place}:{place}:ro"],
        "env": {
            "PYTHONPATH": place,
            "ANSIBLE_COLLECTIONS_PATH": place,
            "ANSIBLE_HOME": "/tmp/ansible",
            "LC_ALL": "C.UTF-8",
        },
    }
    wormholes = [
        {**environment, "name": "jobs-tls", "networks": [{"name": "ci"}]},
        {**environment, "name": "jobs-unix", "transport": "unix"},
    ]
    ground.controller.playbook("launch", host, "-e", json.dumps({"wormholes_containers": wormholes}))
    tls, unix = "tcp://10.77.2.1:2376", "unix:///run/wormhole/docker.sock"
    for container, address in (("jobs-tls", tls), ("jobs-unix", unix)):
        for prefix in ("", WITHOUT_VARIABLES):
            said = inside(host, prefix + LOOK_UP % "false", container=container).stdout
            assert f'"msg": "{address}"' in said, prefix
    said = inside(host, LOOK_UP % "true", container="jobs-tls").stdout
    for option in (tls, "/certs/ca.pem", "/certs/cert.pem", "/certs/key.pem"):
        assert f'": "{option}"' in said
    # Seen to fail: an engine that does not listen is not found.
    broken = inside(
        host, f"DOCKER_HOST=tcp://10.77.2.1:1 {LOOK_UP % 'false'}", container="jobs-tls", check=False
    )
    assert broken.returncode != 0
    assert "10.77.2.1:1" in broken.stdout + broken.stderr
    broken = inside(
        host,
        f"{WITHOUT_VARIABLES}WORMHOLE_PORT=2399 {LOOK_UP % 'false'}",
        container="jobs-tls",
        check=False,
    )
    assert "tcp://10.77.2.1:2399 (address 10.77.2.1): nothing listens" in broken.stdout + broken.stderr


def needed_by_ansible(packages):
    """Return the distributions that ansible-core requires, with their metadata."""
    wanted = re.compile(
        r"(ansible_core-.*|ansible|jinja2(-.*)?|markupsafe(-.*)?|_?yaml|pyyaml-.*|packaging(-.*)?)"
    )
    return [path.name for path in packages.iterdir() if wanted.fullmatch(path.name.lower())]


def copy(host, source, target, *names):
    """Copy directories below ``source`` to a host, without compiled files."""
    with io.BytesIO() as packed:
        with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as archive:
            for name in names:
                archive.add(
                    source / name, name, filter=lambda item: None if "__pycache__" in item.name else item
                )
        text = base64.b64encode(packed.getvalue()).decode()
    host.run(f"mkdir -p {target} && base64 -d | tar -xz --no-same-owner -C {target}", input=text)
