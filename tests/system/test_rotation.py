# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Another authority takes over, while clients in wormholes never pause."""

from __future__ import annotations

import json
import os
import random
import time

import pytest
from cryptography import x509

from certificates import IDENTITIES, SERVER, read_certificate, reasons
from continuous import LIVE_RESTORE, ContinuousClient
from hosts import GATEWAY, configure, engine, inside, last_rejection, launch_arguments
from test_killed_runs import end_with_children

AGENT = f"{IDENTITIES}/agent"
KILLS = 8 if os.environ.get("WORMHOLE_THOROUGH") else 1
SEED = int(os.environ.get("WORMHOLE_SEED", "0"))
RESTARTS = 2
"""Of the engine in a rotation: for the new server certificate, and to forget the former authority."""


def issuer(host, directory):
    return name_of(read_certificate(host, directory).issuer)


def name_of(name):
    return name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value


def trusted(host, directory):
    """The authorities in a trust bundle."""
    bundle = x509.load_pem_x509_certificates(host.read(f"{directory}/ca.pem").encode())
    return [name_of(certificate.subject) for certificate in bundle]


def prepare(hosts, playbook, *arguments):
    for host in hosts:
        configure(host, LIVE_RESTORE)
    playbook("provision", hosts, *arguments)
    playbook("launch", hosts, *launch_arguments(), *arguments)


def verify_by_openssl(host):
    """The independent oracle for what a rotation leaves."""
    for directory, purpose in ((SERVER, f"sslserver -verify_ip {GATEWAY}"), (AGENT, "sslclient")):
        host.run(
            f"openssl verify -x509_strict -purpose {purpose} -CAfile {directory}/ca.pem {directory}/cert.pem"
        )


# In the lane of the other release than the scenarios below, which take as long.
@pytest.mark.parametrize("release", [12, 13])
def test_three_hosts_rotate_and_no_request_fails(release, fresh_hosts, playbook, controller_ca):
    """One of them cannot be reached at first, and catches up. The inventory knows nothing of its wormholes."""
    hosts = fresh_hosts(release, 13, 13)
    *reached, late = hosts
    prepare(hosts, playbook)
    keys = {host.name: host.run(f"sha256sum {SERVER}/key.pem {AGENT}/key.pem").stdout for host in hosts}
    for host in hosts:
        host.run(f"cp -a {AGENT} /root/former")
    clients = [ContinuousClient(host) for host in hosts]
    before = {host.name: engine(host) for host in hosts}

    with late.cut_off():
        first = playbook("rotate", hosts, check=False)
    assert first.unreachable == [late.name]
    assert first.of(reached[0]).failures == 0
    assert f"not been through it: {late.name}" in first.stdout
    for host in reached:
        assert [issuer(host, directory) for directory in (SERVER, AGENT)] == ["wormhole CA G2"] * 2
        assert trusted(host, SERVER) == trusted(host, AGENT) == ["wormhole CA G2"]
        assert engine(host).pid != before[host.name].pid
    assert issuer(late, SERVER) == issuer(late, AGENT) == "wormhole CA"
    assert engine(late) == before[late.name]
    # Until it has caught up, its former authority is known, and no other rotation begins.
    assert (controller_ca / "former.pem").exists()

    engines = {host.name: engine(host) for host in reached}
    second = playbook("rotate", hosts)
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
        # The keys are the same, so that no client ever read one that does not fit its certificate.
        assert host.run(f"sha256sum {SERVER}/key.pem {AGENT}/key.pem").stdout == keys[host.name]
        # Who was let in by the former authority is not any more.
        asked = "curl -sS --cacert {0}/ca.pem --cert {1}/cert.pem --key {1}/key.pem https://{2}:2376/_ping"
        assert host.run(asked.format(AGENT, AGENT, GATEWAY)).stdout == "OK"
        assert host.run(asked.format(AGENT, "/root/former", GATEWAY), check=False).returncode != 0
        assert "certificate signed by unknown authority" in last_rejection(host)
    assert sorted(path.name for path in controller_ca.iterdir() if not path.name.startswith(".")) == [
        "ca.key",
        "ca.pem",
        "retired.pem",
    ]
    again = [playbook("provision", hosts), playbook("launch", hosts, *launch_arguments())]
    assert [run.changed for run in again] == [0, 0]


def test_each_stage_runs_alone_and_what_is_out_of_order_is_refused_or_changes_nothing(
    fresh_host, playbook, controller_ca
):
    host = fresh_host(13)
    prepare([host], playbook)
    running = engine(host)

    def stage(name, check=True):
        return playbook("rotate", host, "--tags", name, check=check)

    for early in ("reissue", "drop"):
        assert stage(early).changed == 0
    assert stage("trust").changed == 2
    assert trusted(host, SERVER) == trusted(host, AGENT) == ["wormhole CA", "wormhole CA G2"]
    assert issuer(host, SERVER) == "wormhole CA"
    # Nothing comes from the new authority yet: the engine need not know it.
    assert engine(host) == running
    assert [playbook("provision", host).changed, stage("trust").changed, stage("drop").changed] == [0, 0, 0]
    assert playbook("launch", host, *launch_arguments()).changed == 0

    # As an interrupted run leaves it: the new authority issues, and this host has not heard of it.
    elsewhere = ("-e", '{"rotation_directories": ["/nowhere"]}')
    assert playbook("rotate", host, "--tags", "reissue", *elsewhere).changed == 1
    before = host.run("sha256sum /etc/wormhole/*/*.pem /etc/wormhole/*/*/*.pem").stdout
    predicted = playbook("rotate", host, "--check", "--diff")
    assert "which hands over to another authority" in json.dumps([task.result for task in predicted.tasks])
    assert host.run("sha256sum /etc/wormhole/*/*.pem /etc/wormhole/*/*/*.pem").stdout == before
    assert engine(host) == running

    # An identity that the inventory knows nothing of goes along.
    host.run(f"cp -a {AGENT} {IDENTITIES}/forgotten")
    stage("reissue")
    assert issuer(host, f"{IDENTITIES}/forgotten") == "wormhole CA G2"
    host.run(f"rm -r {IDENTITIES}/forgotten")
    assert trusted(host, SERVER) == ["wormhole CA G2", "wormhole CA"]
    assert engine(host).pid != running.pid
    assert [stage(name).changed for name in ("trust", "reissue")] == [0, 0]
    assert inside(host, "docker version --format '{{.Server.Os}}'").stdout.strip() == "linux"
    assert [playbook("provision", host).changed, playbook("launch", host, *launch_arguments()).changed] == [
        0,
        0,
    ]
    between = engine(host)
    assert stage("drop").changed == 3
    assert trusted(host, SERVER) == ["wormhole CA G2"]
    assert engine(host).pid != between.pid
    assert stage("drop").changed == 0
    assert inside(host, "docker version --format '{{.Server.Os}}'").stdout.strip() == "linux"


def test_a_certificate_that_would_be_cut_off_stops_the_last_stage_by_name(fresh_host, playbook):
    host = fresh_host(13)
    prepare([host], playbook)
    host.run(f"cp -a {AGENT} /root/restored")
    for name in ("trust", "reissue"):
        playbook("rotate", host, "--tags", name)
    host.run(f"cp -a /root/restored {IDENTITIES}/restored")
    before, running = host.run("sha256sum /etc/wormhole/*/*.pem").stdout, engine(host)
    refused = playbook("rotate", host, "--tags", "drop", check=False)
    assert refused.failures == 1
    assert f"{IDENTITIES}/restored by CN=wormhole CA" in refused.message
    assert (host.run("sha256sum /etc/wormhole/*/*.pem").stdout, engine(host)) == (before, running)


def test_a_host_that_missed_a_whole_rotation_is_refused_and_caught_up_with(
    fresh_host, playbook, controller_ca
):
    host = fresh_host(13)
    prepare([host], playbook)
    # The rotation ends without this host: nothing of it is where it is looked for.
    playbook("rotate", host, "-e", '{"rotation_directories": ["/nowhere"]}')
    assert (controller_ca / "retired.pem").exists()
    client, running = ContinuousClient(host), engine(host)
    for name, arguments in (("provision", []), ("launch", launch_arguments())):
        refused = playbook(name, host, *arguments, check=False)
        assert "this host has missed a rotation" in refused.message
        assert "--tags reissue,drop" in refused.message
    assert engine(host) == running
    playbook("rotate", host, "--tags", "reissue,drop", "--limit", host.name)
    client.stop().check(cuts=RESTARTS)
    assert issuer(host, SERVER) == issuer(host, AGENT) == "wormhole CA G2"
    assert trusted(host, SERVER) == trusted(host, AGENT) == ["wormhole CA G2"]
    assert [playbook("provision", host).changed, playbook("launch", host, *launch_arguments()).changed] == [
        0,
        0,
    ]


@pytest.mark.parametrize("release", [12, 13])
def test_a_rotation_that_is_killed_goes_on_and_no_request_fails(
    release, fresh_host, playbook, start_playbook, controller_ca
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
        assert not (controller_ca / "former.pem").exists()
        assert not (controller_ca / "next.pem").exists()
        name = name_of(x509.load_pem_x509_certificate((controller_ca / "ca.pem").read_bytes()).subject)
        # A run that was killed after its end has begun another rotation with the second one.
        assert name in (f"wormhole CA G{generation + 1}", f"wormhole CA G{generation + 2}")
        restarts += RESTARTS * (int(name.rpartition("G")[2]) - generation) + 1
        generation = int(name.rpartition("G")[2])
        assert issuer(host, SERVER) == issuer(host, AGENT) == name
        assert trusted(host, SERVER) == trusted(host, AGENT) == [name]
    client.stop().check(cuts=restarts)
    assert playbook("provision", host).changed == 0
    assert playbook("launch", host, *launch_arguments()).changed == 0
