# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authorities outside the controller's home: a corporate one from a vault, one on its own host."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

from certificates import IDENTITIES, SERVER, reasons
from hosts import (
    GATEWAY,
    WORMHOLE,
    engine,
    footprint,
    inside,
    last_rejection,
    launch_arguments,
    own_name,
)
from lab.spec import RELEASES, other_release
from test_rotation import issuer, trusted

AGENT = f"{IDENTITIES}/agent"
PASSPHRASE = "open-the-corporate-key"
ASK = "docker version --format '{{.Server.Os}}'"

_EXTENSIONS = """\
[ca]
basicConstraints=critical,CA:TRUE,pathlen:0
keyUsage=critical,keyCertSign,cRLSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
[leaf]
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=clientAuth
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""


def make_corporate_pki(folder):
    """Create a root, an intermediate with an encrypted key, and an unrelated certificate.

    openssl signs both certificates with the root.
    """
    folder.mkdir()
    (folder / "extensions").write_text(_EXTENSIONS)
    sign = "openssl x509 -req -CA root.pem -CAkey root.key -CAcreateserial -extfile extensions"
    for command in (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 3650 -subj /O=Corp/CN=Root "
        "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign",
        f"openssl req -newkey rsa:3072 -passout pass:{PASSPHRASE} -keyout ca.key -out ca.csr -subj /O=Corp/CN=Engines",
        f"{sign} -in ca.csr -days 2000 -extensions ca -out ca.pem",
        "openssl req -newkey rsa:2048 -nodes -keyout stranger.key -out stranger.csr -subj /O=Corp/CN=stranger",
        f"{sign} -in stranger.csr -days 30 -extensions leaf -out stranger.pem",
    ):
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


def make_other_authority(folder):
    """Create an authority of the same name as that of a controller; return its directory."""
    place = folder / "other"
    place.mkdir(mode=0o700)
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 3650 -subj /CN=wormhole\\ CA "
        "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign"
    )
    subprocess.run(["sh", "-c", command], cwd=place, check=True, capture_output=True)
    return place


@pytest.mark.parametrize("release", RELEASES)
def test_another_controller_does_not_replace_an_authority_that_works(
    release, fresh_host, playbook, own_ca, new_controller, tmp_path
):
    host = fresh_host(release)
    playbook("provision", host)
    playbook("launch", host, *launch_arguments())
    other = new_controller("colleague")
    authority = other.home / ".wormhole/ca/hosts" / host.name
    before, running = footprint(host), engine(host)
    files = host.run("find /etc/wormhole /var/lib/wormhole -printf '%p %m %U %G %T@\n' | sort").stdout

    def is_refused(name, *arguments):
        refused = other.playbook(name, host, *arguments, check=False)
        assert refused.failures == 1
        assert (footprint(host), engine(host)) == (before, running)
        assert (
            host.run("find /etc/wormhole /var/lib/wormhole -printf '%p %m %U %G %T@\n' | sort").stdout
            == files
        )
        assert inside(host, ASK).stdout.strip() == "linux"
        return refused.message

    # Without an authority, and with one of the same name.
    for name, arguments in (
        ("provision", ()),
        ("provision", ("--check",)),
        ("launch", launch_arguments()),
        ("launch", launch_arguments({**WORMHOLE, "name": "another"})),
    ):
        said = is_refused(name, *arguments)
        if name == "provision":
            assert f"{SERVER} has valid certificates of CN={own_name(host)} (SHA-256 " in said
            assert "certificate_authority_replace: true" in said
        assert not authority.exists()
    authority.parent.mkdir(parents=True)
    subprocess.run(["cp", "-a", make_other_authority(tmp_path), str(authority)], check=True)
    assert "but this task uses another authority" in is_refused("provision")
    assert "but this task uses another authority" in is_refused("launch", *launch_arguments())
    said = is_refused("launch", *launch_arguments({**WORMHOLE, "name": "another"}))
    assert f"the engine of this host accepts only clients of CN={own_name(host)}" in said
    # It has nothing to rotate on this host, and does not harm it.
    other.playbook("rotate", host, "--tags", "trust")
    assert (footprint(host), engine(host)) == (before, running)
    is_refused("launch", *launch_arguments(), "-e", "certificate_authority_replace=true")

    # Both remedies of the message.
    kept = authority.with_name("kept")
    shutil.move(authority, kept)
    subprocess.run(["cp", "-a", str(own_ca(host)), str(authority)], check=True)
    assert [other.playbook("provision", host).changed, engine(host)] == [0, running]
    shutil.rmtree(authority)
    shutil.move(kept, authority)
    replaced = other.playbook("provision", host, "-e", "certificate_authority_replace=true")
    assert "Clients with its certificates cannot connect" in " ".join(replaced.stdout.split())
    assert ("authority_replaced", "dockerd") in [reason[:2] for reason in reasons(replaced)]
    other.playbook("launch", host, *launch_arguments(), "-e", "certificate_authority_replace=true")
    assert inside(host, ASK).stdout.strip() == "linux"
    again = [other.playbook("provision", host), other.playbook("launch", host, *launch_arguments())]
    assert [run.changed for run in again] == [0, 0]


@pytest.mark.parametrize("release", RELEASES)
def test_a_corporate_intermediate_from_a_vault_signs_and_other_certificates_of_its_root_are_rejected(
    release, fresh_host, playbook, controller_ca, tmp_path
):
    host = fresh_host(release)
    pki = make_corporate_pki(tmp_path / "corporate")
    variables = tmp_path / "vault.json"
    variables.write_text(
        json.dumps(
            {
                "certificate_authority_certificate_content": (pki / "ca.pem").read_text()
                + (pki / "root.pem").read_text(),
                "certificate_authority_private_key_content": (pki / "ca.key").read_text(),
                "certificate_authority_passphrase": PASSPHRASE,
            }
        )
    )
    vault = ("-e", f"@{variables}")
    runs = [
        playbook("provision", host, "-vvv", *vault),
        playbook("launch", host, "-vvv", *launch_arguments(), *vault),
    ]
    secrets = (PASSPHRASE, "PRIVATE KEY", (pki / "ca.key").read_text().splitlines()[3])
    for secret in secrets:
        assert not any(secret in run.stdout for run in runs)
    assert not controller_ca.exists()
    assert host.run(f"grep -rlF -e '{secrets[2]}' -e {PASSPHRASE} /etc /root /tmp", check=False).stdout == ""

    assert trusted(host, AGENT) == ["Engines", "Root"]
    assert trusted(host, SERVER) == ["Engines"]
    host.run(
        f"openssl verify -x509_strict -purpose sslserver -verify_ip {GATEWAY} -CAfile {AGENT}/ca.pem {SERVER}/cert.pem"
    )
    host.run(f"openssl verify -x509_strict -purpose sslclient -CAfile {AGENT}/ca.pem {AGENT}/cert.pem")
    assert inside(host, ASK).stdout.strip() == "linux"
    host.write("/root/stranger.pem", (pki / "stranger.pem").read_text())
    host.write("/root/stranger.key", (pki / "stranger.key").read_text())
    stranger = host.run(
        f"curl -sS --cacert {AGENT}/ca.pem --cert /root/stranger.pem --key /root/stranger.key "
        f"https://{GATEWAY}:2376/_ping",
        check=False,
    )
    assert stranger.returncode != 0
    assert "certificate signed by unknown authority" in last_rejection(host)
    again = [playbook("provision", host, *vault), playbook("launch", host, *launch_arguments(), *vault)]
    assert [run.changed for run in again] == [0, 0]


@pytest.mark.parametrize("release", RELEASES)
def test_an_incomplete_corporate_chain_is_rejected_before_anything_changes(
    release, fresh_host, playbook, tmp_path
):
    host = fresh_host(release)
    pki = make_corporate_pki(tmp_path / "corporate")
    subprocess.run(
        ["openssl", "pkey", "-in", "ca.key", "-passin", f"pass:{PASSPHRASE}", "-out", "plain.key"],
        cwd=pki,
        check=True,
    )
    cases = {
        ("ca.pem", "plain.key"): "CN=Engines,O=Corp is not followed by its issuer CN=Root,O=Corp",
        ("root.pem", "plain.key"): "the key of another certificate",
        ("stranger.pem", "stranger.key"): "is not a certificate authority",
    }
    for (certificate, key), complaint in cases.items():
        refused = playbook(
            "provision",
            host,
            *("-e", f"certificate_authority_certificate_path={pki / certificate}"),
            *("-e", f"certificate_authority_private_key_path={pki / key}"),
            check=False,
        )
        assert refused.failures == 1
        assert complaint in refused.message
        assert host.run("ls /etc/wormhole /etc/docker/daemon.json", check=False).stdout == ""


@pytest.mark.parametrize("release", RELEASES)
def test_a_separate_host_signs_and_keeps_the_key(release, fresh_hosts, playbook, controller_ca, tmp_path):
    host, signer = fresh_hosts(release, other_release(release))
    elsewhere = (
        *("-e", f"wormhole_hosts={host.name}"),
        *("-e", f"certificate_authority_host={signer.name}"),
        *("-e", "certificate_authority_directory=/srv/pki/engines"),
    )

    def run(name, *arguments):
        return playbook(name, [host, signer], *elsewhere, *arguments)

    checked = run("provision", "--check")
    made = run("provision")
    assert checked.of(host).changed == made.of(host).changed
    assert made.trips[host.name] == 2
    run("launch", *launch_arguments())
    assert inside(host, ASK).stdout.strip() == "linux"
    assert issuer(host, SERVER) == issuer(host, AGENT) == own_name(host)
    assert not controller_ca.exists()
    assert host.run("find / -xdev -name 'ca.key'").stdout == ""
    place = f"/srv/pki/engines/hosts/{host.name}"
    shown = signer.run("find /srv/pki -type f -name '*.*' ! -name .lock -printf '%p %m\\n' | sort").stdout
    expected = [f"{place}/ca.key 400", f"{place}/ca.pem 444", f"{place}/issued.jsonl 600"]
    assert shown.splitlines() == expected
    again = [run("provision"), run("launch", *launch_arguments())]
    assert [each.changed for each in again] == [0, 0]
    # Each host is asked once.
    assert [again[0].trips[each.name] for each in (host, signer)] == [1, 1]

    # The controller has an authority, too. Under a condition that the first host of the play does not fulfil, run_once
    # does not read the authority for the other hosts.
    (controller_ca / "hosts").mkdir(parents=True)
    subprocess.run(
        ["cp", "-a", make_other_authority(tmp_path), str(controller_ca / "hosts" / host.name)], check=True
    )
    conditional = tmp_path / "conditional.json"
    role = {"name": "wormhole.docker.wormholes"}
    task = {"ansible.builtin.import_role": role, "when": f"inventory_hostname == '{host.name}'"}
    conditional.write_text(
        json.dumps([{"hosts": "all", "gather_facts": False, "become": True, "tasks": [task]}])
    )
    before = footprint(host)
    unchanged = playbook(str(conditional), [signer, host], *elsewhere, *launch_arguments())
    assert unchanged.changed == 0
    assert footprint(host) == before
    # Without the variable, the authority is that of the controller, which the engine does not trust.
    for wormhole in (WORMHOLE, {**WORMHOLE, "name": "another"}):
        refused = playbook("launch", host, *launch_arguments(wormhole), check=False)
        assert refused.failures == 1
        assert "certificate_authority_host" in refused.message
        assert footprint(host) == before
    shutil.rmtree(controller_ca)

    run("rotate")
    assert issuer(host, SERVER) == issuer(host, AGENT) == own_name(host, 2)
    assert trusted(host, SERVER) == trusted(host, AGENT) == [own_name(host, 2)]
    assert inside(host, ASK).stdout.strip() == "linux"
    again = [run("provision"), run("launch", *launch_arguments())]
    assert [each.changed for each in again] == [0, 0]
