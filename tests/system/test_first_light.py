# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a new host to a verified wormhole: predict, run, run again, reboot."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from conftest import print_state
from hosts import GATEWAY, WORMHOLE, engine, footprint, inside, launch_arguments, listening
from lab import Host, HostSpec
from lab.spec import RELEASES
from playbooks import Controller, Run

pytestmark = pytest.mark.parametrize("release", RELEASES, scope="module")


@dataclass
class Ground:
    """A host after the first run of provision and launch, with the results.

    Attributes:
        host, controller: the host and its controller.
        virgin: footprint before the runs, and after provision in check mode.
        listened: addresses that were listened on before.
        predicted, done: provision and launch in check mode, and as real runs.
    """

    host: Host
    controller: Controller
    virgin: list[str]
    listened: list[str]
    predicted: list[Run]
    done: list[Run]

    def provision(self, *arguments):
        return self.controller.playbook("provision", self.host, *arguments)

    def launch(self, *arguments, wormhole=None):
        listed = launch_arguments(wormhole or WORMHOLE)
        return self.controller.playbook("launch", self.host, *listed, *arguments)


@pytest.fixture(scope="module")
def ground(release, lab, collections, tmp_path_factory):
    host = lab.fresh_host(HostSpec(release))
    controller = Controller(lab, tmp_path_factory.mktemp("controller"), collections)
    ground = Ground(host, controller, [footprint(host)], listening(host), [], [])
    try:
        for run in (ground.provision, ground.launch):
            ground.predicted.append(run("--check", "--diff"))
            if not ground.done:
                assert not (controller.home / ".wormhole").exists()
                ground.virgin.append(footprint(host))
            assert not host.run("docker ps -aq").stdout.strip()
            ground.done.append(run("--diff"))
        yield ground
    finally:
        if len(ground.done) < 2:
            print_state(host)
        host.destroy()


def test_check_mode_predicts_the_run_and_changes_nothing(ground):
    before, predicted_only = ground.virgin
    assert predicted_only == before != footprint(ground.host)
    for predicted, done in zip(ground.predicted, ground.done, strict=True):
        assert done.changed > 0
        assert [task.changed for task in predicted.tasks] == [task.changed for task in done.tasks]
        assert [task.diff for task in predicted.tasks] == [task.diff for task in done.tasks]


def test_a_second_run_changes_nothing_in_two_round_trips(ground):
    before = engine(ground.host)
    runs = [ground.provision(), ground.launch()]
    assert [run.changed for run in runs] == [0, 0]
    assert sum(run.round_trips for run in runs) == 2
    assert engine(ground.host) == before


def test_a_wormhole_is_verified_from_inside_and_other_clients_are_rejected(release, ground):
    host = ground.host
    environment = dict(line.split("=", 1) for line in inside(host, "env").stdout.splitlines() if "=" in line)
    assert environment["DOCKER_HOST"] == f"tcp://{GATEWAY}:2376"
    assert environment["DOCKER_TLS_VERIFY"] == "1"
    server = json.loads(inside(host, "docker version --format '{{json .Server}}'").stdout)
    print(f"Debian {release}: Docker {server['Version']}, API {server['ApiVersion']}")
    assert server["Version"] == host.run("docker version --format '{{.Server.Version}}'").stdout.strip()

    without_certificate = inside(
        host, f"curl -sS --cacert /certs/ca.pem https://{GATEWAY}:2376/version", check=False
    )
    assert without_certificate.returncode != 0
    assert "certificate" in without_certificate.stderr
    plaintext = inside(host, f"curl -sS http://{GATEWAY}:2376/version", check=False)
    assert "HTTP request to an HTTPS server" in plaintext.stdout
    wrong_name = inside(
        host,
        f"curl -sS --cacert /certs/ca.pem --cert /certs/cert.pem --key /certs/key.pem "
        f"--connect-to elsewhere.example:2376:{GATEWAY}:2376 https://elsewhere.example:2376/version",
        check=False,
    )
    assert wrong_name.returncode != 0
    assert "elsewhere.example" in wrong_name.stderr
    right = inside(
        host,
        "curl -sS --cacert /certs/ca.pem --cert /certs/cert.pem --key /certs/key.pem "
        "https://host.docker.internal:2376/version",
    )
    assert json.loads(right.stdout)["Version"] == server["Version"]


def test_the_collection_only_listens_on_the_bridge(ground):
    new = [address for address in listening(ground.host) if address not in ground.listened]
    assert new == [f"{GATEWAY}:2376"]


def test_a_unix_wormhole_works_without_root(ground):
    wormhole = {**WORMHOLE, "name": "of-user", "image": "wormhole-lab/nonroot:1", "transport": "unix"}
    assert ground.launch(wormhole=wormhole).changed == 1
    asked = inside(ground.host, "id -u; docker info --format '{{.Name}}'", container="of-user")
    assert asked.stdout.split() == ["1234", ground.host.name]
    assert ground.launch(wormhole=wormhole).changed == 0


def test_a_tls_wormhole_works_without_root_and_others_cannot_read_its_key(ground):
    # A name that only the image resolves.
    wormhole = {**WORMHOLE, "name": "of-ci", "user": "ci"}
    assert ground.launch(wormhole=wormhole).changed == 1
    asked = inside(ground.host, "id -u; docker info --format '{{.Name}}'", container="of-ci")
    assert asked.stdout.split() == ["1234", ground.host.name]
    key = ground.host.run("stat -c '%u %a' /etc/wormhole/identities/of-ci/key.pem")
    assert key.stdout.split() == ["1234", "400"]


@pytest.mark.parametrize("power_cut", [False, True])
def test_the_wormhole_is_verified_after_a_reboot(ground, power_cut):
    ground.host.reboot(power_cut=power_cut)
    deadline = "for i in $(seq 60); do docker exec agent docker version >/dev/null 2>&1 && exit 0; sleep 0.5; done; exit 1"
    ground.host.run(deadline)
    asked = inside(ground.host, "echo $DOCKER_TLS_VERIFY; docker info --format '{{.Name}}'")
    assert asked.stdout.split() == ["1", ground.host.name]
    assert ground.provision().changed == 0
    assert ground.launch().changed == 0
