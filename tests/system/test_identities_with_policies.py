# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Clients outside containers, whose identities have policies, where the gate serves TLS."""

from __future__ import annotations

import json

import pytest

from hosts import GATEWAY, footprint
from lab.spec import RELEASES
from test_served_by_gate import GATE

pytestmark = pytest.mark.parametrize("release", RELEASES)

PLAY = """
- hosts: all
  gather_facts: false
  become: true
  tasks:
    - ansible.builtin.import_role: {name: wormhole.docker.identities}
"""
GONE = PLAY.replace("identities}", "identities, tasks_from: absent}")
PLACE = "/etc/wormhole/clients/cli"
CLIENT = {"name": "cli", "profile": "client", "directory": PLACE}
CURL = f"curl -sS --cacert {PLACE}/ca.pem --cert {PLACE}/cert.pem --key {PLACE}/key.pem -w ' %{{http_code}}' "
POLICY = "/etc/wormhole/policies/cli.json"


def clients(*listed):
    return ("-e", json.dumps({"identities_clients": list(listed)}))


def call(host, method, path):
    """Return the answer of the gate, and its status."""
    said = host.run(f"{CURL} -X {method} https://{GATEWAY}:2376{path}", check=False)
    return said.stdout + said.stderr


# Long because each step continues on the host of the one before.
def test_a_client_gets_its_policy_with_its_identity(release, fresh_host, playbook, tmp_path):
    host = fresh_host(release)
    play, gone = tmp_path / "clients.yml", tmp_path / "gone.yml"
    play.write_text(PLAY)
    gone.write_text(GONE)
    policed = {**CLIENT, "policy": "observe"}

    # Where dockerd serves TLS, or nothing does, it would go around the policy, or have no access.
    playbook("provision", host)
    before = footprint(host)
    refused = playbook(str(play), host, *clients(policed), check=False)
    assert "gives policies to cli, but the gate does not serve TLS on this host" in refused.message
    assert (refused.changed, footprint(host)) == (0, before)

    playbook("provision", host, *GATE)
    before = footprint(host)
    for bad, said in (
        ([{**policed, "policy_overrides": {"imagess": []}}], "imagess"),
        (
            [
                policed,
                {**policed, "name": "two", "common_name": "cli", "directory": "/srv/two", "policy": "ci"},
            ],
            "two different policies",
        ),
    ):
        refused = playbook(str(play), host, *clients(*bad), check=False)
        assert said in refused.message
        assert (refused.changed, footprint(host)) == (0, before)

    # Without a policy, the certificate gives no access.
    playbook(str(play), host, *clients(CLIENT))
    assert call(host, "GET", "/containers/json").endswith(" 403")
    predicted = playbook(str(play), host, *clients(policed), "--check", "--diff")
    done = playbook(str(play), host, *clients(policed), "--diff")
    assert [task.name for task in predicted.tasks if task.changed] == [
        task.name for task in done.tasks if task.changed
    ]
    assert call(host, "GET", "/containers/json").endswith(" 200")
    assert "needs the power container.create" in call(host, "POST", "/containers/create")
    assert playbook(str(play), host, *clients(policed)).changed == 0

    # A change holds with the next call, and a renewal keeps the access.
    wider = {**policed, "policy": "ci", "policy_mode": "warn"}
    playbook(str(play), host, *clients(wider))
    assert json.loads(host.run(f"cat {POLICY}").stdout)["policy"]["mode"] == "warn"
    assert "needs the power" not in call(host, "POST", "/containers/create")
    serial = host.run(f"sha256sum {PLACE}/cert.pem").stdout
    playbook(str(play), host, *clients({**wider, "key_type": "rsa-2048"}))
    assert host.run(f"sha256sum {PLACE}/cert.pem").stdout != serial
    assert call(host, "GET", "/containers/json").endswith(" 200")

    playbook(str(gone), host, *clients(wider))
    assert host.run(f"ls {POLICY} {PLACE}", check=False).stdout == ""
    assert playbook(str(gone), host, *clients(wider)).changed == 0
