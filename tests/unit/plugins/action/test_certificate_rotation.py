# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rotations, and authorities on another host, by path or by content."""

from __future__ import annotations

import json
import ssl
import subprocess

import pytest

from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import decoding, issuing
from ansible_collections.wormhole.docker.plugins.module_utils._certificates.io import (
    record as certificate_record,
)
from ansible_collections.wormhole.docker.tests.unit.plugins.action.fleet import PASSPHRASE, Fleet


@pytest.fixture
def fleet(tmp_path, monkeypatch):
    fleet = Fleet(tmp_path)
    monkeypatch.setattr(certificate_record, "directory", lambda: str(fleet.state))
    monkeypatch.setattr(certificate_record, "is_kept", lambda: True)
    return fleet


@pytest.fixture
def provisioned(fleet):
    fleet.make_authority()
    fleet.run(fleet.server(), fleet.client())
    return fleet


def issuer(fleet, name):
    return decoding.read_certificate((fleet.etc / name / "cert.pem").read_bytes()).issuer


def trusted(fleet, name):
    bundle = decoding.read_bundle((fleet.etc / name / "ca.pem").read_bytes())
    return [decoding.read_certificate(anchor.pem.encode()).common_name for anchor in bundle]


def pem(fleet, *names):
    return "".join((fleet.authority / name).read_text(encoding="utf-8") for name in names)


def shake_hands(fleet):
    """Perform a handshake in memory with both parties' files; raise if either rejects the other."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    # Like Go, trust the certificates in the bundle, whoever issued them.
    server.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for context, name in ((server, "dockerd"), (client, "jenkins")):
        context.load_verify_locations(fleet.etc / name / "ca.pem")
        context.load_cert_chain(fleet.etc / name / "cert.pem", fleet.etc / name / "key.pem")
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname="172.17.0.1"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _turn in range(4):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert ends == []


def stage(fleet, name, **options):
    return fleet.make_authority(rotation=name, **options)


def test_a_host_completes_all_stages_and_every_connection_is_accepted(provisioned):
    fleet = provisioned
    keys = {name: (fleet.etc / name / "key.pem").read_bytes() for name in ("dockerd", "jenkins")}
    stage(fleet, "trust")
    bundle = fleet.etc / "dockerd" / "ca.pem"
    age = bundle.stat().st_mtime
    result = fleet.rotate("trust")
    assert (result["changed"], result["restart_required"], len(fleet.sent)) == (True, False, 1)
    # The file's time shows that the engine need not read a bundle that only grows.
    assert bundle.stat().st_mtime == pytest.approx(age, abs=1e-5, rel=0)
    assert (
        trusted(fleet, "dockerd")
        == trusted(fleet, "jenkins")
        == ["wormhole.docker CA", "wormhole.docker CA G2"]
    )
    shake_hands(fleet)

    stage(fleet, "reissue")
    result = fleet.rotate("servers")
    assert (result["restart_required"], len(fleet.sent)) == (True, 2)
    assert (issuer(fleet, "dockerd"), issuer(fleet, "jenkins")) == (
        "CN=wormhole.docker CA G2",
        "CN=wormhole.docker CA",
    )
    shake_hands(fleet)
    result = fleet.rotate("clients")
    assert not result["restart_required"]
    assert issuer(fleet, "jenkins") == "CN=wormhole.docker CA G2"
    shake_hands(fleet)

    result = fleet.rotate("drop")
    assert (result["restart_required"], len(fleet.sent)) == (True, 1)
    stage(fleet, "drop")
    assert trusted(fleet, "dockerd") == trusted(fleet, "jenkins") == ["wormhole.docker CA G2"]
    shake_hands(fleet)
    assert {name: (fleet.etc / name / "key.pem").read_bytes() for name in keys} == keys
    for step in ("trust", "servers", "clients", "drop"):
        assert not fleet.rotate(step)["changed"]
        assert len(fleet.sent) == 1
    assert not fleet.run(fleet.server(), fleet.client())["changed"]


@pytest.mark.parametrize("scopes", [("ca", "ca/hosts/ci1"), ("ca/hosts/ci1", "ca")])
def test_a_host_moves_to_the_authority_of_the_other_scope(fleet, tmp_path, scopes):
    before, after = (tmp_path / scope for scope in scopes)
    fleet.authority = before
    fleet.make_authority(common_name="before")
    fleet.run(fleet.server(), fleet.client())
    fleet.authority = after
    move = {"common_name": "after", "previous_directory": str(before)}
    # Outside of a rotation, the other authority counts as that of another controller.
    assert "holds no authority to rotate" in stage(fleet, "trust", common_name="after")["msg"]
    predicted = stage(fleet, "trust", check_mode=True, **move)
    assert predicted["changed"]
    assert not after.joinpath("ca.pem").exists()
    previous = {"ca_previous_directory": str(before)}
    assert not fleet.rotate("trust", check_mode=True, **previous)["changed"]
    assert "no authority" in fleet.rotate("trust", **previous)["msg"]

    assert not stage(fleet, "trust", **move).get("failed")
    fleet.rotate("trust", **previous)
    # An identity that is issued meanwhile works before and after the server has changed.
    assert not fleet.run(fleet.client("another")).get("failed")
    assert trusted(fleet, "another") == ["after", "before"]
    assert trusted(fleet, "dockerd") == trusted(fleet, "jenkins") == ["after", "before"]
    shake_hands(fleet)
    stage(fleet, "reissue", **move)
    assert fleet.rotate("servers", **previous)["restart_required"]
    shake_hands(fleet)
    # An interrupted run is completed.
    assert not fleet.rotate("trust", **previous)["changed"]
    fleet.rotate("clients", **previous)
    shake_hands(fleet)
    assert fleet.rotate("drop", **previous)["restart_required"]
    stage(fleet, "drop", **move)
    assert trusted(fleet, "dockerd") == trusted(fleet, "jenkins") == ["after"]
    assert issuer(fleet, "dockerd") == issuer(fleet, "jenkins") == "CN=after"
    shake_hands(fleet)
    assert not fleet.run(fleet.server(), fleet.client())["changed"]
    # A further rotation creates a successor, and does not return to the other authority.
    stage(fleet, "trust", **move)
    fleet.rotate("trust", **previous)
    assert trusted(fleet, "dockerd") == ["after", "after G2"]


def test_only_public_data_is_sent(provisioned):
    fleet = provisioned
    stage(fleet, "trust")
    stage(fleet, "reissue")
    result = fleet.rotate("servers")
    wire = json.dumps(fleet.sent) + "".join(fleet.answers) + json.dumps(result)
    assert len(fleet.sent) == 2
    assert "PRIVATE" not in wire
    assert "BEGIN" not in json.dumps(result)


def test_check_mode_predicts_a_step_and_changes_nothing(provisioned):
    fleet = provisioned
    stage(fleet, "trust")
    stage(fleet, "reissue")
    before = {path: path.read_bytes() for path in fleet.etc.rglob("*.pem")}
    predicted = fleet.rotate("servers", check_mode=True)
    assert {path: path.read_bytes() for path in fleet.etc.rglob("*.pem")} == before
    done = fleet.rotate("servers")
    for key in ("changed", "reasons", "diff", "restart_required"):
        assert done[key] == predicted[key]


def test_a_host_that_missed_a_rotation_is_not_cut_off_and_catches_up(provisioned):
    fleet = provisioned
    for name in ("trust", "reissue", "drop"):
        stage(fleet, name)
    before = {path: path.read_bytes() for path in fleet.etc.rglob("*.pem")}
    refused = fleet.run(fleet.server())
    assert refused["failed"]
    assert "rotate" in refused["msg"]
    assert {path: path.read_bytes() for path in fleet.etc.rglob("*.pem")} == before
    for step in ("servers", "clients", "drop"):
        assert not fleet.rotate(step).get("failed")
        shake_hands(fleet)
    assert trusted(fleet, "dockerd") == trusted(fleet, "jenkins") == ["wormhole.docker CA G2"]
    assert not fleet.run(fleet.server(), fleet.client())["changed"]


def test_the_authority_signs_again_only_certificates_that_it_has_issued(provisioned, tmp_path):
    fleet = provisioned
    mine = (fleet.etc / "jenkins" / "cert.pem").read_text(encoding="utf-8")
    key = decoding.read_key((fleet.etc / "jenkins" / "key.pem").read_bytes())
    request = issuing.make_request(key, "anything")
    stage(fleet, "trust")
    stage(fleet, "reissue")
    step = {"step": "clients", "directories": ["/j"]}
    issued = fleet.sign(requests={"/j": {"certificate": mine, "request": request}}, **step)["issued"]["/j"]
    assert decoding.read_certificate(issued.encode()).common_name == "jenkins"

    # A client's name is not certified for another key.
    other = issuing.make_request(issuing.make_key("ecdsa-p256"), "jenkins")
    refused = fleet.sign(requests={"/j": {"certificate": mine, "request": other}}, **step)
    assert "another key" in refused["msg"]
    stranger = Fleet(tmp_path / "stranger")
    (tmp_path / "stranger").mkdir()
    stranger.make_authority()
    stranger.run(stranger.client())
    theirs = (stranger.etc / "jenkins" / "cert.pem").read_text(encoding="utf-8")
    key = decoding.read_key((stranger.etc / "jenkins" / "key.pem").read_bytes())
    foreign = {"certificate": theirs, "request": issuing.make_request(key, "jenkins")}
    refused = fleet.sign(requests={"/j": foreign}, **step)
    assert "was not issued by this authority" in refused["msg"]


def test_a_server_with_an_unusable_key_gets_a_new_one_with_the_same_names(provisioned):
    fleet = provisioned
    assert not fleet.rotate("repair")["changed"]
    key = fleet.etc / "dockerd" / "key.pem"
    key.chmod(0o600)
    key.write_bytes(key.read_bytes()[:100])
    key.chmod(0o400)
    client = (fleet.etc / "jenkins" / "key.pem").read_bytes()
    result = fleet.rotate("repair")
    assert [reason["code"] for reason in result["reasons"]] == ["unreadable"]
    assert (fleet.etc / "jenkins" / "key.pem").read_bytes() == client
    shake_hands(fleet)
    assert not fleet.run(fleet.server(), fleet.client())["changed"]


# --- where the authority comes from ---------------------------------------------------------------


def test_an_authority_is_read_by_content_or_by_path(fleet):
    fleet.make_authority(passphrase=PASSPHRASE)
    content = {
        "ca_certificate_content": pem(fleet, "ca.pem"),
        "ca_private_key_content": pem(fleet, "ca.key"),
        "ca_passphrase": PASSPHRASE,
    }
    result = fleet.run(fleet.server(), fleet.client(), **content)
    assert result["changed"]
    wire = json.dumps(fleet.sent) + "".join(fleet.answers) + json.dumps(result)
    assert "PRIVATE" not in wire
    assert PASSPHRASE not in wire
    shake_hands(fleet)
    path = {
        "ca_certificate_path": str(fleet.authority / "ca.pem"),
        "ca_private_key_path": str(fleet.authority / "ca.key"),
        "ca_passphrase": PASSPHRASE,
    }
    for source in (content, path, {"ca_passphrase": PASSPHRASE}):
        assert not fleet.run(fleet.server(), fleet.client(), **source)["changed"]


def test_authorities_by_content_replace_each_other(fleet, tmp_path):
    (tmp_path / "next").mkdir()
    successor = Fleet(tmp_path / "next")
    for each, name in ((fleet, "First"), (successor, "Second")):
        each.make_authority(common_name=name)

    def by_content(one, trusted):
        return {
            "ca_certificate_content": pem(one, "ca.pem"),
            "ca_private_key_content": pem(one, "ca.key"),
            **({"ca_trusted_content": pem(trusted, "ca.pem")} if trusted else {}),
        }

    fleet.run(fleet.server(), fleet.client(), **by_content(fleet, None))
    for step, source in (
        ("trust", by_content(fleet, successor)),
        ("servers", by_content(successor, fleet)),
        ("clients", by_content(successor, fleet)),
        ("drop", by_content(successor, None)),
    ):
        assert not fleet.rotate(step, **source).get("failed")
        shake_hands(fleet)
    assert trusted(fleet, "dockerd") == trusted(fleet, "jenkins") == ["Second"]


def test_without_its_key_an_authority_is_trusted_and_issues_nothing(fleet):
    fleet.make_authority()
    fleet.run(fleet.server())
    source = {"ca_certificate_content": pem(fleet, "ca.pem")}
    (fleet.etc / "dockerd" / "key.pem").chmod(0o440)
    assert [reason["code"] for reason in fleet.run(fleet.server(), **source)["reasons"]] == ["mode_drift"]
    refused = fleet.run(fleet.client(), **source)
    assert "without ca.key" in refused["msg"]


def test_an_authority_on_another_host_signs_requested_certificates(fleet):
    fleet.make_authority()
    certificates = [fleet.server(), fleet.client()]
    authority = fleet.sign()["authority"]
    assert "PRIVATE" not in json.dumps(authority)
    wanted = fleet.run(*certificates, authority=authority)
    assert set(wanted["requests"]) == {"dockerd", "jenkins"}
    signed = fleet.sign(certificates=certificates, requests=wanted["requests"])
    done = fleet.run(*certificates, authority=authority, issued=signed["issued"])
    assert done["changed"]
    shake_hands(fleet)
    again = fleet.run(*certificates, authority=authority)
    assert not again["changed"]
    assert "requests" not in again


def test_certificates_signed_on_another_host_are_verified(fleet, tmp_path):
    fleet.make_authority()
    (tmp_path / "stranger").mkdir()
    stranger = Fleet(tmp_path / "stranger")
    stranger.make_authority()
    authority = fleet.sign()["authority"]
    wanted = fleet.run(fleet.server(), authority=authority)
    for signer, asked in ((stranger, fleet.server()), (fleet, {**fleet.server(), "common_name": "other"})):
        signed = signer.sign(certificates=[asked], requests=wanted["requests"])
        refused = fleet.run(fleet.server(), authority=authority, issued=signed["issued"])
        assert refused["failed"]
        assert "not installed" in refused["msg"]
        assert not (fleet.etc / "dockerd").exists()


def test_a_previous_authority_no_longer_issues(provisioned, tmp_path):
    """An authority that was restored from an old backup signs with the previous key."""
    fleet = provisioned
    former = {
        "certificate_content": pem(fleet, "ca.pem"),
        "private_key_content": pem(fleet, "ca.key"),
    }
    stage(fleet, "trust")
    stage(fleet, "reissue")
    authority = fleet.sign()["authority"]
    wanted = fleet.run(fleet.client("new"), authority=authority)
    (tmp_path / "backup").mkdir()
    signed = Fleet(tmp_path / "backup").sign(
        directory=None, certificates=[fleet.client("new")], requests=wanted["requests"], **former
    )
    refused = fleet.run(fleet.client("new"), authority=authority, issued=signed["issued"])
    assert "not signed by the issuing authority" in refused["msg"]
    assert not (fleet.etc / "new").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"ca_directory": "/ca", "ca_certificate_content": "x"}, "mutually exclusive"),
        ({"ca_directory": "/ca", "ca_private_key_content": "x"}, "mutually exclusive"),
        (
            {"ca_certificate_content": "x", "ca_private_key_content": "x", "ca_private_key_path": "/x"},
            "mutually exclusive",
        ),
        ({}, "one of the following is required"),
        ({"ca_certificate_content": "no certificate"}, "certificate of the authority"),
        ({"ca_certificate_path": "/does/not/exist"}, "no file at /does/not/exist"),
        ({"authority": {"issuing": "", "key": "x"}}, "authority: expected"),
        ({"ca_directory": "/ca", "issued": {}}, "issued is allowed only with authority"),
    ],
)
def test_contradicting_sources_are_rejected(fleet, options, said):
    from ansible_collections.wormhole.docker.plugins.action import tls_certificates

    result = fleet.run_task(tls_certificates, {"certificates": [fleet.server()], **options})
    assert result["failed"]
    assert said in result["msg"]


def test_a_corporate_intermediate_is_checked_and_not_written_anywhere(fleet, tmp_path):
    extensions = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign\nsubjectKeyIdentifier=hash\n"
    (tmp_path / "ca.ext").write_text(
        extensions + "nameConstraints=permitted;DNS:corp.example,permitted;IP:10.0.0.0/255.0.0.0"
    )
    for command in (
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout root.key -out root.pem -days 3650 -subj /CN=Root "
        "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign",
        "openssl req -newkey rsa:2048 -nodes -keyout i.key -out i.csr -subj /CN=Issuing",
        "openssl x509 -req -in i.csr -CA root.pem -CAkey root.key -CAcreateserial -days 1000 -out i.pem -extfile ca.ext",
    ):
        subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    chain = (tmp_path / "i.pem").read_text() + (tmp_path / "root.pem").read_text()
    source = {"certificate_content": chain, "private_key_path": str(tmp_path / "i.key")}
    before = sorted(tmp_path.rglob("*"))
    checked = fleet.make_authority(directory=None, **source)
    assert (checked["changed"], checked["subject"]) == (False, "CN=Issuing")
    assert checked["trust_bundle"] == chain
    # Its name constraints do not permit a bridge's gateway.
    refused = fleet.run(fleet.server(), **{f"ca_{name}": value for name, value in source.items()})
    assert "IP:172.17.0.1" in refused["msg"]
    assert "name constraints" in refused["msg"]
    assert sorted(tmp_path.rglob("*")) == before
    alone = {**source, "certificate_content": (tmp_path / "i.pem").read_text()}
    refused = fleet.make_authority(directory=None, **alone)
    assert "is not followed by its issuer CN=Root" in refused["msg"]


def test_certificates_that_are_not_on_record_are_rotated_but_do_not_become_the_collections_own(fleet):
    fleet.make_authority()
    fleet.run(fleet.client())
    record = fleet.state / certificate_record.NAME
    record.unlink()
    fleet.make_authority(rotation="trust")
    assert fleet.rotate("trust")["changed"]
    assert not record.exists()
    fleet.make_authority(rotation="reissue")
    assert fleet.rotate("clients")["changed"]
    assert not record.exists()
