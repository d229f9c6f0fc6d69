# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A key was stolen: what it opens before and after the playbook revoke, for each kind of key."""

from __future__ import annotations

import json
import shutil

import pytest

from certificates import IDENTITIES, SERVER, contents
from continuous import LIVE_RESTORE
from hosts import FLEET, WORMHOLE, configure, engine, inside, launch_arguments, own_name
from lab.spec import RELEASES, other_release
from test_rotation import AGENT, issuer, trusted
from test_scopes import ASK, CLIENTS, deceives, forge, opens, steal

OTHER = f"{IDENTITIES}/other"
LAUNCH = launch_arguments(WORMHOLE, {**WORMHOLE, "name": "other"})
ANYBODY = set(CLIENTS)


def prepare(hosts, playbook, *arguments):
    for host in hosts:
        configure(host, LIVE_RESTORE)
    playbook("provision", hosts, *arguments)
    playbook("launch", hosts, *LAUNCH, *arguments)


def thief(host, material):
    """Return the clients that let a thief in, who knows the certificate of the engine's authority."""
    host.run(f"cp {SERVER}/ca.pem /root/engine.pem")
    return opens(host, material, "/root/engine.pem")


def starts(host):
    """Return how often the engine was started."""
    return int(host.run("journalctl -q -o cat -u docker.service | grep -c '^Started docker.service'").stdout)


def keys(host):
    """Return the digests of the host's private keys, by path."""
    found = host.run("find /etc/wormhole -name key.pem -exec sha256sum {} +").stdout.split()
    return dict(zip(found[1::2], found[::2], strict=True))


def expect_new_keys(host, before, name, *, without=()):
    """Check that the host has new keys, by an authority that alone is trusted, and works."""
    after = keys(host)
    assert set(after) == set(before) - {f"{directory}/key.pem" for directory in without}
    assert not set(after.values()) & set(before.values())
    for path in after:
        directory = path.rpartition("/")[0]
        assert issuer(host, directory) == name
        assert trusted(host, directory) == [name]
    for container in {"agent", "other"} - {directory.rpartition("/")[2] for directory in without}:
        assert inside(host, ASK, container=container).stdout.strip() == "linux"


def is_unchanged(hosts, playbook, *arguments):
    again = [playbook("provision", hosts, *arguments), playbook("launch", hosts, *LAUNCH, *arguments)]
    return [run.changed for run in again] == [0, 0]


@pytest.mark.parametrize("release", RELEASES)
def test_an_identity_was_stolen(release, fresh_host, playbook, own_ca):
    host = fresh_host(release)
    prepare([host], playbook)
    stolen, before, started = steal(host)["identity"], keys(host), starts(host)
    assert thief(host, stolen) == ANYBODY
    assert [path.read_text() for path in (own_ca(host) / "seen").iterdir()] == [host.name]
    revoke = ("revoke", host, "-e", "identity=agent")

    files, record = contents(host), (own_ca(host) / "issued.jsonl").read_bytes()
    predicted = playbook(*revoke, "--check", "--diff")
    assert predicted.changed == 2
    assert "client CN=agent" in predicted.stdout
    assert "All certificates of this host get new keys" in predicted.stdout
    assert (contents(host), (own_ca(host) / "issued.jsonl").read_bytes()) == (files, record)
    assert thief(host, stolen) == ANYBODY

    playbook(*revoke, "-e", "revocation_reason='found in a public repository'")
    assert thief(host, stolen) == set()
    assert starts(host) == started + 1
    expect_new_keys(host, before, own_name(host, 2), without=[AGENT])
    assert "found in a public repository" in (own_ca(host) / "issued.jsonl").read_text()
    assert playbook(*revoke).changed == 0
    assert starts(host) == started + 1

    # The wormhole gets another identity, which is not the stolen one.
    playbook("launch", host, *LAUNCH)
    assert inside(host, ASK).stdout.strip() == "linux"
    assert thief(host, stolen) == set()
    assert is_unchanged(host, playbook)


@pytest.mark.parametrize("release", RELEASES)
def test_all_keys_of_a_host_were_stolen(release, fresh_hosts, playbook, own_ca):
    hosts = fresh_hosts(release, other_release(release))
    host, other = hosts
    prepare(hosts, playbook)
    stolen, before, started = steal(host), keys(host), starts(host)
    assert thief(host, stolen["identity"]) == ANYBODY
    assert deceives(host, stolen["server"]) == set(CLIENTS)
    untouched = {"files": contents(other), "engine": engine(other)}

    playbook("revoke", hosts, "-e", f"host={host.name}")
    assert [thief(host, material) for material in stolen.values()] == [set(), set()]
    assert deceives(host, stolen["server"]) == set()
    assert starts(host) == started + 1
    expect_new_keys(host, before, own_name(host, 2))
    assert {"files": contents(other), "engine": engine(other)} == untouched
    assert is_unchanged(hosts, playbook)


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("place", ["controller", "another host"])
def test_the_key_of_an_authority_was_stolen(release, place, fresh_hosts, playbook, own_ca, tmp_path):
    host, signer = fresh_hosts(release, release)
    hosts, arguments = [host], []
    if place == "another host":
        hosts = [host, signer]
        arguments = [
            *("-e", f"wormhole_hosts={host.name}", "-e", f"certificate_authority_host={signer.name}"),
            *("-e", "certificate_authority_become=true", "-e", "certificate_authority_directory=/srv/ca"),
        ]

    def fetch():
        if place == "controller":
            return own_ca(host)
        (tmp_path / "ca").mkdir(exist_ok=True)
        for name in ("ca.key", "ca.pem"):
            (tmp_path / "ca" / name).write_text(signer.read(f"/srv/ca/hosts/{host.name}/{name}"))
        return tmp_path / "ca"

    configure(host, LIVE_RESTORE)
    playbook("provision", hosts, *arguments)
    playbook("launch", hosts, *LAUNCH, *arguments)
    shutil.copytree(fetch(), tmp_path / "stolen", ignore=shutil.ignore_patterns("seen", ".lock"))
    identity, before, started = steal(host)["identity"], keys(host), starts(host)
    forged = forge(tmp_path / "stolen")
    assert thief(host, forged) == ANYBODY

    revoke = ("revoke", hosts, *arguments, "-e", f"authority='{own_name(host)}'")
    playbook(*revoke)
    assert thief(host, forged) == thief(host, forge(tmp_path / "stolen")) == thief(host, identity) == set()
    assert starts(host) == started + 1
    expect_new_keys(host, before, own_name(host, 2))
    assert playbook(*revoke).changed == 0
    assert is_unchanged(hosts, playbook, *arguments)


@pytest.mark.parametrize("release", RELEASES)
def test_hosts_that_share_an_authority_are_all_affected_and_the_same_command_completes_it(
    release, fresh_hosts, playbook, controller_ca
):
    hosts = fresh_hosts(release, other_release(release))
    host, late = hosts
    prepare(hosts, playbook, *FLEET)
    stolen = steal(host)["identity"]
    before, started = {each.name: keys(each) for each in hosts}, {each.name: starts(each) for each in hosts}
    assert [thief(each, stolen) for each in hosts] == [ANYBODY, ANYBODY]

    revoke = ("revoke", hosts, *FLEET, "-e", json.dumps({"identity": "agent", "host": host.name}))
    with late.cut_off():
        first = playbook(*revoke, check=False)
    assert first.unreachable == [late.name]
    assert "The revocation is not complete" in first.message
    assert late.name in first.message
    assert [thief(each, stolen) for each in hosts] == [set(), ANYBODY]
    assert (controller_ca / "former.pem").exists()

    playbook(*revoke)
    assert [thief(each, stolen) for each in hosts] == [set(), set()]
    assert {each.name: starts(each) for each in hosts} == {name: count + 1 for name, count in started.items()}
    expect_new_keys(host, before[host.name], "wormhole CA G2", without=[AGENT])
    expect_new_keys(late, before[late.name], "wormhole CA G2")
    assert not (controller_ca / "former.pem").exists()
    assert playbook(*revoke).changed == 0


@pytest.mark.parametrize("release", RELEASES)
def test_an_identity_for_the_engine_of_another_host_was_stolen(
    release, fresh_hosts, playbook, own_ca, tmp_path
):
    near, far = hosts = fresh_hosts(release, other_release(release))
    for host in hosts:
        configure(host, LIVE_RESTORE)
    serves = f"{{{{ [ansible_host] if inventory_hostname == '{far.name}' else [] }}}}"
    uses = f"{{{{ ['{far.name}'] if inventory_hostname == '{near.name}' else [] }}}}"
    arguments = ("-e", json.dumps({"listener_host_addresses": serves, "rotation_engines": uses}))
    playbook("provision", hosts, *arguments)
    clients = [
        {"name": name, "profile": "client", "directory": f"{IDENTITIES}/{name}", "engine": far.name}
        for name in ("ci", "other")
    ]
    role = {"name": "wormhole.docker.identities"}
    task = {"ansible.builtin.import_role": role, "vars": {"identities_clients": clients}}
    play = tmp_path / "identities.json"
    play.write_text(
        json.dumps([{"hosts": near.name, "gather_facts": False, "become": True, "tasks": [task]}])
    )
    playbook(str(play), hosts, *arguments)
    near.run(f"cp -a {IDENTITIES}/ci /root/stolen")

    def is_open(directory):
        near.write("/root/engine.pem", far.read(f"{SERVER}/ca.pem"))
        files = f"--tlscacert /root/engine.pem --tlscert {directory}/cert.pem --tlskey {directory}/key.pem"
        asked = f"docker --tlsverify {files} -H tcp://{far.address}:2376 version"
        return near.run(asked, check=False).returncode == 0

    assert is_open("/root/stolen")
    assert is_open(OTHER)
    before, started, running = keys(near), starts(far), engine(near)
    playbook("revoke", hosts, *arguments, "-e", "identity=ci")
    assert not is_open("/root/stolen")
    assert is_open(OTHER)
    assert (starts(far), engine(near)) == (started + 1, running)
    after = keys(near)
    assert set(before) - set(after) == {f"{IDENTITIES}/ci/key.pem"}
    assert after[f"{OTHER}/key.pem"] != before[f"{OTHER}/key.pem"]
    assert (issuer(near, OTHER), trusted(near, OTHER)) == (own_name(far, 2), [own_name(far, 2)])
    assert after[f"{SERVER}/key.pem"] == before[f"{SERVER}/key.pem"]
    assert playbook("revoke", hosts, *arguments, "-e", "identity=ci").changed == 0


@pytest.mark.parametrize("release", RELEASES)
def test_a_wrong_command_changes_nothing(release, fresh_host, playbook, own_ca):
    host = fresh_host(release)
    prepare([host], playbook)
    files, running, record = contents(host), engine(host), (own_ca(host) / "issued.jsonl").read_bytes()
    for arguments, said in (
        ((), "Found: none of them"),
        (("-e", "identity="), "strings of printable characters"),
        (("-e", "identity=", "-e", f"host={host.name}"), "strings of printable characters"),
        (("-e", "identity=agent", "-e", "authority=x"), "Found: authority, identity"),
        (("-e", '{"identity": ["agent"]}'), "strings of printable characters"),
        (("-e", '{"identity": "a\\nb"}'), "without control characters"),
        (("-e", "identity=nobody"), "No authority of these hosts has issued anything for identity=nobody"),
        (("-e", "host=nowhere"), "for host=nowhere"),
        (("-e", "authority=nothing"), "for authority=nothing"),
        (
            ("-e", "identity=agent", "-e", "certificate_authority_certificate_path=/srv/ca.pem"),
            "has no record",
        ),
    ):
        refused = playbook("revoke", host, *arguments, check=False)
        assert refused.failures == 1
        assert said in refused.message
        assert refused.changed == 0
    assert (contents(host), engine(host), (own_ca(host) / "issued.jsonl").read_bytes()) == (
        files,
        running,
        record,
    )
