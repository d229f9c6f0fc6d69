# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotation of the authority, while clients in wormholes send requests without a pause."""

from __future__ import annotations

import json
import os
import random
import time

import pytest
from cryptography import x509

from certificates import IDENTITIES, SERVER, read_certificate, reasons
from continuous import LIVE_RESTORE, ContinuousClient
from hosts import FLEET, GATEWAY, configure, engine, inside, last_rejection, launch_arguments, own_name
from lab.spec import DEFAULT, RELEASES
from test_killed_runs import end_with_children

AGENT = f"{IDENTITIES}/agent"
KILLS = 8 if os.environ.get("WORMHOLE_THOROUGH") else 1
SEED = int(os.environ.get("WORMHOLE_SEED", "0"))
RESTARTS = 2
"""Engine restarts in a rotation: for the new server certificate, and to drop the old authority."""


def issuer(host, directory):
    return name_of(read_certificate(host, directory).issuer)


def name_of(name):
    return name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def trusted(host, directory):
    """Return the authorities in a trust bundle."""
    bundle = x509.load_pem_x509_certificates(host.read(f"{directory}/ca.pem").encode())
    return [name_of(certificate.subject) for certificate in bundle]


def prepare(hosts, playbook, *arguments):
    for host in hosts:
        configure(host, LIVE_RESTORE)
    playbook("provision", hosts, *arguments)
    playbook("launch", hosts, *launch_arguments(), *arguments)


def verify_by_openssl(host):
    """Verify the certificates after a rotation with openssl, independently."""
    for directory, purpose in ((SERVER, f"sslserver -verify_ip {GATEWAY}"), (AGENT, "sslclient")):
        host.run(
            f"openssl verify -x509_strict -purpose {purpose} -CAfile {directory}/ca.pem {directory}/cert.pem"
        )


# On the other release than the scenarios below, which take as long.
@pytest.mark.parametrize("release", RELEASES)
def test_three_hosts_rotate_and_no_request_fails(release, fresh_hosts, playbook, controller_ca):
    """They share an authority. One host is unreachable at first and catches up. Its wormholes are not in the inventory."""
    hosts = fresh_hosts(release, DEFAULT, DEFAULT)
    *reached, late = hosts
    prepare(hosts, playbook, *FLEET)
    keys = {host.name: host.run(f"sha256sum {SERVER}/key.pem {AGENT}/key.pem").stdout for host in hosts}
    for host in hosts:
        host.run(f"cp -a {AGENT} /root/former")
    clients = [ContinuousClient(host, pause=0.2) for host in hosts]
    before = {host.name: engine(host) for host in hosts}

    with late.cut_off():
        first = playbook("rotate", hosts, *FLEET, check=False)
    assert first.unreachable == [late.name]
    assert first.of(reached[0]).failures == 0
    # Ansible wraps warnings, also at hyphens.
    waiting = f"not completed the previous stage: {late.name}"
    assert waiting.replace(" ", "") in "".join(first.stdout.split())
    for host in reached:
        assert [issuer(host, directory) for directory in (SERVER, AGENT)] == ["wormhole CA G2"] * 2
        assert trusted(host, SERVER) == trusted(host, AGENT) == ["wormhole CA G2"]
        assert engine(host).pid != before[host.name].pid
    assert issuer(late, SERVER) == issuer(late, AGENT) == "wormhole CA"
    assert engine(late) == before[late.name]
    # Until it has caught up, its previous authority is trusted, and no other rotation begins.
    assert (controller_ca / "former.pem").exists()

    engines = {host.name: engine(host) for host in reached}
    second = playbook("rotate", hosts, *FLEET)
    for host in reached:
        assert second.of(host).tasks
        assert reasons(second.of(host), "wormhole.docker.certificate_rotation") == []
        assert engine(host) == engines[host.name]
    for client in clients:
        client.stop().check(cuts=RESTARTS)

    for host in hosts:
        assert issuer(host, SERVER) == issuer(host, AGENT) == "wormhole CA G2"
        assert trusted(host, SERVER) == trusted(host, AGENT) == ["wormhole CA G2"]
        verify_by_openssl(host)
        # The keys are the same, so that no client reads a key that does not match its certificate.
        assert host.run(f"sha256sum {SERVER}/key.pem {AGENT}/key.pem").stdout == keys[host.name]
        # A client of the previous authority is rejected.
        asked = "curl -sS --cacert {0}/ca.pem --cert {1}/cert.pem --key {1}/key.pem https://{2}:2376/_ping"
        assert host.run(asked.format(AGENT, AGENT, GATEWAY)).stdout == "OK"
        assert host.run(asked.format(AGENT, "/root/former", GATEWAY), check=False).returncode != 0
        assert "certificate signed by unknown authority" in last_rejection(host)
    assert sorted(path.name for path in controller_ca.iterdir() if not path.name.startswith(".")) == [
        "ca.key",
        "ca.pem",
        "issued.jsonl",
        "retired.pem",
        "seen",
    ]
    again = [playbook("provision", hosts, *FLEET), playbook("launch", hosts, *launch_arguments(), *FLEET)]
    assert [run.changed for run in again] == [0, 0]


def test_each_stage_runs_alone_and_stages_out_of_order_fail_or_change_nothing(fresh_host, playbook, own_ca):
    host = fresh_host(DEFAULT)
    prepare([host], playbook)
    running = engine(host)

    def stage(name, check=True):
        return playbook("rotate", host, "--tags", name, check=check)

    for early in ("reissue", "drop"):
        assert stage(early).changed == 0
    assert stage("trust").changed == 2
    assert trusted(host, SERVER) == trusted(host, AGENT) == [own_name(host), own_name(host, 2)]
    assert issuer(host, SERVER) == own_name(host)
    # The new authority has issued nothing yet, so the engine need not trust it.
    assert engine(host) == running
    assert [playbook("provision", host).changed, stage("trust").changed, stage("drop").changed] == [0, 0, 0]
    assert playbook("launch", host, *launch_arguments()).changed == 0

    # The state after an interrupted run: the new authority issues, and this host does not trust it.
    elsewhere = ("-e", '{"rotation_directories": ["/nowhere"]}')
    assert playbook("rotate", host, "--tags", "reissue", *elsewhere).changed == 1
    before = host.run("sha256sum /etc/wormhole/*/*.pem /etc/wormhole/*/*/*.pem").stdout
    predicted = playbook("rotate", host, "--check", "--diff")
    assert "which is not the issuing authority" in json.dumps([task.result for task in predicted.tasks])
    assert host.run("sha256sum /etc/wormhole/*/*.pem /etc/wormhole/*/*/*.pem").stdout == before
    assert engine(host) == running

    # An identity that the inventory does not list is rotated as well.
    host.run(f"cp -a {AGENT} {IDENTITIES}/forgotten")
    stage("reissue")
    assert issuer(host, f"{IDENTITIES}/forgotten") == own_name(host, 2)
    host.run(f"rm -r {IDENTITIES}/forgotten")
    assert trusted(host, SERVER) == [own_name(host, 2), own_name(host)]
    assert engine(host).pid != running.pid
    assert [stage(name).changed for name in ("trust", "reissue")] == [0, 0]
    assert inside(host, "docker version --format '{{.Server.Os}}'").stdout.strip() == "linux"
    assert [playbook("provision", host).changed, playbook("launch", host, *launch_arguments()).changed] == [
        0,
        0,
    ]
    between = engine(host)
    assert stage("drop").changed == 3
    assert trusted(host, SERVER) == [own_name(host, 2)]
    assert engine(host).pid != between.pid
    assert stage("drop").changed == 0
    assert inside(host, "docker version --format '{{.Server.Os}}'").stdout.strip() == "linux"


def test_a_certificate_that_would_become_invalid_blocks_the_last_stage(fresh_host, playbook):
    host = fresh_host(DEFAULT)
    prepare([host], playbook)
    host.run(f"cp -a {AGENT} /root/restored")
    for name in ("trust", "reissue"):
        playbook("rotate", host, "--tags", name)
    host.run(f"cp -a /root/restored {IDENTITIES}/restored")
    before, running = host.run("sha256sum /etc/wormhole/*/*.pem").stdout, engine(host)
    refused = playbook("rotate", host, "--tags", "drop", check=False)
    assert refused.failures == 1
    assert f"{IDENTITIES}/restored by CN={own_name(host)}" in refused.message
    assert (host.run("sha256sum /etc/wormhole/*/*.pem").stdout, engine(host)) == (before, running)


def test_a_host_that_missed_a_rotation_fails_and_catches_up(fresh_host, playbook, own_ca):
    host = fresh_host(DEFAULT)
    prepare([host], playbook)
    # The rotation ends without this host, which has no certificates in the searched directories.
    playbook("rotate", host, "-e", '{"rotation_directories": ["/nowhere"]}')
    assert (own_ca(host) / "retired.pem").exists()
    client, running = ContinuousClient(host), engine(host)
    for name, arguments in (("provision", []), ("launch", launch_arguments())):
        refused = playbook(name, host, *arguments, check=False)
        assert "this host has missed a rotation" in refused.message
        assert "--tags reissue,drop" in refused.message
    assert engine(host) == running
    playbook("rotate", host, "--tags", "reissue,drop", "--limit", host.name)
    client.stop().check(cuts=RESTARTS)
    assert issuer(host, SERVER) == issuer(host, AGENT) == own_name(host, 2)
    assert trusted(host, SERVER) == trusted(host, AGENT) == [own_name(host, 2)]
    assert [playbook("provision", host).changed, playbook("launch", host, *launch_arguments()).changed] == [
        0,
        0,
    ]


@pytest.mark.parametrize("release", RELEASES)
def test_a_killed_rotation_continues_and_no_request_fails(
    release, fresh_host, playbook, start_playbook, own_ca
):
    host = fresh_host(release)
    prepare([host], playbook)
    chance = random.Random(SEED * 1000 + release)
    client = ContinuousClient(host)
    restarts = 0
    generation = 1
    for number in range(1, KILLS + 1):
        moment = chance.uniform(1.0, 12.0)
        print(f"kill {number} of seed {SEED}: after {moment:.2f} s")
        run = start_playbook("rotate", host)
        time.sleep(moment)
        end_with_children(run.pid)
        run.wait()
        host.run("while pgrep -x python3 >/dev/null; do sleep 0.2; done")
        playbook("rotate", host)
        assert not (own_ca(host) / "former.pem").exists()
        assert not (own_ca(host) / "next.pem").exists()
        name = name_of(x509.load_pem_x509_certificate((own_ca(host) / "ca.pem").read_bytes()).subject)
        # A run that was killed at its end has begun another rotation, with the second authority.
        assert name in (own_name(host, generation + 1), own_name(host, generation + 2))
        restarts += RESTARTS * (int(name.rpartition("G")[2]) - generation) + 1
        generation = int(name.rpartition("G")[2])
        assert issuer(host, SERVER) == issuer(host, AGENT) == name
        assert trusted(host, SERVER) == trusted(host, AGENT) == [name]
    client.stop().check(cuts=restarts)
    assert playbook("provision", host).changed == 0
    assert playbook("launch", host, *launch_arguments()).changed == 0
