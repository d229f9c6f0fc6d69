# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Authorities that are not in the controller's home: a corporate one from a vault, and one on a host of its own."""

from __future__ import annotations

import json
import subprocess

import pytest

from certificates import IDENTITIES, SERVER
from hosts import GATEWAY, inside, last_rejection, launch_arguments
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
    """A root, an intermediate with an encrypted key, and what the root has issued to somebody else; made by openssl."""
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


@pytest.mark.parametrize("release", [12, 13])
def test_a_corporate_intermediate_from_a_vault_signs_and_nothing_else_of_its_root_gets_in(
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


@pytest.mark.parametrize("release", [12, 13])
def test_a_corporate_chain_that_is_not_complete_is_refused_before_anything_is_touched(
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
        ("ca.pem", "plain.key"): "CN=Engines,O=Corp without its issuer, CN=Root,O=Corp",
        ("root.pem", "plain.key"): "the key of another certificate",
        ("stranger.pem", "stranger.key"): "a certificate of no authority",
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


@pytest.mark.parametrize("release", [12, 13])
def test_a_host_of_its_own_signs_and_keeps_the_key(release, fresh_hosts, playbook, controller_ca):
    host, signer = fresh_hosts(release, 25 - release)
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
    run("launch", *launch_arguments())
    assert inside(host, ASK).stdout.strip() == "linux"
    assert issuer(host, SERVER) == issuer(host, AGENT) == "wormhole CA"
    assert not controller_ca.exists()
    assert host.run("find / -xdev -name 'ca.key'").stdout == ""
    shown = signer.run("find /srv/pki -type f -name '*.*' ! -name .lock -printf '%p %m\\n' | sort").stdout
    assert shown.splitlines() == ["/srv/pki/engines/ca.key 400", "/srv/pki/engines/ca.pem 444"]
    again = [run("provision"), run("launch", *launch_arguments())]
    assert [each.changed for each in again] == [0, 0]

    run("rotate")
    assert issuer(host, SERVER) == issuer(host, AGENT) == "wormhole CA G2"
    assert trusted(host, SERVER) == trusted(host, AGENT) == ["wormhole CA G2"]
    assert inside(host, ASK).stdout.strip() == "linux"
    again = [run("provision"), run("launch", *launch_arguments())]
    assert [each.changed for each in again] == [0, 0]
