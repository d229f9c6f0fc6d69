# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""From a virgin host to a verified wormhole: predicted, done, done again, rebooted."""

from __future__ import annotations

import json

import pytest

from hosts import GATEWAY, WORMHOLE, engine, footprint, inside, launch_arguments, listening

pytestmark = pytest.mark.parametrize("release", [12, 13])


@pytest.fixture
def provisioned(release, fresh_host, playbook):
    """A host on which provision and launch have run."""
    host = fresh_host(release)
    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    return host


def test_check_mode_predicts_what_the_run_then_does_and_touches_nothing(
    release, fresh_host, playbook, controller_ca
):
    host = fresh_host(release)
    before = footprint(host)
    predicted = playbook("provision", host, "--check", "--diff")
    assert footprint(host) == before
    assert not controller_ca.exists()
    done = playbook("provision", host, "--diff")
    assert footprint(host) != before
    assert done.changed > 0
    assert [task.changed for task in predicted.tasks] == [task.changed for task in done.tasks]
    assert [task.diff for task in predicted.tasks] == [task.diff for task in done.tasks]

    predicted = playbook("launch", host, "--check", "--diff", *launch_arguments())
    assert not host.run("docker ps -aq").stdout.strip()
    done = playbook("launch", host, "--diff", *launch_arguments())
    assert [task.changed for task in predicted.tasks] == [task.changed for task in done.tasks]
    assert [task.diff for task in predicted.tasks] == [task.diff for task in done.tasks]


def test_again_nothing_changes_in_five_round_trips(release, provisioned, playbook):
    before = engine(provisioned)
    runs = [playbook("provision", provisioned), playbook("launch", provisioned, *launch_arguments())]
    assert [run.changed for run in runs] == [0, 0]
    assert sum(run.round_trips for run in runs) == 5
    assert engine(provisioned) == before


def test_a_wormhole_is_verified_from_inside_and_everything_else_is_refused(release, provisioned):
    environment = dict(
        line.split("=", 1) for line in inside(provisioned, "env").stdout.splitlines() if "=" in line
    )
    assert environment["DOCKER_HOST"] == f"tcp://{GATEWAY}:2376"
    assert environment["DOCKER_TLS_VERIFY"] == "1"
    server = json.loads(inside(provisioned, "docker version --format '{{json .Server}}'").stdout)
    assert server["Version"].startswith({12: "20.10", 13: "26.1"}[release])

    without_certificate = inside(
        provisioned, f"curl -sS --cacert /certs/ca.pem https://{GATEWAY}:2376/version", check=False
    )
    assert without_certificate.returncode != 0
    assert "certificate" in without_certificate.stderr
    plaintext = inside(provisioned, f"curl -sS http://{GATEWAY}:2376/version", check=False)
    assert "HTTP request to an HTTPS server" in plaintext.stdout
    wrong_name = inside(
        provisioned,
        f"curl -sS --cacert /certs/ca.pem --cert /certs/cert.pem --key /certs/key.pem "
        f"--connect-to elsewhere.example:2376:{GATEWAY}:2376 https://elsewhere.example:2376/version",
        check=False,
    )
    assert wrong_name.returncode != 0
    assert "elsewhere.example" in wrong_name.stderr
    right = inside(
        provisioned,
        "curl -sS --cacert /certs/ca.pem --cert /certs/cert.pem --key /certs/key.pem "
        "https://host.docker.internal:2376/version",
    )
    assert json.loads(right.stdout)["Version"] == server["Version"]


def test_nothing_of_ours_listens_beyond_the_bridge(release, fresh_host, playbook):
    host = fresh_host(release)
    before = listening(host)
    playbook("provision", host)
    assert [address for address in listening(host) if address not in before] == [f"{GATEWAY}:2376"]


@pytest.mark.parametrize("power_cut", [False, True])
def test_after_a_reboot_the_wormhole_is_back_verified(release, provisioned, playbook, power_cut):
    provisioned.reboot(power_cut=power_cut)
    deadline = "for i in $(seq 60); do docker exec agent docker version >/dev/null 2>&1 && exit 0; sleep 0.5; done; exit 1"
    provisioned.run(deadline)
    assert inside(
        provisioned, "echo $DOCKER_TLS_VERIFY; docker info --format '{{.Name}}'"
    ).stdout.split() == [
        "1",
        provisioned.name,
    ]
    assert playbook("provision", provisioned).changed == 0
    assert playbook("launch", provisioned, *launch_arguments()).changed == 0


def test_a_unix_wormhole_works_for_a_user_that_is_not_root(release, fresh_host, playbook):
    host = fresh_host(release)
    wormhole = {**WORMHOLE, "name": "agent", "image": "wormhole-lab/nonroot:1", "transport": "unix"}
    run = playbook("launch", host, *launch_arguments(wormhole))
    assert run.changed == 1
    assert inside(host, "id -u; docker info --format '{{.Name}}'").stdout.split() == ["1234", host.name]
    assert playbook("launch", host, *launch_arguments(wormhole)).changed == 0


def test_a_tls_wormhole_works_for_a_user_that_is_not_root_and_its_key_is_nobody_elses(
    release, fresh_host, playbook
):
    host = fresh_host(release)
    # A name that only the image can tell.
    wormhole = {**WORMHOLE, "name": "agent", "user": "ci"}
    playbook("provision", host)
    playbook("launch", host, *launch_arguments(wormhole))
    assert inside(host, "id -u; docker info --format '{{.Name}}'").stdout.split() == ["1234", host.name]
    assert host.run("stat -c '%u %a' /etc/wormhole/identities/agent/key.pem").stdout.split() == [
        "1234",
        "400",
    ]
