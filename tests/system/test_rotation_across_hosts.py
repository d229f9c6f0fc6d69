# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The authority rotates while an engine serves another host's client, and hosts are unreachable."""

from __future__ import annotations

import json

import pytest

from certificates import IDENTITIES, SERVER
from continuous import ContinuousClient
from hosts import FLEET, engine, last_rejection
from lab.spec import RELEASES, other_release
from test_rotation import AGENT, RESTARTS, issuer, prepare, trusted

FORMER, SUCCESSOR = "wormhole CA", "wormhole CA G2"


def serve_others(serving):
    """Return arguments that make one host's engine serve clients on other hosts."""
    own = f"{{{{ [ansible_host] if inventory_hostname == '{serving.name}' else [] }}}}"
    return [*FLEET, "-e", json.dumps({"listener_host_addresses": own})]


def start_far_client(host, serving):
    """Start a client in one host's container, with that host's identity, for another's engine."""
    host.run(
        f"docker run -d --name far -v {AGENT}:/certs:ro -e DOCKER_HOST=tcp://{serving.address}:2376 "
        "-e DOCKER_TLS_VERIFY=1 -e DOCKER_CERT_PATH=/certs wormhole-lab/cli:1 sh -c 'sleep 3600 & wait'"
    )
    return ContinuousClient(host, "far")


def waits_for(run, host):
    return f"have not completed the previous stage: {host.name}." in " ".join(run.stdout.split())


@pytest.mark.parametrize("release", RELEASES)
def test_the_rotation_waits_for_all_hosts_if_clients_are_on_other_hosts(
    release, fresh_hosts, playbook, controller_ca
):
    near, far = hosts = fresh_hosts(release, other_release(release))
    arguments = serve_others(near)
    prepare(hosts, playbook, *arguments)
    client = start_far_client(far, near)
    before = {host.name: engine(host) for host in hosts}

    def rotate(*more, check=True):
        return playbook("rotate", hosts, *arguments, *more, check=check)

    # The host with the client does not trust the new authority, which therefore issues nothing.
    with far.cut_off():
        first = rotate(check=False)
    assert first.unreachable == [far.name]
    assert first.of(near).failures == 0
    assert waits_for(first, far)
    assert (controller_ca / "next.pem").exists()
    assert trusted(near, SERVER) == trusted(near, AGENT) == [FORMER, SUCCESSOR]
    assert trusted(far, AGENT) == [FORMER]

    # The host with the engine, which accepts clients of the new authority only after its restart.
    with near.cut_off():
        second = rotate(check=False)
    assert second.unreachable == [near.name]
    assert waits_for(second, near)
    assert trusted(far, AGENT) == [FORMER, SUCCESSOR]
    assert {issuer(host, place) for host in hosts for place in (SERVER, AGENT)} == {FORMER}
    assert {host.name: engine(host) for host in hosts} == before

    # All hosts are reached. The last stage would invalidate one certificate, so no host runs it.
    far.run(f"cp -a {AGENT} /root/restored")
    assert not waits_for(rotate("--tags", "trust,reissue"), far)
    assert {issuer(host, place) for host in hosts for place in (SERVER, AGENT)} == {SUCCESSOR}
    far.run(f"cp -a /root/restored {IDENTITIES}/restored")
    refused = rotate("--tags", "drop", check=False)
    assert f"{IDENTITIES}/restored by CN={FORMER}" in refused.message
    assert refused.of(near).failures == 0
    assert waits_for(refused, far)
    assert trusted(near, SERVER) == [SUCCESSOR, FORMER]
    assert (controller_ca / "former.pem").exists()

    far.run(f"rm -r {IDENTITIES}/restored")
    rotate("--tags", "drop")
    client.stop().check(cuts=RESTARTS)
    for host in hosts:
        assert trusted(host, SERVER) == trusted(host, AGENT) == [SUCCESSOR]
    assert (controller_ca / "retired.pem").exists()
    assert not (controller_ca / "former.pem").exists()
    # The engine checked this client all the time.
    asked = f"curl -sS --cacert {AGENT}/ca.pem --cert {{0}}/cert.pem --key {{0}}/key.pem https://{near.address}:2376/_ping"
    assert far.run(asked.format(AGENT)).stdout == "OK"
    assert far.run(asked.format("/root/restored"), check=False).returncode != 0
    assert "certificate signed by unknown authority" in last_rejection(near)
