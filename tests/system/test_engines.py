# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A container, and another client, that use the engine of another host."""

from __future__ import annotations

import json

import pytest

from certificates import IDENTITIES, SERVER
from continuous import LIVE_RESTORE, ContinuousClient
from hosts import configure, footprint, inside, own_name
from lab.spec import RELEASES, other_release
from test_rotation import RESTARTS, issuer, trusted

NAME = "docker info --format '{{.Name}}'"


# Long because it is the story of one wormhole: each step starts from the state that the last one left.
@pytest.mark.parametrize("release", RELEASES)
def test_a_container_uses_the_engine_of_another_host(release, fresh_hosts, playbook, tmp_path):
    near, far = hosts = fresh_hosts(release, other_release(release))
    for host in hosts:
        configure(host, LIVE_RESTORE)
    serves = f"{{{{ [ansible_host] if inventory_hostname == '{far.name}' else [] }}}}"
    uses = f"{{{{ ['{far.name}'] if inventory_hostname == '{near.name}' else [] }}}}"
    arguments = ("-e", json.dumps({"listener_host_addresses": serves, "rotation_engines": uses}))
    playbook("provision", hosts, *arguments)
    before = footprint(near)
    wormhole = {
        "name": "agent",
        "image": "wormhole-lab/cli:1",
        "pull": "never",
        "engine": far.name,
        "command": ["sh", "-c", "sleep 3600 & wait"],
    }
    identities = [{"name": "ci", "profile": "client", "directory": f"{IDENTITIES}/ci", "engine": far.name}]
    tasks = [
        {"name": "run", "wormhole.docker.wormhole_container": wormhole},
        {
            "name": "issue",
            "ansible.builtin.import_role": {"name": "wormhole.docker.identities"},
            "vars": {"identities_clients": identities},
        },
    ]
    play = tmp_path / "engine.json"
    play.write_text(json.dumps([{"hosts": near.name, "gather_facts": False, "become": True, "tasks": tasks}]))
    missing = [{"hosts": near.name, "gather_facts": False, "become": True, "tasks": [dict(tasks[0])]}]
    missing[0]["tasks"][0]["wormhole.docker.wormhole_container"] = {**wormhole, "engine": "nowhere"}
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps(missing))
    refused = playbook(str(wrong), hosts, *arguments, check=False)
    assert "The inventory has no host nowhere" in refused.message
    assert footprint(near) == before

    playbook(str(play), hosts, *arguments)
    assert inside(near, NAME).stdout.strip() == far.run("hostname").stdout.strip()
    own, other = f"{IDENTITIES}/agent@{far.name}", f"{IDENTITIES}/ci"
    assert issuer(near, own) == issuer(near, other) == own_name(far)
    assert trusted(near, own) == trusted(near, other) == [own_name(far)]
    assert issuer(near, SERVER) == own_name(near)
    ask = f"docker --tlsverify --tlscacert {{0}}/ca.pem --tlscert {{0}}/cert.pem --tlskey {{0}}/key.pem -H tcp://{{1}}:2376 {NAME}"
    ask = ask.replace(NAME, "version")
    assert near.run(ask.format(other, far.address)).returncode == 0
    # The identity opens that engine only, and the name of the server is verified.
    assert near.run(ask.format(other, "172.17.0.1"), check=False).returncode != 0
    assert playbook(str(play), hosts, *arguments).changed == 0

    # The rotation of that engine's authority includes its clients on this host, and waits for them.
    client = ContinuousClient(near)
    with near.cut_off():
        held = playbook("rotate", [near, far], *arguments, check=False)
    assert held.unreachable == [near.name]
    assert issuer(far, SERVER) == own_name(far)
    playbook("rotate", hosts, *arguments)
    client.stop().check(cuts=RESTARTS)
    assert issuer(near, own) == issuer(near, other) == issuer(far, SERVER) == own_name(far, 2)
    assert trusted(near, own) == trusted(far, SERVER) == [own_name(far, 2)]
    assert inside(near, NAME).stdout.strip() == far.run("hostname").stdout.strip()
    assert playbook(str(play), hosts, *arguments).changed == 0
